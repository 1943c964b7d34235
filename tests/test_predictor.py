"""``Predictor`` against segment-anything's own, and with the built-in detector."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tiny
import tiny_detectors
import torch
from numpy.typing import NDArray
from PIL import Image as Pillow
from segment_anything import SamPredictor
from tiny_detectors import random_photo

from segment2inpaint import Editor, Predictor, mask, remove
from segment2inpaint.detect.sam.original import OriginalSamModel
from segment2inpaint.errors import BadImage, BadOption, BadPrompt

POINT = np.array([[40.5, 30.0]])


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save_sam(tmp_path_factory.mktemp("sam"))


@pytest.fixture(scope="module")
def predictor(checkpoint: Path) -> Predictor:
    predictor = Predictor(str(checkpoint), Editor(device="cpu", cache=False))
    predictor.set_image(random_photo())
    return predictor


@pytest.fixture(scope="module")
def original() -> SamPredictor:
    predictor = SamPredictor(tiny.sam())
    predictor.set_image(random_photo())
    return predictor


@pytest.mark.parametrize("multimask_output", [True, False])
@pytest.mark.parametrize(
    ("points", "labels", "box"),
    [
        (POINT, np.array([1]), None),
        (np.array([[40.0, 30.0], [100.0, 60.0]]), np.array([1, 0]), None),
        (None, None, np.array([10, 10, 80, 70])),
        (POINT, np.array([1]), np.array([10, 10, 80, 70])),
    ],
)
def test_masks_scores_and_logits_are_those_of_sampredictor(
    predictor: Predictor,
    original: SamPredictor,
    points: NDArray[np.float64] | None,
    labels: NDArray[np.int64] | None,
    box: NDArray[np.int64] | None,
    multimask_output: bool,
) -> None:
    found = predictor.predict(points, labels, box, None, multimask_output)
    masks, scores, logits = original.predict(points, labels, box, None, multimask_output)
    assert found.masks.shape == (3 if multimask_output else 1, 90, 140)
    assert found.masks.dtype == np.bool_
    assert np.array_equal(found.masks, masks)
    assert np.allclose(found.scores, scores, atol=1e-5)
    assert found.logits is not None
    assert np.allclose(found.logits, logits, atol=1e-4)


def test_a_prediction_starts_from_the_logits_of_an_earlier_one(
    predictor: Predictor, original: SamPredictor
) -> None:
    logits = predictor.predict(POINT, [1]).logits
    assert logits is not None
    again = predictor.predict(POINT, [1], mask_input=logits[1:2], multimask_output=False)
    expected = original.predict(POINT, np.array([1]), None, logits[1:2], False)
    assert np.array_equal(again.masks, expected[0])
    with pytest.raises(BadPrompt, match=r"mask_input: sam expects logits of shape .* got \(3"):
        predictor.predict(POINT, [1], mask_input=logits)


def test_the_photo_is_embedded_only_once(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = []
    embed = OriginalSamModel.embed
    monkeypatch.setattr(
        OriginalSamModel, "embed", lambda self, i: (runs.append(len(i)), embed(self, i))[1]
    )
    predictor = Predictor(str(checkpoint), Editor(device="cpu", cache=False))
    predictor.set_image(Pillow.fromarray(random_photo(seed=3)))
    assert runs == [1]
    for point in ((20, 20), (40, 30), (60, 60)):
        predictor.predict([point])
    assert runs == [1]
    predictor.set_image(random_photo(seed=4))
    assert runs == [1, 1]


def test_sam_2_predicts_several_masks_too(tmp_path: Path) -> None:
    folder = tiny_detectors.sam2(tmp_path / "sam2")
    predictor = Predictor(str(folder), Editor(device="cpu", cache=False))
    predictor.set_image(random_photo())
    masks, scores, logits = predictor.predict(POINT, [1])
    assert masks.shape == (3, 90, 140)
    assert scores.shape == (3,)
    assert logits is not None
    assert len(logits) == 3
    assert len(predictor.predict(POINT, [1], multimask_output=False).masks) == 1


def test_arguments_are_those_of_sampredictor_and_labels_may_be_left_out(
    predictor: Predictor,
) -> None:
    named = predictor.predict(point_coords=POINT, point_labels=np.array([1]))
    assert np.array_equal(named.masks, predictor.predict([(40.5, 30)]).masks)
    assert np.array_equal(named.masks, predictor.predict(torch.tensor(POINT)).masks)


def scene() -> NDArray[np.uint8]:
    """A red block on grainy grey."""
    image = np.random.default_rng(0).normal(128, 9, (96, 128, 3)).clip(0, 255).astype(np.uint8)
    image[40:60, 50:70] = (220, 30, 20)
    return image


def test_the_first_mask_of_the_builtin_detector_is_that_of_mask() -> None:
    predictor = Predictor("builtin")
    predictor.set_image(scene())
    masks, scores, logits = predictor.predict([(60, 50)])
    assert masks.shape[1:] == (96, 128)
    assert 1 <= len(masks) == len(scores) <= 3
    assert np.array_equal(masks[scores.argmax()], mask(scene(), (60, 50), detector="builtin"))
    assert scores.dtype == np.float32
    assert scores.max() == scores[0] == 1
    assert logits is None
    (single,) = predictor.predict([(60, 50)], multimask_output=False).masks
    assert np.array_equal(single, masks[0])
    result = remove(scene(), masks[0], inpainter="telea", verify=False)
    assert np.array_equal(result.mask, masks[0])


def test_the_builtin_detector_gives_different_masks_for_parts_and_the_whole() -> None:
    image = scene()
    image[46:54, 56:64] = (20, 30, 220)  # a part
    predictor = Predictor("builtin")
    predictor.set_image(image)
    masks, scores, _ = predictor.predict([(60, 50)])
    assert len(masks) > 1
    assert len({int(each.sum()) for each in masks}) == len(masks)
    assert (scores[1:] < 1).all()


def test_the_builtin_detector_takes_a_box_with_points() -> None:
    predictor = Predictor("builtin")
    predictor.set_image(scene())
    boxed = predictor.predict(box=(45, 35, 75, 65))
    assert np.array_equal(boxed.masks[0], mask(scene(), (45, 35, 75, 65), detector="builtin"))
    both = predictor.predict([(60, 50), (47, 37)], [1, 0], (45, 35, 75, 65), multimask_output=False)
    assert both.masks[0, 50, 60]
    assert not both.masks[0, 37, 47]
    with pytest.raises(BadPrompt, match="a point on the object is outside its box"):
        predictor.predict([(5, 5)], [1], (45, 35, 75, 65))


@pytest.mark.parametrize("detector", ["builtin", "sam"])
def test_wrong_calls_are_one_line(detector: str, checkpoint: Path) -> None:
    name = str(checkpoint) if detector == "sam" else detector
    predictor = Predictor(name, Editor(device="cpu", cache=False))
    with pytest.raises(BadOption, match=r"call set_image\(image\) first"):
        predictor.predict(POINT, [1])
    predictor.set_image(scene())
    with pytest.raises(BadPrompt, match="no prompt given; give point_coords, box or both"):
        predictor.predict()
    with pytest.raises(BadPrompt, match="point_labels: expected point_coords too"):
        predictor.predict(None, [1])
    with pytest.raises(BadPrompt, match="point 500,5 is outside the photo of 128 x 96 px"):
        predictor.predict([(500, 5)])
    with pytest.raises(BadImage, match="expected a path"):
        predictor.set_image(None)  # type: ignore[arg-type]
    predictor.reset_image()
    with pytest.raises(BadOption, match="no image is set"):
        predictor.predict(POINT)


def test_the_builtin_detector_refuses_logits() -> None:
    predictor = Predictor("builtin")
    predictor.set_image(scene())
    with pytest.raises(BadPrompt, match="mask_input: builtin takes none"):
        predictor.predict([(60, 50)], mask_input=np.zeros((1, 256, 256), np.float32))
