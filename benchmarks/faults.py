"""Scenes with truth, and removals with one known fault each, for ``verify.py``.

The scenes are the samples (rendered with and without the object), the removal sets of the
evaluation folder (photographed with and without it), and composites: objects of its segmentation
sets on calm places of its other photos, with a synthetic cast shadow and without.
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

Image = NDArray[np.uint8]
BinaryMask = NDArray[np.bool_]
MAX_SIDE = 640  # px, of a scene's long side
COMPOSITE_COUNT = 50
OBJECT_SETS = ("berkeley100", "davis16_val")
BACKGROUND_SETS = ("berkeley100", "coco_mval_b")


@dataclass(frozen=True, eq=False)
class Scene:
    """A photo with an object, the clean plate and the object's mask.

    ``effect`` is the object with its shadow. ``shadowed`` is ``before`` and ``clean`` with a
    shadow.
    """

    name: str
    before: Image
    clean: Image
    mask: BinaryMask
    effect: BinaryMask
    shadowed: tuple[Image, Image] | None = None

    @property
    def is_composite(self) -> bool:
        return self.name.startswith("made")


@dataclass(frozen=True, eq=False)
class Case:
    """A removal; ``fault`` names what is wrong with ``after``."""

    scene: str
    fault: str
    before: Image
    after: Image
    alpha: NDArray[np.float32]
    mask: BinaryMask


def unedited_cases(folder: Path) -> Iterator[Case]:
    """Yield unedited photos with the mask and with parts of it, for checks of a single photo."""
    for number, item in enumerate(
        sorted(p for s in BACKGROUND_SETS for p in (folder / s).glob("*"))
    ):
        photo, mask = read_named(item, "image"), read_mask(item / "mask.png")
        rng = np.random.default_rng(number)
        if 0.005 < mask.mean() < 0.4:
            masks_by_name = {
                "whole": mask, "part": part_of(mask, rng), "most": part_of(mask, rng, 0.25, 0.55)
            }  # fmt: skip
            for name, mask_ in masks_by_name.items():
                yield Case(item.name, name, photo, photo, alpha_of(mask_), mask_)


def read_picture(path: Path) -> Image:
    pixels = cv2.imread(str(path))
    if pixels is None:
        raise SystemExit(f"{path}: not a readable picture")
    return np.ascontiguousarray(pixels[..., ::-1])


def read_mask(path: Path) -> BinaryMask:
    return read_picture(path)[..., 0] > 127


def read_named(folder: Path, name: str) -> Image:
    """Return the picture of that name, whatever its suffix."""
    return read_picture(next(folder.glob(f"{name}.*")))


# --- scenes -----------------------------------------------------------------------------------


def load_scenes(samples: Path, folder: Path) -> list[Scene]:
    return [*rendered_scenes(samples), *photographed_scenes(folder), *composite_scenes(folder)]


def rendered_scenes(samples: Path) -> Iterator[Scene]:
    for name in json.loads((samples / "samples.json").read_text()):
        mask, effect = (read_mask(samples / f"{name}_{kind}.png") for kind in ("mask", "effect"))
        before, clean = (
            read_picture(samples / f"{name}.jpg"),
            read_picture(samples / f"{name}_clean.jpg"),
        )
        yield crop_scene(Scene(f"rendered {name}", before, clean, mask, effect | mask))


def photographed_scenes(folder: Path) -> Iterator[Scene]:
    for item in sorted(folder.glob("removal_*/*")):
        before, clean = read_named(item, "image"), read_named(item, "clean")
        mask = read_mask(item / "mask.png")
        if item.parent.name == "removal_static":
            clean = add_grain(before, clean, mask)
        yield crop_scene(Scene(f"photo {item.name}", before, clean, mask, mask))


def add_grain(before: Image, clean: Image, mask: BinaryMask) -> Image:
    """Give a median plate, which has no grain, the grain of a place without the object."""
    is_background = ~(cv2.dilate(mask.astype(np.uint8), np.ones((15, 15))) > 0)
    grain = before.astype(np.float32) - clean
    limit = 6 * np.median(np.abs(grain[is_background])) + 1.5
    grain[~is_background | (np.abs(grain).max(2) > limit)] = 0
    rng = np.random.default_rng(0)
    shifts = [tuple(int(rng.integers(n)) for n in mask.shape) for _ in range(40)]
    shift = max(shifts, key=lambda shift: np.roll(is_background, shift, (0, 1))[mask].mean())
    return np.rint(np.clip(clean + np.roll(grain, shift, (0, 1)), 0, 255)).astype(np.uint8)


def crop_scene(scene: Scene) -> Scene:
    """Crop to the surroundings of the object, at most ``MAX_SIDE`` px long."""
    box = bounding_box(scene.effect)
    region = box.expand(max(64, round(hypot(box.width, box.height))), scene.mask.shape).slices
    height, width = scene.mask[region].shape
    scale = min(1.0, MAX_SIDE / max(height, width))
    size = round(width * scale), round(height * scale)

    def resize(array: Image) -> Image:
        return np.asarray(cv2.resize(array[region], size, interpolation=cv2.INTER_AREA))

    shadowed = scene.shadowed and (resize(scene.shadowed[0]), resize(scene.shadowed[1]))
    mask, effect = (
        resize(255 * array.astype(np.uint8)) > 127 for array in (scene.mask, scene.effect)
    )
    return Scene(scene.name, resize(scene.before), resize(scene.clean), mask, effect, shadowed)


def composite_scenes(folder: Path) -> Iterator[Scene]:
    """Yield objects of some photos on calm places of others."""
    rng = np.random.default_rng(7)
    sources = [
        p for p in sorted(p for s in OBJECT_SETS for p in (folder / s).glob("*")) if is_usable(p)
    ]
    backgrounds = sorted(p for s in BACKGROUND_SETS for p in (folder / s).glob("*"))
    count = 0
    for number in rng.permutation(len(backgrounds)):
        background, source = backgrounds[number], sources[int(rng.integers(len(sources)))]
        scene = None
        if background.name[:5] != source.name[:5]:
            scene = compose_scene(f"made {count:02d}", background, source, rng)
        if scene:
            count += 1
            yield crop_scene(scene)
        if count == COMPOSITE_COUNT:
            return


def is_usable(folder: Path) -> bool:
    """Return whether the object is in one or two parts, inside the photo, and of suitable size."""
    mask = read_mask(folder / "mask.png")
    box, (height, width) = bounding_box(mask), mask.shape
    is_inside = box.x0 > 1 and box.y0 > 1 and box.x1 < width - 1 and box.y1 < height - 1
    part_count = cv2.connectedComponents(mask.astype(np.uint8))[0] - 1
    return bool(is_inside and part_count <= 2 and 0.02 < mask.mean() < 0.4)


def compose_scene(
    name: str, background: Path, source: Path, rng: np.random.Generator
) -> Scene | None:
    """Return a composite at the calmest of several places, None if no place fits."""
    ground, occupied = read_named(background, "image"), read_mask(background / "mask.png")
    picture, object_mask = read_named(source, "image"), read_mask(source / "mask.png")
    grey = cv2.cvtColor(ground, cv2.COLOR_RGB2GRAY)
    activity = cv2.GaussianBlur(np.abs(cv2.Laplacian(grey, cv2.CV_32F)), (0, 0), 2)
    height, width = occupied.shape
    candidates: list[tuple[float, Image, BinaryMask]] = []
    for _ in range(40):
        center = rng.uniform(0.15, 0.85) * width, rng.uniform(0.35, 0.85) * height
        candidate, mask = paste_object(
            ground, picture, object_mask, center, height * rng.uniform(0.18, 0.45)
        )
        is_unsuitable = mask.sum() < 400 or mask.mean() > 0.15
        if len(candidates) == 6 or is_unsuitable or (mask & occupied).sum() > 0.1 * mask.sum():
            continue
        candidates.append((float(activity[mask].mean()), candidate, mask))
    if not candidates:
        return None
    _, before, mask = min(candidates, key=lambda candidate: candidate[0])
    shadow = project_shadow(mask, rng)
    transmission = rng.uniform(0.35, 0.65) * np.array(
        [0.95, 1.0, 1.06]
    )  # skylight is a little blue
    light = (ground / 255.0) ** 2.2 * (1 - shadow[..., None] * (1 - transmission))
    clean = np.rint(255 * light ** (1 / 2.2)).astype(np.uint8)
    alpha = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 0.7)[..., None]
    shadowed = np.rint(clean + alpha * (before.astype(np.float32) - clean)).astype(np.uint8)
    return Scene(name, before, ground, mask, mask | (shadow > 0.25), (shadowed, clean))


def paste_object(
    ground: Image,
    picture: Image,
    object_mask: BinaryMask,
    center: tuple[float, float],
    height: float,
) -> tuple[Image, BinaryMask]:
    """Paste the object, ``height`` px high, at ``center``; return the picture and the mask."""
    box = bounding_box(object_mask)
    scale = height / box.height
    matrix = np.array([
        [scale, 0, center[0] - scale * (box.x0 + box.width / 2)],
        [0, scale, center[1] - scale * (box.y0 + box.height / 2)],
    ])  # fmt: skip
    blurred = cv2.GaussianBlur(object_mask.astype(np.float32), (0, 0), 0.7 / min(scale, 1))
    source = cv2.GaussianBlur(picture, (0, 0), max(0.01, 0.4 * (1 / scale - 1)))
    size = ground.shape[1::-1]
    alpha = cv2.warpAffine(blurred, matrix, size)
    warped = cv2.warpAffine(source, matrix, size, borderMode=cv2.BORDER_REPLICATE).astype(
        np.float32
    )
    result = ground + alpha[..., None] * (warped - ground)
    return np.rint(result).astype(np.uint8), alpha > 0.5


def project_shadow(mask: BinaryMask, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return how much the object's shadow on the ground darkens each pixel."""
    foreshortening = rng.uniform(0.25, 0.6) * rng.choice([-1, 1])
    shear, bottom = rng.uniform(-1.0, 1.0), bounding_box(mask).y1 - 1
    matrix = np.array(
        [[1, -shear, shear * bottom], [0, -foreshortening, bottom * (1 + foreshortening)]]
    )
    projected = cv2.warpAffine(mask.astype(np.float32), matrix, mask.shape[::-1])
    return np.asarray(cv2.GaussianBlur(projected, (0, 0), rng.uniform(1, 4)))


# --- faults -----------------------------------------------------------------------------------


def cases(scene: Scene, others: list[Scene], seed: int) -> Iterator[Case]:
    """Yield the true removal, and one with each fault."""
    rng = np.random.default_rng(seed)
    before, clean, mask = scene.before, scene.clean, scene.mask
    alpha = alpha_of(mask if scene.is_composite else scene.effect)
    hole, depth = alpha > 0, cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 5)

    def case(
        fault: str, fill: Image, alpha_: NDArray[np.float32], mask_: BinaryMask = mask
    ) -> Case:
        return Case(scene.name, fault, before, blend(before, fill, alpha_), alpha_, mask_)

    yield case("truth", clean, alpha)
    smear = cv2.inpaint(before, hole.astype(np.uint8), 3, cv2.INPAINT_TELEA)
    yield case("smear", smear, alpha)
    core = depth > max(float(np.quantile(depth[mask], rng.uniform(0.3, 0.5))), 4)
    if core.sum() > 50:
        yield case("leftover rim", clean, alpha_of(core, 2), core)
    part = part_of(mask, rng)
    yield case("leftover part", clean, alpha_of(part), part)
    ghost = np.clip(depth / (depth.max() * rng.uniform(0.6, 1.0)), 0, 1)
    ghost = (ghost * ghost * (3 - 2 * ghost)).astype(np.float32)
    yield case("ghost", blend(before, clean, ghost), alpha)
    yield case("pasted", paste_other_object(scene, others, depth, rng), alpha)
    tint = rng.uniform(8, 22) * rng.choice([-1, 1]) * (1 + 0.3 * rng.standard_normal(3))
    tinted = np.rint(np.clip(clean + tint, 0, 255)).astype(np.uint8)
    yield case("seam hard", tinted, hole.astype(np.float32))
    yield case("seam soft", tinted, alpha)
    tiles = tile_patch(before, hole, rng)
    if tiles is not None:
        yield case("repeats", tiles, alpha)
    yield from shadow_cases(scene, alpha)
    most = part_of(mask, np.random.default_rng(seed), 0.25, 0.55)
    yield case("leftover most", clean, alpha_of(most), most)


def alpha_of(mask: BinaryMask, radius: float | None = None) -> NDArray[np.float32]:
    length = Length() if radius is None else Length(radius, "px")
    return masks.refine([Detection(mask)], Refine(length, length))[0]


def blend(before: Image, fill: Image, alpha: NDArray[np.float32]) -> Image:
    result = before.copy()
    window.blend(result, fill, alpha)
    return result


def part_of(
    mask: BinaryMask, rng: np.random.Generator, low: float = 0.65, high: float = 0.85
) -> BinaryMask:
    """Return a part of the mask, ``low`` to ``high`` of its area, cut by a straight line."""
    y, x = np.nonzero(mask)
    angle = rng.uniform(0, 2 * np.pi)
    distance = x * np.cos(angle) + y * np.sin(angle)
    is_kept = distance < np.quantile(distance, rng.uniform(low, high))
    part = np.zeros_like(mask)
    part[y[is_kept], x[is_kept]] = True
    return part


def paste_other_object(
    scene: Scene, others: list[Scene], depth: NDArray[np.float32], rng: np.random.Generator
) -> Image:
    """Paste another scene's object into the middle of this one's hole."""
    composites = [s for s in others if s.is_composite and s is not scene]
    other = composites[int(rng.integers(len(composites)))]
    box, other_box = bounding_box(scene.mask), bounding_box(other.mask)
    height = box.height * rng.uniform(0.45, 0.8)
    height = max(8.0, min(height, 0.8 * box.width * other_box.height / other_box.width))
    y, x = np.unravel_index(int(depth.argmax()), depth.shape)
    return paste_object(scene.clean, other.before, other.mask, (float(x), float(y)), height)[0]


def tile_patch(before: Image, hole: BinaryMask, rng: np.random.Generator) -> Image | None:
    """Return a patch of the surroundings, tiled over the picture; None if there is no room."""
    side = int(np.clip(np.sqrt(hole.sum()) / 5, 8, 24))
    surroundings = cv2.dilate(hole.astype(np.uint8), np.ones((2 * side + 1, 2 * side + 1))) > 0
    is_free = cv2.erode((~hole).astype(np.uint8), np.ones((side, side)), anchor=(0, 0)) > 0
    is_free[-side:], is_free[:, -side:] = False, False
    y, x = np.nonzero(surroundings & is_free)
    if not len(y):
        return None
    index = int(rng.integers(len(y)))
    patch = before[y[index] : y[index] + side, x[index] : x[index] + side]
    rows, columns = (n // side + 1 for n in hole.shape)
    return np.tile(patch, (rows, columns, 1))[: hole.shape[0], : hole.shape[1]].copy()


def shadow_cases(scene: Scene, alpha: NDArray[np.float32]) -> Iterator[Case]:
    """Yield the removal that leaves the shadow, if a large enough one lies outside the hole."""
    before, clean, alpha_ = scene.before, scene.clean, alpha
    if scene.shadowed:
        before, clean = scene.shadowed
    elif scene.name.startswith("rendered"):
        alpha_ = alpha_of(scene.mask)
    if (scene.effect & (alpha_ == 0)).sum() > 0.1 * scene.mask.sum():
        yield Case(scene.name, "shadow", before, blend(before, clean, alpha_), alpha_, scene.mask)
