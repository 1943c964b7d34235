"""Everything without weights, its numbers and its picture."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segment2inpaint.cli.overlay import numbered
from segment2inpaint.detect.builtin.region_merging import COUNT, RegionMergingDetector
from segment2inpaint.errors import BadPrompt
from segment2inpaint.masks import deepest_point, labels
from segment2inpaint.types import BinaryMask, Box, Detection, Everything, Image

DISCS = {(60, 40): (200, 40, 40), (130, 70): (40, 60, 200)}


def scene() -> Image:
    """A red and a blue disc on grey, with grain."""
    photo = np.random.default_rng(0).normal(120, 2, (110, 190, 3))
    for (cx, cy), color in DISCS.items():
        photo[disc((cx, cy))] = color
    return photo.clip(0, 255).astype(np.uint8)


def disc(center: tuple[int, int]) -> BinaryMask:
    y, x = np.mgrid[:110, :190]
    inside: BinaryMask = (x - center[0]) ** 2 + (y - center[1]) ** 2 < 20**2
    return inside


def overlap(a: BinaryMask, b: BinaryMask) -> float:
    return float((a & b).sum() / (a | b).sum())


def test_discs_are_among_the_first() -> None:
    masks = RegionMergingDetector().detect(scene(), [Everything()])
    assert len(masks) <= COUNT
    assert [m.score for m in masks] == sorted((m.score for m in masks), reverse=True)
    for center in DISCS:
        assert max(overlap(m.mask, disc(center)) for m in masks[:6]) > 0.9


def test_some_are_picked_by_number() -> None:
    masks = RegionMergingDetector().detect(scene(), [Everything()])
    picked = RegionMergingDetector().detect(scene(), [Everything((3, 1))])
    for mask, known in zip(picked, (masks[0], masks[2]), strict=True):
        assert (mask.mask == known.mask).all()
    with pytest.raises(BadPrompt, match="pick 99: there are"):
        RegionMergingDetector().detect(scene(), [Everything((99,))])


@pytest.mark.parametrize("size", [(2, 2), (1, 1), (3, 400), (700, 5)])
def test_odd_photos(size: tuple[int, int]) -> None:
    photo = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    for mask in RegionMergingDetector().detect(photo, [Everything()]):
        assert mask.mask.shape == size


def test_other_prompts_are_refused() -> None:
    with pytest.raises(BadPrompt, match="cannot use boxes, it takes everything"):
        RegionMergingDetector().detect(scene(), [Box(1, 1, 9, 9)])


def test_labels_are_numbers_and_small_masks_lie_on_top() -> None:
    small, large = (Detection(np.zeros((9, 9), bool)) for _ in range(2))
    large.mask[1:8, 1:8] = True
    small.mask[3:5, 3:5] = True
    assert (labels([small, large])[2:4, 2:6] == [[2, 2, 2, 2], [2, 1, 1, 2]]).all()
    assert (labels([large, small])[2:4, 2:6] == [[1, 1, 1, 1], [1, 2, 2, 1]]).all()
    assert labels([large])[0, 0] == 0


@given(st.integers(1, 30), st.integers(1, 40), st.integers(0, 3))
def test_overlay_takes_any_photo(height: int, width: int, count: int) -> None:
    photo = np.full((height, width, 3), 100, np.uint8)
    masks = [Detection(np.ones((height, width), bool)) for _ in range(count)]
    drawn = numbered(photo, masks)
    assert drawn.shape == photo.shape
    assert (drawn == photo).all() == (count == 0)
    assert (photo == 100).all()


def test_overlay_is_as_large_as_asked() -> None:
    assert numbered(np.zeros((300, 900, 3), np.uint8), [], side=90).shape == (30, 90, 3)


def test_innermost() -> None:
    bits = np.zeros((9, 12), bool)
    bits[2:7, 1:12] = True
    assert bits[deepest_point(bits)[::-1]]
    assert deepest_point(bits)[1] == 4
