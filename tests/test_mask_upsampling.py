"""Masks of another resolution, brought to the photo's size."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from segment2inpaint.detect.builtin.mask_upsampling import upsample_mask
from segment2inpaint.types import BinaryMask, FloatArray, Image


def disc(height: int, width: int) -> tuple[Image, BinaryMask]:
    """Return a photo of a noisy disc, and the disc's mask."""
    y, x = np.mgrid[:height, :width]
    truth = (x - 0.45 * width) ** 2 + (y - 0.5 * height) ** 2 < (0.3 * min(height, width)) ** 2
    image = np.where(truth[..., None], (200, 120, 60), (60, 100, 140)).astype(np.uint8)
    noise = np.random.default_rng(0).normal(0, 3, image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8), truth


def coverage(mask: BinaryMask, factor: int) -> FloatArray:
    """Return the mask at a lower resolution, with hard edges."""
    size = mask.shape[1] // factor, mask.shape[0] // factor
    small = cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    return np.asarray(small > 0.5, np.float32)


@pytest.mark.parametrize("factor", [3, 8])
def test_the_edge_follows_the_photo(factor: int) -> None:
    image, truth = disc(700, 900)
    wrong = int((upsample_mask(image, coverage(truth, factor)) != truth).sum())
    enlarged = cv2.resize(coverage(truth, factor), (900, 700)) > 0.5
    assert wrong < 0.5 * int((enlarged != truth).sum())


def test_a_photo_of_one_colour_keeps_the_mask() -> None:
    image, truth = np.full((300, 400, 3), 90, np.uint8), disc(300, 400)[1]
    assert (upsample_mask(image, coverage(truth, 4)) != truth).sum() < 0.02 * truth.sum()


def test_finer_masks_are_reduced_and_constant_masks_stay_constant() -> None:
    image, truth = disc(60, 80)
    for scale in (1, 3):
        fine = cv2.resize(truth.astype(np.float32), None, fx=scale, fy=scale)
        assert (upsample_mask(image, fine) == truth).mean() > 0.99
    for value in (1, 0):
        assert (upsample_mask(image, np.full((15, 20), value, np.float32)) == value).all()
