"""What is finished, a JSON line for each photo, in files that each have one writer.

A writer that is killed leaves at most its last line torn; that line is not read, and nobody
writes behind it. On a remote store, which cannot append, each ``add`` makes an object.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path

from segment2inpaint.dataset import storage
from segment2inpaint.dataset.run_types import Json
from segment2inpaint.errors import BadDataset, BadImage

STATE = ".segment2inpaint"  # the folder, below the output folder, of what the next run needs


class ResultsLog:
    """Adds records to files of its own, which sort behind those of earlier runs."""

    def __init__(self, out: str, run: int) -> None:
        self.folder = _folder(out)
        self._name = f"{run:06d}-{secrets.token_hex(8)}"
        self._parts = 0
        if not storage.is_remote(out):
            Path(self.folder).mkdir(parents=True, exist_ok=True)

    def add(self, records: Iterable[Json]) -> None:
        """Append them. Raises ``BadDataset`` if the disk is full."""
        data = "".join(json.dumps(record) + "\n" for record in records).encode()
        try:
            self._append(data)
        except (OSError, BadImage) as error:
            why = getattr(error, "strerror", None) or error
            raise BadDataset(f"{self.folder}: cannot be written: {why}") from error

    def _append(self, data: bytes) -> None:
        if storage.is_remote(self.folder):
            self._parts += 1
            storage.write(storage.join(self.folder, f"{self._name}-{self._parts:06d}.jsonl"), data)
            return
        with Path(self.folder, f"{self._name}.jsonl").open("ab", buffering=0) as file:
            if file.write(data) != len(data):
                raise OSError("only part of a line could be written")


def next_run(out: str) -> int:
    """A number above those of all runs before."""
    return max((int(name[:6]) for name in _files(out)), default=0) + 1


def read(out: str, run: int | None = None) -> Iterator[Json]:
    """All records, or those of one run; torn lines left out, those of earlier runs first."""
    for name in _files(out):
        if run is not None and int(name[:6]) != run:
            continue
        for line in storage.lines(storage.join(_folder(out), name)):
            if line.endswith(b"\n"):
                yield json.loads(line)


def _folder(out: str) -> str:
    return storage.join(out, f"{STATE}/ledger")


def _files(out: str) -> list[str]:
    folder = _folder(out)
    if not storage.is_folder(folder):
        return []
    return [name for name in storage.walk(folder) if name.endswith(".jsonl")]
