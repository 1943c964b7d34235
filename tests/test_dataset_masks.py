"""``mask SOURCE OUTDIR``: masks and annotations of many photos."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_detectors
from coco_samples import read_with_pycocotools, save_coco
from command_line import assert_error, load, run
from crashing_photos import ROOT, save_photos
from dataset_photos import (
    BLUE_BOX,
    NO_WORKERS,
    RED_BOX,
    RED_HEX,
    batch_red,
    read_manifest,
    save_photo,
    write_rows,
)
from dataset_samples import SAMPLES
from PIL import Image

from segment2inpaint import dataset
from segment2inpaint.dataset import ExecutionOptions, MaskOutputs
from segment2inpaint.dataset.run_types import ANNOTATION_FORMATS
from segment2inpaint.types import Color, Request

RED_OPTIONS = ("--color", RED_HEX, "--tolerance", "30")


def mask_run(source: Path, out: Path, *more: object) -> Any:
    return run("mask", source, out, *NO_WORKERS, *more)


def coco_objects(out: Path, kind: str = "coco") -> dict[str, list[tuple[str, list[int]]]]:
    """Return the category and the box (x0, y0, x1, y1) of each object, by photo."""
    coco = read_with_pycocotools(out / kind / "annotations.json")
    return {
        image["file_name"]: [
            (coco.cats[each["category_id"]]["name"], corners(each["bbox"]))
            for each in coco.imgToAnns[image["id"]]
        ]
        for image in coco.loadImgs(coco.getImgIds())
    }


def corners(bbox: list[int]) -> list[int]:
    x, y, w, h = bbox
    return [x, y, x + w, y + h]


# --- sources ----------------------------------------------------------------------------------


def test_twenty_photos_of_a_folder_get_masks_and_annotations(tmp_path: Path) -> None:
    source, out = save_photos(tmp_path / "in", 20), tmp_path / "out"
    result = mask_run(source, out, *RED_OPTIONS, "--label", "square", "--mask-files", "union",
                      "--mask-files", "objects", "--mask-files", "numbers")  # fmt: skip
    assert result.exit_code == 0, result.output
    found = coco_objects(out)
    assert len(found) == 20
    assert all(objects == [("square", list(RED_BOX))] for objects in found.values())
    rows = read_manifest(out)
    assert len(rows) == 20
    for row in rows:
        name = row["output"]
        assert row["label"] == "square"
        assert row["area"] == 144
        assert row["inpainter"] is None
        for file, value in ((f"masks/{name}.png", 255), (row["mask"], 255),
                            (f"numbers/{name}.png", 1)):  # fmt: skip
            mask = load(out / file)
            assert (mask > 0).sum() == 144
            assert mask.max() == value
        assert not (out / name).exists()
    assert (out / "report.html").stat().st_size > 1000


def test_boxes_of_a_coco_file_become_masks(tmp_path: Path) -> None:
    """The categories and ids are those of the source."""
    source, out = save_coco(tmp_path), tmp_path / "out"
    result = mask_run(source, out, "--category", "dog", "--use", "box")
    assert result.exit_code == 0, result.output
    found = coco_objects(out)
    assert [label for objects in found.values() for label, _ in objects] == ["dog"] * 3
    for objects in found.values():
        assert np.abs(np.subtract(objects[0][1], RED_BOX)).max() <= 1
    coco = read_with_pycocotools(out / "coco/annotations.json")
    assert [each["source_id"] for each in coco.anns.values()] == ["10", "11", "12"]
    assert [each["iscrowd"] for each in coco.anns.values()] == [0, 1, 0]
    assert all(40 < each["area"] <= 196 for each in coco.anns.values())


def test_masks_of_a_coco_file_stay_as_they_are(tmp_path: Path) -> None:
    source, out = save_coco(tmp_path), tmp_path / "out"
    assert mask_run(source, out, "--annotations", "coco-rle").exit_code == 0
    before, after = (read_with_pycocotools(f) for f in (source, out / "coco-rle/annotations.json"))
    assert len(after.anns) == len(before.anns)
    for each in after.anns.values():
        original = before.anns[int(each["source_id"])]
        if original["segmentation"]:
            assert (after.annToMask(each) == before.annToMask(original)).all()


def test_a_photo_without_a_selected_object_is_listed_without_one(tmp_path: Path) -> None:
    source, out = save_coco(tmp_path), tmp_path / "out"
    result = mask_run(source, out, "--category", "cat")
    assert "1 of them without an object" in result.stderr
    assert sorted(map(len, coco_objects(out).values())) == [0, 1, 1]


def test_clicks_of_a_table_become_masks_with_its_labels(tmp_path: Path) -> None:
    save_photo(tmp_path / "a.png")
    table = write_rows(
        tmp_path / "rows.jsonl",
        {"photo": "a.png", "points": [[26, 22]], "label": "red one", "id": 1},
        {"photo": "a.png", "points": [[48, 37]], "label": "blue one", "id": "b"},
    )
    assert mask_run(table, tmp_path / "out").exit_code == 0
    (objects,) = coco_objects(tmp_path / "out").values()
    assert [label for label, _ in objects] == ["red one", "blue one"]
    for (_, box), expected in zip(objects, (RED_BOX, BLUE_BOX), strict=True):
        assert np.abs(np.subtract(box, expected)).max() <= 1
    rows = read_manifest(tmp_path / "out")
    assert [(row["id"], row["label"]) for row in rows] == [("1", "red one"), ("b", "blue one")]
    assert all(0 < row["score"] <= 1 for row in rows)


def test_prompts_of_one_object_are_one_mask(tmp_path: Path) -> None:
    """With an id they are one object; without, each box is an object."""
    save_photo(tmp_path / "a.png")
    row = {"photo": "a.png", "boxes": [list(RED_BOX), list(BLUE_BOX)], "label": "pair"}
    for name, rows, count in (
        ("with_id", [{**row, "id": 5}], 1),
        ("two_rows", [{**row, "id": 5, "boxes": [box]} for box in row["boxes"]], 1),
        ("without", [row], 2),
    ):
        table, out = write_rows(tmp_path / f"{name}.jsonl", *rows), tmp_path / name
        assert mask_run(table, out).exit_code == 0
        assert len(read_manifest(out)) == count, name
        (objects,) = coco_objects(out).values()
        assert len(objects) == count
        assert load(out / "masks/a.png.png")[[22, 37], [26, 48]].tolist() == [255, 255]


def test_everything_becomes_proposals(tmp_path: Path) -> None:
    save_photo(tmp_path / "in/a.png")
    out = tmp_path / "out"
    result = mask_run(tmp_path / "in", out, "--everything", "--mask-files", "numbers")
    assert result.exit_code == 0, result.output
    (objects,) = coco_objects(out).values()
    numbers = load(out / "numbers/a.png.png")
    assert len(objects) == len(read_manifest(out)) >= 2
    assert set(np.unique(numbers)) <= set(range(len(objects) + 1))
    assert any(np.abs(np.subtract(box, RED_BOX)).max() <= 1 for _, box in objects)


@pytest.mark.slow
def test_words_are_the_category(tmp_path: Path) -> None:
    """The weights are random; the test is about the way from the words to the category."""
    save_photo(tmp_path / "in/a.png")
    dino = tiny_detectors.grounding_dino(tmp_path / "dino")
    words = ["--text", "a dog", "--text", "a cat", "--threshold", "0", "--detector", dino]
    result = mask_run(tmp_path / "in", tmp_path / "out", *words, "--device", "cpu")
    assert result.exit_code == 0, result.output
    labels = {label for label, _ in coco_objects(tmp_path / "out")["a.png"]}
    assert labels == {"a dog", "a cat"}


def test_masks_grow_and_invert_as_asked(tmp_path: Path) -> None:
    """An inverted union does not invert what is annotated."""
    save_photo(tmp_path / "in/a.png")
    mask_run(tmp_path / "in", tmp_path / "grown", *RED_OPTIONS, "--dilate", "3px")
    assert coco_objects(tmp_path / "grown")["a.png"] == [("object", [17, 13, 35, 31])]
    mask_run(tmp_path / "in", tmp_path / "inverted", *RED_OPTIONS, "--invert")
    union = load(tmp_path / "inverted/masks/a.png.png")
    assert (union[22, 26], union[2, 2]) == (0, 255)
    assert coco_objects(tmp_path / "inverted")["a.png"] == [("object", list(RED_BOX))]


def test_python_runs_find_exact_masks(tmp_path: Path) -> None:
    save_photo(tmp_path / "in/a.png")
    request = Request((Color(rgb=(220, 30, 30), tolerance=30),))
    outcomes = list(dataset.run(
        tmp_path / "in", request, tmp_path / "out", execution=ExecutionOptions(workers=0),
        only_masks=MaskOutputs(annotations=("voc",), label="square"),
    ))  # fmt: skip
    assert [(o.status, o.rows[0]["area"]) for o in outcomes] == [("done", 144)]
    assert (tmp_path / "out/voc/Annotations/a.xml").exists()


# --- failures ---------------------------------------------------------------------------------


def test_a_photo_without_the_object_fails_is_listed_or_is_left_out(tmp_path: Path) -> None:
    save_photo(tmp_path / "in/a.png")
    Image.new("RGB", (40, 30), "#408040").save(tmp_path / "in/plain.png")
    (tmp_path / "in/bad.png").write_bytes(b"no photo")
    for choice, names in (("fail", ["a.png"]), ("copy", ["a.png", "plain.png"]),
                          ("skip", ["a.png"])):  # fmt: skip
        out = tmp_path / choice
        result = mask_run(tmp_path / "in", out, *RED_OPTIONS, "--if-nothing", choice)
        assert result.exit_code == 3
        assert "bad.png" in result.stderr
        assert sorted(coco_objects(out)) == names
        assert f"{1 + (choice == 'fail')} failed" in result.stderr


def test_objects_that_are_not_found_are_reported(tmp_path: Path) -> None:
    save_photo(tmp_path / "a.png")
    table = write_rows(
        tmp_path / "rows.jsonl",
        {"photo": "a.png", "colors": RED_HEX, "id": 8},
        {"photo": "a.png", "colors": "#00ff00", "id": 9},
    )
    result = mask_run(table, tmp_path / "out")
    assert result.exit_code == 3
    rows = {row["id"]: row["status"] for row in read_manifest(tmp_path / "out")}
    assert rows == {"8": "done", "9": "failed"}
    assert len(coco_objects(tmp_path / "out")["a.png"]) == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["in", "out", "-o", "m.png"], "--output is for one photo"),
        (["in", "out", "--overlay", "m.png"], "--overlay is for one photo"),
        (["in/a.png", "-o", "m.png", "--workers", "2"], "--workers is for a run over a source"),
        (["in/a.png", "-o", "m.png", "--annotations", "coco"], "--annotations is for a run"),
        (["in/a.png"], "Missing option '-o' / '--output'"),
        (["in", "out", "--annotations", "none", "--annotations", "coco"], "contradict"),
    ],
)
def test_a_mixture_of_one_photo_and_a_run_is_refused(
    words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_photo(tmp_path / "in/a.png")
    monkeypatch.chdir(tmp_path)
    result = run("mask", *words, "-p", "26,22")
    assert result.exit_code == 2
    assert message in result.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in"]


def test_neither_masks_nor_annotations_is_refused(tmp_path: Path) -> None:
    save_photo(tmp_path / "in/a.png")
    none = ("--annotations", "none", "--mask-files", "none")
    result = mask_run(tmp_path / "in", tmp_path / "out", *RED_OPTIONS, *none)
    assert_error(result, 1, "neither masks nor annotations")


def test_no_inpainter_is_needed(tmp_path: Path) -> None:
    """A table that names one which is not there is still masked."""
    save_photo(tmp_path / "a.png")
    row = {"photo": "a.png", "colors": RED_HEX, "inpainter": "sdxl-inpaint", "prompt": "a rose"}
    table = write_rows(tmp_path / "rows.jsonl", row)
    assert mask_run(table, tmp_path / "out").exit_code == 0


# --- resuming ---------------------------------------------------------------------------------


def test_other_annotations_need_no_photo_again(tmp_path: Path) -> None:
    """A second run makes them of the records, so the photos may even be gone."""
    source, out = save_photos(tmp_path / "in", 3), tmp_path / "out"
    mask_run(source, out, *RED_OPTIONS)
    before = (out / "masks/0/00000.png.png").stat().st_mtime_ns
    result = mask_run(source, out, *RED_OPTIONS, "--annotations", "yolo", "--label", "square")
    assert result.exit_code == 0
    assert (out / "masks/0/00000.png.png").stat().st_mtime_ns == before
    assert len(list((out / "yolo/labels").rglob("*.txt"))) == 3
    assert (out / "yolo/classes.txt").read_text() == "square\n"
    assert not (out / "coco/annotations.json").exists()


def test_a_changed_row_leaves_no_mask_of_an_earlier_object(tmp_path: Path) -> None:
    save_photo(tmp_path / "a.png")
    boxes = [list(RED_BOX), list(BLUE_BOX)]
    out = tmp_path / "out"
    for count in (2, 1):
        table = write_rows(tmp_path / "r.jsonl", {"photo": "a.png", "boxes": boxes[:count]})
        mask_run(table, out)
        assert len(list((out / "objects/a.png").iterdir())) == count


def test_a_folder_that_was_edited_is_masked_in_full(tmp_path: Path) -> None:
    source, out = save_photos(tmp_path / "in", 2), tmp_path / "out"
    batch_red(source, out)
    assert mask_run(source, out, *RED_OPTIONS).exit_code == 0
    assert len(coco_objects(out)) == 2


@pytest.mark.slow
def test_a_run_that_is_killed_nine_times_loses_and_doubles_nothing(tmp_path: Path) -> None:
    """The result is that of a run that was not killed, byte for byte."""
    source = save_photos(tmp_path / "in", 60)
    formats = [word for kind in ("coco", "yolo", "voc") for word in ("--annotations", kind)]
    whole, out = tmp_path / "whole", tmp_path / "out"
    mask_run(source, whole, *RED_OPTIONS, *formats)
    command = [sys.executable, "-m", "segment2inpaint", "mask", str(source), str(out),
               *RED_OPTIONS, *formats, "--workers", "2"]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    finished_early = 0
    for number in range(9):
        target = 6 * (number + 1)
        process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL,
                                   start_new_session=True)  # fmt: skip
        while process.poll() is None and len(list(out.glob("masks/*/*.png"))) < target:
            time.sleep(0.005)
        finished_early += process.poll() is not None
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert finished_early < 9
    subprocess.run(command, env=environment, check=True, stderr=subprocess.DEVNULL)
    assert files(out) == files(whole)
    assert len(read_manifest(out)) == 60
    coco = json.loads((out / "coco/annotations.json").read_text())
    assert [each["image_id"] for each in coco["annotations"]] == list(range(1, 61))


def files(out: Path) -> dict[str, bytes]:
    """Return the masks and annotations of a run."""
    folders = ("masks", "objects", "coco", "yolo", "voc")
    paths = [path for name in folders for path in (out / name).rglob("*") if path.is_file()]
    return {str(path.relative_to(out)): path.read_bytes() for path in paths}


# --- every source and every format ------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in SAMPLES if name != "photo_folder"])
def test_every_source_gets_annotations_in_every_format(name: str, tmp_path: Path) -> None:
    """Photos in archives and tables, which are no files of their own, are copied."""
    source = SAMPLES[name](tmp_path, lambda record: record, lambda data: data)
    formats = [word for kind in ANNOTATION_FORMATS for word in ("--annotations", kind)]
    out = tmp_path / "out"
    result = mask_run(source, out, *formats)
    assert result.exit_code == 0, result.output
    for kind in ("coco", "coco-rle"):
        found = coco_objects(out, kind)
        assert len(found) == 2
        assert all(objects for objects in found.values())
        assert all((out / kind / "images" / photo).is_file() for photo in found)
    for kind, suffix in (("yolo", "txt"), ("yolo-boxes", "txt"), ("labelme", "json"),
                         ("voc", "xml")):  # fmt: skip
        stems = {path.stem for path in (out / kind).rglob(f"*.{suffix}")} - {"classes"}
        assert stems == {Path(photo).stem for photo in coco_objects(out)}, kind


def test_what_was_written_can_be_read_as_a_source(tmp_path: Path) -> None:
    """The masks of a run over its own annotations are the same."""
    source = save_photos(tmp_path / "in", 2)
    formats = ("coco", "coco-rle", "yolo", "labelme")
    words = [word for kind in formats for word in ("--annotations", kind)]
    mask_run(source, tmp_path / "out", *RED_OPTIONS, "--label", "square", *words)
    for kind in formats:
        again = tmp_path / f"again_{kind}"
        result = mask_run(tmp_path / "out" / kind, again)
        assert result.exit_code == 0, (kind, result.output)
        objects = [each for photo in coco_objects(again).values() for each in photo]
        assert objects == [("square", list(RED_BOX))] * 2, kind


def test_parts_of_a_run_are_joined(tmp_path: Path) -> None:
    source, out = save_photos(tmp_path / "in", 5), tmp_path / "out"
    for part in ("1/2", "2/2"):
        mask_run(source, out, *RED_OPTIONS, "--shard", part)
        assert not (out / "coco/annotations.json").exists()
    assert mask_run(source, out, *RED_OPTIONS, "--join").exit_code == 0
    assert len(coco_objects(out)) == 5


def test_a_dry_run_says_what_is_to_be_found(tmp_path: Path) -> None:
    source = save_coco(tmp_path)
    result = mask_run(source, tmp_path / "out", "--category", "cat", "--dry-run")
    assert "1 to find (cat)" in result.stdout
    assert "1 without an object" in result.stdout
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_ray_finds_the_same(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    source = save_photos(tmp_path / "in", 4)
    mask_run(source, tmp_path / "local", *RED_OPTIONS)
    result = run("mask", source, tmp_path / "ray", *RED_OPTIONS, "--engine", "ray")
    assert result.exit_code == 0, result.output
    assert files(tmp_path / "ray") == files(tmp_path / "local")
