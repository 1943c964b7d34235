"""SAM against the predictor of segment_anything, and its detector."""

from __future__ import annotations

import numpy as np
import pytest
import tiny
import torch
from segment_anything import SamPredictor
from tiny_detectors import random_photo

from segment2inpaint.detect.sam.original import OriginalSamModel, SamDetector
from segment2inpaint.detect.sam.prompt_tensors import PromptedObject, prompt_tensors
from segment2inpaint.errors import BadImage, BadPrompt
from segment2inpaint.networks.click import ObjectPrompt
from segment2inpaint.types import Box, Points, Prompt, Text


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> SamDetector:
    return SamDetector(tiny.save_sam(tmp_path_factory.mktemp("sam")), "cpu")


@pytest.mark.parametrize("size", [(90, 140), (300, 200), (512, 700)])
@pytest.mark.parametrize(
    "prompt",
    [
        ObjectPrompt(include=((40, 30),)),
        ObjectPrompt(include=((40, 30), (60, 50)), exclude=((10, 80),)),
        ObjectPrompt(box=Box(20, 10, 90, 70)),
        ObjectPrompt(include=((40, 30),), box=Box(20, 10, 90, 70)),
    ],
)
def test_masks_are_those_of_sampredictor(prompt: ObjectPrompt, size: tuple[int, int]) -> None:
    """Number for number, for the single mask and for three masks."""
    image = random_photo(*size)
    theirs = SamPredictor(tiny.sam())
    theirs.set_image(image)
    points = [*prompt.include, *prompt.exclude]
    their_prompt = {
        "point_coords": np.array(points) if points else None,
        "point_labels": np.repeat([1, 0], [len(prompt.include), len(prompt.exclude)]),
        "box": np.array(prompt.box) if prompt.box else None,
    }
    model = OriginalSamModel(tiny.sam(), "cpu")
    tensors = prompt_tensors(model, [PromptedObject(prompt)], size)
    with torch.inference_mode():
        (embedding,) = model.embed([image])
        for multimask in (False, True):
            masks, scores, low_res = theirs.predict(**their_prompt, multimask_output=multimask)
            got, got_scores = model.decode(embedding, tensors, multimask)
            assert np.array_equal(got[0], low_res)
            assert np.array_equal(got_scores[0], scores)
            assert np.array_equal(model.resize_to_photo(got, size)[0] > 0, masks)


def test_a_mask_as_prompt_gives_the_mask_of_sampredictor() -> None:
    image, prompt = random_photo(), ObjectPrompt(include=((40, 30),))
    size = image.shape[0], image.shape[1]
    theirs = SamPredictor(tiny.sam())
    theirs.set_image(image)
    click = {"point_coords": np.array(prompt.include), "point_labels": np.array([1])}
    _, _, low_res = theirs.predict(**click)
    expected, _, expected_low_res = theirs.predict(
        **click, mask_input=low_res[:1], multimask_output=False
    )
    model = OriginalSamModel(tiny.sam(), "cpu")
    with torch.inference_mode():
        (embedding,) = model.embed([image])
        start = torch.as_tensor(low_res[:1])[None]
        tensors = prompt_tensors(model, [PromptedObject(prompt)], size, start)
        got, _ = model.decode(embedding, tensors, False)
    assert np.array_equal(got[0], expected_low_res)
    assert np.array_equal(model.resize_to_photo(got, size)[0] > 0, expected)


def test_each_object_has_a_detection(detector: SamDetector) -> None:
    image = random_photo()
    before = image.copy()
    prompts = [Points(((40, 30),)), Box(60, 20, 120, 80), Points((), ((5, 5),))]
    detections = detector.detect(image, prompts)
    assert len(detections) == 2
    assert all(d.mask.shape == (90, 140) and d.mask.any() for d in detections)
    assert all(0 <= d.score <= 1 for d in detections)
    assert detections[0].edge_uncertainty == pytest.approx(1.25 * 140 / 64)
    assert np.array_equal(image, before)


def test_objects_do_not_affect_each_other(detector: SamDetector) -> None:
    first, second = Points(((40, 30),)), Points(((100, 60),))
    together = detector.detect(random_photo(), [first, second])
    alone = [detector.detect(random_photo(), [prompt])[0] for prompt in (first, second)]
    for a, b in zip(together, alone, strict=True):
        assert np.array_equal(a.mask, b.mask)


@pytest.mark.parametrize(
    "prompts", [[], [Text("dog")], [Points((), ((1, 1),))], [Points(((500, 1),))]]
)
def test_unusable_prompts_are_refused(detector: SamDetector, prompts: list[Prompt]) -> None:
    with pytest.raises(BadPrompt):
        detector.detect(random_photo(), prompts)


def test_photos_too_thin_for_the_model_are_refused(detector: SamDetector) -> None:
    with pytest.raises(BadImage, match="too thin"):
        detector.detect(random_photo(1, 600), [Points(((3, 0),))])


def test_photos_may_be_views_with_negative_strides(detector: SamDetector) -> None:
    view = random_photo()[:, ::-1]
    prompt = [Points(((40, 30),))]
    got, expected = detector.detect(view, prompt), detector.detect(view.copy(), prompt)
    assert np.array_equal(got[0].mask, expected[0].mask)
