"""A drawn portrait in which the face network finds a face."""

from __future__ import annotations

import cv2
import numpy as np

from segment2inpaint.types import Image


def drawn_face(size: int = 640, *, at: tuple[int, int] = (320, 300), radius: int = 110) -> Image:
    """Return a plain portrait: a head with hair, brows, eyes, nose and mouth, softened."""
    image = np.full((size, size, 3), (150, 170, 190), np.uint8)
    x, y = at
    r = radius

    def ellipse(dx: float, dy: float, a: float, b: float, color: tuple[int, int, int]) -> None:
        center, axes = (round(x + dx * r), round(y + dy * r)), (round(a * r), round(b * r))
        cv2.ellipse(image, center, axes, 0, 0, 360, color, -1, cv2.LINE_AA)

    ellipse(0, 2.6, 1.7, 1.4, (60, 70, 120))
    ellipse(0, 1.2, 0.4, 0.6, (205, 160, 135))
    ellipse(0, -0.25, 1.05, 1.25, (60, 40, 30))
    ellipse(0, 0, 0.85, 1.15, (224, 180, 155))
    for side in (-1, 1):
        ellipse(0.36 * side, -0.38, 0.2, 0.04, (70, 45, 35))
        ellipse(0.36 * side, -0.18, 0.17, 0.08, (245, 245, 245))
        ellipse(0.36 * side, -0.18, 0.08, 0.08, (50, 35, 30))
    ellipse(0, 0.2, 0.1, 0.2, (200, 150, 125))
    ellipse(0, 0.62, 0.3, 0.08, (170, 70, 70))
    return cv2.GaussianBlur(image, (0, 0), r / 40)
