"""MI-GAN's published file is rebuilt; its answers stay the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from click.testing import CliRunner
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from torch.nn import functional

from models.training.background import convert
from segment2inpaint.networks.onnx import OnnxNetwork

Array = NDArray[np.float32]
RESOLUTIONS = (4, 8, 16)  # px of the small network, which is for 16 px
CHANNELS = {4: 6, 8: 6, 16: 4}
BINOMIAL = torch.outer(torch.tensor([1.0, 3, 3, 1]), torch.tensor([1.0, 3, 3, 1])) / 64


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(convert, "RESOLUTIONS", RESOLUTIONS)


def make_published() -> convert.Published:
    """Return random weights of the small network, by their published names."""
    random = np.random.default_rng(0)
    weights: dict[str, Array] = {}
    noise: dict[str, Array] = {}

    def add(name: str, *shape: int) -> None:
        size = float(np.prod(shape[1:]))
        weights[name] = random.normal(0, size**-0.5, shape).astype(np.float16).astype(np.float32)

    def add_separable(layer: str, inputs: int, outputs: int) -> None:
        add(f"{layer}.conv1.weight", inputs, 1, 3, 3)
        add(f"{layer}.conv1.bias", inputs)
        add(f"{layer}.conv2.weight", outputs, inputs, 1, 1)

    add("encoder.b16.fromrgb.weight", CHANNELS[16], 4, 1, 1)
    add("encoder.b16.fromrgb.bias", CHANNELS[16])
    for side in RESOLUTIONS:
        own, lower = CHANNELS[side], CHANNELS[max(4, side // 2)]
        add_separable(f"encoder.b{side}.conv1", own, own)
        add_separable(f"encoder.b{side}.conv2", own, lower)
        add_separable(f"synthesis.b{side}.conv1", lower, own)
        add_separable(f"synthesis.b{side}.conv2", own, own)
        add(f"synthesis.b{side}.torgb.weight", 3, own, 1, 1)
        add(f"synthesis.b{side}.torgb.bias", 3)
        for conv in ("conv1", "conv2") if side > 4 else ():
            noise[f"synthesis.b{side}.{conv}"] = random.normal(0, 0.1, (side, side)).astype("f4")
    return convert.Published(weights, noise)


def reference(published: convert.Published, planes: Array) -> Array:
    """Return the network's answer as its authors describe it, computed with torch."""
    weights = {name: torch.from_numpy(values) for name, values in published.weights.items()}

    def activate(x: torch.Tensor) -> torch.Tensor:
        return (functional.leaky_relu(x, 0.2) * 2**0.5).clamp(-256, 256)

    def conv(x: torch.Tensor, layer: str, **options: Any) -> torch.Tensor:
        bias = weights.get(f"{layer}.bias")
        return functional.conv2d(x, weights[f"{layer}.weight"], bias, **options)

    def halve(x: torch.Tensor) -> torch.Tensor:
        kernel = BINOMIAL.expand(x.shape[1], 1, 4, 4)
        return functional.conv2d(x, kernel, stride=2, padding=1, groups=x.shape[1])

    def double(x: torch.Tensor) -> torch.Tensor:
        kernel = 4 * BINOMIAL.expand(x.shape[1], 1, 4, 4)
        return functional.conv_transpose2d(x, kernel, stride=2, padding=1, groups=x.shape[1])

    def separable(x: torch.Tensor, layer: str, change: float = 1) -> torch.Tensor:
        x = activate(conv(x, f"{layer}.conv1", padding=1, groups=x.shape[1]))
        x = conv(halve(x) if change < 1 else x, f"{layer}.conv2")
        x = double(x) if change > 1 else x
        if layer in published.noise:
            height, width = x.shape[2:]
            x = x + torch.from_numpy(published.noise[layer][:height, :width])
        return activate(x)

    x, features = activate(conv(torch.from_numpy(planes), "encoder.b16.fromrgb")), {}
    for side in reversed(RESOLUTIONS):
        features[side] = separable(x, f"encoder.b{side}.conv1")
        x = separable(features[side], f"encoder.b{side}.conv2", 1 if side == 4 else 0.5)
    picture = torch.zeros(())
    for side in RESOLUTIONS:
        x = separable(x, f"synthesis.b{side}.conv1", 1 if side == 4 else 2) + features[side]
        x = separable(x, f"synthesis.b{side}.conv2")
        picture = double(picture) if picture.ndim else picture
        picture = picture + conv(x, f"synthesis.b{side}.torgb")
    return picture.numpy()


def save_published(published: convert.Published, path: Path) -> None:
    """Write the weights as the published file has them: noise has no name, only an order."""
    tensors = [
        numpy_helper.from_array(values, f"model.{name}")
        for name, values in published.weights.items()
    ]
    nodes = [helper.make_node("Identity", ["image"], ["x_0"])]
    for number, values in enumerate(published.noise.values()):
        constant = numpy_helper.from_array(values, f"noise_{number}")
        nodes.append(helper.make_node("Constant", [], [f"noise_{number}"], value=constant))
        inputs = [f"x_{number}", f"noise_{number}"]
        nodes.append(helper.make_node("Add", inputs, [f"x_{number + 1}"]))
    graph = helper.make_graph(nodes, "published", [], [], tensors)
    onnx.save(helper.make_model(graph), path)


@pytest.mark.parametrize("size", [(16, 16), (8, 16), (16, 4)], ids=str)
def test_the_converted_network_gives_the_published_answers(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    published = make_published()
    save_published(published, tmp_path / "published.onnx")
    paths = str(tmp_path / "published.onnx"), str(tmp_path / "background.onnx")
    outcome = CliRunner().invoke(convert.main, paths)
    assert outcome.exit_code == 0, outcome.output
    planes = np.random.default_rng(1).normal(0, 1, (1, 4, *size)).astype(np.float32)
    (answer,) = OnnxNetwork(tmp_path / "background.onnx").run(planes=planes)
    expected = reference(published, planes)
    assert answer.shape == (1, 3, *size)
    assert np.abs(answer - expected).max() < 0.02 * np.abs(expected).max()


def test_a_file_without_all_its_noise_is_refused(tmp_path: Path) -> None:
    published = make_published()
    del published.noise["synthesis.b8.conv2"]
    save_published(published, tmp_path / "published.onnx")
    with pytest.raises(ValueError, match="shorter"):
        convert.read_published(tmp_path / "published.onnx")
