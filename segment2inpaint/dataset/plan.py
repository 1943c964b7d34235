"""All of a run on disk before any of it is done: checked, counted, in order.

The plan is a database of one run, made anew each time; what is finished is in the ledger.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby, islice
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Any

from segment2inpaint import images
from segment2inpaint.dataset import request_json, storage
from segment2inpaint.dataset.formats.registry import Source
from segment2inpaint.dataset.formats.shards import read_input
from segment2inpaint.dataset.run_types import (
    FAILED_STATUSES,
    EditItem,
    InvalidRow,
    Json,
    PhotoJob,
    RunSettings,
)
from segment2inpaint.errors import ModelMissing, Segment2InpaintError
from segment2inpaint.types import Request

SHOWN = 1000  # photos that the report shows, a sample of more
SOME = 500  # rows written or asked for together
RESERVED = ("manifest.jsonl", "manifest.parquet", "report.html")

_TABLES = """
pragma journal_mode = off; pragma synchronous = off;
create table jobs (output text primary key, photo text, place text, first integer) without rowid;
create table items (output text, n integer primary key, place text, id text, label text,
                    request text);
create index items_of on items (output);
create table targets (place text primary key, whose text) without rowid;
create table inputs (place text primary key) without rowid;
create table problems (place text, what text);
create table done (output text primary key, status text, record text) without rowid;
"""


@dataclass(frozen=True)
class Counts:
    """How much there is to do."""

    photos: int
    objects: int
    copies: int
    done: int
    failed: int


class RunPlan:
    """The photos of a run, each with its objects, and what the ledger says of them.

    ``pinned`` says what a request's ``auto`` comes to.
    """

    def __init__(
        self, file: Path, settings: RunSettings, pinned: Callable[[Request], Json]
    ) -> None:
        file.unlink(missing_ok=True)
        self.settings = settings
        self._pinned = pinned
        self._base = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
        self._base.executescript(_TABLES)

    def __enter__(self) -> RunPlan:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._base.close()

    # --- making it -------------------------------------------------------------------------

    def fill(self, source: Source) -> None:
        """Read and check all rows; what is wrong with them is in ``problems``."""
        rows = iter(source.items())
        number = 0
        while some := list(islice(rows, SOME)):
            self._base.execute("begin")
            lost = storage.missing({n for i in some if isinstance(i, EditItem) for n in _inputs(i)})
            for one in some:
                number += 1
                sound = one if isinstance(one, InvalidRow) else self._checked(one, lost)
                if isinstance(sound, InvalidRow):
                    self._tell(sound)
                else:
                    self._add(sound, number)
            self._base.execute("commit")
        self._claim_targets()

    def problems(self) -> Iterator[InvalidRow]:
        """What is wrong, in the order found."""
        for row in self._base.execute("select place, what from problems"):
            yield InvalidRow(*row)

    def _checked(self, item: EditItem, lost: set[str]) -> EditItem | InvalidRow:
        """The item with what ``auto`` comes to, or what is wrong with it by itself."""
        for name in _inputs(item):
            if name in lost:
                return InvalidRow(
                    item.where, f"{storage.file_of(name)}: no such file; check the path"
                )
        if item.output.startswith("/") or ".." in PurePosixPath(item.output).parts:
            return InvalidRow(item.where, f"output {item.output} must stay below the output folder")
        if item.request is None:
            return item
        try:
            request = request_json.checked(item.request)
            images.format_of(item.output)
            pinned = self._pinned(request)
        except ModelMissing as error:  # so it will be for all
            raise ModelMissing(f"{item.where}: {error}") from error
        except Segment2InpaintError as error:
            return InvalidRow(item.where, str(error))
        return replace(item, request={**item.request, **pinned})

    def _add(self, item: EditItem, number: int) -> None:
        known = self._base.execute(
            "select photo, place from jobs where output = ?", (item.output,)
        ).fetchone()
        if known and known[0] != item.photo:
            self._tell(InvalidRow(item.where, f"would write {item.output}, as {known[1]} does"))
            return
        request = json.dumps(item.request) if item.request else None
        if (
            known
            and self._base.execute(
                "select 1 from items where output = ? and request is ? and id = ?",
                (item.output, request, item.id),
            ).fetchone()
        ):
            self._tell(InvalidRow(item.where, f"asks the same of {item.photo} as a row before it"))
            return
        if not known:
            self._base.execute(
                "insert into jobs values (?, ?, ?, ?)",
                (item.output, item.photo, item.where, number),
            )
        self._base.execute(
            "insert into items values (?, ?, ?, ?, ?, ?)",
            (item.output, number, item.where, item.id, item.label, request),
        )
        names = [(storage.real(storage.file_of(name)),) for name in _inputs(item)]
        self._base.executemany("insert or ignore into inputs values (?)", names)

    def _claim_targets(self) -> None:
        """Each file that will be written belongs to one photo and is no input."""
        self._base.execute("begin")
        for output, place in self._base.execute("select output, place from jobs").fetchall():
            names = [output, *([mask_name(output, self.settings)] if self.settings.masks else [])]
            for name in names:
                self._claim(name, place)
        self._base.execute("commit")

    def _claim(self, name: str, place: str) -> None:
        target = storage.real(storage.join(self.settings.out, name))
        other = self._base.execute(
            "select whose from targets where place = ?", (target,)
        ).fetchone()
        if name in RESERVED:
            self._tell(InvalidRow(place, f"would write {name}, which is the run's own"))
        elif other:
            self._tell(InvalidRow(place, f"would write {name}, as {other[0]} does"))
        elif self._base.execute("select 1 from inputs where place = ?", (target,)).fetchone():
            self._tell(
                InvalidRow(place, f"would write {name} over an input; choose another OUTDIR")
            )
        else:
            self._base.execute("insert into targets values (?, ?)", (target, place))

    def _tell(self, problem: InvalidRow) -> None:
        self._base.execute("insert into problems values (?, ?)", (problem.where, problem.what))

    # --- what is finished ------------------------------------------------------------------

    def remember(self, records: Iterable[Json]) -> None:
        """Take in what the ledger says; later records override earlier ones."""
        self._base.execute("begin")
        for record in records:
            self.finish(record)
        self._base.execute("commit")

    def finish(self, record: Json) -> None:
        """Take in what came of one photo."""
        self._base.execute(
            "insert or replace into done values (?, ?, ?)",
            (record["output"], record["status"], json.dumps(record)),
        )

    def settle(self, *, retry: bool) -> None:
        """Forget what is not of this plan, not for these files and requests, or gone from disk.

        With ``retry``, failures too.
        """
        there = self._jobs("where jobs.output in (select output from done)")
        stale = [job.output for job in there if not self._stands(job, retry)]
        self._base.execute("begin")
        self._base.execute("delete from done where output not in (select output from jobs)")
        self._base.executemany("delete from done where output = ?", [(name,) for name in stale])
        self._base.execute("commit")

    def _stands(self, job: PhotoJob, retry: bool) -> bool:
        found = self._base.execute(
            "select record from done where output = ?", (job.output,)
        ).fetchone()
        if not found:
            return False
        record = json.loads(found[0])
        if record["key"] != job.key or (retry and record["status"] in FAILED_STATUSES):
            return False
        names = [job.photo, *request_json.files(job.items)]
        return (
            len(names) == len(record["inputs"])
            and all(_same(n, was) for n, was in zip(names, record["inputs"], strict=True))
            and all(
                storage.size(storage.join(self.settings.out, name)) == count
                for name, count in record["written"].items()
            )
        )

    # --- reading it ------------------------------------------------------------------------

    def todo(self) -> Iterator[PhotoJob]:
        """The photos that are not finished, in the source's order."""
        return self._jobs("where jobs.output not in (select output from done)")

    def all(self) -> Iterator[PhotoJob]:
        """All photos, in the source's order."""
        return self._jobs()

    def records(self) -> Iterator[Json]:
        """What came of each photo that is finished, sorted by output."""
        for (record,) in self._base.execute("select record from done order by output"):
            yield json.loads(record)

    def counts(self) -> Counts:
        def count(what: str) -> int:
            return int(self._base.execute(f"select count(*) from {what}").fetchone()[0])

        marks = ", ".join(f"'{status}'" for status in FAILED_STATUSES)
        return Counts(
            count("jobs"),
            count("items where request is not null"),
            count("items where request is null"),
            count("done"),
            count(f"done where status in ({marks})"),
        )

    def _jobs(self, where: str = "") -> Iterator[PhotoJob]:
        cursor = self._base.cursor().execute(
            "select jobs.output, jobs.photo, items.place, items.id, items.label, items.request,"
            " jobs.first from jobs join items on items.output = jobs.output"
            f" {where} order by jobs.first, items.n"
        )
        every = max(1, self.counts().photos // SHOWN)
        for _, rows in groupby(cursor, key=lambda row: row[0]):
            group = list(rows)
            output, photo, first = group[0][0], group[0][1], group[0][6]
            items = tuple(
                EditItem(photo, output, json.loads(r[5]) if r[5] else None, r[2], r[3], r[4])
                for r in group
            )
            key = request_json.key(items, self.settings)
            yield PhotoJob(photo, output, items, key, first % every == 0)


def mask_name(output: str, settings: RunSettings) -> str:
    """Where the mask of a photo goes, relative to the output folder."""
    return f"{settings.masks}/{output}.png"


def _inputs(item: EditItem) -> list[str]:
    return [item.photo, *request_json.files([item])]


def _same(name: str, was: list[Any]) -> bool:
    """Whether a file is what it was: by its size and time, or else by its content."""
    import hashlib

    before, digest = str(was[0]), str(was[1])
    if before and storage.fingerprint(name) == before:
        return True
    try:
        return hashlib.sha256(read_input(name)).hexdigest() == digest
    except Segment2InpaintError:
        return False
