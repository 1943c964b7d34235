"""LaMa: a network for large holes that needs no prompt and paints in one pass."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from segment2inpaint.errors import BadModel
from segment2inpaint.inpaint.lama.network import Generator, infer_config
from segment2inpaint.inpaint.lama.weights import fill_network, read_weights, weights_file
from segment2inpaint.models import catalogue
from segment2inpaint.models.device import choose_device
from segment2inpaint.protocols import Crop, InputSpec, ProgressCallback, RuntimeOptions, no_progress
from segment2inpaint.types import Fill, Image

# Trained on crops of 256 px, for larger ones. Above about this area, px, the large structure
# of the picture is lost.
NATIVE_AREA = 768 * 768
MULTIPLE = 8  # px, of the sides of the network's input
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
        network = load_network(weights_file(model, catalogue.card("lama").all_files))
        self._network: Any = network.to(self._device)
        batch_size = runtime.batch_size or (1 if self._device == "cpu" else GPU_BATCH_SIZE)
        self.input_spec = InputSpec(
            area=NATIVE_AREA, multiple=MULTIPLE, batch_size=batch_size, uses_seed=False
        )

    def inpaint(
        self, crops: Sequence[Crop], fill: Fill, progress: ProgressCallback = no_progress
    ) -> list[Image]:
        """Return each crop with its hole filled; nothing in ``fill`` is used.

        Crops of one size share a call, up to ``input_spec.batch_size`` of them. Raises
        ``BadModel`` if the network returns NaN.
        """
        results: dict[int, Image] = {}
        while waiting := [i for i in range(len(crops)) if i not in results]:
            progress("inpainting", len(results) / len(crops))
            size = crops[waiting[0]].mask.shape
            batch = [i for i in waiting if crops[i].mask.shape == size]
            batch = batch[: self.input_spec.batch_size]
            painted = self._paint_batch([crops[i] for i in batch])
            results |= dict(zip(batch, painted, strict=True))
        progress("inpainting", 1.0)
        return [results[i] for i in range(len(crops))]

    @torch.inference_mode()
    def _paint_batch(self, crops: Sequence[Crop]) -> list[Image]:
        """Paint crops of one size, padded to the size that the network needs."""
        inputs = _pad(np.stack([_network_input(crop) for crop in crops]))
        outputs = self._network(torch.from_numpy(inputs).to(self._device)).cpu().numpy()
        if not np.isfinite(outputs).all():
            raise BadModel("lama returned NaN; its weights are damaged")
        height, width = crops[0].mask.shape
        pixels = np.rint(255 * outputs[:, :, :height, :width]).astype(np.uint8)
        return [np.ascontiguousarray(image.transpose(1, 2, 0)) for image in pixels]


def _network_input(crop: Crop) -> NDArray[np.float32]:
    """Return (4, H, W) float32: RGB in [0, 1] with 0 in the hole, and the hole."""
    hole = crop.mask.astype(np.float32)[None]
    image = crop.image.astype(np.float32).transpose(2, 0, 1) / 255
    return np.concatenate([image * (1 - hole), hole])


def _pad(inputs: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (N, C, H, W) with its edges repeated to the size that the network needs."""
    height, width = inputs.shape[2:]
    pad_y, pad_x = (max(-side % MULTIPLE, MIN_SIDE - side) for side in (height, width))
    return np.pad(inputs, ((0, 0), (0, 0), (0, pad_y), (0, pad_x)), mode="edge")


def load_network(file: Path) -> Generator:
    """Return the network in a file, in evaluation mode. Raises ``BadModel``."""
    weights = read_weights(file)
    try:
        network = Generator(infer_config(weights))
    except (KeyError, ValueError, IndexError, ZeroDivisionError, RuntimeError) as error:
        raise BadModel(f"{file}: this LaMa has an unknown architecture") from error
    fill_network(network, weights, file)
    return network.eval()
