"""``remove``, ``replace`` and ``mask``: read, run, write, tell."""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from segment2inpaint.cli import console
from segment2inpaint.cli.build_request import Options, load_inputs, refinement, tuning
from segment2inpaint.cli.options import (
    device_option,
    file,
    fill_options,
    output_options,
    prompt_options,
    refine_options,
    replacement_options,
    request_option,
    target_options,
    tuning_options,
    verify_options,
)
from segment2inpaint.cli.output import check_outputs, print_json, to_stdout, write_outputs

if TYPE_CHECKING:
    from segment2inpaint.editor import Editor

LOSSY = ("JPEG", "AVIF")  # as they are written here


@click.command()
@prompt_options
@request_option
@refine_options
@fill_options
@verify_options
@device_option
@tuning_options
@target_options
@output_options
def remove(**given: Any) -> None:
    """Take an object away.

    \b
    Example:
      segment2inpaint remove street.jpg -p 412,300 -o street_clean.jpg
      segment2inpaint remove street.jpg -b 350,210,480,400 -n 360,220 -o out.jpg
      segment2inpaint remove street.jpg -p 412,300 --candidates 4 --keep 1,2 -o out.jpg
    """
    _edit(given)


@click.command()
@prompt_options
@request_option
@refine_options
@replacement_options
@fill_options
@verify_options
@device_option
@tuning_options
@target_options
@output_options
def replace(**given: Any) -> None:
    """Put something else in an object's place.

    \b
    Example:
      segment2inpaint replace table.jpg -p 412,300 --prompt "a red rose" -o out.jpg
      segment2inpaint replace table.jpg --color 412,300 --with vase.png -o out.jpg
    """
    if not (given["prompt"] or given["picture"] or given["request"]):
        raise click.UsageError("say what should stand there: --prompt TEXT or --with PICTURE.png")
    _edit(given)


@click.command()
@prompt_options
@refine_options
@device_option
@target_options
@click.option("--overlay", type=file, metavar="FILE",
              help="Also write the photo with each object in a colour, numbered.")  # fmt: skip
def mask(**given: Any) -> None:
    """The mask of an object, as a picture: white is the object.

    Neither dilated nor feathered unless asked for, so that it can be given to --mask. With
    --everything and no --pick, a pixel is the number of its object, 0 for none.

    \b
    Example:
      segment2inpaint mask street.jpg -p 412,300 -o mask.png
      segment2inpaint mask street.jpg --everything -o numbers.png --overlay numbers.jpg
    """
    import numpy as np

    from segment2inpaint import images, masks, pipeline
    from segment2inpaint.cli import overlay
    from segment2inpaint.types import Length

    request, photo = load_inputs(given)
    check_outputs(given, photo, request)
    numbered = given["everything"] and not given["pick"]
    if numbered and given["output"] != "-" and images.format_of(given["output"]) in LOSSY:
        raise click.UsageError("the numbers of --everything need a lossless -o, such as N.png")
    none = Length(0, "px")
    how = refinement(
        {**given, "dilate": given["dilate"] or none, "feather": given["feather"] or none}
    )
    editor = _editor(given)
    request = editor.resolve(dataclasses.replace(request, refine=how), paint=False)
    found = editor.find(photo, request)
    if numbered:
        alpha = (masks.labels(found) / 255).astype(np.float32)
    else:
        alpha, _, _ = pipeline.refined_alpha(found, request.prompts, how)
    if given["output"] == "-":
        picture = images.photo_of(np.rint(255 * alpha).astype(np.uint8)[..., None].repeat(3, 2))
        to_stdout(images.encode(dataclasses.replace(picture, grey=True), picture.image, 0 * alpha))
    else:
        images.write_mask(given["output"], alpha, source=photo.path, overwrite=given["overwrite"])
    if given["overlay"]:
        sheet = images.photo_of(overlay.numbered(photo.image, found))
        images.write(given["overlay"], sheet, sheet.image, np.zeros(sheet.size, np.float32))
    if given["as_json"]:
        print_json(console.mask_report(photo, given["output"], request, found))
    told = console.mask_summary(given["output"], found, alpha, request.detector)
    click.echo(console.escape_line(told), err=True)


def _edit(given: Options) -> None:
    """What ``remove`` and ``replace`` share: read, run, write, tell."""
    request, photo = load_inputs(given)
    check_outputs(given, photo, request)
    if given["everything"] and not given["pick"]:
        raise click.UsageError("say which: --pick N, as `mask --everything --overlay` numbers them")
    editor = _editor(given)
    named = editor.resolve(request)
    with console.ProgressReporter() as meter:
        result = editor.run(photo, dataclasses.replace(named, inpainter=request.inpainter), meter)
    write_outputs(given, photo, named, result)
    if given["strict"] and result.verdict == "failed":
        click.get_current_context().exit(console.FAILED)


def _editor(given: Options) -> Editor:
    from segment2inpaint.editor import Editor

    tell = partial(click.echo, err=True)
    return Editor(given["device"], given.get("dtype", "auto"), given["cache"], tell, tuning(given))
