"""Which of the click network's masks is taken: ``detect.builtin.mask_choice``."""

from __future__ import annotations

from unittest.mock import create_autospec

import numpy as np
import pytest

from segment2inpaint.detect.builtin.mask_choice import MAX_SHARE, guess, rate
from segment2inpaint.detect.builtin.salient_object import SalientObject
from segment2inpaint.networks.click import SINGLE, WHOLE, Answer, ObjectPrompt
from segment2inpaint.networks.letterbox import Letterbox
from segment2inpaint.networks.saliency import SaliencyMap
from segment2inpaint.types import Box, FloatArray, Granularity

SIDE = 40
CLICK = (20, 20)
WIDTHS = (8, 4, 6, 16)  # of squares, in the order of the network's masks


def square(width: int) -> FloatArray:
    """Return logits (SIDE, SIDE) of a square in the middle."""
    rows, columns = np.abs(np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2)
    return np.where((rows < width / 2) & (columns < width / 2), 4.0, -4.0).astype(np.float32)


def answer(*scores: float, widths: tuple[int, ...] = WIDTHS) -> Answer:
    letterbox = Letterbox(Box(0, 0, SIDE, SIDE), (SIDE, SIDE))
    masks = np.stack([square(width) for width in widths])
    return Answer(letterbox, masks, np.array(scores, np.float32))


def salient(width: int) -> SalientObject:
    return SalientObject(create_autospec(SaliencyMap, instance=True), square(width))


@pytest.mark.parametrize(
    ("granularity", "index"), [("part", 1), ("object", SINGLE), ("whole", WHOLE)]
)
def test_a_granularity_asks_for_one_mask(granularity: Granularity, index: int) -> None:
    prompt = ObjectPrompt((CLICK,), granularity=granularity)
    assert guess(answer(0.6, 0.9, 0.7, 0.8), prompt) == index


def test_a_whole_that_is_much_less_sure_is_not_taken() -> None:
    prompt = ObjectPrompt((CLICK,), granularity="whole")
    assert guess(answer(0.95, 0.9, 0.9, 0.7), prompt) == SINGLE


def test_a_whole_must_be_surer_than_the_object() -> None:
    prompt = ObjectPrompt((CLICK,))
    assert guess(answer(0.8, 0.9, 0.9, 0.81), prompt) == SINGLE
    assert guess(answer(0.7, 0.9, 0.9, 0.8), prompt) == WHOLE


def test_in_a_box_the_object_is_meant() -> None:
    assert guess(answer(0.3, 0.9, 0.9, 0.9), ObjectPrompt(box=Box(5, 5, 35, 35))) == SINGLE


@pytest.mark.parametrize("index", range(4))
def test_among_equals_the_mask_that_stands_out_is_taken(index: int) -> None:
    assert rate(answer(0.7, 0.7, 0.7, 0.7), salient(WIDTHS[index])).argmax() == index


def test_nothing_that_stands_out_leaves_the_object() -> None:
    log_odds = np.zeros((SIDE, SIDE), np.float32)
    nothing = SalientObject(create_autospec(SaliencyMap, instance=True), log_odds)
    assert rate(answer(0.7, 0.75, 0.75, 0.75), nothing).argmax() == SINGLE


def test_most_of_the_photo_and_a_bad_mask_are_not_taken() -> None:
    width = round(SIDE * MAX_SHARE**0.5) + 4
    ratings = rate(answer(0.2, 0.4, 0.9, 0.9, widths=(8, 8, 8, width)), salient(width))
    assert np.isfinite(ratings).tolist() == [True, False, True, False]
