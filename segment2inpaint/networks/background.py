"""Paint what may be behind an object with MI-GAN (``models/weights/background.md``).

The network invents a plausible background, structure first: it was trained on photos of places
(Sargsyan et al. 2023), and sees every crop at their size: fine texture is lost in larger ones.
"""

from __future__ import annotations

import functools

import cv2
import numpy as np

from segment2inpaint.networks.any_size import load_network
from segment2inpaint.types import BinaryMask, FloatArray, Image

FRAME_SIDE = 512  # px, long side of a crop in the network's input
MULTIPLE = 128  # px; the input's sides are multiples of this
MAX_CACHED = 4  # pictures, of at most 8 MB with their input


def paint_background(image: Image, mask: BinaryMask) -> Image:
    """Return the crop with its hole painted by the network. Raises ``BadModel``.

    ``image`` is (H, W, 3) uint8 RGB, ``mask`` (H, W) bool, True = hole. Pixels outside the hole are
    as they were.
    """
    planes = _input_planes(image, mask)
    picture = _run_network(planes.tobytes(), planes.shape)
    height, width = _frame_size(mask)
    colors = picture[0, :, :height, :width].transpose(1, 2, 0) * 127.5 + 127.5
    enlarged = cv2.resize(colors, mask.shape[::-1], interpolation=cv2.INTER_CUBIC)
    painted = image.copy()
    painted[mask] = np.rint(enlarged[mask].clip(0, 255))
    return painted


@functools.lru_cache(maxsize=MAX_CACHED)
def _run_network(planes: bytes, shape: tuple[int, ...]) -> FloatArray:
    """Return the network's picture (1, 3, h, w) in [-1, 1].

    What painted a hole and what checks it ask for the same picture, so the last ones are kept.
    """
    (picture,) = load_network("background").run(
        planes=np.frombuffer(planes, np.float32).reshape(shape)
    )
    return picture


def forget_pictures() -> None:
    """Forget the last pictures: for measurements."""
    _run_network.cache_clear()


def _frame_size(mask: BinaryMask) -> tuple[int, int]:
    """Return the size (h, w) of a crop in the network's input."""
    scale = FRAME_SIDE / max(mask.shape)
    height, width = (max(1, round(side * scale)) for side in mask.shape)
    return height, width


def _input_planes(image: Image, mask: BinaryMask) -> FloatArray:
    """Return (1, 4, h, w): 0.5 where known and -0.5 in the hole, and RGB in [-1, 1], 0 there.

    A pixel to which the hole contributes is the hole's, so that nothing of the hole is read. What
    the frame lacks to a multiple of ``MULTIPLE`` repeats its edge.
    """
    height, width = _frame_size(mask)
    method = cv2.INTER_AREA if max(mask.shape) > FRAME_SIDE else cv2.INTER_LINEAR
    colors = cv2.resize(image, (width, height), interpolation=method).transpose(2, 0, 1)
    hole = cv2.resize(mask.astype(np.float32), (width, height), interpolation=method) > 0
    known = np.where(hole, np.float32(-0.5), np.float32(0.5))
    seen = np.where(hole, np.float32(0), colors / np.float32(127.5) - 1)
    planes = np.concatenate([known[None], seen])
    padding = (0, 0), (0, -height % MULTIPLE), (0, -width % MULTIPLE)
    return np.asarray(np.pad(planes, padding, mode="edge")[None], np.float32)
