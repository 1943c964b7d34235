"""Run the small networks that ship with the package, with OpenCV.

``models/training/click`` trains the network that finds the object at a click or in a box.
``models/training/saliency`` exports the published network that finds salient objects.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from threading import Lock

import cv2
import numpy as np

from segment2inpaint.models.shipped import shipped_folder
from segment2inpaint.types import FloatArray

Network = Callable[[FloatArray], FloatArray]  # planes (C, H, W) -> logits (C', H', W')


class OnnxNetwork:
    """A network in an ONNX file: planes (C, H, W) to logits (C', H', W'), both float32.

    The sizes are those that the network was exported for, or any. Threads may share one network.
    """

    def __init__(self, path: Path) -> None:
        # Given a path, OpenCV cannot open names with special characters on Windows.
        data = np.frombuffer(path.read_bytes(), np.uint8)
        self._net = cv2.dnn.readNetFromONNX(data)
        self._lock = Lock()  # the network stores its input and its results

    def __call__(self, planes: FloatArray) -> FloatArray:
        with self._lock:
            self._net.setInput(planes[None])
            logits: FloatArray = self._net.forward()[0].copy()
        return logits


@functools.cache
def shipped_network(name: str, folder: Path | None = None) -> OnnxNetwork | None:
    """Return the network in ``NAME.onnx`` of ``folder``, None if the file is missing.

    ``folder`` None is the folder of the networks that ship with the package.
    """
    path = (folder or shipped_folder("weights")) / f"{name}.onnx"
    return OnnxNetwork(path) if path.is_file() else None
