"""LaMa: a network for large holes that needs no prompt, in one pass."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file

from segment2inpaint.errors import BadModel
from segment2inpaint.inpaint.lama.network import Generator, config_of
from segment2inpaint.models.device import choose as choose_device
from segment2inpaint.protocols import Crop, InputSpec, ProgressCallback, RuntimeOptions, no_progress
from segment2inpaint.types import Fill, Image

FIRST = "model.1.ffc.convl2l.weight"  # the name that its checkpoints have it by ends so
TRACKED = "num_batches_tracked"  # of use in training only
LEAST = 32  # px, or there is nothing to reflect at the edges of its smallest features
TOGETHER = 4  # crops in a call, on a GPU


class LamaInpainter:
    """Fills by a network; the same for every seed.

    ``model`` is a .safetensors file of the generator's weights, or the folder of its card.
    Raises ``BadModel``.
    """

    name = "lama"

    def __init__(
        self, model: Path, device: str = "auto", tuning: RuntimeOptions = RuntimeOptions()
    ) -> None:
        self._place = choose_device(device)
        self._network = load(_file(model)).to(self._place)
        batch = tuning.batch_size or (1 if self._place == "cpu" else TOGETHER)
        # trained on 256 px and meant for more; above about this it loses the large structure
        self.input_spec = InputSpec(area=768 * 768, multiple=8, batch_size=batch, uses_seed=False)

    def inpaint(
        self, crops: Sequence[Crop], fill: Fill, progress: ProgressCallback = no_progress
    ) -> list[Image]:
        """Each crop with its hole filled; nothing in ``fill`` is used. Crops of one size and up
        to ``input_spec.batch`` of them go through the network together."""
        painted: dict[int, Image] = {}
        while waiting := [i for i in range(len(crops)) if i not in painted]:
            progress("inpainting", len(painted) / len(crops))
            first = crops[waiting[0]].mask.shape
            group = [i for i in waiting if crops[i].mask.shape == first][
                : self.input_spec.batch_size
            ]
            made = self._through([crops[i] for i in group])
            painted |= dict(zip(group, made, strict=True))
        progress("inpainting", 1.0)
        return [painted[i] for i in range(len(crops))]

    @torch.inference_mode()
    def _through(self, crops: Sequence[Crop]) -> list[Image]:
        """Crops of one size, padded to what the network takes."""
        height, width = crops[0].mask.shape
        up = self.input_spec.multiple
        pad = [max(-side % up, LEAST - side) for side in (height, width)]
        seen = np.stack([_seen(crop) for crop in crops])
        seen = np.pad(seen, ((0, 0), (0, 0), (0, pad[0]), (0, pad[1])), mode="edge")
        made = self._network(torch.from_numpy(seen).to(self._place)).cpu().numpy()
        if not np.isfinite(made).all():
            raise BadModel("lama paints no numbers; its weights are damaged")
        pixels = np.rint(255 * made[:, :, :height, :width]).astype(np.uint8)
        return [np.ascontiguousarray(one.transpose(1, 2, 0)) for one in pixels]


def _seen(crop: Crop) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """(4, H, W) float32: RGB in [0, 1], 0 in the hole, and the hole."""
    hole = crop.mask.astype(np.float32)[None]
    image = crop.image.astype(np.float32).transpose(2, 0, 1) / 255
    return np.concatenate([image * (1 - hole), hole])


def is_lama(file: Path) -> bool:
    """Whether a file is a .safetensors of such a network; only its header is read."""
    try:
        with safe_open(file, "pt") as weights:
            return any(name.endswith(FIRST) for name in weights.keys())  # noqa: SIM118 (no mapping)
    except (SafetensorError, OSError):
        return False


def load(file: Path) -> Generator:
    """The network of a file, ready to paint. Raises ``BadModel``.

    Names may have a prefix, as those of whole training runs do.
    """
    try:
        weights = load_file(file)
    except (SafetensorError, OSError) as error:
        raise BadModel(f"{file}: not a readable .safetensors file; download it again") from error
    prefix = next((n.removesuffix(FIRST) for n in weights if n.endswith(FIRST)), None)
    if prefix is None:
        raise BadModel(f"{file}: not a LaMa, it has no {FIRST}")
    own = {n.removeprefix(prefix): w.float() for n, w in weights.items() if n.startswith(prefix)}
    try:
        network = Generator(config_of(own))
        missing, unknown = network.load_state_dict(own, strict=False)
    except (KeyError, ValueError, RuntimeError) as error:
        raise BadModel(f"{file}: a LaMa of another build than is known here") from error
    lacking = [name for name in missing if not name.endswith(TRACKED)]
    if lacking or unknown:
        told = f"lacks {lacking[0]}" if lacking else f"has {unknown[0]}"
        raise BadModel(f"{file}: a LaMa of another build than is known here, it {told}")
    return network.eval()


def _file(model: Path) -> Path:
    if model.is_file():
        return model
    files = sorted(model.rglob("*.safetensors"))
    if not files:
        raise BadModel(f"{model}: no .safetensors in this folder; download the model again")
    return files[0]
