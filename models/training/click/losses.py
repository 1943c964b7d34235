"""The losses of the decoder's training.

Masks are logits, targets are shares of pixels in [0, 1]; ``inside`` (h, w) is 1 where the photo is.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

LARGE_SHARE = 0.25  # of the frame; the cross entropy of an object that is this large counts fully
SMALL_SHARE = 0.0075  # of the frame; smaller objects weigh as those of this size
DICE_SMOOTHING = 4.0  # values
SCORE_WEIGHT = 0.5
ALTERNATIVES_WEIGHT = 0.4  # of the masks besides the single answer
TEACHER_WEIGHT = 0.3  # of the published network's masks besides the single answer


def mask_loss(logits: Tensor, targets: Tensor, inside: Tensor) -> Tensor:
    """Return cross entropy plus Dice loss (...) of logits and targets (..., h, w).

    The cross entropy is divided by the object's size, so that small objects count too.
    """
    probability = logits.sigmoid() * inside
    entropy = functional.softplus(logits) - logits * targets
    size = targets.mean((-2, -1)).clamp(SMALL_SHARE, LARGE_SHARE) / LARGE_SHARE
    entropy = (entropy * inside).mean((-2, -1)) / size
    overlap = (probability * targets).sum((-2, -1))
    total = (probability + targets).sum((-2, -1))
    return entropy + 1 - (2 * overlap + DICE_SMOOTHING) / (total + DICE_SMOOTHING)


def iou(logits: Tensor, targets: Tensor, inside: Tensor) -> Tensor:
    """Return the IoU (...) of masks and targets (..., h, w)."""
    predicted, truth = (logits > 0) & (inside > 0), targets > 0.5
    union = (predicted | truth).sum((-2, -1)).clamp(min=1)
    return (predicted & truth).sum((-2, -1)) / union


def single_loss(logits: Tensor, scores: Tensor, targets: Tensor, inside: Tensor) -> Tensor:
    """Return the loss of the single answer: logits and targets (n, h, w), scores (n,)."""
    reached = iou(logits.detach(), targets, inside)
    error = (scores - reached).square()
    return (mask_loss(logits, targets, inside) + SCORE_WEIGHT * error).mean()


def alternatives_loss(
    logits: Tensor, scores: Tensor, targets: Tensor, known: Tensor, inside: Tensor
) -> Tensor:
    """Return the loss of the other masks: the best one for each known target counts.

    ``logits`` (n, k, h, w), ``scores`` (n, k), ``targets`` (n, l, h, w), ``known`` (n, l).
    """
    pairs = mask_loss(logits[:, None], targets[:, :, None], inside)  # (n, l, k)
    best = pairs.argmin(2, keepdim=True)
    chosen = pairs.gather(2, best)[..., 0]
    reached = iou(logits.detach()[:, None], targets[:, :, None], inside).gather(2, best)[..., 0]
    error = (scores.gather(1, best[..., 0]) - reached).square()
    losses = (chosen + SCORE_WEIGHT * error) * known
    return losses.sum() / known.sum().clamp(min=1)


def teacher_loss(logits: Tensor, taught: Tensor, inside: Tensor) -> Tensor:
    """Return how far masks (n, k, h, w) are from those of the published network; 0 if equal."""
    probability = taught.sigmoid()
    return (mask_loss(logits, probability, inside) - mask_loss(taught, probability, inside)).mean()
