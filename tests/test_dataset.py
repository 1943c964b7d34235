"""Many photos: plan, outputs, manifest, resuming, as a user of ``batch`` meets them."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from many import (
    IN_PLACE,
    QUICK,
    RED,
    SQUARE,
    batch,
    is_gone,
    load,
    manifest,
    pixels,
    red,
    save,
    tree,
    without_times,
)
from PIL import Image

from segment2inpaint import Color, Points, Request, dataset
from segment2inpaint.dataset import ExecutionOptions, results_log
from segment2inpaint.errors import BadDataset, Segment2InpaintError
from segment2inpaint.types import Refine


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    for number, name in enumerate(["a.png", "a.jpg", "x/photo.jpg", "y/photo.jpg", "z/Ä b.bmp"]):
        save(folder / name, number)
    (folder / "notes.txt").write_text("not a photo")
    return folder


def rows(path: Path, *some: object) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in some))
    return path


# --- a folder -------------------------------------------------------------------------------


def test_a_folder_is_mirrored(photos: Path, tmp_path: Path) -> None:
    """Each photo under its name, in its format, without its square, and unchanged elsewhere."""
    out = tmp_path / "out"
    result = red(photos, out)
    assert result.exit_code == 0, result.output
    for name in ["a.png", "a.jpg", "x/photo.jpg", "y/photo.jpg", "z/Ä b.bmp"]:
        assert is_gone(out / name)
        with Image.open(out / name) as new, Image.open(photos / name) as old:
            assert new.format == old.format
        mask = np.asarray(Image.open(out / f"masks/{name}.png"))
        if not name.endswith(".jpg"):
            assert (load(out / name) == load(photos / name))[mask == 0].all()
    assert not (out / "notes.txt").exists()


def test_a_row_for_each_object(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    red(photos, out)
    told = manifest(out)
    assert [row["output"] for row in told] == sorted(row["output"] for row in told)
    assert {row["status"] for row in told} == {"done"}
    assert {row["changed_outside"] for row in told} == {0}
    assert told[0]["box"] == list(SQUARE)
    import hashlib

    for row in told:
        data = (out / row["output"]).read_bytes()
        assert row["output_sha256"] == hashlib.sha256(data).hexdigest()
        assert row["photo_sha256"] == hashlib.sha256(Path(row["photo"]).read_bytes()).hexdigest()


def test_the_two_manifests_agree(photos: Path, tmp_path: Path) -> None:
    from pyarrow import parquet

    out = tmp_path / "out"
    red(photos, out)
    table = parquet.read_table(out / "manifest.parquet").to_pylist()
    for one, other in zip(table, manifest(out), strict=True):
        assert json.loads(one["request"]) == other["request"]
        assert json.loads(one["timings"]) == other["timings"]
        assert one["box"] == other["box"]
        assert one["key"] == other["key"]


def test_globs_choose(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    red(photos, out, "--glob", "x/*", "--glob", "*.png", "--no-masks")
    assert set(tree(out)) == {"a.png", "x/photo.jpg"}


def test_own_masks_one_for_each_photo(photos: Path, tmp_path: Path) -> None:
    """``--mask FOLDER``: each photo has the mask of its name, whatever its suffix."""
    square = np.zeros(pixels().shape[:2], np.uint8)
    square[SQUARE[1] : SQUARE[3], SQUARE[0] : SQUARE[2]] = 255
    for name in ["a.jpg.png", "x/photo.png", "y/photo.png", "z/Ä b.png"]:
        (tmp_path / "m" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(square).save(tmp_path / "m" / name)
    out = tmp_path / "out"
    words = ("--mask", tmp_path / "m", *QUICK, *IN_PLACE)
    refused = batch(photos, out, *words)
    assert refused.exit_code == 1
    assert "a.png: expected one mask a.* in" in refused.stderr
    result = batch(photos, out, *words, "--skip-invalid")
    assert result.exit_code == 3
    assert set(without_masks(out)) == {"a.jpg", "x/photo.jpg", "y/photo.jpg", "z/Ä b.bmp"}
    assert all(is_gone(out / name) for name in without_masks(out))


def without_masks(out: Path) -> list[str]:
    return [name for name in tree(out) if not name.startswith("masks/")]


def test_a_photo_without_the_object(photos: Path, tmp_path: Path) -> None:
    """It is a failure, or copied, or left out, as asked for."""
    plain = pixels()
    plain[:] = 90
    Image.fromarray(plain).save(photos / "plain.png")
    assert red(photos, tmp_path / "fail").exit_code == 3
    assert not (tmp_path / "fail/plain.png").exists()
    assert red(photos, tmp_path / "copy", "--if-nothing", "copy").exit_code == 0
    assert (tmp_path / "copy/plain.png").read_bytes() == (photos / "plain.png").read_bytes()
    assert red(photos, tmp_path / "skip", "--if-nothing", "skip").exit_code == 0
    assert not (tmp_path / "skip/plain.png").exists()


def test_one_of_two_objects_is_not_there(photos: Path, tmp_path: Path) -> None:
    """The other goes, the row says which, and the photo counts as failed."""
    empty = np.zeros(pixels().shape[:2], np.uint8)
    Image.fromarray(empty).save(photos.parent / "empty.png")
    square = empty.copy()
    square[SQUARE[1] : SQUARE[3], SQUARE[0] : SQUARE[2]] = 255
    Image.fromarray(square).save(photos.parent / "square.png")
    source = rows(
        photos / "rows.jsonl",
        {"photo": "a.png", "mask": "../square.png", "id": "there"},
        {"photo": "a.png", "mask": "../empty.png", "id": "not"},
    )
    out = tmp_path / "out"
    result = batch(source, out, *QUICK, *IN_PLACE)
    assert result.exit_code == 3, result.output
    assert "1 of 2 objects not found" in result.stderr
    assert {row["id"]: row["status"] for row in manifest(out)} == {"there": "done", "not": "failed"}
    assert is_gone(out / "a.png")
    again = batch(source, tmp_path / "again", *QUICK, *IN_PLACE, "--if-nothing", "skip")
    assert again.exit_code == 0


def test_json_tells_of_each_photo(photos: Path, tmp_path: Path) -> None:
    result = red(photos, tmp_path / "out", "--json")
    told = [json.loads(line) for line in result.stdout.splitlines()]
    assert {one["output"] for one in told} == set(without_masks(tmp_path / "out"))
    assert {one["status"] for one in told} == {"done"}


def test_a_bar_on_a_terminal(photos: Path, tmp_path: Path) -> None:
    """Rate and failures on a terminal; the results' lines are not in its way."""
    import fcntl
    import pty
    import struct
    import termios

    (photos / "bad.png").write_bytes(b"no")
    words = [photos, tmp_path / "out", "--color", RED, *QUICK, *IN_PLACE]
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-m", "segment2inpaint", "batch", *map(str, words)], stderr=theirs
    )
    os.close(theirs)
    told = b""
    try:
        while part := os.read(ours, 4096):
            told += part
    except OSError:  # the other end is closed
        pass
    assert process.wait() == 3
    assert b"6/6" in told
    assert b"1 failed" in told
    assert b"photos/s" in told


def test_an_output_folder_inside_of_the_source(photos: Path) -> None:
    """Twice: the second run does not take the first one's results for photos."""
    for _ in range(2):
        assert red(photos, photos / "out").exit_code == 0
    assert len(manifest(photos / "out")) == 5


# --- rows -----------------------------------------------------------------------------------


def test_rows_of_one_photo_are_edited_together(photos: Path, tmp_path: Path) -> None:
    """JSONL: points, boxes, not-points, a length, an output of one's own."""
    x0, y0, x1, y1 = SQUARE
    source = rows(
        tmp_path / "in/rows.jsonl",
        {"photo": "a.png", "boxes": [[x0 - 2, y0 - 2, x1 + 2, y1 + 2]], "id": "square"},
        {"photo": "a.png", "boxes": [40, 30, 56, 44], "id": "blue"},
        {"photo": "a.jpg", "points": [[26, 22]], "not_points": [[2, 2]], "dilate": 3, "seed": 7},
        {"photo": "x/photo.jpg", "colors": RED, "output": "new/name.png", "detector": "color"},
    )
    out = tmp_path / "out"
    result = batch(source, out, *QUICK, *IN_PLACE)
    assert result.exit_code == 0, result.output
    assert set(without_masks(out)) == {"a.png", "a.jpg", "new/name.png"}
    assert all(is_gone(out / name) for name in without_masks(out))
    told = {row["id"] or row["output"]: row for row in manifest(out)}
    assert told["square"]["output"] == told["blue"]["output"] == "a.png"
    assert told["a.jpg"]["request"]["fill"]["seed"] == 7
    assert told["a.jpg"]["request"]["refine"]["dilate"] == "3"
    with Image.open(out / "new/name.png") as new:
        assert new.format == "PNG"


def test_rows_with_other_fills_follow_each_other(photos: Path, tmp_path: Path) -> None:
    source = rows(
        tmp_path / "in/rows.jsonl",
        {"photo": "a.png", "boxes": [18, 14, 34, 30], "inpainter": "telea"},
        {"photo": "a.png", "boxes": [40, 30, 56, 44], "inpainter": "ns"},
    )
    assert batch(source, tmp_path / "out", "--no-verify", *IN_PLACE).exit_code == 0
    first, second = manifest(tmp_path / "out")
    assert (first["inpainter"], second["inpainter"]) == ("telea", "ns")
    assert first["changed_outside"] == 0
    assert is_gone(tmp_path / "out/a.png")


def test_csv(photos: Path, tmp_path: Path) -> None:
    with (photos / "rows.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["photo", "points", "boxes", "seed", "id"])
        writer.writerow(["a.png", "26,22;24,20", "", "3", "7"])
        writer.writerow(["x/photo.jpg", "", "18,14,34,30", "", ""])
    out = tmp_path / "out"
    result = batch(photos / "rows.csv", out, *QUICK, *IN_PLACE)
    assert result.exit_code == 0, result.output
    told = manifest(out)
    assert told[0]["request"]["prompts"] == [{"points": {"include": [[26, 22], [24, 20]]}}]
    assert told[0]["request"]["fill"]["seed"] == 3
    assert is_gone(out / "x/photo.jpg")


def test_what_a_row_leaves_open_is_as_on_the_command_line(photos: Path, tmp_path: Path) -> None:
    source = rows(photos / "rows.jsonl", {"photo": "a.png"}, {"photo": "a.jpg", "seed": 2})
    assert red(source, tmp_path / "out", "--seed", 9).exit_code == 0
    assert [row["request"]["fill"]["seed"] for row in manifest(tmp_path / "out")] == [2, 9]


def test_a_request_is_replayed(photos: Path, tmp_path: Path) -> None:
    """What ``remove --json`` printed for one photo is done to all."""
    from click.testing import CliRunner

    from segment2inpaint.cli import main

    words = ["remove", photos / "a.png", "--color", RED, *QUICK, "-o", tmp_path / "o.png", "--json"]
    report = CliRunner().invoke(main, [str(word) for word in words])
    (tmp_path / "r.json").write_text(report.stdout)
    out = tmp_path / "out"
    result = batch(photos, out, "--request", tmp_path / "r.json", *IN_PLACE)
    assert result.exit_code == 0, result.output
    assert (out / "a.png").read_bytes() == (tmp_path / "o.png").read_bytes()
    source = rows(photos / "r.jsonl", {"photo": "a.png", "request": json.loads(report.stdout)})
    assert batch(source, tmp_path / "one", *IN_PLACE).exit_code == 0
    assert (tmp_path / "one/a.png").read_bytes() == (tmp_path / "o.png").read_bytes()
    both = batch(photos, out, "--request", tmp_path / "r.json", "--seed", "1", *IN_PLACE)
    assert both.exit_code == 2
    assert "leave out --seed" in both.stderr


def test_a_picture_instead(photos: Path, tmp_path: Path) -> None:
    """``--with`` for all, and a picture of its own for a row."""
    for name, color in (("blue.png", (10, 20, 250)), ("green.png", (10, 250, 20))):
        Image.new("RGB", (12, 12), color).save(tmp_path / name)
    source = rows(
        photos / "rows.jsonl",
        {"photo": "a.png", "colors": RED},
        {"photo": "x/photo.jpg", "colors": RED, "picture": str(tmp_path / "green.png")},
    )
    out = tmp_path / "out"
    result = batch(source, out, "--with", tmp_path / "blue.png", *QUICK, *IN_PLACE)
    assert result.exit_code == 0, result.output
    assert tuple(load(out / "a.png")[22, 26]) == (10, 20, 250)
    assert load(out / "x/photo.jpg")[22, 26, 1] > 200


# --- the plan -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "told"),
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
        ({"photo": "a.png", "points": [26, 22], "output": "ok.png"}, "asks the same"),
        ({"photo": "a.png", "mask": "none.png"}, "none.png: no such file"),
        ({"photo": "a.png", "points": [1, 2], "output": "a.heic"}, "cannot write .heic"),
        ({"photo": "a.png", "points": [1, 2], "output": 5}, "output must be a name, got 5"),
        ({"photo": "a.png", "request": 5}, "'int' object"),
        ({"photo": "a.png", "points": [1, 2], "inpainter": "tella"}, "unknown inpainter 'tella'"),
        ({"photo": "a.png", "points": [1, 2], "detector": "grab"}, "unknown detector 'grab'"),
        ({"photo": "a.png", "text": "dog"}, "rows.jsonl:3: a text prompt needs a model"),
        ({"photo": "a.png", "request": {"prompts": [{"box": [1, 2]}]}}, "a box is x0, y0, x1, y1"),
    ],
)
def test_a_bad_row_is_told_with_file_and_line(
    photos: Path, tmp_path: Path, row: object, told: str
) -> None:
    """Before any work: nothing is written, one line says where and what."""
    good = json.dumps({"photo": "a.png", "points": [26, 22], "output": "ok.png"})
    line = row if isinstance(row, str) else json.dumps(row)
    (photos / "rows.jsonl").write_text(f"{good}\n\n{line}\n")
    result = batch(photos / "rows.jsonl", tmp_path / "out", *QUICK, *IN_PLACE)
    assert result.exit_code == 1, result.output
    (error,) = [text for text in result.stderr.splitlines() if text.startswith("error: ")]
    assert "rows.jsonl:" in error
    assert told in error
    assert tree(tmp_path / "out") == {}


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b'photo,points\na.png,"26,22"\nb\xe9.png,"1,2"\n', "expected UTF-8, got b'\\xe9' at byte"),
        (b"photo;points\na.png;26,22\n", "expected a column photo, got photo;points"),
        (b"photo,points\na.png,26,22\n", "rows.csv:2: more cells than columns, ['22']"),
        (b"photo,points\n", "rows.csv: no rows in it"),
        (b"", "rows.csv: no rows in it"),
    ],
)
def test_a_bad_table_is_told_in_a_line(
    photos: Path, tmp_path: Path, data: bytes, told: str
) -> None:
    (photos / "rows.csv").write_bytes(data)
    result = batch(photos / "rows.csv", tmp_path / "out", *QUICK, *IN_PLACE)
    assert result.exit_code == 1, result.output
    (error,) = [text for text in result.stderr.splitlines() if text.startswith("error: ")]
    assert told in error


def test_what_a_run_has_made_is_no_source(photos: Path, tmp_path: Path) -> None:
    """Neither an output folder inside of the photos, nor the masks of one that is the source."""
    red(photos, photos / "old")
    out = tmp_path / "new"
    assert red(photos, out).exit_code == 0
    assert not any(name.startswith("old") for name in tree(out))
    again = batch(out, tmp_path / "third", "-p", "5,5", *QUICK, *IN_PLACE)
    assert again.exit_code == 0, again.output
    assert {row["output"] for row in manifest(tmp_path / "third")} == {
        row["output"] for row in manifest(out)
    }


def test_no_output_is_an_input(photos: Path) -> None:
    """Not by its plain name, nor through a link."""
    before = tree(photos)
    result = red(photos, photos)
    assert result.exit_code == 1
    assert "over an input" in result.stderr
    (photos.parent / "link").symlink_to(photos)
    assert red(photos, photos.parent / "link").exit_code == 1
    assert tree(photos) == before


def test_a_dry_run_writes_nothing(photos: Path, tmp_path: Path) -> None:
    result = red(photos, tmp_path / "out", "--dry-run", "--estimate")
    assert result.exit_code == 0, result.output
    assert "folder: 5 photos with 5 objects" in result.stdout
    assert "x/photo.jpg -> x/photo.jpg: 1 object" in result.stdout
    assert "estimate, with 1 workers: 0 s" in result.stdout
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        (["nowhere", "out", "--color", RED], 1, "no such file or folder"),
        (["in", "out"], 1, "need a prompt that holds for all"),
        (["in", "out", "--color", RED, "--category", "dog"], 1, "no annotations to pick from"),
        (["in/a.png", "out", "--color", RED], 1, "expected a folder"),
        (["in", "out", "--color", RED, "--glob", "*.gif"], 1, "found by *.gif (there are: "),
        (["in", "out", "--color", RED, "--estimate"], 2, "--estimate goes with --dry-run"),
        (["rows.jsonl", "out", "--color", RED, "--glob", "*.gif"], 1, "--glob chooses in a folder"),
        (["in", "out", "--color", RED, "--min-area", "x"], 2, "area must be"),
        (["in", "out", "--color", RED, "--engine", "slurm"], 2, "slurm"),
        (["in", "out", "--color", RED, "--masks", "../m"], 1, "below the output folder, got '../m"),
        (["in", "in/a.png", "--color", RED], 1, "choose another OUTDIR"),
        (["in", "out", "--text", "dog"], 1, "models download"),
        (["in", "out", "--everything"], 2, "--pick N"),
    ],
)
def test_what_makes_no_sense_is_a_line(
    photos: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], status: int, told: str
) -> None:
    monkeypatch.chdir(photos.parent)
    rows(photos.parent / "rows.jsonl", {"photo": "in/a.png"})
    result = batch(*words)
    assert result.exit_code == status, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert told in result.stderr


# --- going on ---------------------------------------------------------------------------------


def stamps(out: Path) -> dict[str, int]:
    return {name: (out / name).stat().st_mtime_ns for name in tree(out)}


def test_nothing_is_done_twice(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    red(photos, out)
    before, told = stamps(out), (out / "manifest.parquet").read_bytes()
    assert red(photos, out).exit_code == 0
    assert stamps(out) == before
    assert (out / "manifest.parquet").read_bytes() == told


def test_only_what_has_changed_is_done_again(photos: Path, tmp_path: Path) -> None:
    """A changed photo, a changed row, an output deleted or cut short; not a photo touched."""
    out = tmp_path / "out"
    lines = [{"photo": name, "colors": RED} for name in ["a.png", "a.jpg", "x/photo.jpg"]]
    lines += [{"photo": name, "colors": RED} for name in ["y/photo.jpg", "z/Ä b.bmp"]]
    batch(rows(photos / "r.jsonl", *lines), out, *QUICK, *IN_PLACE)
    before = stamps(out)
    save(photos / "a.png", 40)
    os.utime(photos / "a.jpg")
    lines[2]["seed"] = 1  # type: ignore[assignment]
    (out / "y/photo.jpg").unlink()
    (out / "z/Ä b.bmp").write_bytes(b"half")
    assert batch(rows(photos / "r.jsonl", *lines), out, *QUICK, *IN_PLACE).exit_code == 0
    after = stamps(out)
    assert {name for name in without_masks(out) if after[name] != before[name]} == {
        "a.png", "x/photo.jpg", "y/photo.jpg", "z/Ä b.bmp"
    }  # fmt: skip
    assert is_gone(out / "z/Ä b.bmp")
    fresh = tmp_path / "fresh"
    batch(photos / "r.jsonl", fresh, *QUICK, *IN_PLACE)
    assert tree(out) == tree(fresh)
    assert without_times(out) == without_times(fresh)


def test_failures_are_kept_until_asked_for(photos: Path, tmp_path: Path) -> None:
    (photos / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\nnot")
    out = tmp_path / "out"
    result = red(photos, out)
    assert result.exit_code == 3
    assert "bad.png" in result.stderr
    assert [r["status"] for r in manifest(out) if r["output"] == "bad.png"] == ["failed"]
    again = red(photos, out)
    assert again.exit_code == 3
    assert "failed: " not in again.stderr  # not tried again
    assert "1 failed" in again.stderr
    data = (photos / "a.png").read_bytes()
    (photos / "bad.png").write_bytes(data)
    assert red(photos, out).exit_code == 0  # another file, another chance


def test_retry_failed(photos: Path, tmp_path: Path) -> None:
    (photos / "bad.png").write_bytes(b"no")
    red(photos, tmp_path / "out")
    result = red(photos, tmp_path / "out", "--retry-failed")
    assert result.exit_code == 3
    assert "failed: " in result.stderr


def test_too_many_failures_stop_the_run(photos: Path, tmp_path: Path) -> None:
    for number in range(4):
        (photos / f"0{number}.png").write_bytes(b"no")
    result = red(photos, tmp_path / "out", "--max-failures", "1")
    assert result.exit_code == 3
    assert "2 failed, 7 not tried" in result.stderr
    assert red(photos, tmp_path / "out").exit_code == 3
    assert len(manifest(tmp_path / "out")) == 9


def test_a_torn_ledger_is_read_up_to_the_tear(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    red(photos, out)
    (file,) = (out / ".segment2inpaint/ledger").iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole[:-30])
    assert len(list(results_log.read(str(out)))) == 4
    before = stamps(out)
    assert red(photos, out).exit_code == 0
    changed = [name for name, at in stamps(out).items() if at != before[name]]
    assert len(changed) == 2  # one photo and its mask
    assert len(manifest(out)) == 5


def test_strict_results_are_not_written(tmp_path: Path) -> None:
    """With --strict a result that failed its checks is a failure; its annotation stays."""
    photo = np.full((120, 160, 3), 120, np.uint8)
    photo[::8] = 20
    photo[:, ::8] = 200
    photo[40:90, 50:110] = np.random.default_rng(0).integers(0, 255, (50, 60, 3))
    (tmp_path / "in").mkdir()
    Image.fromarray(photo).save(tmp_path / "in/a.png")
    words = (tmp_path / "in", tmp_path / "out", "-b", "48,38,112,92", "--inpainter", "telea")
    result = batch(*words, "--attempts", "1", "--strict", *IN_PLACE)
    assert result.exit_code == 3, result.output
    (row,) = manifest(tmp_path / "out")
    assert row["status"] == "failed"
    assert row["verdict"] == "failed"
    assert "not good enough" in row["error"]
    assert tree(tmp_path / "out") == {}


# --- Python ---------------------------------------------------------------------------------


def test_python(photos: Path, tmp_path: Path) -> None:
    request = Request((Color(rgb=(220, 30, 30), tolerance=30.0),), inpainter="telea", verify=False)
    (photos / "bad.png").write_bytes(b"no")
    outcomes = list(
        dataset.run(photos, request, tmp_path / "out", effort=ExecutionOptions(workers=0))
    )
    assert {o.output: o.status for o in outcomes if not o.ok} == {"bad.png": "failed"}
    done = next(o for o in outcomes if o.output == "a.png")
    assert done.rows[0]["box"] == list(SQUARE)
    assert is_gone(tmp_path / "out/a.png")
    assert (
        list(dataset.run(photos, request, tmp_path / "out", effort=ExecutionOptions(workers=0)))
        == []
    )


def test_python_refuses_before_any_work(tmp_path: Path) -> None:
    request = Request((Points(((1, 1),)),), Refine())
    with pytest.raises(BadDataset, match="no such file or folder"):
        next(dataset.run(tmp_path / "none", request, tmp_path / "out"))


@pytest.mark.parametrize(
    ("request_", "settings", "told"),
    [
        ({}, {}, "a request has a list of prompts, got None"),
        ({"prompts": [5]}, {}, "a request has a list of prompts, got .5."),
        (Request((Points(((1.5, 2),)),)), {}, "points must be tuples"),
        (Request((Points(((1, 2),)),)), {"if_nothing": "cry"}, "if_nothing must be one of fail"),
        (Request((Points(((1, 2),)),)), {"masks": "/m"}, "masks must be a folder below"),
        (Request((Points(((1, 2),)),)), {"quality": 0}, "quality must be 1 to 100, got 0"),
    ],
)
def test_python_is_told_of_what_makes_no_sense(
    photos: Path, tmp_path: Path, request_: object, settings: dict[str, object], told: str
) -> None:
    with pytest.raises(Segment2InpaintError, match=told):
        list(dataset.run(photos, request_, tmp_path / "out", **settings))  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()


def test_to_hf(photos: Path, tmp_path: Path) -> None:
    pytest.importorskip("datasets", reason="Hugging Face datasets are not installed")
    red(photos, tmp_path / "out")
    made = dataset.to_hf(tmp_path / "out")
    assert len(made) == 5
    row = made[1]
    assert row["image"].size == (64, 48)
    assert (np.asarray(row["image"]) == load(tmp_path / "out" / row["output"])).all()
    assert np.asarray(row["mask"]).max() == 255


# --- a store that is not a disk ---------------------------------------------------------------


def test_remote_stores(tmp_path: Path) -> None:
    """Photos, rows and results on an fsspec store (here in memory), going on included."""
    import fsspec

    memory = fsspec.filesystem("memory")
    for number in range(3):
        data = save(tmp_path / f"{number}.png", number).read_bytes()
        memory.pipe_file(f"/many/in/{number}.png", data)
    memory.pipe_file("/many/in/3.png", b"broken")
    result = red("memory://many/in", "memory://many/out")  # type: ignore[arg-type]
    assert result.exit_code == 3, result.output
    told = memory.cat_file("/many/out/manifest.jsonl").decode().splitlines()
    assert [json.loads(line)["status"] for line in told] == ["done"] * 3 + ["failed"]
    local = tmp_path / "copy.png"
    local.write_bytes(memory.cat_file("/many/out/1.png"))
    assert is_gone(local)
    again = red("memory://many/in", "memory://many/out")  # type: ignore[arg-type]
    assert "failed: " not in again.stderr
    memory.pipe_file("/many/in/3.png", data)
    assert red("memory://many/in", "memory://many/out").exit_code == 0  # type: ignore[arg-type]


# --- two at once --------------------------------------------------------------------------------


def test_a_second_run_into_the_same_folder_is_refused(photos: Path, tmp_path: Path) -> None:
    import filelock

    out = tmp_path / "out"
    (out / ".segment2inpaint").mkdir(parents=True)
    code = (
        "import filelock, sys\n"
        f"with filelock.FileLock({str(out / '.segment2inpaint/lock')!r}):\n"
        "    print('held', flush=True)\n    sys.stdin.read()\n"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdout
    assert holder.stdout.readline() == b"held\n"
    result = red(photos, out)
    assert result.exit_code == 1
    assert "another run is at work there" in result.stderr
    holder.kill()
    holder.wait()
    assert red(photos, out).exit_code == 0
    assert filelock  # the library that both use
