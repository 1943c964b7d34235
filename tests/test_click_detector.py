"""What the built-in detector makes of the click network's predictions."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from fake_networks import find_noise, find_nothing, find_red, iou, red_photo

from segment2inpaint import images
from segment2inpaint.detect.builtin import region_selection, superpixels
from segment2inpaint.detect.builtin.detector import BuiltinDetector
from segment2inpaint.detect.builtin.region_proposals import ClickSeed
from segment2inpaint.masks import deepest_point
from segment2inpaint.networks import click
from segment2inpaint.networks.click import ObjectPrompt
from segment2inpaint.networks.onnx import Network, shipped_network
from segment2inpaint.types import BinaryMask, Box, Image, Point, Points, Prompt, bounding_box

SAMPLES = Path(__file__).parent.parent / "samples"


def detect(image: Image, prompt: Prompt, click_network: Network) -> list[BinaryMask]:
    """Return the masks that the detector finds with this click network and no other."""
    detector = BuiltinDetector({"click": click_network}.get)
    return [detection.mask for detection in detector.detect(image, [prompt])]


def test_click_and_box_select_the_object() -> None:
    box = Box(300, 200, 420, 290)
    image, truth = red_photo(480, 640, box)
    before = image.copy()
    for prompt in (Points(((360, 240),)), box.expand(4, truth.shape)):
        (mask,) = detect(image, prompt, find_red)
        assert iou(mask, truth) > 0.95
    assert np.array_equal(image, before)


def test_click_selects_one_of_two_objects() -> None:
    image, _ = red_photo(300, 500, Box(50, 50, 150, 150), Box(300, 100, 400, 200))
    (mask,) = detect(image, Points(((340, 150),)), find_red)
    assert iou(mask, red_photo(300, 500, Box(300, 100, 400, 200))[1]) > 0.95


def test_object_is_found_by_its_colours_if_the_network_does_not_know_it() -> None:
    box = Box(100, 60, 160, 120)
    image, truth = red_photo(200, 260, box)
    for prompt in (Points(((130, 90),)), box.expand(4, truth.shape)):
        (mask,) = detect(image, prompt, find_nothing)
        assert iou(mask, truth) > 0.9


@pytest.mark.parametrize("at", [(0, 0), (3, 3), (0, 540), (815, 0)])
def test_click_on_a_wall_at_the_edge_of_the_photo_selects_much_of_it(at: Point) -> None:
    """The network knows nothing there, in any window."""
    wall = images.read(SAMPLES / "lamp.jpg").image
    (detection,) = BuiltinDetector().detect(wall, [Points((at,))])
    assert detection.mask.mean() > 0.1


@pytest.mark.parametrize("network", [find_red, find_nothing, find_noise])
@pytest.mark.parametrize("size", [(1, 1), (3, 3), (5, 2000), (2000, 5), (37, 41)])
@pytest.mark.filterwarnings("error::RuntimeWarning:segment2inpaint")
def test_photos_of_any_shape_and_clicks_on_the_border_are_supported(
    size: tuple[int, int], network: Network
) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    corner = size[1] - 1, size[0] - 1
    for point in ((0, 0), corner):
        (mask,) = detect(image, Points((point,)), network)
        assert mask.shape == size
        assert mask[point[1], point[0]]
    for box in (Box(0, 0, size[1], size[0]), Box(-50, -50, 5000, 5000), Box(0, 0, 1, 1)):
        for mask in detect(image, box, network):
            assert mask.shape == size


def test_mask_respects_two_hundred_clicks() -> None:
    rng = np.random.default_rng(0)
    places = rng.permutation(60 * 80)[:200]
    points: list[Point] = [(int(p % 80), int(p // 80)) for p in places]
    image = rng.integers(0, 256, (60, 80, 3), np.uint8)
    prompt = Points(tuple(points[:100]), tuple(points[100:]))
    (mask,) = detect(image, prompt, find_noise)
    assert all(mask[y, x] for x, y in prompt.include)
    assert not any(mask[y, x] for x, y in prompt.exclude)


def test_regions_include_the_predicted_object() -> None:
    """The object has two colours that are far apart: no cut by colour contains just both."""
    image = np.full((120, 160, 3), 90, np.uint8)
    image[40:80, 40:80], image[40:80, 80:120] = (230, 30, 30), (20, 30, 220)
    truth = np.zeros((120, 160), np.bool_)
    truth[40:80, 40:120] = True
    graph = superpixels.superpixel_graph(image, 100)
    probability = np.bincount(graph.labels.ravel(), truth.ravel()).astype(np.float32)
    seed = ClickSeed(int(graph.labels[60, 60]), (60, 60))
    predicted = region_selection.candidates_from_prior(graph, seed, probability)
    assert len(predicted.regions) == len(region_selection.PRIOR_SHARES) == len(predicted.quality)
    assert all(iou(region[graph.labels], truth) > 0.8 for region in predicted.regions)
    proposed = region_selection.candidates(graph, seed)
    both = proposed.concatenate(predicted)
    best = region_selection.best_region(graph, both, prior=probability)[graph.labels]
    assert iou(best, truth) > 0.8
    empty = region_selection.candidates_from_prior(graph, seed, np.zeros_like(probability))
    assert (empty.regions[:, seed.start]).all()  # the click at least
    assert np.isfinite(empty.quality).all()


def test_shipped_network_finds_a_person_of_several_colours() -> None:
    image = np.full((240, 320, 3), (120, 150, 90), np.uint8)
    image = np.clip(image + np.random.default_rng(0).normal(0, 12, image.shape), 0, 255)
    image = image.astype(np.uint8)
    truth = np.zeros((240, 320), np.uint8)
    for plane, colors in (
        (image, ((40, 40, 160), (30, 30, 35), (200, 150, 120))), (truth, (1, 1, 1))
    ):  # fmt: skip
        cv2.rectangle(plane, (140, 90), (180, 150), colors[0], -1)
        cv2.rectangle(plane, (142, 150), (178, 215), colors[1], -1)
        cv2.circle(plane, (160, 72), 19, colors[2], -1)
    network = shipped_network("click")
    assert network is not None
    prediction = click.predict(image, ObjectPrompt(((160, 120),)), network)
    assert iou(prediction.log_odds(Box(0, 0, 320, 240), (240, 320)) > 0, truth > 0) > 0.7
    (detection,) = BuiltinDetector().detect(image, [Points(((160, 120),))])
    assert iou(detection.mask, truth > 0) > 0.7


@pytest.mark.parametrize(
    ("thing", "ground"), [("cone", "boat"), ("oranges", "cone"), ("ball", "cone")]
)
def test_small_object_of_several_colours_is_found_in_a_large_photo(thing: str, ground: str) -> None:
    """The object has 24 px. In the window of the whole photo, the network sees 3 of them."""
    source, whole = (images.read(SAMPLES / f"{thing}{end}").image for end in (".jpg", "_mask.png"))
    box = Box(*bounding_box(whole[..., 0] > 127))
    scale = 24 / max(box.width, box.height)
    size = max(1, round(box.width * scale)), max(1, round(box.height * scale))
    colors = cv2.resize(source[box.slices], size, interpolation=cv2.INTER_AREA)
    alpha = cv2.resize(whole[box.slices], size, interpolation=cv2.INTER_AREA) / 255
    photo = images.read(SAMPLES / f"{ground}_clean.jpg").image.copy()
    place = np.s_[300 : 300 + size[1], 400 : 400 + size[0]]
    photo[place] = photo[place] + (colors.astype(np.float32) - photo[place]) * alpha
    truth = np.zeros(photo.shape[:2], np.bool_)
    truth[place] = alpha[..., 0] > 0.5
    (detection,) = BuiltinDetector().detect(photo, [Points((deepest_point(truth),))])
    assert iou(detection.mask, truth) > 0.75
