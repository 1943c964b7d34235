"""Measure single clicks anywhere on labelled objects, with and without the object network.

The folder holds ``NAME.jpg`` beside ``NAME.png``, the mask of one object, or beside ``NAME.txt``,
polygons of YOLO segmentation. Each object gets a click in its upper, its middle and its lower
third, in pixels that lie deep in it. The shipped click network was trained on such photos, so the
figures compare the two columns only.

    python benchmarks/clicks.py FOLDER --every 6
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import click
import cv2
import numpy as np

from models.training.click.labelled_photos import read_photos
from segment2inpaint.detect.builtin.detector import BuiltinDetector
from segment2inpaint.networks.click import shipped_click_network
from segment2inpaint.networks.onnx import shipped_network
from segment2inpaint.types import BinaryMask, Image, Point, Points

PLACES = "upper", "middle", "lower"  # third of the object's height
MIN_DEPTH = 0.3  # of the depth of the deepest pixel
MIN_SHARE = 0.01  # of the photo, of an object that is clicked
CLEARLY = 0.05  # IoU


def clicks(mask: BinaryMask, random: np.random.Generator) -> Iterator[tuple[str, Point]]:
    """Yield a click in each third of an object that has deep pixels, with the third's name."""
    padded = np.pad(mask.astype(np.uint8), 1)
    depth = cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_5)[1:-1, 1:-1]
    rows = np.nonzero(mask.any(1))[0]
    edges = np.linspace(rows[0], rows[-1] + 1, len(PLACES) + 1).round().astype(int)
    for name, top, bottom in zip(PLACES, edges, edges[1:], strict=False):
        places = np.argwhere(depth[top:bottom] > MIN_DEPTH * depth.max())
        if len(places):
            y, x = places[random.integers(len(places))].tolist()
            yield name, (x, top + y)


def click_iou(detector: BuiltinDetector, image: Image, point: Point, truth: BinaryMask) -> float:
    found = detector.detect(image, [Points((point,))])
    mask = found[0].mask if found else np.zeros_like(truth)
    return float((mask & truth).sum() / (mask | truth).sum())


def measure(folder: Path, every: int) -> Iterator[tuple[str, float, float]]:
    """Yield third, IoU without the object network and IoU with it, for each click."""
    random = np.random.default_rng(0)
    for photo in islice(read_photos(folder), 0, None, every):
        alone = BuiltinDetector(shipped_click_network(), shipped_network("saliency"))
        complete = BuiltinDetector()
        for truth in (o.object for o in photo.objects if o.object.mean() > MIN_SHARE):
            for name, point in clicks(truth, random):
                pair = (click_iou(d, photo.image, point, truth) for d in (alone, complete))
                yield name, *pair


@click.command(help=__doc__)
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--every", default=1, show_default=True, help="Take one photo of so many.")
def main(folder: Path, every: int) -> None:
    results = list(measure(folder, every))
    print("| third | clicks | without objects | with objects | better | worse |")
    print("|---|---|---|---|---|---|")
    for place in (*PLACES, "all"):
        pairs = np.array([pair for name, *pair in results if place in (name, "all")])
        gain = pairs[:, 1] - pairs[:, 0]
        without, complete = pairs.mean(0)
        better, worse = (gain > CLEARLY).sum(), (gain < -CLEARLY).sum()
        print(f"| {place} | {len(pairs)} | {without:.2f} | {complete:.2f} | {better} | {worse} |")


if __name__ == "__main__":
    main()
