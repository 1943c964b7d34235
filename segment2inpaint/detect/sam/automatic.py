"""All objects of a photo by a grid of clicks, as segment_anything's automatic generator does it.

The thresholds are its own. Masks are judged at the network's frame, not at the photo's size.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torchvision.ops import nms

from segment2inpaint.detect.sam.mask_selection import OFFSET

PER_SIDE = 32  # clicks a row and a column
FEWER = 16  # where there is no GPU: a quarter of the time
AT_ONCE = 32  # clicks decoded together
SCORE = 0.88  # predicted IoU, the least
STABILITY = 0.95  # the least
MOST = 100  # candidates
OVERLAP = 0.7  # IoU of boxes above which two masks are one

Decode = Callable[[NDArray[np.float64]], tuple[torch.Tensor, torch.Tensor]]
Candidate = tuple[torch.Tensor, float]


def candidates(
    decode: Decode,
    framed: Callable[[torch.Tensor], torch.Tensor],
    size: tuple[int, int],
    per_side: int = PER_SIDE,
    score: float = SCORE,
    stability: float = STABILITY,
    overlap: float = OVERLAP,
) -> list[Candidate]:
    """Low-resolution logits (s, s) and predicted IoU of each mask, the best first.

    ``decode`` gives logits (n, k, s, s) and scores (n, k) for clicks (n, 2) on the photo of
    ``size``; ``framed`` brings logits (n, k, s, s) to the frame.
    """
    kept: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = []
    points = _grid(per_side) * np.array(size[::-1])
    for start in range(0, len(points), AT_ONCE):
        low, scores = decode(points[start : start + AT_ONCE])
        kept.append(_sound(low.flatten(0, 1), scores.flatten(), framed, score, stability))
    low, scores, boxes = (torch.cat(parts) for parts in zip(*kept, strict=True))
    best = nms(boxes, scores, overlap) if len(boxes) else []
    return [(low[i], float(scores[i])) for i in best[:MOST]]


def _grid(per_side: int) -> NDArray[np.float64]:
    """Points (n, 2) in the middle of the cells of the unit square, row by row."""
    line = (np.arange(per_side) + 0.5) / per_side
    x, y = np.meshgrid(line, line)
    return np.stack([x.ravel(), y.ravel()], axis=1)


def _sound(
    low: torch.Tensor,
    scores: torch.Tensor,
    framed: Callable[[torch.Tensor], torch.Tensor],
    score: float,
    stability: float,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Of the masks (n, s, s): those that pass, their scores, their boxes in the frame."""
    good, boxes = [], []
    for i in torch.nonzero(scores > score).flatten().tolist():
        frame = framed(low[i][None, None])[0, 0]
        loose = int((frame > -OFFSET).sum())
        mask = frame > 0
        if not mask.any() or int((frame > OFFSET).sum()) < stability * loose:
            continue
        good.append(i)
        boxes.append(_box(mask))
    where = torch.tensor(good, dtype=torch.long, device=low.device)
    corners = torch.tensor(boxes, dtype=torch.float32, device=low.device).reshape(-1, 4)
    return low[where], scores[where], corners


def _box(mask: torch.Tensor) -> tuple[int, int, int, int]:
    """First and last column and row, as segment_anything's ``batched_mask_to_box``."""
    rows, columns = (torch.nonzero(mask.any(dim=d)).flatten() for d in (1, 0))
    return int(columns[0]), int(rows[0]), int(columns[-1]), int(rows[-1])
