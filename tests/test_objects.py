"""The network that finds objects of common kinds, and the objects that clicks mean."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from segment2inpaint.networks import objects
from segment2inpaint.networks.objects import BINS, KINDS, STRIDES, FoundObject, find_objects
from segment2inpaint.types import FloatArray, Image

SAMPLES = Path(__file__).parents[1] / "samples"
BALL, CHAIR, CAT, DOG = 32, 56, 15, 16  # kinds


def sample(name: str) -> Image:
    return np.asarray(cv2.imread(str(SAMPLES / name), cv2.IMREAD_COLOR_RGB))


class Maps:
    """A network whose maps are empty but for some cells: (map, row, column, kind, logit)."""

    def __init__(self, *cells: tuple[int, int, int, int, float]) -> None:
        self.cells = cells
        self.shapes: list[tuple[int, ...]] = []

    def run(self, image: FloatArray) -> list[FloatArray]:
        self.shapes.append(image.shape)
        _, _, height, width = image.shape
        maps = [np.full((1, KINDS + 4 * BINS, height // s, width // s), -9.0) for s in STRIDES]
        for level, row, column, kind, logit in self.cells:
            maps[level][0, kind, row, column] = logit
            for side, distance in enumerate((1, 2, 3, 4)):
                maps[level][0, KINDS + side * BINS + distance, row, column] = 60
        return [m.astype(np.float32) for m in maps]


def found_in(
    monkeypatch: pytest.MonkeyPatch, size: tuple[int, int], *cells: tuple[int, int, int, int, float]
) -> list[FoundObject]:
    network = Maps(*cells)
    monkeypatch.setattr(objects, "load_network", lambda name: network)
    return find_objects(np.zeros((*size, 3), np.uint8))


@pytest.mark.parametrize(("name", "kind"), [("chair.jpg", CHAIR), ("ball.jpg", BALL)])
def test_the_object_of_a_sample_is_found_in_the_box_of_its_mask(name: str, kind: int) -> None:
    truth = cv2.imread(str(SAMPLES / name.replace(".jpg", "_mask.png")), cv2.IMREAD_GRAYSCALE) > 127
    rows, columns = np.nonzero(truth)
    corners = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
    (box, *_) = [o.box for o in find_objects(sample(name)) if o.kind == kind and o.score > 0.5]
    assert np.abs(np.array(box) - corners).max() < 30


def test_the_surest_object_comes_first() -> None:
    scores = [found.score for found in find_objects(sample("oranges.jpg"))]
    assert len(scores) > 2
    assert scores == sorted(scores, reverse=True)


def test_a_box_reaches_from_the_cells_middle_by_the_distances_in_cells(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (found,) = found_in(monkeypatch, (416, 416), (1, 10, 12, CAT, 2.0))
    x, y = 12.5 * 16, 10.5 * 16  # px of the input, which has the photo's size
    assert found.box == (x - 16, y - 32, x + 48, y + 64)
    assert found.kind == CAT
    assert found.score == pytest.approx(1 / (1 + np.exp(-2.0)))


def test_a_box_is_in_px_of_the_photo_and_ends_at_its_edge(monkeypatch: pytest.MonkeyPatch) -> None:
    (found,) = found_in(monkeypatch, (832, 1664), (2, 0, 12, CAT, 2.0))
    # The input has 416 x 224 px: half the height is 104, rounded up to a multiple of 32.
    assert found.box.y0 == 0
    assert found.box.x1 == 1664
    assert found.box.x0 == pytest.approx((12.5 * 32 - 32) * 4, abs=1)


def test_one_object_is_not_found_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    cells = (1, 10, 12, CAT, 2.0), (1, 10, 12, DOG, 1.0), (1, 20, 5, DOG, 0.5)
    found = found_in(monkeypatch, (416, 416), *cells)
    assert [o.kind for o in found] == [CAT, DOG]
    assert found[1].box.contains((5 * 16, 20 * 16))


def test_weak_answers_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    assert found_in(monkeypatch, (416, 416), (1, 10, 12, CAT, -2.0)) == []


@pytest.mark.parametrize("size", [(1, 1), (3000, 20), (20, 3000)])
def test_odd_shapes_give_no_error(size: tuple[int, int]) -> None:
    for found in find_objects(np.full((*size, 3), 128, np.uint8)):
        assert 0 <= found.box.x0 < found.box.x1 <= size[1]
        assert 0 <= found.box.y0 < found.box.y1 <= size[0]
