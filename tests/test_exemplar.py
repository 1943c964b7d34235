"""Tests of the exemplar fill: it copies only known pixels, keeps structure, and never fails."""

from __future__ import annotations

import warnings
from itertools import pairwise

import cv2
import numpy as np
import pytest

from segment2inpaint.inpaint.exemplar.inpainter import ExemplarInpainter, GuidedInpainter
from segment2inpaint.protocols import Crop
from segment2inpaint.types import BinaryMask, Fill, Image


def fill_hole(image: Image, mask: BinaryMask, seed: int = 0, threads: int = 2) -> Image:
    return ExemplarInpainter(threads).inpaint([Crop(image, mask, seed)], Fill(seed=seed))[0]


def box_mask(height: int, width: int, y0: int, x0: int, y1: int, x1: int) -> BinaryMask:
    mask = np.zeros((height, width), bool)
    mask[y0:y1, x0:x1] = True
    return mask


def blob_texture(height: int, width: int, seed: int = 0) -> Image:
    """Return a coloured texture of blobs."""
    noise = np.random.default_rng(seed).normal(0, 1, (height, width, 3))
    soft = cv2.GaussianBlur(noise, (0, 0), 2)
    return np.asarray(np.clip(128 + 150 * soft, 0, 255), np.uint8)


def max_error(result: Image, truth: Image, mask: BinaryMask) -> float:
    return float(np.abs(result[mask].astype(float) - truth[mask]).max())


def mean_error(result: Image, truth: Image, mask: BinaryMask) -> float:
    return float(np.abs(result[mask].astype(float) - truth[mask]).mean())


def telea(image: Image, mask: BinaryMask) -> Image:
    return np.asarray(cv2.inpaint(image, mask.astype(np.uint8), 3, cv2.INPAINT_TELEA), np.uint8)


def test_results_keep_shape_type_and_known_pixels() -> None:
    photo = blob_texture(80, 96)
    mask = box_mask(80, 96, 30, 40, 50, 60)
    before = photo.copy(), mask.copy()
    stages: list[float] = []
    fill_hole(photo, mask)  # compiles the kernels first
    crops = [Crop(photo, mask), Crop(photo[:60, :70], mask[:60, :70], 1)]
    result = ExemplarInpainter().inpaint(crops, Fill(), lambda stage, share: stages.append(share))
    assert [m.shape for m in result] == [(80, 96, 3), (60, 70, 3)]
    assert all(m.dtype == np.uint8 for m in result)
    assert (result[0][~mask] == photo[~mask]).all()
    assert (photo == before[0]).all()
    assert (mask == before[1]).all()
    assert stages == sorted(stages)
    assert stages[-1] == 1.0
    assert ExemplarInpainter().inpaint([], Fill()) == []


@pytest.mark.parametrize(
    ("inpainter", "largest_step"), [(ExemplarInpainter(2), 0.3), (GuidedInpainter(2), 0.9)]
)
def test_progress_rises_steadily_and_can_cancel_the_fill(
    inpainter: ExemplarInpainter, largest_step: float
) -> None:
    photo = blob_texture(160, 160)
    mask = box_mask(160, 160, 40, 40, 110, 110)
    shares: list[float] = []

    def record(stage: str, share: float) -> None:
        if "filling" in stage:
            shares.append(share)

    inpainter.inpaint([Crop(photo, mask)], Fill(), record)
    assert shares == sorted(shares)
    assert max(b - a for a, b in pairwise(shares)) < largest_step
    assert shares.count(1.0) < 0.1 * len(shares)
    halfway = len(shares) // 2
    shares.clear()

    def stop(stage: str, share: float) -> None:
        record(stage, share)
        if len(shares) == halfway:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        inpainter.inpaint([Crop(photo, mask)], Fill(), stop)
    assert len(shares) == halfway


def test_the_content_of_the_hole_has_no_influence() -> None:
    photo = blob_texture(90, 90)
    mask = box_mask(90, 90, 30, 30, 60, 58) | box_mask(90, 90, 5, 60, 20, 75)
    changed = photo.copy()
    changed[mask] = (255, 0, 255)
    assert (fill_hole(photo, mask) == fill_hole(changed, mask)).all()


def test_only_known_colours_are_copied() -> None:
    photo = np.empty((80, 80, 3), np.uint8)
    photo[:, :40], photo[:, 40:] = (200, 60, 20), (20, 80, 190)
    mask = box_mask(80, 80, 25, 25, 55, 55)
    photo[mask] = (0, 255, 0)
    result = fill_hole(photo, mask)[mask]
    assert (result >= (18, 58, 18)).all()
    assert (result <= (202, 82, 192)).all()


def test_the_same_seed_gives_the_same_result_with_any_number_of_threads() -> None:
    photo = blob_texture(128, 128)
    mask = box_mask(128, 128, 30, 30, 95, 90)
    result = fill_hole(photo, mask, threads=1)
    assert (result == fill_hole(photo, mask, threads=4)).all()
    assert (result == fill_hole(photo, mask, threads=3)).all()


def test_other_seeds_give_other_results() -> None:
    photo = blob_texture(128, 128)
    mask = box_mask(128, 128, 40, 40, 85, 85)
    result = [fill_hole(photo, mask, seed)[mask] for seed in (0, 1, 2)]
    assert all((a != b).mean() > 0.05 for a, b in ((result[0], result[1]), (result[0], result[2])))


def two_colours(slope: float) -> Image:
    """Return a picture with a straight, smooth edge through the middle and some grain."""
    y, x = np.mgrid[:120, :120]
    below = np.clip(y - 60 - slope * (x - 60) + 0.5, 0, 1)[..., None]
    grain = np.random.default_rng(1).normal(0, 2, (120, 120, 1))
    picture = (1 - below) * np.array([180, 200, 230]) + below * np.array([70, 90, 50]) + grain
    return np.asarray(np.clip(np.rint(picture), 0, 255), np.uint8)


@pytest.mark.parametrize("slope", [0.0, 0.5])
def test_a_horizon_continues_straight(slope: float) -> None:
    truth = two_colours(slope)
    mask = box_mask(120, 120, 40, 42, 80, 78)
    result = fill_hole(truth, mask)
    assert (np.abs(result[mask].astype(float) - truth[mask]).max(axis=1) > 40).mean() < 0.03
    assert mean_error(result, truth, mask) < mean_error(telea(truth, mask), truth, mask) / 2


def test_a_stripe_continues_through_the_hole() -> None:
    truth = np.full((120, 120, 3), 90, np.uint8)
    truth[:, 57:63] = (230, 220, 40)
    mask = box_mask(120, 120, 45, 40, 75, 80)
    result = fill_hole(truth, mask)
    assert (np.abs(result[mask].astype(float) - truth[mask]).max(axis=1) > 40).mean() < 0.02


def test_a_checkerboard_is_reconstructed() -> None:
    y, x = np.mgrid[:128, :128]
    truth = np.where(((y // 8 + x // 8) % 2 == 0)[..., None], (220, 210, 200), (40, 50, 60))
    truth = truth.astype(np.uint8)
    mask = box_mask(128, 128, 45, 43, 85, 87)
    assert (
        mean_error(fill_hole(truth, mask), truth, mask)
        < mean_error(telea(truth, mask), truth, mask) / 4
    )


def test_a_smooth_gradient_stays_smooth() -> None:
    y, x = np.mgrid[:120, :120]
    truth = np.dstack([60 + y + 0.3 * x, 90 + 0.5 * y, 200 - 0.6 * x]).astype(np.uint8)
    mask = box_mask(120, 120, 40, 40, 80, 80)
    result = fill_hole(truth, mask)
    assert max_error(result, truth, mask) < 16
    steps = np.abs(np.diff(result.astype(int), axis=1))[mask[:, 1:]]
    assert steps.max() <= 6


def test_grain_is_as_strong_as_in_the_surroundings() -> None:
    mask, ratios = box_mask(120, 120, 40, 40, 80, 80), []
    for seed in range(4):
        noise = np.random.default_rng(seed).normal(120, 12, (120, 120, 1)).repeat(3, axis=2)
        photo = np.clip(noise, 0, 255).astype(np.uint8)
        ratios.append(fill_hole(photo, mask)[mask].std() / photo[~mask].std())
    assert np.mean(ratios) == pytest.approx(1, rel=0.3)


def specks() -> BinaryMask:
    """Return single masked pixels, 10 px apart."""
    mask = np.zeros((200, 200), bool)
    mask[5::10, 5::10] = True
    return mask


@pytest.mark.parametrize(
    "mask",
    [
        box_mask(60, 80, 0, 0, 40, 80),  # touches three borders
        box_mask(60, 80, 30, 0, 31, 80),  # one pixel wide
        box_mask(60, 80, 0, 4, 60, 80),  # little is known
        ~box_mask(60, 80, 20, 20, 28, 28),  # one patch is known
        ~box_mask(60, 80, 20, 20, 21, 21),  # one pixel is known
        np.ones((60, 80), bool),  # nothing is known
        specks(),
        box_mask(3, 3, 1, 1, 2, 2),
        box_mask(1, 40, 0, 10, 1, 20),
        box_mask(40, 1, 10, 0, 20, 1),
        np.ones((1, 1), bool),
        np.zeros((20, 20), bool),
        np.random.default_rng(0).random((60, 80)) < 0.5,
    ],
    ids=lambda mask: f"{mask.shape[0]}x{mask.shape[1]}-{mask.sum()}",
)
@pytest.mark.parametrize("colourful", [True, False])
def test_any_mask_is_filled_without_an_error(mask: BinaryMask, colourful: bool) -> None:
    photo = blob_texture(*mask.shape)
    if not colourful:
        photo[:] = photo[..., :1]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = fill_hole(photo, mask)
    assert result.shape == photo.shape
    assert (result[~mask] == photo[~mask]).all()
    if not colourful:
        assert (result[..., :1] == result).all()


def test_a_smooth_fill_is_warned_about() -> None:
    photo = blob_texture(40, 40)
    with pytest.warns(UserWarning, match="too little around the hole"):
        result = fill_hole(photo, ~box_mask(40, 40, 10, 10, 13, 13))
    assert result.shape == photo.shape


def test_other_holes_are_not_copied_from() -> None:
    """A second hole with bright content leaves no trace in either."""
    photo = blob_texture(100, 160)
    photo[..., 0] //= 2
    mask = box_mask(100, 160, 30, 20, 70, 60) | box_mask(100, 160, 30, 90, 70, 140)
    photo[mask] = (255, 0, 0)
    limit = int(photo[~mask][:, 0].max())
    assert int(fill_hole(photo, mask)[mask][:, 0].max()) <= limit + 12
