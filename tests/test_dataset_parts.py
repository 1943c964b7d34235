"""A run in parts: ``--shard I/N`` in processes of their own, and ``--join``."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from dataset_photos import (
    FAST_OPTIONS,
    NO_WORKERS,
    PHOTO_NAMES,
    batch,
    batch_red,
    count_outputs,
    output_files,
    rows_without_times,
    save_photo,
)
from filelock import FileLock

from segment2inpaint import BadOption, Color, Request, dataset


def save_coco(folder: Path, count: int) -> Path:
    """Save photos, and annotations with a red square in each."""
    for number in range(count):
        save_photo(folder / f"{number:02d}.png", number)
    images = [{"id": i, "file_name": f"{i:02d}.png", "width": 64, "height": 48}
              for i in range(count)]  # fmt: skip
    annotations = [
        {"id": i, "image_id": i, "category_id": 1 + i % 2, "bbox": [20, 16, 12, 12], "iscrowd": 0,
         "area": 144, "segmentation": [[20, 16, 32, 16, 32, 28, 20, 28]]}
        for i in range(count)
    ]  # fmt: skip
    categories = [{"id": 1, "name": "red"}, {"id": 2, "name": "kept"}]
    data = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "coco.json").write_text(json.dumps(data))
    return folder / "coco.json"


def start_shard(source: Path, out: Path, shard: str) -> subprocess.Popen[bytes]:
    line = ["batch", str(source), str(out), "--category", "red", *FAST_OPTIONS, *NO_WORKERS]
    command = [sys.executable, "-m", "segment2inpaint", *line, "--shard", shard]
    return subprocess.Popen(command, start_new_session=True, stderr=subprocess.DEVNULL)


@pytest.mark.slow
def test_three_shards_that_are_killed_and_resumed_give_the_files_of_one_run(
    tmp_path: Path,
) -> None:
    """Nothing is lost or doubled: photos, masks, annotations and manifest are those of one run."""
    source, whole, out = save_coco(tmp_path / "in", 24), tmp_path / "whole", tmp_path / "parts"
    options = ("--category", "red", *FAST_OPTIONS, *NO_WORKERS)
    assert batch(source, whole, *options).exit_code == 0
    shards = ("1/3", "2/3", "3/3")
    for written in (5, 15):
        running = [start_shard(source, out, shard) for shard in shards]
        deadline = time.monotonic() + 60
        while count_outputs(out) < written and time.monotonic() < deadline:
            time.sleep(0.02)
        for process in running:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    assert [process.wait() for process in [start_shard(source, out, s) for s in shards]] == [0] * 3
    assert not (out / "report.html").exists()
    assert len(list(out.glob("manifest-*-of-00003.parquet"))) == 3
    joined = batch(source, out, *options, "--join")
    assert joined.exit_code == 0, joined.output
    assert output_files(out) == output_files(whole)
    assert rows_without_times(out) == rows_without_times(whole)
    assert not list(out.glob("manifest-*-of-*"))
    assert (out / "report.html").exists()


def test_shards_share_the_photos_out_and_the_join_reports_what_is_missing(
    photo_folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    results = [batch_red(photo_folder, out, "--shard", f"{i}/3") for i in (1, 3)]
    assert [result.exit_code for result in results] == [0, 0]
    assert "2 of 2 photos done" in results[0].stderr
    assert "1 of 1 photos done" in results[1].stderr
    assert "after all parts, run this with --join" in results[1].stderr
    early = batch_red(photo_folder, out, "--join")
    assert early.exit_code == 3
    assert "3 of 5 photos done, 0 failed, 2 not tried" in early.stderr
    assert batch_red(photo_folder, out, "--shard", "2/3").exit_code == 0
    assert batch_red(photo_folder, out, "--join").exit_code == 0
    batch_red(photo_folder, tmp_path / "whole")
    assert rows_without_times(out) == rows_without_times(tmp_path / "whole")


def test_a_shard_without_photos_is_no_failure(photo_folder: Path, tmp_path: Path) -> None:
    result = batch_red(photo_folder, tmp_path / "out", "--shard", "9/9")
    assert result.exit_code == 0, result.output
    assert "0 of 0 photos done" in result.stderr


@pytest.mark.parametrize(
    ("held", "options"),
    [
        ("lock", ("--shard", "1/2")),
        ("lock-00001-of-00002", ("--shard", "1/2")),
        ("lock-00002-of-00002", ()),
        ("lock-00002-of-00002", ("--join",)),
    ],
)
def test_runs_that_exclude_each_other_are_refused(
    photo_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    held: str,
    options: tuple[str, ...],
) -> None:
    """A shard and a whole run exclude each other, and so do two runs of one shard."""
    from segment2inpaint.dataset import locking

    monkeypatch.setattr(locking, "_PATIENCE", 0.1)
    state = tmp_path / "out/.segment2inpaint"
    state.mkdir(parents=True)
    with FileLock(state / held):
        result = batch_red(photo_folder, tmp_path / "out", *options)
    assert result.exit_code == 1
    assert "another run is using it" in result.stderr


def test_a_shard_leaves_the_partial_files_of_the_others_alone(
    photo_folder: Path, tmp_path: Path
) -> None:
    part = tmp_path / "out/.0123456789abcdef.part"
    part.parent.mkdir()
    part.write_bytes(b"being written by another shard")
    assert batch_red(photo_folder, tmp_path / "out", "--shard", "1/2").exit_code == 0
    assert part.exists()
    assert batch_red(photo_folder, tmp_path / "out", "--shard", "2/2").exit_code == 0
    assert batch_red(photo_folder, tmp_path / "out", "--join").exit_code == 0
    assert not part.exists()


@pytest.mark.parametrize("text", ["3", "0/3", "4/3", "1/0", "a/b", "1/2/3", "-1/2"])
def test_an_invalid_shard_is_refused(photo_folder: Path, tmp_path: Path, text: str) -> None:
    result = batch_red(photo_folder, tmp_path / "out", "--shard", text)
    assert result.exit_code == 2
    assert "shard must be I/N" in result.stderr


def test_shard_and_join_are_two_runs(photo_folder: Path, tmp_path: Path) -> None:
    result = batch_red(photo_folder, tmp_path / "out", "--shard", "1/2", "--join")
    assert result.exit_code == 2
    assert "--join is a run of its own" in result.stderr
    with pytest.raises(BadOption, match="a shard runs on one machine"):
        dataset.ExecutionOptions(shard=dataset.Shard(1, 2), engine="ray")


def test_shards_and_the_join_run_from_python(photo_folder: Path, tmp_path: Path) -> None:
    request = Request((Color(rgb=(220, 30, 30), tolerance=30),), inpainter="telea", verify=False)
    done = []
    for number in (1, 2):
        execution = dataset.ExecutionOptions(workers=0, shard=dataset.Shard(number, 2))
        outcomes = dataset.run(photo_folder, request, tmp_path / "out", execution=execution)
        done.append([outcome.output for outcome in outcomes])
    assert [len(outputs) for outputs in done] == [3, 2]
    assert {*done[0], *done[1]} == {*PHOTO_NAMES}
    join = dataset.ExecutionOptions(join=True)
    assert list(dataset.run(photo_folder, request, tmp_path / "out", execution=join)) == []
    assert len(rows_without_times(tmp_path / "out")) == 5
