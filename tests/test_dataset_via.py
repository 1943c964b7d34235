"""Annotations of the VGG Image Annotator."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dataset_photos import (
    FAST_OPTIONS,
    NO_WORKERS,
    RED_BOX,
    batch,
    is_square_removed,
    read_manifest,
    save_photo,
)

from segment2inpaint.dataset.formats.annotations import AnnotationFilter
from segment2inpaint.dataset.formats.via import ViaSource
from segment2inpaint.dataset.run_types import EditItem, InvalidRow

X0, Y0, X1, Y1 = RED_BOX
OPTIONS = (*FAST_OPTIONS, *NO_WORKERS)
BASE = {"prompts": [], "refine": {}, "fill": {}}
COLUMNS = ("filename", "file_size", "file_attributes", "region_count", "region_id",
           "region_shape_attributes", "region_attributes")  # fmt: skip

RECT = {"name": "rect", "x": X0, "y": Y0, "width": X1 - X0, "height": Y1 - Y0}
POLYGON = {"name": "polygon", "all_points_x": [X0, X1, X1, X0], "all_points_y": [Y0, Y0, Y1, Y1]}
CIRCLE = {"name": "circle", "cx": 26, "cy": 22, "r": 9}
ELLIPSE = {"name": "ellipse", "cx": 26, "cy": 22, "rx": 9, "ry": 9.5, "theta": 0.3}
LINE = {"name": "polyline", "all_points_x": [1, 9], "all_points_y": [1, 9]}
POINT = {"name": "point", "cx": 3, "cy": 3}
CAT = {"name": "rect", "x": 1, "y": 1, "width": 4, "height": 4}


def region(shape: Any, **attributes: Any) -> dict[str, Any]:
    return {"shape_attributes": shape, "region_attributes": attributes or {"class": "dog"}}


def photo(*regions: Any, name: Any = "a.png", **fields: Any) -> dict[str, Any]:
    return {
        "filename": name, "size": 12345, "regions": list(regions), "file_attributes": {}, **fields
    }  # fmt: skip


def save_json(home: Path, *photos: Any, project: bool = False) -> Path:
    save_photo(home / "a.png")
    entries = {f"photo{number}": entry for number, entry in enumerate(photos)}
    data = {"_via_settings": {}, "_via_img_metadata": entries, "_via_attributes": {}}
    (home / "via.json").write_text(json.dumps(data if project else entries))
    return home / "via.json"


def save_csv(home: Path, *shapes: Any, mark: str = "", ending: str = "\n") -> Path:
    """Save a CSV file with the regions of a.png; ``mark`` is put before the header."""
    save_photo(home / "a.png")
    with (home / "via.csv").open("w", newline="", encoding="utf-8") as file:
        file.write(mark + ",".join(COLUMNS) + ending)
        writer = csv.writer(file, lineterminator=ending)
        for number, shape in enumerate(shapes):
            label = {"class": "cat" if shape is CAT else "dog"}
            writer.writerow(
                ("a.png", 12345, "{}", len(shapes), number, json.dumps(shape), json.dumps(label))
            )
    return home / "via.csv"


def read(file: Path, *categories: str) -> list[EditItem | InvalidRow]:
    return list(ViaSource(str(file), BASE, AnnotationFilter(categories)).items())


@pytest.mark.parametrize("shape", [RECT, POLYGON, CIRCLE, ELLIPSE])
@pytest.mark.parametrize("project", [True, False])
def test_a_region_of_each_shape_is_removed_and_leaves_the_json(
    tmp_path: Path, shape: dict[str, Any], project: bool
) -> None:
    cat = region(CAT, name="cat")
    file = save_json(tmp_path / "set", photo(cat, region(shape)), project=project)
    out = tmp_path / "out"
    result = batch(file, out, "--category", "dog", *OPTIONS)
    assert result.exit_code == 0, result.output
    assert is_square_removed(out / "a.png")
    data = json.loads((out / "via.json").read_text())
    entries = data["_via_img_metadata"] if project else data
    assert entries["photo0"]["regions"] == [cat]


@pytest.mark.parametrize(("mark", "ending"), [("", "\n"), ("#", "\r\n"), ("\ufeff", "\r\n")])
def test_regions_of_csv_are_removed_and_numbered_anew(
    tmp_path: Path, mark: str, ending: str
) -> None:
    """Version 1 writes ``#filename``; Excel adds a byte-order mark and its line ends."""
    file = save_csv(tmp_path / "set", RECT, CAT, CIRCLE, mark=mark, ending=ending)
    out = tmp_path / "out"
    result = batch(file, out, "--category", "dog", *OPTIONS)
    assert result.exit_code == 0, result.output
    assert is_square_removed(out / "a.png")
    assert len(read_manifest(out)) == 2
    (row,) = list(csv.reader((out / "via.csv").read_text().splitlines()))[1:]
    assert row[3:5] == ["1", "0"]
    assert json.loads(row[5]) == CAT


def test_a_photo_without_regions_left_keeps_a_row(tmp_path: Path) -> None:
    save_csv(tmp_path / "set", POLYGON)
    assert batch(tmp_path / "set", tmp_path / "out", *OPTIONS).exit_code == 0
    (row,) = list(csv.reader((tmp_path / "out/via.csv").read_text().splitlines()))[1:]
    assert row[3:] == ["0", "0", "{}", "{}"]
    again = read(tmp_path / "out/via.csv")
    assert [item.request for item in again if isinstance(item, EditItem)] == [None]


def test_the_regions_of_version_1_are_numbered_by_keys(tmp_path: Path) -> None:
    entry = {**photo(), "regions": {"0": region(CAT), "1": region(RECT)}}
    file = save_json(tmp_path / "set", entry)
    result = batch(file, tmp_path / "out", "--id", "a.png#2", *OPTIONS)
    assert result.exit_code == 0, result.output
    assert is_square_removed(tmp_path / "out/a.png")
    left = json.loads((tmp_path / "out/via.json").read_text())["photo0"]["regions"]
    assert left == {"0": region(CAT)}


def test_an_ellipse_turns_by_radians(tmp_path: Path) -> None:
    """A quarter turn of a wide ellipse is a tall one."""
    shape = {"name": "ellipse", "cx": 30, "cy": 24, "rx": 10, "ry": 2, "theta": np.pi / 2}
    (item,) = read(save_json(tmp_path, photo(region(shape))))
    assert isinstance(item, EditItem)
    assert item.request
    corners = np.reshape(item.request["prompts"][0]["polygons"], (-1, 2))
    assert np.allclose(corners.max(0) - corners.min(0), [4, 20], atol=0.1)


@pytest.mark.parametrize(
    "attributes",
    [
        {"class": "dog"},
        {"Name": "dog", "age": "7"},
        {"type": {"dog": True, "cat": False}},
        {"type": {"wet": True, "dog": True}},
        {"what": "dog"},
    ],
)
def test_the_class_name_is_that_of_the_usual_attributes(
    tmp_path: Path, attributes: dict[str, Any]
) -> None:
    (item,) = read(save_json(tmp_path, photo(region(RECT, **attributes))), "dog")
    assert isinstance(item, EditItem)
    assert item.label == "dog"


def test_bad_regions_and_photos_do_not_cost_the_others(tmp_path: Path) -> None:
    bad = (
        region(LINE), region(POINT), region({**RECT, "x": None}), region({**RECT, "width": 0}),
        region({**POLYGON, "all_points_x": [1, 2]}), region({}), region("rect"), None, 5,
        region({**CIRCLE, "r": "wide"}),
    )  # fmt: skip
    file = save_json(
        tmp_path, photo(*bad, region(RECT)), photo(name=None), "text", photo(regions=7), {}
    )
    rows = read(file)
    assert [type(row) for row in rows] == [InvalidRow] * len(bad) + [EditItem] + [InvalidRow] * 4
    assert "a polyline has no area; expected rect, polygon, circle, ellipse" in str(rows[0])
    assert "photo0: region 3: expected a number for x, got None" in str(rows[2])
    result = batch(file, tmp_path / "out", "--skip-invalid", *OPTIONS)
    assert result.exit_code in (0, 3), result.output
    assert is_square_removed(tmp_path / "out/a.png")


def test_a_damaged_row_of_csv_is_reported_with_its_line(tmp_path: Path) -> None:
    file = save_csv(tmp_path, RECT)
    with file.open("a") as stream:
        stream.write('a.png,1,"{}",1,0,"{not json}","{}"\na.png,1\n')
    rows = read(file)
    assert [str(row)[: len(str(file)) + 2] for row in rows if isinstance(row, InvalidRow)] == [
        f"{file}:4", f"{file}:3",
    ]  # fmt: skip
    assert sum(isinstance(row, EditItem) for row in rows) == 1


def test_a_region_with_a_megabyte_of_points_is_read(tmp_path: Path) -> None:
    angles = np.linspace(0, 2 * np.pi, 60_000, endpoint=False)
    xs, ys = 26 + 9 * np.cos(angles), 22 + 9 * np.sin(angles)
    shape = {"name": "polygon", "all_points_x": xs.tolist(), "all_points_y": ys.tolist()}
    (item,) = read(save_csv(tmp_path, shape))
    assert isinstance(item, EditItem)


def test_a_project_of_version_3_is_refused_with_the_way_round(tmp_path: Path) -> None:
    file = tmp_path / "via.json"
    keys = ("project", "config", "attribute", "file", "metadata", "view")
    file.write_text(json.dumps({key: {} for key in keys}))
    result = batch(file, tmp_path / "out", "--format", "via", *OPTIONS)
    assert result.exit_code == 1
    assert "a project of VIA 3 cannot be read; export its annotations as COCO" in result.stderr


def test_csv_without_the_columns_of_via_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("filename,region_shape_attributes\na.png,{}\n")
    result = batch(file, tmp_path / "out", *OPTIONS)
    assert result.exit_code == 1
    assert "has no region_attributes" in result.stderr
