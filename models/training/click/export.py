"""Write the click network as it ships: ONNX with weights at half precision.

    python -m models.training.click.export CHECKPOINT models/weights/click.onnx

The checkpoint is ``click.pt`` or ``checkpoint.pt`` of ``models.training.click.train``: a state
dict of ``ClickNetwork``, or a dict that holds one under a key.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import onnx
import torch

from models.training.click.clicknet import INPUT_PLANES, SIZES, ClickNetwork
from models.training.onnx_file import compact, save


def to_onnx(network: ClickNetwork) -> onnx.ModelProto:
    """Return the network as OpenCV reads it; it computes in float32."""
    planes = torch.zeros(1, INPUT_PLANES, network.side, network.side)
    program = torch.onnx.export(
        network.eval(), (planes,), input_names=["planes"], output_names=["logits"],
        opset_version=18, dynamo=True, verbose=False,
    )  # fmt: skip
    assert program is not None
    model = program.model_proto
    return compact(model)


def load_network(checkpoint: Path, key: str = "network") -> ClickNetwork:
    """Return the network of a checkpoint; ``key`` names its weights if it holds more than these."""
    state: dict[str, Any] = torch.load(checkpoint, map_location="cpu", weights_only=True)
    state = state.get(key, state)
    side = 16 * state["place"].shape[-1]
    network = ClickNetwork(next(size for size in SIZES.values() if size.side == side))
    network.load_state_dict({n.removeprefix("_orig_mod."): w.float() for n, w in state.items()})
    return network


@click.command(help=__doc__)
@click.argument("checkpoint", type=click.Path(exists=True, path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--key", default="network", show_default=True, help="Key of the weights.")
def main(checkpoint: Path, out: Path, key: str) -> None:
    save(to_onnx(load_network(checkpoint, key)), out)


if __name__ == "__main__":
    main()
