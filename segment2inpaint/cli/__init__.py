"""The command line: turn options into a request, and results into files and lines of text.

Only click and cloup are imported before a command runs, so that ``--help`` answers at once.
"""

from __future__ import annotations

import errno

import click
import cloup

from segment2inpaint import __version__
from segment2inpaint.cli import (
    batch,
    compare,
    completion,
    console,
    cutout,
    doctor,
    edit,
    mask,
    mcp,
    models,
    score,
    web,
)
from segment2inpaint.cli.options import examples
from segment2inpaint.models.threads import bound_process_threads

MISSING_LIBRARY = (
    "error: OpenCV cannot load ({}); install the library (Debian: apt install libgl1 "
    "libglib2.0-0), or: pip install --force-reinstall opencv-python-headless"
)


class ErrorGroup(cloup.Group):
    """Print errors that a user can correct as one line, and exit with a status for their kind."""

    def invoke(self, ctx: click.Context) -> object:
        from segment2inpaint.errors import NothingFound, Segment2InpaintError

        try:
            with console.one_line_warnings():
                return super().invoke(ctx)
        except Segment2InpaintError as error:
            click.echo(f"error: {console.escape_line(str(error))}", err=True)
            ctx.exit(console.NOTHING_FOUND if isinstance(error, NothingFound) else console.FAILED)
        except ImportError as error:
            if ".so" not in str(error):
                raise
            click.echo(MISSING_LIBRARY.format(error), err=True)
            ctx.exit(console.FAILED)
        except OSError as error:
            if error.errno == errno.EPIPE:  # the reader has closed the pipe; Click exits silently
                raise
            name = f"{error.filename}: " if error.filename else ""
            click.echo(f"error: {name}{error.strerror or error}", err=True)
            console.discard_stdout()
            ctx.exit(console.FAILED)
        except KeyboardInterrupt:
            click.echo("interrupted; no partial file was written", err=True)
            ctx.exit(console.INTERRUPTED)


@cloup.group(
    cls=ErrorGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=examples(
        "remove street.jpg -p 412,300 -o street_clean.jpg",
        'replace table.jpg -p 412,300 --prompt "a red rose" -o table_rose.jpg',
        "web",
    ),
)
@click.version_option(__version__, prog_name="segment2inpaint")
def main() -> None:
    """Remove an object from a photo, or replace it, by pointing at it."""
    bound_process_threads()


main.section("Edit photos", edit.remove, edit.replace, mask.mask, cutout.cutout, batch.batch)
main.section("Judge results", score.score, compare.compare)
main.section("Edit in a browser or by an assistant", web.web, mcp.mcp)
main.section("Models and machine", models.models, doctor.doctor, completion.completion)
