"""Words to boxes by Grounding DINO (Liu et al. 2023) of transformers, boxes to masks by another."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from math import ceil, floor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torchvision.ops import box_convert, nms

from segment2inpaint.detect.prompts import accept
from segment2inpaint.detect.text_selection import select, text_matches
from segment2inpaint.detect.transformers_loading import load
from segment2inpaint.errors import BadPrompt
from segment2inpaint.models.device import choose as choose_device
from segment2inpaint.protocols import Detector
from segment2inpaint.types import Box, Detection, Image, Points, Prompt, Text

THRESHOLD = 0.3
OVERLAP = 0.8  # IoU above which two boxes are one object


class GroundingDinoDetector:
    """Texts to masks; boxes and points say which of the objects found are meant.

    ``model`` is a folder as transformers saves it (MM Grounding DINO and LLMDet have the same
    classes); ``segmenter`` makes the masks from boxes. Raises ``BadModel``, ``BadOption``.
    """

    prompt_types: tuple[type, ...] = (Text, Points, Box)

    def __init__(self, model: Path, segmenter: Detector, device: str = "auto") -> None:
        self._device = choose_device(device)
        self._segmenter = segmenter
        self._model, self._processor = load(
            model, "AutoModelForZeroShotObjectDetection", "AutoProcessor"
        )
        self._model.to(self._device)
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        return f"grounding-dino,{self._segmenter.name}"

    def detect(self, image: Image, prompts: Sequence[Prompt]) -> list[Detection]:
        """A mask for each object, the best first; the score is that of the words.

        Raises ``BadPrompt``, and ``NothingFound`` with the best score if none is above the
        threshold.
        """
        size = image.shape[0], image.shape[1]
        prompts = accept("grounding-dino", self.prompt_types, prompts, size)
        texts = [p for p in prompts if isinstance(p, Text)]
        if not texts:
            raise BadPrompt("grounding-dino: no text prompt, it finds objects by words")
        with self._lock, torch.inference_mode():
            scores, corners = self._read(image, texts)
        found = text_matches("grounding-dino", texts, list(scores.numpy()), THRESHOLD)
        boxes = corners[[f.candidate for f in found]]
        kept = nms(boxes, torch.tensor([f.score for f in found]), OVERLAP).tolist()
        masks = self._masks(image, [_box(boxes[i].tolist(), size) for i in kept])
        return select(
            [
                Detection(mask.mask, found[i].score, mask.edge_uncertainty)
                for i, mask in zip(kept, masks, strict=True)
                if mask is not None
            ],
            prompts,
        )

    def _read(self, image: Image, texts: Sequence[Text]) -> tuple[torch.Tensor, torch.Tensor]:
        """Scores (texts, n) and boxes (n, 4) in photo pixels of all candidates."""
        phrases = [_phrase(text.words) for text in texts]
        given = self._processor(images=image.copy(), text=" ".join(phrases), return_tensors="pt")
        limit = self._model.config.max_text_len
        if given["input_ids"].shape[1] > limit:
            raise BadPrompt(f"grounding-dino: the words are too many, more than {limit} tokens")
        out = self._model(**given.to(self._device))
        likely = out.logits[0].sigmoid().float().cpu()
        spans = self._spans(phrases, given["input_ids"][0])
        scores = torch.stack([likely[:, span].amax(dim=1) for span in spans])
        height, width = image.shape[:2]
        corners = box_convert(out.pred_boxes[0].float().cpu(), "cxcywh", "xyxy")
        return scores, corners * torch.tensor([width, height, width, height])

    def _spans(self, phrases: Sequence[str], ids: torch.Tensor) -> list[slice]:
        """Where each text's tokens are; the marks at both ends go with the first and last."""
        lengths = [len(self._tokens(phrase)) for phrase in phrases]
        ends = 1 + np.cumsum(lengths)
        starts = [0, *ends[:-1]]
        if ends[-1] != len(ids) - 1:
            raise RuntimeError("texts were split into other tokens together than alone")
        return [slice(int(a), int(b)) for a, b in zip(starts, [*ends[:-1], len(ids)], strict=True)]

    def _tokens(self, phrase: str) -> Any:
        return self._processor.tokenizer(phrase, add_special_tokens=False)["input_ids"]

    def _masks(self, image: Image, boxes: Sequence[Box]) -> list[Detection | None]:
        """A mask for each box, None for one where the segmenter finds nothing."""
        together = self._segmenter.detect(image, boxes)
        if len(together) == len(boxes):
            return list(together)
        return [next(iter(self._segmenter.detect(image, [box])), None) for box in boxes]


def _phrase(words: str) -> str:
    """As the network was trained: lower case, each thing closed by a full stop."""
    things = [thing.strip().lower() for thing in words.split(".") if thing.strip()]
    if not things:
        raise BadPrompt(f"text {words!r} has no words")
    return ". ".join(things) + "."


def _box(corners: Sequence[float], size: tuple[int, int]) -> Box:
    """The pixels that a box touches, at least one."""
    height, width = size
    x0 = min(max(0, floor(corners[0])), width - 1)
    y0 = min(max(0, floor(corners[1])), height - 1)
    x1, y1 = min(ceil(corners[2]), width), min(ceil(corners[3]), height)
    return Box(x0, y0, max(x0 + 1, x1), max(y0 + 1, y1))
