"""The small networks that come with the package, run by OpenCV.

``models/click`` trains the one that knows what belongs to an object at a click or in a box;
``models/salient`` makes the file of the one that knows what stands out, which others trained.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from threading import Lock

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Network = Callable[[Floats], Floats]

FOLDER = Path(__file__).parent


class OnnxNetwork:
    """Planes (C, H, W) to logits (C', H', W'), of the sizes that it was made for."""

    def __init__(self, path: Path) -> None:
        data = np.frombuffer(path.read_bytes(), np.uint8)  # OpenCV takes no odd names on Windows
        self._net = cv2.dnn.readNetFromONNX(data)
        self._alone = Lock()  # OpenCV's networks keep what they are working on

    def __call__(self, planes: Floats) -> Floats:
        with self._alone:
            self._net.setInput(planes[None])
            logits: Floats = self._net.forward()[0].copy()
        return logits


@functools.cache
def shipped(name: str) -> OnnxNetwork | None:
    """The network of that name that came with the package."""
    path = FOLDER / f"{name}.onnx"
    return OnnxNetwork(path) if path.is_file() else None
