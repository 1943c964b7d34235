"""The command line: options to dataclasses, results to files, errors to one line.

Only click is imported before a command runs, so that ``--help`` answers at once.
"""

from __future__ import annotations

import errno
from typing import Any

import click

from segment2inpaint import __version__
from segment2inpaint.cli import console
from segment2inpaint.cli.batch import batch
from segment2inpaint.cli.console import FAILED, INTERRUPTED, NOTHING_FOUND
from segment2inpaint.cli.doctor import doctor
from segment2inpaint.cli.edit import mask, remove, replace
from segment2inpaint.cli.models import models
from segment2inpaint.cli.web import web

NO_LIBGL = (
    "error: OpenCV cannot load ({}); install the library (Debian: apt install libgl1 "
    "libglib2.0-0), or: pip install --force-reinstall opencv-python-headless"
)


class ErrorGroup(click.Group):
    """Turns what a user can put right into one line and an exit status."""

    def invoke(self, ctx: click.Context) -> Any:
        from segment2inpaint.errors import NothingFound, Segment2InpaintError

        try:
            with console.warnings_in_a_line():
                return super().invoke(ctx)
        except Segment2InpaintError as error:
            click.echo(f"error: {console.escape_line(str(error))}", err=True)
            ctx.exit(NOTHING_FOUND if isinstance(error, NothingFound) else FAILED)
        except ImportError as error:
            if ".so" not in str(error):
                raise
            click.echo(NO_LIBGL.format(error), err=True)
            ctx.exit(FAILED)
        except OSError as error:
            if error.errno == errno.EPIPE:  # whoever read has enough: Click ends in silence
                raise
            name = f"{error.filename}: " if error.filename else ""
            click.echo(f"error: {name}{error.strerror or error}", err=True)
            console.forget_output()
            ctx.exit(FAILED)
        except KeyboardInterrupt:
            click.echo("stopped; no half-written file is left", err=True)
            ctx.exit(INTERRUPTED)


@click.group(cls=ErrorGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="segment2inpaint")
def main() -> None:
    """Take an object out of a photo, or put another in its place, by pointing at it."""


for command in (remove, replace, mask, batch, models, doctor, web):
    main.add_command(command)
