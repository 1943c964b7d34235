"""``mask``: find objects and write their mask, for one photo or for all of a source."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
import cloup
from click.core import ParameterSource
from cloup import option_group

from segment2inpaint.cli import console
from segment2inpaint.cli.batch_options import run_section, source_section
from segment2inpaint.cli.build_request import (
    build_editor,
    build_refine,
    load_mask_request,
    load_photo,
)
from segment2inpaint.cli.machine_options import detector_section
from segment2inpaint.cli.mask_source import (
    SOURCE_OUTPUT_OPTIONS,
    MaskSourceOptions,
    mask_source,
)
from segment2inpaint.cli.options import (
    OUTPUT_OPTIONS,
    PhotoOptions,
    examples,
    mask_section,
    point_section,
)
from segment2inpaint.cli.output import (
    check_targets,
    input_files,
    print_json,
    write_picture,
    write_stdout,
)
from segment2inpaint.cli.param_types import FILE, NAME_OF_FILE

if TYPE_CHECKING:
    from segment2inpaint.images import Photo
    from segment2inpaint.types import Alpha, Detection, Refine, Request

Options = TypeVar("Options")
LOSSY_FORMATS = ("JPEG", "AVIF")  # they would change the numbers of --everything


@dataclass(frozen=True, kw_only=True)
class MaskOptions(PhotoOptions):
    """The options of ``mask``."""

    overlay: Path | None
    with_effects: bool

    @property
    def writes_numbers(self) -> bool:
        """Return whether the mask holds the number of each object, and not only white."""
        return self.everything and not self.pick


def _names(kind: Any) -> set[str]:
    return {field.name for field in fields(kind)}


PHOTO_ONLY = ("output", "overwrite", "overlay", "with_effects")
RUN_ONLY = _names(MaskSourceOptions) - _names(MaskOptions) - {"source", "outdir"}


@cloup.command(
    epilog=examples(
        "mask street.jpg -p 412,300 -o mask.png",
        "mask street.jpg --everything -o numbers.png --overlay numbers.jpg",
        "mask photos annotated --text dog --annotations coco --annotations yolo",
        "mask coco/annotations.json annotated --use box",
    )
)
@click.argument("source", type=NAME_OF_FILE, metavar="PHOTO|SOURCE")
@click.argument("outdir", type=NAME_OF_FILE, metavar="[OUTDIR]", required=False)
@point_section
@mask_section
@option_group(
    "Output",
    click.option("-o", "--output", type=NAME_OF_FILE, metavar="OUT",
                 help="Output file for one photo; - is standard output."),
    *OUTPUT_OPTIONS[1:],
    click.option("--overlay", type=FILE, metavar="FILE",
                 help="Also write the photo with each object in a colour, numbered."),
    click.option("--with-effects", is_flag=True,
                 help="Add what `remove` takes with the object: its likely shadow and mirror "
                      "image. For one photo."),
    *SOURCE_OUTPUT_OPTIONS,
)  # fmt: skip
@source_section
@run_section
@detector_section
def mask(**values: Any) -> None:
    """Write the mask of an object as a picture: white is the object.

    PHOTO is a file, or - for standard input. Without --dilate and --feather the mask is exact, so
    that --mask can read it. With --everything and without --pick, the value of a pixel is the
    number of its object, 0 for none. Exit status 4: no object was found.

    With OUTDIR, SOURCE is all that `batch` takes: a folder of photos that share a prompt, a table,
    or annotations, whose boxes become masks with --use box. OUTDIR receives masks, annotations,
    manifest.jsonl and report.html; run the command again to resume. Exit status as of `batch`.
    """
    _check_mixture(values["outdir"], values["output"])
    if values["outdir"] is None:
        mask_photo(_select(MaskOptions, {**values, "photo": values["source"]}))
    else:
        mask_source(_select(MaskSourceOptions, values))


def _check_mixture(outdir: str | None, output: str | None) -> None:
    """Raise ``click.UsageError`` for options of one photo with OUTDIR, and of a run without it."""
    context = click.get_current_context()
    for param in context.command.params:
        name = str(param.name)
        if context.get_parameter_source(name) != ParameterSource.COMMANDLINE:
            continue
        if outdir is not None and name in PHOTO_ONLY:
            raise click.UsageError(
                f"{param.opts[-1]} is for one photo; leave it out, or leave out {outdir}"
            )
        if outdir is None and name in RUN_ONLY:
            raise click.UsageError(f"{param.opts[-1]} is for a run over a source; add OUTDIR")
    if outdir is None and output is None:
        (param,) = (p for p in context.command.params if p.name == "output")
        raise click.MissingParameter(ctx=context, param=param)


def _select(kind: Callable[..., Options], values: Mapping[str, Any]) -> Options:
    """Return an options dataclass made of those of the values that it has."""
    return kind(**{name: values[name] for name in _names(kind) & values.keys()})


def mask_photo(options: MaskOptions) -> None:
    """Write the mask of one photo."""
    photo = load_photo(options)
    request = load_mask_request(options, photo)
    _check_outputs(options, photo, request)
    editor = build_editor(options)
    refine = _exact_refine(options)
    request = editor.resolve(dataclasses.replace(request, refine=refine), paint=False)
    detections = editor.find_objects(photo, request)
    alpha = _alpha(options, photo, detections, request)
    _write_outputs(options, photo, request, detections, alpha)


def _check_outputs(options: MaskOptions, photo: Photo, request: Request) -> None:
    """Raise as ``check_targets``, and for numbers in a format that would change them."""
    from segment2inpaint import images

    if options.writes_numbers and options.with_effects:
        raise click.UsageError("--with-effects is for a mask; add --pick to --everything")

    results = [Path(options.output)] if options.output != "-" else []
    overlays = [options.overlay] if options.overlay else []
    check_targets(options, [*overlays, *results], [*input_files(photo, request)])
    if options.writes_numbers and any(images.format_of(p) in LOSSY_FORMATS for p in results):
        raise click.UsageError("--everything needs a lossless format; use -o N.png")


def _exact_refine(options: MaskOptions) -> Refine:
    """Return how to change the mask; without options it neither grows nor gets a soft edge."""
    from segment2inpaint.types import Length

    zero = Length(0, "px")
    return build_refine(
        dataclasses.replace(options, dilate=options.dilate or zero, feather=options.feather or zero)
    )


def _alpha(
    options: MaskOptions, photo: Photo, detections: Sequence[Detection], request: Request
) -> Alpha:
    """Return the mask as ``(H, W)`` float32 in [0, 1]; numbers of objects as ``number / 255``."""
    import numpy as np

    from segment2inpaint import masks
    from segment2inpaint.effects.shadow import add_shadows
    from segment2inpaint.regions import EditJob, refined_alpha, spare_protected
    from segment2inpaint.types import Length

    if options.writes_numbers:
        return (masks.labels(detections) / 255).astype(np.float32)
    alpha, dilate, feather = refined_alpha(detections, request.prompts, request.refine)
    if options.with_effects:
        # Those that `remove` takes, which grows the mask.
        refine = dataclasses.replace(request.refine, dilate=Length(), feather=Length())
        repainted, _, _ = refined_alpha(detections, request.prompts, refine)
        job = EditJob(photo.image, detections, request)
        shadows = job.shadows_to_remove(refine, repainted)
        alpha = spare_protected(refine, detections, add_shadows(alpha, shadows, dilate + feather))
    return alpha


def _write_outputs(
    options: MaskOptions,
    photo: Photo,
    request: Request,
    detections: Sequence[Detection],
    alpha: Alpha,
) -> None:
    from segment2inpaint import images

    if options.output == "-":
        write_stdout(_encode(alpha))
    else:
        images.write_mask(options.output, alpha, source=photo.path, overwrite=options.overwrite)
    if options.overlay:
        from segment2inpaint import overlay

        write_picture(options.overlay, overlay.draw_numbered_masks(photo.image, detections))
    if options.as_json:
        print_json(console.mask_to_json(photo, options.output, request, detections))
    summary = console.mask_summary(options.output, detections, alpha, request.detector)
    click.echo(console.escape_line(summary), err=True)


def _encode(alpha: Alpha) -> bytes:
    """Return the mask as the bytes of a grey picture."""
    import numpy as np

    from segment2inpaint import images

    grey = np.rint(255 * alpha).astype(np.uint8)[..., None].repeat(3, 2)
    picture = dataclasses.replace(images.photo_from_array(grey), grey=True)
    return images.encode(picture, picture.image, 0 * alpha)
