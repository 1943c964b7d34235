"""All objects of a photo by a grid of points, against segment_anything's generator."""

from __future__ import annotations

import numpy as np
import pytest
import tiny
import torch
from segment_anything import SamAutomaticMaskGenerator
from tiny_detectors import random_photo

from segment2inpaint.detect.sam import automatic
from segment2inpaint.detect.sam.model import PromptTensors
from segment2inpaint.detect.sam.original import OriginalSamModel


def test_candidates_are_the_masks_of_segment_anything() -> None:
    """On a photo that fills the frame without scaling."""
    image, size = random_photo(256, 256), (256, 256)
    model = OriginalSamModel(tiny.sam(), "cpu")
    generator = SamAutomaticMaskGenerator(
        tiny.sam(),
        points_per_side=4,
        pred_iou_thresh=-9,
        stability_score_thresh=-9,
        box_nms_thresh=1.0,
    )
    expected = generator.generate(image)
    with torch.inference_mode():
        (embedding,) = model.embed([image])

        def decode(points: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
            xy = torch.as_tensor(points[:, None], dtype=torch.float32)
            return model.decode(embedding, PromptTensors(xy, torch.ones(len(xy), 1)), True)

        found = automatic.candidates(
            decode, lambda logits: model.resize_to_frame(logits, size), size, 4, -9.0, -9.0, 1.0
        )
        masks = [model.resize_to_photo(low_res[None, None], size)[0, 0] > 0 for low_res, _ in found]
    assert len(expected) == len(found) > 1
    for mask, (_, score), theirs in zip(masks, found, expected, strict=True):
        assert score == pytest.approx(theirs["predicted_iou"], abs=1e-5)
        assert (mask.numpy() != theirs["segmentation"]).mean() < 1e-3


def test_each_good_object_is_kept_once() -> None:
    """Each of two discs is found by many points; masks of low score or soft edge are dropped."""
    y, x = np.mgrid[:64, :64]
    discs = [9 - np.hypot(x - cx, y - 20) for cx in (16, 48)]

    def decode(points: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        hard = [20 * discs[int(px > 32)] for px, _ in points]
        soft = [0.1 * disc for disc in hard]
        logits = torch.tensor(np.stack([hard, soft, hard], axis=1), dtype=torch.float32)
        return logits, torch.tensor([[0.9 + float(px) / 1000, 0.95, 0.5] for px, _ in points])

    found = automatic.candidates(decode, lambda logits: logits, (64, 64), 6)
    assert len(found) == 2
    for (logits, score), disc in zip(found, reversed(discs), strict=True):
        assert score > 0.9
        assert ((logits > 0).numpy() == (disc > 0)).all()
