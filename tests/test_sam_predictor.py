"""The detector for promptable models: caching, refinement, unusual prompts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import tiny
import torch
from tiny_detectors import random_photo

from segment2inpaint.detect.sam.embeddings import Embedding, EmbeddingCache
from segment2inpaint.detect.sam.original import OriginalSamModel, SamDetector
from segment2inpaint.detect.sam.predictor import MaskPrediction, PromptableDetector
from segment2inpaint.errors import BadPrompt
from segment2inpaint.types import Box, Everything, Image, Points, Prompt, Text


@pytest.fixture(scope="module")
def sam(tmp_path_factory: pytest.TempPathFactory) -> SamDetector:
    return SamDetector(tiny.save_sam(tmp_path_factory.mktemp("sam")), "cpu")


class RecordingModel(OriginalSamModel):
    """Records how many photos each run of the encoder embeds."""

    def __init__(self) -> None:
        super().__init__(tiny.sam(), "cpu")
        self.runs: list[int] = []

    def embed(self, images: Sequence[Image]) -> list[Embedding]:
        self.runs.append(len(images))
        return super().embed(images)


def test_prepared_photos_are_not_embedded_again(tmp_path: Path) -> None:
    model = RecordingModel()
    detector = PromptableDetector(model, EmbeddingCache(tmp_path, model.variant))
    images = [random_photo(seed=seed) for seed in (11, 12, 13)]
    detector.prepare(images)
    for image in images:
        detector.detect(image, [Points(((40, 30),))])
    assert model.runs == [3]


def test_an_embedding_is_reused_for_the_same_pixels_only(tmp_path: Path) -> None:
    model = RecordingModel()
    detector = PromptableDetector(model, EmbeddingCache(tmp_path, model.variant))
    prompt = [Points(((40, 30),))]
    detector.detect(random_photo(), prompt)
    detector.detect(random_photo().copy(), [Box(10, 10, 50, 50)])
    assert model.runs == [1]
    detector.detect(random_photo(seed=1), prompt)
    detector.detect(random_photo().reshape(140, 90, 3), prompt)
    assert model.runs == [1, 1, 1]


def test_a_refined_mask_must_show_the_same_object_and_be_no_worse() -> None:
    def predict(width: int, score: float = 0.9, fits: bool = True) -> MaskPrediction:
        logits = torch.full((10, 10), -1.0)
        logits[:, :width] = 1
        return MaskPrediction(logits, score, fits)

    first = predict(10)
    assert predict(8).refines(first)
    assert not predict(3).refines(first)
    assert not predict(10, 0.8).refines(first)
    assert not predict(10, fits=False).refines(first)


@pytest.mark.parametrize(
    "prompts",
    [
        [Points(tuple((i % 140, i % 90) for i in range(200)))],
        [Points(((0, 0),))],
        [Points(((139, 89),), ((0, 89),))],
        [Box(-50, -50, 500, 500)],
        [Box(139, 89, 140, 90)],
        [Box(i, i, i + 40, i + 40) for i in range(40)],
    ],
)
def test_unusual_prompts_are_supported(sam: SamDetector, prompts: list[Prompt]) -> None:
    detections = sam.detect(random_photo(), prompts)
    assert len(detections) <= len(prompts)
    assert all(detection.mask.shape == (90, 140) for detection in detections)


def test_unsupported_prompts_are_refused(sam: SamDetector) -> None:
    with pytest.raises(BadPrompt, match="cannot use text, it takes points and boxes and masks"):
        sam.detect(random_photo(), [Text("a dog")])
    with pytest.raises(BadPrompt, match="everything cannot be combined with other prompts"):
        sam.detect(random_photo(), [Everything(), Box(1, 1, 9, 9)])
