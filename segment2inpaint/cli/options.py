"""Options that several commands share: for each section of ``--help`` a dataclass and its options.

Click gives a command one keyword argument for each option. ``pass_options`` gathers them in one
frozen dataclass; a function then names the part that it reads, such as ``PointOptions``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from cloup import option_group

from segment2inpaint.cli.machine_options import MachineOptions
from segment2inpaint.cli.param_types import (
    FILE,
    NAME_OF_FILE,
    FiniteFloat,
    parse_background,
    parse_box,
    parse_color,
    parse_length,
    parse_number_or_box,
    parse_numbers,
    parse_place,
    parse_point,
    parse_protected,
    parse_rgb,
)

if TYPE_CHECKING:
    from segment2inpaint.types import FindKind, Granularity, Length

Options = TypeVar("Options")


def pass_options(
    kind: Callable[..., Options],
) -> Callable[[Callable[[Options], None]], Callable[..., None]]:
    """Return a decorator that calls a command with one ``kind`` made of all its options."""

    def decorate(command: Callable[[Options], None]) -> Callable[..., None]:
        @wraps(command)
        def call(**values: object) -> None:
            command(kind(**values))

        return call

    return decorate


def examples(*commands: str) -> str:
    """Return the examples at the end of a command's help; each starts with the subcommand."""
    return "\b\nExamples:\n" + "\n".join(f"  segment2inpaint {command}" for command in commands)


# --- point at it ------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class PointOptions:
    """Options that point at objects. Points are (x, y), boxes (x0, y0, x1, y1), in photo pixels."""

    points: tuple[tuple[int, int], ...]
    not_points: tuple[tuple[int, int], ...]
    boxes: tuple[tuple[int, int, int, int], ...]
    each: bool
    granularity: Granularity
    colors: tuple[dict[str, tuple[int, ...]], ...]
    tolerance: float | None
    everywhere: bool
    texts: tuple[str, ...]
    threshold: float | None
    everything: bool
    kinds: tuple[FindKind, ...]
    within: tuple[int, int, int, int] | None
    min_size: int
    exclude: tuple[int | tuple[int, ...], ...]
    pick: tuple[int, ...] | None
    plate: Path | None
    user_masks: tuple[Path, ...]
    detector: str


@dataclass(frozen=True, kw_only=True)
class InputOptions:
    """Options that read the photo, the masks and, if there is one, the file with the request."""

    resize_mask: bool
    max_pixels: int | None
    request: Path | None = None


RESIZE_MASK_OPTION = click.option("--resize-mask", is_flag=True,
                                  help="Resize a --mask whose size differs from the "
                                       "photo's.")  # fmt: skip

POINT_OPTIONS = (
    click.option("-p", "--point", "points", type=parse_point, metavar="X,Y", multiple=True,
                 help="Pixel on the object. Repeat it for several clicks on one object."),
    click.option("-n", "--not-point", "not_points", type=parse_point, metavar="X,Y", multiple=True,
                 help="Pixel that is not on the object, or on a part of its shadow that stays."),
    click.option("-b", "--box", "boxes", type=parse_box, metavar="X0,Y0,X1,Y1", multiple=True,
                 help="Box around the object. Repeat it for several objects."),
    click.option("--each", is_flag=True, help="Treat each --point as a separate object."),
    click.option("--granularity", type=click.Choice(["auto", "part", "object", "whole"]),
                 default="auto", show_default=True, help="How much of the object a click selects."),
    click.option("--color", "colors", type=parse_color, metavar="X,Y|#RRGGBB", multiple=True,
                 help="Area that has the colour of a pixel, or every area of the colour #RRGGBB."),
    click.option("--tolerance", type=FiniteFloat(0, 200), metavar="DISTANCE",
                 help="Largest colour difference (CIE76) that matches --color.  "
                      "[default: chosen from the photo]"),
    click.option("--global", "everywhere", is_flag=True,
                 help="Match --color in the whole photo, not only around the pixel."),
    click.option("--text", "texts", multiple=True, metavar="WORDS",
                 help="Name of the objects to find (needs a model). Repeat it for several names."),
    click.option("--threshold", type=FiniteFloat(0, 1), metavar="SCORE",
                 help="Minimum score of an object found by --text or --find.  "
                      "[default: the model's]"),
    click.option("--everything", is_flag=True, help="Find all objects and number them."),
    click.option("--find", "kinds", type=click.Choice(["text", "face"]), multiple=True,
                 help="Find all lines of text (captions, date stamps, signs), or all faces. Repeat "
                      "it for both."),
    click.option("--within", type=parse_box, metavar="X0,Y0,X1,Y1",
                 help="Part of the photo in which --find searches."),
    click.option("--min-size", type=click.IntRange(0), default=0, metavar="PX",
                 help="Smallest shorter side of what --find finds."),
    click.option("--exclude", type=parse_number_or_box, multiple=True, metavar="N|X0,Y0,X1,Y1",
                 help="Number of an object that --find finds and that stays, or a box whose "
                      "objects stay. Repeat it for several."),
    click.option("--pick", type=parse_numbers, metavar="N,N",
                 help="Numbers of the objects to use, of those found by --text, --find or "
                      "--everything."),
    click.option("--plate", type=FILE, metavar="CLEAN.jpg",
                 help="Clean plate: a photo of the same scene without the object."),
    click.option("--mask", "user_masks", type=FILE, multiple=True, metavar="MASK.png",
                 help="Mask file: white pixels, or opaque ones, are the object."),
    RESIZE_MASK_OPTION,
)  # fmt: skip

REQUEST_OPTION = click.option("--request", type=FILE, metavar="JSON",
                              help="Request saved by the page or printed by --json, in place of "
                                   "the options that it sets.")  # fmt: skip

point_section = option_group("Point at it", *POINT_OPTIONS)
point_or_request_section = option_group("Point at it", *POINT_OPTIONS, REQUEST_OPTION)


# --- mask -------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class RefineOptions:
    """Options that change the mask that was found. ``dilate`` and ``feather`` None: the default."""

    dilate: Length | None
    feather: Length | None
    fill_holes: bool
    invert: bool
    edge_refine: bool
    shadow: bool | None = None
    protect: tuple[dict[str, Any], ...] = ()


FILL_HOLES_OPTION = click.option("--fill-holes/--keep-holes", default=True, show_default=True,
                                 help="Fill small holes in a mask that was found.")  # fmt: skip

REFINE_OPTIONS = (
    click.option("--dilate", type=parse_length, metavar="auto|12px|3%",
                 help="Radius by which to grow the mask."),
    click.option("--feather", type=parse_length, metavar="auto|12px|3%",
                 help="Width of the mask's soft edge, inside --dilate."),
    FILL_HOLES_OPTION,
    click.option("--invert", is_flag=True, help="Select everything except the object."),
    click.option("--edge-refine/--no-edge-refine", default=True, show_default=True,
                 help="Move the edge of a coarse mask to the object's edge in the photo."),
)  # fmt: skip

SHADOW_OPTION = click.option("--shadow/--no-shadow", default=None,
                             help="Also remove the object's shadow and reflection.  "
                                  "[default: if it is likely; `replace`: no]")  # fmt: skip

PROTECT_OPTION = click.option("--protect", type=parse_protected, multiple=True,
                              metavar="MASK|X0,Y0,X1,Y1",
                              help="Area in which no pixel may change, whatever is found there: a "
                                   "mask file or a box. Repeat it for several areas.")  # fmt: skip

mask_section = option_group("Mask", *REFINE_OPTIONS)
mask_and_shadow_section = option_group("Mask", *REFINE_OPTIONS, SHADOW_OPTION, PROTECT_OPTION)


# --- fill -------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class FillOptions:
    """Options of the painting. None leaves a value to the model."""

    candidates: int
    seed: int
    padding_mask_crop: int | None
    negative_prompt: str | None
    num_inference_steps: int | None
    guidance_scale: float | None
    strength: float | None
    inpainter: str
    obscure: str | None
    fill_color: tuple[int, int, int] | None
    prompt: str | None = None
    picture: Path | None = None
    picture_fit: str | None = None
    background: str | None = None
    with_at: tuple[float, float] | None = None
    with_scale: float | None = None
    with_angle: float | None = None
    with_flip: bool = False
    with_blend: float | None = None
    with_shadow: bool = False
    with_cutout: bool = False


FILL_OPTIONS = (
    click.option("--fill", "obscure", type=click.Choice(["blur", "pixelate", "solid"]),
                 help="Hide the object instead of inventing what is behind it; short for "
                      "--inpainter blur and so on. The result is not verified."),
    click.option("--fill-color", type=parse_rgb, metavar="#RRGGBB",
                 help="Colour of --fill solid.  [default: the object's mean colour]"),
    click.option("--candidates", type=click.IntRange(1, 64), default=1, show_default=True,
                 metavar="N", help="Number of candidates to generate and rank."),
    click.option("--seed", type=click.IntRange(0), default=0, show_default=True, metavar="N",
                 help="Seed of the random numbers; the same seed gives the same result."),
    click.option("--padding-mask-crop", type=click.IntRange(0), metavar="PX",
                 help="Width of the surroundings that the inpainter sees around the mask.  "
                      "[default: auto]"),
)  # fmt: skip

REPLACEMENT_OPTIONS = (
    click.option("--prompt", metavar="TEXT", help="What to paint, in words (needs a model)."),
    click.option("--with", "picture", type=FILE, metavar="PICTURE.png",
                 help="Picture to put there, cut out along its transparency; with --invert, to "
                      "lay behind the object."),
    click.option("--with-fit", "picture_fit", type=click.Choice(["cover", "contain", "stretch"]),
                 help="How --with is scaled to the photo behind the object.  [default: cover]"),
    click.option("--with-at", type=parse_place, metavar="X,Y",
                 help="Where the centre of --with lies, in photo pixels.  [default: on the lower "
                      "edge of the old object's box]"),
    click.option("--with-scale", type=FiniteFloat(0.01, 100), metavar="FACTOR",
                 help="Size of --with; 1 is as large as the old object's box allows.  "
                      "[default: 1]"),
    click.option("--with-angle", type=FiniteFloat(-360, 360), metavar="DEGREES",
                 help="Turn --with clockwise around its centre."),
    click.option("--with-flip", is_flag=True, help="Mirror --with left to right, before it turns."),
    click.option("--with-blend", type=FiniteFloat(0, 1), metavar="SHARE",
                 help="How far the colours of --with are adapted to the surroundings; 0.5 is "
                      "moderate.  [default: 0]"),
    click.option("--with-shadow", is_flag=True, help="Darken the ground below --with."),
    click.option("--with-cutout", is_flag=True,
                 help="Cut out the object that stands out in --with, if the picture is opaque."),
)  # fmt: skip

BACKGROUND_OPTION = click.option("--background", type=parse_background,
                                 metavar="white|blur|transparent|#RRGGBB",
                                 help="With --invert: what to lay behind the object; nothing is "
                                      "painted.")  # fmt: skip

fill_section = option_group("Fill", BACKGROUND_OPTION, *FILL_OPTIONS)
replacement_section = option_group("Fill", *REPLACEMENT_OPTIONS, BACKGROUND_OPTION, *FILL_OPTIONS)


# --- check the result -------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class CheckOptions:
    """Options of the check of a result, and of what follows if it fails."""

    verify: bool
    attempts: int
    strict: bool


check_section = option_group(
    "Check the result",
    click.option("--verify/--no-verify", default=True, show_default=True,
                 help="Check whether the object is gone and the fill fits in."),
    click.option("--attempts", type=click.IntRange(1), default=2, show_default=True,
                 metavar="N", help="Maximum number of attempts, the first included."),
    click.option("--strict", is_flag=True,
                 help="Treat a failed check as an error: exit status 1, or a failed photo in a "
                      "batch."),
)  # fmt: skip


# --- output -----------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class OutputOptions:
    """The output options of one photo; ``output`` may be ``-`` for standard output."""

    output: str
    overwrite: bool
    as_json: bool


OUTPUT_OPTIONS = (
    click.option("-o", "--output", type=NAME_OF_FILE, required=True, metavar="OUT",
                 help="Output file; - is standard output."),
    click.option("--overwrite", is_flag=True, help="Allow OUT to be the photo itself."),
    click.option("--json", "as_json", is_flag=True, help="Print the result as JSON."),
)  # fmt: skip

QUALITY_OPTION = click.option("--quality", type=click.IntRange(1, 100), metavar="N",
                              help="Quality of JPEG, WebP, AVIF, HEIC and JPEG XL files.  "
                                   "[default: the photo's]")  # fmt: skip


# --- commands ---------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class PhotoOptions(PointOptions, RefineOptions, InputOptions, OutputOptions, MachineOptions):
    """The options of every command that takes one photo; ``photo`` may be ``-``."""

    photo: str


@dataclass(frozen=True, kw_only=True)
class EditRequestOptions(PointOptions, RefineOptions, FillOptions, CheckOptions, InputOptions):
    """The options that make up a request to remove or replace objects."""


@dataclass(frozen=True, kw_only=True)
class EditOptions(PhotoOptions, EditRequestOptions):
    """The options of ``remove`` and ``replace``. ``keep`` are ranks of candidates, from 1."""

    keep: tuple[int, ...] | None
    save_mask: Path | None
    preview: Path | None
    quality: int | None


photo_argument = click.argument("photo", type=NAME_OF_FILE, metavar="PHOTO")

edit_output_section = option_group(
    "Output",
    *OUTPUT_OPTIONS,
    click.option("--save-mask", type=FILE, metavar="PNG",
                 help="Also write a mask of the pixels that were changed."),
    click.option("--preview", type=FILE, metavar="FILE",
                 help="Also write photo, mask and result side by side."),
    click.option("--keep", type=parse_numbers, metavar="N,N",
                 help="Ranks of the --candidates to write: one as OUT, several as OUT-1, OUT-3 "
                      "and so on.  [default: all]"),
    QUALITY_OPTION,
)  # fmt: skip
