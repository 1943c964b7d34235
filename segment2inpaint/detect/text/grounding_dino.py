"""Find boxes by words with Grounding DINO (Liu et al. 2023) and have them turned into masks."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from itertools import accumulate, pairwise
from math import ceil, floor
from pathlib import Path

import torch
from torchvision.ops import box_convert, nms

from segment2inpaint.detect.prompts import check_for_detector
from segment2inpaint.detect.text_selection import select, text_matches
from segment2inpaint.detect.transformers_loading import load
from segment2inpaint.errors import BadPrompt
from segment2inpaint.models.device import choose_device
from segment2inpaint.protocols import Detector
from segment2inpaint.types import Box, Detection, Image, Points, Prompt, Text

DEFAULT_THRESHOLD = 0.3  # lowest score of an object
MAX_BOX_IOU = 0.8  # of two boxes; above it they are one object


class GroundingDinoDetector:
    """Find objects by words. Boxes and points select among the objects found.

    ``folder`` holds a model as transformers saves it; MM Grounding DINO and LLMDet work too,
    because they have the same classes. ``segmenter`` turns the boxes into masks. Raises
    ``BadModel``, and ``BadOption`` for a device that this machine does not have.
    """

    prompt_types: tuple[type, ...] = (Text, Points, Box)

    def __init__(self, folder: Path, segmenter: Detector, device: str = "auto") -> None:
        self._device = choose_device(device)
        self._segmenter = segmenter
        self._model, self._processor = load(
            folder, "AutoModelForZeroShotObjectDetection", "AutoProcessor"
        )
        self._model.to(self._device)
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        return f"grounding-dino,{self._segmenter.name}"

    def detect(self, image: Image, prompts: Sequence[Prompt]) -> list[Detection]:
        """Return a detection for each object, the best first; its score is that of the words.

        Raises ``BadPrompt``, and ``NothingFound`` if no object scores above a text's threshold.
        """
        size = image.shape[0], image.shape[1]
        prompts = check_for_detector("grounding-dino", self.prompt_types, prompts, size)
        texts = [p for p in prompts if isinstance(p, Text)]
        if not texts:
            raise BadPrompt("grounding-dino: no text prompt; it finds objects by words")
        with self._lock:
            scores, boxes = self.predict(image, texts)
        matches = text_matches("grounding-dino", texts, list(scores.numpy()), DEFAULT_THRESHOLD)
        boxes = boxes[[match.candidate for match in matches]]
        distinct = nms(boxes, torch.tensor([match.score for match in matches]), MAX_BOX_IOU)
        kept = distinct.tolist()
        masks = self._segment(image, [pixel_box(boxes[i].tolist(), size) for i in kept])
        detections = [
            Detection(found.mask, matches[i].score, found.edge_uncertainty)
            for i, found in zip(kept, masks, strict=True)
            if found is not None
        ]
        return select(detections, prompts)

    @torch.inference_mode()
    def predict(self, image: Image, texts: Sequence[Text]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return scores (texts, n) and boxes (n, 4), x0 y0 x1 y1 in photo px, of n candidates.

        Raises ``BadPrompt`` for texts that are empty or too long.
        """
        phrases = [normalize_phrase(text.words) for text in texts]
        inputs = self._processor(images=image.copy(), text=" ".join(phrases), return_tensors="pt")
        limit = self._model.config.max_text_len
        token_count = inputs["input_ids"].shape[1]
        if token_count > limit:
            raise BadPrompt(f"grounding-dino: too many words; at most {limit} tokens")
        out = self._model(**inputs.to(self._device))
        probability = out.logits[0].sigmoid().float().cpu()
        spans = self.token_spans(phrases, token_count)
        scores = torch.stack([probability[:, span].amax(dim=1) for span in spans])
        height, width = image.shape[:2]
        boxes = box_convert(out.pred_boxes[0].float().cpu(), "cxcywh", "xyxy")
        return scores, boxes * torch.tensor([width, height, width, height])

    def token_spans(self, phrases: Sequence[str], token_count: int) -> list[slice]:
        """Return the tokens of each phrase in the tokens of all, joined by spaces.

        The special tokens at the start and the end belong to the first and the last phrase.
        """
        ends = list(accumulate(map(self._count_tokens, phrases), initial=1))
        if ends[-1] != token_count - 1:
            raise RuntimeError("joining the texts changed how they are split into tokens")
        return [slice(a, b) for a, b in pairwise([0, *ends[1:-1], token_count])]

    def _count_tokens(self, phrase: str) -> int:
        return len(self._processor.tokenizer(phrase, add_special_tokens=False)["input_ids"])

    def _segment(self, image: Image, boxes: Sequence[Box]) -> list[Detection | None]:
        """Return a detection for each box, None where the segmenter finds nothing."""
        detections = self._segmenter.detect(image, boxes)
        if len(detections) == len(boxes):
            return list(detections)
        return [next(iter(self._segmenter.detect(image, [box])), None) for box in boxes]


def normalize_phrase(words: str) -> str:
    """Return words in the form that the model was trained on: "a dog. red cat.".

    Raises ``BadPrompt`` if there are no words.
    """
    things = [thing.strip().lower() for thing in words.split(".") if thing.strip()]
    if not things:
        raise BadPrompt(f"text {words!r} has no words")
    return ". ".join(things) + "."


def pixel_box(corners: Sequence[float], size: tuple[int, int]) -> Box:
    """Return the pixels of a photo of ``size`` that a box touches, at least one.

    ``corners`` are x0, y0, x1, y1, which may lie outside the photo.
    """
    height, width = size
    x0 = min(max(0, floor(corners[0])), width - 1)
    y0 = min(max(0, floor(corners[1])), height - 1)
    x1, y1 = min(ceil(corners[2]), width), min(ceil(corners[3]), height)
    return Box(x0, y0, max(x0 + 1, x1), max(y0 + 1, y1))
