"""MI-GAN: a network of 14 MB in 16 bits, made for phones, that needs no prompt."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from segment2inpaint.errors import BadModel
from segment2inpaint.inpaint.migan.network import (
    BOTTOM,
    CONSTANTS,
    Generator,
    MiganConfig,
    infer_config,
)
from segment2inpaint.inpaint.one_pass import OnePassInpainter
from segment2inpaint.inpaint.onnx_file import read_onnx
from segment2inpaint.inpaint.weights import fill_network, read_weights, weights_file
from segment2inpaint.models import catalogue
from segment2inpaint.models.device import choose_device
from segment2inpaint.protocols import Crop, RuntimeOptions


class MiganInpainter(OnePassInpainter):
    """Fills holes by the MI-GAN network; the result does not depend on the seed.

    ``model`` is a file of the generator's weights (``migan_pipeline_v2.onnx``,
    ``migan_512_places2.pt``, the TorchScript ``migan_traced.pt``, .safetensors), or a folder with
    one. Raises ``BadModel``.
    """

    name = "migan"

    def __init__(
        self, model: Path, device: str = "auto", runtime: RuntimeOptions = RuntimeOptions()
    ) -> None:
        network, side = load_network(weights_file(model, catalogue.card("migan").all_files))
        multiple = side // BOTTOM
        super().__init__(network, side * side, multiple, multiple, choose_device(device), runtime)

    def network_input(self, crop: Crop) -> NDArray[np.float32]:
        """Return (4, H, W) float32: 0.5 where known and -0.5 in the hole, and RGB in [-1, 1]."""
        known = 1 - crop.mask.astype(np.float32)[None]
        image = crop.image.astype(np.float32).transpose(2, 0, 1) / 127.5 - 1
        return np.concatenate([known - 0.5, image * known])

    def to_colors(self, outputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the outputs, which are in [-1, 1], as colours in [0, 1]."""
        return (outputs / 2 + 0.5).clip(0, 1)


def load_network(file: Path) -> tuple[Generator, int]:
    """Return the network in a file, in evaluation mode, and its resolution, px.

    Raises ``BadModel``.
    """
    weights = read_weights(file, "migan")
    weights = {name: w for name, w in weights.items() if not name.endswith(CONSTANTS)}
    try:
        config = infer_config(weights)
        if file.suffix == ".onnx":
            weights = folded_noise(file, config) | weights
        network = Generator(config)
    except (KeyError, ValueError, IndexError, RuntimeError) as error:
        raise BadModel(f"{file}: this MI-GAN has an unknown architecture") from error
    fill_network(network, weights, file, "MI-GAN")
    return network.eval(), config.resolution


def folded_noise(file: Path, config: MiganConfig) -> dict[str, torch.Tensor]:
    """Return the noise in an ONNX file by its names in the network.

    An export multiplies noise and strength, and names the product by number only; the nodes that
    add it are in the order of the network.
    """
    nodes, tensors = read_onnx(file)
    added = [n for node in nodes if node.operation == "Add" for n in node.inputs if n in tensors]
    noises = [torch.from_numpy(tensors[name]) for name in added if tensors[name].ndim == 2]
    blocks = [f"synthesis.b{resolution}" for resolution in config.resolutions[1:]]
    layers = [f"{block}.{conv}" for block in blocks for conv in ("conv1", "conv2")]
    noise = {f"{layer}.noise_const": n for layer, n in zip(layers, noises, strict=False)}
    return noise | {f"{layer}.noise_strength": torch.ones([]) for layer in layers}
