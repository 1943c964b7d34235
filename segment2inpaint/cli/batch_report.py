"""Print the messages, the plan, the progress and the summary of ``batch``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING

import click

from segment2inpaint.cli import console

if TYPE_CHECKING:
    from segment2inpaint.dataset.estimate import Estimate
    from segment2inpaint.dataset.formats.registry import Source
    from segment2inpaint.dataset.options import Shard
    from segment2inpaint.dataset.plan import RunPlan
    from segment2inpaint.dataset.plan_database import PlanCounts
    from segment2inpaint.dataset.run_types import PhotoJob

MAX_LISTED = 20  # problems, failures or planned photos that are printed one by one
PROGRESS_INTERVAL = 10.0  # s between two lines of progress if stderr is not a terminal

OnPhoto = Callable[[str, int], None]
"""Called after each photo with a line to print, empty for none, and the number of failures."""


def print_first_problems() -> Callable[[object], None]:
    """Return a function that prints a problem on standard error, the first few only."""
    count = 0

    def on_problem(problem: object) -> None:
        nonlocal count
        count += 1
        if count <= MAX_LISTED:
            click.echo(console.escape_line(str(problem)), err=True)

    return on_problem


def print_plan(plan: RunPlan, source: Source) -> None:
    """Print the photos that are left to edit, the first few only, and the totals.

    Masks and clean plates are paired with photos by name; it also prints how.
    """
    from segment2inpaint.dataset.formats.folder import FolderSource

    counts = plan.counts()
    for number, job in enumerate(plan.pending_jobs()):
        if number == MAX_LISTED:
            click.echo(f"... and {counts.photos - counts.processed - MAX_LISTED} more")
            break
        click.echo(console.escape_line(_job_line(job, plan.settings.only_masks is not None)))
    if isinstance(source, FolderSource) and source.pairing:
        click.echo(console.escape_line(source.pairing))
    kept = "without an object" if plan.settings.only_masks else "to copy unchanged"
    click.echo(
        f"{source.kind}: {counts.photos} photos with {counts.objects} objects, {counts.copies} "
        f"{kept}; {counts.processed} finished, {counts.failed} of them failed"
        f"{_left_out(counts)}"
    )


def _job_line(job: PhotoJob, only_masks: bool) -> str:
    objects = [item for item in job.items if item.request is not None]
    labels = ", ".join(item.label for item in objects if item.label)
    count = f"{len(objects)} object{'s' * (len(objects) != 1)}" if objects else "copied unchanged"
    if only_masks:
        count = f"{len(objects)} to find" if objects else "without an object"
    return f"{job.photo} -> {job.output}: {count}{f' ({labels})' if labels else ''}"


def print_estimate(estimate: Estimate | None, workers: int) -> None:
    """Print how long the run will take; None if no photo could be edited as a trial."""
    title = f"estimate with {_count(workers, 'worker')}"
    if estimate is None:
        click.echo(f"{title}: none of the trial photos could be edited")
        return
    low, high = (estimate.seconds + sign * 2 * estimate.error for sign in (-1, 1))
    span = f" ({_format_time(max(0.0, low))} to {_format_time(high)})" if estimate.error else ""
    parts = ", ".join(
        f"{_format_time(seconds)} {name}"
        for seconds, name in (
            (estimate.planning, "to read the source"), (estimate.start, "to start"),
            (estimate.photos, "for the photos"), (estimate.summary, "for manifest and report"),
        )
    )  # fmt: skip
    trial = f"{_count(estimate.timed, 'photo')} timed, {estimate.retried} of them retried"
    click.echo(f"{title}: {_format_time(estimate.seconds)}{span}; {parts}; {trial}")


@contextmanager
def progress(total: int, processed: int) -> Iterator[OnPhoto]:
    """Report progress on standard error: a bar on a terminal, elsewhere a line now and then."""
    if not sys.stderr.isatty():
        yield _progress_lines(total, processed)
        return
    from tqdm import tqdm

    with tqdm(total=total, initial=processed, unit=" photos", file=sys.stderr) as bar:

        def on_photo(line: str, failed: int) -> None:
            if line:
                bar.write(line, file=sys.stderr)
            bar.set_postfix_str(f"{failed} failed", refresh=False)
            bar.update()

        yield on_photo


def _progress_lines(total: int, processed_before: int) -> OnPhoto:
    start = last = monotonic()
    processed = processed_before

    def on_photo(line: str, failed: int) -> None:
        nonlocal last, processed
        processed += 1
        if line:
            click.echo(line, err=True)
        now = monotonic()
        if now - last >= PROGRESS_INTERVAL:
            last = now
            rate = (processed - processed_before) / (now - start)
            left = _format_time((total - processed) / rate)
            click.echo(
                f"{processed}/{total} photos, {failed} failed, {rate:.1f}/s, {left} left", err=True
            )

    return on_photo


def summary(
    outdir: str, counts: PlanCounts, kept: str = "copied unchanged", shard: Shard | None = None
) -> str:
    """Return the result of a run in one line; ``kept`` says what was done without an edit."""
    written, left = counts.done + counts.copied, counts.photos - counts.processed
    skipped = counts.processed - counts.failed - written
    copied = f" ({counts.copied} of them {kept})" if counts.copied else ""
    without_object = f", {skipped} skipped without an object" if skipped else ""
    not_tried = f", {left} not tried" if left else ""
    return (
        f"{outdir}: {written} of {counts.photos} photos done{copied}{without_object}, "
        f"{counts.failed} failed{not_tried}{_left_out(counts)}; {_next_step(outdir, shard)}"
    )


def retries(count: int) -> str:
    """Return how many photos are tried again in the way that may mend their results."""
    if not count:
        return "no doubtful result that another try may mend"
    return f"{_count(count, 'photo')} with a doubtful result to try again"


def _next_step(outdir: str, shard: Shard | None) -> str:
    if shard:
        return f"part {shard.number} of {shard.count}; after all parts, run this with --join"
    return f"see {outdir.rstrip('/')}/report.html"


def _left_out(counts: PlanCounts) -> str:
    """Return how many records of the source were left out; empty if none was."""
    invalid, unmatched = _count(counts.invalid, "row"), _count(counts.unmatched, "record")
    parts = (
        f", {invalid} skipped as invalid" if counts.invalid else "",
        f", {unmatched} without a match" if counts.unmatched else "",
    )
    return "".join(parts)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


def exit_status(counts: PlanCounts, if_nothing: str, *, dry_run: bool) -> int:
    """Return the exit status of a run: 0 only if something was done and nothing was left out."""
    if not dry_run and _has_no_result(counts, if_nothing):
        return console.FAILED
    is_left = counts.processed < counts.photos and not dry_run
    if counts.failed or is_left or counts.invalid or counts.unmatched:
        return console.SOME_FAILED
    return 0


def _has_no_result(counts: PlanCounts, if_nothing: str) -> bool:
    """Return whether no object was found in any photo, unless such photos were to be copied."""
    finished = counts.processed == counts.photos and not counts.failed
    return finished and counts.photos > 0 and not counts.done and if_nothing != "copy"


def _format_time(seconds: float) -> str:
    if seconds < 600:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
