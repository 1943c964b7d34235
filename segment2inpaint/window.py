"""Crop planning and stitching: the inpainter sees an object's surroundings, and no more.

The idea of diffusers' ``padding_mask_crop``, for every inpainter: a window round each mask,
resampled to the model's native area by one uniform scale, and stitched back through the alpha,
so that no pixel with alpha 0 is ever written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, reduce
from math import ceil, isqrt, sqrt

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from segment2inpaint.protocols import Crop, InputSpec
from segment2inpaint.types import Alpha, BinaryMask, Box, Image, ReplacementImage, bounding_box

LEAST_PADDING = 32  # photo px each side
ASPECT = 2.0  # of a window, at most, where the photo allows it
# Width to height of the shapes that windows of models with a native area have: few, so that
# crops of several objects agree in size and can share a call; none costs more than a sixth.
RATIOS = (1 / 2, 2 / 3, 4 / 5, 1.0, 5 / 4, 3 / 2, 2.0)
ENLARGE = 2.0  # at most
NEARLY_ONE = 1.05  # an enlargement below this is not worth resampling for


@dataclass(frozen=True)
class Window:
    """``box`` of the photo, resampled to ``size`` (h, w), edge-padded to ``padded`` (h, w).

    ``at`` is where in the padded crop (y, x) it lies. ``exact``: the mask is not enlarged to
    whole pixels and latent cells, but sampled as diffusers does.
    """

    box: Box
    size: tuple[int, int]
    padded_size: tuple[int, int]
    offset: tuple[int, int] = (0, 0)
    exact: bool = False

    @property
    def scale(self) -> float:
        """Model pixels per photo pixel."""
        return sqrt(self.size[0] * self.size[1] / (self.box.width * self.box.height))


def plan(
    boxes: Sequence[Box], size: tuple[int, int], input_spec: InputSpec, padding: int | None = None
) -> list[Window]:
    """Windows that cover all ``boxes`` of a photo of ``size`` (h, w), joined where they overlap.

    ``padding`` is the context each side in photo px, None: ``input_spec.padding`` of the mean side
    of the mask's box, at least 32 px. Windows lie inside the photo, are shifted rather than
    cut at its borders, at most 2:1, and enlarged at most 2x. A model with a native area that is
    given a ``padding`` has the one window that diffusers' ``padding_mask_crop`` would have.
    """
    masks = list(boxes)
    if padding is not None and input_spec.area and masks:
        return [_as_diffusers(reduce(Box.union, masks), size, isqrt(input_spec.area), padding)]
    while True:
        windows = [_frame(box, size, input_spec, padding) for box in masks]
        joined = _join(masks, windows)
        if len(joined) == len(masks):
            return [_scaled(box, input_spec) for box in windows]
        masks = joined


def _frame(box: Box, size: tuple[int, int], input_spec: InputSpec, padding: int | None) -> Box:
    """The window round one mask's box."""
    mean = (box.width + box.height) / 2
    pad = max(LEAST_PADDING, ceil(input_spec.padding * mean)) if padding is None else padding
    height, width = box.height + 2 * pad, box.width + 2 * pad
    height = max(height, ceil(width / ASPECT), input_spec.min_side)
    width = max(width, ceil(height / ASPECT), input_spec.min_side)
    if input_spec.area:
        shapes = _shapes(input_spec.area, input_spec.multiple)
        high, wide = min(shapes, key=lambda s: max(height / s[0], width / s[1]))
        grow = max(height / high, width / wide, 1 / ENLARGE)
        grow = 1.0 if 1 / NEARLY_ONE < grow < 1 else grow
        height, width = ceil(high * grow), ceil(wide * grow)
    y0, y1 = _shifted(box.y0, box.y1, height, size[0])
    x0, x1 = _shifted(box.x0, box.x1, width, size[1])
    return Box(x0, y0, x1, y1)


@cache
def _shapes(area: int, multiple: int) -> list[tuple[int, int]]:
    """Sizes (h, w) of about the native area, never above it, for each of ``RATIOS``."""

    def side(length: float) -> int:
        return max(1, int(length / multiple)) * multiple

    return [(side(sqrt(area / ratio)), side(sqrt(area * ratio))) for ratio in RATIOS]


def _as_diffusers(box: Box, size: tuple[int, int], side: int, padding: int) -> Window:
    """The window that diffusers' ``padding_mask_crop`` cuts for a model of ``side`` x ``side``.

    A square round the padded box, cut off where the photo has no room for it, then centred.
    """
    near = box.grown(padding, size)
    long = max(near.width, near.height)
    x0, x1 = _squared(near.x0, near.x1, long, size[1])
    y0, y1 = _squared(near.y0, near.y1, long, size[0])
    scaled = max(1, side * (y1 - y0) // long), max(1, side * (x1 - x0) // long)
    at = side // 2 - scaled[0] // 2, side // 2 - scaled[1] // 2
    return Window(Box(x0, y0, x1, y1), scaled, (side, side), at, exact=True)


def _squared(low: int, high: int, length: int, limit: int) -> tuple[int, int]:
    """A span grown to ``length``, moved to lie in [0, limit), cut off where it is longer."""
    start = low - (length - (high - low)) // 2
    start = max(min(start, limit - length), 0)
    return start, min(start + length, limit)


def _shifted(low: int, high: int, length: int, limit: int) -> tuple[int, int]:
    """A span of ``length`` centred on [low, high), moved to lie in [0, limit)."""
    length = min(length, limit)
    start = min(max((low + high - length) // 2, 0), limit - length)
    return start, start + length


def _join(masks: Sequence[Box], windows: Sequence[Box]) -> list[Box]:
    """Unite the mask boxes whose windows overlap, directly or through others."""
    left = list(range(len(masks)))
    edges = np.array(windows)  # (N, 4)
    joined = []
    while left:
        group, queue = masks[left[0]], [left.pop(0)]
        while queue and left:
            one, rest = edges[queue.pop()], edges[left]
            meet = (rest[:, :2] < one[2:]).all(1) & (one[:2] < rest[:, 2:]).all(1)
            met = [i for i, hit in zip(left, meet, strict=True) if hit]
            left = [i for i, hit in zip(left, meet, strict=True) if not hit]
            queue += met
            for i in met:
                group = group.union(masks[i])
        joined.append(group)
    return joined


def _scaled(box: Box, input_spec: InputSpec) -> Window:
    scale = 1.0
    if input_spec.area:
        for high, wide in _shapes(input_spec.area, input_spec.multiple):
            scale = min(high / box.height, wide / box.width, ENLARGE)
            fits = round(box.height * scale), round(box.width * scale)
            if high - fits[0] < input_spec.multiple and wide - fits[1] < input_spec.multiple:
                return Window(box, fits, (high, wide))
        scale = min(ENLARGE, sqrt(input_spec.area / (box.width * box.height)))
        scale = 1.0 if 1 <= scale < NEARLY_ONE else scale
    # never rounded up past the bound on enlargement
    height, width = (
        max(1, int(side * scale + (scale != ENLARGE) / 2)) for side in (box.height, box.width)
    )
    up = input_spec.multiple
    return Window(box, (height, width), (ceil(height / up) * up, ceil(width / up) * up))


def crop_window(
    image: Image, alpha: Alpha, window: Window, input_spec: InputSpec, seed: int = 0
) -> Crop:
    """The crop of a window, as the model wants it.

    The mask covers every pixel that will be blended, max-pooled to the latent cell, because
    models sample one mask pixel a cell and would miss the rest.
    """
    pad = tuple(
        (at, whole - at - part)
        for at, part, whole in zip(window.offset, window.size, window.padded_size, strict=True)
    )
    crop = np.pad(resample(image[window.box.slices], window.size), (*pad, (0, 0)), mode="edge")
    sampled = _resample if window.exact else _pool_mask
    bits = np.pad(sampled(alpha[window.box.slices] > 0, window.size), pad, mode="edge")
    return Crop(crop, bits if window.exact else _max_pool(bits, input_spec.mask_cell), seed)


def resample(image: Image, size: tuple[int, int]) -> Image:
    """An image at another size (h, w), by Pillow's Lanczos, which filters when it shrinks."""
    if image.shape[:2] == size:
        return image
    picture = Pillow.fromarray(np.ascontiguousarray(image))
    return np.asarray(picture.resize(size[::-1], Pillow.Resampling.LANCZOS))


def _resample(bits: BinaryMask, size: tuple[int, int]) -> BinaryMask:
    """A mask at another size by Lanczos, cut at one half."""
    grey = Pillow.fromarray(bits.astype(np.uint8) * 255)
    half: BinaryMask = np.asarray(grey.resize(size[::-1], Pillow.Resampling.LANCZOS)) >= 128
    return half


def _pool_mask(bits: BinaryMask, size: tuple[int, int]) -> BinaryMask:
    """A mask at another size that is True wherever any of its pixels was."""
    if bits.shape == size:
        return bits
    how = cv2.INTER_AREA if size[0] < bits.shape[0] else cv2.INTER_LINEAR
    covering: BinaryMask = cv2.resize(bits.astype(np.float32), size[::-1], interpolation=how) > 0
    return covering


def _max_pool(bits: BinaryMask, cell: int) -> BinaryMask:
    """Each cell x cell block True if any of its pixels is."""
    if cell == 1:
        return bits
    height, width = bits.shape
    blocks = bits.reshape(height // cell, cell, width // cell, cell).any(axis=(1, 3))
    pooled: BinaryMask = blocks.repeat(cell, axis=0).repeat(cell, axis=1)
    return pooled


def stitch(image: Image, alpha: Alpha, window: Window, filled: Image) -> None:
    """Blend ``filled`` (of the window's padded size) into ``image``, in place."""
    (y, x), (height, width) = window.offset, window.size
    new = resample(filled[y : y + height, x : x + width], (window.box.height, window.box.width))
    blend(image[window.box.slices], new, alpha[window.box.slices])


def paste_mask(bits: BinaryMask, window: Window) -> BinaryMask:
    """Bits of the window's padded size, as they lie in its box in the photo."""
    (y, x), (height, width) = window.offset, window.size
    part = bits[y : y + height, x : x + width].astype(np.float32)
    back: BinaryMask = cv2.resize(part, (window.box.width, window.box.height)) > 0.5
    return back


def blend(image: Image, new: Image, alpha: Alpha) -> None:
    """``image`` becomes image + alpha (new - image), in place; all of one size.

    In sRGB, rounded once; only pixels with alpha > 0 are written.
    """
    where = alpha > 0
    old = image[where].astype(np.float32)
    image[where] = np.rint(old + alpha[where][:, None] * (new[where] - old)).astype(np.uint8)


def place_picture(picture: ReplacementImage, box: Box) -> tuple[Box, Image, Alpha]:
    """A picture made as large as ``box`` allows, standing on its lower edge, centred.

    Returns where it lies in the photo, and its pixels and alpha there.
    """
    trim = bounding_box(picture.alpha > 0)
    rgba = np.dstack([picture.image, np.rint(picture.alpha * 255).astype(np.uint8)])[trim.slices]
    scale = min(box.width / trim.width, box.height / trim.height)
    width, height = max(1, int(trim.width * scale)), max(1, int(trim.height * scale))
    # premultiplied while it is resampled, or what lies under its outline bleeds in
    small = Pillow.fromarray(rgba).convert("RGBa")
    small = small.resize((width, height), Pillow.Resampling.LANCZOS).convert("RGBA")
    x0 = box.x0 + (box.width - width) // 2
    where = Box(x0, box.y1 - height, x0 + width, box.y1)
    pixels: NDArray[np.uint8] = np.asarray(small)
    share: Alpha = np.divide(pixels[..., 3], 255, dtype=np.float32)
    return where, pixels[..., :3], share
