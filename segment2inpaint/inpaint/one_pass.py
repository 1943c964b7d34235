"""Networks that fill a hole in one pass: crops of one size share a call, padded."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from segment2inpaint.errors import BadModel
from segment2inpaint.protocols import Crop, InputSpec, ProgressCallback, RuntimeOptions, no_progress
from segment2inpaint.types import Fill, Image

GPU_BATCH_SIZE = 4  # crops in a call


class OnePassInpainter(ABC):
    """Fills holes by a network; the result does not depend on the seed.

    ``network`` takes (N, 4, H, W) float32 as ``network_input`` makes it. ``area`` and ``multiple``
    are those of ``InputSpec``; ``min_side`` is that of the network's input, px.
    """

    name: str

    def __init__(
        self, network: torch.nn.Module, area: int, multiple: int, min_side: int, device: str,
        runtime: RuntimeOptions,
    ) -> None:  # fmt: skip
        self._device, self._min_side = device, min_side
        self._network: Any = network.to(device)
        batch_size = runtime.batch_size or (1 if device == "cpu" else GPU_BATCH_SIZE)
        self.input_spec = InputSpec(
            area=area, multiple=multiple, batch_size=batch_size, uses_seed=False
        )

    @abstractmethod
    def network_input(self, crop: Crop) -> NDArray[np.float32]:
        """Return a crop as the network takes it, (4, H, W) float32."""

    @abstractmethod
    def to_colors(self, outputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the network's outputs as colours in [0, 1]."""

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
        inputs = np.stack([self.network_input(crop) for crop in crops])
        inputs = _pad(inputs, self.input_spec.multiple, self._min_side)
        outputs = self._network(torch.from_numpy(inputs).to(self._device)).cpu().numpy()
        if not np.isfinite(outputs).all():
            raise BadModel(f"{self.name} returned NaN; its weights are damaged")
        height, width = crops[0].mask.shape
        pixels = np.rint(255 * self.to_colors(outputs)[:, :, :height, :width]).astype(np.uint8)
        return [np.ascontiguousarray(image.transpose(1, 2, 0)) for image in pixels]


def _pad(inputs: NDArray[np.float32], multiple: int, min_side: int) -> NDArray[np.float32]:
    """Return (N, C, H, W) with its edges repeated to multiples of ``multiple``."""
    height, width = inputs.shape[2:]
    pad_y, pad_x = (max(-side % multiple, min_side - side) for side in (height, width))
    return np.pad(inputs, ((0, 0), (0, 0), (0, pad_y), (0, pad_x)), mode="edge")
