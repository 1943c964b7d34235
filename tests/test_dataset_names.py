"""File names as other systems write them: bytes, Unicode forms, backslashes, great length."""

from __future__ import annotations

import json
import os
import unicodedata
from pathlib import Path

import pytest
from dataset_photos import (
    FAST_OPTIONS,
    NO_WORKERS,
    batch,
    batch_red,
    is_square_removed,
    output_files,
    output_photos,
    read_manifest,
    save_photo,
    write_rows,
)

from segment2inpaint.dataset.names import mask_name, printable, thumbnail_path
from segment2inpaint.dataset.run_types import RunSettings

OPTIONS = (*FAST_OPTIONS, *NO_WORKERS)
NFC, NFD = (unicodedata.normalize(form, "Käse é.png") for form in ("NFC", "NFD"))


def save_as_bytes(folder: Path, name: bytes) -> str:
    """Save a photo under a name of any bytes, and return that name as Python has it."""
    save_photo(folder / "t.png")
    os.rename(folder / "t.png", os.fsencode(folder) + b"/" + name)  # noqa: PTH104
    return os.fsdecode(name)


# --- bytes that are not UTF-8 -----------------------------------------------------------------


def test_photos_whose_names_are_not_utf8_are_edited_and_resumed(tmp_path: Path) -> None:
    """A zip of Windows has names in Latin-1 and in gb2312, also of folders."""
    (tmp_path / "in").mkdir()
    name = save_as_bytes(tmp_path / "in", b"caf\xe9.png")
    (tmp_path / "in" / os.fsdecode(b"\xb9\xb7")).mkdir()
    os.rename(  # noqa: PTH104
        tmp_path / "in" / name, os.fsencode(tmp_path / "in") + b"/\xb9\xb7/caf\xe9.png"
    )
    name = os.fsdecode(b"\xb9\xb7/caf\xe9.png")
    save_photo(tmp_path / "in/ok.png")
    out = tmp_path / "out"
    result = batch_red(tmp_path / "in", out, "--json")
    assert result.exit_code == 0, result.output
    assert set(output_files(out)) == {"ok.png", "masks/ok.png.png", name, f"masks/{name}.png"}
    assert is_square_removed(out / name)
    printed = [json.loads(line)["output"] for line in result.stdout.splitlines()]
    assert sorted(printed) == sorted(["ok.png", name])
    assert {row["output"] for row in read_manifest(out)} == {"ok.png", name}
    assert r"caf\\xe9.png" in (out / "report.html").read_text(encoding="utf-8")
    again = batch_red(tmp_path / "in", out, "--json")
    assert again.exit_code == 0, again.output
    assert again.stdout == ""


def test_the_plan_prints_names_that_are_not_utf8(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    save_as_bytes(tmp_path / "in", b"caf\xe9.png")
    result = batch_red(tmp_path / "in", tmp_path / "out", "--dry-run")
    assert result.exit_code == 0, result.output
    assert "caf" in result.stdout


def test_a_failed_photo_whose_name_is_not_utf8_is_reported(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    name = save_as_bytes(tmp_path / "in", b"caf\xe9.png")
    (tmp_path / "in" / name).write_bytes(b"no picture")
    save_photo(tmp_path / "in/ok.png")
    result = batch_red(tmp_path / "in", tmp_path / "out")
    assert result.exit_code == 3, result.output
    assert "caf" in result.stderr
    assert output_photos(tmp_path / "out") == ["ok.png"]


def test_the_tables_of_results_hold_names_that_are_not_utf8(tmp_path: Path) -> None:
    """JSONL reversibly; Parquet, which has UTF-8 only, with the bytes escaped."""
    datasets = pytest.importorskip("datasets", reason="Hugging Face datasets are not installed")
    from pyarrow import parquet

    from segment2inpaint import dataset

    (tmp_path / "in").mkdir()
    name = save_as_bytes(tmp_path / "in", b"caf\xe9.png")
    out = tmp_path / "out"
    assert batch_red(tmp_path / "in", out).exit_code == 0
    table = parquet.read_table(out / "manifest.parquet")
    assert table["output"].to_pylist() == ["caf\\xe9.png"]
    (row,) = read_manifest(out)
    assert os.fsencode(row["output"]) == b"caf\xe9.png"
    results = dataset.to_hf(out)
    assert isinstance(results, datasets.Dataset)
    assert results[0]["image"].size == (64, 48)
    assert results[0]["mask"].size == (64, 48)
    assert (out / name).exists()


def test_a_label_with_half_a_character_is_kept(tmp_path: Path) -> None:
    """JSON can hold half an emoji, which no text file can."""
    save_photo(tmp_path / "a.png")
    line = '{"photo": "a.png", "points": [26, 22], "label": "\\ud83d", "id": "\\ud83d"}\n'
    (tmp_path / "rows.jsonl").write_text(line)
    result = batch(tmp_path / "rows.jsonl", tmp_path / "out", *OPTIONS)
    assert result.exit_code == 0, result.output
    assert read_manifest(tmp_path / "out")[0]["label"] == "\ud83d"


def test_a_table_names_a_photo_whose_name_on_disk_is_in_latin_1(tmp_path: Path) -> None:
    """The table is UTF-8, the names on disk are not."""
    name = save_as_bytes(tmp_path, b"caf\xe9.png")
    write_rows(tmp_path / "rows.jsonl", {"photo": "café.png", "points": [26, 22]})
    result = batch(tmp_path / "rows.jsonl", tmp_path / "out", *OPTIONS)
    assert result.exit_code == 0, result.output
    assert output_photos(tmp_path / "out") == [name]


def test_printable_texts_are_utf8_and_say_the_bytes() -> None:
    assert printable("Käse") == "Käse"
    assert printable(os.fsdecode(b"caf\xe9 \xff")) == "caf\\xe9 \\xff"
    assert printable("a\ud83d") == "a\\ud83d"


# --- other spellings --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("on_disk", "in_table"),
    [
        (NFD, NFC),
        (NFC, NFD),
        (f"x/{NFD}", f"x\\{NFC}"),
        ("x/y/a.png", "x\\y\\a.png"),
        ("x/y/a.png", ".\\x\\y\\a.png"),
        ("x/A.PNG", "x/a.png"),
        ("X/a.png", "x/a.PNG"),
        ("Straße.png", "STRASSE.png"),
    ],
)
def test_a_photo_is_found_in_another_spelling(tmp_path: Path, on_disk: str, in_table: str) -> None:
    """The result has the name that the photo has on disk."""
    save_photo(tmp_path / on_disk)
    write_rows(tmp_path / "rows.jsonl", {"photo": in_table, "points": [26, 22]})
    result = batch(tmp_path / "rows.jsonl", tmp_path / "out", *OPTIONS)
    assert result.exit_code == 0, result.output
    assert output_photos(tmp_path / "out") == [on_disk]
    assert is_square_removed(tmp_path / "out" / on_disk)


def test_masks_are_found_in_another_spelling_and_outputs_stay_as_asked(tmp_path: Path) -> None:
    from dataset_photos import red_mask
    from PIL import Image

    save_photo(tmp_path / "in" / NFC)
    (tmp_path / "in/m").mkdir()
    Image.fromarray(red_mask()).save(tmp_path / "in/m" / NFD)
    row = {"photo": NFD, "mask": f"m\\{NFC}", "output": "x\\new.png"}
    write_rows(tmp_path / "in/rows.jsonl", row)
    result = batch(tmp_path / "in/rows.jsonl", tmp_path / "out", *OPTIONS)
    assert result.exit_code == 0, result.output
    assert output_photos(tmp_path / "out") == ["x/new.png"]
    assert is_square_removed(tmp_path / "out/x/new.png")


def test_two_photos_in_other_spellings_are_not_guessed_between(tmp_path: Path) -> None:
    save_photo(tmp_path / "A.png")
    save_photo(tmp_path / "a.PNG")
    write_rows(tmp_path / "rows.jsonl", {"photo": "a.png", "points": [26, 22]})
    result = batch(tmp_path / "rows.jsonl", tmp_path / "out", *OPTIONS)
    assert result.exit_code == 1
    assert "a.png: no such file" in result.stderr


def test_an_exact_name_wins_over_other_spellings(tmp_path: Path) -> None:
    for name in (NFC, NFD, "x\\y.png", "x/y.png"):
        save_photo(tmp_path / name)
    rows = [{"photo": name, "points": [26, 22]} for name in (NFC, NFD, "x\\y.png")]
    write_rows(tmp_path / "rows.jsonl", *rows)
    result = batch(tmp_path / "rows.jsonl", tmp_path / "out", *OPTIONS)
    assert result.exit_code == 0, result.output
    assert set(output_photos(tmp_path / "out")) == {NFC, NFD, "x\\y.png"}


def test_a_path_with_backslashes_stays_below_the_output_folder(tmp_path: Path) -> None:
    save_photo(tmp_path / "a.png")
    row = {"photo": "a.png", "points": [26, 22], "output": "..\\..\\b.png"}
    write_rows(tmp_path / "rows.jsonl", row)
    result = batch(tmp_path / "rows.jsonl", tmp_path / "out", *OPTIONS)
    assert result.exit_code == 1
    assert "must stay below the output folder" in result.stderr


# --- long names -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["x" * 251, "猫" * 83 + "xx", "x" * 248, "x" * 246])
def test_a_photo_with_the_longest_name_gets_a_mask_and_a_thumbnail(
    tmp_path: Path, name: str
) -> None:
    """Of 255 bytes, and a little shorter."""
    save_photo(tmp_path / "in" / f"{name}.png")
    out = tmp_path / "out"
    result = batch_red(tmp_path / "in", out)
    assert result.exit_code == 0, result.output
    (photo,) = output_photos(out)
    assert photo == f"{name}.png"
    (row,) = read_manifest(out)
    assert (out / row["mask"]).is_file()
    assert len(list((out / ".segment2inpaint/thumbs").iterdir())) == 1


def test_long_names_are_shortened_apart_and_others_not_at_all() -> None:
    """Output folders of earlier runs resume."""
    settings = RunSettings("/out")
    assert mask_name("x/" + "a" * 247 + ".png", settings) == "masks/x/" + "a" * 247 + ".png.png"
    assert thumbnail_path("x/a.png", settings) == "/out/.segment2inpaint/thumbs/x/a.png.jpg"
    long = ["x/" + "a" * 250 + end for end in ("b.png", "c.png", "b.jpg")]
    short = [mask_name(name, settings) for name in long]
    assert len(set(short)) == 3
    assert all(name.startswith("masks/x/aaaa") and name.endswith(".png") for name in short)
    assert all(len(name) == len("masks/x/") + 255 for name in short)
    undecodable = mask_name(os.fsdecode(b"\xe9" * 251 + b".png"), settings)
    assert len(os.fsencode(undecodable)) <= len("masks/") + 255
