"""The small networks that ship with the package, run by OpenCV.

``models/training/click`` trains the network that finds the object at a click or in a box;
``models/training/saliency`` exports the published network that finds salient objects.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from threading import Lock

import cv2
import numpy as np
from numpy.typing import NDArray

from segment2inpaint.models.shipped import shipped_folder

FloatArray = NDArray[np.float32]
Network = Callable[[FloatArray], FloatArray]


class OnnxNetwork:
    """Planes (C, H, W) to logits (C', H', W'), of the sizes that it was made for."""

    def __init__(self, path: Path) -> None:
        data = np.frombuffer(path.read_bytes(), np.uint8)  # OpenCV takes no odd names on Windows
        self._net = cv2.dnn.readNetFromONNX(data)
        self._alone = Lock()  # OpenCV's networks keep what they are working on

    def __call__(self, planes: FloatArray) -> FloatArray:
        with self._alone:
            self._net.setInput(planes[None])
            logits: FloatArray = self._net.forward()[0].copy()
        return logits


@functools.cache
def shipped_network(name: str, folder: Path | None = None) -> OnnxNetwork | None:
    """Return the network ``NAME.onnx`` of ``folder``, None if the file is missing.

    ``folder`` None is the folder of the networks that ship with the package.
    """
    path = (folder or shipped_folder("weights")) / f"{name}.onnx"
    return OnnxNetwork(path) if path.is_file() else None
