"""Measures of a result against the clean photo."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from disc_scene import SIZE, disc_mask, ground, smeared, with_object
from skimage.metrics import structural_similarity

from segment2inpaint.verify.reference import psnr, ssim, undone

CLEAN, HOLE = ground(), disc_mask(30)
BEFORE = with_object(CLEAN, disc_mask())


def test_the_clean_photo_itself_is_perfect() -> None:
    assert psnr(CLEAN, CLEAN, HOLE) == pytest.approx(88, abs=0.5)
    assert ssim(CLEAN, CLEAN, HOLE) == pytest.approx(1)
    assert undone(BEFORE, CLEAN, CLEAN, HOLE) == 1


def test_the_unchanged_photo_has_undone_nothing() -> None:
    assert undone(BEFORE, BEFORE, CLEAN, HOLE) == 0


def test_psnr_is_that_of_the_masked_pixels_alone() -> None:
    after = CLEAN.copy()
    after[HOLE] -= np.uint8(10)
    after[~HOLE] = 0
    assert psnr(after, CLEAN, HOLE) == pytest.approx(20 * np.log10(255 / 10))


def test_ssim_is_that_of_scikit_image() -> None:
    a, b = (cv2.cvtColor(i, cv2.COLOR_RGB2GRAY).astype(float) for i in (smeared(), CLEAN))
    _, full = structural_similarity(
        a, b, data_range=255, gaussian_weights=True, use_sample_covariance=False, full=True
    )
    assert ssim(smeared(), CLEAN, HOLE) == pytest.approx(full[HOLE].mean(), abs=1e-3)


def test_ssim_of_a_hole_smaller_than_a_reduced_pixel_is_a_number() -> None:
    clean = cv2.resize(CLEAN, (1500, 1200))
    mask = np.zeros((1200, 1500), np.bool_)
    mask[-1, -1] = True
    assert ssim(clean, clean, mask) == pytest.approx(1)


def test_half_the_way_to_the_clean_photo_has_undone_half() -> None:
    halfway = ((BEFORE.astype(int) + CLEAN) // 2).astype(np.uint8)
    assert undone(BEFORE, halfway, CLEAN, HOLE) == pytest.approx(0.5, abs=0.03)


def test_a_worse_photo_than_before_has_undone_less_than_nothing() -> None:
    worse = np.where(HOLE[..., None], np.uint8(0), BEFORE)
    share = undone(BEFORE, worse, CLEAN, HOLE)
    assert share is not None
    assert share < 0


def test_undone_is_unknown_where_the_object_made_no_difference() -> None:
    assert undone(CLEAN, BEFORE, CLEAN, HOLE) is None
    corner = np.zeros(SIZE, np.bool_)
    corner[:8, :8] = True
    assert undone(BEFORE, BEFORE, CLEAN, corner) is None
