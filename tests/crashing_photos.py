"""Photos that crash their worker process, and helpers for runs that are killed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from dataset_photos import FAST_OPTIONS, RED_HEX, save_photo

ROOT = Path(__file__).parent.parent

# Every Python that is started with this file on its PYTHONPATH runs it: a photo whose file is
# b"exit", b"kill" or b"hang" then does that to the process that reads it.
SITE_CUSTOMIZE = """
import os, signal, sys, time
if "--multiprocessing-fork" in sys.argv or "segment2inpaint" in " ".join(sys.orig_argv):
    from segment2inpaint import images
    original_read = images.read
    def read(source, **options):
        if source == b"exit":
            os._exit(7)
        if source == b"kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if source == b"hang":
            time.sleep(1000)
        return original_read(source, **options)
    images.read = read
"""


def crash_environment(folder: Path) -> dict[str, str]:
    """Return environment variables with which some photos crash the process that reads them."""
    site = folder / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(SITE_CUSTOMIZE)
    return {**os.environ, "PYTHONPATH": f"{site}:{ROOT}"}


def batch_command(source: Path, out: Path, *more: object) -> list[str]:
    """Return a command that removes red squares with two workers."""
    options = [source, out, "--color", RED_HEX, *FAST_OPTIONS, "--workers", 2, *more]
    return [sys.executable, "-m", "segment2inpaint", "batch", *map(str, options)]


def save_photos(folder: Path, count: int, broken: int = 0) -> Path:
    """Save ``count`` photos and ``broken`` files that are no photos, in seven subfolders."""
    for number in range(count):
        save_photo(folder / f"{number % 7}/{number:05d}.png", number)
    for number in range(broken):
        (folder / f"{number % 7}" / f"bad{number:03d}.png").write_bytes(b"\x89PNG broken")
    return folder


def run_command(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=500, **options)


def read_log(out: Path) -> list[dict[str, object]]:
    """Return the records of all results logs without incomplete lines."""
    files = sorted((out / ".segment2inpaint/ledger").glob("*.jsonl"))
    lines = [line for file in files for line in file.read_bytes().splitlines(keepends=True)]
    return [json.loads(line) for line in lines if line.endswith(b"\n")]
