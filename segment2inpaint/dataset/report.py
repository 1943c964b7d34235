"""``report.html``: the results of a run in one file, which loads nothing from elsewhere."""

from __future__ import annotations

import base64
import json
from collections import Counter
from datetime import datetime
from importlib.resources import files
from itertools import islice
from math import log10

from segment2inpaint.dataset import report_cards, storage
from segment2inpaint.dataset.names import printable, thumbnail_path
from segment2inpaint.dataset.plan import REPORT_PHOTOS, RunPlan
from segment2inpaint.dataset.run_types import FAILED_STATUSES, Json
from segment2inpaint.errors import BadImage

SCORE_BINS = 20  # bins of a histogram of scores in [0, 1]
TIME_BINS_PER_DECADE = 5  # bins of the histogram of times, per factor of ten
MIN_TIME = 1e-3  # s; shorter times count in the same bin
MAX_LEFT_OUT = 1000  # rows listed that were left out
OBJECTS_PER_CARD = 20  # object names listed for one photo
ERROR_VERDICT = "error"  # a photo with the status failed; "failed" is a verdict of its checks
WORST_FIRST = ("quarantined", ERROR_VERDICT, "partial", "failed", "doubtful", "clean")


def write(plan: RunPlan) -> None:
    """Write the report of the processed photos: counts and histograms of all, cards of some."""
    summary = _ReportSummary(plan.settings.out)
    for record in plan.records():
        summary.add(record)
    cards = [_card(card, plan) for card in summary.worst_cards()]
    counts = plan.counts()
    data = {
        **heading("Results", plan.settings.command), **summary.to_dict(),
        "planned": counts.photos, "cards": cards, "columns": report_cards.COLUMNS,
        "left_out": {"count": counts.invalid + counts.unmatched, "rows": _left_out_rows(plan)},
    }  # fmt: skip
    write_page(storage.join(plan.settings.out, "report.html"), data)


def heading(title: str, command: str) -> Json:
    """Return the title, the command and the date of a report."""
    date = datetime.now().astimezone().isoformat(" ", "seconds")
    return {"title": title, "command": printable(command), "date": date}


def write_page(name: str, data: Json) -> None:
    """Write a report: a page that shows ``data``."""
    page = files(__package__).joinpath("report.html").read_text(encoding="utf-8")
    # A name that contains </script> would end the script block that holds the data.
    text = json.dumps(data).replace("<", "\\u003c")
    storage.write(name, page.replace("/*DATA*/", text).encode())


def _left_out_rows(plan: RunPlan) -> list[str]:
    """Return the first rows that were invalid or matched nothing, each with the reason."""
    return [printable(str(problem)) for problem in islice(plan.problems(), MAX_LEFT_OUT)]


class _ReportSummary:
    """Counts over all photos, and cards of the worst ones."""

    def __init__(self, out: str) -> None:
        self.out = out
        self.statuses: Counter[str] = Counter()
        self.verdicts: Counter[str] = Counter()
        self.actions: Counter[str] = Counter()
        self.scores: dict[str, list[int]] = {}
        self.times: Counter[int] = Counter()
        self.cards: list[Json] = []

    def add(self, record: Json) -> None:
        """Count a record of the results log; photos without edits get no card."""
        self.statuses[record["status"]] += 1
        if record["status"] == "copied" and not record["error"]:
            return
        verdict = photo_verdict(record)
        self.verdicts[verdict] += 1
        self.actions.update(_action_names(record))
        if record["seconds"]:
            self.times[_time_bin(record["seconds"])] += 1
        for row in record["rows"]:
            for name, score in (row.get("checks") or {}).items():
                bins = self.scores.setdefault(name, [0] * SCORE_BINS)
                bins[min(SCORE_BINS - 1, int(score * SCORE_BINS))] += 1
        self.cards.append(_card_summary(record, verdict, self.out))
        if len(self.cards) > 4 * REPORT_PHOTOS:  # bounds the memory, and sorts rarely
            self.cards = self.worst_cards()

    def worst_cards(self) -> list[Json]:
        """Return the cards to show, the worst verdict first, then by output name."""
        return sorted(self.cards, key=_card_rank)[:REPORT_PHOTOS]

    def to_dict(self) -> Json:
        return {
            "statuses": dict(sorted(self.statuses.items())),
            "verdicts": dict(sorted(self.verdicts.items())),
            "actions": dict(sorted(self.actions.items())),
            "scores": dict(sorted(self.scores.items())),
            "times": sorted(self.times.items()),
        }


def _card_rank(card: Json) -> tuple[int, str]:
    verdict = card["verdict"]
    rank = WORST_FIRST.index(verdict) if verdict in WORST_FIRST else len(WORST_FIRST)
    return rank, card["output"]


def photo_verdict(record: Json) -> str:
    """Return the verdict of a photo, or its status if there is no verdict."""
    status: str = record["status"]
    if status in FAILED_STATUSES:
        return ERROR_VERDICT if status == "failed" else status
    return record["verdict"] or status


def _action_names(record: Json) -> set[str]:
    """Return the names of the actions that may mend a photo's results."""
    return {row["action"]["name"] for row in record["rows"] if row.get("action")}


def _card_summary(record: Json, verdict: str, out: str) -> Json:
    names = [row["label"] or row["id"] for row in record["rows"]]
    return {
        "output": record["output"], "photo": record["photo"], "verdict": verdict,
        "caption": report_cards.caption(record), "links": report_cards.links(record, out),
        "actions": sorted(_action_names(record)),
        "objects": names[:OBJECTS_PER_CARD], "cells": report_cards.cells(record, verdict),
    }  # fmt: skip


def _card(summary: Json, plan: RunPlan) -> Json:
    picture = thumbnail_url(thumbnail_path(summary["output"], plan.settings))
    names = {key: printable(summary[key]) for key in ("output", "photo")}
    pictures = [("", picture)] if picture else []
    return {**summary, **names, "pictures": pictures}


def thumbnail_url(name: str) -> str:
    """Return a thumbnail as a data URL, or an empty string if there is none."""
    if storage.size(name) < 0:
        return ""
    try:
        return "data:image/jpeg;base64," + base64.b64encode(storage.read(name)).decode()
    except BadImage:
        return ""


def _time_bin(seconds: float) -> int:
    return int(TIME_BINS_PER_DECADE * log10(max(seconds, MIN_TIME)) // 1)
