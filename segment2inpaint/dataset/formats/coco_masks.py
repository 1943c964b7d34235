"""Masks in annotations: polygons, COCO run lengths, and segments of panoptic PNGs.

Masks are decoded with pycocotools, which reads beyond the memory of a damaged one: the run
lengths are checked before.
"""

from __future__ import annotations

import warnings
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segment2inpaint import images
from segment2inpaint.dataset import storage
from segment2inpaint.dataset.run_types import Json
from segment2inpaint.errors import BadDataset
from segment2inpaint.types import BinaryMask

Size = tuple[int, int]
"""Height and width in pixels."""


def decode_polygons(polygons: list[list[float]], size: Size) -> BinaryMask:
    """Return the union of polygons ``[x, y, x, y, ...]`` as a mask of ``size``.

    Raises ``BadDataset``.
    """
    from pycocotools import mask as coco_mask

    try:
        encoded = coco_mask.merge(coco_mask.frPyObjects(polygons, *size))
    except Exception as error:
        raise BadDataset(f"the annotated polygons are damaged: {error!r:.80}") from error
    return _decode(encoded)


def decode_run_lengths(run_lengths: Json) -> BinaryMask:
    """Return COCO run lengths ``{"size", "counts"}``, compressed or not, as a mask.

    Raises ``BadDataset`` if they are damaged.
    """
    from pycocotools import mask as coco_mask

    height, width = check_run_lengths(run_lengths)
    if isinstance(run_lengths["counts"], list):
        run_lengths = coco_mask.frPyObjects(run_lengths, height, width)
    return _decode(run_lengths)


def check_run_lengths(run_lengths: Json) -> Size:
    """Return the size that COCO run lengths have. Raises ``BadDataset`` if they are damaged."""
    try:
        height, width = run_lengths["size"]
        counts = run_lengths["counts"]
        numbers = _parse_counts(counts) if isinstance(counts, str) else counts
        are_whole = all(type(number) is int for number in (height, width, *numbers))
    except (TypeError, ValueError, KeyError) as error:
        raise BadDataset(f"the annotated run lengths are damaged: {error!r:.80}") from error
    if not are_whole or min(height, width) < 1 or min(numbers, default=0) < 0:
        raise BadDataset("the annotated run lengths are damaged: expected whole numbers")
    if height * width > images.MAX_PIXELS:
        raise BadDataset(f"the annotated run lengths are for {width}x{height}, more than is read")
    if sum(numbers) != height * width:
        raise BadDataset(
            f"the annotated run lengths have {sum(numbers)} pixels in total, expected "
            f"{width}x{height} = {height * width}"
        )
    return height, width


def panoptic_segment(file: str, segment_id: int) -> BinaryMask:
    """Return the pixels of a segment of a panoptic PNG. Raises ``BadImage``."""
    mask: BinaryMask = _segment_ids(file, storage.fingerprint(file)) == segment_id
    return mask


def decode_ids(colors: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """Return R + 256 G + 256^2 B, the segment id that a colour encodes."""
    wide = colors.astype(np.uint32)
    ids: NDArray[np.uint32] = wide[..., 0] + 256 * wide[..., 1] + 65536 * wide[..., 2]
    return ids


@lru_cache(2)
def _segment_ids(file: str, fingerprint: str) -> NDArray[np.uint32]:
    """Return the segment ids of a panoptic PNG, cached for the other objects of its photo."""
    return decode_ids(images.read(storage.read(file), name=file).image)


def _decode(encoded: Any) -> BinaryMask:
    from pycocotools import mask as coco_mask

    with warnings.catch_warnings():  # pycocotools uses what NumPy 2 deprecates
        warnings.simplefilter("ignore", DeprecationWarning)
        mask: BinaryMask = coco_mask.decode(encoded).astype(np.bool_)
    return mask


def _parse_counts(text: str) -> list[int]:
    """Return the run lengths that pycocotools has compressed to a text.

    Each character has 5 bits of a number and a sign that more follow; from the fourth number on,
    the number is the difference to the last but one.
    """
    counts: list[int] = []
    value = shift = 0
    for byte in text.encode("ascii"):
        code = byte - 48
        if not 0 <= code < 64:
            raise ValueError(f"unexpected {chr(byte)!r}")
        value |= (code & 31) << shift
        shift += 5
        if not code & 32:
            value -= (1 << shift) if code & 16 else 0
            counts.append(value + counts[-2] if len(counts) > 2 else value)
            value = shift = 0
    if shift:
        raise ValueError("the text ends within a number")
    return counts
