"""The file that ships: the network as ONNX, its weights at half precision.

    python models/click/export.py CHECKPOINT segment2inpaint/click.onnx

The checkpoint is a state dict of ``ClickNetwork``, as ``teach.py`` leaves in click.pt, or holds one
under "network", as its checkpoint.pt does.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import numpy as np
import onnx
import torch
from clicknet import PLANES, SIZES, ClickNetwork

HALF_LARGEST = 65504.0


def exported(network: ClickNetwork) -> onnx.ModelProto:
    """The network as OpenCV reads it, which adds and multiplies at full precision."""
    planes = torch.zeros(1, PLANES, network.side, network.side)
    program = torch.onnx.export(
        network.eval(), (planes,), input_names=["planes"], output_names=["logits"],
        opset_version=18, dynamo=True, verbose=False,
    )  # fmt: skip
    assert program is not None
    model = program.model_proto
    _bare(model)
    _halve(model.graph)
    onnx.checker.check_model(model)
    return model


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


def loaded(checkpoint: Path, key: str = "network") -> ClickNetwork:
    """The network of a checkpoint, its weights under ``key`` if they are not all that it holds."""
    state: dict[str, Any] = torch.load(checkpoint, map_location="cpu", weights_only=True)
    state = state.get(key, state)
    side = 16 * state["place"].shape[-1]
    network = ClickNetwork(next(size for size in SIZES.values() if size.side == side))
    network.load_state_dict({n.removeprefix("_orig_mod."): w.float() for n, w in state.items()})
    return network


@click.command(help=__doc__)
@click.argument("checkpoint", type=click.Path(exists=True, path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--key", default="network", show_default=True, help="What the weights are under.")
def main(checkpoint: Path, out: Path, key: str) -> None:
    part = out.with_suffix(".part")
    part.write_bytes(exported(loaded(checkpoint, key)).SerializeToString())
    part.replace(out)
    click.echo(f"{out}: {out.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
