"""Tests of the object's effects that an image editor removes together with it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from conftest import FakeDetector

from segment2inpaint.effects import edit_difference
from segment2inpaint.images import photo_from_array
from segment2inpaint.pipeline import Pipeline
from segment2inpaint.protocols import Crop, InputSpec, ProgressCallback, no_progress
from segment2inpaint.types import BinaryMask, Fill, Image, Refine

SIZE = 160, 200
OBJECT, SHADOW, UNRELATED = np.s_[40:90, 60:90], np.s_[80:90, 90:150], np.s_[20:40, 160:185]


def region_mask(region: tuple[slice, slice]) -> BinaryMask:
    mask = np.zeros(SIZE, np.bool_)
    mask[region] = True
    return mask


def ground() -> Image:
    return np.random.default_rng(0).normal(150, 4, (*SIZE, 3)).clip(0, 255).astype(np.uint8)


def scene() -> Image:
    """Return a red object on a noisy ground, its shadow, and something unrelated."""
    photo = ground()
    photo[SHADOW] = photo[SHADOW] // 2
    photo[UNRELATED] = (40, 60, 160)
    photo[OBJECT] = (200, 40, 40)
    return photo


def edited_scene() -> Image:
    """Return an editor's result.

    The object and its shadow are gone, everything is a little brighter and rougher, and the
    unrelated thing has another colour.
    """
    edited = ground().astype(float) + 6 + np.random.default_rng(1).normal(0, 3, (*SIZE, 3))
    edited[UNRELATED] = (160, 60, 40)
    return edited.clip(0, 255).astype(np.uint8)


def test_only_the_object_and_its_shadow_are_found() -> None:
    found = edit_difference.object_effect(scene(), edited_scene(), region_mask(OBJECT))
    assert found[SHADOW].mean() > 0.9
    assert found[OBJECT].mean() > 0.9
    found[37:93, 57:93] = found[77:93, 57:153] = False  # blurring widens it by a pixel or two
    assert not found.any()


def test_noise_alone_is_no_effect() -> None:
    noisy = (edited_scene().astype(int) - 3).clip(0, 255).astype(np.uint8)
    assert not edit_difference.object_effect(edited_scene(), noisy, region_mask(OBJECT)).any()
    assert not edit_difference.object_effect(
        scene(), edited_scene(), np.zeros(SIZE, np.bool_)
    ).any()
    assert not edit_difference.object_effect(scene(), edited_scene(), np.ones(SIZE, np.bool_)).any()


class Editor:
    """An inpainter that returns the edited scene, at twice the size if its area is set."""

    name = "editor"

    def __init__(self, input_spec: InputSpec) -> None:
        self.input_spec = input_spec
        self.received: list[Crop] = []

    def inpaint(
        self, crops: Sequence[Crop], fill: Fill, progress: ProgressCallback = no_progress
    ) -> list[Image]:
        self.received += crops
        return [
            np.asarray(
                edited_scene().repeat(2, 0).repeat(2, 1) if self.input_spec.area else edited_scene()
            )
            for _ in crops
        ]


@pytest.mark.parametrize("area", [None, 320 * 400])
def test_an_editor_removes_the_shadow_too(area: int | None) -> None:
    """It gets the whole crop, and only changes connected to the hole are used."""
    editor = Editor(InputSpec(area=area, min_side=1000, edits_by_instruction=True))
    photo = photo_from_array(scene())
    pipeline = Pipeline(FakeDetector(region_mask(OBJECT)), editor, verify=False)
    result = pipeline(photo, [], Refine(shadow=True))
    assert editor.received[0].mask.all()
    assert result.changed_outside == 0
    assert result.alpha[SHADOW].min() > 0.9
    assert result.image[SHADOW].mean() > 140
    assert (result.image[UNRELATED] == photo.image[UNRELATED]).all()


def test_an_editor_gets_the_hole_alone_if_the_shadow_stays() -> None:
    editor = Editor(InputSpec(min_side=1000, edits_by_instruction=True))
    result = Pipeline(FakeDetector(region_mask(OBJECT)), editor, verify=False)(
        photo_from_array(scene()), [], Refine(shadow=False)
    )
    assert not editor.received[0].mask.all()
    assert result.alpha[:, 130:].max() == 0
