"""COCO instance and panoptic annotations."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable
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
    box_polygon,
    is_square_removed,
    load_photo,
    output_files,
    read_manifest,
    red_mask,
    save_photo,
)
from PIL import Image

from segment2inpaint.dataset.formats.coco import decode_mask
from segment2inpaint.errors import BadDataset

X0, Y0, X1, Y1 = RED_BOX
HEIGHT, WIDTH = PHOTO_SIZE
OPTIONS = (*FAST_OPTIONS, *NO_WORKERS)
BACKGROUND_BOX = (40, 30, 56, 44)  # an annotated patch without red


def annotation(
    number: int, image: int, category: int, box: tuple[int, ...], **fields: Any
) -> dict[str, Any]:
    """Return the record of a box, with a polygon; ``fields`` override those of the record."""
    x0, y0, x1, y1 = box
    w, h = x1 - x0, y1 - y0
    return {
        "id": number, "image_id": image, "category_id": category, "iscrowd": 0,
        "segmentation": [box_polygon(box)], "bbox": [x0, y0, w, h], "area": w * h, **fields,
    }  # fmt: skip


@pytest.fixture
def coco(tmp_path: Path) -> Path:
    """Three photos; the red square in each is a dog, a patch of background in two is a cat."""
    for number in range(3):
        save_photo(tmp_path / f"set/val/p{number}.png", number)
    data = {
        "info": {"year": 2026},
        "images": [
            {"id": n, "file_name": f"p{n}.png", "width": WIDTH, "height": HEIGHT} for n in range(3)
        ],
        "categories": [{"id": 1, "name": "dog"}, {"id": 7, "name": "cat"}],
        "annotations": [
            annotation(10, 0, 1, RED_BOX),
            annotation(11, 1, 1, RED_BOX, segmentation=run_lengths(), iscrowd=1),
            annotation(12, 2, 1, RED_BOX, segmentation=[]),
            annotation(13, 0, 7, BACKGROUND_BOX),
            annotation(14, 1, 7, BACKGROUND_BOX),
        ],
    }
    path = tmp_path / "set/annotations/instances_val.json"
    path.parent.mkdir()
    path.write_text(json.dumps(data, indent=1))
    return path


def run_lengths() -> dict[str, Any]:
    """Return the mask of the red square as compressed run lengths."""
    from pycocotools import mask

    encoded = mask.encode(np.asfortranarray(red_mask() // 255))
    return {"size": list(PHOTO_SIZE), "counts": encoded["counts"].decode()}


def read_with_pycocotools(path: Path) -> Any:
    from pycocotools.coco import COCO

    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(str(path))


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
    result = batch(coco, out, "--min-area", 10_000, *OPTIONS)
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
        (lambda d: d["annotations"][0].pop("id"), "not COCO annotations"),
        (lambda d: d["images"][0].update(file_name="none.png"), "not next to it; give --root"),
        (lambda d: d["images"][2].update(file_name="none.png"), "annotation 12: "),
        (lambda d: d["images"][1].pop("file_name"), "not COCO annotations"),
        (lambda d: d["categories"][1].pop("name"), "not COCO annotations"),
        (lambda d: d["annotations"][1].update(id=10), "two annotations have the id 10"),
        (lambda d: d["images"][1].update(id=0), "two images have the id 0"),
        (lambda d: d["annotations"][2].update(bbox=[1, 2]), "annotation 12: expected a bbox"),
        (lambda d: d["images"][1].update(file_name="../../a.png"), "../a.png must stay below"),
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


def test_a_mask_of_the_wrong_size_is_refused() -> None:
    with pytest.raises(BadDataset, match="have 11 pixels in total, expected 10x10 = 100"):
        decode_mask({"rle": {"size": [10, 10], "counts": [5, 6]}}, (10, 10))
    with pytest.raises(BadDataset, match="64x48, expected the photo's 10x10"):
        decode_mask({"rle": run_lengths()}, (10, 10))
    with pytest.raises(BadDataset, match="damaged"):
        decode_mask({"polygons": [[1, 2]]}, (10, 10))


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
