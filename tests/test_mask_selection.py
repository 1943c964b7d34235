"""The choice among the masks of one prompt, and the removal of specks."""

from __future__ import annotations

import numpy as np
import pytest

from segment2inpaint.detect.sam.mask_selection import choose_mask, remove_specks
from segment2inpaint.networks.click import ObjectPrompt
from segment2inpaint.types import Box, Granularity


def logits(*areas: Box, size: tuple[int, int] = (40, 40)) -> np.ndarray:
    """Return logits (n, h, w) of masks that fill these boxes."""
    masks = np.full((len(areas), *size), -9, np.float32)
    for mask, area in zip(masks, areas, strict=True):
        mask[area.slices] = 9
    return masks


EMPTY, PART, WHOLE, PHOTO = (
    Box(0, 0, 0, 0),
    Box(8, 8, 14, 14),
    Box(4, 4, 24, 24),
    Box(0, 0, 40, 40),
)
BETWEEN = Box(6, 6, 20, 20)
CLICK = ObjectPrompt(include=((10, 10),))


def choose(masks: np.ndarray, scores: list[float], prompt: ObjectPrompt = CLICK) -> int | None:
    choice = choose_mask(masks, np.array(scores, np.float32), prompt)
    return choice.mask_index if choice else None


def test_the_largest_of_nearly_equal_masks_is_chosen() -> None:
    assert choose(logits(PART, WHOLE, PART), [0.9, 0.87, 0.9]) == 1


def test_a_clearly_better_mask_is_chosen() -> None:
    assert choose(logits(PART, WHOLE, PART), [0.9, 0.7, 0.8]) == 0


@pytest.mark.parametrize(
    ("granularity", "expected"), [("auto", 2), ("part", 2), ("object", 0), ("whole", 1)]
)
def test_granularity_chooses_by_size(granularity: Granularity, expected: int) -> None:
    """Among good masks; their exact quality matters to ``auto`` only."""
    prompt = ObjectPrompt(include=((10, 10),), granularity=granularity)
    assert choose(logits(BETWEEN, WHOLE, PART, PHOTO), [0.7, 0.6, 0.9, 0.2], prompt) == expected


def test_a_click_does_not_mean_the_whole_photo() -> None:
    assert choose(logits(PART, WHOLE, PHOTO), [0.6, 0.7, 0.99]) == 1


def test_a_mask_that_contradicts_a_click_is_not_chosen() -> None:
    prompt = ObjectPrompt(include=((10, 10),), exclude=((20, 20),))
    assert choose(logits(WHOLE, PART, WHOLE, WHOLE), [0.9, 0.5, 0.9, 0.9], prompt) == 1


def test_a_mask_outside_its_box_is_not_chosen() -> None:
    prompt = ObjectPrompt(box=Box(7, 7, 15, 15))
    assert choose(logits(WHOLE, PART, PHOTO), [0.9, 0.5, 0.9], prompt) == 1


def test_a_box_may_cover_the_whole_photo() -> None:
    assert choose(logits(PHOTO), [0.5], ObjectPrompt(box=PHOTO)) == 0


def test_width_and_height_have_their_own_scale() -> None:
    """As in models that stretch the photo to a square."""
    masks = logits(Box(0, 0, 20, 10), Box(0, 10, 20, 20))
    prompt = ObjectPrompt(include=((100, 30),))
    choice = choose_mask(masks, np.ones(2, np.float32), prompt, (0.1, 0.5))
    assert choice == (1, True)


def test_the_best_mask_is_chosen_if_none_fits() -> None:
    prompt = ObjectPrompt(include=((35, 35),))
    choice = choose_mask(logits(PART, WHOLE, EMPTY), np.array([0.3, 0.9, 1.0]), prompt)
    assert choice == (1, False)


def test_empty_masks_give_no_choice() -> None:
    assert choose(logits(EMPTY, EMPTY, EMPTY), [1.0, 1.0, 1.0]) is None


def test_specks_are_removed_unless_clicked() -> None:
    mask = np.zeros((60, 60), bool)
    mask[5:45, 5:45] = True
    mask[20, 20] = mask[30, 30] = False  # holes, one of them clicked
    mask[50, 50] = mask[55, 55] = True  # islands, one of them clicked
    cleaned = remove_specks(mask, ObjectPrompt(include=((50, 50),), exclude=((30, 30),)))
    changed = {(int(y), int(x)) for y, x in np.argwhere(cleaned != mask)}
    assert changed == {(20, 20), (55, 55)}


def test_large_holes_and_parts_stay() -> None:
    mask = np.zeros((60, 60), bool)
    mask[5:35, 5:35] = True
    mask[10:20, 10:20] = False
    mask[40:50, 40:50] = True
    assert np.array_equal(remove_specks(mask, CLICK), mask)


def test_notches_in_the_edge_are_not_filled() -> None:
    """They are open to the outside, or to the area beyond the photo's edge."""
    mask = np.zeros((60, 60), bool)
    mask[10:50, 10:60] = True
    mask[10, 30] = mask[30, 59] = False
    assert np.array_equal(remove_specks(mask, CLICK), mask)


def test_an_empty_mask_stays_empty() -> None:
    assert not remove_specks(np.zeros((9, 9), bool), CLICK).any()
