"""Tests of the second detection in a result."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import pytest
from conftest import FakeDetector
from disc_scene import disc_mask, ground
from made_checks import make_check

from segment2inpaint.masks import feather_mask
from segment2inpaint.types import Box, Color, Detection, Image, Points, Prompt, bounding_box
from segment2inpaint.verify.redetection import redetect


class RecordingDetector(FakeDetector):
    """A detector that records the shape of the image and the prompts of its last call."""

    def detect(self, image: Image, prompts: Sequence[Prompt]) -> list[Detection]:
        self.last_call = image.shape, tuple(prompts)
        return super().detect(image, prompts)


BOX = Box(60, 40, 140, 120)
CLICK = Points(((100, 80),), ((2, 2),))


def failed_by_redetection(
    detector: RecordingDetector, prompt: Prompt, box: Box = BOX, score: float = 0.6
) -> str:
    """Return the names of the checks with ``score`` that fail by a second detection."""
    alpha = feather_mask(disc_mask(), 6, 4)
    before = [make_check(name, score) for name in ("leftover", "ghost", "stranger", "seam")]
    after = redetect(before, detector, ground(), [prompt], alpha, disc_mask(), box)
    return " ".join(check.name for check in after if check.failed)


def test_a_second_detection_finds_the_old_object() -> None:
    detector = RecordingDetector(disc_mask()[BOX.slices])
    assert failed_by_redetection(detector, CLICK) == "ghost stranger"
    assert detector.last_call == ((80, 80, 3), (Points(((40, 40),)),))
    assert failed_by_redetection(detector, bounding_box(disc_mask())) == "ghost"


def test_a_second_detection_finds_a_new_object_in_the_hole() -> None:
    small, outside = disc_mask(12)[BOX.slices], ~disc_mask()[BOX.slices]
    assert failed_by_redetection(RecordingDetector(small), CLICK) == "stranger"
    assert failed_by_redetection(RecordingDetector(small), bounding_box(disc_mask())) == ""
    assert failed_by_redetection(RecordingDetector(outside), CLICK) == ""


def test_a_second_detection_gets_a_reduced_crop_of_a_large_window() -> None:
    photo = cv2.resize(ground(), (2000, 1600))
    mask = cv2.resize(disc_mask().astype(np.uint8), (2000, 1600)) > 0
    box = Box(400, 400, 1424, 1424)
    detector = RecordingDetector(np.zeros((256, 256), np.bool_))
    prompts = [Points(((1000, 800),)), bounding_box(mask)]
    doubtful = [make_check("ghost", 0.6)]
    redetect(doubtful, detector, photo, prompts, feather_mask(mask, 6, 4), mask, box)
    (shape, (point, local_box)) = detector.last_call
    assert shape == (256, 256, 3)
    assert point == Points(((150, 100),))
    assert isinstance(local_box, Box)
    assert (np.abs(np.array(local_box) * 4 + 400 - bounding_box(mask)) <= 4).all()


@pytest.mark.parametrize(
    ("score", "prompt"), [(0.2, CLICK), (0.6, Points((), ((1, 1),))), (0.6, Color(at=(100, 80)))]
)
def test_the_detector_runs_only_for_a_doubtful_check_and_a_click_or_box(
    score: float, prompt: Prompt
) -> None:
    detector = RecordingDetector(disc_mask())
    failed_by_redetection(detector, prompt, Box(0, 0, 9, 9), score)
    assert not hasattr(detector, "last_call")
