"""Scenes put together of pictures with a transparent ground, laid over made scenes and photos.

Drawn things (emoji, clip art) have the outlines and the many colours of real animals, people,
vehicles and tools; as in "Cut, Paste and Learn" (Dwibedi et al. 2017), what matters is which
pixels go together, not that the whole looks real.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]

LONGEST = 224  # px that a cutout is kept at
COLOURS = 4  # of a cutout, at most: its parts
FILLED = (0.18, 0.93)  # of its box: lines have less, signs and flags more
VARIANT = re.compile(r"(-1f3f[b-f])+|_(dark|light|medium)\w*")  # of one drawing
# clip art that shows no thing
SKIPPED = re.compile(
    r"/(shapes|signs_and_symbols|special|icons|buttons|geography|cards|aiga-symbols|roadsigns)/"
)
MOST = 4  # cutouts in a scene
PHOTOS = 0.4  # of the scenes are photos
TOLD = 0.6  # of these, with an object in them that is known
SMALLEST, LARGEST = 0.14, 1.2  # long side, of the frame


@dataclass(frozen=True, eq=False)
class Cutout:
    """``colours`` (h, w, 3) RGB, ``share`` (h, w) of each pixel, ``part`` (h, w) from 1."""

    colours: Bytes
    share: Bytes
    part: Bytes


@dataclass(eq=False)
class Scene:
    """``photo`` (h, w, 3) in [0, 255]; ``thing`` and ``part`` (h, w), 0 where nothing is."""

    photo: Floats
    thing: Bytes
    part: Bytes


@dataclass(frozen=True, eq=False)
class Shot:
    """A photo (h, w, 3) RGB; ``part`` (h, w) from 1 on an object in it, 0 elsewhere."""

    colours: Bytes
    part: Bytes


@dataclass(frozen=True, eq=False)
class Store:
    """Cutouts, by folder and the variants of a drawing together, and photos: with an object that
    is known, and others.
    """

    drawings: list[list[list[Cutout]]]
    told: list[Shot]
    others: list[Shot]

    def photo(self, dice: np.random.Generator) -> Shot:
        photos = self.told if self.told and dice.random() < TOLD else self.others
        return photos[dice.integers(len(photos))]

    def any(self, dice: np.random.Generator) -> Cutout:
        folder = self.drawings[dice.integers(len(self.drawings))]
        variants = folder[dice.integers(len(folder))]
        return variants[dice.integers(len(variants))]


def read(pictures: Path, side: int) -> Store:
    """What ``gather.py`` made: pictures below the folders in ``cutouts``, and ``photos``, some with
    masks ``NAME.mask.png``. What is no cutout is left out.
    """
    drawings = []
    for folder in sorted(f for f in (pictures / "cutouts").iterdir() if f.is_dir()):
        found: dict[str, list[Cutout]] = defaultdict(list)
        for path in _pictures(folder):
            if not SKIPPED.search(path.as_posix()) and (made := cutout(path)):
                found[str(path.parent / VARIANT.sub("", path.stem))].append(made)
        if found:
            drawings.append(list(found.values()))
    found_ = (shot(p, 2 * side) for p in _pictures(pictures / "photos") if ".mask" not in p.name)
    shots = [s for s in found_ if s is not None]
    told = [s for s in shots if s.part.any()]
    return Store(drawings, told, [s for s in shots if not s.part.any()])


def _pictures(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.suffix in (".png", ".webp", ".jpg"))


def shot(path: Path, side: int) -> Shot | None:
    """A photo whose short side is ``side`` px; None if it cannot be read."""
    read_ = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if read_ is None:
        return None
    scale = side / min(read_.shape[:2])
    size = [max(side, round(s * scale)) for s in read_.shape[1::-1]]
    small = cv2.resize(read_, size, interpolation=cv2.INTER_AREA)
    colours = np.ascontiguousarray(small[..., ::-1])
    told = path.with_suffix(".mask.png")
    mask = cv2.imread(str(told), cv2.IMREAD_GRAYSCALE) if told.exists() else None
    if mask is None:
        return Shot(colours, np.zeros(colours.shape[:2], np.uint8))
    there = cv2.resize(mask, size, interpolation=cv2.INTER_LINEAR) > 127
    return Shot(colours, np.where(there, parts(colours, there), 0).astype(np.uint8))


def cutout(path: Path) -> Cutout | None:
    """What is on a transparent ground; None if nothing is, or only lines, or a filled box."""
    read_ = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if read_ is None or read_.ndim != 3 or read_.shape[2] != 4 or read_.dtype != np.uint8:
        return None
    x, y, width, height = cv2.boundingRect((read_[..., 3] > 127).astype(np.uint8))
    if min(width, height) < 24:
        return None
    read_ = read_[y : y + height, x : x + width]
    scale = min(1, LONGEST / max(width, height))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    if scale < 0.5:  # twice as large as needed is quick to mix
        twice = 2 * size[0], 2 * size[1]
        read_ = np.asarray(cv2.resize(read_, twice, interpolation=cv2.INTER_AREA), np.uint8)
    premixed = cv2.resize(_premixed(read_), size, interpolation=cv2.INTER_AREA)
    share = premixed[..., 3]
    if not FILLED[0] < float((share > 0.5).mean()) < FILLED[1]:
        return None
    colours = premixed[..., 2::-1] / np.maximum(share, 1e-3)[..., None]
    colours = np.clip(colours, 0, 255).astype(np.uint8)
    return Cutout(colours, (share * 255).round().astype(np.uint8), parts(colours, share > 0.5))


def _premixed(picture: Bytes) -> Floats:
    share = picture[..., 3:].astype(np.float32) / 255
    return np.concatenate([picture[..., :3] * share, share], 2)


def parts(colours: Bytes, there: NDArray[np.bool_]) -> Bytes:
    """Pixels of about one colour together, and somewhat beyond the edge."""
    lab = cv2.cvtColor(cv2.medianBlur(colours, 5), cv2.COLOR_RGB2LAB)[there].astype(np.float32)
    stop = (cv2.TERM_CRITERIA_MAX_ITER, 8, 0)
    count = min(COLOURS, len(lab))
    _, labels, _ = cv2.kmeans(lab, count, None, stop, 1, cv2.KMEANS_PP_CENTERS)
    part = np.zeros(there.shape, np.uint8)
    part[there] = labels[:, 0] + 1
    beyond = cv2.dilate(part, np.ones((9, 9), np.uint8))
    return np.asarray(cv2.medianBlur(np.where(there, part, beyond), 5), np.uint8)


def compose(store: Store, ground: Scene, dice: np.random.Generator) -> Scene:
    """Some cutouts laid over ``ground``, or over a photo."""
    count = min(MOST, int(dice.geometric(0.45)))
    if store.others and dice.random() < PHOTOS:
        ground = view(store, len(ground.thing), dice)
        count -= bool(ground.thing.any())
    made = Scene(ground.photo.copy(), ground.thing.copy(), ground.part.copy())
    if dice.random() < 0.25:
        sigma = dice.uniform(1, 5)
        made.photo = np.asarray(cv2.GaussianBlur(made.photo, (0, 0), sigma), np.float32)
        made.thing[:], made.part[:] = 0, 0  # what is out of focus is no thing
    light = dice.normal(0, 1, 2).astype(np.float32)
    for _ in range(count):
        if (number := int(made.thing.max()) + 1) < 250:
            _lay(made, store, number, light, dice)
    return made


def view(store: Store, side: int, dice: np.random.Generator) -> Scene:
    """A window of a photo, in other colours; with its object in it, as far as it fits."""
    photo = store.photo(dice)
    spans = [_span(np.asarray(photo.part.any(axis))) for axis in (1, 0)]
    short = min(photo.part.shape)
    least = max(0.4 * short, 1.05 * max(length for _, length in spans))
    size = int(dice.uniform(min(least, short), short))
    y, x = (
        _start(*span, size, whole, dice)
        for span, whole in zip(spans, photo.part.shape, strict=True)
    )
    place = np.s_[y : y + size, x : x + size]
    seen = cv2.resize(photo.colours[place], (side, side), interpolation=cv2.INTER_AREA)
    part = cv2.resize(photo.part[place], (side, side), interpolation=cv2.INTER_NEAREST)
    if dice.random() < 0.5:
        seen, part = seen[:, ::-1], part[:, ::-1]
    colours = _coloured(seen.astype(np.float32), dice, 0.3)
    return Scene(colours, (part > 0).astype(np.uint8), part.astype(np.uint8))


def _span(line: NDArray[np.bool_]) -> tuple[int, int]:
    """Where the set ones begin, and how far they reach."""
    at = np.nonzero(line)[0]
    return (int(at[0]), int(at[-1] - at[0]) + 1) if len(at) else (0, 0)


def _start(first: int, length: int, size: int, whole: int, dice: np.random.Generator) -> int:
    """Where a window of ``size`` begins: with all or nothing but what begins at ``first``."""
    if length == 0:
        length = whole
    low, high = sorted((max(0, first + length - size), min(first, whole - size)))
    return int(dice.integers(low, high + 1))


def _lay(made: Scene, store: Store, number: int, light: Floats, dice: np.random.Generator) -> None:
    """One cutout somewhere, with the shadow it might cast."""
    side = len(made.thing)
    one = store.any(dice)
    colours, share, part = _turned(one, side, dice)
    there = share > 0.5
    if there.sum() < 30:
        return
    colours = _coloured(colours, dice, 0.6)
    if dice.random() < 0.2:  # much like what it lies on
        low = made.photo[there].mean(0) - colours[there].mean(0)
        colours = colours + dice.uniform(0.3, 1) * low.astype(np.float32)
    colours = colours * _texture(store, made, dice) * _shading(there, light)[..., None]
    soft = np.asarray(cv2.GaussianBlur(share, (0, 0), dice.uniform(0.3, 0.9)), np.float32)
    if dice.random() < 0.4:
        made.photo *= 1 - _shadow(share, dice)[..., None]
    made.photo += (np.clip(colours, 0, 255) - made.photo) * soft[..., None]
    made.thing[there], made.part[there] = number, part[there]


def _turned(one: Cutout, side: int, dice: np.random.Generator) -> tuple[Floats, Floats, Bytes]:
    """A cutout in a frame of ``side`` px, in another size, place and shape."""
    height, width = one.share.shape
    scale = side / max(height, width) * np.exp(dice.uniform(np.log(SMALLEST), np.log(LARGEST)))
    if scale < 1:
        size = max(1, round(width * scale)), max(1, round(height * scale))
        colours, share = (
            cv2.resize(m, size, interpolation=cv2.INTER_AREA) for m in (one.colours, one.share)
        )
        part = cv2.resize(one.part, size, interpolation=cv2.INTER_NEAREST)
        scale = 1.0
    else:
        colours, share, part = one.colours, one.share, one.part
    angle = dice.uniform(-np.pi, np.pi) if dice.random() < 0.1 else dice.normal(0, 0.2)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    bend = np.array(
        [[dice.choice([-1, 1]) * np.exp(dice.normal(0, 0.12)), dice.normal(0, 0.12)], [0, 1]]
    )
    matrix = scale * turn @ bend
    middle = np.array([share.shape[1], share.shape[0]]) / 2
    shift = dice.uniform(0.08, 0.92, 2) * side - matrix @ middle
    way = np.concatenate([matrix, shift[:, None]], 1)
    frame = side, side
    grown = cv2.warpAffine(
        colours, way, frame, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    shares = cv2.warpAffine(share, way, frame, flags=cv2.INTER_LINEAR).astype(np.float32) / 255
    parts = cv2.warpAffine(part, way, frame, flags=cv2.INTER_NEAREST)
    return grown.astype(np.float32), shares, np.asarray(parts, np.uint8)


def _coloured(colours: Floats, dice: np.random.Generator, most: float) -> Floats:
    """In other hues, paler, in another light."""
    grey = colours.mean(2, keepdims=True)
    angle = dice.uniform(-np.pi, np.pi) if dice.random() < most / 2 else dice.normal(0, 0.25)
    third, root = (1 - np.cos(angle)) / 3, np.sqrt(1 / 3) * np.sin(angle)
    turn = np.cos(angle) * np.eye(3) + third + root * np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]])
    pale = colours @ turn.T.astype(np.float32)
    pale = grey + np.float32(dice.uniform(0.1, 1)) * (pale - grey)
    power = np.float32(2 ** dice.uniform(-0.7, 0.7))
    made = 255 * np.clip(pale / 255, 0, 1) ** power * np.float32(dice.uniform(0.5, 1.15))
    return np.asarray(made, np.float32)


def _texture(store: Store, made: Scene, dice: np.random.Generator) -> Floats:
    """Factors (s, s, 1) about 1, of a photo's fine structure or of noise; often none."""
    side = len(made.thing)
    if dice.random() < 0.35:
        return np.ones((side, side, 1), np.float32)
    if store.others and dice.random() < 0.6:
        grain = view(store, side, dice).photo.mean(2)
    else:
        small = max(2, int(side / 2 ** dice.uniform(0, 4)))
        grain = cv2.resize(dice.normal(0, 1, (small, small)).astype(np.float32), (side, side))
    wide = int(side / 2 ** dice.uniform(2, 5))
    fine = grain - cv2.blur(grain, (wide, wide))
    fine = fine / (fine.std() + 1e-3)
    factors = np.clip(1 + dice.uniform(0.05, 0.4) * fine, 0.1, 2)
    return np.asarray(factors[..., None], np.float32)


def _shading(there: NDArray[np.bool_], light: Floats) -> Floats:
    """Factors (s, s): brighter towards the light."""
    rows, columns = np.nonzero(there)
    y, x = np.mgrid[: len(there), : len(there)].astype(np.float32)
    reach = max(np.ptp(rows), np.ptp(columns), 1)
    way = (light[0] * (x - columns.mean()) + light[1] * (y - rows.mean())) / reach
    return np.asarray(np.clip(1 + 0.4 * way, 0.3, 1.5), np.float32)


def _shadow(share: Floats, dice: np.random.Generator) -> Floats:
    """How much it darkens each pixel (s, s): its outline, lower and leaning, or shifted."""
    rows = np.nonzero(share.max(1) > 0.5)[0]
    low, tall = rows[-1], dice.uniform(0.1, 0.8) if dice.random() < 0.6 else 1
    lean = dice.normal(0, 0.6)
    way = np.array([[1, lean, -lean * low], [0, tall, low * (1 - tall)]])
    if tall == 1:
        way = np.concatenate([np.eye(2), dice.normal(0, 0.04 * len(share), (2, 1))], 1)
    laid = cv2.warpAffine(share, way, share.shape[::-1])
    soft = cv2.GaussianBlur(laid, (0, 0), dice.uniform(0.5, 6))
    return np.asarray(dice.uniform(0.15, 0.7) * soft, np.float32)
