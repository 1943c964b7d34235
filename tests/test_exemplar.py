"""The exemplar fill: it copies only what is known, keeps structure, and never fails."""

from __future__ import annotations

import warnings
from itertools import pairwise

import cv2
import numpy as np
import pytest

from segment2inpaint.inpaint.exemplar.inpainter import ExemplarInpainter
from segment2inpaint.protocols import Crop
from segment2inpaint.types import BinaryMask, Fill, Image


def filled(image: Image, bits: BinaryMask, seed: int = 0, threads: int = 2) -> Image:
    return ExemplarInpainter(threads).inpaint([Crop(image, bits, seed)], Fill(seed=seed))[0]


def hole(height: int, width: int, y0: int, x0: int, y1: int, x1: int) -> BinaryMask:
    bits = np.zeros((height, width), bool)
    bits[y0:y1, x0:x1] = True
    return bits


def grown(height: int, width: int, seed: int = 0) -> Image:
    """A texture of blobs, with colour."""
    noise = np.random.default_rng(seed).normal(0, 1, (height, width, 3))
    soft = cv2.GaussianBlur(noise, (0, 0), 2)
    return np.asarray(np.clip(128 + 150 * soft, 0, 255), np.uint8)


def worst(made: Image, truth: Image, bits: BinaryMask) -> float:
    return float(np.abs(made[bits].astype(float) - truth[bits]).max())


def mean(made: Image, truth: Image, bits: BinaryMask) -> float:
    return float(np.abs(made[bits].astype(float) - truth[bits]).mean())


def telea(image: Image, bits: BinaryMask) -> Image:
    return np.asarray(cv2.inpaint(image, bits.astype(np.uint8), 3, cv2.INPAINT_TELEA), np.uint8)


def test_it_keeps_the_protocol() -> None:
    photo = grown(80, 96)
    bits = hole(80, 96, 30, 40, 50, 60)
    before = photo.copy(), bits.copy()
    stages: list[float] = []
    filled(photo, bits)  # whatever is to be compiled is
    crops = [Crop(photo, bits), Crop(photo[:60, :70], bits[:60, :70], 1)]
    made = ExemplarInpainter().inpaint(crops, Fill(), lambda stage, share: stages.append(share))
    assert [m.shape for m in made] == [(80, 96, 3), (60, 70, 3)]
    assert all(m.dtype == np.uint8 for m in made)
    assert (made[0][~bits] == photo[~bits]).all()
    assert (photo == before[0]).all()
    assert (bits == before[1]).all()
    assert stages == sorted(stages)
    assert stages[-1] == 1.0
    assert ExemplarInpainter().inpaint([], Fill()) == []


def test_it_tells_how_far_it_is_and_can_be_stopped_there() -> None:
    photo = grown(160, 160)
    bits = hole(160, 160, 40, 40, 110, 110)
    told: list[float] = []

    def listen(stage: str, share: float) -> None:
        if "filling" in stage:
            told.append(share)

    ExemplarInpainter(2).inpaint([Crop(photo, bits)], Fill(), listen)
    assert told == sorted(told)
    assert max(b - a for a, b in pairwise(told)) < 0.3
    half = len(told) // 2
    told.clear()

    def stop(stage: str, share: float) -> None:
        listen(stage, share)
        if len(told) == half:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ExemplarInpainter(2).inpaint([Crop(photo, bits)], Fill(), stop)
    assert len(told) == half


def test_what_was_in_the_hole_does_not_matter() -> None:
    photo = grown(90, 90)
    bits = hole(90, 90, 30, 30, 60, 58) | hole(90, 90, 5, 60, 20, 75)
    other = photo.copy()
    other[bits] = (255, 0, 255)
    assert (filled(photo, bits) == filled(other, bits)).all()


def test_it_copies_only_known_colours() -> None:
    photo = np.empty((80, 80, 3), np.uint8)
    photo[:, :40], photo[:, 40:] = (200, 60, 20), (20, 80, 190)
    bits = hole(80, 80, 25, 25, 55, 55)
    photo[bits] = (0, 255, 0)
    made = filled(photo, bits)[bits]
    assert (made >= (18, 58, 18)).all()
    assert (made <= (202, 82, 192)).all()


def test_the_same_seed_gives_the_same_picture_with_any_number_of_threads() -> None:
    photo = grown(128, 128)
    bits = hole(128, 128, 30, 30, 95, 90)
    made = filled(photo, bits, threads=1)
    assert (made == filled(photo, bits, threads=4)).all()
    assert (made == filled(photo, bits, threads=3)).all()


def test_other_seeds_give_other_pictures() -> None:
    photo = grown(128, 128)
    bits = hole(128, 128, 40, 40, 85, 85)
    made = [filled(photo, bits, seed)[bits] for seed in (0, 1, 2)]
    assert all((a != b).mean() > 0.05 for a, b in ((made[0], made[1]), (made[0], made[2])))


def two_colours(slope: float) -> Image:
    """A straight edge through the middle, smooth like a photo's, with some grain."""
    y, x = np.mgrid[:120, :120]
    below = np.clip(y - 60 - slope * (x - 60) + 0.5, 0, 1)[..., None]
    grain = np.random.default_rng(1).normal(0, 2, (120, 120, 1))
    picture = (1 - below) * np.array([180, 200, 230]) + below * np.array([70, 90, 50]) + grain
    return np.asarray(np.clip(np.rint(picture), 0, 255), np.uint8)


@pytest.mark.parametrize("slope", [0.0, 0.5])
def test_a_horizon_continues_straight(slope: float) -> None:
    truth = two_colours(slope)
    bits = hole(120, 120, 40, 42, 80, 78)
    made = filled(truth, bits)
    assert (np.abs(made[bits].astype(float) - truth[bits]).max(axis=1) > 40).mean() < 0.03
    assert mean(made, truth, bits) < mean(telea(truth, bits), truth, bits) / 2


def test_a_stripe_continues() -> None:
    truth = np.full((120, 120, 3), 90, np.uint8)
    truth[:, 57:63] = (230, 220, 40)
    bits = hole(120, 120, 45, 40, 75, 80)
    made = filled(truth, bits)
    assert (np.abs(made[bits].astype(float) - truth[bits]).max(axis=1) > 40).mean() < 0.02


def test_a_checkerboard_is_put_together_again() -> None:
    y, x = np.mgrid[:128, :128]
    truth = np.where(((y // 8 + x // 8) % 2 == 0)[..., None], (220, 210, 200), (40, 50, 60))
    truth = truth.astype(np.uint8)
    bits = hole(128, 128, 45, 43, 85, 87)
    assert mean(filled(truth, bits), truth, bits) < mean(telea(truth, bits), truth, bits) / 4


def test_a_smooth_gradient_stays_smooth() -> None:
    y, x = np.mgrid[:120, :120]
    truth = np.dstack([60 + y + 0.3 * x, 90 + 0.5 * y, 200 - 0.6 * x]).astype(np.uint8)
    bits = hole(120, 120, 40, 40, 80, 80)
    made = filled(truth, bits)
    assert worst(made, truth, bits) < 16
    steps = np.abs(np.diff(made.astype(int), axis=1))[bits[:, 1:]]
    assert steps.max() <= 6


def test_grain_is_as_strong_as_around() -> None:
    noise = np.random.default_rng(3).normal(120, 12, (120, 120, 1)).repeat(3, axis=2)
    photo = np.clip(noise, 0, 255).astype(np.uint8)
    bits = hole(120, 120, 40, 40, 80, 80)
    assert filled(photo, bits)[bits].std() == pytest.approx(photo[~bits].std(), rel=0.3)


def specks() -> BinaryMask:
    bits = np.zeros((200, 200), bool)
    bits[5::10, 5::10] = True
    return bits


@pytest.mark.parametrize(
    "bits",
    [
        hole(60, 80, 0, 0, 40, 80),  # touches three borders
        hole(60, 80, 30, 0, 31, 80),  # one pixel wide
        hole(60, 80, 0, 4, 60, 80),  # little is left
        ~hole(60, 80, 20, 20, 28, 28),  # one patch is left
        ~hole(60, 80, 20, 20, 21, 21),  # one pixel is left
        np.ones((60, 80), bool),  # nothing is left
        specks(),
        hole(3, 3, 1, 1, 2, 2),
        hole(1, 40, 0, 10, 1, 20),
        hole(40, 1, 10, 0, 20, 1),
        np.ones((1, 1), bool),
        np.zeros((20, 20), bool),
        np.random.default_rng(0).random((60, 80)) < 0.5,
    ],
    ids=lambda bits: f"{bits.shape[0]}x{bits.shape[1]}-{bits.sum()}",
)
@pytest.mark.parametrize("colourful", [True, False])
def test_it_never_fails(bits: BinaryMask, colourful: bool) -> None:
    photo = grown(*bits.shape)
    if not colourful:
        photo[:] = photo[..., :1]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = filled(photo, bits)
    assert made.shape == photo.shape
    assert (made[~bits] == photo[~bits]).all()
    if not colourful:
        assert (made[..., :1] == made).all()


def test_it_says_when_it_can_only_fill_smoothly() -> None:
    photo = grown(40, 40)
    with pytest.warns(UserWarning, match="too little around the hole"):
        made = filled(photo, ~hole(40, 40, 10, 10, 13, 13))
    assert made.shape == photo.shape


def test_other_removed_objects_are_no_source() -> None:
    """A loud second hole beside the first leaves no trace in either."""
    photo = grown(100, 160)
    photo[..., 0] //= 2
    bits = hole(100, 160, 30, 20, 70, 60) | hole(100, 160, 30, 90, 70, 140)
    photo[bits] = (255, 0, 0)
    limit = int(photo[~bits][:, 0].max())
    assert int(filled(photo, bits)[bits][:, 0].max()) <= limit + 12
