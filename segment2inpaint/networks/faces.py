"""Find faces with CenterFace (``models/weights/faces.md``).

For each cell of 4 x 4 px the network gives the probability that a face's centre lies there, the
logarithms of the face's height and width, and the centre's offset (Xu et al., "CenterFace: Joint
face detection and alignment using face as point", Scientific Programming 2020).
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from segment2inpaint.networks.any_size import load_network, resize_for_network
from segment2inpaint.types import FloatArray, Image, Point

SURE_FACE_SCORE = 0.35
CELL = 4  # px of the network's input
MIN_SCORE = 0.05  # weaker answers are not looked at
MAX_BOX_IOU = 0.3  # of two faces
# The network's box reaches from the brows to the chin. The ellipse covers the head's front, which
# half the width, half the height and the centre's shift upwards give as shares of the box.
HALF_WIDTH, HALF_HEIGHT, SHIFT = 0.64, 0.72, 0.06


class FaceEllipse(NamedTuple):
    """The front of a head: an upright ellipse, in px of the photo.

    ``center`` is (x, y), ``axes`` half the width and half the height. ``score`` is in [0, 1],
    ``short_side`` the shorter side of the network's box.
    """

    center: Point
    axes: tuple[int, int]
    score: float
    short_side: float


def find_faces(image: Image, scale: float) -> list[FaceEllipse]:
    """Return the faces in a photo or a part of one, with any score. Raises ``BadModel``.

    ``image`` is (H, W, 3) uint8 RGB; the network sees it scaled by ``scale``.
    """
    scaled, back = resize_for_network(image, scale)
    planes = np.ascontiguousarray(scaled.transpose(2, 0, 1)).astype(np.float32)
    boxes, scores = _decode(load_network("faces")(planes))
    kept = cv2.dnn.NMSBoxes(boxes.tolist(), scores.tolist(), MIN_SCORE, MAX_BOX_IOU)
    return [_ellipse(boxes[i], float(scores[i]), back) for i in map(int, kept)]


def _decode(answer: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return boxes (n, 4) as x, y, width, height, and scores (n,).

    The first planes of ``answer`` are score, height, width, offset y and offset x, (h, w) each.
    """
    rows, columns = np.nonzero(answer[0] > MIN_SCORE)
    values = answer[:5, rows, columns].T
    size: FloatArray = np.exp(values[:, [2, 1]]) * CELL
    center = (np.stack([columns, rows], axis=1) + values[:, [4, 3]] + 0.5) * CELL
    boxes: FloatArray = np.hstack([center - size / 2, size]).astype(np.float32)
    return boxes, values[:, 0]


def _ellipse(box: FloatArray, score: float, back: FloatArray) -> FaceEllipse:
    """Return the ellipse of a head's front; upright, since the box is that of a tilted head too."""
    corner, (width, height) = box[:2] * back, box[2:] * back
    center = round(float(corner[0] + width / 2)), round(float(corner[1] + (0.5 - SHIFT) * height))
    axes = max(1, round(HALF_WIDTH * width)), max(1, round(HALF_HEIGHT * height))
    return FaceEllipse(center, axes, score, float(min(width, height)))
