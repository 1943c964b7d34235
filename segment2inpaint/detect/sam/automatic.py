"""Find all objects of a photo by a grid of points.

The method and the thresholds are those of segment_anything's ``SamAutomaticMaskGenerator``.
Unlike there, masks are judged at their size in the model's frame, not at the photo's size.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torchvision.ops import nms

from segment2inpaint.detect.sam.mask_selection import STABILITY_SCORE_OFFSET

POINTS_PER_SIDE = 32  # of the grid
POINTS_PER_SIDE_CPU = 16  # a quarter of the time
POINTS_PER_BATCH = 32  # decoded together
PRED_IOU_THRESH = 0.88  # lowest predicted IoU
STABILITY_SCORE_THRESH = 0.95  # lowest stability score
BOX_NMS_THRESH = 0.7  # IoU of boxes above which two masks are one object
MAX_CANDIDATES = 100

Decode = Callable[[NDArray[np.float64]], tuple[torch.Tensor, torch.Tensor]]
Resize = Callable[[torch.Tensor], torch.Tensor]
Candidate = tuple[torch.Tensor, float]


def candidates(
    decode: Decode,
    resize_to_frame: Resize,
    size: tuple[int, int],
    points_per_side: int = POINTS_PER_SIDE,
    pred_iou_thresh: float = PRED_IOU_THRESH,
    stability_score_thresh: float = STABILITY_SCORE_THRESH,
    box_nms_thresh: float = BOX_NMS_THRESH,
) -> list[Candidate]:
    """Return low-resolution logits (s, s) and predicted IoU of each object, the best first.

    ``decode`` returns logits (n, k, s, s) and predicted IoU (n, k) for points (n, 2), x and y in
    a photo of ``size`` (height, width). ``resize_to_frame`` resizes logits (n, k, s, s) to the
    photo's size in the frame. The thresholds are described at their default values.
    """
    kept: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = []
    points = _grid(points_per_side) * np.array(size[::-1])
    for start in range(0, len(points), POINTS_PER_BATCH):
        low_res, scores = decode(points[start : start + POINTS_PER_BATCH])
        low_res, scores = low_res.flatten(0, 1), scores.flatten()
        kept.append(
            _filter(low_res, scores, resize_to_frame, pred_iou_thresh, stability_score_thresh)
        )
    low_res, scores, boxes = (torch.cat(parts) for parts in zip(*kept, strict=True))
    best = nms(boxes, scores, box_nms_thresh) if len(boxes) else []
    return [(low_res[i], float(scores[i])) for i in best[:MAX_CANDIDATES]]


def _grid(per_side: int) -> NDArray[np.float64]:
    """Return the centres (n, 2) of the cells of the unit square, row by row."""
    line = (np.arange(per_side) + 0.5) / per_side
    x, y = np.meshgrid(line, line)
    return np.stack([x.ravel(), y.ravel()], axis=1)


def _filter(
    low_res: torch.Tensor,
    scores: torch.Tensor,
    resize_to_frame: Resize,
    pred_iou_thresh: float,
    stability_score_thresh: float,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return the masks (n, s, s) above both thresholds, their scores and boxes in the frame."""
    passed, boxes = [], []
    for i in torch.nonzero(scores > pred_iou_thresh).flatten().tolist():
        logits = resize_to_frame(low_res[i][None, None])[0, 0]
        loose = int((logits > -STABILITY_SCORE_OFFSET).sum())
        tight = int((logits > STABILITY_SCORE_OFFSET).sum())
        mask = logits > 0
        if mask.any() and tight >= stability_score_thresh * loose:
            passed.append(i)
            boxes.append(_mask_to_box(mask))
    index = torch.tensor(passed, dtype=torch.long, device=low_res.device)
    corners = torch.tensor(boxes, dtype=torch.float32, device=low_res.device).reshape(-1, 4)
    return low_res[index], scores[index], corners


def _mask_to_box(mask: torch.Tensor) -> tuple[int, int, int, int]:
    """Return first column, first row, last column, last row, as segment_anything does."""
    rows, columns = (torch.nonzero(mask.any(dim=d)).flatten() for d in (1, 0))
    return int(columns[0]), int(rows[0]), int(columns[-1]), int(rows[-1])
