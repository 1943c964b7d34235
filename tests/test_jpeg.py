"""JPEG blocks without a changed pixel keep their coefficients; others are encoded well."""

from __future__ import annotations

import struct
from io import BytesIO
from pathlib import Path
from typing import Any

import jpeglib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from segment2inpaint.images import jpeg

Array = NDArray[Any]


def scene(height: int, width: int, seed: int = 0) -> Array:
    """Return soft colours with some noise, like those of a photo."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (5, 6, 3), dtype=np.uint8))
    soft = np.asarray(small.resize((width, height), Image.Resampling.BICUBIC)).astype(int)
    return np.clip(soft + rng.integers(-9, 10, soft.shape), 0, 255).astype(np.uint8)


def encode(pixels: Array, **options: Any) -> bytes:
    file = BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", **{"quality": 85, **options})
    return file.getvalue()


def decode(data: bytes) -> Array:
    pixels = np.asarray(Image.open(BytesIO(data)))
    return pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2)


def coefficients(data: bytes, folder: Path) -> tuple[list[Array], Array]:
    path = folder / "read.jpg"
    path.write_bytes(data)
    file = jpeglib.read_dct(str(path))
    return [p for p in (file.Y, file.Cb, file.Cr) if p is not None], file.qt


def disc(height: int, width: int, radius: float) -> Array:
    y, x = np.mgrid[:height, :width]
    return np.asarray(np.hypot(y - height / 2, x - width / 2) < radius)


KINDS = {
    "4:4:4": {"subsampling": 0},
    "4:2:2": {"subsampling": 1},
    "4:2:0": {"subsampling": 2},
    "progressive": {"progressive": True},
    "rgb": {"keep_rgb": True, "subsampling": 0},
    "restart": {"restart_marker_rows": 1},
    "fine": {"quality": 100},
    "coarse": {"quality": 5},
}


@pytest.mark.parametrize("kind", KINDS)
def test_untouched_blocks_keep_their_coefficients(kind: str, tmp_path: Path) -> None:
    """The quantisation tables are kept too."""
    data = encode(scene(75, 93), **KINDS[kind])
    changed = disc(75, 93, 13)
    image = decode(data).copy()
    image[changed] = (210, 40, 70)
    out = jpeg.splice(data, image, changed, b"")
    assert out is not None
    (before, tables), (after, same) = coefficients(data, tmp_path), coefficients(out, tmp_path)
    assert np.array_equal(tables, same)
    for old, new, (fy, fx) in zip(before, after, jpeg.read_layout(data).factors, strict=True):
        rows, columns = np.nonzero((old != new).any(axis=(2, 3)))
        assert len(rows)
        for y, x in zip(rows * 8 * fy, columns * 8 * fx, strict=True):
            assert changed[y : y + 8 * fy, x : x + 8 * fx].any()


@pytest.mark.parametrize("kind", KINDS)
def test_pixels_outside_the_touched_blocks_are_identical(kind: str) -> None:
    """The region of touched blocks is close to the change."""
    data = encode(scene(75, 93), **KINDS[kind])
    changed = disc(75, 93, 13)
    before = decode(data)
    image = before.copy()
    image[changed] = (210, 40, 70)
    after = decode(jpeg.splice(data, image, changed, b"") or b"")
    differ, region = (after != before).any(axis=2), jpeg.touched_blocks(data, changed)
    assert differ.any()
    assert not (differ & ~region).any()
    margin = 15 + 1 if max(jpeg.read_layout(data).factors) > (1, 1) else 7
    y, x = np.nonzero(region)
    cy, cx = np.nonzero(changed)
    assert y.min() >= cy.min() - margin
    assert x.max() <= cx.max() + margin


@pytest.mark.parametrize("kind", sorted(KINDS.keys() - {"coarse"}))
def test_changed_pixels_are_as_accurate_as_in_a_new_file(kind: str) -> None:
    """The new file is encoded with the same tables."""
    data = encode(scene(75, 93), **KINDS[kind])
    changed = disc(75, 93, 25)
    image = decode(data).copy()
    image[changed] = scene(75, 93, seed=5)[changed]
    after = decode(jpeg.splice(data, image, changed, b"") or b"").astype(int)
    new_file = decode(encode(image, **KINDS[kind])).astype(int)
    error, new_file_error = (np.abs(x - image)[changed].mean() for x in (after, new_file))
    assert error < 1.1 * new_file_error + 0.2


def test_nothing_of_the_old_picture_remains_inside_the_change() -> None:
    """Two photos that differ inside decode to the same pixels there after the same edit."""
    changed = np.zeros((64, 64), np.bool_)
    changed[16:48, 16:48] = True
    first, second = scene(64, 64), scene(64, 64)
    first[16:48, 16:48], second[16:48, 16:48] = (
        (255, 0, 255),
        np.indices((32, 32)).sum(0)[..., None],
    )
    results = []
    for pixels in (first, second):
        data = encode(pixels, quality=30)
        image = decode(data).copy()
        image[changed] = (90, 120, 60)
        results.append(decode(jpeg.splice(data, image, changed, b"") or b""))
    inside = np.s_[18:46, 18:46]  # without the 1 px that chroma from outside reaches, and 1 more
    assert np.array_equal(results[0][inside], results[1][inside])


def test_empty_mask_changes_no_pixel() -> None:
    data = encode(scene(33, 41))
    none = np.zeros((33, 41), np.bool_)
    assert np.array_equal(decode(jpeg.splice(data, decode(data), none, b"") or b""), decode(data))
    assert not jpeg.touched_blocks(data, none).any()


def test_grey_jpegs_are_edited_whatever_sampling_they_claim() -> None:
    data = encode(scene(50, 50)[..., 1])
    frame = data.index(b"\xff\xc0") + 11
    for sampling in (0x11, 0x22):
        odd = data[:frame] + bytes([sampling]) + data[frame + 1 :]
        changed = disc(50, 50, 9)
        image = decode(odd).copy()
        image[changed] = 250
        after = decode(jpeg.splice(odd, image, changed, b"") or b"")
        assert not ((after != image).any(axis=2) & ~jpeg.touched_blocks(odd, changed)).any()
        assert abs(int(after[25, 25, 0]) - 250) < 6


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 40),
    st.integers(1, 40),
    st.sampled_from([0, 1, 2]),
    st.integers(1, 100),
    st.randoms(use_true_random=False),
)
def test_pixels_outside_the_touched_blocks_are_identical_for_any_size_and_mask(
    height: int, width: int, sampling: int, quality: int, rnd: Any
) -> None:
    data = encode(scene(height, width), subsampling=sampling, quality=quality)
    before = decode(data)
    changed = np.zeros((height, width), np.bool_)
    for _ in range(rnd.randrange(4)):
        changed[rnd.randrange(height), rnd.randrange(width)] = True
    image = np.where(changed[..., None], 255 - before, before)
    after = decode(jpeg.splice(data, image, changed, b"") or b"")
    assert not ((after != before).any(axis=2) & ~jpeg.touched_blocks(data, changed)).any()


def test_rare_subsamplings_keep_their_blocks(tmp_path: Path) -> None:
    """4:4:0 and 4:1:1, which Pillow cannot write."""
    for factor in ([[2, 1], [1, 1], [1, 1]], [[1, 4], [1, 1], [1, 1]], [[2, 2], [1, 2], [1, 1]]):
        path = tmp_path / "odd.jpg"
        file = jpeglib.from_spatial(scene(64, 64))
        file.samp_factor = np.array(factor)
        file.write_spatial(str(path))
        data, changed = path.read_bytes(), disc(64, 64, 9)
        before = decode(data)
        image = before.copy()
        image[changed] = (210, 40, 70)
        after = decode(jpeg.splice(data, image, changed, b"") or b"")
        assert not ((after != before).any(axis=2) & ~jpeg.touched_blocks(data, changed)).any()
        assert np.abs(after[32, 32].astype(int) - (210, 40, 70)).max() < 25


def test_splice_returns_none_for_files_that_it_cannot_edit() -> None:
    """Four components, uneven subsampling and arithmetic coding."""
    four = BytesIO()
    Image.new("CMYK", (16, 16)).save(four, "JPEG")
    data = encode(scene(16, 16), subsampling=2)
    frame = data.index(b"\xff\xc0")
    uneven = data[: frame + 11] + b"\x32" + data[frame + 12 :]
    arithmetic = data[:frame] + b"\xff\xc9" + data[frame + 2 :]
    changed = np.ones((16, 16), np.bool_)
    for odd in (four.getvalue(), uneven.replace(b"\x02\x11\x01", b"\x02\x21\x01"), arithmetic):
        assert jpeg.splice(odd, scene(16, 16), changed, b"") is None
        assert jpeg.touched_blocks(odd, ~changed).all()
    with pytest.raises(ValueError, match="no JPEG frame header"):
        jpeg.read_layout(b"\xff\xd8\xff\xd9")


@pytest.mark.filterwarnings("ignore:Image appears to be a malformed MPO")
def test_header_keeps_the_profile_and_loses_what_may_show_the_old_picture() -> None:
    """Kept: density, profile, comment. Dropped: thumbnail, XMP, Photoshop, MPF, C2PA, trailer."""
    data = encode(scene(32, 32), dpi=(300, 300), comment=b"by me", icc_profile=b"profile" * 30)
    secrets = [
        (0xE0, b"JFXX\0\x10thumb"), (0xE1, b"http://ns.adobe.com/xap/1.0/\0xmp"),
        (0xED, b"Photoshop 3.0\x008BIM"), (0xE2, b"MPF\0second"), (0xEB, b"JP\0\0c2pa"),
        (0xE1, b"Exif\0\0old"), (0xE5, b"unknown"),
    ]  # fmt: skip
    extra = b"".join(struct.pack(">BBH", 255, m, len(b) + 2) + b for m, b in secrets)
    small = data[:20][:18] + b"\x01\x01" + b"\x07\x08\x09" + data[20:]  # a JFIF thumbnail
    small = small[:4] + struct.pack(">H", 16 + 3) + small[6:]
    file = small[:2] + small[2 : 4 + 19] + extra + small[4 + 19 :] + b"TRAILER" + data
    assert Image.open(BytesIO(file)).size == (32, 32)
    out = jpeg.splice(file, decode(file), np.zeros((32, 32), np.bool_), b"Exif\0\0II*\0new")
    assert out is not None
    picture = Image.open(BytesIO(out))
    assert picture.info["dpi"] == (300, 300)
    assert picture.info["comment"] == b"by me"
    assert picture.info["icc_profile"] == b"profile" * 30
    assert out.count(b"Exif\0\0") == 1
    assert b"II*\0new" in out
    for dropped in (b"thumb", b"xmp", b"8BIM", b"MPF", b"c2pa", b"old", b"unknown", b"TRAILER"):
        assert dropped not in out
    assert b"\x07\x08\x09" not in out[:40]
    assert np.array_equal(decode(out), decode(data))


def test_long_exif_is_split_into_segments() -> None:
    """Pillow joins them again."""
    exif = b"Exif\0\0" + bytes(range(256)) * 500
    out = jpeg.with_header(encode(scene(8, 8)), encode(scene(8, 8)), exif)
    assert Image.open(BytesIO(out)).info["exif"] == exif
    assert jpeg.exif_segments(b"") == []


def test_comments_between_scans_are_dropped_before_libjpeg_reads_them() -> None:
    data = encode(scene(32, 32), progressive=True)
    second = data.index(b"\xff\xda", data.index(b"\xff\xda") + 2)
    between = data.rindex(b"\xff\xc4", 0, second)
    odd = data[:between] + b"\xff\xfe\x00\x05abc" * 100 + data[between:]
    out = jpeg.splice(odd, decode(odd), np.zeros((32, 32), np.bool_), b"")
    assert np.array_equal(decode(out or b""), decode(data))


def test_splice_leaves_its_inputs_unchanged() -> None:
    data = encode(scene(32, 32))
    image, changed = scene(32, 32, 3), disc(32, 32, 5)
    copies = image.copy(), changed.copy()
    jpeg.splice(data, image, changed, b"")
    assert np.array_equal(image, copies[0])
    assert np.array_equal(changed, copies[1])
