"""Segment Anything (Kirillov et al. 2023) by the package ``segment-anything``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from segment_anything.modeling import Sam
from segment_anything.utils.transforms import ResizeLongestSide

from segment2inpaint.detect.sam.checkpoint import build, read
from segment2inpaint.detect.sam.embeddings import Embedding, EmbeddingCache
from segment2inpaint.detect.sam.predictor import PromptableDetector, PromptTensors, Size
from segment2inpaint.models.device import choose as choose_device
from segment2inpaint.models.device import half_precision
from segment2inpaint.types import Image


class SamDetector(PromptableDetector):
    """Points, boxes, own masks and everything to masks by SAM.

    ``checkpoint`` is a .pth or .safetensors file of any size of SAM, or a folder that holds
    ``model.safetensors``. The encoder runs once a photo: ``cache`` is the folder where
    embeddings are kept, None the memory. Raises ``BadModel`` for other files, ``BadOption`` for
    a device not here.
    """

    def __init__(self, checkpoint: Path, device: str = "auto", cache: Path | None = None) -> None:
        network = SamNetwork(build(read(checkpoint), checkpoint), choose_device(device))
        super().__init__(network, EmbeddingCache(checkpoint, network.kind, cache))


class SamNetwork:
    """SAM as a ``Network``: the photo's long side fills the frame, the rest is padding.

    On a GPU the encoder runs in half precision (bfloat16 where it is fast); the small decoder
    always in float32, for which the package is written.
    """

    name = "sam"

    def __init__(self, sam: Sam, device: str) -> None:
        self.device = device
        self.side = sam.image_encoder.img_size
        self.mask_side = 4 * sam.prompt_encoder.image_embedding_size[0]
        self.dtype = half_precision(device)
        self.kind = f"sam {self.dtype}"
        self._sam = sam.to(device)
        self._resize = ResizeLongestSide(self.side)

    def frame(self, size: Size) -> Size:
        shape: Size = self._resize.get_preprocess_shape(*size, self.side)
        return shape

    def embed(self, images: Sequence[Image]) -> list[Embedding]:
        resized = (self._resize.apply_image(np.ascontiguousarray(image)) for image in images)
        pixels = [
            self._sam.preprocess(torch.as_tensor(r, device=self.device).permute(2, 0, 1)[None])
            for r in resized
        ]
        kind = self.device.partition(":")[0]
        with torch.autocast(kind, dtype=self.dtype, enabled=self.dtype != torch.float32):
            features = self._sam.image_encoder(torch.cat(pixels)).float()
        return [{"features": each[None]} for each in features]

    def decode(
        self, embedding: Embedding, prompted: PromptTensors, multimask: bool
    ) -> tuple[torch.Tensor, torch.Tensor]:
        device, sam = self.device, self._sam
        points = None
        if prompted.points is not None and prompted.labels is not None:
            points = prompted.points.to(device), prompted.labels.to(device)
        boxes, masks = (t if t is None else t.to(device) for t in (prompted.boxes, prompted.masks))
        sparse, dense = sam.prompt_encoder(points=points, boxes=boxes, masks=masks)
        logits, scores = sam.mask_decoder.predict_masks(
            image_embeddings=embedding["features"].to(device),
            image_pe=sam.prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
        )
        return (logits[:, 1:], scores[:, 1:]) if multimask else (logits[:, :1], scores[:, :1])

    def framed(self, logits: torch.Tensor, size: Size) -> torch.Tensor:
        frame = self.frame(size)
        return self._postprocessed(logits, frame, frame)

    def upscaled(self, logits: torch.Tensor, size: Size) -> torch.Tensor:
        return self._postprocessed(logits, self.frame(size), size)

    def _postprocessed(self, logits: torch.Tensor, frame: Size, size: Size) -> torch.Tensor:
        made: torch.Tensor = self._sam.postprocess_masks(logits, frame, size)
        return made
