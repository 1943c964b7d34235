"""``Photo``: the pixels of a file, and the metadata that editing must preserve."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segment2inpaint.errors import BadImage
from segment2inpaint.images.pixels import Pixels, read_only
from segment2inpaint.types import Alpha, Image


@dataclass(frozen=True, eq=False)
class Photo:
    """A photo read from a file.

    Attributes:
        image: upright pixels, ``(H, W, 3)`` uint8 RGB, read-only.
        name: what error messages call the photo.
        path: the file it was read from; None for bytes and arrays.
        format: Pillow's name of the file format, such as ``JPEG``.
        grey: whether the file is greyscale; ``image`` then has three equal channels.
        alpha: the file's alpha channel, upright, ``(H, W)`` uint8, or uint16 in a 16-bit photo;
            0 is transparent. None without an alpha channel.
        pixels_16bit: the upright 16-bit pixels, ``(H, W, 1)`` grey or ``(H, W, 3)`` RGB uint16;
            ``image`` is ``pixels_16bit / 257``, rounded. None in an 8-bit photo.
        orientation: the EXIF orientation of the pixels in the file, 1 to 8.
        exif: the EXIF block, beginning with ``Exif\\0\\0``, without pictures; may be empty.
        icc_profile: the ICC colour profile.
        dpi: the resolution in pixels per inch, (x, y).
        png_chunks: name and body of each colour and text chunk of a PNG.
        jpeg_file: all bytes of a JPEG file; empty for other formats.
        xmp: an XMP packet with the projection of a panorama; empty for other photos.
        geo_tags: tag, type and values of the tags that place a GeoTIFF on the earth.
        palette_indices: the upright indices of a picture with a palette, ``(H, W)`` uint8.
        not_kept: in words, what was in the file and will not be in a written one.
    """

    image: Image = field(repr=False)
    name: str = "photo"
    path: Path | None = None
    format: str = "PNG"
    grey: bool = False
    alpha: Pixels | None = field(default=None, repr=False)
    pixels_16bit: NDArray[np.uint16] | None = field(default=None, repr=False)
    orientation: int = 1
    exif: bytes = field(default=b"", repr=False)
    icc_profile: bytes | None = field(default=None, repr=False)
    dpi: tuple[float, float] | None = None
    png_chunks: tuple[tuple[bytes, bytes], ...] = field(default=(), repr=False)
    jpeg_file: bytes = field(default=b"", repr=False)
    xmp: bytes = field(default=b"", repr=False)
    geo_tags: tuple[tuple[int, int, Any], ...] = field(default=(), repr=False)
    palette_indices: Pixels | None = field(default=None, repr=False)
    not_kept: tuple[str, ...] = ()

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.image.shape[0], self.image.shape[1]


def with_opacity(photo: Photo, opacity: Alpha | None) -> Photo:
    """Return the photo with its alpha channel multiplied by ``opacity``, (H, W) in [0, 1].

    Without ``opacity`` return the photo as it is.
    """
    if opacity is None:
        return photo
    top = 255 if photo.pixels_16bit is None else 65_535
    own = photo.alpha if photo.alpha is not None else np.full(photo.size, top)
    alpha = np.rint(own * opacity).astype(np.uint8 if top == 255 else np.uint16)
    return replace(photo, alpha=alpha)


def photo_from_array(image: Image, *, name: str = "array") -> Photo:
    """Return a photo of an ``(H, W, 3)`` uint8 RGB array, which is copied.

    Its format is PNG. ``name`` is what error messages call the photo. Raises ``BadImage`` for
    another shape or dtype, and for an empty array.
    """
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8:
        got = getattr(image, "dtype", type(image).__name__)
        raise BadImage(f"{name}: expected a uint8 array, got {got}; scale to 0..255 and convert")
    if image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise BadImage(f"{name}: expected shape (H, W, 3), got {image.shape}; give RGB pixels")
    return Photo(read_only(image.copy()), name)
