"""The network that knows what belongs to an object, run by OpenCV.

``models/click`` trains it and writes its file; one look takes about 0.01 s of a core.
"""

from __future__ import annotations

import functools
from pathlib import Path
from threading import Lock

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

WEIGHTS = Path(__file__).parent / "click.onnx"
SIDE = 160  # px of the frame that it looks at
PLANES = 8  # of the frame


class ClickNetwork:
    """Planes (PLANES, SIDE, SIDE) to logits (2, SIDE / 2, SIDE / 2): the object, and the part."""

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
def shipped() -> ClickNetwork | None:
    """The network that came with the package."""
    return ClickNetwork(WEIGHTS) if WEIGHTS.is_file() else None
