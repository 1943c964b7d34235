"""Convert the published NanoDet-g from TensorFlow.js into the file that ships.

    python -m models.training.objects.convert nanodet.json models/weights/objects.onnx

``models/weights/objects.md`` says where the published file is. The graph is translated node by
node; its transposes between layouts fall away, and paddings go into the nodes that they precede.
The input becomes RGB from 0 to 255 of any size, and weights become half precision. The outputs
are the maps of three strides, before their sigmoid and softmax.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import numpy as np
import onnx
from numpy.typing import NDArray

from models.training.onnx_file import GraphBuilder, save

INPUT = "image"
HEADS = {  # nodes that hold the maps, by stride
    "stride_8": "PartitionedCall/onnx_tf_prefix_Split_153",
    "stride_16": "PartitionedCall/onnx_tf_prefix_Split_164",
    "stride_32": "PartitionedCall/onnx_tf_prefix_Split_175",
}
MEAN = (123.675, 116.28, 103.53)  # of red, green and blue in training
DEVIATION = (58.395, 57.12, 57.375)
PLANES = 124  # of each output: 80 scores and 4 x 11 bins of distances
INPUT_SIDE = 416  # px of the published graph, which names the sides of all maps
LAYOUT_OPERATIONS = ("Transpose", "Identity", "Pad", "PadV2", "SplitV")

Array = NDArray[Any]
Node = dict[str, Any]


@dataclass(frozen=True)
class Published:
    """The nodes of a TensorFlow.js graph and its constants, by name."""

    nodes: dict[str, Node]
    constants: dict[str, Array]


@dataclass(frozen=True)
class Translation(GraphBuilder):
    """The ONNX nodes so far, and the published nodes that they stand for: ``names``."""

    published: Published
    names: dict[str, str] = field(default_factory=dict)


# --- read -----------------------------------------------------------------------------------------


def read_published(path: Path) -> Published:
    """Return the graph in a ``.json`` file with the weights beside it."""
    model = json.loads(path.read_text())
    (group,) = model["weightsManifest"]
    data = b"".join((path.parent / name).read_bytes() for name in group["paths"])
    nodes = {node["name"]: node for node in model["modelTopology"]["node"]}
    return Published(nodes, dict(_constants(group["weights"], data)))


def _constants(entries: list[Node], data: bytes) -> Iterator[tuple[str, Array]]:
    start = 0
    for entry in entries:
        dtype = np.dtype(entry.get("quantization", entry)["dtype"])
        count = math.prod(entry["shape"])
        values = np.frombuffer(data, dtype, count, start).reshape(entry["shape"])
        start += values.nbytes
        yield entry["name"], values.astype(entry["dtype"])


# --- translate ------------------------------------------------------------------------------------


def translate(published: Published) -> onnx.ModelProto:
    """Return the network with one input of any size and an output of each stride."""
    into = Translation(published)
    outputs = [_translate(into, head) for head in HEADS.values()]
    for inner, name in zip(outputs, HEADS, strict=True):
        into.add("Identity", [inner], name)
    tensor = onnx.helper.make_tensor_value_info
    return into.model(
        "nanodet",
        [tensor(INPUT, onnx.TensorProto.FLOAT, (1, 3, "height", "width"))],
        [tensor(n, onnx.TensorProto.FLOAT, (1, PLANES, f"{n}_h", f"{n}_w")) for n in HEADS],
    )


def _translate(into: Translation, name: str) -> str:
    """Return the ONNX name of a published node, and add what it needs."""
    if name not in into.names:
        node = into.published.nodes[name]
        if node["op"] in LAYOUT_OPERATIONS:
            into.names[name] = _translate(into, node["input"][0])
        else:
            into.names[name] = _TRANSLATORS[node["op"]](into, node)
    return into.names[name]


def _input(into: Translation, node: Node) -> str:
    """Add the normalisation of training; the network's planes are blue, green and red."""
    mean = into.weight(np.array(MEAN, np.float32).reshape(3, 1, 1), "mean")
    scale = into.weight(1 / np.array(DEVIATION, np.float32).reshape(3, 1, 1), "scale")
    centered = into.add("Sub", [INPUT, mean], "centered")
    normalized = into.add("Mul", [centered, scale], "normalized")
    order = into.weight(np.array([2, 1, 0]), "blue_green_red")
    return into.add("Gather", [normalized, order], "planes", axis=1)


def _convolution(into: Translation, node: Node) -> str:
    source, kernel = node["input"]
    values = into.published.constants[kernel].transpose(3, 2, 0, 1)
    inputs = [_translate(into, source), into.weight(values, f"{node['name']}/weight")]
    pads = [_padding(into.published, source)] * 4
    return into.add("Conv", inputs, node["name"], strides=_sides(node, "strides"), pads=pads)


def _max_pool(into: Translation, node: Node) -> str:
    (source,) = node["input"]
    sides = {"kernel_shape": _sides(node, "ksize"), "strides": _sides(node, "strides")}
    pads = [_padding(into.published, source)] * 4
    return into.add("MaxPool", [_translate(into, source)], node["name"], pads=pads, **sides)


def _sum(into: Translation, node: Node) -> str:
    first, second = node["input"]
    inputs = [_translate(into, first)]
    if second in into.published.constants:  # the bias of a convolution
        bias = into.published.constants[second].reshape(-1, 1, 1)
        inputs.append(into.weight(bias, f"{node['name']}/bias"))
    else:
        inputs.append(_translate(into, second))
    return into.add("Add", inputs, node["name"])


def _concatenation(into: Translation, node: Node) -> str:
    *sources, _ = node["input"]  # the last one is the axis
    return into.add("Concat", [_translate(into, s) for s in sources], node["name"], axis=1)


def _leaky_relu(into: Translation, node: Node) -> str:
    slope = float(node["attr"]["alpha"]["f"])
    return into.add("LeakyRelu", [_translate(into, node["input"][0])], node["name"], alpha=slope)


def _resize(into: Translation, node: Node) -> str:
    """Add a resize by a factor, where the published graph names the sides."""
    source, sides = node["input"]
    factor = into.published.constants[sides][0] / _side(into.published, source)
    factors = into.weight(np.array([1, 1, factor, factor], np.float32), f"{node['name']}/factors")
    inputs = [_translate(into, source), "", factors]
    return into.add(
        "Resize", inputs, node["name"], mode="linear", coordinate_transformation_mode="half_pixel"
    )


_TRANSLATORS = {
    "Placeholder": _input,
    "Conv2D": _convolution,
    "MaxPool": _max_pool,
    "Add": _sum,
    "AddV2": _sum,
    "ConcatV2": _concatenation,
    "LeakyRelu": _leaky_relu,
    "ResizeBilinear": _resize,
}


# --- published nodes ------------------------------------------------------------------------------


def _sides(node: Node, attribute: str) -> list[int]:
    """Return the attribute's values for height and width; published nodes are (1, H, W, C)."""
    return [int(value) for value in node["attr"][attribute]["list"]["i"][1:3]]


def _padding(published: Published, name: str) -> int:
    """Return how far a node's input is padded on each side."""
    node = published.nodes[name]
    if node["op"] not in LAYOUT_OPERATIONS:
        return 0
    if node["op"].startswith("Pad"):
        return int(published.constants[node["input"][1]].max())
    return _padding(published, node["input"][0])


def _side(published: Published, name: str) -> float:
    """Return the side of a node's map, in px."""
    node = published.nodes[name]
    if node["op"] == "Placeholder":
        return INPUT_SIDE
    if node["op"] == "ResizeBilinear":
        return float(published.constants[node["input"][1]][0])
    stride = _sides(node, "strides")[0] if "strides" in node.get("attr", {}) else 1
    return _side(published, node["input"][0]) / stride


@click.command(help=__doc__)
@click.argument("published", type=click.Path(exists=True, path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
def main(published: Path, out: Path) -> None:
    save(translate(read_published(published)), out)


if __name__ == "__main__":
    main()
