"""The shadow that an object casts, and its mirror image, which should be removed with it.

Two methods look for it. A small network, trained on synthetic scenes (``models/training/shadow``),
ships with the package and runs in numpy; it predicts for each pixel whether the object darkens it
or is mirrored there. ``cast_shadow`` projects the object's outline on the ground. The two fail at
different places, so together they are right more often than either.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, exp, hypot, log

import cv2
import numpy as np
from safetensors.numpy import load_file

from segment2inpaint.effects import cast_shadow
from segment2inpaint.masks import components_at
from segment2inpaint.models.shipped import shipped_folder
from segment2inpaint.models.threads import single_blas_thread
from segment2inpaint.types import Alpha, BinaryMask, Box, FloatArray, Image, Point, bounding_box

WEIGHTS_FILE = shipped_folder("weights") / "shadow.safetensors"
NETWORK_SIDE = 160  # px, side of the network's square input
PLANE_COUNT = 10  # channels of the network's input
SURROUNDINGS_SIGMAS = (5, 16)  # px of the input; light is compared with these near surroundings
NETWORK_DEPTH = 4  # how often the network halves its maps after the first layer
LOG_AREA_SCALE = 8.0  # divisor of the log area that the network gets, to keep it near 1

# Certainties from which a shadow is removed: if the user asks for it, and without being asked.
REQUESTED_CERTAINTY, AUTOMATIC_CERTAINTY = 0.1, 0.7
MIN_OUTLINE_CERTAINTY = 0.1  # from which the projected outline is a part of the shadow
# Probability from which the network's pixels are: if the outline's certainty is 0, and if it is 1.
PIXEL_PROBABILITIES = (0.35, 0.85)
# Weights of the network's and the outline's logits in the certainty, and its constant.
CERTAINTY_WEIGHTS = (0.67, 0.57, -0.16)


@dataclass(frozen=True, eq=False)
class Shadow:
    """A shadow: ``mask`` (H, W) bool without the object, empty if none was found.

    ``certainty`` is in [0, 1].
    """

    mask: BinaryMask
    certainty: float

    def without(self, points: Sequence[Point]) -> Shadow:
        """Return the shadow without the connected parts at the points (x, y), which are to stay."""
        if not any(self.mask[y, x] for x, y in points):
            return self
        kept = components_at(self.mask, (), points)
        return Shadow(kept, self.certainty if kept.any() else 0.0)

    def goes_with_object(self, wanted: bool | None, alpha: Alpha) -> bool:
        """Return whether it goes with its object: if ``wanted``, or None and it would be missed.

        ``alpha`` (H, W) is that of the objects.
        """
        if wanted is None:
            return self.remaining_certainty(alpha) >= AUTOMATIC_CERTAINTY
        return wanted and self.certainty >= REQUESTED_CERTAINTY

    def remaining_certainty(self, alpha: Alpha) -> float:
        """Return the certainty times the share of the shadow where ``alpha`` (H, W) is 0."""
        area, remaining = (int(part.sum()) for part in (self.mask, self.mask & (alpha == 0)))
        return self.certainty * remaining / max(1, area)


@dataclass(frozen=True, eq=False)
class ShadowInput:
    """The network's input.

    ``planes`` is (PLANE_COUNT, NETWORK_SIDE, NETWORK_SIDE) float32. The photo's ``box`` is in its
    top left corner, with the size ``size`` (h, w) px.

    The planes are: 0 to 2, log light and two log chromaticities, minus their medians outside the
    object; 3 and 4, log light minus that of the near and the wider surroundings; 5, the object;
    6, the photo (0 beyond its edge); 7 and 8, the distance to the right of the object's middle and
    below its lowest line, in diagonals of its box; 9, the nearness to the object.
    """

    planes: FloatArray
    box: Box
    size: tuple[int, int]


@single_blas_thread
def find_shadow(image: Image, mask: BinaryMask) -> Shadow:
    """Return the likeliest shadow of an object.

    ``image`` is (H, W, 3) uint8 RGB, ``mask`` (H, W) bool the object.
    """
    none = Shadow(np.zeros_like(mask), 0.0)
    if not mask.any() or mask.all():
        return none
    view = shadow_input(image, mask)
    probability, network_certainty = run_network(view.planes, load_weights())
    outline, outline_certainty = cast_shadow.project_outline(image, mask)
    height, width = view.size
    found = outline & (outline_certainty >= MIN_OUTLINE_CERTAINTY)
    probability = cv2.resize(probability[:height, :width], (view.box.width, view.box.height))
    low, high = PIXEL_PROBABILITIES
    found[view.box.slices] |= probability > low + outline_certainty * (high - low)
    found &= ~mask
    if not found.any():
        return none
    return Shadow(found, _certainty(network_certainty, outline_certainty))


def _certainty(network_certainty: float, outline_certainty: float) -> float:
    network_logit, outline_logit = certainty_logits(network_certainty, outline_certainty)
    network_weight, outline_weight, constant = CERTAINTY_WEIGHTS
    total = network_weight * network_logit + outline_weight * outline_logit + constant
    return 1 / (1 + exp(-total))


def certainty_logits(network_certainty: float, outline_certainty: float) -> tuple[float, float]:
    """Return the logits of two certainties in [0, 1], bounded at about +-7."""
    first, second = (
        log((p + 1e-3) / (1 - p + 1e-3)) for p in (network_certainty, outline_certainty)
    )
    return first, second


def shadow_input(image: Image, mask: BinaryMask) -> ShadowInput:
    """Return the network's input for an object: its box, enlarged by its diagonal on each side."""
    object_box = bounding_box(mask)
    diagonal = hypot(object_box.width, object_box.height)
    box = object_box.expand(max(24, round(diagonal)), (mask.shape[0], mask.shape[1]))
    scale = NETWORK_SIDE / max(box.width, box.height)
    width, height = max(1, round(box.width * scale)), max(1, round(box.height * scale))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    crop = cv2.resize(image[box.slices], (width, height), interpolation=method)
    object_crop = mask[box.slices].astype(np.float32)
    coverage = cv2.resize(object_crop, (width, height), interpolation=method)
    distance = cv2.distanceTransform((coverage < 0.5).astype(np.uint8), cv2.DIST_L2, 5)
    y, x = np.mgrid[:height, :width].astype(np.float32) + 0.5
    middle = (object_box.x0 + object_box.x1) / 2 - box.x0
    planes = np.zeros((PLANE_COUNT, NETWORK_SIDE, NETWORK_SIDE), np.float32)
    planes[:5, :height, :width] = _light_planes(crop, coverage)
    planes[5, :height, :width] = coverage
    planes[6, :height, :width] = 1
    planes[7, :height, :width] = (x / scale - middle) / diagonal
    planes[8, :height, :width] = (y / scale - (object_box.y1 - box.y0)) / diagonal
    planes[9, :height, :width] = np.exp(-distance / (0.15 * diagonal * scale))
    return ShadowInput(planes, box, (height, width))


def _light_planes(crop: Image, coverage: FloatArray) -> FloatArray:
    """Return the first five planes (5, h, w) of a crop and the object's coverage of each pixel."""
    free = np.where(coverage < 0.1, np.float32(1), np.float32(0))
    logs = np.log((crop.astype(np.float32) / 255) ** 2.2 + np.float32(0.01))
    red, green, blue = cv2.split(logs)
    light = (red + green + blue) / 3
    planes = [light, red - green, blue - green]
    if free.any():
        planes = [plane - np.median(plane[free > 0]) for plane in planes]
    for sigma in SURROUNDINGS_SIGMAS:
        weight, total = (_blur(plane, sigma) for plane in (free, planes[0] * free))
        planes.append(planes[0] - total / (weight + 1e-4))
    return np.asarray(np.clip(np.stack(planes), -3, 3), np.float32)


def _blur(plane: FloatArray, sigma: float) -> FloatArray:
    blurred = cv2.GaussianBlur(plane, (0, 0), sigma, borderType=cv2.BORDER_CONSTANT)
    return np.asarray(blurred, np.float32)


@functools.cache
def load_weights() -> dict[str, FloatArray]:
    """Return the network's weights by name, in float32."""
    return {name: w.astype(np.float32) for name, w in load_file(WEIGHTS_FILE).items()}


def run_network(planes: FloatArray, weights: dict[str, FloatArray]) -> tuple[FloatArray, float]:
    """Return the probability of shadow or mirror image, (NETWORK_SIDE, NETWORK_SIDE), and overall.

    ``planes`` is (PLANE_COUNT, NETWORK_SIDE, NETWORK_SIDE). The network is a U-Net (Ronneberger et
    al. 2015) of 3 x 3 convolutions.
    """

    def conv(maps: FloatArray, name: str, stride: int = 1, relu: bool = True) -> FloatArray:
        weight, bias = weights[f"{name}.weight"], weights[f"{name}.bias"]
        result = _convolve(maps, weight, stride) + bias[:, None, None]
        return np.maximum(result, 0) if relu else result

    maps = conv(conv(planes, "stem", 2), "first")
    levels = [maps]
    for depth in range(NETWORK_DEPTH):
        maps = conv(conv(maps, f"down.{depth}.0", 2), f"down.{depth}.1")
        levels.append(maps)
    pooled = maps.mean((1, 2))
    for depth in reversed(range(NETWORK_DEPTH)):
        upsampled = maps.repeat(2, 1).repeat(2, 2)
        maps = conv(np.concatenate([upsampled, levels[depth]]), f"up.{depth}")
    # (4, side / 2, side / 2): one plane for each pixel of 2 x 2
    quarters = _sigmoid(conv(maps, "last", relu=False))
    probability = quarters.mean(0)
    area = probability.sum()
    pooled_inside = (maps * probability).sum((1, 2)) / (area + 1)
    log_area = np.log(area + 1).reshape(1) / LOG_AREA_SCALE
    features = np.concatenate([pooled, pooled_inside, log_area])
    certainty = _sigmoid(weights["cast.weight"] @ features + weights["cast.bias"])
    half = NETWORK_SIDE // 2
    pixels = quarters.reshape(2, 2, half, half).transpose(2, 0, 3, 1)
    return pixels.reshape(NETWORK_SIDE, NETWORK_SIDE), float(certainty[0])


def _convolve(maps: FloatArray, weight: FloatArray, stride: int) -> FloatArray:
    """Return (c, h, w) maps convolved with (o, c, 3, 3) weights, zeros beyond the edge."""
    count, height, width = maps.shape
    padded = np.pad(maps, ((0, 0), (1, 1), (1, 1)))
    shifts = [
        padded[:, y : y + height : stride, x : x + width : stride]
        for y in range(3)
        for x in range(3)
    ]
    rows = np.stack(shifts, 1).reshape(9 * count, -1)
    result = weight.reshape(len(weight), -1) @ rows
    return result.reshape(len(weight), height // stride, width // stride)


def _sigmoid(logits: FloatArray) -> FloatArray:
    return np.asarray(1 / (1 + np.exp(-np.clip(logits, -40, 40))), np.float32)


def add_shadows(alpha: Alpha, shadows: Sequence[Shadow], softness: float) -> Alpha:
    """Return an alpha (H, W) with shadows, each with a soft edge of ``softness`` px, 1 or more."""
    softness, both = max(softness, 1.0), alpha.copy()
    for shadow in shadows:
        box = bounding_box(shadow.mask).expand(ceil(softness) + 1, shadow.mask.shape)
        soft = shadow_alpha(Shadow(shadow.mask[box.slices], shadow.certainty), softness)
        np.maximum(both[box.slices], soft, out=both[box.slices])
    return both


def shadow_alpha(shadow: Shadow, softness: float) -> Alpha:
    """Return (H, W) float32: 1 on a shadow, falling smoothly to 0 at ``softness`` px from it."""
    distance = cv2.distanceTransform((~shadow.mask).astype(np.uint8), cv2.DIST_L2, 5)
    t = np.clip(1 - distance / softness, 0, 1)
    alpha: Alpha = np.where(shadow.mask, 1, t * t * (3 - 2 * t)).astype(np.float32)
    return alpha if shadow.mask.any() else np.zeros(shadow.mask.shape, np.float32)
