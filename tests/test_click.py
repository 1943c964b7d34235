"""The click network's input, the windows it looks at, and its predictions."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from fake_networks import OUTPUT_SIDE, find_nothing, find_red, iou, red_photo
from hypothesis import given, settings
from hypothesis import strategies as st

from segment2inpaint.networks.click import (
    INPUT_PLANES,
    INPUT_SIDE,
    OBJECT_CHANNEL,
    PART_CHANNEL,
    ClickPrediction,
    Letterbox,
    ObjectPrompt,
    context_window,
    fit_letterbox,
    input_planes,
    is_confident,
    predict,
    predict_in_window,
)
from segment2inpaint.networks.onnx import Network
from segment2inpaint.types import Box, FloatArray, Image, bounding_box

NO_PROMPT = ObjectPrompt()


def prediction_in(image: Image, window: Box) -> ClickPrediction:
    """Return the prediction of ``find_red`` for a window."""
    letterbox = fit_letterbox(window)
    return ClickPrediction(letterbox, find_red(input_planes(image, letterbox, NO_PROMPT)))


# --- the input ------------------------------------------------------------------------------


def test_planes_show_photo_clicks_and_box() -> None:
    image = np.full((INPUT_SIDE, 4 * INPUT_SIDE, 3), (255, 51, 0), np.uint8)
    prompt = ObjectPrompt(((600, 100),), ((0, 0), (639, 159)), Box(40, 80, 240, 120))
    planes = input_planes(image, fit_letterbox(Box(0, 0, 640, 160)), prompt)
    assert planes.shape == (INPUT_PLANES, INPUT_SIDE, INPUT_SIDE)
    assert planes[:3, 39, 159] == pytest.approx([2.2, -1, -1.8])
    assert not planes[:4, 40:].any()
    assert (planes[3, :40] == 1).all()
    assert planes[4].sum() == 29  # pixels in a disc of radius 3
    y, x = np.nonzero(planes[4])
    assert (x.mean(), y.mean()) == (150, 25)
    assert planes[5, 0, 3] == planes[5, 39, 156] == 1
    assert planes[5, 3, 3] == 0
    assert bounding_box(planes[6] > 0) == (10, 20, 60, 30)
    assert not planes[7].any()


def test_clicks_outside_the_window_are_left_out() -> None:
    letterbox = fit_letterbox(Box(100, 100, 420, 180))
    prompt = ObjectPrompt(((99, 120), (100, 100)), ((420, 120),))
    planes = input_planes(red_photo(400, 500)[0], letterbox, prompt)
    assert planes[4, 0, 0] == 1
    assert planes[4].sum() == 11  # a quarter of a disc with its axes
    assert not planes[5].any()


def test_previous_prediction_is_upsampled_bilinearly() -> None:
    logits = np.random.default_rng(0).normal(0, 2, (2, OUTPUT_SIDE, OUTPUT_SIDE))
    previous = ClickPrediction(fit_letterbox(Box(0, 0, 500, 400)), logits.astype(np.float32))
    image, prompt = red_photo(400, 500)[0], ObjectPrompt(((9, 9),))
    planes = input_planes(image, previous.letterbox, prompt, previous)
    probability = 1 / (1 + np.exp(-previous.logits[0]))
    expected = cv2.resize(probability, (INPUT_SIDE,) * 2, interpolation=cv2.INTER_LINEAR)
    height = INPUT_SIDE * 4 // 5
    np.testing.assert_allclose(planes[7, :height], expected[:height], atol=1e-5)
    assert not planes[7, height:].any()


def test_previous_prediction_moves_with_the_window() -> None:
    image, mask = red_photo(300, 400, Box(210, 120, 250, 150))
    whole = prediction_in(image, Box(0, 0, 400, 300))
    for window in (Box(190, 100, 270, 170), Box(0, 50, 330, 300)):
        letterbox = fit_letterbox(window)
        height, width = letterbox.size
        plane = input_planes(image, letterbox, NO_PROMPT, whole)[7, :height, :width]
        truth = cv2.resize(mask[window.slices].astype(np.float32), (width, height))
        assert iou(plane > 0.5, truth > 0.5) > 0.85


def test_probability_is_zero_outside_the_previous_window() -> None:
    logits = np.full((2, OUTPUT_SIDE, OUTPUT_SIDE), 9, np.float32)
    left = ClickPrediction(fit_letterbox(Box(0, 0, 100, 100)), logits)
    image = red_photo(100, 200)[0]
    plane = input_planes(image, fit_letterbox(Box(0, 0, 200, 100)), NO_PROMPT, left)[7]
    assert plane[:OUTPUT_SIDE, :OUTPUT_SIDE].min() > 0.99
    assert not plane[:, OUTPUT_SIDE:].any()
    apart = input_planes(image, fit_letterbox(Box(120, 0, 200, 100)), NO_PROMPT, left)[7]
    assert not apart.any()


# --- the windows ----------------------------------------------------------------------------


def recording(network: Network) -> tuple[Network, list[FloatArray]]:
    """Return the network, and a list that collects its inputs."""
    inputs: list[FloatArray] = []

    def record(planes: FloatArray) -> FloatArray:
        inputs.append(planes)
        return network(planes)

    return record, inputs


def test_network_looks_closer_at_a_small_object() -> None:
    image, mask = red_photo(1500, 2000, Box(900, 700, 960, 730))
    network, inputs = recording(find_red)
    prediction = predict(image, ObjectPrompt(((930, 715),)), network)
    has_previous = [bool(planes[7].any()) for planes in inputs]  # each with its mirror image
    # The photo, 800, 320 and 160 px, which is confident; then a window around the object.
    assert has_previous == [False] * 8 + [True] * 2
    assert prediction.letterbox.window.width < 200
    log_odds = prediction.log_odds(Box(0, 0, 2000, 1500), (1500, 2000))
    assert iou(log_odds > 0, mask) > 0.9


def test_network_looks_once_at_an_object_that_fills_the_photo() -> None:
    network, inputs = recording(find_red)
    image = red_photo(300, 400, Box(40, 30, 360, 270))[0]
    predict(image, ObjectPrompt(((200, 150),)), network)
    assert len(inputs) == 2


def test_network_looks_closer_until_the_smallest_window_if_it_finds_nothing() -> None:
    network, inputs = recording(find_nothing)
    prediction = predict(red_photo(300, 400)[0], ObjectPrompt(((200, 150),)), network)
    assert len(inputs) == 6  # 400, 160 and 64 px, each with its mirror image
    assert prediction.letterbox.window == (0, 0, 400, 300)


@pytest.mark.parametrize(
    ("window", "confident"),
    [
        (Box(0, 0, 400, 300), True),
        (Box(90, 60, 230, 200), True),
        (Box(130, 60, 230, 200), False),  # cuts through the object on the left
        (Box(90, 60, 230, 150), False),
    ],
)
def test_prediction_is_confident_unless_the_window_cuts_the_object(
    window: Box, confident: bool
) -> None:
    image = red_photo(300, 400, Box(120, 90, 200, 170))[0]
    prompt = ObjectPrompt(((160, 130),))
    assert is_confident(prediction_in(image, window), prompt, image.shape) == confident


def test_object_may_touch_the_edge_of_the_photo() -> None:
    image = red_photo(300, 400, Box(0, 90, 90, 300))[0]
    prediction = prediction_in(image, Box(0, 0, 400, 300))
    assert is_confident(prediction, ObjectPrompt(((40, 200),)), image.shape)


def test_prediction_is_not_confident_if_probabilities_are_near_one_half() -> None:
    logits = np.full((2, OUTPUT_SIDE, OUTPUT_SIDE), -1.0, np.float32)
    logits[:, 30:50, 30:50] = 1
    prediction = ClickPrediction(fit_letterbox(Box(0, 0, 400, 400)), logits)
    assert not is_confident(prediction, ObjectPrompt(((200, 200),)), (400, 400, 3))


def test_window_of_a_box_is_around_the_box() -> None:
    box = Box(100, 100, 200, 150)
    prediction = predict(red_photo(400, 600, box)[0], ObjectPrompt(box=box), find_red)
    assert prediction.letterbox.window == (67, 67, 233, 183)


def test_photo_and_its_mirror_image_get_the_same_prediction() -> None:
    ramp = np.linspace(-3, 3, OUTPUT_SIDE, dtype=np.float32)

    def asymmetric(planes: FloatArray) -> FloatArray:
        return np.stack([planes[0, ::2, ::2] * ramp + ramp[::-1]] * 2)

    image = np.random.default_rng(0).integers(0, 256, (INPUT_SIDE, INPUT_SIDE, 3), np.uint8)
    image = cv2.GaussianBlur(image, (0, 0), 9)
    mirrored = np.ascontiguousarray(image[:, ::-1])
    letterbox, prompt = fit_letterbox(Box(0, 0, INPUT_SIDE, INPUT_SIDE)), ObjectPrompt(((60, 60),))
    first, second = (
        predict_in_window(photo, letterbox, prompt, asymmetric).logits
        for photo in (image, mirrored)
    )
    assert np.abs(first - second[:, :, ::-1]).mean() < 0.05 * first.std()


@pytest.mark.parametrize(
    ("prompt", "channel"),
    [
        (ObjectPrompt(((50, 30),), granularity="part"), PART_CHANNEL),
        (ObjectPrompt(((50, 30),)), OBJECT_CHANNEL),
        (ObjectPrompt(((50, 30),), ((5, 5),), granularity="part"), OBJECT_CHANNEL),
        (ObjectPrompt(((50, 30),), box=Box(9, 9, 90, 90), granularity="part"), OBJECT_CHANNEL),
    ],
)
def test_only_a_single_click_can_select_a_part(prompt: ObjectPrompt, channel: int) -> None:
    image = red_photo(100, 100, Box(20, 20, 80, 80))[0]
    assert predict(image, prompt, find_red).channel == channel


@settings(max_examples=40)
@given(
    size=st.tuples(st.integers(1, 3000), st.integers(1, 3000)),
    fractions=st.tuples(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1), st.floats(0, 1)),
)
def test_letterboxes_contain_points_and_boxes_of_their_window(
    size: tuple[int, int], fractions: tuple[float, float, float, float]
) -> None:
    (y0, y1), (x0, x1) = (
        sorted((int(a * (side - 1)), int(b * (side - 1))))
        for side, a, b in zip(size, fractions[::2], fractions[1::2], strict=True)
    )
    window = Box(x0, y0, x1 + 1, y1 + 1)
    letterbox = fit_letterbox(window)
    assert max(letterbox.size) == INPUT_SIDE
    for point in ((x0, y0), (x1, y1), (x0, y1)):
        x, y = letterbox.point_to_input(point)
        assert 0 <= x < letterbox.size[1]
        assert 0 <= y < letterbox.size[0]
    box = letterbox.box_to_input(Box(x1, y1, x1 + 9, y1 + 9))
    assert box.width > 0
    assert box.height > 0
    height, width = letterbox.size
    assert Box(0, 0, width, height).union(box) == (0, 0, width, height)
    expanded = context_window(window, 0.4, size)
    assert expanded.union(window) == expanded


def test_letterbox_keeps_the_aspect_ratio() -> None:
    window = Box(0, 0, 640, 480)
    assert fit_letterbox(window) == Letterbox(window, (INPUT_SIDE * 3 // 4, INPUT_SIDE))
