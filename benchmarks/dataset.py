"""Measure what datasets cost: throughput, memory, and the overhead of Ray.

    python benchmarks/dataset.py [--photos 200] [--large 20000] [--iopaint PYTHON] [--only NAME]

Throughput: `segment2inpaint batch` with `telea` and given masks, on photos of 512x512, JPEG and
PNG. The marginal cost of a photo is the difference between a run of N photos and one of N/10,
divided by the difference in photos. With --iopaint, `iopaint run --model cv2` is measured, too.
Boxes: the same with a box for each photo, which the click network finds the object in.
Memory: the peaks of the parent process and of a worker for 1,000 and for --large photos of 64x64.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

ROOT = Path(__file__).parent.parent
PHOTO_SIDE = 512  # px
SMALL_RUN, LARGE_RUN = 100, 2000  # photos, for Ray
HOLE_SIDE = 186  # px, of the masked square: 34.6k pixels

# (photos and masks, output folder) to a command line.
Command = Callable[[Path, Path], list[str]]


def sample_crop(number: int) -> NDArray[np.uint8]:
    """Return a crop of a sample, a different one for each number."""
    plates = sorted((ROOT / "samples").glob("*_clean.jpg"))
    picture = np.asarray(Image.open(plates[number % len(plates)]).convert("RGB"))
    y, x = (
        (7 * number) % (picture.shape[0] - PHOTO_SIDE),
        (13 * number) % (picture.shape[1] - PHOTO_SIDE),
    )
    return picture[y : y + PHOTO_SIDE, x : x + PHOTO_SIDE]


def write_photos(folder: Path, count: int, suffix: str) -> None:
    """Write photos, and masks of a square."""
    mask = np.zeros((PHOTO_SIDE, PHOTO_SIDE), np.uint8)
    mask[150 : 150 + HOLE_SIDE, 160 : 160 + HOLE_SIDE] = 255
    for name in ("photos", "masks"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for number in range(count):
        options: dict[str, Any] = {"quality": 90} if suffix == ".jpg" else {}
        Image.fromarray(sample_crop(number)).save(
            folder / f"photos/{number:05d}{suffix}", **options
        )
        Image.fromarray(mask).save(folder / f"masks/{number:05d}.png")


def run_cost(command: list[str]) -> tuple[float, float]:
    """Return CPU and wall seconds of a command and its children."""
    usage_before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    process = subprocess.run(command, capture_output=True, text=True)
    usage_after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{process.stderr[-2000:]}")
    cpu = (
        usage_after.ru_utime + usage_after.ru_stime - usage_before.ru_utime - usage_before.ru_stime
    )
    return cpu, time.perf_counter() - start


def batch_command(source: Path, out: Path, extra: tuple[str, ...] = ()) -> list[str]:
    arguments = [source / "photos", out, "--mask", source / "masks", "--inpainter", "telea"]
    batch = [sys.executable, "-m", "segment2inpaint", "batch", *map(str, arguments)]
    return [*batch, "--no-verify", "--workers", "2", *extra]


def iopaint_command(python: str, source: Path, out: Path) -> list[str]:
    paths = ["--image", source / "photos", "--mask", source / "masks", "--output", out]
    program = str(Path(python).with_name("iopaint"))
    return [program, "run", "--model", "cv2", "--device", "cpu", *map(str, paths)]


def marginal_cost(
    few: tuple[float, float], many: tuple[float, float], extra_photos: int
) -> tuple[float, float]:
    """Return CPU and wall seconds per additional photo."""
    return (many[0] - few[0]) / extra_photos, (many[1] - few[1]) / extra_photos


def measure_throughput(folder: Path, count: int, iopaint: str | None) -> None:
    print(f"{'':<28}{'CPU s per photo':>17}{'wall s per photo':>18}   start, CPU s")
    for suffix in (".jpg", ".png"):
        sources = {count_: folder / f"{suffix[1:]}{count_}" for count_ in (count // 10, count)}
        for count_, source in sources.items():
            write_photos(source, count_, suffix)
        name = suffix[1:]
        commands: dict[str, Command] = {
            f"batch, {name}": batch_command,
            f"batch, {name}, no masks": partial(batch_command, extra=("--no-masks",)),
        }
        if iopaint:
            commands[f"iopaint, {name}"] = partial(iopaint_command, iopaint)
        for name, command in commands.items():
            few, many = (
                run_cost(command(source, folder / f"out-{name}-{n}"))
                for n, source in sources.items()
            )
            cpu, wall = marginal_cost(few, many, count - count // 10)
            startup = few[0] - cpu * (count // 10)
            print(f"{name:<28}{cpu:>17.3f}{wall:>18.3f}   {startup:.1f}")


def measure_boxes(folder: Path, count: int) -> None:
    """Print the cost of a further photo by a box."""
    costs = []
    box = [160, 150, 160 + HOLE_SIDE, 150 + HOLE_SIDE]
    for number in (count // 10, count):
        source = folder / f"boxes{number}"
        write_photos(source, number, ".jpg")
        names = sorted(path.name for path in (source / "photos").iterdir())
        rows = [json.dumps({"photo": f"photos/{name}", "boxes": [box]}) + "\n" for name in names]
        (source / "rows.jsonl").write_text("".join(rows))
        arguments = [str(source / "rows.jsonl"), str(folder / f"out-boxes{number}")]
        options = ["--inpainter", "telea", "--no-verify", "--no-shadow", "--workers", "2"]
        command = [sys.executable, "-m", "segment2inpaint", "batch", *arguments, *options]
        costs.append(run_cost(command))
    cpu, wall = marginal_cost(costs[0], costs[1], count - count // 10)
    print(f"by boxes: {cpu:.3f} CPU s and {wall:.3f} wall s per photo")


def write_tiny_photos(folder: Path, count: int) -> None:
    y, x = np.mgrid[:64, :64]
    for number in range(count):
        pixels = np.stack([x + 90, y + 90, x + y + number % 60], axis=2).astype(np.uint8)
        pixels[20:30, 20:30] = (220, 30, 30)
        path = folder / f"{number // 1000:03d}/{number:06d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path, compress_level=1)


def measure_memory(folder: Path, large: int) -> None:
    """Print the peaks of resident memory, polled during the run."""
    for count in (1000, large):
        source = folder / f"tiny{count}"
        write_tiny_photos(source, count)
        arguments = [
            source,
            folder / f"tiny-out{count}",
            "--color",
            "#dc1e1e",
            "--inpainter",
            "telea",
        ]
        command = [sys.executable, "-m", "segment2inpaint", "batch", *map(str, arguments)]
        start = time.perf_counter()
        process = subprocess.Popen(
            [*command, "--no-verify", "--tolerance", "30", "--workers", "2"],
            stderr=subprocess.DEVNULL,
        )
        parent = worker = 0.0
        while process.poll() is None:
            parent = max(parent, resident_memory(process.pid))
            worker = max([worker, *(resident_memory(pid) for pid in child_pids(process.pid))])
            time.sleep(0.1)
        wall = time.perf_counter() - start
        print(
            f"{count:>7} photos of 64x64: parent {parent:.0f} MB, worker {worker:.0f} MB, "
            f"{1000 * wall / count:.1f} ms per photo (wall)"
        )


def resident_memory(pid: int) -> float:
    """Return the resident memory of a process in MB, 0 if it has ended."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0.0
    return pages * os.sysconf("SC_PAGESIZE") / 1e6


def child_pids(parent: int) -> list[int]:
    try:
        names = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    except OSError:
        return []
    return [int(name) for name in names]


def measure_ray(folder: Path) -> None:
    """Print wall seconds of the same run, locally and on a Ray of this machine."""
    times = {}
    for count in SMALL_RUN, LARGE_RUN:
        write_tiny_photos(folder / f"ray{count}", count)
        arguments = ["--color", "#dc1e1e", "--inpainter", "telea", "--no-verify", "--workers", "2"]
        for engine in ("local", "ray"):
            out = folder / f"ray-{engine}-{count}"
            command = [
                sys.executable,
                "-m",
                "segment2inpaint",
                "batch",
                folder / f"ray{count}",
                out,
            ]
            times[engine, count] = run_cost([*map(str, command), *arguments, "--engine", engine])[1]
    local_small, ray_small = (times[engine, SMALL_RUN] for engine in ("local", "ray"))
    local_large, ray_large = (times[engine, LARGE_RUN] for engine in ("local", "ray"))
    print(
        f"{SMALL_RUN} photos: {local_small:.1f} s locally, {ray_small:.1f} s on Ray: "
        f"{ray_small - local_small:.1f} s to start"
    )
    local, remote = (
        1000 * seconds / (LARGE_RUN - SMALL_RUN)
        for seconds in (local_large - local_small, ray_large - ray_small)
    )
    print(f"each further photo: {local:.1f} ms locally, {remote:.1f} ms on Ray")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--photos", type=int, default=200)
    parser.add_argument("--large", type=int, default=20_000)
    parser.add_argument("--only", choices=["throughput", "boxes", "memory", "ray"], default="")
    parser.add_argument("--iopaint", metavar="PYTHON", help="Python of an environment with IOPaint")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if args.only in ("", "throughput"):
            measure_throughput(Path(folder), args.photos, args.iopaint)
        if args.only in ("", "boxes"):
            measure_boxes(Path(folder), args.photos)
        if args.only in ("", "memory"):
            measure_memory(Path(folder), args.large)
        if args.only in ("", "ray"):
            measure_ray(Path(folder))


if __name__ == "__main__":
    main()
