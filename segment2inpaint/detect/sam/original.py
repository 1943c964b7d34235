"""Segment Anything (Kirillov et al. 2023) by Meta's package ``segment-anything``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from segment_anything.modeling import Sam
from segment_anything.utils.transforms import ResizeLongestSide

from segment2inpaint.detect.sam.checkpoint import build, read
from segment2inpaint.detect.sam.embeddings import Embedding, EmbeddingCache
from segment2inpaint.detect.sam.model import PromptTensors, Size
from segment2inpaint.detect.sam.predictor import PromptableDetector
from segment2inpaint.models.device import choose_device, inference_dtype
from segment2inpaint.types import Image


class SamDetector(PromptableDetector):
    """Turn points, boxes, user masks and ``Everything`` into masks by SAM.

    ``checkpoint`` is a .pth or .safetensors file of any size of SAM, or a folder that holds
    ``model.safetensors``. ``cache`` is the folder for image embeddings, None keeps them in
    memory only. Raises ``BadModel`` for other files, ``BadOption`` for a device that this
    machine does not have.
    """

    def __init__(self, checkpoint: Path, device: str = "auto", cache: Path | None = None) -> None:
        model = OriginalSamModel(build(read(checkpoint), checkpoint), choose_device(device))
        super().__init__(model, EmbeddingCache(checkpoint, model.variant, cache))


class OriginalSamModel:
    """A ``Sam`` of segment_anything as a ``PromptableModel``.

    The photo's long side fills the frame, the rest is padding. On a GPU the encoder runs in half
    precision (bfloat16 where that is fast). The small decoder always runs in float32, because
    the package fails in half precision.
    """

    name = "sam"

    def __init__(self, sam: Sam, device: str) -> None:
        self.device = device
        self.frame_side = sam.image_encoder.img_size
        self.mask_side = 4 * sam.prompt_encoder.image_embedding_size[0]
        self.dtype = inference_dtype(device)
        self.variant = f"sam {self.dtype}"
        self._sam = sam.to(device)
        self._resize = ResizeLongestSide(self.frame_side)

    def size_in_frame(self, size: Size) -> Size:
        shape: Size = self._resize.get_preprocess_shape(*size, self.frame_side)
        return shape

    def embed(self, images: Sequence[Image]) -> list[Embedding]:
        resized = (self._resize.apply_image(np.ascontiguousarray(image)) for image in images)
        pixels = [
            self._sam.preprocess(torch.as_tensor(r, device=self.device).permute(2, 0, 1)[None])
            for r in resized
        ]
        device_type = self.device.partition(":")[0]
        with torch.autocast(device_type, dtype=self.dtype, enabled=self.dtype != torch.float32):
            features = self._sam.image_encoder(torch.cat(pixels)).float()
        return [{"features": each[None]} for each in features]

    def decode(
        self, embedding: Embedding, prompts: PromptTensors, multimask_output: bool
    ) -> tuple[torch.Tensor, torch.Tensor]:
        device, sam = self.device, self._sam
        points = None
        if prompts.points is not None and prompts.labels is not None:
            points = prompts.points.to(device), prompts.labels.to(device)
        boxes, masks = (t if t is None else t.to(device) for t in (prompts.boxes, prompts.masks))
        sparse, dense = sam.prompt_encoder(points=points, boxes=boxes, masks=masks)
        logits, scores = sam.mask_decoder.predict_masks(
            image_embeddings=embedding["features"].to(device),
            image_pe=sam.prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
        )
        selected = slice(1, None) if multimask_output else slice(0, 1)
        return logits[:, selected], scores[:, selected]

    def resize_to_frame(self, logits: torch.Tensor, size: Size) -> torch.Tensor:
        in_frame = self.size_in_frame(size)
        return self._postprocess(logits, in_frame, in_frame)

    def resize_to_photo(self, logits: torch.Tensor, size: Size) -> torch.Tensor:
        return self._postprocess(logits, self.size_in_frame(size), size)

    def _postprocess(self, logits: torch.Tensor, in_frame: Size, size: Size) -> torch.Tensor:
        resized: torch.Tensor = self._sam.postprocess_masks(logits, in_frame, size)
        return resized
