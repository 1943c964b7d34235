"""Segment Anything (Kirillov et al. 2023) by the package ``segment-anything``."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from segment_anything import SamPredictor

from segment2inpaint.detect.prompts import Target, accept, targets
from segment2inpaint.detect.sam_weights import build, read
from segment2inpaint.device import choose as choose_device
from segment2inpaint.types import (
    BadImage,
    BadPrompt,
    Bits,
    Box,
    Image,
    Mask,
    Point,
    Points,
    Prompt,
    box_of,
)

SLACK = 1.25  # in pixels of SAM's own mask, by how far its edge may be off
LARGEST = 0.6  # of the photo, for a mask that no box asked for
IN_BOX = 0.8  # of a mask lies in the box that asked for it
TIE = 0.05  # difference of quality below which the larger mask is taken
OFFSET = 1.0  # of the logits, for the stability score; as in segment_anything
ISLAND = 0.02  # of the largest part; smaller parts are dropped
HOLE = 0.01  # of the mask; smaller holes are filled


class SamDetector:
    """Points and boxes to masks by SAM; a box or several points fix the object's scale.

    ``checkpoint`` is a .pth or .safetensors file of any size of SAM, or a folder that holds
    ``model.safetensors``. The embedding of the last photo is kept, so that further prompts on
    it are quick. Raises ``BadModel`` for other files, ``BadOption`` for a device not here.
    """

    name = "sam"
    takes: tuple[type, ...] = (Points, Box)

    def __init__(self, checkpoint: Path, device: str = "auto") -> None:
        sam = build(read(checkpoint), checkpoint).to(choose_device(device))
        self._predictor = SamPredictor(sam)
        self._photo = b""
        self._lock = threading.Lock()

    def detect(self, image: Image, prompts: Sequence[Prompt]) -> list[Mask]:
        """A mask for each object. Raises ``BadPrompt``."""
        size = image.shape[0], image.shape[1]
        objects = targets(accept(self.name, self.takes, prompts, size))
        if not objects:
            raise BadPrompt(f"{self.name}: only points beside the object, give one on it")
        with self._lock, torch.inference_mode():
            self._look(image)
            found = [self._find(target) for target in objects]
        return [mask for mask in found if mask is not None]

    def _look(self, image: Image) -> None:
        """Embed the photo, unless it is the last one."""
        height, width = image.shape[:2]
        side = self._predictor.model.image_encoder.img_size
        if 2 * min(height, width) * side < max(height, width):
            raise BadImage(f"photo of {width} x {height} px is too thin for SAM")
        pixels = np.ascontiguousarray(image)
        photo = blake2b(pixels.data, person=f"{height}x{width}".encode()).digest()
        if photo != self._photo:
            self._photo = b""
            self._predictor.set_image(pixels)
            self._photo = photo

    def _find(self, target: Target) -> Mask | None:
        """The best mask of the photo's size, None if all are empty."""
        low, scores = self._decode(target)
        frame = self._in_frame(low)
        best = choose(frame, scores, target, self._scale())
        if best is None:
            return None
        bits = clean(self._bits(low, best), target)
        slack = SLACK * max(bits.shape) / low.shape[-1]
        return Mask(bits, score=float(np.clip(scores[best], 0, 1)), slack=slack)

    def _decode(self, target: Target) -> tuple[torch.Tensor, NDArray[np.float32]]:
        """Logits (1, 4, h, w) and predicted IoU (4,): the single mask, then the three."""
        model, device = self._predictor.model, self._predictor.device
        transform, size = self._predictor.transform, self._predictor.original_size
        points = boxes = None
        clicks = [*target.include, *target.exclude]
        if clicks:
            xy = transform.apply_coords(np.array(clicks, np.float64), size)
            labels = [1] * len(target.include) + [0] * len(target.exclude)
            points = (
                torch.as_tensor(xy, dtype=torch.float, device=device)[None],
                torch.as_tensor(labels, dtype=torch.int, device=device)[None],
            )
        if target.box is not None:
            xyxy = transform.apply_boxes(np.array(target.box, np.float64), size)
            boxes = torch.as_tensor(xyxy, dtype=torch.float, device=device)
        sparse, dense = model.prompt_encoder(points=points, boxes=boxes, masks=None)
        logits, scores = model.mask_decoder.predict_masks(
            image_embeddings=self._predictor.features,
            image_pe=model.prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
        )
        return logits, scores[0].cpu().numpy()

    def _bits(self, low: torch.Tensor, index: int) -> Bits:
        """One of the masks at the photo's size."""
        sizes = self._predictor.input_size, self._predictor.original_size
        logits = self._predictor.model.postprocess_masks(low[:, index : index + 1], *sizes)
        bits: Bits = (logits[0, 0] > 0).cpu().numpy()
        return bits

    def _in_frame(self, low: torch.Tensor) -> NDArray[np.float32]:
        """Logits (4, h, w) in the model's frame: the photo at its long side, no padding."""
        sizes = self._predictor.input_size, self._predictor.input_size
        frame: NDArray[np.float32] = (
            self._predictor.model.postprocess_masks(low, *sizes)[0].cpu().numpy()
        )
        return frame

    def _scale(self) -> float:
        """Frame pixels per photo pixel."""
        return float(max(self._predictor.input_size) / max(self._predictor.original_size))


# --- which of the masks, and how it is cleaned ------------------------------------------------


def choose(
    logits: NDArray[np.float32],
    scores: NDArray[np.float32],
    target: Target,
    scale: float = 1.0,
) -> int | None:
    """Which of SAM's four masks to take, None if all are empty.

    ``logits`` (4, h, w) and ``scores`` (4,): the single mask, then whole, part and subpart.
    ``scale`` is their pixels per photo pixel. One click is ambiguous, so the three are asked
    and among nearly equal ones the largest wins (an object left over in part is the worse
    failure); a box or several clicks ask the single mask first. A mask that misses an include
    point, holds an exclude point, spills far out of the box or covers most of the photo is
    taken only if all do.
    """
    masks = logits > 0
    filled = [i for i in range(len(masks)) if masks[i].any()]
    fitting = [i for i in filled if _fits(masks[i], target, scale)]
    if len(target.include) + len(target.exclude) > 1 or target.box is not None:
        if 0 in fitting:
            return 0
    else:
        filled, fitting = ([i for i in some if i > 0] for some in (filled, fitting))
    candidates = fitting or filled
    if not candidates:
        return None
    quality = {i: scores[i] * (0.5 + 0.5 * _stability(logits[i])) for i in candidates}
    best = max(quality.values())
    near = [i for i in candidates if quality[i] >= best - TIE]
    return max(near, key=lambda i: int(masks[i].sum()))


def _fits(mask: Bits, target: Target, scale: float) -> bool:
    def at(point: tuple[int, int]) -> bool:
        x, y = (int((c + 0.5) * scale) for c in point)
        return bool(mask[min(y, mask.shape[0] - 1), min(x, mask.shape[1] - 1)])

    if not all(map(at, target.include)) or any(map(at, target.exclude)):
        return False
    if target.box is None:
        return bool(mask.mean() < LARGEST)
    x0, y0, x1, y1 = (round(c * scale) for c in target.box)
    return bool(mask[y0:y1, x0:x1].sum() >= IN_BOX * mask.sum())


def _stability(logits: NDArray[np.float32]) -> float:
    """IoU of the masks at a higher and a lower threshold, 0 for an empty mask."""
    loose = np.count_nonzero(logits > -OFFSET)
    return np.count_nonzero(logits > OFFSET) / loose if loose else 0.0


def clean(bits: Bits, target: Target) -> Bits:
    """The mask without specks: small islands dropped, small holes filled.

    An island that holds an include point stays, as does a hole that holds an exclude point or
    touches the photo's edge.
    """
    box = box_of(bits)
    if not box.width:
        return bits
    cleaned = np.zeros_like(bits)
    include, exclude = (
        [(x - box.x0, y - box.y0) for x, y in points if box.holds((x, y))]
        for points in (target.include, target.exclude)
    )
    solid = _without_islands(bits[box.slices], include)
    cleaned[box.slices] = solid | _specks(~solid, HOLE * solid.sum(), exclude)
    return cleaned


def _without_islands(bits: Bits, include: Sequence[Point]) -> Bits:
    _, labels, stats, _ = cv2.connectedComponentsWithStats(bits.astype(np.uint8))
    area = stats[:, cv2.CC_STAT_AREA]
    keep = area >= ISLAND * area[1:].max()
    keep[[labels[y, x] for x, y in include]] = True
    keep[0] = False
    solid: Bits = keep[labels]
    return solid


def _specks(gaps: Bits, largest: float, exclude: Sequence[Point]) -> Bits:
    """Gaps inside, smaller than ``largest`` px: those on the rim of the box lead outside."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(gaps.astype(np.uint8), connectivity=4)
    fill = stats[:, cv2.CC_STAT_AREA] < largest
    for edge in (labels[0], labels[-1], labels[:, 0], labels[:, -1]):
        fill[edge] = False
    fill[[labels[y, x] for x, y in exclude]] = False
    fill[0] = False
    specks: Bits = fill[labels]
    return specks
