"""Photos of objects with their shadows and mirror images, outlined by eye.

``outlines.json`` has the outlines, the user has the photos: NAME.jpg with a mask of its one object
in NAME.png, or with polygons in NAME.txt, as ``models.training.click.labelled_photos`` reads them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from models.training.click.labelled_photos import read_image, read_polygons
from segment2inpaint.types import BinaryMask, Image

OUTLINES_FILE = Path(__file__).parent / "outlines.json"
SUBPIXEL_BITS = 4  # of the corners that OpenCV fills

Polygon = Sequence[tuple[float, float]]  # corners (x, y) in px of the photo


@dataclass(frozen=True, eq=False)
class OutlinedObject:
    """An object and what it changes beside itself.

    ``image`` is (H, W, 3) RGB, ``mask`` and ``effect`` are (H, W) bool; ``effect`` is empty if
    nothing is to be seen. ``photo`` is the photo's name.
    """

    photo: str
    image: Image
    mask: BinaryMask
    effect: BinaryMask


def read_outlined(
    folders: Sequence[Path], outlines: Path = OUTLINES_FILE
) -> Iterator[OutlinedObject]:
    """Yield the outlined objects whose photos are below the folders. Raises ``ValueError``.

    The file lists for each photo the number of each object, and its polygons: "effect" is [] if
    nothing can be seen. Objects about which the eye was unsure are left out.
    """
    listed: Mapping[str, Mapping[str, Sequence[Polygon]]] = json.loads(outlines.read_text())
    for path in sorted(path for folder in folders for path in folder.rglob("*.jpg")):
        if path.stem in listed:
            image = read_image(path, cv2.IMREAD_COLOR_RGB)
            masks = _read_masks(path, (image.shape[0], image.shape[1]))
            for number, polygons in listed[path.stem].items():
                mask = masks[int(number)]
                effect = _fill(polygons, (image.shape[0], image.shape[1])) & ~mask
                yield OutlinedObject(path.stem, image, mask, effect)


def _read_masks(path: Path, size: tuple[int, int]) -> list[BinaryMask]:
    mask_file = path.with_suffix(".png")
    if mask_file.is_file():
        return [read_image(mask_file, cv2.IMREAD_GRAYSCALE) > 127]
    return [mask for _, mask in read_polygons(path.with_suffix(".txt"), size)]


def _fill(polygons: Sequence[Polygon], size: tuple[int, int]) -> BinaryMask:
    filled = np.zeros(size, np.uint8)
    for polygon in polygons:
        corners = np.rint(np.array(polygon) * 2**SUBPIXEL_BITS).astype(np.int32)
        cv2.fillPoly(filled, [corners], 1, shift=SUBPIXEL_BITS)
    return filled > 0
