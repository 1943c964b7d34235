"""PNG and TIFF of 16 bits, and TIFF with all its tags: what Pillow cannot do.

Pixels are ``(H, W, C)`` arrays, C = 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha. They are
read with OpenCV and written here: PNG (ISO/IEC 15948) with the Sub filter, TIFF 6.0 with
horizontal differencing, both deflated, both lossless.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

Pixels = NDArray[np.uint8] | NDArray[np.uint16]

PNG = b"\x89PNG\r\n\x1a\n"
_PNG_COLORS = {1: 0, 2: 4, 3: 2, 4: 6}  # channels to PNG's colour type
_EFFORT = 3  # of zlib: a quarter of level 6's time for 5 % more bytes
_GROUPS = (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo)
# What a TIFF says of the photo and not of its own layout: description, make, model,
# orientation, software, date, artist, copyright, and the two directories.
_NOTES = (270, 271, 272, 274, 305, 306, 315, 33432, *_GROUPS)


def decode(data: bytes) -> NDArray[np.uint16]:
    """The pixels of a 16-bit PNG or TIFF as OpenCV has them, RGB. Raises ``ValueError``."""
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.dtype != np.uint16:
        raise ValueError("its 16-bit pixels cannot be decoded")
    pixels = np.atleast_3d(pixels)
    order = [0] if pixels.shape[2] == 1 else [2, 1, 0, 3][: pixels.shape[2]]
    return np.ascontiguousarray(pixels[..., order], np.uint16)


def chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Name and body of every chunk of a PNG, as far as they go."""
    at = len(PNG)
    while at + 8 <= len(data):
        size, name = struct.unpack_from(">I4s", data, at)
        yield name, data[at + 8 : at + 8 + size]
        at += 12 + size


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(pixels: NDArray[np.uint16], **options: Any) -> bytes:
    """A 16-bit PNG; ``options`` are Pillow's for PNG: dpi, exif, icc_profile, pnginfo."""
    height, width, channels = pixels.shape
    dot = BytesIO()  # Pillow writes the chunks beside the pixels, into a picture of one pixel
    Image.new("RGB", (1, 1)).save(dot, "PNG", **options)
    beside = [c for c in chunks(dot.getvalue()) if c[0] not in (b"IHDR", b"IDAT", b"IEND")]
    head = struct.pack(">IIBBBBB", width, height, 16, _PNG_COLORS[channels], 0, 0, 0)
    raw = pixels.astype(">u2").view(np.uint8).reshape(height, -1)
    rows = np.ones((height, 1 + raw.shape[1]), np.uint8)  # 1, the Sub filter, before every row
    rows[:, 1:] = raw
    rows[:, 1 + 2 * channels :] -= raw[:, : -2 * channels]
    body = zlib.compress(rows.data, _EFFORT)
    pieces = [(b"IHDR", head), *beside, (b"IDAT", body), (b"IEND", b"")]
    return PNG + b"".join(_chunk(*piece) for piece in pieces)


def tiff_exif(picture: Image.Image) -> bytes:
    """The EXIF of an open TIFF, as other formats have it."""
    exif, found = Image.Exif(), picture.getexif()
    for tag in _NOTES:
        if tag in found:
            exif[tag] = found.get_ifd(tag) if tag in _GROUPS else found[tag]
    return exif.tobytes() if len(exif) else b""


def _notes(exif: bytes) -> dict[int, Any]:
    """The tags of EXIF that a TIFF should have; directories without those below them."""
    found = Image.Exif()
    found.load(exif)
    notes = {tag: found[tag] for tag in _NOTES if tag in found and tag not in _GROUPS}
    for group in _GROUPS:
        below = {k: v for k, v in found.get_ifd(group).items() if k != ExifTags.IFD.Interop}
        if below:
            notes[group] = below
    return notes


def tiff(
    pixels: Pixels,
    *,
    exif: bytes = b"",
    icc_profile: bytes | None = None,
    dpi: tuple[float, float] | None = None,
) -> bytes:
    """A TIFF of 8 or 16 bits in one strip. Raises ``ValueError`` beyond 4 GB."""
    height, width, channels = pixels.shape
    differences = pixels.copy()
    differences[:, 1:] -= pixels[:, :-1]
    strip = zlib.compress(differences.astype(pixels.dtype.newbyteorder("<")).data, _EFFORT)
    if len(strip) > 2**32 - 2**20:
        raise ValueError("more than 4 GB")
    tags = ImageFileDirectory_v2(prefix=b"II")
    for tag, value in _notes(exif).items():
        tags[tag] = value
    tags[256], tags[257] = width, height
    tags[258] = (8 * pixels.itemsize,) * channels
    tags[259], tags[317] = 8, 2  # deflate, of horizontal differences
    tags[262] = 2 if channels > 2 else 1  # RGB, or grey with black as 0
    tags[273], tags[278], tags[279] = 0, height, len(strip)
    tags[277], tags[284] = channels, 1
    if channels in (2, 4):
        tags[338] = 2  # alpha, not multiplied in
    if icc_profile:
        tags[34675] = icc_profile
    if dpi:
        tags[282], tags[283], tags[296] = (*dpi, 2)
    file = BytesIO()
    tags.save(file)
    return file.getvalue() + strip
