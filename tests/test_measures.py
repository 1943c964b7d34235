"""Tests of the measurements that the checks of a result are made of."""

from __future__ import annotations

import numpy as np
import pytest
from disc_scene import SIZE, ground, with_object

from segment2inpaint.masks import feather_mask
from segment2inpaint.types import BinaryMask, Box, bounding_box
from segment2inpaint.verify import measures
from segment2inpaint.verify.hole_view import MAX_VIEW_SIDE, hole_view
from segment2inpaint.verify.pixel_statistics import self_similarity


@pytest.mark.parametrize("shape", [(3, 300), (300, 1)])
def test_self_similarity_accepts_bars_thinner_than_the_smallest_shift(
    shape: tuple[int, int],
) -> None:
    gray = np.random.default_rng(0).random(shape, np.float32)
    assert 0 <= self_similarity(gray, np.ones(shape, np.bool_)) <= 1


def test_views_are_small_and_measurements_repeatable() -> None:
    mask = np.zeros((1500, 2000), np.bool_)
    mask[500:900, 700:1300] = True
    photo = np.random.default_rng(0).integers(0, 256, (1500, 2000, 3), np.uint8)
    window = Box(600, 400, 1400, 1000)
    first, second = (
        hole_view(photo, photo, mask.astype(np.float32), mask, window) for _ in range(2)
    )
    assert max(first.hole.shape) <= MAX_VIEW_SIDE
    for measure in (
        measures.leftover,
        measures.unexplained_object,
        measures.smear,
        measures.repeats,
    ):
        assert measure(first).numbers == measure(second).numbers


def test_a_leftover_is_found_beyond_a_part_of_another_colour() -> None:
    """A red post has a pale belt, and only its foot was removed."""
    post, foot = np.zeros(SIZE, np.bool_), np.zeros(SIZE, np.bool_)
    post[50:102, 94:106] = foot[82:102, 94:106] = True
    photo = with_object(ground(), post)
    photo[70:82, 94:106] = (225, 220, 210)

    def color_log_odds(mask: BinaryMask) -> float:
        alpha = feather_mask(mask, 6, 4)
        view = hole_view(photo, photo, alpha, mask, bounding_box(alpha > 0))
        return measures.leftover(view).numbers[1]

    assert color_log_odds(foot) > 1
    assert color_log_odds(post) < 0
