"""JSONL and CSV tables with a row for each object."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from dataset_photos import (
    FAST_OPTIONS,
    NO_WORKERS,
    RED_BOX,
    RED_HEX,
    batch,
    batch_red,
    is_square_removed,
    load_photo,
    output_files,
    output_photos,
    read_manifest,
    write_rows,
)
from PIL import Image


def test_rows_of_one_photo_are_edited_together(photo_folder: Path, tmp_path: Path) -> None:
    """The rows have boxes, points, a colour, options, and a name for the output."""
    x0, y0, x1, y1 = RED_BOX
    source = write_rows(
        tmp_path / "in/rows.jsonl",
        {"photo": "a.png", "boxes": [[x0 - 2, y0 - 2, x1 + 2, y1 + 2]], "id": "square"},
        {"photo": "a.png", "boxes": [40, 30, 56, 44], "id": "blue"},
        {"photo": "a.jpg", "points": [[26, 22]], "not_points": [[2, 2]], "dilate": 3, "seed": 7},
        {"photo": "x/photo.jpg", "colors": RED_HEX, "output": "new/name.png", "detector": "color"},
    )
    out = tmp_path / "out"
    result = batch(source, out, *FAST_OPTIONS, *NO_WORKERS)
    assert result.exit_code == 0, result.output
    assert set(output_photos(out)) == {"a.png", "a.jpg", "new/name.png"}
    assert all(is_square_removed(out / name) for name in output_photos(out))
    result_rows = {row["id"] or row["output"]: row for row in read_manifest(out)}
    assert result_rows["square"]["output"] == result_rows["blue"]["output"] == "a.png"
    request = result_rows["a.jpg"]["request"]
    assert request["fill"]["seed"] == 7
    assert request["refine"]["dilate"] == "3"
    with Image.open(out / "new/name.png") as new:
        assert new.format == "PNG"


def test_rows_with_different_fills_are_edited_in_order(photo_folder: Path, tmp_path: Path) -> None:
    source = write_rows(
        tmp_path / "in/rows.jsonl",
        {"photo": "a.png", "boxes": [18, 14, 34, 30], "inpainter": "telea"},
        {"photo": "a.png", "boxes": [40, 30, 56, 44], "inpainter": "ns"},
    )
    assert batch(source, tmp_path / "out", "--no-verify", *NO_WORKERS).exit_code == 0
    first, second = read_manifest(tmp_path / "out")
    assert (first["inpainter"], second["inpainter"]) == ("telea", "ns")
    assert first["changed_outside"] == 0
    assert is_square_removed(tmp_path / "out/a.png")


def test_csv_rows_are_edited(photo_folder: Path, tmp_path: Path) -> None:
    with (photo_folder / "rows.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["photo", "points", "boxes", "seed", "id"])
        writer.writerow(["a.png", "26,22;24,20", "", "3", "7"])
        writer.writerow(["x/photo.jpg", "", "18,14,34,30", "", ""])
    out = tmp_path / "out"
    result = batch(photo_folder / "rows.csv", out, *FAST_OPTIONS, *NO_WORKERS)
    assert result.exit_code == 0, result.output
    request = read_manifest(out)[0]["request"]
    assert request["prompts"] == [{"points": {"include": [[26, 22], [24, 20]]}}]
    assert request["fill"]["seed"] == 3
    assert is_square_removed(out / "x/photo.jpg")


def test_the_command_line_supplies_what_a_row_leaves_out(
    photo_folder: Path, tmp_path: Path
) -> None:
    source = write_rows(
        photo_folder / "rows.jsonl", {"photo": "a.png"}, {"photo": "a.jpg", "seed": 2}
    )
    assert batch_red(source, tmp_path / "out", "--seed", 9).exit_code == 0
    assert [row["request"]["fill"]["seed"] for row in read_manifest(tmp_path / "out")] == [2, 9]


def test_a_saved_request_is_applied_to_all_photos(photo_folder: Path, tmp_path: Path) -> None:
    """``--request`` and the key ``request`` take what ``remove --json`` prints."""
    from click.testing import CliRunner

    from segment2inpaint.cli import main

    options = ["--color", RED_HEX, *FAST_OPTIONS, "-o", str(tmp_path / "o.png"), "--json"]
    report = CliRunner().invoke(main, ["remove", str(photo_folder / "a.png"), *options])
    (tmp_path / "r.json").write_text(report.stdout)
    out = tmp_path / "out"
    result = batch(photo_folder, out, "--request", tmp_path / "r.json", *NO_WORKERS)
    assert result.exit_code == 0, result.output
    assert (out / "a.png").read_bytes() == (tmp_path / "o.png").read_bytes()
    source = write_rows(
        photo_folder / "r.jsonl", {"photo": "a.png", "request": json.loads(report.stdout)}
    )
    assert batch(source, tmp_path / "one", *NO_WORKERS).exit_code == 0
    assert (tmp_path / "one/a.png").read_bytes() == (tmp_path / "o.png").read_bytes()
    both = batch(photo_folder, out, "--request", tmp_path / "r.json", "--seed", "1", *NO_WORKERS)
    assert both.exit_code == 2
    assert "leave out --seed" in both.stderr


def test_objects_are_replaced_by_a_picture(photo_folder: Path, tmp_path: Path) -> None:
    """``--with`` gives the picture for all photos; a row may name another one."""
    for name, color in (("blue.png", (10, 20, 250)), ("green.png", (10, 250, 20))):
        Image.new("RGB", (12, 12), color).save(tmp_path / name)
    source = write_rows(
        photo_folder / "rows.jsonl",
        {"photo": "a.png", "colors": RED_HEX},
        {"photo": "x/photo.jpg", "colors": RED_HEX, "picture": str(tmp_path / "green.png")},
    )
    out = tmp_path / "out"
    result = batch(source, out, "--with", tmp_path / "blue.png", *FAST_OPTIONS, *NO_WORKERS)
    assert result.exit_code == 0, result.output
    assert tuple(load_photo(out / "a.png")[22, 26]) == (10, 20, 250)
    assert load_photo(out / "x/photo.jpg")[22, 26, 1] > 200


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("{", "not JSON"),
        ("[1]", "expected an object"),
        ({"photo": "none.png", "points": [1, 2]}, "none.png: no such file"),
        ({"points": [1, 2]}, "no photo"),
        ({"photo": "a.png"}, "no prompt"),
        ({"photo": "a.png", "circle": 1}, "unknown key 'circle'"),
        ({"photo": "a.png", "points": [1, 2, 3]}, "expected X,Y"),
        ({"photo": "a.png", "boxes": "1,2,3"}, "expected X0,Y0,X1,Y1"),
        ({"photo": "a.png", "points": [1, 2], "seed": "x"}, "seed must be a whole number from 0"),
        ({"photo": "a.png", "points": [1, 2], "seed": -1}, "seed must be a whole number from 0"),
        ({"photo": "a.png", "points": [1, 2], "dilate": "much"}, "length must be"),
        ({"photo": "a.png", "colors": "#12"}, "#12"),
        ({"photo": "a.png", "points": [1, 2], "output": "../a.png"}, "must stay below"),
        ({"photo": "a.png", "points": [1, 2], "output": "masks/ok.png.png"}, "would write"),
        ({"photo": "a.jpg", "points": [1, 2], "output": "ok.png"}, "would write ok.png, as"),
        ({"photo": "/etc/hosts", "points": [1, 2]}, "is not below"),
        ({"photo": "x/photo.jpg", "points": [26, 22], "output": "ok.png"}, "as "),
        ({"photo": "a.png", "points": [26, 22], "output": "ok.png"}, "repeats an earlier row"),
        ({"photo": "a.png", "mask": "none.png"}, "none.png: no such file"),
        ({"photo": "a.png", "points": [1, 2], "output": "a.heic"}, "cannot write .heic"),
        ({"photo": "a.png", "points": [1, 2], "output": 5}, "output must be a name, got 5"),
        ({"photo": "a.png", "request": 5}, "request must be a JSON object, got 5"),
        ({"photo": "a.png", "points": [1, 2], "inpainter": "tella"}, "unknown inpainter 'tella'"),
        ({"photo": "a.png", "points": [1, 2], "detector": "grab"}, "unknown detector 'grab'"),
        ({"photo": "a.png", "text": "dog"}, "rows.jsonl:3: a text prompt needs a model"),
        ({"photo": "a.png", "request": {"prompts": [{"box": [1, 2]}]}}, "a box is x0, y0, x1, y1"),
    ],
)
def test_an_invalid_row_is_reported_with_file_and_line(
    photo_folder: Path, tmp_path: Path, row: object, message: str
) -> None:
    """Nothing is written, and one line says where the error is."""
    good = json.dumps({"photo": "a.png", "points": [26, 22], "output": "ok.png"})
    line = row if isinstance(row, str) else json.dumps(row)
    (photo_folder / "rows.jsonl").write_text(f"{good}\n\n{line}\n")
    result = batch(photo_folder / "rows.jsonl", tmp_path / "out", *FAST_OPTIONS, *NO_WORKERS)
    assert result.exit_code == 1, result.output
    (error,) = [text for text in result.stderr.splitlines() if text.startswith("error: ")]
    assert "rows.jsonl:" in error
    assert message in error
    assert output_files(tmp_path / "out") == {}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b'photo,points\na.png,"26,22"\nb\xe9.png,"1,2"\n', "expected UTF-8, got b'\\xe9' at byte"),
        (b"photo;points\na.png;26,22\n", "expected a column photo, got photo;points"),
        (b"photo,points\na.png,26,22\n", "rows.csv:2: more cells than columns, ['22']"),
        (b"photo,points\n", "rows.csv: no rows in it"),
        (b"", "rows.csv: no rows in it"),
    ],
)
def test_an_invalid_table_is_reported_in_one_line(
    photo_folder: Path, tmp_path: Path, data: bytes, message: str
) -> None:
    (photo_folder / "rows.csv").write_bytes(data)
    result = batch(photo_folder / "rows.csv", tmp_path / "out", *FAST_OPTIONS, *NO_WORKERS)
    assert result.exit_code == 1, result.output
    (error,) = [text for text in result.stderr.splitlines() if text.startswith("error: ")]
    assert message in error
