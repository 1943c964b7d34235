"""The click network's files: read as published, exported, run by ONNX Runtime, and as shipped."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from published_click import randomize, write_decoder, write_encoder
from torch import nn

from models.training.click import export
from models.training.click.decoder import Decoder
from models.training.click.published import read_decoder, read_encoder
from models.training.click.tiny_vit import EMBEDDING_CHANNELS, Encoder
from models.training.onnx_file import compact
from segment2inpaint.models.shipped import shipped_folder
from segment2inpaint.networks.click import BOTTOM_RIGHT, NEGATIVE, NO_POINT, POSITIVE, TOP_LEFT
from segment2inpaint.networks.onnx import OnnxNetwork, shipped_network

NAMES = ("click_encoder", "click_decoder")
CLICK = [POSITIVE, NO_POINT]
CLICKS = [POSITIVE, POSITIVE, NEGATIVE, NO_POINT]
BOX_AND_CLICK = [TOP_LEFT, BOTTOM_RIGHT, NEGATIVE]

Networks = tuple[Encoder, Decoder, Path]
Arrays = dict[str, NDArray[np.generic]]

torch.set_num_threads(1)  # cores are shared


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Networks:
    """Networks with random weights, and a folder with these weights in the published layout."""
    folder = tmp_path_factory.mktemp("published")
    encoder, decoder = randomize(Encoder()), randomize(Decoder())
    write_encoder(encoder, folder / "encoder.onnx")
    write_decoder(decoder, folder / "sam.onnx")
    return encoder, decoder, folder


@pytest.fixture(scope="module")
def exported(published: Networks, tmp_path_factory: pytest.TempPathFactory) -> Networks:
    """The published encoder, the decoder of a checkpoint, and the folder of their exports."""
    folder = tmp_path_factory.mktemp("exported")
    mean, latest = randomize(Decoder(), 1), randomize(Decoder(), 2)
    torch.save({"mean": mean.state_dict(), "network": latest.state_dict()}, folder / "run.pt")
    arguments = ["--weights", published[2], "--checkpoint", folder / "run.pt", folder]
    export.main([str(argument) for argument in arguments], standalone_mode=False)
    return published[0], mean, folder


def decoder_inputs(cells: tuple[int, int], kinds: list[int], questions: int) -> Arrays:
    rng = np.random.default_rng(len(kinds))
    height, width = cells
    return {
        "embedding": rng.normal(0, 1, (1, EMBEDDING_CHANNELS, *cells)).astype(np.float32),
        "points": rng.uniform(0, 16 * min(cells), (questions, len(kinds), 2)).astype(np.float32),
        "labels": np.tile(kinds, (questions, 1)),
        "mask": rng.normal(0, 5, (questions, 1, 4 * height, 4 * width)).astype(np.float32),
        "has_mask": (np.arange(questions) % 2).astype(np.float32),
    }


def assert_same_answers(network: nn.Module, file: Path, inputs: Arrays) -> None:
    """Check that ONNX Runtime and torch agree, but for the weights' half precision."""
    with torch.inference_mode():
        outputs = network(*(torch.from_numpy(value) for value in inputs.values()))
    expected = outputs if isinstance(outputs, tuple) else (outputs,)
    found = OnnxNetwork(file).run(**inputs)
    for value, wanted in zip(found, expected, strict=True):
        assert value.dtype == np.float32
        np.testing.assert_allclose(value, wanted.numpy(), atol=0.02 * float(wanted.std()))


def half_shapes(path: Path) -> Counter[tuple[int, ...]]:
    weights = onnx.load(path).graph.initializer
    return Counter(tuple(w.dims) for w in weights if w.data_type == onnx.TensorProto.FLOAT16)


# --- the published files ------------------------------------------------------------------------


@pytest.mark.parametrize("index", [0, 1])
def test_published_weights_are_read_though_they_are_anonymous(
    published: Networks, index: int
) -> None:
    network, read = published[index], (read_encoder, read_decoder)[index]
    file = published[2] / ("encoder.onnx", "sam.onnx")[index]
    names = {weight.name for weight in onnx.load(file).graph.initializer}
    state = network.state_dict()
    assert len([name for name in names if name.startswith("onnx::")]) > 20
    for name, value in read(file).state_dict().items():
        torch.testing.assert_close(value, state[name], rtol=0, atol=0, msg=name)


def test_files_of_another_layout_are_refused_in_one_line(published: Networks) -> None:
    for read, name in ((read_encoder, "sam.onnx"), (read_decoder, "encoder.onnx")):
        with pytest.raises(
            ValueError, match=f"{name}: .*expected [0-9]+ .*, got [0-9]+$"
        ) as caught:
            read(published[2] / name)
        assert "\n" not in str(caught.value)


def test_a_weight_of_another_size_is_named(published: Networks, tmp_path: Path) -> None:
    model = onnx.load(published[2] / "sam.onnx")
    name = "prompt_encoder.point_embeddings.0.weight"
    weight = next(w for w in model.graph.initializer if w.name.endswith(name))
    values = onnx.numpy_helper.to_array(weight)[:, :10]
    weight.CopyFrom(onnx.numpy_helper.from_array(values, weight.name))
    onnx.save(model, tmp_path / "sam.onnx")
    with pytest.raises(ValueError, match=f"{name}: expected 256 values, got 10"):
        read_decoder(tmp_path / "sam.onnx")


# --- exports ------------------------------------------------------------------------------------


@pytest.mark.training
@pytest.mark.parametrize("frame", [(64, 64), (80, 208), (16, 144)])
def test_encoders_give_the_same_in_onnx_runtime_and_torch(
    exported: Networks, frame: tuple[int, int]
) -> None:
    picture = np.random.default_rng(0).uniform(0, 255, (1, 3, *frame)).astype(np.float32)
    inside = np.ones((1, 1, *frame), np.float32)
    inside[..., -5:] = 0
    inputs = {"picture": picture, "inside": inside}
    assert_same_answers(exported[0], exported[2] / "click_encoder.onnx", inputs)


@pytest.mark.training
@pytest.mark.parametrize(
    ("cells", "kinds", "questions"),
    [((4, 4), CLICK, 1), ((3, 9), CLICKS, 5), ((8, 2), BOX_AND_CLICK, 2), ((1, 7), CLICK, 3)],
)
def test_decoders_give_the_same_in_onnx_runtime_and_torch(
    exported: Networks, cells: tuple[int, int], kinds: list[int], questions: int
) -> None:
    inputs = decoder_inputs(cells, kinds, questions)
    assert_same_answers(exported[1], exported[2] / "click_decoder.onnx", inputs)


@pytest.mark.training
def test_shipped_files_are_exports_of_these_networks(exported: Networks) -> None:
    for name in NAMES:
        shipped = half_shapes(shipped_folder("weights") / f"{name}.onnx")
        assert shipped == half_shapes(exported[2] / f"{name}.onnx")
        assert shipped.total() > 50


@pytest.mark.training
def test_exports_name_no_paths(exported: Networks) -> None:
    for name in NAMES:
        data = (exported[2] / f"{name}.onnx").read_bytes()
        assert not [word for word in (b".py", b"site-packages", b"forward") if word in data]


def test_weights_beyond_half_precision_are_refused() -> None:
    weight = onnx.numpy_helper.from_array(np.full((2, 2), 1e6, np.float32), "large")
    node = onnx.helper.make_node("Identity", ["large"], ["output"])
    output = onnx.helper.make_tensor_value_info("output", onnx.TensorProto.FLOAT, (2, 2))
    graph = onnx.helper.make_graph([node], "graph", [], [output], [weight])
    with pytest.raises(ValueError, match="large is not finite, or too large for half precision"):
        compact(onnx.helper.make_model(graph))


# --- the shipped files --------------------------------------------------------------------------


def test_shipped_files_are_small_and_name_no_paths() -> None:
    for name in NAMES:
        data = (shipped_folder("weights") / f"{name}.onnx").read_bytes()
        assert len(data) < 16_000_000
        assert not [word for word in (b".py", b"site-packages", b"forward") if word in data]


def test_threads_can_share_a_network() -> None:
    network = OnnxNetwork(shipped_folder("weights") / "click_decoder.onnx")
    inputs = [decoder_inputs((4, 6), CLICK, count) for count in (1, 2, 3)]
    expected = [network.run(**values) for values in inputs]
    with ThreadPoolExecutor(3) as pool:
        results = list(pool.map(lambda values: network.run(**values), inputs * 2))
    for found, wanted in zip(results, expected * 2, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(found, wanted, strict=True))


def test_detector_does_not_import_torch() -> None:
    code = (
        "import sys, numpy as np;"
        "from segment2inpaint.detect.builtin.detector import BuiltinDetector;"
        "from segment2inpaint.types import Box;"
        "image = np.zeros((40, 60, 3), np.uint8);"
        "BuiltinDetector().detect(image, [Box(5, 5, 30, 30)]);"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_network_without_a_file_is_none(tmp_path: Path) -> None:
    assert shipped_network("click_encoder", tmp_path) is None
