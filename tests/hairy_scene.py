"""A disc with hairs over a textured ground, whose alpha is known."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from segment2inpaint.types import Alpha, BinaryMask, Image

SIZE = 200, 240
OBJECT_COLOR, GROUND_COLOR = (60, 35, 20), (150, 190, 160)
OVERSAMPLING = 4


@dataclass(frozen=True, eq=False)
class HairyScene:
    """The photo, its true alpha and colours, and the hard mask that a detector would give."""

    image: Image
    alpha: Alpha
    foreground: Image
    mask: BinaryMask


def hairy_scene(seed: int = 0) -> HairyScene:
    rng = np.random.default_rng(seed)
    alpha = _alpha(rng)
    foreground = _texture(OBJECT_COLOR, 8, rng)
    ground = _texture(GROUND_COLOR, 10, rng)
    image = np.rint(ground + alpha[..., None] * (foreground - ground)).clip(0, 255)
    core = cv2.GaussianBlur(alpha, (0, 0), 3) > 0.5  # it has lost the hairs
    return HairyScene(image.astype(np.uint8), alpha, foreground.astype(np.uint8), core)


def _alpha(rng: np.random.Generator) -> Alpha:
    """Return a disc with hairs, 1 px wide and up to 7 px long, drawn large and reduced."""
    height, width = (side * OVERSAMPLING for side in SIZE)
    canvas = np.zeros((height, width), np.uint8)
    center, radius = (width // 2, height // 2), 55 * OVERSAMPLING
    cv2.circle(canvas, center, radius, 255, -1)
    for angle in rng.uniform(0, 2 * np.pi, 150):
        length = radius + rng.uniform(2, 7) * OVERSAMPLING
        bent = angle + rng.uniform(-0.1, 0.1)
        ends = [(int(center[0] + r * np.cos(a)), int(center[1] + r * np.sin(a)))
                for r, a in ((radius - 4, angle), (length, bent))]  # fmt: skip
        cv2.line(canvas, *ends, 255, OVERSAMPLING)
    small = cv2.resize(canvas, SIZE[::-1], interpolation=cv2.INTER_AREA)
    alpha: Alpha = (small / 255).astype(np.float32)
    return alpha


def _texture(color: tuple[int, int, int], spread: float, rng: np.random.Generator) -> Image:
    noise = cv2.GaussianBlur(rng.normal(0, 1, (*SIZE, 1)).astype(np.float32), (0, 0), 4)
    waves = noise[..., None] / noise.std() * spread + rng.normal(0, 2, (*SIZE, 1))
    return (np.array(color) + waves).clip(0, 255).astype(np.float32)
