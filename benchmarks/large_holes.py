"""Compare fills of holes of 0.02, 0.3 and 1.4 megapixels: quality, CPU time and memory.

    python benchmarks/large_holes.py [--sizes 0.02,0.3,1.4] [--photos 4] [--part even|odd|all]
        [--methods exemplar,telea] [--checkout DIR] [--pypatchmatch PYTHON] [--out DIR]

The photos with truth that ``fill.py`` uses, those with the largest holes first, are scaled until
the hole has the area in megapixels; enlarged ones get grain, so that they are not smooth.
``--checkout`` names another checkout of this project, whose ``exemplar`` is measured as well,
``--pypatchmatch`` a Python that has the package pypatchmatch. Both run in the same run as ours,
each method in a process of its own with one thread. DIR gets table.md and crops_*.png: the middle
of each hole at its full size.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from fill import SETS, Item, load_items, read_picture, run_method, save_jobs
from fill_measures import MEASURES, Image

GRAIN = 4.0  # grey levels, standard deviation of the grain of enlarged photos
CROP_SIDE = 300  # px, of the middle of a hole on a sheet


def scale_item(item: Item, megapixels: float) -> Item:
    """Return the item with a hole of about this area."""
    factor = float((megapixels * 1e6 / np.count_nonzero(item.mask)) ** 0.5)
    height, width = item.mask.shape
    size = round(width * factor), round(height * factor)
    noise = np.random.default_rng(0).normal(0, GRAIN, (size[1], size[0], 1))
    mask = cv2.resize(item.mask.astype(np.float32), size, interpolation=cv2.INTER_LINEAR)

    def scale(image: Image) -> Image:
        if factor <= 1:
            return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
        pixels = cv2.resize(image, size, interpolation=cv2.INTER_LANCZOS4) + noise
        return np.asarray(np.clip(np.rint(pixels), 0, 255), np.uint8)

    return replace(
        item,
        group=f"{megapixels:g}",
        image=scale(item.image),
        truth=scale(item.truth),
        mask=np.asarray(mask >= 0.5),
    )


def compare(items: list[Item], runs: dict[str, dict[str, Any]], out: Path) -> list[dict[str, Any]]:
    """Fill all items by each run, write the sheet, and return the figures of each fill."""
    rows = []
    crops = [[crop_middle(item, item.truth)] for item in items]
    for name, options in runs.items():
        with tempfile.TemporaryDirectory() as directory:
            folder = Path(directory)
            save_jobs(items, folder)
            figures = run_method(folder=folder, threads=1, **options)
            for index, item in enumerate(items):
                filled = read_picture(folder / options["method"] / f"{index:03d}.png")
                scores = {k: f(filled, item.truth, item.mask) for k, f in MEASURES.items()}
                rows.append({"run": name, "size": item.group} | figures[f"{index:03d}"] | scores)
                crops[index].append(crop_middle(item, filled))
    sheet = np.vstack([np.hstack(row) for row in crops])
    cv2.imwrite(str(out / f"crops_{items[0].group}.png"), sheet[..., ::-1])
    return rows


def crop_middle(item: Item, image: Image) -> Image:
    """Return the square around the deepest pixel of the hole, padded to CROP_SIDE."""
    depth = np.asarray(cv2.distanceTransform(item.mask.astype(np.uint8), cv2.DIST_L2, 3))
    y, x = np.unravel_index(int(depth.argmax()), depth.shape)
    half = CROP_SIDE // 2
    padded = np.pad(image, ((half, half), (half, half), (0, 0)))
    return np.asarray(padded[y : y + CROP_SIDE, x : x + CROP_SIDE], np.uint8)


def table(rows: list[dict[str, Any]], runs: list[str], sizes: list[str]) -> str:
    """Return a Markdown table of the means over the photos; the memory is the highest."""
    lines = [
        "| hole Mpx | fill | PSNR dB | SSIM | texture | seam | CPU s | peak MB |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for size in sizes:
        for run in runs:
            selected = [r for r in rows if r["run"] == run and r["size"] == size]
            mean = {k: float(np.mean([r[k] for r in selected])) for k in (*MEASURES, "cpu")}
            peak = max(r["memory"] for r in selected) / 1e6
            lines.append(
                f"| {size} | {run} | {mean['psnr']:.2f} | {mean['ssim']:.3f} "
                f"| {mean['texture']:.2f} | {mean['seam']:.2f} | {mean['cpu']:.2f} | {peak:.0f} |"
            )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sizes", default="0.02,0.3,1.4", help="megapixels of the holes")
    parser.add_argument("--photos", type=int, default=4)
    parser.add_argument("--part", choices=("all", "even", "odd"), default="odd")
    parser.add_argument("--methods", default="exemplar,telea")
    parser.add_argument("--checkout", type=Path, help="another checkout of this project")
    parser.add_argument("--pypatchmatch", help="Python with pypatchmatch")
    parser.add_argument("--out", type=Path, default=Path("out/large_holes"))
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    runs: dict[str, dict[str, Any]] = {m: {"method": m} for m in args.methods.split(",")}
    if args.checkout:
        path = {"PYTHONPATH": os.fspath(args.checkout.resolve())}
        runs["exemplar of the checkout"] = {"method": "exemplar", "env": path}
    if args.pypatchmatch:
        runs["pypatchmatch"] = {"method": "pypatchmatch", "python": args.pypatchmatch}
    photos = sorted(load_items(list(SETS), args.part), key=lambda i: -np.count_nonzero(i.mask))
    rows: list[dict[str, Any]] = []
    for size in map(float, args.sizes.split(",")):
        items = [scale_item(photo, size) for photo in photos[: args.photos]]
        rows += compare(items, runs, args.out)
    report = table(rows, list(runs), [f"{float(s):g}" for s in args.sizes.split(",")])
    (args.out / "table.md").write_text(report + "\n", encoding="utf-8")
    print(report)


if __name__ == "__main__":
    main()
