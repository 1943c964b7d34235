"""How made pictures look: textures on what is in them, and what a camera does to them."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Dice = np.random.Generator
TILE = 256  # px of a texture


def surface(textures: list[Floats], where: Floats, dice: Dice) -> Floats:
    """Two colours and a texture between, perhaps with stains, at places (h, w, 2)."""
    turn = dice.uniform(0, 6.3)
    spin = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]], np.float32)
    where = where @ spin
    one = (dice.uniform(0.1, 1.3) * dice.uniform(0.6, 1, 3)).astype(np.float32)
    other = one * (1 + dice.normal(0, 0.15, 3)) * 2 ** dice.normal(0, 0.6)
    other = other.astype(np.float32)
    mixed = one + (other - one) * sampled(textures, where, dice)[..., None]
    if dice.random() < 0.3:
        stain = sampled(textures, where, dice) - np.float32(dice.uniform(0.4, 0.8))
        sharp = np.clip(stain * np.float32(dice.uniform(3, 30)), 0, 1)
        mixed = mixed * (1 - np.float32(dice.uniform(0.1, 0.8)) * sharp)[..., None]
    return np.asarray(mixed.clip(0.02, 2), np.float32)


def sampled(textures: list[Floats], where: Floats, dice: Dice) -> Floats:
    tile = textures[dice.integers(len(textures))]
    scale = np.float32(TILE / 8 * 2 ** dice.uniform(-1.5, 2.5))
    at = where * scale + dice.uniform(0, TILE, 2).astype(np.float32)
    made = cv2.remap(tile, at[..., 0], at[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
    step = np.abs(np.diff(at, axis=0, append=at[-1:]))
    step = step[..., 0] + step[..., 1]
    return np.asarray(0.5 + (made - 0.5) / (1 + (0.2 * step) ** 2), np.float32)  # far: no detail


def texture(dice: Dice, kind: int) -> Floats:
    """(TILE, TILE) in [0, 1], the same at opposite edges: noise, tiles, planks, spots, grain."""
    y, x = np.mgrid[:TILE, :TILE] / TILE
    cloud = noise(dice, dice.uniform(0.8, 2.2))
    if kind < 2:
        return cloud
    count = int(dice.integers(3, 12))
    if kind == 2:
        row = np.floor(y * count)
        across = np.abs((x * count / 2 + row / 2) % 1 - 0.5)
        lines = np.minimum(across, np.abs((y * count) % 1 - 0.5)) > 0.47 - 0.1 * dice.random()
        shade = dice.random((count, count))[row.astype(int), (x * count).astype(int)]
        made = np.where(lines, dice.random(), 0.5 + 0.4 * (shade - 0.5))
    elif kind == 3:
        row = np.floor(x * count).astype(int)
        grain = cv2.resize(cloud, (TILE, 16))
        made = 0.3 * dice.random(count)[row] + 0.7 * cv2.resize(grain, (TILE, TILE))
        made[(x * count) % 1 < 0.05] = 0
    elif kind == 4:
        made = np.sin(x * 6.2832 * count) * np.sin(y * 6.2832 * count) * 0.5 + 0.5
        made = np.clip((made - dice.uniform(0.3, 0.7)) * 8, 0, 1)
    else:
        made = (noise(dice, 0.3) - 0.5) * 0.7 + 0.5
    return np.asarray(0.75 * made + 0.25 * cloud, np.float32)


def noise(dice: Dice, steep: float) -> Floats:
    """Gaussian noise whose amplitude falls with frequency to that power, about 0 to 1."""
    waves = np.fft.rfft2(dice.normal(size=(TILE, TILE)))
    often = np.hypot(np.fft.fftfreq(TILE)[:, None], np.fft.rfftfreq(TILE))
    often[0, 0] = 1
    made = np.fft.irfft2(waves / often**steep)
    low, high = np.quantile(made, [0.02, 0.98])
    return np.asarray(((made - low) / (high - low)).clip(0, 1), np.float32)


def developed(lit: Floats, dice: Dice) -> Floats:
    """Linear light as displayed in [0, 1]: a tone curve of some gamma and contrast."""
    shown = lit.clip(0, None)
    shown = np.where(shown > 0.8, 0.8 + 0.2 * np.tanh((shown - 0.8) / 0.2), shown)
    shown = shown ** (1 / dice.uniform(1.8, 2.6))
    bend = dice.uniform(0, 0.6)
    return np.asarray(shown + bend * (shown * shown * (3 - 2 * shown) - shown), np.float32)


def shot(photo: Floats, dice: Dice) -> Floats:
    """Dark corners, a cast of colour, blur and grain."""
    height, width = photo.shape[:2]
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j].astype(np.float32)
    made = photo * (1 - dice.uniform(0, 0.15) * (x**2 + y**2))[..., None]
    made = made * (1 + dice.normal(0, 0.05, 3)).astype(np.float32)
    if dice.random() < 0.4:
        made = cv2.GaussianBlur(made, (0, 0), dice.uniform(0.3, 1.0))
    grain = dice.standard_normal(made.shape, np.float32)
    return np.asarray(made + grain * np.float32(0.03 * dice.random() ** 2), np.float32)


def coded(image: NDArray[np.uint8], dice: Dice) -> NDArray[np.uint8]:
    """As JPEG has it."""
    quality = int(dice.integers(40, 98))
    made = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.asarray(cv2.imdecode(made, cv2.IMREAD_COLOR), np.uint8)
