"""Lessons for the network: photos that never were, the object in them, and its shadow.

Half are renders (``render.py``), lit, painted and photographed anew each time they are shown;
half are things laid over other pictures, with a shadow or mirror image of their outline, or with
none. Nothing is read but what ``render.py`` and ``models/train/scenes.py`` made.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from looks import TILE, Dice, Floats, coded, developed, shot, surface, texture
from numpy.typing import NDArray

from segment2inpaint.detect.sam_weights import MEAN
from segment2inpaint.shadow import SIDE, view
from segment2inpaint.types import box_of

LEAST = 120  # px of an object, of the picture it is in
GAMMA = 2.2
SEEN = (4.0, 10.0)  # levels of 255 by which a shadow is not seen, and is seen


@dataclass(frozen=True, eq=False)
class Render:
    """What ``render.scene`` made: ``light`` as there, ``cover`` (4, h, w) and the ``rest`` (h, w)
    of each pixel, in [0, 1], ``ground`` (h, w, 2); ``beyond`` (h, w): nothing but sky.
    """

    light: NDArray[np.uint16]
    cover: Floats
    rest: Floats
    ground: Floats
    beyond: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Source:
    """All pictures to draw from: renders, made scenes (h, w, 3) uint8 with the number of the
    object at each pixel (h, w), textures (TILE, TILE).
    """

    renders: list[Render]
    places: list[tuple[NDArray[np.uint8], NDArray[np.uint8]]]
    textures: list[Floats]


@dataclass(frozen=True, eq=False)
class Taken:
    """A photo with the object and without it, (h, w, 3) in [0, 1] as displayed, and its share of
    each pixel (h, w).
    """

    photo: Floats
    clean: Floats
    share: Floats


@dataclass(frozen=True, eq=False)
class Lesson:
    """``planes`` as the network gets them; of each pixel (SIDE, SIDE) how much it is shadow, and
    whether that is asked (0 on the object and beyond the photo); whether there is a shadow, or
    NaN where it is hardly one.
    """

    planes: Floats
    shadow: Floats
    asked: Floats
    cast: float


def source(renders: Path, places: Path) -> Source:
    read = [_read(path) for path in sorted(renders.glob("*.npz"))]
    made = np.load(places)
    grounds = [_framed(*pair) for pair in zip(made["images"], made["labels"], strict=True)]
    dice = np.random.default_rng(0)
    return Source(read, grounds, [texture(dice, kind % 6) for kind in range(60)])


def _framed(
    image: NDArray[np.uint8], labels: NDArray[np.uint8]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A made scene without the even colour beyond its photo."""
    inside = box_of((image != np.rint(MEAN).astype(np.uint8)).any(2))
    return image[inside.slices], labels[inside.slices]


def _read(path: Path) -> Render:
    held = np.load(path)
    cover = np.ascontiguousarray(np.moveaxis(held["cover"], 2, 0), np.float32) / 255
    rest = np.clip(1 - cover.sum(0), 0, 1)
    lamps = held["light"][0, 1:].max((0, 3))
    ground = np.nan_to_num(held["ground"].astype(np.float32))
    return Render(held["light"], cover, rest, ground, (lamps == 0) & (rest > 0.98))


def lesson(source: Source, dice: Dice) -> Lesson:
    while True:
        taken = rendered(source, dice) if dice.random() < 0.6 else composed(source, dice)
        if taken is not None:
            return _asked(source, taken, dice)


def _asked(source: Source, taken: Taken, dice: Dice) -> Lesson:
    """A photo as a lesson; some are of an object without its shadow, or asked with it."""
    photo, clean, share = taken.photo, taken.clean, taken.share
    kind = dice.random()
    if kind < 0.13:  # cut out and laid elsewhere: no shadow
        photo = clean + share[..., None] * (photo - clean)
    seen = _seen(photo, clean)
    bits = share > 0.5
    if 0.13 < kind < 0.2:
        bits |= cv2.dilate((seen > 0.2).astype(np.uint8), np.ones((3, 3))) > 0
    elif kind > 0.85:
        bits = _rough(bits, dice)
    photo, seen, share, bits = _nearer(photo, seen, share, bits, dice)
    photo, seen = _covered(source, photo, seen, share, dice)
    photo = _weathered(source, photo, share, dice)
    image = np.rint(255 * shot(photo, dice)).clip(0, 255).astype(np.uint8)
    if dice.random() < 0.6:
        image = coded(image, dice)
    return _viewed(image, bits, seen, share)


def _seen(photo: Floats, clean: Floats) -> Floats:
    """How plainly the two differ, in [0, 1]."""
    red, green, blue = cv2.split(255 * np.abs(photo - clean))
    apart = cv2.medianBlur(np.maximum(np.maximum(red, green), blue), 3)
    return np.asarray(np.clip((apart - SEEN[0]) / (SEEN[1] - SEEN[0]), 0, 1))


def _viewed(
    image: NDArray[np.uint8], bits: NDArray[np.bool_], seen: Floats, share: Floats
) -> Lesson:
    """What the network gets and what it should say."""
    shown = view(image, bits)
    height, width = shown.size
    inner, solid = (
        cv2.resize(a[shown.box.slices], (width, height), interpolation=cv2.INTER_AREA)
        for a in (seen, share)
    )
    shadow, asked = np.zeros((2, SIDE, SIDE), np.float32)
    # not on the object, nor on its rim, where its own colour shows
    body = cv2.dilate(shown.planes[5], np.ones((3, 3), np.uint8))
    asked[:height, :width] = (body[:height, :width] < 0.3) & (solid < 0.1)
    shadow[:height, :width] = inner
    shadow *= asked
    area = shadow.sum() / max(1.0, shown.planes[5].sum())
    cast = 1.0 if area > 0.06 else 0.0 if area < 0.01 else float("nan")
    return Lesson(shown.planes, shadow, asked, cast)


def _nearer(
    photo: Floats, seen: Floats, share: Floats, bits: NDArray[np.bool_], dice: Dice
) -> tuple[Floats, Floats, Floats, NDArray[np.bool_]]:
    """The surroundings alone, as large as they may be in a photo."""
    place = view(np.zeros((*bits.shape, 3), np.uint8), bits).box
    scale = dice.uniform(0.9, 2.2) * SIDE / max(place.width, place.height)
    size = max(8, round(place.width * scale)), max(8, round(place.height * scale))
    wide = (
        cv2.resize(a[place.slices], size) for a in (photo, seen, share, bits.astype(np.float32))
    )
    photo, seen, share, within = wide
    return photo, seen, share, within > min(0.5, 0.99 * float(within.max()))


def _covered(
    source: Source, photo: Floats, seen: Floats, share: Floats, dice: Dice
) -> tuple[Floats, Floats]:
    """Now and then with things of another picture all about, which no shadow falls on."""
    if dice.random() > 0.3:
        return photo, seen
    size = share.shape[::-1]
    image, labels = source.places[dice.integers(len(source.places))]
    other = cv2.resize(image, size).astype(np.float32) / 255
    near = cv2.GaussianBlur(share, (0, 0), dice.uniform(1, 12)) > 0.02
    things = cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST) >= dice.integers(1, 15)
    patches = things & ~near
    return np.where(patches[..., None], other, photo), np.where(patches, np.float32(0), seen)


def _weathered(source: Source, photo: Floats, share: Floats, dice: Dice) -> Floats:
    """Most are rough all over, as grass, gravel and foliage are."""
    if dice.random() > 0.7:
        return photo
    y, x = np.mgrid[: share.shape[0], : share.shape[1]].astype(np.float32)
    scale = np.float32(0.35 * 2 ** dice.uniform(0, 2.5))  # texels a pixel
    at = np.dstack([x, y]) * scale + dice.uniform(0, TILE, 2).astype(np.float32)
    tile = source.textures[dice.integers(len(source.textures))]
    rough = cv2.remap(tile, at, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP) - 0.5
    depth = np.float32(dice.uniform(0.1, 1.0))
    return np.asarray(photo * np.exp(depth * rough * (1 - share))[..., None], np.float32)


def _rough(bits: NDArray[np.bool_], dice: Dice) -> NDArray[np.bool_]:
    """An outline as a detector gives it: a little too large or too small."""
    rough = cv2.GaussianBlur(bits.astype(np.float32), (0, 0), dice.uniform(0.5, 1.5))
    made = rough > dice.uniform(0.15, 0.7)
    return np.asarray(made if made.any() else bits)


# --- renders ----------------------------------------------------------------------------------


def rendered(source: Source, dice: Dice) -> Taken | None:
    """A render in some light, painted anew."""
    scene = source.renders[dice.integers(len(source.renders))]
    number = int(dice.integers(2))
    share = scene.cover[number]
    if np.count_nonzero(share > 0.5) < LEAST or _cut(share):
        return None
    lamps = _lamps(dice)
    lit = np.stack([_lit(scene.light[n], lamps) for n in (0, 1 + number)])
    lit *= _painted(source, scene, dice)
    if scene.beyond.any() and dice.random() < 0.8:
        lit[:, scene.beyond] = _backdrop(source, dice, share.shape)[scene.beyond]
    bright = float(np.quantile(lit[0, ::2, ::2, 1], 0.9)) + 1e-4
    photo, clean = developed(lit * dice.uniform(0.35, 1.1) / bright, dice)
    if dice.random() < 0.5:
        photo, clean, share = (np.ascontiguousarray(a[:, ::-1]) for a in (photo, clean, share))
    return Taken(photo, clean, np.ascontiguousarray(share))


def _cut(share: Floats) -> bool:
    """Does most of it lie at the picture's edge."""
    rim = np.concatenate([share[0], share[-1], share[:, 0], share[:, -1]])
    return bool((rim > 0.5).sum() > 0.15 * len(rim))


def _lamps(dice: Dice) -> Floats:
    """How strong and of which colour sky, first and second lamp are: (3, 3)."""
    sky = dice.uniform(0.2, 1.2) * np.array([1 - dice.uniform(0, 0.3), 1, 1 + dice.uniform(0, 0.4)])
    warm = dice.uniform(0, 0.4)
    sun = np.array([1, 1 - warm / 2, 1 - warm])
    kind = dice.random()
    first = dice.uniform(0.1, 0.7) * sun * (kind < 0.7)
    second = dice.uniform(0.1, 0.7) * sun * (kind > 0.55) * (kind < 0.93)
    return np.stack([4 * sky, first, second]).astype(np.float32)  # the sky was rendered faint


def _lit(light: NDArray[np.uint16], lamps: Floats) -> Floats:
    """The light (h, w, 3) of all lamps together, of (3, h, w, 3) levels."""
    made = np.zeros(light.shape[1:], np.float32)
    for levels, colour in zip(light, lamps / 4000, strict=True):
        if colour.any():
            made += levels * colour
    return made


def _painted(source: Source, scene: Render, dice: Dice) -> Floats:
    """What the light is multiplied with, (h, w, 3): textures on ground, wall and things."""
    height, width = scene.rest.shape
    y, x = np.mgrid[:height, :width].astype(np.float32) / 64
    flat = np.dstack([x, y])
    made = np.zeros((height, width, 3), np.float32)
    places = (flat, flat, flat, scene.ground, flat)
    for part, where in zip((scene.rest, *scene.cover), places, strict=True):
        if part.any():
            made += part[..., None] * surface(source.textures, where, dice)
    return made


def _backdrop(source: Source, dice: Dice, size: tuple[int, int]) -> Floats:
    """A picture, or a smooth sky, in linear light."""
    place = source.places[dice.integers(len(source.places))][0]
    far = cv2.resize(place, size[::-1]).astype(np.float32) / 255
    if dice.random() < 0.5:
        slope = np.linspace(0, dice.uniform(0, 0.5), size[0])[:, None, None]
        far = np.broadcast_to(far[:1, :1] + slope, far.shape)
    return np.asarray(far**GAMMA, np.float32)


# --- compositions -----------------------------------------------------------------------------


def composed(source: Source, dice: Dice) -> Taken | None:
    """A thing laid over another picture, with its outline as a shadow on the ground or mirrored."""
    place = _place(source, dice)
    height, width = place.shape[:2]
    share, look = _thing(source, dice, (height, width))
    if np.count_nonzero(share > 0.5) < LEAST:
        return None
    shade = np.zeros((height, width), np.float32)
    kind = dice.random()
    if kind < 0.6:
        shade = _laid(share, dice)
        if dice.random() < 0.2:
            shade = np.maximum(shade, dice.uniform(0.3, 1) * _laid(share, dice))
    if dice.random() < (0.4 if kind < 0.7 else 0.1):
        shade = np.maximum(shade, _contact(share, dice))
    other = _laid(_thing(source, dice, (height, width))[0], dice) * (dice.random() < 0.35)
    tint = np.array([1, 1, 1]) + dice.normal(0, 0.05, 3)
    ground = place**GAMMA * (1 - dice.uniform(0.2, 0.7) * other[..., None])
    dark = dice.uniform(0.15, 0.8)
    cast = ground * np.clip(1 - dark * shade[..., None] * tint, 0.02, 1)
    if 0.6 < kind < 0.7:
        cast = _mirrored(cast, share, look**GAMMA, dice)
    mixed = cast + share[..., None] * (look**GAMMA - cast)
    photo, clean = np.clip(np.stack([mixed, ground]), 0, 1) ** (1 / GAMMA)
    return Taken(photo.astype(np.float32), clean.astype(np.float32), share)


def _place(source: Source, dice: Dice) -> Floats:
    """A made scene, a textured plane, or a render in some light, as displayed."""
    kind = dice.random()
    if kind < 0.45:
        place = source.places[dice.integers(len(source.places))][0].astype(np.float32) / 255
        turned = np.rot90(place, int(dice.integers(4)))
        return np.ascontiguousarray(cv2.resize(turned, (208, 176)))
    if kind < 0.7:
        y, x = np.mgrid[:176, :208].astype(np.float32) / 40
        if dice.random() < 0.6:
            away = 4 / (y + dice.uniform(0.5, 6))
            x, y = (x - 2.6) * away, 2 * away
        made = surface(source.textures, np.dstack([x, y]), dice)
        slope = 1 + dice.normal(0, 0.2) * (np.mgrid[:176, :208][0][..., None] / 88 - 1)
        return np.asarray((made * slope).clip(0, 1) ** (1 / GAMMA), np.float32)
    scene = source.renders[dice.integers(len(source.renders))]
    lit = _lit(scene.light[dice.integers(3)], _lamps(dice)) * _painted(source, scene, dice)
    lit *= np.float32(dice.uniform(0.5, 1) / (float(np.quantile(lit[::2, ::2], 0.9)) + 1e-4))
    return np.asarray(lit.clip(0, 1) ** (1 / GAMMA), np.float32)


def _thing(source: Source, dice: Dice, size: tuple[int, int]) -> tuple[Floats, Floats]:
    """The share of each pixel and the look of a thing cut out of some picture, at some place."""
    if dice.random() < 0.75:
        scene = source.renders[dice.integers(len(source.renders))]
        share = scene.cover[dice.integers(2)]
        lit = _lit(scene.light[0], _lamps(dice))
        if dice.random() < 0.7:
            y, x = np.mgrid[: share.shape[0], : share.shape[1]].astype(np.float32) / 64
            lit = lit * surface(source.textures, np.dstack([x, y]), dice)
        bright = float(np.quantile(lit[share > 0.5], 0.9)) if (share > 0.5).any() else 1.0
        look = (lit * (dice.uniform(0.1, 1) / (bright + 1e-4))).clip(0, 1) ** (1 / GAMMA)
    else:
        image, labels = source.places[dice.integers(len(source.places))]
        share = (labels == dice.choice(np.unique(labels))).astype(np.float32)
        look = image.astype(np.float32) / 255
    if np.count_nonzero(share > 0.5) < 20:
        return np.zeros(size, np.float32), np.zeros((*size, 3), np.float32)
    box = box_of(share > 0.5)
    scale = dice.uniform(0.18, 0.45) * size[0] / max(box.width, box.height)
    flip = float(dice.choice([-1, 1]))
    at = dice.uniform(0.2, 0.8) * size[1], dice.uniform(0.3, 0.85) * size[0]
    to = np.array([
        [flip * scale, 0, at[0] - flip * scale * (box.x0 + box.x1) / 2],
        [0, scale, at[1] - scale * (box.y0 + box.y1) / 2],
    ])  # fmt: skip
    if scale < 1:
        share, look = (cv2.GaussianBlur(a, (0, 0), 0.45 / scale) for a in (share, look))
    return (
        cv2.warpAffine(share, to, size[::-1]).clip(0, 1),
        cv2.warpAffine(look, to, size[::-1], borderMode=cv2.BORDER_REPLICATE).clip(0, 1),
    )


def _laid(share: Floats, dice: Dice) -> Floats:
    """The outline laid on the ground from its lowest line, softer the further from it."""
    if share.max() <= 0.5:
        return np.zeros_like(share)
    box = box_of(share > 0.5)
    base = box.y1 - 1 - dice.uniform(0, 0.08) * box.height
    flat = dice.choice([dice.uniform(0.08, 0.9), -dice.uniform(0.08, 0.7)])
    shear = dice.normal(0, 0.9)
    down = np.array([[1, -shear, shear * base], [0, -flat, base * (1 + flat)]])
    laid = cv2.warpAffine(share, down, share.shape[::-1])
    near = cv2.GaussianBlur(laid, (0, 0), dice.uniform(0.3, 1.2))
    far = cv2.GaussianBlur(laid, (0, 0), dice.uniform(0.5, 4))
    height = np.abs(np.arange(len(share), dtype=np.float32) - base) / (abs(flat) * box.height)
    part = np.clip(height, 0, 1)[:, None]
    return np.asarray((near + part * (far - near)) * (1 - dice.uniform(0, 0.5) * part))


def _contact(share: Floats, dice: Dice) -> Floats:
    """The dark patch below a thing under an even sky."""
    box = box_of(share > 0.5)
    made = np.zeros_like(share)
    middle = round((box.x0 + box.x1) / 2), round(box.y1 - 0.03 * box.height)
    flat = dice.uniform(0.1, 0.35)
    axes = max(2, round(0.55 * box.width)), max(1, round(0.5 * flat * box.width))
    cv2.ellipse(made, middle, axes, 0, 0, 360, dice.uniform(0.3, 1), -1)
    return np.asarray(cv2.GaussianBlur(made, (0, 0), dice.uniform(1, 4)))


def _mirrored(cast: Floats, share: Floats, look: Floats, dice: Dice) -> Floats:
    """The thing upside down below its lowest line, faint, streaked and fading."""
    base, height = box_of(share > 0.5).y1 - 1, len(share)
    rows = np.arange(height)
    source = (2 * base - rows).clip(0, height - 1)
    wave = (dice.uniform(0, 2) * dice.normal(size=height)).round().astype(int)
    along = (np.arange(share.shape[1])[None] + wave[:, None]).clip(0, share.shape[1] - 1)
    flipped, colours = share[source[:, None], along], look[source[:, None], along]
    down = cv2.GaussianBlur(flipped, (0, 0), sigmaX=0.7, sigmaY=dice.uniform(0.5, 4))
    fade = np.exp(-np.clip(rows - base, 0, None) / (dice.uniform(0.3, 3) * (height - base)))
    part = down * (dice.uniform(0.1, 0.6) * fade * (rows > base))[:, None]
    return np.asarray(cast + part[..., None] * (colours - cast))
