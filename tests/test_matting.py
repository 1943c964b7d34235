"""Soft edges: alpha and colours against a scene whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from hairy_scene import HairyScene, hairy_scene

from segment2inpaint.compositing.matting import (
    foreground_colors,
    make_trimap,
    object_alpha,
    objects_alpha,
)
from segment2inpaint.types import Alpha, Detection, Refine


@pytest.fixture(scope="module", params=[0, 1])
def scene(request: pytest.FixtureRequest) -> HairyScene:
    return hairy_scene(request.param)


@pytest.fixture(scope="module")
def estimate(scene: HairyScene) -> Alpha:
    return object_alpha(scene.image, Detection(scene.mask))


def test_alpha_is_nearer_to_the_truth_than_the_hard_mask(
    scene: HairyScene, estimate: Alpha
) -> None:
    """Hairs that the mask has lost come back."""
    hard = np.abs(scene.mask - scene.alpha).mean()
    assert np.abs(estimate - scene.alpha).mean() < 0.6 * hard


def test_colours_along_the_edge_are_the_objects_own(scene: HairyScene, estimate: Alpha) -> None:
    """They are at most half as far from the true colours as the photo's pixels are."""
    edge = (estimate > 0.1) & (estimate < 0.9)
    colors = foreground_colors(scene.image, estimate)
    truth = scene.foreground.astype(np.float32)[edge]
    error, photo_error = (np.abs(i[edge] - truth).mean() for i in (colors, scene.image))
    assert error < 0.5 * photo_error
    whole = estimate == 1
    assert whole.any()
    assert (colors[whole] == scene.image[whole]).all()


def test_alpha_is_exact_outside_of_the_band(scene: HairyScene, estimate: Alpha) -> None:
    trimap = make_trimap(scene.mask)
    assert (estimate[trimap == 1] == 1).all()
    assert (estimate[trimap == 0] == 0).all()
    assert (trimap == 0.5).mean() < 0.15


def test_thin_parts_and_narrow_gaps_keep_a_core() -> None:
    """The band of a wide object would swallow them."""
    mask = np.zeros((400, 400), np.bool_)
    mask[50:350, 50:200] = True
    mask[100:103, 200:350] = True  # a rod of 3 px
    mask[200:350, 120:128] = False  # a gap of 8 px
    trimap = make_trimap(mask)
    assert (trimap[101, 230:340] == 1).all()
    assert (trimap[110, 230:340] == 0).all()
    assert (trimap[230:340, 123:125] == 0).all()
    assert (trimap[60:90, 50] == 0.5).all()


def test_at_the_photos_border_the_object_stays_whole() -> None:
    """What lies beyond is unknown: the object does not fade out there."""
    image = np.full((120, 160, 3), 200, np.uint8)
    mask = np.zeros((120, 160), np.bool_)
    mask[40:, :80] = True
    image[mask] = (30, 60, 20)
    alpha = object_alpha(image, Detection(mask))
    assert (alpha[60:, 0] == 1).all()
    assert (alpha[-1, :60] == 1).all()


@pytest.mark.parametrize("value", [True, False])
def test_a_mask_without_an_edge_stays_as_it_is(value: bool) -> None:
    mask = np.full((20, 30), value)
    image = np.zeros((20, 30, 3), np.uint8)
    assert (object_alpha(image, Detection(mask)) == mask).all()


def test_a_soft_mask_keeps_its_greys_and_a_hard_edge_can_be_asked_for(scene: HairyScene) -> None:
    greys = Detection(scene.alpha > 0.5, alpha=scene.alpha)
    assert (objects_alpha(scene.image, [greys], Refine()) == scene.alpha).all()
    hard = objects_alpha(scene.image, [Detection(scene.mask)], Refine(edge_refine=False))
    assert (hard == scene.mask).all()


def test_a_large_crop_is_matted_reduced(
    scene: HairyScene, estimate: Alpha, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("segment2inpaint.compositing.matting.MAX_AREA", 10_000)
    reduced = object_alpha(scene.image, Detection(scene.mask))
    assert 0 < np.abs(reduced - estimate).mean() < 0.02
    assert np.abs(reduced - scene.alpha).mean() < np.abs(scene.mask - scene.alpha).mean()
