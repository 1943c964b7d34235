"""Whatever goes through here comes out as it went in, but for the changed pixels."""

from __future__ import annotations

import itertools
import struct
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import (
    Array,
    left_half,
    negative,
    noise,
    opened,
    raw,
    saved,
    thumbnail,
    turned,
    with_thumbnail,
)
from PIL import Image, PngImagePlugin

from segment2inpaint import images
from segment2inpaint.errors import BadImage
from segment2inpaint.images import sixteen_bit

LOSSLESS = [
    *itertools.product(["PNG", "TIFF"], [1, 2, 3, 4], [np.uint8]),
    *itertools.product(["WEBP"], [3, 4], [np.uint8]),
    *itertools.product(["BMP"], [1, 3], [np.uint8]),
    *itertools.product(["PNG16", "TIFF16"], [1, 3, 4], [np.uint16]),
    ("PNG16", 2, np.uint16),
]
MAKERS: dict[str, Callable[[Array], bytes]] = {
    **{k: lambda p, k=k: saved(p, k) for k in ("PNG", "TIFF", "BMP")},  # type: ignore[misc]
    "WEBP": lambda p: saved(p, "WEBP", lossless=True, exact=True),
    "PNG16": sixteen_bit.png,
    "TIFF16": sixteen_bit.tiff,
}


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(LOSSLESS), st.integers(1, 20), st.integers(1, 20), st.integers(0, 2**32 - 1))
def test_pixels_are_kept_where_alpha_is_0(
    case: tuple[str, int, Any], height: int, width: int, seed: int
) -> None:
    """In every lossless format: depth, channels, alpha, and each pixel outside, bit by bit."""
    kind, channels, dtype = case
    pixels = noise(height, width, channels, dtype, seed)
    photo = images.read(MAKERS[kind](pixels))
    data, expected = negative(photo)
    back = images.read(data)
    assert (back.format, back.grey) == (kind.removesuffix("16"), channels < 3)
    assert np.array_equal(back.image, expected)
    colors = 1 if channels < 3 else 3
    if dtype == np.uint16:
        outside = left_half(photo) == 0
        assert back.pixels_16bit is not None
        assert np.array_equal(back.pixels_16bit[outside], pixels[..., :colors][outside])
    if channels in (2, 4):
        assert back.alpha is not None
        assert np.array_equal(back.alpha, pixels[..., -1])
    else:
        assert back.alpha is None


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "PNG16", "TIFF16", "AVIF"])
def test_profile_exif_and_dpi_are_kept(kind: str) -> None:
    """Colour profile, EXIF with its sub-directories, and dpi where the format has one."""
    exif = turned(1)
    exif.get_ifd(0x8769)[0x829A] = 0.01
    exif.get_ifd(0x8825)[1] = "N"
    beside: dict[str, Any] = {"exif": exif.tobytes(), "icc_profile": b"profile!" * 40}
    if kind not in ("WEBP", "AVIF"):
        beside["dpi"] = (300, 300)
    if kind.endswith("16"):
        file = (sixteen_bit.png if kind == "PNG16" else sixteen_bit.tiff)(
            noise(9, 9, 3, np.uint16), **beside
        )
    else:
        file = saved(noise(9, 9, 3), kind, **beside)
    data, _ = negative(images.read(file))
    picture = opened(data)
    assert picture.info["icc_profile"] == b"profile!" * 40
    assert picture.getexif().get_ifd(0x8769)[0x829A] == 0.01
    assert picture.getexif().get_ifd(0x8825)[1] == "N"
    if "dpi" in beside:
        assert [round(x) for x in picture.info["dpi"]] == [300, 300]


def test_png_text_stays_but_no_xmp() -> None:
    """Prompts, titles and gamma go along; XMP and packed profiles may hold the old picture."""
    notes = PngImagePlugin.PngInfo()
    notes.add_text("parameters", "a rose")
    notes.add_itxt("Title", "Tür")
    notes.add_itxt("XML:com.adobe.xmp", "<x:xmpmeta/>")
    notes.add_text("Raw profile type 8bim", "thumbnail", zip=True)
    notes.add(b"gAMA", struct.pack(">I", 45455))
    data, _ = negative(images.read(saved(noise(5, 5, 3), "PNG", pnginfo=notes)))
    info = opened(data).info
    assert (info["parameters"], info["Title"], info["gamma"]) == ("a rose", "Tür", 0.45455)
    assert "XML:com.adobe.xmp" not in info
    assert not [key for key in info if "profile" in str(key)]


def test_jpeg_keeps_tables_and_quality_overrides() -> None:
    """The file's own quantisation and subsampling; ``quality`` replaces the former alone."""
    file = saved(noise(40, 40, 3), "JPEG", quality=61, subsampling=1, progressive=True)
    photo = images.read(file)
    kept, coarse = (negative(photo, quality=q)[0] for q in (None, 20))
    assert opened(kept).quantization == opened(file).quantization  # type: ignore[attr-defined]
    assert len(coarse) < len(kept)
    for data in (kept, coarse):
        assert opened(data).layer[0][1:3] == (2, 1)  # type: ignore[attr-defined]
    assert (
        opened(coarse).quantization
        == opened(  # type: ignore[attr-defined]
            saved(noise(8, 8, 3), "JPEG", quality=20)
        ).quantization
    )  # type: ignore[attr-defined]


def test_jpeg_that_cannot_be_spliced_is_coded_anew(tmp_path: Path) -> None:
    """Uneven subsampling: its own tables still, and the report says everywhere."""
    file = saved(noise(48, 48, 3), "JPEG", quality=61, subsampling=2, comment=b"by me")
    frame = file.index(b"\xff\xc0") + 11
    odd = file[:frame] + b"\x31" + file[frame + 1 : frame + 3] + b"\x02\x21" + file[frame + 5 :]
    photo = images.Photo(images.read(file).image, format="JPEG", jpeg=odd)
    data, _ = negative(photo)
    assert opened(data).quantization == opened(file).quantization  # type: ignore[attr-defined]
    assert opened(data).info["comment"] == b"by me"
    assert images.touched_blocks(photo, 255 - photo.image, left_half(photo)).all()


def test_grey_stays_grey() -> None:
    """A coloured fill in a grey photo becomes grey; the rest keeps its values."""
    for kind in ("PNG", "JPEG", "TIFF", "BMP"):
        photo = images.read(saved(noise(16, 16, 1), kind))
        red = np.broadcast_to(np.uint8([255, 0, 0]), photo.image.shape)
        data = images.encode(photo, red, left_half(photo))
        assert opened(data).mode == "L"
        if kind != "JPEG":
            assert np.array_equal(raw(data)[:, 8:], photo.image[:, 8:, 0])
            assert (raw(data)[:, :8] == 76).all()


def test_sixteen_bits_only_change_with_the_pixel() -> None:
    """Where alpha is above 0 but the colour is the old one, the 16 bits stay as well."""
    pixels = noise(8, 8, 3, np.uint16)
    photo = images.read(sixteen_bit.png(pixels))
    data = images.encode(photo, photo.image, np.ones(photo.size, np.float32))
    back = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(back[..., ::-1], pixels)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_our_tiff_is_read_by_another_library(channels: int, dtype: Any) -> None:
    pixels = noise(9, 13, channels, dtype)
    assert np.array_equal(
        tifffile.imread(BytesIO(sixteen_bit.tiff(pixels))).reshape(pixels.shape), pixels
    )


@pytest.mark.parametrize(
    "options",
    [
        {"compression": "zlib", "predictor": True},
        {"byteorder": ">"},
        {"tile": (16, 16)},
        {"rowsperstrip": 3},
    ],
)
def test_sixteen_bit_tiffs_of_others(options: dict[str, Any]) -> None:
    pixels, file = noise(33, 40, 3, np.uint16), BytesIO()
    tifffile.imwrite(file, pixels, photometric="rgb", **options)
    assert np.array_equal(images.read(file.getvalue()).pixels_16bit, pixels)


def test_clear_colour_becomes_alpha() -> None:
    """PNG's transparent colour, in 8 and 16 bits, and GIF's, are alpha."""
    pixels = noise(6, 6, 3)
    clear = tuple(int(x) for x in pixels[2, 3])
    expected = np.where((pixels == clear).all(axis=2), 0, 255)
    photo = images.read(saved(pixels, "PNG", transparency=clear))
    assert np.array_equal(photo.alpha, expected)
    grey = noise(6, 6, 1, np.uint16)
    trns = b"tRNS" + struct.pack(">H", grey[2, 3, 0])
    chunk = struct.pack(">I", 2) + trns + struct.pack(">I", zlib.crc32(trns))
    photo = images.read(sixteen_bit.png(grey).replace(b"\0\0\0\0IEND", b"\0\0\0\0IEND"))
    assert photo.alpha is None
    at = sixteen_bit.png(grey).index(b"IDAT") - 4
    photo = images.read(sixteen_bit.png(grey)[:at] + chunk + sixteen_bit.png(grey)[at:])
    assert np.array_equal(photo.alpha, np.where(grey[..., 0] == grey[2, 3, 0], 0, 65535))


def test_palettes_become_colours() -> None:
    """Palette PNG and still GIF are RGB from then on; a GIF is written as PNG."""
    small = Image.fromarray(noise(8, 8, 3)).quantize(16)
    for kind in ("PNG", "GIF"):
        file = BytesIO()
        small.save(file, kind)
        photo = images.read(file.getvalue())
        assert np.array_equal(photo.image, np.asarray(small.convert("RGB")))
        assert opened(negative(photo)[0]).format == "PNG"


def test_one_bit_and_one_pixel() -> None:
    """The smallest of photos."""
    file = BytesIO()
    Image.new("1", (1, 1), 1).save(file, "PNG")
    photo = images.read(file.getvalue())
    assert (photo.grey, photo.size, photo.image.tolist()) == (True, (1, 1), [[[255] * 3]])
    for kind in ("JPEG", "PNG", "WEBP", "TIFF", "BMP"):
        photo = images.read(saved(noise(1, 1, 3), kind))
        data = images.encode(photo, 255 - photo.image, np.ones((1, 1), np.float32))
        assert images.read(data).size == (1, 1)


def test_first_picture_of_an_mpo() -> None:
    """A phone's JPEG with a second picture: the first is worked on, the second is gone."""
    file = BytesIO()
    first, second = (Image.fromarray(noise(32, 32, 3, seed=i)) for i in (1, 2))
    first.save(file, "MPO", save_all=True, append_images=[second])
    photo = images.read(file.getvalue())
    assert photo.format == "JPEG"
    data, _ = negative(photo)
    assert opened(data).format == "JPEG"
    assert data.count(b"\xff\xd8\xff") == 1


@pytest.mark.skipif("AVIF" not in images.formats(), reason="Pillow without AVIF")
def test_avif() -> None:
    """Near enough outside, upright or not, and more than 8 bits refused."""
    soft = Image.fromarray(noise(4, 4, 3)).resize((40, 24), Image.Resampling.BICUBIC)
    file = saved(np.asarray(soft), "AVIF", quality=90, exif=turned(6))
    photo = images.read(file)
    assert photo.size == (40, 24)
    data, expected = negative(photo)
    back = images.read(data)
    assert back.orientation == 6
    assert np.abs(back.image.astype(int) - expected).max() <= 3
    at = file.index(b"av1C") + 6
    ten = file[:at] + bytes([file[at] | 0x40]) + file[at + 1 :]
    ten = ten.replace(b"\x03\x08\x08\x08", b"\x03\x0a\x0a\x0a")  # the pixi box says so too
    with pytest.raises(BadImage, match="more than 8 bits of AVIF"):
        images.read(ten)


@pytest.mark.parametrize("target", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_no_thumbnail_shows_the_old_picture(kind: str, target: str) -> None:
    """The thumbnail in EXIF reaches no format; orientation and maker do."""
    file = saved(noise(16, 16, 3), kind, exif=with_thumbnail())
    assert thumbnail()[100:200] in file
    data, _ = negative(images.read(file), format=target)
    assert thumbnail()[100:200] not in data
    assert data.count(b"\xff\xd8\xff") == (target == "JPEG")
    assert opened(data).getexif()[0x010F] == "Maker"
    assert images.read(data).orientation == (6 if kind == target else 1)


def test_threads_do_not_mix_files_up() -> None:
    """Reading and writing in several threads gives what one gives."""
    files = [saved(noise(40, 40, 3, seed=i), "JPEG") for i in range(4)]
    with ThreadPoolExecutor(4) as pool:
        many = list(pool.map(lambda f: negative(images.read(f))[0], files * 5))
    assert many == [negative(images.read(file))[0] for file in files] * 5
