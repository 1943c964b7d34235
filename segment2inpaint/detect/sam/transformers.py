"""The successors of SAM by transformers: SAM-HQ, SAM 2, EdgeTAM, SAM 3.

SAM-HQ: Ke et al. 2023. SAM 2: Ravi et al. 2024. EdgeTAM: Zhou et al. 2025. SAM 3: Carion et al.
2025. All are the library's own classes; which one is read off the folder's ``config.json``.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import interpolate

from segment2inpaint.detect.prompts import accept
from segment2inpaint.detect.sam.embeddings import Embedding, EmbeddingCache
from segment2inpaint.detect.sam.mask_selection import clean
from segment2inpaint.detect.sam.predictor import SLACK, PromptableDetector, PromptTensors, Size
from segment2inpaint.detect.text_selection import select, text_matches
from segment2inpaint.detect.transformers_loading import load, model_type
from segment2inpaint.errors import BadModel, BadPrompt
from segment2inpaint.models.device import choose as choose_device
from segment2inpaint.models.device import half_precision
from segment2inpaint.networks.click import ObjectPrompt
from segment2inpaint.types import (
    BinaryMask,
    Box,
    Detection,
    Everything,
    Image,
    Points,
    Prompt,
    Text,
    UserMask,
)

# By the kind of model in config.json. The hub's SAM 2 and 3 name the video model, whose own class
# would be loaded by transformers' automatic choice; its image part is what these classes take.
CLASSES = {
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
CONCEPT = 0.5  # least score of an object found by words


class TransformersSamDetector(PromptableDetector):
    """Points, boxes, own masks and everything to masks; the model is a folder as transformers
    saves it.

    ``cache`` is as in ``SamDetector``. Raises ``BadModel``, ``ModelMissing`` for a model that
    needs a package, ``BadOption`` for a device not here.
    """

    def __init__(self, model: Path, device: str = "auto", cache: Path | None = None) -> None:
        network = TransformersNetwork(model, choose_device(device))
        super().__init__(network, EmbeddingCache(model, network.kind, cache))


class TransformersNetwork:
    """One of ``CLASSES`` as a ``Network``.

    SAM-HQ pads the photo as SAM does, the others stretch it into the square frame. On a GPU the
    encoder runs in half precision, the decoder in float32 everywhere.
    """

    def __init__(self, model: Path, device: str) -> None:
        kind = model_type(model)
        if kind not in CLASSES:
            raise BadModel(f"{model}: a {kind} model, not one of {', '.join(CLASSES)}")
        self.name = kind.removesuffix("_video").removesuffix("_tracker").replace("_", "-")
        self.device, self.dtype = device, half_precision(device)
        self.kind = f"{self.name} {self.dtype}"
        self._model, self._processor = load(model, CLASSES[kind], "AutoImageProcessor")
        self._model.to(device)
        size = self._processor.size
        self._pads = kind == "sam_hq"
        self.side = int(size["longest_edge"] if self._pads else size["height"])
        prompts = self._model.config.prompt_encoder_config
        self.mask_side = 4 * (prompts.image_size // prompts.patch_size)

    def frame(self, size: Size) -> Size:
        if not self._pads:
            return self.side, self.side
        scale = self.side / max(size)
        return int(size[0] * scale + 0.5), int(size[1] * scale + 0.5)

    def embed(self, images: Sequence[Image]) -> list[Embedding]:
        photos = [image.copy() for image in images]  # photos are read-only, which torch warns of
        pixels = self._processor(photos, return_tensors="pt")["pixel_values"].to(self.device)
        kind = self.device.partition(":")[0]
        with torch.autocast(kind, dtype=self.dtype, enabled=self.dtype != torch.float32):
            made = self._model.get_image_embeddings(pixels)
        if self._pads:  # the second are of all global layers; the decoder wants the first
            made = [made[0], made[1][0]]
        return [
            {str(level): each[i : i + 1].float() for level, each in enumerate(made)}
            for i in range(len(photos))
        ]

    def decode(
        self, embedding: Embedding, prompted: PromptTensors, multimask: bool
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Each object is given as a photo of its own: only so may each start from a mask."""
        given = {
            "input_points": _each(prompted.points),
            "input_labels": _each(prompted.labels),
            "input_boxes": _each(prompted.boxes),
            "input_masks": prompted.masks,
        }
        options: dict[str, Any] = {k: v.to(self.device) for k, v in given.items() if v is not None}
        count = len(next(iter(options.values())))
        levels = [
            embedding[name].to(self.device).expand(count, -1, -1, -1) for name in sorted(embedding)
        ]
        if self._pads:
            options |= {"image_embeddings": levels[0], "intermediate_embeddings": levels[1:]}
        else:
            options |= {"image_embeddings": levels}
        out = self._model(**options, multimask_output=multimask)
        return out.pred_masks[:, 0].float(), out.iou_scores[:, 0].float()

    def framed(self, logits: torch.Tensor, size: Size) -> torch.Tensor:
        height, width = self.frame(size)
        return _resized(logits, (self.side, self.side))[..., :height, :width]

    def upscaled(self, logits: torch.Tensor, size: Size) -> torch.Tensor:
        return _resized(self.framed(logits, size) if self._pads else logits, size)


class Sam3Detector:
    """Texts to masks by SAM 3; clicks, boxes, own masks and everything by its tracker.

    Beside a text, boxes and points say which of the objects found are meant. Each half is
    loaded when it is first asked. Arguments are as for ``TransformersSam``.
    """

    name = "sam3"
    prompt_types: tuple[type, ...] = (Text, Points, Box, UserMask, Everything)

    def __init__(self, model: Path, device: str = "auto", cache: Path | None = None) -> None:
        self._given = model, choose_device(device), cache
        kind = model_type(model)
        if not CLASSES.get(kind, "").startswith("Sam3"):
            raise BadModel(f"{model}: a {kind} model, not SAM 3")
        self._lock = threading.Lock()

    @cached_property
    def _tracker(self) -> TransformersSamDetector:
        return TransformersSamDetector(*self._given)

    @cached_property
    def _reader(self) -> tuple[Any, Any]:
        model, device, _ = self._given
        network, processor = load(model, "Sam3Model", "Sam3Processor")
        return network.to(device), processor

    def detect(self, image: Image, prompts: Sequence[Prompt]) -> list[Detection]:
        """A mask for each object; by words the best first, their score that of the words.

        Raises ``BadPrompt``, and ``NothingFound`` with the best score for words.
        """
        size = image.shape[0], image.shape[1]
        prompts = accept(self.name, self.prompt_types, prompts, size)
        texts = [p for p in prompts if isinstance(p, Text)]
        if not texts:
            with self._lock:
                tracker = self._tracker
            return tracker.detect(image, prompts)
        with self._lock, torch.inference_mode():
            low, scores = self._read(image, [text.words for text in texts])
            found = text_matches(self.name, texts, scores, CONCEPT)
            masks = [self._mask(low[f.text][f.candidate], f.score, size) for f in found]
        return select(masks, prompts)

    def _read(
        self, image: Image, words: Sequence[str]
    ) -> tuple[list[torch.Tensor], list[NDArray[np.float32]]]:
        """For each text the logits (n, h, w) and scores (n,) of all candidates."""
        network, processor = self._reader
        pixels = processor(images=image.copy(), return_tensors="pt")["pixel_values"]
        kind = self._given[1].partition(":")[0]
        dtype = half_precision(self._given[1])
        low, scores = [], []
        with torch.autocast(kind, dtype=dtype, enabled=dtype != torch.float32):
            vision = network.get_vision_features(pixels.to(self._given[1]))
            for text in words:
                out = network(vision_embeds=vision, **self._tokens(processor, text))
                there = out.pred_logits[0].sigmoid() * out.presence_logits[0].sigmoid()
                low.append(out.pred_masks[0].float())
                scores.append(there.float().cpu().numpy())
        return low, scores

    def _tokens(self, processor: Any, text: str) -> dict[str, torch.Tensor]:
        longest = self._reader[0].config.text_config.max_position_embeddings
        if len(processor.tokenizer(text)["input_ids"]) > longest:
            raise BadPrompt(f"{self.name}: text {text!r} is too long, at most {longest} tokens")
        given = processor.tokenizer(
            text, return_tensors="pt", padding="max_length", max_length=longest
        )
        return {k: given[k].to(self._given[1]) for k in ("input_ids", "attention_mask")}

    def _mask(self, low: torch.Tensor, score: float, size: Size) -> Detection:
        bits = clean(_bits(low, size), ObjectPrompt())
        return Detection(bits, score, SLACK * max(size) / low.shape[-1])


def _bits(low: torch.Tensor, size: Size) -> BinaryMask:
    """Where the object is likelier than not; likelihoods are enlarged, as the library does it."""
    bits: BinaryMask = (_resized(low.sigmoid()[None, None], size)[0, 0] > 0.5).cpu().numpy()
    return bits


def _each(prompts: torch.Tensor | None) -> torch.Tensor | None:
    return None if prompts is None else prompts[:, None]


def _resized(logits: torch.Tensor, size: Size) -> torch.Tensor:
    return interpolate(logits, size, mode="bilinear", align_corners=False)
