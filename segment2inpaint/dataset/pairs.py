"""Training pairs: each edited photo with its masks, its result and its verdict.

They are a folder ``pairs`` in the output folder, which other programs read as a dataset of its own:
Parquet files as Hugging Face ``datasets`` loads them, or WebDataset shards; and a dataset card.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segment2inpaint.dataset import pair_files, storage
from segment2inpaint.dataset.inputs import read_input
from segment2inpaint.dataset.names import mask_name, object_mask_name, printable
from segment2inpaint.dataset.pair_card import dataset_card
from segment2inpaint.dataset.pair_files import PairSample, Picture
from segment2inpaint.dataset.run_types import Json, RunSettings, package_version

PAIRS_FOLDER = "pairs"
_DATA_FILE = re.compile(r"^train-\d{5,}\.(parquet|tar)$")


@dataclass
class _Counted:
    """Passes samples on and counts them by verdict."""

    samples: Iterable[PairSample]
    verdicts: Counter[str]

    def __iter__(self) -> Iterator[PairSample]:
        for sample in self.samples:
            self.verdicts[sample.values["verdict"] or "not verified"] += 1
            yield sample


def write(records: Callable[[], Iterator[Json]], settings: RunSettings) -> None:
    """Write the pairs of all photos with the status ``done``, sorted by output name.

    ``records`` yields the records of the results log. Files of an earlier call are replaced.
    """
    folder = storage.join(settings.out, PAIRS_FOLDER)
    counted = _Counted(_samples(records(), settings), Counter())
    writer = pair_files.write_parquet if settings.pairs == "hf" else pair_files.write_tars
    written = writer(folder, counted)
    card = dataset_card(settings, counted.verdicts)
    storage.write(storage.join(folder, "README.md"), card.encode())
    _delete_others(folder, written)


def _delete_others(folder: str, written: list[str]) -> None:
    """Delete data files of an earlier call that the new ones do not replace; local folders only."""
    if storage.is_remote(folder):
        return
    for path in Path(folder).rglob("train-*"):
        if _DATA_FILE.match(path.name) and path.relative_to(folder).as_posix() not in written:
            path.unlink()


def _samples(records: Iterable[Json], settings: RunSettings) -> Iterator[PairSample]:
    for record in records:
        if record["status"] == "done":
            yield _sample(record, settings)


def _sample(record: Json, settings: RunSettings) -> PairSample:
    output = record["output"]
    files = {
        "result": output,
        "mask": object_mask_name(output),
        "effect_mask": mask_name(output, settings),
    }
    pictures = {key: _picture(storage.join(settings.out, name)) for key, name in files.items()}
    photo = Picture(read_input(record["photo"]), _suffix(storage.containing_file(record["photo"])))
    return PairSample({"photo": photo, **pictures}, _values(record))


def _picture(name: str) -> Picture:
    return Picture(storage.read(name), _suffix(name))


def _suffix(name: str) -> str:
    suffix = name.rpartition(".")[2].lower()
    return {"jpeg": "jpg", "tif": "tiff"}.get(suffix, suffix)


def _values(record: Json) -> dict[str, Any]:
    """Return the columns of a sample that are not pictures; all are texts or whole numbers."""
    rows = record["rows"]
    requests = [row["request"] for row in rows]
    fills = [request.get("fill", {}) for request in requests]
    prompts = dict.fromkeys(fill["prompt"] for fill in fills if fill.get("prompt"))
    replaces = any(fill.get("prompt") or fill.get("picture") for fill in fills)
    checks: dict[str, float] = {}
    for row in rows:
        for name, score in (row.get("checks") or {}).items():
            checks[name] = max(score, checks.get(name, 0.0))
    return {
        "name": printable(record["output"]),
        "task": "replace" if replaces else "remove",
        "prompt": "; ".join(prompts),
        "label": "; ".join(dict.fromkeys(row["label"] for row in rows if row["label"])),
        "verdict": record["verdict"] or "",
        "checks": json.dumps(checks, sort_keys=True),
        "objects": len(rows),
        "changed_outside": rows[0].get("changed_outside") or 0,
        "detector": _joined(rows, "detector"),
        "inpainter": _joined(rows, "inpainter"),
        "request": json.dumps(requests, sort_keys=True),
        "photo_sha256": rows[0]["photo_sha256"],
        "version": package_version(),
    }


def _joined(rows: list[Json], column: str) -> str:
    return "; ".join(dict.fromkeys(row[column] for row in rows if row.get(column)))
