"""ONNX files as they ship: without metadata, weights at half precision."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import numpy as np
import onnx
from numpy.typing import NDArray

FLOAT16_MAX = 65504.0  # the largest finite half-precision number
OPSET, IR_VERSION = 18, 9


@dataclass(frozen=True, kw_only=True)
class GraphBuilder:
    """The nodes and weights of a graph so far; a name that is left out is a number."""

    nodes: list[onnx.NodeProto] = field(default_factory=list)
    weights: list[onnx.TensorProto] = field(default_factory=list)

    def add(self, operation: str, inputs: list[str], name: str = "", **attributes: Any) -> str:
        """Add a node with one output, and return the output's name."""
        name = name or f"{operation}_{len(self.nodes)}"
        self.nodes.append(onnx.helper.make_node(operation, inputs, [name], **attributes))
        return name

    def weight(self, values: NDArray[Any], name: str = "") -> str:
        """Add a weight, and return its name."""
        name = name or f"weight_{len(self.weights)}"
        self.weights.append(onnx.numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def model(
        self, name: str, inputs: list[onnx.ValueInfoProto], outputs: list[onnx.ValueInfoProto]
    ) -> onnx.ModelProto:
        """Return the graph as a model, compact."""
        graph = onnx.helper.make_graph(self.nodes, name, inputs, outputs, self.weights)
        opset = onnx.helper.make_opsetid("", OPSET)
        return compact(onnx.helper.make_model(graph, opset_imports=[opset], ir_version=IR_VERSION))


def compact(model: onnx.ModelProto) -> onnx.ModelProto:
    """Strip metadata and halve the weights in place, check the model and return it.

    It still computes in float32.
    """
    _strip_metadata(model)
    _to_half(model.graph)
    onnx.checker.check_model(model)
    return model


def save(model: onnx.ModelProto, out: Path) -> None:
    """Write the model atomically and print its size."""
    temporary = out.with_suffix(".part")
    temporary.write_bytes(model.SerializeToString())
    temporary.replace(out)
    click.echo(f"{out}: {out.stat().st_size / 1e6:.1f} MB")


def _strip_metadata(model: onnx.ModelProto) -> None:
    """Remove documentation and metadata, which name paths and lines of code."""
    graph = model.graph
    del model.metadata_props[:], graph.metadata_props[:], graph.value_info[:]
    for item in [model, graph, *graph.node, *graph.initializer, *graph.input, *graph.output]:
        item.ClearField("doc_string")
        if not isinstance(item, onnx.ModelProto | onnx.GraphProto):
            del item.metadata_props[:]


def _to_half(graph: onnx.GraphProto) -> None:
    """Convert weights to half precision, each followed by a cast to float32."""
    float_weights = [
        weight
        for weight in graph.initializer
        if weight.data_type == onnx.TensorProto.FLOAT and len(weight.dims) > 1
    ]
    for weight in float_weights:
        values = onnx.numpy_helper.to_array(weight)
        if not np.abs(values).max() <= FLOAT16_MAX:
            raise ValueError(f"{weight.name} is not finite, or too large for half precision")
        name = f"{weight.name}.half"
        half = onnx.numpy_helper.from_array(values.astype(np.float16), name)
        graph.initializer.remove(weight)
        graph.initializer.append(half)
        cast = onnx.helper.make_node("Cast", [name], [weight.name], to=onnx.TensorProto.FLOAT)
        graph.node.insert(0, cast)
