"""Write an edited photo: the new pixels where alpha is above 0, the photo elsewhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from segment2inpaint.errors import BadImage, BadOption
from segment2inpaint.images import avif, exif, jpeg, plugins
from segment2inpaint.images.atomic_write import check_target, write_bytes
from segment2inpaint.images.decoder import DECODE_ERRORS, formats, one_line
from segment2inpaint.images.encoder import FileMetadata, encoders
from segment2inpaint.images.photo import Photo
from segment2inpaint.images.pixels import Pixels, to_8bit, to_grey, to_stored, to_upright
from segment2inpaint.types import Alpha, BinaryMask, Image, bounding_box, changed_pixels

_FORMAT_OF_SUFFIX = {
    ".jpg": "JPEG", ".jpeg": "JPEG", ".jpe": "JPEG", ".jfif": "JPEG", ".png": "PNG",
    ".webp": "WEBP", ".tif": "TIFF", ".tiff": "TIFF", ".bmp": "BMP", ".avif": "AVIF",
    ".heic": "HEIF", ".heif": "HEIF", ".hif": "HEIF", ".jxl": "JXL",
}  # fmt: skip
_PNG_TEXT = (b"tEXt", b"zTXt", b"iTXt")
_SRGB_NAMES = (b"sRGB", b"Gra_D65_Rel_SRG")  # the latter as libjxl names it
_FORMATS_WITHOUT_ALPHA = ("JPEG", "BMP")
_MAX_SIDE = {"JPEG": 65_500, "WEBP": 16_383, "AVIF": 65_536}  # px, limits of the libraries


def format_of(target: str | Path) -> str:
    """Return the format that a file name asks for by its suffix, such as ``JPEG``.

    Raises ``BadImage`` for an unknown suffix.
    """
    suffix = Path(target).suffix.lower()
    kind = _FORMAT_OF_SUFFIX.get(suffix, "")
    if kind in plugins.PLUGINS and not plugins.is_installed(kind):
        raise BadImage(f"{target}: {plugins.missing(kind)}")
    if kind not in formats():
        known = ", ".join(end for end, kind in _FORMAT_OF_SUFFIX.items() if kind in formats())
        raise BadImage(f"{target}: cannot write {suffix or 'without a suffix'}, expected {known}")
    return kind


def has_photo_suffix(name: str) -> bool:
    """Return whether a file name ends as that of a photo, readable on this machine or not."""
    suffix = Path(name).suffix.lower()
    kind = _FORMAT_OF_SUFFIX.get(suffix, "")
    return suffix == ".gif" or kind in plugins.PLUGINS or kind in formats()


def check_format(target: str | Path, photo: Photo) -> None:
    """Raise ``BadImage`` if the format of this file name cannot hold the photo.

    The reasons are transparency and size, so no edit can change the answer.
    """
    kind, (height, width) = format_of(target), photo.size
    if _is_transparent(photo) and kind in _FORMATS_WITHOUT_ALPHA:
        raise BadImage(
            f"{target}: {kind} cannot hold the photo's transparency; write .png, .webp or .tif"
        )
    if kind == "JXL" and not _is_srgb(photo.icc_profile):
        raise BadImage(
            f"{target}: JPEG XL is written without a colour profile, which this photo needs; "
            f"write .png, .webp or .avif"
        )
    if max(photo.size) > _MAX_SIDE.get(kind, max(photo.size)):
        raise BadImage(
            f"{target}: {kind} holds at most {_MAX_SIDE[kind]} px a side, the photo has "
            f"{width}x{height}; write .png or .tif"
        )


def _is_srgb(icc_profile: bytes | None) -> bool:
    """Return whether a profile says that it is sRGB, or grey with the curve of sRGB."""
    return not icc_profile or any(n in icc_profile.replace(b"\0", b"") for n in _SRGB_NAMES)


def not_kept(photo: Photo, format: str | None = None) -> tuple[str, ...]:
    """Return, in words, what the photo's file has and a written file of this format has not.

    ``format`` is as for ``encode``. Embedded thumbnails are always dropped and not named.
    """
    kind = format or _own_format(photo)
    lost = {
        "the colour profile": photo.icc_profile and kind in ("BMP", "JXL"),
        "EXIF": photo.exif and kind == "BMP",
        "the panorama's XMP": photo.xmp and kind == "BMP",
        "GeoTIFF tags": photo.geo_tags and kind != "TIFF",
        "PNG text": kind != "PNG" and any(name in _PNG_TEXT for name, _ in photo.png_chunks),
        "16 bits": photo.pixels_16bit is not None and kind not in ("PNG", "TIFF"),
    }
    return (*photo.not_kept, *(words for words, is_lost in lost.items() if is_lost))


def _own_format(photo: Photo) -> str:
    return "PNG" if photo.format == "GIF" else photo.format


def _is_transparent(photo: Photo) -> bool:
    alpha = photo.alpha
    return alpha is not None and bool(alpha.min() < np.iinfo(alpha.dtype).max)


def write(
    target: str | Path,
    photo: Photo,
    image: Image,
    alpha: Alpha,
    *,
    quality: int | None = None,
    overwrite: bool = False,
) -> None:
    """Write ``image`` where ``alpha`` is above 0, and the photo elsewhere, to ``target``.

    ``image`` is ``(H, W, 3)`` uint8 RGB and ``alpha`` is ``(H, W)`` in [0, 1], both of the photo's
    size. The suffix of ``target`` selects the format; ``encode`` explains ``quality``. Missing
    folders are created. The file is written completely or not at all. Raises ``BadImage`` if it
    cannot be written, and if ``target`` is the photo's own file and ``overwrite`` is False.
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
    """Return a file with ``image`` where ``alpha`` is above 0, and the photo elsewhere.

    ``image`` is ``(H, W, 3)`` uint8 RGB and ``alpha`` is ``(H, W)`` in [0, 1], both of the photo's
    size. ``format`` is one of ``formats()``; None is the photo's own (PNG for a GIF). In the
    photo's own format, pixels are stored in the file's orientation; in another, they are upright.
    Whatever a format cannot hold is left out (profile, EXIF, 16 bits).

    ``quality``, 1 to 100, makes JPEG, WebP, AVIF, HEIC and JPEG XL lossy; others ignore it. None
    means the tables of the original JPEG (95 for other sources), and lossless files of the other
    formats (AVIF almost, where OpenCV cannot write it).

    Raises ``BadImage`` for an unknown format, for arrays of another size or dtype, and for a
    transparent photo as JPEG or BMP; ``BadOption`` for a quality out of range.
    """
    kind = format or _own_format(photo)
    if kind not in encoders():
        raise BadImage(
            f"{photo.name}: cannot write {kind}, expected one of {', '.join(encoders())}"
        )
    if quality is not None and not 1 <= quality <= 100:
        raise BadOption(f"quality must be 1 to 100, got {quality}")
    changed = _changed_mask(photo, image, alpha)
    try:
        return _encode_changes(photo, image, changed, kind, quality)
    except (*DECODE_ERRORS, OverflowError) as error:
        raise BadImage(f"{photo.name}: cannot be written as {kind} ({one_line(error)})") from error


def touched_blocks(photo: Photo, image: Image, alpha: Alpha) -> BinaryMask:
    """Return the pixels that may change when the edit is written in the photo's format.

    (H, W) bool. For a JPEG without ``quality``, these are the blocks with a changed pixel, with
    the margin that ``images.jpeg`` describes. They are all pixels for JPEGs of a rare kind that
    must be encoded again, and for AVIF where OpenCV cannot write it. For other formats they are
    the changed pixels.
    """
    changed = _changed_mask(photo, image, alpha)
    if not photo.jpeg_file:
        is_exact = photo.format != "AVIF" or photo.grey or avif.can_write_lossless()
        return changed if is_exact else np.ones_like(changed)
    stored = to_stored(changed, photo.orientation)
    return to_upright(jpeg.touched_blocks(photo.jpeg_file, stored), photo.orientation)


def _changed_mask(photo: Photo, image: Image, alpha: Alpha) -> BinaryMask:
    """Return the pixels to write: alpha is above 0, and the colour differs from the photo's."""
    for argument, size in (("image", image.shape[:2]), ("alpha", alpha.shape)):
        if size != photo.size:
            raise BadImage(f"{photo.name}: expected {argument} of size {photo.size}, got {size}")
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise BadImage(
            f"{photo.name}: expected image (H, W, 3) uint8, got {image.shape} {image.dtype}"
        )
    changed = np.zeros(photo.size, np.bool_)
    box = bounding_box(alpha > 0).slices
    changed[box] = changed_pixels(image[box], photo.image[box]) & (alpha[box] > 0)
    return changed


def _encode_changes(
    photo: Photo, image: Image, changed: BinaryMask, kind: str, quality: int | None
) -> bytes:
    same_format = kind == photo.format
    orientation = photo.orientation if same_format else 1
    exif_bytes = photo.exif if same_format else exif.with_orientation(photo.exif, 1)
    if kind == "JPEG" and photo.jpeg_file and quality is None:
        stored = to_stored(image, orientation), to_stored(changed, orientation)
        spliced = jpeg.splice(photo.jpeg_file, *stored, exif_bytes, photo.xmp)
        if spliced is not None:
            return spliced
    merged = _merge(photo, image, changed, keep_16bit=kind in ("PNG", "TIFF"))
    chunks = photo.png_chunks if same_format else ()
    metadata = FileMetadata(
        exif_bytes, photo.icc_profile, photo.dpi, chunks, photo.jpeg_file, photo.xmp,
        photo.geo_tags,
    )  # fmt: skip
    return encoders()[kind](to_stored(merged, orientation), metadata, quality)


def edited_pixels(photo: Photo, image: Image, alpha: Alpha) -> Pixels:
    """Return what an upright 8-bit file holds, ``(H, W, 1 to 4)`` uint8: grey or RGB, then alpha.

    The arguments and the errors are those of ``encode``.
    """
    return _merge(photo, image, _changed_mask(photo, image, alpha), keep_16bit=False)


def _merge(photo: Photo, image: Image, changed: BinaryMask, *, keep_16bit: bool) -> Pixels:
    """Return the photo's channels, (H, W, 1 to 4), with ``image`` where ``changed`` is True.

    They are uint16 if ``keep_16bit`` is True and the photo has 16 bits, else uint8.
    """
    deep = photo.pixels_16bit if keep_16bit else None
    new: Pixels = image if not photo.grey else to_grey(image)[..., None]
    old = deep if deep is not None else photo.image[..., : new.shape[2]]
    if deep is not None:
        new = new.astype(np.uint16) * 257
    colors = np.where(changed[..., None], new, old)
    if photo.alpha is None:
        return colors
    alpha = photo.alpha if deep is not None else to_8bit(photo.alpha)
    return np.concatenate([colors, alpha[..., None]], axis=2)
