"""Prompts as tensors for promptable models."""

from __future__ import annotations

import numpy as np
import pytest
import tiny

from segment2inpaint.detect.sam.original import OriginalSamModel
from segment2inpaint.detect.sam.prompt_tensors import (
    PromptedObject,
    batches,
    mask_logits,
    prompted_objects,
)
from segment2inpaint.masks import deepest_point
from segment2inpaint.networks.click import ObjectPrompt
from segment2inpaint.types import Box, Points, UserMask

CLICK = ObjectPrompt(include=((40, 30),))
TWO_CLICKS = ObjectPrompt(include=((40, 30), (60, 50)))
BOX = ObjectPrompt(box=Box(20, 10, 90, 70))
BOX_AND_CLICK = ObjectPrompt(include=((40, 30),), box=Box(20, 10, 90, 70))


def test_a_user_mask_prompts_with_its_box_its_deepest_point_and_itself() -> None:
    mask = np.zeros((90, 140), bool)
    mask[20:61, 30:91] = True
    prompts = [Points(((5, 5),)), UserMask(mask), Points(((50, 50),), ((35, 25),))]
    with_mask, clicked = prompted_objects(prompts)
    points = ((50, 50), deepest_point(mask))
    assert with_mask.prompt == ObjectPrompt(points, ((35, 25),), Box(30, 20, 91, 61))
    assert with_mask.user_mask is mask
    assert clicked.prompt.include == ((5, 5),)
    assert clicked.user_mask is None


@pytest.mark.parametrize("size", [(90, 140), (140, 90), (60, 400)])
def test_the_logits_of_a_mask_give_the_mask_again(size: tuple[int, int]) -> None:
    """Up to pixels of the model's low-resolution masks."""
    mask = np.zeros(size, bool)
    mask[size[0] // 4 : -size[0] // 4, size[1] // 3 : -size[1] // 4] = True
    model = OriginalSamModel(tiny.sam(), "cpu")
    logits = mask_logits(model, mask)
    assert logits.abs().max() <= 10
    restored = (model.resize_to_photo(logits[None], size)[0, 0] > 0).numpy()
    assert (restored & mask).sum() / (restored | mask).sum() > 0.7


def test_batches_hold_objects_with_the_same_kinds_of_prompt() -> None:
    """Padded prompts would change each other's masks."""
    prompts = [
        CLICK,
        BOX,
        CLICK,
        TWO_CLICKS,
        BOX_AND_CLICK,
        ObjectPrompt(include=((1, 1),), granularity="part"),
    ]
    prompts.append(ObjectPrompt(include=((1, 1), (2, 2)), granularity="part"))
    indices = list(batches([PromptedObject(prompt) for prompt in prompts]))
    assert indices == [[0, 2, 5], [1], [3], [4], [6]]
    assert [len(batch) for batch in batches([PromptedObject(CLICK)] * 40)] == [16, 16, 8]
