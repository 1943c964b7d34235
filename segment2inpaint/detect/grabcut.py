"""Objects at clicks and in boxes, without weights: GrabCut (Rother et al. 2004)."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from segment2inpaint.detect.prompts import Target, accept, components, targets
from segment2inpaint.types import BadPrompt, Bits, Box, Image, Mask, Points, Prompt

WORKING = 512  # long side at which the cut runs, px


class GrabCutDetector:
    """Takes points and boxes, positive and negative, several objects."""

    name = "grabcut"
    takes: tuple[type, ...] = (Points, Box)

    def detect(self, image: Image, prompts: Sequence[Prompt]) -> list[Mask]:
        """A mask for each object. Raises ``BadPrompt``."""
        found = targets(accept(self.name, self.takes, prompts, image.shape[:2]))
        if not found:
            raise BadPrompt(f"{self.name}: only points beside the object, give one on it")
        masks = [_cut(image, target) for target in found]
        return [Mask(bits) for bits in masks if bits.any()]


def _cut(image: Image, target: Target) -> Bits:
    height, width = image.shape[:2]
    scale = min(1.0, WORKING / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    trimap = _trimap(target, size, (size[0] / width, size[1] / height))
    if (trimap % 2 == 1).any() and (trimap % 2 == 0).any():
        cv2.setRNGSeed(0)
        models = np.zeros((1, 65)), np.zeros((1, 65))
        cv2.grabCut(small, trimap, None, *models, 4, cv2.GC_INIT_WITH_MASK)
    bits = cv2.resize((trimap % 2).astype(np.uint8), (width, height)) > 0
    for x, y in target.include:
        bits[y, x] = True
    for x, y in target.exclude:
        bits[y, x] = False
    return components(bits, target.include) if target.include else bits


def _trimap(target: Target, size: tuple[int, int], scale: tuple[float, float]) -> NDArray[np.uint8]:
    trimap = np.full(size[::-1], cv2.GC_PR_BGD, np.uint8)

    def at(x: float, y: float) -> tuple[int, int]:
        return int(x * scale[0]), int(y * scale[1])

    if target.box:
        (x0, y0), (x1, y1) = at(*target.box[:2]), at(*target.box[2:])
        box = Box(x0, y0, max(x1, x0 + 1), max(y1, y0 + 1))
        trimap[:] = cv2.GC_BGD
        trimap[box.slices] = cv2.GC_PR_FGD
    else:
        for p in target.include:
            cv2.circle(trimap, at(*p), min(size) // 6, cv2.GC_PR_FGD, -1)
    for p in target.include:
        cv2.circle(trimap, at(*p), 3, cv2.GC_FGD, -1)
    for p in target.exclude:
        cv2.circle(trimap, at(*p), 3, cv2.GC_BGD, -1)
    return trimap
