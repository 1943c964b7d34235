"""Requests as JSON, and the one place that validates them: one run writes, another replays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from math import inf
from numbers import Integral, Real
from typing import Any, get_args

import numpy as np

from segment2inpaint.backgrounds import check_background
from segment2inpaint.errors import BadOption, BadPrompt
from segment2inpaint.placements import check_placement, placement_from_json, placement_to_json
from segment2inpaint.types import (
    Alpha,
    BinaryMask,
    Box,
    CleanPlate,
    Color,
    Everything,
    Fill,
    Find,
    FindKind,
    Granularity,
    Length,
    PictureFit,
    PicturePlacement,
    Point,
    Points,
    Prompt,
    Refine,
    ReplacementImage,
    Request,
    Text,
    UserMask,
)

PROMPT_TYPES = get_args(Prompt)
PROMPT_KEYS = "points, box, color, plate, text, everything, find, mask"

# Kind, minimum and maximum of each number. JavaScript represents seeds up to 2**53 - 1 exactly.
RANGES: dict[str, tuple[type, float, float]] = {
    "num_inference_steps": (Integral, 1, 10_000),
    "guidance_scale": (Real, 0, 1000),
    "strength": (Real, 0.001, 1),
    "seed": (Integral, 0, 2**53 - 1),
    "padding_mask_crop": (Integral, 0, inf),
    "candidates": (Integral, 1, 64),
    "attempts": (Integral, 1, inf),
    "scale": (Real, 0.01, 100),
    "angle": (Real, -360, 360),
    "blend": (Real, 0, 1),
}
BOOLEANS = {"fill_holes", "invert", "edge_refine", "shadow", "verify", "picture_cutout", "flip",
            "contact_shadow"}  # fmt: skip
STRINGS = "prompt", "negative_prompt", "detector", "inpainter", "background"
LENGTHS = "dilate", "feather"
UNSET_OPTIONS = "picture_fit", "background", "picture_placement", "picture_cutout"
OPTIONAL = {f.name for f in fields(Fill) if f.default is None} | {"shadow"}  # may be None


def to_json(request: Request) -> dict[str, Any]:
    """Return the request as JSON data.

    Files are written by name, a user's mask without one as uncompressed COCO run lengths. Raises
    ``BadOption`` for a clean plate, a picture or a soft mask that has no file.
    """
    return {
        "detector": request.detector,
        "inpainter": request.inpainter,
        "verify": request.verify,
        "attempts": request.attempts,
        "prompts": [_prompt_to_json(prompt) for prompt in request.prompts],
        "refine": _refine_to_json(request.refine),
        "fill": _fill_to_json(request.fill),
    }


def from_json(
    data: Mapping[str, Any],
    read_picture: Callable[[str], ReplacementImage],
    read_mask: Callable[[str], BinaryMask | Alpha],
) -> Request:
    """Return the request that ``to_json`` wrote; the callbacks read the files that it names.

    ``read_mask`` returns bool values, or float values in [0, 1] of a soft mask. Raises
    ``BadOption`` for data that are not a request, and the errors of ``validate``.
    """
    try:
        request = _parse(data, read_picture, read_mask)
    except (AttributeError, LookupError, TypeError, ValueError, OverflowError) as error:
        raise BadOption(f"not a request: {error}") from error
    validate(request)
    return request


def validate(request: Request) -> None:
    """Raise ``BadPrompt`` or ``BadOption`` for a value of a wrong type or out of its range."""
    for prompt in request.prompts:
        _validate_prompt(prompt)
    for area in request.refine.protect:
        if not isinstance(area, Box | UserMask):
            raise BadOption(f"a protected area must be a Box or a UserMask, got {_describe(area)}")
        _validate_prompt(area)
    check_placement(request)
    for options in (request.refine, request.fill, request.fill.picture_placement, request):
        for name, value in _fields(options):
            if value is not None or name not in OPTIONAL:
                _validate_value(name, value)
    if request.fill.fill_color is not None and request.inpainter != "solid":
        raise BadOption(
            f"fill_color needs the inpainter solid, got {request.inpainter}; add --fill solid"
        )
    check_background(request)


def run_lengths(mask: BinaryMask) -> dict[str, list[int]]:
    """Return a mask as uncompressed COCO run lengths: column by column, zeros first."""
    flat = np.concatenate([[False], mask.ravel(order="F")])
    starts = np.flatnonzero(np.diff(flat)).tolist()
    ends = [0, *starts, mask.size]
    return {"size": list(mask.shape), "counts": np.diff(ends).tolist()}


# --- to JSON ----------------------------------------------------------------------------------


def _fields(options: Refine | Fill | PicturePlacement | Request) -> list[tuple[str, Any]]:
    return [(f.name, getattr(options, f.name)) for f in fields(options)]


def _value_to_json(value: Any) -> Any:
    if isinstance(value, Length):
        return str(value)
    return _file_of(value) if isinstance(value, ReplacementImage) else value


def _refine_to_json(refine: Refine) -> dict[str, Any]:
    """Return the options as JSON; ``protect`` only if there is a protected area."""
    data = {name: _value_to_json(value) for name, value in _fields(refine)}
    areas = [_prompt_to_json(area) for area in data.pop("protect")]
    return {**data, "protect": areas} if areas else data


def _fill_to_json(fill: Fill) -> dict[str, Any]:
    """Return the options as JSON; those of a background and of a placement only if set."""
    data = {name: _value_to_json(value) for name, value in _fields(fill)}
    data["picture_placement"] = placement_to_json(fill.picture_placement)
    return {name: v for name, v in data.items() if v or name not in UNSET_OPTIONS}


def _file_of(picture: CleanPlate | ReplacementImage) -> str:
    if not picture.source:
        raise BadOption(f"a {type(picture).__name__} without a file cannot be written as JSON")
    return picture.source


def _prompt_to_json(prompt: Prompt) -> dict[str, Any]:
    match prompt:
        case Box():
            return {"box": list(prompt)}
        case CleanPlate():
            return {"plate": _file_of(prompt)}
        case UserMask(source=source) if source:
            return {"mask": source}
        case UserMask(alpha=None):
            return {"mask": run_lengths(prompt.mask)}
        case UserMask():
            raise BadOption("a soft mask without a file cannot be written as JSON")
        case Text(threshold=None, pick=()):
            return {"text": prompt.words}
        case Everything():
            return {"everything": list(prompt.pick)}
        case Find():
            options = {k: v for k, v in asdict(prompt).items() if v not in (None, (), 0)}
            return {"find": prompt.kind if len(options) == 1 else options}
        case Points():
            return {"points": asdict(prompt)}
        case Color():
            return {"color": asdict(prompt)}
        case Text():
            return {"text": asdict(prompt)}


# --- from JSON --------------------------------------------------------------------------------


def _parse(
    data: Mapping[str, Any],
    read_picture: Callable[[str], ReplacementImage],
    read_mask: Callable[[str], BinaryMask | Alpha],
) -> Request:
    if "prompts" not in data:
        raise BadOption("not a request: it has no prompts")
    _check_keys(data, Request)
    refine, fill = dict(data.get("refine", {})), dict(data.get("fill", {}))
    _check_keys(refine, Refine)
    _check_keys(fill, Fill)
    refine.update({name: _length(name, refine[name]) for name in LENGTHS if name in refine})
    if areas := refine.pop("protect", ()):
        refine["protect"] = tuple(_parse_prompt(a, read_picture, read_mask) for a in areas)
    if fill.get("picture"):
        fill["picture"] = read_picture(fill["picture"])
    fill["picture_placement"] = placement_from_json(fill.get("picture_placement"))
    if fill.get("fill_color") is not None:
        fill["fill_color"] = tuple(fill["fill_color"])
    rest = {k: data[k] for k in ("detector", "inpainter", "verify", "attempts") if k in data}
    prompts = tuple(_parse_prompt(p, read_picture, read_mask) for p in data["prompts"])
    return Request(prompts, Refine(**refine), Fill(**fill), **rest)


def _check_keys(data: Mapping[str, Any], kind: type[Request] | type[Refine] | type[Fill]) -> None:
    known = [f.name for f in fields(kind)]
    for key in data:
        if key not in known:
            raise BadOption(f"unknown key {key!r} in {kind.__name__}; known: {', '.join(known)}")


def _length(name: str, value: Any) -> Length:
    if not isinstance(value, str):
        raise BadOption(f'{name} must be a text such as "12px", got {value!r}')
    return Length.parse(value)


def _parse_prompt(
    data: Mapping[str, Any],
    read_picture: Callable[[str], ReplacementImage],
    read_mask: Callable[[str], BinaryMask | Alpha],
) -> Prompt:
    if not isinstance(data, Mapping) or len(data) != 1:
        raise BadOption(f"a prompt has one key of {PROMPT_KEYS} and its value, got {data!r:.60}")
    ((key, value),) = data.items()
    match key:
        case "box":
            return _parse_box(value)
        case "plate":
            return CleanPlate(read_picture(value).image, value)
        case "mask" if isinstance(value, str):
            return UserMask.from_values(read_mask(value), value)
        case "mask":
            return UserMask(_mask_from_run_lengths(value))
        case "text" if isinstance(value, str):
            return Text(value)
        case "text":
            return Text(**{**value, "pick": tuple(value.get("pick", ()))})
        case "everything":
            return Everything(tuple(value))
        case "find":
            return _parse_find({"kind": value} if isinstance(value, str) else value)
        case "points":
            clicks = {
                name: _points(value[name]) for name in ("include", "exclude") if name in value
            }
            return Points(**{**value, **clicks})
        case "color":
            tuples = {name: tuple(value[name]) for name in ("at", "rgb") if value.get(name)}
            return Color(**{**value, **tuples})
    raise BadOption(f"unknown prompt {key!r}; known: {PROMPT_KEYS}")


def _parse_find(data: Mapping[str, Any]) -> Find:
    options: dict[str, Any] = {**data, "pick": tuple(data.get("pick", ()))}
    if data.get("within") is not None:
        options["within"] = _parse_box(data["within"])
    excluded = data.get("exclude", ())
    options["exclude"] = tuple(e if isinstance(e, int) else _parse_box(e) for e in excluded)
    return Find(**options)


def _parse_box(value: Any) -> Box:
    if len(value) != 4:
        raise BadOption(f"a box is x0, y0, x1, y1, got {value!r:.60}")
    return Box(*map(int, value))


def _points(points: Any) -> tuple[Point, ...]:
    if not all(len(point) == 2 for point in points):
        raise BadOption(f"each point is x, y, got {points!r:.60}")
    return tuple((int(x), int(y)) for x, y in points)


def _mask_from_run_lengths(runs: Mapping[str, list[int]]) -> BinaryMask:
    values = np.arange(len(runs["counts"])) % 2 == 1
    return np.repeat(values, runs["counts"]).reshape(runs["size"], order="F")


# --- validation -------------------------------------------------------------------------------


def _validate_value(name: str, value: Any) -> None:
    expected = ""
    if name == "picture_fit" and value not in get_args(PictureFit):
        expected = f"one of {', '.join(get_args(PictureFit))}"
    if name in LENGTHS and not isinstance(value, Length):
        expected = 'a Length, such as Length.parse("12px")'
    elif name in BOOLEANS and not isinstance(value, bool):
        expected = "true or false"
    elif name in STRINGS and not isinstance(value, str):
        expected = "text"
    elif name == "fill_color" and not _is_rgb(value):
        expected = "red, green, blue from 0 to 255"
    elif name in RANGES and not _is_number(value, *RANGES[name]):
        kind, low, high = RANGES[name]
        number = "a whole number" if kind is Integral else "a number"
        expected = f"{number} from {low:g}" + (f" to {high:g}" if high < 1e6 else "")
    if expected:
        raise BadOption(f"{name} must be {expected}, got {value!r:.60}")


def _validate_prompt(prompt: Any) -> None:
    expected = ""
    match prompt:
        case Points() if not _are_points((*prompt.include, *prompt.exclude)):
            expected = "points must be tuples (x, y) of whole numbers"
        case Points() if prompt.granularity not in get_args(Granularity):
            expected = f"granularity must be one of {', '.join(get_args(Granularity))}"
        case Box() if not _are_whole_numbers(prompt):
            expected = "a box must have whole numbers x0, y0, x1, y1"
        case Color() if prompt.at is not None and not _are_points((prompt.at,)):
            expected = "the pixel of a colour must be a tuple (x, y) of whole numbers"
        case Color() if prompt.rgb is not None and not _is_rgb(prompt.rgb):
            expected = "a colour must be red, green, blue from 0 to 255"
        case Color() if prompt.tolerance is not None and not _is_number(prompt.tolerance, Real):
            expected = "tolerance must be a number of 0 or more"
        case CleanPlate() if not _is_array(prompt.image, 3, np.uint8):
            expected = "a clean plate must be an (H, W, 3) uint8 array"
        case UserMask() if not _is_array(prompt.mask, 2, np.bool_):
            expected = "a mask must be an (H, W) bool array"
        case UserMask(alpha=alpha) if alpha is not None and not _is_alpha(alpha, prompt.mask.shape):
            expected = "the alpha of a mask must be float32 in [0, 1] and of the mask's size"
        case Text() if not isinstance(prompt.words, str) or not prompt.words.strip():
            expected = "the words of a text prompt must not be empty"
        case Text() if prompt.threshold is not None and not _is_number(
            prompt.threshold, Real, 0, 1
        ):
            expected = "threshold must be a number from 0 to 1"
        case Text() | Everything() | Find() if not _are_whole_numbers(prompt.pick):
            expected = "pick must be whole numbers"
        case Find() if fault := _fault_of_find(prompt):
            expected = fault
        case _ if isinstance(prompt, PROMPT_TYPES):
            return
        case _:
            names = [kind.__name__ for kind in PROMPT_TYPES]
            expected = f"a prompt must be {', '.join(names[:-1])} or {names[-1]}"
    raise BadPrompt(f"{expected}, got {_describe(prompt)}")


def _fault_of_find(prompt: Find) -> str:
    """Return what is expected where a value is invalid, "" if all are valid."""
    places = [place for place in (prompt.within, *prompt.exclude) if place is not None]
    boxes = [place for place in places if not _is_number(place, Integral)]
    if prompt.kind not in get_args(FindKind):
        return f"what to find must be one of {', '.join(get_args(FindKind))}"
    if prompt.threshold is not None and not _is_number(prompt.threshold, Real, 0, 1):
        return "threshold must be a number from 0 to 1"
    if not _is_number(prompt.min_size, Integral):
        return "min_size must be a whole number of 0 or more"
    if not all(isinstance(box, Box) and _are_whole_numbers(box) for box in boxes):
        return "within must be a Box, and exclude boxes or whole numbers"
    return ""


def _describe(prompt: Any) -> str:
    """Return the prompt in a few words; for an array, its shape and dtype."""
    array = getattr(prompt, "mask", getattr(prompt, "image", None))
    if isinstance(array, np.ndarray):
        return f"{array.shape} {array.dtype}"
    return f"{prompt if array is None else array!r:.80}"


def _is_number(value: Any, kind: type, low: float = 0, high: float = inf) -> bool:
    valid = isinstance(value, kind) and not isinstance(value, bool)
    return valid and low <= value <= high and value < inf


def _are_whole_numbers(values: Any) -> bool:
    return all(isinstance(v, Integral) and not isinstance(v, bool) for v in values)


def _are_points(points: Any) -> bool:
    return all(isinstance(p, tuple) and len(p) == 2 and _are_whole_numbers(p) for p in points)


def _is_rgb(value: Any) -> bool:
    return len(value) == 3 and all(_is_number(part, Integral, 0, 255) for part in value)


def _is_array(value: Any, axes: int, dtype: type) -> bool:
    if not isinstance(value, np.ndarray) or value.ndim != axes or value.dtype != dtype:
        return False
    return axes == 2 or value.shape[2] == 3


def _is_alpha(value: Any, size: tuple[int, ...]) -> bool:
    has_form = _is_array(value, 2, np.float32) and value.shape == size
    return has_form and bool(((value >= 0) & (value <= 1)).all())
