"""The plan of a run: all photos and objects, checked and counted before any photo is edited.

The plan is an SQLite database that every run builds anew. What earlier runs have finished comes
from the results log.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby, islice
from pathlib import Path, PurePosixPath
from types import TracebackType

from segment2inpaint import images
from segment2inpaint.dataset import request_json, retries, storage
from segment2inpaint.dataset.formats.registry import Source
from segment2inpaint.dataset.inputs import is_unchanged
from segment2inpaint.dataset.names import check_file_name, mask_name
from segment2inpaint.dataset.options import Shard
from segment2inpaint.dataset.plan_database import PlanCounts, SurrogateConnection
from segment2inpaint.dataset.plan_items import (
    SourceRecord,
    input_names,
    job_inputs,
    spelled_as_on_disk,
    stored_item,
    with_readable_names,
)
from segment2inpaint.dataset.reading import describe, read_records
from segment2inpaint.dataset.run_types import (
    FAILED_STATUSES,
    EditItem,
    InvalidRow,
    Json,
    PhotoJob,
    RunSettings,
    UnmatchedRow,
)
from segment2inpaint.errors import ModelMissing, Segment2InpaintError
from segment2inpaint.types import Request

REPORT_PHOTOS = 1000  # photos that the report shows; of a larger run, a sample
ITEMS_PER_TRANSACTION = 500  # items checked and stored together
RESERVED_OUTPUTS = ("manifest.jsonl", "manifest.parquet", "report.html")

_TABLES = """
pragma journal_mode = off; pragma synchronous = off;
create table jobs (output text primary key, photo text, location text, first integer)
    without rowid;
create table items (output text, number integer primary key, location text, id text, label text,
                    request text, photo_size text, is_crowd integer);
create index items_by_output on items (output);
create table targets (path text primary key, location text) without rowid;
create table inputs (path text primary key) without rowid;
create table problems (location text, message text, unmatched integer);
create table retries (output text primary key, record text) without rowid;
create table done (output text primary key, status text, record text) without rowid;
"""


class RunPlan:
    """The photos of a run with their objects, and the records of those that are processed.

    ``file`` is the database, which is replaced. ``resolve_auto`` returns the ``detector`` and
    ``inpainter`` to store in a request whose names are ``auto``.
    """

    def __init__(
        self, file: Path, settings: RunSettings, resolve_auto: Callable[[Request], Json]
    ) -> None:
        file.unlink(missing_ok=True)
        self.settings = settings
        self.shard: Shard | None = None
        self._resolve_auto = resolve_auto
        self._missing_model: ModelMissing | None = None
        self._database = sqlite3.connect(
            file, isolation_level=None, check_same_thread=False, factory=SurrogateConnection
        )
        self._database.executescript(_TABLES)

    def __enter__(self) -> RunPlan:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._database.close()

    # --- reading the source ----------------------------------------------------------------

    def read_source(self, source: Source) -> None:
        """Read and check all items of a source; ``problems`` returns the invalid ones.

        Raises ``ModelMissing`` if none of the first items has its models on this machine.
        """
        records = read_records(source)
        number = 0
        while batch := list(islice(records, ITEMS_PER_TRANSACTION)):
            self._database.execute("begin")
            for checked in self._check_batch(batch):
                number += 1
                if isinstance(checked, InvalidRow):
                    self._add_problem(checked)
                else:
                    self._add_item(checked, number)
            self._database.execute("commit")
            if self._missing_model and not self._has_objects():
                raise self._missing_model
        self._claim_targets()

    def problems(self) -> Iterator[InvalidRow]:
        """Yield the rows that are invalid or unmatched in the order in which they were found."""
        for where, message, unmatched in self._database.execute("select * from problems"):
            yield (UnmatchedRow if unmatched else InvalidRow)(where, message)

    def keep_shard(self, shard: Shard) -> None:
        """Drop the photos of the other shards: each has every N-th photo, sorted by output."""
        self.shard = shard
        self._database.execute("begin")
        rows = self._database.execute("select output from jobs order by output").fetchall()
        others = [row for i, row in enumerate(rows) if i % shard.count != shard.number - 1]
        for table in ("jobs", "items"):
            self._database.executemany(f"delete from {table} where output = ?", others)
        self._database.execute("commit")

    def _check_batch(self, batch: Sequence[SourceRecord]) -> Iterator[SourceRecord]:
        """Yield each item checked, or the reason why it is invalid."""
        records = [with_readable_names(record) for record in batch]
        items = [record for record in records if isinstance(record, EditItem)]
        missing = storage.find_missing({name for item in items for name in input_names(item)})
        for record in records:
            if isinstance(record, InvalidRow):
                yield record
                continue
            try:
                yield self._check_item(*spelled_as_on_disk(record, missing))
            except ModelMissing as error:
                self._missing_model = self._missing_model or error
                yield InvalidRow(record.where, str(error).removeprefix(f"{record.where}: "))
            except request_json.INVALID_VALUE_ERRORS as error:
                yield InvalidRow(record.where, f"not a row: {describe(error)}")

    def _check_item(self, item: EditItem, missing: set[str]) -> EditItem | InvalidRow:
        """Return the item with its ``auto`` resolved, or the reason why it is invalid.

        Raises ``ModelMissing``.
        """
        for name in input_names(item):
            if name in missing:
                file = storage.containing_file(name)
                return InvalidRow(item.where, f"{file}: no such file; check the path")
        try:
            check_file_name(item.output, "output")
        except ValueError as error:
            return InvalidRow(item.where, str(error))
        if item.output.startswith("/") or ".." in PurePosixPath(item.output).parts:
            return InvalidRow(item.where, f"output {item.output} must stay below the output folder")
        if item.request is None:
            return item
        try:
            request = request_json.check_request(item.request)
            images.format_of(item.output)
            names = self._resolve_auto(request)
        except ModelMissing as error:
            raise ModelMissing(f"{item.where}: {error}") from error
        except Segment2InpaintError as error:
            return InvalidRow(item.where, str(error))
        return replace(item, request={**item.request, **names})

    def _add_item(self, item: EditItem, number: int) -> None:
        job = self._database.execute(
            "select photo, location from jobs where output = ?", (item.output,)
        ).fetchone()
        request = json.dumps(item.request) if item.request else None
        if job and job[0] != item.photo:
            self._add_problem(
                InvalidRow(item.where, f"would write {item.output}, as {job[1]} does")
            )
            return
        if job and self._has_item(item, request):
            message = f"repeats an earlier row for {item.photo}; delete one of them"
            self._add_problem(InvalidRow(item.where, message))
            return
        if not job:
            self._database.execute(
                "insert into jobs values (?, ?, ?, ?)",
                (item.output, item.photo, item.where, number),
            )
        self._database.execute(
            "insert into items values (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                item.output,
                number,
                item.where,
                item.id,
                item.label,
                request,
                json.dumps(item.photo_size),
                item.is_crowd,
            ),
        )
        files = (storage.containing_file(name) for name in input_names(item))
        paths = [(storage.resolve_links(file),) for file in files]
        self._database.executemany("insert or ignore into inputs values (?)", paths)

    def _has_item(self, item: EditItem, request: str | None) -> bool:
        row = self._database.execute(
            "select 1 from items where output = ? and request is ? and id = ?",
            (item.output, request, item.id),
        ).fetchone()
        return row is not None

    def _claim_targets(self) -> None:
        """Drop each photo that would write a file of another photo or an input."""
        self._database.execute("begin")
        jobs = self._database.execute("select output, location from jobs order by first").fetchall()
        for output, location in jobs:
            masks = [mask_name(output, self.settings)] if self.settings.masks else []
            targets = {name: self._target(name) for name in [output, *masks]}
            conflicts = (self._conflict(name, path) for name, path in targets.items())
            if message := next(filter(None, conflicts), ""):
                self._add_problem(InvalidRow(location, message))
                for table in ("jobs", "items"):
                    self._database.execute(f"delete from {table} where output = ?", (output,))
            else:
                claims = [(path, location) for path in targets.values()]
                self._database.executemany("insert or ignore into targets values (?, ?)", claims)
        self._database.execute("commit")

    def _target(self, name: str) -> str:
        return storage.resolve_links(storage.join(self.settings.out, name))

    def _conflict(self, name: str, path: str) -> str:
        """Return why a file must not be written; empty if it may be."""
        if name in RESERVED_OUTPUTS:
            return f"would write {name}, a name that the run itself uses; choose another output"
        owner = self._database.execute(
            "select location from targets where path = ?", (path,)
        ).fetchone()
        if owner:
            return f"would write {name}, as {owner[0]} does"
        if self._database.execute("select 1 from inputs where path = ?", (path,)).fetchone():
            return f"would write {name} over an input; choose another OUTDIR"
        return ""

    def _add_problem(self, problem: InvalidRow) -> None:
        self._database.execute(
            "insert into problems values (?, ?, ?)",
            (problem.where, problem.message, isinstance(problem, UnmatchedRow)),
        )

    def _has_objects(self) -> bool:
        query = "select 1 from items where request is not null limit 1"
        return self._database.execute(query).fetchone() is not None

    # --- records of processed photos -------------------------------------------------------

    def add_records(self, records: Iterable[Json]) -> None:
        """Add records of the results log; a later record replaces an earlier one of its photo."""
        self._database.execute("begin")
        for record in records:
            self.add_record(record)
        self._database.execute("commit")

    def add_record(self, record: Json) -> None:
        """Mark a photo as processed."""
        self._database.execute(
            "insert or replace into done values (?, ?, ?)",
            (record["output"], record["status"], json.dumps(record)),
        )

    def drop_stale_records(
        self, *, retry_failed: bool = False, retry_doubtful: bool = False
    ) -> None:
        """Drop the records that do not describe the photos, requests and outputs of this run.

        These are records of other photos, of changed files or requests, and of deleted outputs;
        with ``retry_failed`` also those of failed photos. With ``retry_doubtful`` those of photos
        that an action may mend become the ``earlier`` records of their jobs.
        """
        processed = self._jobs("where jobs.output in (select output from done)")
        stale = [job.output for job in processed if not self._is_up_to_date(job, retry_failed)]
        self._database.execute("begin")
        self._database.execute("delete from done where output not in (select output from jobs)")
        self._database.executemany("delete from done where output = ?", [(name,) for name in stale])
        if retry_doubtful:
            mendable = [
                (record["output"], json.dumps(record))
                for record in self.records()
                if retries.is_mendable(record)
            ]
            self._database.executemany("insert into retries values (?, ?)", mendable)
            self._database.execute("delete from done where output in (select output from retries)")
        self._database.execute("commit")

    def _is_up_to_date(self, job: PhotoJob, retry_failed: bool) -> bool:
        row = self._database.execute(
            "select record from done where output = ?", (job.output,)
        ).fetchone()
        if not row:
            return False
        record = json.loads(row[0])
        if record["key"] != job.key or (retry_failed and record["status"] in FAILED_STATUSES):
            return False
        names, versions = job_inputs(job), record["inputs"]
        return (
            len(names) == len(versions)
            and all(is_unchanged(n, version) for n, version in zip(names, versions, strict=True))
            and all(
                storage.size(storage.join(self.settings.out, name)) == size
                for name, size in record["written"].items()
            )
        )

    # --- queries ---------------------------------------------------------------------------

    def pending_jobs(self) -> Iterator[PhotoJob]:
        """Yield the photos without a record, in the order of the source."""
        return self._jobs("where jobs.output not in (select output from done)")

    def records(self) -> Iterator[Json]:
        """Yield the records of the processed photos, sorted by output name.

        A result that is to be mended has its earlier record until it is.
        """
        waiting = "select output, record from retries where output not in (select output from done)"
        query = f"select output, record from done union all {waiting} order by output"
        for _, record in self._database.execute(query):
            yield json.loads(record)

    def models(self) -> list[tuple[str, str]]:
        """Return the detectors and inpainters of all requests, as distinct pairs of names."""
        names = "json_extract(request, '$.detector'), json_extract(request, '$.inpainter')"
        query = f"select distinct {names} from items where request is not null"
        return self._database.execute(query).fetchall()

    def counts(self) -> PlanCounts:
        """Return the numbers of photos and objects."""
        failed = ", ".join(f"'{status}'" for status in FAILED_STATUSES)
        return PlanCounts(
            photos=self._count("jobs"),
            objects=self._count("items where request is not null"),
            copies=self._count("items where request is null"),
            processed=self._count("done"),
            failed=self._count(f"done where status in ({failed})"),
            done=self._count("done where status = 'done'"),
            copied=self._count("done where status = 'copied'"),
            invalid=self._count("problems where not unmatched"),
            unmatched=self._count("problems where unmatched"),
        )

    def _count(self, rows: str) -> int:
        return int(self._database.execute(f"select count(*) from {rows}").fetchone()[0])

    def _jobs(self, where: str = "") -> Iterator[PhotoJob]:
        cursor = self._database.cursor().execute(
            "select jobs.output, photo, items.location, id, label, request, photo_size, is_crowd,"
            " first from jobs join items on items.output = jobs.output"
            f" {where} order by jobs.first, items.number"
        )
        thumbnail_step = max(1, self.counts().photos // REPORT_PHOTOS)
        for output, group in groupby(cursor, key=lambda row: row[0]):
            rows = list(group)
            photo, first = rows[0][1], rows[0][8]
            items = tuple(stored_item(photo, output, row[2:8]) for row in rows)
            key = request_json.job_key(items, self.settings)
            earlier = self._earlier_record(output)
            yield PhotoJob(photo, output, items, key, first % thumbnail_step == 0, earlier)

    def retry_count(self) -> int:
        """Return the number of photos with a doubtful result that is to be mended."""
        return self._count("retries")

    def _earlier_record(self, output: str) -> Json | None:
        """Return the record of the doubtful result that is to be mended, if there is one."""
        row = self._database.execute(
            "select record from retries where output = ?", (output,)
        ).fetchone()
        return json.loads(row[0]) if row else None
