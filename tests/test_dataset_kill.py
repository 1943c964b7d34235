"""Runs that are killed, photos that kill: nothing is lost, nothing is done twice."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from many import QUICK, RED, finished, manifest, save, tree, without_times

from segment2inpaint.dataset.results_log import ResultsLog
from segment2inpaint.errors import BadDataset

ROOT = Path(__file__).parent.parent

# Read by every Python that is started with its folder on PYTHONPATH: photos that end their process.
DEADLY = """
import os, signal, sys, time
if "--multiprocessing-fork" in sys.argv or "segment2inpaint" in " ".join(sys.orig_argv):
    from segment2inpaint import images
    plain = images.read
    def read(source, **how):
        if source == b"exit":
            os._exit(7)
        if source == b"kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if source == b"hang":
            time.sleep(1000)
        return plain(source, **how)
    images.read = read
"""


@pytest.fixture
def deadly(tmp_path: Path) -> dict[str, str]:
    """An environment in which some photos end the process that reads them."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site/sitecustomize.py").write_text(DEADLY)
    return {**os.environ, "PYTHONPATH": f"{tmp_path / 'site'}:{ROOT}"}


def command(source: Path, out: Path, *more: object) -> list[str]:
    words = [source, out, "--color", RED, *QUICK, "--workers", 2, *more]
    return [sys.executable, "-m", "segment2inpaint", "batch", *map(str, words)]


def photos(folder: Path, count: int, broken: int = 0) -> Path:
    for number in range(count):
        save(folder / f"{number % 7}/{number:05d}.png", number)
    for number in range(broken):
        (folder / f"{number % 7}" / f"bad{number:03d}.png").write_bytes(b"\x89PNG broken")
    return folder


def run(words: list[str], **how: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, capture_output=True, text=True, timeout=500, **how)  # type: ignore[call-overload,no-any-return]


def records(out: Path) -> list[dict[str, object]]:
    """What all ledgers say, whole lines only."""
    files = sorted((out / ".segment2inpaint/ledger").glob("*.jsonl"))
    lines = [line for file in files for line in file.read_bytes().splitlines(keepends=True)]
    return [json.loads(line) for line in lines if line.endswith(b"\n")]


@pytest.mark.slow
@pytest.mark.parametrize(("count", "broken", "kills"), [(950, 50, 10)])
def test_killed_again_and_again(tmp_path: Path, count: int, broken: int, kills: int) -> None:
    """SIGKILL at random moments: in the end all is as if nothing had happened."""
    source = photos(tmp_path / "in", count, broken)
    whole, out = tmp_path / "whole", tmp_path / "out"
    assert run(command(source, whole)).returncode == 3
    chance = random.Random(0)
    for turn in range(kills):
        process = subprocess.Popen(command(source, out), stderr=subprocess.DEVNULL)
        ledger = out / ".segment2inpaint/ledger"
        goal = (count + broken) * (turn + chance.random()) / (kills + 1)
        while process.poll() is None and (
            not ledger.is_dir() or sum(f.read_bytes().count(b"\n") for f in ledger.iterdir()) < goal
        ):
            time.sleep(0.02)
        time.sleep(chance.random() / 20)
        process.kill()
        process.wait()
    last = run(command(source, out))
    assert last.returncode == 3, last.stderr
    assert tree(out) == tree(whole)
    assert without_times(out) == without_times(whole)
    assert len(manifest(out)) == count + broken
    # what was recorded as done was not done again
    done = [str(record["output"]) for record in records(out)]
    assert len(done) == len(set(done)) == count + broken
    assert not list(out.rglob("*.part"))


@pytest.mark.slow
def test_photos_that_kill_their_process(tmp_path: Path, deadly: dict[str, str]) -> None:
    """Each is quarantined, and every other photo is there."""
    source = photos(tmp_path / "in", 30)
    (source / "1/exit.png").write_bytes(b"exit")
    (source / "3/kill.png").write_bytes(b"kill")
    out = tmp_path / "out"
    result = run(command(source, out), env=deadly)
    assert result.returncode == 3, result.stderr
    told = {row["output"]: row for row in manifest(out)}
    assert len(told) == 32
    bad = {name: row["error"] for name, row in told.items() if row["status"] != "done"}
    assert set(bad) == {"1/exit.png", "3/kill.png"}
    assert told["1/exit.png"]["status"] == "quarantined"
    assert "exit status 7" in bad["1/exit.png"]
    assert "SIGKILL" in bad["3/kill.png"]
    assert "30 of 32 photos done, 2 failed" in result.stderr


@pytest.mark.slow
def test_a_photo_that_hangs(tmp_path: Path, deadly: dict[str, str]) -> None:
    source = photos(tmp_path / "in", 5)
    (source / "1/hang.png").write_bytes(b"hang")
    result = run(command(source, tmp_path / "out", "--timeout", 4), env=deadly)
    assert result.returncode == 3, result.stderr
    bad = [row for row in manifest(tmp_path / "out") if row["status"] != "done"]
    assert [row["output"] for row in bad] == ["1/hang.png"]
    assert "longer than 4 s" in bad[0]["error"]


@pytest.mark.slow
def test_workers_killed_from_outside(tmp_path: Path) -> None:
    """Two innocent workers die; their photos are done by others, none is blamed."""
    source = photos(tmp_path / "in", 300)
    out = tmp_path / "out"
    process = subprocess.Popen(command(source, out), stderr=subprocess.PIPE, text=True)
    for goal in (20, 120):
        while process.poll() is None and (not (out / "0").is_dir() or finished(out) < 2 * goal):
            time.sleep(0.02)
        os.kill(workers_of(process.pid)[0], signal.SIGKILL)
    _, told = process.communicate(timeout=300)
    assert process.returncode == 0, told
    assert {row["status"] for row in manifest(out)} == {"done"}
    assert len(manifest(out)) == 300


def workers_of(parent: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        fields = stat.read_text().rpartition(") ")[2].split()
        words = (stat.parent / "cmdline").read_bytes()
        if int(fields[1]) == parent and b"spawn_main" in words:
            found.append(int(stat.parent.name))
    return sorted(found)


@pytest.mark.slow
def test_nobody_works_on_when_the_run_is_dead(tmp_path: Path) -> None:
    source = photos(tmp_path / "in", 300)
    out = tmp_path / "out"
    process = subprocess.Popen(command(source, out), stderr=subprocess.DEVNULL)
    while finished(out) < 10:
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
    ("limit", "what"), [(3000, "the plan cannot be kept"), (600_000, "too large; make room")]
)
def test_a_full_disk_stops_the_run(tmp_path: Path, limit: int, what: str) -> None:
    """Files can grow no more: one line, no photo is blamed, and with room it goes on."""
    source = photos(tmp_path / "in", 40)
    save(source / "big.png").write_bytes(big())
    words = command(source, tmp_path / "out")
    full = run(["prlimit", f"--fsize={limit}", *words])
    assert full.returncode == 1, full.stderr
    (line,) = [text for text in full.stderr.splitlines() if text.startswith("error: ")]
    assert what in line
    assert "Traceback" not in full.stderr
    freed = run(words)
    assert freed.returncode == 0, freed.stderr
    assert {row["status"] for row in manifest(tmp_path / "out")} == {"done"}
    fresh = run(command(source, tmp_path / "fresh"))
    assert fresh.returncode == 0
    assert tree(tmp_path / "out") == tree(tmp_path / "fresh")


def big() -> bytes:
    """A PNG of more than a megabyte with the square in it."""
    from io import BytesIO

    import numpy as np
    from PIL import Image

    noise = np.random.default_rng(0).integers(90, 160, (720, 960, 3), np.uint8)
    noise[100:120, 100:120] = (220, 30, 30)
    file = BytesIO()
    Image.fromarray(noise).save(file, "PNG")
    return file.getvalue()


@pytest.mark.slow
def test_a_script_that_forgets_its_guard(tmp_path: Path) -> None:
    """Processes that start a script anew would never end: one line says what to do."""
    source = photos(tmp_path / "in", 4)
    (tmp_path / "script.py").write_text(
        "from segment2inpaint import Color, Request, dataset\n"
        "request = Request((Color(rgb=(220, 30, 30)),), inpainter='telea', verify=False)\n"
        f"list(dataset.run({str(source)!r}, request, {str(tmp_path / 'out')!r}))\n"
    )
    result = run([sys.executable, str(tmp_path / "script.py")])
    assert result.returncode == 1
    assert 'if __name__ == "__main__"' in result.stderr.splitlines()[-1]


def test_a_ledger_that_cannot_grow(tmp_path: Path) -> None:
    book = ResultsLog(str(tmp_path), 1)
    (tmp_path / f".segment2inpaint/ledger/{book._name}.jsonl").symlink_to("/dev/full")
    with pytest.raises(BadDataset, match="No space left"):
        book.add([{"output": "a.png"}])


@pytest.mark.slow
def test_ctrl_c_leaves_nothing_half_written(tmp_path: Path) -> None:
    source = photos(tmp_path / "in", 400)
    out = tmp_path / "out"
    words = command(source, out)
    process = subprocess.Popen(
        words, stderr=subprocess.PIPE, text=True, start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler) and None,
    )  # fmt: skip
    while finished(out) < 60:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130, told
    assert "stopped" in told
    assert "Traceback" not in told
    assert not list(out.rglob("*.part"))
    assert run(words).returncode == 0
    assert len(manifest(out)) == 400
