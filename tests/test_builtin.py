"""The built-in detector with the click network that ships."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segment2inpaint.detect.builtin.detector import BuiltinDetector
from segment2inpaint.errors import BadPrompt
from segment2inpaint.types import BinaryMask, Box, Image, Points, bounding_box

DETECTOR = BuiltinDetector()


def photo(height: int = 200, width: int = 260) -> tuple[Image, BinaryMask, BinaryMask]:
    """Return a striped ball and a blue brick on mottled green, and the masks of both."""
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


def iou(found: BinaryMask, truth: BinaryMask) -> float:
    return float((found & truth).sum() / (found | truth).sum())


def find(*prompts: Points | Box) -> list[BinaryMask]:
    return [detection.mask for detection in DETECTOR.detect(photo()[0], prompts)]


def test_a_click_selects_the_object() -> None:
    _, _, brick = photo()
    assert iou(find(Points(((195, 100),)))[0], brick) > 0.9


def test_a_box_selects_the_object() -> None:
    _, ball, _ = photo()
    (mask,) = find(bounding_box(ball).expand(3, ball.shape))
    assert iou(mask, ball) > 0.9


def test_a_box_and_a_click_select_two_objects() -> None:
    _, ball, brick = photo()
    masks = find(bounding_box(ball), Points(((195, 100),)))
    assert len(masks) == 2
    assert iou(masks[0], ball) > 0.9
    assert iou(masks[1], brick) > 0.9


def test_clicks_correct_a_box() -> None:
    _, ball, brick = photo()
    both = bounding_box(ball | brick).expand(5, ball.shape)
    (mask,) = find(both, Points(((78, 100), (78, 70), (78, 130)), ((195, 100),)))
    assert mask[ball].mean() > 0.9
    assert mask[brick].mean() < 0.1


def test_a_small_object_in_a_large_photo_is_found() -> None:
    image = np.full((1500, 2000, 3), 120, np.uint8)
    image[700:714, 900:918] = (200, 30, 30)
    truth = np.zeros((1500, 2000), np.bool_)
    truth[700:714, 900:918] = True
    (detection,) = DETECTOR.detect(image, [Points(((908, 706),))])
    assert iou(detection.mask, truth) > 0.95


def test_results_repeat_and_the_photo_is_not_changed() -> None:
    image = photo()[0]
    before = image.copy()
    first, second = (DETECTOR.detect(image, [Points(((78, 100),))])[0].mask for _ in range(2))
    assert np.array_equal(first, second)
    assert np.array_equal(image, before)


clicks = st.lists(
    st.tuples(st.integers(0, 47), st.integers(0, 35)), min_size=1, max_size=5, unique=True
)


@settings(max_examples=6, deadline=None)
@given(points=clicks, positive=st.integers(1, 5), seed=st.integers(0, 3))
def test_the_mask_agrees_with_all_clicks(
    points: list[tuple[int, int]], positive: int, seed: int
) -> None:
    noise = np.random.default_rng(seed).integers(0, 256, (36, 48, 3), np.uint8)
    image = cv2.GaussianBlur(noise, (0, 0), seed + 0.1)
    include, exclude = tuple(points[:positive]), tuple(points[positive:])
    (detection,) = DETECTOR.detect(image, [Points(include, exclude)])
    assert detection.mask.shape == (36, 48)
    assert all(detection.mask[y, x] for x, y in include)
    assert not any(detection.mask[y, x] for x, y in exclude)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (2, 3), (7, 400)])
def test_tiny_and_thin_photos_are_supported(size: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    (detection,) = DETECTOR.detect(image, [Points(((0, 0),))])
    assert detection.mask[0, 0]
    assert DETECTOR.detect(image, [Box(0, 0, size[1], size[0])]) is not None


def test_a_photo_of_one_colour_is_supported() -> None:
    (detection,) = DETECTOR.detect(np.full((50, 60, 3), 9, np.uint8), [Points(((30, 20),))])
    assert detection.mask[20, 30]


@pytest.mark.parametrize(
    ("prompts", "message"),
    [
        ([Points((), ((5, 5),))], "builtin: only negative points given; add a positive one"),
        ([Points(((260, 5),))], "outside the photo of 260 x 200 px"),
        ([], "no prompt given"),
    ],
)
def test_unusable_prompts_are_refused(prompts: list[Points], message: str) -> None:
    with pytest.raises(BadPrompt, match=message):
        find(*prompts)
