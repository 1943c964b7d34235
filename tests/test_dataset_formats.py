"""Annotated datasets in, and out again without what is gone."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from many import IN_PLACE, SIZE, SQUARE, batch, is_gone, load, manifest, save, tree
from PIL import Image

from segment2inpaint.dataset.formats.annotations import AnnotationFilter, AreaThreshold
from segment2inpaint.dataset.formats.coco import bits_of
from segment2inpaint.errors import BadDataset

HEIGHT, WIDTH = SIZE
X0, Y0, X1, Y1 = SQUARE
OTHER = (40, 30, 56, 44)  # where nothing red is: an annotated patch of background
QUICK = ("--inpainter", "telea", "--no-verify", *IN_PLACE)
KINDS = ["dog", "cat"]


def polygon(box: tuple[int, int, int, int]) -> list[float]:
    x0, y0, x1, y1 = box
    return [x0, y0, x1, y0, x1, y1, x0, y1]


def annotation(number: int, image: int, kind: int, box: tuple[int, ...], **more: Any) -> Any:
    x0, y0, x1, y1 = box
    w, h = x1 - x0, y1 - y0
    plain = {"segmentation": [polygon((x0, y0, x1, y1))], "bbox": [x0, y0, w, h], "area": w * h}
    return {"id": number, "image_id": image, "category_id": kind, "iscrowd": 0, **plain, **more}


@pytest.fixture
def coco(tmp_path: Path) -> Path:
    """Three photos; a dog is the red square in each, a cat the patch beside it in two."""
    for number in range(3):
        save(tmp_path / f"set/val/p{number}.png", number)
    data = {
        "info": {"year": 2026},
        "images": [
            {"id": n, "file_name": f"p{n}.png", "width": WIDTH, "height": HEIGHT} for n in range(3)
        ],
        "categories": [{"id": 1, "name": "dog"}, {"id": 7, "name": "cat"}],
        "annotations": [
            annotation(10, 0, 1, SQUARE),
            annotation(11, 1, 1, SQUARE, segmentation=run_lengths(), iscrowd=1),
            annotation(12, 2, 1, SQUARE, segmentation=[]),
            annotation(13, 0, 7, OTHER),
            annotation(14, 1, 7, OTHER),
        ],
    }
    path = tmp_path / "set/annotations/instances_val.json"
    path.parent.mkdir()
    path.write_text(json.dumps(data, indent=1))
    return path


def run_lengths() -> dict[str, Any]:
    from pycocotools import mask

    bits = np.zeros(SIZE, np.uint8, order="F")
    bits[Y0:Y1, X0:X1] = 1
    coded = mask.encode(bits)
    return {"size": list(SIZE), "counts": coded["counts"].decode()}


def by_pycocotools(path: Path) -> Any:
    from pycocotools.coco import COCO

    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(str(path))


# --- COCO -----------------------------------------------------------------------------------


def test_coco_without_its_dogs(coco: Path, tmp_path: Path) -> None:
    """Polygon, run lengths and box alone; cats stay, pycocotools reads what is left."""
    out = tmp_path / "out"
    result = batch(coco, out, "--category", "dog", *QUICK)
    assert result.exit_code == 0, result.output
    assert all(is_gone(out / f"val/p{n}.png") for n in range(3))
    before, after = by_pycocotools(coco), by_pycocotools(out / "annotations/instances_val.json")
    assert after.getAnnIds(catIds=[1]) == []
    cats = after.getAnnIds(catIds=[7])
    assert cats == [13, 14]
    assert after.loadAnns(cats) == before.loadAnns(cats)
    assert after.dataset["images"] == before.dataset["images"]
    assert after.dataset["info"] == before.dataset["info"]
    told = {row["id"]: row for row in manifest(out)}
    assert {name: row["label"] for name, row in told.items()} == dict.fromkeys(
        ["10", "11", "12"], "dog"
    )
    assert told["10"]["detector"] == "mask"
    assert told["12"]["detector"] == "grabcut"
    assert told["11"]["box"] == list(SQUARE)


def test_coco_with_nothing_selected_is_the_same(coco: Path, tmp_path: Path) -> None:
    """A round trip: every photo and the annotations byte for byte."""
    out = tmp_path / "out"
    result = batch(coco, out, "--min-area", 10_000, *QUICK)
    assert result.exit_code == 0, result.output
    assert tree(out) == tree(coco.parent.parent)


@pytest.mark.parametrize(
    ("words", "gone"),
    [
        (["--id", "13"], [13]),
        (["--min-area", "200"], [13, 14]),  # 14 x 16 px, the square has 12 x 12
        (["--max-area", "5%"], [10, 11, 12]),
        (["--category", "dog", "--min-area", "4%", "--use", "box"], [10, 11, 12]),
        ([], [10, 11, 12, 13, 14]),
    ],
)
def test_coco_by_id_and_size(coco: Path, tmp_path: Path, words: list[str], gone: list[int]) -> None:
    """Photos in which nothing is selected are copied."""
    out = tmp_path / "out"
    result = batch(coco, out, *words, *QUICK)
    left = by_pycocotools(out / "annotations/instances_val.json").getAnnIds()
    lost = sorted(set(range(10, 15)) - set(left))
    # where a box points at bare background, there may be nothing to find: it is told, and stays
    failed = [int(row["id"]) for row in manifest(out) if row["status"] == "failed"]
    assert sorted(lost + failed) == gone, result.output
    assert result.exit_code == (3 if failed else 0)
    assert len([name for name in tree(out) if name.startswith("val/")]) == 3


def test_a_failed_photo_keeps_its_annotations(coco: Path, tmp_path: Path) -> None:
    (tmp_path / "set/val/p1.png").write_bytes(b"broken")
    out = tmp_path / "out"
    assert batch(coco, out, "--category", "dog", *QUICK).exit_code == 3
    assert by_pycocotools(out / "annotations/instances_val.json").getAnnIds(catIds=[1]) == [11]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda d: d.pop("images"), "not COCO annotations"),
        (lambda d: d["annotations"][0].pop("id"), "not COCO annotations"),
        (lambda d: d["images"][0].update(file_name="none.png"), "not beside it; give --root"),
        (lambda d: d["images"][2].update(file_name="none.png"), "annotation 12: "),
        (lambda d: d["images"][1].pop("file_name"), "not COCO annotations"),
        (lambda d: d["categories"][1].pop("name"), "not COCO annotations"),
        (lambda d: d["annotations"][1].update(id=10), "two annotations have the id 10"),
        (lambda d: d["images"][1].update(id=0), "two images have the id 0"),
        (lambda d: d["annotations"][2].update(bbox=[1, 2]), "annotation 12: expected a bbox"),
        (lambda d: d["images"][1].update(file_name="../../a.png"), "../a.png must stay below"),
    ],
)
def test_damaged_coco(
    coco: Path, tmp_path: Path, change: Callable[[Any], object], told: str
) -> None:
    save(tmp_path / "a.png")
    data = json.loads(coco.read_text())
    change(data)
    coco.write_text(json.dumps(data))
    result = batch(coco, tmp_path / "out", *QUICK)
    assert result.exit_code == 1, result.output
    assert told in result.stderr


def test_a_category_that_is_not_there(coco: Path, tmp_path: Path) -> None:
    result = batch(coco, tmp_path / "out", "--category", "zebra", *QUICK)
    assert result.exit_code == 1
    assert "no category 'zebra'; known: cat, dog" in result.stderr


def test_an_id_that_is_not_there(coco: Path, tmp_path: Path) -> None:
    result = batch(coco, tmp_path / "out", "--id", "10", "--id", "99", *QUICK)
    assert result.exit_code == 1
    assert "no annotation has the id '99'" in result.stderr


def test_photos_that_were_only_copied_are_counted(coco: Path, tmp_path: Path) -> None:
    result = batch(coco, tmp_path / "out", "--id", "10", *QUICK)
    assert "3 of 3 photos done (2 of them as they were), 0 failed" in result.stderr


def test_masks_that_do_not_fit() -> None:
    with pytest.raises(BadDataset, match="come to 11 pixels, expected those of 10x10, 100"):
        bits_of({"rle": {"size": [10, 10], "counts": [5, 6]}}, (10, 10))
    with pytest.raises(BadDataset, match="64x48, expected the photo's 10x10"):
        bits_of({"rle": run_lengths()}, (10, 10))
    with pytest.raises(BadDataset, match="damaged"):
        bits_of({"polygons": [[1, 2]]}, (10, 10))


def test_panoptic(tmp_path: Path) -> None:
    """Things, not stuff; the segment's pixels are unlabelled afterwards."""
    save(tmp_path / "set/p.png")
    ids = np.full(SIZE, 300, np.int64)
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
    result = batch(tmp_path / "set/panoptic.json", out, *QUICK)
    assert result.exit_code == 0, result.output
    assert is_gone(out / "p.png")
    left = json.loads((out / "panoptic.json").read_text())["annotations"][0]["segments_info"]
    assert left == segments[:1]
    after = load(out / "panoptic/p.png")
    assert (after[Y0:Y1, X0:X1] == 0).all()
    assert (after == colors)[ids == 300].all()


# --- YOLO -----------------------------------------------------------------------------------


@pytest.fixture
def yolo(tmp_path: Path) -> Path:
    """A box, a polygon, and a photo of the background alone."""
    home = tmp_path / "set"
    for number in range(3):
        save(home / f"images/train/p{number}.jpg", number)
    (home / "labels/train").mkdir(parents=True)
    box = f"0 {(X0 + X1) / 2 / WIDTH} {(Y0 + Y1) / 2 / HEIGHT} {12 / WIDTH} {12 / HEIGHT}"
    shares = np.array(polygon(SQUARE)).reshape(-1, 2) / (WIDTH, HEIGHT)
    points = " ".join(map(str, shares.ravel()))
    (home / "labels/train/p0.txt").write_text(f"1 0.8 0.8 0.1 0.1\n{box}\n")
    (home / "labels/train/p1.txt").write_text(f"0 {points}\n")
    (home / "data.yaml").write_text(
        f"path: {home}\ntrain: images/train\nval: images/train\nnames: [dog, cat]\n"
    )
    return home


def test_yolo(yolo: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = batch(yolo / "data.yaml", out, "--category", "dog", *QUICK)
    assert result.exit_code == 0, result.output
    assert is_gone(out / "images/train/p0.jpg")
    assert is_gone(out / "images/train/p1.jpg")
    assert (
        load(out / "images/train/p2.jpg").tobytes() == load(yolo / "images/train/p2.jpg").tobytes()
    )
    assert (out / "labels/train/p0.txt").read_text() == "1 0.8 0.8 0.1 0.1\n"
    assert (out / "labels/train/p1.txt").read_text() == ""
    assert str(yolo) not in (out / "data.yaml").read_text()
    told = {row["id"]: row for row in manifest(out)}
    assert told["labels/train/p0.txt:2"]["request"]["prompts"][0]["relative"]["box"]
    x0, y0, x1, y1 = told["labels/train/p1.txt:1"]["box"]
    assert (x0, y0) == (X0, Y0)
    assert x1 - X1 in (0, 1)  # COCO's polygons take the pixel that the corner lies in
    assert y1 - Y1 in (0, 1)


def test_yolo_agrees_with_supervision(yolo: Path) -> None:
    """The same boxes and classes as another reader finds."""
    sv = pytest.importorskip("supervision", reason="supervision is not installed")
    found = sv.DetectionDataset.from_yolo(
        str(yolo / "images/train"), str(yolo / "labels/train"), str(yolo / "data.yaml")
    )
    (detections,) = [d for path, _, d in found if path.endswith("p0.jpg")]
    assert detections.class_id.tolist() == [1, 0]
    assert np.allclose(detections.xyxy[1], SQUARE, atol=0.01)


def test_a_yolo_folder_without_yaml(yolo: Path, tmp_path: Path) -> None:
    (yolo / "data.yaml").unlink()
    (yolo / "classes.txt").write_text("dog\ncat")
    (yolo / "notes.txt").write_text("hello")
    result = batch(yolo, tmp_path / "out", "--category", "dog", "--min-area", "1%", *QUICK)
    assert result.exit_code == 0, result.output
    assert len(manifest(tmp_path / "out")) == 2
    assert (tmp_path / "out/classes.txt").read_text() == "dog\ncat"


def test_a_bad_yolo_line(yolo: Path, tmp_path: Path) -> None:
    (yolo / "labels/train/p1.txt").write_text("0 0.1 0.1 0.2 0.2\n0 0.1 nonsense\n")
    result = batch(yolo, tmp_path / "out", *QUICK)
    assert result.exit_code == 1
    assert "labels/train/p1.txt:2: expected class x y w h" in result.stderr
    (yolo / "labels/train/p1.txt").write_text("0 nan 0.1 0.2 0.2\n")
    assert "p1.txt:1: expected" in batch(yolo, tmp_path / "out", *QUICK).stderr
    px = batch(yolo, tmp_path / "out", "--min-area", "100", "--skip-invalid", *QUICK)
    assert px.exit_code == 1
    assert "per cent of the photo" in px.stderr


# --- Pascal VOC -------------------------------------------------------------------------------

VOC = """<annotation><folder>set</folder><filename>p.jpg</filename>
<size><width>64</width><height>48</height><depth>3</depth></size>
<object><name>cat</name><bndbox><xmin>41</xmin><ymin>31</ymin><xmax>56</xmax><ymax>44</ymax></bndbox></object>
<object><name>dog</name><bndbox><xmin>21</xmin><ymin>17</ymin><xmax>32</xmax><ymax>28</ymax></bndbox></object>
</annotation>"""


@pytest.fixture
def voc(tmp_path: Path) -> Path:
    home = tmp_path / "set"
    save(home / "JPEGImages/p.jpg")
    for name, text in (("Annotations/p.xml", VOC), ("ImageSets/Main/train.txt", "p\n")):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(text)
    return home


def test_voc(voc: Path, tmp_path: Path) -> None:
    """Boxes count from 1, both ends inside; the dog's goes, the cat's and the lists stay."""
    out = tmp_path / "out"
    result = batch(voc, out, "--category", "dog", *QUICK)
    assert result.exit_code == 0, result.output
    assert is_gone(out / "JPEGImages/p.jpg")
    (row,) = manifest(out)
    assert row["request"]["prompts"] == [{"box": list(SQUARE)}]
    left = ElementTree.parse(out / "Annotations/p.xml").getroot()
    assert [one.findtext("name") for one in left.findall("object")] == ["cat"]
    assert left.findtext("size/width") == "64"
    assert (out / "ImageSets/Main/train.txt").read_text() == "p\n"


def test_voc_with_nothing_selected_is_the_same(voc: Path, tmp_path: Path) -> None:
    assert batch(voc, tmp_path / "out", "--id", "none", *QUICK).exit_code == 0
    assert tree(tmp_path / "out") == tree(voc)


def test_a_bad_voc_file(voc: Path, tmp_path: Path) -> None:
    (voc / "Annotations/q.xml").write_text("<annotation><object>")
    result = batch(voc, tmp_path / "out", *QUICK)
    assert result.exit_code == 1
    assert "Annotations/q.xml: not XML" in result.stderr


# --- LabelMe ----------------------------------------------------------------------------------


def shape(label: str, kind: str, points: list[list[float]], **more: Any) -> dict[str, Any]:
    return {"label": label, "shape_type": kind, "points": points, "group_id": None, **more}


def labelled(path: Path, *shapes: dict[str, Any]) -> None:
    photo = path.with_suffix(".png")
    save(photo)
    data = {
        "version": "5.4.1", "flags": {}, "shapes": shapes, "imagePath": photo.name,
        "imageData": base64.b64encode(photo.read_bytes()).decode(),
        "imageHeight": HEIGHT, "imageWidth": WIDTH,
    }  # fmt: skip
    path.write_text(json.dumps(data))


def test_labelme(tmp_path: Path) -> None:
    """Each kind of shape; the copy of the photo in the file goes too, it would show what was."""
    patch = io.BytesIO()
    Image.fromarray(np.full((12, 12), 255, np.uint8)).convert("1").save(patch, "PNG")
    mask = base64.b64encode(patch.getvalue()).decode()
    corners = [[X0, Y0], [X1, Y1]]
    corner_points = [list(pair) for pair in np.array(polygon(SQUARE)).reshape(-1, 2).tolist()]
    home = tmp_path / "set"
    (home / "b").mkdir(parents=True)
    labelled(
        home / "a.json", shape("dog", "polygon", corner_points), shape("cat", "point", [[3, 3]])
    )
    labelled(home / "b/rectangle.json", shape("dog", "rectangle", corners))
    labelled(home / "circle.json", shape("dog", "circle", [[26, 22], [34, 22]]))
    labelled(home / "mask.json", shape("dog", "mask", corners, mask=mask))
    labelled(home / "point.json", shape("dog", "point", [[26, 22]]))
    labelled(home / "none.json", shape("cat", "polygon", corner_points))
    out = tmp_path / "out"
    result = batch(home, out, "--category", "dog", *QUICK)
    assert result.exit_code == 0, result.output
    for name in ("a", "b/rectangle", "circle", "mask", "point"):
        assert is_gone(out / f"{name}.png"), name
        assert json.loads((out / f"{name}.json").read_text())["imageData"] is None
    left = json.loads((out / "a.json").read_text())["shapes"]
    assert [one["label"] for one in left] == ["cat"]
    assert (out / "none.json").read_bytes() == (home / "none.json").read_bytes()
    assert (out / "none.png").read_bytes() == (home / "none.png").read_bytes()


def test_labelme_lines_have_no_inside(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    labelled(tmp_path / "set/a.json", shape("dog", "line", [[1, 1], [9, 9]]))
    result = batch(tmp_path / "set", tmp_path / "out", *QUICK)
    assert result.exit_code == 1
    assert "a line has no inside" in result.stderr


# --- photos in tables and tars ------------------------------------------------------------------


def test_hugging_face_with_objects(tmp_path: Path) -> None:
    """As ``datasets`` writes it: pictures in Parquet, objects with names of categories."""
    datasets = pytest.importorskip("datasets", reason="Hugging Face datasets are not installed")
    save(tmp_path / "a.jpg")
    save(tmp_path / "b.png", 3)
    kinds = datasets.ClassLabel(names=KINDS)
    features = datasets.Features({
        "image": datasets.Image(),
        "objects": {
            "bbox": datasets.Sequence(datasets.Sequence(datasets.Value("float32"), length=4)),
            "category": datasets.Sequence(kinds),
        },
    })  # fmt: skip
    objects = [
        {"bbox": [[X0, Y0, 12, 12], [40, 30, 16, 14]], "category": [0, 1]},
        {"bbox": [], "category": []},
    ]
    rows = {"image": [str(tmp_path / "a.jpg"), str(tmp_path / "b.png")], "objects": objects}
    made = datasets.Dataset.from_dict(rows, features=features)
    for name, write in (("one", parquet), ("two", made.save_to_disk)):
        folder = tmp_path / name
        folder.mkdir()
        write(folder) if write is not parquet else parquet(folder, made)
        out = tmp_path / f"out-{name}"
        result = batch(folder, out, "--category", "dog", *QUICK)
        assert result.exit_code == 0, result.output
        photos = sorted(n for n in tree(out) if not n.startswith("masks/"))
        assert [Path(n).name for n in photos] == ["000000.jpg", "000001.png"]
        assert is_gone(out / photos[0])
        assert (out / photos[1]).read_bytes() == (tmp_path / "b.png").read_bytes()
        (row,) = manifest(out)
        assert row["label"] == "dog"


def test_tables_and_tars_on_a_remote_store(tmp_path: Path) -> None:
    """Rows and members are read where they are; a row without a picture is told."""
    import fsspec
    import pyarrow
    from pyarrow import parquet as files

    data = save(tmp_path / "a.png").read_bytes()
    kind = pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])
    some = [{"bytes": data, "path": "a.png"}, None, {"bytes": data, "path": None}]
    table = pyarrow.table({"image": pyarrow.array(some, kind)})
    memory = fsspec.filesystem("memory")
    with memory.open("/packs/t/train.parquet", "wb") as file:
        files.write_table(table, file)
    with memory.open("/packs/s/a.tar", "wb") as file, tarfile.open(fileobj=file, mode="w") as tar:
        tar.add(tmp_path / "a.png", "x/a.png")
    prompt = ("--color", "#dc1e1e", "--tolerance", "30")
    result = batch("memory://packs/t", tmp_path / "t", *prompt, *QUICK)
    assert result.exit_code == 3, result.output
    assert "no picture in this row" in result.stderr
    assert is_gone(tmp_path / "t/train/000000.png")
    assert is_gone(tmp_path / "t/train/000002.png")
    result = batch("memory://packs/s", tmp_path / "s", *prompt, *QUICK)
    assert result.exit_code == 0, result.output
    assert is_gone(tmp_path / "s/a/x/a.png")


def parquet(folder: Path, made: Any) -> None:
    made.to_parquet(folder / "train.parquet")


def test_webdataset(tmp_path: Path) -> None:
    """Tars as the webdataset library writes them: prompts in JSON, masks, or one for all."""
    wds = pytest.importorskip("webdataset", reason="webdataset is not installed")
    photo = save(tmp_path / "a.png").read_bytes()
    square = np.zeros(SIZE, np.uint8)
    square[Y0:Y1, X0:X1] = 255
    file = io.BytesIO()
    Image.fromarray(square).save(file, "PNG")
    shards = tmp_path / "shards"
    shards.mkdir()
    with wds.TarWriter(str(shards / "s-000.tar")) as tar:
        asks = {"boxes": [[X0 - 2, Y0 - 2, X1 + 2, Y1 + 2]], "caption": "not for us", "seed": 5}
        tar.write({"__key__": "x/one", "png": photo, "json": json.dumps(asks).encode()})
        tar.write({"__key__": "x/two", "png": photo, "mask.png": file.getvalue()})
        tar.write({"__key__": "x/three", "png": photo})
    out = tmp_path / "out"
    refused = batch(shards, out, *QUICK)
    assert refused.exit_code == 1
    assert "s-000.tar: x/three: no prompt" in refused.stderr
    result = batch(shards, out, "-p", "26,22", *QUICK)
    assert result.exit_code == 0, result.output
    for name in ("one", "two", "three"):
        assert is_gone(out / f"s-000/x/{name}.png")
    told = {Path(row["output"]).stem: row for row in manifest(out)}
    assert told["one"]["request"]["fill"]["seed"] == 5
    assert told["two"]["detector"] == "mask"
    assert told["three"]["detector"] == "grabcut"


def test_a_damaged_table(tmp_path: Path) -> None:
    (tmp_path / "h").mkdir()
    (tmp_path / "h/x.parquet").write_bytes(b"nope")
    result = batch(tmp_path / "h", tmp_path / "out", "-p", "26,22", *QUICK)
    assert result.exit_code == 1
    assert "x.parquet: not a readable table: " in result.stderr


def test_a_damaged_tar(tmp_path: Path) -> None:
    (tmp_path / "s.tar").write_bytes(b"x" * 2000)
    result = batch(tmp_path / "s.tar", tmp_path / "out", "-p", "26,22", *QUICK)
    assert result.exit_code == 1
    assert "s.tar: not a readable tar" in result.stderr
    with tarfile.open(tmp_path / "e.tar", "w"):
        pass
    assert batch(tmp_path / "e.tar", tmp_path / "out", "-p", "1,1", *QUICK).exit_code == 0


# --- choosing ---------------------------------------------------------------------------------


def test_areas() -> None:
    assert AreaThreshold.parse("400") == AreaThreshold(400.0)
    assert AreaThreshold.parse("2%") == AreaThreshold(0.02, share=True)
    assert AnnotationFilter(categories=("dog",)) != AnnotationFilter()
