"""Tests of the checks of a result, on drawn scenes with one fault each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import masks
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
from segment2inpaint.judgement import DOUBTFUL_SCORE, Check
from segment2inpaint.masks import feather_mask
from segment2inpaint.networks.letterbox import outside_mask
from segment2inpaint.types import (
    BinaryMask,
    Box,
    Color,
    FloatArray,
    Image,
    Points,
    Prompt,
    UserMask,
    bounding_box,
)
from segment2inpaint.verify import checks
from segment2inpaint.verify.hole_view import hole_view

SAMPLES = Path(__file__).parent.parent / "samples"
BLACK, NO_HEATMAP = np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4), np.float32)


def run_checks(after: Image, mask: BinaryMask) -> dict[str, Check]:
    """Return the checks by name: ``mask`` is removed from the disc scene by painting ``after``."""
    alpha = feather_mask(mask, 6, 4)
    photo = with_object(ground(), disc_mask())
    result = np.where(alpha[..., None] > 0, after, photo)
    found = checks.check_removal(photo, result, alpha, mask, [bounding_box(alpha > 0)])
    return {check.name: check for check in found}


# --- the checks ---------------------------------------------------------------------------------


def test_a_perfect_result_does_not_fail() -> None:
    found = run_checks(ground(), disc_mask())
    assert not any(check.failed for check in found.values())
    assert list(found) == [*checks.CHECK_SPECS, "shadow", "coverage"]
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


def test_what_one_would_not_expect_behind_the_object_is_found() -> None:
    sound, odd = run_checks(ground(), disc_mask()), run_checks(with_new_object(), disc_mask())
    assert odd["background"].score > sound["background"].score + 0.1
    assert not odd["background"].failed
    assert odd["background"].heatmap.max() > sound["background"].heatmap.max()


def test_detailed_surroundings_are_told_from_plain_ones_whatever_the_fill() -> None:
    stripes = ground() // 2 + (np.indices(SIZE)[1] // 3 % 2 * 120).astype(np.uint8)[..., None]
    scores = []
    for picture in (ground(), stripes):
        alpha = feather_mask(disc_mask(), 6, 4)
        found = checks.check_removal(
            picture, picture, alpha, disc_mask(), [bounding_box(alpha > 0)]
        )
        (check,) = [check for check in found if check.name == "detail"]
        assert not check.failed
        scores.append(check.score)
    plain, detailed = scores
    assert plain < DOUBTFUL_SCORE < detailed
    smeared_score, sound_score = (
        run_checks(after, disc_mask())["detail"].score for after in (smeared(), ground())
    )
    assert smeared_score == pytest.approx(sound_score, abs=0.02)


def test_a_rim_of_the_object_outside_the_hole_is_a_leftover() -> None:
    found = run_checks(ground(), disc_mask(12))
    assert found["leftover"].failed


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


def test_a_mask_of_most_of_the_photo_is_told() -> None:
    mask = np.ones(SIZE, np.bool_)
    mask[:, : SIZE[1] // 5] = False
    coverage = run_checks(ground(), mask)["coverage"]
    assert DOUBTFUL_SCORE <= coverage.score < coverage.threshold
    assert coverage.sentence == f"the mask covers {100 * coverage.score:.0f} % of the photo"
    assert run_checks(ground(), disc_mask(12))["coverage"].score < DOUBTFUL_SCORE


def test_the_network_looks_where_it_saw_the_object_before() -> None:
    """It predicts nothing beyond that window; one without the object is no use."""
    photo, mask = with_object(ground(), disc_mask()), disc_mask()
    alpha, box = feather_mask(mask, 6, 4), bounding_box(mask)
    view = hole_view(photo, photo, alpha, mask, bounding_box(alpha > 0))
    look = box.expand(2, SIZE)
    beyond = outside_mask(look, view.box, view.hole.shape)

    def probability(*seen_in: Box) -> FloatArray:
        return checks.with_rest(view, photo, mask, seen_in).object_probability

    assert not probability(look)[beyond].any()
    assert probability()[beyond].any()
    corner = Box(0, 0, 20, 20)
    assert np.array_equal(probability(corner), probability())
    assert np.array_equal(probability(corner, look), probability(look))


def test_thresholds_are_above_the_doubtful_score() -> None:
    specs = checks.CHECK_SPECS.values()
    assert all(DOUBTFUL_SCORE < spec.threshold <= 1 for spec in specs)
    assert DOUBTFUL_SCORE < checks.SHADOW_THRESHOLD < 1
