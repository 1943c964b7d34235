"""Count what ``Find`` finds, and write contact sheets to look at.

    S2I_EVAL=FOLDER python benchmarks/find.py text        # text rendered on photos, and without it
    S2I_EVAL=FOLDER python benchmarks/find.py face --set berkeley100 --sheet faces.png

The folder has ``SET/ITEM/image.jpg``. For ``text`` a caption, a date stamp and a tilted sign are
rendered on every fourth photo of the set; a text is found if 95 % of its letters are covered.
Faces, and text that is in the photos already (``--plain``), are counted by eye on the sheet.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import click
import cv2
import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from segment2inpaint import images
from segment2inpaint.detect.find.detector import FindDetector
from segment2inpaint.errors import NothingFound
from segment2inpaint.types import BinaryMask, Detection, Find, FindKind, Image

CAPTIONS = ("Summer at the lake", "Grandma's 80th", "A WALK IN THE HILLS", "Lisbon, second day")
STAMPS = ("12 07 '98", "2004/08/21 14:32", "21.8.2004", "AUG 21 2004")
SIGNS = ("No entry", "ROAD CLOSED", "Cafe", "PRIVATE")
COVERED = 0.95  # share of the letters
TILE, COLUMNS = 480, 5  # px, and tiles in a row


class WrittenPhoto:
    """A photo on which texts are rendered; ``letters`` has a mask for each."""

    def __init__(self, image: Image) -> None:
        self.picture = Pillow.fromarray(image)
        self.letters: list[BinaryMask] = []

    def write(
        self,
        text: str,
        size: int,
        center: tuple[float, float],
        color: str,
        *,
        plate: str | None = None,
        angle: float = 0,
    ) -> None:
        """Render a text around a place given in shares of width and height, inside the photo."""
        font = ImageFont.load_default(size)
        left, top, right, bottom = (round(v) for v in font.getbbox(text))
        shape = right - left + 12, bottom - top + 12
        letters = Pillow.new("L", shape)
        ImageDraw.Draw(letters).text((6 - left, 6 - top), text, 255, font)
        stamp = Pillow.new("RGBA", shape, plate or (0, 0, 0, 0))
        stamp.paste(Pillow.new("RGBA", shape, color), mask=letters)
        letters, stamp = (
            p.rotate(angle, Pillow.Resampling.BICUBIC, expand=True) for p in (letters, stamp)
        )
        place = [
            max(0, min(round(share * side - length / 2), side - length))
            for share, side, length in zip(center, self.picture.size, stamp.size, strict=True)
        ]
        self.picture.paste(stamp, (place[0], place[1]), stamp)
        mask = Pillow.new("L", self.picture.size)
        mask.paste(letters, (place[0], place[1]))
        self.letters.append(np.asarray(mask) > 100)


def write_texts(image: Image, number: int, random: np.random.Generator) -> WrittenPhoto:
    """Return the photo with a caption, a date stamp and a tilted sign."""
    photo = WrittenPhoto(image)
    color = ("white", "#ffe650", "#141414")[number % 3]
    photo.write(CAPTIONS[number % 4], int(random.integers(16, 34)), (0.45, 0.08), color)
    photo.write(STAMPS[number % 4], int(random.integers(11, 17)), (0.8, 0.94), "#ff8c28")
    center, angle = random.uniform((0.25, 0.35), (0.75, 0.7)), float(random.uniform(-20, 20))
    size = int(random.integers(12, 26))
    photo.write(SIGNS[number % 4], size, tuple(center), "#1e1e28", plate="#ebebe1", angle=angle)
    return photo


def find(image: Image, kind: FindKind) -> list[Detection]:
    try:
        return FindDetector().detect(image, [Find(kind)])
    except NothingFound:
        return []


def tile(image: Image, detections: Sequence[Detection]) -> Image:
    """Return the photo with the outlines of what was found, in a square."""
    drawing = image.copy()
    for detection in detections:
        mask = detection.mask.astype(np.uint8)
        contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        cv2.drawContours(drawing, contours, -1, (0, 255, 0), max(1, max(mask.shape) // 300))
    scale = TILE / max(image.shape[:2])
    drawing = cv2.resize(drawing, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    square = np.full((TILE + 8, TILE + 8, 3), 255, np.uint8)
    square[: drawing.shape[0], : drawing.shape[1]] = drawing
    return square


def save_sheet(path: Path, tiles: list[Image]) -> None:
    blank = np.full_like(tiles[0], 255)
    tiles = tiles + [blank] * (-len(tiles) % COLUMNS)
    rows = [np.hstack(tiles[i : i + COLUMNS]) for i in range(0, len(tiles), COLUMNS)]
    Pillow.fromarray(np.vstack(rows)).save(path)


def count_texts(photo: WrittenPhoto, detections: Sequence[Detection]) -> tuple[int, int]:
    """Return how many texts are covered, and how many detections touch none."""
    union = np.logical_or.reduce([d.mask for d in detections] or [np.zeros((1, 1), np.bool_)])
    covered = sum(bool((union & text).sum() >= COVERED * text.sum()) for text in photo.letters)
    false = sum(not any((d.mask & text).any() for text in photo.letters) for d in detections)
    return covered, false


@click.command(help=__doc__)
@click.argument("kind", type=click.Choice(["text", "face"]))
@click.option("--set", "folder", default="berkeley100", show_default=True)
@click.option("--plain", is_flag=True, help="Do not render text.")
@click.option("--limit", default=80, show_default=True, help="Number of photos.")
@click.option("--sheet", type=click.Path(path_type=Path), default="find.png", show_default=True)
def main(kind: FindKind, folder: str, plain: bool, limit: int, sheet: Path) -> None:
    paths = sorted((Path(os.environ["S2I_EVAL"]) / folder).glob("*/image.*"))
    renders = kind == "text" and not plain
    random, tiles, covered, false, found = np.random.default_rng(5), [], 0, 0, 0
    for number, path in enumerate(paths[3::4][:20] if renders else paths[:limit]):
        image = images.read(path).image
        photo = write_texts(image, number, random) if renders else WrittenPhoto(image)
        pixels = np.array(photo.picture)
        detections = find(pixels, kind)
        counts = count_texts(photo, detections)
        covered, false, found = covered + counts[0], false + counts[1], found + len(detections)
        tiles.append(tile(pixels, detections))
    save_sheet(sheet, tiles)
    if renders:
        click.echo(f"{covered} of {3 * len(tiles)} texts covered, {false} others found")
    click.echo(f"{found} found in {len(tiles)} photos; look at {sheet}")


if __name__ == "__main__":
    main()
