"""The interface of a promptable segmentation model: Segment Anything and its successors.

These models (Kirillov et al. 2023) have an encoder that runs once per photo and a small decoder
that runs for each prompt. They differ in how a photo is laid into the model's square frame and
in how encoder and decoder are called; ``PromptableModel`` hides that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch

from segment2inpaint.detect.sam.embeddings import Embedding
from segment2inpaint.types import Image

Size = tuple[int, int]  # height, width


@dataclass(frozen=True, eq=False)
class PromptTensors:
    """Prompts of n objects in pixels of the model's frame; all have the same kinds of prompt.

    ``points`` (n, p, 2) float32, x and y, with ``labels`` (n, p) int32, 1 for a positive and 0
    for a negative point; ``boxes`` (n, 4) float32, x0, y0, x1, y1; ``masks`` (n, 1, s, s)
    float32 logits, s = ``mask_side`` of the model.
    """

    points: torch.Tensor | None = None
    labels: torch.Tensor | None = None
    boxes: torch.Tensor | None = None
    masks: torch.Tensor | None = None


class PromptableModel(Protocol):
    """An encoder and a decoder.

    ``frame_side`` and ``mask_side`` are the sides in pixels of its square frame and of its
    low-resolution masks. ``variant`` names what an embedding depends on besides the checkpoint
    and the photo.
    """

    name: str
    device: str
    variant: str
    frame_side: int
    mask_side: int

    def size_in_frame(self, size: Size) -> Size:
        """Return the size in the frame of a photo of ``size``; it starts at the top left."""
        ...

    def embed(self, images: Sequence[Image]) -> list[Embedding]:
        """Run the encoder once and return the embedding of each photo."""
        ...

    def decode(
        self, embedding: Embedding, prompts: PromptTensors, multimask_output: bool
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return logits (n, k, s, s) and predicted IoU (n, k) of k masks for each object.

        k is 1, and larger with ``multimask_output``.
        """
        ...

    def resize_to_frame(self, logits: torch.Tensor, size: Size) -> torch.Tensor:
        """Return logits (n, k, s, s) of a photo of ``size`` at its size in the frame."""
        ...

    def resize_to_photo(self, logits: torch.Tensor, size: Size) -> torch.Tensor:
        """Return logits (n, k, s, s) of a photo of ``size`` at that size."""
        ...
