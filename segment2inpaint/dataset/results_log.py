"""The results log: one JSON record per processed photo, which makes a run resumable.

Each file of the log has one writer. A killed writer leaves at most an incomplete last line, which
is ignored when the log is read. Remote stores cannot append to a file, so there each ``add``
writes a new object.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path

from segment2inpaint.dataset import storage
from segment2inpaint.dataset.run_types import Json
from segment2inpaint.errors import BadDataset, BadImage

STATE_FOLDER = ".segment2inpaint"  # below the output folder; holds what a later run needs


class ResultsLog:
    """Appends records to a new file, whose name sorts after those of earlier runs.

    ``path`` is that file; on a remote store, the prefix of the objects' names.
    """

    def __init__(self, out: str, run: int) -> None:
        self.folder = _folder(out)
        self.path = storage.join(self.folder, f"{run:06d}-{secrets.token_hex(8)}")
        self._objects = 0
        if not storage.is_remote(out):
            self.path += ".jsonl"
            Path(self.folder).mkdir(parents=True, exist_ok=True)

    def add(self, records: Iterable[Json]) -> None:
        """Append records. Raises ``BadDataset`` if they cannot be written."""
        data = "".join(json.dumps(record) + "\n" for record in records).encode()
        try:
            self._append(data)
        except (OSError, BadImage) as error:
            reason = getattr(error, "strerror", None) or error
            raise BadDataset(f"{self.folder}: cannot be written: {reason}") from error

    def _append(self, data: bytes) -> None:
        if storage.is_remote(self.folder):
            self._objects += 1
            storage.write(f"{self.path}-{self._objects:06d}.jsonl", data)
            return
        with Path(self.path).open("ab", buffering=0) as file:
            if file.write(data) != len(data):
                raise OSError("only part of a line could be written")


def next_run_number(out: str) -> int:
    """Return a number above those of all earlier runs into an output folder."""
    return max((int(name[:6]) for name in _files(out)), default=0) + 1


def read_records(out: str, run: int | None = None) -> Iterator[Json]:
    """Yield the records of all runs, the earliest run first, or those of one run."""
    for name in _files(out):
        if run is not None and int(name[:6]) != run:
            continue
        for line in storage.read_lines(storage.join(_folder(out), name)):
            if line.endswith(b"\n"):
                yield json.loads(line)


def _folder(out: str) -> str:
    return storage.join(out, f"{STATE_FOLDER}/ledger")


def _files(out: str) -> list[str]:
    folder = _folder(out)
    if not storage.is_folder(folder):
        return []
    return [name for name in storage.list_files(folder) if name.endswith(".jsonl")]
