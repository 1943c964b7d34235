"""Compare the click network's masks with what stands out, and add that to a mask that agrees.

The click network knows which object is meant; the saliency network knows better how far a whole
object reaches.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from segment2inpaint.networks.click import CELL, MASK_CELL, Embedding, ObjectPrompt
from segment2inpaint.networks.letterbox import Letterbox, sigmoid
from segment2inpaint.networks.onnx import Network
from segment2inpaint.networks.saliency import SaliencyMap, predict_saliency
from segment2inpaint.types import Box, FloatArray, Image

MARGIN = 0.25  # of an object's long side, on each side of the window in which it may stand out
MIN_MARGIN = 8  # px, added to it
MAX_LOG_ODDS = 4.0  # of the click network; clipped to +- this
MIN_AGREEMENT = 0.5  # soft IoU of the salient and the clicked probability
# In a box, the weight of what stands out rises from 0 to 1 over this range.
BOX_SHARE_RANGE = (0.7, 0.9)  # fraction of the salient probability that lies in the user's box


@dataclass(frozen=True, eq=False)
class SalientObject:
    """The salient object round an object: its map, and its log-odds (h, w) in a frame."""

    saliency: SaliencyMap
    log_odds: FloatArray

    def add_to(self, logits: FloatArray, prompt: ObjectPrompt) -> FloatArray:
        """Return an answer's logits (h, w) with those of the salient object added."""
        if prompt.box:
            weight = _ramp(_share_in_box(self.saliency, prompt.box), *BOX_SHARE_RANGE)
        else:
            weight = float(self.agreement(logits) >= MIN_AGREEMENT)
        return np.clip(logits, -MAX_LOG_ODDS, MAX_LOG_ODDS) + weight * self.log_odds

    def agreement(self, logits: FloatArray) -> float:
        """Return the soft IoU with an answer where something may be salient."""
        seen = self.log_odds != 0
        one, other = sigmoid(logits)[seen], sigmoid(self.log_odds)[seen]
        return float(np.minimum(one, other).sum() / max(np.maximum(one, other).sum(), 1e-6))


def find_salient_object(
    image: Image, embedding: Embedding, box: Box, network: Network
) -> SalientObject:
    """Return what stands out around a box of the photo, with the saliency network."""
    long = max(box.width, box.height)
    window = box.expand(MIN_MARGIN + round(MARGIN * long), (image.shape[0], image.shape[1]))
    saliency = predict_saliency(image, window, network)
    letterbox = embedding.letterbox
    size = -(-letterbox.size[0] // MASK_CELL), -(-letterbox.size[1] // MASK_CELL)
    height, width = (side * CELL // MASK_CELL for side in embedding.values.shape[2:])
    log_odds = np.zeros((height, width), np.float32)
    log_odds[: size[0], : size[1]] = saliency.log_odds(letterbox.window, size)
    return SalientObject(saliency, log_odds)


def _share_in_box(saliency: SaliencyMap, box: Box) -> float:
    """Return the fraction of the salient probability that lies in the box."""
    salient = saliency.probability()
    size = salient.shape[0], salient.shape[1]
    inside = salient[Letterbox(saliency.window, size).box_to_input(box).slices].sum()
    return float(inside / max(salient.sum(), 1e-6))


def _ramp(value: float, low: float, high: float) -> float:
    """Map ``low`` to 0 and ``high`` to 1, linearly, clipped to [0, 1]."""
    return min(max((value - low) / (high - low), 0.0), 1.0)
