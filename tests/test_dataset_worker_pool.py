"""Killed runs and photos that crash their worker: nothing is lost or processed twice."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from crashing_photos import batch_command, crash_environment, read_log, run_command, save_photos
from dataset_photos import (
    count_outputs,
    output_files,
    read_manifest,
    rows_without_times,
    save_photo,
)

from segment2inpaint.dataset import worker_pool
from segment2inpaint.dataset.results_log import ResultsLog
from segment2inpaint.dataset.run_types import PhotoJob, RunSettings
from segment2inpaint.errors import BadDataset


class RecordingPipe:
    """Records how many jobs it is sent at a time."""

    def __init__(self) -> None:
        self.groups: list[int] = []

    def send(self, jobs: list[PhotoJob]) -> None:
        self.groups.append(len(jobs))


def test_the_last_photos_are_sent_in_small_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    pipes = [RecordingPipe(), RecordingPipe()]
    rest = iter(pipes)
    monkeypatch.setattr(worker_pool, "_start_worker", lambda _: worker_pool._Worker(0, next(rest)))

    def wait(*_: object) -> None:
        raise InterruptedError

    monkeypatch.setattr(worker_pool, "wait", wait)
    jobs = [PhotoJob(f"{i}.png", f"{i}.png", (), "") for i in range(12)]
    pool = worker_pool.WorkerPool(2, RunSettings(out="out"))
    with pytest.raises(InterruptedError):
        next(pool.run(jobs, len(jobs)))
    assert [pipe.groups for pipe in pipes] == [[6], [3]]


@pytest.mark.slow
@pytest.mark.parametrize(("count", "broken", "kills"), [(950, 50, 10)])
def test_a_run_that_is_killed_repeatedly_loses_nothing(
    tmp_path: Path, count: int, broken: int, kills: int
) -> None:
    """The run is killed at random moments; the results equal those of an undisturbed run."""
    source = save_photos(tmp_path / "in", count, broken)
    undisturbed, out = tmp_path / "undisturbed", tmp_path / "out"
    assert run_command(batch_command(source, undisturbed)).returncode == 3
    generator = random.Random(0)
    for number in range(kills):
        process = subprocess.Popen(batch_command(source, out), stderr=subprocess.DEVNULL)
        ledger = out / ".segment2inpaint/ledger"
        goal = (count + broken) * (number + generator.random()) / (kills + 1)
        while process.poll() is None and (
            not ledger.is_dir() or sum(f.read_bytes().count(b"\n") for f in ledger.iterdir()) < goal
        ):
            time.sleep(0.02)
        time.sleep(generator.random() / 20)
        process.kill()
        process.wait()
    last = run_command(batch_command(source, out))
    assert last.returncode == 3, last.stderr
    assert output_files(out) == output_files(undisturbed)
    assert rows_without_times(out) == rows_without_times(undisturbed)
    assert len(read_manifest(out)) == count + broken
    recorded = [str(record["output"]) for record in read_log(out)]
    assert len(recorded) == len(set(recorded)) == count + broken  # no photo twice
    assert not list(out.rglob("*.part"))


@pytest.mark.slow
def test_photos_that_crash_their_worker_are_quarantined(tmp_path: Path) -> None:
    """All other photos are processed."""
    source = save_photos(tmp_path / "in", 30)
    (source / "1/exit.png").write_bytes(b"exit")
    (source / "3/kill.png").write_bytes(b"kill")
    out = tmp_path / "out"
    result = run_command(batch_command(source, out), env=crash_environment(tmp_path))
    assert result.returncode == 3, result.stderr
    rows = {row["output"]: row for row in read_manifest(out)}
    assert len(rows) == 32
    errors = {name: row["error"] for name, row in rows.items() if row["status"] != "done"}
    assert set(errors) == {"1/exit.png", "3/kill.png"}
    assert rows["1/exit.png"]["status"] == "quarantined"
    assert "exit status 7" in errors["1/exit.png"]
    assert "SIGKILL" in errors["3/kill.png"]
    assert "30 of 32 photos done, 2 failed" in result.stderr


@pytest.mark.slow
def test_a_photo_that_exceeds_the_timeout_fails(tmp_path: Path) -> None:
    source = save_photos(tmp_path / "in", 5)
    (source / "1/hang.png").write_bytes(b"hang")
    result = run_command(
        batch_command(source, tmp_path / "out", "--timeout", 4), env=crash_environment(tmp_path)
    )
    assert result.returncode == 3, result.stderr
    (row,) = [row for row in read_manifest(tmp_path / "out") if row["status"] != "done"]
    assert row["output"] == "1/hang.png"
    assert "longer than 4 s" in row["error"]


@pytest.mark.slow
def test_photos_of_killed_workers_are_processed_by_others(tmp_path: Path) -> None:
    """Two workers are killed from outside; no photo is quarantined."""
    source = save_photos(tmp_path / "in", 300)
    out = tmp_path / "out"
    process = subprocess.Popen(batch_command(source, out), stderr=subprocess.PIPE, text=True)
    for goal in (20, 120):
        while process.poll() is None and (
            not (out / "0").is_dir() or count_outputs(out) < 2 * goal
        ):
            time.sleep(0.02)
        os.kill(workers_of(process.pid)[0], signal.SIGKILL)
    _, messages = process.communicate(timeout=300)
    assert process.returncode == 0, messages
    assert {row["status"] for row in read_manifest(out)} == {"done"}
    assert len(read_manifest(out)) == 300


def workers_of(parent: int) -> list[int]:
    """Return the process ids of the workers of a run, from ``/proc``."""
    workers = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        fields = stat.read_text().rpartition(") ")[2].split()
        command = (stat.parent / "cmdline").read_bytes()
        if int(fields[1]) == parent and b"spawn_main" in command:
            workers.append(int(stat.parent.name))
    return sorted(workers)


@pytest.mark.slow
def test_workers_end_when_the_run_is_killed(tmp_path: Path) -> None:
    source = save_photos(tmp_path / "in", 300)
    out = tmp_path / "out"
    process = subprocess.Popen(batch_command(source, out), stderr=subprocess.DEVNULL)
    while count_outputs(out) < 10:
        time.sleep(0.02)
    workers = workers_of(process.pid)
    assert len(workers) == 2
    process.kill()
    process.wait()
    deadline = time.monotonic() + 60
    while any(Path(f"/proc/{pid}").exists() for pid in workers) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(Path(f"/proc/{pid}").exists() for pid in workers)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("limit", "message"), [(3000, "cannot write the plan"), (600_000, "too large; make room")]
)
def test_a_full_disk_stops_the_run(tmp_path: Path, limit: int, message: str) -> None:
    """The error is one line, no photo fails, and the run resumes when there is space again."""
    source = save_photos(tmp_path / "in", 40)
    save_photo(source / "big.png").write_bytes(large_png())
    command = batch_command(source, tmp_path / "out")
    full = run_command(["prlimit", f"--fsize={limit}", *command])
    assert full.returncode == 1, full.stderr
    (line,) = [text for text in full.stderr.splitlines() if text.startswith("error: ")]
    assert message in line
    assert "Traceback" not in full.stderr
    resumed = run_command(command)
    assert resumed.returncode == 0, resumed.stderr
    assert {row["status"] for row in read_manifest(tmp_path / "out")} == {"done"}
    fresh = run_command(batch_command(source, tmp_path / "fresh"))
    assert fresh.returncode == 0
    assert output_files(tmp_path / "out") == output_files(tmp_path / "fresh")


def large_png() -> bytes:
    """Return a PNG of more than a megabyte with a red square."""
    from io import BytesIO

    import numpy as np
    from PIL import Image

    noise = np.random.default_rng(0).integers(90, 160, (720, 960, 3), np.uint8)
    noise[100:120, 100:120] = (220, 30, 30)
    file = BytesIO()
    Image.fromarray(noise).save(file, "PNG")
    return file.getvalue()


@pytest.mark.slow
def test_a_script_without_main_guard_is_reported(tmp_path: Path) -> None:
    """Each worker would start the script again; the last line says what to do."""
    source = save_photos(tmp_path / "in", 4)
    (tmp_path / "script.py").write_text(
        "from segment2inpaint import Color, Request, dataset\n"
        "request = Request((Color(rgb=(220, 30, 30)),), inpainter='telea', verify=False)\n"
        f"list(dataset.run({str(source)!r}, request, {str(tmp_path / 'out')!r}))\n"
    )
    result = run_command([sys.executable, str(tmp_path / "script.py")])
    assert result.returncode == 1
    assert 'if __name__ == "__main__"' in result.stderr.splitlines()[-1]


def test_a_results_log_that_cannot_be_written_raises(tmp_path: Path) -> None:
    log = ResultsLog(str(tmp_path), 1)
    Path(log.path).symlink_to("/dev/full")
    with pytest.raises(BadDataset, match="No space left"):
        log.add([{"output": "a.png"}])


@pytest.mark.slow
def test_ctrl_c_leaves_no_partial_files(tmp_path: Path) -> None:
    source = save_photos(tmp_path / "in", 400)
    out = tmp_path / "out"
    command = batch_command(source, out)
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler) and None,
    )  # fmt: skip
    while count_outputs(out) < 60:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    _, messages = process.communicate(timeout=60)
    assert process.returncode == 130, messages
    assert "interrupted" in messages
    assert "Traceback" not in messages
    assert not list(out.rglob("*.part"))
    assert run_command(command).returncode == 0
    assert len(read_manifest(out)) == 400
