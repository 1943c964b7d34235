"""YOLO detection and segmentation labels."""

from __future__ import annotations

from pathlib import Path

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
    read_manifest,
    save_photo,
)

X0, Y0, X1, Y1 = RED_BOX
HEIGHT, WIDTH = PHOTO_SIZE
OPTIONS = (*FAST_OPTIONS, *NO_WORKERS)


@pytest.fixture
def yolo(tmp_path: Path) -> Path:
    """Three photos: with boxes, with a polygon, without labels."""
    home = tmp_path / "set"
    for number in range(3):
        save_photo(home / f"images/train/p{number}.jpg", number)
    (home / "labels/train").mkdir(parents=True)
    box = f"0 {(X0 + X1) / 2 / WIDTH} {(Y0 + Y1) / 2 / HEIGHT} {12 / WIDTH} {12 / HEIGHT}"
    fractions = np.array(box_polygon(RED_BOX)).reshape(-1, 2) / (WIDTH, HEIGHT)
    points = " ".join(map(str, fractions.ravel()))
    (home / "labels/train/p0.txt").write_text(f"1 0.8 0.8 0.1 0.1\n{box}\n")
    (home / "labels/train/p1.txt").write_text(f"0 {points}\n")
    (home / "data.yaml").write_text(
        f"path: {home}\ntrain: images/train\nval: images/train\nnames: [dog, cat]\n"
    )
    return home


def test_boxes_and_polygons_are_removed(yolo: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = batch(yolo / "data.yaml", out, "--category", "dog", *OPTIONS)
    assert result.exit_code == 0, result.output
    assert is_square_removed(out / "images/train/p0.jpg")
    assert is_square_removed(out / "images/train/p1.jpg")
    assert (
        load_photo(out / "images/train/p2.jpg").tobytes()
        == load_photo(yolo / "images/train/p2.jpg").tobytes()
    )
    assert (out / "labels/train/p0.txt").read_text() == "1 0.8 0.8 0.1 0.1\n"
    assert (out / "labels/train/p1.txt").read_text() == ""
    assert str(yolo) not in (out / "data.yaml").read_text()
    rows = {row["id"]: row for row in read_manifest(out)}
    assert rows["labels/train/p0.txt:2"]["request"]["prompts"][0]["relative"]["box"]
    x0, y0, x1, y1 = rows["labels/train/p1.txt:1"]["box"]
    assert (x0, y0) == (X0, Y0)
    assert x1 - X1 in (0, 1)  # COCO polygons include the pixel of the corner
    assert y1 - Y1 in (0, 1)


def test_boxes_agree_with_supervision(yolo: Path) -> None:
    """Another reader finds the same boxes and classes."""
    sv = pytest.importorskip("supervision", reason="supervision is not installed")
    dataset = sv.DetectionDataset.from_yolo(
        str(yolo / "images/train"), str(yolo / "labels/train"), str(yolo / "data.yaml")
    )
    (detections,) = [d for path, _, d in dataset if path.endswith("p0.jpg")]
    assert detections.class_id.tolist() == [1, 0]
    assert np.allclose(detections.xyxy[1], RED_BOX, atol=0.01)


def test_a_folder_without_yaml_is_read(yolo: Path, tmp_path: Path) -> None:
    (yolo / "data.yaml").unlink()
    (yolo / "classes.txt").write_text("dog\ncat")
    (yolo / "notes.txt").write_text("hello")
    result = batch(yolo, tmp_path / "out", "--category", "dog", "--min-area", "1%", *OPTIONS)
    assert result.exit_code == 0, result.output
    assert len(read_manifest(tmp_path / "out")) == 2
    assert (tmp_path / "out/classes.txt").read_text() == "dog\ncat"


def test_an_invalid_label_is_reported_with_its_line(yolo: Path, tmp_path: Path) -> None:
    (yolo / "labels/train/p1.txt").write_text("0 0.1 0.1 0.2 0.2\n0 0.1 nonsense\n")
    result = batch(yolo, tmp_path / "out", *OPTIONS)
    assert result.exit_code == 1
    assert "labels/train/p1.txt:2: expected class x y w h" in result.stderr
    (yolo / "labels/train/p1.txt").write_text("0 nan 0.1 0.2 0.2\n")
    assert "p1.txt:1: expected" in batch(yolo, tmp_path / "out", *OPTIONS).stderr
    result = batch(yolo, tmp_path / "out", "--min-area", "100", "--skip-invalid", *OPTIONS)
    assert result.exit_code == 1
    assert "per cent of the photo" in result.stderr
