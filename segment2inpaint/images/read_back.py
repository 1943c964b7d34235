"""Check a written file: what differs from the photo in the file as it is read back."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from segment2inpaint.images import jpeg
from segment2inpaint.images.photo import Photo
from segment2inpaint.images.pixels import Pixels, to_8bit, to_stored, to_upright
from segment2inpaint.images.reading import read
from segment2inpaint.types import Alpha, BinaryMask

# Formats that hold the pixels exactly, as tests show; a file in the photo's own is not decoded.
_EXACT_FORMATS = ("PNG", "TIFF", "BMP", "GIF")


class FileChanges(NamedTuple):
    """The pixels of a file that differ from the photo where alpha is 0.

    ``outside`` is their number, ``levels`` the largest difference, in levels of 255. ``reason``
    says in words why they differ; it is empty for none.
    """

    outside: int
    levels: int
    reason: str = ""


def file_changes(photo: Photo, image_changes: int, alpha: Alpha, data: bytes) -> FileChanges:
    """Return how the file ``data`` differs from the photo where alpha is 0.

    ``image_changes`` is the number of such pixels before the file was encoded. Transparency and
    16 bits count as well; where the file has only 8 bits, 8 bits are compared.
    """
    from_format = "PNG" if photo.format == "GIF" else photo.format
    if from_format in _EXACT_FORMATS and _format(data) == from_format:
        return FileChanges(image_changes, 255 if image_changes else 0)
    back = read(data, name=photo.name, max_pixels=alpha.size)
    largest = _differences_outside(photo, back, alpha)
    count, levels = _count(largest)
    return FileChanges(count, levels, _reason(photo, alpha, largest > 0))


def changes_outside(before: Photo, after: Photo, alpha: Alpha) -> tuple[int, int]:
    """Return how many pixels of two photos differ where alpha is 0, and by how much at most.

    The difference is in levels of 255. Transparency counts, and 16 bits if both photos have them.
    """
    return _count(_differences_outside(before, after, alpha))


def _differences_outside(before: Photo, after: Photo, alpha: Alpha) -> Pixels:
    """Return the largest difference of each pixel where alpha is 0, in levels of 255."""
    differences = [_difference(*planes) for planes in _planes(before, after)]
    largest: Pixels = np.maximum.reduce(differences)
    largest[alpha > 0] = 0
    return largest


def _count(differences: Pixels) -> tuple[int, int]:
    return int(np.count_nonzero(differences)), int(differences.max(initial=0))


def _reason(photo: Photo, alpha: Alpha, changed: BinaryMask) -> str:
    """Return why pixels of the file changed."""
    if not changed.any():
        return ""
    if photo.jpeg_file and jpeg.read_layout(photo.jpeg_file).editable:
        edited = to_stored(alpha > 0, photo.orientation)
        blocks = to_upright(jpeg.touched_blocks(photo.jpeg_file, edited), photo.orientation)
        if not (changed & ~blocks).any():
            return "in JPEG blocks at its edge"
    return "by lossy encoding"


def _format(data: bytes) -> str:
    starts = {b"\x89PNG": "PNG", b"II*\0": "TIFF", b"BM": "BMP"}
    return next((kind for start, kind in starts.items() if data.startswith(start)), "")


def _planes(before: Photo, after: Photo) -> list[tuple[Pixels, Pixels]]:
    """Return the planes to compare, (H, W) uint8 or uint16, in pairs."""
    old: Pixels = before.image
    new: Pixels = after.image
    if before.pixels_16bit is not None and after.pixels_16bit is not None:
        old, new = before.pixels_16bit, after.pixels_16bit
    pairs = [(old[..., i], new[..., i]) for i in range(min(old.shape[2], new.shape[2]))]
    if before.alpha is not None or after.alpha is not None:
        pairs.append((_alpha(before), _alpha(after)))
    return pairs


def _alpha(photo: Photo) -> Pixels:
    opaque = np.full(photo.size, 255, np.uint8)
    return opaque if photo.alpha is None else to_8bit(photo.alpha)


def _difference(before: Pixels, after: Pixels) -> Pixels:
    """Return the difference in levels of 255, rounded up, (H, W) uint8."""
    difference = np.maximum(before, after) - np.minimum(before, after)
    if difference.dtype == np.uint16:
        return (-(-difference.astype(np.int32) // 257)).astype(np.uint8)
    return difference
