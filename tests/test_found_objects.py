"""A click means the found object with which the click network agrees."""

from __future__ import annotations

import numpy as np
import pytest
from fake_networks import RedDecoder, RedEncoder, iou, red_photo
from numpy.typing import NDArray

from segment2inpaint.detect.builtin.detector import BuiltinDetector
from segment2inpaint.detect.builtin.found_objects import (
    LIKELY_HELD,
    LIKELY_OBJECT,
    SURE_OBJECT,
    ObjectAtClick,
    agreeing_object,
    near_things,
    sure_object,
    with_held,
)
from segment2inpaint.detect.builtin.found_objects import PERSON as PERSON_KIND
from segment2inpaint.networks.click import (
    BOTTOM_RIGHT,
    MASK_CELL,
    PHOTO_SIDE,
    POSITIVE,
    SINGLE,
    TOP_LEFT,
    ClickNetwork,
)
from segment2inpaint.networks.letterbox import Letterbox
from segment2inpaint.networks.objects import FoundObject
from segment2inpaint.types import BinaryMask, Box, FloatArray, Granularity, Image, Points

PHOTO = Box(0, 0, 640, 480)
PERSON = Box(200, 100, 400, 340)
COAT, SHOES = Box(200, 100, 400, 292), Box(200, 292, 400, 340)
ON_COAT, ON_SHOES = (300, 200), (300, 325)


class PartDecoder(RedDecoder):
    """Answer a click with the upper or the lower part of what is red there, and in a box with all.

    The upper part is four fifths of it.
    """

    def _answer(
        self, red: BinaryMask, points: NDArray[np.generic], labels: NDArray[np.generic]
    ) -> tuple[FloatArray, FloatArray]:
        answer, scores = super()._answer(red, points, labels)
        rows = np.indices(red.shape)[0]
        edge = np.quantile(rows[answer[SINGLE] > 0], 0.8) if (answer[SINGLE] > 0).any() else 0
        y = float(points[labels == POSITIVE][0][1]) / MASK_CELL
        in_part = (rows < edge) == (y < edge)
        is_box = TOP_LEFT in labels
        return np.where(in_part | is_box, answer, -6).astype(np.float32), scores


class BoxDecoder(RedDecoder):
    """Answer with what is red in the box, a click with what is red in the person's box."""

    def _answer(
        self, red: BinaryMask, points: NDArray[np.generic], labels: NDArray[np.generic]
    ) -> tuple[FloatArray, FloatArray]:
        rows, columns = np.indices(red.shape) * MASK_CELL
        corners = points[np.isin(labels, [TOP_LEFT, BOTTOM_RIGHT])]
        scale = PHOTO_SIDE / PHOTO.width
        (x0, y0), (x1, y1) = corners if len(corners) else np.array(PERSON).reshape(2, 2) * scale
        inside = (columns >= x0) & (columns < x1) & (rows >= y0) & (rows < y1)
        masks = np.stack([red & inside] * 4)
        return np.where(masks, 6, -6).astype(np.float32), np.full(4, self.score, np.float32)


class Finder:
    """Find these objects in every photo; ``calls`` counts."""

    def __init__(self, *found: FoundObject) -> None:
        self.found, self.calls = list(found), 0

    def __call__(self, image: Image) -> list[FoundObject]:
        self.calls += 1
        return self.found


def person_photo() -> tuple[Image, BinaryMask]:
    return red_photo(480, 640, PERSON)


def area(box: Box) -> BinaryMask:
    return red_photo(480, 640, box)[1]


def selected(
    finder: Finder, *clicks: tuple[int, int], score: float = 0.9, granularity: Granularity = "auto"
) -> BinaryMask:
    network = ClickNetwork(RedEncoder(), PartDecoder(score))
    detector = BuiltinDetector(network, object_finder=finder)
    prompt = Points(clicks, granularity=granularity)
    (detection,) = detector.detect(person_photo()[0], [prompt])
    return detection.mask


# --- clicks ---------------------------------------------------------------------------------------


def test_a_click_on_most_of_a_found_object_means_all_of_it() -> None:
    mask = selected(Finder(FoundObject(PERSON, 0.5, 0)), ON_COAT)
    assert iou(mask, person_photo()[1]) > 0.95


def test_a_click_on_a_small_part_means_the_part_unless_the_object_is_sure() -> None:
    likely, sure = FoundObject(PERSON, 0.6, 0), FoundObject(PERSON, 0.8, 0)
    assert iou(selected(Finder(likely), ON_SHOES, score=0.7), area(SHOES)) > 0.85
    assert iou(selected(Finder(sure), ON_SHOES, score=0.7), person_photo()[1]) > 0.95
    assert iou(selected(Finder(sure), ON_SHOES, score=0.9), area(SHOES)) > 0.85


@pytest.mark.parametrize("granularity", ["part", "whole"])
def test_a_part_and_a_whole_are_asked_for_without_objects(granularity: Granularity) -> None:
    finder = Finder(FoundObject(PERSON, 0.9, 0))
    mask = selected(finder, ON_COAT, granularity=granularity)
    assert mask[ON_COAT[::-1]]
    assert not mask[ON_SHOES[::-1]]
    assert finder.calls == 0


def test_an_object_is_asked_for_by_its_granularity_too() -> None:
    finder = Finder(FoundObject(PERSON, 0.9, 0))
    assert iou(selected(finder, ON_COAT, granularity="object"), person_photo()[1]) > 0.95


def test_objects_beside_the_click_and_weak_ones_change_nothing() -> None:
    alone = selected(Finder(), ON_COAT)
    beside = FoundObject(Box(420, 100, 600, 300), 0.9, 0)
    weak = FoundObject(PERSON, LIKELY_OBJECT, 0)
    assert np.array_equal(selected(Finder(beside, weak), ON_COAT), alone)


def test_objects_are_looked_for_once_in_a_photo() -> None:
    finder = Finder(FoundObject(PERSON, 0.5, 0))
    detector = BuiltinDetector(ClickNetwork(RedEncoder(), PartDecoder()), object_finder=finder)
    image = person_photo()[0]
    for clicks in [(ON_COAT,), (ON_COAT, (310, 210)), ((250, 150),)]:
        detector.detect(image, [Points(clicks)])
    assert finder.calls == 1


def test_a_click_beside_a_found_object_takes_away_what_is_there() -> None:
    detector = BuiltinDetector(
        ClickNetwork(RedEncoder(), PartDecoder()),
        object_finder=Finder(FoundObject(PERSON, 0.5, 0)),
    )
    image = person_photo()[0]
    (detection,) = detector.detect(image, [Points((ON_COAT,), (ON_SHOES,))])
    assert not detection.mask[325, 300]
    assert detection.mask[200, 300]


def test_a_small_object_is_seen_in_a_window_round_its_box() -> None:
    small = Box(300, 200, 360, 250)
    image, truth = red_photo(480, 640, small)
    network = ClickNetwork(RedEncoder(), RedDecoder())
    finder = Finder(FoundObject(small, 0.9, 0))
    (detection,) = BuiltinDetector(network, object_finder=finder).detect(
        image, [Points(((330, 225),))]
    )
    assert detection.seen_in
    assert detection.seen_in.width < 200
    assert iou(detection.mask, truth) > 0.95


class BlindDecoder(RedDecoder):
    """Answer with what is red in the box, a click with its upper left corner of the frame."""

    def _answer(
        self, red: BinaryMask, points: NDArray[np.generic], labels: NDArray[np.generic]
    ) -> tuple[FloatArray, FloatArray]:
        corner = np.zeros_like(red)
        corner[:4, :4] = True
        masks = np.stack([red if TOP_LEFT in labels else corner] * 4)
        return np.where(masks, 6, -6).astype(np.float32), np.full(4, self.score, np.float32)


@pytest.mark.parametrize(("score", "goes"), [(0.3, True), (0.9, False)])
def test_a_sure_object_goes_though_an_unsure_click_lies_beside_its_mask(
    score: float, goes: bool
) -> None:
    finder = Finder(FoundObject(PERSON.expand(40, (480, 640)), 0.8, PERSON_KIND))
    network = ClickNetwork(RedEncoder(), BlindDecoder(score))
    detector = BuiltinDetector(network, object_finder=finder)
    (detection,) = detector.detect(person_photo()[0], [Points(((180, 200),))])
    assert (iou(detection.mask, area(PERSON)) > 0.95) == goes


# --- things that a person holds -------------------------------------------------------------------

BAT, BICYCLE, CAT = 34, 1, 15  # kinds
STICK = Box(400, 150, 440, 160)  # at the coat


def with_thing(kind: int, score: float, box: Box = STICK, holder: int = PERSON_KIND) -> BinaryMask:
    """Return the mask of a click on the coat, beside which a thing was found."""
    image, _ = red_photo(480, 640, PERSON, box)
    finder = Finder(FoundObject(PERSON, 0.9, holder), FoundObject(box, score, kind))
    detector = BuiltinDetector(ClickNetwork(RedEncoder(), BoxDecoder()), object_finder=finder)
    (detection,) = detector.detect(image, [Points((ON_COAT,))])
    return detection.mask


def test_a_person_goes_with_the_thing_they_hold() -> None:
    mask = with_thing(BAT, 0.5)
    assert iou(mask, area(PERSON) | area(STICK)) > 0.95


@pytest.mark.parametrize(
    ("kind", "score", "holder"),
    [(BICYCLE, 0.9, PERSON_KIND), (BAT, LIKELY_HELD, PERSON_KIND), (BAT, 0.9, CAT)],
)
def test_what_is_ridden_or_unsure_stays_and_animals_hold_nothing(
    kind: int, score: float, holder: int
) -> None:
    mask = with_thing(kind, score, holder=holder)
    assert iou(mask, area(PERSON)) > 0.95


@pytest.mark.parametrize(
    ("box", "is_near"),
    [(STICK, True), (Box(400, 150, 535, 160), True), (Box(400, 150, 620, 160), False)],
)
def test_a_thing_that_reaches_far_away_is_not_held(box: Box, is_near: bool) -> None:
    person, thing = FoundObject(PERSON, 0.9, PERSON_KIND), FoundObject(box, 0.9, BAT)
    assert near_things(person, [person, thing]) == ((box,) if is_near else ())


@pytest.mark.parametrize(("column", "is_held"), [(5, True), (6, False)])
def test_only_a_thing_that_touches_the_person_is_held(column: int, is_held: bool) -> None:
    person, thing = (np.full((10, 10), -3, np.float32) for _ in range(2))
    person[:, :5] = 3
    thing[4, column:] = 3
    joined = with_held(person, [thing])
    assert (joined[4, 9] > 0) == is_held
    assert (joined[:, :5] > 0).all()


def test_a_click_on_the_thing_leaves_it() -> None:
    image, _ = red_photo(480, 640, PERSON, STICK)
    finder = Finder(FoundObject(PERSON, 0.9, PERSON_KIND), FoundObject(STICK, 0.5, BAT))
    detector = BuiltinDetector(ClickNetwork(RedEncoder(), BoxDecoder()), object_finder=finder)
    (detection,) = detector.detect(image, [Points((ON_COAT,), ((430, 155),))])
    assert not detection.mask[155, 430]


# --- choices --------------------------------------------------------------------------------------


def logits(rows: slice) -> FloatArray:
    values = np.full((10, 10), -3, np.float32)
    values[rows] = 3
    return values


def test_agreement_and_score_count_alike() -> None:
    one, other = Box(0, 0, 1, 1), Box(0, 0, 2, 2)
    masks = [logits(slice(0, 10)), logits(slice(0, 8))]
    for scores, box in [((0.8, 0.5), one), ((0.5, 0.8), other)]:
        found = [FoundObject(b, s, 0) for b, s in zip((one, other), scores, strict=True)]
        chosen = agreeing_object(found, masks, logits(slice(0, 9)), 0.5)
        assert chosen
        assert chosen[0].box == box
    assert agreeing_object(found, masks, logits(slice(9, 10)), 0.5) is None


def test_only_an_object_above_the_limit_is_sure() -> None:
    found = [FoundObject(Box(0, 0, 2, 2), SURE_OBJECT, 0), FoundObject(PERSON, 0.2, 0)]
    assert sure_object(found) is None
    sure = FoundObject(COAT, SURE_OBJECT + 0.01, 0)
    assert sure_object([*found, sure]) == (sure, 0.0)


def test_a_blend_lies_between_its_masks_and_moves_the_clicks_to_its_frame() -> None:
    whole = Letterbox(PHOTO, (480, 640))
    click = np.full((120, 160), -9, np.float32)
    click[:, 80:] = 9  # the photo's right half
    window = Letterbox(Box(240, 0, 400, 160), (160, 160))
    blended = ObjectAtClick(PERSON, whole, click).blend_with(np.full((40, 40), -9.0), window)
    assert blended.shape == (40, 40)
    assert blended[20, 5] == pytest.approx(-4)
    assert -4 < blended[20, 35] < 0
