"""A click on clothes or on a face means the person."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from portrait import drawn_face

from segment2inpaint.detect.builtin import person
from segment2inpaint.detect.builtin.detector import BuiltinDetector
from segment2inpaint.detect.builtin.person import PersonPart, find_rest_of_person
from segment2inpaint.networks.faces import FaceEllipse
from segment2inpaint.types import BinaryMask, Box, Granularity, Image, Point, Points

CHIN, SHIRT = (320, 330), (320, 560)  # of the drawn portrait, (x, y)
CLOTHES, HEAD = Box(135, 432, 507, 640), Box(204, 138, 436, 460)
BLANK = np.zeros((400, 300, 3), np.uint8)


def select(image: Image, points: Points) -> BinaryMask:
    (detection,) = BuiltinDetector().detect(image, [points])
    return detection.mask


def ellipse(box: Box, score: float = 0.9) -> FaceEllipse:
    axes = box.width // 2, box.height // 2
    return FaceEllipse((box.x0 + axes[0], box.y0 + axes[1]), axes, score, float(box.width))


def parts_for(
    monkeypatch: pytest.MonkeyPatch, selected: Box, *ellipses: FaceEllipse, image: Image = BLANK
) -> list[PersonPart]:
    """Return the rest of the person if the network finds these faces of the photo."""
    corner = person._search_region(selected, (image.shape[0], image.shape[1]))

    def find(region: Image, scale: float) -> list[FaceEllipse]:
        assert max(region.shape[:2]) * scale == pytest.approx(person.SEARCH_SIDE)
        places = [(x - corner.x0, y - corner.y0) for x, y in (e.center for e in ellipses)]
        return [e._replace(center=c) for e, c in zip(ellipses, places, strict=True)]

    monkeypatch.setattr(person, "find_faces", find)
    return find_rest_of_person(image, selected, selected.contains)


# --- photos -------------------------------------------------------------------------------------


def test_a_click_on_clothes_selects_the_face_above_them() -> None:
    selected = select(drawn_face(), Points((SHIRT,)))
    assert selected[SHIRT[::-1]]
    assert selected[CHIN[::-1]]
    assert not selected[40:60, 40:60].any()


def test_a_click_on_the_face_selects_the_clothes_below_it() -> None:
    image = drawn_face()
    head = select(image, Points((CHIN,), granularity="part"))
    assert not head[SHIRT[::-1]]
    selected = select(image, Points((CHIN,)))
    assert selected[SHIRT[::-1]]
    assert selected[CHIN[::-1]]
    assert not selected[40:60, 40:60].any()


@pytest.mark.parametrize("granularity", ["part", "object"])
def test_a_part_is_the_clothes_alone(granularity: Granularity) -> None:
    selected = select(drawn_face(), Points((SHIRT,), granularity=granularity))
    assert selected[CHIN[::-1]] == (granularity == "object")


@pytest.mark.parametrize(("on", "beside"), [(SHIRT, CHIN), (CHIN, SHIRT)])
def test_a_click_on_the_rest_takes_it_away(on: Point, beside: Point) -> None:
    selected = select(drawn_face(), Points((on,), (beside,)))
    assert selected[on[::-1]]
    assert not selected[beside[::-1]]


def test_a_click_beside_the_face_leaves_it() -> None:
    beside = (470, 300)
    selected = select(drawn_face(), Points((SHIRT,), (beside,)))
    assert selected[CHIN[::-1]]
    assert not selected[beside[::-1]]


def test_faces_are_looked_for_where_a_person_would_have_them() -> None:
    image = drawn_face()
    (face,) = find_rest_of_person(image, CLOTHES, CLOTHES.contains)
    assert HEAD.contains(face.point)
    (chest,) = find_rest_of_person(image, HEAD, HEAD.contains)
    assert CLOTHES.contains(chest.point)
    upside_down = Box(135, 0, 507, 208)
    assert not find_rest_of_person(cv2.flip(image, 0), upside_down, upside_down.contains)
    aside = Box(560, 432, 640, 640)
    assert not find_rest_of_person(image, aside, aside.contains)


# --- geometry -----------------------------------------------------------------------------------


WORN = Box(40, 100, 140, 220)  # selected


@pytest.mark.parametrize(
    "face", [Box(70, 50, 110, 96), Box(86, 60, 126, 106), Box(60, 16, 120, 100)]
)
def test_a_face_is_found_where_the_wearer_has_it(
    monkeypatch: pytest.MonkeyPatch, face: Box
) -> None:
    (part,) = parts_for(monkeypatch, WORN, ellipse(face))
    assert part.box == face
    assert part.contains(part.point)
    assert part.seen.x0 < face.x0
    assert part.seen.y0 < face.y0
    assert part.seen.y1 == face.y1


@pytest.mark.parametrize(
    "face",
    [
        Box(100, 50, 140, 96), Box(70, 31, 110, 77), Box(70, 86, 110, 132),
        Box(54, 20, 124, 100), Box(80, 76, 99, 100),
    ],
    ids=["aside", "far above", "far below", "too large", "too small"],
)  # fmt: skip
def test_faces_of_people_who_hold_it_or_are_before_it_are_left(
    monkeypatch: pytest.MonkeyPatch, face: Box
) -> None:
    assert parts_for(monkeypatch, WORN, ellipse(face)) == []


FACE = Box(40, 60, 80, 110)


@pytest.mark.parametrize("selected", [FACE, Box(30, 40, 95, 120), Box(25, 40, 100, 134)])
def test_below_a_head_there_is_a_chest(monkeypatch: pytest.MonkeyPatch, selected: Box) -> None:
    (part,) = parts_for(monkeypatch, selected, ellipse(FACE))
    assert part.point == (60, 150)
    assert part.contains(part.point)
    assert part.contains((60, 180))
    assert not part.contains((60, 105))
    assert part.seen.y1 == 300


@pytest.mark.parametrize(
    "selected",
    [Box(10, 40, 100, 134), Box(30, 20, 95, 130), Box(30, 40, 95, 140)],
    ids=["broad", "tall", "with the breast"],
)
def test_what_is_more_than_a_head_stays_as_it_is(
    monkeypatch: pytest.MonkeyPatch, selected: Box
) -> None:
    assert parts_for(monkeypatch, selected, ellipse(FACE)) == []


@pytest.mark.parametrize(("height", "expected"), [(200, 150), (145, 139), (126, None)])
def test_the_point_on_the_chest_is_in_the_photo(
    monkeypatch: pytest.MonkeyPatch, height: int, expected: int | None
) -> None:
    image = np.zeros((height, 300, 3), np.uint8)
    parts = parts_for(monkeypatch, Box(30, 40, 95, 120), ellipse(FACE), image=image)
    assert [part.point for part in parts] == ([] if expected is None else [(60, expected)])


def test_the_surest_face_comes_first_and_unsure_ones_are_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, second, unsure = Box(60, 50, 94, 96), Box(80, 50, 114, 96), Box(70, 50, 104, 96)
    ellipses = ellipse(second, 0.6), ellipse(unsure, 0.2), ellipse(first, 0.8)
    assert [part.box for part in parts_for(monkeypatch, WORN, *ellipses)] == [first, second]
