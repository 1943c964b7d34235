"""Measure how CPU seconds and memory grow, and plot them.

    python benchmarks/growth.py [--only holes|photos|rows|workers] [--limit X]

holes: `remove --mask` with `exemplar` in a photo of 16 megapixels, over the megapixels of the hole.
photos: `remove --mask` with `exemplar`, hole of 0.05 megapixels, over the megapixels of the photo.
rows: `batch` of a table with one photo of 64x64 px for each row, by a colour, `telea`.
workers: `batch` of 64 photos of 512x512 px with given masks, `exemplar`.

Prints a table and, for each curve, the exponent of a power law fitted to what exceeds the cost of
the smallest run: 1 is linear. The costs are kept in `benchmarks/growth.json`, where a run
replaces the curves that it measured, and all of them are plotted in `docs/growth.png`.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import click
import numpy as np
import psutil
from dataset import write_photos, write_tiny_photos
from numpy.typing import NDArray
from PIL import Image

ROOT = Path(__file__).parent.parent
DATA, PLOT = ROOT / "benchmarks/growth.json", ROOT / "docs/growth.png"
HOLES = 0.0025, 0.01, 0.03, 0.1, 0.3, 1.0, 2.0, 4.0  # megapixels; the first is the base
PHOTOS = 0.3, 1.0, 3.0, 10.0, 30.0, 100.0  # megapixels
ROWS = 1, 10, 100, 1000, 5000, 20_000
WORKERS = 1, 2, 4
PHOTO_OF_HOLES, HOLE_OF_PHOTOS = 16.0, 0.05  # megapixels
PHOTOS_OF_WORKERS = 64
POLL_INTERVAL = 0.1  # s
UNITS = {
    "holes": "hole, megapixels", "photos": "photo, megapixels", "rows": "rows",
    "workers": "workers",
}  # fmt: skip


class Cost(NamedTuple):
    """The cost of a command: CPU and wall seconds, and the peak memory of all its processes, MB."""

    cpu: float
    wall: float
    memory: float


Curve = list[tuple[float, Cost]]


def run_cost(arguments: list[str]) -> Cost:
    """Return the cost of a command line of segment2inpaint with its worker processes."""
    start, peak = time.perf_counter(), 0.0
    process = psutil.Popen([sys.executable, "-m", "segment2inpaint", *arguments])
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            break
        peak = max(peak, _shared_memory(process))
        time.sleep(POLL_INTERVAL)
    if status:
        raise SystemExit(f"segment2inpaint {' '.join(arguments)} failed")
    wall = time.perf_counter() - start
    return Cost(usage.ru_utime + usage.ru_stime, wall, max(peak, usage.ru_maxrss / 1024))


def _shared_memory(process: psutil.Process) -> float:
    """Return the proportional set size in MB of a process and its children.

    Any of them may have ended.
    """
    total = 0
    for part in [process, *_children(process)]:
        try:
            total += part.memory_full_info().pss
        except psutil.Error:
            continue
    return total / 2**20


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return list(process.children())
    except psutil.Error:
        return []


# --- inputs -----------------------------------------------------------------------------------


def photo(megapixels: float) -> NDArray[np.uint8]:
    """Return a photo of 4 to 3 with the texture of a sample, mirrored as often as needed."""
    height = round((megapixels * 1e6 * 3 / 4) ** 0.5)
    width = round(height * 4 / 3)
    tile = np.asarray(Image.open(ROOT / "samples/cone_clean.jpg").convert("RGB"))
    tile = np.hstack([tile, tile[:, ::-1]])
    tile = np.vstack([tile, tile[::-1]])
    times = -(-height // tile.shape[0]), -(-width // tile.shape[1])
    return np.tile(tile, (*times, 1))[:height, :width]


def write_photo_and_mask(folder: Path, megapixels: float, hole: float) -> list[str]:
    """Write a photo and the mask of a disc in its middle, and return a command line for them."""
    pixels = photo(megapixels)
    height, width = pixels.shape[:2]
    y, x = np.ogrid[:height, :width]
    disc = (y - height // 2) ** 2 + (x - width // 2) ** 2 < hole * 1e6 / np.pi
    Image.fromarray(pixels).save(folder / "photo.jpg", quality=92)
    Image.fromarray(disc.astype(np.uint8) * 255).save(folder / "mask.png", compress_level=1)
    paths = [str(folder / name) for name in ("photo.jpg", "mask.png", "out.jpg")]
    return ["remove", paths[0], "--mask", paths[1], "-o", paths[2], "--inpainter", "exemplar"]


# --- curves -----------------------------------------------------------------------------------


def holes(folder: Path, limit: float) -> Iterator[tuple[float, Cost]]:
    for hole in HOLES:
        if hole <= limit:
            arguments = write_photo_and_mask(folder, PHOTO_OF_HOLES, hole)
            yield hole, run_cost([*arguments, "--no-verify", "--no-shadow"])


def photos(folder: Path, limit: float) -> Iterator[tuple[float, Cost]]:
    for megapixels in PHOTOS:
        if megapixels <= limit:
            yield megapixels, run_cost(write_photo_and_mask(folder, megapixels, HOLE_OF_PHOTOS))


def rows(folder: Path, limit: float) -> Iterator[tuple[float, Cost]]:
    counts = [count for count in ROWS if count <= limit]
    write_tiny_photos(folder / "photos", counts[-1])
    names = sorted(str(path) for path in (folder / "photos").glob("*/*.png"))
    lines = [json.dumps({"photo": name, "colors": ["#dc1e1e"]}) + "\n" for name in names]
    for count in counts:
        table = folder / f"{count}.jsonl"
        table.write_text("".join(lines[:count]))
        yield count, run_cost(_batch(table, folder / f"out{count}", 1))


def workers(folder: Path, limit: float) -> Iterator[tuple[float, Cost]]:
    write_photos(folder, PHOTOS_OF_WORKERS, ".jpg")
    for count in WORKERS:
        if count <= limit:
            masks = ["--mask", str(folder / "masks")]
            command = _batch(folder / "photos", folder / f"out{count}", count, "exemplar")
            yield count, run_cost([*command, *masks])


def _batch(source: Path, out: Path, workers: int, inpainter: str = "telea") -> list[str]:
    options = ["--inpainter", inpainter, "--no-verify", "--no-shadow", "--workers", str(workers)]
    return ["batch", str(source), str(out), *options]


CURVES: dict[str, Callable[[Path, float], Iterator[tuple[float, Cost]]]] = {
    "holes": holes, "photos": photos, "rows": rows, "workers": workers,
}  # fmt: skip


# --- the law and the plot ---------------------------------------------------------------------


def exponent(curve: Curve, name: str) -> float:
    """Return the exponent of a power law fitted to a cost above that of the smallest run."""
    (x0, base), *rest = curve
    points = [(x - x0, getattr(cost, name) - getattr(base, name)) for x, cost in rest]
    positive = np.array([point for point in points if point[1] > 0])
    if len(positive) < 2:
        return 0.0
    return float(np.polyfit(*np.log(positive).T, 1)[0])


def print_curve(name: str, curve: Curve) -> None:
    print(f"\n| {UNITS[name]} | CPU s | wall s | MB |\n|---|---|---|---|")
    for x, cost in curve:
        print(f"| {x:g} | {cost.cpu:.1f} | {cost.wall:.1f} | {cost.memory:.0f} |")
    print(f"exponents: CPU {exponent(curve, 'cpu'):.2f}, memory {exponent(curve, 'memory'):.2f}")


def plot(curves: dict[str, Curve]) -> None:
    """Plot CPU seconds and memory of all curves, with a line that is linear above the base."""
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(2, len(CURVES), figsize=(13, 5.5), layout="constrained")
    for column, name in enumerate(CURVES):
        for row, (field, unit) in enumerate((("cpu", "CPU seconds"), ("memory", "MB"))):
            _plot_curve(axes[row, column], curves.get(name, []), field)
            axes[row, column].set(xlabel=UNITS[name], ylabel=unit if column == 0 else "")
    figure.savefig(PLOT, dpi=80)


def _plot_curve(axes: Any, curve: Curve, field: str) -> None:
    if not curve:
        return
    x = np.array([place for place, _ in curve])
    y = np.array([getattr(cost, field) for _, cost in curve])
    slope = max(0.0, (y[-1] - y[0]) / max(x[-1] - x[0], 1e-9))
    dense = np.geomspace(x[0], x[-1])
    axes.loglog(dense, y[0] + slope * (dense - x[0]), color="0.7", label="linear")
    axes.loglog(x, y, "o-", label=f"exponent {exponent(curve, field):.2f}")
    axes.set_ylim(bottom=y.min() / 2, top=y.max() * 2)
    axes.grid(which="major", color="0.9")
    axes.legend(fontsize="small")


def read_curves() -> dict[str, Curve]:
    data = json.loads(DATA.read_text()) if DATA.exists() else {}
    return {name: [(x, Cost(*cost)) for x, cost in curve] for name, curve in data.items()}


@click.command(help=__doc__)
@click.option("--only", type=click.Choice(list(CURVES)), multiple=True)
@click.option("--limit", default=float("inf"), help="Largest value that is measured.")
def main(only: tuple[str, ...], limit: float) -> None:
    for name in only or CURVES:
        with tempfile.TemporaryDirectory() as folder:
            curve = list(CURVES[name](Path(folder), limit))
        print_curve(name, curve)
        DATA.write_text(json.dumps({**read_curves(), name: curve}, indent=1) + "\n")
    plot(read_curves())


if __name__ == "__main__":
    main()
