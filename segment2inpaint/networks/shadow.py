"""Find the shadow and the mirror image of an object with the shadow network.

The network is a U-Net (Ronneberger et al. 2015) that sees light and contrast round the object, and
what the click network's encoder sees there (``models/weights/shadow.md``).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import hypot

import cv2
import numpy as np

from segment2inpaint.networks.any_size import load_network
from segment2inpaint.networks.click import CELL, shipped_click_network
from segment2inpaint.types import BinaryMask, Box, FloatArray, Image, bounding_box

VIEW_SIDE = 160  # px, side of the network's square view of an object and its surroundings
PLANE_COUNT = 10  # channels of the view
FEATURES_SIDE = 320  # px, side of the frame in which the click network's encoder sees the view
FEATURE_COUNT = 256  # channels of the features
SURROUNDINGS_SIGMAS = (5, 16)  # px of the view; light is compared with these near surroundings
MIN_MARGIN = 24  # px of the photo round the object's box


@dataclass(frozen=True, eq=False)
class ShadowAnswer:
    """The network's answer for an object.

    ``probability`` (h, w) float32 is that of shadow or mirror image at each pixel of ``box``, and
    ``certainty`` in [0, 1] that there is any.
    """

    box: Box
    probability: FloatArray
    certainty: float


@dataclass(frozen=True, eq=False)
class ShadowView:
    """The network's view of an object, except for the features.

    ``planes`` is (PLANE_COUNT, VIEW_SIDE, VIEW_SIDE) float32. The photo's ``box`` is in its top
    left corner, with the size ``size`` (h, w) px.

    The planes are: 0 to 2, log light and two log chromaticities, minus their medians outside the
    object; 3 and 4, log light minus that of the near and the wider surroundings; 5, the object;
    6, the photo (0 beyond its edge); 7 and 8, the distance to the right of the object's middle and
    below its lowest line, in diagonals of its box; 9, the nearness to the object.
    """

    planes: FloatArray
    box: Box
    size: tuple[int, int]


def ask_shadow_network(image: Image, mask: BinaryMask) -> ShadowAnswer:
    """Return the network's answer for an object. Raises ``BadModel``, ``ModelMissing``.

    ``image`` is (H, W, 3) uint8 RGB, ``mask`` (H, W) bool the object, with a True pixel.
    """
    view = shadow_view(image, mask)
    probability, certainty = load_network("shadow").run(
        planes=view.planes[None], features=view_features(image, view.box)[None]
    )
    height, width = view.size
    size = view.box.width, view.box.height
    enlarged = cv2.resize(probability[0, :height, :width], size)
    return ShadowAnswer(view.box, np.asarray(enlarged, np.float32), float(certainty[0]))


def view_features(image: Image, box: Box) -> FloatArray:
    """Return the encoder's features of a box of the photo, for the network.

    They are (FEATURE_COUNT, FEATURES_SIDE / CELL, FEATURES_SIDE / CELL) float32, 0 beyond the box.
    """
    values = shipped_click_network().embed(image, box, FEATURES_SIDE).values[0]
    cells = FEATURES_SIDE // CELL
    features = np.zeros((FEATURE_COUNT, cells, cells), np.float32)
    features[:, : values.shape[1], : values.shape[2]] = values
    return features


def shadow_view(image: Image, mask: BinaryMask) -> ShadowView:
    """Return the network's view of an object: its box, enlarged by its diagonal on each side."""
    object_box = bounding_box(mask)
    diagonal = hypot(object_box.width, object_box.height)
    box = object_box.expand(max(MIN_MARGIN, round(diagonal)), (mask.shape[0], mask.shape[1]))
    scale = VIEW_SIDE / max(box.width, box.height)
    width, height = max(1, round(box.width * scale)), max(1, round(box.height * scale))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    crop = cv2.resize(image[box.slices], (width, height), interpolation=method)
    object_crop = mask[box.slices].astype(np.float32)
    coverage = cv2.resize(object_crop, (width, height), interpolation=method)
    distance = cv2.distanceTransform((coverage < 0.5).astype(np.uint8), cv2.DIST_L2, 5)
    y, x = np.mgrid[:height, :width].astype(np.float32) + 0.5
    middle = (object_box.x0 + object_box.x1) / 2 - box.x0
    planes = np.zeros((PLANE_COUNT, VIEW_SIDE, VIEW_SIDE), np.float32)
    planes[:5, :height, :width] = _light_planes(crop, coverage)
    planes[5, :height, :width] = coverage
    planes[6, :height, :width] = 1
    planes[7, :height, :width] = (x / scale - middle) / diagonal
    planes[8, :height, :width] = (y / scale - (object_box.y1 - box.y0)) / diagonal
    planes[9, :height, :width] = np.exp(-distance / (0.15 * diagonal * scale))
    return ShadowView(planes, box, (height, width))


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
