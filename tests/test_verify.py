"""The checks, on drawn scenes with one fault each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import FakeDetector, masks
from hypothesis import given, settings

from segment2inpaint import images
from segment2inpaint.effects import shadow
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
from segment2inpaint.verify import checks as verify
from segment2inpaint.verify import measures

SIZE = (160, 200)
SAMPLES = Path(__file__).parent.parent / "samples"
PICTURE, NOWHERE = np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4), np.float32)


def ground(seed: int = 0) -> Image:
    """A grained surface with broad blotches."""
    dice = np.random.default_rng(seed)
    blotches = cv2.resize(dice.normal(0, 12, (8, 10, 3)), SIZE[::-1], interpolation=cv2.INTER_CUBIC)
    return (130 + blotches + dice.normal(0, 5, (*SIZE, 3))).clip(0, 255).astype(np.uint8)


def disc(radius: int = 24, at: tuple[int, int] = (100, 80)) -> BinaryMask:
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    return (x - at[0]) ** 2 + (y - at[1]) ** 2 < radius**2


def with_disc(image: Image, bits: BinaryMask) -> Image:
    """A red, striped thing."""
    stripes = np.where(np.arange(SIZE[1]) % 8 < 4, 200, 120).astype(np.uint8)
    thing = np.stack(np.broadcast_arrays(stripes, 40, 40), axis=-1).astype(np.uint8)
    return np.where(bits[..., None], np.broadcast_to(thing, image.shape), image)


def checks(after: Image, bits: BinaryMask, before: Image | None = None) -> dict[str, Check]:
    alpha = feather_mask(bits, 6, 4)
    photo = with_disc(ground(), disc()) if before is None else before
    shown = np.where(alpha[..., None] > 0, after, photo)
    found = verify.check_removal(photo, shown, alpha, bits, [bounding_box(alpha > 0)])
    return {check.name: check for check in found}


def test_the_truth_is_not_called_failed() -> None:
    found = checks(ground(), disc())
    assert verify.verdict(tuple(found.values())) != "failed"
    assert list(found) == [*verify.CHECK_SPECS, "shadow"]
    for check in found.values():
        assert 0 <= check.score <= 1
        assert check.sentence
        assert check.picture.ndim == 3
        assert check.picture.dtype == np.uint8


def smeared() -> Image:
    hole = feather_mask(disc(), 6, 4) > 0
    return cv2.inpaint(with_disc(ground(), disc()), hole.astype(np.uint8), 3, cv2.INPAINT_TELEA)


def shone_through() -> Image:
    return (0.5 * ground() + 0.5 * with_disc(ground(), disc())).astype(np.uint8)


def another() -> Image:
    bits = disc(14)
    return np.where(bits[..., None], np.array([20, 60, 220], np.uint8), ground())


@pytest.mark.parametrize(
    ("name", "after"),
    [
        ("smear", smeared()),
        ("ghost", shone_through()),
        ("stranger", another()),
        ("seam", ground() + np.uint8(25)),
    ],
)
def test_a_fault_is_found_by_its_check(name: str, after: Image) -> None:
    found, sound = checks(after, disc()), checks(ground(), disc())
    assert found[name].failed
    assert found[name].score > sound[name].score
    assert found[name].sentence != sound[name].sentence


def test_a_rim_that_is_left_is_found_outside_the_hole() -> None:
    found = checks(ground(), disc(12))
    assert found["leftover"].failed
    assert verify.verdict(tuple(found.values())) == "failed"


def test_a_pattern_that_repeats_is_more_so_than_grain() -> None:
    patch = ground()[:12, :12]
    tiles = np.tile(patch, (14, 17, 1))[: SIZE[0], : SIZE[1]]
    assert checks(tiles, disc())["repeats"].score > checks(ground(), disc())["repeats"].score


@pytest.mark.parametrize("shape", [(3, 300), (300, 1)])
def test_a_bar_may_be_thinner_than_the_least_shift(shape: tuple[int, int]) -> None:
    grey = np.random.default_rng(0).random(shape, np.float32)
    assert 0 <= measures._selfsame(grey, np.ones(shape, np.bool_)) <= 1


@settings(max_examples=15)
@given(masks())
def test_any_mask_can_be_checked(bits: BinaryMask) -> None:
    """Specks, whole photos, bars: scores stay in range and nothing is changed."""
    photo = np.random.default_rng(0).integers(0, 256, (*bits.shape, 3), np.uint8)
    kept = photo.copy()
    alpha = feather_mask(bits, 4, 2)
    for found in (
        verify.check_removal(photo, photo, alpha, bits, [bounding_box(alpha > 0)]),
        verify.check_replacement(photo, photo, alpha, bits, [bounding_box(alpha > 0)]),
    ):
        assert all(0 <= check.score <= 1 for check in found)
    assert (photo == kept).all()


def test_the_worst_of_several_holes_counts() -> None:
    far = np.roll(disc(10), -70, axis=1)
    both = disc() | far
    alpha = feather_mask(both, 6, 4)
    photo = with_disc(ground(), both)
    boxes = [bounding_box(feather_mask(bits, 6, 4) > 0) for bits in (far, disc())]
    shown = np.where(alpha[..., None] > 0, another(), photo)
    found = verify.check_removal(photo, shown, alpha, both, boxes)
    assert next(check for check in found if check.name == "stranger").failed


def test_what_was_painted_in_its_place_is_there() -> None:
    photo, alpha = with_disc(ground(), disc()), feather_mask(disc(), 6, 4)
    boxes = [bounding_box(alpha > 0)]
    absent, _ = verify.check_replacement(photo, ground(), alpha, disc(), boxes)
    there, _ = verify.check_replacement(photo, another(), alpha, disc(), boxes)
    assert there.score < 0.5 < absent.score


# --- looking again ----------------------------------------------------------------------------


def check(name: str, score: float, threshold: float = 0.8) -> Check:
    return Check(name, score, threshold, "", PICTURE, NOWHERE)


class Remembers(FakeDetector):
    """Tells what it was asked."""

    def detect(self, image: Image, prompts: Sequence[Prompt]) -> list[Detection]:
        self.asked = image.shape, tuple(prompts)
        return super().detect(image, prompts)


BOX = Box(60, 40, 140, 120)
CLICK = Points(((100, 80),), ((2, 2),))


def looked_again(detector: Remembers, prompt: Prompt, box: Box = BOX, score: float = 0.6) -> str:
    """The names of the doubtful checks that a second look says have failed."""
    alpha = feather_mask(disc(), 6, 4)
    doubtful = [check(name, score) for name in ("leftover", "ghost", "stranger", "seam")]
    found = verify.redetect(doubtful, detector, ground(), [prompt], alpha, disc(), box)
    return " ".join(c.name for c in found if c.failed)


def test_a_second_look_at_the_window_finds_the_object_again() -> None:
    detector = Remembers(disc()[BOX.slices])
    assert looked_again(detector, CLICK) == "ghost stranger"
    assert detector.asked == ((80, 80, 3), (Points(((40, 40),)),))
    assert looked_again(detector, bounding_box(disc())) == "ghost"


def test_a_second_look_finds_something_new_in_the_hole() -> None:
    assert looked_again(Remembers(disc(12)[BOX.slices]), CLICK) == "stranger"
    assert looked_again(Remembers(disc(12)[BOX.slices]), bounding_box(disc())) == ""
    assert looked_again(Remembers(~disc()[BOX.slices]), CLICK) == ""


def test_a_second_look_at_a_large_window_is_at_a_reduced_one() -> None:
    photo = cv2.resize(ground(), (2000, 1600))
    bits = cv2.resize(disc().astype(np.uint8), (2000, 1600)) > 0
    box = Box(400, 400, 1424, 1424)
    detector = Remembers(np.zeros((256, 256), np.bool_))
    prompts = [Points(((1000, 800),)), bounding_box(bits)]
    verify.redetect(
        [check("ghost", 0.6)], detector, photo, prompts, feather_mask(bits, 6, 4), bits, box
    )
    (shape, (point, around)) = detector.asked
    assert shape == (256, 256, 3)
    assert point == Points(((150, 100),))
    assert isinstance(around, Box)
    assert (np.abs(np.array(around) * 4 + 400 - bounding_box(bits)) <= 4).all()


@pytest.mark.parametrize(
    ("score", "prompt"), [(0.2, CLICK), (0.6, Points((), ((1, 1),))), (0.6, Color(at=(100, 80)))]
)
def test_no_second_look_without_a_doubt_or_a_prompt(score: float, prompt: Prompt) -> None:
    detector = Remembers(disc())
    looked_again(detector, prompt, Box(0, 0, 9, 9), score)
    assert not hasattr(detector, "asked")


# --- what follows -----------------------------------------------------------------------------


@pytest.mark.parametrize(("score", "said"), [(0.1, "clean"), (0.5, "doubtful"), (0.8, "failed")])
def test_the_verdict_is_that_of_the_worst_check(score: float, said: str) -> None:
    assert verify.verdict((check("seam", 0.0), check("smear", score))) == said


def test_failures_rank_before_scores() -> None:
    failed, dull, good = (check("seam", 0.9),), (check("seam", 0.7),), (check("seam", 0.1),)
    assert verify.rank([failed, dull, good]) == [2, 1, 0]
    assert verify.rank([dull, dull]) == [0, 1]


def test_candidates_rank_by_what_the_others_have() -> None:
    """Alike in their scores, the odd one out comes last; of unlike sizes nothing is compared."""
    odd = np.full((4, 4, 3), 90, np.uint8)
    lot = [(Check("stranger", 0.3, 0.8, "", p, NOWHERE),) for p in (PICTURE, odd, PICTURE)]
    assert verify.rank(lot) == [0, 2, 1]
    assert verify.rank([*lot, (check("stranger", 0.1),)])[0] == 3
    smaller = (Check("stranger", 0.3, 0.8, "", odd[:2], NOWHERE[:2]),)
    assert verify.rank([smaller, *lot]) == [0, 1, 2, 3]


def test_a_failure_suggests_what_to_change() -> None:
    auto, fixed = Refine(), Refine(dilate=Length(5, "px"), shadow=False)
    left, orphan = (check("leftover", 0.9),), (check("shadow", 0.9),)
    assert verify.suggest_refine(left, auto, 7.0) == Refine(dilate=Length(14, "px"))
    assert verify.suggest_refine(orphan, auto, 7.0) == Refine(shadow=True)
    assert verify.suggest_refine((check("smear", 0.9),), auto, 7.0) == auto
    assert verify.suggest_refine((*left, *orphan), fixed, 7.0) == fixed


def test_thresholds_lie_above_the_doubt() -> None:
    rules = verify.CHECK_SPECS.values()
    assert all(DOUBTFUL_SCORE < rule.threshold < 1 for rule in rules)
    assert DOUBTFUL_SCORE < shadow.SURE < 1


def test_views_are_small_and_the_same_every_time() -> None:
    bits = np.zeros((1500, 2000), np.bool_)
    bits[500:900, 700:1300] = True
    photo = np.random.default_rng(0).integers(0, 256, (1500, 2000, 3), np.uint8)
    window = Box(600, 400, 1400, 1000)
    one, two = (
        measures.hole_view(photo, photo, bits.astype(np.float32), bits, window) for _ in "ab"
    )
    assert max(one.hole.shape) <= measures.LONG
    for look in (measures.leftover, measures.unexplained_object, measures.smear, measures.repeats):
        assert look(one).numbers == look(two).numbers


def test_more_of_the_object_than_was_taken_is_found_beyond_another_colour() -> None:
    """A red post with a pale belt, of which only the foot was taken."""
    post, foot = np.zeros(SIZE, np.bool_), np.zeros(SIZE, np.bool_)
    post[50:102, 94:106] = foot[82:102, 94:106] = True
    photo = with_disc(ground(), post)
    photo[70:82, 94:106] = (225, 220, 210)

    def more(bits: BinaryMask) -> float:
        alpha = feather_mask(bits, 6, 4)
        seen = measures.hole_view(photo, photo, alpha, bits, bounding_box(alpha > 0))
        return measures.leftover(seen).numbers[1]

    assert more(foot) > 1
    assert more(post) < 0


def test_what_belongs_to_the_object_by_the_network_is_a_leftover() -> None:
    """Of a chair the legs were found: of another colour than the floor, as is much about it."""
    photo, clean, mask = (
        images.read(SAMPLES / f"chair{end}").image for end in (".jpg", "_clean.jpg", "_mask.png")
    )
    whole = mask[..., 0] > 127
    box, legs = bounding_box(whole), whole.copy()
    legs[: box.y0 + int(0.7 * box.height)] = False

    def left(bits: BinaryMask, *prompts: Prompt) -> Check:
        alpha = feather_mask(bits, 12, 8)
        after = np.where(alpha[..., None] > 0, clean, photo)
        checks = verify.check_removal(
            photo, after, alpha, bits, [bounding_box(alpha > 0)], prompts=prompts
        )
        return next(check for check in checks if check.name == "leftover")

    assert left(legs).failed
    assert left(
        legs,
        Points(
            (box.x0, box.y0),
        ),
    ).failed
    assert not left(whole).failed
    # whoever draws a line, or asks for a part, is not told that more belongs to it
    drawn = (UserMask(legs), Color((9, 9)), Points(((box.x0, box.y0),), granularity="part"))
    assert all(left(legs, prompt).score < 0.5 for prompt in drawn)
