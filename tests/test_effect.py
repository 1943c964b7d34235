"""What an editor of whole crops changed besides the hole."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from conftest import FakeDetector

from segment2inpaint.effects import edit_difference
from segment2inpaint.images import photo_of
from segment2inpaint.pipeline import Pipeline
from segment2inpaint.protocols import Crop, InputSpec, ProgressCallback, no_progress
from segment2inpaint.types import BinaryMask, Fill, Image, Refine

SIZE = 160, 200
THING, SHADE, OTHER = np.s_[40:90, 60:90], np.s_[80:90, 90:150], np.s_[20:40, 160:185]


def part(where: tuple[slice, slice]) -> BinaryMask:
    bits = np.zeros(SIZE, np.bool_)
    bits[where] = True
    return bits


def ground() -> Image:
    return np.random.default_rng(0).normal(150, 4, (*SIZE, 3)).clip(0, 255).astype(np.uint8)


def scene() -> Image:
    """A red thing on a rough ground, its shadow, and something else."""
    photo = ground()
    photo[SHADE] = photo[SHADE] // 2
    photo[OTHER] = (40, 60, 160)
    photo[THING] = (200, 40, 40)
    return photo


def answer() -> Image:
    """An editor's: the thing and its shadow gone, all a little brighter and rougher, and the
    something else of another colour."""
    new = ground().astype(float) + 6 + np.random.default_rng(1).normal(0, 3, (*SIZE, 3))
    new[OTHER] = (160, 60, 40)
    return new.clip(0, 255).astype(np.uint8)


def test_the_shadow_is_found_and_nothing_else() -> None:
    found = edit_difference.object_effect(scene(), answer(), part(THING))
    assert found[SHADE].mean() > 0.9
    assert found[THING].mean() > 0.9
    found[37:93, 57:93] = found[77:93, 57:153] = False  # averaging widens it by a pixel or two
    assert not found.any()


def test_noise_alone_is_no_effect() -> None:
    rough = (answer().astype(int) - 3).clip(0, 255).astype(np.uint8)
    assert not edit_difference.object_effect(answer(), rough, part(THING)).any()
    assert not edit_difference.object_effect(scene(), answer(), np.zeros(SIZE, np.bool_)).any()
    assert not edit_difference.object_effect(scene(), answer(), np.ones(SIZE, np.bool_)).any()


class Editor:
    """Gives its answer for whatever crop it is given; at twice the size if asked."""

    name = "editor"

    def __init__(self, input_spec: InputSpec) -> None:
        self.input_spec = input_spec
        self.given: list[Crop] = []

    def inpaint(
        self, crops: Sequence[Crop], fill: Fill, progress: ProgressCallback = no_progress
    ) -> list[Image]:
        self.given += crops
        return [
            np.asarray(answer().repeat(2, 0).repeat(2, 1) if self.input_spec.area else answer())
            for _ in crops
        ]


@pytest.mark.parametrize("area", [None, 320 * 400])
def test_an_editor_takes_the_shadow_along(area: int | None) -> None:
    """It is given the whole crop, and only what hangs together with the hole is taken over."""
    editor = Editor(InputSpec(area=area, min_side=1000, edits_by_instruction=True))
    photo = photo_of(scene())
    pipeline = Pipeline(FakeDetector(part(THING)), editor, verify=False)
    result = pipeline(photo, [], Refine(shadow=True))
    assert editor.given[0].mask.all()
    assert result.changed_outside == 0
    assert result.alpha[SHADE].min() > 0.9
    assert result.image[SHADE].mean() > 140
    assert (result.image[OTHER] == photo.image[OTHER]).all()


def test_without_a_shadow_asked_for_it_is_given_the_hole() -> None:
    editor = Editor(InputSpec(min_side=1000, edits_by_instruction=True))
    result = Pipeline(FakeDetector(part(THING)), editor, verify=False)(
        photo_of(scene()), [], Refine(shadow=False)
    )
    assert not editor.given[0].mask.all()
    assert result.alpha[:, 130:].max() == 0
