"""Metadata that is kept (panoramas, GeoTIFF, large PNG text) and what is said of the rest."""

from __future__ import annotations

import json
import struct
import tracemalloc
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from command_line import run
from pictures import (
    encode_negative,
    encode_picture,
    exif_with_orientation,
    open_picture,
    random_pixels,
    tiff_directory,
)
from PIL import Image, TiffImagePlugin

from segment2inpaint import images
from segment2inpaint.images import exif, sixteen_bit, xmp

RDF = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
    'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">{}</rdf:RDF></x:xmpmeta>'
)
PANORAMA = RDF.format(
    '<rdf:Description rdf:about="" xmlns:GPano="http://ns.google.com/photos/1.0/panorama/" '
    'GPano:ProjectionType="equirectangular"><GPano:FullPanoWidthPixels>8000'
    "</GPano:FullPanoWidthPixels></rdf:Description>"
).encode()
HISTORY = RDF.format(
    '<rdf:Description xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/" '
    'xmlns:xmpGImg="http://ns.adobe.com/xap/1.0/g/img/" photoshop:Headline="a dog" '
    'xmpGImg:image="/9j/4AAQ"/>'
).encode()
BOTH = PANORAMA.replace(b"</rdf:RDF>", HISTORY.split(b'syntax-ns#">')[1].split(b"</rdf")[0])


def with_xmp(kind: str, packet: bytes) -> bytes:
    pixels = random_pixels(24, 40, 3)
    if kind == "JPEG":
        file = encode_picture(pixels, kind)
        body = b"http://ns.adobe.com/xap/1.0/\0" + packet
        return file[:20] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + file[20:]
    if kind == "PNG":
        body = b"XML:com.adobe.xmp\0\0\0\0\0" + packet
        file = encode_picture(pixels, kind)
        return file[:33] + chunk(b"iTXt", body) + file[33:]
    if kind == "TIFF":
        tags = TiffImagePlugin.ImageFileDirectory_v2()
        tags.tagtype[700], tags[700] = 1, packet
        return encode_picture(pixels, kind, tiffinfo=tags)
    return encode_picture(pixels, kind, xmp=packet)


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


FORMATS = ["JPEG", "PNG", "WEBP", "TIFF", *(["AVIF"] if "AVIF" in images.formats() else [])]


@pytest.mark.parametrize("target", FORMATS)
@pytest.mark.parametrize("kind", FORMATS)
def test_the_projection_of_a_panorama_is_kept_and_the_rest_of_xmp_is_named(
    kind: str, target: str
) -> None:
    photo = images.read(with_xmp(kind, BOTH))
    assert images.not_kept(photo, target) == ("XMP (photoshop, xmpGImg)",)
    data, _ = encode_negative(photo, format=target)
    packet = open_picture(data).info["xmp"]
    packet = packet.encode() if isinstance(packet, str) else packet
    assert b'GPano:ProjectionType="equirectangular"' in packet
    assert b'GPano:FullPanoWidthPixels="8000"' in packet
    assert b"a dog" not in data
    again = images.read(data)
    assert again.xmp == photo.xmp
    assert images.not_kept(again) == ()


def test_only_known_short_values_of_xmp_are_kept() -> None:
    picture = b'<rdf:Description GPano:Thumb="' + b"/9j/" * 400 + b'" drone-dji:GimbalYaw="-3.5"/>'
    kept = xmp.projection(picture)
    assert b'drone-dji:GimbalYaw="-3.5"' in kept
    assert b"/9j/" not in kept
    assert xmp.projection(HISTORY) == b""
    assert xmp.dropped(PANORAMA) == ""
    assert xmp.dropped(b"not XML") == "XMP"


GEO = {33550: (12, (0.5, 0.5, 0.0)), 33922: (12, (0.0, 0.0, 0.0, 440720.0, 3751320.0, 0.0)),
       34735: (3, (1, 1, 0, 1, 1024, 0, 1, 1)), 34737: (2, "WGS 84 / UTM zone 11N|"),
       42113: (2, "0")}  # fmt: skip


def geotiff(dtype: Any = np.uint8, **extra: Any) -> bytes:
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    for tag, (kind, value) in {**GEO, **extra.get("tags", {})}.items():
        tags.tagtype[tag], tags[tag] = kind, value
    if dtype == np.uint16:
        picture = Image.fromarray(random_pixels(20, 30, 1, dtype)[..., 0])
        file = BytesIO()
        picture.save(file, "TIFF", tiffinfo=tags)
        return file.getvalue()
    return encode_picture(random_pixels(20, 30, 3), "TIFF", tiffinfo=tags)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_geotiff_stays_where_it_is_on_the_earth(dtype: Any) -> None:
    photo = images.read(geotiff(dtype))
    assert photo.not_kept == ()
    data, _ = encode_negative(photo)
    tags = open_picture(data).tag_v2  # type: ignore[attr-defined]
    for tag, (kind, value) in GEO.items():
        assert tags[tag] == value
        assert tags.tagtype[tag] == kind


def test_tags_that_are_dropped_are_named(tmp_path: Path) -> None:
    photo = tmp_path / "a.tif"
    photo.write_bytes(geotiff(tags={33723: (7, b"IPTC"), 65000: (2, "private")}))
    options = ("-b", "5,5,12,12", "--inpainter", "telea", "--no-verify", "--json")
    done = run("remove", photo, *options, "-o", tmp_path / "o.tif")
    assert "o.tif does not keep: IPTC, tag 65000\n" in done.stderr
    done = run("remove", photo, *options, "-o", tmp_path / "o.png")
    assert json.loads(done.stdout)["not_kept"] == ["IPTC", "tag 65000", "GeoTIFF tags"]


def test_overviews_of_a_tiff_are_dropped_and_named() -> None:
    """Reduced copies of the picture would show what was removed."""
    file = BytesIO()
    with tifffile.TiffWriter(file) as writer:
        writer.write(random_pixels(20, 30, 3), photometric="rgb", metadata=None)
        writer.write(random_pixels(10, 15, 3), photometric="rgb", metadata=None, subfiletype=1)
    photo = images.read(file.getvalue())
    assert photo.size == (20, 30)
    assert photo.not_kept == ("overviews",)
    data, _ = encode_negative(photo)
    assert getattr(open_picture(data), "n_frames", 1) == 1


def test_iptc_c2pa_and_further_pictures_of_a_jpeg_are_named() -> None:
    file = encode_picture(random_pixels(16, 16, 3), "JPEG")
    bodies = {0xED: b"Photoshop 3.0\x008BIM", 0xEB: b"JP\0\1", 0xE2: b"MPF\0II*\0"}
    segments = b"".join(
        struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body for marker, body in bodies.items()
    )
    photo = images.read(file[:20] + segments + file[20:])
    assert set(photo.not_kept) == {
        "IPTC and Photoshop resources", "C2PA or other JUMBF boxes", "further pictures",
    }  # fmt: skip
    assert images.read(file).not_kept == ()


def test_what_another_format_cannot_hold_is_named() -> None:
    deep = sixteen_bit.encode_png(random_pixels(9, 9, 3, np.uint16), icc_profile=b"profile!" * 40)
    photo = images.read(deep[:33] + chunk(b"tEXt", b"Title\0a rose") + deep[33:])
    assert images.not_kept(photo) == ()
    assert images.not_kept(photo, "TIFF") == ("PNG text",)
    assert images.not_kept(photo, "BMP") == ("the colour profile", "PNG text", "16 bits")


# --- PNG text and profiles ----------------------------------------------------------------------

LARGE = {
    "profile": (b"iCCP", b"p\0\0" + zlib.compress(bytes(3_000_000))),
    "zTXt": (b"zTXt", b"workflow\0\0" + zlib.compress(b'{"nodes": []}' * 300_000)),
    "iTXt": (b"iTXt", b"prompt\0\1\0\0\0" + zlib.compress(b'{"nodes": []}' * 300_000)),
    "plain": (b"tEXt", b"workflow\0" + b"x" * 70_000_000),
}


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("at_end", [False, True])
@pytest.mark.parametrize("case", LARGE)
def test_a_png_with_large_text_or_profile_is_read_and_keeps_it(
    case: str, at_end: bool, dtype: Any
) -> None:
    name, body = LARGE[case]
    if at_end and name == b"iCCP":
        pytest.skip("a profile stands before the pixels")
    pixels = random_pixels(9, 9, 3, dtype)
    file = encode_picture(pixels, "PNG") if dtype == np.uint8 else sixteen_bit.encode_png(pixels)
    at = len(file) - 12 if at_end else 33
    photo = images.read(file[:at] + chunk(name, body) + file[at:])
    data, expected = encode_negative(photo)
    back = images.read(data)
    assert (back.image == expected).all()
    if name == b"iCCP":
        assert back.icc_profile == bytes(3_000_000)
    else:
        assert (name, body) in sixteen_bit.png_chunks(data)


def test_a_profile_that_unpacks_to_gigabytes_fills_no_memory() -> None:
    packer = zlib.compressobj()
    packed = b"".join(packer.compress(bytes(2**20)) for _ in range(512)) + packer.flush()
    file = encode_picture(random_pixels(9, 9, 3), "PNG")
    tracemalloc.start()
    photo = images.read(file[:33] + chunk(b"iCCP", b"p\0\0" + packed) + file[33:])
    assert photo.icc_profile is None
    assert photo.not_kept == ("a colour profile that is damaged or above 64 MB",)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 200 * 2**20


# --- orientation --------------------------------------------------------------------------------


@pytest.mark.parametrize("field_type", [1, 3, 4])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("value", range(1, 9))
def test_an_orientation_of_any_integer_type_counts(field_type: int, order: str, value: int) -> None:
    code = {1: "B", 3: "H", 4: "I"}[field_type]
    directory = {1: 2, 3: 3, 4: 4}[field_type]  # of the same width in ``tiff_directory``
    block = bytearray(
        (b"II*\0" if order == "<" else b"MM\0*")
        + struct.pack(order + "I", 8)
        + tiff_directory(order, 8, [(0x0112, directory, struct.pack(order + code, value))])
    )
    block[12:14] = struct.pack(order + "H", field_type)
    data = exif.PREFIX + bytes(block)
    assert exif.orientation(data) == value
    for other in range(1, 9):
        assert exif.orientation(exif.with_orientation(data, other)) == other
    pixels = random_pixels(16, 24, 3)
    photo = images.read(encode_picture(pixels, "PNG", exif=data))
    short = images.read(encode_picture(pixels, "PNG", exif=exif_with_orientation(value)))
    assert (photo.image == short.image).all()
    back, expected = encode_negative(photo)
    assert (images.read(back).image == expected).all()
    assert images.read(back).orientation == value
