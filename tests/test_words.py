"""Objects by words: Grounding DINO with another's masks, and SAM 3."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import tiny
import tiny_detectors
import torch

from segment2inpaint.detect.sam.transformers import Sam3Detector, _bits
from segment2inpaint.detect.text.grounding_dino import GroundingDinoDetector, _box, _phrase
from segment2inpaint.detect.text_selection import select, text_matches
from segment2inpaint.errors import BadModel, BadPrompt, NothingFound
from segment2inpaint.types import Box, Detection, Image, Points, Prompt, Text


def photo(height: int = 60, width: int = 90, seed: int = 0) -> Image:
    """Read-only, as photos are that come from files."""
    made = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    made.setflags(write=False)
    return made


class Boxes:
    """A segmenter whose mask is the box itself; it finds nothing in those on the left."""

    name = "boxes"
    prompt_types: tuple[type, ...] = (Box,)

    def detect(self, image: Image, prompts: Sequence[Prompt]) -> list[Detection]:
        found = []
        for box in prompts:
            assert isinstance(box, Box)
            bits = np.zeros(image.shape[:2], bool)
            bits[box.slices] = True
            found += [Detection(bits, 0.9, 2.0)] * (box.x0 > 25)
        return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_detectors.grounding_dino(tmp_path_factory.mktemp("dino"))


@pytest.fixture(scope="module")
def dino(folder: Path) -> GroundingDinoDetector:
    return GroundingDinoDetector(folder, Boxes(), "cpu")


@pytest.fixture(scope="module")
def sam3_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_detectors.sam3(tmp_path_factory.mktemp("sam3"), tiny.tokenizer())


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
        scores, corners = dino._read(photo(), [Text(words)])
    np.testing.assert_allclose(scores[0], expected["scores"], atol=1e-6)
    np.testing.assert_allclose(corners, expected["boxes"], atol=1e-3)


def test_each_text_has_its_own_scores(dino: GroundingDinoDetector) -> None:
    """One pass for all; the words of one do not count for another."""
    texts = [Text("a dog"), Text("red cat")]
    with torch.inference_mode():
        both, _ = dino._read(photo(), texts)
        assert dino._spans(["a dog.", "red cat."], torch.zeros(8)) == [slice(0, 4), slice(4, 8)]
        together, _ = dino._read(photo(), [Text("a dog. red cat")])
    assert both.shape == (2, 12)
    np.testing.assert_allclose(both.amax(0), together[0], atol=1e-6)
    assert not torch.equal(both[0], both[1])


@pytest.mark.filterwarnings("error")
def test_words_to_masks(dino: GroundingDinoDetector) -> None:
    masks = dino.detect(photo(), [Text("a dog", threshold=0.0)])
    assert 0 < len(masks) < 12
    assert [m.score for m in masks] == sorted((m.score for m in masks), reverse=True)
    assert all(m.edge_uncertainty == 2.0 for m in masks)
    (second,) = dino.detect(photo(), [Text("a dog", threshold=0.0, pick=(2,))])
    assert (second.mask == masks[1].mask).all()
    assert dino.name == "grounding-dino,boxes"


def test_nothing_found_tells_the_best_score(dino: GroundingDinoDetector) -> None:
    with pytest.raises(NothingFound, match=r"no 'a dog', 'cat' above 0\.999, the best scores 0\."):
        dino.detect(photo(), [Text("a dog", 0.999), Text("cat", 0.999)])


@pytest.mark.parametrize(
    ("prompts", "message"),
    [
        ([Text("  ")], "has no words"),
        ([Text(" ".join(["dog"] * 50))], "more than 40 tokens"),
        ([Box(1, 1, 9, 9)], "no text prompt"),
        ([Text("dog", 0.0, (40,))], "pick 40: there are"),
    ],
)
def test_texts_it_cannot_use(
    dino: GroundingDinoDetector, prompts: list[Prompt], message: str
) -> None:
    with pytest.raises(BadPrompt, match=message):
        dino.detect(photo(), prompts)


def test_as_the_network_was_trained() -> None:
    assert _phrase(" A Dog.  red CAT. ") == "a dog. red cat."


def test_boxes_stay_in_the_photo() -> None:
    assert _box([-3.2, 4.9, 20.1, 99.0], (60, 90)) == Box(0, 4, 21, 60)
    assert _box([95.0, 70.0, 99.0, 80.0], (60, 90)) == Box(89, 59, 90, 60)


# --- SAM 3 ------------------------------------------------------------------------------------


def test_masks_are_those_of_sam3(sam3_folder: Path) -> None:
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
    with torch.inference_mode():
        low, scores = detector._read(photo(), ["dog", "a red cat"])
    np.testing.assert_allclose(scores[0], expected["scores"], atol=1e-6)
    np.testing.assert_allclose(low[0], out.pred_masks[0], rtol=1e-4, atol=1e-4)
    assert not np.allclose(scores[0], scores[1])
    assert len(expected["masks"]) == 8
    for mask, known in zip(low[0], expected["masks"], strict=True):
        assert np.array_equal(_bits(mask, (60, 90)), known)


@pytest.mark.filterwarnings("error")
def test_sam3_takes_words_with_a_threshold(sam3_folder: Path) -> None:
    detector = Sam3Detector(sam3_folder, "cpu")
    masks = detector.detect(photo(), [Text("dog", 0.0)])
    assert masks[0].mask.shape == (60, 90)
    assert [m.score for m in masks] == sorted((m.score for m in masks), reverse=True)
    with pytest.raises(NothingFound, match=r"sam3: no 'dog' above 0\.999, the best scores 0\."):
        detector.detect(photo(), [Text("dog", 0.999)])
    with pytest.raises(BadPrompt, match="too long, at most 32 tokens"):
        detector.detect(photo(), [Text("dog " * 40, 0.0)])


def test_sam3_takes_clicks_by_its_tracker(tmp_path: Path) -> None:
    detector = Sam3Detector(tiny_detectors.sam3_tracker(tmp_path), "cpu")
    (mask,) = detector.detect(photo(), [Box(10, 10, 60, 50)])
    assert mask.mask.shape == (60, 90)


def test_sam3_is_nothing_else(folder: Path) -> None:
    with pytest.raises(BadModel, match="a grounding-dino model, not SAM 3"):
        Sam3Detector(folder, "cpu")


# --- which are kept ---------------------------------------------------------------------------


def scores(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


def test_each_text_has_its_threshold() -> None:
    texts = [Text("dog", 0.5), Text("cat")]
    found = text_matches("x", texts, [scores(0.6, 0.4), scores(0.2, 0.35)], 0.3)
    assert [(f.text, f.candidate) for f in found] == [(0, 0), (1, 1)]


def test_the_best_rejected_score_is_told_for_no_candidates_too() -> None:
    with pytest.raises(NothingFound, match=r"no 'dog' above 0\.3, the best scores 0\.000"):
        text_matches("x", [Text("dog")], [scores()], 0.3)


def test_boxes_and_points_say_which_objects_are_meant() -> None:
    masks = []
    for x in (0, 20, 40):
        bits = np.zeros((20, 60), bool)
        bits[5:15, x + 2 : x + 18] = True
        masks.append(Detection(bits))
    left, middle, right = masks
    dog = Text("dog")
    assert select(masks, [dog]) == masks
    assert select(masks, [dog, Box(0, 0, 30, 20)]) == [left]
    assert select(masks, [dog, Points(((30, 10),))]) == [middle]
    assert select(masks, [dog, Points((), ((30, 10),))]) == [left, right]
    assert select(masks, [Text("dog", pick=(3,))]) == [right]
    assert select(masks, [Text("dog", pick=(2,)), Box(10, 0, 60, 20)]) == [right]
