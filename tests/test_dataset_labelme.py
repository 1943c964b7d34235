"""LabelMe annotations."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
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


def shape(label: str, kind: str, points: list[list[float]], **fields: Any) -> dict[str, Any]:
    return {"label": label, "shape_type": kind, "points": points, "group_id": None, **fields}


def save_labelled_photo(path: Path, *shapes: dict[str, Any]) -> None:
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
