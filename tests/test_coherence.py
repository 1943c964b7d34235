"""How well a fill fits its surroundings, by the features of the click encoder."""

from __future__ import annotations

import numpy as np
import pytest
from disc_scene import SIZE, disc_mask, ground, smeared, with_new_object, with_object

from segment2inpaint.networks.click import shipped_click_network
from segment2inpaint.types import BinaryMask, Box, FloatArray, Image
from segment2inpaint.verify import coherence
from segment2inpaint.verify.coherence import HoleFeatures

WHOLE = Box(0, 0, SIZE[1], SIZE[0])
HOLE = disc_mask(30)


def features_of(image: Image, hole: BinaryMask = HOLE, window: Box = WHOLE) -> HoleFeatures:
    return coherence.hole_features(image, hole, window, shipped_click_network())


def made_features(inside: FloatArray, outside: FloatArray) -> HoleFeatures:
    """Return 18 x 18 cells; the middle 6 x 6 are the hole."""
    hole = np.zeros((18, 18), np.bool_)
    hole[6:12, 6:12] = True
    values = np.where(hole[..., None], inside, outside).astype(np.float32)
    return HoleFeatures(values, hole, ~hole)


X, Y = np.array([1, 0], np.float32), np.array([0, 1], np.float32)


def test_a_fill_like_its_surroundings_is_perfect() -> None:
    alike = made_features(X, X)
    assert coherence.feature_similarity(alike) == pytest.approx(1)
    assert coherence.window_distance(alike) == 0
    assert coherence.novelty(alike) == pytest.approx(0.5 * np.log(0.02))


def test_a_fill_unlike_its_surroundings_has_the_distance_of_its_features() -> None:
    different = made_features(X, Y)
    assert coherence.feature_similarity(different) == pytest.approx(0)
    assert coherence.window_distance(different) == pytest.approx(2)
    assert coherence.novelty(different) == pytest.approx(np.log(2.02) - 0.5 * np.log(0.02))


def test_a_hole_without_surroundings_has_no_measures() -> None:
    everywhere = np.ones(SIZE, np.bool_)
    nothing = features_of(ground(), everywhere)
    assert not nothing.outside.any()
    assert coherence.feature_similarity(nothing) is None
    assert coherence.window_distance(nothing) is None
    assert coherence.novelty(nothing) is None


def test_the_cells_of_the_hole_lie_where_the_hole_is() -> None:
    found = features_of(ground(), disc_mask(12, (60, 100)), Box(40, 80, 90, 130))
    assert found.values.shape[:2] == found.hole.shape == found.outside.shape
    assert not (found.hole & found.outside).any()
    y, x = np.argwhere(found.hole).mean(0)
    height, width = found.hole.shape
    assert (y, x) == pytest.approx((height / 2, width / 2), abs=1)
    assert np.linalg.norm(found.values, axis=2) == pytest.approx(1, abs=1e-3)


def test_every_measure_ranks_the_true_ground_before_a_kept_object_and_a_new_one() -> None:
    clean = features_of(ground())
    for fault in (with_object(ground(), disc_mask()), with_new_object()):
        found = features_of(fault)
        for measure, better in (
            (coherence.feature_similarity, np.greater),
            (coherence.window_distance, np.less),
            (coherence.novelty, np.less),
        ):
            assert better(measure(clean), measure(found)), measure.__name__


def test_a_smear_is_newer_than_the_true_ground() -> None:
    smear, clean = (coherence.novelty(features_of(i)) for i in (smeared(), ground()))
    assert smear is not None
    assert clean is not None
    assert smear > clean
