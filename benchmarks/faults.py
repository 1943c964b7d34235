"""Scenes with truth, and results of removals with one known fault each, for ``verify.py``.

The scenes: the sample pictures (rendered with and without the object), the removal sets of the
evaluation folder (photographed with and without), and objects of its segmentation sets laid over
its other photos, where these are calm, with a shadow cast by a made sun and without.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from math import hypot
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from segment2inpaint import masks, window
from segment2inpaint.types import Detection, Length, Refine, bounding_box

Array = NDArray[np.uint8]
Bits = NDArray[np.bool_]
LONG = 640  # px of a scene's long side, at most
COMPOSITES = 50
OF_OBJECT = ("berkeley100", "davis16_val")
OF_PLACE = ("berkeley100", "coco_mval_b")


@dataclass(frozen=True, eq=False)
class Scene:
    """``effect`` is the object with its shadow; ``shadowed``: before and clean with a shadow."""

    name: str
    before: Array
    clean: Array
    bits: Bits
    effect: Bits
    shadowed: tuple[Array, Array] | None = None

    @property
    def made(self) -> bool:
        return self.name.startswith("made")


@dataclass(frozen=True, eq=False)
class Case:
    """One removal: ``fault`` is what is wrong with ``after``."""

    scene: str
    fault: str
    before: Array
    after: Array
    alpha: NDArray[np.float32]
    bits: Bits


def cluttered(folder: Path) -> Iterator[Case]:
    """Photos as they are, for what is told from them alone: the mask, and parts of it."""
    for number, place in enumerate(sorted(p for s in OF_PLACE for p in (folder / s).glob("*"))):
        photo, mask = one(place, "image"), bits(place / "mask.png")
        dice = np.random.default_rng(number)
        if 0.005 < mask.mean() < 0.4:
            masks_ = {
                "whole": mask, "part": parted(mask, dice), "most": parted(mask, dice, 0.25, 0.55)
            }  # fmt: skip
            for name, known in masks_.items():
                yield Case(place.name, name, photo, photo, alpha_of(known), known)


def picture(path: Path) -> Array:
    read = cv2.imread(str(path))
    if read is None:
        raise SystemExit(f"{path}: no picture")
    return np.ascontiguousarray(read[..., ::-1])


def bits(path: Path) -> Bits:
    return np.asarray(cv2.imread(str(path), 0) > 127)


def one(folder: Path, name: str) -> Array:
    return picture(next(folder.glob(f"{name}.*")))


# --- scenes -----------------------------------------------------------------------------------


def scenes(samples: Path, folder: Path) -> list[Scene]:
    return [*rendered(samples), *photographed(folder), *made(folder)]


def rendered(samples: Path) -> Iterator[Scene]:
    for name in json.loads((samples / "samples.json").read_text()):
        mask, effect = (bits(samples / f"{name}_{kind}.png") for kind in ("mask", "effect"))
        with_it, clean = picture(samples / f"{name}.jpg"), picture(samples / f"{name}_clean.jpg")
        yield cut(Scene(f"rendered {name}", with_it, clean, mask, effect | mask))


def photographed(folder: Path) -> Iterator[Scene]:
    for place in sorted(folder.glob("removal_*/*")):
        before, clean, mask = one(place, "image"), one(place, "clean"), bits(place / "mask.png")
        if place.parent.name == "removal_static":
            clean = grained(before, clean, mask)
        yield cut(Scene(f"photo {place.name}", before, clean, mask, mask))


def grained(before: Array, clean: Array, mask: Bits) -> Array:
    """A median plate with the grain that the median took: that of a place without the object."""
    free = ~(cv2.dilate(mask.astype(np.uint8), np.ones((15, 15))) > 0)
    grain = before.astype(np.float32) - clean
    most = 6 * np.median(np.abs(grain[free])) + 1.5
    grain[~free | (np.abs(grain).max(2) > most)] = 0
    dice = np.random.default_rng(0)
    ways = [tuple(int(dice.integers(n)) for n in mask.shape) for _ in range(40)]
    way = max(ways, key=lambda way: np.roll(free, way, (0, 1))[mask].mean())
    return np.rint(np.clip(clean + np.roll(grain, way, (0, 1)), 0, 255)).astype(np.uint8)


def cut(scene: Scene) -> Scene:
    """The surroundings of the object alone, at most ``LONG`` px long."""
    box = bounding_box(scene.effect)
    place = box.grown(max(64, round(hypot(box.width, box.height))), scene.bits.shape).slices
    height, width = scene.bits[place].shape
    scale = min(1.0, LONG / max(height, width))
    size = round(width * scale), round(height * scale)

    def small(array: Array) -> Array:
        return np.asarray(cv2.resize(array[place], size, interpolation=cv2.INTER_AREA))

    shadowed = scene.shadowed and (small(scene.shadowed[0]), small(scene.shadowed[1]))
    mask, effect = (small(255 * m.astype(np.uint8)) > 127 for m in (scene.bits, scene.effect))
    return Scene(scene.name, small(scene.before), small(scene.clean), mask, effect, shadowed)


def made(folder: Path) -> Iterator[Scene]:
    """Objects of some photos in calm places of others."""
    dice = np.random.default_rng(7)
    objects = [p for p in sorted(p for s in OF_OBJECT for p in (folder / s).glob("*")) if whole(p)]
    places = sorted(p for s in OF_PLACE for p in (folder / s).glob("*"))
    count = 0
    for number in dice.permutation(len(places)):
        place, source = places[number], objects[int(dice.integers(len(objects)))]
        scene = None
        if place.name[:5] != source.name[:5]:
            scene = composite(f"made {count:02d}", place, source, dice)
        if scene:
            count += 1
            yield cut(scene)
        if count == COMPOSITES:
            return


def whole(place: Path) -> bool:
    """Is the object in one or two parts, inside the photo, and of a good size."""
    mask = bits(place / "mask.png")
    box, (height, width) = bounding_box(mask), mask.shape
    inside = box.x0 > 1 and box.y0 > 1 and box.x1 < width - 1 and box.y1 < height - 1
    parts = cv2.connectedComponents(mask.astype(np.uint8))[0] - 1
    return bool(inside and parts <= 2 and 0.02 < mask.mean() < 0.4)


def composite(name: str, place: Path, source: Path, dice: np.random.Generator) -> Scene | None:
    ground, taken = one(place, "image"), bits(place / "mask.png")
    thing, outline = one(source, "image"), bits(source / "mask.png")
    grey = cv2.cvtColor(ground, cv2.COLOR_RGB2GRAY)
    busy = cv2.GaussianBlur(np.abs(cv2.Laplacian(grey, cv2.CV_32F)), (0, 0), 2)
    height, width = taken.shape
    found: list[tuple[float, Array, Bits]] = []
    for _ in range(40):
        at = dice.uniform(0.15, 0.85) * width, dice.uniform(0.35, 0.85) * height
        picture_, mask = pasted(ground, thing, outline, at, height * dice.uniform(0.18, 0.45))
        few = mask.sum() < 400 or mask.mean() > 0.15
        if len(found) == 6 or few or (mask & taken).sum() > 0.1 * mask.sum():
            continue
        found.append((float(busy[mask].mean()), picture_, mask))
    if not found:
        return None
    _, before, mask = min(found, key=lambda f: f[0])
    shade = cast(mask, dice)
    dark = dice.uniform(0.35, 0.65) * np.array([0.95, 1.0, 1.06])  # skylight is a little blue
    light = (ground / 255.0) ** 2.2 * (1 - shade[..., None] * (1 - dark))
    clean = np.rint(255 * light ** (1 / 2.2)).astype(np.uint8)
    share = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 0.7)[..., None]
    with_it = np.rint(clean + share * (before.astype(np.float32) - clean)).astype(np.uint8)
    return Scene(name, before, ground, mask, mask | (shade > 0.25), (with_it, clean))


def pasted(
    ground: Array, thing: Array, outline: Bits, at: tuple[float, float], height: float
) -> tuple[Array, Bits]:
    """The object, ``height`` px high, with its middle at ``at``."""
    box = bounding_box(outline)
    scale = height / box.height
    to = np.array([
        [scale, 0, at[0] - scale * (box.x0 + box.width / 2)],
        [0, scale, at[1] - scale * (box.y0 + box.height / 2)],
    ])  # fmt: skip
    soft = cv2.GaussianBlur(outline.astype(np.float32), (0, 0), 0.7 / min(scale, 1))
    source = cv2.GaussianBlur(thing, (0, 0), max(0.01, 0.4 * (1 / scale - 1)))
    size = ground.shape[1::-1]
    share = cv2.warpAffine(soft, to, size)
    laid = cv2.warpAffine(source, to, size, borderMode=cv2.BORDER_REPLICATE).astype(np.float32)
    mixed = ground + share[..., None] * (laid - ground)
    return np.rint(mixed).astype(np.uint8), share > 0.5


def cast(mask: Bits, dice: np.random.Generator) -> NDArray[np.float32]:
    """The outline laid on the ground, softly: how much of a shadow each pixel has."""
    flat = dice.uniform(0.25, 0.6) * dice.choice([-1, 1])
    shear, base = dice.uniform(-1.0, 1.0), bounding_box(mask).y1 - 1
    down = np.array([[1, -shear, shear * base], [0, -flat, base * (1 + flat)]])
    laid = cv2.warpAffine(mask.astype(np.float32), down, mask.shape[::-1])
    return np.asarray(cv2.GaussianBlur(laid, (0, 0), dice.uniform(1, 4)))


# --- faults -----------------------------------------------------------------------------------


def cases(scene: Scene, others: list[Scene], seed: int) -> Iterator[Case]:
    """The honest removal, and one with each fault."""
    dice = np.random.default_rng(seed)
    before, clean, mask = scene.before, scene.clean, scene.bits
    alpha = alpha_of(mask if scene.made else scene.effect)
    hole, depth = alpha > 0, cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 5)

    def case(fault: str, fill: Array, at: NDArray[np.float32], known: Bits = mask) -> Case:
        return Case(scene.name, fault, before, blended(before, fill, at), at, known)

    yield case("truth", clean, alpha)
    smear = cv2.inpaint(before, hole.astype(np.uint8), 3, cv2.INPAINT_TELEA)
    yield case("smear", smear, alpha)
    core = depth > max(float(np.quantile(depth[mask], dice.uniform(0.3, 0.5))), 4)
    if core.sum() > 50:
        yield case("leftover rim", clean, alpha_of(core, 2), core)
    part = parted(mask, dice)
    yield case("leftover part", clean, alpha_of(part), part)
    share = np.clip(depth / (depth.max() * dice.uniform(0.6, 1.0)), 0, 1)
    share = (share * share * (3 - 2 * share)).astype(np.float32)
    yield case("ghost", blended(before, clean, share), alpha)
    yield case("pasted", stranger(scene, others, depth, dice), alpha)
    tint = dice.uniform(8, 22) * dice.choice([-1, 1]) * (1 + 0.3 * dice.standard_normal(3))
    tinted = np.rint(np.clip(clean + tint, 0, 255)).astype(np.uint8)
    yield case("seam hard", tinted, hole.astype(np.float32))
    yield case("seam soft", tinted, alpha)
    tiles = tiled(before, hole, dice)
    if tiles is not None:
        yield case("repeats", tiles, alpha)
    yield from orphan(scene, alpha)
    foot = parted(mask, np.random.default_rng(seed), 0.25, 0.55)
    yield case("leftover most", clean, alpha_of(foot), foot)


def alpha_of(mask: Bits, radius: float | None = None) -> NDArray[np.float32]:
    length = Length() if radius is None else Length(radius, "px")
    return masks.refine([Detection(mask)], Refine(length, length))[0]


def blended(before: Array, fill: Array, alpha: NDArray[np.float32]) -> Array:
    made = before.copy()
    window.blend(made, fill, alpha)
    return made


def parted(mask: Bits, dice: np.random.Generator, low: float = 0.65, high: float = 0.85) -> Bits:
    """A share of the mask between ``low`` and ``high``, cut off by a straight line."""
    y, x = np.nonzero(mask)
    turn = dice.uniform(0, 2 * np.pi)
    along = x * np.cos(turn) + y * np.sin(turn)
    keep = along < np.quantile(along, dice.uniform(low, high))
    part = np.zeros_like(mask)
    part[y[keep], x[keep]] = True
    return part


def stranger(
    scene: Scene, others: list[Scene], depth: NDArray[np.float32], dice: np.random.Generator
) -> Array:
    """Another scene's object in the middle of this one's hole."""
    made_ = [s for s in others if s.made and s is not scene]
    other = made_[int(dice.integers(len(made_)))]
    own, box = bounding_box(scene.bits), bounding_box(other.bits)
    high = own.height * dice.uniform(0.45, 0.8)
    high = max(8.0, min(high, 0.8 * own.width * box.height / box.width))
    y, x = np.unravel_index(int(depth.argmax()), depth.shape)
    return pasted(scene.clean, other.before, other.bits, (float(x), float(y)), high)[0]


def tiled(before: Array, hole: Bits, dice: np.random.Generator) -> Array | None:
    """A patch of the surroundings, side by side with itself all over."""
    side = int(np.clip(np.sqrt(hole.sum()) / 5, 8, 24))
    near = cv2.dilate(hole.astype(np.uint8), np.ones((2 * side + 1, 2 * side + 1))) > 0
    free = cv2.erode((~hole).astype(np.uint8), np.ones((side, side)), anchor=(0, 0)) > 0
    free[-side:], free[:, -side:] = False, False
    y, x = np.nonzero(near & free)
    if not len(y):
        return None
    pick = int(dice.integers(len(y)))
    patch = before[y[pick] : y[pick] + side, x[pick] : x[pick] + side]
    down, across = (n // side + 1 for n in hole.shape)
    return np.tile(patch, (down, across, 1))[: hole.shape[0], : hole.shape[1]].copy()


def orphan(scene: Scene, alpha: NDArray[np.float32]) -> Iterator[Case]:
    """The object goes, its shadow stays: where there is one of some size outside the hole."""
    before, clean, at = scene.before, scene.clean, alpha
    if scene.shadowed:
        before, clean = scene.shadowed
    elif scene.name.startswith("rendered"):
        at = alpha_of(scene.bits)
    if (scene.effect & (at == 0)).sum() > 0.1 * scene.bits.sum():
        yield Case(scene.name, "shadow", before, blended(before, clean, at), at, scene.bits)
