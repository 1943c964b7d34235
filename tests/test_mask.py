"""The user's own mask."""

from __future__ import annotations

import numpy as np
import pytest

from segment2inpaint.detect.user_mask import UserMaskDetector
from segment2inpaint.errors import BadPrompt
from segment2inpaint.types import Box, Color, Points, UserMask

PHOTO = np.zeros((40, 50, 3), np.uint8)


def two_squares() -> UserMask:
    bits = np.zeros((40, 50), np.bool_)
    bits[2:12, 2:12] = bits[20:30, 20:30] = True
    return UserMask(bits, "mine.png")


def test_the_mask_comes_back_as_a_copy() -> None:
    mask = two_squares()
    (found,) = UserMaskDetector().detect(PHOTO, [mask])
    assert np.array_equal(found.mask, mask.mask)
    assert not np.shares_memory(found.mask, mask.mask)


def test_each_mask_is_an_object_and_an_empty_one_is_none() -> None:
    empty = UserMask(np.zeros((40, 50), np.bool_))
    assert len(UserMaskDetector().detect(PHOTO, [two_squares(), empty, two_squares()])) == 2


def test_points_and_boxes_choose_parts() -> None:
    detect = UserMaskDetector().detect
    assert detect(PHOTO, [two_squares(), Points(((25, 25),))])[0].mask[2:12, 2:12].sum() == 0
    assert detect(PHOTO, [two_squares(), Points((), ((25, 25),))])[0].mask.sum() == 100
    assert detect(PHOTO, [two_squares(), Box(0, 0, 7, 40)])[0].mask.sum() == 50
    assert detect(PHOTO, [two_squares(), Points(((0, 39),))]) == []


def test_what_it_refuses() -> None:
    small = UserMask(np.zeros((20, 50), np.bool_), "mine.png")
    says = r"mask mine.png: expected the photo's size 50 x 40 px, got 50 x 20 px"
    with pytest.raises(BadPrompt, match=says):
        UserMaskDetector().detect(PHOTO, [small])
    with pytest.raises(BadPrompt, match="give a mask too"):
        UserMaskDetector().detect(PHOTO, [Box(0, 0, 5, 5)])
    with pytest.raises(BadPrompt, match="cannot use colors"):
        UserMaskDetector().detect(PHOTO, [Color(rgb=(0, 0, 0))])
