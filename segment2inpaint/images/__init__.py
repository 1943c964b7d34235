"""Files to ``Photo`` and back; with ``decode`` and ``encode`` all that knows picture files.

Pixels are used as they are stored: no colour profile is applied, it only travels along. What
a photo is, it stays: format, size, orientation, greyscale, alpha, 16 bits (PNG, TIFF), colour
profile, dpi, EXIF, comments; and every pixel where alpha is 0. Three limits to the last:

* JPEG: blocks that no changed pixel touches keep their coefficients, see ``jpeg``.
* AVIF has no lossless mode here: at quality 100 pixels elsewhere move by 0 to 3 levels.
* ``quality`` asks for a lossy file, and then all of it is coded anew.

Never written, since they may show what was taken away: EXIF thumbnails and other JPEGs inside
of EXIF, XMP, IPTC and Photoshop's resources, further pictures in the file (MPO, motion photos,
gain maps, TIFF sub-images) and C2PA.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from segment2inpaint.errors import BadImage, BadOption
from segment2inpaint.images import exif, jpeg
from segment2inpaint.images.atomic_write import check_target, write_bytes
from segment2inpaint.images.decode import DAMAGE, decode, formats, line
from segment2inpaint.images.encode import FileMetadata, encoders
from segment2inpaint.types import Alpha, BinaryMask, Image, bounding_box, changed_pixels

__all__ = [
    "MAX_PIXELS",
    "Photo",
    "check_format",
    "check_target",
    "encode",
    "encode_mask",
    "format_of",
    "formats",
]
__all__ += ["photo_of", "read", "read_mask", "touched_blocks", "write", "write_bytes", "write_mask"]

Array = NDArray[Any]

# Lets 200-megapixel phones through; 250 million pixels take 0.75 GB as RGB.
MAX_PIXELS = 250_000_000

_SUFFIXES = {
    ".jpg": "JPEG", ".jpeg": "JPEG", ".jpe": "JPEG", ".jfif": "JPEG", ".png": "PNG",
    ".webp": "WEBP", ".tif": "TIFF", ".tiff": "TIFF", ".bmp": "BMP", ".avif": "AVIF",
}  # fmt: skip
OPAQUE = ("JPEG", "BMP")
SIDES = {"JPEG": 65_500, "WEBP": 16_383, "AVIF": 65_536}  # px, of the libraries
_FLIPS = {  # of an EXIF orientation, up-down and left-right, after the transpose of 5 to 8
    2: (False, True), 3: (True, True), 4: (True, False),
    6: (False, True), 7: (True, True), 8: (True, False),
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Photo:
    """A file read: its pixels, upright, and what must survive.

    ``image`` is ``(H, W, 3)`` uint8 RGB, read-only. ``alpha`` is the file's own alpha channel,
    ``(H, W)`` uint8, or uint16 in a photo of 16 bits. ``deep`` are the 16-bit pixels, ``(H, W, 1
    or 3)`` uint16, where ``image`` is ``deep / 257`` rounded. ``orientation`` is how the file
    turns its pixels (EXIF, 1 to 8); ``exif`` begins with ``Exif\\0\\0`` and holds no picture.
    ``jpeg`` is the whole file of a JPEG, ``chunks`` the colour and text chunks of a PNG.
    """

    image: Image = field(repr=False)
    name: str = "photo"
    path: Path | None = None
    format: str = "PNG"
    grey: bool = False
    alpha: Array | None = field(default=None, repr=False)
    pixels_16bit: NDArray[np.uint16] | None = field(default=None, repr=False)
    orientation: int = 1
    exif: bytes = field(default=b"", repr=False)
    icc: bytes | None = field(default=None, repr=False)
    dpi: tuple[float, float] | None = None
    chunks: tuple[tuple[bytes, bytes], ...] = field(default=(), repr=False)
    jpeg: bytes = field(default=b"", repr=False)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.image.shape[0], self.image.shape[1]


# --- reading --------------------------------------------------------------------------------


def read(
    source: str | Path | bytes | BinaryIO, *, name: str = "", max_pixels: int = MAX_PIXELS
) -> Photo:
    """Read a photo from a path, from the bytes of a file, or from an open file.

    ``name`` is what errors call it, by default the path. The first picture of an MPO is read
    as the JPEG that it is; palettes become RGB. Raises ``BadImage`` for what is missing, too
    big, damaged, animated, of several pages, CMYK or otherwise not a plain photo.
    """
    data, name, path = _contents(source, name)
    file = decode(data, name, max_pixels)
    pixels = _to_upright(file.pixels, file.orientation)
    colors = pixels[..., : 1 if pixels.shape[2] < 3 else 3]
    return Photo(
        image=_read_only(np.repeat(_to_8bit(colors), 3 // colors.shape[2], axis=2)),
        name=name,
        path=path,
        format=file.format,
        grey=colors.shape[2] == 1,
        alpha=_read_only(pixels[..., -1]) if pixels.shape[2] in (2, 4) else None,
        pixels_16bit=_read_only(colors) if pixels.dtype == np.uint16 else None,
        orientation=file.orientation,
        exif=file.exif,
        icc=file.icc,
        dpi=file.dpi,
        chunks=file.chunks,
        jpeg=data if file.format == "JPEG" else b"",
    )


def photo_of(image: Image, *, name: str = "array") -> Photo:
    """A photo of an ``(H, W, 3)`` uint8 RGB array, which is copied; written as PNG by default."""
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8:
        got = getattr(image, "dtype", type(image).__name__)
        raise BadImage(f"{name}: expected a uint8 array, got {got}; scale to 0..255 and convert")
    if image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise BadImage(f"{name}: expected shape (H, W, 3), got {image.shape}; give RGB pixels")
    return Photo(_read_only(image.copy()), name)


def _contents(source: str | Path | bytes | BinaryIO, name: str) -> tuple[bytes, str, Path | None]:
    """The bytes, what to call them, and the path if there is one."""
    if isinstance(source, bytes | bytearray | memoryview):
        return bytes(source), name or "input", None
    if not isinstance(source, str | Path) and not hasattr(source, "read"):
        raise BadImage(
            f"expected a path, the bytes of a file or an open file, got {type(source).__name__}; "
            "pixels are given as an (H, W, 3) uint8 array, to remove, replace and mask"
        )
    if not isinstance(source, str | Path):
        return source.read(), name or str(getattr(source, "name", "input")), None
    path = Path(source)
    name = name or str(source)
    try:
        return path.read_bytes(), name, path
    except FileNotFoundError:
        raise BadImage(f"{name}: no such file, expected a picture; check the path") from None
    except IsADirectoryError:
        raise BadImage(f"{name}: expected a picture, got a folder; give a file in it") from None
    except (OSError, ValueError) as error:
        raise BadImage(f"{name}: cannot be read ({line(error)}); check the path") from error


def _to_8bit(pixels: Array) -> Array:
    """16 bits to 8, rounded, so that ``257 * x`` comes back as x."""
    if pixels.dtype == np.uint8:
        return pixels
    return ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)


def _read_only(array: Array) -> Array:
    array = np.ascontiguousarray(array)
    array.setflags(write=False)
    return array


def _to_upright(pixels: Array, orientation: int) -> Array:
    """Turn stored pixels as EXIF says they are to be seen."""
    pixels = pixels.swapaxes(0, 1) if orientation >= 5 else pixels
    return np.ascontiguousarray(_flip(pixels, orientation))


def _to_stored(pixels: Array, orientation: int) -> Array:
    """Turn upright pixels back as they are stored: the inverse of ``_upright``."""
    pixels = _flip(pixels, orientation)
    return np.ascontiguousarray(pixels.swapaxes(0, 1) if orientation >= 5 else pixels)


def _flip(pixels: Array, orientation: int) -> Array:
    rows, columns = _FLIPS.get(orientation, (False, False))
    return pixels[:: -1 if rows else 1, :: -1 if columns else 1]


# --- writing --------------------------------------------------------------------------------


def format_of(target: str | Path) -> str:
    """The format that a file name asks for. Raises ``BadImage`` for one that is not known."""
    suffix = Path(target).suffix.lower()
    kind = _SUFFIXES.get(suffix, "")
    if kind not in formats():
        known = ", ".join(end for end, kind in _SUFFIXES.items() if kind in formats())
        raise BadImage(f"{target}: cannot write {suffix or 'without a suffix'}, expected {known}")
    return kind


def check_format(target: str | Path, photo: Photo) -> None:
    """Raise ``BadImage`` if the format of this name cannot hold the photo, whatever is changed."""
    kind, (height, width) = format_of(target), photo.size
    clear = photo.alpha is not None and photo.alpha.min() < np.iinfo(photo.alpha.dtype).max
    if clear and kind in OPAQUE:
        raise BadImage(
            f"{target}: {kind} cannot hold the photo's transparency; write .png, .webp or .tif"
        )
    if max(photo.size) > SIDES.get(kind, max(photo.size)):
        raise BadImage(
            f"{target}: {kind} holds at most {SIDES[kind]} px a side, the photo has "
            f"{width}x{height}; write .png or .tif"
        )


def write(
    target: str | Path,
    photo: Photo,
    image: Image,
    alpha: Alpha,
    *,
    quality: int | None = None,
    overwrite: bool = False,
) -> None:
    """Write ``image`` where ``alpha`` is above 0, and else the photo, to ``target``.

    ``image`` is ``(H, W, 3)`` uint8 RGB and ``alpha`` ``(H, W)`` in [0, 1], of the photo's size.
    The suffix says the format, see ``encode``. The folder is made, the file appears whole or
    not at all. Raises ``BadImage``, also if ``target`` is the photo's own file without
    ``overwrite``.
    """
    kind = format_of(target)
    check_target(target, source=photo.path, overwrite=overwrite)
    data = encode(photo, image, alpha, format=kind, quality=quality)
    write_bytes(target, data, source=photo.path, overwrite=overwrite)


def encode(
    photo: Photo,
    image: Image,
    alpha: Alpha,
    *,
    format: str | None = None,
    quality: int | None = None,
) -> bytes:
    """The file with ``image`` where ``alpha`` is above 0, and else the photo.

    ``format`` is one of ``formats()``, None the photo's own (PNG for a GIF). In the photo's
    own format pixels are stored turned as they were; in another they are upright. What a
    format cannot hold is left out (profile, EXIF, 16 bits); a see-through photo as JPEG or BMP
    is ``BadImage``. ``quality``, 1 to 100, makes JPEG, WebP and AVIF lossy; None is a JPEG's
    own tables (95 for what was none), lossless WebP, AVIF at 100. Others ignore it.
    """
    kind = format or ("PNG" if photo.format == "GIF" else photo.format)
    if kind not in encoders():
        raise BadImage(
            f"{photo.name}: cannot write {kind}, expected one of {', '.join(encoders())}"
        )
    if quality is not None and not 1 <= quality <= 100:
        raise BadOption(f"quality must be 1 to 100, got {quality}")
    changed = _changed(photo, image, alpha)
    try:
        return _encoded(photo, image, changed, kind, quality)
    except (*DAMAGE, OverflowError) as error:
        raise BadImage(f"{photo.name}: cannot be written as {kind} ({line(error)})") from error


def touched_blocks(photo: Photo, image: Image, alpha: Alpha) -> BinaryMask:
    """Where a JPEG, written as JPEG without ``quality``, may decode differently, (H, W) bool.

    The blocks that hold a changed pixel, and the margin described in ``jpeg``; everywhere for
    a JPEG of a rare kind that must be coded anew, and for AVIF; the changed pixels for others.
    """
    changed = _changed(photo, image, alpha)
    if not photo.jpeg:
        return changed if photo.format != "AVIF" else np.ones_like(changed)
    return _to_upright(
        jpeg.touched_blocks(photo.jpeg, _to_stored(changed, photo.orientation)), photo.orientation
    )


def _changed(photo: Photo, image: Image, alpha: Alpha) -> BinaryMask:
    """The pixels to write: alpha above 0, and another colour than the photo's."""
    for what, got in (("image", image.shape[:2]), ("alpha", alpha.shape)):
        if got != photo.size:
            raise BadImage(f"{photo.name}: expected {what} of size {photo.size}, got {got}")
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise BadImage(
            f"{photo.name}: expected image (H, W, 3) uint8, got {image.shape} {image.dtype}"
        )
    changed = np.zeros(photo.size, np.bool_)
    where = bounding_box(alpha > 0).slices
    changed[where] = changed_pixels(image[where], photo.image[where]) & (alpha[where] > 0)
    return changed


def _encoded(
    photo: Photo, image: Image, changed: BinaryMask, kind: str, quality: int | None
) -> bytes:
    same = kind == photo.format
    turn = photo.orientation if same else 1
    notes = photo.exif if same else exif.with_orientation(photo.exif, 1)
    if kind == "JPEG" and photo.jpeg and quality is None:
        spliced = jpeg.splice(photo.jpeg, _to_stored(image, turn), _to_stored(changed, turn), notes)
        if spliced is not None:
            return spliced
    pixels = _to_stored(_merged(photo, image, changed, deeply=kind in ("PNG", "TIFF")), turn)
    beside = FileMetadata(notes, photo.icc, photo.dpi, photo.chunks if same else (), photo.jpeg)
    return encoders()[kind](pixels, beside, quality)


def _merged(photo: Photo, image: Image, changed: BinaryMask, *, deeply: bool) -> Array:
    """(H, W, 1 to 4): the photo's channels, new where ``changed``; 16 bits if both have them."""
    whole = photo.pixels_16bit if deeply and photo.pixels_16bit is not None else None
    new: Array = image if not photo.grey else _grey(image)[..., None]
    old = whole if whole is not None else photo.image[..., : new.shape[2]]
    if whole is not None:
        new = new.astype(np.uint16) * 257
    colors = np.where(changed[..., None], new, old)
    if photo.alpha is None:
        return colors
    alpha = photo.alpha if whole is not None else _to_8bit(photo.alpha)
    return np.concatenate([colors, alpha[..., None]], axis=2)


def _grey(image: Image) -> NDArray[np.uint8]:
    """Luma (ITU-R BT.601) as Pillow rounds it: x for (x, x, x)."""
    return np.asarray(Pillow.fromarray(image).convert("L"))


# --- masks ----------------------------------------------------------------------------------


def read_mask(
    source: str | Path | bytes | BinaryIO,
    size: tuple[int, int],
    *,
    name: str = "",
    resize: bool = False,
) -> BinaryMask:
    """Read a mask for a photo of ``size`` (h, w): True where it is above half, 127 of 255.

    ``name`` is what errors call it, by default the path.
    What counts is the alpha channel if it varies, else the brightness. The file's EXIF
    orientation is applied. A mask of another size is ``BadImage``, or with ``resize`` brought
    to the photo's by bilinear interpolation and then cut at half. A mask that is not black and
    nowhere above half (labels 0 and 1, say) is ``BadImage`` too.
    """
    photo = read(source, name=name)
    values = _grey(photo.image)
    if photo.alpha is not None and photo.alpha.min() < photo.alpha.max():
        values = _to_8bit(photo.alpha)
    if 0 < values.max() <= 127:
        raise BadImage(
            f"{photo.name}: the mask's brightest pixel is {values.max()}, expected 255 on the "
            f"object and 0 elsewhere; multiply it up"
        )
    if photo.size != size:
        if not resize:
            (height, width), (h, w) = photo.size, size
            raise BadImage(
                f"{photo.name}: the mask must have the photo's size {w}x{h}, "
                f"got {width}x{height}; scale it, or let it be scaled with --resize-mask"
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
    """Write a mask as a grey picture, bool or [0, 1] as 0 to 255, atomically; see ``write``.

    ``source`` is the photo's own file, which is not overwritten without ``overwrite``.
    """
    data = encode_mask(mask, format_of(target))
    write_bytes(target, data, source=source, overwrite=overwrite)


def encode_mask(mask: BinaryMask | Alpha, format: str = "PNG") -> bytes:
    """The file of a mask as a grey picture, bool or [0, 1] as 0 to 255."""
    values = np.rint(np.asarray(mask, np.float32) * 255).astype(np.uint8)
    return encoders()[format](values[..., None], FileMetadata(), None)
