"""The saliency network's map, and how much it counts for a click or a box."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from fake_networks import OUTPUT_SIDE, iou

from segment2inpaint.detect.builtin.detector import BuiltinDetector
from segment2inpaint.networks import saliency
from segment2inpaint.networks.click import (
    ClickPrediction,
    ObjectPrompt,
    fit_letterbox,
    with_saliency,
)
from segment2inpaint.networks.onnx import shipped_network
from segment2inpaint.networks.saliency import (
    INPUT_SIDE,
    PIXEL_MEAN,
    PIXEL_STD,
    SaliencyMap,
    predict_saliency,
)
from segment2inpaint.types import BinaryMask, Box, FloatArray, Image, Points

SIZE = 300, 400
WHOLE = Box(0, 0, 400, 300)
OBJECT = Box(150, 100, 250, 200)
CLICK = ObjectPrompt(((155, 105),))


def box_mask(box: Box) -> BinaryMask:
    mask = np.zeros(SIZE, np.bool_)
    mask[box.slices] = True
    return mask


def photo(*boxes: Box) -> Image:
    """Return a photo of grey noise with red boxes."""
    image = np.random.default_rng(0).integers(80, 110, (*SIZE, 3), np.uint8)
    for box in boxes:
        image[box.slices] = (200, 60, 40)
    return image


def red_stands_out(planes: FloatArray) -> FloatArray:
    """Return saliency logits, (1, INPUT_SIDE, INPUT_SIDE): 6 where the photo is red, else -6."""
    red, green = (planes[i] * PIXEL_STD[i] + PIXEL_MEAN[i] for i in (0, 1))
    logits: FloatArray = np.where(red > green + 0.3, 6, -6).astype(np.float32)[None]
    return logits


def prediction_of(mask: BinaryMask) -> ClickPrediction:
    """Return a prediction for the whole photo: likely in ``mask``, unlikely in the rest of OBJECT,
    very unlikely elsewhere."""
    letterbox = fit_letterbox(WHOLE)
    logits = np.full((2, OUTPUT_SIDE, OUTPUT_SIDE), -9, np.float32)
    height, width = (side // 2 for side in letterbox.size)
    unlikely, likely = (
        cv2.resize(part.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA)
        for part in (box_mask(OBJECT), mask)
    )
    logits[:, :height, :width] = np.maximum(-9 + 6 * unlikely, -9 + 14 * likely)
    return ClickPrediction(letterbox, logits)


def test_network_gets_the_window_as_a_square_with_normalised_colours() -> None:
    inputs: list[FloatArray] = []

    def record(planes: FloatArray) -> FloatArray:
        inputs.append(planes)
        return np.zeros((1, INPUT_SIDE, INPUT_SIDE), np.float32)

    image = np.zeros((*SIZE, 3), np.uint8)
    window = Box(40, 20, 340, 120)
    image[window.slices] = (255, 128, 0)
    assert predict_saliency(image, window, record).window == window
    (planes,) = inputs
    assert planes.shape == (3, INPUT_SIDE, INPUT_SIDE)
    assert planes.dtype == np.float32
    expected = (np.array([1, 128 / 255, 0]) - PIXEL_MEAN) / PIXEL_STD
    np.testing.assert_allclose(
        planes, np.broadcast_to(expected[:, None, None], planes.shape), atol=1e-5
    )


def test_log_odds_are_clipped_and_zero_outside_the_window() -> None:
    logits = np.full((INPUT_SIDE, INPUT_SIDE), -50, np.float32)
    logits[: INPUT_SIDE // 2] = 50
    log_odds = SaliencyMap(Box(100, 100, 200, 200), logits, 0.5).log_odds(WHOLE, SIZE)
    weight = 0.5 * saliency.LOG_ODDS_WEIGHT
    assert np.allclose(log_odds[102:148, 102:198], weight * saliency.MAX_LOG_ODDS)
    assert np.allclose(log_odds[152:198, 102:198], weight * saliency.MIN_LOG_ODDS)
    log_odds[100:200, 100:200] = 0
    assert not log_odds.any()


@pytest.mark.parametrize(
    ("predicted", "weight"),
    [
        (OBJECT, 1),
        (Box(150, 100, 175, 140), 0.5),
        (Box(150, 100, 160, 110), 0),
        (WHOLE, 0),
    ],
)
def test_weight_for_a_click_grows_with_the_overlap_of_prediction_and_map(
    predicted: Box, weight: float
) -> None:
    prediction = prediction_of(box_mask(predicted))
    combined = with_saliency(photo(OBJECT), prediction, CLICK, red_stands_out)
    assert combined.saliency is not None
    assert combined.saliency.weight == pytest.approx(weight, abs=0.1)


@pytest.mark.parametrize(
    ("box", "weight"),
    [(OBJECT.expand(4, SIZE), 1), (Box(150, 100, 185, 200), 0), (Box(30, 30, 90, 90), 0)],
)
def test_weight_for_a_box_grows_with_the_salient_share_inside(box: Box, weight: float) -> None:
    prediction = prediction_of(box_mask(box))
    combined = with_saliency(photo(OBJECT), prediction, ObjectPrompt(box=box), red_stands_out)
    assert combined.saliency is not None
    assert combined.saliency.weight == pytest.approx(weight, abs=0.1)


def test_prediction_of_a_part_gets_no_saliency() -> None:
    prompt = ObjectPrompt(((155, 105),), granularity="part")
    prediction = prediction_of(box_mask(OBJECT))
    assert with_saliency(photo(OBJECT), prediction, prompt, red_stands_out) is prediction


def test_prediction_without_an_object_gets_no_saliency() -> None:
    prediction = prediction_of(np.zeros(SIZE, np.bool_))
    assert with_saliency(photo(OBJECT), prediction, CLICK, red_stands_out) is prediction


def test_saliency_completes_a_partial_prediction() -> None:
    half = prediction_of(box_mask(Box(150, 100, 215, 200)))
    combined = with_saliency(photo(OBJECT), half, CLICK, red_stands_out)
    for prediction, min_iou in (half, 0.0), (combined, 0.95):
        mask = prediction.log_odds(WHOLE, SIZE) > 0
        assert iou(mask, box_mask(OBJECT)) > min_iou
        assert iou(prediction.probability(WHOLE, SIZE) > 0.5, mask) > 0.95
    assert iou(half.log_odds(WHOLE, SIZE) > 0, box_mask(OBJECT)) < 0.7


@pytest.mark.parametrize("prompt", [Points(((170, 150),)), OBJECT.expand(5, SIZE)])
def test_detector_completes_an_object_of_two_colours(prompt: Points | Box) -> None:
    """The click network knows only the larger part of the object."""

    def find_larger_part(planes: FloatArray) -> FloatArray:
        red, green, blue, inside = planes[:4, ::2, ::2]
        logits = np.where(blue < 0, 6, -2)
        logits = np.where((red - green > 1) & (inside > 0), logits, -9)
        return np.stack([logits, logits]).astype(np.float32)

    image = photo(OBJECT)
    image[100:200, 215:250] = (200, 60, 250)
    networks = {"click": find_larger_part, "saliency": red_stands_out}
    (detection,) = BuiltinDetector(networks.get).detect(image, [prompt])
    assert iou(detection.mask, box_mask(OBJECT)) > 0.9


def test_shipped_network_finds_what_stands_out() -> None:
    network = shipped_network("saliency")
    assert network is not None
    image = np.full((*SIZE, 3), (90, 120, 80), np.uint8)
    cv2.circle(image, (200, 150), 60, (210, 90, 40), -1)
    cv2.circle(image, (200, 150), 30, (240, 220, 60), -1)
    truth = np.zeros(SIZE, np.uint8)
    cv2.circle(truth, (200, 150), 60, 1, -1)
    mask = predict_saliency(image, WHOLE, network).log_odds(WHOLE, SIZE) > 0
    assert iou(mask, truth > 0) > 0.85


def test_click_on_the_ground_does_not_select_the_salient_object() -> None:
    image = photo(OBJECT)
    (detection,) = BuiltinDetector().detect(image, [Points(((40, 250),))])
    assert not detection.mask[OBJECT.expand(-5, SIZE).slices].any()


@pytest.mark.parametrize("size", [(1, 1), (3, 3), (5, 900), (900, 5), (37, 41)])
@pytest.mark.filterwarnings("error::RuntimeWarning:segment2inpaint")
def test_shipped_networks_support_photos_of_any_shape(size: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    (detection,) = BuiltinDetector().detect(image, [Points(((size[1] - 1, 0),))])
    assert detection.mask.shape == size
    assert detection.mask[0, -1]
    for box in (Box(0, 0, size[1], size[0]), Box(0, 0, 1, 1)):
        for detection in BuiltinDetector().detect(image, [box]):
            assert detection.mask.shape == size
            assert not detection.mask[box.y1 :].any()
            assert not detection.mask[:, box.x1 :].any()
