"""The shadow that an object casts, and its mirror image, which should go with it.

Two look for it. A small network of our own, trained on made scenes (``models/training/shadow``),
ships with the package and says of each pixel whether the object darkens it or is mirrored there;
it runs in numpy. ``cast_shadow`` lays the object's outline on the ground. The two are right at
different places, and together more often than either.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from math import exp, hypot, log

import cv2
import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

from segment2inpaint.effects import cast_shadow
from segment2inpaint.models.shipped import shipped_folder
from segment2inpaint.types import Alpha, BinaryMask, Box, Image, bounding_box

FloatArray = NDArray[np.float32]

WEIGHTS = shipped_folder("weights") / "shadow.safetensors"
SIDE = 160  # px of the square that the network sees
PLANES = 10  # of what it sees
AROUND = (5, 16)  # px there: the surroundings that light is compared with, near and far
DEEP = 4  # times that the network halves its maps after the first layer
AREA = 8.0  # the network hears of an area by its logarithm, over this
ASKED, SURE = 0.1, 0.7  # certainty from which a shadow is taken: on demand, unasked
FITS = 0.1  # certainty of the outline from which it belongs to the shadow
LIKELY = (0.35, 0.85)  # chance from which a pixel does: without an outline, beside a certain one
MIX = (0.67, 0.57, -0.16)  # certainty: the logistic of the network's and the outline's logits


@dataclass(frozen=True, eq=False)
class Shadow:
    """``bits``: (H, W), beside the object. ``certainty`` in [0, 1]. Empty bits: none found."""

    mask: BinaryMask
    certainty: float


@dataclass(frozen=True, eq=False)
class ShadowInput:
    """What the network sees: ``planes`` (PLANES, SIDE, SIDE), the photo's ``box`` in its top left
    corner, ``size`` (h, w) px large there.

    The planes: log light and two log chromaticities, less their medians beside the object; log
    light less what surrounds it, near and far; the object; the photo (0 beyond it); how far right
    of the object's middle and below its lowest line, in diagonals of its box; nearness to it.
    """

    planes: FloatArray
    box: Box
    size: tuple[int, int]


def find_shadow(image: Image, bits: BinaryMask) -> Shadow:
    """The likeliest place of the shadow that the object at ``bits`` casts in ``image``."""
    nothing = Shadow(np.zeros_like(bits), 0.0)
    if not bits.any() or bits.all():
        return nothing
    seen = shadow_input(image, bits)
    likely, cast = network(seen.planes, weights())
    laid, fits = cast_shadow.project_outline(image, bits)
    height, width = seen.size
    whole = laid & (fits >= FITS)
    likely = cv2.resize(likely[:height, :width], (seen.box.width, seen.box.height))
    whole[seen.box.slices] |= likely > LIKELY[0] + fits * (LIKELY[1] - LIKELY[0])
    whole &= ~bits
    return Shadow(whole, _certainty(cast, fits)) if whole.any() else nothing


def _certainty(cast: float, fits: float) -> float:
    one, other = logits(cast, fits)
    return 1 / (1 + exp(-(MIX[0] * one + MIX[1] * other + MIX[2])))


def logits(cast: float, fits: float) -> tuple[float, float]:
    """Of how sure network and outline are."""
    one, other = (log((p + 1e-3) / (1 - p + 1e-3)) for p in (cast, fits))
    return one, other


def shadow_input(image: Image, bits: BinaryMask) -> ShadowInput:
    """The object at ``bits`` and as much round it as its box is long from corner to corner."""
    own = bounding_box(bits)
    diagonal = hypot(own.width, own.height)
    box = own.grown(max(24, round(diagonal)), (bits.shape[0], bits.shape[1]))
    scale = SIDE / max(box.width, box.height)
    width, height = max(1, round(box.width * scale)), max(1, round(box.height * scale))
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    crop = cv2.resize(image[box.slices], (width, height), interpolation=way)
    share = cv2.resize(bits[box.slices].astype(np.float32), (width, height), interpolation=way)
    away = cv2.distanceTransform((share < 0.5).astype(np.uint8), cv2.DIST_L2, 5)
    y, x = np.mgrid[:height, :width].astype(np.float32) + 0.5
    planes = np.zeros((PLANES, SIDE, SIDE), np.float32)
    planes[:5, :height, :width] = _light(crop, share)
    planes[5, :height, :width] = share
    planes[6, :height, :width] = 1
    planes[7, :height, :width] = (x / scale - ((own.x0 + own.x1) / 2 - box.x0)) / diagonal
    planes[8, :height, :width] = (y / scale - (own.y1 - box.y0)) / diagonal
    planes[9, :height, :width] = np.exp(-away / (0.15 * diagonal * scale))
    return ShadowInput(planes, box, (height, width))


def _light(crop: Image, share: FloatArray) -> FloatArray:
    """The first planes (5, h, w), of the crop and the object's share of each pixel."""
    free = np.where(share < 0.1, np.float32(1), np.float32(0))
    logs = np.log((crop.astype(np.float32) / 255) ** 2.2 + np.float32(0.01))
    red, green, blue = cv2.split(logs)
    light = (red + green + blue) / 3
    maps = [light, red - green, blue - green]
    if free.any():
        maps = [m - np.median(m[free > 0]) for m in maps]
    for sigma in AROUND:
        weight, total = (_blurred(m, sigma) for m in (free, maps[0] * free))
        maps.append(maps[0] - total / (weight + 1e-4))
    return np.asarray(np.clip(np.stack(maps), -3, 3), np.float32)


def _blurred(map_: FloatArray, sigma: float) -> FloatArray:
    blurred = cv2.GaussianBlur(map_, (0, 0), sigma, borderType=cv2.BORDER_CONSTANT)
    return np.asarray(blurred, np.float32)


@functools.cache
def weights() -> dict[str, FloatArray]:
    return {name: w.astype(np.float32) for name, w in load_file(WEIGHTS).items()}


def network(planes: FloatArray, weights: dict[str, FloatArray]) -> tuple[FloatArray, float]:
    """How likely each pixel (SIDE, SIDE) is of the shadow or mirror image, and that there is one.

    A U-Net (Ronneberger et al. 2015) of 3 x 3 convolutions.
    """

    def conv(maps: FloatArray, name: str, step: int = 1, bend: bool = True) -> FloatArray:
        weight, bias = weights[f"{name}.weight"], weights[f"{name}.bias"]
        made = _convolved(maps, weight, step) + bias[:, None, None]
        return np.maximum(made, 0) if bend else made

    maps = conv(conv(planes, "stem", 2), "first")
    levels = [maps]
    for depth in range(DEEP):
        maps = conv(conv(maps, f"down.{depth}.0", 2), f"down.{depth}.1")
        levels.append(maps)
    pooled = maps.mean((1, 2))
    for depth in reversed(range(DEEP)):
        wide = maps.repeat(2, 1).repeat(2, 2)
        maps = conv(np.concatenate([wide, levels[depth]]), f"up.{depth}")
    shares = _share(conv(maps, "last", bend=False))  # (4, SIDE / 2, SIDE / 2): each 2 x 2 pixels
    likely = shares.mean(0)
    area = likely.sum()
    there = (maps * likely).sum((1, 2)) / (area + 1)
    told = np.concatenate([pooled, there, np.log(area + 1).reshape(1) / AREA])
    cast = _share(weights["cast.weight"] @ told + weights["cast.bias"])
    half = SIDE // 2
    pixels = shares.reshape(2, 2, half, half).transpose(2, 0, 3, 1).reshape(SIDE, SIDE)
    return pixels, float(cast[0])


def _convolved(maps: FloatArray, weight: FloatArray, step: int) -> FloatArray:
    """(c, h, w) maps by (o, c, 3, 3) weights, zeros beyond the edge."""
    count, height, width = maps.shape
    padded = np.pad(maps, ((0, 0), (1, 1), (1, 1)))
    shifts = [
        padded[:, y : y + height : step, x : x + width : step] for y in range(3) for x in range(3)
    ]
    rows = np.stack(shifts, 1).reshape(9 * count, -1)
    made = weight.reshape(len(weight), -1) @ rows
    return made.reshape(len(weight), height // step, width // step)


def _share(logits: FloatArray) -> FloatArray:
    return np.asarray(1 / (1 + np.exp(-np.clip(logits, -40, 40))), np.float32)


def shadow_alpha(shadow: Shadow, softness: float) -> Alpha:
    """1 on a shadow, falling smoothly to 0 at ``softness`` px from it: shadows end softly."""
    away = cv2.distanceTransform((~shadow.mask).astype(np.uint8), cv2.DIST_L2, 5)
    t = np.clip(1 - away / softness, 0, 1)
    soft: Alpha = np.where(shadow.mask, 1, t * t * (3 - 2 * t)).astype(np.float32)
    return soft if shadow.mask.any() else np.zeros(shadow.mask.shape, np.float32)
