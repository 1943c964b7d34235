"""Fit annotations to a photo that has another size than their file declares for it.

Tools that ignore the EXIF orientation annotate the photo as it is stored, and some annotate a
smaller copy. Their annotations are turned upright and scaled to the photo.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import ceil, floor
from typing import Any

import numpy as np
from PIL import Image as Pillow

from segment2inpaint.dataset.run_types import EditItem, Json
from segment2inpaint.errors import BadDataset
from segment2inpaint.images.pixels import point_to_upright, to_upright
from segment2inpaint.types import BinaryMask

Size = tuple[int, int]
"""Height and width in pixels."""

MAX_SHAPE_DIFFERENCE = 0.02  # of the ratio of width to height, where rounding could explain more
OUTSIDE = 0.02  # of its width or height that an object may reach out of a photo
_DIGITS = 9  # decimal places that are kept, which hides the rounding of floats


@dataclass(frozen=True)
class PhotoFrame:
    """The upright size of a photo, and the EXIF orientation, 1 to 8, of its stored pixels."""

    size: Size
    orientation: int = 1

    @property
    def stored_size(self) -> Size:
        """Height and width of the pixels as the file has them."""
        return self.size[::-1] if self.orientation >= 5 else self.size

    def placement(self, declared: Size) -> Placement:
        """Return how annotations of a photo of the size ``declared`` lie in this photo.

        Raises ``BadDataset`` if the photo has another shape.
        """
        if declared == self.size:
            return Placement(declared, self.size)
        if declared == self.stored_size:
            return Placement(declared, self.size, self.orientation)
        if is_same_shape(declared, self.size):
            return Placement(declared, self.size)
        if is_same_shape(declared, self.stored_size):
            return Placement(declared, self.size, self.orientation)
        raise BadDataset(
            f"annotated as a photo of {_format(declared)}, but the photo has {self}; "
            "expected the same shape, correct the declared size or annotate this photo"
        )

    def fit_mask(self, mask: BinaryMask) -> BinaryMask:
        """Return a mask at the size of the photo. Raises ``BadDataset`` if its shape differs."""
        return self.placement((mask.shape[0], mask.shape[1])).mask(mask)

    def __str__(self) -> str:
        stored = f" (stored as {_format(self.stored_size)})" if self.orientation >= 5 else ""
        return _format(self.size) + stored


@dataclass(frozen=True)
class Placement:
    """A way from the frame of annotations to the photo: turned upright, then scaled.

    ``declared`` is the size of the frame, ``size`` that of the photo, ``orientation`` the EXIF
    orientation of the frame.
    """

    declared: Size
    size: Size
    orientation: int = 1

    @property
    def is_identity(self) -> bool:
        """Return whether the annotations lie in the photo as they are."""
        return self.orientation == 1 and self.declared == self.size

    @property
    def description(self) -> str:
        """Return in a line what is done to the annotations."""
        turned = "turned upright by the photo's EXIF orientation" if self.orientation != 1 else ""
        frame = self.declared[::-1] if self.orientation >= 5 else self.declared
        scaled = f"scaled to the photo's {_format(self.size)}" if frame != self.size else ""
        done = " and ".join(filter(None, (turned, scaled)))
        return f"the annotations of {_format(self.declared)} were {done}"

    def point(self, x: float, y: float) -> tuple[float, float]:
        """Return a point of the frame in pixels of the photo; 0, 0 is a corner of a pixel."""
        height, width = self.declared
        u, v = point_to_upright(x / width, y / height, self.orientation)
        return round(u * self.size[1], _DIGITS), round(v * self.size[0], _DIGITS)

    def mask(self, mask: BinaryMask) -> BinaryMask:
        """Return a mask of the frame as one of the photo."""
        mask = to_upright(mask, self.orientation)
        if mask.shape == self.size:
            return mask
        picture = Pillow.fromarray(mask.astype(np.uint8) * 255)
        scaled = picture.resize(self.size[::-1], Pillow.Resampling.BILINEAR)
        return np.asarray(scaled) > 127

    def check_inside(self, prompt: Json) -> None:
        """Raise ``BadDataset`` if a box, outline or click lies outside of the frame."""
        height, width = self.declared
        for x, y in _coordinates(prompt):
            slack_x, slack_y = 1 + OUTSIDE * width, 1 + OUTSIDE * height
            if not (-slack_x <= x <= width + slack_x and -slack_y <= y <= height + slack_y):
                raise BadDataset(
                    f"annotated as a photo of {_format(self.declared)}, but the object reaches to "
                    f"{x:g},{y:g}; the photo has {_format(self.size)}, correct the declared size"
                )

    def prompt(self, prompt: Json) -> Json:
        """Return a prompt with its coordinates in the photo; other prompts as they are.

        Masks are fitted when they are loaded, since they have a size of their own.
        """
        ((kind, value),) = prompt.items()
        match kind:
            case "box":
                return {"box": self._box(value)}
            case "polygons":
                return {"polygons": [self._polygon(polygon) for polygon in value]}
            case "points":
                return {"points": {name: self._pixels(name, part) for name, part in value.items()}}
            case "relative":
                return {"relative": self._relative(value)}
        return prompt

    def _box(self, box: list[int]) -> list[int]:
        x0, y0, x1, y1 = self._corners(box)
        return [floor(x0), floor(y0), ceil(x1), ceil(y1)]

    def _corners(self, box: Sequence[float]) -> list[float]:
        corners = self.point(box[0], box[1]), self.point(box[2], box[3])
        (x0, x1), (y0, y1) = (sorted(values) for values in zip(*corners, strict=True))
        return [x0, y0, x1, y1]

    def _polygon(self, flat: list[float]) -> list[float]:
        pairs = zip(flat[::2], flat[1::2], strict=True)
        return [value for x, y in pairs for value in self.point(x, y)]

    def _pixels(self, name: str, pixels: Any) -> Any:
        """Return the pixels that lie at these pixels of the frame; other values as they are."""
        if name not in ("include", "exclude"):
            return pixels
        points = [self.point(x + 0.5, y + 0.5) for x, y in pixels]
        height, width = self.size
        return [[min(floor(x), width - 1), min(floor(y), height - 1)] for x, y in points]

    def _relative(self, prompt: Json) -> Json:
        """Return a prompt in fractions of width and height, which scaling does not change."""
        unit = Placement((1, 1), (1, 1), self.orientation)
        if "box" in prompt:
            return {"box": unit._corners(prompt["box"])}
        return unit.prompt(prompt)


def fit_item(item: EditItem, frame: PhotoFrame, on_message: Callable[[str], None]) -> EditItem:
    """Return an item with its prompts in pixels of the photo.

    ``on_message`` gets a line if they had to be turned or scaled. Raises ``BadDataset`` if the
    photo has another shape than the annotations declare, or if they lie outside of that size.
    """
    if item.request is None or item.photo_size is None:
        return item
    placement = frame.placement(item.photo_size)
    if placement.is_identity:
        return item
    for prompt in item.request["prompts"]:
        placement.check_inside(prompt)
    on_message(placement.description)
    prompts = [placement.prompt(prompt) for prompt in item.request["prompts"]]
    return replace(item, request={**item.request, "prompts": prompts})


def _coordinates(prompt: Json) -> list[tuple[float, float]]:
    """Return the points, (x, y), that a prompt has in pixels of its frame."""
    if "box" in prompt:
        flat = list(prompt["box"])
    elif "polygons" in prompt:
        flat = [value for polygon in prompt["polygons"] for value in polygon]
    elif "points" in prompt:
        clicks = (prompt["points"].get(name, ()) for name in ("include", "exclude"))
        flat = [value for part in clicks for point in part for value in point]
    else:
        return []
    return list(zip(flat[::2], flat[1::2], strict=True))


def is_same_shape(size: Size, other: Size) -> bool:
    """Return whether two sizes have one ratio of width to height, within rounding to pixels."""
    (h, w), (height, width) = size, other
    rounding = max(h + w, height + width)
    tolerance = min(rounding, MAX_SHAPE_DIFFERENCE * max(w * height, h * width))
    return abs(w * height - h * width) <= tolerance


def _format(size: Size) -> str:
    return f"{size[1]}x{size[0]}"
