"""The detector for the difference from a clean plate."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from segment2inpaint.detect.clean_plate import CleanPlateDetector
from segment2inpaint.errors import BadPrompt
from segment2inpaint.types import BinaryMask, Box, CleanPlate, Image, Points


def scene(seed: int = 0) -> Image:
    """Return a textured scene with enough corners to align by."""
    rng = np.random.default_rng(seed)
    image = np.full((300, 400, 3), 120, np.uint8)
    for _ in range(150):
        x, y, w, h = (int(v) for v in rng.integers((0, 0, 8, 8), (400, 300, 60, 60)))
        color = tuple(int(c) for c in rng.integers(30, 220, 3))
        cv2.rectangle(image, (x, y), (x + w, y + h), color, -1)
    return cv2.GaussianBlur(image, (0, 0), 0.8)


def with_object(clean: Image) -> tuple[Image, BinaryMask]:
    """Return the scene with a yellow ellipse, and the ellipse's mask."""
    ellipse = np.zeros(clean.shape[:2], np.uint8)
    cv2.ellipse(ellipse, (210, 150), (70, 45), 20, 0, 360, 1, -1)
    photo = clean.copy()
    photo[ellipse > 0] = (250, 210, 20)
    return photo, ellipse > 0


def noisy(image: Image, seed: int, sigma: float = 3.0) -> Image:
    noise = np.random.default_rng(seed).normal(0, sigma, image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8)


def iou(found: BinaryMask, truth: BinaryMask) -> float:
    return float((found & truth).sum() / (found | truth).sum())


@pytest.mark.parametrize("gain", [1.0, 0.9, 1.1])
@pytest.mark.parametrize("motion_parameters", [(0.0, 0.0, 0.0), (5.0, -3.0, 0.0), (4.0, 2.0, 0.8)])
def test_noise_exposure_and_camera_motion_are_tolerated(
    gain: float, motion_parameters: tuple[float, ...]
) -> None:
    x, y, degrees = motion_parameters
    photo, truth = with_object(scene())
    motion = cv2.getRotationMatrix2D((200, 150), degrees, 1.0)
    motion[:, 2] += (x, y)
    moved = cv2.warpAffine(scene(), motion, (400, 300), borderMode=cv2.BORDER_REPLICATE)
    plate = noisy(np.clip(moved * gain, 0, 255).astype(np.uint8), 2)
    (detection,) = CleanPlateDetector().detect(noisy(photo, 1), [CleanPlate(plate)])
    assert iou(detection.mask, truth) > 0.9


def test_no_difference_gives_no_detection() -> None:
    assert CleanPlateDetector().detect(noisy(scene(), 1), [CleanPlate(noisy(scene(), 2))]) == []
    assert CleanPlateDetector().detect(scene(), [CleanPlate(scene())]) == []


def test_two_plates_select_what_differs_from_both() -> None:
    photo, truth = with_object(scene())
    other = scene()
    other[:60, :60] = 0
    (detection,) = CleanPlateDetector().detect(photo, [CleanPlate(scene()), CleanPlate(other)])
    assert not detection.mask[:60, :60].any()
    assert iou(detection.mask, truth) > 0.9


def test_points_and_boxes_limit_the_mask() -> None:
    photo, truth = with_object(scene())
    photo[20:50, 20:50] = 0
    (detection,) = CleanPlateDetector().detect(photo, [CleanPlate(scene()), Points(((210, 150),))])
    assert iou(detection.mask, truth) > 0.9
    (detection,) = CleanPlateDetector().detect(photo, [CleanPlate(scene()), Box(0, 0, 100, 100)])
    assert 700 < detection.mask.sum() < 1400


def test_results_repeat_and_inputs_are_not_changed() -> None:
    photo, _ = with_object(scene())
    plate = noisy(scene(), 3)
    before = photo.copy(), plate.copy()
    first, second = (
        CleanPlateDetector().detect(photo, [CleanPlate(plate)])[0].mask for _ in range(2)
    )
    assert np.array_equal(first, second)
    assert np.array_equal(photo, before[0])
    assert np.array_equal(plate, before[1])


def test_unusable_prompts_are_refused() -> None:
    small = CleanPlate(np.zeros((200, 400, 3), np.uint8), "clean.jpg")
    message = r"clean plate clean.jpg: expected the photo's size 400 x 300 px, got 400 x 200 px"
    with pytest.raises(BadPrompt, match=message):
        CleanPlateDetector().detect(scene(), [small])
    with pytest.raises(BadPrompt, match="add a plate"):
        CleanPlateDetector().detect(scene(), [Box(0, 0, 9, 9)])
