"""Read and write masks as picture files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from segment2inpaint.errors import BadImage
from segment2inpaint.images.atomic_write import write_bytes
from segment2inpaint.images.encoder import FileMetadata, encoders
from segment2inpaint.images.mask_values import AmbiguousMask, MaskPicture, MaskValues, interpret
from segment2inpaint.images.photo import Photo
from segment2inpaint.images.pixels import to_upright
from segment2inpaint.images.reading import read
from segment2inpaint.images.writing import format_of
from segment2inpaint.types import Alpha, BinaryMask

_LOSSY_FORMATS = ("JPEG", "HEIF")  # values of a mask in these are not exact ...
_LOSSY_NOISE = 16  # ... and up to this level they are black


def read_mask(
    source: str | Path | bytes | BinaryIO,
    size: tuple[int, int],
    *,
    name: str = "",
    orientation: int = 1,
    resize: bool = False,
    greys: bool = False,
    on_message: Callable[[str], None] | None = None,
) -> BinaryMask | Alpha:
    """Read a mask for a photo of ``size`` (h, w): (H, W) bool, or float32 in [0, 1] if it is soft.

    A mask is soft if its edges are ramps of grey; the smoothed outline of a hard mask is not. In
    another black and white or grey picture the object is above half. Label maps, palettes, coloured
    objects and alpha channels are understood too, see ``images.mask_values``; then ``on_message``
    gets a line with what was taken for the object. The file's EXIF orientation is applied.
    ``name`` is what messages call the file; the default is the path. ``orientation`` is the EXIF
    orientation of the photo, 1 to 8: a mask that was made for the photo as it is stored is turned
    upright, if its size shows it. With ``resize``, a mask of another size is scaled bilinearly to
    the photo's size before the threshold. With ``greys``, the smoothed outline of a hard mask is
    returned too: float32 in [0, 1], 0 wherever the file is black.

    Raises ``BadImage`` if the file cannot be read, if its values do not tell what the object is,
    and if the size differs and ``resize`` is False.
    """
    photo = read(source, name=name)
    found = _interpret(photo)
    on_message = on_message or (lambda line: None)
    if found.note:
        on_message(f"{photo.name}: the mask is not black and white; the object is {found.note}")
    values = found.values
    if orientation >= 5 and values.shape == size[::-1] != size:
        on_message(f"{photo.name}: the mask was turned upright, as the photo's EXIF says")
        values = to_upright(values, orientation)
    if values.shape != size and not resize:
        raise BadImage(
            f"{photo.name}: the mask must have the photo's size {size[1]}x{size[0]}, "
            f"got {photo.size[1]}x{photo.size[0]}; scale it, or use --resize-mask"
        )
    return _mask(replace(found, values=values), photo, size, greys=greys)


def mask_of_picture(picture: Photo, *, greys: bool = False) -> BinaryMask | Alpha:
    """Return the mask that a picture shows, as ``read_mask`` reads it from a file.

    Raises ``BadImage`` if its values do not tell what the object is.
    """
    return _mask(_interpret(picture), picture, picture.size, greys=greys)


def _mask(
    found: MaskValues, picture: Photo, size: tuple[int, int], *, greys: bool
) -> BinaryMask | Alpha:
    """Return the mask of a picture, scaled to ``size`` (h, w)."""
    values = _resize(found.values, size)
    if greys and picture.format in _LOSSY_FORMATS:
        values = np.where(values > _LOSSY_NOISE, values, np.uint8(0))
    return np.divide(values, 255, dtype=np.float32) if greys or found.soft else values > 127


def _interpret(picture: Photo) -> MaskValues:
    try:
        return interpret(_mask_picture(picture))
    except AmbiguousMask as problem:
        raise BadImage(
            f"{picture.name}: the mask does not tell what the object is: it has {problem}; "
            f"expected 255 on the object and 0 elsewhere"
        ) from None


def _resize(values: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    if values.shape == size:
        return values
    scaled = Pillow.fromarray(values).resize(size[::-1], Pillow.Resampling.BILINEAR)
    return np.asarray(scaled)


def _mask_picture(photo: Photo) -> MaskPicture:
    grey = photo.pixels_16bit if photo.pixels_16bit is not None else photo.image[..., :1]
    return MaskPicture(
        image=photo.image,
        grey=np.ascontiguousarray(grey[..., 0]) if photo.grey else None,
        alpha=photo.alpha,
        labels=photo.palette_indices,
        lossy=photo.format in _LOSSY_FORMATS,
    )


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
