"""COCO files as they are written: loose, damaged, in other encodings, of other machines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from coco_samples import (
    BACKGROUND_BOX,
    HEIGHT,
    WIDTH,
    annotation,
    save_coco,
)
from dataset_photos import (
    FAST_OPTIONS,
    NO_WORKERS,
    RED_BOX,
    batch,
    box_polygon,
    is_square_removed,
    output_files,
    read_manifest,
    save_photo,
)

X0, Y0, X1, Y1 = RED_BOX
OPTIONS = (*FAST_OPTIONS, *NO_WORKERS)


@pytest.fixture
def coco(tmp_path: Path) -> Path:
    return save_coco(tmp_path)


SQUARE = box_polygon(RED_BOX)


@pytest.mark.parametrize(
    "segmentation",
    [
        SQUARE,
        [[*map(str, SQUARE)]],
        [[[x, y] for x, y in zip(SQUARE[::2], SQUARE[1::2], strict=True)]],
        [[], [X0, Y0, X1, Y1], [X0, Y0, X0, Y0, X1, Y1], SQUARE],
        [[X0, Y0, X0 + 6, Y0, X0 + 6, Y1, X0, Y1], [X0 + 6, Y0, X1, Y0, X1, Y1, X0 + 6, Y1]],
        [[], [X0, Y0]],
        None,
    ],
)
def test_loose_segmentations_are_read(coco: Path, tmp_path: Path, segmentation: object) -> None:
    """Parts without an area are left out; the box counts if none remains."""
    data = json.loads(coco.read_text())
    data["annotations"] = [annotation(10, 0, 1, RED_BOX, segmentation=segmentation)]
    coco.write_text(json.dumps(data))
    result = batch(coco, tmp_path / "out", "--id", "10", *OPTIONS)
    assert result.exit_code == 0, result.output
    assert is_square_removed(tmp_path / "out/val/p0.png")


@pytest.mark.parametrize(
    ("image_id", "category_id"), [("0", "1"), (0.0, 1.0), ("000", " 1 "), ("0", 1), (0, "01")]
)
def test_ids_match_whether_they_are_numbers_or_text(
    coco: Path, tmp_path: Path, image_id: object, category_id: object
) -> None:
    data = json.loads(coco.read_text())
    data["annotations"][0].update(image_id=image_id, category_id=category_id)
    coco.write_text(json.dumps(data))
    result = batch(coco, tmp_path / "out", "--id", "10", "--category", "dog", *OPTIONS)
    assert result.exit_code == 0, result.output
    assert is_square_removed(tmp_path / "out/val/p0.png")


def test_text_ids_that_look_alike_are_told_apart(coco: Path, tmp_path: Path) -> None:
    """The images "1" and "01" are two, and the number 1 is neither."""
    data = json.loads(coco.read_text())
    for image, id in zip(data["images"], ("1", "01", "2"), strict=True):
        image["id"] = id
    data["annotations"] = [annotation(10, 1, 1, RED_BOX), annotation(11, "01", 1, RED_BOX)]  # type: ignore[arg-type]
    coco.write_text(json.dumps(data))
    result = batch(coco, tmp_path / "out", *OPTIONS)
    assert "annotation 10: no image has its image_id 1" in result.output
    assert not is_square_removed(tmp_path / "out/val/p0.png")
    assert is_square_removed(tmp_path / "out/val/p1.png")
    assert result.exit_code == 3


def test_the_first_of_two_annotations_with_one_id_is_removed(coco: Path, tmp_path: Path) -> None:
    data = json.loads(coco.read_text())
    data["annotations"][3]["id"] = 10
    coco.write_text(json.dumps(data))
    out = tmp_path / "out"
    result = batch(coco, out, "--category", "dog", "--skip-invalid", *OPTIONS)
    assert is_square_removed(out / "val/p0.png"), result.output
    after = json.loads((out / "annotations/instances_val.json").read_text())["annotations"]
    assert [(record["id"], record["category_id"]) for record in after] == [(10, 7), (14, 7)]


DAMAGE: list[dict[str, Any]] = [
    {"bbox": [0, 0, 5, 0], "segmentation": []},
    {"bbox": [9, 9, -4, 4], "segmentation": None},
    {"bbox": {"x": 1}},
    {"bbox": [1, 2, "wide", 3]},
    {"bbox": [1, 2, 10**400, 3]},
    {"segmentation": {"size": [HEIGHT, WIDTH], "counts": "0" * 40}},
    {"segmentation": {"size": [HEIGHT, WIDTH], "counts": [-5, HEIGHT * WIDTH + 5]}},
    {"segmentation": {"size": [10, 90], "counts": [900]}},
    {"segmentation": {"counts": [HEIGHT * WIDTH]}},
    {"segmentation": [[1, 2, 3, float("inf"), 5, 6]]},
    {"segmentation": [[1, 2, 3, 4, 5, 6, 7]]},
    {"segmentation": 7},
    {"category_id": None},
    {"category_id": [1]},
    {"image_id": {}},
    {"image_id": None},
    {"id": 10},
]


@pytest.mark.parametrize("damage", DAMAGE, ids=str)
def test_a_damaged_annotation_stops_no_other(
    coco: Path, tmp_path: Path, damage: dict[str, Any]
) -> None:
    data = json.loads(coco.read_text())
    data["annotations"].insert(1, {**annotation(99, 1, 1, BACKGROUND_BOX), **damage})
    coco.write_text(json.dumps(data))
    out = tmp_path / "out"
    result = batch(coco, out, "--category", "dog", "--skip-invalid", *OPTIONS)
    assert f"annotation {damage.get('id', 99)}: " in result.output
    assert "Traceback" not in result.output
    assert all(is_square_removed(out / f"val/p{n}.png") for n in range(3))
    after = json.loads((out / "annotations/instances_val.json").read_text())["annotations"]
    assert damage.get("id", 99) in [record["id"] for record in after]


def test_an_object_outside_of_its_photo_stops_no_other_of_it(coco: Path, tmp_path: Path) -> None:
    """Without a declared size it is found when the photo is read; its annotation remains."""
    data = json.loads(coco.read_text())
    for image in data["images"]:
        del image["width"], image["height"]
    turned = {"size": [WIDTH, HEIGHT], "counts": [WIDTH * HEIGHT - 9, 9]}
    data["annotations"][:0] = [
        annotation(97, 0, 1, (70, 2, 80, 9), segmentation=[]),
        annotation(98, 0, 1, RED_BOX, segmentation=turned),
    ]
    coco.write_text(json.dumps(data))
    out = tmp_path / "out"
    result = batch(coco, out, "--category", "dog", *OPTIONS)
    assert result.exit_code == 3, result.output
    assert is_square_removed(out / "val/p0.png")
    rows = {row["id"]: row for row in read_manifest(out)}
    assert {id: row["status"] for id, row in rows.items()} == {
        "97": "failed", "98": "failed", "10": "done", "11": "done", "12": "done"
    }  # fmt: skip
    assert rows["97"]["error"] == "box 70,2,80,9 is outside the photo of 64 x 48 px"
    assert "a photo of 48x64, but the photo has 64x48" in rows["98"]["error"]
    after = json.loads((out / "annotations/instances_val.json").read_text())["annotations"]
    assert [record["id"] for record in after] == [97, 98, 13, 14]


def test_photos_that_are_not_there_stop_no_other(coco: Path, tmp_path: Path) -> None:
    """The first two of three photos are missing; none of them is taken for the third."""
    (tmp_path / "set/val/p0.png").unlink()
    (tmp_path / "set/val/p1.png").unlink()
    out = tmp_path / "out"
    result = batch(coco, out, "--category", "dog", "--skip-invalid", *OPTIONS)
    assert result.exit_code == 3, result.output
    assert "p0.png: no such file" in result.output
    assert [name for name in output_files(out) if name.startswith("val/")] == ["val/p2.png"]
    assert is_square_removed(out / "val/p2.png")


@pytest.mark.parametrize(
    ("name", "output"),
    [
        ("..\\val\\p0.png", "val/p0.png"),
        ("../val/p0.png", "val/p0.png"),
        ("/home/someone/set/val/p0.png", "val/p0.png"),
        ("C:\\Users\\someone\\p0.png", "val/p0.png"),
        ("https://example.org/val/p0.png", "val/p0.png"),
        ("VAL/P0.PNG", "val/p0.png"),
    ],
)
def test_names_of_other_machines_are_read(
    coco: Path, tmp_path: Path, name: str, output: str
) -> None:
    data = json.loads(coco.read_text())
    data["images"][0]["file_name"] = name
    coco.write_text(json.dumps(data))
    result = batch(coco, tmp_path / "out", "--id", "10", *OPTIONS)
    assert result.exit_code == 0, result.output
    assert is_square_removed(tmp_path / "out" / output)


def test_a_photo_of_another_folder_is_not_taken_for_a_missing_one(tmp_path: Path) -> None:
    """Photos of two cameras have the same names, and one camera's are missing."""
    save_photo(tmp_path / "set/images/left/1.png")
    images = [{"id": n, "file_name": f"{side}/1.png"} for n, side in enumerate(("left", "right"))]
    records = [annotation(7, 1, 1, BACKGROUND_BOX), annotation(8, 0, 1, RED_BOX)]
    path = tmp_path / "set/labels.json"
    categories = [{"id": 1, "name": "dog"}]
    path.write_text(
        json.dumps({"images": images, "annotations": records, "categories": categories})
    )
    out = tmp_path / "out"
    result = batch(path, out, "--skip-invalid", *OPTIONS)
    assert "right/1.png: no such file" in result.output
    assert [row["id"] for row in read_manifest(out)] == ["8"]
    assert is_square_removed(out / "images/left/1.png")


def test_photos_outside_of_the_dataset_are_written_into_the_output_folder(
    coco: Path, tmp_path: Path
) -> None:
    save_photo(tmp_path / "a.png")
    data = json.loads(coco.read_text())
    data["images"][0]["file_name"] = "../../a.png"
    coco.write_text(json.dumps(data))
    result = batch(coco, tmp_path / "out", "--id", "10", *OPTIONS)
    assert result.exit_code == 0, result.output
    assert is_square_removed(tmp_path / "out/a.png")
    assert not is_square_removed(tmp_path / "a.png")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([{"image_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}], "a list of detections"),
        ({"images": [{}], "annotations": [{"image_id": 1, "caption": "a dog"}]}, "only captions"),
        ({"images": [{}], "annotations": [{"keypoints": [1, 2, 2]}]}, "only key points"),
        ({"images": [{}]}, "expected a list of annotations, got None"),
        (["text"], "got list"),
        (None, "got NoneType"),
    ],
)
def test_a_file_without_places_is_refused(tmp_path: Path, content: object, message: str) -> None:
    path = tmp_path / "labels.json"
    path.write_text(json.dumps(content))
    result = batch(path, tmp_path / "out", "--format", "coco", *OPTIONS)
    assert result.exit_code == 1
    assert message in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
def test_other_encodings_are_read(coco: Path, tmp_path: Path, encoding: str) -> None:
    data = json.loads(coco.read_text())
    data["categories"][0]["name"] = "Hündin"
    coco.write_bytes(json.dumps(data, ensure_ascii=False).encode(encoding))
    result = batch(coco, tmp_path / "out", "--category", "Hündin", *OPTIONS)
    assert result.exit_code == 0, result.output
    assert is_square_removed(tmp_path / "out/val/p2.png")


def test_areas_may_be_missing_or_text(coco: Path, tmp_path: Path) -> None:
    """A missing area is that of the box."""
    data = json.loads(coco.read_text())
    for record, area in zip(data["annotations"], (None, "144", 144.0, 224, "224"), strict=True):
        record["area"] = area
    coco.write_text(json.dumps(data))
    result = batch(coco, tmp_path / "out", "--max-area", "150", *OPTIONS)
    assert result.exit_code == 0, result.output
    assert sorted(row["id"] for row in read_manifest(tmp_path / "out")) == ["10", "11", "12"]
