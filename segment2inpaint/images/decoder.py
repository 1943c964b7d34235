"""Decode the bytes of a picture file into stored pixels, with Pillow, and OpenCV for 16 bits.

A file that is not a single plain photo is refused before its pixels are decoded.
"""

from __future__ import annotations

import string
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import UnidentifiedImageError, features
from PIL.TiffImagePlugin import (
    BITSPERSAMPLE,
    EXTRASAMPLES,
    PHOTOMETRIC_INTERPRETATION,
    PLANAR_CONFIGURATION,
    SAMPLEFORMAT,
    SAMPLESPERPIXEL,
)

from segment2inpaint.errors import BadImage
from segment2inpaint.images import exif, metadata, plugins, sixteen_bit, xmp
from segment2inpaint.images.pixels import Pixels

# Fuzzing showed that Pillow raises these on damaged files.
DECODE_ERRORS = (
    OSError, SyntaxError, ValueError, EOFError, LookupError, TypeError, RuntimeError, struct.error
)  # fmt: skip

_READABLE_FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "AVIF")
# Pillow mode of the file -> mode to convert to, without and with a transparent colour.
_MODES = {"1": "L", "L": "L", "LA": "LA", "P": "RGB", "PA": "RGBA", "RGB": "RGB", "RGBA": "RGBA"}
_MODES_WITH_ALPHA = {"1": "LA", "L": "LA", "P": "RGBA", "RGB": "RGBA"}
_START = 4096  # bytes that tell the format of a file
_OPEN_LOCK = threading.Lock()  # while Pillow's global pixel limit is changed


@dataclass(frozen=True, eq=False)
class DecodedFile:
    """The contents of a picture file; ``images.Photo`` explains the fields of the same name.

    ``pixels`` are in the file's orientation, (H, W, C) uint8 or uint16: C = 1 grey, 2 grey and
    alpha, 3 RGB, 4 RGB and alpha.
    """

    pixels: Pixels
    format: str
    orientation: int
    exif: bytes
    icc_profile: bytes | None
    dpi: tuple[float, float] | None
    png_chunks: tuple[tuple[bytes, bytes], ...]
    xmp: bytes = b""
    geo_tags: tuple[tuple[int, int, Any], ...] = ()
    palette_indices: Pixels | None = None
    not_kept: tuple[str, ...] = ()


def formats() -> list[str]:
    """Return the formats that can be read, by Pillow's names.

    AVIF is among them only if Pillow supports it, HEIF and JXL only with their packages.
    """
    return [*_pillow_formats(), *(kind for kind in plugins.PLUGINS if plugins.is_installed(kind))]


def _pillow_formats() -> list[str]:
    return [kind for kind in _READABLE_FORMATS if kind != "AVIF" or features.check("avif")]


def decode(data: bytes, name: str, max_pixels: int) -> DecodedFile:
    """Decode a picture file. ``name`` is what error messages call it.

    Raises ``BadImage`` if the file is empty, damaged, of an unknown format, larger than
    ``max_pixels``, or not a single plain photo.
    """
    if not data:
        raise BadImage(f"{name}: the file is empty, expected a picture; check where it came from")
    # A TIFF file has the layout of EXIF. Decoders would turn its pixels, so the tag is set to 1.
    orientation = exif.orientation(data)
    data = exif.with_orientation(data, 1) if orientation > 1 else data
    slim = sixteen_bit.without_chunks(data, metadata.TEXT_CHUNKS)
    with open_header(BytesIO(slim), name) as picture:
        try:
            _check_supported(picture, data, name, max_pixels)
            return _decode_picture(picture, data, orientation)
        except (*DECODE_ERRORS, MemoryError) as error:
            raise BadImage(
                f"{name}: truncated or damaged, expected a whole {picture.format}, "
                f"got {one_line(error)}; fetch the file again"
            ) from error


def one_line(error: BaseException) -> str:
    """Return the text of an error without line breaks, or the name of its type."""
    return " ".join(str(error).split()) or type(error).__name__


@contextmanager
def open_header(file: BinaryIO, name: str) -> Iterator[Pillow.Image]:
    """Open the picture and read its header. ``_check_supported`` replaces Pillow's own limit.

    Raises ``BadImage`` if it is damaged or of an unknown format.
    """
    data = file.read(_START)
    file.seek(0)
    kind = _plugin_format(data, name)
    try:
        with _OPEN_LOCK:
            limit, Pillow.MAX_IMAGE_PIXELS = Pillow.MAX_IMAGE_PIXELS, None
            try:
                picture = Pillow.open(file, formats=[kind] if kind else _pillow_formats())
            finally:
                Pillow.MAX_IMAGE_PIXELS = limit
    except UnidentifiedImageError:
        raise BadImage(f"{name}: {_unknown_format(data)}") from None
    except DECODE_ERRORS as error:
        raise BadImage(
            f"{name}: truncated or damaged ({one_line(error)}); fetch the file again"
        ) from error
    with picture:
        yield picture


def _plugin_format(data: bytes, name: str) -> str:
    """Return the format of a file that needs a plugin, which is then ready; else empty."""
    kind = plugins.plugin_format(data)
    if kind and not plugins.is_installed(kind):
        raise BadImage(f"{name}: {plugins.missing(kind)}")
    if kind:
        plugins.register(kind)
    return kind


def _unknown_format(data: bytes) -> str:
    """Return why Pillow may not recognise the file, and what to do."""
    if data[:4] in (b"II*\0", b"MM\0*"):
        return "not a TIFF of 8 or 16 bits in grey, RGB or RGBA; convert it to one first"
    known_starts = (b"\xff\xd8\xff", sixteen_bit.PNG_SIGNATURE, b"RIFF", b"GIF8")
    if data.startswith(known_starts) or data[4:12] == b"ftypavif" or plugins.plugin_format(data):
        return "truncated or damaged: its header cannot be read; fetch the file again"
    expected = ", ".join(formats())
    is_text = not data[:_START].translate(None, string.printable.encode())
    got = "text" if is_text else "data of an unknown kind"
    return f"not a picture, expected {expected}, got {got}; check the file"


def _check_supported(picture: Pillow.Image, data: bytes, name: str, max_pixels: int) -> None:
    """Raise ``BadImage`` if the picture is too large, or not a single plain photo."""
    width, height = picture.size
    if width * height > max_pixels:
        raise BadImage(
            f"{name}: {width}x{height} is {width * height:,} pixels, expected at most "
            f"{max_pixels:,}; raise the limit with --max-pixels"
        )
    problem = _unsupported_feature(picture, data)
    if problem:
        raise BadImage(f"{name}: {problem}")


def _unsupported_feature(picture: Pillow.Image, data: bytes) -> str:
    """Return what would be lost or misread, and what to do; empty if nothing."""
    if getattr(picture, "is_animated", False) and not _has_one_photo(picture):
        return "several pages or frames, expected a single picture; save one as a file"
    if picture.format == "TIFF":
        return _unsupported_tiff_feature(picture)
    if picture.format == "JXL" and picture.mode not in _MODES:
        return "more than 8 bits of JPEG XL would be lost; convert it to a 16-bit PNG first"
    if picture.format == "AVIF" and _avif_depth(data) > 8:
        return "more than 8 bits of AVIF would be lost; convert it to a 16-bit PNG first"
    if not _is_grey_or_rgb(picture):
        return f"{picture.mode} pixels, expected grey or RGB; convert it to RGB first"
    return ""


def _has_one_photo(picture: Pillow.Image) -> bool:
    """Return whether the first of several pictures is the photo, and the others only go with it."""
    if picture.format == "TIFF":
        return metadata.has_only_overviews(picture)
    return picture.format in ("MPO", "HEIF")


def _is_grey_or_rgb(picture: Pillow.Image) -> bool:
    return picture.mode in _MODES or picture.mode.startswith("I;16")


def _unsupported_tiff_feature(picture: Pillow.Image) -> str:
    """Return what of a TIFF would be lost or misread, and what to do; empty if nothing."""
    tags = picture.getexif()
    bits = _as_tuple(tags.get(BITSPERSAMPLE, 1))
    sample_formats = _as_tuple(tags.get(SAMPLEFORMAT, 1))  # 1: unsigned integers
    channels = tags.get(SAMPLESPERPIXEL, 1)
    if not _is_grey_or_rgb(picture):
        return f"{picture.mode} pixels, expected 8 or 16 bit grey or RGB; convert it to RGB first"
    if max(bits) > 8 and (set(bits) != {16} or set(sample_formats) != {1}):
        return f"samples of {max(bits)} bits, expected 8 or 16 bit integers; convert it first"
    if max(bits) == 16 and not _has_plain_layout(tags):
        return "16 bits in planes, inverted or premultiplied; save it as plain 16-bit RGB first"
    if channels != len(picture.getbands()):
        return f"{channels} channels, expected 1, 3, or 4 with alpha; convert it to RGB first"
    return ""


def _has_plain_layout(tags: Pillow.Exif) -> bool:
    """Return whether a TIFF is black-is-zero grey or RGB, interleaved, not premultiplied."""
    return (
        tags.get(PHOTOMETRIC_INTERPRETATION) in (1, 2)
        and tags.get(PLANAR_CONFIGURATION, 1) == 1
        and 1 not in _as_tuple(tags.get(EXTRASAMPLES, 2))
    )


def _as_tuple(value: Any) -> tuple[int, ...]:
    return value if isinstance(value, tuple) else (value,)


def _avif_depth(data: bytes) -> int:
    """Return the bits per sample, from the AV1 configuration box (AV1-ISOBMFF 2.3)."""
    start = data.find(b"av1C")
    if start < 0 or start + 7 > len(data) or not data[start + 6] & 0x40:
        return 8
    return 12 if data[start + 6] & 0x20 else 10


def _decode_picture(picture: Pillow.Image, data: bytes, tiff_orientation: int) -> DecodedFile:
    kind = "JPEG" if picture.format == "MPO" else str(picture.format)
    is_png = kind == "PNG"
    pixels = _decode_pixels(picture, data)
    packet = metadata.png_xmp(data) if is_png else metadata.xmp_packet(picture)
    profile = metadata.png_profile(data) if is_png else picture.info.get("icc_profile")
    if kind == "TIFF":
        exif_bytes = exif.without_pictures(sixteen_bit.tiff_exif(picture))
        exif_bytes = exif.with_orientation(exif_bytes, tiff_orientation)
        orientation = tiff_orientation
    else:
        exif_bytes = exif.without_pictures(picture.info.get("exif") or b"")
        orientation = 1 if is_upright(picture) else exif.orientation(exif_bytes)
        exif_bytes = exif.with_orientation(exif_bytes, orientation)
    return DecodedFile(
        pixels=pixels,
        format=kind,
        orientation=orientation,
        exif=exif_bytes,
        icc_profile=profile or None,
        dpi=_dpi(picture),
        png_chunks=tuple(metadata.png_chunks_to_keep(data)) if is_png else (),
        xmp=xmp.projection(packet),
        geo_tags=metadata.geo_tags(picture) if kind == "TIFF" else (),
        palette_indices=np.asarray(picture) if picture.mode == "P" else None,
        not_kept=metadata.not_kept(picture, data),
    )


def is_upright(picture: Pillow.Image) -> bool:
    """Return whether the decoder has turned the pixels, whatever EXIF says."""
    return picture.format == "HEIF" or (
        picture.format == "JXL" and not getattr(picture, "jpeg", False)
    )


def _decode_pixels(picture: Pillow.Image, data: bytes) -> Pixels:
    """Return the stored pixels, as ``DecodedFile`` describes them."""
    picture.load()  # also for 16 bits: only Pillow recognises a truncated file
    if data.startswith(sixteen_bit.PNG_SIGNATURE) and data[24] == 16:
        return _decode_16bit_png(picture, sixteen_bit.without_chunks(data, metadata.TEXT_CHUNKS))
    if picture.format == "TIFF" and max(_as_tuple(picture.getexif().get(BITSPERSAMPLE, 1))) == 16:
        return sixteen_bit.decode(data)
    has_transparent_color = "transparency" in picture.info
    mode = _MODES_WITH_ALPHA.get(picture.mode) if has_transparent_color else None
    pixels = np.asarray(picture.convert(mode or _MODES[picture.mode]))
    return np.atleast_3d(pixels)


def _decode_16bit_png(picture: Pillow.Image, data: bytes) -> NDArray[np.uint16]:
    """Decode with OpenCV, which returns grey with alpha as RGBA, and ignores a transparent grey."""
    pixels = sixteen_bit.decode(data)
    color_type, transparent = data[25], picture.info.get("transparency")
    if color_type == 4:
        return pixels[..., [0, 3]]
    if color_type == 0 and transparent is not None:
        alpha = np.where(pixels == transparent, 0, 65535).astype(np.uint16)
        return np.concatenate([pixels, alpha], axis=2)
    return pixels


def _dpi(picture: Pillow.Image) -> tuple[float, float] | None:
    try:
        x, y = (float(value) for value in picture.info.get("dpi", ()))
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return (x, y) if 0 < x < 1e6 and 0 < y < 1e6 else None
