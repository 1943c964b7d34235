"""SAM 3 against transformers: objects by words, and its tracker."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tiny
import tiny_detectors
import torch

from segment2inpaint.detect.sam.sam3 import Sam3Detector, mask_of_logits
from segment2inpaint.errors import BadModel, BadPrompt, NothingFound
from segment2inpaint.types import Box, Image, Text


def photo() -> Image:
    """Return a photo that is read-only, as photos from files are."""
    image = tiny_detectors.random_photo(60, 90)
    image.setflags(write=False)
    return image


@pytest.fixture(scope="module")
def sam3_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_detectors.sam3(tmp_path_factory.mktemp("sam3"), tiny.tokenizer())


def test_masks_are_those_of_transformers(sam3_folder: Path) -> None:
    from transformers import Sam3Model, Sam3Processor

    model = Sam3Model.from_pretrained(sam3_folder).eval()
    processor = Sam3Processor.from_pretrained(sam3_folder)
    inputs = processor(images=photo(), text="dog", return_tensors="pt")
    with torch.inference_mode():
        out = model(**{k: v for k, v in inputs.items() if k != "original_sizes"})
    (expected,) = processor.image_processor.post_process_instance_segmentation(
        out, threshold=0.0, mask_threshold=0.5, target_sizes=[(60, 90)]
    )
    detector = Sam3Detector(sam3_folder, "cpu")
    logits, scores = detector.predict(photo(), ["dog", "a red cat"])
    np.testing.assert_allclose(scores[0], expected["scores"], atol=1e-6)
    np.testing.assert_allclose(logits[0], out.pred_masks[0], rtol=1e-4, atol=1e-4)
    assert not np.allclose(scores[0], scores[1])
    assert len(expected["masks"]) == 8
    for mask_logits, theirs in zip(logits[0], expected["masks"], strict=True):
        assert np.array_equal(mask_of_logits(mask_logits, (60, 90)), theirs)


@pytest.mark.filterwarnings("error")
def test_words_give_masks_above_the_threshold(sam3_folder: Path) -> None:
    detector = Sam3Detector(sam3_folder, "cpu")
    detections = detector.detect(photo(), [Text("dog", 0.0)])
    assert detections[0].mask.shape == (60, 90)
    scores = [d.score for d in detections]
    assert scores == sorted(scores, reverse=True)
    with pytest.raises(NothingFound, match=r"sam3: no 'dog' above 0\.999, the best scores 0\."):
        detector.detect(photo(), [Text("dog", 0.999)])
    with pytest.raises(BadPrompt, match="too long; at most 32 tokens"):
        detector.detect(photo(), [Text("dog " * 40, 0.0)])


def test_boxes_go_to_the_tracker(tmp_path: Path) -> None:
    detector = Sam3Detector(tiny_detectors.sam3_tracker(tmp_path), "cpu")
    (detection,) = detector.detect(photo(), [Box(10, 10, 60, 50)])
    assert detection.mask.shape == (60, 90)


def test_folders_of_other_models_are_refused(tmp_path: Path) -> None:
    folder = tiny_detectors.grounding_dino(tmp_path)
    with pytest.raises(BadModel, match="holds a grounding-dino model, expected SAM 3"):
        Sam3Detector(folder, "cpu")
