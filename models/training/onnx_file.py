"""Networks as the files that ship: ONNX that says nothing of its maker, at half precision."""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np
import onnx

HALF_LARGEST = 65504.0


def small(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model, changed: OpenCV still adds and multiplies at full precision."""
    _bare(model)
    _halve(model.graph)
    onnx.checker.check_model(model)
    return model


def write(model: onnx.ModelProto, out: Path) -> None:
    part = out.with_suffix(".part")
    part.write_bytes(model.SerializeToString())
    part.replace(out)
    click.echo(f"{out}: {out.stat().st_size / 1e6:.1f} MB")


def _bare(model: onnx.ModelProto) -> None:
    """Take away what tells of the machine that it was made on: paths and lines of code."""
    graph = model.graph
    del model.metadata_props[:], graph.metadata_props[:], graph.value_info[:]
    for part in [model, graph, *graph.node, *graph.initializer, *graph.input, *graph.output]:
        part.ClearField("doc_string")
        if not isinstance(part, onnx.ModelProto | onnx.GraphProto):
            del part.metadata_props[:]


def _halve(graph: onnx.GraphProto) -> None:
    """Weights at half precision, each with a node that widens it."""
    wide = [
        w for w in graph.initializer if w.data_type == onnx.TensorProto.FLOAT and len(w.dims) > 1
    ]
    for weight in wide:
        values = onnx.numpy_helper.to_array(weight)
        if not np.abs(values).max() <= HALF_LARGEST:
            raise ValueError(f"{weight.name} is not finite, or too large for half precision")
        name = f"{weight.name}.half"
        half = onnx.numpy_helper.from_array(values.astype(np.float16), name)
        graph.initializer.remove(weight)
        graph.initializer.append(half)
        cast = onnx.helper.make_node("Cast", [name], [weight.name], to=onnx.TensorProto.FLOAT)
        graph.node.insert(0, cast)
