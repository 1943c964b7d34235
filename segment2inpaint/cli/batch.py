"""``batch``: edit many photos, from a folder, a table or annotations."""

from __future__ import annotations

import json
import shlex
import sys
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

import click
import cloup

from segment2inpaint.cli import batch_report, console
from segment2inpaint.cli.batch_options import (
    BatchOptions,
    DatasetRunOptions,
    edit_run_section,
    folder_output_section,
    source_section,
)
from segment2inpaint.cli.build_request import edit_request_json, runtime_options
from segment2inpaint.cli.edit import NO_PICK
from segment2inpaint.cli.machine_options import diffusion_section, models_section
from segment2inpaint.cli.options import (
    check_section,
    examples,
    mask_and_shadow_section,
    pass_options,
    point_or_request_section,
    replacement_section,
)
from segment2inpaint.cli.param_types import NAME_OF_FILE

if TYPE_CHECKING:
    from segment2inpaint.dataset.formats.registry import Source
    from segment2inpaint.dataset.options import ExecutionOptions
    from segment2inpaint.dataset.plan import RunPlan
    from segment2inpaint.dataset.run_types import PhotoOutcome, RunSettings


@cloup.command(
    epilog=examples(
        "batch scans clean -b 620,20,780,60 --inpainter telea",
        "batch objects.jsonl out --dry-run --estimate",
        "batch coco/annotations.json out --category dog --min-area 400",
    )
)
@click.argument("source", type=NAME_OF_FILE)
@click.argument("outdir", type=NAME_OF_FILE)
@source_section
@point_or_request_section
@mask_and_shadow_section
@replacement_section
@check_section
@folder_output_section
@edit_run_section
@models_section
@diffusion_section
@pass_options(BatchOptions)
def batch(options: BatchOptions) -> None:
    """Edit many photos. Run the command again to resume an interrupted run.

    SOURCE is a folder of photos that share one prompt (--mask and --plate may be folders with one
    file for each photo), a .jsonl or .csv table with a row for each object, or annotations: COCO,
    YOLO, Pascal VOC, LabelMe, CVAT, Label Studio, VIA, Parquet, WebDataset. OUTDIR receives the
    photos under their names, the masks, annotations without the removed objects,
    manifest.jsonl and report.html. Exit status 1: nothing was done. Exit status 3: some photos
    failed, some rows were invalid, or some annotations matched no photo.
    """
    if options.everything and not options.pick:
        raise click.UsageError(NO_PICK)
    request, settings = edit_request_json(options), _run_settings(options)
    run_source(options, request, settings, retry_doubtful=options.retry_doubtful)


def run_source(
    options: DatasetRunOptions,
    request: dict[str, Any],
    settings: RunSettings,
    *,
    retry_doubtful: bool = False,
) -> None:
    """Run over a source with the request as JSON that its records complete; exit with a status."""
    from segment2inpaint.dataset import runner

    if options.estimate and not options.dry_run:
        raise click.UsageError("--estimate needs --dry-run")
    if options.join and (options.shard or options.dry_run):
        raise click.UsageError("--join is a run of its own; leave out --shard and --dry-run")
    settings = replace(settings, command=shlex.join(["segment2inpaint", *sys.argv[1:]]))
    source = _open_source(options, request, settings)
    start = monotonic()
    with runner.open_plan(
        source,
        settings,
        retry_failed=options.retry_failed,
        retry_doubtful=retry_doubtful,
        skip_invalid=options.skip_invalid,
        dry_run=options.dry_run,
        shard=options.shard,
        on_message=console.print_message_once(),
        on_problem=batch_report.print_first_problems(),
    ) as plan:
        if retry_doubtful:
            click.echo(batch_report.retries(plan.retry_count()), err=True)
        if options.dry_run:
            _print_plan(plan, source, options, monotonic() - start)
            counts = plan.counts()
        else:
            _edit_photos(plan, source, options)
            counts = plan.counts()
            kept = "without an object" if settings.only_masks else "copied unchanged"
            click.echo(batch_report.summary(options.outdir, counts, kept, options.shard), err=True)
    status = batch_report.exit_status(counts, options.if_nothing, dry_run=options.dry_run)
    click.get_current_context().exit(status)


def _print_plan(plan: RunPlan, source: Source, options: DatasetRunOptions, planning: float) -> None:
    from segment2inpaint.dataset import runner
    from segment2inpaint.dataset.estimate import estimate_run

    batch_report.print_plan(plan, source)
    counts = plan.counts()
    if options.estimate and counts.processed < counts.photos:
        workers = max(1, runner.worker_count(plan, _execution_options(options)))
        batch_report.print_estimate(estimate_run(plan, source, workers, planning), workers)


def _edit_photos(plan: RunPlan, source: Source, options: DatasetRunOptions) -> None:
    from segment2inpaint.dataset import runner

    counts, failed = plan.counts(), 0
    with batch_report.progress(counts.photos, counts.processed) as on_photo:
        for outcome in runner.execute(plan, source, _execution_options(options)):
            failed += not outcome.ok
            line = console.escape_line(f"failed: {outcome.photo}: {outcome.error}")
            is_listed = not outcome.ok and failed <= batch_report.MAX_LISTED
            on_photo(line if is_listed else "", failed)
            if options.as_json:
                click.echo(json.dumps(_outcome_to_json(outcome)))


def _outcome_to_json(outcome: PhotoOutcome) -> dict[str, Any]:
    return {
        "photo": outcome.photo,
        "output": outcome.output,
        "status": outcome.status,
        "error": outcome.error,
        "verdict": outcome.verdict,
        "seconds": outcome.seconds,
    }


# --- from options -----------------------------------------------------------------------------


def _open_source(
    options: DatasetRunOptions, request: dict[str, Any], settings: RunSettings
) -> Source:
    from segment2inpaint.dataset import AnnotationFilter
    from segment2inpaint.dataset.formats import registry

    return registry.open_source(
        options.source,
        _with_absolute_paths(request),
        format=options.format,
        annotation_filter=AnnotationFilter(
            options.categories, options.ids, options.min_area, options.max_area, options.use
        ),
        root=str(options.root) if options.root else None,
        globs=options.globs,
        out=settings.out,
    )


def _run_settings(options: BatchOptions) -> RunSettings:
    from segment2inpaint.dataset import RunSettings

    return RunSettings(
        out=absolute_path(options.outdir),
        masks="" if options.no_masks else options.masks.rstrip("/"),
        quality=options.quality,
        pairs=options.pairs or "",
        if_nothing=options.if_nothing,
        strict=options.strict,
        resize_mask=options.resize_mask,
        max_pixels=options.max_pixels,
        device=options.device,
        dtype=options.dtype,
        cache=options.cache,
        runtime=runtime_options(options),
    )


def _execution_options(options: DatasetRunOptions) -> ExecutionOptions:
    from segment2inpaint.dataset import ExecutionOptions

    return ExecutionOptions(
        workers=options.workers,
        timeout=options.timeout,
        max_failures=options.max_failures,
        engine=options.engine,
        address=options.address,
        gpus=options.gpus,
        block=options.block,
        shard=options.shard,
        join=options.join,
    )


def _with_absolute_paths(request: dict[str, Any]) -> dict[str, Any]:
    """Return the request with absolute paths: workers may run in another folder."""
    fill = dict(request.get("fill", {}))
    if fill.get("picture"):
        fill["picture"] = absolute_path(fill["picture"])
    prompts = [_with_absolute_files(prompt) for prompt in request.get("prompts", ())]
    refine = dict(request.get("refine", {}))
    if refine.get("protect"):
        refine["protect"] = [_with_absolute_files(area) for area in refine["protect"]]
    return {**request, "refine": refine, "fill": fill, "prompts": prompts}


def _with_absolute_files(prompt: dict[str, Any]) -> dict[str, Any]:
    return {k: absolute_path(v) if k in ("mask", "plate") else v for k, v in prompt.items()}


def absolute_path(name: Any) -> Any:
    """Return a path as an absolute one; URLs and masks that are not files stay as they are."""
    from segment2inpaint.dataset import storage

    if not isinstance(name, str) or storage.is_remote(name):
        return name
    return str(Path(name).absolute())
