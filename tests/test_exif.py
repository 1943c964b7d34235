"""The orientation is read and set in place, and EXIF loses its pictures."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pictures import exif_with_thumbnail, jpeg_thumbnail
from PIL import Image

from segment2inpaint.images import exif


@pytest.mark.parametrize("order", ["<", ">"])
def test_thumbnail_is_removed_and_the_rest_is_kept(order: str) -> None:
    """The bytes of the thumbnail are removed, not only unlinked."""
    before = exif_with_thumbnail(order)
    assert jpeg_thumbnail() in before
    after = exif.without_pictures(before)
    assert b"\xff\xd8\xff" not in after
    assert jpeg_thumbnail()[100:200] not in after
    assert len(after) < len(before) - len(jpeg_thumbnail()) + 1
    read = Image.Exif()
    read.load(after)
    assert read[0x010F] == "Maker"
    assert read.get_ifd(0x8769)[0x927C] == b"maker's own"
    assert not read.get_ifd(1)
    assert exif.orientation(after) == 6


def test_maker_note_with_a_preview_is_blanked() -> None:
    """A value that contains a JPEG is blanked completely; other values are kept."""
    after = exif.without_pictures(exif_with_thumbnail(maker_note=b"preview:" + jpeg_thumbnail()))
    assert b"\xff\xd8\xff" not in after
    assert jpeg_thumbnail()[100:200] not in after
    assert b"Maker" in after
    assert exif.orientation(after) == 6


def test_unreferenced_preview_leaves_only_the_orientation() -> None:
    """A JPEG that no entry covers cannot be removed safely."""
    after = exif.without_pictures(exif_with_thumbnail(unreferenced=jpeg_thumbnail()))
    assert after == exif.only_orientation(6)
    assert exif.orientation(after) == 6


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("value", range(1, 9))
def test_orientation_is_read_and_set(order: str, value: int) -> None:
    """In both byte orders; nothing but the value changes."""
    before = exif_with_thumbnail(order, value)
    assert exif.orientation(before) == value
    after = exif.with_orientation(before, 1)
    assert exif.orientation(after) == 1
    assert len(after) == len(before)
    assert sum(a != b for a, b in zip(before, after, strict=True)) == (value != 1)


def test_missing_or_invalid_orientation_is_1() -> None:
    assert exif.orientation(b"") == 1
    assert exif.orientation(b"Exif\0\0garbage") == 1
    assert exif.orientation(exif_with_thumbnail(orientation=9)) == 1
    assert exif.without_pictures(b"Exif\0\0garbage") == b""
    assert exif.only_orientation(1) == b""


@given(st.integers(0, 2**31), st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255))))
def test_damaged_exif_never_raises_and_loses_its_pictures(
    cut: int, changes: list[tuple[int, int]]
) -> None:
    data = bytearray(exif_with_thumbnail(maker_note=jpeg_thumbnail()))
    for at, value in changes:
        data[6 + at] = value
    broken = bytes(data[: max(6, cut % len(data))])
    assert b"\xff\xd8\xff" not in exif.without_pictures(broken)
    assert 1 <= exif.orientation(broken) <= 8
    assert len(exif.with_orientation(broken, 3)) == len(broken)
