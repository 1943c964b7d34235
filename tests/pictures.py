"""Small pictures as files, for the tests of what reads and writes them."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segment2inpaint import images

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
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = value, "Maker"
    return exif


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
