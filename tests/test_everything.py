"""All objects of a photo, and their numbers in a picture."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segment2inpaint.detect.builtin.detector import BuiltinDetector
from segment2inpaint.detect.builtin.everything import MAX_OBJECTS
from segment2inpaint.errors import BadPrompt
from segment2inpaint.masks import deepest_point, labels
from segment2inpaint.overlay import draw_numbered_masks
from segment2inpaint.types import BinaryMask, Box, Detection, Everything, Image

DISCS = {(60, 40): (200, 40, 40), (130, 70): (40, 60, 200)}


def scene() -> Image:
    """Return a red and a blue disc on grey, with noise."""
    photo = np.random.default_rng(0).normal(120, 2, (110, 190, 3))
    for (cx, cy), color in DISCS.items():
        photo[disc((cx, cy))] = color
    return photo.clip(0, 255).astype(np.uint8)


def disc(center: tuple[int, int]) -> BinaryMask:
    y, x = np.mgrid[:110, :190]
    inside: BinaryMask = (x - center[0]) ** 2 + (y - center[1]) ** 2 < 20**2
    return inside


def iou(a: BinaryMask, b: BinaryMask) -> float:
    return float((a & b).sum() / (a | b).sum())


def test_discs_are_found_the_surest_first() -> None:
    found = BuiltinDetector().detect(scene(), [Everything()])
    assert 2 <= len(found) <= MAX_OBJECTS
    assert [d.score for d in found] == sorted((d.score for d in found), reverse=True)
    for center in DISCS:
        assert max(iou(d.mask, disc(center)) for d in found) > 0.9


def test_objects_are_picked_by_number() -> None:
    found = BuiltinDetector().detect(scene(), [Everything()])
    picked = BuiltinDetector().detect(scene(), [Everything((2, 1))])
    for detection, expected in zip(picked, found[:2], strict=True):
        assert (detection.mask == expected.mask).all()
    with pytest.raises(BadPrompt, match="pick 99: there are"):
        BuiltinDetector().detect(scene(), [Everything((99,))])


@pytest.mark.parametrize("size", [(2, 2), (1, 1), (3, 400), (700, 5)])
def test_tiny_and_thin_photos_are_supported(size: tuple[int, int]) -> None:
    photo = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    for detection in BuiltinDetector().detect(photo, [Everything()]):
        assert detection.mask.shape == size


def test_everything_comes_alone() -> None:
    with pytest.raises(BadPrompt, match="everything cannot be combined with other prompts"):
        BuiltinDetector().detect(scene(), [Box(1, 1, 9, 9), Everything()])


def test_labels_are_numbers_and_small_masks_cover_large_ones() -> None:
    small, large = (Detection(np.zeros((9, 9), bool)) for _ in range(2))
    large.mask[1:8, 1:8] = True
    small.mask[3:5, 3:5] = True
    assert (labels([small, large])[2:4, 2:6] == [[2, 2, 2, 2], [2, 1, 1, 2]]).all()
    assert (labels([large, small])[2:4, 2:6] == [[1, 1, 1, 1], [1, 2, 2, 1]]).all()
    assert labels([large])[0, 0] == 0


@given(st.integers(1, 30), st.integers(1, 40), st.integers(0, 3))
def test_any_photo_can_be_drawn_with_numbers(height: int, width: int, count: int) -> None:
    photo = np.full((height, width, 3), 100, np.uint8)
    masks = [Detection(np.ones((height, width), bool)) for _ in range(count)]
    drawn = draw_numbered_masks(photo, masks)
    assert drawn.shape == photo.shape
    assert (drawn == photo).all() == (count == 0)
    assert (photo == 100).all()


def test_the_drawing_has_the_requested_size() -> None:
    assert draw_numbered_masks(np.zeros((300, 900, 3), np.uint8), [], max_side=90).shape == (
        30,
        90,
        3,
    )


def test_the_deepest_point_is_farthest_from_the_edge() -> None:
    mask = np.zeros((9, 12), bool)
    mask[2:7, 1:12] = True
    assert mask[deepest_point(mask)[::-1]]
    assert deepest_point(mask)[1] == 4
