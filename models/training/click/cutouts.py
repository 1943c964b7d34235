"""Scenes with cutouts: pictures on a transparent background, composited onto scenes and photos.

Drawings (emoji, clip art) have the outlines and many colours of real animals, people, vehicles
and tools. As in "Cut, Paste and Learn" (Dwibedi et al. 2017), it matters which pixels belong
together, not that the whole looks real.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

ByteArray = NDArray[np.uint8]
FloatArray = NDArray[np.float32]

MAX_SIDE = 224  # px, of a stored cutout
MAX_PARTS = 4  # of a cutout, told apart by colour
COVERAGE_RANGE = (0.18, 0.93)  # of its box: lines cover less, signs and flags more
VARIANT_SUFFIX = re.compile(
    r"(-1f3f[b-f])+|_(dark|light|medium)\w*"
)  # of file names of one drawing
# Folders of clip art that shows no objects.
NON_OBJECT_FOLDERS = re.compile(
    r"/(shapes|signs_and_symbols|special|icons|buttons|geography|cards|aiga-symbols|roadsigns)/"
)
MAX_CUTOUTS = 4  # in a scene
PHOTO_PROBABILITY = 0.4  # that the background is a photo
MASKED_PHOTO_PROBABILITY = 0.6  # that this photo is one with a mask
MIN_SIZE, MAX_SIZE = 0.14, 1.2  # of a cutout's long side, relative to the frame's


@dataclass(frozen=True, eq=False)
class Cutout:
    """``colours`` (h, w, 3) RGB, ``alpha`` (h, w), part numbers ``part`` (h, w) from 1."""

    colours: ByteArray
    alpha: ByteArray
    part: ByteArray


@dataclass(eq=False)
class Scene:
    """``photo`` (h, w, 3) RGB in [0, 255]; labels ``thing`` and ``part`` (h, w), 0: none."""

    photo: FloatArray
    thing: ByteArray
    part: ByteArray


@dataclass(frozen=True, eq=False)
class MaskedPhoto:
    """A photo (h, w, 3) RGB; ``part`` (h, w) is from 1 on its object, 0 elsewhere."""

    colours: ByteArray
    part: ByteArray


@dataclass(frozen=True, eq=False)
class Store:
    """Cutouts by folder and drawing, with the variants of each drawing, and photos.

    ``masked_photos`` have an object with a mask, ``other_photos`` none.
    """

    drawings: list[list[list[Cutout]]]
    masked_photos: list[MaskedPhoto]
    other_photos: list[MaskedPhoto]

    def random_photo(self, rng: np.random.Generator) -> MaskedPhoto:
        """Return a photo, with MASKED_PHOTO_PROBABILITY one that has a mask."""
        photos = self.other_photos
        if self.masked_photos and rng.random() < MASKED_PHOTO_PROBABILITY:
            photos = self.masked_photos
        return photos[rng.integers(len(photos))]

    def random_cutout(self, rng: np.random.Generator) -> Cutout:
        """Return a cutout: folders, drawings and variants are equally likely at their level."""
        folder = self.drawings[rng.integers(len(self.drawings))]
        variants = folder[rng.integers(len(folder))]
        return variants[rng.integers(len(variants))]


def read_store(pictures: Path, side: int) -> Store:
    """Read what ``collect_cutouts`` wrote: ``cutouts/FOLDER/**`` and ``photos``.

    Photos may have masks ``NAME.mask.png``. They are resized to a short side of 2 ``side`` px.
    Files that are no cutouts are skipped.
    """
    drawings = []
    for folder in sorted(path for path in (pictures / "cutouts").iterdir() if path.is_dir()):
        drawings_by_name: dict[str, list[Cutout]] = defaultdict(list)
        for path in _picture_files(folder):
            if not NON_OBJECT_FOLDERS.search(path.as_posix()) and (cutout := read_cutout(path)):
                drawings_by_name[str(path.parent / VARIANT_SUFFIX.sub("", path.stem))].append(
                    cutout
                )
        if drawings_by_name:
            drawings.append(list(drawings_by_name.values()))
    files = [p for p in _picture_files(pictures / "photos") if ".mask" not in p.name]
    photos = [photo for photo in (read_photo(p, 2 * side) for p in files) if photo is not None]
    masked = [photo for photo in photos if photo.part.any()]
    return Store(drawings, masked, [photo for photo in photos if not photo.part.any()])


def _picture_files(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.suffix in (".png", ".webp", ".jpg"))


def read_photo(path: Path, side: int) -> MaskedPhoto | None:
    """Read a photo, its short side resized to ``side`` px; None if it is unreadable."""
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if picture is None:
        return None
    scale = side / min(picture.shape[:2])
    size = [max(side, round(s * scale)) for s in picture.shape[1::-1]]
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    colours = np.ascontiguousarray(small[..., ::-1])
    mask_path = path.with_suffix(".mask.png")
    mask = cv2.imread(str(mask_path), cv2.IMREAD_GRAYSCALE) if mask_path.exists() else None
    if mask is None:
        return MaskedPhoto(colours, np.zeros(colours.shape[:2], np.uint8))
    is_object = cv2.resize(mask, size, interpolation=cv2.INTER_LINEAR) > 127
    return MaskedPhoto(
        colours, np.where(is_object, colour_parts(colours, is_object), 0).astype(np.uint8)
    )


def read_cutout(path: Path) -> Cutout | None:
    """Read a cutout; None for a file without alpha, or an empty one, lines or a filled box."""
    picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if picture is None or picture.ndim != 3 or picture.shape[2] != 4 or picture.dtype != np.uint8:
        return None
    x, y, width, height = cv2.boundingRect((picture[..., 3] > 127).astype(np.uint8))
    if min(width, height) < 24:
        return None
    picture = picture[y : y + height, x : x + width]
    scale = min(1, MAX_SIDE / max(width, height))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    if scale < 0.5:  # twice as large as needed is quick to mix
        double = 2 * size[0], 2 * size[1]
        picture = np.asarray(cv2.resize(picture, double, interpolation=cv2.INTER_AREA), np.uint8)
    premultiplied = cv2.resize(_premultiply(picture), size, interpolation=cv2.INTER_AREA)
    alpha = premultiplied[..., 3]
    if not COVERAGE_RANGE[0] < float((alpha > 0.5).mean()) < COVERAGE_RANGE[1]:
        return None
    colours = premultiplied[..., 2::-1] / np.maximum(alpha, 1e-3)[..., None]
    colours = np.clip(colours, 0, 255).astype(np.uint8)
    return Cutout(
        colours, (alpha * 255).round().astype(np.uint8), colour_parts(colours, alpha > 0.5)
    )


def _premultiply(picture: ByteArray) -> FloatArray:
    alpha = picture[..., 3:].astype(np.float32) / 255
    return np.concatenate([picture[..., :3] * alpha, alpha], 2)


def colour_parts(colours: ByteArray, is_object: NDArray[np.bool_]) -> ByteArray:
    """Divide an object into parts by colour (k-means), extended slightly beyond its edge."""
    lab = cv2.cvtColor(cv2.medianBlur(colours, 5), cv2.COLOR_RGB2LAB)[is_object].astype(np.float32)
    criteria = (cv2.TERM_CRITERIA_MAX_ITER, 8, 0)
    count = min(MAX_PARTS, len(lab))
    _, labels, _ = cv2.kmeans(lab, count, None, criteria, 1, cv2.KMEANS_PP_CENTERS)
    part = np.zeros(is_object.shape, np.uint8)
    part[is_object] = labels[:, 0] + 1
    extended = cv2.dilate(part, np.ones((9, 9), np.uint8))
    return np.asarray(cv2.medianBlur(np.where(is_object, part, extended), 5), np.uint8)


def compose(
    store: Store,
    background: Scene,
    rng: np.random.Generator,
    appearance: Appearance | None = None,
) -> Scene:
    """Composite some cutouts onto ``background``, or onto a photo."""
    count = min(MAX_CUTOUTS, int(rng.geometric(0.45)))
    if store.other_photos and rng.random() < PHOTO_PROBABILITY:
        background = random_view(store, len(background.thing), rng)
        count -= bool(background.thing.any())
    scene = Scene(background.photo.copy(), background.thing.copy(), background.part.copy())
    if rng.random() < 0.25:
        sigma = rng.uniform(1, 5)
        scene.photo = np.asarray(cv2.GaussianBlur(scene.photo, (0, 0), sigma), np.float32)
        scene.thing[:], scene.part[:] = 0, 0  # a defocused object is background
    light = rng.normal(0, 1, 2).astype(np.float32)
    for _ in range(count):
        if (number := int(scene.thing.max()) + 1) < 250:
            _add_cutout(scene, store, number, light, rng, appearance or Appearance())
    return scene


def random_view(store: Store, side: int, rng: np.random.Generator) -> Scene:
    """Return a random window of a photo, recoloured; it shows the photo's object if that fits."""
    photo = store.random_photo(rng)
    extents = [_extent(np.asarray(photo.part.any(axis))) for axis in (1, 0)]
    short_side = min(photo.part.shape)
    min_size = max(0.4 * short_side, 1.05 * max(length for _, length in extents))
    size = int(rng.uniform(min(min_size, short_side), short_side))
    y, x = (
        _random_start(*extent, size, length, rng)
        for extent, length in zip(extents, photo.part.shape, strict=True)
    )
    window = np.s_[y : y + size, x : x + size]
    picture = cv2.resize(photo.colours[window], (side, side), interpolation=cv2.INTER_AREA)
    part = cv2.resize(photo.part[window], (side, side), interpolation=cv2.INTER_NEAREST)
    if rng.random() < 0.5:
        picture, part = picture[:, ::-1], part[:, ::-1]
    colours = recolour(picture.astype(np.float32), rng, 0.3)
    return Scene(colours, (part > 0).astype(np.uint8), part.astype(np.uint8))


def _extent(occupied: NDArray[np.bool_]) -> tuple[int, int]:
    """Return the first set index and the length up to the last one; (0, 0) if none is set."""
    indices = np.nonzero(occupied)[0]
    return (int(indices[0]), int(indices[-1] - indices[0]) + 1) if len(indices) else (0, 0)


def _random_start(first: int, length: int, size: int, total: int, rng: np.random.Generator) -> int:
    """Return a start of a window of ``size`` that contains the extent, or lies inside it."""
    if length == 0:
        length = total
    low, high = sorted((max(0, first + length - size), min(first, total - size)))
    return int(rng.integers(low, high + 1))


def _add_cutout(
    scene: Scene,
    store: Store,
    number: int,
    light: FloatArray,
    rng: np.random.Generator,
    appearance: Appearance,
) -> None:
    """Composite one cutout at a random place, sometimes with a shadow."""
    side = len(scene.thing)
    cutout = store.random_cutout(rng)
    colours, alpha, part = _transform(cutout, side, rng)
    covered = alpha > 0.5
    if covered.sum() < 30:
        return
    colours = appearance.recolour(colours, rng, 0.6)
    if rng.random() < 0.2:  # camouflaged
        difference = scene.photo[covered].mean(0) - colours[covered].mean(0)
        colours = colours + rng.uniform(0.3, 1) * difference.astype(np.float32)
    texture = appearance.texture_factors(store, scene, rng)
    colours = colours * texture * appearance.shading_factors(covered, light)[..., None]
    soft_alpha = np.asarray(cv2.GaussianBlur(alpha, (0, 0), rng.uniform(0.3, 0.9)), np.float32)
    if rng.random() < 0.4:
        scene.photo *= 1 - appearance.shadow_map(alpha, rng)[..., None]
    scene.photo += (np.clip(colours, 0, 255) - scene.photo) * soft_alpha[..., None]
    scene.thing[covered], scene.part[covered] = number, part[covered]


def _transform(
    cutout: Cutout, side: int, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray, ByteArray]:
    """Return colours, alpha and parts in a frame of ``side`` px, at a random place and size."""
    height, width = cutout.alpha.shape
    scale = side / max(height, width) * np.exp(rng.uniform(np.log(MIN_SIZE), np.log(MAX_SIZE)))
    if scale < 1:
        size = max(1, round(width * scale)), max(1, round(height * scale))
        colours, alpha = (
            cv2.resize(array, size, interpolation=cv2.INTER_AREA)
            for array in (cutout.colours, cutout.alpha)
        )
        part = cv2.resize(cutout.part, size, interpolation=cv2.INTER_NEAREST)
        scale = 1.0
    else:
        colours, alpha, part = cutout.colours, cutout.alpha, cutout.part
    angle = rng.uniform(-np.pi, np.pi) if rng.random() < 0.1 else rng.normal(0, 0.2)
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    shear = np.array(
        [[rng.choice([-1, 1]) * np.exp(rng.normal(0, 0.12)), rng.normal(0, 0.12)], [0, 1]]
    )
    linear = scale * rotation @ shear
    middle = np.array([alpha.shape[1], alpha.shape[0]]) / 2
    shift = rng.uniform(0.08, 0.92, 2) * side - linear @ middle
    matrix = np.concatenate([linear, shift[:, None]], 1)
    frame = side, side
    warped = cv2.warpAffine(
        colours, matrix, frame, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    warped_alpha = (
        cv2.warpAffine(alpha, matrix, frame, flags=cv2.INTER_LINEAR).astype(np.float32) / 255
    )
    warped_part = cv2.warpAffine(part, matrix, frame, flags=cv2.INTER_NEAREST)
    return warped.astype(np.float32), warped_alpha, np.asarray(warped_part, np.uint8)


def recolour(colours: FloatArray, rng: np.random.Generator, variety: float) -> FloatArray:
    """Change hue, saturation, gamma and brightness at random.

    ``variety`` / 2 is the probability of an arbitrary hue; otherwise hues change slightly.
    """
    grey = colours.mean(2, keepdims=True)
    angle = rng.uniform(-np.pi, np.pi) if rng.random() < variety / 2 else rng.normal(0, 0.25)
    third, root = (1 - np.cos(angle)) / 3, np.sqrt(1 / 3) * np.sin(angle)
    matrix = (
        np.cos(angle) * np.eye(3) + third + root * np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]])
    )
    result = colours @ matrix.T.astype(np.float32)
    result = grey + np.float32(rng.uniform(0.1, 1)) * (result - grey)
    gamma = np.float32(2 ** rng.uniform(-0.7, 0.7))
    recoloured = 255 * np.clip(result / 255, 0, 1) ** gamma * np.float32(rng.uniform(0.5, 1.15))
    return np.asarray(recoloured, np.float32)


def texture_factors(store: Store, scene: Scene, rng: np.random.Generator) -> FloatArray:
    """Return factors (s, s, 1) about 1, from a photo's fine structure or noise; often all 1."""
    side = len(scene.thing)
    if rng.random() < 0.35:
        return np.ones((side, side, 1), np.float32)
    if store.other_photos and rng.random() < 0.6:
        grain = random_view(store, side, rng).photo.mean(2)
    else:
        resolution = max(2, int(side / 2 ** rng.uniform(0, 4)))
        grain = cv2.resize(
            rng.normal(0, 1, (resolution, resolution)).astype(np.float32), (side, side)
        )
    kernel = int(side / 2 ** rng.uniform(2, 5))
    detail = grain - cv2.blur(grain, (kernel, kernel))
    detail = detail / (detail.std() + 1e-3)
    factors = np.clip(1 + rng.uniform(0.05, 0.4) * detail, 0.1, 2)
    return np.asarray(factors[..., None], np.float32)


def shading_factors(covered: NDArray[np.bool_], light: FloatArray) -> FloatArray:
    """Return factors (s, s), brighter towards the light."""
    rows, columns = np.nonzero(covered)
    y, x = np.mgrid[: len(covered), : len(covered)].astype(np.float32)
    size = max(np.ptp(rows), np.ptp(columns), 1)
    position = (light[0] * (x - columns.mean()) + light[1] * (y - rows.mean())) / size
    return np.asarray(np.clip(1 + 0.4 * position, 0.3, 1.5), np.float32)


def shadow_map(alpha: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Return how much (s, s) the cutout darkens each pixel: its outline, projected or shifted."""
    rows = np.nonzero(alpha.max(1) > 0.5)[0]
    bottom, flattening = rows[-1], rng.uniform(0.1, 0.8) if rng.random() < 0.6 else 1
    lean = rng.normal(0, 0.6)
    matrix = np.array([[1, lean, -lean * bottom], [0, flattening, bottom * (1 - flattening)]])
    if flattening == 1:
        matrix = np.concatenate([np.eye(2), rng.normal(0, 0.04 * len(alpha), (2, 1))], 1)
    projected = cv2.warpAffine(alpha, matrix, alpha.shape[::-1])
    blurred = cv2.GaussianBlur(projected, (0, 0), rng.uniform(0.5, 6))
    return np.asarray(rng.uniform(0.15, 0.7) * blurred, np.float32)


class Appearance(NamedTuple):
    """The random changes of a cutout's appearance."""

    recolour: Callable[[FloatArray, np.random.Generator, float], FloatArray] = recolour
    texture_factors: Callable[[Store, Scene, np.random.Generator], FloatArray] = texture_factors
    shading_factors: Callable[[NDArray[np.bool_], FloatArray], FloatArray] = shading_factors
    shadow_map: Callable[[FloatArray, np.random.Generator], FloatArray] = shadow_map
