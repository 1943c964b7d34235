"""The user's own mask."""

from __future__ import annotations

import numpy as np
import pytest

from segment2inpaint.detect.user_mask import MaskDetector
from segment2inpaint.errors import BadPrompt
from segment2inpaint.types import Box, Color, OwnMask, Points

PHOTO = np.zeros((40, 50, 3), np.uint8)


def two_squares() -> OwnMask:
    bits = np.zeros((40, 50), np.bool_)
    bits[2:12, 2:12] = bits[20:30, 20:30] = True
    return OwnMask(bits, "mine.png")


def test_the_mask_comes_back_as_a_copy() -> None:
    mask = two_squares()
    (found,) = MaskDetector().detect(PHOTO, [mask])
    assert np.array_equal(found.bits, mask.bits)
    assert not np.shares_memory(found.bits, mask.bits)


def test_each_mask_is_an_object_and_an_empty_one_is_none() -> None:
    empty = OwnMask(np.zeros((40, 50), np.bool_))
    assert len(MaskDetector().detect(PHOTO, [two_squares(), empty, two_squares()])) == 2


def test_points_and_boxes_choose_parts() -> None:
    detect = MaskDetector().detect
    assert detect(PHOTO, [two_squares(), Points(((25, 25),))])[0].bits[2:12, 2:12].sum() == 0
    assert detect(PHOTO, [two_squares(), Points((), ((25, 25),))])[0].bits.sum() == 100
    assert detect(PHOTO, [two_squares(), Box(0, 0, 7, 40)])[0].bits.sum() == 50
    assert detect(PHOTO, [two_squares(), Points(((0, 39),))]) == []


def test_what_it_refuses() -> None:
    small = OwnMask(np.zeros((20, 50), np.bool_), "mine.png")
    says = r"mask mine.png is 50 x 20 px, expected the photo's 50 x 40 px"
    with pytest.raises(BadPrompt, match=says):
        MaskDetector().detect(PHOTO, [small])
    with pytest.raises(BadPrompt, match="give a mask too"):
        MaskDetector().detect(PHOTO, [Box(0, 0, 5, 5)])
    with pytest.raises(BadPrompt, match="cannot use colors"):
        MaskDetector().detect(PHOTO, [Color(rgb=(0, 0, 0))])
