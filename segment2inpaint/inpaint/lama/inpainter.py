"""LaMa: a network for large holes that needs no prompt and paints in one pass."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from segment2inpaint.errors import BadModel
from segment2inpaint.inpaint.lama.network import Generator, infer_config
from segment2inpaint.inpaint.one_pass import inpaint_in_batches, pad_inputs, to_images
from segment2inpaint.inpaint.weights import fill_network, read_weights, weights_file
from segment2inpaint.models import catalogue
from segment2inpaint.models.device import choose_device
from segment2inpaint.protocols import Crop, InputSpec, ProgressCallback, RuntimeOptions, no_progress
from segment2inpaint.types import Fill, Image

# Trained on crops of 256 px, for larger ones. Above about this area, px, the large structure
# of the picture is lost.
NATIVE_AREA = 768 * 768
# px; smaller crops leave nothing to reflect at the edges of the network's smallest features
MIN_SIDE = 32
GPU_BATCH_SIZE = 4  # crops in a call


class LamaInpainter:
    """Fills holes by the LaMa network; the result does not depend on the seed.

    ``model`` is a file of the generator's weights, alone or in the checkpoint of a training run
    (.safetensors, ``best.ckpt``, the TorchScript ``big-lama.pt``), or a folder with one. Raises
    ``BadModel``.
    """

    name = "lama"

    def __init__(
        self, model: Path, device: str = "auto", runtime: RuntimeOptions = RuntimeOptions()
    ) -> None:
        self._device = choose_device(device)
        file = weights_file(model, catalogue.card("lama").all_files)
        self._network = load_network(file).to(self._device)
        batch_size = runtime.batch_size or (1 if self._device == "cpu" else GPU_BATCH_SIZE)
        self.input_spec = InputSpec(
            area=NATIVE_AREA, multiple=8, batch_size=batch_size, uses_seed=False
        )

    def inpaint(
        self, crops: Sequence[Crop], fill: Fill, progress: ProgressCallback = no_progress
    ) -> list[Image]:
        """Return each crop with its hole filled; nothing in ``fill`` is used.

        Crops of one size share a call, up to ``input_spec.batch_size`` of them. Raises
        ``BadModel`` if the network returns NaN.
        """
        return inpaint_in_batches(crops, self.input_spec.batch_size, self._paint_batch, progress)

    @torch.inference_mode()
    def _paint_batch(self, crops: Sequence[Crop]) -> list[Image]:
        """Paint crops of one size, padded to the size that the network needs."""
        height, width = crops[0].mask.shape
        inputs = np.stack([_network_input(crop) for crop in crops])
        inputs = pad_inputs(inputs, self.input_spec.multiple, MIN_SIDE)
        outputs = self._network(torch.from_numpy(inputs).to(self._device)).cpu().numpy()
        if not np.isfinite(outputs).all():
            raise BadModel("lama returned NaN; its weights are damaged")
        return to_images(outputs, height, width)


def _network_input(crop: Crop) -> NDArray[np.float32]:
    """Return (4, H, W) float32: RGB in [0, 1] with 0 in the hole, and the hole."""
    hole = crop.mask.astype(np.float32)[None]
    image = crop.image.astype(np.float32).transpose(2, 0, 1) / 255
    return np.concatenate([image * (1 - hole), hole])


def load_network(file: Path) -> Generator:
    """Return the network in a file, in evaluation mode. Raises ``BadModel``."""
    weights = read_weights(file, "lama")
    try:
        network = Generator(infer_config(weights))
    except (KeyError, ValueError, IndexError, ZeroDivisionError, RuntimeError) as error:
        raise BadModel(f"{file}: this LaMa has an unknown architecture") from error
    fill_network(network, weights, file, "LaMa")
    return network.eval()
