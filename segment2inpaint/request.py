"""A ``Request`` as plain JSON data, and back: what one run did can be replayed by another."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from typing import Any

import numpy as np

from .types import (
    BadOption,
    Bits,
    Box,
    Color,
    Everything,
    Fill,
    Length,
    OwnMask,
    Picture,
    Plate,
    Point,
    Points,
    Prompt,
    Refine,
    Request,
    Text,
)

KINDS = "points, box, color, plate, text, everything, mask"


def dump(request: Request) -> dict[str, Any]:
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
        "refine": {k: str(v) if isinstance(v, Length) else v for k, v in _shallow(request.refine)},
        "fill": {k: _named(v) if isinstance(v, Picture) else v for k, v in _shallow(request.fill)},
    }


def load(
    data: Mapping[str, Any],
    read_picture: Callable[[str], Picture],
    read_mask: Callable[[str], Bits],
) -> Request:
    """The request that ``dump`` gave; files are read by the functions given.

    Raises ``BadOption`` for a key that is not known.
    """
    _known(data, Request)
    refine, fill = dict(data.get("refine", {})), dict(data.get("fill", {}))
    _known(refine, Refine)
    _known(fill, Fill)
    lengths = {k: Length.parse(refine[k]) for k in ("dilate", "feather") if k in refine}
    if fill.get("picture"):
        fill["picture"] = read_picture(fill["picture"])
    rest = {k: data[k] for k in ("detector", "inpainter", "verify", "attempts") if k in data}
    prompts = tuple(_load_prompt(p, read_picture, read_mask) for p in data["prompts"])
    return Request(prompts, Refine(**{**refine, **lengths}), Fill(**fill), **rest)


def _shallow(options: Refine | Fill) -> list[tuple[str, Any]]:
    return [(f.name, getattr(options, f.name)) for f in fields(options)]


def _known(data: Mapping[str, Any], kind: type[Request] | type[Refine] | type[Fill]) -> None:
    known = [f.name for f in fields(kind)]
    for key in data:
        if key not in known:
            raise BadOption(f"unknown key {key!r} in {kind.__name__}; known: {', '.join(known)}")


def _named(file: Plate | Picture) -> str:
    if not file.source:
        raise BadOption(f"a {type(file).__name__} without a file cannot be written as JSON")
    return file.source


def _dump_prompt(prompt: Prompt) -> dict[str, Any]:
    match prompt:
        case Box():
            return {"box": list(prompt)}
        case Plate():
            return {"plate": _named(prompt)}
        case OwnMask(source=source) if source:
            return {"mask": source}
        case OwnMask():
            return {"mask": runs_of(prompt.bits)}
        case Text(threshold=None, pick=()):
            return {"text": prompt.words}
        case Everything():
            return {"everything": list(prompt.pick)}
    return {type(prompt).__name__.lower(): asdict(prompt)}


def _load_prompt(
    data: Mapping[str, Any],
    read_picture: Callable[[str], Picture],
    read_mask: Callable[[str], Bits],
) -> Prompt:
    ((kind, value),) = data.items()
    match kind:
        case "box":
            return Box(*value)
        case "plate":
            return Plate(read_picture(value).image, value)
        case "mask" if isinstance(value, str):
            return OwnMask(read_mask(value), value)
        case "mask":
            return OwnMask(_bits(value))
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
    raise BadOption(f"unknown prompt {kind!r}; known: {KINDS}")


def _pairs(points: Any) -> tuple[Point, ...]:
    return tuple((int(x), int(y)) for x, y in points)


def runs_of(bits: Bits) -> dict[str, list[int]]:
    """Uncompressed COCO run lengths: column by column, zeros first."""
    flat = np.concatenate([[False], bits.ravel(order="F")])
    starts = np.flatnonzero(np.diff(flat)).tolist()
    edges = [0, *starts, bits.size]
    return {"size": list(bits.shape), "counts": np.diff(edges).tolist()}


def _bits(runs: Mapping[str, list[int]]) -> Bits:
    values = np.arange(len(runs["counts"])) % 2 == 1
    return np.repeat(values, runs["counts"]).reshape(runs["size"], order="F")
