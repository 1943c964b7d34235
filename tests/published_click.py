"""The click network's weights in ONNX files of the published layout, made out of any weights.

The older exporter of torch names weights as the published files do: those of linear layers and of
folded expressions are anonymous.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import onnx
import torch
from segment_anything.utils.onnx import SamOnnxModel
from torch import Tensor, nn

from models.training.click.decoder import Decoder
from models.training.click.tiny_vit import Encoder

OPSET = 15
CELLS = 4  # side of an embedding


def randomize(network: nn.Module, seed: int = 0) -> nn.Module:
    """Give every weight a value of its own, where a new network has 0 or 1, and return it."""
    torch.manual_seed(seed)
    for weight in network.parameters():
        if weight.ndim == 1 or not weight.any():
            nn.init.normal_(weight, mean=float(weight.detach().mean()), std=0.1)
    return network.eval()


class _PublishedEncoder(nn.Module):
    """The encoder without its first step, which the published file computes with constants."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.layers = nn.Sequential(encoder.patch_embed, encoder.stages, encoder.neck)

    def forward(self, picture: Tensor) -> Tensor:
        embedding: Tensor = self.layers(picture)
        return embedding


def write_encoder(encoder: Encoder, path: Path) -> None:
    """Write the weights as the published encoder.onnx has them."""
    _export(_PublishedEncoder(encoder), (torch.zeros(1, 3, 16 * CELLS, 16 * CELLS),), path)
    model = onnx.load(path)
    for weight in [w for w in model.graph.initializer if w.name.endswith(".place.weight")]:
        model.graph.initializer.remove(weight)
        constant = onnx.helper.make_node("Constant", [], [weight.name], value=weight)
        model.graph.node.insert(0, constant)
    onnx.save(model, path)


def write_decoder(decoder: Decoder, path: Path) -> None:
    """Write the weights as the published sam.onnx has them."""
    decoder.prompt_encoder.image_embedding_size = (CELLS, CELLS)
    sam = nn.Module()
    sam.prompt_encoder, sam.mask_decoder = decoder.prompt_encoder, decoder.mask_decoder
    sam.image_encoder = SimpleNamespace(img_size=16 * CELLS)
    inputs = (
        torch.zeros(1, 256, CELLS, CELLS), torch.zeros(1, 2, 2), torch.ones(1, 2),
        torch.zeros(1, 1, 4 * CELLS, 4 * CELLS), torch.ones(1), torch.tensor([64.0, 64.0]),
    )  # fmt: skip
    _export(SamOnnxModel(sam, return_single_mask=False), inputs, path)


def _export(module: nn.Module, inputs: tuple[Any, ...], path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(module.eval(), inputs, path, opset_version=OPSET, dynamo=False)
