"""Things at the edge that could go, found by the networks that ship with the package."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import cv2
import numpy as np
import pytest
from fake_networks import HeldNetwork
from fastapi.testclient import TestClient
from web_server import API, BASE_URL, encode, make_app, open_photo

from segment2inpaint import images
from segment2inpaint.detect.builtin.detector import BuiltinDetector
from segment2inpaint.detect.builtin.distractions import Thing, edge_windows, is_selected
from segment2inpaint.types import Box, Image, Points

SAMPLES = Path(__file__).parents[1] / "samples"
SMALL_BALL = Box(20, 300, 160, 440)  # in the scene


def draw_balls() -> Image:
    """Return a photo of a ball on a lawn with a copy of the ball, a third as large, at its edge."""
    photo = images.read(SAMPLES / "ball.jpg").image.copy()
    mask = images.read_mask(SAMPLES / "ball_mask.png", photo.shape[:2]) > 0.5
    y, x = np.nonzero(mask)
    rows, columns = slice(y.min(), y.max() + 1), slice(x.min(), x.max() + 1)
    size = SMALL_BALL.width, SMALL_BALL.height
    ball = cv2.resize(photo[rows, columns], size, interpolation=cv2.INTER_AREA)
    inside = cv2.resize(mask[rows, columns].astype(np.uint8), size) > 0
    photo[SMALL_BALL.slices][inside] = ball[inside]
    return photo


@pytest.mark.parametrize("size", [(480, 640), (3000, 200), (37, 41)])
def test_the_windows_cover_the_edge_and_stay_in_the_photo(size: tuple[int, int]) -> None:
    height, width = size
    covered = np.zeros(size, np.bool_)
    for window in edge_windows(Box(0, 0, width, height)):
        assert 0 <= window.x0 < window.x1 <= width
        assert 0 <= window.y0 < window.y1 <= height
        covered[window.slices] = True
    assert all(covered[y, x] for y, x in product((0, height - 1), range(width)))
    assert all(covered[y, x] for y, x in product(range(height), (0, width - 1)))
    assert not covered[height // 2, width // 2]


@pytest.mark.slow
@pytest.mark.parametrize("size", [(1, 1), (2, 300), (300, 2)])
def test_a_photo_of_any_size_can_be_searched(size: tuple[int, int]) -> None:
    photo = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    assert list(BuiltinDetector().search_distractions(photo))[-1] == []


def test_a_click_that_selects_something_else_is_no_offer() -> None:
    mask = np.zeros((30, 40), np.bool_)
    mask[10:20, :12] = True
    selected = mask.repeat(4, axis=0).repeat(4, axis=1)
    thing = Thing((5, 60), mask)
    assert is_selected(thing, selected)
    assert not is_selected(thing, np.roll(selected, 24, axis=1))


@pytest.mark.slow
def test_the_thing_at_the_edge_is_found_and_the_main_object_is_not() -> None:
    photo, detector = draw_balls(), BuiltinDetector()
    *_, found = detector.search_distractions(photo)
    assert [SMALL_BALL.contains(d.click) for d in found] == [True]
    (detection,) = detector.detect(photo, [Points((found[0].click,))])
    assert (detection.mask == found[0].detection.mask).all()
    assert 0.6 * 140 * 140 < detection.mask.sum() < 140 * 140


@pytest.mark.slow
def test_the_server_lists_what_a_click_would_select() -> None:
    with TestClient(make_app(), base_url=BASE_URL) as client:
        photo = open_photo(client, encode(draw_balls()))
        (found,) = client.get(f"{API}/photos/{photo}/distractions").json()
        prompt = {"points": {"include": [found["click"]]}}
        answer = client.post(f"{API}/photos/{photo}/find", json={"prompts": [prompt]}).json()
        assert [o["paths"] for o in answer["objects"]] == [found["paths"]]


def test_a_detector_without_a_saliency_network_offers_nothing() -> None:
    photo = np.zeros((60, 80, 3), np.uint8)
    assert list(HeldNetwork().detector.search_distractions(photo)) == []
