"""A run from its plan to its report: on one machine here, on many by ``cluster``."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter

from segment2inpaint import detect, inpaint
from segment2inpaint.dataset import manifest, process_photo, report, results_log, storage
from segment2inpaint.dataset.formats.registry import Source
from segment2inpaint.dataset.options import ExecutionOptions
from segment2inpaint.dataset.plan import RunPlan
from segment2inpaint.dataset.results_log import STATE, ResultsLog
from segment2inpaint.dataset.run_types import (
    FAILED_STATUSES,
    InvalidRow,
    Json,
    PhotoJob,
    PhotoOutcome,
    RunSettings,
    outcome_of,
)
from segment2inpaint.dataset.worker_pool import WorkerPool
from segment2inpaint.editor import Editor, ignore_message
from segment2inpaint.errors import BadDataset
from segment2inpaint.types import Request

SAMPLE = 3  # photos that an estimate is made from


@contextmanager
def open_plan(
    source: Source,
    settings: RunSettings,
    *,
    retry_failed: bool = False,
    skip_invalid: bool = False,
    dry: bool = False,
    tell: Callable[[str], None] = ignore_message,
    problem: Callable[[InvalidRow], None] = lambda _: None,
) -> Iterator[RunPlan]:
    """The plan of a run, checked, with what earlier runs have done; nobody else may run there.

    Each of the plan's problems is given to ``problem``; then, unless ``skip_invalid``,
    ``BadDataset`` is raised. ``dry``: nothing is written.
    """
    editor = Editor(settings.device, settings.dtype, settings.cache, tell)
    with (
        _place(settings.out, dry) as folder,
        _room_in(folder),
        RunPlan(Path(folder, "plan.sqlite"), settings, _AutoResolver(editor)) as plan,
    ):
        plan.fill(source)
        first, more = None, 0
        for one in plan.problems():
            problem(one)
            first, more = first or one, more + bool(first)
        if first and not skip_invalid:
            others = f" (and {more} more)" if more else ""
            raise BadDataset(f"{first}{others}; nothing was done")
        plan.remember(results_log.read(settings.out))
        plan.settle(retry=retry_failed)
        yield plan


@contextmanager
def _room_in(folder: str) -> Iterator[None]:
    """What the plan's database cannot do, in a line."""
    try:
        yield
    except sqlite3.Error as error:
        raise BadDataset(
            f"{folder}: the plan cannot be kept there ({error}); is the disk full?"
        ) from error


def execute(plan: RunPlan, source: Source, effort: ExecutionOptions) -> Iterator[PhotoOutcome]:
    """Do what is left of a plan, then write manifest, annotations and report.

    Yields what came of each photo, as it is done. Raises ``BadDataset`` if the disk is full.
    """
    out, failures = plan.settings.out, 0
    run = results_log.next_run(out)
    for record in _engine(plan, effort, run):
        plan.finish(record)
        outcome = outcome_of(record)
        yield outcome
        failures += not outcome.ok
        if effort.max_failures is not None and failures > effort.max_failures:
            break
    finish(plan, source)


def finish(plan: RunPlan, source: Source) -> None:
    """Write the manifest, the annotations without what is gone, and the report."""
    out = plan.settings.out
    manifest.write(out, plan.records())
    gone = {
        row["id"] for record in plan.records() for row in record["rows"] if row["status"] == "done"
    }
    for name, data in source.updated(gone):
        storage.write(storage.join(out, name), data)
    report.write(plan)


def estimate(plan: RunPlan, workers: int) -> float | None:
    """Seconds that the rest will take, from a few photos done on trial; None if none could be."""
    count = plan.counts()
    left = count.photos - count.done
    every = max(1, left // (SAMPLE + 1))
    sample = [job for i, job in enumerate(plan.todo()) if i % every == 0][: SAMPLE + 1]
    times = []
    with tempfile.TemporaryDirectory() as folder:
        trial = replace(plan.settings, out=folder)
        editor = process_photo.editor_for(trial)
        for job in sample:
            start = perf_counter()
            record = _alone(job, trial, editor)
            if record["status"] not in FAILED_STATUSES:
                times.append(perf_counter() - start)
    timed = times[1:] or times  # the first one has loaded the models
    return sum(timed) / len(timed) * left / max(1, workers) if timed else None


def workers_for(effort: ExecutionOptions, device: str) -> int:
    """How many processes: one for each core, but one for a GPU, whose memory is shared."""
    if effort.workers is not None:
        return effort.workers
    from segment2inpaint.models.device import choose

    return (os.cpu_count() or 1) if choose(device) == "cpu" else 1


def _engine(plan: RunPlan, effort: ExecutionOptions, run: int) -> Iterator[Json]:
    if effort.engine == "ray":
        from segment2inpaint.dataset import ray_backend

        yield from ray_backend.records(plan, effort, run)
        return
    book = ResultsLog(plan.settings.out, run)
    for record in _local(plan, effort):
        book.add([record])
        yield record


def _local(plan: RunPlan, effort: ExecutionOptions) -> Iterator[Json]:
    settings = plan.settings
    count = workers_for(effort, settings.device)
    if count == 0:
        yield from _inline(plan.todo(), settings)
        return
    settings = replace(settings, threads=max(1, (os.cpu_count() or 1) // count))
    todo = plan.counts().photos - plan.counts().done
    if todo:
        with WorkerPool(min(count, todo), settings, effort.timeout) as crew:
            yield from crew.run(plan.todo())


def _inline(jobs: Iterable[PhotoJob], settings: RunSettings) -> Iterator[Json]:
    """In this process, one after the other."""
    editor = process_photo.editor_for(settings)
    for job in jobs:
        yield _alone(job, settings, editor)


def _alone(job: PhotoJob, settings: RunSettings, editor: Editor) -> Json:
    try:
        (one,) = process_photo.edit_photos([process_photo.load_photo(job, settings)], editor)
        return process_photo.write_results(one, settings)
    except process_photo.AbortRun as stop:
        raise stop.error from stop


@dataclass
class _AutoResolver:
    """What a request's ``auto`` comes to, asked once for each kind of request."""

    editor: Editor

    def __post_init__(self) -> None:
        self.known: dict[tuple[object, ...], Json] = {}

    def __call__(self, request: Request) -> Json:
        generates = bool(request.fill.prompt) and not request.fill.picture
        kinds = tuple(type(prompt) for prompt in request.prompts)
        key = (request.detector, request.inpainter, generates, kinds)
        if key not in self.known:
            named = self.editor.resolve(request)
            detect.check_name(named.detector)
            inpaint.check_name(named.inpainter)
            # without a text, auto is two inpainters, the second for what the first fails at
            inpainter = named.inpainter if generates else request.inpainter
            self.known[key] = {"detector": named.detector, "inpainter": inpainter}
        return self.known[key]


@contextmanager
def _place(out: str, dry: bool) -> Iterator[str]:
    """A folder for the plan; unless ``dry``, with the output folder locked and swept."""
    if dry or storage.is_remote(out):
        with tempfile.TemporaryDirectory() as folder:
            yield folder
        return
    import filelock

    state = Path(out, STATE)
    try:
        state.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadDataset(
            f"{out}: cannot be made: {error.strerror}; choose another OUTDIR"
        ) from error
    lock = filelock.FileLock(state / "lock", timeout=0)
    try:
        with lock:
            storage.sweep(out)
            try:
                yield str(state)
            finally:
                storage.sweep(out)
    except filelock.Timeout:
        raise BadDataset(
            f"{out}: another run is at work there; wait for it, or choose another OUTDIR"
        ) from None
