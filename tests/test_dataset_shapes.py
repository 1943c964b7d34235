"""Shapes of annotation tools as boxes, outlines and masks, and the photos that tools name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dataset_photos import save_photo
from pycocotools import mask as coco_mask

from segment2inpaint.dataset.formats import shapes
from segment2inpaint.dataset.formats.photo_files import PhotoFinder, output_place, source_files

SIZE = (200, 300)  # height, width
STAR = [(150.0, 10.0), (180.0, 190.0), (20.0, 70.0), (280.0, 70.0), (110.0, 185.0)]


def raster(shape: shapes.Shape) -> np.ndarray:
    """Return a shape as the mask that pycocotools makes of it."""
    assert shape.prompt
    encoded = coco_mask.frPyObjects(shape.prompt["polygons"], *SIZE)
    mask: np.ndarray = np.asarray(coco_mask.decode(encoded)).any(axis=2)
    return mask


@pytest.mark.parametrize(
    "shape",
    [
        shapes.polygon([(20.5, 30.5), (250.5, 42.5), (199.5, 180.5), (60.5, 150.5)]),
        shapes.rotated_box((60.0, 60.0, 200.0, 110.0), 33, (130.0, 85.0)),
        shapes.ellipse((140.0, 90.0), 90.0, 40.0, 20),
        shapes.circle((150.0, 100.0), (150.0, 160.0)),
    ],
)
def test_area_and_box_agree_with_pycocotools(shape: shapes.Shape) -> None:
    mask = raster(shape)
    assert shape.area == pytest.approx(mask.sum(), rel=0.02)
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    found = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
    assert np.allclose(shape.box, found, atol=1.5)


@pytest.mark.parametrize("form", ["pairs", "flat", "tuples", "text", "named"])
def test_points_are_read_in_the_forms_that_tools_write(form: str) -> None:
    points: Any = {
        "pairs": [[1, 2], [3.5, 4], [5, 6]],
        "flat": [1, 2, 3.5, 4, 5, 6],
        "tuples": ((1, 2), (3.5, 4), (5, 6)),
        "text": [["1", "2"], ["3.5", "4"], ["5", "6"]],
        "named": [{"x": 1, "y": 2}, {"x": 3.5, "y": 4}, {"x": 5, "y": 6}],
    }[form]
    assert shapes.parse_corners(points) == [(1, 2), (3.5, 4), (5, 6)]


@pytest.mark.parametrize(
    "points",
    [None, "1,2", 5, {"x": 1}, [[1, 2], None], [[1, 2, 3]], [1, 2, 3], [[1, True]],
     [[1, float("nan")]], [[1, 1e300]], [[1, "wide"]], [[[1, 2]]], [[10**400, 2]]],
)  # fmt: skip
def test_what_is_no_point_is_a_value_error(points: Any) -> None:
    with pytest.raises(ValueError, match="expected"):
        shapes.parse_corners(points)


def test_a_rectangle_of_four_corners_in_any_order_is_a_box() -> None:
    corners = [(30.0, 40.0), (10.0, 20.0), (10.0, 40.0), (30.0, 20.0)]
    shape = shapes.rectangle(corners)
    assert shape.box == (10, 20, 30, 40)
    assert shape.prompt is None
    assert shapes.rectangle([(30.0, 20.0), (10.0, 40.0)]) == shape
    assert shapes.rectangle([*corners, corners[0]]) == shape


def test_a_rectangle_of_four_turned_corners_is_an_outline() -> None:
    shape = shapes.rectangle([(20.0, 0.0), (40.0, 20.0), (20.0, 40.0), (0.0, 20.0)])
    assert shape.prompt is not None
    assert shape.area == 800


@pytest.mark.parametrize(
    "corners",
    [[], [(1.0, 1.0)], [(1.0, 1.0), (1.0, 9.0)], [(1.0, 1.0)] * 4, STAR[:3]],
)
def test_a_rectangle_without_an_area_is_refused(corners: list[tuple[float, float]]) -> None:
    with pytest.raises(ValueError, match=r"area|corners|points"):
        shapes.rectangle(corners)


def test_a_patch_is_cut_at_the_borders_of_the_photo() -> None:
    shape = shapes.patch_mask(np.ones((10, 10), np.bool_), (-4, 195), SIZE)
    assert shape.box == (0, 195, 6, 200)
    assert shape.area == 30
    with pytest.raises(ValueError, match="empty"):
        shapes.patch_mask(np.ones((10, 10), np.bool_), (900, 5), SIZE)


def test_a_photo_of_several_folders_is_the_one_whose_path_ends_alike(tmp_path: Path) -> None:
    for name in ("train/images/a.png", "val/images/a.png", "val/images/Ä.PNG"):
        save_photo(tmp_path / name)
    finder = PhotoFinder(str(tmp_path))
    assert finder.find("/home/else/val/images/a.png") == str(tmp_path / "val/images/a.png")
    assert finder.find("..\\images\\a.png", "train/json") == str(tmp_path / "train/images/a.png")
    assert finder.find("A\u0308.png") == str(tmp_path / "val/images/Ä.PNG")
    with pytest.raises(ValueError, match=r"2 photos match a\.png"):
        finder.find("a.png", "json")
    assert finder.find("none.png") == str(tmp_path / "none.png")


def test_a_photo_in_a_folder_next_to_the_source_is_found(tmp_path: Path) -> None:
    save_photo(tmp_path / "set/imgs/a.png")
    (tmp_path / "set/json").mkdir()
    finder = PhotoFinder(str(tmp_path / "set/json"))
    assert finder.find("C:\\Users\\me\\a.png") == str(tmp_path / "set/imgs/a.png")


def test_the_output_mirrors_the_folder_above_if_photos_are_there() -> None:
    assert output_place("/data/set/images/a.png", "/data/set") == ("images/a.png", "")
    assert output_place("/data/set/images/a.png", "/data/set/json") == ("images/a.png", "json")
    assert output_place("/mnt/x/a.png", "/data/a/b/c/d/set") == ("a.png", "")


def test_files_that_earlier_runs_have_written_are_no_part_of_a_source(tmp_path: Path) -> None:
    save_photo(tmp_path / "a.png")
    save_photo(tmp_path / "out/a.png")
    (tmp_path / "out/.segment2inpaint").mkdir()
    assert source_files(str(tmp_path)) == ["a.png"]
