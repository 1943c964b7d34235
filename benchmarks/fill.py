"""Compare the fills that need no weights: quality, time and memory, in one table and one sheet.

``python benchmarks/fill.py [--sets removal_photos,...] [--methods exemplar,...] [--out DIR]
[--contrib PYTHON] [--part even|odd|all]``

Photos with truth come from the folder in the environment variable S2I_EVAL (sets
removal_photos, removal_static, lama_reference: there LaMa's published result is the reference)
and from samples/. OpenCV's SHIFTMAP and FSR need the contrib build: give a Python that has it
with ``--contrib``, else their rows are left out. Each method runs in a process of its own.
Written to DIR: table.md, sheet_*.png, area_hole.png and area_photo.png.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from fill_measures import MEASURES, Bits, Image
from fill_methods import CONTRIB, METHODS
from fill_pictures import plot, sheets

from segment2inpaint import window
from segment2inpaint.inpaint.exemplar.inpainter import ExemplarInpainter
from segment2inpaint.types import bounding_box

SETS = ("removal_photos", "removal_static", "lama_reference", "samples")
SAMPLES = Path(__file__).parent.parent / "samples"
GROWN = 7  # px by which masks without a dilated one are grown
HOLES = (40, 80, 160, 320, 640)  # px, sides for the plot of time against hole area
PHOTOS = (512, 1024, 2048, 4096)  # px, sides for the plot of time against photo area


@dataclass(frozen=True, eq=False)
class Item:
    """A crop as the pipeline cuts it, with its truth."""

    name: str
    group: str
    image: Image
    bits: Bits
    truth: Image


def read(path: Path) -> Any:
    return cv2.imread(str(path))[..., ::-1].copy()


def mask(path: Path, grown: int = 0) -> Bits:
    bits = (cv2.imread(str(path), 0) > 127).astype(np.uint8)
    disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * grown + 1, 2 * grown + 1))
    return np.asarray(cv2.dilate(bits, disk) > 0)


def cut(name: str, group: str, image: Image, bits: Bits, truth: Image) -> Item:
    box = window.plan([bounding_box(bits)], bits.shape, ExemplarInpainter.input_spec)[0].box
    return Item(name, group, *(a[box.slices].copy() for a in (image, bits, truth)))


def items(sets: list[str], part: str) -> Iterator[Item]:
    """Every photo of the sets, or every second one of each: ``even`` or ``odd``."""
    step = {"all": slice(None), "even": slice(0, None, 2), "odd": slice(1, None, 2)}[part]
    for group in sets:
        yield from (
            [sample(p) for p in places(group)[step]]
            if group == "samples"
            else [scene(p) for p in places(group)[step]]
        )


def places(group: str) -> list[Path]:
    if group == "samples":
        return sorted(SAMPLES.glob("*_clean.jpg"))
    folder = os.environ.get("S2I_EVAL")
    if not folder:
        print(f"{group}: left out, S2I_EVAL names no folder")
        return []
    return sorted(p for p in (Path(folder) / group).iterdir() if p.is_dir())


def sample(clean: Path) -> Item:
    name = clean.name.removesuffix("_clean.jpg")
    ends = ("_mask.png", "_effect.png")
    found = [SAMPLES / (name + end) for end in ends if (SAMPLES / (name + end)).exists()]
    bits = np.logical_or.reduce([mask(p, GROWN) for p in found])
    return cut(name, "samples", read(SAMPLES / f"{name}.jpg"), bits, read(clean))


def scene(folder: Path) -> Item:
    image = read(next(folder.glob("image.*")))
    group = folder.parent.name
    if (folder / "clean.jpg").exists():
        bits, truth = mask(folder / "mask_dilated.png"), read(folder / "clean.jpg")
    else:
        bits, truth = mask(folder / "mask.png", GROWN), read(folder / "lama.png")
    if truth.shape != image.shape:
        truth = cv2.resize(truth, image.shape[1::-1], interpolation=cv2.INTER_AREA)
    return cut(folder.name, group, image, bits, truth)


def run(method: str, folder: Path, contrib: str | None) -> dict[str, dict[str, Any]]:
    """Fill every job in the folder; the figures of each by its name."""
    python = contrib if method in CONTRIB and contrib else sys.executable
    program = Path(__file__).parent / "fill_methods.py"
    env = os.environ | {"OMP_NUM_THREADS": "2"}
    command = [python, str(program), method, str(folder)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=env)
    return {row["item"]: row for row in map(json.loads, done.stdout.splitlines())}


def save(items: list[Item], folder: Path) -> None:
    for number, item in enumerate(items):
        np.savez(folder / f"{number:03d}.npz", image=item.image, bits=item.bits)


def compare(found: list[Item], methods: list[str], contrib: str | None, out: Path) -> str:
    """Run all methods on all items, draw the sheets, and return the table."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        save(found, folder)
        rows, made = [], {}
        for method in methods:
            figures = run(method, folder, contrib)
            pictures = [read(folder / method / f"{n:03d}.png") for n in range(len(found))]
            made[method] = pictures
            for n, (item, picture) in enumerate(zip(found, pictures, strict=True)):
                scores = {k: f(picture, item.truth, item.bits) for k, f in MEASURES.items()}
                rows.append({"method": method, "set": item.group} | figures[f"{n:03d}"] | scores)
    sheets(found, made, out)
    return table(rows, methods, sorted({item.group for item in found}))


def table(rows: list[dict[str, Any]], methods: list[str], groups: list[str]) -> str:
    """Markdown: the means over each set, and over all photos."""
    lines = [
        "| set | method | PSNR dB | SSIM | texture | seam | CPU s in all | wall s | peak MB |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for group in [*groups, "all"]:
        for method in methods:
            own = [r for r in rows if r["method"] == method and group in (r["set"], "all")]
            mean = {k: float(np.mean([r[k] for r in own])) for k in MEASURES}
            cpu, wall = (sum(r[k] for r in own) for k in ("cpu", "wall"))
            peak = max(r["memory"] for r in own) / 1e6
            lines.append(
                f"| {group} ({len(own)}) | {method} | {mean['psnr']:.2f} | {mean['ssim']:.4f} "
                f"| {mean['texture']:.3f} | {mean['seam']:.3f} | {cpu:.1f} | {wall:.1f} "
                f"| {peak:.0f} |"
            )
    return "\n".join(lines)


def drawn(side: int) -> Image:
    """A made photo of soft blobs and grain."""
    random = np.random.default_rng(0)
    coarse = random.normal(128, 40, (side // 16 + 1, side // 16 + 1, 3)).astype(np.float32)
    soft = cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)
    return np.clip(soft + random.normal(0, 6, (side, side, 1)), 0, 255).astype(np.uint8)


def square(photo: int, hole: int) -> Item:
    image, bits = drawn(photo), np.zeros((photo, photo), bool)
    low = (photo - hole) // 2
    bits[low : low + hole, low : low + hole] = True
    return cut(f"{photo}/{hole}", "made", image, bits, image)


def timed(found: list[Item], methods: list[str]) -> dict[str, list[float]]:
    """CPU seconds of each method for each item."""
    with tempfile.TemporaryDirectory() as name:
        save(found, Path(name))
        got = {method: run(method, Path(name), None) for method in methods}
    return {m: [rows[f"{n:03d}"]["cpu"] for n in range(len(found))] for m, rows in got.items()}


def promised() -> str:
    """One line on the promised case: 20,000 px in a 512 x 512 crop, beside OpenCV."""
    item = Item("512", "made", *(getattr(square(512, 141), k) for k in ("image", "bits", "truth")))
    with tempfile.TemporaryDirectory() as name:
        save([item], Path(name))
        ours, theirs = (run(m, Path(name), None)["000"] for m in ("exemplar", "telea"))
    ratio = ours["wall"] / max(theirs["wall"], 1e-6)
    return (
        f"{item.bits.sum()} px in {item.bits.shape}: exemplar {ours['wall']:.2f} s wall, "
        f"{ours['cpu']:.2f} s CPU; cv2.inpaint {theirs['wall']:.3f} s wall; ratio {ratio:.0f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--out", type=Path, default=Path("out/fill"))
    parser.add_argument("--contrib", help="a Python with opencv-contrib-python")
    parser.add_argument("--part", choices=("all", "even", "odd"), default="all")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    methods = options.methods.split(",")
    if not options.contrib:
        print(f"left out for want of --contrib PYTHON: {', '.join(CONTRIB)}")
        methods = [m for m in methods if m not in CONTRIB]
    found = list(items(options.sets.split(","), options.part))
    text = compare(found, methods, options.contrib, options.out) + "\n\n" + promised() + "\n"
    (options.out / "table.md").write_text(text, encoding="utf-8")
    print(text)
    both = ["exemplar", "telea"]
    holes = timed([square(3 * s, s) for s in HOLES], both)
    plot("CPU s against hole px", [s * s for s in HOLES], holes, options.out / "area_hole.png")
    photos = timed([square(s, 100) for s in PHOTOS], both)
    plot("CPU s against photo px", [s * s for s in PHOTOS], photos, options.out / "area_photo.png")


if __name__ == "__main__":
    main()
