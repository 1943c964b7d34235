"""Label Studio annotations."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dataset_photos import (
    FAST_OPTIONS,
    NO_WORKERS,
    PHOTO_SIZE,
    RED_BOX,
    batch,
    is_square_removed,
    red_mask,
    save_photo,
)
from pycocotools import mask as coco_mask

from segment2inpaint.dataset.formats import label_studio_brush
from segment2inpaint.dataset.formats.annotations import AnnotationFilter
from segment2inpaint.dataset.formats.label_studio import LabelStudioSource
from segment2inpaint.dataset.run_types import EditItem, InvalidRow

X0, Y0, X1, Y1 = RED_BOX
HEIGHT, WIDTH = PHOTO_SIZE
OPTIONS = (*FAST_OPTIONS, *NO_WORKERS)
BASE = {"prompts": [], "refine": {}, "fill": {}}

# ``red_mask`` as the encoder of Label Studio writes it.
RED_BRUSH = [
    0, 0, 48, 0, 57, 27, 255, 16, 79, 0, 197, 255, 251, 60, 3, 23, 255, 236, 240, 12, 95, 255,
    179, 192, 49, 127, 254, 207, 0, 197, 255, 251, 60, 3, 23, 255, 236, 240, 12, 95, 255, 179,
    192, 49, 127, 254, 207, 0, 197, 255, 251, 60, 3, 23, 255, 236, 240, 12, 95, 255, 179, 192,
    49, 127, 255, 20, 127, 0, 0,
]  # fmt: skip


def share(x: float, y: float) -> list[float]:
    """Return pixels as per cent of the width and height."""
    return [100 * x / WIDTH, 100 * y / HEIGHT]


def result(kind: str, value: dict[str, Any], label: str = "dog", **fields: Any) -> dict[str, Any]:
    return {
        "id": f"{kind}-{label}", "type": f"{kind}labels", "from_name": "label",
        "to_name": "image", "original_width": WIDTH, "original_height": HEIGHT,
        "image_rotation": 0, "value": {**value, f"{kind}labels": [label]}, **fields,
    }  # fmt: skip


def rectangle(box: tuple[float, ...] = RED_BOX, label: str = "dog", **value: Any) -> dict[str, Any]:
    x, y = share(box[0], box[1])
    width, height = share(box[2] - box[0], box[3] - box[1])
    return result("rectangle", {"x": x, "y": y, "width": width, "height": height, **value}, label)


def ellipse() -> dict[str, Any]:
    (x, y), (rx, ry) = share(26, 22), share(9, 9)
    return result("ellipse", {"x": x, "y": y, "radiusX": rx, "radiusY": ry, "rotation": 0})


def polygon() -> dict[str, Any]:
    corners = [share(x, y) for x, y in ((X0, Y0), (X1, Y0), (X1, Y1), (X0, Y1))]
    return result("polygon", {"points": corners, "closed": True})


def brush(stream: Any = RED_BRUSH) -> dict[str, Any]:
    return result("brush", {"format": "rle", "rle": stream})


def task(*results: Any, image: Any = "/data/upload/1/3f2a01cc-a.png", **fields: Any) -> Any:
    annotation = {"id": 9, "was_cancelled": False, "result": list(results)}
    return {"id": 5, "data": {"image": image}, "annotations": [annotation], **fields}


def save_export(home: Path, *tasks: Any) -> Path:
    save_photo(home / "images/a.png")
    (home / "export.json").write_text(json.dumps(tasks))
    return home / "export.json"


def read(file: Path, *categories: str) -> list[EditItem | InvalidRow]:
    return list(LabelStudioSource(str(file), BASE, AnnotationFilter(categories)).items())


def messages(file: Path) -> list[str]:
    return [str(row) for row in read(file) if isinstance(row, InvalidRow)]


@pytest.mark.parametrize("shape", [rectangle, ellipse, polygon, brush])
def test_a_shape_of_each_kind_is_removed_and_leaves_the_annotations(
    tmp_path: Path, shape: Any
) -> None:
    dog = shape()
    text = {"id": dog["id"], "type": "textarea", "value": {"text": ["barks"]}}
    relation = {"type": "relation", "from_id": dog["id"], "to_id": "other"}
    cat = rectangle((1, 1, 5, 5), "cat")
    file = save_export(tmp_path / "set", task(dog, text, relation, cat))
    out = tmp_path / "out"
    done = batch(file, out, "--category", "dog", *OPTIONS)
    assert done.exit_code == 0, done.output
    assert is_square_removed(out / "images/a.png")
    (left,) = json.loads((out / "export.json").read_text())
    assert left["annotations"][0]["result"] == [cat]


def test_a_brush_mask_of_the_real_encoder_is_decoded() -> None:
    mask = label_studio_brush.decode(RED_BRUSH, PHOTO_SIZE)
    assert np.array_equal(mask, red_mask() > 0)


def test_a_brush_mask_becomes_run_lengths_with_the_area_of_pycocotools(tmp_path: Path) -> None:
    (item,) = read(save_export(tmp_path, task(brush())))
    assert isinstance(item, EditItem)
    assert item.request
    encoded = coco_mask.frPyObjects(item.request["prompts"][0]["rle"], HEIGHT, WIDTH)
    assert coco_mask.area(encoded) == (X1 - X0) * (Y1 - Y0)


@pytest.mark.parametrize(
    "stream",
    [RED_BRUSH[:20], [], [*RED_BRUSH[:2], 99, *RED_BRUSH[3:]], "abc", [1, "x"], [300] * 9, None],
)
def test_a_damaged_brush_mask_does_not_cost_the_others(tmp_path: Path, stream: Any) -> None:
    rows = read(save_export(tmp_path, task(brush(stream), polygon())))
    assert [type(row) for row in rows] == [InvalidRow, EditItem]
    assert "brush mask" in str(rows[0])


def test_a_rectangle_turns_around_its_top_left_corner(tmp_path: Path) -> None:
    (item,) = read(save_export(tmp_path, task(rectangle((20, 10, 40, 14), rotation=90))))
    assert isinstance(item, EditItem)
    assert item.request
    (flat,) = item.request["prompts"][0]["polygons"]
    assert np.allclose(np.reshape(flat, (-1, 2)), [[20, 10], [20, 30], [16, 30], [16, 10]])
    assert item.photo_size == PHOTO_SIZE


@pytest.mark.parametrize(
    "name",
    [
        "a.png",
        "images\\a.png",
        "/data/local-files/?d=shots/images/a.png",
        "http://localhost:8080/data/upload/1/a.png",
        "s3://bucket/folder/a.png?signature=1",
        "/data/upload/7/deadbeef-a.png",
    ],
)
def test_the_photo_is_found_by_the_name_that_label_studio_gives_it(
    tmp_path: Path, name: str
) -> None:
    (item,) = read(save_export(tmp_path, task(rectangle(), image=name)))
    assert isinstance(item, EditItem)
    assert item.photo == str(tmp_path / "images/a.png")


def test_root_is_the_folder_of_the_photos(tmp_path: Path) -> None:
    file = save_export(tmp_path / "set", task(rectangle(), image="/data/upload/1/b.png"))
    save_photo(tmp_path / "elsewhere/b.png")
    done = batch(file, tmp_path / "out", "--root", tmp_path / "elsewhere", *OPTIONS)
    assert done.exit_code == 0, done.output
    assert is_square_removed(tmp_path / "out/elsewhere/b.png")


def test_a_label_of_its_own_result_belongs_to_the_shape_of_its_id(tmp_path: Path) -> None:
    shape = {**rectangle(), "id": "r1", "type": "rectangle"}
    del shape["value"]["rectanglelabels"]
    label = {**shape, "type": "labels", "value": {**shape["value"], "labels": ["dog"]}}
    (item,) = read(save_export(tmp_path, task(shape, label)), "dog")
    assert isinstance(item, EditItem)
    assert item.label == "dog"


def test_the_short_form_is_read(tmp_path: Path) -> None:
    value = {**rectangle()["value"], "original_width": WIDTH, "original_height": HEIGHT}
    file = save_export(tmp_path / "set", {"image": "a.png", "id": 1, "label": [value]})
    done = batch(file, tmp_path / "out", "--category", "dog", *OPTIONS)
    assert done.exit_code == 0, done.output
    assert is_square_removed(tmp_path / "out/images/a.png")
    assert json.loads((tmp_path / "out/export.json").read_text())[0]["label"] == []


def test_a_folder_of_single_tasks_is_read(tmp_path: Path) -> None:
    save_export(tmp_path / "set")
    (tmp_path / "set/export.json").write_text(json.dumps(task(rectangle())))
    done = batch(tmp_path / "set", tmp_path / "out", *OPTIONS)
    assert done.exit_code == 0, done.output
    assert is_square_removed(tmp_path / "out/images/a.png")


def test_cancelled_annotations_choices_and_predictions_are_no_objects(tmp_path: Path) -> None:
    choice = {"id": "c", "type": "choices", "value": {"choices": ["outdoor"]}}
    cancelled = {"result": [rectangle()], "was_cancelled": True}
    (item,) = read(
        save_export(
            tmp_path,
            task(choice, annotations=[cancelled], predictions=[{"result": [rectangle()]}]),
        )
    )
    assert isinstance(item, EditItem)
    assert item.request is None


def test_bad_records_do_not_cost_the_others(tmp_path: Path) -> None:
    no_size = {**rectangle(), "original_width": None}
    turned = {**rectangle(), "image_rotation": 90}
    point = result("keypoint", {"x": 5, "y": 5, "width": 0.3})
    nulls = rectangle(x=None)
    flat = rectangle((3, 3, 3, 9))
    file = save_export(
        tmp_path, task(no_size, turned, point, nulls, flat, None, "x", 7, rectangle()),
        task(image=None), task(image="data:image/png;base64,AAAA"), None, "text",
        task(rectangle(), image="absent.png"), {"id": 1}, task(rectangle(), annotations=[3]),
    )  # fmt: skip
    rows = read(file)
    lines = messages(file)
    assert [line.rpartition(": ")[0] or line for line in lines[:3]]
    assert "original_width" in lines[0]
    assert "turned by 90 degrees" in lines[1]
    assert "a keypoint has no area" in lines[2]
    assert "number for x, got None" in lines[3]
    assert "no area" in lines[4]
    items = [row for row in rows if isinstance(row, EditItem)]
    assert [Path(item.photo).name for item in items] == ["a.png", "absent.png"]
    assert len(lines) == 14


def test_json_that_is_no_export_is_refused_in_a_line(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text('[{"x": 1}]')
    done = batch(file, tmp_path / "out", "--format", "label-studio", *OPTIONS)
    assert done.exit_code == 1
    assert "expected a list of Label Studio tasks" in done.stderr
