"""Annotations of a photo that has another size than they declare, or that EXIF turns."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, replace
from math import floor
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
    draw_photo,
    read_manifest,
    red_mask,
    save_photo,
)
from PIL import Image, ImageOps

from segment2inpaint.dataset.declared_size import PhotoFrame, is_same_shape
from segment2inpaint.dataset.ray_backend import job_from_dict
from segment2inpaint.dataset.request_json import job_key
from segment2inpaint.dataset.run_types import EditItem, PhotoJob, RunSettings, package_version
from segment2inpaint.errors import BadDataset
from segment2inpaint.request import run_lengths

OPTIONS = (*FAST_OPTIONS, *NO_WORKERS)
HEIGHT, WIDTH = PHOTO_SIZE
ORIENTATIONS = range(1, 9)
TO_STORED = {  # EXIF orientation -> how a camera stores an upright picture
    1: None, 2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_270,
}  # fmt: skip


def store(picture: np.ndarray, orientation: int) -> np.ndarray:
    """Return an upright picture as a camera stores it."""
    method = TO_STORED[orientation]
    image = Image.fromarray(picture)
    return np.asarray(image if method is None else image.transpose(method))


def save_turned(path: Path, orientation: int) -> None:
    """Save the photo with the red square as pixels that EXIF turns."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    path.parent.mkdir(parents=True, exist_ok=True)
    stored = Image.fromarray(store(draw_photo(), orientation))
    stored.save(path, quality=95, subsampling=0, exif=exif)


def stored_box(orientation: int) -> tuple[int, int, int, int]:
    """Return the box of the red square in the stored pixels."""
    rows, columns = np.nonzero(store(red_mask(), orientation))
    return int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1


def is_only_the_square_removed(after: Path) -> bool:
    """Return whether the red square is gone, and the pixels far from it are as they were."""
    pixels = np.asarray(ImageOps.exif_transpose(Image.open(after)).convert("RGB")).astype(int)
    x0, y0, x1, y1 = RED_BOX
    square = pixels[y0:y1, x0:x1]
    changed = np.abs(pixels - draw_photo().astype(int)).max(axis=2) > 40
    changed[y0 - 8 : y1 + 8, x0 - 8 : x1 + 8] = False
    return bool((square[..., 0] - square[..., 1] < 100).all() and not changed.any())


def write_coco(folder: Path, image: dict[str, Any], *annotations: dict[str, Any]) -> Path:
    path = folder / "labels.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    common = {"image_id": 1, "category_id": 1, "iscrowd": 0}
    records = [{"id": n, **common, **fields} for n, fields in enumerate(annotations, 1)]
    data = {
        "images": [{"id": 1, **image}],
        "annotations": records,
        "categories": [{"id": 1, "name": "dog"}],
    }
    path.write_text(json.dumps(data))
    return path


def bbox(box: tuple[float, ...]) -> list[float]:
    x0, y0, x1, y1 = box
    return [x0, y0, x1 - x0, y1 - y0]


def coco_rle(mask: np.ndarray) -> dict[str, Any]:
    return run_lengths(mask > 0)


# --- geometry ---------------------------------------------------------------------------------


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_prompts_are_turned_as_the_pixels_are(orientation: int) -> None:
    """Pillow is the oracle: it turns a picture on which the prompt is drawn."""
    upright = np.zeros((30, 50), np.uint8)
    upright[4:9, 11:31] = 255
    stored = store(upright, orientation)
    declared = (stored.shape[0], stored.shape[1])
    frame = PhotoFrame((30, 50), orientation)
    placement = frame.placement(declared)
    if orientation in (2, 3, 4):  # the size does not tell; then the annotations are upright
        assert placement.is_identity
        return
    rows, columns = np.nonzero(stored)
    x0, y0, x1, y1 = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
    box = [int(x0), int(y0), int(x1), int(y1)]
    assert placement.prompt({"box": box}) == {"box": [11, 4, 31, 9]}
    polygon = placement.prompt({"polygons": [box_polygon((*box,))]})["polygons"][0]
    assert {*zip(polygon[::2], polygon[1::2], strict=True)} == {
        (11, 4), (31, 4), (31, 9), (11, 9)
    }  # fmt: skip
    assert (placement.mask(stored > 0) == (upright > 0)).all()
    fractions = [x0 / declared[1], y0 / declared[0], x1 / declared[1], y1 / declared[0]]
    relative = placement.prompt({"relative": {"box": fractions}})["relative"]["box"]
    assert relative == pytest.approx([11 / 50, 4 / 30, 31 / 50, 9 / 30])


@pytest.mark.parametrize("orientation", [1, 5, 6, 7, 8])
def test_a_point_stays_on_its_pixel(orientation: int) -> None:
    upright = np.zeros((30, 50), np.uint8)
    upright[7, 41] = 255
    stored = store(upright, orientation)
    (y, x) = np.argwhere(stored)[0]
    placement = PhotoFrame((30, 50), orientation).placement((stored.shape[0], stored.shape[1]))
    points = {"include": [[int(x), int(y)]], "exclude": [], "granularity": "whole"}
    fitted = placement.prompt({"points": points})["points"]
    assert fitted == {"include": [[41, 7]], "exclude": [], "granularity": "whole"}


def test_prompts_of_a_smaller_or_larger_copy_are_scaled() -> None:
    half = PhotoFrame((100, 200)).placement((50, 100))
    assert half.prompt({"box": [1, 2, 30, 40]}) == {"box": [2, 4, 60, 80]}
    assert half.prompt({"polygons": [[0.5, 1, 2, 3, 4, 50]]}) == {
        "polygons": [[1, 2, 4, 6, 8, 100]]
    }
    assert half.prompt({"points": {"include": [[99, 49]]}}) == {"points": {"include": [[199, 99]]}}
    assert half.prompt({"relative": {"box": [0, 0, 0.5, 1]}}) == {
        "relative": {"box": [0, 0, 0.5, 1]}
    }
    triple = PhotoFrame((40, 30)).placement((120, 90))
    assert triple.prompt({"box": [3, 5, 20, 119]}) == {"box": [1, 1, 7, 40]}
    mask = np.zeros((120, 90), np.bool_)
    mask[30:60, 9:33] = True
    assert (np.argwhere(triple.mask(mask))[[0, -1]] == [[10, 3], [19, 10]]).all()


def test_prompts_of_a_smaller_turned_copy_are_turned_and_scaled() -> None:
    placement = PhotoFrame((100, 200), 6).placement((100, 50))
    x, y = placement.point(10.5, 30.5)
    turned = ImageOps.exif_transpose(_marked((100, 50), (30, 10), 6))
    row, column = np.argwhere(np.asarray(turned))[0]
    assert (floor(y / 2), floor(x / 2)) == (row, column)
    assert "turned upright" in placement.description
    assert "scaled to the photo's 200x100" in placement.description


def _marked(size: tuple[int, int], pixel: tuple[int, int], orientation: int) -> Image.Image:
    picture = np.zeros(size, np.uint8)
    picture[pixel] = 255
    image = Image.fromarray(picture)
    image.getexif()[0x0112] = orientation
    return image


@pytest.mark.parametrize(
    ("size", "other", "expected"),
    [
        ((427, 640), (4000, 6000), True),
        ((4000, 6000), (427, 640), True),
        ((480, 640), (3024, 4032), True),
        ((1023, 768), (1024, 768), True),
        ((640, 640), (427, 640), False),
        ((640, 480), (480, 640), False),
        ((1, 1), (427, 640), False),
        ((3, 4), (427, 640), False),
        ((1080, 1920), (1200, 1920), False),
    ],
)
def test_sizes_of_one_shape_differ_by_rounding(
    size: tuple[int, int], other: tuple[int, int], expected: bool
) -> None:
    assert is_same_shape(size, other) is expected
    assert is_same_shape(size[::-1], other[::-1]) is expected


def test_another_shape_is_refused_with_both_sizes() -> None:
    with pytest.raises(BadDataset, match=r"photo of 90x100, but the photo has 50x30 \(stored as"):
        PhotoFrame((30, 50), 8).placement((100, 90))


# --- runs -------------------------------------------------------------------------------------


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
@pytest.mark.parametrize("kind", ["box", "polygon", "rle"])
def test_coco_objects_of_stored_pixels_are_found_in_the_turned_photo(
    tmp_path: Path, kind: str, orientation: int
) -> None:
    save_turned(tmp_path / "set/a.jpg", orientation)
    box = stored_box(orientation)
    segmentation = {
        "box": [], "polygon": [box_polygon(box)], "rle": coco_rle(store(red_mask(), orientation))
    }[kind]  # fmt: skip
    image = {"file_name": "a.jpg", "width": HEIGHT, "height": WIDTH}
    path = write_coco(tmp_path / "set", image, {"bbox": bbox(box), "segmentation": segmentation})
    result = batch(path, tmp_path / "out", *OPTIONS)
    assert result.exit_code == 0, result.output
    assert is_only_the_square_removed(tmp_path / "out/a.jpg")
    (row,) = read_manifest(tmp_path / "out")
    if kind != "rle":
        assert "the annotations of 48x64 were turned upright" in row["note"]


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_coco_objects_of_the_upright_photo_stay(tmp_path: Path, orientation: int) -> None:
    """Also where no size is declared."""
    save_turned(tmp_path / "set/a.jpg", orientation)
    for size in ({"width": WIDTH, "height": HEIGHT}, {}, {"width": None, "height": "0"}):
        image = {"file_name": "a.jpg", **size}
        path = write_coco(tmp_path / "set", image, {"bbox": bbox(RED_BOX)})
        result = batch(path, tmp_path / "out", *OPTIONS)
        assert result.exit_code == 0, result.output
        assert is_only_the_square_removed(tmp_path / "out/a.jpg")
        assert not read_manifest(tmp_path / "out")[0]["note"]


@pytest.mark.parametrize("kind", ["box", "polygon", "rle"])
def test_coco_objects_of_a_smaller_copy_are_scaled(tmp_path: Path, kind: str) -> None:
    save_photo(tmp_path / "set/a.png")
    box = tuple(value / 4 for value in RED_BOX)
    mask = np.asarray(Image.fromarray(red_mask()).resize((16, 12)))
    segmentation = {"box": [], "polygon": [box_polygon(box)], "rle": coco_rle(mask)}[kind]  # type: ignore[arg-type]
    image = {"file_name": "a.png", "width": 16, "height": 12}
    path = write_coco(tmp_path / "set", image, {"bbox": bbox(box), "segmentation": segmentation})
    result = batch(path, tmp_path / "out", *OPTIONS)
    assert result.exit_code == 0, result.output
    assert is_only_the_square_removed(tmp_path / "out/a.png")


def test_run_lengths_may_have_another_size_than_is_declared(tmp_path: Path) -> None:
    """The tool declares the stored size, but made the mask on the upright photo."""
    save_turned(tmp_path / "set/a.jpg", 6)
    image = {"file_name": "a.jpg", "width": HEIGHT, "height": WIDTH}
    fields = {"bbox": bbox(stored_box(6)), "segmentation": coco_rle(red_mask())}
    path = write_coco(tmp_path / "set", image, fields)
    assert batch(path, tmp_path / "out", *OPTIONS).exit_code == 0
    assert is_only_the_square_removed(tmp_path / "out/a.jpg")


def test_a_photo_of_another_shape_fails_alone(tmp_path: Path) -> None:
    for name in "ab":
        save_photo(tmp_path / f"set/{name}.png")
    path = write_coco(
        tmp_path / "set", {"file_name": "a.png", "width": 64, "height": 64},
        {"bbox": bbox(RED_BOX)}, {"bbox": bbox(RED_BOX), "image_id": 2},
    )  # fmt: skip
    data = json.loads(path.read_text())
    data["images"].append({"id": 2, "file_name": "b.png", "width": 64, "height": 48})
    path.write_text(json.dumps(data))
    out = tmp_path / "out"
    result = batch(path, out, *OPTIONS)
    assert result.exit_code == 3, result.output
    assert not (out / "a.png").exists()
    assert is_only_the_square_removed(out / "b.png")
    rows = {row["output"]: row["error"] for row in read_manifest(out)}
    assert rows["a.png"].startswith("annotated as a photo of 64x64, but the photo has 64x48;")
    assert rows["b.png"] == ""


def test_an_object_outside_of_the_declared_size_is_refused(tmp_path: Path) -> None:
    """The stored size is declared, but the second box is that of the upright photo."""
    save_turned(tmp_path / "set/a.jpg", 6)
    image = {"file_name": "a.jpg", "width": HEIGHT, "height": WIDTH}
    boxes = (bbox(stored_box(6)), [50, 4, 12, 9])
    path = write_coco(tmp_path / "set", image, *({"bbox": box} for box in boxes))
    result = batch(path, tmp_path / "out", *OPTIONS)
    assert result.exit_code == 3, result.output
    assert is_only_the_square_removed(tmp_path / "out/a.jpg")
    errors = [row["error"] for row in read_manifest(tmp_path / "out") if row["error"]]
    assert errors == [
        "annotated as a photo of 48x64, but the object reaches to 50,4; the photo has 64x48, "
        "correct the declared size"
    ]


def test_panoptic_segments_of_stored_pixels_are_turned(tmp_path: Path) -> None:
    save_turned(tmp_path / "set/a.jpg", 8)
    ids = np.where(store(red_mask(), 8) > 0, 70, 5).astype(np.uint8)
    (tmp_path / "set/panoptic").mkdir()
    Image.fromarray(np.stack([ids, ids * 0, ids * 0], axis=2)).save(tmp_path / "set/panoptic/a.png")
    data = {
        "images": [{"id": 1, "file_name": "a.jpg", "width": HEIGHT, "height": WIDTH}],
        "categories": [{"id": 1, "name": "dog"}],
        "annotations": [{
            "image_id": 1, "file_name": "a.png",
            "segments_info": [{"id": 70, "category_id": 1, "bbox": bbox(stored_box(8))}],
        }],
    }  # fmt: skip
    (tmp_path / "set/panoptic.json").write_text(json.dumps(data))
    for use in ("mask", "box"):
        out = tmp_path / use
        result = batch(tmp_path / "set/panoptic.json", out, "--use", use, *OPTIONS)
        assert result.exit_code == 0, result.output
        assert is_only_the_square_removed(out / "a.jpg")


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_voc_boxes_of_stored_pixels_are_turned(tmp_path: Path, orientation: int) -> None:
    save_turned(tmp_path / "set/JPEGImages/a.jpg", orientation)
    x0, y0, x1, y1 = stored_box(orientation)
    (tmp_path / "set/Annotations").mkdir()
    (tmp_path / "set/Annotations/a.xml").write_text(
        f"<annotation><filename>a.jpg</filename><size><width>{HEIGHT}</width>"
        f"<height>{WIDTH}</height></size><object><name>dog</name><bndbox><xmin>{x0 + 1}</xmin>"
        f"<ymin>{y0 + 1}</ymin><xmax>{x1}</xmax><ymax>{y1}</ymax></bndbox></object></annotation>"
    )
    result = batch(tmp_path / "set", tmp_path / "out", *OPTIONS)
    assert result.exit_code == 0, result.output
    assert is_only_the_square_removed(tmp_path / "out/JPEGImages/a.jpg")


def test_labelme_polygons_of_stored_pixels_are_turned(tmp_path: Path) -> None:
    save_turned(tmp_path / "set/a.jpg", 6)
    x0, y0, x1, y1 = stored_box(6)
    shape = {
        "label": "dog",
        "points": [[x0, y0], [x1, y0], [x1, y1], [x0, y1]],
        "shape_type": "polygon",
    }
    data = {"shapes": [shape], "imagePath": "a.jpg", "imageHeight": WIDTH, "imageWidth": HEIGHT}
    (tmp_path / "set/a.json").write_text(json.dumps(data))
    result = batch(tmp_path / "set", tmp_path / "out", *OPTIONS)
    assert result.exit_code == 0, result.output
    assert is_only_the_square_removed(tmp_path / "out/a.jpg")


def test_results_of_worker_processes_are_the_same(tmp_path: Path) -> None:
    """The declared size reaches other processes."""
    save_turned(tmp_path / "set/a.jpg", 6)
    image = {"file_name": "a.jpg", "width": HEIGHT, "height": WIDTH}
    path = write_coco(tmp_path / "set", image, {"bbox": bbox(stored_box(6))})
    assert batch(path, tmp_path / "here", *OPTIONS).exit_code == 0
    assert batch(path, tmp_path / "there", *FAST_OPTIONS, "--workers", 1).exit_code == 0
    here, there = ((tmp_path / name / "a.jpg").read_bytes() for name in ("here", "there"))
    assert here == there


# --- resuming ---------------------------------------------------------------------------------


def test_a_changed_declared_size_runs_the_photo_again(tmp_path: Path) -> None:
    save_turned(tmp_path / "set/a.jpg", 6)
    annotation = {"bbox": bbox(RED_BOX)}
    out = tmp_path / "out"
    wrong = write_coco(
        tmp_path / "set", {"file_name": "a.jpg", "width": 9, "height": 9}, annotation
    )
    assert batch(wrong, out, *OPTIONS).exit_code != 0
    sizes = {"width": WIDTH, "height": HEIGHT}
    right = write_coco(tmp_path / "set", {"file_name": "a.jpg", **sizes}, annotation)
    assert batch(right, out, *OPTIONS).exit_code == 0
    assert is_only_the_square_removed(out / "a.jpg")


def test_jobs_for_other_machines_keep_the_declared_size() -> None:
    item = EditItem("a.png", "a.png", None, "row 1", photo_size=(48, 64))
    job = PhotoJob("a.png", "a.png", (item, replace(item, photo_size=None)), "key")
    assert job_from_dict(json.loads(json.dumps(asdict(job)))) == job


def test_keys_without_a_declared_size_are_those_of_earlier_versions() -> None:
    settings = RunSettings(out="/out")
    item = EditItem("a.png", "a.png", {"prompts": [{"box": [1, 2, 3, 4]}]}, "row 1", "7", "dog")
    earlier = {
        "version": package_version(),
        "requests": ['{"prompts": [{"box": [1, 2, 3, 4]}]}'],
        "objects": [["7", "dog"]],
        "settings": ["masks", None, "fail", False, False, "auto", settings.runtime.quantize],
    }
    text = json.dumps(earlier, sort_keys=True)
    assert job_key([item], settings) == hashlib.sha256(text.encode()).hexdigest()
    declared = EditItem(
        item.photo, item.output, item.request, item.where, item.id, item.label, (48, 64)
    )
    assert job_key([declared], settings) != job_key([item], settings)
