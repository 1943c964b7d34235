"""Convert the published MI-GAN into the file that ships.

    python -m models.training.background.convert PUBLISHED models/weights/background.onnx

PUBLISHED is ``migan_pipeline_v2.onnx``; ``models/weights/background.md`` says where it is. Only its
weights are used: its graph also crops and blends, which the package does itself, and takes
512 x 512 px alone. The graph that ships is the generator, for frames of other shapes too. It is
built so that a CPU runs it fast: the gain of each activation is part of the weights before it, and
what doubles the resolution is a convolution whose planes are then interleaved. Activations are not
clamped at 256: on photos they stay below 30. Weights become half precision.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import onnx
from numpy.typing import NDArray

from models.training.onnx_file import GraphBuilder, save

INPUT, OUTPUT = "planes", "picture"
RESOLUTIONS = (4, 8, 16, 32, 64, 128, 256, 512)  # px of the published network, for 512 px
SLOPE, GAIN = 0.2, 2**0.5  # of each activation, a leaky ReLU
PREFIX = "model."  # of the weights' names in the published file
RESAMPLING_FILTER = np.outer([1, 3, 3, 1], [1, 3, 3, 1]).astype(np.float32) / 64

Array = NDArray[Any]


@dataclass(frozen=True)
class Published:
    """The weights of the published network, and the noise that is added at each convolution."""

    weights: dict[str, Array]
    noise: dict[str, Array]


@dataclass(frozen=True)
class GeneratorBuilder(GraphBuilder):
    """The layers so far. Each method adds nodes and returns their output's name."""

    published: Published

    def convolve(self, x: str, layer: str, gain: float = 1.0) -> str:
        """Convolve by a layer of the published network; 3 x 3 layers treat each plane alone."""
        values = self.published.weights[f"{layer}.weight"]
        inputs = [x, self.weight(gain * values)]
        if f"{layer}.bias" in self.published.weights:
            inputs.append(self.weight(gain * self.published.weights[f"{layer}.bias"]))
        pad = values.shape[2] // 2
        groups = len(values) if pad else 1
        return self.add("Conv", inputs, group=groups, pads=[pad] * 4)

    def activate(self, x: str) -> str:
        return self.add("LeakyRelu", [x], alpha=SLOPE)

    def halve(self, x: str, planes: int) -> str:
        """Halve the resolution."""
        kernel = self.weight(np.tile(RESAMPLING_FILTER, (planes, 1, 1, 1)))
        return self.add("Conv", [x, kernel], group=planes, strides=[2, 2], pads=[1] * 4)

    def double(self, x: str, planes: int) -> str:
        """Double the resolution: each pixel of 2 x 2 has a filter of its own."""
        ways = np.array([[1, 3, 0], [0, 3, 1]], np.float32) / 4
        kernels = np.stack([np.outer(down, across) for down in ways for across in ways])
        kernel = self.weight(np.tile(kernels[:, None], (planes, 1, 1, 1)))
        quarters = self.add("Conv", [x, kernel], group=planes, pads=[1] * 4)
        return self.add("DepthToSpace", [quarters], blocksize=2, mode="CRD")

    def add_noise(self, x: str, layer: str) -> str:
        """Add the layer's noise, cut to the size of ``x``."""
        if layer not in self.published.noise:
            return x
        noise = self.weight(GAIN * self.published.noise[layer][None, None])
        size = self.add("Shape", [x], start=2)
        start, axes = self.weight(np.array([0, 0])), self.weight(np.array([2, 3]))
        return self.add("Add", [x, self.add("Slice", [noise, start, size, axes])])

    def separable(self, x: str, layer: str, change: float = 1) -> str:
        """A 3 x 3 convolution of each plane and a 1 x 1 convolution across them, with activations.

        ``change`` is 0.5 to halve the resolution, 2 to double it.
        """
        x = self.activate(self.convolve(x, f"{layer}.conv1", GAIN))
        outputs, inputs = self.published.weights[f"{layer}.conv2.weight"].shape[:2]
        x = self.halve(x, inputs) if change < 1 else x
        x = self.convolve(x, f"{layer}.conv2", GAIN)
        x = self.double(x, outputs) if change > 1 else x
        return self.activate(self.add_noise(x, layer))


def read_published(path: Path) -> Published:
    """Return the weights and the noise of a ``migan_pipeline_v2.onnx``.

    An export multiplies noise by its strength and gives the product no name; the nodes that add
    it are in the order of the network.
    """
    graph = onnx.load(str(path)).graph
    tensors = {t.name: onnx.numpy_helper.to_array(t) for t in graph.initializer}
    constants = {
        n.output[0]: onnx.numpy_helper.to_array(n.attribute[0].t)
        for n in graph.node
        if n.op_type == "Constant" and n.attribute[0].HasField("t")
    }
    known = tensors | constants
    added = [known[i] for n in graph.node if n.op_type == "Add" for i in n.input if i in known]
    layers = [f"synthesis.b{r}.{conv}" for r in RESOLUTIONS[1:] for conv in ("conv1", "conv2")]
    noise = dict(zip(layers, (a for a in added if a.ndim == 2), strict=True))
    weights = {n.removeprefix(PREFIX): t for n, t in tensors.items() if n.startswith(PREFIX)}
    return Published(weights, noise)


def build(published: Published) -> onnx.ModelProto:
    """Return the generator: (1, 4, H, W) to RGB (1, 3, H, W) in about [-1, 1].

    The input is 0.5 where the picture is known and -0.5 in the hole, and RGB in [-1, 1] with 0 in
    the hole. H and W are multiples of 128, at most 512.
    """
    into = GeneratorBuilder(published)
    x, features = encode(into)
    into.add("Identity", [decode(into, x, features)], OUTPUT)
    tensor = onnx.helper.make_tensor_value_info
    return into.model(
        "migan",
        [tensor(INPUT, onnx.TensorProto.FLOAT, (1, 4, "height", "width"))],
        [tensor(OUTPUT, onnx.TensorProto.FLOAT, (1, 3, "height", "width"))],
    )


def encode(into: GeneratorBuilder) -> tuple[str, dict[int, str]]:
    """Return the lowest planes, and the features of each resolution."""
    features: dict[int, str] = {}
    x = into.activate(into.convolve(INPUT, f"encoder.b{RESOLUTIONS[-1]}.fromrgb", GAIN))
    for side in reversed(RESOLUTIONS):
        features[side] = into.separable(x, f"encoder.b{side}.conv1")
        change = 1 if side == RESOLUTIONS[0] else 0.5
        x = into.separable(features[side], f"encoder.b{side}.conv2", change)
    return x, features


def decode(into: GeneratorBuilder, x: str, features: dict[int, str]) -> str:
    """Return the picture, the sum of the pictures of all resolutions."""
    picture = ""
    for side in RESOLUTIONS:
        change = 1 if side == RESOLUTIONS[0] else 2
        x = into.separable(x, f"synthesis.b{side}.conv1", change)
        x = into.separable(into.add("Add", [x, features[side]]), f"synthesis.b{side}.conv2")
        own = into.convolve(x, f"synthesis.b{side}.torgb")
        picture = into.add("Add", [into.double(picture, 3), own]) if picture else own
    return picture


@click.command()
@click.argument("published", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("out", type=click.Path(dir_okay=False, path_type=Path))
def main(published: Path, out: Path) -> None:
    """Convert the file PUBLISHED and write it to OUT."""
    save(build(read_published(published)), out)


if __name__ == "__main__":
    main()
