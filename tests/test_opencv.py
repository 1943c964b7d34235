"""OpenCV's two fills."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segment2inpaint.inpaint.opencv import NavierStokesInpainter, TeleaInpainter
from segment2inpaint.protocols import Crop
from segment2inpaint.types import Fill

BOTH = pytest.mark.parametrize(
    "inpainter", [TeleaInpainter(), NavierStokesInpainter()], ids=lambda made: made.name
)


def ramp(height: int = 60, width: int = 80) -> np.ndarray:
    """Brightness that rises from left to right."""
    row = np.linspace(20, 230, width).astype(np.uint8)
    return np.repeat(np.repeat(row[None, :, None], height, 0), 3, 2)


def hole(y0: int, y1: int, x0: int, x1: int) -> np.ndarray:
    bits = np.zeros((60, 80), bool)
    bits[y0:y1, x0:x1] = True
    return bits


@BOTH
def test_a_ramp_is_continued(inpainter: TeleaInpainter | NavierStokesInpainter) -> None:
    bits = hole(25, 33, 30, 40)
    image = ramp()
    image[bits] = 0
    before = image.copy()
    [painted] = inpainter.inpaint([Crop(image, bits)], Fill())
    assert np.abs(painted[bits].astype(int) - ramp()[bits]).max() <= 12
    assert np.array_equal(painted[~bits], image[~bits])
    assert np.array_equal(image, before)


@BOTH
@given(y=st.integers(0, 59), x=st.integers(0, 79), h=st.integers(0, 60), w=st.integers(0, 80))
def test_what_was_in_the_hole_does_not_matter(
    inpainter: TeleaInpainter | NavierStokesInpainter, y: int, x: int, h: int, w: int
) -> None:
    """At the crop's edge, without a hole, and unless the hole is all there is."""
    bits = hole(y, y + h, x, x + w)
    loud = ramp()
    loud[bits] = 255
    one, two = inpainter.inpaint([Crop(ramp(), bits), Crop(loud, bits)], Fill())
    assert one.shape == (60, 80, 3)
    assert one.dtype == np.uint8
    assert bits.all() or np.array_equal(one, two)


@BOTH
def test_progress_ends_at_one(inpainter: TeleaInpainter | NavierStokesInpainter) -> None:
    shares: list[float] = []
    crops = [Crop(ramp(), hole(1, 5, 1, 5))] * 3
    inpainter.inpaint(crops, Fill(), lambda _, share: shares.append(share))
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert inpainter.inpaint([], Fill()) == []
