"""Read and write masks as picture files."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image as Pillow

from segment2inpaint.errors import BadImage
from segment2inpaint.images.atomic_write import write_bytes
from segment2inpaint.images.encoder import FileMetadata, encoders
from segment2inpaint.images.pixels import to_8bit, to_grey
from segment2inpaint.images.reading import read
from segment2inpaint.images.writing import format_of
from segment2inpaint.types import Alpha, BinaryMask


def read_mask(
    source: str | Path | bytes | BinaryIO,
    size: tuple[int, int],
    *,
    name: str = "",
    resize: bool = False,
) -> BinaryMask:
    """Read a mask for a photo of ``size`` (h, w), (H, W) bool: True where it is above 127 of 255.

    The values are the alpha channel if it varies, else the brightness. The file's EXIF orientation
    is applied. ``name`` is what error messages call the file; the default is the path. With
    ``resize``, a mask of another size is scaled bilinearly to the photo's size before the
    threshold.

    Raises ``BadImage`` if the file cannot be read, if the size differs and ``resize`` is False,
    and if the mask has values above 0 but none above 127 (labels 0 and 1, say).
    """
    photo = read(source, name=name)
    values = to_grey(photo.image)
    if photo.alpha is not None and photo.alpha.min() < photo.alpha.max():
        values = to_8bit(photo.alpha)
    if 0 < values.max() <= 127:
        raise BadImage(
            f"{photo.name}: the brightest pixel of the mask is {values.max()}, expected 255 on the "
            f"object and 0 elsewhere; multiply the values"
        )
    if photo.size != size:
        if not resize:
            (height, width), (h, w) = photo.size, size
            raise BadImage(
                f"{photo.name}: the mask must have the photo's size {w}x{h}, "
                f"got {width}x{height}; scale it, or use --resize-mask"
            )
        scaled = Pillow.fromarray(values).resize(size[::-1], Pillow.Resampling.BILINEAR)
        values = np.asarray(scaled)
    return values > 127


def write_mask(
    target: str | Path,
    mask: BinaryMask | Alpha,
    *,
    source: Path | None = None,
    overwrite: bool = False,
) -> None:
    """Write a mask, (H, W) bool or float in [0, 1], as a grey picture with values 0 to 255.

    The suffix of ``target`` selects the format. The file is written completely or not at all.
    Raises ``BadImage`` if it cannot be written, and if ``target`` is ``source``, the photo's own
    file, and ``overwrite`` is False.
    """
    data = encode_mask(mask, format_of(target))
    write_bytes(target, data, source=source, overwrite=overwrite)


def encode_mask(mask: BinaryMask | Alpha, format: str = "PNG") -> bytes:
    """Return a mask, (H, W) bool or float in [0, 1], as the bytes of a grey picture file."""
    values = np.rint(np.asarray(mask, np.float32) * 255).astype(np.uint8)
    return encoders()[format](values[..., None], FileMetadata(), None)
