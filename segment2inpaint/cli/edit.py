"""``remove`` and ``replace``: read a photo, edit it, write the result."""

from __future__ import annotations

import dataclasses

import click
import cloup

from segment2inpaint.cli import console
from segment2inpaint.cli.build_request import build_editor, load_edit_request, load_photo
from segment2inpaint.cli.machine_options import diffusion_section, models_section
from segment2inpaint.cli.options import (
    EditOptions,
    check_section,
    edit_output_section,
    examples,
    fill_section,
    mask_and_shadow_section,
    pass_options,
    photo_argument,
    point_or_request_section,
    replacement_section,
)
from segment2inpaint.cli.output import check_edit_outputs, write_edit_outputs

NO_PICK = (
    "--everything needs --pick N; to see the numbers, run: "
    "segment2inpaint mask PHOTO --everything -o N.png --overlay FILE"
)


@cloup.command(
    epilog=examples(
        "remove street.jpg -p 412,300 -o street_clean.jpg",
        "remove street.jpg -b 350,210,480,400 -n 360,220 -o street_clean.jpg",
        "remove street.jpg -p 412,300 --candidates 4 --keep 1,2 -o street_clean.jpg",
    )
)
@photo_argument
@point_or_request_section
@mask_and_shadow_section
@fill_section
@check_section
@edit_output_section
@models_section
@diffusion_section
@pass_options(EditOptions)
def remove(options: EditOptions) -> None:
    """Remove objects from a photo.

    PHOTO is a file, or - for standard input. Point at the object, and the hole is filled to match
    its surroundings. All other pixels stay as they are. Exit status 4: no object was found.
    """
    _edit(options)


@cloup.command(
    epilog=examples(
        'replace table.jpg -p 412,300 --prompt "a red rose" -o table_rose.jpg',
        "replace table.jpg --color 412,300 --with vase.png -o table_vase.jpg",
    )
)
@photo_argument
@point_or_request_section
@mask_and_shadow_section
@replacement_section
@check_section
@edit_output_section
@models_section
@diffusion_section
@pass_options(EditOptions)
def replace(options: EditOptions) -> None:
    """Replace an object in a photo with something else.

    PHOTO is a file, or - for standard input. --prompt or --with says what to put in the object's
    place. All other pixels stay as they are. Exit status 4: no object was found.
    """
    if not (options.prompt or options.picture or options.background or options.request):
        raise click.UsageError(
            "nothing to put in the object's place; add --prompt TEXT or --with PICTURE.png"
        )
    _edit(options)


def _edit(options: EditOptions) -> None:
    photo = load_photo(options)
    request = load_edit_request(options, photo)
    check_edit_outputs(options, photo, request)
    if options.everything and not options.pick:
        raise click.UsageError(NO_PICK)
    editor = build_editor(options)
    resolved = editor.resolve(request)
    # The inpainter stays "auto" for the run, so that a failed attempt may use another one.
    to_run = dataclasses.replace(resolved, inpainter=request.inpainter)
    with console.ProgressReporter() as reporter:
        result = editor.run(photo, to_run, reporter)
    write_edit_outputs(options, photo, resolved, result)
    if options.strict and result.verdict == "failed":
        click.get_current_context().exit(console.FAILED)
