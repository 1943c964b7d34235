"""The shipped saliency network is the published one, reduced to a fixed input size."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest

from models.training.saliency import export
from segment2inpaint.networks.onnx import OnnxNetwork
from segment2inpaint.networks.saliency import INPUT_SIDE


def published_network(last: str = "Sigmoid") -> onnx.ModelProto:
    """Return a small network built like the published one.

    It halves its input and enlarges it to a size computed from the input, and it ends in the
    operation ``last``.
    """
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
    source, *outputs = (
        h.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
        for name, shape in shapes.items()
    )
    constants = {"kernel": kernel, "none": np.zeros(0, np.float32)}
    weights = [onnx.numpy_helper.from_array(values, name) for name, values in constants.items()]
    graph = h.make_graph(nodes, "made", [source], outputs, weights, doc_string="/home/someone")
    return h.make_model(graph, opset_imports=[h.make_opsetid("", 11)], ir_version=6)


def test_exported_network_gives_the_logits_of_the_published_one(tmp_path: Path) -> None:
    onnx.save(published_network(), tmp_path / "published.onnx")
    arguments = [str(tmp_path / "published.onnx"), str(tmp_path / "small.onnx")]
    export.main(arguments, standalone_mode=False)
    planes = np.random.default_rng(1).normal(0, 1, (3, INPUT_SIDE, INPUT_SIDE)).astype(np.float32)
    published = cv2.dnn.readNetFromONNX(str(tmp_path / "published.onnx"))
    published.setInput(planes[None])
    expected = published.forward("first")[0]
    logits = OnnxNetwork(tmp_path / "small.onnx")(planes)
    np.testing.assert_allclose(1 / (1 + np.exp(-logits)), expected, atol=2e-3)
    operations = {node.op_type for node in onnx.load(tmp_path / "small.onnx").graph.node}
    assert not operations & {"Shape", "Sigmoid"}
    assert b"someone" not in (tmp_path / "small.onnx").read_bytes()


def test_export_refuses_another_network() -> None:
    with pytest.raises(ValueError, match="Relu"):
        export.prepare(published_network("Relu"))
