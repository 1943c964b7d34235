"""Rough masks brought to the photo's edges."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from conftest import masks, photos
from hypothesis import given
from hypothesis import strategies as st

from segment2inpaint.edge_refine import BAND_SHARE, guided_filter, refine_edge
from segment2inpaint.types import BinaryMask, Image


def scene(scale: int = 1) -> tuple[Image, BinaryMask]:
    """A textured dark disc with a notch on a light ground."""
    size = 200 * scale
    y, x = np.mgrid[:size, :size]
    mask = (x - size / 2) ** 2 + (y - size / 2) ** 2 < (60 * scale) ** 2
    mask &= ~((np.abs(x - size / 2) < 8 * scale) & (y < size / 2))
    grain = np.random.default_rng(0).normal(0, 8, (size, size, 3))
    photo = np.where(mask[..., None], (60, 80, 60), (170, 160, 150)) + grain
    return photo.clip(0, 255).astype(np.uint8), mask


def rough(mask: BinaryMask, slack: float) -> BinaryMask:
    """As a network's low-resolution mask is: blurred corners, an edge that is off."""
    low = cv2.resize(mask.astype(np.float32), None, fx=1 / slack, fy=1 / slack, interpolation=3)
    shifted = np.roll(low, 1, axis=1)
    return cv2.resize((low + shifted) / 2, mask.shape[::-1]) > 0.5


def overlap(a: BinaryMask, b: BinaryMask) -> float:
    return float((a & b).sum() / (a | b).sum())


@pytest.mark.parametrize(("scale", "slack"), [(1, 5.0), (4, 20.0)])
def test_a_coarse_edge_moves_closer_to_the_true_one(scale: int, slack: float) -> None:
    photo, mask = scene(scale)
    before = rough(mask, slack)
    after = refine_edge(photo, before, slack)
    assert 1 - overlap(after, mask) < 0.5 * (1 - overlap(before, mask))


@given(masks(40), st.floats(0.3, 30), st.data())
def test_only_pixels_near_the_edge_change(
    mask: BinaryMask, slack: float, data: st.DataObject
) -> None:
    photo = data.draw(photos(*mask.shape))
    before = photo.copy(), mask.copy()
    after = refine_edge(photo, mask, slack)
    assert after.shape == mask.shape
    assert after.any() == mask.any()
    inside, outside = (
        cv2.distanceTransform(np.pad(side, 1, mode="edge").astype(np.uint8), cv2.DIST_L2, 5)
        for side in (mask, ~mask)
    )
    far = np.maximum(inside, outside)[1:-1, 1:-1] > 1.1 * (BAND_SHARE * slack + 2)
    assert (after == mask)[far].all()
    assert (photo == before[0]).all()
    assert (mask == before[1]).all()


def test_a_mask_without_contrast_hardly_changes() -> None:
    mask = scene()[1]
    flat = np.full((200, 200, 3), 90, np.uint8)
    assert overlap(refine_edge(flat, mask, 4.0), mask) > 0.9


def test_the_guided_filter_equals_its_definition() -> None:
    """Against its definition: in each window the best line from guide to values."""
    rng = np.random.default_rng(0)
    guide, values = rng.random((2, 12, 15)).astype(np.float32)
    radius, eps = 2, 1e-2
    pad = [np.pad(p, 2 * radius, mode="symmetric") for p in (guide, values)]
    lines = np.zeros((12 + 2 * radius, 15 + 2 * radius, 2))
    for y, x in np.ndindex(lines.shape[:2]):
        g, v = (p[y : y + 5, x : x + 5].ravel() for p in pad)
        a = (np.mean(g * v) - g.mean() * v.mean()) / (g.var() + eps)
        lines[y, x] = a, v.mean() - a * g.mean()
    expected = np.zeros((12, 15))
    for y, x in np.ndindex(expected.shape):
        a, b = lines[y : y + 5, x : x + 5].reshape(-1, 2).mean(axis=0)
        expected[y, x] = a * guide[y, x] + b
    got = guided_filter(guide, values, radius, eps)
    np.testing.assert_allclose(got[4:-4, 4:-4], expected[4:-4, 4:-4], atol=1e-5)
