"""Choose the mask that a click means among those of the click network.

The network scores its masks by themselves. What stands out tells objects from their parts, and
from what they stand in front of.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from segment2inpaint.detect.builtin.salient_object import SalientObject
from segment2inpaint.networks.click import SINGLE, WHOLE, Answer, ObjectPrompt
from segment2inpaint.types import FloatArray

SURE_SCORE = 0.85  # expected IoU, from which on a mask is taken without another look
MIN_GOOD_SCORE = 0.5  # expected IoU, of a mask that can be a part or a whole
MAX_SCORE_GAP = 0.2  # to the best score, of a mask that can be a part or a whole
MAX_SHARE = 0.5  # of the frame, of a mask that is taken instead of the object
MIN_WHOLE_LEAD = 0.02  # expected IoU, of a whole that is looked at instead of the object
# The agreement with what stands out counts this much beside the expected IoU. The object's mask
# is taken unless another one is better by its handicap.
AGREEMENT_WEIGHT = 0.5
HANDICAPS = np.array([0.0, 0.1, 0.1, 0.15], np.float32)


def guess(answer: Answer, prompt: ObjectPrompt) -> int:
    """Return the index of the mask that the prompt asks for, by the scores alone."""
    if prompt.box or prompt.granularity == "object":
        return SINGLE
    if prompt.granularity == "auto":
        lead = answer.scores[WHOLE] - answer.scores[SINGLE]
        return WHOLE if _is_good(answer)[WHOLE] and lead > MIN_WHOLE_LEAD else SINGLE
    return _part_or_whole(answer, is_part=prompt.granularity == "part")


def rate(answer: Answer, salient: SalientObject) -> FloatArray:
    """Return the rating of each mask: its expected IoU, and its agreement with what stands out.

    Masks that cannot be the object are rated minus infinity.
    """
    agreements = np.array([salient.agreement(logits) for logits in answer.logits], np.float32)
    values = answer.scores + AGREEMENT_WEIGHT * agreements - HANDICAPS
    allowed = _is_good(answer)
    allowed[SINGLE] = True
    return np.asarray(np.where(allowed, values, -np.inf))


def _is_good(answer: Answer) -> NDArray[np.bool_]:
    shares = (answer.logits > 0).mean((1, 2))
    return np.asarray((answer.scores > MIN_GOOD_SCORE) & (shares <= MAX_SHARE))


def _part_or_whole(answer: Answer, *, is_part: bool) -> int:
    """Return the index of the smallest or the largest of the good masks."""
    area = (answer.logits > 0).sum((1, 2))
    limit = max(MIN_GOOD_SCORE, answer.scores.max() - MAX_SCORE_GAP)
    good = [i for i in range(len(area)) if answer.scores[i] >= limit and area[i]]
    order = sorted(good or [SINGLE], key=lambda i: int(area[i]))
    return order[0 if is_part else -1]
