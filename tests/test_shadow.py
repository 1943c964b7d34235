"""Tests of the shadow search: what the shipped network and the outline find on drawn ground."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import masks
from hypothesis import given, settings
from shadow_scene import SIZE, ground, post_mask, scene, shadow_mask

from segment2inpaint.effects import shadow
from segment2inpaint.networks.shadow import PLANE_COUNT, VIEW_SIDE, shadow_view
from segment2inpaint.types import BinaryMask


def test_a_cast_shadow_is_found() -> None:
    found = shadow.find_shadow(scene(shaded=True), post_mask())
    assert found.certainty >= shadow.AUTOMATIC_CERTAINTY
    intersection, union = found.mask & shadow_mask(), found.mask | shadow_mask()
    assert intersection.sum() > 0.9 * shadow_mask().sum()
    assert intersection.sum() / union.sum() > 0.4
    assert not (found.mask & post_mask()).any()


def test_a_scene_without_shadow_gives_a_low_certainty() -> None:
    assert (
        shadow.find_shadow(scene(shaded=False), post_mask()).certainty < shadow.AUTOMATIC_CERTAINTY
    )


def test_alpha_falls_smoothly_to_zero() -> None:
    alpha = shadow.shadow_alpha(shadow.Shadow(shadow_mask(), 1.0), 10)
    assert (alpha[shadow_mask()] == 1).all()
    assert 0 < alpha[(alpha > 0) & ~shadow_mask()].min() < 0.1
    empty = shadow.shadow_alpha(shadow.Shadow(np.zeros(SIZE, np.bool_), 0.0), 10)
    assert empty.max() == 0


@pytest.mark.parametrize("full", [False, True])
def test_empty_and_full_masks_have_no_shadow(full: bool) -> None:
    found = shadow.find_shadow(ground(), np.full(SIZE, full))
    assert found.certainty == 0
    assert not found.mask.any()


def test_a_mask_of_the_background_has_no_shadow() -> None:
    assert not shadow.find_shadow(scene(shaded=True), ~(post_mask() | shadow_mask())).mask.any()


@settings(max_examples=15)
@given(masks())
def test_any_mask_is_accepted(mask: BinaryMask) -> None:
    photo = np.random.default_rng(0).integers(0, 256, (*mask.shape, 3), np.uint8)
    found = shadow.find_shadow(photo, mask)
    assert found.mask.shape == mask.shape
    assert not (found.mask & mask).any()
    assert 0 <= found.certainty <= 1


def test_the_network_input_holds_the_object_and_its_surroundings() -> None:
    view = shadow_view(scene(shaded=False), post_mask())
    assert view.planes.shape == (PLANE_COUNT, VIEW_SIDE, VIEW_SIDE)
    assert view.box == (38, 0, 222, 200)  # 82 px more on each side, clipped to the photo
    assert view.size == (160, 147)
    coverage, inside = view.planes[5], view.planes[6]
    assert coverage.sum() == pytest.approx(post_mask().sum() * (160 / 200) ** 2, rel=0.02)
    assert inside.sum() == 160 * 147
    assert not view.planes[:, inside == 0].any()
    y, x = np.nonzero(coverage > 0.5)
    assert abs(view.planes[7, y, x].mean()) < 0.01
    assert -0.02 < view.planes[8, y, x].max() < 0.01
