"""16-bit PNG and TIFF, and TIFF with all EXIF tags, which Pillow cannot write.

Pixels are ``(H, W, C)`` arrays: C = 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha. OpenCV
reads them; this module writes them: PNG (ISO/IEC 15948) with the Sub filter, and TIFF 6.0 with
horizontal differencing. Both are compressed with deflate and lossless.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Collection, Iterator
from io import BytesIO
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, TiffTags
from PIL import TiffImagePlugin as Tiff

from segment2inpaint.images.pixels import Pixels

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_COLOR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}  # channels -> PNG colour type
_MAX_TIFF_STRIP = 2**32 - 2**20  # bytes: offsets have 32 bits; leaves 1 MB for the tags
_XMP_TAG = 700
_ZLIB_LEVEL = 3  # a quarter of the time of level 6, 5 % more bytes
_EXIF_DIRECTORIES = (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo)
# The TIFF tags that describe the photo, not the layout of the file.
_PHOTO_TAGS = (
    ExifTags.Base.ImageDescription, ExifTags.Base.Make, ExifTags.Base.Model,
    ExifTags.Base.Orientation, ExifTags.Base.Software, ExifTags.Base.DateTime,
    ExifTags.Base.Artist, ExifTags.Base.Copyright, *_EXIF_DIRECTORIES,
)  # fmt: skip


def decode(data: bytes) -> NDArray[np.uint16]:
    """Decode a 16-bit PNG or TIFF with OpenCV, to grey or RGB(A). Raises ``ValueError``."""
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.dtype != np.uint16:
        raise ValueError("its 16-bit pixels cannot be decoded")
    pixels = np.atleast_3d(pixels)
    channels = [0] if pixels.shape[2] == 1 else [2, 1, 0, 3][: pixels.shape[2]]  # from BGR(A)
    return np.ascontiguousarray(pixels[..., channels], np.uint16)


def png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the name and the body of each chunk of a PNG; the last body may be cut short."""
    position = len(PNG_SIGNATURE)
    while position + 8 <= len(data):
        size, name = struct.unpack_from(">I4s", data, position)
        yield name, data[position + 8 : position + 8 + size]
        position += 12 + size


def without_chunks(data: bytes, names: Collection[bytes]) -> bytes:
    """Return a PNG without the chunks of these names; other files as they are."""
    if not data.startswith(PNG_SIGNATURE):
        return data
    pieces, start, position = [], 0, len(PNG_SIGNATURE)
    while position + 8 <= len(data):
        size, name = struct.unpack_from(">I4s", data, position)
        end = position + 12 + size
        if name in names and end <= len(data):
            pieces.append(memoryview(data)[start:position])
            start = end
        position = end
    return b"".join([*pieces, memoryview(data)[start:]]) if pieces else data


def _encode_chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def encode_png(pixels: NDArray[np.uint16], **options: Any) -> bytes:
    """Return a 16-bit PNG. ``options`` are Pillow's for PNG: dpi, exif, icc_profile, pnginfo."""
    height, width, channels = pixels.shape
    metadata = _metadata_chunks(options)
    header = struct.pack(">IIBBBBB", width, height, 16, _PNG_COLOR_TYPES[channels], 0, 0, 0)
    raw = pixels.astype(">u2").view(np.uint8).reshape(height, -1)
    rows = np.ones((height, 1 + raw.shape[1]), np.uint8)  # each row begins with 1, the Sub filter
    rows[:, 1:] = raw
    rows[:, 1 + 2 * channels :] -= raw[:, : -2 * channels]
    body = zlib.compress(rows.data, _ZLIB_LEVEL)
    chunks = [(b"IHDR", header), *metadata, (b"IDAT", body), (b"IEND", b"")]
    return PNG_SIGNATURE + b"".join(_encode_chunk(*chunk) for chunk in chunks)


def _metadata_chunks(options: dict[str, Any]) -> list[tuple[bytes, bytes]]:
    """Let Pillow write the metadata, into a PNG of one pixel, and return its chunks."""
    file = BytesIO()
    Image.new("RGB", (1, 1)).save(file, "PNG", **options)
    structure = (b"IHDR", b"IDAT", b"IEND")
    return [chunk for chunk in png_chunks(file.getvalue()) if chunk[0] not in structure]


def tiff_exif(picture: Image.Image) -> bytes:
    """Return the tags of an open TIFF that describe the photo, as an EXIF block; may be empty."""
    exif, tags = Image.Exif(), picture.getexif()
    for tag in _PHOTO_TAGS:
        if tag in tags:
            exif[tag] = tags.get_ifd(tag) if tag in _EXIF_DIRECTORIES else tags[tag]
    return exif.tobytes() if len(exif) else b""


def _photo_tags(exif: bytes) -> dict[int, Any]:
    """Return the EXIF tags to write into a TIFF; directories lose their sub-directories."""
    tags = Image.Exif()
    tags.load(exif)
    found: dict[int, Any] = {
        tag: tags[tag] for tag in _PHOTO_TAGS if tag in tags and tag not in _EXIF_DIRECTORIES
    }
    for directory in _EXIF_DIRECTORIES:
        entries = {k: v for k, v in tags.get_ifd(directory).items() if k != ExifTags.IFD.Interop}
        if entries:
            found[directory] = entries
    return found


def encode_tiff(
    pixels: Pixels,
    *,
    exif: bytes = b"",
    icc_profile: bytes | None = None,
    dpi: tuple[float, float] | None = None,
    xmp: bytes = b"",
    geo_tags: tuple[tuple[int, int, Any], ...] = (),
) -> bytes:
    """Return a TIFF of 8 or 16 bits in one strip. Raises ``ValueError`` above 4 GB.

    ``geo_tags`` are (tag, type, values).
    """
    height, width, channels = pixels.shape
    differences = pixels.copy()
    differences[:, 1:] -= pixels[:, :-1]
    strip = zlib.compress(differences.astype(pixels.dtype.newbyteorder("<")).data, _ZLIB_LEVEL)
    if len(strip) > _MAX_TIFF_STRIP:
        raise ValueError("more than 4 GB")
    tags = Tiff.ImageFileDirectory_v2(prefix=b"II")
    for tag, value in _photo_tags(exif).items():
        tags[tag] = value
    for tag, kind, value in geo_tags:
        tags.tagtype[tag] = kind
        tags[tag] = value
    if xmp:
        tags.tagtype[_XMP_TAG] = TiffTags.BYTE
        tags[_XMP_TAG] = xmp
    tags[Tiff.IMAGEWIDTH], tags[Tiff.IMAGELENGTH] = width, height
    tags[Tiff.BITSPERSAMPLE] = (8 * pixels.itemsize,) * channels
    tags[Tiff.COMPRESSION], tags[Tiff.PREDICTOR] = 8, 2  # deflate, horizontal differencing
    tags[Tiff.PHOTOMETRIC_INTERPRETATION] = 2 if channels > 2 else 1  # RGB, or black-is-zero grey
    tags[Tiff.STRIPOFFSETS], tags[Tiff.ROWSPERSTRIP] = 0, height  # Pillow corrects the offset
    tags[Tiff.STRIPBYTECOUNTS] = len(strip)
    tags[Tiff.SAMPLESPERPIXEL], tags[Tiff.PLANAR_CONFIGURATION] = channels, 1  # interleaved
    if channels in (2, 4):
        tags[Tiff.EXTRASAMPLES] = 2  # alpha, not premultiplied
    if icc_profile:
        tags[Tiff.ICCPROFILE] = icc_profile
    if dpi:
        tags[Tiff.X_RESOLUTION], tags[Tiff.Y_RESOLUTION] = dpi
        tags[Tiff.RESOLUTION_UNIT] = 2  # inches
    file = BytesIO()
    tags.save(file)
    return file.getvalue() + strip
