"""An encoder and a decoder in place of the click network's, and photos that they understand."""

from __future__ import annotations

import threading
import time

import cv2
import numpy as np
from numpy.typing import NDArray

from segment2inpaint.detect.builtin.detector import BuiltinDetector
from segment2inpaint.networks.click import CELL, MASK_CELL, POSITIVE, ClickNetwork
from segment2inpaint.types import BinaryMask, Box, FloatArray, Image

SCALE = CELL // MASK_CELL


class RedEncoder:
    """Embed how red each cell is; ``windows`` counts the calls."""

    def __init__(self) -> None:
        self.frames: list[tuple[int, int]] = []

    def run(self, picture: FloatArray, inside: FloatArray) -> list[FloatArray]:
        red = ((picture[0, 0] - picture[0, 1] > 60) & (inside[0, 0] > 0)).astype(np.float32)
        height, width = red.shape
        self.frames.append((height, width))
        quarter = width // MASK_CELL, height // MASK_CELL
        fine = cv2.resize(red, quarter, interpolation=cv2.INTER_AREA)
        cells = fine.reshape(height // CELL, SCALE, width // CELL, SCALE).transpose(1, 3, 0, 2)
        values = np.zeros((1, 256, height // CELL, width // CELL), np.float32)
        values[0, : SCALE * SCALE] = cells.reshape(-1, height // CELL, width // CELL)
        return [values]


class RedDecoder:
    """Answer with the red at the first click: all of it, its upper half, and everything red.

    ``score`` is the expected IoU of an answer that found something.
    """

    def __init__(self, score: float = 0.9) -> None:
        self.calls: list[dict[str, NDArray[np.generic]]] = []
        self.score = score

    def run(self, **inputs: NDArray[np.generic]) -> list[FloatArray]:
        self.calls.append(inputs)
        cells = np.asarray(inputs["embedding"], np.float32)[0, : SCALE * SCALE]
        _, height, width = cells.shape
        fine = cells.reshape(SCALE, SCALE, height, width).transpose(2, 0, 3, 1)
        red = fine.reshape(height * SCALE, width * SCALE) > 0.3
        pairs = zip(np.asarray(inputs["points"]), np.asarray(inputs["labels"]), strict=True)
        found = [self._answer(red, points, labels) for points, labels in pairs]
        return [np.stack([f for f, _ in found]), np.stack([s for _, s in found])]

    def _answer(
        self, red: BinaryMask, points: NDArray[np.generic], labels: NDArray[np.generic]
    ) -> tuple[FloatArray, FloatArray]:
        _, parts = cv2.connectedComponents(red.astype(np.uint8))
        clicked = points[labels == POSITIVE]
        single = red
        if len(clicked):
            x, y = (np.asarray(clicked[0], np.float64).clip(0) // MASK_CELL).astype(int)
            single = (parts == parts[y, x]) & red[y, x]
        rows = np.nonzero(single)[0]
        upper = single & (np.arange(len(red))[:, None] < (rows.mean() if len(rows) else 0))
        masks = np.stack([single, upper, single, red])
        scores = np.full(4, self.score if single.any() else 0.1, np.float32)
        return np.where(masks, 6, -6).astype(np.float32), scores


def red_network(score: float = 0.9) -> tuple[ClickNetwork, RedEncoder, RedDecoder]:
    """Return a network whose objects are red, with its encoder and decoder."""
    encoder, decoder = RedEncoder(), RedDecoder(score)
    return ClickNetwork(encoder, decoder), encoder, decoder


def red_photo(height: int, width: int, *boxes: Box) -> tuple[Image, BinaryMask]:
    """Return a green photo with red boxes, and their mask."""
    image = np.full((height, width, 3), (60, 130, 70), np.uint8)
    mask = np.zeros((height, width), np.bool_)
    for box in boxes:
        image[box.slices], mask[box.slices] = (220, 40, 30), True
    return image, mask


def iou(first: BinaryMask, second: BinaryMask) -> float:
    """Return the intersection over union of two masks, 0 if both are empty."""
    return float((first & second).sum() / max((first | second).sum(), 1))


MAX_WAIT = 10  # seconds, longer than any call


class HeldDecoder(RedDecoder):
    """Find red objects, but answer only while ``released``, and after ``delay`` seconds."""

    delay = 0.0

    def __init__(self) -> None:
        super().__init__()
        self.released, self.started = threading.Event(), threading.Event()
        self.released.set()

    def run(self, **inputs: NDArray[np.generic]) -> list[FloatArray]:
        self.started.set()
        assert self.released.wait(MAX_WAIT)
        time.sleep(self.delay)
        return super().run(**inputs)


class HeldNetwork:
    """A detector of red objects and the parts of its network, whose decoder can be held."""

    def __init__(self) -> None:
        self.encoder, self.decoder = RedEncoder(), HeldDecoder()
        self.detector = BuiltinDetector(ClickNetwork(self.encoder, self.decoder))
