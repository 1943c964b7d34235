"""The file that ships, out of the published one of U²-Net-P (see README.md).

    python -m models.training.saliency.export u2netp.onnx models/weights/saliency.onnx

It is the published network for frames of ``SIDE`` px, with nothing left to work out from their
size; of its seven answers the one that is made of the others, before the sigmoid; its weights at
half precision.
"""

from __future__ import annotations

from pathlib import Path

import click
import onnx
from onnxscript import optimizer

from models.training.onnx_file import small, write
from segment2inpaint.networks.saliency import SIDE


def exported(published: onnx.ModelProto) -> onnx.ModelProto:
    """The file that OpenCV reads. Raises ``ValueError``."""
    graph = published.graph
    last = next(node for node in graph.node if graph.output[0].name in node.output)
    if last.op_type != "Sigmoid":
        raise ValueError(f"the first output is a {last.op_type}, expected the sigmoid of U²-Net")
    del graph.output[:], graph.value_info[:]
    shape = onnx.TensorProto.FLOAT, (1, 1, SIDE, SIDE)
    graph.output.append(onnx.helper.make_tensor_value_info(last.input[0], *shape))
    for length in graph.input[0].type.tensor_type.shape.dim[2:]:
        length.dim_value = SIDE
    return small(optimizer.optimize(published))


@click.command(help=__doc__)
@click.argument("published", type=click.Path(exists=True, path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
def main(published: Path, out: Path) -> None:
    write(exported(onnx.load(published)), out)


if __name__ == "__main__":
    main()
