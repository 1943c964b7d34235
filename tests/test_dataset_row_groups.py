"""Rows of a table that describe one object together."""

from __future__ import annotations

from pathlib import Path

import pytest
from dataset_photos import (
    FAST_OPTIONS,
    NO_WORKERS,
    batch,
    read_manifest,
    write_rows,
)


def test_rows_of_one_photo_and_id_are_one_object(photo_folder: Path, tmp_path: Path) -> None:
    """Their clicks and boxes add up, wherever they stand in the table; the label is kept."""
    source = write_rows(
        photo_folder / "rows.jsonl",
        {"photo": "a.png", "id": "r", "points": [26, 22], "label": "square"},
        {"photo": "a.jpg", "id": "r", "points": [26, 22]},
        {"photo": "a.png", "id": "r", "not_points": [[5, 5]], "seed": 3},
        {"photo": "a.png", "id": "b", "boxes": [40, 30, 56, 44]},
        {"photo": "./a.png", "id": "r", "points": [[28, 24]], "boxes": [18, 14, 34, 30]},
    )
    assert batch(source, tmp_path / "out", *FAST_OPTIONS, *NO_WORKERS).exit_code == 0
    rows = {(row["output"], row["id"]): row for row in read_manifest(tmp_path / "out")}
    assert rows.keys() == {("a.png", "r"), ("a.png", "b"), ("a.jpg", "r")}
    merged = rows["a.png", "r"]
    assert merged["label"] == "square"
    assert merged["request"]["fill"]["seed"] == 3
    assert merged["request"]["prompts"] == [
        {"points": {"include": [[26, 22], [28, 24]], "exclude": [[5, 5]]}},
        {"box": [18, 14, 34, 30]},
    ]
    assert merged["where"].endswith("rows.jsonl:1")


def test_rows_of_one_object_in_a_csv_file_are_merged(photo_folder: Path, tmp_path: Path) -> None:
    (photo_folder / "rows.csv").write_text(
        'photo,id,points,boxes,label\na.png,1,"26,22",,red\na.png,1,"27,23",,\n'
        'a.png,2,,"40,30,56,44",blue\n'
    )
    result = batch(photo_folder / "rows.csv", tmp_path / "out", *FAST_OPTIONS, *NO_WORKERS)
    assert result.exit_code == 0, result.output
    rows = {row["id"]: row for row in read_manifest(tmp_path / "out")}
    assert rows["1"]["request"]["prompts"] == [{"points": {"include": [[26, 22], [27, 23]]}}]
    assert [rows["1"]["label"], rows["2"]["label"]] == ["red", "blue"]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"seed": 4, "points": [28, 24]}, "rows.jsonl:2: seed is 4, but line 1 has 3 for the same"),
        ({"label": "b", "points": [28, 24]}, "rows.jsonl:2: label is 'b', but line 1 has 'a'"),
        ({}, "rows.jsonl:2: repeats an earlier row"),
        ({"points": [26, 22]}, "rows.jsonl:2: repeats an earlier row"),
    ],
)
def test_rows_of_one_object_must_agree(
    photo_folder: Path, tmp_path: Path, row: dict[str, object], message: str
) -> None:
    first = {"photo": "a.png", "id": 1, "points": [26, 22], "seed": 3, "label": "a"}
    source = write_rows(photo_folder / "rows.jsonl", first, {"photo": "a.png", "id": 1, **row})
    result = batch(source, tmp_path / "out", *FAST_OPTIONS, *NO_WORKERS)
    assert result.exit_code == 1
    assert message in result.stderr


def test_an_invalid_row_does_not_cost_the_other_rows_of_its_object(
    photo_folder: Path, tmp_path: Path
) -> None:
    source = write_rows(
        photo_folder / "rows.jsonl",
        {"photo": "a.png", "id": 1, "points": [26, 22]},
        {"photo": "a.png", "id": 1, "points": "none"},
    )
    result = batch(source, tmp_path / "out", *FAST_OPTIONS, *NO_WORKERS, "--skip-invalid")
    assert result.exit_code == 3
    (line,) = read_manifest(tmp_path / "out")
    assert line["request"]["prompts"] == [{"points": {"include": [[26, 22]]}}]
