"""Write the click network as it ships: an ONNX file each for encoder and decoder.

    python -m models.training.click.export --weights DIST --checkpoint checkpoint.pt \
        models/weights

Weights are stored at half precision. Heights, widths and the numbers of questions and points are
free. The encoder has the operator set that knows GELU, so that ONNX Runtime computes each as one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import onnx
import torch
from torch import Tensor, nn

from models.training.click.decoder import Decoder
from models.training.click.published import read_decoder, read_encoder
from models.training.click.tiny_vit import EMBEDDING_CHANNELS, Encoder
from models.training.onnx_file import compact, save
from segment2inpaint.networks.click import CELL, MASK_CELL

EXAMPLE_CELLS, EXAMPLE_QUESTIONS, EXAMPLE_POINTS = (24, 32), 2, 3  # traced; any others work too
ENCODER_OPSET, DECODER_OPSET = 20, 18
FREE = torch.export.Dim.DYNAMIC

Shapes = Mapping[str, Mapping[int, Any]]  # free axes of each input


def load_decoder(weights: Path, checkpoint: Path | None) -> Decoder:
    """Return the mean decoder of a checkpoint of ``train``; without one, the published decoder."""
    decoder = read_decoder(weights / "sam.onnx")
    if checkpoint is not None:
        state = torch.load(checkpoint, map_location="cpu", weights_only=True)
        decoder.load_state_dict(state["mean"])
    return decoder.eval()


def encoder_to_onnx(encoder: Encoder) -> onnx.ModelProto:
    """Return the encoder as ONNX: ``picture`` and ``inside`` to ``embedding``."""
    height, width = (CELL * cells for cells in EXAMPLE_CELLS)
    inputs = {
        "picture": torch.zeros(1, 3, height, width),
        "inside": torch.ones(1, 1, height, width),
    }
    shapes = {name: {2: FREE, 3: FREE} for name in inputs}
    return _export(encoder.eval(), inputs, shapes, ["embedding"], ENCODER_OPSET)


def decoder_to_onnx(decoder: Decoder) -> onnx.ModelProto:
    """Return the decoder as ONNX, with the inputs of ``Decoder.forward``."""
    height, width = EXAMPLE_CELLS
    scale, count, points = CELL // MASK_CELL, EXAMPLE_QUESTIONS, EXAMPLE_POINTS
    inputs = {
        "embedding": torch.zeros(1, EMBEDDING_CHANNELS, height, width),
        "points": torch.zeros(count, points, 2),
        "labels": torch.ones(count, points, dtype=torch.int64),
        "mask": torch.zeros(count, 1, scale * height, scale * width),
        "has_mask": torch.zeros(count),
    }
    shapes = {
        "embedding": {2: FREE, 3: FREE}, "points": {0: FREE, 1: FREE},
        "labels": {0: FREE, 1: FREE}, "mask": {0: FREE, 2: FREE, 3: FREE}, "has_mask": {0: FREE},
    }  # fmt: skip
    return _export(decoder.eval(), inputs, shapes, ["logits", "scores"], DECODER_OPSET)


def _export(
    module: nn.Module,
    inputs: Mapping[str, Tensor],
    shapes: Shapes,
    outputs: Sequence[str],
    opset: int,
) -> onnx.ModelProto:
    program = torch.onnx.export(
        module, tuple(inputs.values()), input_names=list(inputs), output_names=list(outputs),
        opset_version=opset, dynamo=True, verbose=False,
        dynamic_shapes=tuple(dict(shapes[name]) for name in inputs),
    )  # fmt: skip
    assert program is not None
    return compact(program.model_proto)


@click.command(help=__doc__)
@click.option(
    "--weights", required=True, type=click.Path(path_type=Path, exists=True),
    help="Folder of the published encoder.onnx and sam.onnx.",
)  # fmt: skip
@click.option("--checkpoint", type=click.Path(path_type=Path, exists=True))
@click.argument("folder", type=click.Path(path_type=Path))
def main(weights: Path, checkpoint: Path | None, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    save(encoder_to_onnx(read_encoder(weights / "encoder.onnx")), folder / "click_encoder.onnx")
    save(decoder_to_onnx(load_decoder(weights, checkpoint)), folder / "click_decoder.onnx")


if __name__ == "__main__":
    main()
