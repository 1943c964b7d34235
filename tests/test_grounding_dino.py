"""Grounding DINO against transformers, and its masks by another detector."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import tiny_detectors
import torch

from segment2inpaint.detect.text.grounding_dino import (
    GroundingDinoDetector,
    normalize_phrase,
    pixel_box,
)
from segment2inpaint.errors import BadPrompt, NothingFound
from segment2inpaint.types import Box, Detection, Image, Prompt, Text


def photo() -> Image:
    """Return a photo that is read-only, as photos from files are."""
    image = tiny_detectors.random_photo(60, 90)
    image.setflags(write=False)
    return image


class BoxSegmenter:
    """A segmenter whose mask is the box itself; it finds nothing in boxes on the left."""

    name = "boxes"
    prompt_types: tuple[type, ...] = (Box,)

    def detect(self, image: Image, prompts: Sequence[Prompt]) -> list[Detection]:
        detections = []
        for box in prompts:
            assert isinstance(box, Box)
            mask = np.zeros(image.shape[:2], bool)
            mask[box.slices] = True
            detections += [Detection(mask, 0.9, 2.0)] * (box.x0 > 25)
        return detections


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_detectors.grounding_dino(tmp_path_factory.mktemp("dino"))


@pytest.fixture(scope="module")
def dino(folder: Path) -> GroundingDinoDetector:
    return GroundingDinoDetector(folder, BoxSegmenter(), "cpu")


@pytest.mark.parametrize("words", ["a dog", "A red Cat ", "dog. cat."])
def test_boxes_and_scores_are_those_of_transformers(
    folder: Path, dino: GroundingDinoDetector, words: str
) -> None:
    from transformers import GroundingDinoForObjectDetection, GroundingDinoProcessor

    model = GroundingDinoForObjectDetection.from_pretrained(folder).eval()
    processor = GroundingDinoProcessor.from_pretrained(folder)
    labels = [w.strip() for w in words.lower().split(".") if w.strip()]
    inputs = processor(images=photo(), text=[labels], return_tensors="pt")
    with torch.inference_mode():
        out = model(**inputs)
        (expected,) = processor.post_process_grounded_object_detection(
            out, inputs["input_ids"], threshold=0.0, target_sizes=[(60, 90)]
        )
    scores, boxes = dino.predict(photo(), [Text(words)])
    np.testing.assert_allclose(scores[0], expected["scores"], atol=1e-6)
    np.testing.assert_allclose(boxes, expected["boxes"], atol=1e-3)


def test_each_text_has_its_own_scores(dino: GroundingDinoDetector) -> None:
    """One run of the model serves all; the words of one text do not count for another."""
    both, _ = dino.predict(photo(), [Text("a dog"), Text("red cat")])
    assert dino.token_spans(["a dog.", "red cat."], 8) == [slice(0, 4), slice(4, 8)]
    together, _ = dino.predict(photo(), [Text("a dog. red cat")])
    assert both.shape == (2, 12)
    np.testing.assert_allclose(both.amax(0), together[0], atol=1e-6)
    assert not torch.equal(both[0], both[1])


@pytest.mark.filterwarnings("error")
def test_words_give_masks_with_the_best_score_first(dino: GroundingDinoDetector) -> None:
    detections = dino.detect(photo(), [Text("a dog", threshold=0.0)])
    assert 0 < len(detections) < 12
    scores = [d.score for d in detections]
    assert scores == sorted(scores, reverse=True)
    assert all(d.edge_uncertainty == 2.0 for d in detections)
    (second,) = dino.detect(photo(), [Text("a dog", threshold=0.0, pick=(2,))])
    assert (second.mask == detections[1].mask).all()
    assert dino.name == "grounding-dino,boxes"


def test_nothing_found_names_the_best_score(dino: GroundingDinoDetector) -> None:
    with pytest.raises(NothingFound, match=r"no 'a dog', 'cat' above 0\.999, the best scores 0\."):
        dino.detect(photo(), [Text("a dog", 0.999), Text("cat", 0.999)])


@pytest.mark.parametrize(
    ("prompts", "message"),
    [
        ([Text("  ")], "has no words"),
        ([Text(" ".join(["dog"] * 50))], "too many words; at most 40 tokens"),
        ([Box(1, 1, 9, 9)], "no text prompt"),
        ([Text("dog", 0.0, (40,))], "pick 40: there are"),
    ],
)
def test_unusable_texts_are_refused(
    dino: GroundingDinoDetector, prompts: list[Prompt], message: str
) -> None:
    with pytest.raises(BadPrompt, match=message):
        dino.detect(photo(), prompts)


def test_phrases_get_the_form_that_the_model_was_trained_on() -> None:
    assert normalize_phrase(" A Dog.  red CAT. ") == "a dog. red cat."


def test_boxes_are_clipped_to_the_photo() -> None:
    assert pixel_box([-3.2, 4.9, 20.1, 99.0], (60, 90)) == Box(0, 4, 21, 60)
    assert pixel_box([95.0, 70.0, 99.0, 80.0], (60, 90)) == Box(89, 59, 90, 60)
