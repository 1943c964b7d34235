"""Prompts as detectors want them: checked, grouped by object, or as limits of a search."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from segment2inpaint.errors import BadPrompt
from segment2inpaint.masks import components_at
from segment2inpaint.networks.click import ObjectPrompt
from segment2inpaint.types import (
    BinaryMask,
    Box,
    CleanPlate,
    Color,
    Everything,
    Point,
    Points,
    Prompt,
    Text,
    UserMask,
)

T = TypeVar("T")

KINDS: dict[type, str] = {
    Points: "points",
    Box: "boxes",
    Color: "colors",
    CleanPlate: "a clean plate",
    Text: "text",
    Everything: "everything",
    UserMask: "masks",
}


def accept(
    name: str, prompt_types: tuple[type, ...], prompts: Sequence[Prompt], size: tuple[int, int]
) -> tuple[Prompt, ...]:
    """The prompts, checked, for the detector ``name`` on a photo of ``size`` (h, w).

    Raises ``BadPrompt`` if there are none, for a kind that is not in ``prompt_types``, and as
    ``check`` does.
    """
    wants = " and ".join(KINDS[kind] for kind in prompt_types)
    if not prompts:
        raise BadPrompt(f"{name}: no prompt given, it takes {wants}")
    for prompt in prompts:
        if not isinstance(prompt, prompt_types):
            raise BadPrompt(f"{name}: cannot use {KINDS[type(prompt)]}, it takes {wants}")
    return check(prompts, size)


def check(prompts: Sequence[Prompt], size: tuple[int, int]) -> tuple[Prompt, ...]:
    """The prompts with each box's ends in order and clipped to a photo of ``size`` (h, w).

    Raises ``BadPrompt`` for a point outside the photo, a point both on and beside the object,
    a box without area in the photo, a mask or clean plate of another size than the photo.
    """
    for prompt in prompts:
        if isinstance(prompt, UserMask | CleanPlate):
            _check_size(prompt, size)
    checked = tuple(_box(p, size) if isinstance(p, Box) else p for p in prompts)
    include, exclude = points_of(checked)
    colors = [p.at for p in checked if isinstance(p, Color) and p.at is not None]
    for x, y in [*include, *exclude, *colors]:
        if not (0 <= x < size[1] and 0 <= y < size[0]):
            raise BadPrompt(f"point {x},{y} is outside the photo of {_text(size)}")
    for x, y in sorted(set(include) & set(exclude)):
        raise BadPrompt(f"point {x},{y} is given both as on the object and as beside it")
    return checked


def targets(prompts: Sequence[Prompt]) -> list[ObjectPrompt]:
    """The objects that points and boxes mean, boxes first; other kinds are passed over.

    A ``Points`` whose include points all lie in one box refines that box's object (the
    smallest such box). One without include points belongs to every object.
    """
    boxes = [p for p in prompts if isinstance(p, Box)]
    points = [p for p in prompts if isinstance(p, Points)]
    inside: dict[int, list[Points]] = {i: [] for i in range(len(boxes))}
    alone: list[Points] = []
    for p in points:
        holders = [i for i, box in enumerate(boxes) if all(map(box.contains, p.include))]
        if p.include and holders:
            inside[min(holders, key=lambda i: boxes[i].width * boxes[i].height)].append(p)
        elif p.include:
            alone.append(p)
    shared = [p for p in points if not p.include]
    found = [_target([*inside[i], *shared], box) for i, box in enumerate(boxes)]
    return found + [_target([p, *shared], None) for p in alone]


def picked(found: Sequence[T], pick: Sequence[int]) -> list[T]:
    """Those with the numbers ``pick``, from 1 and in the order found; all for no number.

    Raises ``BadPrompt`` for a number that nothing has.
    """
    for number in pick:
        if not 1 <= number <= len(found):
            raise BadPrompt(f"pick {number}: there are {len(found)}, numbered from 1")
    return [thing for i, thing in enumerate(found, 1) if i in pick or not pick]


def points_of(prompts: Sequence[Prompt]) -> tuple[list[Point], list[Point]]:
    """All include points and all exclude points."""
    points = [p for p in prompts if isinstance(p, Points)]
    return [q for p in points for q in p.include], [q for p in points for q in p.exclude]


def limit(bits: BinaryMask, prompts: Sequence[Prompt]) -> BinaryMask:
    """What points and boxes leave of a mask, (H, W) bool.

    Only what lies in a box, only the 8-connected components that hold an include point, none
    that holds an exclude point.
    """
    boxes = [p for p in prompts if isinstance(p, Box)]
    include, exclude = points_of(prompts)
    if boxes:
        inside = np.zeros_like(bits)
        for box in boxes:
            inside[box.slices] = bits[box.slices]
        bits = inside
    return components_at(bits, include, exclude) if include or exclude else bits


def _target(points: Sequence[Points], box: Box | None) -> ObjectPrompt:
    include, exclude = points_of(points)
    sizes = [p.granularity for p in points if p.granularity != "auto"]
    return ObjectPrompt(tuple(include), tuple(exclude), box, sizes[0] if sizes else "auto")


def _box(box: Box, size: tuple[int, int]) -> Box:
    x0, x1 = sorted((box.x0, box.x1))
    y0, y1 = sorted((box.y0, box.y1))
    if x0 == x1 or y0 == y1:
        raise BadPrompt(f"box {_ends(box)} has no area, give X0,Y0,X1,Y1")
    clipped = Box(max(x0, 0), max(y0, 0), min(x1, size[1]), min(y1, size[0]))
    if clipped.width <= 0 or clipped.height <= 0:
        raise BadPrompt(f"box {_ends(box)} is outside the photo of {_text(size)}")
    return clipped


def _ends(box: Box) -> str:
    return ",".join(map(str, box))


def _check_size(prompt: UserMask | CleanPlate, size: tuple[int, int]) -> None:
    if isinstance(prompt, UserMask):
        kind, shape = "mask", prompt.mask.shape
    else:
        kind, shape = "clean plate", prompt.image.shape[:2]
    if shape != size:
        name = f"{kind} {prompt.source}".strip()
        raise BadPrompt(f"{name}: expected the photo's size {_text(size)}, got {_text(shape)}")


def _text(size: tuple[int, int]) -> str:
    return f"{size[1]} x {size[0]} px"
