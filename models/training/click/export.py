"""The file that ships: the network as ONNX, its weights at half precision.

    python -m models.training.click.export CHECKPOINT models/weights/click.onnx

The checkpoint is a state dict of ``ClickNetwork``, as ``teach.py`` leaves in click.pt, or holds one
under "network", as its checkpoint.pt does.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import onnx
import torch

from models.training.click.clicknet import PLANES, SIZES, ClickNetwork
from models.training.onnx_file import small, write


def exported(network: ClickNetwork) -> onnx.ModelProto:
    """The network as OpenCV reads it, which adds and multiplies at full precision."""
    planes = torch.zeros(1, PLANES, network.side, network.side)
    program = torch.onnx.export(
        network.eval(), (planes,), input_names=["planes"], output_names=["logits"],
        opset_version=18, dynamo=True, verbose=False,
    )  # fmt: skip
    assert program is not None
    model = program.model_proto
    return small(model)


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
    write(exported(loaded(checkpoint, key)), out)


if __name__ == "__main__":
    main()
