"""``score``: judge removals by any tool, from the photos before and after them."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
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
class Options:
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
@pass_options(Options)
def score(options: Options) -> None:
    """Score the removal of an object by any tool.

    BEFORE and AFTER are two photos of one size, or two folders of photos with the same names; one
    photo may be -. Each result gets the verdict and the checks that remove gives its own results,
    measures of how well the fill fits its surroundings, and the number of pixels that changed
    outside the mask; with --clean also PSNR, SSIM and the share of the object's change that was
    undone. Exit status 3: some photos could not be scored. Exit status 4: nothing changed.
    """
    from segment2inpaint.dataset import storage

    _check_options(options)
    if storage.is_folder(options.before):
        _score_folder(options)
    else:
        _score_photo(options)


def _check_options(options: Options) -> None:
    """Raise ``click.UsageError`` for options that contradict each other."""
    if options.as_json and options.table == "-":
        raise click.UsageError("--json and --csv - would both write to standard output")
    files = (options.before, options.after, options.mask, options.clean)
    if files.count("-") > 1:
        raise click.UsageError("only one of the photos can be standard input (-)")


def _score_photo(options: Options) -> None:
    from segment2inpaint.dataset.inputs import read_input
    from segment2inpaint.dataset.score_run import ScoreFiles, ScoreOutcome, score_files

    files = ScoreFiles(options.before, options.after, options.mask or "", options.clean or "")
    found = score_files(
        files,
        **_read_options(options),
        read_file=lambda name: read_stdin() if name == "-" else read_input(name),
        on_message=partial(click.echo, err=True),
    )
    outcome = ScoreOutcome(options.before, options.after, found)
    _print(options, outcome, print_json)
    _write_table(options, [outcome])


def _score_folder(options: Options) -> None:
    """Score the pairs of two folders, and exit with the status of their failures."""
    from segment2inpaint.dataset import score_run

    pairs = score_run.folder_pairs(
        options.before, options.after, options.mask or "", options.clean or ""
    )
    outcomes = []
    for outcome in score_run.run(pairs, **_read_options(options)):
        _print(options, outcome, lambda data: click.echo(json.dumps(data)))
        outcomes.append(outcome)
    _write_table(options, outcomes)
    click.echo(console.escape_line(_summary(options.after, outcomes)), err=True)
    failed = sum(outcome.score is None for outcome in outcomes)
    if failed:
        status = console.SOME_FAILED if failed < len(outcomes) else console.FAILED
        click.get_current_context().exit(status)


def _read_options(options: Options) -> dict[str, Any]:
    from segment2inpaint import images

    limit = options.max_pixels or images.MAX_PIXELS
    return {"max_pixels": limit, "resize_mask": options.resize_mask}


# --- output -----------------------------------------------------------------------------------


def _print(options: Options, outcome: ScoreOutcome, print_data: Callable[[Any], None]) -> None:
    """Print a pair: as JSON by ``print_data``, and as a line.

    The line goes to standard output if nothing else does; that of a failure to standard error.
    """
    if options.as_json:
        print_data(_to_json(outcome))
    to_stderr = options.as_json or options.table == "-" or outcome.score is None
    click.echo(console.escape_line(_line(outcome)), err=to_stderr)


def _line(outcome: ScoreOutcome) -> str:
    if outcome.score is None:
        return f"failed: {outcome.before or outcome.after}: {outcome.error}"
    found = outcome.score
    return (
        f"{outcome.after}: {found.verdict}{console.reasons(found.checks)}; {found.area} pixels "
        f"scored, {found.changed_outside} changed outside; {_means([found])}"
    )


def _to_json(outcome: ScoreOutcome) -> dict[str, Any]:
    """Return a pair as JSON data; a pair without a score has an ``error``."""
    files = {"before": outcome.before, "after": outcome.after}
    if outcome.score is None:
        return {**files, "error": outcome.error}
    found = outcome.score
    return {
        **files,
        "verdict": found.verdict,
        **_rounded(found),
        "checks": [console.check_to_json(check) for check in found.checks],
    }


def _rounded(found: Score) -> dict[str, int | float | None]:
    values = {name: getattr(found, name) for name in (*COUNTS, *MEASURES)}
    return {n: round(v, 4) if isinstance(v, float) else v for n, v in values.items()}


def _write_table(options: Options, outcomes: Sequence[ScoreOutcome]) -> None:
    """Write the scores as CSV, if the options ask for it."""
    if options.table is None:
        return
    text = _table(outcomes)
    if options.table == "-":
        click.echo(text, nl=False)
    else:
        from segment2inpaint.dataset import storage

        storage.write(options.table, text.encode())


def _table(outcomes: Sequence[ScoreOutcome]) -> str:
    """Return a CSV table: files, verdict, measures, the score of each check, and the error."""
    rows = list(map(_row, outcomes))
    names = dict.fromkeys(name for row in sorted(rows, key=len, reverse=True) for name in row)
    lines = io.StringIO()
    writer = csv.DictWriter(lines, [*(n for n in names if n != "error"), "error"], restval="")
    writer.writeheader()
    writer.writerows(rows)
    return lines.getvalue()


def _row(outcome: ScoreOutcome) -> dict[str, Any]:
    row = _to_json(outcome)
    checks = {check["name"]: check["score"] for check in row.pop("checks", ())}
    return {**row, **checks}


def _summary(name: str, outcomes: Sequence[ScoreOutcome]) -> str:
    """Return the verdicts and the mean measures of a folder in one line."""
    scores = [outcome.score for outcome in outcomes if outcome.score is not None]
    counts = Counter(score.verdict for score in scores)
    verdicts = ", ".join(f"{counts[v]} {v}" for v in ("clean", "doubtful", "failed"))
    failed = len(outcomes) - len(scores)
    errors = f"; {failed} could not be scored" if failed else ""
    means = f"; mean {_means(scores)}" if scores else ""
    return f"{name}: {len(scores)} scored: {verdicts}{means}{errors}"


def _means(scores: Sequence[Score]) -> str:
    """Return the means of those measures that are known, in words."""
    means = {}
    for name in MEASURES:
        known = [value for score in scores if (value := getattr(score, name)) is not None]
        if known:
            means[name.replace("_", " ")] = mean(known)
    return ", ".join(f"{name} {value:.2f}" for name, value in means.items())
