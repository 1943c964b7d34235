"""The detector for masks that the user brings."""

from __future__ import annotations

import numpy as np
import pytest

from segment2inpaint.detect.user_mask import UserMaskDetector
from segment2inpaint.errors import BadPrompt
from segment2inpaint.types import Box, Color, Points, UserMask

PHOTO = np.zeros((40, 50, 3), np.uint8)


def two_squares() -> UserMask:
    mask = np.zeros((40, 50), np.bool_)
    mask[2:12, 2:12] = mask[20:30, 20:30] = True
    return UserMask(mask, "mine.png")


def test_the_mask_is_returned_as_a_copy() -> None:
    prompt = two_squares()
    (detection,) = UserMaskDetector().detect(PHOTO, [prompt])
    assert np.array_equal(detection.mask, prompt.mask)
    assert not np.shares_memory(detection.mask, prompt.mask)


def test_each_mask_is_an_object_and_empty_masks_are_skipped() -> None:
    empty = UserMask(np.zeros((40, 50), np.bool_))
    assert len(UserMaskDetector().detect(PHOTO, [two_squares(), empty, two_squares()])) == 2


def test_points_and_boxes_select_parts() -> None:
    detect = UserMaskDetector().detect
    assert detect(PHOTO, [two_squares(), Points(((25, 25),))])[0].mask[2:12, 2:12].sum() == 0
    assert detect(PHOTO, [two_squares(), Points((), ((25, 25),))])[0].mask.sum() == 100
    assert detect(PHOTO, [two_squares(), Box(0, 0, 7, 40)])[0].mask.sum() == 50
    assert detect(PHOTO, [two_squares(), Points(((0, 39),))]) == []


def test_unusable_prompts_are_refused() -> None:
    small = UserMask(np.zeros((20, 50), np.bool_), "mine.png")
    message = r"mask mine.png: expected the photo's size 50 x 40 px, got 50 x 20 px"
    with pytest.raises(BadPrompt, match=message):
        UserMaskDetector().detect(PHOTO, [small])
    with pytest.raises(BadPrompt, match="add a mask"):
        UserMaskDetector().detect(PHOTO, [Box(0, 0, 5, 5)])
    with pytest.raises(BadPrompt, match="cannot use colors"):
        UserMaskDetector().detect(PHOTO, [Color(rgb=(0, 0, 0))])
