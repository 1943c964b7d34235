"""Convert the text of an option to its value, and complete names in a shell."""

from __future__ import annotations

import re
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    from segment2inpaint.dataset.formats.annotations import AreaThreshold
    from segment2inpaint.dataset.options import Shard
    from segment2inpaint.types import Length

FILE = click.Path(path_type=Path)
# A file or folder that may also be "-" or a URL; the command itself reports what it cannot read.
NAME_OF_FILE = click.Path(readable=False)


class FiniteFloat(click.FloatRange):
    """A number in a range. Unlike ``click.FloatRange`` it rejects NaN and infinity."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        number: float = super().convert(value, param, ctx)
        if not isfinite(number):
            self.fail(f"{value!r} is not a number.", param, ctx)
        return number


def parse_point(text: str) -> tuple[int, int]:
    """Return the point (x, y) in ``X,Y``. Raises ``click.BadParameter``."""
    x, y = _parse_pixels(text, "X,Y")
    return x, y


def parse_place(text: str) -> tuple[float, float]:
    """Return (x, y) in ``X,Y``, fractions of a pixel included. Raises ``click.BadParameter``."""
    try:
        x, y = (float(part) for part in text.split(","))
    except ValueError:
        raise click.BadParameter(f"expected X,Y in photo pixels, got {text!r}") from None
    return x, y


def parse_box(text: str) -> tuple[int, int, int, int]:
    """Return the box (x0, y0, x1, y1) in ``X0,Y0,X1,Y1``. Raises ``click.BadParameter``."""
    x0, y0, x1, y1 = _parse_pixels(text, "X0,Y0,X1,Y1")
    return x0, y0, x1, y1


def _parse_pixels(text: str, form: str) -> tuple[int, ...]:
    try:
        values = tuple(round(float(part)) for part in text.split(","))
    except (ValueError, OverflowError):
        values = ()
    if len(values) != form.count(",") + 1:
        raise click.BadParameter(f"expected {form} in photo pixels, got {text!r}")
    return values


def parse_protected(text: str) -> dict[str, Any]:
    """Return ``{"box": (x0, y0, x1, y1)}`` or ``{"mask": file}``. Raises ``click.BadParameter``."""
    if re.fullmatch(r"[-+0-9.,\s]*\d", text):
        return {"box": parse_box(text)}
    return {"mask": text}


def parse_background(text: str) -> str:
    """Return the background of an inverted edit. Raises ``click.BadParameter``."""
    from segment2inpaint.backgrounds import background_color
    from segment2inpaint.errors import BadOption

    try:
        background_color(text)
    except BadOption as error:
        raise click.BadParameter(str(error)) from None
    return text


def parse_color(text: str) -> dict[str, tuple[int, ...]]:
    """Return ``{"at": (x, y)}`` for ``X,Y`` and ``{"rgb": (r, g, b)}`` for ``#RRGGBB``.

    Raises ``click.BadParameter``.
    """
    try:
        if not text.startswith("#"):
            return {"at": parse_point(text)}
        red, green, blue = bytes.fromhex(text[1:])
    except (ValueError, click.BadParameter):
        raise click.BadParameter(f"expected X,Y or '#RRGGBB', got {text!r}") from None
    return {"rgb": (red, green, blue)}


def parse_rgb(text: str) -> tuple[int, int, int]:
    """Return red, green and blue of ``#RRGGBB``. Raises ``click.BadParameter``."""
    try:
        red, green, blue = bytes.fromhex(text.removeprefix("#"))
    except ValueError:
        raise click.BadParameter(f"expected '#RRGGBB', got {text!r}") from None
    return red, green, blue


def parse_number_or_box(text: str) -> int | tuple[int, int, int, int]:
    """Return the number in ``3``, or the box in ``X0,Y0,X1,Y1``. Raises ``click.BadParameter``."""
    try:
        return int(text) if "," not in text else parse_box(text)
    except (ValueError, click.BadParameter):
        raise click.BadParameter(
            f"expected a number such as 3, or X0,Y0,X1,Y1 in photo pixels, got {text!r}"
        ) from None


def parse_numbers(text: str) -> tuple[int, ...]:
    """Return the whole numbers in a list such as ``1,3``. Raises ``click.BadParameter``."""
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise click.BadParameter(f"expected numbers such as 1,3, got {text!r}") from None


def parse_length(text: str) -> Length:
    """Return the length in ``auto``, ``12px`` or ``3%``. Raises ``click.BadParameter``."""
    from segment2inpaint.errors import BadOption
    from segment2inpaint.types import Length

    try:
        return Length.parse(text)
    except BadOption as error:
        raise click.BadParameter(str(error)) from error


def parse_area(text: str) -> AreaThreshold:
    """Return the area in ``400`` (square pixels) or ``2%``. Raises ``click.BadParameter``."""
    from segment2inpaint.dataset.formats.annotations import AreaThreshold
    from segment2inpaint.errors import BadOption

    try:
        return AreaThreshold.parse(text)
    except BadOption as error:
        raise click.BadParameter(str(error)) from error


def parse_shard(text: str) -> Shard:
    """Return the shard in ``I/N``. Raises ``click.BadParameter``."""
    from segment2inpaint.dataset.options import Shard
    from segment2inpaint.errors import BadOption

    try:
        return Shard.parse(text)
    except BadOption as error:
        raise click.BadParameter(str(error)) from error


def complete_detector(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Return the detectors, models and files that start with ``incomplete``."""
    from segment2inpaint.detect import DETECTORS
    from segment2inpaint.models import catalogue

    models = [card for card in catalogue.cards() if card.kind == "detector"]
    backends = {card.backend for card in models}
    names = ["auto", *(name for name in DETECTORS if name not in backends)]
    return _complete_name_or_file([*names, *(card.name for card in models)], incomplete)


def complete_inpainter(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Return the inpainters, models and files that start with ``incomplete``."""
    from segment2inpaint.inpaint import INPAINTERS
    from segment2inpaint.models import catalogue

    models = [card.name for card in catalogue.cards() if card.kind == "inpainter"]
    names = ["auto", *(name for name in INPAINTERS if name != "diffusion"), *models]
    return _complete_name_or_file(list(dict.fromkeys(names)), incomplete)


def complete_model(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Return the models of the catalogue and the files that start with ``incomplete``."""
    from segment2inpaint.models import catalogue

    return _complete_name_or_file([card.name for card in catalogue.cards()], incomplete)


def _complete_name_or_file(names: list[str], incomplete: str) -> list[CompletionItem]:
    """Return the names that start with ``incomplete``; the shell lists files if there are none."""
    items = [CompletionItem(name) for name in names if name.startswith(incomplete)]
    return items or [CompletionItem(incomplete, type="file")]
