"""EXIF: the orientation is read and set in place, and no picture is left in it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pictures import thumbnail, with_thumbnail
from PIL import Image

from segment2inpaint.images import exif


@pytest.mark.parametrize("order", ["<", ">"])
def test_thumbnail_goes_and_the_rest_stays(order: str) -> None:
    """The thumbnail's bytes are gone, not only unlinked; tags and orientation stay."""
    before = with_thumbnail(order)
    assert thumbnail() in before
    after = exif.without_pictures(before)
    assert b"\xff\xd8\xff" not in after
    assert thumbnail()[100:200] not in after
    assert len(after) < len(before) - len(thumbnail()) + 1
    read = Image.Exif()
    read.load(after)
    assert read[0x010F] == "Maker"
    assert read.get_ifd(0x8769)[0x927C] == b"maker's own"
    assert not read.get_ifd(1)
    assert exif.orientation(after) == 6


def test_maker_note_with_a_preview_is_blanked() -> None:
    """A value that holds a JPEG is blanked whole; its neighbours stay."""
    after = exif.without_pictures(with_thumbnail(note=b"preview:" + thumbnail()))
    assert b"\xff\xd8\xff" not in after
    assert thumbnail()[100:200] not in after
    assert b"Maker" in after
    assert exif.orientation(after) == 6


def test_loose_preview_leaves_only_the_orientation() -> None:
    """A JPEG that no entry covers cannot be cut out safely: only the orientation is kept."""
    after = exif.without_pictures(with_thumbnail(loose=thumbnail()))
    assert after == exif.only_orientation(6)
    assert exif.orientation(after) == 6


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("value", range(1, 9))
def test_orientation_is_read_and_set(order: str, value: int) -> None:
    """Both byte orders, and nothing but the value changes."""
    before = with_thumbnail(order, value)
    assert exif.orientation(before) == value
    after = exif.with_orientation(before, 1)
    assert exif.orientation(after) == 1
    assert len(after) == len(before)
    assert sum(a != b for a, b in zip(before, after, strict=True)) == (value != 1)


def test_absent_or_senseless_orientation_is_1() -> None:
    """No EXIF, broken EXIF, and values out of range mean: as it is stored."""
    assert exif.orientation(b"") == 1
    assert exif.orientation(b"Exif\0\0garbage") == 1
    assert exif.orientation(with_thumbnail(orientation=9)) == 1
    assert exif.without_pictures(b"Exif\0\0garbage") == b""
    assert exif.only_orientation(1) == b""


@given(st.integers(0, 2**31), st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255))))
def test_damage_never_raises_nor_keeps_a_picture(cut: int, flips: list[tuple[int, int]]) -> None:
    """However it is cut or altered, it is parsed without error and holds no JPEG after."""
    data = bytearray(with_thumbnail(note=thumbnail()))
    for at, value in flips:
        data[6 + at] = value
    broken = bytes(data[: max(6, cut % len(data))])
    assert b"\xff\xd8\xff" not in exif.without_pictures(broken)
    assert 1 <= exif.orientation(broken) <= 8
    assert len(exif.with_orientation(broken, 3)) == len(broken)
