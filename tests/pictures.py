"""Small pictures as files, for the tests of what reads and writes them."""

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


def noise(height: int, width: int, channels: int, dtype: Any = np.uint8, seed: int = 0) -> Array:
    top = np.iinfo(dtype).max + 1
    return np.random.default_rng(seed).integers(0, top, (height, width, channels), dtype=dtype)


def saved(pixels: Array, kind: str, **options: Any) -> bytes:
    file = BytesIO()
    flat = pixels[..., 0] if pixels.shape[2] == 1 else pixels
    Image.fromarray(flat).save(file, kind, **options)
    return file.getvalue()


def opened(data: bytes) -> Image.Image:
    picture = Image.open(BytesIO(data))
    picture.load()
    return picture


def turned(value: int) -> Image.Exif:
    notes = Image.Exif()
    notes[0x0112], notes[0x010F] = value, "Maker"
    return notes


def left_half(photo: images.Photo) -> Array:
    alpha = np.zeros(photo.size, np.float32)
    alpha[:, : photo.size[1] // 2] = 1
    return alpha


def negative(photo: images.Photo, **options: Any) -> tuple[bytes, Array]:
    """The file with its left half made negative, and what its pixels should be."""
    alpha = left_half(photo)
    expected = np.where(alpha[..., None] > 0, 255 - photo.image, photo.image)
    return images.encode(photo, 255 - photo.image, alpha, **options), expected


def raw(data: bytes) -> Array:
    """A JPEG's pixels as stored."""
    return np.asarray(Image.open(BytesIO(data)))


def thumbnail() -> bytes:
    file = BytesIO()
    Image.fromarray(np.full((16, 16, 3), 200, np.uint8)).save(file, "JPEG")
    return file.getvalue()


def directory(order: str, at: int, fields: list[tuple[int, int, bytes]], after: int = 0) -> bytes:
    """A TIFF directory at ``at``, its long values following it."""
    spill = at + 2 + 12 * len(fields) + 4
    table, values = struct.pack(order + "H", len(fields)), b""
    widths = {2: 1, 3: 2, 4: 4, 7: 1}
    for tag, kind, value in fields:
        table += struct.pack(order + "HHI", tag, kind, len(value) // widths[kind])
        if len(value) <= 4:
            table += value.ljust(4, b"\0")
        else:
            table += struct.pack(order + "I", spill + len(values))
            values += value
    return table + struct.pack(order + "I", after) + values


def with_thumbnail(
    order: str = "<", orientation: int = 6, note: bytes = b"maker's own", loose: bytes = b""
) -> bytes:
    """EXIF as cameras write it: make, orientation, maker note, a thumbnail behind it all."""
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    fields = [
        (0x010F, 2, b"Maker\0"),
        (0x0112, 3, struct.pack(order + "H", orientation)),
        (0x8769, 4, struct.pack(order + "I", 200)),
    ]
    below = directory(order, 200, [(0x927C, 7, note)]) + loose
    second = 200 + len(below)
    picture = thumbnail()
    ends = second + 2 + 24 + 4
    link = [
        (0x0201, 4, struct.pack(order + "I", ends)),
        (0x0202, 4, struct.pack(order + "I", len(picture))),
    ]
    first = (head + directory(order, 8, fields, second)).ljust(200, b"\0")
    return exif.PREFIX + first + below + directory(order, second, link) + picture
