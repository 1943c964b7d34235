"""CVAT annotations (CVAT for images 1.1)."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from dataset_photos import (
    FAST_OPTIONS,
    NO_WORKERS,
    PHOTO_SIZE,
    RED_BOX,
    batch,
    is_square_removed,
    load_photo,
    read_manifest,
    save_photo,
)
from pycocotools import mask as coco_mask

from segment2inpaint.dataset.formats.annotations import AnnotationFilter
from segment2inpaint.dataset.formats.cvat import CvatSource
from segment2inpaint.dataset.run_types import EditItem, InvalidRow

X0, Y0, X1, Y1 = RED_BOX
HEIGHT, WIDTH = PHOTO_SIZE
OPTIONS = (*FAST_OPTIONS, *NO_WORKERS)
BASE = {"prompts": [], "refine": {}, "fill": {}}
BOX = f'<box label="dog" occluded="0" xtl="{X0}.00" ytl="{Y0}.00" xbr="{X1}.00" ybr="{Y1}.00"/>'
CORNERS = f"{X0},{Y0};{X1},{Y0};{X1},{Y1};{X0},{Y1}"


def image(name: str, *shapes: str, size: tuple[int, int] = PHOTO_SIZE) -> str:
    height, width = size
    return (
        f'<image id="0" name="{name}" width="{width}" height="{height}">{"".join(shapes)}</image>'
    )


def document(*images: str) -> str:
    labels = "".join(f"<label><name>{name}</name></label>" for name in ("dog", "cat"))
    meta = f"<meta><task><labels>{labels}</labels></task></meta>"
    return f"<annotations><version>1.1</version>{meta}{''.join(images)}</annotations>"


def save_set(home: Path, *images: str, photos: tuple[str, ...] = ("a.png",)) -> Path:
    for name in photos:
        save_photo(home / "images" / name)
    home.mkdir(parents=True, exist_ok=True)
    (home / "annotations.xml").write_text(document(*images))
    return home / "annotations.xml"


def read(file: Path, *categories: str) -> list[EditItem | InvalidRow]:
    return list(CvatSource(str(file), BASE, AnnotationFilter(categories=categories)).items())


def prompt_of(file: Path) -> dict[str, object]:
    (item,) = read(file)
    assert isinstance(item, EditItem), item
    assert item.request
    (prompt,) = item.request["prompts"]
    return dict(prompt)


def row_runs(patch: np.ndarray) -> str:
    """Return run lengths row by row, zeros first, as CVAT writes them."""
    runs, value = [0], False
    for pixel in patch.ravel():
        if pixel != value:
            runs.append(0)
            value = not value
        runs[-1] += 1
    return ", ".join(map(str, runs))


@pytest.mark.parametrize(
    "shape",
    [
        BOX,
        f'<polygon label="dog" points="{CORNERS}"/>',
        '<ellipse label="dog" cx="26.0" cy="22.0" rx="9.0" ry="9.0"/>',
        f'<mask label="dog" rle="0, 144" left="{X0}" top="{Y0}" width="12" height="12"/>',
    ],
)
def test_a_shape_of_each_kind_is_removed_and_leaves_the_annotations(
    tmp_path: Path, shape: str
) -> None:
    cat = '<box label="cat" xtl="1" ytl="1" xbr="5" ybr="5"/>'
    save_set(tmp_path / "set", image("a.png", cat, shape))
    out = tmp_path / "out"
    result = batch(tmp_path / "set", out, "--category", "dog", *OPTIONS)
    assert result.exit_code == 0, result.output
    assert is_square_removed(out / "images/a.png")
    assert [row["label"] for row in read_manifest(out)] == ["dog"]
    left = ElementTree.parse(out / "annotations.xml").findall("image/*")
    assert [element.get("label") for element in left] == ["cat"]


def test_a_photo_of_the_original_folder_is_found_by_the_end_of_its_name(tmp_path: Path) -> None:
    file = save_set(
        tmp_path / "set", image("C:\\shots\\day1\\a.png", BOX), photos=("day1/a.png", "day2/a.png")
    )
    assert batch(file, tmp_path / "out", *OPTIONS).exit_code == 0
    assert is_square_removed(tmp_path / "out/images/day1/a.png")
    assert not (tmp_path / "out/images/day2/a.png").exists()


def test_a_rotated_box_becomes_its_turned_corners(tmp_path: Path) -> None:
    """A quarter turn of a wide box around its centre is a tall one."""
    box = '<box label="dog" xtl="10" ytl="20" xbr="30" ybr="24" rotation="90"/>'
    polygon = prompt_of(save_set(tmp_path, image("a.png", box)))["polygons"]
    corners = np.array(polygon).reshape(-1, 2)
    assert np.allclose(corners, [[22, 12], [22, 32], [18, 32], [18, 12]])


def test_a_mask_of_run_lengths_agrees_with_pycocotools(tmp_path: Path) -> None:
    patch = np.random.default_rng(5).random((9, 7)) > 0.6
    mask = f'<mask label="dog" rle="{row_runs(patch)}" left="11" top="30" width="7" height="9"/>'
    rle = prompt_of(save_set(tmp_path, image("a.png", mask)))["rle"]
    encoded = coco_mask.frPyObjects(rle, HEIGHT, WIDTH)
    expected = np.zeros(PHOTO_SIZE, np.uint8)
    expected[30:39, 11:18] = patch
    assert np.array_equal(coco_mask.decode(encoded), expected)
    assert coco_mask.area(encoded) == patch.sum()


def test_the_declared_size_of_the_photo_is_passed_on(tmp_path: Path) -> None:
    (item,) = read(save_set(tmp_path, image("a.png", BOX, size=(96, 128))))
    assert isinstance(item, EditItem)
    assert item.photo_size == (96, 128)


def test_shapes_without_an_area_and_damaged_ones_do_not_cost_the_others(tmp_path: Path) -> None:
    bad = (
        '<polyline label="dog" points="1,1;9,9"/>',
        '<points label="dog" points="3,3"/>',
        '<box label="dog" xtl="null" ytl="1" xbr="2" ybr="2"/>',
        '<box label="dog" xtl="5" ytl="1" xbr="5" ybr="2"/>',
        '<box label="dog" ytl="1" xbr="5" ybr="2"/>',
        '<polygon label="dog" points="1,1;9,9"/>',
        '<mask label="dog" rle="3, 99" left="0" top="0" width="4" height="4"/>',
        '<ellipse label="dog" cx="1e999" cy="3" rx="3" ry="3"/>',
    )
    file = save_set(tmp_path / "set", image("a.png", *bad, BOX))
    rows = [row for row in read(file) if isinstance(row, InvalidRow)]
    assert [row.where for row in rows] == [f"a.png: shape {n}" for n in range(1, len(bad) + 1)]
    result = batch(file, tmp_path / "out", "--skip-invalid", *OPTIONS)
    assert "a polyline has no area" in result.stderr
    assert is_square_removed(tmp_path / "out/images/a.png")


def test_a_photo_whose_objects_are_all_invalid_is_not_copied(tmp_path: Path) -> None:
    line = '<polyline label="dog" points="1,1;9,9"/>'
    file = save_set(tmp_path, image("a.png", line))
    assert [type(row) for row in read(file)] == [InvalidRow]


def test_a_shape_of_another_category_is_not_reported(tmp_path: Path) -> None:
    line = '<polyline label="cat" points="1,1;9,9"/>'
    file = save_set(tmp_path, image("a.png", line, BOX))
    assert [type(row) for row in read(file, "dog")] == [EditItem]


def test_tags_of_a_photo_are_no_objects(tmp_path: Path) -> None:
    (item,) = read(save_set(tmp_path, image("a.png", '<tag label="dog" source="manual"/>')))
    assert isinstance(item, EditItem)
    assert item.request is None


def test_tracks_of_a_video_are_refused_with_the_way_round(tmp_path: Path) -> None:
    track = '<track id="0" label="dog"><box frame="0" xtl="1" ytl="1" xbr="5" ybr="5"/></track>'
    result = batch(save_set(tmp_path / "set", track), tmp_path / "out", *OPTIONS)
    assert result.exit_code == 1
    assert "1 tracks of a video cannot be read; export the task as 'CVAT for images 1.1'" in (
        result.stderr
    )


def test_xml_with_a_byte_order_mark_or_in_another_encoding_is_read(tmp_path: Path) -> None:
    save_photo(tmp_path / "images/größe.png")
    for encoding, declared in (("utf-16", "UTF-16"), ("latin-1", "ISO-8859-1"), ("utf-8-sig", "")):
        declaration = f'<?xml version="1.0" encoding="{declared}"?>\r\n' if declared else ""
        text = declaration + document(image("größe.png", BOX)).replace("><", ">\r\n<")
        (tmp_path / "a.xml").write_bytes(text.encode(encoding))
        (item,) = read(tmp_path / "a.xml")
        assert isinstance(item, EditItem), encoding
        assert item.photo == str(tmp_path / "images/größe.png")


def test_xml_of_another_tool_is_refused_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text("<annotation><object/></annotation>")
    result = batch(tmp_path / "a.xml", tmp_path / "out", *OPTIONS)
    assert result.exit_code == 1
    assert "expected <annotations> of CVAT, got <annotation>" in result.stderr


def test_photos_without_objects_are_copied(tmp_path: Path) -> None:
    file = save_set(
        tmp_path / "set", image("a.png", BOX), image("b.png"), photos=("a.png", "b.png")
    )
    assert batch(file, tmp_path / "out", *OPTIONS).exit_code == 0
    copied, original = tmp_path / "out/images/b.png", tmp_path / "set/images/b.png"
    assert np.array_equal(load_photo(copied), load_photo(original))
