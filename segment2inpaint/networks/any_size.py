"""Networks that look at a photo, or at a part of one, in an input of any size."""

from __future__ import annotations

import cv2
import numpy as np

from segment2inpaint.errors import BadModel
from segment2inpaint.networks.onnx import OnnxNetwork, shipped_network
from segment2inpaint.types import FloatArray, Image

STRIDE = 32  # both sides of the networks' input are multiples of this


def load_network(name: str) -> OnnxNetwork:
    """Return a network that ships with the package. Raises ``BadModel`` if its file is missing."""
    network = shipped_network(name)
    if network is None:
        raise BadModel(f"{name}.onnx is missing from this installation; install the package again")
    return network


def resize_for_network(image: Image, scale: float) -> tuple[Image, FloatArray]:
    """Return the photo scaled to multiples of ``STRIDE``, and the factors back to photo px (2,)."""
    height, width = image.shape[:2]
    columns, rows = (max(1, round(scale * side / STRIDE)) * STRIDE for side in (width, height))
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    scaled = cv2.resize(image, (columns, rows), interpolation=interpolation)
    return scaled, np.array([width / columns, height / rows], np.float32)
