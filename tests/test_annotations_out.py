"""Annotations that a run over masks writes, as other readers read them."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml
from coco_samples import read_with_pycocotools
from dataset_photos import PHOTO_SIZE, save_photo

from segment2inpaint.dataset import MaskOutputs
from segment2inpaint.dataset.annotations_out import registry
from segment2inpaint.dataset.annotations_out.objects import RecordedObject, encode_mask
from segment2inpaint.dataset.annotations_out.polygons import joined_polygon, mask_polygons
from segment2inpaint.dataset.formats import coco_masks
from segment2inpaint.dataset.run_types import ANNOTATION_FORMATS
from segment2inpaint.types import bounding_box

HEIGHT, WIDTH = PHOTO_SIZE


def shapes() -> dict[str, np.ndarray]:
    """Return masks (48, 64) bool: whole, with holes, in parts, thin, at the border, ragged."""
    disc, ring, parts, thin, border = (np.zeros(PHOTO_SIZE, np.uint8) for _ in range(5))
    cv2.circle(disc, (30, 24), 12, 1, -1)
    cv2.circle(ring, (30, 24), 20, 1, -1)
    cv2.circle(ring, (26, 20), 6, 0, -1)
    cv2.circle(ring, (36, 30), 4, 0, -1)
    cv2.circle(ring, (26, 20), 2, 1, -1)  # an island in a hole
    parts[3:9, 4:20] = parts[30:44, 40:60] = 1
    thin[5, 3:40] = thin[10:40, 50] = thin[45, 2] = 1
    border[:, :9] = border[40:, :] = 1
    noise = np.random.default_rng(1).random(PHOTO_SIZE).astype(np.float32)
    ragged = cv2.GaussianBlur(noise, (0, 0), 2) > 0.5
    named = {"disc": disc, "ring": ring, "parts": parts, "thin": thin, "border": border}
    return {**{name: mask > 0 for name, mask in named.items()}, "ragged": ragged}


@pytest.mark.parametrize("name", shapes())
def test_polygons_give_back_the_mask_pixel_for_pixel(name: str) -> None:
    """They do so one for each part, and joined to a single one."""
    mask = shapes()[name]
    polygons = mask_polygons(mask)
    for lines in (polygons, [joined_polygon(polygons)]):
        flat = [line.ravel().tolist() for line in lines]
        assert (coco_masks.decode_polygons(flat, PHOTO_SIZE) == mask).all()
    assert (len(polygons) == 1) == (name in ("disc", "border"))


def test_run_lengths_give_back_the_mask() -> None:
    for mask in shapes().values():
        assert (coco_masks.decode_run_lengths(encode_mask(mask)) == mask).all()


# --- datasets ---------------------------------------------------------------------------------


def recorded(mask: np.ndarray, label: str, **fields: Any) -> dict[str, Any]:
    values = {"id": "", "score": 0.75, "is_crowd": False, **fields}
    box, area = bounding_box(mask), int(mask.sum())
    run_lengths = encode_mask(mask)
    return RecordedObject(
        label=label, box=box, area=area, run_lengths=run_lengths, **values
    ).to_json()


@pytest.fixture
def records(tmp_path: Path) -> list[dict[str, Any]]:
    """Three photos: with three objects, with a crowd, without an object; and a failed one."""
    s = shapes()
    objects = {
        "a.jpg": [recorded(s["disc"], "dog", id="7"), recorded(s["ring"], "cat"),
                  recorded(s["parts"], "")],
        "a.png": [recorded(s["border"], "sheep", is_crowd=True), recorded(s["thin"], "dog")],
        "x/b.png": [],
    }  # fmt: skip
    done = [
        {"photo": str(save_photo(tmp_path / "in" / name)), "output": name, "status": "done",
         "size": list(PHOTO_SIZE), "objects": found}
        for name, found in objects.items()
    ]  # fmt: skip
    return [*done, {"photo": "c.png", "output": "c.png", "status": "failed", "error": "bad"}]


def write(out: Path, records: list[dict[str, Any]], *formats: str, **options: Any) -> Path:
    registry.write(str(out), lambda: iter(records), MaskOutputs(formats, **options))
    return out


@pytest.fixture
def out(tmp_path: Path) -> Path:
    (tmp_path / "out/.segment2inpaint").mkdir(parents=True)
    return tmp_path / "out"


@pytest.mark.parametrize("kind", ["coco", "coco-rle"])
def test_pycocotools_reads_the_masks(kind: str, out: Path, records: list[dict[str, Any]]) -> None:
    coco = read_with_pycocotools(write(out, records, kind) / kind / "annotations.json")
    names = {image["id"]: image["file_name"] for image in coco.loadImgs(coco.getImgIds())}
    assert sorted(names.values()) == ["a.jpg", "a_png.png", "x/b.png"]
    categories = {c["id"]: c["name"] for c in coco.loadCats(coco.getCatIds())}
    assert sorted(categories.values()) == ["cat", "dog", "object", "sheep"]
    found = coco.loadAnns(coco.getAnnIds())
    labels = [categories[each["category_id"]] for each in found]
    assert labels == ["dog", "cat", "object", "sheep", "dog"]
    for each, name in zip(found, ("disc", "ring", "parts", "border", "thin"), strict=True):
        mask, box = shapes()[name], bounding_box(shapes()[name])
        assert (coco.annToMask(each) == mask).all()
        assert each["area"] == mask.sum()
        assert each["bbox"] == [box.x0, box.y0, box.width, box.height]
        assert each["iscrowd"] == (name == "border")
        assert each["score"] == 0.75
        assert isinstance(each["segmentation"], dict) == (kind == "coco-rle" or name == "border")
    assert [each.get("source_id") for each in found] == ["7", None, None, None, None]


@pytest.mark.parametrize("kind", ["coco", "coco-rle"])
def test_supervision_reads_coco(kind: str, out: Path, records: list[dict[str, Any]]) -> None:
    import supervision

    folder = write(out, records, kind) / kind
    dataset = supervision.DetectionDataset.from_coco(
        str(folder / "images"), str(folder / "annotations.json"), force_masks=True
    )
    found = {Path(path).name: detections for path, _, detections in dataset}
    assert {name: len(each) for name, each in found.items()} == {
        "a.jpg": 3, "a_png.png": 2, "b.png": 0
    }  # fmt: skip
    masks = found["a.jpg"].mask
    for mask, name in zip(masks, ("disc", "ring", "parts"), strict=True):
        assert overlap(mask, shapes()[name]) > 0.85  # it rounds vertices to whole pixels


def overlap(first: np.ndarray, second: np.ndarray) -> float:
    return float((first & second).sum() / (first | second).sum())


def yolo_rows(folder: Path) -> Iterator[tuple[str, list[str], np.ndarray]]:
    """Yield the name, class and numbers of each label, checked by the rules of Ultralytics.

    Each photo has its labels where ``/images/`` in its path is ``/labels/``.
    """
    config = yaml.safe_load((folder / "data.yaml").read_text())
    assert {"train", "val", "names"} <= config.keys()
    assert list(config["names"]) == list(range(config["nc"]))
    photos = sorted(path for path in (folder / config["train"]).rglob("*") if path.is_file())
    assert photos
    for photo in photos:
        start, _, end = str(photo).rpartition("/images/")
        label = Path(f"{start}/labels/{end}").with_suffix(".txt")
        for line in label.read_text().splitlines():
            number, *values = line.split()
            numbers = np.array(values, float)
            assert ((numbers >= 0) & (numbers <= 1)).all()
            yield photo.name, config["names"][int(number)], numbers


def test_yolo_has_a_polygon_for_each_object(out: Path, records: list[dict[str, Any]]) -> None:
    rows = list(yolo_rows(write(out, records, "yolo") / "yolo"))
    assert [row[:2] for row in rows] == [
        ("a.jpg", "dog"), ("a.jpg", "cat"), ("a.jpg", "object"), ("a_png.png", "dog")
    ]  # fmt: skip
    for (_, _, numbers), name in zip(rows, ("disc", "ring", "parts", "thin"), strict=True):
        assert len(numbers) >= 6
        line = (numbers.reshape(-1, 2) * [WIDTH, HEIGHT]).ravel().tolist()
        mask = coco_masks.decode_polygons([line], PHOTO_SIZE)
        assert overlap(mask, shapes()[name]) > 0.99
    assert (out / "yolo/labels/x/b.txt").read_bytes() == b""


def test_yolo_boxes_are_centre_and_size(out: Path, records: list[dict[str, Any]]) -> None:
    rows = list(yolo_rows(write(out, records, "yolo-boxes") / "yolo-boxes"))
    box = bounding_box(shapes()["disc"])
    x, y, w, h = rows[0][2] * [WIDTH, HEIGHT, WIDTH, HEIGHT]
    assert (x - w / 2, y - h / 2, x + w / 2, y + h / 2) == pytest.approx(box, abs=0.01)
    assert all(len(numbers) == 4 for _, _, numbers in rows)


@pytest.mark.parametrize("kind", ["yolo", "yolo-boxes"])
def test_supervision_reads_yolo(kind: str, out: Path, records: list[dict[str, Any]]) -> None:
    import supervision

    folder = write(out, records, kind) / kind
    dataset = supervision.DetectionDataset.from_yolo(
        str(folder / "images"), str(folder / "labels"), str(folder / "data.yaml")
    )
    found = {Path(path).name: detections for path, _, detections in dataset}
    assert {name: len(each) for name, each in found.items()} == {"a.jpg": 3, "a_png.png": 1}
    box = bounding_box(shapes()["disc"])
    assert found["a.jpg"].xyxy[0] == pytest.approx(box, abs=1)


def test_a_yolo_dataset_keeps_the_splits_of_its_source(
    out: Path, records: list[dict[str, Any]]
) -> None:
    """A folder ``images`` of the source would mislead the search for labels."""
    for record, split in zip(records, ("images/train", "images/val", "images/val"), strict=False):
        record["output"] = f"{split}/{record['output']}"
    folder = write(out, records, "yolo") / "yolo"
    config = yaml.safe_load((folder / "data.yaml").read_text())
    assert (config["train"], config["val"]) == ("images/train", "images/val")
    assert {name for name, _, _ in yolo_rows(folder)} == {"a.jpg"}
    assert (folder / "labels/val/a.txt").exists()


def test_labelme_has_a_group_for_an_object_in_parts(
    out: Path, records: list[dict[str, Any]]
) -> None:
    data = json.loads((write(out, records, "labelme") / "labelme/a.json").read_text())
    assert (data["imagePath"], data["imageHeight"], data["imageWidth"]) == ("a.jpg", HEIGHT, WIDTH)
    assert (out / "labelme" / data["imagePath"]).is_file()
    groups = [(s["label"], s["group_id"]) for s in data["shapes"]]
    assert groups == [("dog", None), ("cat", 2), ("cat", 2), ("object", 3), ("object", 3)]
    assert data["shapes"][0]["description"] == "7"
    for label, name in (("dog", "disc"), ("cat", "ring"), ("object", "parts")):
        lines = [np.ravel(s["points"]).tolist() for s in data["shapes"] if s["label"] == label]
        assert (coco_masks.decode_polygons(lines, PHOTO_SIZE) == shapes()[name]).all()


def test_supervision_reads_voc_boxes(out: Path, records: list[dict[str, Any]]) -> None:
    import supervision

    folder = write(out, records, "voc") / "voc"
    dataset = supervision.DetectionDataset.from_pascal_voc(
        str(folder / "JPEGImages"), str(folder / "Annotations")
    )
    found = {Path(path).name: detections for path, _, detections in dataset}
    assert {name: len(each) for name, each in found.items()} == {"a.jpg": 3, "a_png.png": 2}
    root = ElementTree.parse(folder / "Annotations/a.xml").getroot()
    corners = [int(node.text or "") for node in root.find("object/bndbox") or ()]
    box = bounding_box(shapes()["disc"])
    assert corners == [box.x0 + 1, box.y0 + 1, box.x1, box.y1]  # counted from 1, inclusive


def test_a_label_with_characters_that_xml_has_not_is_written(
    out: Path, records: list[dict[str, Any]]
) -> None:
    records[0]["objects"][0]["label"] = "a\x01 <b>\n&"
    folder = write(out, records, *ANNOTATION_FORMATS)
    root = ElementTree.parse(folder / "voc/Annotations/a.xml").getroot()
    assert root.findtext("object/name") == "a? <b> &"
    assert "a\x01 <b> &" in (folder / "yolo/classes.txt").read_text().splitlines()


# --- photos and earlier runs ------------------------------------------------------------------


def test_photos_are_copies_links_or_left_out(out: Path, records: list[dict[str, Any]]) -> None:
    """By default a program that writes into a photo of the dataset leaves the input alone."""
    source = Path(records[0]["photo"])
    photo = write(out, records, "voc") / "voc/JPEGImages/a.jpg"
    assert not photo.samefile(source)
    assert photo.read_bytes() == source.read_bytes()
    write(out, records, "voc", photos="link")
    assert photo.samefile(source)
    write(out, records, "voc", photos="copy")
    assert not photo.samefile(source)
    write(out, records, "voc", photos="none")
    assert not photo.exists()
    assert source.is_file()


def test_an_output_folder_in_a_store_gets_copies(records: list[dict[str, Any]]) -> None:
    import fsspec

    out = "memory://annotations_out"
    for shown in (records, records[:1]):
        registry.write(out, lambda shown=shown: iter(shown), MaskOutputs(("yolo",)))
    files = fsspec.filesystem("memory").find("/annotations_out/yolo")
    names = [file.removeprefix("/annotations_out/yolo/") for file in files]
    assert names == ["classes.txt", "data.yaml", "images/a.jpg", "labels/a.txt"]


def test_what_is_no_longer_in_the_run_is_deleted_and_other_files_stay(
    out: Path, records: list[dict[str, Any]]
) -> None:
    write(out, records, "yolo", "labelme")
    (out / "yolo/labels/mine.txt").write_text("0 0 0 1 1\n")
    write(out, records[1:], "yolo")
    names = {str(path.relative_to(out / "yolo/labels")) for path in out.rglob("labels/**/*.txt")}
    assert names == {"mine.txt", "a.txt", "x/b.txt"}
    assert not list((out / "labelme").rglob("*.json"))


def test_files_of_a_run_that_was_killed_while_it_wrote_are_known_to_the_next(
    out: Path, records: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(registry.WrittenFiles, "delete_stale", lambda self: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            write(out, records, "yolo")
    assert (out / "yolo/labels/x/b.txt").exists()
    write(out, records[:1], "yolo")
    assert not (out / "yolo/labels/x/b.txt").exists()
    assert (out / "yolo/labels/a.txt").exists()
