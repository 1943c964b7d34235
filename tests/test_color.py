"""The detector for everything of one colour."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segment2inpaint.detect.color import ColorDetector
from segment2inpaint.errors import BadPrompt
from segment2inpaint.images import read
from segment2inpaint.types import BinaryMask, Box, Color, Image, Points

SAMPLES = Path(__file__).parent.parent / "samples"

RED = (200, 40, 40)


def photo() -> tuple[Image, BinaryMask]:
    """Return two red squares on noisy grey, and the mask of both."""
    rng = np.random.default_rng(1)
    image = rng.normal(128, 4, (90, 120, 3))
    red = np.zeros((90, 120), np.bool_)
    red[10:40, 10:40] = red[50:80, 70:110] = True
    image[red] = rng.normal(RED, 4, (int(red.sum()), 3))
    return np.clip(image, 0, 255).astype(np.uint8), red


def find(*prompts: Color | Points | Box) -> BinaryMask:
    (detection,) = ColorDetector().detect(photo()[0], prompts)
    return detection.mask


def test_a_click_selects_the_connected_pixels() -> None:
    assert np.array_equal(find(Color(at=(20, 20))), photo()[1] & (np.arange(120) < 60))


def test_everywhere_and_an_rgb_colour_select_all_pixels() -> None:
    red = photo()[1]
    for color in Color(at=(20, 20), everywhere=True), Color(rgb=RED):
        mask = find(color)
        assert (mask & red).sum() >= 0.99 * (mask | red).sum()


def test_several_colours_are_united() -> None:
    both = find(Color(at=(20, 20)), Color(at=(90, 60)))
    assert np.array_equal(both, photo()[1])


def test_points_and_boxes_limit_the_mask() -> None:
    red = photo()[1]
    right = red & (np.arange(120) >= 60)
    assert np.array_equal(find(Color(rgb=RED), Points(((90, 60),))), right)
    assert np.array_equal(find(Color(rgb=RED), Points((), ((20, 20),))), right)
    assert find(Color(rgb=RED), Box(0, 0, 20, 90)).sum() == 300


def test_a_larger_tolerance_selects_more() -> None:
    areas = [find(Color(rgb=RED, tolerance=t)).sum() for t in (3, 6, 12, 100, 300)]
    assert areas == sorted(areas)
    assert areas[-1] == photo()[1].size


def test_a_photo_of_many_strips_gives_the_same_mask() -> None:
    image = np.tile(photo()[0], (14, 1, 1))
    wide = np.tile(image, (1, 12, 1))
    whole = ColorDetector().detect(wide, [Color(rgb=RED, tolerance=12)])[0].mask
    part = ColorDetector().detect(image, [Color(rgb=RED, tolerance=12)])[0].mask
    assert np.array_equal(whole[:, :120], part)


@settings(max_examples=25, deadline=None)
@given(x=st.integers(0, 29), y=st.integers(0, 19), seed=st.integers(0, 99))
def test_a_click_selects_its_pixel_in_any_photo(x: int, y: int, seed: int) -> None:
    image = np.random.default_rng(seed).integers(0, 256, (20, 30, 3), np.uint8)
    before = image.copy()
    (detection,) = ColorDetector().detect(image, [Color(at=(x, y))])
    assert detection.mask.shape == (20, 30)
    assert detection.mask[y, x]
    assert np.array_equal(image, before)


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        (Color(), "given either by a point"),
        (Color(at=(1, 1), rgb=RED), "given either by a point"),
        (Color(rgb=RED, tolerance=-1), "tolerance must be a number from 0, got -1"),
        (Box(0, 0, 9, 9), "add a color"),
        (Color(at=(120, 1)), "outside the photo of 120 x 90 px"),
    ],
)
def test_unusable_prompts_are_refused(prompt: Color | Box, message: str) -> None:
    with pytest.raises(BadPrompt, match=message):
        find(prompt)


def test_a_colour_that_no_pixel_has_gives_no_detection() -> None:
    assert ColorDetector().detect(photo()[0], [Color(rgb=(0, 255, 0), tolerance=10)]) == []


@pytest.mark.parametrize(("name", "at"), [("oranges", (578, 426)), ("chair", (658, 526))])
def test_the_tolerance_stops_before_the_region_floods_the_photo(
    name: str, at: tuple[int, int]
) -> None:
    image = read(SAMPLES / f"{name}.jpg").image
    (detection,) = ColorDetector().detect(image, [Color(at=at)])
    assert detection.mask.mean() < 0.1
