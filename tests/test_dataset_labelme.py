"""LabelMe annotations."""

from __future__ import annotations

import base64
import io
import json
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
    is_square_removed,
    save_photo,
)
from PIL import Image

X0, Y0, X1, Y1 = RED_BOX
HEIGHT, WIDTH = PHOTO_SIZE
OPTIONS = (*FAST_OPTIONS, *NO_WORKERS)


def shape(label: str, kind: str, points: Any, **fields: Any) -> dict[str, Any]:
    return {"label": label, "shape_type": kind, "points": points, "group_id": None, **fields}


def save_labelled_photo(path: Path, *shapes: Any) -> None:
    """Save a LabelMe file, and the photo next to it."""
    photo = path.with_suffix(".png")
    save_photo(photo)
    data = {
        "version": "5.4.1", "flags": {}, "shapes": shapes, "imagePath": photo.name,
        "imageData": base64.b64encode(photo.read_bytes()).decode(),
        "imageHeight": HEIGHT, "imageWidth": WIDTH,
    }  # fmt: skip
    path.write_text(json.dumps(data))


def test_shapes_of_each_type_are_removed(tmp_path: Path) -> None:
    """Changed files also lose their copy of the photo, which shows the removed object."""
    patch = io.BytesIO()
    Image.fromarray(np.full((12, 12), 255, np.uint8)).convert("1").save(patch, "PNG")
    mask = base64.b64encode(patch.getvalue()).decode()
    corners = [[X0, Y0], [X1, Y1]]
    square = [[X0, Y0], [X1, Y0], [X1, Y1], [X0, Y1]]
    home = tmp_path / "set"
    (home / "b").mkdir(parents=True)
    save_labelled_photo(
        home / "a.json", shape("dog", "polygon", square), shape("cat", "point", [[3, 3]])
    )
    save_labelled_photo(home / "b/rectangle.json", shape("dog", "rectangle", corners))
    save_labelled_photo(home / "circle.json", shape("dog", "circle", [[26, 22], [34, 22]]))
    save_labelled_photo(home / "mask.json", shape("dog", "mask", corners, mask=mask))
    save_labelled_photo(home / "point.json", shape("dog", "point", [[26, 22]]))
    save_labelled_photo(home / "none.json", shape("cat", "polygon", square))
    out = tmp_path / "out"
    result = batch(home, out, "--category", "dog", *OPTIONS)
    assert result.exit_code == 0, result.output
    for name in ("a", "b/rectangle", "circle", "mask", "point"):
        assert is_square_removed(out / f"{name}.png"), name
        assert json.loads((out / f"{name}.json").read_text())["imageData"] is None
    shapes = json.loads((out / "a.json").read_text())["shapes"]
    assert [shape["label"] for shape in shapes] == ["cat"]
    assert (out / "none.json").read_bytes() == (home / "none.json").read_bytes()
    assert (out / "none.png").read_bytes() == (home / "none.png").read_bytes()


def test_a_line_is_refused_as_it_has_no_area(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    save_labelled_photo(tmp_path / "set/a.json", shape("dog", "line", [[1, 1], [9, 9]]))
    result = batch(tmp_path / "set", tmp_path / "out", *OPTIONS)
    assert result.exit_code == 1
    assert "a line has no area" in result.stderr


def test_a_turned_rectangle_of_four_points_is_removed(tmp_path: Path) -> None:
    """X-AnyLabeling writes ``rotation`` shapes; labelme forks rectangles of four points."""
    diamond = [[26, 10], [38, 22], [26, 34], [14, 22]]
    square = [[X1, Y0], [X1, Y1], [X0, Y1], [X0, Y0]]
    home = tmp_path / "set"
    home.mkdir()
    save_labelled_photo(home / "a.json", shape("dog", "rotation", diamond, direction=0.78))
    save_labelled_photo(home / "b.json", shape("dog", "rectangle", square))
    result = batch(home, tmp_path / "out", *OPTIONS)
    assert result.exit_code == 0, result.output
    assert is_square_removed(tmp_path / "out/a.png")
    assert is_square_removed(tmp_path / "out/b.png")


def test_flat_points_and_numbers_as_text_are_read(tmp_path: Path) -> None:
    home = tmp_path / "set"
    home.mkdir()
    flat: list[Any] = [X0, Y0, str(X1), Y0, X1, str(Y1), X0, Y1]
    save_labelled_photo(home / "a.json", shape("dog", "polygon", flat))
    result = batch(home, tmp_path / "out", *OPTIONS)
    assert result.exit_code == 0, result.output
    assert is_square_removed(tmp_path / "out/a.png")


def test_bad_shapes_do_not_cost_the_others(tmp_path: Path) -> None:
    corners: Any = [[X0, Y0], [X1, Y1]]
    bad: list[Any] = [
        shape("dog", "linestrip", [[1, 1], [5, 5]]),
        shape("dog", "line", [[1, 1], [5, 5]]),
        shape("dog", "polygon", [[1, 1], [5, 5]]),
        shape("dog", "polygon", []),
        shape("dog", "rectangle", [[1, 1]]),
        shape("dog", "rectangle", [[1, None], [4, 4]]),
        shape("dog", "circle", [[1, 1]]),
        shape("dog", "mask", corners),
        shape("dog", "mask", corners, mask="no picture"),
        shape("dog", "mask", corners, mask="AAAA"),
        shape("dog", "polygon", [[1e300, 1], [2, 2], [3, 1]]),
        {"label": "dog"},
        None,
        "dog",
    ]
    (tmp_path / "set").mkdir()
    save_labelled_photo(tmp_path / "set/a.json", *bad, shape("dog", "rectangle", corners))
    result = batch(tmp_path / "set", tmp_path / "out", "--skip-invalid", *OPTIONS)
    for number in range(1, len(bad) + 1):
        assert f"a.json: shape {number}: " in result.stderr, number
    assert "a linestrip has no area; expected polygon, rectangle" in result.stderr
    assert is_square_removed(tmp_path / "out/a.png")
    left = json.loads((tmp_path / "out/a.json").read_text())["shapes"]
    assert left == bad


def test_a_line_of_another_category_is_not_reported(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    lane = shape("lane", "linestrip", [[1, 1], [5, 5]])
    dog = shape("dog", "rectangle", [[X0, Y0], [X1, Y1]])
    save_labelled_photo(tmp_path / "set/a.json", lane, dog)
    result = batch(tmp_path / "set", tmp_path / "out", "--category", "dog", *OPTIONS)
    assert result.exit_code == 0, result.output
    assert is_square_removed(tmp_path / "out/a.png")


def save_apart(tmp_path: Path, image_path: str) -> Path:
    """Save set/json/day1/a.json and set/images/day1/a.png, and return the set."""
    home = tmp_path / "set"
    (home / "json/day1").mkdir(parents=True)
    save_labelled_photo(home / "json/day1/a.json", shape("dog", "rectangle", [[X0, Y0], [X1, Y1]]))
    file = home / "json/day1/a.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "imagePath": image_path}))
    (home / "images/day1").mkdir(parents=True)
    (home / "json/day1/a.png").rename(home / "images/day1/a.png")
    return home


@pytest.mark.parametrize(
    "image_path",
    ["../../images/day1/a.png", "..\\..\\images\\day1\\a.png", "a.png",
     "/home/someone/shots/day1/a.png", "D:\\shots\\day1\\a.png", "day1/A.PNG"],
)  # fmt: skip
@pytest.mark.parametrize("source", ["", "json"])
def test_photos_in_another_folder_than_their_json_are_found(
    tmp_path: Path, image_path: str, source: str
) -> None:
    """OUTDIR has the layout of the set, and its changed files name the photos there."""
    home = save_apart(tmp_path, image_path)
    out = tmp_path / "out"
    result = batch(home / source, out, *OPTIONS)
    assert result.exit_code == 0, result.output
    assert is_square_removed(out / "images/day1/a.png")
    written = json.loads((out / "json/day1/a.json").read_text())
    assert written["shapes"] == []
    assert (out / "json/day1" / written["imagePath"]).resolve() == out / "images/day1/a.png"


def test_a_single_file_is_a_source(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    for name in ("a", "b"):
        square = shape("dog", "rectangle", [[X0, Y0], [X1, Y1]])
        save_labelled_photo(tmp_path / f"set/{name}.json", square)
    result = batch(tmp_path / "set/b.json", tmp_path / "out", *OPTIONS)
    assert result.exit_code == 0, result.output
    assert is_square_removed(tmp_path / "out/b.png")
    assert not (tmp_path / "out/a.png").exists()


def test_json_of_something_else_and_damaged_files_do_not_cost_the_others(tmp_path: Path) -> None:
    home = tmp_path / "set"
    home.mkdir()
    save_labelled_photo(home / "z.json", shape("dog", "rectangle", [[X0, Y0], [X1, Y1]]))
    good = json.loads((home / "z.json").read_text())
    (home / "a_settings.json").write_text('{"theme": "dark"}')
    (home / "b.json").write_bytes(b'{"shapes": [')
    (home / "c.json").write_text(json.dumps({**good, "imagePath": None}))
    (home / "d.json").write_text(json.dumps({**good, "imageWidth": -5}))
    (home / "e.json").write_text("[" * 100_000)
    result = batch(home, tmp_path / "out", "--skip-invalid", *OPTIONS)
    for name in ("a_settings", "b", "c", "d", "e"):
        assert f"{name}.json: " in result.stderr, name
    assert "not a LabelMe file: expected shapes to be a list" in result.stderr
    assert is_square_removed(tmp_path / "out/z.png")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
def test_labels_in_the_encodings_of_windows_are_read(tmp_path: Path, encoding: str) -> None:
    home = tmp_path / "set"
    home.mkdir()
    save_labelled_photo(home / "a.json", shape("Tür", "rectangle", [[X0, Y0], [X1, Y1]]))
    data = json.loads((home / "a.json").read_text())
    text = json.dumps({**data, "imageData": None}, ensure_ascii=False, indent=1)
    (home / "a.json").write_bytes(text.replace("\n", "\r\n").encode(encoding))
    result = batch(home, tmp_path / "out", "--category", "Tür", *OPTIONS)
    assert result.exit_code == 0, result.output
    assert is_square_removed(tmp_path / "out/a.png")


def test_shapes_of_a_smaller_copy_are_scaled_to_the_photo(tmp_path: Path) -> None:
    home = tmp_path / "set"
    home.mkdir()
    save_labelled_photo(home / "a.json", shape("dog", "circle", [[13, 11], [17, 11]]))
    data = json.loads((home / "a.json").read_text())
    data |= {"imageHeight": HEIGHT // 2, "imageWidth": str(WIDTH // 2)}
    (home / "a.json").write_text(json.dumps(data))
    result = batch(home, tmp_path / "out", "--use", "mask", *OPTIONS)
    assert result.exit_code == 0, result.output
    assert is_square_removed(tmp_path / "out/a.png")
