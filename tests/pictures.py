"""Small pictures and EXIF blocks for the tests of ``images``."""

from __future__ import annotations

import struct
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segment2inpaint import images
from segment2inpaint.images import exif

Array = NDArray[Any]


def random_pixels(
    height: int, width: int, channels: int, dtype: Any = np.uint8, seed: int = 0
) -> Array:
    limit = np.iinfo(dtype).max + 1
    return np.random.default_rng(seed).integers(0, limit, (height, width, channels), dtype=dtype)


def encode_picture(pixels: Array, kind: str, **options: Any) -> bytes:
    """Return (H, W, C) pixels as a file of a Pillow format; ``options`` are those of ``save``."""
    file = BytesIO()
    squeezed = pixels[..., 0] if pixels.shape[2] == 1 else pixels
    Image.fromarray(squeezed).save(file, kind, **options)
    return file.getvalue()


def open_picture(data: bytes) -> Image.Image:
    picture = Image.open(BytesIO(data))
    picture.load()
    return picture


def exif_with_orientation(value: int) -> Image.Exif:
    """Return EXIF with an orientation and the camera make ``Maker``."""
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = value, "Maker"
    return exif


def left_half_alpha(photo: images.Photo) -> Array:
    """Return an alpha of 1 in the left half of the photo, 0 in the right half."""
    alpha = np.zeros(photo.size, np.float32)
    alpha[:, : photo.size[1] // 2] = 1
    return alpha


def encode_negative(photo: images.Photo, **options: Any) -> tuple[bytes, Array]:
    """Encode the photo with its left half inverted; return the file and the expected pixels."""
    alpha = left_half_alpha(photo)
    expected = np.where(alpha[..., None] > 0, 255 - photo.image, photo.image)
    return images.encode(photo, 255 - photo.image, alpha, **options), expected


def stored_pixels(data: bytes) -> Array:
    """Return the pixels of a file in its own orientation."""
    return np.asarray(Image.open(BytesIO(data)))


def jpeg_thumbnail() -> bytes:
    file = BytesIO()
    Image.fromarray(np.full((16, 16, 3), 200, np.uint8)).save(file, "JPEG")
    return file.getvalue()


def tiff_directory(
    order: str, at: int, fields: list[tuple[int, int, bytes]], next_directory: int = 0
) -> bytes:
    """Return a TIFF directory at offset ``at``, followed by its long values."""
    values_at = at + 2 + 12 * len(fields) + 4
    table, values = struct.pack(order + "H", len(fields)), b""
    widths = {2: 1, 3: 2, 4: 4, 7: 1}
    for tag, kind, value in fields:
        table += struct.pack(order + "HHI", tag, kind, len(value) // widths[kind])
        if len(value) <= 4:
            table += value.ljust(4, b"\0")
        else:
            table += struct.pack(order + "I", values_at + len(values))
            values += value
    return table + struct.pack(order + "I", next_directory) + values


def exif_with_thumbnail(
    order: str = "<",
    orientation: int = 6,
    maker_note: bytes = b"maker's own",
    unreferenced: bytes = b"",
) -> bytes:
    """Return EXIF as cameras write it: make, orientation, maker note, and a thumbnail at the end.

    ``order`` is the byte order, ``<`` or ``>``. ``unreferenced`` are bytes that no entry covers.
    """
    header = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    fields = [
        (0x010F, 2, b"Maker\0"),
        (0x0112, 3, struct.pack(order + "H", orientation)),
        (0x8769, 4, struct.pack(order + "I", 200)),
    ]
    exif_directory = tiff_directory(order, 200, [(0x927C, 7, maker_note)]) + unreferenced
    second = 200 + len(exif_directory)
    picture = jpeg_thumbnail()
    picture_at = second + 2 + 24 + 4
    thumbnail_fields = [
        (0x0201, 4, struct.pack(order + "I", picture_at)),
        (0x0202, 4, struct.pack(order + "I", len(picture))),
    ]
    thumbnail = tiff_directory(order, second, thumbnail_fields)
    first = (header + tiff_directory(order, 8, fields, second)).ljust(200, b"\0")
    return exif.PREFIX + first + exif_directory + thumbnail + picture
