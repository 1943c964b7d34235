"""``score``: judge removals by any tool, from the photos before and after them."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import TYPE_CHECKING, Any

import click
import cloup
from cloup import option_group

from segment2inpaint.cli import console
from segment2inpaint.cli.build_request import read_stdin
from segment2inpaint.cli.machine_options import MAX_PIXELS_OPTION
from segment2inpaint.cli.options import RESIZE_MASK_OPTION, examples, pass_options
from segment2inpaint.cli.output import print_json
from segment2inpaint.cli.param_types import NAME_OF_FILE

if TYPE_CHECKING:
    from segment2inpaint.dataset.score_run import ScoreOutcome
    from segment2inpaint.verify.scoring import Score

COUNTS = ("area", "changed_outside", "changed_outside_levels")
MEASURES = ("feature_similarity", "window_distance", "novelty", "psnr", "ssim", "undone")


@dataclass(frozen=True, kw_only=True)
class ScoreOptions:
    """The options of ``score``. ``mask``, ``clean`` and ``table`` are None if they are not given.

    ``table`` is the CSV file.
    """

    before: str
    after: str
    mask: str | None
    clean: str | None
    resize_mask: bool
    max_pixels: int | None
    as_json: bool
    table: str | None


@cloup.command(
    epilog=examples(
        "score street.jpg street_clean.jpg",
        "score street.jpg other_tool.png --mask mask.png --clean empty_street.jpg --json",
        "score photos results --mask masks --csv scores.csv",
    )
)
@click.argument("before", type=NAME_OF_FILE, metavar="BEFORE")
@click.argument("after", type=NAME_OF_FILE, metavar="AFTER")
@option_group(
    "Compare with",
    click.option(
        "--mask",
        type=NAME_OF_FILE,
        metavar="MASK",
        help="Mask of the area that the tool was to paint: whatever is not black. A file, "
        "or a folder with one for each photo.  [default: what changed]",
    ),
    click.option(
        "--clean",
        type=NAME_OF_FILE,
        metavar="CLEAN",
        help="Photo of the scene without the object. A file, or a folder with one for each photo.",
    ),
    RESIZE_MASK_OPTION,
    MAX_PIXELS_OPTION,
)
@option_group(
    "Output",
    click.option(
        "--json",
        "as_json",
        is_flag=True,
        help="Print the score as JSON; of folders, one line for each photo.",
    ),
    click.option(
        "--csv",
        "table",
        type=NAME_OF_FILE,
        metavar="FILE",
        help="Write a table with a row for each photo; - is standard output.",
    ),
)
@pass_options(ScoreOptions)
def score(options: ScoreOptions) -> None:
    """Score the removal of an object by any tool.

    BEFORE and AFTER are two photos of one size, or two folders of photos with the same names; one
    photo may be -. Each result gets the verdict and the checks that remove gives its own results,
    measures of how well the fill fits its surroundings, and the number of pixels that changed
    outside the mask; with --clean also PSNR, SSIM and the share of the object's change that was
    undone. Exit status 1: no photo could be scored. Exit status 3: some could not. Exit status 4:
    nothing changed.
    """
    from segment2inpaint.dataset import storage

    _check_options(options)
    if storage.is_folder(options.before):
        _score_folder(options)
    else:
        _score_photo(options)


def _check_options(options: ScoreOptions) -> None:
    """Raise ``click.UsageError`` for options that contradict each other.

    Raises ``BadImage`` if the table could not be written.
    """
    from segment2inpaint import images
    from segment2inpaint.dataset import storage

    if options.as_json and options.table == "-":
        raise click.UsageError("--json and --csv - would both write to standard output")
    files = (options.before, options.after, options.mask, options.clean)
    if files.count("-") > 1:
        raise click.UsageError("only one of the files can be standard input (-)")
    if storage.is_folder(options.after) and not storage.is_folder(options.before):
        raise click.UsageError("BEFORE and AFTER must be two photos or two folders")
    if options.table not in (None, "-") and not storage.is_remote(str(options.table)):
        images.check_target(str(options.table))


def _score_photo(options: ScoreOptions) -> None:
    from segment2inpaint.dataset.inputs import read_input
    from segment2inpaint.dataset.score_run import ScoreFiles, ScoreOutcome, score_files

    files = ScoreFiles(options.before, options.after, options.mask or "", options.clean or "")
    found = score_files(
        files,
        **_read_options(options),
        read_file=lambda name: read_stdin() if name == "-" else read_input(name),
    )
    outcome = ScoreOutcome(options.before, options.after, found)
    row = _to_json(outcome)
    if options.as_json:
        print_json(row)
    _print_line(options, outcome)
    _write_table(options, [row])


def _score_folder(options: ScoreOptions) -> None:
    """Score the pairs of two folders, and exit with the status of their failures."""
    from segment2inpaint.dataset import score_run

    pairs = score_run.folder_pairs(
        options.before, options.after, options.mask or "", options.clean or ""
    )
    rows = []
    for outcome in score_run.run(pairs, **_read_options(options)):
        rows.append(_to_json(outcome))
        if options.as_json:
            click.echo(json.dumps(rows[-1]))
        _print_line(options, outcome)
    _write_table(options, rows)
    click.echo(console.escape_line(f"{options.after}: {_summary(rows)}"), err=True)
    failed = sum("error" in row for row in rows)
    if failed:
        status = console.SOME_FAILED if failed < len(rows) else console.FAILED
        click.get_current_context().exit(status)


def _read_options(options: ScoreOptions) -> dict[str, Any]:
    from segment2inpaint import images

    return {
        "max_pixels": options.max_pixels or images.MAX_PIXELS,
        "resize_mask": options.resize_mask,
        "on_message": console.print_message_once(),
    }


# --- output -----------------------------------------------------------------------------------


def _print_line(options: ScoreOptions, outcome: ScoreOutcome) -> None:
    """Print a pair in one line: a score on standard output, unless that holds data."""
    score, to_stderr = outcome.score, options.as_json or options.table == "-"
    if score is None:
        line = f"failed: {outcome.before or outcome.after}: {outcome.error}"
    else:
        line = (
            f"{outcome.after}: {score.judgement.sentence}; {score.area} pixels "
            f"scored, {score.changed_outside} changed outside; {_means([_measures(score)])}"
        )
    click.echo(console.escape_line(line), err=to_stderr or score is None)


def _to_json(outcome: ScoreOutcome) -> dict[str, Any]:
    """Return a pair as JSON data; a pair without a score has an ``error``."""
    files, score = {"before": outcome.before, "after": outcome.after}, outcome.score
    if score is None:
        return {**files, "error": outcome.error}
    return {
        **files,
        **score.judgement.to_json(),
        **{name: getattr(score, name) for name in COUNTS},
        **_measures(score),
        "checks": [console.check_to_json(check) for check in score.checks],
    }


def _measures(score: Score) -> dict[str, float | None]:
    values = {name: getattr(score, name) for name in MEASURES}
    return {name: value if value is None else round(value, 4) for name, value in values.items()}


def _write_table(options: ScoreOptions, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write the scores as CSV, if the options ask for it."""
    from segment2inpaint.dataset import storage
    from segment2inpaint.dataset.names import printable

    if options.table == "-":
        click.echo(printable(_table(rows)), nl=False)
    elif options.table is not None:
        storage.write(options.table, printable(_table(rows)).encode())


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return a CSV table: files, verdict, measures, the score of each check, and the error."""
    flat = [
        {name: value for name, value in row.items() if name != "checks"}
        | {check["name"]: check["score"] for check in row.get("checks", ())}
        for row in rows
    ]
    names = {name: None for row in flat for name in row if name not in ("before", "after", "error")}
    lines = io.StringIO()
    writer = csv.DictWriter(
        lines, ["before", "after", *names, "error"], restval="", lineterminator="\n"
    )
    writer.writeheader()
    writer.writerows(flat)
    return lines.getvalue()


def _summary(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the verdicts and the mean measures of a folder in one line."""
    scored = [row for row in rows if "error" not in row]
    counts = Counter(row["verdict"] for row in scored)
    verdicts = ", ".join(f"{counts[name]} {name}" for name in ("clean", "doubtful", "failed"))
    failed = len(rows) - len(scored)
    errors = f"; {failed} could not be scored" if failed else ""
    means = f"; mean {_means(scored)}" if scored else ""
    return f"{len(scored)} scored: {verdicts}{means}{errors}"


def _means(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the means of those measures that are known, in words."""
    known = {name: [row[name] for row in rows if row[name] is not None] for name in MEASURES}
    means = {name.replace("_", " "): mean(values) for name, values in known.items() if values}
    return ", ".join(f"{name} {value:.2f}" for name, value in means.items())
