"""What all promptable networks share: an encoder run once a photo, a decoder run for a prompt.

Segment Anything (Kirillov et al. 2023) and its successors differ in how a photo is laid into the
network's frame and in how the two halves are called: that is a ``Network``. The rest is here.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from segment2inpaint.detect.prompts import accept, picked, targets
from segment2inpaint.detect.sam import automatic
from segment2inpaint.detect.sam.embeddings import Embedding, EmbeddingCache
from segment2inpaint.detect.sam.mask_selection import choose_mask, clean
from segment2inpaint.errors import BadImage, BadPrompt
from segment2inpaint.masks import deepest_point
from segment2inpaint.networks.click import ObjectPrompt
from segment2inpaint.types import (
    BinaryMask,
    Box,
    Detection,
    Everything,
    Image,
    Points,
    Prompt,
    UserMask,
    bounding_box,
)

SLACK = 1.25  # in pixels of the network's own mask, by how far its edge may be off
BATCH = 16  # prompts decoded at once
STEEP = 2.0  # logits per pixel of an own mask's distance from its edge
FIRM = 10.0  # the largest logit of an own mask
SAME = 0.7  # IoU of a refined mask with the one that it refines

Size = tuple[int, int]


@dataclass(frozen=True, eq=False)
class PromptTensors:
    """Prompts of n objects in pixels of the network's frame; all have the same kinds.

    ``points`` (n, p, 2) float32 with ``labels`` (n, p) int32, 1 on the object and 0 beside it;
    ``boxes`` (n, 4) float32; ``masks`` (n, 1, s, s) float32 logits.
    """

    points: torch.Tensor | None = None
    labels: torch.Tensor | None = None
    boxes: torch.Tensor | None = None
    masks: torch.Tensor | None = None


class PromptableModel(Protocol):
    """An encoder and a decoder.

    ``side`` is that of its square frame, ``mask_side`` that of its masks, in pixels; ``kind``
    says what an embedding depends on besides checkpoint and photo.
    """

    name: str
    device: str
    kind: str
    side: int
    mask_side: int

    def frame(self, size: Size) -> Size:
        """Height and width of a photo of ``size`` in the frame; it begins at the top left."""
        ...

    def embed(self, images: Sequence[Image]) -> list[Embedding]:
        """One run of the encoder."""
        ...

    def decode(
        self, embedding: Embedding, prompted: PromptTensors, multimask: bool
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits (n, k, s, s) and predicted IoU (n, k): one mask an object, or several."""
        ...

    def framed(self, logits: torch.Tensor, size: Size) -> torch.Tensor:
        """Logits (n, k, s, s) of a photo of ``size`` at its size in the frame."""
        ...

    def upscaled(self, logits: torch.Tensor, size: Size) -> torch.Tensor:
        """Logits (n, k, s, s) at the photo's size."""
        ...


class _PromptedObject(NamedTuple):
    target: ObjectPrompt
    mask: BinaryMask | None  # one of the user's own, to start from

    @property
    def kinds(self) -> tuple[int, bool, bool]:
        clicks = len(self.target.include) + len(self.target.exclude)
        return clicks, self.target.box is not None, self.mask is not None

    @property
    def ambiguous(self) -> bool:
        """Whether the prompt may mean a part as well as the whole."""
        return self.kinds == (1, False, False) or self.target.granularity != "auto"


class _MaskPrediction(NamedTuple):
    logits: torch.Tensor  # (s, s)
    score: float
    fits: bool


class PromptableDetector:
    """Points, boxes, own masks and everything, to masks.

    Safe to use from several threads, one at a time.
    """

    prompt_types: tuple[type, ...] = (Points, Box, UserMask, Everything)

    def __init__(self, network: PromptableModel, embeddings: EmbeddingCache) -> None:
        self._network, self._embeddings = network, embeddings
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        return self._network.name

    def prepare(self, images: Sequence[Image]) -> None:
        """Embed several photos in one run of the encoder, for ``detect`` to find them ready."""
        for image in images:
            self._check(image)
        with self._lock, torch.inference_mode():
            self._embeddings.get(images, self._network.embed)

    def detect(self, image: Image, prompts: Sequence[Prompt]) -> list[Detection]:
        """A mask for each object. Raises ``BadPrompt``."""
        size = image.shape[0], image.shape[1]
        prompts = accept(self.name, self.prompt_types, prompts, size)
        self._check(image)
        if any(isinstance(p, Everything) for p in prompts):
            return self._everything(image, prompts)
        objects = _objects(prompts)
        if not objects:
            raise BadPrompt(f"{self.name}: only points beside the object, give one on it")
        with self._lock, torch.inference_mode():
            (embedding,) = self._embeddings.get([image], self._network.embed)
            answers = self._answers(embedding, size, objects)
            return [
                self._mask(answer, size, thing.target)
                for thing, answer in zip(objects, answers, strict=True)
                if answer is not None
            ]

    def _check(self, image: Image) -> None:
        height, width = image.shape[:2]
        if 0 in self._network.frame((height, width)):
            raise BadImage(f"photo of {width} x {height} px is too thin for {self.name}")

    def _everything(self, image: Image, prompts: Sequence[Prompt]) -> list[Detection]:
        size = image.shape[0], image.shape[1]
        if not all(isinstance(p, Everything) for p in prompts):
            raise BadPrompt(f"{self.name}: everything takes no other prompt beside it")
        pick = [n for p in prompts if isinstance(p, Everything) for n in p.pick]
        with self._lock, torch.inference_mode():
            (embedding,) = self._embeddings.get([image], self._network.embed)

            def decode(clicks: NDArray[np.float64]) -> tuple[torch.Tensor, torch.Tensor]:
                points = self._points(clicks[:, None], size)
                labels = torch.ones(points.shape[:2], dtype=torch.int32)
                return self._network.decode(embedding, PromptTensors(points, labels), True)

            found = automatic.candidates(
                decode,
                lambda low: self._network.framed(low, size),
                size,
                automatic.FEWER if self._network.device == "cpu" else automatic.PER_SIDE,
            )
            return [
                self._mask(_MaskPrediction(low, score, True), size, ObjectPrompt())
                for low, score in picked(found, pick)
            ]

    def _answers(
        self, embedding: Embedding, size: Size, objects: Sequence[_PromptedObject]
    ) -> list[_MaskPrediction | None]:
        """The best mask of each object, asked for again with itself as a prompt."""
        found: dict[int, _MaskPrediction] = {}
        for group in _alike(objects):
            several = objects[group[0]].ambiguous
            found |= self._ask(embedding, size, objects, group, found, several)
            if not several:  # the one mask disobeys: perhaps one of the three does not
                unfit = [i for i in group if i not in found or not found[i].fits]
                found |= self._ask(embedding, size, objects, unfit, {}, True)
            certain = [i for i in group if i in found]
            again = self._ask(embedding, size, objects, certain, found, False)
            found |= {i: new for i, new in again.items() if _refines(new, found[i])}
        return [found.get(i) for i in range(len(objects))]

    def _ask(
        self,
        embedding: Embedding,
        size: Size,
        objects: Sequence[_PromptedObject],
        group: Sequence[int],
        before: dict[int, _MaskPrediction],
        several: bool,
    ) -> dict[int, _MaskPrediction]:
        """Answers by the object's number, for those that have one.

        ``before`` are masks to start from; without one an object starts from its own, if any.
        """
        if not group:
            return {}
        asked = [objects[i] for i in group]
        start = None
        if all(i in before for i in group):
            start = torch.stack([before[i].logits for i in group])[:, None]
        elif asked[0].mask is not None:
            start = torch.stack(
                [self._as_logits(o.mask, size) for o in asked if o.mask is not None]
            )
        low, scores = self._decode(embedding, size, asked, start, several)
        answers = {}
        for i, logits, score in zip(group, low, scores.cpu().numpy(), strict=True):
            frame = self._network.framed(logits[None], size)[0].cpu().numpy()
            scale = frame.shape[2] / size[1], frame.shape[1] / size[0]
            choice = choose_mask(frame, score, objects[i].target, scale)
            if choice is not None:
                answers[i] = _MaskPrediction(
                    logits[choice.which], float(score[choice.which]), choice.fits
                )
        return answers

    def _decode(
        self,
        embedding: Embedding,
        size: Size,
        objects: Sequence[_PromptedObject],
        masks: torch.Tensor | None,
        multimask: bool,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        first = objects[0].target
        points = labels = boxes = None
        if first.include or first.exclude:
            clicks = [[*o.target.include, *o.target.exclude] for o in objects]
            points = self._points(np.array(clicks, np.float64), size)
            marks = [[1] * len(o.target.include) + [0] * len(o.target.exclude) for o in objects]
            labels = torch.tensor(marks, dtype=torch.int32)
        if first.box is not None:
            ends = np.array([o.target.box for o in objects], np.float64).reshape(-1, 2, 2)
            boxes = self._points(ends, size).flatten(1)
        prompted = PromptTensors(points, labels, boxes, masks)
        return self._network.decode(embedding, prompted, multimask)

    def _points(self, photo: NDArray[np.float64], size: Size) -> torch.Tensor:
        """Points (..., 2) of the photo in the network's frame."""
        frame = self._network.frame(size)
        scale = np.array([frame[1] / size[1], frame[0] / size[0]])
        return torch.as_tensor(photo * scale, dtype=torch.float32)

    def _as_logits(self, bits: BinaryMask, size: Size) -> torch.Tensor:
        """An own mask (1, s, s) as the network would have said it: signed distances."""
        side = self._network.mask_side
        grid = [max(1, round(c * side / self._network.side)) for c in self._network.frame(size)]
        small = cv2.resize(255 * bits.astype(np.uint8), grid[::-1], interpolation=cv2.INTER_AREA)
        inside = np.pad(small > 127, [(0, side - grid[0]), (0, side - grid[1])]).astype(np.uint8)
        distance = cv2.distanceTransform(inside, cv2.DIST_L2, 5) - cv2.distanceTransform(
            1 - inside, cv2.DIST_L2, 5
        )
        return torch.as_tensor(np.clip(STEEP * distance, -FIRM, FIRM))[None]

    def _mask(self, answer: _MaskPrediction, size: Size, target: ObjectPrompt) -> Detection:
        bits: BinaryMask = (
            (self._network.upscaled(answer.logits[None, None], size)[0, 0] > 0).cpu().numpy()
        )
        slack = SLACK * max(size) / answer.logits.shape[-1]
        return Detection(
            clean(bits, target), score=float(np.clip(answer.score, 0, 1)), edge_uncertainty=slack
        )


def _objects(prompts: Sequence[Prompt]) -> list[_PromptedObject]:
    """The objects that points, boxes and own masks mean.

    An own mask stands for its box, which clicks inside refine, and its innermost point: by
    itself it says little to these networks.
    """
    stand_ins = {id(p): bounding_box(p.mask) for p in prompts if isinstance(p, UserMask)}
    found = targets([stand_ins.get(id(p), p) for p in prompts])
    areas = [p for p in prompts if isinstance(p, Box | UserMask)]
    objects = []
    for i, target in enumerate(found):
        area = areas[i] if i < len(areas) else None
        if isinstance(area, UserMask):
            inner = deepest_point(area.mask)
            include = (*target.include, *({inner} - set(target.include) - set(target.exclude)))
            objects.append(
                _PromptedObject(ObjectPrompt(include, target.exclude, target.box), area.mask)
            )
        else:
            objects.append(_PromptedObject(target, None))
    return objects


def _alike(objects: Sequence[_PromptedObject]) -> Iterator[list[int]]:
    """The objects' numbers in batches of equal kinds: padded prompts would change the masks."""
    groups: dict[tuple[object, ...], list[int]] = {}
    for i, thing in enumerate(objects):
        groups.setdefault((*thing.kinds, thing.ambiguous), []).append(i)
    for group in groups.values():
        for start in range(0, len(group), BATCH):
            yield group[start : start + BATCH]


def _refines(new: _MaskPrediction, old: _MaskPrediction) -> bool:
    """Whether the second answer is the same object, no worse."""
    a, b = new.logits > 0, old.logits > 0
    union = int((a | b).sum())
    alike = int((a & b).sum()) >= SAME * union
    return alike and new.score >= old.score and new.fits >= old.fits
