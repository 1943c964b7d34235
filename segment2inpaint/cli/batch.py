"""``batch``: many photos, from a folder, a table or annotations."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

import click

from segment2inpaint.cli import console
from segment2inpaint.cli.build_request import Options, saved, tuning, wanted
from segment2inpaint.cli.options import (
    FiniteFloat,
    device_option,
    file,
    fill_options,
    find_options,
    options,
    refine_options,
    replacement_options,
    request_option,
    tuning_options,
    verify_options,
)

if TYPE_CHECKING:
    from segment2inpaint.dataset.formats.annotations import AreaThreshold
    from segment2inpaint.dataset.formats.registry import Source
    from segment2inpaint.dataset.options import ExecutionOptions
    from segment2inpaint.dataset.plan import RunPlan
    from segment2inpaint.dataset.run_types import PhotoJob, PhotoOutcome, RunSettings

FORMATS = ("auto", "folder", "rows", "coco", "yolo", "voc", "labelme", "hf", "webdataset")
LINES = 20  # problems, failures or planned photos told one by one
PATIENCE = 10.0  # s between two lines of progress where there is no terminal


def area(text: str) -> AreaThreshold:
    from segment2inpaint.dataset.formats.annotations import AreaThreshold
    from segment2inpaint.errors import BadOption

    try:
        return AreaThreshold.parse(text)
    except BadOption as error:
        raise click.BadParameter(str(error)) from error


source_options = options(
    click.option("--format", type=click.Choice(FORMATS), default="auto", show_default=True,
                 help="What SOURCE is.  auto: by its name and what is in it."),
    click.option("--glob", "globs", multiple=True, metavar="PATTERN",
                 help="Of a folder only photos such as *.jpg or 2024/*; repeat it for several."),
    click.option("--root", type=file, help="Where the names of photos in SOURCE start."),
    request_option,
    click.option("--category", "categories", multiple=True, metavar="NAME",
                 help="Of annotated objects those of this name; repeat it for several."),
    click.option("--id", "ids", multiple=True, metavar="ID", help="The annotation with this id."),
    click.option("--min-area", type=area, metavar="PX|%",
                 help="At least so many square pixels, or per cent of the photo."),
    click.option("--max-area", type=area, metavar="PX|%", help="At most."),
    click.option("--use", type=click.Choice(["auto", "box", "mask"]), default="auto",
                 show_default=True, help="Point with an annotation's box, or take its mask."),
)  # fmt: skip

output_options = options(
    click.option("--masks", default="masks", show_default=True, metavar="NAME",
                 help="Folder, in OUTDIR, of masks of what was repainted."),
    click.option("--no-masks", is_flag=True, help="Write no masks."),
    click.option("--quality", type=click.IntRange(1, 100),
                 help="Of JPEGs, WebPs and AVIFs.  [default: as each photo's]"),
    click.option("--if-nothing", type=click.Choice(["fail", "copy", "skip"]), default="fail",
                 show_default=True, help="What becomes of a photo without the object."),
    click.option("--json", "as_json", is_flag=True, help="Print a line of JSON for each photo."),
)  # fmt: skip

run_options = options(
    click.option("--dry-run", is_flag=True, help="Check everything and print the plan."),
    click.option("--estimate", is_flag=True,
                 help="With --dry-run: how long it will take, from a few photos done on trial."),
    click.option("--retry-failed", is_flag=True, help="Do again what has failed before."),
    click.option("--skip-invalid", is_flag=True,
                 help="Rows with faults are told and left out, not a reason to refuse all."),
    click.option("--max-failures", type=click.IntRange(0), metavar="N",
                 help="Stop when more than N photos have failed."),
    click.option("--workers", type=click.IntRange(0), metavar="N",
                 help="Processes; 0 for none but this.  [default: one a core, one for a GPU]"),
    click.option("--timeout", type=FiniteFloat(0), default=0.0, metavar="SECONDS",
                 help="A photo that takes longer has failed.  [default: none]"),
    click.option("--engine", type=click.Choice(["local", "ray"]), default="local",
                 show_default=True, help="This machine, or a Ray cluster."),
    click.option("--address", metavar="HOST:PORT|auto", help="Of the Ray cluster."),
    click.option("--gpus", type=FiniteFloat(0), default=0.0, show_default=True,
                 help="Share of a GPU that each of Ray's workers gets, such as 0.5."),
    click.option("--block", type=click.IntRange(1, 64), default=16, show_default=True,
                 help="Photos in one of Ray's tasks."),
)  # fmt: skip


@click.command()
@click.argument("source")
@click.argument("outdir")
@source_options
@find_options
@refine_options
@replacement_options
@fill_options
@tuning_options
@verify_options
@device_option
@output_options
@run_options
def batch(**given: Any) -> None:
    """Edit many photos; start it again and it goes on where it was.

    SOURCE is a folder of photos with one prompt for all (--mask and --plate may be folders with
    one for each), a .jsonl or .csv with a row for each object, COCO .json, YOLO .yaml, or a
    folder of YOLO, Pascal VOC, LabelMe, Parquet files or tars. OUTDIR gets the photos under
    their names, masks, annotations without what is gone, manifest.parquet and report.html.
    Exit status 3: some photos have failed.

    \b
    Example:
      segment2inpaint batch scans clean -b 620,20,780,60 --inpainter telea
      segment2inpaint batch objects.jsonl out --dry-run --estimate
      segment2inpaint batch coco/annotations.json out --category dog --min-area 400
    """
    from segment2inpaint import dataset
    from segment2inpaint.dataset import runner
    from segment2inpaint.dataset.formats import registry

    if given["everything"] and not given["pick"]:
        raise click.UsageError("say which: --pick N, as `mask --everything --overlay` numbers them")
    if given["estimate"] and not given["dry_run"]:
        raise click.UsageError("--estimate goes with --dry-run")
    settings = _settings(given)
    pick = dataset.AnnotationFilter(
        given["categories"], given["ids"], given["min_area"], given["max_area"], given["use"]
    )
    source = registry.open_source(
        given["source"], _base(given), format=given["format"], pick=pick,
        root=str(given["root"]) if given["root"] else None, globs=given["globs"], out=settings.out,
    )  # fmt: skip
    planned = runner.open_plan(
        source, settings, retry_failed=given["retry_failed"], skip_invalid=given["skip_invalid"],
        dry=given["dry_run"], tell=_once(), problem=_problems(),
    )  # fmt: skip
    effort = _effort(given)
    with planned as plan:
        if given["dry_run"]:
            _show(plan, source, effort, estimate=given["estimate"])
            return
        _execute(plan, source, effort, as_json=given["as_json"])
        counts = plan.counts()
        wrong = counts.failed + counts.photos - counts.done + len(list(plan.problems()))
    click.echo(_summary(given["outdir"], plan_counts=counts), err=True)
    if wrong:
        click.get_current_context().exit(console.SOME_FAILED)


# --- from options ---------------------------------------------------------------------------


def _settings(given: Options) -> RunSettings:
    from segment2inpaint.dataset import RunSettings, storage

    out = given["outdir"]
    names = ("quality", "if_nothing", "strict", "resize_mask", "max_pixels", "device", "dtype")
    return RunSettings(
        out=out if storage.is_remote(out) else str(Path(out).absolute()),
        masks="" if given["no_masks"] else given["masks"].rstrip("/"),
        cache=given["cache"],
        tuning=tuning(given),
        **{name: given[name] for name in names},
    )


def _effort(given: Options) -> ExecutionOptions:
    from segment2inpaint.dataset import ExecutionOptions

    names = ("workers", "timeout", "max_failures", "engine", "address", "gpus", "block")
    return ExecutionOptions(**{name: given[name] for name in names})


def _base(given: Options) -> dict[str, Any]:
    """The request for all photos, its files named from the root: workers may start elsewhere."""
    if not given["request"]:
        return _absolute(wanted(given))
    return _absolute(saved(given["request"]))


def _absolute(request: dict[str, Any]) -> dict[str, Any]:
    def whole(prompt: dict[str, Any]) -> dict[str, Any]:
        return {k: _named(v) if k in ("mask", "plate") else v for k, v in prompt.items()}

    fill = dict(request.get("fill", {}))
    if fill.get("picture"):
        fill["picture"] = _named(fill["picture"])
    return {**request, "fill": fill, "prompts": [whole(p) for p in request.get("prompts", ())]}


def _named(name: Any) -> Any:
    from segment2inpaint.dataset import storage

    return (
        name if not isinstance(name, str) or storage.is_remote(name) else str(Path(name).absolute())
    )


# --- telling --------------------------------------------------------------------------------


def _once() -> Callable[[str], None]:
    """Tells a line on standard error, but none twice."""
    told: set[str] = set()

    def tell(line: str) -> None:
        if line not in told:
            told.add(line)
            click.echo(line, err=True)

    return tell


def _problems() -> Callable[[object], None]:
    """Tells the first problems on standard error."""
    told = 0

    def tell(problem: object) -> None:
        nonlocal told
        told += 1
        if told <= LINES:
            click.echo(console.escape_line(str(problem)), err=True)

    return tell


def _show(plan: RunPlan, source: Source, effort: ExecutionOptions, *, estimate: bool) -> None:
    """The plan on standard output: what would be written, of what, and how long it takes."""
    from segment2inpaint.dataset import runner

    counts = plan.counts()
    for number, job in enumerate(plan.todo()):
        if number == LINES:
            click.echo(f"... and {counts.photos - counts.done - LINES} more")
            break
        click.echo(console.escape_line(_line(job)))
    click.echo(
        f"{source.kind}: {counts.photos} photos with {counts.objects} objects, {counts.copies} to "
        f"copy as they are; {counts.done} finished, {counts.failed} of them failed"
    )
    if estimate:
        workers = max(1, runner.workers_for(effort, plan.settings.device))
        seconds = runner.estimate(plan, workers)
        told = "none of the photos tried could be done" if seconds is None else _time(seconds)
        click.echo(f"estimate, with {workers} workers: {told}")


def _line(job: PhotoJob) -> str:
    asked = [item for item in job.items if item.request is not None]
    labels = ", ".join(item.label for item in asked if item.label)
    what = f"{len(asked)} object{'s' * (len(asked) != 1)}" if asked else "as it is"
    return f"{job.photo} -> {job.output}: {what}{f' ({labels})' if labels else ''}"


def _execute(plan: RunPlan, source: Source, effort: ExecutionOptions, *, as_json: bool) -> None:
    from segment2inpaint.dataset import runner

    counts, failed = plan.counts(), 0
    with _progress(counts.photos, counts.done) as step:
        for outcome in runner.execute(plan, source, effort):
            failed += not outcome.ok
            told = console.escape_line(f"failed: {outcome.photo}: {outcome.error}")
            step("" if outcome.ok or failed > LINES else told, failed)
            if as_json:
                click.echo(json.dumps(_plain(outcome)))


def _plain(outcome: PhotoOutcome) -> dict[str, Any]:
    names = ("photo", "output", "status", "error", "verdict", "seconds")
    return {name: getattr(outcome, name) for name in names}


@contextmanager
def _progress(total: int, done: int) -> Iterator[Callable[[str, int], None]]:
    """A bar on a terminal; elsewhere a line now and then. Called once for each photo."""
    if sys.stderr.isatty():
        from tqdm import tqdm

        with tqdm(total=total, initial=done, unit=" photos", file=sys.stderr) as bar:

            def step(line: str, failed: int) -> None:
                if line:
                    bar.write(line, file=sys.stderr)
                bar.set_postfix_str(f"{failed} failed", refresh=False)
                bar.update()

            yield step
        return
    yield _lines(total, done)


def _lines(total: int, before: int) -> Callable[[str, int], None]:
    start = last = monotonic()
    done = before

    def step(line: str, failed: int) -> None:
        nonlocal last, done
        done += 1
        if line:
            click.echo(line, err=True)
        now = monotonic()
        if now - last >= PATIENCE:
            last = now
            rate = (done - before) / (now - start)
            left = _time((total - done) / rate)
            click.echo(
                f"{done}/{total} photos, {failed} failed, {rate:.1f}/s, {left} left", err=True
            )

    return step


def _summary(outdir: str, plan_counts: Any) -> str:
    left, copies = plan_counts.photos - plan_counts.done, plan_counts.copies
    as_is = f" ({copies} of them as they were)" if copies else ""
    return (
        f"{outdir}: {plan_counts.done - plan_counts.failed} of {plan_counts.photos} photos done"
        f"{as_is}, "
        f"{plan_counts.failed} failed{f', {left} not tried' if left else ''}; "
        f"see {outdir.rstrip('/')}/report.html"
    )


def _time(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
