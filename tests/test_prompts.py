"""Prompts: checked, grouped by object, as limits."""

from __future__ import annotations

import numpy as np
import pytest

from segment2inpaint.detect.prompts import accept, check, limit, targets
from segment2inpaint.errors import BadPrompt
from segment2inpaint.masks import components_at
from segment2inpaint.networks.click import ObjectPrompt
from segment2inpaint.types import Box, CleanPlate, Color, Points, Text, UserMask

SIZE = (60, 80)


@pytest.mark.parametrize(
    ("prompt", "says"),
    [
        (Points(((80, 5),)), "point 80,5 is outside the photo of 80 x 60 px"),
        (Points((), ((5, -1),)), "point 5,-1 is outside"),
        (Points(((3, 4),), ((3, 4),)), "point 3,4 is given both"),
        (Color(at=(5, 60)), "point 5,60 is outside"),
        (Box(5, 5, 5, 9), "box 5,5,5,9 has no area"),
        (Box(90, 5, 99, 9), "box 90,5,99,9 is outside the photo of 80 x 60 px"),
    ],
)
def test_bad_prompts_say_what_and_where(prompt: Points | Box | Color, says: str) -> None:
    with pytest.raises(BadPrompt, match=says):
        check([prompt], SIZE)


def test_boxes_are_put_in_order_and_clipped() -> None:
    assert check([Box(30, 40, 10, 20)], SIZE) == (Box(10, 20, 30, 40),)
    assert check([Box(-5, 50, 200, 70)], SIZE) == (Box(0, 50, 80, 60),)


def test_a_detector_says_what_it_takes() -> None:
    with pytest.raises(BadPrompt, match="cut: cannot use text, it takes points and boxes"):
        accept("cut", (Points, Box), [Text("dog")], SIZE)
    with pytest.raises(BadPrompt, match="cut: no prompt given"):
        accept("cut", (Points, Box), [], SIZE)


def test_each_points_and_each_box_is_an_object() -> None:
    box, far = Box(0, 0, 10, 10), Points(((50, 50),))
    assert targets([far, box]) == [ObjectPrompt(box=box), ObjectPrompt(include=((50, 50),))]


def test_points_inside_a_box_refine_its_object() -> None:
    big, small = Box(0, 0, 40, 40), Box(5, 5, 20, 20)
    found = targets([big, small, Points(((8, 8), (9, 9)), ((12, 12),))])
    assert found == [ObjectPrompt(box=big), ObjectPrompt(((8, 8), (9, 9)), ((12, 12),), small)]


def test_points_only_beside_belong_to_all() -> None:
    found = targets([Points(((1, 1),)), Points((), ((7, 7),)), Points(((5, 5),))])
    assert [t.exclude for t in found] == [((7, 7),)] * 2
    assert targets([Points((), ((7, 7),))]) == []


def test_components_touch_at_corners() -> None:
    bits = np.zeros((6, 6), np.bool_)
    bits[1, 1] = bits[2, 2] = bits[5, 5] = True
    kept = components_at(bits, [(1, 1)])
    assert kept.sum() == 2
    assert not kept[5, 5]


def test_limits() -> None:
    bits = np.zeros(SIZE, np.bool_)
    bits[5:15, 5:15] = bits[5:15, 30:40] = bits[40:50, 5:15] = True
    assert limit(bits, [Box(0, 0, 10, 60)]).sum() == 100
    assert limit(bits, [Points(((6, 6),))]).sum() == 100
    assert limit(bits, [Points((), ((6, 6),))]).sum() == 200
    assert limit(bits, [Points(((0, 0),))]).sum() == 0
    assert bits.sum() == 300


@pytest.mark.parametrize(
    "prompt",
    [
        UserMask(np.ones((9, 7), np.bool_), "m.png"),
        CleanPlate(np.zeros((9, 7, 3), np.uint8), "m.png"),
    ],
)
def test_a_mask_or_plate_of_another_size_is_refused(prompt: UserMask | CleanPlate) -> None:
    with pytest.raises(
        BadPrompt, match=r"m\.png: expected the photo's size 120 x 100 px, got 7 x 9"
    ):
        check([prompt], (100, 120))
