"""Tests of the checks of a result, on drawn scenes with one fault each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import FakeDetector, masks
from disc_scene import (
    SIZE,
    disc_mask,
    ground,
    smeared,
    with_ghost,
    with_new_object,
    with_object,
)
from hypothesis import given, settings

from segment2inpaint import images
from segment2inpaint.effects.shadow import AUTOMATIC_CERTAINTY
from segment2inpaint.masks import feather_mask
from segment2inpaint.types import (
    DOUBTFUL_SCORE,
    BinaryMask,
    Box,
    Check,
    Color,
    Detection,
    Image,
    Length,
    Points,
    Prompt,
    Refine,
    UserMask,
    bounding_box,
)
from segment2inpaint.verify import checks

SAMPLES = Path(__file__).parent.parent / "samples"
BLACK, NO_HEATMAP = np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4), np.float32)


def run_checks(after: Image, mask: BinaryMask) -> dict[str, Check]:
    """Return the checks by name: ``mask`` is removed from the disc scene by painting ``after``."""
    alpha = feather_mask(mask, 6, 4)
    photo = with_object(ground(), disc_mask())
    result = np.where(alpha[..., None] > 0, after, photo)
    found = checks.check_removal(photo, result, alpha, mask, [bounding_box(alpha > 0)])
    return {check.name: check for check in found}


def make_check(name: str, score: float, threshold: float = 0.8, crop: Image = BLACK) -> Check:
    return Check(name, score, threshold, "", crop, NO_HEATMAP[: len(crop)])


# --- the checks ---------------------------------------------------------------------------------


def test_a_perfect_result_does_not_fail() -> None:
    found = run_checks(ground(), disc_mask())
    assert checks.verdict(tuple(found.values())) != "failed"
    assert list(found) == [*checks.CHECK_SPECS, "shadow"]
    for check in found.values():
        assert 0 <= check.score <= 1
        assert check.sentence
        assert check.picture.ndim == 3
        assert check.picture.dtype == np.uint8


@pytest.mark.parametrize(
    ("name", "after"),
    [
        ("smear", smeared()),
        ("ghost", with_ghost()),
        ("stranger", with_new_object()),
        ("seam", ground() + np.uint8(25)),
    ],
)
def test_a_fault_is_found_by_its_check(name: str, after: Image) -> None:
    faulty, sound = run_checks(after, disc_mask()), run_checks(ground(), disc_mask())
    assert faulty[name].failed
    assert faulty[name].score > sound[name].score
    assert faulty[name].sentence != sound[name].sentence


def test_a_rim_of_the_object_outside_the_hole_is_a_leftover() -> None:
    found = run_checks(ground(), disc_mask(12))
    assert found["leftover"].failed
    assert checks.verdict(tuple(found.values())) == "failed"


def test_a_tiled_pattern_repeats_more_than_grain() -> None:
    tile = ground()[:12, :12]
    tiled = np.tile(tile, (14, 17, 1))[: SIZE[0], : SIZE[1]]
    tiled_score = run_checks(tiled, disc_mask())["repeats"].score
    assert tiled_score > run_checks(ground(), disc_mask())["repeats"].score


@settings(max_examples=15)
@given(masks())
def test_any_mask_can_be_checked(mask: BinaryMask) -> None:
    """For single pixels, whole photos and bars, scores stay in range and the photo unchanged."""
    photo = np.random.default_rng(0).integers(0, 256, (*mask.shape, 3), np.uint8)
    original = photo.copy()
    alpha = feather_mask(mask, 4, 2)
    for found in (
        checks.check_removal(photo, photo, alpha, mask, [bounding_box(alpha > 0)]),
        checks.check_replacement(photo, photo, alpha, mask, [bounding_box(alpha > 0)]),
    ):
        assert all(0 <= check.score <= 1 for check in found)
    assert (photo == original).all()


def test_the_worst_of_several_holes_counts() -> None:
    far = np.roll(disc_mask(10), -70, axis=1)
    both = disc_mask() | far
    alpha = feather_mask(both, 6, 4)
    photo = with_object(ground(), both)
    boxes = [bounding_box(feather_mask(mask, 6, 4) > 0) for mask in (far, disc_mask())]
    result = np.where(alpha[..., None] > 0, with_new_object(), photo)
    found = checks.check_removal(photo, result, alpha, both, boxes)
    assert next(check for check in found if check.name == "stranger").failed


def test_a_replacement_without_a_new_object_is_absent() -> None:
    photo, alpha = with_object(ground(), disc_mask()), feather_mask(disc_mask(), 6, 4)
    boxes = [bounding_box(alpha > 0)]
    without, _ = checks.check_replacement(photo, ground(), alpha, disc_mask(), boxes)
    with_new, _ = checks.check_replacement(photo, with_new_object(), alpha, disc_mask(), boxes)
    assert with_new.score < 0.5 < without.score


def test_the_click_network_finds_the_rest_of_a_chair() -> None:
    """Only its legs were removed; the rest has colours that also occur in the surroundings."""
    photo, clean, mask_image = (
        images.read(SAMPLES / f"chair{end}").image for end in (".jpg", "_clean.jpg", "_mask.png")
    )
    chair = mask_image[..., 0] > 127
    box, legs = bounding_box(chair), chair.copy()
    legs[: box.y0 + int(0.7 * box.height)] = False
    corner = ((box.x0, box.y0),)

    def leftover(mask: BinaryMask, *prompts: Prompt) -> Check:
        alpha = feather_mask(mask, 12, 8)
        after = np.where(alpha[..., None] > 0, clean, photo)
        boxes = [bounding_box(alpha > 0)]
        found = checks.check_removal(photo, after, alpha, mask, boxes, prompts=prompts)
        return next(check for check in found if check.name == "leftover")

    assert leftover(legs).failed
    assert leftover(legs, Points(corner)).failed
    assert not leftover(chair).failed
    # A given mask or colour, or a prompt for a part, does not mean the whole object.
    for prompt in (UserMask(legs), Color((9, 9)), Points(corner, granularity="part")):
        assert leftover(legs, prompt).score < 0.5


# --- a second detection -------------------------------------------------------------------------


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
    after = checks.redetect(before, detector, ground(), [prompt], alpha, disc_mask(), box)
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
    checks.redetect(doubtful, detector, photo, prompts, feather_mask(mask, 6, 4), mask, box)
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


# --- conclusions --------------------------------------------------------------------------------


@pytest.mark.parametrize(("score", "verdict"), [(0.1, "clean"), (0.5, "doubtful"), (0.8, "failed")])
def test_the_verdict_is_that_of_the_worst_check(score: float, verdict: str) -> None:
    assert checks.verdict((make_check("seam", 0.0), make_check("smear", score))) == verdict


def test_failures_rank_before_scores() -> None:
    failed, doubtful, clean = ((make_check("seam", score),) for score in (0.9, 0.7, 0.1))
    assert checks.rank([failed, doubtful, clean]) == [2, 1, 0]
    assert checks.rank([doubtful, doubtful]) == [0, 1]


def test_among_equal_scores_the_most_different_candidate_ranks_last() -> None:
    """Candidates are not compared if their sizes differ."""
    gray = np.full((4, 4, 3), 90, np.uint8)
    equal = [(make_check("stranger", 0.3, crop=crop),) for crop in (BLACK, gray, BLACK)]
    assert checks.rank(equal) == [0, 2, 1]
    assert checks.rank([*equal, (make_check("stranger", 0.1),)])[0] == 3
    smaller = (make_check("stranger", 0.3, crop=gray[:2]),)
    assert checks.rank([smaller, *equal]) == [0, 1, 2, 3]


def test_failed_checks_suggest_mask_options() -> None:
    auto, fixed = Refine(), Refine(dilate=Length(5, "px"), shadow=False)
    leftover, shadow = (make_check("leftover", 0.9),), (make_check("shadow", 0.9),)
    assert checks.suggest_refine(leftover, auto, 7.0) == Refine(dilate=Length(14, "px"))
    assert checks.suggest_refine(shadow, auto, 7.0) == Refine(shadow=True)
    assert checks.suggest_refine((make_check("smear", 0.9),), auto, 7.0) == auto
    assert checks.suggest_refine((*leftover, *shadow), fixed, 7.0) == fixed


def test_thresholds_are_above_the_doubtful_score() -> None:
    specs = checks.CHECK_SPECS.values()
    assert all(DOUBTFUL_SCORE < spec.threshold < 1 for spec in specs)
    assert DOUBTFUL_SCORE < AUTOMATIC_CERTAINTY < 1
