"""Compare fills of holes in the backgrounds of labelled photos, where the truth is known.

The folder holds ``NAME.jpg`` beside ``NAME.png``, the mask of one object, or beside ``NAME.txt``,
polygons of YOLO segmentation. Each photo gets a hole with the outline of another photo's object,
where no labelled object is. Three errors are measured, lower is better: ``large``, the mean
difference of blurred pictures, in grey levels; ``rms``, of single pixels; ``features``, one minus
the cosine of the click encoder's features. ``time`` is the clock's, that of ``exemplar`` being 1 if
it is among the fills.

    python benchmarks/backgrounds.py FOLDER --count 160 [--fills guided,exemplar] [--sheet FILE]
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from time import perf_counter

import click
import cv2
import numpy as np

from models.training.click.labelled_photos import read_photos
from segment2inpaint import inpaint, window
from segment2inpaint.inpaint.exemplar.inpainter import ExemplarInpainter
from segment2inpaint.networks import background
from segment2inpaint.networks.click import shipped_click_network
from segment2inpaint.protocols import Crop
from segment2inpaint.types import BinaryMask, Box, Fill, FloatArray, Image, bounding_box
from segment2inpaint.verify.coherence import hole_features

ERRORS = "large", "rms", "features"
HOLE_SHARES = 0.02, 0.16  # of the photo's area
MAX_SIDE_SHARE = 0.8  # of the photo's side, of a hole's
MAX_OVERLAP = 0.01  # of the hole, with labelled objects
DILATION = 9  # px, width of the kernel that dilates holes and objects
TRIES = 40  # to find a place for a hole
BLUR_SHARE = 1 / 12  # radius of the blur, of the root of the hole's area
SHEET_SIDE = 240  # px of each picture in the sheet

Item = tuple[Image, BinaryMask]


def dilate(mask: BinaryMask) -> BinaryMask:
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (DILATION, DILATION))
    return np.asarray(cv2.dilate(mask.astype(np.uint8), kernel) > 0)


def place_hole(
    objects: BinaryMask, outlines: list[BinaryMask], random: np.random.Generator
) -> BinaryMask | None:
    """Return a hole beside the photo's objects, None if there is no room for one."""
    height, width = objects.shape
    for _ in range(TRIES):
        outline = outlines[random.integers(len(outlines))]
        share = np.exp(random.uniform(*np.log(HOLE_SHARES)))
        scale = (share * objects.size / outline.sum()) ** 0.5
        rows, columns = (max(1, round(scale * side)) for side in outline.shape)
        if rows > MAX_SIDE_SHARE * height or columns > MAX_SIDE_SHARE * width:
            continue
        top, left = random.integers(height - rows + 1), random.integers(width - columns + 1)
        hole = np.zeros_like(objects)
        scaled = cv2.resize(outline.astype(np.uint8), (columns, rows)) > 0
        hole[top : top + rows, left : left + columns] = scaled
        hole = dilate(hole)
        if (hole & objects).sum() < MAX_OVERLAP * hole.sum():
            return hole
    return None


def load_items(folder: Path, count: int) -> Iterator[Item]:
    """Yield crops as the pipeline cuts them, each with its hole."""
    random = np.random.default_rng(0)
    photos = list(read_photos(folder))
    random.shuffle(photos)  # type: ignore[arg-type]
    masks = [photo.objects[0].object for photo in photos if photo.objects]
    outlines = [mask[bounding_box(mask).slices] for mask in masks if mask.any()]
    for photo in photos:
        everything = np.logical_or.reduce([o.object for o in photo.objects])
        hole = place_hole(dilate(everything), outlines, random)
        if hole is not None:
            spec = ExemplarInpainter.input_spec
            box = window.plan([bounding_box(hole)], hole.shape, spec)[0].box
            yield photo.image[box.slices].copy(), hole[box.slices].copy()
            count -= 1
        if count == 0:
            return


def blurred(image: Image, hole: BinaryMask) -> FloatArray:
    """Return the picture's pixels in the hole, each the mean of those near it in the hole."""
    side = 2 * max(1, round(BLUR_SHARE * hole.sum() ** 0.5)) + 1
    inside = hole.astype(np.float32)
    total = cv2.blur(image * inside[..., None], (side, side))
    weight = cv2.blur(inside, (side, side))[..., None]
    return np.asarray((total / np.maximum(weight, 1e-6))[hole])


def errors(filled: Image, truth: Image, hole: BinaryMask) -> tuple[float, float, float]:
    large = np.abs(blurred(filled, hole) - blurred(truth, hole)).mean()
    difference = filled[hole].astype(np.float32) - truth[hole]
    whole, network = Box(0, 0, hole.shape[1], hole.shape[0]), shipped_click_network()
    found, true = (hole_features(image, hole, whole, network) for image in (filled, truth))
    cosine = (found.values * true.values).sum(-1)[true.hole].mean()
    return float(large), float(np.sqrt((difference**2).mean())), 1 - float(cosine)


def sheet_row(pictures: list[Image]) -> Image:
    return np.hstack([cv2.resize(picture, (SHEET_SIDE, SHEET_SIDE)) for picture in pictures])


@click.command(help=__doc__)
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--count", default=160, show_default=True, help="Number of holes.")
@click.option("--fills", default="guided,migan,exemplar,telea", show_default=True)
@click.option("--sheet", type=click.Path(dir_okay=False), help="Picture of the first 24 holes.")
def main(folder: Path, count: int, fills: str, sheet: str | None) -> None:
    fillers = {name: inpaint.load(name) for name in fills.split(",")}
    measured: dict[str, list[tuple[float, ...]]] = {name: [] for name in fillers}
    rows = []
    for filler in fillers.values():  # compiles and loads
        filler.inpaint([Crop(np.zeros((64, 64, 3), np.uint8), np.eye(64, dtype=bool))], Fill())
    for number, (image, hole) in enumerate(load_items(folder, count)):
        pictures = [np.where(hole[..., None], np.uint8(127), image)]
        for name, filler in fillers.items():
            background.forget_pictures()  # each fill pays for its own
            start = perf_counter()
            pictures += filler.inpaint([Crop(image, hole)], Fill())
            seconds = perf_counter() - start
            measured[name].append((*errors(pictures[-1], image, hole), seconds))
        if sheet and number < 24:
            rows.append(sheet_row([*pictures, image]))
    if sheet:
        cv2.imwrite(sheet, np.vstack(rows)[..., ::-1])
    print(f"{len(next(iter(measured.values())))} holes")
    print(f"| | {' | '.join(ERRORS)} | time |\n|---|---|---|---|---|")
    means = {name: np.mean(figures, axis=0) for name, figures in measured.items()}
    unit = means["exemplar"][-1] if "exemplar" in means else 1.0
    for name, (large, rms, features, seconds) in means.items():
        print(f"| `{name}` | {large:.1f} | {rms:.1f} | {features:.3f} | {seconds / unit:.1f} |")


if __name__ == "__main__":
    main()
