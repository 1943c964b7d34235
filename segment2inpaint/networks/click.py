"""Find the object at clicks or in a box with the click network.

An encoder sees a window of the photo, without the prompts; its embedding is cached. A small decoder
takes the prompts and answers with masks, so that a further click costs the decoder alone. The
arrangement is that of Segment Anything (Kirillov et al. 2023). Points are (x, y), sizes (h, w).
"""

from __future__ import annotations

import functools
import hashlib
from collections import OrderedDict
from concurrent.futures import Future
from dataclasses import dataclass
from threading import Lock

import cv2
import numpy as np
from numpy.typing import NDArray

from segment2inpaint.errors import ModelMissing
from segment2inpaint.networks.letterbox import Letterbox, resample
from segment2inpaint.networks.onnx import OnnxNetwork, shipped_network
from segment2inpaint.types import Box, FloatArray, Granularity, Image, Point

CELL = 16  # px of the frame per value of an embedding
PHOTO_SIDE, WINDOW_SIDE = 1024, 512  # px, long side of the frame of a whole photo, of a window
MASK_CELL = 4  # px of the frame per value of a mask
SINGLE, WHOLE = 0, 3  # indices of the mask of the object, and of the whole that it may be part of
NEGATIVE, POSITIVE, TOP_LEFT, BOTTOM_RIGHT, NO_POINT = 0, 1, 2, 3, -1  # kinds of points
MAX_CACHED = 24  # embeddings, up to 2 MB each


@dataclass(frozen=True)
class ObjectPrompt:
    """The prompts for one object: clicks on it, clicks not on it, its box, and the granularity.

    Points are (x, y) in photo pixels. The first ``together`` clicks on it are one question, each
    further click corrects the answer.
    """

    include: tuple[Point, ...] = ()
    exclude: tuple[Point, ...] = ()
    box: Box | None = None
    granularity: Granularity = "auto"
    together: int = 1


@dataclass(frozen=True, eq=False)
class Embedding:
    """The encoder's ``values`` (1, 256, h, w), float16, of a window in its frame.

    The frame is the window scaled by ``letterbox``, with empty margins at the right and below.
    """

    letterbox: Letterbox
    values: NDArray[np.float16]
    key: bytes


@dataclass(frozen=True, eq=False)
class Answer:
    """The decoder's masks for one object in a frame.

    ``logits`` (4, h, w) float32 at a quarter of the frame's resolution, ``scores`` (4,) their
    expected IoU with what is meant. The mask ``SINGLE`` is the answer unless a granularity is
    asked for.
    """

    letterbox: Letterbox
    logits: FloatArray
    scores: FloatArray


class ClickNetwork:
    """The encoder and the decoder, with a cache of embeddings. Threads may share it."""

    def __init__(self, encoder: OnnxNetwork, decoder: OnnxNetwork) -> None:
        self._encoder, self._decoder = encoder, decoder
        self._cached: OrderedDict[bytes, Future[Embedding]] = OrderedDict()
        self._lock = Lock()

    def look(self, image: Image, window: Box) -> Embedding:
        """Return the embedding of a window of the photo (H, W, 3) in which objects are to be found.

        Windows are scaled to ``WINDOW_SIDE`` px, whole photos to ``PHOTO_SIDE``.
        """
        is_whole = window == (0, 0, image.shape[1], image.shape[0])
        return self.embed(image, window, PHOTO_SIDE if is_whole else WINDOW_SIDE)

    def embed(self, image: Image, window: Box, side: int) -> Embedding:
        """Return the embedding of a window of the photo (H, W, 3), scaled to ``side`` px."""
        letterbox = fit_letterbox(window, side)
        picture = _scale(image[window.slices], letterbox.size)
        digest = hashlib.blake2b(f"{window} {letterbox.size}".encode() + picture.tobytes())
        key = digest.digest()
        with self._lock:
            is_new = key not in self._cached
            embedding = self._cached.setdefault(key, Future())
            self._cached.move_to_end(key)
            while len(self._cached) > MAX_CACHED:
                self._cached.popitem(last=False)
        if is_new:
            self._compute(embedding, letterbox, picture, key)
        return embedding.result()

    def _compute(
        self, embedding: Future[Embedding], letterbox: Letterbox, picture: Image, key: bytes
    ) -> None:
        """Set the embedding, for which other threads may be waiting."""
        try:
            embedding.set_result(Embedding(letterbox, self._encode(picture), key))
        except BaseException as error:  # noqa: BLE001 - the waiting threads raise it
            with self._lock:
                self._cached.pop(key, None)
            embedding.set_exception(error)

    def _encode(self, picture: Image) -> NDArray[np.float16]:
        height, width = picture.shape[:2]
        frame = height + -height % CELL, width + -width % CELL
        planes, inside = np.zeros((1, 3, *frame), np.float32), np.zeros((1, 1, *frame), np.float32)
        planes[0, :, :height, :width] = picture.transpose(2, 0, 1)
        inside[..., :height, :width] = 1
        (values,) = self._encoder.run(picture=planes, inside=inside)
        return values.astype(np.float16)

    def answer(
        self, embedding: Embedding, prompt: ObjectPrompt, previous: FloatArray | None = None
    ) -> Answer:
        """Return the masks for one object; ``previous`` (h, w) are the logits of an earlier one."""
        (answer,) = self.answers(embedding, [prompt], None if previous is None else previous[None])
        return answer

    def answers(
        self,
        embedding: Embedding,
        prompts: list[ObjectPrompt],
        previous: FloatArray | None = None,
    ) -> list[Answer]:
        """Return the masks for several objects, whose prompts have the same kinds of points.

        ``previous`` (n, h, w) are the logits of earlier answers.
        """
        points = [_points_in_frame(embedding.letterbox, prompt) for prompt in prompts]
        count, (height, width) = len(prompts), embedding.values.shape[2:]
        shape = count, 1, height * CELL // MASK_CELL, width * CELL // MASK_CELL
        mask = np.zeros(shape, np.float32) if previous is None else previous.reshape(shape)
        logits, scores = self._decoder.run(
            embedding=embedding.values.astype(np.float32),
            points=np.array([[place for place, _ in p] for p in points], np.float32),
            labels=np.array([[kind for _, kind in p] for p in points], np.int64),
            mask=mask,
            has_mask=np.full(count, previous is not None, np.float32),
        )
        return [Answer(embedding.letterbox, *pair) for pair in zip(logits, scores, strict=True)]


@functools.cache
def shipped_click_network() -> ClickNetwork:
    """Return the network that ships with the package. Raises ``ModelMissing``."""
    encoder, decoder = shipped_network("click_encoder"), shipped_network("click_decoder")
    if encoder is None or decoder is None:
        raise ModelMissing("the click network is not where it was installed; install again")
    return ClickNetwork(encoder, decoder)


def fit_letterbox(window: Box, side: int) -> Letterbox:
    """Return the letterbox that scales a window to a long side of ``side`` px."""
    scale = side / max(window.width, window.height)
    height, width = (max(1, round(length * scale)) for length in (window.height, window.width))
    return Letterbox(window, (height, width))


def resample_logits(
    letterbox: Letterbox, logits: FloatArray, window: Box, size: tuple[int, int]
) -> FloatArray:
    """Return logits (h, w) of a frame over a window of the photo, (h, w) = ``size``.

    Outside the frame's own window, the values at its edge are repeated.
    """
    source, (height, width) = letterbox.window, letterbox.size
    inside = logits[: -(-height // MASK_CELL), : -(-width // MASK_CELL)]
    scale = height / (MASK_CELL * source.height), width / (MASK_CELL * source.width)
    return resample(inside, source, scale, window, size)


def _scale(part: Image, size: tuple[int, int]) -> Image:
    shrinks = size[0] < part.shape[0] or size[1] < part.shape[1]
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(part, size[::-1], interpolation=interpolation))


def _points_in_frame(
    letterbox: Letterbox, prompt: ObjectPrompt
) -> list[tuple[tuple[float, float], int]]:
    """Return the places (x, y) in the frame of all points in the window, with their kinds."""
    window, (height, width) = letterbox.window, letterbox.size
    scale_x, scale_y = width / window.width, height / window.height

    def place(x: float, y: float) -> tuple[float, float]:
        return (x - window.x0) * scale_x - 0.5, (y - window.y0) * scale_y - 0.5

    box = prompt.box
    corners = [] if box is None else [(box.x0, box.y0, TOP_LEFT), (box.x1, box.y1, BOTTOM_RIGHT)]
    clicks = [(p, POSITIVE) for p in prompt.include] + [(p, NEGATIVE) for p in prompt.exclude]
    points = [(place(x, y), kind) for x, y, kind in corners]
    points += [(place(x + 0.5, y + 0.5), k) for (x, y), k in clicks if window.contains((x, y))]
    return points if box else [*points, ((0.0, 0.0), NO_POINT)]
