"""LaMa: a network for large holes that needs no prompt and paints in one pass."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from segment2inpaint.errors import BadModel
from segment2inpaint.inpaint.lama.network import Generator, infer_config
from segment2inpaint.inpaint.one_pass import OnePassInpainter
from segment2inpaint.inpaint.weights import fill_network, read_weights, weights_file
from segment2inpaint.models import catalogue
from segment2inpaint.models.device import choose_device
from segment2inpaint.protocols import Crop, RuntimeOptions

# Trained on crops of 256 px, for larger ones. Above about this area, px, the large structure
# of the picture is lost.
NATIVE_AREA = 768 * 768
# px; smaller crops leave nothing to reflect at the edges of the network's smallest features
MIN_SIDE = 32


class LamaInpainter(OnePassInpainter):
    """Fills holes by the LaMa network; the result does not depend on the seed.

    ``model`` is a file of the generator's weights, alone or in the checkpoint of a training run
    (.safetensors, ``best.ckpt``, the TorchScript ``big-lama.pt``), or a folder with one. Raises
    ``BadModel``.
    """

    name = "lama"

    def __init__(
        self, model: Path, device: str = "auto", runtime: RuntimeOptions = RuntimeOptions()
    ) -> None:
        network = load_network(weights_file(model, catalogue.card("lama").all_files))
        super().__init__(network, NATIVE_AREA, 8, MIN_SIDE, choose_device(device), runtime)

    def network_input(self, crop: Crop) -> NDArray[np.float32]:
        """Return (4, H, W) float32: RGB in [0, 1] with 0 in the hole, and the hole."""
        hole = crop.mask.astype(np.float32)[None]
        image = crop.image.astype(np.float32).transpose(2, 0, 1) / 255
        return np.concatenate([image * (1 - hole), hole])

    def to_colors(self, outputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the outputs, which are colours."""
        return outputs


def load_network(file: Path) -> Generator:
    """Return the network in a file, in evaluation mode. Raises ``BadModel``."""
    weights = read_weights(file, "lama")
    try:
        network = Generator(infer_config(weights))
    except (KeyError, ValueError, IndexError, ZeroDivisionError, RuntimeError) as error:
        raise BadModel(f"{file}: this LaMa has an unknown architecture") from error
    fill_network(network, weights, file, "LaMa")
    return network.eval()
