"""The successors of SAM in transformers: SAM-HQ, SAM 2, EdgeTAM and the tracker of SAM 3.

SAM-HQ: Ke et al. 2023. SAM 2: Ravi et al. 2024. EdgeTAM: Zhou et al. 2025. SAM 3: Carion et al.
2025. All are classes of the library; ``config.json`` in the model's folder tells which.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch.nn.functional import interpolate

from segment2inpaint import extras
from segment2inpaint.detect.sam.embeddings import Embedding, EmbeddingCache
from segment2inpaint.detect.sam.model import PromptTensors, Size
from segment2inpaint.detect.sam.predictor import PromptableDetector
from segment2inpaint.detect.transformers_loading import load, model_type
from segment2inpaint.errors import BadModel
from segment2inpaint.models.device import choose_device, inference_dtype
from segment2inpaint.types import Image

# model_type in config.json -> class. The hub's SAM 2 and SAM 3 name the video model, which the
# library's AutoModel would load; these classes take its image part.
MODEL_CLASSES = {
    "sam_hq": "SamHQModel",
    "sam2": "Sam2Model",
    "sam2_video": "Sam2Model",
    "edgetam": "EdgeTamModel",
    "edgetam_video": "EdgeTamModel",
    "sam3": "Sam3TrackerModel",
    "sam3_video": "Sam3TrackerModel",
    "sam3_tracker": "Sam3TrackerModel",
    "sam3_tracker_video": "Sam3TrackerModel",
}


class TransformersSamDetector(PromptableDetector):
    """Turn points, boxes, user masks and ``Everything`` into masks by a model of transformers.

    ``folder`` is one as transformers saves it; ``cache`` is as in ``SamDetector``. Raises
    ``BadModel``, ``PackageMissing`` for EdgeTAM without timm, ``BadOption`` for a device that this
    machine does not have.
    """

    def __init__(self, folder: Path, device: str = "auto", cache: Path | None = None) -> None:
        model = TransformersSamModel(folder, choose_device(device))
        super().__init__(model, EmbeddingCache(folder, model.variant, cache))


class TransformersSamModel:
    """One of ``MODEL_CLASSES`` as a ``PromptableModel``.

    SAM-HQ pads the photo as SAM does, the others stretch it to the square frame. On a GPU the
    encoder runs in half precision; the decoder always runs in float32.
    """

    def __init__(self, folder: Path, device: str) -> None:
        kind = model_type(folder)
        if kind not in MODEL_CLASSES:
            known = ", ".join(MODEL_CLASSES)
            raise BadModel(f"{folder}: holds a {kind} model, expected one of {known}")
        if kind.startswith("edgetam"):
            extras.require("edgetam", f"{folder}: EdgeTAM")
        self.name = kind.removesuffix("_video").removesuffix("_tracker").replace("_", "-")
        self.device, self.dtype = device, inference_dtype(device)
        self.variant = f"{self.name} {self.dtype}"
        self._model, self._processor = load(folder, MODEL_CLASSES[kind], "AutoImageProcessor")
        self._model.to(device)
        size = self._processor.size
        self._pads = kind == "sam_hq"
        self.frame_side = int(size["longest_edge"] if self._pads else size["height"])
        encoder = self._model.config.prompt_encoder_config
        self.mask_side = 4 * (encoder.image_size // encoder.patch_size)

    def size_in_frame(self, size: Size) -> Size:
        if not self._pads:
            return self.frame_side, self.frame_side
        scale = self.frame_side / max(size)
        return int(size[0] * scale + 0.5), int(size[1] * scale + 0.5)

    def embed(self, images: Sequence[Image]) -> list[Embedding]:
        copies = [image.copy() for image in images]  # torch warns of read-only arrays
        pixels = self._processor(copies, return_tensors="pt")["pixel_values"].to(self.device)
        device_type = self.device.partition(":")[0]
        with torch.autocast(device_type, dtype=self.dtype, enabled=self.dtype != torch.float32):
            levels = self._model.get_image_embeddings(pixels)
        if self._pads:  # SAM-HQ returns features of all global layers; the decoder takes the first
            levels = [levels[0], levels[1][0]]
        return [
            {str(number): level[i : i + 1].float() for number, level in enumerate(levels)}
            for i in range(len(images))
        ]

    def decode(
        self, embedding: Embedding, prompts: PromptTensors, multimask_output: bool
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Decode each object as if it were in a photo of its own.

        Only then can each object start from a mask.
        """
        levels = [embedding[name].to(self.device) for name in sorted(embedding)]
        inputs = self._prompt_inputs(prompts)
        count = len(next(iter(inputs.values())))
        expanded = [level.expand(count, -1, -1, -1) for level in levels]
        if self._pads:
            out = self._model(
                **inputs,
                image_embeddings=expanded[0],
                intermediate_embeddings=expanded[1:],
                multimask_output=multimask_output,
            )
        else:
            out = self._model(
                **inputs, image_embeddings=expanded, multimask_output=multimask_output
            )
        return out.pred_masks[:, 0].float(), out.iou_scores[:, 0].float()

    def _prompt_inputs(self, prompts: PromptTensors) -> dict[str, torch.Tensor]:
        """Return the prompts under the names of the library, each object as a photo."""
        inputs = {
            "input_points": _one_object_per_photo(prompts.points),
            "input_labels": _one_object_per_photo(prompts.labels),
            "input_boxes": _one_object_per_photo(prompts.boxes),
            "input_masks": prompts.masks,
        }
        return {name: t.to(self.device) for name, t in inputs.items() if t is not None}

    def resize_to_frame(self, logits: torch.Tensor, size: Size) -> torch.Tensor:
        height, width = self.size_in_frame(size)
        return resize(logits, (self.frame_side, self.frame_side))[..., :height, :width]

    def resize_to_photo(self, logits: torch.Tensor, size: Size) -> torch.Tensor:
        return resize(self.resize_to_frame(logits, size) if self._pads else logits, size)


def resize(logits: torch.Tensor, size: Size) -> torch.Tensor:
    """Return values (n, k, h, w) resized to ``size``, as the processors of the library do it."""
    return interpolate(logits, size, mode="bilinear", align_corners=False)


def _one_object_per_photo(prompts: torch.Tensor | None) -> torch.Tensor | None:
    return None if prompts is None else prompts[:, None]
