"""Calls of networks that fill a hole in one pass: crops of one size together, padded."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from segment2inpaint.protocols import Crop, ProgressCallback
from segment2inpaint.types import Image


def inpaint_in_batches(
    crops: Sequence[Crop],
    batch_size: int,
    paint: Callable[[Sequence[Crop]], list[Image]],
    progress: ProgressCallback,
) -> list[Image]:
    """Return each crop painted by ``paint``, which gets up to ``batch_size`` of one size."""
    results: dict[int, Image] = {}
    while waiting := [i for i in range(len(crops)) if i not in results]:
        progress("inpainting", len(results) / len(crops))
        size = crops[waiting[0]].mask.shape
        batch = [i for i in waiting if crops[i].mask.shape == size][:batch_size]
        painted = paint([crops[i] for i in batch])
        results |= dict(zip(batch, painted, strict=True))
    progress("inpainting", 1.0)
    return [results[i] for i in range(len(crops))]


def pad_inputs(inputs: NDArray[np.float32], multiple: int, min_side: int) -> NDArray[np.float32]:
    """Return (N, C, H, W) with its edges repeated to multiples of ``multiple``."""
    height, width = inputs.shape[2:]
    pad_y, pad_x = (max(-side % multiple, min_side - side) for side in (height, width))
    return np.pad(inputs, ((0, 0), (0, 0), (0, pad_y), (0, pad_x)), mode="edge")


def to_images(outputs: NDArray[np.float32], height: int, width: int) -> list[Image]:
    """Return RGB images of the first ``height`` x ``width`` pixels of (N, 3, H, W) in [0, 1]."""
    pixels = np.rint(255 * outputs[:, :, :height, :width]).astype(np.uint8)
    return [np.ascontiguousarray(image.transpose(1, 2, 0)) for image in pixels]
