"""The options of the command line: their types, and groups that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from segment2inpaint.types import Length

Command = TypeVar("Command", bound=Callable[..., Any])


def numbers(text: str, name: str) -> tuple[int, ...]:
    """Whole numbers of a form such as ``X,Y``. Raises ``click.BadParameter``."""
    try:
        values = tuple(round(float(part)) for part in text.split(","))
    except (ValueError, OverflowError):
        values = ()
    if len(values) != name.count(",") + 1:
        raise click.BadParameter(f"expected {name} in photo pixels, got {text!r}")
    return values


def point(text: str) -> tuple[int, ...]:
    return numbers(text, "X,Y")


def box(text: str) -> tuple[int, ...]:
    return numbers(text, "X0,Y0,X1,Y1")


def length(text: str) -> Length:
    from segment2inpaint.errors import BadOption
    from segment2inpaint.types import Length

    try:
        return Length.parse(text)
    except BadOption as error:
        raise click.BadParameter(str(error)) from error


def color(text: str) -> dict[str, tuple[int, ...]]:
    """``at`` a pixel, or ``rgb``. Raises ``click.BadParameter``."""
    try:
        if not text.startswith("#"):
            return {"at": numbers(text, "X,Y")}
        red, green, blue = bytes.fromhex(text[1:])
    except (ValueError, click.BadParameter):
        raise click.BadParameter(f"expected X,Y or '#RRGGBB', got {text!r}") from None
    return {"rgb": (red, green, blue)}


class FiniteFloat(click.FloatRange):
    """A number in a range, and not NaN, which is in all of them for Click."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        number: float = super().convert(value, param, ctx)
        if not isfinite(number):
            self.fail(f"{value!r} is not a number.", param, ctx)
        return number


def picks(text: str) -> tuple[int, ...]:
    """Numbers such as ``1,3``. Raises ``click.BadParameter``."""
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise click.BadParameter(f"expected numbers such as 1,3, got {text!r}") from None


def options(*several: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """One decorator of several options, in the order in which ``--help`` shows them."""

    def add(command: Command) -> Command:
        for option in reversed(several):
            command = option(command)
        return command

    return add


file = click.Path(path_type=Path)

find_options = options(
    click.option("-p", "--point", "points", type=point, metavar="X,Y", multiple=True,
                 help="A pixel of the object; repeat it for several clicks on one object."),
    click.option("-n", "--not-point", "not_points", type=point, metavar="X,Y", multiple=True,
                 help="A pixel that is not of the object."),
    click.option("-b", "--box", "boxes", type=box, metavar="X0,Y0,X1,Y1", multiple=True,
                 help="A box round the object; several are several objects."),
    click.option("--each", is_flag=True, help="Every --point is an object of its own."),
    click.option("--color", "colors", type=color, metavar="X,Y|#RRGGBB", multiple=True,
                 help="Everything of one colour: that of a pixel, connected to it, or #RRGGBB."),
    click.option("--tolerance", type=FiniteFloat(0, 200),
                 help="How far a colour may differ (CIE76).  [default: chosen from the photo]"),
    click.option("--global", "everywhere", is_flag=True,
                 help="The colour everywhere, not only connected to the pixel."),
    click.option("--granularity", type=click.Choice(["auto", "part", "object", "whole"]),
                 default="auto", show_default=True, help="How much of the object a click means."),
    click.option("--text", "texts", multiple=True, metavar="WORDS",
                 help="Every object of this name (needs a model); repeat it for several names."),
    click.option("--threshold", type=FiniteFloat(0, 1),
                 help="Least score of an object found by words.  [default: the model's]"),
    click.option("--everything", is_flag=True, help="Whatever can be told apart, numbered."),
    click.option("--pick", type=picks, metavar="N,N",
                 help="Of what --text or --everything finds, the objects with these numbers."),
    click.option("--plate", type=file, metavar="CLEAN.jpg",
                 help="A photo of the same scene without the object."),
    click.option("--mask", "own_masks", type=file, multiple=True, metavar="MASK.png",
                 help="A mask of your own: white, or what is opaque, is the object."),
    click.option("--resize-mask", is_flag=True, help="Allow a mask of another size."),
    click.option("--detector", default="auto", show_default=True, metavar="NAME",
                 help="auto, color, plate, mask, grabcut, regions, a model's name, a checkpoint, "
                      "a folder or a hub id."),
    click.option("--cache/--no-cache", default=True, show_default=True,
                 help="Keep what a network makes of the photo for the next run."),
    click.option("--max-pixels", type=click.IntRange(1), help="Refuse larger photos."),
)  # fmt: skip

prompt_options = options(click.argument("photo", metavar="PHOTO"), find_options)

refine_options = options(
    click.option("--dilate", type=length, metavar="auto|12px|3%",
                 help="Grow the mask by this radius."),
    click.option("--feather", type=length, metavar="auto|12px|3%",
                 help="Soften its edge over this width, inside --dilate."),
    click.option("--fill-holes/--keep-holes", default=True, show_default=True,
                 help="Small holes in a mask that was found are of the object."),
    click.option("--invert", is_flag=True, help="Everything but the object."),
    click.option("--edge-refine/--no-edge-refine", default=True, show_default=True,
                 help="Follow the object's edge where a detector found it only roughly."),
)  # fmt: skip

replacement_options = options(
    click.option("--prompt", metavar="TEXT", help="What should stand there (needs a model)."),
    click.option("--with", "picture", type=file, metavar="PICTURE.png",
                 help="A picture to put there; its transparency is its outline."),
)  # fmt: skip

request_option = click.option("--request", type=file, metavar="JSON",
                              help="A request as --json prints it and the page saves it, "
                                   "instead of the options for one.")  # fmt: skip

verify_options = options(
    click.option("--shadow/--no-shadow", default=None,
                 help="The object's shadow and mirror image go too.  "
                      "[default: if one is left behind]"),
    click.option("--verify/--no-verify", default=True, show_default=True,
                 help="Look again whether it worked."),
    click.option("--attempts", type=click.IntRange(1), default=2, show_default=True,
                 help="Try a failed result again in another way, so often in all."),
    click.option("--strict", is_flag=True,
                 help="A result that failed is an exit status of 1; of a batch, a failed photo."),
)  # fmt: skip

fill_options = options(
    click.option("--inpainter", default="auto", show_default=True, metavar="NAME",
                 help="auto, exemplar, telea, ns, lama, a model's name, a folder, a hub id or a "
                      ".safetensors file."),
    click.option("--seed", type=click.IntRange(0), default=0, show_default=True),
    click.option("--padding-mask-crop", type=click.IntRange(0), metavar="PX",
                 help="Context round the mask that the inpainter sees.  [default: auto]"),
    click.option("--negative-prompt", metavar="TEXT", help="What should not stand there."),
    click.option("--steps", "num_inference_steps", type=click.IntRange(1),
                 help="Diffusion steps.  [default: the model's]"),
    click.option("--guidance-scale", type=FiniteFloat(0), help="[default: the model's]"),
    click.option("--strength", type=FiniteFloat(0, 1, min_open=True),
                 help="[default: the model's]"),
    click.option("--candidates", type=click.IntRange(1, 64), default=1, show_default=True,
                 help="Paint so many, and rank them by what their verification says."),
    click.option("--dtype", default="auto", show_default=True, metavar="auto|float32|bfloat16",
                 help="Numbers that a diffusion model computes with."),
)  # fmt: skip

device_option = click.option("--device", default="auto", show_default=True,
                             metavar="auto|cpu|cuda|mps", help="Where models run.")  # fmt: skip

target_options = options(
    click.option("-o", "--output", required=True, metavar="OUT",
                 help="Where the result goes; - is standard output."),
    click.option("--overwrite", is_flag=True, help="OUT may be the photo itself."),
    click.option("--json", "as_json", is_flag=True, help="Print the result as JSON."),
)  # fmt: skip

tuning_options = options(
    click.option("--offload", type=click.Choice(["auto", "none", "model", "group"]),
                 default="auto", show_default=True,
                 help="Keep a diffusion model's weights off the GPU until they are needed."),
    click.option("--batch-size", type=click.IntRange(1), metavar="N",
                 help="Crops painted at once; 1 is exact.  [default: by the free memory]"),
    click.option("--quantize", type=click.Choice(["8bit", "4bit"]),
                 help="Keep weights in fewer bits, by torchao or bitsandbytes."),
    click.option("--attention", metavar="BACKEND",
                 help="Attention of diffusers, such as sage or _native_cudnn; doctor lists them."),
    click.option("--block-cache", type=FiniteFloat(0, 1, min_open=True), metavar="SHARE",
                 help="Skip the transformer's blocks at steps where its first changes by less, "
                      "such as 0.1 (Klein, Qwen-Image)."),
    click.option("--compile", "compile", is_flag=True,
                 help="Compile a diffusion model at its first call; pays with many photos."),
)  # fmt: skip

output_options = options(
    click.option("--keep", type=picks, metavar="N,N",
                 help="Of --candidates those with these ranks: OUT, or OUT-1, OUT-3 for several.  "
                      "[default: all]"),
    click.option("--save-mask", type=file, metavar="PNG", help="Also write what was changed."),
    click.option("--preview", type=file, metavar="FILE", help="Also write before | mask | after."),
    click.option("--quality", type=click.IntRange(1, 100),
                 help="Of a JPEG, WebP or AVIF.  [default: as the photo's]"),
)  # fmt: skip
