"""Execute a run: plan, process the photos, write the manifest and the report.

The photos are processed on this machine here, or on a cluster by ``ray_backend``.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from segment2inpaint import detect, inpaint
from segment2inpaint.dataset import (
    manifest,
    pairs,
    process_photo,
    report,
    results_log,
    stages,
    storage,
)
from segment2inpaint.dataset.annotations_out import registry as annotation_writers
from segment2inpaint.dataset.formats.registry import ANNOTATED_FORMATS, Source
from segment2inpaint.dataset.locking import plan_file, state_folder
from segment2inpaint.dataset.options import ExecutionOptions, Shard
from segment2inpaint.dataset.photo_states import AbortRun
from segment2inpaint.dataset.plan import RunPlan
from segment2inpaint.dataset.reading import describe
from segment2inpaint.dataset.results_log import ResultsLog
from segment2inpaint.dataset.run_types import (
    InvalidRow,
    Json,
    PhotoJob,
    PhotoOutcome,
    RunSettings,
    UnmatchedRow,
    outcome_from_record,
)
from segment2inpaint.dataset.worker_pool import WorkerPool
from segment2inpaint.editor import Editor, ignore_message
from segment2inpaint.errors import BadDataset, Segment2InpaintError
from segment2inpaint.types import Request

# --- planning ---------------------------------------------------------------------------------


@contextmanager
def open_plan(
    source: Source,
    settings: RunSettings,
    *,
    retry_failed: bool = False,
    retry_doubtful: bool = False,
    skip_invalid: bool = False,
    dry_run: bool = False,
    shard: Shard | None = None,
    on_message: Callable[[str], None] = ignore_message,
    on_problem: Callable[[InvalidRow], None] = lambda _: None,
) -> Iterator[RunPlan]:
    """Lock the output folder, check the source, and return the plan of the run.

    ``dry_run`` neither locks nor writes anything; it compares the places of the objects with the
    sizes of the photos. ``shard`` keeps a part of the photos, and locks only this part.
    ``on_message`` receives hints about models.
    ``on_problem`` receives each invalid row and each record that matches nothing
    (``UnmatchedRow``). Raises ``BadDataset`` if there are invalid rows, unless ``skip_invalid``,
    if there is nothing to edit, or if another run uses the output folder; and ``ModelMissing``.
    """
    editor = Editor(settings.device, settings.dtype, settings.cache, on_message)
    resolver = _AutoResolver(editor, paint=settings.only_masks is None)
    with (
        state_folder(settings.out, shard, dry_run=dry_run) as folder,
        _database_errors_as_bad_dataset(folder),
        RunPlan(Path(folder, plan_file(shard)), settings, resolver) as plan,
    ):
        _check_output_folder(source, settings.out)
        plan.read_source(_with_header_checks(source, settings) if dry_run else source)
        _report_problems(plan, on_problem, skip_invalid)
        _check_something_to_do(plan, source)
        if shard:
            plan.keep_shard(shard)
        plan.add_records(results_log.read_records(settings.out))
        plan.drop_stale_records(retry_failed=retry_failed, retry_doubtful=retry_doubtful)
        yield plan


def _with_header_checks(source: Source, settings: RunSettings) -> Source:
    from segment2inpaint.dataset.header_checks import HeaderCheckedSource

    return HeaderCheckedSource(source, settings.resize_mask)


def _check_output_folder(source: Source, out: str) -> None:
    """Raise ``BadDataset`` if the annotations of the results would overwrite those of a source."""
    folder = source.path if storage.is_folder(source.path) else source.path.rpartition("/")[0]
    if source.kind in ANNOTATED_FORMATS and storage.resolve_links(folder) == storage.resolve_links(
        out
    ):
        raise BadDataset(f"{out}: holds the annotations to read; choose another OUTDIR")


def _report_problems(
    plan: RunPlan, on_problem: Callable[[InvalidRow], None], skip_invalid: bool
) -> None:
    first, others = None, 0
    for problem in plan.problems():
        on_problem(problem)
        if not isinstance(problem, UnmatchedRow):
            first, others = first or problem, others + bool(first)
    if first and not skip_invalid:
        more = f" (and {others} more)" if others else ""
        raise BadDataset(f"{first}{more}; nothing was done; --skip-invalid does the others")


def _check_something_to_do(plan: RunPlan, source: Source) -> None:
    """Raise ``BadDataset`` if no photo has an object, unless such photos are to be copied."""
    counts = plan.counts()
    if counts.objects or (counts.photos and plan.settings.if_nothing == "copy"):
        return
    photos = "there is no photo to edit"
    if counts.photos:
        photos = f"no object in any of {counts.photos} photos; --if-nothing copy copies them"
    problem, others = next(plan.problems(), None), counts.invalid + counts.unmatched - 1
    more = f" (and {others} more)" if others > 0 else ""
    reason = f": {problem}{more}" if problem else ""
    raise BadDataset(f"{source.path}: nothing was done, {photos}{reason}")


@dataclass
class _AutoResolver:
    """Returns the models that ``auto`` stands for in a request; cached by kind of request.

    Without ``paint`` the inpainter stays as it is.
    """

    editor: Editor
    paint: bool = True
    cache: dict[tuple[object, ...], Json] = field(default_factory=dict)

    def __call__(self, request: Request) -> Json:
        generates = request.fill.generates
        prompt_types = tuple(type(prompt) for prompt in request.prompts)
        laid = request.refine.invert, request.keeps_object
        key = (request.detector, request.inpainter, generates, prompt_types, laid)
        if key not in self.cache:
            resolved = self.editor.resolve(request, paint=self.paint)
            detect.check_name(resolved.detector)
            if self.paint and not request.keeps_object:
                inpaint.check_name(resolved.inpainter)
            # Without a prompt, auto is two inpainters: the second retries what the first fails.
            inpainter = resolved.inpainter if generates else request.inpainter
            self.cache[key] = {"detector": resolved.detector, "inpainter": inpainter}
        return self.cache[key]


@contextmanager
def _database_errors_as_bad_dataset(folder: str) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise BadDataset(
            f"{folder}: cannot write the plan of the run ({error}); is the disk full?"
        ) from error


# --- executing --------------------------------------------------------------------------------


def execute(plan: RunPlan, source: Source, execution: ExecutionOptions) -> Iterator[PhotoOutcome]:
    """Process the pending photos of a plan, then write manifest, annotations and report.

    A shard writes only its part of the manifest; ``execution.join`` processes nothing.

    Yields the outcome of each photo when it is finished. Raises ``BadDataset`` if the disk is
    full.
    """
    if execution.join:
        write_summary_files(plan, source)
        return
    failures = 0
    run = results_log.next_run_number(plan.settings.out)
    for record in _run_engine(plan, execution, run):
        plan.add_record(record)
        outcome = outcome_from_record(record)
        yield outcome
        failures += not outcome.ok
        if execution.max_failures is not None and failures > execution.max_failures:
            break
    if plan.shard:
        manifest.write(plan.settings.out, plan.records(), plan.shard.label)
    else:
        write_summary_files(plan, source)


def write_summary_files(plan: RunPlan, source: Source) -> None:
    """Write the manifest, the report, and the annotations without the removed objects.

    A run that only finds objects writes annotations of what it found.

    Raises ``BadDataset`` if the annotations cannot be written.
    """
    out = plan.settings.out
    manifest.write(out, plan.records())
    manifest.delete_parts(out)
    report.write(plan)
    if plan.settings.pairs:
        pairs.write(plan.records, plan.settings)
    if plan.settings.only_masks:
        annotation_writers.write(out, plan.records, plan.settings.only_masks)
        return
    removed_ids = {
        row["id"] for record in plan.records() for row in record["rows"] if row["status"] == "done"
    }
    for name, data in _remaining_annotations(source, removed_ids):
        storage.write(storage.join(out, name), data)


def _remaining_annotations(source: Source, removed_ids: set[str]) -> Iterator[tuple[str, bytes]]:
    """Yield the annotations; an exception of the reader becomes ``BadDataset``."""
    try:
        yield from source.remaining_annotations(removed_ids)
    except Segment2InpaintError:
        raise
    except Exception as error:
        raise BadDataset(
            f"{source.path}: the photos are done, but the annotations without the removed objects "
            f"cannot be written: {describe(error)}"
        ) from error


def worker_count(plan: RunPlan, execution: ExecutionOptions) -> int:
    """Return the number of worker processes: by default one per core, or one for a GPU.

    Without a model, a run uses no GPU, and torch is not imported to look for one.
    """
    if execution.workers is not None:
        return execution.workers
    from segment2inpaint.models.device import choose_device

    uses_cpu = _needs_no_model(plan) or choose_device(plan.settings.device) == "cpu"
    return (os.cpu_count() or 1) if uses_cpu else 1


def _needs_no_model(plan: RunPlan) -> bool:
    """Return whether no detector and no inpainter of the run needs a model."""
    models = plan.models()
    if not all(detect.is_shipped(detector) for detector, _ in models):
        return False
    inpainters = {inpainter for _, inpainter in models if not plan.settings.only_masks}
    if "auto" in inpainters:
        inpainters.remove("auto")
        inpainters.add(inpaint.choose(generate=False, device=plan.settings.device).name)
    return inpainters <= {*inpaint.SHIPPED}


def _run_engine(plan: RunPlan, execution: ExecutionOptions, run: int) -> Iterator[Json]:
    """Yield the record of each pending photo after it is in the results log."""
    if execution.engine == "ray":
        from segment2inpaint.dataset import ray_backend

        yield from ray_backend.run_records(plan, execution, run)
        return
    log = ResultsLog(plan.settings.out, run)
    for record in _run_local(plan, execution):
        log.add([record])
        yield record


def _run_local(plan: RunPlan, execution: ExecutionOptions) -> Iterator[Json]:
    settings = plan.settings
    workers = worker_count(plan, execution)
    if workers == 0:
        yield from _run_in_process(plan.pending_jobs(), settings)
        return
    counts = plan.counts()
    pending = counts.photos - counts.processed
    if pending:
        with open_pool(settings, workers, pending, execution.timeout) as pool:
            yield from pool.run(plan.pending_jobs(), pending)


def open_pool(
    settings: RunSettings, workers: int, pending: int, timeout: float = 0.0
) -> WorkerPool:
    """Return a pool for a number of photos, whose workers share the cores of this machine."""
    size = min(workers, pending)
    settings = replace(settings, threads=max(1, (os.cpu_count() or 1) // size))
    return WorkerPool(size, settings, timeout)


def _run_in_process(jobs: Iterable[PhotoJob], settings: RunSettings) -> Iterator[Json]:
    editor = process_photo.make_editor(settings)
    for job in jobs:
        yield _process_one(job, settings, editor)


def _process_one(job: PhotoJob, settings: RunSettings, editor: Editor) -> Json:
    try:
        loaded = process_photo.load_photo(job, settings)
        (finished,) = stages.process([loaded], editor, settings)
        return stages.write_results(finished, settings)
    except AbortRun as abort:
        raise abort.error from abort
