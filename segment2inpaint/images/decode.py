"""Bytes of a file to pixels as they are stored: Pillow, and OpenCV for 16 bits.

What is not one plain photo is refused here, in one line, before its pixels are decoded.
"""

from __future__ import annotations

import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import UnidentifiedImageError, features

from segment2inpaint.errors import BadImage
from segment2inpaint.images import exif, sixteen_bit

Pixels = NDArray[Any]

# What Pillow raises on damaged files, by fuzzing.
DAMAGE = (
    OSError, SyntaxError, ValueError, EOFError, LookupError, TypeError, RuntimeError, struct.error
)  # fmt: skip

_READ = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "AVIF")
_MODES = {"1": "L", "L": "L", "LA": "LA", "P": "RGB", "PA": "RGBA", "RGB": "RGB", "RGBA": "RGBA"}
_WITH_ALPHA = {"1": "LA", "L": "LA", "P": "RGBA", "RGB": "RGBA"}
_HEIC = (b"heic", b"heix", b"heim", b"hevc", b"mif1", b"msf1")
_CHUNKS = (b"gAMA", b"cHRM", b"sRGB", b"cICP", b"tEXt", b"zTXt", b"iTXt")
_PICTURE_TEXT = (b"XML:com.adobe.xmp", b"Raw profile type")  # hold XMP, EXIF, Photoshop's
_OPENING = threading.Lock()


@dataclass(frozen=True, eq=False)
class DecodedFile:
    """A file taken apart; see ``images.Photo`` for the same names.

    ``pixels`` are (H, W, C) uint8 or uint16, not yet turned: grey, grey and alpha, RGB, or RGB
    and alpha.
    """

    pixels: Pixels
    format: str
    orientation: int
    exif: bytes
    icc: bytes | None
    dpi: tuple[float, float] | None
    chunks: tuple[tuple[bytes, bytes], ...]


def formats() -> list[str]:
    """The formats that can be read here."""
    return [kind for kind in _READ if kind != "AVIF" or features.check("avif")]


def decode(data: bytes, name: str, max_pixels: int) -> DecodedFile:
    """Take a file apart; ``name`` is what errors call it. Raises ``BadImage``."""
    if not data:
        raise BadImage(f"{name}: the file is empty, expected a picture; check where it came from")
    turned = exif.orientation(data)  # of a TIFF, whose pixels decoders would turn
    data = exif.with_orientation(data, 1) if turned > 1 else data
    with _opened(data, name) as picture:
        try:
            _check_kind(picture, data, name, max_pixels)
            return _decoded(picture, data, turned)
        except (*DAMAGE, MemoryError) as error:
            raise BadImage(
                f"{name}: truncated or damaged, expected a whole {picture.format}, "
                f"got {line(error)}; fetch the file again"
            ) from error


def line(error: BaseException) -> str:
    """An error's text in one line."""
    return " ".join(str(error).split()) or type(error).__name__


@contextmanager
def _opened(data: bytes, name: str) -> Iterator[Pillow.Image]:
    """The picture with its header read, without Pillow's own limit: ours is checked next."""
    try:
        with _OPENING:
            limit, Pillow.MAX_IMAGE_PIXELS = Pillow.MAX_IMAGE_PIXELS, None
            try:
                picture = Pillow.open(BytesIO(data), formats=formats())
            finally:
                Pillow.MAX_IMAGE_PIXELS = limit
    except UnidentifiedImageError:
        raise BadImage(f"{name}: {_unknown(data)}") from None
    except DAMAGE as error:
        raise BadImage(
            f"{name}: truncated or damaged ({line(error)}); fetch the file again"
        ) from error
    with picture:
        yield picture


def _unknown(data: bytes) -> str:
    """Why Pillow may not know a file, and what to do."""
    if data[4:8] == b"ftyp" and data[8:12] in _HEIC:
        return "HEIC is not supported, expected JPEG or the like; convert it to JPEG or PNG first"
    if data[:4] in (b"II*\0", b"MM\0*"):
        return "not a TIFF of 8 or 16 bits in grey, RGB or RGBA; convert it to one first"
    starts = (b"\xff\xd8\xff", sixteen_bit.PNG, b"RIFF", b"GIF8")
    if data.startswith(starts) or data[4:12] == b"ftypavif":
        return "truncated or damaged: its header cannot be read; fetch the file again"
    expected = ", ".join(formats())
    return f"not a picture, expected {expected}, got {data[:8]!r}...; check the file"


def _check_kind(picture: Pillow.Image, data: bytes, name: str, max_pixels: int) -> None:
    """Refuse what is too big or not one plain photo, before anything is decoded."""
    width, height = picture.size
    if width * height > max_pixels:
        raise BadImage(
            f"{name}: {width}x{height} is {width * height:,} pixels, expected at most "
            f"{max_pixels:,}; raise the limit with --max-pixels"
        )
    kind, refused = picture.format, ""
    if kind != "MPO" and getattr(picture, "is_animated", False):
        refused = "several pages or frames, expected a single picture; save one as a file"
    elif kind == "TIFF":
        refused = _tiff_trouble(picture)
    elif kind == "AVIF" and _avif_depth(data) > 8:
        refused = "more than 8 bits of AVIF would be lost; convert it to a 16-bit PNG first"
    elif picture.mode not in _MODES and not picture.mode.startswith("I;16"):
        refused = f"{picture.mode} pixels, expected grey or RGB; convert it to RGB first"
    if refused:
        raise BadImage(f"{name}: {refused}")


def _tiff_trouble(picture: Pillow.Image) -> str:
    """What of a TIFF would be lost or misread, empty if nothing."""
    tags = picture.getexif()
    bits, kinds = _numbers(tags.get(258, 1)), _numbers(tags.get(339, 1))
    samples = tags.get(277, 1)
    if picture.mode not in _MODES and not picture.mode.startswith("I;16"):
        return f"{picture.mode} pixels, expected 8 or 16 bit grey or RGB; convert it to RGB first"
    if max(bits) > 8 and (set(bits) != {16} or set(kinds) != {1}):
        return f"samples of {max(bits)} bits, expected 8 or 16 bit integers; convert it first"
    odd = tags.get(262) not in (1, 2) or tags.get(284, 1) != 1 or 1 in _numbers(tags.get(338, 2))
    if max(bits) == 16 and odd:
        return "16 bits in planes, inverted or premultiplied; save it as plain 16-bit RGB first"
    if samples != len(picture.getbands()):
        return f"{samples} channels, expected 1, 3, or 4 with alpha; convert it to RGB first"
    return ""


def _numbers(value: Any) -> tuple[int, ...]:
    return value if isinstance(value, tuple) else (value,)


def _avif_depth(data: bytes) -> int:
    """Bits per sample, from the AV1 configuration box (AV1-ISOBMFF 2.3)."""
    at = data.find(b"av1C")
    if at < 0 or at + 7 > len(data) or not data[at + 6] & 0x40:
        return 8
    return 12 if data[at + 6] & 0x20 else 10


def _decoded(picture: Pillow.Image, data: bytes, turned: int) -> DecodedFile:
    kind = "JPEG" if picture.format == "MPO" else str(picture.format)
    pixels = _pixels(picture, data)
    if kind == "TIFF":
        notes = exif.with_orientation(exif.without_pictures(sixteen_bit.tiff_exif(picture)), turned)
    else:
        notes = exif.without_pictures(picture.info.get("exif", b""))
        turned = exif.orientation(notes)
    chunks = tuple(_kept_chunks(data)) if kind == "PNG" else ()
    icc = picture.info.get("icc_profile") or None
    return DecodedFile(pixels, kind, turned, notes, icc, _dpi(picture), chunks)


def _pixels(picture: Pillow.Image, data: bytes) -> Pixels:
    """(H, W, 1 to 4) uint8 or uint16 as stored: grey, grey + alpha, RGB, RGB + alpha."""
    picture.load()  # of 16 bits too: it is Pillow that knows a truncated file
    if data.startswith(sixteen_bit.PNG) and data[24] == 16:
        return _deep_png(picture, data)
    if picture.format == "TIFF" and max(_numbers(picture.getexif().get(258, 1))) == 16:
        return sixteen_bit.decode(data)
    clear = "transparency" in picture.info
    mode = _WITH_ALPHA.get(picture.mode) if clear else None
    pixels = np.asarray(picture.convert(mode or _MODES[picture.mode]))
    return np.atleast_3d(pixels)


def _deep_png(picture: Pillow.Image, data: bytes) -> NDArray[np.uint16]:
    """OpenCV gives grey with alpha as RGBA, and forgets the clear value of grey."""
    pixels = sixteen_bit.decode(data)
    color_type, clear = data[25], picture.info.get("transparency")
    if color_type == 4:
        return pixels[..., [0, 3]]
    if color_type == 0 and clear is not None:
        alpha = np.where(pixels == clear, 0, 65535).astype(np.uint16)
        return np.concatenate([pixels, alpha], axis=2)
    return pixels


def _dpi(picture: Pillow.Image) -> tuple[float, float] | None:
    try:
        x, y = (float(value) for value in picture.info.get("dpi", ()))
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return (x, y) if 0 < x < 1e6 and 0 < y < 1e6 else None


def _kept_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    for name, body in sixteen_bit.chunks(data):
        if name in _CHUNKS and not body.startswith(_PICTURE_TEXT):
            yield name, body
