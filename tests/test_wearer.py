"""A click on clothes means the person who wears them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from portrait import drawn_face

from segment2inpaint.detect.builtin import wearer
from segment2inpaint.detect.builtin.detector import BuiltinDetector
from segment2inpaint.detect.builtin.wearer import find_faces_above
from segment2inpaint.networks.faces import FaceEllipse
from segment2inpaint.types import BinaryMask, Box, Granularity, Image, Points

CHIN, SHIRT = (320, 330), (320, 560)  # of the drawn portrait, (x, y)
CLOTHES = Box(135, 432, 507, 640)


def select(image: Image, points: Points) -> BinaryMask:
    (detection,) = BuiltinDetector().detect(image, [points])
    return detection.mask


def ellipse(box: Box, score: float = 0.9) -> FaceEllipse:
    axes = box.width // 2, box.height // 2
    return FaceEllipse((box.x0 + axes[0], box.y0 + axes[1]), axes, score, float(box.width))


def faces_for(monkeypatch: pytest.MonkeyPatch, *ellipses: FaceEllipse) -> list[Box]:
    """Return the boxes of faces above ``Box(40, 100, 140, 220)`` if the network finds these.

    The ellipses are relative to the region that is searched.
    """
    regions: list[tuple[int, ...]] = []

    def find(image: Image, scale: float) -> list[FaceEllipse]:
        regions.append(image.shape)
        assert max(image.shape[:2]) * scale == pytest.approx(wearer.SEARCH_SIDE)
        return list(ellipses)

    monkeypatch.setattr(wearer, "find_faces", find)
    found = find_faces_above(np.zeros((400, 300, 3), np.uint8), Box(40, 100, 140, 220))
    assert regions == [(180, 180, 3)]  # 40 px to the sides, to the photo's top, 80 px down
    return [face.box for face in found]


def test_a_click_on_clothes_selects_the_face_above_them() -> None:
    image = drawn_face()
    selected = select(image, Points((SHIRT,)))
    assert selected[SHIRT[::-1]]
    assert selected[CHIN[::-1]]
    assert not selected[40:60, 40:60].any()


@pytest.mark.parametrize("granularity", ["part", "object"])
def test_a_part_is_the_clothes_alone(granularity: Granularity) -> None:
    selected = select(drawn_face(), Points((SHIRT,), granularity=granularity))
    assert selected[CHIN[::-1]] == (granularity == "object")


def test_a_click_beside_the_clothes_on_the_face_takes_it_away() -> None:
    selected = select(drawn_face(), Points((SHIRT,), (CHIN,)))
    assert selected[SHIRT[::-1]]
    assert not selected[CHIN[::-1]]


def test_a_click_beside_the_face_leaves_it() -> None:
    box = Box(100, 100, 140, 160)
    face = wearer.Face(box, box)
    assert face.contains((120, 130))
    assert face.contains((120, 158))
    assert not face.contains((138, 158))
    beside = (470, 300)
    selected = select(drawn_face(), Points((SHIRT,), (beside,)))
    assert selected[CHIN[::-1]]
    assert not selected[beside[::-1]]


def test_faces_without_clothes_below_are_not_looked_at() -> None:
    image = drawn_face()
    assert find_faces_above(image, CLOTHES)
    assert not find_faces_above(cv2.flip(image, 0), Box(135, 0, 507, 208))
    assert not find_faces_above(image, Box(560, 432, 640, 640))


def test_a_face_is_found_where_the_wearer_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for face in (Box(70, 50, 110, 96), Box(86, 60, 126, 106), Box(60, 16, 120, 100)):
        assert faces_for(monkeypatch, ellipse(face)) == [face]


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
    assert faces_for(monkeypatch, ellipse(face)) == []


def test_the_surest_face_comes_first_and_unsure_ones_are_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, second, unsure = Box(60, 50, 94, 96), Box(80, 50, 114, 96), Box(70, 50, 104, 96)
    ellipses = ellipse(second, 0.6), ellipse(unsure, 0.2), ellipse(first, 0.8)
    assert faces_for(monkeypatch, *ellipses) == [first, second]
