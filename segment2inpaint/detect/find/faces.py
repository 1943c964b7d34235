"""Find faces, as outlines of the heads' fronts."""

from __future__ import annotations

import cv2
import numpy as np

from segment2inpaint.detect.find.outline import Outline
from segment2inpaint.networks.faces import SURE_FACE_SCORE, FaceEllipse
from segment2inpaint.networks.faces import find_faces as find_ellipses
from segment2inpaint.types import Image

DEFAULT_THRESHOLD = SURE_FACE_SCORE
MIN_LONG_SIDE, MAX_LONG_SIDE = 640, 1920  # px of the network's input


def find_faces(image: Image) -> list[Outline]:
    """Return the faces in a photo, (H, W, 3) uint8 RGB, as ellipses, with any score."""
    long = max(image.shape[:2])
    scale = min(max(1.0, MIN_LONG_SIDE / long), MAX_LONG_SIDE / long)
    return [_outline(face) for face in find_ellipses(image, scale)]


def _outline(face: FaceEllipse) -> Outline:
    polygon = np.array(cv2.ellipse2Poly(face.center, face.axes, 0, 0, 360, 5), np.float32)
    return Outline(polygon, face.score, face.short_side)
