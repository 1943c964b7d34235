"""SAM 3 (Carion et al. 2025) in transformers: objects by words, or by prompts to its tracker."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from segment2inpaint.detect.prompts import check_for_detector
from segment2inpaint.detect.sam.mask_selection import remove_specks
from segment2inpaint.detect.sam.model import Size
from segment2inpaint.detect.sam.predictor import edge_uncertainty
from segment2inpaint.detect.sam.transformers import MODEL_CLASSES, TransformersSamDetector, resize
from segment2inpaint.detect.text_selection import select, text_matches
from segment2inpaint.detect.transformers_loading import load, model_type
from segment2inpaint.errors import BadModel, BadPrompt
from segment2inpaint.models.device import choose_device, inference_dtype
from segment2inpaint.networks.click import ObjectPrompt
from segment2inpaint.protocols import MaskPrompt, PredictedMasks
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

DEFAULT_THRESHOLD = 0.5  # lowest score of an object found by words


class Sam3Detector:
    """Find objects by words with SAM 3, at points, boxes, masks or ``Everything`` with its tracker.

    Together with a text, boxes and points select among the objects found. Both models are loaded
    when they are first needed. Arguments and errors are those of ``TransformersSamDetector``.
    """

    name = "sam3"
    prompt_types: tuple[type, ...] = (Text, Points, Box, UserMask, Everything)

    def __init__(self, folder: Path, device: str = "auto", cache: Path | None = None) -> None:
        kind = model_type(folder)
        if not MODEL_CLASSES.get(kind, "").startswith("Sam3"):
            raise BadModel(f"{folder}: holds a {kind} model, expected SAM 3")
        self._folder, self._device, self._cache = folder, choose_device(device), cache
        self._lock = threading.Lock()

    @cached_property
    def _tracker(self) -> TransformersSamDetector:
        return TransformersSamDetector(self._folder, self._device, self._cache)

    @cached_property
    def _text_model(self) -> tuple[Any, Any]:
        model, processor = load(self._folder, "Sam3Model", "Sam3Processor")
        return model.to(self._device), processor

    def detect(self, image: Image, prompts: Sequence[Prompt]) -> list[Detection]:
        """Return a detection for each object; those found by words come with the best score first.

        Raises ``BadPrompt``, and ``NothingFound`` if no object scores above a text's threshold.
        """
        size = image.shape[0], image.shape[1]
        prompts = check_for_detector(self.name, self.prompt_types, prompts, size)
        texts = [p for p in prompts if isinstance(p, Text)]
        if not texts:
            return self._loaded_tracker().detect(image, prompts)
        with self._lock:
            logits, scores = self.predict(image, [text.words for text in texts])
        matches = text_matches(self.name, texts, scores, DEFAULT_THRESHOLD)
        detections = [_detection(logits[m.text][m.candidate], m.score, size) for m in matches]
        return select(detections, prompts)

    def predict_masks(
        self, image: Image, prompt: MaskPrompt, multimask_output: bool
    ) -> PredictedMasks:
        """Return the masks that the tracker predicts for one object, see ``PromptableDetector``."""
        return self._loaded_tracker().predict_masks(image, prompt, multimask_output)

    def _loaded_tracker(self) -> TransformersSamDetector:
        with self._lock:
            return self._tracker

    @torch.inference_mode()
    def predict(
        self, image: Image, texts: Sequence[str]
    ) -> tuple[list[torch.Tensor], list[NDArray[np.float32]]]:
        """Return for each text the logits (n, h, w) and the scores (n,) of all n candidates."""
        model, processor = self._text_model
        pixels = processor(images=image.copy(), return_tensors="pt")["pixel_values"]
        device_type, dtype = self._device.partition(":")[0], inference_dtype(self._device)
        logits, scores = [], []
        with torch.autocast(device_type, dtype=dtype, enabled=dtype != torch.float32):
            vision = model.get_vision_features(pixels.to(self._device))
            for text in texts:
                out = model(vision_embeds=vision, **self._tokenize(text))
                score = out.pred_logits[0].sigmoid() * out.presence_logits[0].sigmoid()
                logits.append(out.pred_masks[0].float())
                scores.append(score.float().cpu().numpy())
        return logits, scores

    def _tokenize(self, text: str) -> dict[str, torch.Tensor]:
        model, processor = self._text_model
        limit = model.config.text_config.max_position_embeddings
        if len(processor.tokenizer(text)["input_ids"]) > limit:
            raise BadPrompt(f"{self.name}: text {text!r} is too long; at most {limit} tokens")
        tokens = processor.tokenizer(
            text, return_tensors="pt", padding="max_length", max_length=limit
        )
        return {name: tokens[name].to(self._device) for name in ("input_ids", "attention_mask")}


def _detection(logits: torch.Tensor, score: float, size: Size) -> Detection:
    mask = remove_specks(mask_of_logits(logits, size), ObjectPrompt())
    return Detection(mask, score, edge_uncertainty(size, logits.shape[-1]))


def mask_of_logits(logits: torch.Tensor, size: Size) -> BinaryMask:
    """Return the mask at the photo's ``size`` for logits (h, w).

    Probabilities are resized, not logits, as the library does it.
    """
    probability = resize(logits.sigmoid()[None, None], size)[0, 0]
    mask: BinaryMask = (probability > 0.5).cpu().numpy()
    return mask
