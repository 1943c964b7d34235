"""Convert the published U²-Net-P into the file that ships (see ``models/weights/saliency.md``).

    python -m models.training.saliency.export u2netp.onnx models/weights/saliency.onnx

The input size is fixed to ``INPUT_SIDE`` px and everything that depends on it is folded. Of the
seven outputs only the fused one remains, before its sigmoid. Weights become half precision.
"""

from __future__ import annotations

from pathlib import Path

import click
import onnx
from onnxscript import optimizer

from models.training.onnx_file import compact, save
from segment2inpaint.networks.saliency import INPUT_SIDE


def prepare(published: onnx.ModelProto) -> onnx.ModelProto:
    """Return the network as OpenCV reads it.

    Raise ``ValueError`` if the first output is not a sigmoid.
    """
    graph = published.graph
    last_node = next(node for node in graph.node if graph.output[0].name in node.output)
    if last_node.op_type != "Sigmoid":
        raise ValueError(
            f"the first output is a {last_node.op_type}, expected the sigmoid of U²-Net"
        )
    del graph.output[:], graph.value_info[:]
    shape = onnx.TensorProto.FLOAT, (1, 1, INPUT_SIDE, INPUT_SIDE)
    graph.output.append(onnx.helper.make_tensor_value_info(last_node.input[0], *shape))
    for dim in graph.input[0].type.tensor_type.shape.dim[2:]:
        dim.dim_value = INPUT_SIDE
    return compact(optimizer.optimize(published))


@click.command(help=__doc__)
@click.argument("published", type=click.Path(exists=True, path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
def main(published: Path, out: Path) -> None:
    save(prepare(onnx.load(published)), out)


if __name__ == "__main__":
    main()
