"""Random colours and materials."""

from __future__ import annotations

import colorsys
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from models.training.rendering.textures import MATERIAL_FIELDS, PATTERNS

# (MATERIAL_SIZE + 1,): the fields of ``textures``, then the pattern's repeats per unit of length.
Material = NDArray[np.float32]

# Mean and spread of hues that are common in photos: skin and wood, leaves, sky.
COMMON_HUES = ((0.07, 0.03), (0.09, 0.03), (0.25, 0.06), (0.6, 0.04))


def random_colour(rng: Generator, muted: bool = False) -> NDArray[np.float64]:
    """Return an albedo (3,), linear. Most are muted, some vivid, some black, white or grey."""
    hue = rng.random()
    if rng.random() < 0.5:
        mean, spread = COMMON_HUES[rng.integers(len(COMMON_HUES))]
        hue = (mean + spread * rng.standard_normal()) % 1
    choice = rng.random()
    if choice < 0.2:
        saturation = rng.uniform(0, 0.08)
    elif choice < 0.75 or muted:
        saturation = rng.beta(1.6, 3.5)
    else:
        saturation = rng.uniform(0.5, 1)
    value = rng.beta(1.3, 1.5) * 0.93 + 0.03
    return np.array(colorsys.hsv_to_rgb(hue, saturation, value)) ** 2.2


def similar_colour(
    rng: Generator, base: NDArray[np.floating], spread: float
) -> NDArray[np.float64]:
    """Return ``base``, lighter or darker and slightly shifted in hue, by ``spread`` (log units)."""
    factor = np.exp(spread * rng.standard_normal() + 0.25 * spread * rng.standard_normal(3))
    return np.clip(base * factor, 0.003, 0.95)


def random_material(rng: Generator, pattern: str | None = None, **fields: Any) -> Material:
    """Return a random material.

    ``pattern`` is one of ``PATTERNS``; ``fields`` set values of ``MATERIAL_FIELDS``, and ``size``,
    the pattern's repeats per unit of length.
    """
    pattern = pattern or str(rng.choice(PATTERNS, p=PATTERN_WEIGHTS))
    base = fields.pop("base", None)
    base = random_colour(rng) if base is None else base
    second = (
        random_colour(rng)
        if rng.random() < 0.45
        else similar_colour(rng, base, rng.uniform(0.1, 0.9))
    )
    smooth = rng.random() < 0.4
    values: dict[str, Any] = {
        "base": base, "second": second,
        "stain": similar_colour(rng, base, 0.8) if rng.random() < 0.7 else random_colour(rng),
        "pattern": PATTERNS.index(pattern),
        "sharpness": 2 ** rng.uniform(-0.5, 3.5), "wobble": rng.uniform(0, 0.5) ** 2,
        "grain": 0.0 if smooth else 0.5 * rng.random() ** 1.6,
        "grain_scale": 2 ** rng.uniform(-1, 2),
        "stain_cover": rng.uniform(0, 0.6) * (rng.random() < 0.35),
        "gloss": rng.uniform(0.05, 0.9) * (rng.random() < 0.4), "shininess": 2 ** rng.uniform(2, 8),
        "reflectivity": 0.0,
    }  # fmt: skip
    size = fields.pop("size", 2 ** rng.uniform(1, 4.5))
    values |= fields
    rows = [
        np.broadcast_to(np.asarray(values[name], np.float32), n)
        for name, n in MATERIAL_FIELDS.items()
    ]
    return np.concatenate([*rows, [np.float32(size)]]).astype(np.float32)


PATTERN_WEIGHTS = np.array([0.3, 0.17, 0.09, 0.03, 0.05, 0.08, 0.03, 0.02, 0.04, 0.06, 0.13])


def plain_material(
    rng: Generator, base: NDArray[np.float64] | None = None, **fields: Any
) -> Material:
    """Return a material of nearly one colour."""
    pattern = "plain" if rng.random() < 0.5 else "noise"
    material = random_material(rng, pattern, base=base, **fields)
    material[3:6] = similar_colour(rng, material[:3], 0.25)
    return material


def fur_material(rng: Generator) -> Material:
    """Return patches or stripes of two or three hair colours."""
    pattern = str(rng.choice(["plain", "noise", "stripes", "spots", "leaves", "slope"]))
    grain = rng.uniform(0.05, 0.5), 2 ** rng.uniform(0, 2)
    base = (
        similar_colour(rng, np.array([0.3, 0.2, 0.12]), 0.9)
        if rng.random() < 0.7
        else random_colour(rng, True)
    )
    material = random_material(
        rng, pattern, base=base, size=2 ** rng.uniform(0.5, 3.5), grain=grain[0],
        grain_scale=grain[1], gloss=0.1 * rng.random(), wobble=rng.uniform(0, 0.7),
    )  # fmt: skip
    if rng.random() < 0.5:
        material[3:6] = similar_colour(rng, np.array([0.6, 0.55, 0.5]), 0.4)
    return material


def ground_material(rng: Generator) -> Material:
    """Return a ground, mostly of two or three shades of one colour."""
    material = _ground_base(rng)
    if rng.random() < 0.75:
        material[3:6] = similar_colour(rng, material[:3], rng.uniform(0.1, 0.6))
        material[6:9] = similar_colour(rng, material[:3], rng.uniform(0.1, 0.6))
    return material


def _ground_base(rng: Generator) -> Material:
    """Return grass, sand, gravel, tiles, planks, asphalt, water or cloth."""
    choice = rng.random()
    size = 2 ** rng.uniform(-0.5, 3)
    if choice < 0.25:
        green = similar_colour(rng, np.array([0.12, 0.2, 0.04]), 0.5)
        return random_material(
            rng, "leaves", base=green, size=size, grain=rng.uniform(0.2, 0.8), gloss=0.0
        )
    if choice < 0.5:
        earth = similar_colour(rng, np.array([0.3, 0.25, 0.2]), 0.6)
        return random_material(
            rng, "noise", base=earth, size=size, grain=rng.uniform(0.0, 0.7), gloss=0.0
        )
    if choice < 0.75:
        material = random_material(
            rng, str(rng.choice(["bricks", "planks", "checks", "stripes"])), size=size
        )
        material[3:6] = similar_colour(rng, material[:3], rng.uniform(0.1, 0.7))
        return material
    if choice < 0.85:
        water = similar_colour(rng, np.array([0.05, 0.1, 0.13]), 0.6)
        return random_material(
            rng, "noise", base=water, size=size, reflectivity=rng.uniform(0, 0.6), gloss=0.6
        )
    return plain_material(rng, size=size)


def wall_material(rng: Generator) -> Material:
    """Return a plain wall or one with any pattern."""
    if rng.random() < 0.5:
        return plain_material(rng, random_colour(rng, True), size=2 ** rng.uniform(-1, 2))
    return random_material(rng, size=2 ** rng.uniform(-1, 3))
