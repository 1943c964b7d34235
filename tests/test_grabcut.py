"""Objects at clicks and in boxes, guessed without the click network."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segment2inpaint.detect.builtin import detector
from segment2inpaint.detect.builtin.detector import BuiltinDetector, _first, _pieces
from segment2inpaint.errors import BadPrompt
from segment2inpaint.types import BinaryMask, Box, Image, Points, bounding_box


@pytest.fixture(autouse=True, scope="module")
def without_the_network() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(detector, "shipped_network", lambda _name: None)
        yield


def photo(height: int = 200, width: int = 260) -> tuple[Image, BinaryMask, BinaryMask]:
    """A striped ball and a blue brick on mottled green; where each is."""
    rng = np.random.default_rng(3)
    image = np.full((height, width, 3), (80, 120, 70), np.float32)
    mottle = cv2.GaussianBlur(rng.normal(0, 60, (height, width)).astype(np.float32), (0, 0), 4)
    image += mottle[..., None] + rng.normal(0, 4, image.shape)
    y, x = np.mgrid[:height, :width]
    ball = (x - 0.3 * width) ** 2 + (y - 0.5 * height) ** 2 < (0.22 * height) ** 2
    brick = (abs(x - 0.75 * width) < 0.12 * width) & (abs(y - 0.5 * height) < 0.2 * height)
    image[ball] = (210, 60, 50)
    image[ball & (abs(y - 0.5 * height) < 0.05 * height)] = (240, 220, 60)
    image[brick] = (40, 60, 190)
    return np.clip(image, 0, 255).astype(np.uint8), ball, brick


def score(found: BinaryMask, truth: BinaryMask) -> float:
    return float((found & truth).sum() / (found | truth).sum())


def find(*prompts: Points | Box) -> list[BinaryMask]:
    return [mask.mask for mask in BuiltinDetector().detect(photo()[0], prompts)]


def test_a_click() -> None:
    _, _, brick = photo()
    assert score(find(Points(((195, 100),)))[0], brick) > 0.9


def test_a_box() -> None:
    _, ball, _ = photo()
    (found,) = find(bounding_box(ball).grown(3, ball.shape))
    assert score(found, ball) > 0.9


def test_two_objects() -> None:
    _, ball, brick = photo()
    found = find(bounding_box(ball), Points(((195, 100),)))
    assert len(found) == 2
    assert score(found[0], ball) > 0.9
    assert score(found[1], brick) > 0.9


def test_clicks_correct_a_box() -> None:
    _, ball, brick = photo()
    both = bounding_box(ball | brick).grown(5, ball.shape)
    (found,) = find(both, Points(((78, 100), (78, 70), (78, 130)), ((195, 100),)))
    assert found[ball].mean() > 0.9
    assert found[brick].mean() < 0.1


def test_a_small_thing_in_a_large_photo() -> None:
    image = np.full((1500, 2000, 3), 120, np.uint8)
    image[700:714, 900:918] = (200, 30, 30)
    truth = np.zeros((1500, 2000), np.bool_)
    truth[700:714, 900:918] = True
    (mask,) = BuiltinDetector().detect(image, [Points(((908, 706),))])
    assert score(mask.mask, truth) > 0.95


def test_it_repeats_itself_and_leaves_its_input() -> None:
    image = photo()[0]
    before = image.copy()
    first, second = (
        BuiltinDetector().detect(image, [Points(((78, 100),))])[0].mask for _ in range(2)
    )
    assert np.array_equal(first, second)
    assert np.array_equal(image, before)


def test_a_photo_prepared_gives_the_same_mask() -> None:
    image = photo()[0]
    _pieces.cache_clear()
    BuiltinDetector().prepare([image])
    assert _pieces.cache_info().misses == 1
    prepared = find(Points(((78, 100),)))[0]
    assert _pieces.cache_info().misses == 1
    _pieces.cache_clear()
    _first.cache_clear()
    assert np.array_equal(find(Points(((78, 100),)))[0], prepared)


clicks = st.lists(
    st.tuples(st.integers(0, 47), st.integers(0, 35)), min_size=1, max_size=5, unique=True
)


@settings(max_examples=6, deadline=None)
@given(points=clicks, number=st.integers(1, 5), seed=st.integers(0, 3))
def test_clicks_are_obeyed(points: list[tuple[int, int]], number: int, seed: int) -> None:
    noise = np.random.default_rng(seed).integers(0, 256, (36, 48, 3), np.uint8)
    image = cv2.GaussianBlur(noise, (0, 0), seed + 0.1)
    include, exclude = tuple(points[:number]), tuple(points[number:])
    (mask,) = BuiltinDetector().detect(image, [Points(include, exclude)])
    assert mask.mask.shape == (36, 48)
    assert all(mask.mask[y, x] for x, y in include)
    assert not any(mask.mask[y, x] for x, y in exclude)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (2, 3), (7, 400)])
def test_tiny_and_thin_photos(size: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    (mask,) = BuiltinDetector().detect(image, [Points(((0, 0),))])
    assert mask.mask[0, 0]
    assert BuiltinDetector().detect(image, [Box(0, 0, size[1], size[0])]) is not None


def test_a_flat_photo() -> None:
    (mask,) = BuiltinDetector().detect(np.full((50, 60, 3), 9, np.uint8), [Points(((30, 20),))])
    assert mask.mask[20, 30]


def test_what_it_refuses() -> None:
    for prompts, says in (
        ([Points((), ((5, 5),))], "only points beside the object"),
        ([Points(((260, 5),))], "outside the photo of 260 x 200 px"),
        ([], "no prompt given"),
    ):
        with pytest.raises(BadPrompt, match=says):
            find(*prompts)
