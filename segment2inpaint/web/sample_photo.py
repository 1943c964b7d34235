"""A drawn scene for those who have no photo at hand: a ball with its shadow on a lawn."""

from __future__ import annotations

from io import BytesIO

import cv2
import numpy as np
from PIL import Image as Pillow

from segment2inpaint.types import Alpha, Image

NAME = "sample.jpg"
SIZE = (640, 960)  # height, width in px
HORIZON = 230  # px from the top
BALL_CENTER = (600, 440)  # (x, y) in px
BALL_RADIUS = 88  # px
SKY_TOP, SKY_BOTTOM = (118, 165, 214), (216, 230, 238)
GRASS_FAR, GRASS_NEAR = (126, 154, 84), (78, 118, 46)
HEDGE = (58, 88, 50)
BALL = (206, 52, 44)
SEED = 7  # of the textures and the grain
JPEG_QUALITY = 92


def draw_sample() -> bytes:
    """Return the scene as a JPEG file, 960 x 640 px. It is the same at each call."""
    rng = np.random.default_rng(SEED)
    scene = _background(rng)
    scene *= 1 - 0.55 * _shadow()[..., None]
    _draw_ball(scene)
    scene += rng.normal(0, 2.0, scene.shape)
    pixels: Image = np.rint(scene).clip(0, 255).astype(np.uint8)
    file = BytesIO()
    Pillow.fromarray(pixels).save(file, "JPEG", quality=JPEG_QUALITY)
    return file.getvalue()


def _background(rng: np.random.Generator) -> np.ndarray:
    """Return sky, a hedge and a lawn, (H, W, 3) float64."""
    height, width = SIZE
    scene = np.empty((height, width, 3))
    scene[:HORIZON] = _gradient(SKY_TOP, SKY_BOTTOM, HORIZON)
    scene[HORIZON:] = _gradient(GRASS_FAR, GRASS_NEAR, height - HORIZON)
    depth = np.linspace(0.3, 1.0, height - HORIZON)[:, None, None]
    scene[HORIZON:] *= 1 + 0.34 * depth * _blades(rng)[HORIZON:, :, None]
    leaves = cv2.GaussianBlur(rng.normal(size=SIZE), (0, 0), 4) * 4
    edge = HORIZON - 58 + 16 * cv2.GaussianBlur(rng.normal(size=(1, width)), (0, 0), 24)[0] * 6
    is_hedge = (np.arange(height)[:, None] > edge) & (np.arange(height)[:, None] < HORIZON + 6)
    scene[is_hedge] = np.asarray(HEDGE) * (1 + 0.45 * leaves[is_hedge])[:, None]
    return scene


def _gradient(top: tuple[int, ...], bottom: tuple[int, ...], rows: int) -> np.ndarray:
    share = np.linspace(0, 1, rows)[:, None, None]
    return np.asarray(top) * (1 - share) + np.asarray(bottom) * share


def _blades(rng: np.random.Generator) -> np.ndarray:
    """Return upright streaks of grass with patches of light and shade, (H, W), about -1 to 1."""
    streaks = cv2.GaussianBlur(rng.normal(size=SIZE), (0, 0), 1.2, sigmaY=4) * 2.5
    patches = cv2.GaussianBlur(rng.normal(size=SIZE), (0, 0), 30) * 12
    return np.asarray(streaks + patches)


def _shadow() -> Alpha:
    """Return the shadow that the ball throws to the left, 1 where it is darkest."""
    x, y = BALL_CENTER
    shadow = np.zeros(SIZE, np.float32)
    center = (x - BALL_RADIUS, y + BALL_RADIUS - 12)
    cv2.ellipse(shadow, center, (BALL_RADIUS + 34, 24), 0, 0, 360, 1.0, cv2.FILLED)
    return np.asarray(cv2.GaussianBlur(shadow, (0, 0), 5))


def _draw_ball(scene: np.ndarray) -> None:
    """Draw the ball, lit from the upper right, into the scene."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    dx, dy = (x - BALL_CENTER[0]) / BALL_RADIUS, (y - BALL_CENTER[1]) / BALL_RADIUS
    squared = dx**2 + dy**2
    normal_z = np.sqrt(np.clip(1 - squared, 0, 1))
    light = (0.45 * dx - 0.62 * dy + 0.64 * normal_z).clip(0, 1)
    cover = ((1 - np.sqrt(squared)) * BALL_RADIUS).clip(0, 1)[..., None]  # a smooth edge
    stripe = np.abs(dy + 0.25 * dx) < 0.16
    color = np.where(stripe[..., None], (240, 236, 226), BALL)
    shaded = color * (0.3 + 0.75 * light[..., None]) + 150 * light[..., None] ** 24
    scene[:] = scene * (1 - cover) + shaded * cover
