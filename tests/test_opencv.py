"""Tests of the two fills by OpenCV."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segment2inpaint.inpaint.opencv import NavierStokesInpainter, TeleaInpainter
from segment2inpaint.protocols import Crop
from segment2inpaint.types import Fill

EACH_INPAINTER = pytest.mark.parametrize(
    "inpainter", [TeleaInpainter(), NavierStokesInpainter()], ids=lambda inpainter: inpainter.name
)


def ramp(height: int = 60, width: int = 80) -> np.ndarray:
    """Return a picture whose brightness rises from left to right."""
    row = np.linspace(20, 230, width).astype(np.uint8)
    return np.repeat(np.repeat(row[None, :, None], height, 0), 3, 2)


def box_mask(y0: int, y1: int, x0: int, x1: int) -> np.ndarray:
    mask = np.zeros((60, 80), bool)
    mask[y0:y1, x0:x1] = True
    return mask


@EACH_INPAINTER
def test_a_brightness_ramp_continues_through_the_hole(
    inpainter: TeleaInpainter | NavierStokesInpainter,
) -> None:
    mask = box_mask(25, 33, 30, 40)
    image = ramp()
    image[mask] = 0
    before = image.copy()
    [result] = inpainter.inpaint([Crop(image, mask)], Fill())
    assert np.abs(result[mask].astype(int) - ramp()[mask]).max() <= 12
    assert np.array_equal(result[~mask], image[~mask])
    assert np.array_equal(image, before)


@EACH_INPAINTER
@given(y=st.integers(0, 59), x=st.integers(0, 79), h=st.integers(0, 60), w=st.integers(0, 80))
def test_the_content_of_the_hole_has_no_influence(
    inpainter: TeleaInpainter | NavierStokesInpainter, y: int, x: int, h: int, w: int
) -> None:
    """This holds at the crop's edge and without a hole, but not if everything is masked."""
    mask = box_mask(y, y + h, x, x + w)
    changed = ramp()
    changed[mask] = 255
    result, changed_result = inpainter.inpaint([Crop(ramp(), mask), Crop(changed, mask)], Fill())
    assert result.shape == (60, 80, 3)
    assert result.dtype == np.uint8
    assert mask.all() or np.array_equal(result, changed_result)


@EACH_INPAINTER
def test_progress_ends_at_one(inpainter: TeleaInpainter | NavierStokesInpainter) -> None:
    shares: list[float] = []
    crops = [Crop(ramp(), box_mask(1, 5, 1, 5))] * 3
    inpainter.inpaint(crops, Fill(), lambda _, share: shares.append(share))
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert inpainter.inpaint([], Fill()) == []
