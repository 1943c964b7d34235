"""Contours of masks, the quick preview, and brush strokes."""

from __future__ import annotations

from io import BytesIO

import cv2
import numpy as np
import pytest
from conftest import masks
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Pillow
from web_server import draw_scene

from segment2inpaint import inpaint
from segment2inpaint.regions import refined_alpha
from segment2inpaint.types import BinaryMask, Detection, Length, Refine
from segment2inpaint.web import contours, quick_preview
from segment2inpaint.web.contours import Stroke


def fill_contours(paths: list[list[int]], size: tuple[int, ...]) -> BinaryMask:
    canvas = np.zeros(size, np.uint8)
    lines = [np.array(path, np.int32).reshape(-1, 1, 2) for path in paths]
    cv2.drawContours(canvas, lines, -1, 1, cv2.FILLED)
    return canvas.astype(np.bool_)


def test_filled_contours_are_the_mask() -> None:
    """The hole of a ring is kept, and an offset moves the contours."""
    y, x = np.mgrid[:90, :120]
    ring = ((x - 60) ** 2 + (y - 45) ** 2 < 1600) & ((x - 60) ** 2 + (y - 45) ** 2 > 200)
    filled = fill_contours(contours.find_contours(ring), ring.shape)
    assert (filled & ring).sum() / (filled | ring).sum() > 0.96
    moved = contours.find_contours(ring[5:, 20:], (20, 5))
    assert (fill_contours(moved, ring.shape) & ring).sum() / ring.sum() > 0.96


def test_contours_of_noise_have_a_bounded_size() -> None:
    mask = np.random.default_rng(0).random((600, 800)) > 0.5
    assert sum(map(len, contours.find_contours(mask))) <= contours.MAX_COORDINATES


@given(masks(80), st.sampled_from(["auto", "0px", "5px"]), st.booleans())
def test_the_feathered_mask_is_that_of_the_pipeline(
    mask: BinaryMask, dilate: str, invert: bool
) -> None:
    """It is computed in a window, but radii and alpha are equal."""
    refine = Refine(Length.parse(dilate), invert=invert)
    try:
        alpha, expected_dilate, expected_feather = refined_alpha([Detection(mask)], [], refine)
    except Exception as error:  # noqa: BLE001
        with pytest.raises(type(error)):
            contours.feathered_mask([Detection(mask)], [], refine, 1.0)
        return
    feathered = contours.feathered_mask([Detection(mask)], [], refine, 1.0)
    assert (feathered.dilate, feathered.feather) == (expected_dilate, expected_feather)
    whole = np.zeros_like(alpha)
    whole[feathered.box.slices] = feathered.alpha
    assert (whole == alpha).all()


def test_the_quick_preview_covers_the_mask_and_is_transparent_elsewhere() -> None:
    image = draw_scene()
    y, x = np.mgrid[:120, :160]
    disc = (x - 80) ** 2 + (y - 60) ** 2 < 17**2
    mask = contours.feathered_mask([Detection(disc)], [], Refine(Length(3, "px")), 1.0)
    data = quick_preview.render_preview(image, mask, inpaint.load("telea"))
    preview = np.asarray(Pillow.open(BytesIO(data)))
    box = quick_preview.preview_window(mask, (120, 160))
    assert preview.shape == (box.height, box.width, 4)
    center = preview[60 - box.y0, 80 - box.x0]
    assert center[3] == 255
    assert preview[0, 0, 3] == 0
    assert abs(center[:3].astype(int) - 116).max() < 15


def test_strokes_have_the_width_of_their_diameter() -> None:
    mask = np.zeros((50, 60), np.bool_)
    drawn = contours.draw_strokes(mask, [Stroke([(10, 25), (50, 25)], 5)])
    assert 9 <= drawn[:, 30].sum() <= 12
    assert drawn[25, 6]
    assert not drawn[25, 3]
    erased = contours.draw_strokes(drawn, [Stroke([(30, 25)], 8, erases=True)])
    assert not erased[25, 30]
    assert erased[25, 12]
    assert not mask.any()
