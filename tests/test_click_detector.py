"""Where the built-in detector looks, and what it makes of the click network's answers."""

from __future__ import annotations

import numpy as np
import pytest
from fake_networks import iou, red_network, red_photo

from segment2inpaint.detect.builtin.detector import BuiltinDetector
from segment2inpaint.networks.click import (
    NEGATIVE,
    NO_POINT,
    PHOTO_SIDE,
    POSITIVE,
    WINDOW_SIDE,
)
from segment2inpaint.types import Box, Everything, FloatArray, Points


def test_a_click_and_a_box_select_the_object() -> None:
    box = Box(300, 200, 420, 290)
    image, truth = red_photo(480, 640, box)
    before = image.copy()
    for prompt in (Points(((360, 240),)), box.expand(4, truth.shape)):
        (detection,) = BuiltinDetector(red_network()[0]).detect(image, [prompt])
        assert iou(detection.mask, truth) > 0.95
        assert detection.score == pytest.approx(0.9)
        assert detection.seen_in
        assert detection.seen_in.union(box) == detection.seen_in
    assert np.array_equal(image, before)


@pytest.mark.parametrize(("score", "calls"), [(0.95, 0), (0.8, 1)])
def test_only_an_unsure_mask_in_a_box_is_compared_with_what_stands_out(
    score: float, calls: int
) -> None:
    shapes: list[tuple[int, ...]] = []

    def saliency(planes: FloatArray) -> FloatArray:
        shapes.append(planes.shape)
        return np.zeros((1, *planes.shape[1:]), np.float32)

    box = Box(300, 200, 420, 290)
    image, truth = red_photo(480, 640, box)
    detector = BuiltinDetector(red_network(score)[0], saliency)
    (detection,) = detector.detect(image, [box.expand(4, truth.shape)])
    assert len(shapes) == calls
    assert iou(detection.mask, truth) > 0.95


def test_a_large_object_is_looked_at_once() -> None:
    network, encoder, decoder = red_network()
    image = red_photo(300, 400, Box(40, 30, 360, 270))[0]
    BuiltinDetector(network).detect(image, [Points(((200, 150),))])
    assert encoder.frames == [(768, PHOTO_SIDE)]
    assert len(decoder.calls) == 1


def test_a_small_object_is_looked_at_again_in_a_window_round_it() -> None:
    network, encoder, _ = red_network()
    image, truth = red_photo(1500, 2000, Box(900, 700, 960, 730))
    (detection,) = BuiltinDetector(network).detect(image, [Points(((930, 715),))])
    assert [max(frame) for frame in encoder.frames] == [PHOTO_SIDE, WINDOW_SIDE]
    assert iou(detection.mask, truth) > 0.95


def test_an_object_that_is_too_small_to_see_is_searched_in_smaller_and_smaller_windows() -> None:
    network, encoder, _ = red_network()
    image, truth = red_photo(6000, 8000, Box(4000, 3000, 4012, 3010))
    (detection,) = BuiltinDetector(network).detect(image, [Points(((4005, 3004),))])
    assert len(encoder.frames) > 3
    assert iou(detection.mask, truth) > 0.8


@pytest.mark.parametrize("size", [(16000, 600), (600, 16000)])
def test_strips_are_searched_alike_upright_and_lying(size: tuple[int, int]) -> None:
    center = size[1] // 2, size[0] // 2
    box = Box(center[0] - 20, center[1] - 20, center[0] + 20, center[1] + 20)
    image, truth = red_photo(*size, box)
    (detection,) = BuiltinDetector(red_network()[0]).detect(image, [Points((center,))])
    assert iou(detection.mask, truth) > 0.9


def test_the_photo_is_encoded_once_for_all_clicks() -> None:
    network, encoder, decoder = red_network()
    image = red_photo(300, 400, Box(40, 30, 360, 270))[0]
    detector = BuiltinDetector(network)
    detector.prepare([image])
    detector.detect(image, [Points(((200, 150),))])
    detector.detect(image, [Points(((200, 150), (60, 60)))])
    detector.detect(image, [Points(((200, 150), (60, 60)), ((5, 5),))])
    assert len(encoder.frames) == 1
    assert len(decoder.calls) == 4  # each click once, and what the one beside the object lies on


def test_a_further_click_comes_with_the_mask_so_far() -> None:
    network, _, decoder = red_network()
    image = red_photo(300, 400, Box(40, 30, 360, 270))[0]
    BuiltinDetector(network).detect(image, [Points(((200, 150),), ((5, 5),))])
    first, second, thing = decoder.calls
    assert first["has_mask"] == thing["has_mask"] == [0]
    assert second["has_mask"] == [1]
    assert (second["mask"] > 0).mean() > 0.5
    assert first["labels"].tolist() == [[POSITIVE, NO_POINT]]
    assert second["labels"].tolist() == [[POSITIVE, NEGATIVE, NO_POINT]]
    assert thing["points"][0, 0].tolist() == second["points"][0, 1].tolist()
    assert thing["labels"].tolist() == [[POSITIVE, NEGATIVE, NO_POINT]]  # the object is not meant


def test_a_click_beside_the_object_takes_away_only_the_piece_that_it_lies_in() -> None:
    """The network wants to drop both halves after a click on the left one."""
    left, right = Box(40, 100, 180, 200), Box(220, 100, 360, 200)
    image, truth = red_photo(300, 400, left, Box(180, 140, 220, 160), right)
    network, _, decoder = red_network()
    answer = decoder.run

    def run(**inputs: np.ndarray) -> list[np.ndarray]:
        logits, scores = answer(**inputs)
        if inputs["has_mask"].any():
            logits = np.where(np.abs(np.arange(logits.shape[-1]) - 128) < 16, logits, -6.0)
        return [logits.astype(np.float32), scores]

    decoder.run = run  # type: ignore[method-assign]
    prompt = Points(((200, 150),), ((60, 150),))
    (detection,) = BuiltinDetector(network).detect(image, [prompt])
    assert detection.mask[right.slices].mean() > 0.9
    assert not detection.mask[130:170, 50:80].any()  # near the click
    assert not (detection.mask & ~truth).any()


def test_granularity_takes_the_part_or_the_whole() -> None:
    upper, lower = Box(100, 50, 300, 100), Box(100, 200, 300, 280)
    image, _ = red_photo(300, 400, upper, lower)
    found = {}
    for granularity in ("auto", "object", "part", "whole"):
        prompt = Points(((200, 60),), (), granularity)
        (detection,) = BuiltinDetector(red_network()[0]).detect(image, [prompt])
        found[granularity] = detection.mask
    assert np.array_equal(found["auto"], found["object"])
    assert found["part"].sum() < 0.8 * found["object"].sum() < found["whole"].sum()
    assert iou(found["object"], red_photo(300, 400, upper)[1]) > 0.9


def test_everything_red_is_found_once_each() -> None:
    boxes = Box(20, 30, 120, 130), Box(200, 40, 330, 150), Box(60, 180, 200, 280)
    image, _ = red_photo(300, 400, *boxes)
    found = BuiltinDetector(red_network()[0]).detect(image, [Everything()])
    for box in boxes:
        assert max(iou(d.mask, red_photo(300, 400, box)[1]) for d in found) > 0.9
    picked = BuiltinDetector(red_network()[0]).detect(image, [Everything((2,))])
    assert np.array_equal(picked[0].mask, found[1].mask)
