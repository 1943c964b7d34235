"""COCO instance and panoptic annotations."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from coco_samples import (
    HEIGHT,
    WIDTH,
    read_with_pycocotools,
    run_lengths,
    save_coco,
)
from dataset_photos import (
    FAST_OPTIONS,
    NO_WORKERS,
    PHOTO_SIZE,
    RED_BOX,
    batch,
    is_square_removed,
    load_photo,
    output_files,
    read_manifest,
    save_photo,
)
from PIL import Image

from segment2inpaint.dataset.formats.coco_masks import decode_polygons, decode_run_lengths
from segment2inpaint.errors import BadDataset

X0, Y0, X1, Y1 = RED_BOX
OPTIONS = (*FAST_OPTIONS, *NO_WORKERS)


@pytest.fixture
def coco(tmp_path: Path) -> Path:
    return save_coco(tmp_path)


def test_objects_of_a_category_are_removed(coco: Path, tmp_path: Path) -> None:
    """They have a polygon, run lengths or a box only; the annotations of cats remain."""
    out = tmp_path / "out"
    result = batch(coco, out, "--category", "dog", *OPTIONS)
    assert result.exit_code == 0, result.output
    assert all(is_square_removed(out / f"val/p{n}.png") for n in range(3))
    before, after = (
        read_with_pycocotools(coco),
        read_with_pycocotools(out / "annotations/instances_val.json"),
    )
    assert after.getAnnIds(catIds=[1]) == []
    cats = after.getAnnIds(catIds=[7])
    assert cats == [13, 14]
    assert after.loadAnns(cats) == before.loadAnns(cats)
    assert after.dataset["images"] == before.dataset["images"]
    assert after.dataset["info"] == before.dataset["info"]
    rows = {row["id"]: row for row in read_manifest(out)}
    assert {key: row["label"] for key, row in rows.items()} == dict.fromkeys(
        ["10", "11", "12"], "dog"
    )
    assert rows["10"]["detector"] == "mask"
    assert rows["12"]["detector"] == "builtin"
    assert rows["11"]["box"] == list(RED_BOX)


def test_nothing_changes_if_no_object_is_selected(coco: Path, tmp_path: Path) -> None:
    """All photos and the annotations are the same, byte for byte."""
    out = tmp_path / "out"
    result = batch(coco, out, "--min-area", 10_000, "--if-nothing", "copy", *OPTIONS)
    assert result.exit_code == 0, result.output
    assert output_files(out) == output_files(coco.parent.parent)


@pytest.mark.parametrize(
    ("options", "removed"),
    [
        (["--id", "13"], [13]),
        (["--min-area", "200"], [13, 14]),  # 14 x 16 px, the square has 12 x 12
        (["--max-area", "5%"], [10, 11, 12]),
        (["--category", "dog", "--min-area", "4%", "--use", "box"], [10, 11, 12]),
        ([], [10, 11, 12, 13, 14]),
    ],
)
def test_objects_are_selected_by_id_and_area(
    coco: Path, tmp_path: Path, options: list[str], removed: list[int]
) -> None:
    """Photos in which nothing is selected are copied."""
    out = tmp_path / "out"
    result = batch(coco, out, *options, *OPTIONS)
    remaining = read_with_pycocotools(out / "annotations/instances_val.json").getAnnIds()
    missing = sorted(set(range(10, 15)) - set(remaining))
    # In a box of bare background there may be no object: then its annotation remains.
    failed = [int(row["id"]) for row in read_manifest(out) if row["status"] == "failed"]
    assert sorted(missing + failed) == removed, result.output
    assert result.exit_code == (3 if failed else 0)
    assert len([name for name in output_files(out) if name.startswith("val/")]) == 3


def test_a_failed_photo_keeps_its_annotations(coco: Path, tmp_path: Path) -> None:
    (tmp_path / "set/val/p1.png").write_bytes(b"broken")
    out = tmp_path / "out"
    assert batch(coco, out, "--category", "dog", *OPTIONS).exit_code == 3
    assert read_with_pycocotools(out / "annotations/instances_val.json").getAnnIds(catIds=[1]) == [
        11
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.pop("images"), "not COCO annotations"),
        (lambda d: d.update(annotations={}), "expected a list of annotations, got {}"),
        (lambda d: d.update(images=[]), "lists no images"),
        (lambda d: [i.update(file_name="none.png") for i in d["images"]], "give --root"),
        (lambda d: d["images"][0].update(file_name="none.png"), "annotation 10: "),
        (lambda d: d["images"][2].update(file_name="none.png"), "annotation 12: "),
        (lambda d: d["images"][1].pop("file_name"), "image 1: expected a key 'file_name'"),
        (lambda d: d["images"][1].update(width=-64), "image 1: expected the photo's width"),
        (lambda d: d["categories"][1].pop("name"), "category 7: expected a key 'name'"),
        (lambda d: d["annotations"][3].update(category_id=8), "no category has its category_id 8"),
        (lambda d: d["annotations"][1].update(id=10), "two annotations have the id 10"),
        (lambda d: d["images"][1].update(id=0), "two images have the id 0"),
        (lambda d: d["annotations"][2].update(bbox=[1, 2]), "annotation 12: expected a bbox"),
        (lambda d: d["annotations"][2].update(bbox=[1, 2, 0, 9]), "annotation 12: no place"),
        (lambda d: d["annotations"][2].update(bbox=[1, 2, float("nan"), 9]), "number for a bbox"),
        (lambda d: d["annotations"][0].update(segmentation="text"), "expected polygons or run"),
        (lambda d: d["annotations"][0].update(segmentation=[[1, 2, None]]), "got None"),
        (
            lambda d: d["annotations"][0].update(segmentation=[[0, 0, 1e9, 0, 1, 1]]),
            "got 1000000000",
        ),
        (lambda d: d["annotations"].insert(1, "text"), "annotation #2: expected an annotation"),
        (lambda d: d["annotations"][1]["segmentation"].update(counts="0"), "11: the annotated run"),
    ],
)
def test_an_invalid_file_is_reported(
    coco: Path, tmp_path: Path, change: Callable[[Any], object], message: str
) -> None:
    save_photo(tmp_path / "a.png")
    data = json.loads(coco.read_text())
    change(data)
    coco.write_text(json.dumps(data))
    result = batch(coco, tmp_path / "out", *OPTIONS)
    assert result.exit_code == 1, result.output
    assert message in result.stderr


def test_an_unknown_category_is_reported(coco: Path, tmp_path: Path) -> None:
    result = batch(coco, tmp_path / "out", "--category", "zebra", *OPTIONS)
    assert result.exit_code == 1
    assert "no category 'zebra'; known: cat, dog" in result.stderr


def test_an_unknown_id_is_reported(coco: Path, tmp_path: Path) -> None:
    result = batch(coco, tmp_path / "out", "--id", "10", "--id", "99", *OPTIONS)
    assert result.exit_code == 1
    assert "no annotation has the id '99'" in result.stderr


def test_copied_photos_are_counted(coco: Path, tmp_path: Path) -> None:
    result = batch(coco, tmp_path / "out", "--id", "10", *OPTIONS)
    assert "3 of 3 photos done (2 of them copied unchanged), 0 failed" in result.stderr


def test_results_are_read_by_supervision(coco: Path, tmp_path: Path) -> None:
    supervision = pytest.importorskip("supervision")
    out = tmp_path / "out"
    assert batch(coco, out, "--category", "dog", *OPTIONS).exit_code == 0
    dataset = supervision.DetectionDataset.from_coco(
        str(out / "val"), str(out / "annotations/instances_val.json")
    )
    found = {Path(path).name: len(labels) for path, _, labels in dataset}
    assert found == {"p0.png": 1, "p1.png": 1, "p2.png": 0}


def test_damaged_masks_are_refused() -> None:
    """pycocotools would return random memory for the texts."""
    text = run_lengths()["counts"]
    for counts, message in (
        ([5, 6], "have 11 pixels in total, expected 64x48 = 3072"),
        ([4000, -928], "whole numbers"),
        ([3072.0], "whole numbers"),
        (None, "damaged"),
        ("", "have 0 pixels in total"),
        (text + "1", "pixels in total"),
        (text + "\x7f", "unexpected"),
        (text + "o", "ends within a number"),
    ):
        with pytest.raises(BadDataset, match=message):
            decode_run_lengths({"size": list(PHOTO_SIZE), "counts": counts})
    with pytest.raises(BadDataset, match="more than is read"):
        decode_run_lengths({"size": [10**6, 10**6], "counts": [10**12]})
    with pytest.raises(BadDataset, match="damaged"):
        decode_polygons([[1, 2]], PHOTO_SIZE)


def test_panoptic_segments_of_things_are_removed(tmp_path: Path) -> None:
    """Stuff is not selected; the pixels of a removed segment are unlabelled."""
    save_photo(tmp_path / "set/p.png")
    ids = np.full(PHOTO_SIZE, 300, np.int64)
    ids[Y0:Y1, X0:X1] = 70_000
    colors = np.stack([ids % 256, ids // 256 % 256, ids // 65536], axis=2).astype(np.uint8)
    (tmp_path / "set/panoptic").mkdir()
    Image.fromarray(colors).save(tmp_path / "set/panoptic/p.png")
    segments = [
        {"id": 300, "category_id": 2, "area": 2928, "bbox": [0, 0, WIDTH, HEIGHT], "iscrowd": 0},
        {"id": 70_000, "category_id": 1, "area": 144, "bbox": [X0, Y0, 12, 12], "iscrowd": 0},
    ]
    data = {
        "images": [{"id": 5, "file_name": "p.png", "width": WIDTH, "height": HEIGHT}],
        "categories": [
            {"id": 1, "name": "dog", "isthing": 1}, {"id": 2, "name": "sky", "isthing": 0}
        ],
        "annotations": [{"image_id": 5, "file_name": "p.png", "segments_info": segments}],
    }  # fmt: skip
    (tmp_path / "set/panoptic.json").write_text(json.dumps(data))
    out = tmp_path / "out"
    result = batch(tmp_path / "set/panoptic.json", out, *OPTIONS)
    assert result.exit_code == 0, result.output
    assert is_square_removed(out / "p.png")
    annotations = json.loads((out / "panoptic.json").read_text())["annotations"]
    assert annotations[0]["segments_info"] == segments[:1]
    after = load_photo(out / "panoptic/p.png")
    assert (after[Y0:Y1, X0:X1] == 0).all()
    assert (after == colors)[ids == 300].all()


def test_a_damaged_segment_stops_no_other(tmp_path: Path) -> None:
    """Ids may be text; a segment without a category and a missing PNG are reported."""
    for number in range(2):
        save_photo(tmp_path / f"set/p{number}.png")
    ids = np.zeros(PHOTO_SIZE, np.int64)
    ids[Y0:Y1, X0:X1] = 300
    colors = np.stack([ids % 256, ids // 256, ids // 65536], axis=2).astype(np.uint8)
    (tmp_path / "set/panoptic").mkdir()
    Image.fromarray(colors).save(tmp_path / "set/panoptic/p0.png")
    segments = [
        {"id": 5},
        None,
        {"id": "300", "category_id": "1", "bbox": None, "area": None},
    ]
    data = {
        "images": [{"id": n, "file_name": f"p{n}.png", "width": None} for n in range(2)],
        "categories": [{"id": 1, "name": "dog"}],
        "annotations": [
            {"image_id": "0", "file_name": "p0.png", "segments_info": segments},
            {"image_id": 1, "file_name": "p1.png", "segments_info": segments[2:]},
            {"image_id": 9, "file_name": "p1.png", "segments_info": []},
            {"image_id": 0, "file_name": "p0.png", "segments_info": 4},
        ],
    }
    (tmp_path / "set/panoptic.json").write_text(json.dumps(data))
    out = tmp_path / "out"
    result = batch(tmp_path / "set/panoptic.json", out, "--skip-invalid", *OPTIONS)
    assert result.exit_code == 3, result.output
    for message in (
        "segment 5: no category", "segment None: ", "panoptic/p1.png: no such file",
        "no image has its image_id 9",
    ):  # fmt: skip
        assert message in result.output
    assert is_square_removed(out / "p0.png")
    after = json.loads((out / "panoptic.json").read_text())["annotations"]
    assert after[0]["segments_info"] == segments[:2]
    assert not load_photo(out / "panoptic/p0.png").any()
