"""NanoDet's published form is translated into ONNX node by node."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from models.training.objects import convert
from segment2inpaint.networks.onnx import OnnxNetwork

Array = NDArray[np.float32]
SIDE = 16  # px of the small graph's input


def ints(*values: int) -> dict[str, Any]:
    return {"list": {"i": [str(value) for value in values]}}


def node(name: str, op: str, *inputs: str, **attributes: Any) -> dict[str, Any]:
    return {"name": name, "op": op, "input": list(inputs), "attr": attributes}


class Graph:
    """A small graph in the format of TensorFlow.js, with the operations of NanoDet."""

    def __init__(self) -> None:
        self.nodes: list[dict[str, Any]] = [node("input", "Placeholder")]
        self.constants: dict[str, NDArray[Any]] = {}

    def constant(self, name: str, values: NDArray[Any]) -> str:
        self.constants[name] = values
        self.nodes.append(node(name, "Const"))
        return name

    def add(self, name: str, op: str, *inputs: str, **attributes: Any) -> str:
        self.nodes.append(node(name, op, *inputs, **attributes))
        return name

    def write(self, folder: Path) -> Path:
        data = b""
        entries = []
        for name, values in self.constants.items():
            entry: dict[str, Any] = {"name": name, "shape": list(values.shape)}
            if values.dtype == np.float32:
                values = values.astype(np.float16)
                entry |= {"dtype": "float32", "quantization": {"dtype": "float16"}}
            else:
                entry["dtype"] = str(values.dtype)
            entries.append(entry)
            data += values.tobytes()
        (folder / "net.bin").write_bytes(data)
        manifest = [{"paths": ["net.bin"], "weights": entries}]
        model = {"modelTopology": {"node": self.nodes}, "weightsManifest": manifest}
        path = folder / "net.json"
        path.write_text(json.dumps(model))
        return path


def small_graph(kernel: Array, bias: Array) -> Graph:
    graph = Graph()
    pad = np.array([[0, 0], [0, 0], [1, 1], [1, 1]], np.int32)
    graph.constant("pad", pad)
    graph.constant("kernel", kernel)
    graph.constant("bias", bias)
    graph.constant("perm", np.array([0, 2, 3, 1], np.int32))
    graph.constant("axis", np.array(1, np.int32))
    graph.constant("up", np.array([SIDE, SIDE], np.int32))
    graph.add("padded", "Pad", "input", "pad")
    graph.add("moved", "Transpose", "padded", "perm")
    graph.add("conv", "Conv2D", "moved", "kernel", strides=ints(1, 2, 2, 1))
    graph.add("sum", "Add", "conv", "bias")
    graph.add("active", "LeakyRelu", "sum", alpha={"f": 0.1})
    graph.add("pool", "MaxPool", "active", ksize=ints(1, 1, 1, 1), strides=ints(1, 1, 1, 1))
    graph.add("twice", "ConcatV2", "pool", "active", "axis")
    graph.add("large", "ResizeBilinear", "twice", "up")
    graph.add("double", "AddV2", "large", "large")
    return graph


def translated(graph: Graph, head: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Array:
    """Return what the translated network makes of a grey picture with one white pixel."""
    monkeypatch.setattr(convert, "HEADS", {"only": head})
    monkeypatch.setattr(convert, "INPUT_SIDE", SIDE)
    model = convert.translate(convert.read_published(graph.write(folder)))
    path = folder / "net.onnx"
    path.write_bytes(model.SerializeToString())
    return OnnxNetwork(path).run(image=picture())[0]


def picture() -> Array:
    image = np.full((1, 3, SIDE, SIDE), 100, np.float32)
    image[0, 0, 5, 5] = 255  # red
    return image


def test_a_convolution_sees_blue_green_red_normalised_and_padded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel = np.zeros((3, 3, 3, 1), np.float32)  # height, width, channels in, channels out
    kernel[1, 1, 2, 0] = 1  # the last channel is red
    graph = small_graph(kernel, np.array([0.5], np.float32))
    answer = translated(graph, "sum", tmp_path, monkeypatch)
    red = (picture()[0, 0] - convert.MEAN[0]) / convert.DEVIATION[0]
    assert answer.shape == (1, 1, SIDE // 2, SIDE // 2)
    assert np.allclose(answer[0, 0], red[::2, ::2] + 0.5, atol=0.01)


def test_the_nodes_behind_it_are_translated_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel = np.zeros((3, 3, 3, 1), np.float32)
    kernel[1, 1, 0, 0] = 1  # blue, which is below its mean
    answer = translated(
        small_graph(kernel, np.zeros(1, np.float32)), "double", tmp_path, monkeypatch
    )
    blue = (100 - convert.MEAN[2]) / convert.DEVIATION[2]
    assert blue < 0
    assert answer.shape == (1, 2, SIDE, SIDE)
    assert np.allclose(answer, 2 * 0.1 * blue, atol=0.01)


def test_an_unknown_operation_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = small_graph(np.zeros((3, 3, 3, 1), np.float32), np.zeros(1, np.float32))
    graph.add("odd", "Softmax", "double")
    with pytest.raises(KeyError, match="Softmax"):
        translated(graph, "odd", tmp_path, monkeypatch)
