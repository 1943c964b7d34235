"""LaMa: a network for large holes that needs no prompt and paints in one pass."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file

from segment2inpaint.errors import BadModel
from segment2inpaint.inpaint.lama.network import FIRST_WEIGHT, Generator, infer_config
from segment2inpaint.models.device import choose_device
from segment2inpaint.protocols import Crop, InputSpec, ProgressCallback, RuntimeOptions, no_progress
from segment2inpaint.types import Fill, Image

BATCH_COUNTER = "num_batches_tracked"  # suffix of tensors that are used in training only
# Trained on crops of 256 px, for larger ones. Above about this area, px, the large structure
# of the picture is lost.
NATIVE_AREA = 768 * 768
# px; smaller crops leave nothing to reflect at the edges of the network's smallest features
MIN_SIDE = 32
GPU_BATCH_SIZE = 4  # crops in a call


class LamaInpainter:
    """Fills holes by the LaMa network; the result does not depend on the seed.

    ``model`` is a .safetensors file of the generator's weights, or the folder of its card.
    Raises ``BadModel``.
    """

    name = "lama"

    def __init__(
        self, model: Path, device: str = "auto", runtime: RuntimeOptions = RuntimeOptions()
    ) -> None:
        self._device = choose_device(device)
        self._network = load_network(_weights_file(model)).to(self._device)
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
        height, width = crops[0].mask.shape
        multiple = self.input_spec.multiple
        pad_y, pad_x = (max(-side % multiple, MIN_SIDE - side) for side in (height, width))
        inputs = np.stack([_network_input(crop) for crop in crops])
        inputs = np.pad(inputs, ((0, 0), (0, 0), (0, pad_y), (0, pad_x)), mode="edge")
        outputs = self._network(torch.from_numpy(inputs).to(self._device)).cpu().numpy()
        if not np.isfinite(outputs).all():
            raise BadModel("lama returned NaN; its weights are damaged")
        pixels = np.rint(255 * outputs[:, :, :height, :width]).astype(np.uint8)
        return [np.ascontiguousarray(image.transpose(1, 2, 0)) for image in pixels]


def _network_input(crop: Crop) -> NDArray[np.float32]:
    """Return (4, H, W) float32: RGB in [0, 1] with 0 in the hole, and the hole."""
    hole = crop.mask.astype(np.float32)[None]
    image = crop.image.astype(np.float32).transpose(2, 0, 1) / 255
    return np.concatenate([image * (1 - hole), hole])


def is_lama(file: Path) -> bool:
    """Return whether a file is a LaMa network in .safetensors; only its header is read."""
    try:
        with safe_open(file, "pt") as header:
            return any(name.endswith(FIRST_WEIGHT) for name in header.keys())  # noqa: SIM118 (no mapping)
    except (SafetensorError, OSError):
        return False


def load_network(file: Path) -> Generator:
    """Return the network in a .safetensors file, in evaluation mode. Raises ``BadModel``.

    The names may have a prefix, as in checkpoints of whole training runs.
    """
    weights = _read_weights(file)
    try:
        network = Generator(infer_config(weights))
        missing, unknown = network.load_state_dict(weights, strict=False)
    except (KeyError, ValueError, RuntimeError) as error:
        raise BadModel(f"{file}: this LaMa has an unknown architecture") from error
    missing = [name for name in missing if not name.endswith(BATCH_COUNTER)]
    if missing or unknown:
        difference = f"lacks {missing[0]}" if missing else f"has {unknown[0]}"
        raise BadModel(f"{file}: this LaMa has an unknown architecture, it {difference}")
    return network.eval()


def _read_weights(file: Path) -> dict[str, torch.Tensor]:
    """Return the generator's tensors in float32, by their names without prefix."""
    try:
        tensors = load_file(file)
    except (SafetensorError, OSError) as error:
        raise BadModel(f"{file}: not a readable .safetensors file; download it again") from error
    prefix = next((n.removesuffix(FIRST_WEIGHT) for n in tensors if n.endswith(FIRST_WEIGHT)), None)
    if prefix is None:
        raise BadModel(f"{file}: not a LaMa, it has no {FIRST_WEIGHT}")
    return {n.removeprefix(prefix): t.float() for n, t in tensors.items() if n.startswith(prefix)}


def _weights_file(model: Path) -> Path:
    if model.is_file():
        return model
    files = sorted(model.rglob("*.safetensors"))
    if not files:
        raise BadModel(f"{model}: no .safetensors in this folder; download the model again")
    return files[0]
