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

from segment2inpaint.dataset.formats.table import TableSource
from segment2inpaint.dataset.run_types import EditItem


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
        ({"photo": "a.png", "points": [1, 2], "output": "a.psd"}, "cannot write .psd"),
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
        (b"photos;points\na.png;26,22\n", "expected a column photo, got photos;points"),
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


# --- tables as people have them ---------------------------------------------------------------

BASE: dict[str, object] = {"prompts": []}
GOOD_ROW = {"photo": "a.png", "points": [26, 22]}
BAD_LINES = [
    b"[" * 100_000,
    b'{"photo": "a.png", "points": ' + b"[" * 900 + b"]" * 900 + b"}",
    b'["a.png", [26, 22]]',
    b'"a.png"',
    b"null",
    b"NaN",
    b'{"photo": null, "points": [26, 22]}',
    b'{"photo": 5, "points": [26, 22]}',
    b'{"photo": ["a.png"], "points": [26, 22]}',
    b'{"photo": "a\\u0000.png", "points": [26, 22]}',
    b'{"photo": "\\ud83d.png", "points": [26, 22]}',
    b'{"photo": "' + b"x" * 100_000 + b'.png", "points": [26, 22]}',
    b'{"photo": "a.png", "points": [26, 22], "output": "a\\u0000.png"}',
    b'{"photo": "a.png", "points": [26, null]}',
    b'{"photo": "a.png", "points": [26, "many"]}',
    b'{"photo": "a.png", "points": 26}',
    b'{"photo": "a.png", "points": {"x": 26, "y": 22}}',
    b'{"photo": "a.png", "boxes": [[NaN, 1, 20, 20]]}',
    b'{"photo": "a.png", "boxes": [[1, 1, Infinity, 20]]}',
    b'{"photo": "a.png", "boxes": [[1, 1, 1e300, 20]]}',
    b'{"photo": "a.png", "boxes": [[1, 1, ' + b"9" * 5000 + b", 20]]}",
    b'{"photo": "a.png", "mask": {"file": "a.png"}}',
    b'{"photo": "a.png", "text": [null]}',
    b'{"photo": "a.png", "colors": [[1, 2]]}',
    b'{"photo": "a.png", "points": [26, 22], "seed": 1e400}',
    b'{"photo": "a.png", "points": [26, 22], "dilate": NaN}',
    b'{"photo": "a.png", "points": [26, 22], "detector": 7}',
    b'{"photo": "a.png", "points": [26, 22], "picture": {"file": "a.png"}}',
    b'{"photo": "a.png", "request": [1]}',
    b'{"photo": "a.png", "request": {"prompts": 5}}',
    b'{"photo": "a.png", "request": {"prompts": [5]}}',
    b'{"photo": "a.png", "request": {"prompts": [{"box": [1, 1, 9, 9]}], "fill": 5}}',
    b'{"photo": "a.png", "request": {"prompts": [{}]}}',
    b'{"photo": "http://[", "points": [26, 22], "output": "u.png"}',
    b'{"photo": "no-such-store://a.png", "points": [26, 22], "output": "u.png"}',
    b'{"photo": "a.png", "points": [26, 22], "label": "\xd0\xba\xe8"}',
    b'{"photo": "a.png", "points": [26, 22',
    b"\x00\x01\x02",
]


@pytest.mark.parametrize("line", BAD_LINES, ids=range(len(BAD_LINES)))
def test_a_bad_line_is_its_own_problem(photo_folder: Path, tmp_path: Path, line: bytes) -> None:
    """It is told with file and line, and the others are edited."""
    good = json.dumps({**GOOD_ROW, "output": "ok.png"}).encode()
    (photo_folder / "rows.jsonl").write_bytes(line + b"\n" + good + b"\n")
    result = batch(
        photo_folder / "rows.jsonl", tmp_path / "out", "--skip-invalid", *FAST_OPTIONS, *NO_WORKERS
    )
    assert result.exit_code == 3, result.output
    assert is_square_removed(tmp_path / "out/ok.png")
    problems = [text for text in result.stderr.splitlines() if "rows.jsonl:1: " in text]
    assert len(problems) == 1
    assert len(problems[0]) < 2000


BAD_CSV_LINES = [
    b'a.png,"26,22',
    b'a.png,"26,22"x',
    b"a.png,26,22",
    b'a\x00.png,"26,22"',
    b'"\xc3\xa8\xb1\xb1.png","26,22"',
    b'a.png,"26,many"',
    b"a.png",
    b',"26,22"',
]


@pytest.mark.parametrize("line", BAD_CSV_LINES, ids=range(len(BAD_CSV_LINES)))
def test_a_bad_line_of_a_csv_is_its_own_problem(
    photo_folder: Path, tmp_path: Path, line: bytes
) -> None:
    """An open quote does not swallow the rows after it."""
    text = b'photo,points,output\n%b\na.png,"26,22",ok.png\na.png,"48,37",ok2.png\n'
    (photo_folder / "rows.csv").write_bytes(text % line)
    result = batch(
        photo_folder / "rows.csv", tmp_path / "out", "--skip-invalid", *FAST_OPTIONS, *NO_WORKERS
    )
    assert result.exit_code == 3, result.output
    assert sorted(output_photos(tmp_path / "out")) == ["ok.png", "ok2.png"]
    assert result.stderr.count("rows.csv:2: ") == 1


@pytest.mark.parametrize(
    "text",
    [
        'photo;points\na.png;26,22\n',
        'sep=;\nphoto;points\na.png;"26,22"\n',
        "photo\tpoints\na.png\t26,22\n",
        '"Photo", "Points"\n"a.png", "26,22"\n',
        'photo,points,,\na.png,"26,22",,\n\n,,,\n',
        'photo,points,points\na.png,"26,22","26,22"\n',
        'label,photo,points\n"two\nlines",a.png,"26,22"\n',
        'photo,points\na.png,"[[26, 22]]"\n',
        'label,photo,points\n{},a.png,"26,22"\n',
    ],
)  # fmt: skip
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_every_dialect_of_csv_is_read(
    photo_folder: Path, text: str, encoding: str, line_end: str
) -> None:
    """As spreadsheets of every country save it."""
    data = text.replace("{}", "x" * 1_000_000).replace("\n", line_end).encode(encoding)
    (photo_folder / "rows.csv").write_bytes(data)
    (item,) = TableSource(f"{photo_folder}/rows.csv", str(photo_folder), BASE).items()
    assert isinstance(item, EditItem), item
    assert item.photo == f"{photo_folder}/a.png"
    assert item.request is not None
    assert item.request["prompts"] == [{"points": {"include": [[26, 22]]}}]


def test_columns_of_one_name_with_different_cells_are_a_problem_of_the_row(
    photo_folder: Path,
) -> None:
    text = 'photo,points,points\na.png,"26,22","1,2"\na.png,"26,22",\n'
    (photo_folder / "rows.csv").write_text(text)
    problem, item = TableSource(f"{photo_folder}/rows.csv", str(photo_folder), BASE).items()
    assert str(problem).endswith("rows.csv:2: two columns 'points' with different cells; "
                                 "delete one of them")  # fmt: skip
    assert isinstance(item, EditItem)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-be", "cp1252"])
@pytest.mark.parametrize("line_end", ["\r\n", "\r"])
def test_jsonl_of_any_encoding_and_line_end_is_read(
    photo_folder: Path, encoding: str, line_end: str
) -> None:
    """The numbers of the lines are those that an editor shows."""
    rows = ['{"photo": "é.png", "points": [1, 2], "label": "Müll"}', "", "[]"]
    (photo_folder / "rows.jsonl").write_bytes(line_end.join(rows).encode(encoding))
    item, problem = TableSource(f"{photo_folder}/rows.jsonl", str(photo_folder), BASE).items()
    assert isinstance(item, EditItem)
    assert (item.photo, item.label) == (f"{photo_folder}/é.png", "Müll")
    assert "rows.jsonl:3: expected an object" in str(problem)


def test_null_is_a_missing_value_and_numbers_may_be_text(photo_folder: Path) -> None:
    """As pandas and spreadsheets write rows."""
    write_rows(photo_folder / "rows.jsonl", {
        "photo": "a.png", "boxes": [["1", "2", "9.6", " 9"]], "points": None, "label": None,
        "output": None, "seed": "7",
    })  # fmt: skip
    (item,) = TableSource(f"{photo_folder}/rows.jsonl", str(photo_folder), BASE).items()
    assert isinstance(item, EditItem)
    assert (item.output, item.label) == ("a.png", "")
    assert item.request is not None
    assert item.request["prompts"] == [{"box": [1, 2, 10, 9]}]
    assert item.request["fill"] == {"seed": 7}


def test_a_first_row_in_another_encoding_does_not_cost_the_others(
    photo_folder: Path, tmp_path: Path
) -> None:
    row = json.dumps({"photo": "a.png", "boxes": [RED_BOX]})
    table = tmp_path / "in/rows.jsonl"
    table.write_bytes("{broken".encode("utf-16") + b"\n" + row.encode() + b"\n")
    result = batch(table, tmp_path / "out", "--skip-invalid", *FAST_OPTIONS, *NO_WORKERS)
    assert result.exit_code == 3, result.output
    assert "rows.jsonl:1: not JSON" in result.stderr
    assert (tmp_path / "out/a.png").exists()
