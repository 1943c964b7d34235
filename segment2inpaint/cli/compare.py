"""``compare``: what changed between two runs of ``batch``."""

from __future__ import annotations

from pathlib import Path

import click
import cloup

from segment2inpaint.cli import console
from segment2inpaint.cli.options import examples
from segment2inpaint.cli.param_types import NAME_OF_FILE


@cloup.command(epilog=examples("compare clean_lama clean_exemplar"))
@click.argument("outdir", type=NAME_OF_FILE)
@click.argument("other", type=NAME_OF_FILE)
def compare(outdir: str, other: str) -> None:
    """Compare two output folders of batch: which verdicts and scores changed.

    OUTDIR receives compare.html, which shows both results of each photo side by side, those that
    are worse in OUTDIR than in OTHER first. Nothing else is written.
    """
    from segment2inpaint.dataset import comparison, storage

    here, there = (f if storage.is_remote(f) else str(Path(f).absolute()) for f in (outdir, other))
    name, counts = comparison.write(here, there)
    parts = ", ".join(f"{counts[change]} {change}" for change in comparison.CHANGES)
    click.echo(console.escape_line(f"{parts}; see {name}"), err=True)
