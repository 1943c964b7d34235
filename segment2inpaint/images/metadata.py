"""Metadata beside EXIF: what of it is kept, and what is not, in words.

Dropped is what may show the removed object. The words for it go to whoever ran the edit.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from itertools import takewhile
from typing import Any

from PIL import Image as Pillow
from PIL import TiffTags
from PIL.TiffImagePlugin import TiffImageFile

from segment2inpaint.images import jpeg, sixteen_bit, xmp

# Chunks of a PNG that Pillow need not see. It refuses text and profiles above 1 MB.
TEXT_CHUNKS = (b"iCCP", b"tEXt", b"zTXt", b"iTXt")
_PNG_CHUNKS_TO_KEEP = (b"gAMA", b"cHRM", b"sRGB", b"cICP", b"tEXt", b"zTXt", b"iTXt")
# Text chunks that may hold a picture: XMP, EXIF, Photoshop resources.
_PNG_XMP = b"XML:com.adobe.xmp"
_PNG_RAW_PROFILE = b"Raw profile type"
_MAX_PROFILE = 64 * 2**20  # bytes of an unpacked colour profile

_GEO_TAGS = {
    33550, 33922, 34264, 33920,  # ModelPixelScale, ModelTiepoint, ModelTransformation
    34735, 34736, 34737,  # GeoKeyDirectory and its doubles and text
    42112, 42113, 50844,  # GDAL_METADATA, GDAL_NODATA, RPCCoefficient
}  # fmt: skip
# The tags that say how a TIFF is laid out, and those that are kept in another way.
_LAYOUT_TAGS = {
    *range(254, 260), 262, 263, 264, 265, 266, 273, 274, *range(277, 285), 290, 291, 296, 301, 317,
    318, 319, 320, 321, *range(322, 326), *range(332, 348), *range(512, 522), *range(529, 533),
    34675, 270, 271, 272, 305, 306, 315, 33432, 34665, 34853, 700,
}  # fmt: skip
_PICTURE_TAGS = {330: "further pictures"}
_TAG_WORDS = {33723: "IPTC", 34377: "Photoshop resources"}


def xmp_packet(picture: Pillow.Image) -> bytes:
    """Return the XMP of an open picture; empty if there is none."""
    packet = picture.info.get("xmp") or b""
    return packet.encode() if isinstance(packet, str) else bytes(packet)


def not_kept(picture: Pillow.Image, data: bytes) -> tuple[str, ...]:
    """Return, in words, the metadata of a file that a written file will not have."""
    packet = png_xmp(data) if picture.format == "PNG" else xmp_packet(picture)
    finders = {"JPEG": _jpeg_words, "MPO": _jpeg_words, "PNG": _png_words}
    words = [xmp.dropped(packet)]
    if picture.format in finders:
        words += finders[picture.format](data)
    elif picture.format == "TIFF":
        words += _tiff_words(picture)
    elif picture.format == "HEIF":
        words += _heif_words(picture)
    return tuple(dict.fromkeys(word for word in words if word))


# --- JPEG -------------------------------------------------------------------------------------


def _jpeg_words(data: bytes) -> Iterator[str]:
    known = {
        (0xE1, b"http://ns.adobe.com/xmp/extension/"): "extended XMP",
        (0xE2, b"MPF\0"): "further pictures",
        (0xED, b"Photoshop 3.0\0"): "IPTC and Photoshop resources",
        (0xEB, b"JP"): "C2PA or other JUMBF boxes",
    }
    for segment in takewhile(lambda s: s.marker != 0xDA, jpeg.segments(data)):
        for (marker, start), word in known.items():
            if segment.marker == marker and segment.body.startswith(start):
                yield word


# --- PNG --------------------------------------------------------------------------------------


def png_chunks_to_keep(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield name and body of the colour and text chunks that are written again."""
    for name, body in sixteen_bit.png_chunks(data):
        if name in _PNG_CHUNKS_TO_KEEP and not body.startswith((_PNG_XMP, _PNG_RAW_PROFILE)):
            yield name, body


def png_profile(data: bytes) -> bytes | None:
    """Return the colour profile of a PNG, at most 64 MB; None without a valid one."""
    for name, body in sixteen_bit.png_chunks(data):
        if name == b"iCCP":
            packed = body[body.find(b"\0") + 2 :]
            unpacker = zlib.decompressobj()
            try:
                profile = unpacker.decompress(packed, _MAX_PROFILE)
            except zlib.error:
                return None
            return None if unpacker.unconsumed_tail else profile or None
    return None


def png_xmp(data: bytes) -> bytes:
    """Return the XMP of a PNG that is not compressed, as XMP's standard wants; else empty."""
    for name, body in sixteen_bit.png_chunks(data):
        if name == b"iTXt" and body.startswith(_PNG_XMP + b"\0\0"):
            return body.split(b"\0", 5)[-1]
    return b""


def _png_words(data: bytes) -> Iterator[str]:
    for name, body in sixteen_bit.png_chunks(data):
        if name in TEXT_CHUNKS and body.startswith(_PNG_RAW_PROFILE):
            yield body.split(b"\0", 1)[0].decode("latin-1").lower()
        if name == b"iCCP" and png_profile(data) is None:
            yield "a colour profile that is damaged or above 64 MB"
        if name == b"caBX":
            yield "C2PA"


# --- TIFF -------------------------------------------------------------------------------------


def geo_tags(picture: Pillow.Image) -> tuple[tuple[int, int, Any], ...]:
    """Return tag, type and values of the tags that place an open TIFF on the earth."""
    if not isinstance(picture, TiffImageFile):
        return ()
    tags = picture.tag_v2
    return tuple((tag, tags.tagtype[tag], tags[tag]) for tag in sorted(_GEO_TAGS & set(tags)))


def _tiff_words(picture: Pillow.Image) -> Iterator[str]:
    for tag in sorted(picture.tag_v2) if isinstance(picture, TiffImageFile) else ():
        if tag not in _GEO_TAGS | _LAYOUT_TAGS:
            word = _PICTURE_TAGS.get(tag) or _TAG_WORDS.get(tag)
            name = TiffTags.lookup(tag).name
            yield word or (f"tag {tag}" if name in ("unknown", None) else f"tag {name}")
    if getattr(picture, "n_frames", 1) > 1:
        yield "overviews"


def has_only_overviews(picture: Pillow.Image) -> bool:
    """Return whether all pictures of a TIFF after the first are reduced copies or masks of it."""
    assert isinstance(picture, TiffImageFile)
    kinds = []
    for number in range(1, picture.n_frames):
        picture.seek(number)
        kinds.append(int(picture.tag_v2.get(254, 0)))
    picture.seek(0)
    return bool(kinds) and all(kind & 5 for kind in kinds)


# --- HEIF -------------------------------------------------------------------------------------


def _heif_words(picture: Pillow.Image) -> Iterator[str]:
    depth = int(picture.info.get("bit_depth") or 8)
    if depth > 8:
        yield f"more than 8 of the {depth} bits a sample"
    if getattr(picture, "n_frames", 1) > 1:
        yield "further pictures"
    if picture.info.get("aux") or picture.info.get("depth_images"):
        yield "auxiliary pictures, such as a gain map or depth"
