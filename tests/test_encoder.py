"""Writing preserves the metadata, and all pixels but the changed ones."""

from __future__ import annotations

import itertools
import struct
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import (
    Array,
    encode_negative,
    encode_picture,
    exif_with_orientation,
    exif_with_thumbnail,
    jpeg_thumbnail,
    left_half_alpha,
    open_picture,
    random_pixels,
    stored_pixels,
)
from PIL import Image, PngImagePlugin

from segment2inpaint import images
from segment2inpaint.errors import BadImage
from segment2inpaint.images import avif, sixteen_bit

LOSSLESS = [
    *itertools.product(["PNG", "TIFF"], [1, 2, 3, 4], [np.uint8]),
    *itertools.product(["WEBP"], [3, 4], [np.uint8]),
    *itertools.product(["BMP"], [1, 3], [np.uint8]),
    *itertools.product(["PNG16", "TIFF16"], [1, 3, 4], [np.uint16]),
    ("PNG16", 2, np.uint16),
]
ENCODERS: dict[str, Callable[[Array], bytes]] = {
    **{k: lambda p, k=k: encode_picture(p, k) for k in ("PNG", "TIFF", "BMP")},  # type: ignore[misc]
    "WEBP": lambda p: encode_picture(p, "WEBP", lossless=True, exact=True),
    "PNG16": sixteen_bit.encode_png,
    "TIFF16": sixteen_bit.encode_tiff,
}


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(LOSSLESS), st.integers(1, 20), st.integers(1, 20), st.integers(0, 2**32 - 1))
def test_lossless_formats_keep_every_pixel_where_alpha_is_0(
    case: tuple[str, int, Any], height: int, width: int, seed: int
) -> None:
    """They also keep bit depth, channels and the alpha channel."""
    kind, channels, dtype = case
    pixels = random_pixels(height, width, channels, dtype, seed)
    photo = images.read(ENCODERS[kind](pixels))
    data, expected = encode_negative(photo)
    back = images.read(data)
    assert (back.format, back.grey) == (kind.removesuffix("16"), channels < 3)
    assert np.array_equal(back.image, expected)
    colors = 1 if channels < 3 else 3
    if dtype == np.uint16:
        outside = left_half_alpha(photo) == 0
        assert back.pixels_16bit is not None
        assert np.array_equal(back.pixels_16bit[outside], pixels[..., :colors][outside])
    if channels in (2, 4):
        assert back.alpha is not None
        assert np.array_equal(back.alpha, pixels[..., -1])
    else:
        assert back.alpha is None


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "PNG16", "TIFF16", "AVIF"])
def test_profile_exif_and_dpi_are_kept(kind: str) -> None:
    """EXIF includes its sub-directories; WebP and AVIF have no dpi."""
    exif = exif_with_orientation(1)
    exif.get_ifd(0x8769)[0x829A] = 0.01
    exif.get_ifd(0x8825)[1] = "N"
    metadata: dict[str, Any] = {"exif": exif.tobytes(), "icc_profile": b"profile!" * 40}
    if kind not in ("WEBP", "AVIF"):
        metadata["dpi"] = (300, 300)
    if kind.endswith("16"):
        file = (sixteen_bit.encode_png if kind == "PNG16" else sixteen_bit.encode_tiff)(
            random_pixels(9, 9, 3, np.uint16), **metadata
        )
    else:
        file = encode_picture(random_pixels(9, 9, 3), kind, **metadata)
    data, _ = encode_negative(images.read(file))
    picture = open_picture(data)
    assert picture.info["icc_profile"] == b"profile!" * 40
    assert picture.getexif().get_ifd(0x8769)[0x829A] == 0.01
    assert picture.getexif().get_ifd(0x8825)[1] == "N"
    if "dpi" in metadata:
        assert [round(x) for x in picture.info["dpi"]] == [300, 300]


def test_png_text_is_kept_except_xmp() -> None:
    """Prompts, titles and gamma are kept. XMP and raw profiles may contain the old picture."""
    notes = PngImagePlugin.PngInfo()
    notes.add_text("parameters", "a rose")
    notes.add_itxt("Title", "Tür")
    notes.add_itxt("XML:com.adobe.xmp", "<x:xmpmeta/>")
    notes.add_text("Raw profile type 8bim", "thumbnail", zip=True)
    notes.add(b"gAMA", struct.pack(">I", 45455))
    data, _ = encode_negative(
        images.read(encode_picture(random_pixels(5, 5, 3), "PNG", pnginfo=notes))
    )
    info = open_picture(data).info
    assert (info["parameters"], info["Title"], info["gamma"]) == ("a rose", "Tür", 0.45455)
    assert "XML:com.adobe.xmp" not in info
    assert not [key for key in info if "profile" in str(key)]


def test_jpeg_keeps_its_tables_unless_quality_is_given() -> None:
    """``quality`` replaces the quantisation tables, not the subsampling."""
    file = encode_picture(
        random_pixels(40, 40, 3), "JPEG", quality=61, subsampling=1, progressive=True
    )
    photo = images.read(file)
    original, coarse = (encode_negative(photo, quality=q)[0] for q in (None, 20))
    assert open_picture(original).quantization == open_picture(file).quantization  # type: ignore[attr-defined]
    assert len(coarse) < len(original)
    for data in (original, coarse):
        assert open_picture(data).layer[0][1:3] == (2, 1)  # type: ignore[attr-defined]
    assert (
        open_picture(coarse).quantization
        == open_picture(  # type: ignore[attr-defined]
            encode_picture(random_pixels(8, 8, 3), "JPEG", quality=20)
        ).quantization
    )  # type: ignore[attr-defined]


def test_jpeg_with_uneven_subsampling_is_encoded_again_with_its_tables() -> None:
    """All pixels may change then."""
    file = encode_picture(
        random_pixels(48, 48, 3), "JPEG", quality=61, subsampling=2, comment=b"by me"
    )
    frame = file.index(b"\xff\xc0") + 11
    odd = file[:frame] + b"\x31" + file[frame + 1 : frame + 3] + b"\x02\x21" + file[frame + 5 :]
    photo = images.Photo(images.read(file).image, format="JPEG", jpeg_file=odd)
    data, _ = encode_negative(photo)
    assert open_picture(data).quantization == open_picture(file).quantization  # type: ignore[attr-defined]
    assert open_picture(data).info["comment"] == b"by me"
    assert images.touched_blocks(photo, 255 - photo.image, left_half_alpha(photo)).all()


def test_grey_photos_stay_grey() -> None:
    """A coloured fill becomes grey; other pixels keep their values."""
    for kind in ("PNG", "JPEG", "TIFF", "BMP"):
        photo = images.read(encode_picture(random_pixels(16, 16, 1), kind))
        red = np.broadcast_to(np.uint8([255, 0, 0]), photo.image.shape)
        data = images.encode(photo, red, left_half_alpha(photo))
        assert open_picture(data).mode == "L"
        if kind != "JPEG":
            assert np.array_equal(stored_pixels(data)[:, 8:], photo.image[:, 8:, 0])
            assert (stored_pixels(data)[:, :8] == 76).all()


def test_16_bit_pixels_are_kept_where_the_colour_does_not_change() -> None:
    """Even where alpha is above 0."""
    pixels = random_pixels(8, 8, 3, np.uint16)
    photo = images.read(sixteen_bit.encode_png(pixels))
    data = images.encode(photo, photo.image, np.ones(photo.size, np.float32))
    back = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(back[..., ::-1], pixels)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_other_libraries_read_the_written_tiff(channels: int, dtype: Any) -> None:
    pixels = random_pixels(9, 13, channels, dtype)
    assert np.array_equal(
        tifffile.imread(BytesIO(sixteen_bit.encode_tiff(pixels))).reshape(pixels.shape), pixels
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
def test_16_bit_tiffs_of_other_libraries_are_read(options: dict[str, Any]) -> None:
    pixels, file = random_pixels(33, 40, 3, np.uint16), BytesIO()
    tifffile.imwrite(file, pixels, photometric="rgb", **options)
    assert np.array_equal(images.read(file.getvalue()).pixels_16bit, pixels)


def test_transparent_colour_of_a_png_becomes_alpha() -> None:
    """In 8 and 16 bits."""
    pixels = random_pixels(6, 6, 3)
    transparent = tuple(int(x) for x in pixels[2, 3])
    expected = np.where((pixels == transparent).all(axis=2), 0, 255)
    photo = images.read(encode_picture(pixels, "PNG", transparency=transparent))
    assert np.array_equal(photo.alpha, expected)
    grey = random_pixels(6, 6, 1, np.uint16)
    trns = b"tRNS" + struct.pack(">H", grey[2, 3, 0])
    chunk = struct.pack(">I", 2) + trns + struct.pack(">I", zlib.crc32(trns))
    file = sixteen_bit.encode_png(grey)
    assert images.read(file).alpha is None
    at = file.index(b"IDAT") - 4
    photo = images.read(file[:at] + chunk + file[at:])
    assert np.array_equal(photo.alpha, np.where(grey[..., 0] == grey[2, 3, 0], 0, 65535))


def test_palettes_become_colours() -> None:
    """Palette PNGs and still GIFs become RGB; a GIF is written as PNG."""
    small = Image.fromarray(random_pixels(8, 8, 3)).quantize(16)
    for kind in ("PNG", "GIF"):
        file = BytesIO()
        small.save(file, kind)
        photo = images.read(file.getvalue())
        assert np.array_equal(photo.image, np.asarray(small.convert("RGB")))
        assert open_picture(encode_negative(photo)[0]).format == "PNG"


def test_photos_of_one_pixel_and_one_bit_are_supported() -> None:
    file = BytesIO()
    Image.new("1", (1, 1), 1).save(file, "PNG")
    photo = images.read(file.getvalue())
    assert (photo.grey, photo.size, photo.image.tolist()) == (True, (1, 1), [[[255] * 3]])
    for kind in ("JPEG", "PNG", "WEBP", "TIFF", "BMP"):
        photo = images.read(encode_picture(random_pixels(1, 1, 3), kind))
        data = images.encode(photo, 255 - photo.image, np.ones((1, 1), np.float32))
        assert images.read(data).size == (1, 1)


def test_only_the_first_picture_of_an_mpo_is_kept() -> None:
    """Phones write JPEGs with a second picture."""
    file = BytesIO()
    first, second = (Image.fromarray(random_pixels(32, 32, 3, seed=i)) for i in (1, 2))
    first.save(file, "MPO", save_all=True, append_images=[second])
    photo = images.read(file.getvalue())
    assert photo.format == "JPEG"
    data, _ = encode_negative(photo)
    assert open_picture(data).format == "JPEG"
    assert data.count(b"\xff\xd8\xff") == 1


@pytest.mark.skipif("AVIF" not in images.formats(), reason="Pillow without AVIF")
@pytest.mark.parametrize("can_write", [True, False])
def test_avif_is_lossless_with_opencv_and_more_than_8_bits_are_refused(
    can_write: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pillow alone changes pixels by up to 3 levels."""
    if can_write and not avif.can_write_lossless():
        pytest.skip("OpenCV without AVIF")
    monkeypatch.setattr(avif, "can_write_lossless", lambda: can_write)
    soft = Image.fromarray(random_pixels(4, 4, 3)).resize((40, 24), Image.Resampling.BICUBIC)
    file = encode_picture(np.asarray(soft), "AVIF", quality=90, exif=exif_with_orientation(6))
    photo = images.read(file)
    assert photo.size == (40, 24)
    data, expected = encode_negative(photo)
    back = images.read(data)
    assert back.orientation == 6
    difference = np.abs(back.image.astype(int) - expected).max()
    assert difference == 0 if can_write else 0 < difference <= 3
    assert images.touched_blocks(photo, photo.image, left_half_alpha(photo)).all() != can_write
    at = file.index(b"av1C") + 6
    ten = file[:at] + bytes([file[at] | 0x40]) + file[at + 1 :]
    ten = ten.replace(b"\x03\x08\x08\x08", b"\x03\x0a\x0a\x0a")  # the bit depth in the pixi box
    with pytest.raises(BadImage, match="more than 8 bits of AVIF"):
        images.read(ten)


@pytest.mark.parametrize("target", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_written_files_contain_no_thumbnail(kind: str, target: str) -> None:
    """Orientation and camera make are kept."""
    file = encode_picture(random_pixels(16, 16, 3), kind, exif=exif_with_thumbnail())
    assert jpeg_thumbnail()[100:200] in file
    data, _ = encode_negative(images.read(file), format=target)
    assert jpeg_thumbnail()[100:200] not in data
    assert data.count(b"\xff\xd8\xff") == (target == "JPEG")
    assert open_picture(data).getexif()[0x010F] == "Maker"
    assert images.read(data).orientation == (6 if kind == target else 1)


def test_several_threads_write_the_same_files_as_one() -> None:
    files = [encode_picture(random_pixels(40, 40, 3, seed=i), "JPEG") for i in range(4)]
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda f: encode_negative(images.read(f))[0], files * 5))
    assert results == [encode_negative(images.read(file))[0] for file in files] * 5
