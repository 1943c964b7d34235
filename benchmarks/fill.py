"""Compare the fills that need no download: quality, time and memory, in a table and sheets.

    python benchmarks/fill.py [--sets removal_photos,...] [--methods exemplar,...] [--out DIR]
        [--contrib PYTHON] [--pypatchmatch PYTHON] [--part even|odd|all]

Photos with truth come from the folder in the environment variable S2I_EVAL (the sets
removal_photos, removal_static and lama_reference; in the last, LaMa's published result is the
truth) and from samples/. OpenCV's SHIFTMAP and FSR need the contrib build: ``--contrib`` names a
Python that has it; without it they are left out. ``--pypatchmatch`` names a Python with the package
pypatchmatch, which is added to the methods. Each method runs in a process of its own. DIR
gets table.md, sheet_*.png, area_hole.png and area_photo.png.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from fill_measures import MEASURES, BinaryMask, Image
from fill_methods import CONTRIB, METHODS
from fill_pictures import write_plot, write_sheets

from segment2inpaint import window
from segment2inpaint.inpaint.exemplar.inpainter import ExemplarInpainter
from segment2inpaint.types import bounding_box

SETS = ("removal_photos", "removal_static", "lama_reference", "samples")
SAMPLES_FOLDER = Path(__file__).parent.parent / "samples"
DILATION = 7  # px, of masks that have no dilated version
HOLE_SIDES = (40, 80, 160, 320, 640)  # px, for the plot of time against hole area
PHOTO_SIDES = (512, 1024, 2048, 4096)  # px, for the plot of time against photo area


@dataclass(frozen=True, eq=False)
class Item:
    """A crop as the pipeline cuts it, and the truth."""

    name: str
    group: str
    image: Image
    mask: BinaryMask
    truth: Image


def read_file(path: Path, flags: int = cv2.IMREAD_COLOR) -> Image:
    pixels = cv2.imread(str(path), flags)
    if pixels is None:
        raise SystemExit(f"{path}: not a readable picture")
    return np.asarray(pixels, np.uint8)


def read_picture(path: Path) -> Image:
    return read_file(path)[..., ::-1].copy()


def read_mask(path: Path, dilation: int = 0) -> BinaryMask:
    mask = (read_file(path, cv2.IMREAD_GRAYSCALE) > 127).astype(np.uint8)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * dilation + 1, 2 * dilation + 1))
    return np.asarray(cv2.dilate(mask, disc) > 0)


def crop_item(name: str, group: str, image: Image, mask: BinaryMask, truth: Image) -> Item:
    box = window.plan([bounding_box(mask)], mask.shape, ExemplarInpainter.input_spec)[0].box
    window_ = box.slices
    return Item(name, group, image[window_].copy(), mask[window_].copy(), truth[window_].copy())


def load_items(sets: list[str], part: str) -> Iterator[Item]:
    """Yield the photos of the sets, all or those with even or odd index."""
    step = {"all": slice(None), "even": slice(0, None, 2), "odd": slice(1, None, 2)}[part]
    for group in sets:
        yield from (
            [load_sample(p) for p in list_items(group)[step]]
            if group == "samples"
            else [load_scene(p) for p in list_items(group)[step]]
        )


def list_items(group: str) -> list[Path]:
    if group == "samples":
        return sorted(SAMPLES_FOLDER.glob("*_clean.jpg"))
    folder = os.environ.get("S2I_EVAL")
    if not folder:
        print(f"{group}: left out, S2I_EVAL names no folder")
        return []
    return sorted(p for p in (Path(folder) / group).iterdir() if p.is_dir())


def load_sample(clean: Path) -> Item:
    name = clean.name.removesuffix("_clean.jpg")
    suffixes = ("_mask.png", "_effect.png")
    paths = [
        SAMPLES_FOLDER / (name + suffix)
        for suffix in suffixes
        if (SAMPLES_FOLDER / (name + suffix)).exists()
    ]
    mask = np.logical_or.reduce([read_mask(p, DILATION) for p in paths])
    return crop_item(
        name, "samples", read_picture(SAMPLES_FOLDER / f"{name}.jpg"), mask, read_picture(clean)
    )


def load_scene(folder: Path) -> Item:
    image = read_picture(next(folder.glob("image.*")))
    group = folder.parent.name
    if (folder / "clean.jpg").exists():
        mask, truth = read_mask(folder / "mask_dilated.png"), read_picture(folder / "clean.jpg")
    else:
        mask, truth = read_mask(folder / "mask.png", DILATION), read_picture(folder / "lama.png")
    if truth.shape != image.shape:
        resized = cv2.resize(truth, image.shape[1::-1], interpolation=cv2.INTER_AREA)
        truth = np.asarray(resized, np.uint8)
    return crop_item(folder.name, group, image, mask, truth)


def run_method(
    method: str,
    folder: Path,
    python: str = sys.executable,
    env: dict[str, str] | None = None,
    threads: int = 2,
) -> dict[str, dict[str, Any]]:
    """Fill every job in the folder; return the figures of each by its name."""
    program = Path(__file__).parent / "fill_methods.py"
    command = [python, str(program), method, str(folder), str(threads)]
    process = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env=os.environ | {"OMP_NUM_THREADS": str(threads)} | (env or {}),
    )
    return {row["item"]: row for row in map(json.loads, process.stdout.splitlines())}


def save_jobs(items: list[Item], folder: Path) -> None:
    for number, item in enumerate(items):
        np.savez(folder / f"{number:03d}.npz", image=item.image, mask=item.mask)


def compare(items: list[Item], methods: list[str], pythons: dict[str, str], out: Path) -> str:
    """Run all methods on all items, draw the sheets, and return the table."""
    with tempfile.TemporaryDirectory() as directory:
        folder = Path(directory)
        save_jobs(items, folder)
        rows, fills = [], {}
        for method in methods:
            figures = run_method(method, folder, pythons.get(method, sys.executable))
            pictures = [
                read_picture(folder / method / f"{index:03d}.png") for index in range(len(items))
            ]
            fills[method] = pictures
            for index, (item, picture) in enumerate(zip(items, pictures, strict=True)):
                scores = {k: f(picture, item.truth, item.mask) for k, f in MEASURES.items()}
                rows.append(
                    {"method": method, "set": item.group} | figures[f"{index:03d}"] | scores
                )
    write_sheets(items, fills, out)
    return table(rows, methods, sorted({item.group for item in items}))


def table(rows: list[dict[str, Any]], methods: list[str], groups: list[str]) -> str:
    """Return a Markdown table of the means over each set and over all photos."""
    lines = [
        "| set | method | PSNR dB | SSIM | texture | seam | CPU s in all | wall s | peak MB |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for group in [*groups, "all"]:
        for method in methods:
            selected = [r for r in rows if r["method"] == method and group in (r["set"], "all")]
            mean = {k: float(np.mean([r[k] for r in selected])) for k in MEASURES}
            cpu, wall = (sum(r[k] for r in selected) for k in ("cpu", "wall"))
            peak = max(r["memory"] for r in selected) / 1e6
            lines.append(
                f"| {group} ({len(selected)}) | {method} | {mean['psnr']:.2f} | {mean['ssim']:.4f} "
                f"| {mean['texture']:.3f} | {mean['seam']:.3f} | {cpu:.1f} | {wall:.1f} "
                f"| {peak:.0f} |"
            )
    return "\n".join(lines)


def synthetic_photo(side: int) -> Image:
    """Return a photo of soft blobs and grain."""
    rng = np.random.default_rng(0)
    coarse = rng.normal(128, 40, (side // 16 + 1, side // 16 + 1, 3)).astype(np.float32)
    smooth = cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)
    grain = rng.normal(0, 6, (side, side, 1))
    return np.asarray(np.clip(smooth + grain, 0, 255), np.uint8)


def square_item(photo: int, hole: int) -> Item:
    image, mask = synthetic_photo(photo), np.zeros((photo, photo), bool)
    start = (photo - hole) // 2
    mask[start : start + hole, start : start + hole] = True
    return crop_item(f"{photo}/{hole}", "made", image, mask, image)


def measure_cpu(items: list[Item], methods: list[str]) -> dict[str, list[float]]:
    """Return the CPU seconds of each method for each item."""
    with tempfile.TemporaryDirectory() as name:
        save_jobs(items, Path(name))
        results = {method: run_method(method, Path(name)) for method in methods}
    return {
        m: [rows[f"{index:03d}"]["cpu"] for index in range(len(items))]
        for m, rows in results.items()
    }


def compare_speed() -> str:
    """Return a line that compares exemplar with OpenCV on 20,000 px in a crop of 512 x 512."""
    item = replace(square_item(512, 141), name="512")
    with tempfile.TemporaryDirectory() as name:
        save_jobs([item], Path(name))
        exemplar, telea = (run_method(m, Path(name))["000"] for m in ("exemplar", "telea"))
    ratio = exemplar["wall"] / max(telea["wall"], 1e-6)
    return (
        f"{item.mask.sum()} px in {item.mask.shape}: exemplar {exemplar['wall']:.2f} s wall, "
        f"{exemplar['cpu']:.2f} s CPU; cv2.inpaint {telea['wall']:.3f} s wall; ratio {ratio:.0f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--methods", default=",".join(m for m in METHODS if m != "pypatchmatch"))
    parser.add_argument("--out", type=Path, default=Path("out/fill"))
    parser.add_argument("--contrib", help="Python with opencv-contrib-python")
    parser.add_argument("--pypatchmatch", help="Python with pypatchmatch")
    parser.add_argument("--part", choices=("all", "even", "odd"), default="all")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    methods = args.methods.split(",")
    if not args.contrib:
        print(f"without --contrib PYTHON, these are left out: {', '.join(CONTRIB)}")
        methods = [m for m in methods if m not in CONTRIB]
    pythons = dict.fromkeys(CONTRIB, args.contrib)
    if args.pypatchmatch:
        methods.append("pypatchmatch")
        pythons["pypatchmatch"] = args.pypatchmatch
    items = list(load_items(args.sets.split(","), args.part))
    report = compare(items, methods, pythons, args.out) + "\n\n" + compare_speed() + "\n"
    (args.out / "table.md").write_text(report, encoding="utf-8")
    print(report)
    methods_ = ["exemplar", "telea"]
    holes = measure_cpu([square_item(3 * s, s) for s in HOLE_SIDES], methods_)
    write_plot(
        "CPU s against hole px", [s * s for s in HOLE_SIDES], holes, args.out / "area_hole.png"
    )
    photos = measure_cpu([square_item(s, 100) for s in PHOTO_SIDES], methods_)
    write_plot(
        "CPU s against photo px", [s * s for s in PHOTO_SIDES], photos, args.out / "area_photo.png"
    )


if __name__ == "__main__":
    main()
