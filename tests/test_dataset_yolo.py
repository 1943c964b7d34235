"""YOLO detection and segmentation labels."""

from __future__ import annotations

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
    read_manifest,
    save_photo,
)

from segment2inpaint.dataset.formats.annotations import AnnotationFilter
from segment2inpaint.dataset.formats.yolo import YoloSource
from segment2inpaint.dataset.run_types import EditItem, InvalidRow

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
    result = batch(yolo, tmp_path / "out", "--min-area", "100", *OPTIONS)
    assert result.exit_code == 1
    assert "per cent of the photo" in result.stderr


# --- lines ------------------------------------------------------------------------------------

CENTER = ((X0 + X1) / 2 / WIDTH, (Y0 + Y1) / 2 / HEIGHT)
BOX = f"{CENTER[0]} {CENTER[1]} {12 / WIDTH} {12 / HEIGHT}"
OUTLINE = " ".join(
    str(v) for v in (np.reshape(box_polygon(RED_BOX), (-1, 2)) / (WIDTH, HEIGHT)).ravel()
)


def save_set(home: Path, label: str, yaml: str = "", name: str = "a") -> Path:
    """Save a dataset of one photo with a label file."""
    save_photo(home / f"images/{name}.png")
    (home / "labels").mkdir(parents=True, exist_ok=True)
    (home / f"labels/{name}.txt").write_text(label)
    if yaml:
        (home / "data.yaml").write_text(f"train: images\nnames: [dog, cat]\n{yaml}")
    return home


def read(source: Path, *categories: str) -> list[EditItem | InvalidRow]:
    base = {"prompts": [], "refine": {}, "fill": {}}
    return list(YoloSource(str(source), base, AnnotationFilter(categories)).items())


def relative_prompts(source: Path) -> list[dict[str, Any]]:
    items = [row for row in read(source) if isinstance(row, EditItem) and row.request]
    return [item.request["prompts"][0]["relative"] for item in items if item.request]


def messages(source: Path) -> list[str]:
    return [str(row) for row in read(source) if isinstance(row, InvalidRow)]


def test_class_names_and_labels_of_any_line_end_and_encoding_are_read(tmp_path: Path) -> None:
    text = f"1 0.8 0.8 0.1 0.1\n\n0 {BOX}\n"
    forms = [(end, code) for end in ("\r\n", "\r") for code in ("utf-8-sig", "utf-16", "utf-8")]
    for number, (end, encoding) in enumerate(forms):
        home = save_set(tmp_path / f"set{number}", "")
        (home / "labels/a.txt").write_bytes(text.replace("\n", end).encode(encoding))
        (home / "classes.txt").write_bytes(f"dog {end}cat{end}{end}".encode(encoding))
        out = tmp_path / f"out{number}"
        result = batch(home, out, "--category", "dog", *OPTIONS)
        assert result.exit_code == 0, result.output
        assert is_square_removed(out / "images/a.png")
        left = (out / "labels/a.txt").read_text(encoding="utf-8-sig").split()
        assert left == ["1", "0.8", "0.8", "0.1", "0.1"]


@pytest.mark.parametrize("shape", ["[17, 3]", "[4, 2]", "[5, 3]"])
def test_of_a_box_with_key_points_the_box_counts(tmp_path: Path, shape: str) -> None:
    count, dimensions = (int(word) for word in shape.strip("[]").split(", "))
    points = " 0.1 0.9 2"[: None if dimensions == 3 else -2] * count
    home = save_set(tmp_path / "set", f"0 {BOX}{points}\n", f"kpt_shape: {shape}\n")
    (prompt,) = relative_prompts(home)
    assert np.allclose(
        np.reshape(prompt["box"], (2, 2)) * (WIDTH, HEIGHT), np.reshape(RED_BOX, (2, 2))
    )
    result = batch(home / "data.yaml", tmp_path / "out", *OPTIONS)
    assert result.exit_code == 0, result.output
    assert is_square_removed(tmp_path / "out/images/a.png")


def test_a_line_that_does_not_fit_kpt_shape_is_reported(tmp_path: Path) -> None:
    home = save_set(tmp_path, f"0 {BOX} 0.1 0.1 0.2 0.2\n0 {BOX}\n", "kpt_shape: [4, 2]\n")
    assert len(relative_prompts(home)) == 1
    (line,) = messages(home)
    assert line.startswith("labels/a.txt:1: expected class x y w h and 8 numbers of key points")


def test_key_points_with_visibility_are_recognised_without_yaml(tmp_path: Path) -> None:
    points = [" 0.4 0.4 2 0.5 0.5 0", " 0.4 0.4 1 0.45 0.5 0 0.41 0.41 1"]
    for number, more in enumerate(points):
        home = save_set(tmp_path / str(number), f"0 {BOX}{more}\n1 {BOX}{more}\n")
        assert all("box" in prompt for prompt in relative_prompts(home))
        assert len(relative_prompts(home)) == 2


def test_what_may_be_key_points_or_an_outline_is_not_guessed(tmp_path: Path) -> None:
    points = " 0.34 0.37 0.47 0.36 0.4 0.5 0.35 0.55 0.48 0.54"
    home = save_set(tmp_path, f"0 {BOX}{points}\n")
    (line,) = messages(home)
    assert "10 numbers" in line or "14 numbers" in line
    assert "give the dataset a data.yaml, with kpt_shape for key points" in line
    (home / "data.yaml").write_text("train: images\nnames: [dog]\nkpt_shape: [5, 2]\n")
    assert "box" in relative_prompts(home)[0]


@pytest.mark.parametrize("place", [(0.3, 0.3), (0.5, 0.5), (0.8, 0.7), (0.1, 0.9)])
@pytest.mark.parametrize("radius", [0.02, 0.1, 0.3])
@pytest.mark.parametrize("count", [3, 4, 5, 8, 30])
def test_outlines_without_yaml_are_outlines(
    tmp_path: Path, place: tuple[float, float], radius: float, count: int
) -> None:
    angles = np.linspace(0, 2 * np.pi, count, endpoint=False) + 0.2
    corners = np.stack([np.cos(angles), np.sin(angles)], 1) * radius + place
    values = " ".join(f"{v:.6f}" for v in corners.clip(0, 1).ravel())
    home = save_set(tmp_path, f"0 {values}\n")
    assert messages(home) == []
    assert "polygons" in relative_prompts(home)[0]


def test_the_four_corners_of_a_turned_box_are_an_outline(tmp_path: Path) -> None:
    home = save_set(tmp_path / "set", f"0 {OUTLINE}\n", "task: obb\n")
    result = batch(home / "data.yaml", tmp_path / "out", *OPTIONS)
    assert result.exit_code == 0, result.output
    assert is_square_removed(tmp_path / "out/images/a.png")


def test_bad_lines_do_not_cost_the_others(tmp_path: Path) -> None:
    bad = [
        "7 0.5 0.5 0.1 0.1", "-1 0.5 0.5 0.1 0.1", "0.5 0.5 0.5 0.1 0.1", "dog 0.5 0.5 0.1 0.1",
        "0 nan 0.5 0.1 0.1", "0 0.5 inf 0.1 0.1", "0 0.5 0.5 0 0.1", "0 0.5 0.5 -0.1 0.1",
        "0 320 240 60 40", "0 0.5 0.5", "0", "0 1e400 0.5 0.1 0.1",
    ]  # fmt: skip
    home = save_set(tmp_path / "set", "\n".join([*bad, f"0 {BOX}"]), "nc: 2\n")
    lines = messages(home)
    assert [line.split(": ")[0] for line in lines] == [
        f"labels/a.txt:{n}" for n in range(1, len(bad) + 1)
    ]
    assert "expected a class from 0 to 1, got 7" in lines[0]
    assert "expected fractions of the photo, 0 to 1, got 320; divide pixels" in lines[8]
    result = batch(home / "data.yaml", tmp_path / "out", "--skip-invalid", *OPTIONS)
    assert is_square_removed(tmp_path / "out/images/a.png"), result.output
    assert (tmp_path / "out/labels/a.txt").read_text().split("\n")[:-1] == bad


def test_numbers_slightly_outside_of_the_photo_are_clipped(tmp_path: Path) -> None:
    home = save_set(tmp_path, "0 0.05 1.0 0.2 0.2\n")
    (prompt,) = relative_prompts(home)
    assert np.allclose(prompt["box"], [0, 0.9, 0.15, 1])
    outline = save_set(tmp_path / "outline", "0 -0.01 0.1 0.5 0.1 0.5 1.002\n", "nc: 2\n")
    (prompt,) = relative_prompts(outline)
    assert prompt["polygons"] == [[0, 0.1, 0.5, 0.1, 0.5, 1]]


def test_four_numbers_among_outlines_are_not_guessed(tmp_path: Path) -> None:
    """Other readers take them for an outline of two points."""
    home = save_set(tmp_path, f"0 {OUTLINE}\n0 0.1 0.1 0.2 0.2\n0 0.1 0.1 0.2 0.2 0.3\n")
    (line,) = messages(home)
    assert line.startswith("labels/a.txt:2: four numbers in a file of outlines")
    assert len(relative_prompts(home)) == 2


# --- files ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("photo", "label"),
    [
        ("images/train/a.png", "labels/train/a.txt"),
        ("train/images/x/a.png", "train/labels/x/a.txt"),
        ("images/shots/a.png", "images/shots/a.txt"),
        ("a.png", "a.txt"),
        ("Images/a.png", "Labels/a.txt"),
        ("photos/a.png", "labels/a.txt"),
        ("JPEGImages/a.png", "labels/a.txt"),
        ("obj_train_data/a.png", "obj_train_data/a.txt"),
        ("day1/a.png", "day1/labels/a.txt"),
    ],
)
def test_labels_are_found_where_tools_put_them(tmp_path: Path, photo: str, label: str) -> None:
    """Below a folder whose path has another folder ``images`` in it."""
    home = tmp_path / "images/set"
    save_photo(home / photo)
    (home / label).parent.mkdir(parents=True, exist_ok=True)
    (home / label).write_text(f"0 {BOX}\n")
    (home / "classes.txt").write_text("dog\n")
    result = batch(home, tmp_path / "out", "--category", "dog", *OPTIONS)
    assert result.exit_code == 0, result.output
    assert is_square_removed(tmp_path / "out" / photo)
    assert (tmp_path / "out" / label).read_text() == ""


def test_labels_without_a_photo_are_reported(tmp_path: Path) -> None:
    home = save_set(tmp_path / "set", f"0 {BOX}\n", "nc: 2\n")
    (home / "labels/b.txt").write_text(f"0 {BOX}\n")
    (home / "labels/readme.txt").write_text("of the labels")
    (home / "labels/classes.txt").write_text("dog\ncat\n")
    assert messages(home) == [
        "labels/b.txt: there is no photo of this name; add it, or delete the labels"
    ]


def test_a_list_of_photos_does_not_make_the_other_labels_stray(tmp_path: Path) -> None:
    home = save_set(tmp_path, f"0 {BOX}\n")
    save_set(tmp_path, f"0 {BOX}\n", name="b")
    (home / "train.txt").write_bytes(b"\xef\xbb\xbf./images\\a.png\r\n\r\n")
    (home / "data.yaml").write_text("train: train.txt\nnames: {0: dog}\n")
    (item,) = read(home)
    assert isinstance(item, EditItem)
    assert item.photo == str(home / "images/a.png")


def test_splits_are_folders_lists_of_folders_and_lists_of_another_machine(tmp_path: Path) -> None:
    for name in ("one/images/a.png", "two/images/b.png", "three/c.png"):
        save_photo(tmp_path / "set" / name)
        label = tmp_path / "set" / name.replace("images", "labels").replace(".png", ".txt")
        label.parent.mkdir(parents=True, exist_ok=True)
        label.write_text(f"0 {BOX}\n")
    (tmp_path / "set/list.txt").write_text("data/set/three/c.png\n")
    (tmp_path / "set/conf").mkdir()
    yaml = "path: ..\ntrain: [one\\images, ./two/images]\nval: list.txt\nnames: {'0': dog}\n"
    (tmp_path / "set/conf/my.yaml").write_bytes(
        b"\xef\xbb\xbf" + yaml.replace("\n", "\r\n").encode()
    )
    rows = read(tmp_path / "set/conf/my.yaml", "dog")
    photos = [Path(row.photo).name for row in rows if isinstance(row, EditItem) and row.request]
    assert sorted(photos) == ["a.png", "b.png", "c.png"]


@pytest.mark.parametrize(
    "yaml",
    ["names: 5\n", "names: {x: dog}\n", "names: {-3: dog}\n", "names: {999999999: dog}\n",
     "names: [dog]\nkpt_shape: 4\n", "names: [dog]\nkpt_shape: [0, 9]\n", "- dog\n", "a: [\n",
     "names: [dog]\nkpt_shape: [a, b]\n", "nc: 2\n"],
)  # fmt: skip
def test_a_damaged_yaml_is_refused_in_a_line(tmp_path: Path, yaml: str) -> None:
    home = save_set(tmp_path / "set", f"0 {BOX}\n")
    (home / "data.yaml").write_text(yaml)
    result = batch(home / "data.yaml", tmp_path / "out", *OPTIONS)
    assert result.exit_code == 1
    assert "data.yaml: " in result.stderr
    assert "Traceback" not in result.output


def test_class_numbers_are_names_where_there_are_no_names(tmp_path: Path) -> None:
    home = save_set(tmp_path, f"0 {BOX}\n3 {BOX}\n")
    rows = read(home, "3")
    assert [row.label for row in rows if isinstance(row, EditItem)] == ["3"]


def test_supervision_reads_what_is_left_of_labels(yolo: Path, tmp_path: Path) -> None:
    sv = pytest.importorskip("supervision", reason="supervision is not installed")
    out = tmp_path / "out"
    (yolo / "labels/train/p1.txt").write_text(f"1 {OUTLINE}\r\n0 {OUTLINE}\r\n")
    assert batch(yolo / "data.yaml", out, "--category", "dog", *OPTIONS).exit_code == 0
    dataset = sv.DetectionDataset.from_yolo(
        str(out / "images/train"), str(out / "labels/train"), str(out / "data.yaml")
    )
    classes = {Path(path).name: found.class_id.tolist() for path, _, found in dataset}
    assert classes == {"p0.jpg": [1], "p1.jpg": [1], "p2.jpg": []}
