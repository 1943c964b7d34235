"""Find objects of the eighty kinds of COCO with NanoDet (``models/weights/objects.md``).

For each cell of a map the network gives a score for each kind, and for each side of the box a
distribution over distances from the cell's middle, in cells (Li et al., "Generalized Focal Loss",
NeurIPS 2020).
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from segment2inpaint.networks.any_size import load_network, resize_for_network
from segment2inpaint.networks.letterbox import sigmoid
from segment2inpaint.types import Box, FloatArray, Image

INPUT_SIDE = 416  # px, long side of the network's input
STRIDES = 8, 16, 32  # px of the input per cell of each map
KINDS, BINS = 80, 11  # scores, and distances to a side, that a cell tells apart
MIN_SCORE = 0.15  # weaker answers are not looked at
MAX_BOX_IOU = 0.7  # of two objects


class FoundObject(NamedTuple):
    """An object in ``box``, a half-open box in px of the photo, with a score in [0, 1].

    ``kind`` is the index of its kind among those of COCO: 0 is a person.
    """

    box: Box
    score: float
    kind: int


def find_objects(image: Image) -> list[FoundObject]:
    """Return the objects in a photo or a part of one, the surest first. Raises ``BadModel``.

    ``image`` is (H, W, 3) uint8 RGB.
    """
    scaled, back = resize_for_network(image, INPUT_SIDE / max(image.shape[:2]))
    planes = np.ascontiguousarray(scaled.transpose(2, 0, 1)[None]).astype(np.float32)
    maps = load_network("objects").run(image=planes)
    decoded = [_decode(m[0], stride) for m, stride in zip(maps, STRIDES, strict=True)]
    corners, scores, kinds = (np.concatenate(values) for values in zip(*decoded, strict=True))
    corners *= np.tile(back, 2)
    sides = np.hstack([corners[:, :2], corners[:, 2:] - corners[:, :2]])
    kept = cv2.dnn.NMSBoxes(sides.tolist(), scores.tolist(), MIN_SCORE, MAX_BOX_IOU)
    whole = Box(0, 0, image.shape[1], image.shape[0])
    found = [FoundObject(_box(corners[i], whole), float(scores[i]), int(kinds[i])) for i in kept]
    return sorted((o for o in found if o.box.width > 0 < o.box.height), key=lambda o: -o.score)


def _decode(answer: FloatArray, stride: int) -> tuple[FloatArray, FloatArray, NDArray[np.intp]]:
    """Return corners (n, 4) as x0, y0, x1, y1 in the input, scores (n,) and kinds (n,)."""
    probability = sigmoid(answer[:KINDS])
    kinds, rows, columns = np.nonzero(probability > MIN_SCORE)
    distances = stride * _mean_bin(answer[KINDS:, rows, columns].reshape(4, BINS, -1)).T
    middle = (np.stack([columns, rows], axis=1) + 0.5) * stride
    corners = np.hstack([middle - distances[:, :2], middle + distances[:, 2:]])
    return corners.astype(np.float32), probability[kinds, rows, columns], kinds.astype(np.intp)


def _mean_bin(logits: FloatArray) -> FloatArray:
    """Return the mean (4, n) of distributions over bins, of which ``logits`` (4, bins, n) are."""
    weights = np.exp(logits - logits.max(1, keepdims=True))
    bins = np.arange(BINS, dtype=np.float32)
    mean: FloatArray = np.einsum("kbn,b->kn", weights / weights.sum(1, keepdims=True), bins)
    return mean


def _box(corners: FloatArray, whole: Box) -> Box:
    """Return the part in the photo of a box, in whole px."""
    x0, y0 = np.floor(corners[:2]).astype(int).tolist()
    x1, y1 = np.ceil(corners[2:]).astype(int).tolist()
    return Box(max(0, x0), max(0, y0), min(whole.x1, x1), min(whole.y1, y1))
