"""Convert the published networks that find text and faces into the files that ship.

    python -m models.training.find.export PUBLISHED.onnx models/weights/NAME.onnx

``models/weights/text_lines.md`` and ``models/weights/faces.md`` say where the published files are.
Any input size is allowed, several outputs become the planes of one, and weights become half
precision.
"""

from __future__ import annotations

from pathlib import Path

import click
import onnx

from models.training.onnx_file import compact, save

OUTPUT = "planes"


def prepare(published: onnx.ModelProto) -> onnx.ModelProto:
    """Return the network with one input, one output, a batch of one and any height and width."""
    graph = published.graph
    weights = {weight.name for weight in graph.initializer}
    inputs = [value for value in graph.input if value.name not in weights]
    del graph.input[:], graph.value_info[:]
    graph.input.append(_planes(inputs[0].name, 3))
    _join_outputs(graph)
    _constants_to_weights(graph)
    _drop_unused_weights(graph)
    return compact(published)


def _planes(name: str, channels: int | None) -> onnx.ValueInfoProto:
    shape = (1, channels, "height", "width")
    return onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)


def _join_outputs(graph: onnx.GraphProto) -> None:
    """Make all outputs the planes of one."""
    names = [value.name for value in graph.output]
    graph.node.append(onnx.helper.make_node("Concat", names, [OUTPUT], axis=1))
    del graph.output[:]
    shape = (1, None, "output_height", "output_width")
    output = onnx.helper.make_tensor_value_info(OUTPUT, onnx.TensorProto.FLOAT, shape)
    graph.output.append(output)


def _constants_to_weights(graph: onnx.GraphProto) -> None:
    """Turn the nodes that hold weights into initializers, which can be halved."""
    for node in [node for node in graph.node if node.op_type == "Constant"]:
        if node.attribute[0].name == "value" and len(node.attribute[0].t.dims) > 1:
            weight = node.attribute[0].t
            weight.name = node.output[0]
            graph.initializer.append(weight)
            graph.node.remove(node)


def _drop_unused_weights(graph: onnx.GraphProto) -> None:
    used = {name for node in graph.node for name in node.input}
    for weight in [weight for weight in graph.initializer if weight.name not in used]:
        graph.initializer.remove(weight)


@click.command(help=__doc__)
@click.argument("published", type=click.Path(exists=True, path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
def main(published: Path, out: Path) -> None:
    save(prepare(onnx.load(published)), out)


if __name__ == "__main__":
    main()
