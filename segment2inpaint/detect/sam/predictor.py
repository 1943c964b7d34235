"""A detector for any promptable model: embed the photo once, decode and refine each prompt."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from segment2inpaint.detect.prompts import (
    ONLY_NEGATIVE_POINTS,
    check_for_detector,
    pick_by_number,
)
from segment2inpaint.detect.sam import automatic
from segment2inpaint.detect.sam.embeddings import Embedding, EmbeddingCache
from segment2inpaint.detect.sam.mask_selection import choose_mask, remove_specks
from segment2inpaint.detect.sam.model import PromptableModel, PromptTensors, Size
from segment2inpaint.detect.sam.prompt_tensors import (
    PromptedObject,
    batches,
    mask_logits,
    points_in_frame,
    prompt_tensors,
    prompted_objects,
    tensors_of_arrays,
)
from segment2inpaint.errors import BadImage, BadPrompt
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
    UserMask,
)

EDGE_UNCERTAINTY = 1.25  # in pixels of the model's low-resolution mask
MIN_REFINED_IOU = 0.7  # of a refined mask with the first one, to count as the same object


class MaskPrediction(NamedTuple):
    """A mask that the model predicted for one object."""

    logits: torch.Tensor  # (s, s), low resolution
    score: float  # predicted IoU
    fits: bool  # whether it agrees with the prompt, see ``mask_selection.choose_mask``

    def refines(self, first: MaskPrediction) -> bool:
        """Return whether this is a mask of the same object as ``first`` and no worse."""
        here, there = self.logits > 0, first.logits > 0
        union = int((here | there).sum())
        same_object = int((here & there).sum()) >= MIN_REFINED_IOU * union
        return same_object and self.score >= first.score and self.fits >= first.fits


Predictions = dict[int, MaskPrediction]  # by index of the object; some objects may have none


class PromptableDetector:
    """Turn points, boxes, user masks and ``Everything`` into masks by a promptable model.

    It can be shared between threads, which take turns.
    """

    prompt_types: tuple[type, ...] = (Points, Box, UserMask, Everything)

    def __init__(self, model: PromptableModel, embeddings: EmbeddingCache) -> None:
        self.model, self._embeddings = model, embeddings
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        return self.model.name

    def prepare(self, images: Sequence[Image]) -> None:
        """Embed photos in one run of the encoder; a later ``detect`` finds them in the cache."""
        for image in images:
            self._check_shape(image)
        with self._lock, torch.inference_mode():
            self._embeddings.get(images, self.model.embed)

    def detect(self, image: Image, prompts: Sequence[Prompt]) -> list[Detection]:
        """Return a detection for each object.

        Raises ``BadPrompt``, and ``BadImage`` for a photo that is too thin for the model.
        """
        size = image.shape[0], image.shape[1]
        prompts = check_for_detector(self.name, self.prompt_types, prompts, size)
        self._check_shape(image)
        if any(isinstance(p, Everything) for p in prompts):
            return self._detect_everything(image, prompts)
        objects = prompted_objects(prompts)
        if not objects:
            raise BadPrompt(f"{self.name}: {ONLY_NEGATIVE_POINTS}")
        with self._lock, torch.inference_mode():
            (embedding,) = self._embeddings.get([image], self.model.embed)
            predictions = self._predict(embedding, size, objects)
            return [
                self._detection(predictions[i], size, objects[i].prompt)
                for i in sorted(predictions)
            ]

    def predict_masks(
        self, image: Image, prompt: MaskPrompt, multimask_output: bool
    ) -> PredictedMasks:
        """Return the masks that the model predicts for one object, as it predicts them.

        Nothing is chosen or cleaned. Raises ``BadPrompt`` for a ``mask_input`` of another size,
        and ``BadImage`` for a photo that is too thin for the model.
        """
        size = image.shape[0], image.shape[1]
        self._check_shape(image)
        tensors = tensors_of_arrays(self.model, prompt, size)
        with self._lock, torch.inference_mode():
            (embedding,) = self._embeddings.get([image], self.model.embed)
            logits, scores = self.model.decode(embedding, tensors, multimask_output)
            masks = self.model.resize_to_photo(logits, size)[0] > 0
            return PredictedMasks(
                masks.cpu().numpy(), scores[0].float().cpu().numpy(), logits[0].cpu().numpy()
            )

    def _check_shape(self, image: Image) -> None:
        height, width = image.shape[:2]
        if 0 in self.model.size_in_frame((height, width)):
            raise BadImage(f"photo of {width} x {height} px is too thin for {self.name}")

    def _detect_everything(self, image: Image, prompts: Sequence[Prompt]) -> list[Detection]:
        size = image.shape[0], image.shape[1]
        if not all(isinstance(p, Everything) for p in prompts):
            raise BadPrompt(f"{self.name}: everything cannot be combined with other prompts")
        numbers = [n for p in prompts if isinstance(p, Everything) for n in p.pick]
        with self._lock, torch.inference_mode():
            (embedding,) = self._embeddings.get([image], self.model.embed)

            def decode(points: NDArray[np.float64]) -> tuple[torch.Tensor, torch.Tensor]:
                in_frame = points_in_frame(self.model, points[:, None], size)
                labels = torch.ones(in_frame.shape[:2], dtype=torch.int32)
                return self.model.decode(embedding, PromptTensors(in_frame, labels), True)

            on_cpu = self.model.device == "cpu"
            candidates = automatic.candidates(
                decode,
                lambda logits: self.model.resize_to_frame(logits, size),
                size,
                automatic.POINTS_PER_SIDE_CPU if on_cpu else automatic.POINTS_PER_SIDE,
            )
            return [
                self._detection(MaskPrediction(logits, score, True), size, ObjectPrompt())
                for logits, score in pick_by_number(candidates, numbers)
            ]

    def _predict(
        self, embedding: Embedding, size: Size, objects: Sequence[PromptedObject]
    ) -> Predictions:
        """Predict the best mask of each object, then refine it with itself as a prompt."""
        found: Predictions = {}
        for batch in batches(objects):
            ambiguous = objects[batch[0]].ambiguous
            found |= self._predict_batch(embedding, size, objects, batch, found, ambiguous)
            if not ambiguous:  # where the single mask does not fit, one of several may
                unfit = [i for i in batch if i not in found or not found[i].fits]
                found |= self._predict_batch(embedding, size, objects, unfit, {}, True)
            rest = [i for i in batch if i in found]
            refined = self._predict_batch(embedding, size, objects, rest, found, False)
            found |= {i: new for i, new in refined.items() if new.refines(found[i])}
        return found

    def _predict_batch(
        self,
        embedding: Embedding,
        size: Size,
        objects: Sequence[PromptedObject],
        batch: Sequence[int],
        previous: Predictions,
        multimask_output: bool,
    ) -> Predictions:
        """Predict a mask for each object of a batch, starting from ``previous`` ones if given."""
        if not batch:
            return {}
        start = self._start_masks(objects, batch, previous)
        tensors = prompt_tensors(self.model, [objects[i] for i in batch], size, start)
        low_res, scores = self.model.decode(embedding, tensors, multimask_output)
        predictions = {}
        for i, logits, score in zip(batch, low_res, scores.cpu().numpy(), strict=True):
            in_frame = self.model.resize_to_frame(logits[None], size)[0].cpu().numpy()
            scale = in_frame.shape[2] / size[1], in_frame.shape[1] / size[0]
            choice = choose_mask(in_frame, score, objects[i].prompt, scale)
            if choice is not None:
                predictions[i] = MaskPrediction(
                    logits[choice.mask_index], float(score[choice.mask_index]), choice.fits
                )
        return predictions

    def _start_masks(
        self, objects: Sequence[PromptedObject], batch: Sequence[int], previous: Predictions
    ) -> torch.Tensor | None:
        """Return the logits (n, 1, s, s) to start from: previous ones, user masks or none."""
        if all(i in previous for i in batch):
            return torch.stack([previous[i].logits for i in batch])[:, None]
        user_masks = [m for i in batch if (m := objects[i].user_mask) is not None]
        if not user_masks:
            return None
        return torch.stack([mask_logits(self.model, mask) for mask in user_masks])

    def _detection(self, prediction: MaskPrediction, size: Size, prompt: ObjectPrompt) -> Detection:
        logits = self.model.resize_to_photo(prediction.logits[None, None], size)
        mask: BinaryMask = (logits[0, 0] > 0).cpu().numpy()
        return Detection(
            remove_specks(mask, prompt),
            score=float(np.clip(prediction.score, 0, 1)),
            edge_uncertainty=edge_uncertainty(size, prediction.logits.shape[-1]),
        )


def edge_uncertainty(size: Size, mask_side: int) -> float:
    """Return how far a mask's edge may be off, in photo px, for a model of this ``mask_side``."""
    return EDGE_UNCERTAINTY * max(size) / mask_side
