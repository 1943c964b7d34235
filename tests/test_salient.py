"""What stands out, how far it backs an answer at a click or in a box, and the file that ships."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest

from models.training.saliency import export
from segment2inpaint.detect.builtin import detector
from segment2inpaint.detect.builtin.detector import BuiltinDetector
from segment2inpaint.networks import click, saliency
from segment2inpaint.networks import onnx as networks
from segment2inpaint.networks.click import ClickPrediction, ObjectPrompt, framed
from segment2inpaint.networks.onnx import FloatArray, OnnxNetwork
from segment2inpaint.networks.saliency import DEVIATION, MEAN, SIDE, SaliencyMap
from segment2inpaint.types import BinaryMask, Box, Image, Points

SIZE = 300, 400
THING = Box(150, 100, 250, 200)


def overlap(one: BinaryMask, other: BinaryMask) -> float:
    return float((one & other).sum() / max((one | other).sum(), 1))


def filled(box: Box, size: tuple[int, int] = SIZE) -> BinaryMask:
    bits = np.zeros(size, np.bool_)
    bits[box.slices] = True
    return bits


def photo(*things: Box) -> Image:
    image = np.random.default_rng(0).integers(80, 110, (*SIZE, 3), np.uint8)
    for thing in things:
        image[thing.slices] = (200, 60, 40)
    return image


def standing_out(planes: FloatArray) -> FloatArray:
    """Logits (1, SIDE, SIDE): what is red, 6 for 1."""
    red, green = (planes[i] * DEVIATION[i] + MEAN[i] for i in (0, 1))
    logits: FloatArray = np.where(red > green + 0.3, 6, -6).astype(np.float32)[None]
    return logits


def says(bits: BinaryMask) -> ClickPrediction:
    """The answer of a look at the whole photo: these, hardly the rest of THING, and no more."""
    frame = framed(Box(0, 0, bits.shape[1], bits.shape[0]))
    logits = np.full((2, click.SIDE // 2, click.SIDE // 2), -9, np.float32)
    height, width = (side // 2 for side in frame.size)
    hardly, on = (
        cv2.resize(part.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA)
        for part in (filled(THING), bits)
    )
    logits[:, :height, :width] = np.maximum(-9 + 6 * hardly, -9 + 14 * on)
    return ClickPrediction(frame, logits)


def test_a_window_is_seen_in_a_square_as_the_network_learnt_colours() -> None:
    shown: list[FloatArray] = []

    def watched(planes: FloatArray) -> FloatArray:
        shown.append(planes)
        return np.zeros((1, SIDE, SIDE), np.float32)

    image = np.zeros((*SIZE, 3), np.uint8)
    window = Box(40, 20, 340, 120)
    image[window.slices] = (255, 128, 0)
    seen = saliency.predict_saliency(image, window, watched)
    assert seen.window == window
    assert shown[0].shape == (3, SIDE, SIDE)
    assert shown[0].dtype == np.float32
    wanted = (np.array([1, 128 / 255, 0]) - MEAN) / DEVIATION
    np.testing.assert_allclose(
        shown[0], np.broadcast_to(wanted[:, None, None], shown[0].shape), atol=1e-5
    )


def test_odds_lie_where_they_were_seen_and_are_nothing_beyond() -> None:
    logits = np.full((SIDE, SIDE), -50, np.float32)
    logits[: SIDE // 2] = 50
    odds = SaliencyMap(Box(100, 100, 200, 200), logits, 0.5).odds(Box(0, 0, 400, 300), SIZE)
    weight = 0.5 * saliency.WEIGHT
    assert np.allclose(odds[102:148, 102:198], weight * saliency.CLEAR)
    assert np.allclose(odds[152:198, 102:198], -weight * saliency.DIM)
    odds[100:200, 100:200] = 0
    assert not odds.any()


@pytest.mark.parametrize(
    ("answer", "weight"),
    [
        (THING, 1),
        (Box(150, 100, 175, 140), 0.5),
        (Box(150, 100, 160, 110), 0),
        (Box(0, 0, 400, 300), 0),
    ],
)
def test_what_stands_out_counts_as_far_as_it_is_where_the_answer_is(
    answer: Box, weight: float
) -> None:
    target = ObjectPrompt(((155, 105),))
    backed = click.with_saliency(photo(THING), says(filled(answer)), target, standing_out)
    assert backed.backing is not None
    assert backed.backing.weight == pytest.approx(weight, abs=0.1)


@pytest.mark.parametrize(
    ("box", "weight"),
    [(THING.grown(4, SIZE), 1), (Box(150, 100, 185, 200), 0), (Box(30, 30, 90, 90), 0)],
)
def test_what_stands_out_counts_as_far_as_it_lies_in_the_box(box: Box, weight: float) -> None:
    answer = says(filled(box))
    backed = click.with_saliency(photo(THING), answer, ObjectPrompt(box=box), standing_out)
    assert backed.backing is not None
    assert backed.backing.weight == pytest.approx(weight, abs=0.1)


def test_a_part_is_not_what_stands_out() -> None:
    target = ObjectPrompt(((155, 105),), granularity="part")
    answer = says(filled(THING))
    assert click.with_saliency(photo(THING), answer, target, standing_out) is answer


def test_nothing_found_is_not_backed() -> None:
    answer = says(filled(Box(0, 0, 1, 1)) & False)
    assert (
        click.with_saliency(photo(THING), answer, ObjectPrompt(((155, 105),)), standing_out)
        is answer
    )


def test_an_answer_takes_what_backs_it() -> None:
    half = says(filled(Box(150, 100, 215, 200)))
    backed = click.with_saliency(photo(THING), half, ObjectPrompt(((155, 105),)), standing_out)
    whole = Box(0, 0, 400, 300)
    for answer, least in (half, 0.0), (backed, 0.95):
        odds = answer.odds(whole, SIZE) > 0
        assert overlap(odds, filled(THING)) > least
        assert overlap(answer.likely(whole, SIZE) > 0.5, odds) > 0.95
    assert overlap(half.odds(whole, SIZE) > 0, filled(THING)) < 0.7


@pytest.mark.parametrize("prompt", [Points(((170, 150),)), THING.grown(5, SIZE)])
def test_a_thing_of_two_colours(prompt: Points | Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """The click network knows the larger part of it."""

    def knows(planes: FloatArray) -> FloatArray:
        red, green, blue, inside = planes[:4, ::2, ::2]
        known = np.where(blue < 0, 6, -2)
        likely = np.where((red - green > 1) & (inside > 0), known, -9)
        return np.stack([likely, likely]).astype(np.float32)

    image = photo(THING)
    image[100:200, 215:250] = (200, 60, 250)
    monkeypatch.setattr(detector, "shipped_network", {"click": knows, "saliency": standing_out}.get)
    (mask,) = BuiltinDetector().detect(image, [prompt])
    assert overlap(mask.mask, filled(THING)) > 0.9


def test_the_shipped_network_tells_what_stands_out() -> None:
    network = networks.shipped_network("saliency")
    assert network is not None
    image = np.full((*SIZE, 3), (90, 120, 80), np.uint8)
    cv2.circle(image, (200, 150), 60, (210, 90, 40), -1)
    cv2.circle(image, (200, 150), 30, (240, 220, 60), -1)
    wanted = np.zeros(SIZE, np.uint8)
    cv2.circle(wanted, (200, 150), 60, 1, -1)
    whole = Box(0, 0, 400, 300)
    found = saliency.predict_saliency(image, whole, network).odds(whole, SIZE) > 0
    assert overlap(found, wanted > 0) > 0.85


def test_a_click_on_the_ground_does_not_take_what_stands_out() -> None:
    image = photo(THING)
    (mask,) = BuiltinDetector().detect(image, [Points(((40, 250),))])
    assert not mask.mask[THING.grown(-5, SIZE).slices].any()


@pytest.mark.parametrize("size", [(1, 1), (3, 3), (5, 900), (900, 5), (37, 41)])
@pytest.mark.filterwarnings("error::RuntimeWarning:segment2inpaint")
def test_odd_photos(size: tuple[int, int]) -> None:
    """With the networks that ship."""
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    (mask,) = BuiltinDetector().detect(image, [Points(((size[1] - 1, 0),))])
    assert mask.mask.shape == size
    assert mask.mask[0, -1]
    for box in (Box(0, 0, size[1], size[0]), Box(0, 0, 1, 1)):
        for mask in BuiltinDetector().detect(image, [box]):
            assert mask.mask.shape == size
            assert not mask.mask[box.y1 :].any()
            assert not mask.mask[:, box.x1 :].any()


def published(last: str = "Sigmoid") -> onnx.ModelProto:
    """As the published file is made: halved, and enlarged to a size worked out from its input's."""
    h = onnx.helper
    kernel = np.random.default_rng(0).normal(0, 0.3, (1, 3, 3, 3)).astype(np.float32)
    nodes = [
        h.make_node("Conv", ["photo", "kernel"], ["plane"], pads=[1, 1, 1, 1]),
        h.make_node("MaxPool", ["plane"], ["small"], kernel_shape=[2, 2], strides=[2, 2]),
        h.make_node("Shape", ["plane"], ["size"]),
        h.make_node("Resize", ["small", "none", "none", "size"], ["large"], mode="linear"),
        h.make_node(last, ["large"], ["first"]),
        h.make_node("Sigmoid", ["plane"], ["second"]),
    ]
    shapes = {"photo": (1, 3, 320, 320), "first": (1, 1, 320, 320), "second": (1, 1, 320, 320)}
    one, *rest = (h.make_tensor_value_info(n, onnx.TensorProto.FLOAT, s) for n, s in shapes.items())
    held = {"kernel": kernel, "none": np.zeros(0, np.float32)}
    weights = [onnx.numpy_helper.from_array(values, name) for name, values in held.items()]
    graph = h.make_graph(nodes, "made", [one], rest, weights, doc_string="/home/someone")
    return h.make_model(graph, opset_imports=[h.make_opsetid("", 11)], ir_version=6)


def test_the_file_is_the_published_network_at_its_size(tmp_path: Path) -> None:
    onnx.save(published(), tmp_path / "published.onnx")
    words = [str(tmp_path / "published.onnx"), str(tmp_path / "small.onnx")]
    export.main(words, standalone_mode=False)
    planes = np.random.default_rng(1).normal(0, 1, (3, SIDE, SIDE)).astype(np.float32)
    whole = cv2.dnn.readNetFromONNX(str(tmp_path / "published.onnx"))
    whole.setInput(planes[None])
    wanted = whole.forward("first")[0]
    logits = OnnxNetwork(tmp_path / "small.onnx")(planes)
    np.testing.assert_allclose(1 / (1 + np.exp(-logits)), wanted, atol=2e-3)
    made = onnx.load(tmp_path / "small.onnx")
    assert [node.op_type for node in made.graph.node if node.op_type in ("Shape", "Sigmoid")] == []
    assert b"someone" not in (tmp_path / "small.onnx").read_bytes()


def test_another_network_is_told() -> None:
    with pytest.raises(ValueError, match="Relu"):
        export.exported(published("Relu"))
