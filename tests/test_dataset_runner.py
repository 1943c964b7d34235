"""Runs: missing objects, failures, progress, locks, remote stores."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from dataset_photos import (
    FAST_OPTIONS,
    NO_WORKERS,
    RED_HEX,
    batch,
    batch_red,
    draw_photo,
    is_square_removed,
    output_files,
    output_photos,
    read_manifest,
    red_mask,
    save_photo,
    write_rows,
)
from PIL import Image


def test_if_nothing_decides_about_photos_without_the_object(
    photo_folder: Path, tmp_path: Path
) -> None:
    """Such a photo fails, is copied, or is skipped."""
    Image.fromarray(np.full_like(draw_photo(), 90)).save(photo_folder / "plain.png")
    assert batch_red(photo_folder, tmp_path / "fail").exit_code == 3
    assert not (tmp_path / "fail/plain.png").exists()
    assert batch_red(photo_folder, tmp_path / "copy", "--if-nothing", "copy").exit_code == 0
    assert (tmp_path / "copy/plain.png").read_bytes() == (photo_folder / "plain.png").read_bytes()
    assert batch_red(photo_folder, tmp_path / "skip", "--if-nothing", "skip").exit_code == 0
    assert not (tmp_path / "skip/plain.png").exists()


def test_a_photo_with_a_missing_object_counts_as_failed(photo_folder: Path, tmp_path: Path) -> None:
    """The other object is removed, and the row of the missing one says so."""
    Image.fromarray(np.zeros_like(red_mask())).save(photo_folder.parent / "empty.png")
    Image.fromarray(red_mask()).save(photo_folder.parent / "square.png")
    source = write_rows(
        photo_folder / "rows.jsonl",
        {"photo": "a.png", "mask": "../square.png", "id": "present"},
        {"photo": "a.png", "mask": "../empty.png", "id": "missing"},
    )
    out = tmp_path / "out"
    result = batch(source, out, *FAST_OPTIONS, *NO_WORKERS)
    assert result.exit_code == 3, result.output
    assert "1 of 2 objects not found" in result.stderr
    statuses = {row["id"]: row["status"] for row in read_manifest(out)}
    assert statuses == {"present": "done", "missing": "failed"}
    assert is_square_removed(out / "a.png")
    again = batch(source, tmp_path / "again", *FAST_OPTIONS, *NO_WORKERS, "--if-nothing", "skip")
    assert again.exit_code == 0


def test_json_prints_a_line_for_each_photo(photo_folder: Path, tmp_path: Path) -> None:
    result = batch_red(photo_folder, tmp_path / "out", "--json")
    outcomes = [json.loads(line) for line in result.stdout.splitlines()]
    assert {outcome["output"] for outcome in outcomes} == set(output_photos(tmp_path / "out"))
    assert {outcome["status"] for outcome in outcomes} == {"done"}


def test_a_terminal_shows_a_progress_bar(photo_folder: Path, tmp_path: Path) -> None:
    """The bar shows the count, the rate and the failures."""
    import fcntl
    import pty
    import struct
    import termios

    (photo_folder / "bad.png").write_bytes(b"no")
    options = [photo_folder, tmp_path / "out", "--color", RED_HEX, *FAST_OPTIONS, *NO_WORKERS]
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-m", "segment2inpaint", "batch", *map(str, options)], stderr=theirs
    )
    os.close(theirs)
    output = b""
    try:
        while part := os.read(ours, 4096):
            output += part
    except OSError:  # the process has closed its end
        pass
    assert process.wait() == 3
    assert b"6/6" in output
    assert b"1 failed" in output
    assert b"photos/s" in output


def test_too_many_failures_stop_the_run(photo_folder: Path, tmp_path: Path) -> None:
    for number in range(4):
        (photo_folder / f"0{number}.png").write_bytes(b"no")
    result = batch_red(photo_folder, tmp_path / "out", "--max-failures", "1")
    assert result.exit_code == 3
    assert "2 failed, 7 not tried" in result.stderr
    assert batch_red(photo_folder, tmp_path / "out").exit_code == 3
    assert len(read_manifest(tmp_path / "out")) == 9


def test_strict_does_not_write_failed_results(tmp_path: Path) -> None:
    """A result that failed its checks is recorded as a failure."""
    photo = np.full((120, 160, 3), 120, np.uint8)
    photo[::8] = 20
    photo[:, ::8] = 200
    photo[40:90, 50:110] = np.random.default_rng(0).integers(0, 255, (50, 60, 3))
    (tmp_path / "in").mkdir()
    Image.fromarray(photo).save(tmp_path / "in/a.png")
    options = (tmp_path / "in", tmp_path / "out", "-b", "48,38,112,92", "--inpainter", "telea")
    result = batch(*options, "--attempts", "1", "--strict", *NO_WORKERS)
    assert result.exit_code == 3, result.output
    (row,) = read_manifest(tmp_path / "out")
    assert row["status"] == "failed"
    assert row["verdict"] == "failed"
    assert "not good enough" in row["error"]
    assert output_files(tmp_path / "out") == {}


def test_photos_and_results_may_be_on_a_remote_store(tmp_path: Path) -> None:
    """Photos and results are on an fsspec store, here in memory, and the run resumes."""
    import fsspec

    memory = fsspec.filesystem("memory")
    for number in range(3):
        data = save_photo(tmp_path / f"{number}.png", number).read_bytes()
        memory.pipe_file(f"/dataset/in/{number}.png", data)
    memory.pipe_file("/dataset/in/3.png", b"broken")
    result = batch_red("memory://dataset/in", "memory://dataset/out")
    assert result.exit_code == 3, result.output
    lines = memory.cat_file("/dataset/out/manifest.jsonl").decode().splitlines()
    assert [json.loads(line)["status"] for line in lines] == ["done"] * 3 + ["failed"]
    local = tmp_path / "copy.png"
    local.write_bytes(memory.cat_file("/dataset/out/1.png"))
    assert is_square_removed(local)
    again = batch_red("memory://dataset/in", "memory://dataset/out")
    assert "failed: " not in again.stderr
    memory.pipe_file("/dataset/in/3.png", data)
    assert batch_red("memory://dataset/in", "memory://dataset/out").exit_code == 0


def test_a_second_run_into_the_same_folder_is_refused(photo_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / ".segment2inpaint").mkdir(parents=True)
    code = (  # holds the lock until it is killed
        "import filelock, sys\n"
        f"with filelock.FileLock({str(out / '.segment2inpaint/lock')!r}):\n"
        "    print('held', flush=True)\n    sys.stdin.read()\n"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdout
    assert holder.stdout.readline() == b"held\n"
    result = batch_red(photo_folder, out)
    assert result.exit_code == 1
    assert "another run is using it" in result.stderr
    holder.kill()
    holder.wait()
    assert batch_red(photo_folder, out).exit_code == 0
