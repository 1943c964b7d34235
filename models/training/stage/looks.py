"""Colours and surfaces to draw from."""

from __future__ import annotations

import colorsys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.training.stage.textures import FIELDS, KINDS

Dice = np.random.Generator
Look = NDArray[np.float32]  # (LOOK + 1,): as in ``textures``, then units of the pattern a metre

# Hues that photos are full of: skin and wood, leaves, sky.
COMMON = ((0.07, 0.03), (0.09, 0.03), (0.25, 0.06), (0.6, 0.04))


def colour(dice: Dice, dull: bool = False) -> NDArray[np.float64]:
    """An albedo (3,), linear. Most are dull, some vivid, some black, white or grey."""
    hue = dice.random()
    if dice.random() < 0.5:
        middle, spread = COMMON[dice.integers(len(COMMON))]
        hue = (middle + spread * dice.standard_normal()) % 1
    kind = dice.random()
    if kind < 0.2:
        strong = dice.uniform(0, 0.08)
    elif kind < 0.75 or dull:
        strong = dice.beta(1.6, 3.5)
    else:
        strong = dice.uniform(0.5, 1)
    light = dice.beta(1.3, 1.5) * 0.93 + 0.03
    return np.array(colorsys.hsv_to_rgb(hue, strong, light)) ** 2.2


def near(dice: Dice, base: NDArray[np.float64], apart: float) -> NDArray[np.float64]:
    """A colour like another, lighter or darker."""
    factor = np.exp(apart * dice.standard_normal() + 0.25 * apart * dice.standard_normal(3))
    return np.clip(base * factor, 0.003, 0.95)


def look(dice: Dice, kind: str | None = None, **given: Any) -> Look:
    """A surface of any kind; ``given`` are fields that are known, and ``size`` of the pattern."""
    kind = kind or str(dice.choice(KINDS, p=USUAL))
    one = given.pop("one", None)
    one = colour(dice) if one is None else one
    other = colour(dice) if dice.random() < 0.45 else near(dice, one, dice.uniform(0.1, 0.9))
    smooth = dice.random() < 0.4
    made: dict[str, Any] = {
        "one": one, "other": other,
        "stain": near(dice, one, 0.8) if dice.random() < 0.7 else colour(dice),
        "kind": KINDS.index(kind),
        "sharp": 2 ** dice.uniform(-0.5, 3.5), "wobble": dice.uniform(0, 0.5) ** 2,
        "grain": 0.0 if smooth else 0.5 * dice.random() ** 1.6,
        "grain_scale": 2 ** dice.uniform(-1, 2),
        "stained": dice.uniform(0, 0.6) * (dice.random() < 0.35),
        "gloss": dice.uniform(0.05, 0.9) * (dice.random() < 0.4), "shine": 2 ** dice.uniform(2, 8),
        "mirror": 0.0,
    }  # fmt: skip
    size = given.pop("size", 2 ** dice.uniform(1, 4.5))
    made |= given
    rows = [np.broadcast_to(np.asarray(made[name], np.float32), n) for name, n in FIELDS.items()]
    return np.concatenate([*rows, [np.float32(size)]]).astype(np.float32)


USUAL = np.array([0.3, 0.17, 0.09, 0.03, 0.05, 0.08, 0.03, 0.02, 0.04, 0.06, 0.13])


def plain(dice: Dice, one: NDArray[np.float64] | None = None, **given: Any) -> Look:
    kind = "plain" if dice.random() < 0.5 else "noise"
    made = look(dice, kind, one=one, **given)
    made[3:6] = near(dice, made[:3], 0.25)
    return made


def fur(dice: Dice) -> Look:
    """Patches or stripes of two or three colours of hair."""
    kind = str(dice.choice(["plain", "noise", "stripes", "spots", "leaves", "slope"]))
    hair = dice.uniform(0.05, 0.5), 2 ** dice.uniform(0, 2)
    dark = (
        near(dice, np.array([0.3, 0.2, 0.12]), 0.9) if dice.random() < 0.7 else colour(dice, True)
    )
    made = look(
        dice, kind, one=dark, size=2 ** dice.uniform(0.5, 3.5), grain=hair[0],
        grain_scale=hair[1], gloss=0.1 * dice.random(), wobble=dice.uniform(0, 0.7),
    )  # fmt: skip
    if dice.random() < 0.5:
        made[3:6] = near(dice, np.array([0.6, 0.55, 0.5]), 0.4)
    return made


def ground(dice: Dice) -> Look:
    """Mostly of two or three shades of one colour."""
    made = _ground(dice)
    if dice.random() < 0.75:
        made[3:6] = near(dice, made[:3], dice.uniform(0.1, 0.6))
        made[6:9] = near(dice, made[:3], dice.uniform(0.1, 0.6))
    return made


def _ground(dice: Dice) -> Look:
    """Grass, sand, gravel, tiles, planks, asphalt, water, cloth."""
    kind = dice.random()
    size = 2 ** dice.uniform(-0.5, 3)
    if kind < 0.25:
        green = near(dice, np.array([0.12, 0.2, 0.04]), 0.5)
        return look(dice, "leaves", one=green, size=size, grain=dice.uniform(0.2, 0.8), gloss=0.0)
    if kind < 0.5:
        earth = near(dice, np.array([0.3, 0.25, 0.2]), 0.6)
        return look(dice, "noise", one=earth, size=size, grain=dice.uniform(0.0, 0.7), gloss=0.0)
    if kind < 0.75:
        made = look(dice, str(dice.choice(["bricks", "planks", "checks", "stripes"])), size=size)
        made[3:6] = near(dice, made[:3], dice.uniform(0.1, 0.7))
        return made
    if kind < 0.85:
        water = near(dice, np.array([0.05, 0.1, 0.13]), 0.6)
        return look(dice, "noise", one=water, size=size, mirror=dice.uniform(0, 0.6), gloss=0.6)
    return plain(dice, size=size)


def wall(dice: Dice) -> Look:
    if dice.random() < 0.5:
        return plain(dice, colour(dice, True), size=2 ** dice.uniform(-1, 2))
    return look(dice, size=2 ** dice.uniform(-1, 3))
