"""Simulated prompts: a first click or a box, then clicks in the middle of the largest error.

The method is that of RITM (Sofiiuk et al. 2021). Masks and labels have a quarter of the frame's
resolution; points are x and y in px of the frame.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from models.training.click.windows import FULL, UNKNOWN, Labels
from segment2inpaint.networks.click import (
    BOTTOM_RIGHT,
    MASK_CELL,
    NEGATIVE,
    NO_POINT,
    POSITIVE,
    TOP_LEFT,
)
from segment2inpaint.types import BinaryMask, FloatArray

OBJECT, PART, WHOLE = range(3)  # indices of labels
BOX_PROBABILITY = 0.25  # that a question starts with a box
ANYWHERE_PROBABILITY = 0.35  # that a click is anywhere in the object, not far inside
FAR_INSIDE = 0.6  # of the largest depth
LOOSE_PROBABILITY = 0.5  # that a box is not exact
BOX_JITTER = 0.05  # of a box's sides, standard deviation of a loose one's corners
SWITCH_PROBABILITY = 0.3  # that a correction asks for the part or the whole

Kinds = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Questions:
    """n questions about one window.

    ``points`` (n, t, 2) are of the ``kinds`` (n, t); ``masks`` (n, 1, h, w) are the logits of the
    last answers, None at first. ``targets`` (n, LABELS, h, w) are true masks, of which those count
    that are ``known`` (n, LABELS). ``wanted`` (n,) is the index of the one that the corrections
    lead to.
    """

    points: FloatArray
    kinds: Kinds
    masks: Tensor | None
    targets: BinaryMask
    known: BinaryMask
    wanted: NDArray[np.int64]

    @property
    def wanted_targets(self) -> BinaryMask:
        """The targets (n, h, w) that the corrections lead to."""
        return np.asarray(self.targets[np.arange(len(self.wanted)), self.wanted])


def first_questions(labels: Labels, with_box: bool, rng: np.random.Generator) -> Questions:
    """Return a question with one click, or with a box, for each object; labels as in ``Window``."""
    known = (labels.max((2, 3)) > 0) & (labels[:, :, 0, 0] != UNKNOWN)
    targets = (labels > FULL / 2) & known[:, :, None, None]
    if with_box:
        points = np.stack([_draw_box(t[OBJECT], rng) for t in targets])
        kinds = np.tile([TOP_LEFT, BOTTOM_RIGHT], (len(labels), 1))
        known[:, 1:] = False  # a box means the object
    else:
        clicks = [_draw_point(t[OBJECT], rng) for t in targets]
        known[:, PART] &= [t[PART][y, x] for t, (x, y) in zip(targets, clicks, strict=True)]
        points = np.array([[_to_frame(click), (0, 0)] for click in clicks], np.float32)
        kinds = np.tile([POSITIVE, NO_POINT], (len(labels), 1))
    wanted = np.full(len(labels), OBJECT, np.int64)
    return Questions(points, kinds, None, targets, known, wanted)


def next_questions(questions: Questions, logits: Tensor, rng: np.random.Generator) -> Questions:
    """Return the questions after another click each; ``logits`` (n, h, w) are the last answers.

    Now and then the part or the whole becomes what is wanted, as if the first click had meant it.
    """
    wanted = _draw_wanted(questions, rng)
    asked = replace(questions, masks=logits[:, None], wanted=wanted)
    predicted = (logits > 0).cpu().numpy()
    pairs = zip(predicted, asked.wanted_targets, strict=True)
    found = [_error_point(mask, truth) for mask, truth in pairs]
    points = np.concatenate([questions.points, np.array([[p] for p, _ in found], np.float32)], 1)
    kinds = np.concatenate([questions.kinds, np.array([[kind] for _, kind in found])], 1)
    order = np.argsort(kinds == NO_POINT, axis=1, kind="stable")  # as in the package's prompts
    points = np.take_along_axis(points, order[..., None], 1)
    return replace(asked, points=points, kinds=np.take_along_axis(kinds, order, 1))


def _draw_wanted(questions: Questions, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return what is wanted from now on; what once became the part or the whole stays so."""
    wanted = questions.wanted.copy()
    for i, known in enumerate(questions.known):
        others = [k for k in (PART, WHOLE) if known[k]]
        if wanted[i] == OBJECT and others and rng.random() < SWITCH_PROBABILITY:
            wanted[i] = rng.choice(others)
    return wanted


def _depths(mask: BinaryMask) -> FloatArray:
    """Return how far inside the mask each value is; what is beyond the frame is outside."""
    padded = np.pad(mask.astype(np.uint8), 1)
    distance = cv2.distanceTransform(padded, cv2.DIST_L2, 5)[1:-1, 1:-1]
    return np.asarray(distance, np.float32)


def _error_point(predicted: BinaryMask, truth: BinaryMask) -> tuple[tuple[float, float], int]:
    """Return the innermost point of the largest error, and its kind."""
    missed, extra = _depths(truth & ~predicted), _depths(predicted & ~truth)
    deepest = missed if missed.max() >= extra.max() else extra
    if deepest.max() == 0:
        return (0.0, 0.0), NO_POINT
    y, x = np.unravel_index(int(deepest.argmax()), deepest.shape)
    return _to_frame((int(x), int(y))), POSITIVE if deepest is missed else NEGATIVE


def _draw_point(mask: BinaryMask, rng: np.random.Generator) -> tuple[int, int]:
    """Return a point x, y in the mask: usually far inside, sometimes anywhere."""
    depths = _depths(mask)
    if rng.random() >= ANYWHERE_PROBABILITY:
        depths *= depths > FAR_INSIDE * depths.max()
    weights = depths.ravel().astype(np.float64)
    index = rng.choice(weights.size, p=weights / weights.sum())
    y, x = divmod(int(index), mask.shape[1])
    return x, y


def _draw_box(mask: BinaryMask, rng: np.random.Generator) -> FloatArray:
    """Return the corners (2, 2) of a box round a mask; some are loose, as users draw them."""
    rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
    corners = np.array([[columns[0], rows[0]], [columns[-1] + 1, rows[-1] + 1]], np.float32)
    if rng.random() < LOOSE_PROBABILITY:
        corners += (corners[1] - corners[0]) * BOX_JITTER * rng.normal(size=(2, 2)).clip(-2, 2)
    limits = np.array(mask.shape[::-1], np.float32)
    return np.asarray(corners.clip(0, limits) * MASK_CELL - 0.5, np.float32)


def _to_frame(point: tuple[int, int]) -> tuple[float, float]:
    """Return the place in the frame of the middle of a mask's value."""
    x, y = point
    return (x + 0.5) * MASK_CELL - 0.5, (y + 0.5) * MASK_CELL - 0.5
