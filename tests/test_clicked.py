"""What the click network is shown, where it looks, and what becomes of its answer."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from segment2inpaint import images
from segment2inpaint.detect.builtin import detector, region_selection, superpixels
from segment2inpaint.detect.builtin.detector import BuiltinDetector
from segment2inpaint.detect.builtin.region_proposals import ClickSeed
from segment2inpaint.masks import deepest_point
from segment2inpaint.networks import click, onnx
from segment2inpaint.networks.click import (
    PLANES,
    SIDE,
    ClickPrediction,
    Letterbox,
    ObjectPrompt,
    framed,
    input_planes,
)
from segment2inpaint.networks.onnx import FloatArray, Network
from segment2inpaint.types import BinaryMask, Box, Image, Point, Points, bounding_box

torch.set_num_threads(1)  # cores are shared

HALF = SIDE // 2
SAMPLES = Path(__file__).parent.parent / "samples"


def red(seen: FloatArray) -> FloatArray:
    """A network that knows red things, and that their upper halves are parts."""
    some = seen[:, ::2, ::2]
    likely = np.where((some[0] - some[1] > 1) & (some[3] > 0), 6, -6)
    rows = np.nonzero(likely > 0)[0]
    part = np.where(np.arange(HALF)[:, None] < (rows.mean() if len(rows) else 0), likely, -6)
    return np.stack([likely, part]).astype(np.float32)


def blind(seen: FloatArray) -> FloatArray:
    return np.full((2, HALF, HALF), -9, np.float32)


def noise(seen: FloatArray) -> FloatArray:
    return np.random.default_rng(int(seen[4:6].sum())).normal(0, 3, (2, HALF, HALF))


def photo(height: int, width: int, *things: Box) -> tuple[Image, BinaryMask]:
    """Red things on green, and where they are."""
    image = np.full((height, width, 3), (60, 130, 70), np.uint8)
    bits = np.zeros((height, width), np.bool_)
    for thing in things:
        image[thing.slices], bits[thing.slices] = (220, 40, 30), True
    return image, bits


def score(found: BinaryMask, truth: BinaryMask) -> float:
    return float((found & truth).sum() / (found | truth).sum())


@pytest.fixture
def knows_red(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detector, "shipped_network", {"click": red}.get)


# --- what it is shown -----------------------------------------------------------------------


def test_the_planes_of_a_photo() -> None:
    image = np.full((SIDE, 4 * SIDE, 3), (255, 51, 0), np.uint8)
    target = ObjectPrompt(((600, 100),), ((0, 0), (639, 159)), Box(40, 80, 240, 120))
    seen = input_planes(image, framed(Box(0, 0, 640, 160)), target)
    assert seen.shape == (PLANES, SIDE, SIDE)
    assert seen[:3, 39, 159] == pytest.approx([2.2, -1, -1.8])
    assert not seen[:4, 40:].any()
    assert (seen[3, :40] == 1).all()
    assert seen[4].sum() == 29  # pixels in a disc of radius 3
    y, x = np.nonzero(seen[4])
    assert (x.mean(), y.mean()) == (150, 25)
    assert seen[5, 0, 3] == seen[5, 39, 156] == 1
    assert seen[5, 3, 3] == 0
    assert bounding_box(seen[6] > 0) == (10, 20, 60, 30)
    assert not seen[7].any()


def test_clicks_outside_the_window_are_left_out() -> None:
    frame = framed(Box(100, 100, 420, 180))
    seen = input_planes(
        photo(400, 500)[0], frame, ObjectPrompt(((99, 120), (100, 100)), ((420, 120),))
    )
    assert seen[4, 0, 0] == 1
    assert seen[4].sum() == 11  # a quarter of a disc with its axes
    assert not seen[5].any()


def test_the_mask_so_far_is_bilinear() -> None:
    logits = np.random.default_rng(0).normal(0, 2, (2, HALF, HALF)).astype(np.float32)
    frame = framed(Box(0, 0, 500, 400))
    seen = input_planes(
        photo(400, 500)[0], frame, ObjectPrompt(((9, 9),)), ClickPrediction(frame, logits)
    )
    likely = cv2.resize(1 / (1 + np.exp(-logits[0])), (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
    high = SIDE * 4 // 5
    np.testing.assert_allclose(seen[7, :high], likely[:high], atol=1e-5)
    assert not seen[7, high:].any()


def test_the_mask_so_far_moves_with_the_window() -> None:
    image, bits = photo(300, 400, Box(210, 120, 250, 150))
    whole = framed(Box(0, 0, 400, 300))
    answer = ClickPrediction(whole, red(input_planes(image, whole, ObjectPrompt())))
    for window in (Box(190, 100, 270, 170), Box(0, 50, 330, 300)):
        near = framed(window)
        carried = input_planes(image, near, ObjectPrompt(), answer)[
            7, : near.size[0], : near.size[1]
        ]
        truth = cv2.resize(bits[window.slices].astype(np.float32), near.size[::-1])
        assert score(carried > 0.5, truth > 0.5) > 0.85


def test_nothing_is_known_where_it_did_not_look() -> None:
    answer = ClickPrediction(framed(Box(0, 0, 100, 100)), np.full((2, HALF, HALF), 9, np.float32))
    seen = input_planes(photo(100, 200)[0], framed(Box(0, 0, 200, 100)), ObjectPrompt(), answer)[7]
    assert seen[:HALF, :HALF].min() > 0.99
    assert not seen[:, HALF:].any()
    apart = input_planes(photo(100, 200)[0], framed(Box(120, 0, 200, 100)), ObjectPrompt(), answer)[
        7
    ]
    assert not apart.any()


# --- where it looks -------------------------------------------------------------------------


def watching(network: Network) -> tuple[Network, list[FloatArray]]:
    """The network, and what it is shown."""
    looks: list[FloatArray] = []

    def watched(seen: FloatArray) -> FloatArray:
        looks.append(seen)
        return network(seen)

    return watched, looks


def test_it_looks_closer_at_a_small_thing() -> None:
    thing = Box(900, 700, 960, 730)
    image, bits = photo(1500, 2000, thing)
    watched, looks = watching(red)
    answer = click.predict(image, ObjectPrompt(((930, 715),)), watched)
    told = [bool(look[7].any()) for look in looks]  # each with its mirror image
    # the whole, 800, 320 and 160 px, where it is sure; and round what it found
    assert told == [False] * 8 + [True] * 2
    assert answer.frame.window.width < 200
    odds = answer.odds(Box(0, 0, 2000, 1500), (1500, 2000))
    assert score(odds > 0, bits) > 0.9


def test_it_looks_once_at_a_thing_that_fills_the_photo() -> None:
    watched, looks = watching(red)
    image = photo(300, 400, Box(40, 30, 360, 270))[0]
    click.predict(image, ObjectPrompt(((200, 150),)), watched)
    assert len(looks) == 2


def test_it_looks_closer_where_it_finds_nothing() -> None:
    watched, looks = watching(blind)
    answer = click.predict(photo(300, 400)[0], ObjectPrompt(((200, 150),)), watched)
    assert len(looks) == 6  # 400, 160 and 64 px, each with its mirror image
    assert answer.frame.window == (0, 0, 400, 300)


def test_what_it_is_sure_of_ends_within_the_window() -> None:
    image = photo(300, 400, Box(120, 90, 200, 170))[0]
    for window, sure in (
        (Box(0, 0, 400, 300), True),
        (Box(90, 60, 230, 200), True),
        (Box(130, 60, 230, 200), False),  # it goes on to the left
        (Box(90, 60, 230, 150), False),
    ):
        answer = ClickPrediction(
            framed(window), red(input_planes(image, framed(window), ObjectPrompt()))
        )
        assert click._sure(answer, ObjectPrompt(((160, 130),)), image.shape) == sure


def test_at_the_edge_of_the_photo_nothing_goes_on() -> None:
    image = photo(300, 400, Box(0, 90, 90, 300))[0]
    answer = ClickPrediction(
        framed(Box(0, 0, 400, 300)),
        red(input_planes(image, framed(Box(0, 0, 400, 300)), ObjectPrompt())),
    )
    assert click._sure(answer, ObjectPrompt(((40, 200),)), image.shape)


@pytest.mark.parametrize("at", [(0, 0), (3, 3), (0, 540), (815, 0)])
def test_a_click_on_a_wall_at_the_edge_of_the_photo(at: Point) -> None:
    """Nothing is there that the network knows, from near or far."""
    wall = images.read(SAMPLES / "lamp.jpg").image
    (mask,) = BuiltinDetector().detect(wall, [Points((at,))])
    assert mask.mask.mean() > 0.1


def test_half_chances_are_not_sure() -> None:
    faint = np.full((2, HALF, HALF), -1.0, np.float32)
    faint[:, 30:50, 30:50] = 1
    assert not click._sure(
        ClickPrediction(framed(Box(0, 0, 400, 400)), faint),
        ObjectPrompt(((200, 200),)),
        (400, 400, 3),
    )


def test_the_window_of_a_box_is_round_it() -> None:
    box = Box(100, 100, 200, 150)
    answer = click.predict(photo(400, 600, box)[0], ObjectPrompt(box=box), red)
    assert answer.frame.window == (67, 67, 233, 183)


def test_a_photo_and_its_mirror_image_get_the_same_answer() -> None:
    ramp = np.linspace(-3, 3, HALF, dtype=np.float32)

    def lopsided(seen: FloatArray) -> FloatArray:
        return np.stack([seen[0, ::2, ::2] * ramp + ramp[::-1]] * 2)

    image = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    image = cv2.GaussianBlur(image, (0, 0), 9)
    frame, target = framed(Box(0, 0, SIDE, SIDE)), ObjectPrompt(((60, 60),))
    turned = np.ascontiguousarray(image[:, ::-1])
    one, other = (click._looked(i, frame, target, lopsided).logits for i in (image, turned))
    assert np.abs(one - other[:, :, ::-1]).mean() < 0.05 * one.std()


def test_a_single_click_may_mean_a_part() -> None:
    image = photo(100, 100, Box(20, 20, 80, 80))[0]
    for target, channel in (
        (ObjectPrompt(((50, 30),), granularity="part"), click.PART),
        (ObjectPrompt(((50, 30),)), click.OBJECT),
        (ObjectPrompt(((50, 30),), ((5, 5),), granularity="part"), click.OBJECT),
        (ObjectPrompt(((50, 30),), box=Box(9, 9, 90, 90), granularity="part"), click.OBJECT),
    ):
        assert click.predict(image, target, red).channel == channel


@settings(max_examples=40)
@given(
    size=st.tuples(st.integers(1, 3000), st.integers(1, 3000)),
    share=st.tuples(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1), st.floats(0, 1)),
)
def test_frames_hold_their_windows(
    size: tuple[int, int], share: tuple[float, float, float, float]
) -> None:
    (y0, y1), (x0, x1) = (
        sorted((int(a * (side - 1)), int(b * (side - 1))))
        for side, a, b in zip(size, share[::2], share[1::2], strict=True)
    )
    window = Box(x0, y0, x1 + 1, y1 + 1)
    frame = framed(window)
    assert max(frame.size) == SIDE
    for point in ((x0, y0), (x1, y1), (x0, y1)):
        x, y = frame.at(point)
        assert 0 <= x < frame.size[1]
        assert 0 <= y < frame.size[0]
    inner = frame.box(Box(x1, y1, x1 + 9, y1 + 9))
    assert inner.width > 0
    assert inner.height > 0
    assert Box(0, 0, frame.size[1], frame.size[0]).union(inner) == (0, 0, *frame.size[::-1])
    grown = click.around(window, 0.4, size)
    assert grown.union(window) == grown


# --- in the detector ------------------------------------------------------------------------


@pytest.mark.usefixtures("knows_red")
def test_a_click_and_a_box() -> None:
    thing = Box(300, 200, 420, 290)
    image, bits = photo(480, 640, thing)
    before = image.copy()
    for prompt in (Points(((360, 240),)), thing.grown(4, bits.shape)):
        (mask,) = BuiltinDetector().detect(image, [prompt])
        assert score(mask.mask, bits) > 0.95
    assert np.array_equal(image, before)


@pytest.mark.usefixtures("knows_red")
def test_only_the_thing_that_is_clicked() -> None:
    image, _ = photo(300, 500, Box(50, 50, 150, 150), Box(300, 100, 400, 200))
    (mask,) = BuiltinDetector().detect(image, [Points(((340, 150),))])
    assert score(mask.mask, photo(300, 500, Box(300, 100, 400, 200))[1]) > 0.95


def test_what_it_does_not_know_is_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detector, "shipped_network", {"click": blind}.get)
    thing = Box(100, 60, 160, 120)
    image, bits = photo(200, 260, thing)
    for prompt in (Points(((130, 90),)), thing.grown(4, bits.shape)):
        (mask,) = BuiltinDetector().detect(image, [prompt])
        assert score(mask.mask, bits) > 0.9


@pytest.mark.parametrize("known", [red, blind, noise])
@pytest.mark.parametrize("size", [(1, 1), (3, 3), (5, 2000), (2000, 5), (37, 41)])
@pytest.mark.filterwarnings("error::RuntimeWarning:segment2inpaint")
def test_odd_photos_and_clicks_on_the_border(
    size: tuple[int, int], known: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(detector, "shipped_network", {"click": known}.get)
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    corner = size[1] - 1, size[0] - 1
    for point in ((0, 0), corner):
        (mask,) = BuiltinDetector().detect(image, [Points((point,))])
        assert mask.mask.shape == size
        assert mask.mask[point[1], point[0]]
    for box in (Box(0, 0, size[1], size[0]), Box(-50, -50, 5000, 5000), Box(0, 0, 1, 1)):
        for mask in BuiltinDetector().detect(image, [box]):
            assert mask.mask.shape == size


def test_two_hundred_clicks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detector, "shipped_network", {"click": noise}.get)
    rng = np.random.default_rng(0)
    places = rng.permutation(60 * 80)[:200]
    points: list[Point] = [(int(p % 80), int(p // 80)) for p in places]
    image = rng.integers(0, 256, (60, 80, 3), np.uint8)
    prompt = Points(tuple(points[:100]), tuple(points[100:]))
    (mask,) = BuiltinDetector().detect(image, [prompt])
    assert all(mask.mask[y, x] for x, y in prompt.include)
    assert not any(mask.mask[y, x] for x, y in prompt.exclude)


def test_a_frame_is_a_value() -> None:
    assert framed(Box(0, 0, 640, 480)) == Letterbox(Box(0, 0, 640, 480), (SIDE * 3 // 4, SIDE))


def test_what_is_known_is_among_the_regions() -> None:
    """A thing of two colours that lie apart: no cut by colour has both of them, and no more."""
    image = np.full((120, 160, 3), 90, np.uint8)
    image[40:80, 40:80], image[40:80, 80:120] = (230, 30, 30), (20, 30, 220)
    truth = np.zeros((120, 160), np.bool_)
    truth[40:80, 40:120] = True
    pieces = superpixels.superpixel_graph(image, 100)
    share = np.bincount(pieces.labels.ravel(), truth.ravel()).astype(np.float32)
    seed = ClickSeed(int(pieces.labels[60, 60]), (60, 60))
    told = region_selection.candidates_from_prior(pieces, seed, share)
    assert len(told.regions) == len(region_selection.SHARES) == len(told.quality)
    assert all(score(region[pieces.labels], truth) > 0.8 for region in told.regions)
    found = region_selection.candidates(pieces, seed)
    both = region_selection.best_region(pieces, found.and_(told), known=share)[pieces.labels]
    assert score(both, truth) > 0.8
    nothing = region_selection.candidates_from_prior(pieces, seed, np.zeros_like(share))
    assert (nothing.regions[:, seed.start]).all()  # the click at least
    assert np.isfinite(nothing.quality).all()


def test_the_shipped_network_knows_an_object(monkeypatch: pytest.MonkeyPatch) -> None:
    """A person of several colours: no part of him alone."""
    image = np.full((240, 320, 3), (120, 150, 90), np.uint8)
    image = np.clip(image + np.random.default_rng(0).normal(0, 12, image.shape), 0, 255)
    image = image.astype(np.uint8)
    bits = np.zeros((240, 320), np.uint8)
    for plane, colours in (
        (image, ((40, 40, 160), (30, 30, 35), (200, 150, 120))), (bits, (1, 1, 1))
    ):  # fmt: skip
        cv2.rectangle(plane, (140, 90), (180, 150), colours[0], -1)
        cv2.rectangle(plane, (142, 150), (178, 215), colours[1], -1)
        cv2.circle(plane, (160, 72), 19, colours[2], -1)
    network = onnx.shipped_network("click")
    assert network is not None
    answer = click.predict(image, ObjectPrompt(((160, 120),)), network)
    assert score(answer.odds(Box(0, 0, 320, 240), (240, 320)) > 0, bits > 0) > 0.7
    (mask,) = BuiltinDetector().detect(image, [Points(((160, 120),))])
    assert score(mask.mask, bits > 0) > 0.7


@pytest.mark.parametrize(
    ("thing", "ground"), [("cone", "boat"), ("oranges", "cone"), ("ball", "cone")]
)
def test_a_small_thing_of_several_colours_in_a_large_photo(thing: str, ground: str) -> None:
    """24 px of a photo: in the whole, the network sees 3 of them."""
    source, whole = (images.read(SAMPLES / f"{thing}{end}").image for end in (".jpg", "_mask.png"))
    box = Box(*bounding_box(whole[..., 0] > 127))
    scale = 24 / max(box.width, box.height)
    size = max(1, round(box.width * scale)), max(1, round(box.height * scale))
    colours = cv2.resize(source[box.slices], size, interpolation=cv2.INTER_AREA)
    share = cv2.resize(whole[box.slices], size, interpolation=cv2.INTER_AREA) / 255
    photo = images.read(SAMPLES / f"{ground}_clean.jpg").image.copy()
    place = np.s_[300 : 300 + size[1], 400 : 400 + size[0]]
    photo[place] = photo[place] + (colours.astype(np.float32) - photo[place]) * share
    truth = np.zeros(photo.shape[:2], np.bool_)
    truth[place] = share[..., 0] > 0.5
    (mask,) = BuiltinDetector().detect(photo, [Points((deepest_point(truth),))])
    assert score(mask.mask, truth) > 0.75
