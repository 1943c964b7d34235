"""Bad files are refused with an error of one line."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import Array, encode_picture, random_pixels
from PIL import Image

from segment2inpaint import images
from segment2inpaint.errors import BadImage
from segment2inpaint.images import sixteen_bit


def two_frames(kind: str, **options: Any) -> bytes:
    file = BytesIO()
    frames = [Image.fromarray(random_pixels(8, 8, 3, seed=i)) for i in (1, 2)]
    frames[0].save(file, kind, save_all=True, append_images=frames[1:], **options)
    return file.getvalue()


def tiff_file(pixels: Array, **options: Any) -> bytes:
    file = BytesIO()
    tifffile.imwrite(file, pixels, **options)
    return file.getvalue()


def blank_picture(mode: str, kind: str) -> bytes:
    file = BytesIO()
    Image.new(mode, (8, 8)).save(file, kind)
    return file.getvalue()


PLANES = np.moveaxis(random_pixels(9, 9, 3, np.uint16), 2, 0)
REFUSED = {
    "empty": (b"", "empty"),
    "text": (b"hello, I am not a photo", "not a picture, expected JPEG"),
    "svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "got text; check the file"),
    "unknown": (b"\x01\x02\x03\xff hello", "got data of an unknown kind; check the file"),
    "short jpeg": (encode_picture(random_pixels(64, 64, 3), "JPEG")[:1500], "truncated"),
    "headless jpeg": (encode_picture(random_pixels(64, 64, 3), "JPEG")[:30], "truncated"),
    "short png": (encode_picture(random_pixels(64, 64, 3), "PNG")[:5000], "truncated"),
    "short png 16": (
        sixteen_bit.encode_png(random_pixels(64, 64, 3, np.uint16))[:5000],
        "truncated",
    ),
    "short tiff": (sixteen_bit.encode_tiff(random_pixels(64, 64, 3))[:5000], "truncated"),
    "short tiff 16": (
        sixteen_bit.encode_tiff(random_pixels(64, 64, 3, np.uint16))[:5000],
        "truncated",
    ),
    "short webp": (encode_picture(random_pixels(64, 64, 3), "WEBP")[:999], "truncated"),
    "short bmp": (encode_picture(random_pixels(64, 64, 3), "BMP")[:999], "truncated"),
    "gif": (two_frames("GIF"), "several pages or frames"),
    "webp": (two_frames("WEBP"), "several pages or frames"),
    "apng": (two_frames("PNG"), "several pages or frames"),
    "tiff pages": (two_frames("TIFF"), "several pages or frames"),
    "cmyk jpeg": (blank_picture("CMYK", "JPEG"), "CMYK pixels, expected grey or RGB"),
    "cmyk tiff": (blank_picture("CMYK", "TIFF"), "CMYK pixels"),
    "lab tiff": (blank_picture("LAB", "TIFF"), "LAB pixels"),
    "float": (tiff_file(np.zeros((9, 9), np.float32)), "F pixels"),
    "float rgb": (tiff_file(np.zeros((9, 9, 3), np.float32), photometric="rgb"), "not a TIFF of 8"),
    "int32": (tiff_file(np.zeros((9, 9), np.uint32)), "expected 8 or 16 bit"),
    "planes": (tiff_file(PLANES, photometric="rgb", planarconfig="separate"), "16 bits in planes"),
    "inverted": (tiff_file(PLANES[0], photometric="miniswhite"), "inverted"),
    "premultiplied": (
        tiff_file(
            random_pixels(9, 9, 4, np.uint16), photometric="rgb", extrasamples=["assocalpha"]
        ),
        "premultiplied",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_files_are_refused_in_one_line(case: str, tmp_path: Path) -> None:
    """The error has the name of the file and the problem."""
    data, message = REFUSED[case]
    path = tmp_path / "photo.jpg"
    path.write_bytes(data)
    with pytest.raises(BadImage, match=message) as caught:
        images.read(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)
    with pytest.raises(BadImage, match=r"^upload: "):
        images.read(data, name="upload")


def test_missing_files_folders_and_invalid_names_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadImage, match="no such file"):
        images.read(tmp_path / "none.jpg")
    with pytest.raises(BadImage, match="expected a picture, got a folder"):
        images.read(str(tmp_path))
    with pytest.raises(BadImage, match="cannot be read"):
        images.read("nul\0byte.jpg")


def test_too_many_pixels_are_refused_before_they_are_decoded() -> None:
    """A file of 60 bytes claims 30000 x 30000 pixels. Pillow's own limit is not used."""
    header = struct.pack(">IIBBBBB", 30000, 30000, 8, 2, 0, 0, 0)
    body = b"IHDR" + header + struct.pack(">I", zlib.crc32(b"IHDR" + header))
    bomb = (
        sixteen_bit.PNG_SIGNATURE
        + struct.pack(">I", 13)
        + body
        + struct.pack(">I4s", 9, b"IDAT")
        + bytes(9)
    )
    limit = Image.MAX_IMAGE_PIXELS
    with pytest.raises(
        BadImage, match=r"30000x30000 is 900,000,000 pix.*at most 250,000,000.*--max-pix"
    ):
        images.read(bomb)
    with pytest.raises(BadImage, match="truncated"):
        images.read(bomb, max_pixels=10**9)
    with pytest.raises(BadImage, match=r"9x9 is 81 pixels, expected at most 80;"):
        images.read(encode_picture(random_pixels(9, 9, 3), "PNG"), max_pixels=80)
    assert limit == Image.MAX_IMAGE_PIXELS


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(["JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF"]),
    st.integers(0, 10**6),
    st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), max_size=6),
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_damaged_files_are_read_or_refused(
    kind: str, cut: int, changes: list[tuple[int, int]]
) -> None:
    """No other error is raised for truncated and altered files."""
    whole = encode_picture(random_pixels(12, 12, 3), kind)
    data = bytearray(whole[: len(whole) - cut % len(whole)] if cut % 2 else whole)
    for at, value in changes:
        data[at % len(data)] = value
    try:
        photo = images.read(bytes(data), max_pixels=10**6)
    except BadImage:
        return
    assert photo.image.shape == (*photo.size, 3)
