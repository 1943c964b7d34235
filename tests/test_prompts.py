"""Checks of prompts, their grouping by object, and their use as limits of a mask."""

from __future__ import annotations

import numpy as np
import pytest

from segment2inpaint.detect.prompts import (
    check_for_detector,
    check_prompts,
    limit_mask,
    object_prompts,
    pick_by_number,
)
from segment2inpaint.errors import BadPrompt
from segment2inpaint.masks import components_at
from segment2inpaint.networks.click import ObjectPrompt
from segment2inpaint.types import Box, CleanPlate, Color, Points, Text, UserMask

SIZE = (60, 80)


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        (Points(((80, 5),)), "point 80,5 is outside the photo of 80 x 60 px"),
        (Points((), ((5, -1),)), "point 5,-1 is outside"),
        (
            Points(((3, 4),), ((3, 4),)),
            "point 3,4 is given both as a positive and as a negative point",
        ),
        (Color(at=(5, 60)), "point 5,60 is outside"),
        (Box(5, 5, 5, 9), "box 5,5,5,9 has no area"),
        (Box(90, 5, 99, 9), "box 90,5,99,9 is outside the photo of 80 x 60 px"),
    ],
)
def test_bad_prompts_are_refused_with_the_place(prompt: Points | Box | Color, message: str) -> None:
    with pytest.raises(BadPrompt, match=message):
        check_prompts([prompt], SIZE)


def test_corners_of_boxes_are_sorted_and_clipped() -> None:
    assert check_prompts([Box(30, 40, 10, 20)], SIZE) == (Box(10, 20, 30, 40),)
    assert check_prompts([Box(-5, 50, 200, 70)], SIZE) == (Box(0, 50, 80, 60),)


def test_unsupported_prompts_are_refused_with_the_supported_types() -> None:
    with pytest.raises(BadPrompt, match="cut: cannot use text, it takes points and boxes"):
        check_for_detector("cut", (Points, Box), [Text("dog")], SIZE)
    with pytest.raises(BadPrompt, match="cut: no prompt given"):
        check_for_detector("cut", (Points, Box), [], SIZE)


def test_each_box_and_each_points_prompt_is_an_object() -> None:
    box, far = Box(0, 0, 10, 10), Points(((50, 50),))
    assert object_prompts([far, box]) == [ObjectPrompt(box=box), ObjectPrompt(include=((50, 50),))]


def test_points_inside_a_box_refine_its_object() -> None:
    big, small = Box(0, 0, 40, 40), Box(5, 5, 20, 20)
    objects = object_prompts([big, small, Points(((8, 8), (9, 9)), ((12, 12),))])
    assert objects == [ObjectPrompt(box=big), ObjectPrompt(((8, 8), (9, 9)), ((12, 12),), small)]


def test_negative_points_alone_apply_to_all_objects() -> None:
    objects = object_prompts([Points(((1, 1),)), Points((), ((7, 7),)), Points(((5, 5),))])
    assert [o.exclude for o in objects] == [((7, 7),)] * 2
    assert object_prompts([Points((), ((7, 7),))]) == []


def test_components_are_8_connected() -> None:
    mask = np.zeros((6, 6), np.bool_)
    mask[1, 1] = mask[2, 2] = mask[5, 5] = True
    component = components_at(mask, [(1, 1)])
    assert component.sum() == 2
    assert not component[5, 5]


def test_items_are_picked_by_number() -> None:
    assert pick_by_number("abc", [3, 1]) == ["a", "c"]
    assert pick_by_number("abc", []) == ["a", "b", "c"]
    for number in (0, 4):
        with pytest.raises(BadPrompt, match=f"pick {number}: there are 3 objects"):
            pick_by_number("abc", [number])


def test_boxes_and_points_limit_a_mask() -> None:
    mask = np.zeros(SIZE, np.bool_)
    mask[5:15, 5:15] = mask[5:15, 30:40] = mask[40:50, 5:15] = True
    assert limit_mask(mask, [Box(0, 0, 10, 60)]).sum() == 100
    assert limit_mask(mask, [Points(((6, 6),))]).sum() == 100
    assert limit_mask(mask, [Points((), ((6, 6),))]).sum() == 200
    assert limit_mask(mask, [Points(((0, 0),))]).sum() == 0
    assert mask.sum() == 300


@pytest.mark.parametrize(
    "prompt",
    [
        UserMask(np.ones((9, 7), np.bool_), "m.png"),
        CleanPlate(np.zeros((9, 7, 3), np.uint8), "m.png"),
    ],
)
def test_masks_and_plates_of_another_size_are_refused(prompt: UserMask | CleanPlate) -> None:
    with pytest.raises(
        BadPrompt, match=r"m\.png: expected the photo's size 120 x 100 px, got 7 x 9"
    ):
        check_prompts([prompt], (100, 120))
