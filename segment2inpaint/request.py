"""A ``Request`` as plain JSON data, and back, and checked: what one run did another replays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from math import inf
from numbers import Integral, Real
from typing import Any, get_args

import numpy as np

from segment2inpaint.errors import BadOption, BadPrompt
from segment2inpaint.types import (
    BinaryMask,
    Box,
    CleanPlate,
    Color,
    Everything,
    Fill,
    Granularity,
    Length,
    Point,
    Points,
    Prompt,
    Refine,
    ReplacementImage,
    Request,
    Text,
    UserMask,
)

PROMPT_KINDS = "points, box, color, plate, text, everything, mask"

# Of numbers: their kind, and the least and largest. Seeds are whole in JavaScript's numbers too.
RANGES: dict[str, tuple[type, float, float]] = {
    "num_inference_steps": (Integral, 1, 10_000),
    "guidance_scale": (Real, 0, 1000),
    "strength": (Real, 0.001, 1),
    "seed": (Integral, 0, 2**53 - 1),
    "padding_mask_crop": (Integral, 0, inf),
    "candidates": (Integral, 1, 64),
    "attempts": (Integral, 1, inf),
}
BOOLEANS = "fill_holes", "invert", "edge_refine", "shadow", "verify"
STRINGS = "prompt", "negative_prompt", "detector", "inpainter"
OPTIONAL = {f.name for f in fields(Fill) if f.default is None} | {"shadow"}  # may be None


def to_json(request: Request) -> dict[str, Any]:
    """The request as JSON data.

    A plate and a picture are named by their file, an own mask too, or else as uncompressed
    COCO run lengths. Raises ``BadOption`` for a plate or picture that has no file.
    """
    return {
        "detector": request.detector,
        "inpainter": request.inpainter,
        "verify": request.verify,
        "attempts": request.attempts,
        "prompts": [_dump_prompt(p) for p in request.prompts],
        "refine": {k: str(v) if isinstance(v, Length) else v for k, v in _fields(request.refine)},
        "fill": {
            k: _file_of(v) if isinstance(v, ReplacementImage) else v
            for k, v in _fields(request.fill)
        },
    }


def from_json(
    data: Mapping[str, Any],
    read_picture: Callable[[str], ReplacementImage],
    read_mask: Callable[[str], BinaryMask],
) -> Request:
    """The request that ``dump`` gave; files are read by the functions given.

    Raises ``BadOption`` for what is not one, and as ``check`` does.
    """
    try:
        made = _parse(data, read_picture, read_mask)
    except (AttributeError, LookupError, TypeError, ValueError, OverflowError) as error:
        raise BadOption(f"not a request: {error}") from error
    check(made)
    return made


def check(request: Request) -> None:
    """Raise ``BadPrompt`` or ``BadOption`` for a value of a wrong kind or out of its range."""
    for prompt in request.prompts:
        _check_prompt(prompt)
    for options in (request.refine, request.fill, request):
        for name, value in _fields(options):
            if value is not None or name not in OPTIONAL:
                _check_value(name, value)


def _parse(
    data: Mapping[str, Any],
    read_picture: Callable[[str], ReplacementImage],
    read_mask: Callable[[str], BinaryMask],
) -> Request:
    if "prompts" not in data:
        raise BadOption("not a request: it has no prompts")
    _check_keys(data, Request)
    refine, fill = dict(data.get("refine", {})), dict(data.get("fill", {}))
    _check_keys(refine, Refine)
    _check_keys(fill, Fill)
    lengths = {k: _length(k, refine[k]) for k in ("dilate", "feather") if k in refine}
    if fill.get("picture"):
        fill["picture"] = read_picture(fill["picture"])
    rest = {k: data[k] for k in ("detector", "inpainter", "verify", "attempts") if k in data}
    prompts = tuple(_load_prompt(p, read_picture, read_mask) for p in data["prompts"])
    return Request(prompts, Refine(**{**refine, **lengths}), Fill(**fill), **rest)


def _length(name: str, value: Any) -> Length:
    if not isinstance(value, str):
        raise BadOption(f'{name} must be a text such as "12px", got {value!r}')
    return Length.parse(value)


def _fields(options: Refine | Fill | Request) -> list[tuple[str, Any]]:
    return [(f.name, getattr(options, f.name)) for f in fields(options)]


def _check_keys(data: Mapping[str, Any], kind: type[Request] | type[Refine] | type[Fill]) -> None:
    known = [f.name for f in fields(kind)]
    for key in data:
        if key not in known:
            raise BadOption(f"unknown key {key!r} in {kind.__name__}; known: {', '.join(known)}")


def _file_of(file: CleanPlate | ReplacementImage) -> str:
    if not file.source:
        raise BadOption(f"a {type(file).__name__} without a file cannot be written as JSON")
    return file.source


def _dump_prompt(prompt: Prompt) -> dict[str, Any]:
    match prompt:
        case Box():
            return {"box": list(prompt)}
        case CleanPlate():
            return {"plate": _file_of(prompt)}
        case UserMask(source=source) if source:
            return {"mask": source}
        case UserMask():
            return {"mask": run_lengths(prompt.mask)}
        case Text(threshold=None, pick=()):
            return {"text": prompt.words}
        case Everything():
            return {"everything": list(prompt.pick)}
    return {type(prompt).__name__.lower(): asdict(prompt)}


def _load_prompt(
    data: Mapping[str, Any],
    read_picture: Callable[[str], ReplacementImage],
    read_mask: Callable[[str], BinaryMask],
) -> Prompt:
    if not isinstance(data, Mapping) or len(data) != 1:
        raise BadOption(f"a prompt is one of {PROMPT_KINDS} with its value, got {data!r:.60}")
    ((kind, value),) = data.items()
    match kind:
        case "box" if len(value) != 4:
            raise BadOption(f"a box is x0, y0, x1, y1, got {value!r:.60}")
        case "box":
            return Box(*map(int, value))
        case "plate":
            return CleanPlate(read_picture(value).image, value)
        case "mask" if isinstance(value, str):
            return UserMask(read_mask(value), value)
        case "mask":
            return UserMask(_mask_from_run_lengths(value))
        case "text" if isinstance(value, str):
            return Text(value)
        case "text":
            return Text(**{**value, "pick": tuple(value.get("pick", ()))})
        case "everything":
            return Everything(tuple(value))
        case "points":
            ends = {k: _pairs(value[k]) for k in ("include", "exclude") if k in value}
            return Points(**{**value, **ends})
        case "color":
            pairs = {k: tuple(value[k]) for k in ("at", "rgb") if value.get(k)}
            return Color(**{**value, **pairs})
    raise BadOption(f"unknown prompt {kind!r}; known: {PROMPT_KINDS}")


def _pairs(points: Any) -> tuple[Point, ...]:
    if not all(len(point) == 2 for point in points):
        raise BadOption(f"points are x, y each, got {points!r:.60}")
    return tuple((int(x), int(y)) for x, y in points)


def run_lengths(bits: BinaryMask) -> dict[str, list[int]]:
    """Uncompressed COCO run lengths: column by column, zeros first."""
    flat = np.concatenate([[False], bits.ravel(order="F")])
    starts = np.flatnonzero(np.diff(flat)).tolist()
    edges = [0, *starts, bits.size]
    return {"size": list(bits.shape), "counts": np.diff(edges).tolist()}


def _mask_from_run_lengths(runs: Mapping[str, list[int]]) -> BinaryMask:
    values = np.arange(len(runs["counts"])) % 2 == 1
    return np.repeat(values, runs["counts"]).reshape(runs["size"], order="F")


# --- checks -----------------------------------------------------------------------------------


def _check_value(name: str, value: Any) -> None:
    expected = ""
    if name in ("dilate", "feather") and not isinstance(value, Length):
        expected = 'a Length, such as Length.parse("12px")'
    elif name in BOOLEANS and not isinstance(value, bool):
        expected = "true or false"
    elif name in STRINGS and not isinstance(value, str):
        expected = "text"
    elif name in RANGES and not _is_number(value, *RANGES[name]):
        kind, low, high = RANGES[name]
        what = "a whole number" if kind is Integral else "a number"
        expected = f"{what} from {low:g}" + (f" to {high:g}" if high < 1e6 else "")
    if expected:
        raise BadOption(f"{name} must be {expected}, got {value!r:.60}")


def _check_prompt(prompt: Any) -> None:
    expected = ""
    match prompt:
        case Points() if not _are_points((*prompt.include, *prompt.exclude)):
            expected = "points must be tuples (x, y) of whole numbers"
        case Points() if prompt.granularity not in get_args(Granularity):
            expected = f"granularity must be one of {', '.join(get_args(Granularity))}"
        case Box() if not _are_whole(prompt):
            expected = "a box must have whole numbers x0, y0, x1, y1"
        case Color() if prompt.at is not None and not _are_points((prompt.at,)):
            expected = "a colour's place must be a tuple (x, y) of whole numbers"
        case Color() if prompt.rgb is not None and not _is_rgb(prompt.rgb):
            expected = "a colour must be red, green, blue from 0 to 255"
        case Color() if prompt.tolerance is not None and not _is_number(prompt.tolerance, Real):
            expected = "tolerance must be a number from 0"
        case CleanPlate() if not _is_array(prompt.image, 3, np.uint8):
            expected = "a plate must be an (H, W, 3) uint8 array"
        case UserMask() if not _is_array(prompt.mask, 2, np.bool_):
            expected = "a mask must be an (H, W) bool array"
        case Text() if not isinstance(prompt.words, str) or not prompt.words.strip():
            expected = "words must not be empty"
        case Text() if prompt.threshold is not None and not _is_number(
            prompt.threshold, Real, 0, 1
        ):
            expected = "threshold must be a number from 0 to 1"
        case Text() | Everything() if not _are_whole(prompt.pick):
            expected = "pick must be whole numbers"
        case Points() | Box() | Color() | CleanPlate() | UserMask() | Text() | Everything():
            return
        case _:
            expected = (
                "a prompt must be Points, Box, Color, CleanPlate, Text, Everything or UserMask"
            )
    if expected:
        raise BadPrompt(f"{expected}, got {_describe(prompt)}")


def _describe(prompt: Any) -> str:
    """A prompt in a few words; of an array its shape and kind of numbers."""
    array = getattr(prompt, "mask", getattr(prompt, "image", None))
    if isinstance(array, np.ndarray):
        return f"{array.shape} {array.dtype}"
    return f"{prompt if array is None else array!r:.80}"


def _is_number(value: Any, kind: type, low: float = 0, high: float = inf) -> bool:
    sound = isinstance(value, kind) and not isinstance(value, bool)
    return sound and low <= value <= high and value < inf


def _are_whole(values: Any) -> bool:
    return all(isinstance(v, Integral) and not isinstance(v, bool) for v in values)


def _are_points(points: Any) -> bool:
    return all(isinstance(p, tuple) and len(p) == 2 and _are_whole(p) for p in points)


def _is_rgb(value: Any) -> bool:
    return len(value) == 3 and all(_is_number(part, Integral, 0, 255) for part in value)


def _is_array(value: Any, axes: int, kind: type) -> bool:
    if not isinstance(value, np.ndarray) or value.ndim != axes or value.dtype != kind:
        return False
    return axes == 2 or value.shape[2] == 3
