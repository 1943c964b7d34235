"""Compare what `batch --dry-run --estimate` says with how long the run takes.

    S2I_EVAL=FOLDER python benchmarks/estimate.py [--only masks|boxes|clicks] [--photos 60]

Three sets: small photos of one size with given masks (`telea`, not verified; three times as many
photos); photos of 0.2 to 12 megapixels by boxes (`exemplar`, not verified); photos by a click
with everything on, so that some are retried. Wall seconds, so the machine should do nothing else.
"""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path
from subprocess import run

import click
import numpy as np
from dataset import write_photos
from PIL import Image

SETS = "berkeley100", "davis16_val", "coco_mval_b"
MEGAPIXELS = 0.2, 12.0  # of the photos by boxes
FORECAST = re.compile(r"^estimate with .*?: ([\d.]+) (s|min|h)\b", re.MULTILINE)
UNITS = {"s": 1.0, "min": 60.0, "h": 3600.0}

Arguments = list[str]


def items(root: Path, count: int) -> Iterator[tuple[Image.Image, dict[str, list[int]]]]:
    """Yield photos with the click and the box in their ``meta.json``, in turn from each set."""
    folders = [sorted(path.parent for path in (root / name).glob("*/mask.png")) for name in SETS]
    chosen = (folder for group in zip(*map(cycle, folders), strict=True) for folder in group)
    for folder in islice(chosen, count):
        meta = json.loads((folder / "meta.json").read_text())
        yield Image.open(next(folder.glob("image.*"))).convert("RGB"), meta


def write_table(folder: Path, rows: list[dict[str, object]]) -> str:
    table = folder / "rows.jsonl"
    table.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(table)


def masks_run(folder: Path, root: Path, count: int) -> Arguments:
    write_photos(folder, 3 * count, ".jpg")
    paths = [str(folder / "photos"), "--mask", str(folder / "masks")]
    return [*paths, "--inpainter", "telea", "--no-verify"]


def boxes_run(folder: Path, root: Path, count: int) -> Arguments:
    low, high = np.log(MEGAPIXELS)
    megapixels = np.exp(np.random.default_rng(0).uniform(low, high, count))
    rows: list[dict[str, object]] = []
    for number, (photo, meta) in enumerate(items(root, count)):
        scale = float(np.sqrt(megapixels[number] * 1e6 / (photo.width * photo.height)))
        size = round(photo.width * scale), round(photo.height * scale)
        photo.resize(size).save(folder / f"{number:03d}.jpg", quality=90)
        limits = (*size, *size)
        box = [
            min(int(v * scale), limit) for v, limit in zip(meta["box_xyxy"], limits, strict=True)
        ]
        rows.append({"photo": f"{number:03d}.jpg", "boxes": [box]})
    return [write_table(folder, rows), "--inpainter", "exemplar", "--no-verify", "--no-shadow"]


def clicks_run(folder: Path, root: Path, count: int) -> Arguments:
    rows: list[dict[str, object]] = []
    for number, (photo, meta) in enumerate(items(root, count)):
        photo.save(folder / f"{number:03d}.jpg", quality=90)
        rows.append({"photo": f"{number:03d}.jpg", "points": [meta["click_xy"]]})
    return [write_table(folder, rows)]


RUNS = {"masks": masks_run, "boxes": boxes_run, "clicks": clicks_run}


def run_batch(arguments: Arguments, out: Path, *options: str) -> tuple[str, float]:
    """Return what a run with two workers prints, and its wall seconds."""
    source, *rest = arguments
    command = [sys.executable, "-m", "segment2inpaint", "batch", source, str(out), *rest]
    start = time.perf_counter()
    done = run([*command, "--workers", "2", *options], capture_output=True, text=True)
    if done.returncode not in (0, 3):
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    return done.stdout, time.perf_counter() - start


def measure(name: str, root: Path, count: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "in")
        source.mkdir()
        arguments = RUNS[name](source, root, count)
        printed, trial = run_batch(arguments, Path(folder, "out"), "--dry-run", "--estimate")
        forecast = FORECAST.search(printed)
        if not forecast:
            raise SystemExit(f"no estimate in:\n{printed[-2000:]}")
        estimate = float(forecast[1]) * UNITS[forecast[2]]
        _, true = run_batch(arguments, Path(folder, "out"))
    print(printed.splitlines()[-1], file=sys.stderr)
    print(f"| {name} | {estimate:.0f} | {true:.0f} | {estimate / true:.2f} | {trial:.0f} |")


@click.command(help=__doc__)
@click.option("--only", type=click.Choice(list(RUNS)))
@click.option("--photos", default=60, show_default=True)
def main(only: str | None, photos: int) -> None:
    root = os.environ.get("S2I_EVAL")
    if not root:
        raise click.UsageError("set S2I_EVAL to the folder of the photos with truth")
    print("| set | estimated s | true s | ratio | trial s |\n|---|---|---|---|---|")
    for name in [only] if only else RUNS:
        measure(name, Path(root), photos)


if __name__ == "__main__":
    main()
