"""Windows: crops around the masks, at the model's native size, and their stitching.

This is the idea of diffusers' ``padding_mask_crop`` for every inpainter. A window is resampled to
the model's native area by one uniform scale and stitched back through the alpha, so that no pixel
with alpha 0 is ever written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, reduce
from math import ceil, isqrt, sqrt

import cv2
import numpy as np
from PIL import Image as Pillow

from segment2inpaint.protocols import Crop, InputSpec
from segment2inpaint.types import Alpha, BinaryMask, Box, Image

MIN_PADDING = 32  # photo px on each side
MAX_ASPECT = 2.0  # of a window's sides, if the photo allows it
# Aspect ratios (width / height) of windows for models with a native area. They are few, so that
# crops of several objects have equal sizes and can share a call; rounding a window up to the next
# ratio costs at most a sixth of its area.
ASPECT_RATIOS = (1 / 2, 2 / 3, 4 / 5, 1.0, 5 / 4, 3 / 2, 2.0)
MAX_ENLARGEMENT = 2.0
MIN_ENLARGEMENT = 1.05  # windows that would be enlarged less are not resampled


@dataclass(frozen=True)
class Window:
    """A part of the photo, and how it is resampled for the model.

    ``box`` is resampled to ``size`` (h, w) and edge-padded to ``padded_size`` (h, w); ``offset``
    (y, x) is its place in the padded crop. With ``like_diffusers`` the mask is resampled as
    diffusers does, instead of being pooled to whole pixels and latent cells. The model then sees
    the mask's rim, which is wrong for a mask that was dilated or is soft.
    """

    box: Box
    size: tuple[int, int]
    padded_size: tuple[int, int]
    offset: tuple[int, int] = (0, 0)
    like_diffusers: bool = False

    @property
    def scale(self) -> float:
        """Return the number of model pixels per photo pixel."""
        return sqrt(self.size[0] * self.size[1] / (self.box.width * self.box.height))


def plan(
    boxes: Sequence[Box], size: tuple[int, int], input_spec: InputSpec, padding: int | None = None
) -> list[Window]:
    """Return windows that cover all mask ``boxes`` of a photo of ``size`` (h, w).

    Overlapping windows are joined. ``padding`` is the context on each side in photo px; None means
    ``input_spec.padding_share`` of the mean side of the mask's box, at least 32 px. A window lies
    inside the photo (it is moved at the border, not cut), is at most 2:1 and is enlarged at most
    2x. A model with a native area and a given ``padding`` gets the one window that diffusers'
    ``padding_mask_crop`` would cut.
    """
    mask_boxes = list(boxes)
    if padding is not None and input_spec.area and mask_boxes:
        whole = reduce(Box.union, mask_boxes)
        return [_diffusers_window(whole, size, isqrt(input_spec.area), padding)]
    while True:
        windows = [_window_box(box, size, input_spec, padding) for box in mask_boxes]
        joined = _join_overlapping(mask_boxes, windows)
        if len(joined) == len(mask_boxes):
            return [_window_of(box, input_spec) for box in windows]
        mask_boxes = joined


def _window_box(box: Box, size: tuple[int, int], input_spec: InputSpec, padding: int | None) -> Box:
    """Return the window around the box of one mask."""
    mean = (box.width + box.height) / 2
    pad = max(MIN_PADDING, ceil(input_spec.padding_share * mean)) if padding is None else padding
    height, width = box.height + 2 * pad, box.width + 2 * pad
    height = max(height, ceil(width / MAX_ASPECT), input_spec.min_side)
    width = max(width, ceil(height / MAX_ASPECT), input_spec.min_side)
    if input_spec.area:
        shapes = native_sizes(input_spec.area, input_spec.multiple)
        native = min(shapes, key=lambda s: max(height / s[0], width / s[1]))
        scale = max(height / native[0], width / native[1], 1 / MAX_ENLARGEMENT)
        scale = 1.0 if 1 / MIN_ENLARGEMENT < scale < 1 else scale
        height, width = ceil(native[0] * scale), ceil(native[1] * scale)
    y0, y1 = _center_span(box.y0, box.y1, height, size[0])
    x0, x1 = _center_span(box.x0, box.x1, width, size[1])
    return Box(x0, y0, x1, y1)


@cache
def native_sizes(area: int, multiple: int) -> list[tuple[int, int]]:
    """Return the size (h, w) of at most the native area for each of ``ASPECT_RATIOS``."""

    def side(length: float) -> int:
        return max(1, int(length / multiple)) * multiple

    return [(side(sqrt(area / ratio)), side(sqrt(area * ratio))) for ratio in ASPECT_RATIOS]


def _diffusers_window(box: Box, size: tuple[int, int], side: int, padding: int) -> Window:
    """Return the window that diffusers' ``padding_mask_crop`` cuts for a square model.

    It is a square around the padded box, cut off at the photo's border and then centred.
    """
    padded = box.expand(padding, size)
    length = max(padded.width, padded.height)
    x0, x1 = _grow_span(padded.x0, padded.x1, length, size[1])
    y0, y1 = _grow_span(padded.y0, padded.y1, length, size[0])
    scaled = max(1, side * (y1 - y0) // length), max(1, side * (x1 - x0) // length)
    offset = side // 2 - scaled[0] // 2, side // 2 - scaled[1] // 2
    return Window(Box(x0, y0, x1, y1), scaled, (side, side), offset, like_diffusers=True)


def _grow_span(low: int, high: int, length: int, limit: int) -> tuple[int, int]:
    """Return the span grown to ``length`` and moved into [0, limit), cut off if it is longer."""
    start = low - (length - (high - low)) // 2
    start = max(min(start, limit - length), 0)
    return start, min(start + length, limit)


def _center_span(low: int, high: int, length: int, limit: int) -> tuple[int, int]:
    """Return the span of ``length`` around the centre of [low, high), moved into [0, limit)."""
    length = min(length, limit)
    start = min(max((low + high - length) // 2, 0), limit - length)
    return start, start + length


def _join_overlapping(mask_boxes: Sequence[Box], windows: Sequence[Box]) -> list[Box]:
    """Return the unions of the mask boxes whose windows overlap, directly or through others."""
    remaining = list(range(len(mask_boxes)))
    corners = np.array(windows)  # (N, 4)
    joined = []
    while remaining:
        group, queue = mask_boxes[remaining[0]], [remaining.pop(0)]
        while queue and remaining:
            box, rest = corners[queue.pop()], corners[remaining]
            overlaps = (rest[:, :2] < box[2:]).all(1) & (box[:2] < rest[:, 2:]).all(1)
            neighbours = [i for i, hit in zip(remaining, overlaps, strict=True) if hit]
            remaining = [i for i, hit in zip(remaining, overlaps, strict=True) if not hit]
            queue += neighbours
            for i in neighbours:
                group = group.union(mask_boxes[i])
        joined.append(group)
    return joined


def _window_of(box: Box, input_spec: InputSpec) -> Window:
    """Return the window of a box, scaled to a native size if it fits one, else to the area."""
    multiple, scale = input_spec.multiple, 1.0
    if input_spec.area:
        for high, wide in native_sizes(input_spec.area, multiple):
            scale = min(high / box.height, wide / box.width, MAX_ENLARGEMENT)
            size = round(box.height * scale), round(box.width * scale)
            if high - size[0] < multiple and wide - size[1] < multiple:
                return Window(box, size, (high, wide))
        scale = min(MAX_ENLARGEMENT, sqrt(input_spec.area / (box.width * box.height)))
        scale = 1.0 if 1 <= scale < MIN_ENLARGEMENT else scale
    # at the largest enlargement the sides are rounded down, so that it is not exceeded
    height, width = (
        max(1, int(side * scale + (scale != MAX_ENLARGEMENT) / 2))
        for side in (box.height, box.width)
    )
    padded = ceil(height / multiple) * multiple, ceil(width / multiple) * multiple
    return Window(box, (height, width), padded)


def crop_window(
    image: Image, alpha: Alpha, window: Window, input_spec: InputSpec, seed: int = 0
) -> Crop:
    """Return the crop of a window at the model's size.

    Its mask covers every pixel that will be blended (alpha > 0). It is max-pooled to the latent
    cell, because models sample one mask pixel per cell and would miss the others.
    """
    padding = tuple(
        (offset, whole - offset - part)
        for offset, part, whole in zip(window.offset, window.size, window.padded_size, strict=True)
    )
    resampled = resample(image[window.box.slices], window.size)
    pixels = np.pad(resampled, (*padding, (0, 0)), mode="edge")
    resize = _resample_mask if window.like_diffusers else _pool_mask
    mask = np.pad(resize(alpha[window.box.slices] > 0, window.size), padding, mode="edge")
    if not window.like_diffusers:
        mask = _max_pool(mask, input_spec.mask_cell)
    return Crop(pixels, mask, seed)


def resample(image: Image, size: tuple[int, int]) -> Image:
    """Return the image at another size (h, w), by Lanczos.

    Pillow's Lanczos filters when it reduces; OpenCV's does not.
    """
    if image.shape[:2] == size:
        return image
    picture = Pillow.fromarray(np.ascontiguousarray(image))
    return np.asarray(picture.resize(size[::-1], Pillow.Resampling.LANCZOS))


def _resample_mask(mask: BinaryMask, size: tuple[int, int]) -> BinaryMask:
    """Return the mask at another size (h, w), by Lanczos and a threshold of one half."""
    grey = Pillow.fromarray(mask.astype(np.uint8) * 255)
    resampled: BinaryMask = np.asarray(grey.resize(size[::-1], Pillow.Resampling.LANCZOS)) >= 128
    return resampled


def _pool_mask(mask: BinaryMask, size: tuple[int, int]) -> BinaryMask:
    """Return the mask at another size (h, w): True wherever any of its pixels was True."""
    if mask.shape == size:
        return mask
    method = cv2.INTER_AREA if size[0] < mask.shape[0] else cv2.INTER_LINEAR
    pooled: BinaryMask = cv2.resize(mask.astype(np.float32), size[::-1], interpolation=method) > 0
    return pooled


def _max_pool(mask: BinaryMask, cell: int) -> BinaryMask:
    """Return the mask with each cell x cell block True if any of its pixels is."""
    if cell == 1:
        return mask
    height, width = mask.shape
    blocks = mask.reshape(height // cell, cell, width // cell, cell).any(axis=(1, 3))
    pooled: BinaryMask = blocks.repeat(cell, axis=0).repeat(cell, axis=1)
    return pooled


def stitch(image: Image, alpha: Alpha, window: Window, filled: Image) -> None:
    """Blend ``filled``, of the window's padded size, into ``image``, in place."""
    (y, x), (height, width) = window.offset, window.size
    new = resample(filled[y : y + height, x : x + width], (window.box.height, window.box.width))
    blend(image[window.box.slices], new, alpha[window.box.slices])


def paste_mask(mask: BinaryMask, window: Window) -> BinaryMask:
    """Return a mask of the window's padded size at the size of the window's box in the photo."""
    (y, x), (height, width) = window.offset, window.size
    part = mask[y : y + height, x : x + width].astype(np.float32)
    pasted: BinaryMask = cv2.resize(part, (window.box.width, window.box.height)) > 0.5
    return pasted


def blend(image: Image, new: Image, alpha: Alpha) -> None:
    """Replace ``image`` by image + alpha * (new - image), in place; all have the same size.

    The blend works on sRGB values and rounds once; it writes only pixels with alpha > 0.
    """
    blended = alpha > 0
    old = image[blended].astype(np.float32)
    pixels = old + alpha[blended][:, None] * (new[blended] - old)
    image[blended] = np.rint(pixels).astype(np.uint8)
