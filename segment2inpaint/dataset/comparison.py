"""Compare two runs: a report with both results of each photo, and what changed between them."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from segment2inpaint.dataset import report, report_cards, results_log, storage
from segment2inpaint.dataset.names import printable, thumbnail_path
from segment2inpaint.dataset.plan import REPORT_PHOTOS
from segment2inpaint.dataset.run_types import Json, RunSettings
from segment2inpaint.errors import BadDataset

COLUMNS = ("file", "change", "verdict here", "verdict there", "largest change of a score",
           "seconds here", "seconds there")  # fmt: skip
CHANGES = ("worse", "better", "other scores", "only here", "only there", "same")
MIN_CHANGE = 0.01  # of a score
_VERDICTS = ("clean", "doubtful", "failed", "partial", report.ERROR_VERDICT, "quarantined")


@dataclass(frozen=True)
class PhotoComparison:
    """The two records of a photo; None where the run did not process it.

    ``changes`` are the differences of the scores, this run's less the other's, largest first.
    """

    output: str
    here: Json | None
    there: Json | None
    changes: Mapping[str, float]

    @property
    def change(self) -> str:
        """Return what changed, one of ``CHANGES``."""
        if not (self.here and self.there):
            return "only here" if self.here else "only there"
        ranks = [_rank(report.photo_verdict(record)) for record in (self.here, self.there)]
        if ranks[0] != ranks[1]:
            return "worse" if ranks[0] > ranks[1] else "better"
        return "other scores" if self.changes else "same"


def write(out: str, other: str) -> tuple[str, Counter[str]]:
    """Write ``compare.html`` into ``out``; return its name and how many photos changed how.

    Raises ``BadDataset`` if one of the folders has no finished run.
    """
    compared = list(compare(out, other))
    counts = Counter(photo.change for photo in compared)
    compared.sort(key=_order)
    cards = [_card(photo, out, other) for photo in compared[:REPORT_PHOTOS]]
    command = f"segment2inpaint compare {printable(out)} {printable(other)}"
    verdicts = {name: counts[name] for name in CHANGES if counts[name]}
    data = {
        **report.heading("Comparison of two runs", command), "cards": cards, "columns": COLUMNS,
        "sentence": _sentence(out, other, counts), "statuses": {}, "verdicts": verdicts,
        "scores": {}, "times": [], "planned": len(compared), "left_out": {"count": 0, "rows": []},
    }  # fmt: skip
    name = storage.join(out, "compare.html")
    report.write_page(name, data)
    return name, counts


def compare(out: str, other: str) -> Iterator[PhotoComparison]:
    """Yield each photo of two output folders, sorted by output name."""
    here, there = (_records(folder) for folder in (out, other))
    for output in sorted(here.keys() | there.keys()):
        pair = here.get(output), there.get(output)
        yield PhotoComparison(output, *pair, _score_changes(*pair))


def _records(out: str) -> dict[str, Json]:
    """Return the records of the photos in the manifest of an output folder."""
    manifest = storage.join(out, "manifest.jsonl")
    if storage.size(manifest) < 0:
        raise BadDataset(
            f"{manifest}: no such file, expected the output folder of a finished batch; "
            "finish the run, or join its shards with --join"
        )
    rows = (json.loads(line) for line in storage.read_lines(manifest))
    shown = {output: list(group) for output, group in groupby(rows, key=lambda row: row["output"])}
    records = {record["output"]: record for record in results_log.read_records(out)}
    return {output: {**records.get(output, _record(r)), "rows": r} for output, r in shown.items()}


def _record(rows: list[Json]) -> Json:
    """Return a record made of manifest rows alone, for a folder without the results log."""
    statuses = {row["status"] for row in rows}
    row = rows[0]
    return {
        "photo": row["photo"], "output": row["output"], "verdict": row["verdict"],
        "status": "partial" if len(statuses) > 1 else row["status"], "error": row["error"],
        "seconds": row["seconds"], "written": {row["output"]: 0} if "done" in statuses else {},
    }  # fmt: skip


def _score_changes(here: Json | None, there: Json | None) -> dict[str, float]:
    if not (here and there):
        return {}
    old, new = _scores(there), _scores(here)
    found = {name: round(new[name] - old[name], 4) for name in new.keys() & old.keys()}
    shown = {name: value for name, value in found.items() if abs(value) >= MIN_CHANGE}
    return dict(sorted(shown.items(), key=lambda pair: -abs(pair[1])))


def _scores(record: Json) -> dict[str, float]:
    scores: dict[str, float] = {}
    for row in record["rows"]:
        for name, score in (row.get("checks") or {}).items():
            scores[name] = max(score, scores.get(name, 0.0))
    return scores


def _rank(verdict: str) -> int:
    return _VERDICTS.index(verdict) if verdict in _VERDICTS else 0


def _order(photo: PhotoComparison) -> tuple[int, float, str]:
    largest = max(map(abs, photo.changes.values()), default=0.0)
    return CHANGES.index(photo.change), -largest, photo.output


def _sentence(out: str, other: str, counts: Mapping[str, int]) -> str:
    parts = ", ".join(f"{counts[name]} {name}" for name in CHANGES if counts.get(name))
    return (
        f"{sum(counts.values())} photos: {parts}. Here is {printable(out)}, there is "
        f"{printable(other)}; a change is from there to here."
    )


# --- cards ------------------------------------------------------------------------------------


def _card(photo: PhotoComparison, out: str, other: str) -> Json:
    sides = ((photo.here, out, "here"), (photo.there, other, "there"))
    pictures, links = [], dict[str, str]()
    for record, folder, side in sides:
        if not record:
            continue
        if picture := report.thumbnail_url(thumbnail_path(photo.output, RunSettings(folder))):
            pictures.append((f"result {side}:", picture))
        links |= _links(record, folder, side, out)
    return {
        "output": printable(photo.output), "verdict": photo.change, "objects": [],
        "pictures": pictures, "links": links, "caption": _caption(photo), "cells": _cells(photo),
    }  # fmt: skip


def _links(record: Json, folder: str, side: str, out: str) -> dict[str, str]:
    """Return the links of one side, relative to the report in ``out``."""
    found = report_cards.links(record, folder)
    way = "" if folder == out else report_cards.relative_address(os.path.relpath(folder, out))
    local = {
        f"{name} {side}": f"{way}/{address[2:]}" if way else address
        for name, address in found.items()
        if name != "photo"
    }
    photo = report_cards.links(record, out).get("photo")
    return {**({"photo": photo} if photo else {}), **local}


def _caption(photo: PhotoComparison) -> str:
    if not photo.here or not photo.there:
        return f"The photo is in one run only: {photo.change.removeprefix('only ')}."
    verdicts = [_verdict_name(record) for record in (photo.there, photo.here)]
    there = "" if verdicts[0] == verdicts[1] else f"; there it was {verdicts[0]}"
    said = f"It is {verdicts[1]}{there}."
    if not photo.changes:
        return f"{said} No score changed."
    scores = ", ".join(f"{name} {value:+.2f}" for name, value in photo.changes.items())
    return f"{said} Scores changed: {scores}."


def _verdict_name(record: Json) -> str:
    verdict = report.photo_verdict(record)
    return "not done" if verdict == report.ERROR_VERDICT else verdict


def _cells(photo: PhotoComparison) -> list[Any]:
    sides = (photo.here, photo.there)
    largest = next(iter(photo.changes.values()), None)
    verdicts = [record and _verdict_name(record) for record in sides]
    seconds = [record and record["seconds"] for record in sides]
    return [printable(photo.output), photo.change, *verdicts, largest, *seconds]
