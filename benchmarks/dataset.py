"""What many photos cost: throughput, memory, and what Ray adds.

    python benchmarks/dataset.py [--photos 200] [--large 20000] [--iopaint PYTHON] [--only NAME]

Throughput: `segment2inpaint batch` with `telea`, masks given, on photos of 512x512, JPEG and PNG.
The marginal CPU seconds of a photo are those of a run of N less those of a run of N/10, over the
difference; so are those of `iopaint run --model cv2`, where an environment with it is given.
Memory: peaks of the parent and of a worker for 1,000 and for --large photos of 64x64.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).parent.parent
SIDE = 512
FEW, MANY = 100, 2000  # photos for Ray
MASKED = 186  # px, the side of the masked square: 34.6k pixels


def photo(number: int) -> np.ndarray:
    """A piece of a sample, another each time."""
    scenes = sorted((ROOT / "samples").glob("*_clean.jpg"))
    whole = np.asarray(Image.open(scenes[number % len(scenes)]).convert("RGB"))
    y, x = (7 * number) % (whole.shape[0] - SIDE), (13 * number) % (whole.shape[1] - SIDE)
    return whole[y : y + SIDE, x : x + SIDE]


def make(folder: Path, count: int, suffix: str) -> None:
    """Photos and, beside them, masks of a square."""
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[150 : 150 + MASKED, 160 : 160 + MASKED] = 255
    for name in ("photos", "masks"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for number in range(count):
        how = {"quality": 90} if suffix == ".jpg" else {}
        Image.fromarray(photo(number)).save(folder / f"photos/{number:05d}{suffix}", **how)
        Image.fromarray(mask).save(folder / f"masks/{number:05d}.png")


def cost(command: list[str]) -> tuple[float, float]:
    """CPU and wall seconds of a command and its children."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return spent, time.perf_counter() - start


def ours(source: Path, out: Path, *more: str) -> list[str]:
    words = [source / "photos", out, "--mask", source / "masks", "--inpainter", "telea"]
    batch = [sys.executable, "-m", "segment2inpaint", "batch", *map(str, words)]
    return [*batch, "--no-verify", "--workers", "2", *more]


def rival(python: str, source: Path, out: Path) -> list[str]:
    files = ["--image", source / "photos", "--mask", source / "masks", "--output", out]
    program = str(Path(python).with_name("iopaint"))
    return [program, "run", "--model", "cv2", "--device", "cpu", *map(str, files)]


def marginal(few: tuple[float, float], many: tuple[float, float], photos: int) -> tuple[float, ...]:
    return tuple((b - a) / photos for a, b in zip(few, many, strict=True))


def throughput(home: Path, count: int, iopaint: str | None) -> None:
    print(f"{'':<28}{'CPU s a photo':>15}{'wall s a photo':>16}   start, CPU s")
    for suffix in (".jpg", ".png"):
        sets = {n: home / f"{suffix[1:]}{n}" for n in (count // 10, count)}
        for number, folder in sets.items():
            make(folder, number, suffix)
        commands = {f"batch, {suffix[1:]}": lambda s, o: ours(s, o)}
        commands[f"batch, {suffix[1:]}, no masks"] = lambda s, o: ours(s, o, "--no-masks")
        if iopaint:
            commands[f"iopaint, {suffix[1:]}"] = lambda s, o: rival(iopaint, s, o)
        for name, command in commands.items():
            costs = [cost(command(s, home / f"out-{name}-{n}")) for n, s in sets.items()]
            cpu, wall = marginal(*costs, count - count // 10)
            first = costs[0][0] - cpu * (count // 10)
            print(f"{name:<28}{cpu:>15.3f}{wall:>16.3f}   {first:.1f}")


def tiny(folder: Path, count: int) -> None:
    y, x = np.mgrid[:64, :64]
    for number in range(count):
        pixels = np.stack([x + 90, y + 90, x + y + number % 60], axis=2).astype(np.uint8)
        pixels[20:30, 20:30] = (220, 30, 30)
        path = folder / f"{number // 1000:03d}/{number:06d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path, compress_level=1)


def memory(home: Path, large: int) -> None:
    """Peaks of resident memory, looked at while the run goes on."""
    for count in (1000, large):
        source = home / f"tiny{count}"
        tiny(source, count)
        words = [source, home / f"tiny-out{count}", "--color", "#dc1e1e", "--inpainter", "telea"]
        command = [sys.executable, "-m", "segment2inpaint", "batch", *map(str, words)]
        start = time.perf_counter()
        process = subprocess.Popen(
            [*command, "--no-verify", "--tolerance", "30", "--workers", "2"],
            stderr=subprocess.DEVNULL,
        )
        parent = worker = 0.0
        while process.poll() is None:
            parent = max(parent, resident(process.pid))
            worker = max([worker, *(resident(pid) for pid in children(process.pid))])
            time.sleep(0.1)
        wall = time.perf_counter() - start
        print(
            f"{count:>7} photos of 64x64: parent {parent:.0f} MB, worker {worker:.0f} MB, "
            f"{1000 * wall / count:.1f} ms a photo (wall)"
        )


def resident(pid: int) -> float:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0.0
    return pages * os.sysconf("SC_PAGESIZE") / 1e6


def children(parent: int) -> list[int]:
    try:
        names = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    except OSError:
        return []
    return [int(name) for name in names]


def ray(home: Path) -> None:
    """Wall seconds of the same run, here and on a Ray of this machine."""
    times = {}
    for count in FEW, MANY:
        tiny(home / f"ray{count}", count)
        words = ["--color", "#dc1e1e", "--inpainter", "telea", "--no-verify", "--workers", "2"]
        for engine in ("local", "ray"):
            out = home / f"ray-{engine}-{count}"
            command = [sys.executable, "-m", "segment2inpaint", "batch", home / f"ray{count}", out]
            times[engine, count] = cost([*map(str, command), *words, "--engine", engine])[1]
    a, b = (times[engine, FEW] for engine in ("local", "ray"))
    c, d = (times[engine, MANY] for engine in ("local", "ray"))
    print(f"{FEW} photos: {a:.1f} s here, {b:.1f} s by Ray: {b - a:.1f} s to start")
    here, there = (1000 * spent / (MANY - FEW) for spent in (c - a, d - b))
    print(f"each further one: {here:.1f} ms here, {there:.1f} ms by Ray")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--photos", type=int, default=200)
    parser.add_argument("--large", type=int, default=20_000)
    parser.add_argument("--only", choices=["throughput", "memory", "ray"], default="")
    parser.add_argument("--iopaint", metavar="PYTHON", help="of an environment that has IOPaint")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if given.only in ("", "throughput"):
            throughput(Path(folder), given.photos, given.iopaint)
        if given.only in ("", "memory"):
            memory(Path(folder), given.large)
        if given.only in ("", "ray"):
            ray(Path(folder))


if __name__ == "__main__":
    main()
