"""Check prompts, group points and boxes by object, and limit masks by them."""

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
    Find,
    Point,
    Points,
    Prompt,
    Text,
    UserMask,
)

T = TypeVar("T")

# Prompt type -> how messages call it.
PROMPT_NAMES: dict[type, str] = {
    Points: "points",
    Box: "boxes",
    Color: "colors",
    CleanPlate: "a clean plate",
    Text: "text",
    Everything: "everything",
    Find: "find",
    UserMask: "masks",
}

ONLY_NEGATIVE_POINTS = "only negative points given; add a positive one"


def check_for_detector(
    name: str, prompt_types: tuple[type, ...], prompts: Sequence[Prompt], size: tuple[int, int]
) -> tuple[Prompt, ...]:
    """Return the prompts as ``check_prompts`` does, if the detector ``name`` supports them.

    ``size`` is (height, width) of the photo. Raises ``BadPrompt`` if there are no prompts, for a
    type that is not in ``prompt_types``, and as ``check_prompts`` does.
    """
    supported = " and ".join(PROMPT_NAMES[kind] for kind in prompt_types)
    if not prompts:
        raise BadPrompt(f"{name}: no prompt given; it takes {supported}")
    for prompt in prompts:
        if not isinstance(prompt, prompt_types):
            kind = PROMPT_NAMES[type(prompt)]
            raise BadPrompt(f"{name}: cannot use {kind}, it takes {supported}")
    return check_prompts(prompts, size)


def check_prompts(prompts: Sequence[Prompt], size: tuple[int, int]) -> tuple[Prompt, ...]:
    """Return the prompts with the corners of each box in order and clipped to the photo.

    ``size`` is (height, width) of the photo. Raises ``BadPrompt`` for a point outside the photo,
    a point that is both positive and negative, a box without area in the photo, a mask or clean
    plate of another size than the photo.
    """
    for prompt in prompts:
        if isinstance(prompt, UserMask | CleanPlate):
            _check_size(prompt, size)
    checked = tuple(_clip_box(p, size) if isinstance(p, Box) else p for p in prompts)
    include, exclude = collect_points(checked)
    colors = [p.at for p in checked if isinstance(p, Color) and p.at is not None]
    for x, y in [*include, *exclude, *colors]:
        if not (0 <= x < size[1] and 0 <= y < size[0]):
            raise BadPrompt(f"point {x},{y} is outside the photo of {_format_size(size)}")
    for x, y in sorted(set(include) & set(exclude)):
        raise BadPrompt(f"point {x},{y} is given both as a positive and as a negative point")
    return checked


def object_prompts(prompts: Sequence[Prompt]) -> list[ObjectPrompt]:
    """Return one prompt for each object that points and boxes mean, those with a box first.

    A ``Points`` whose include points all lie in a box refines the object of that box (of the
    smallest such box). A ``Points`` without include points applies to every object. Prompts of
    other types are ignored.
    """
    boxes = [p for p in prompts if isinstance(p, Box)]
    points = [p for p in prompts if isinstance(p, Points)]
    points_of_box: dict[int, list[Points]] = {i: [] for i in range(len(boxes))}
    without_box: list[Points] = []
    for p in points:
        around = [i for i, box in enumerate(boxes) if all(map(box.contains, p.include))]
        if p.include and around:
            smallest = min(around, key=lambda i: boxes[i].width * boxes[i].height)
            points_of_box[smallest].append(p)
        elif p.include:
            without_box.append(p)
    shared = [p for p in points if not p.include]
    objects = [_object_prompt([*points_of_box[i], *shared], box) for i, box in enumerate(boxes)]
    return objects + [_object_prompt([p, *shared], None) for p in without_box]


def pick_by_number(items: Sequence[T], numbers: Sequence[int]) -> list[T]:
    """Return the items with these numbers, counted from 1, in their order; all if none is given.

    Raises ``BadPrompt`` for a number that no item has.
    """
    for number in numbers:
        if not 1 <= number <= len(items):
            raise BadPrompt(f"pick {number}: there are {len(items)} objects, numbered from 1")
    return [item for i, item in enumerate(items, 1) if i in numbers or not numbers]


def collect_points(prompts: Sequence[Prompt]) -> tuple[list[Point], list[Point]]:
    """Return the include points and the exclude points of all ``Points``, each (x, y)."""
    points = [p for p in prompts if isinstance(p, Points)]
    return [q for p in points for q in p.include], [q for p in points for q in p.exclude]


def limit_mask(mask: BinaryMask, prompts: Sequence[Prompt]) -> BinaryMask:
    """Return the part of a mask, (H, W) bool, that points and boxes select.

    That is the part inside the boxes, and of it only the 8-connected components that hold an
    include point (if there are any) and no exclude point.
    """
    boxes = [p for p in prompts if isinstance(p, Box)]
    include, exclude = collect_points(prompts)
    if boxes:
        inside = np.zeros_like(mask)
        for box in boxes:
            inside[box.slices] = mask[box.slices]
        mask = inside
    return components_at(mask, include, exclude) if include or exclude else mask


def _object_prompt(points: Sequence[Points], box: Box | None) -> ObjectPrompt:
    include, exclude = collect_points(points)
    granularities = [p.granularity for p in points if p.granularity != "auto"]
    granularity = granularities[0] if granularities else "auto"
    return ObjectPrompt(tuple(include), tuple(exclude), box, granularity)


def _clip_box(box: Box, size: tuple[int, int]) -> Box:
    x0, x1 = sorted((box.x0, box.x1))
    y0, y1 = sorted((box.y0, box.y1))
    corners = ",".join(map(str, box))
    if x0 == x1 or y0 == y1:
        raise BadPrompt(f"box {corners} has no area; expected X0,Y0,X1,Y1")
    clipped = Box(max(x0, 0), max(y0, 0), min(x1, size[1]), min(y1, size[0]))
    if clipped.width <= 0 or clipped.height <= 0:
        raise BadPrompt(f"box {corners} is outside the photo of {_format_size(size)}")
    return clipped


def _check_size(prompt: UserMask | CleanPlate, size: tuple[int, int]) -> None:
    if isinstance(prompt, UserMask):
        kind, shape = "mask", prompt.mask.shape
    else:
        kind, shape = "clean plate", prompt.image.shape[:2]
    if shape != size:
        name = f"{kind} {prompt.source}".strip()
        expected, got = _format_size(size), _format_size(shape)
        raise BadPrompt(f"{name}: expected the photo's size {expected}, got {got}")


def _format_size(size: tuple[int, int]) -> str:
    return f"{size[1]} x {size[0]} px"
