"""Furniture, vessels, boxes.

Each maker gives a ``Thing`` that stands on y = 0 and looks along +z; sizes are about 1.
"""

from __future__ import annotations

import numpy as np

from models.training.stage.body import CUBE, FRUSTUM, SPHERE, Thing, add, turned
from models.training.stage.looks import Dice, look, plain
from models.training.stage.outdoors import flower


def chair(d: Dice) -> Thing:
    t, wood = Thing(), look(d)
    cloth = wood if d.random() < 0.5 else look(d)
    wide, deep, seat, thick = (
        d.uniform(0.18, 0.35),
        d.uniform(0.18, 0.25),
        d.uniform(0.3, 0.5),
        d.uniform(0.012, 0.06),
    )
    t.put(CUBE, (0, seat, 0), (wide, thick, deep), cloth)
    t.next_part()
    for x in (-1, 1):
        for z in (-1, 1):
            t.limb(
                (x * wide * 0.9, seat, z * deep * 0.9),
                (x * wide * d.uniform(0.9, 1.1), 0.01, z * deep),
                thick * 0.9 + 0.008,
                wood,
                round_=False,
            )
    t.next_part()
    high = d.uniform(0.25, 0.55)
    if d.random() < 0.6:
        t.put(
            CUBE,
            (0, seat + high * 0.6, -deep),
            (wide, high * d.uniform(0.2, 0.5), thick),
            cloth,
            turned(x=-0.15),
        )
    for x in np.linspace(-1, 1, int(d.integers(2, 6))):
        t.limb(
            (x * wide * 0.95, seat, -deep),
            (x * wide * 0.95, seat + high, -deep - 0.05),
            thick * 0.6 + 0.008,
            wood,
        )
    if d.random() < 0.3:
        for x in (-1, 1):
            t.put(CUBE, (x * wide, seat + 0.15, 0), (thick, 0.02, deep), wood)
    return t


def table(d: Dice) -> Thing:
    t, wood = Thing(), look(d)
    wide, deep, high, thick = (
        d.uniform(0.3, 0.6),
        d.uniform(0.2, 0.4),
        d.uniform(0.3, 0.55),
        d.uniform(0.015, 0.05),
    )
    if d.random() < 0.6:
        t.put(CUBE, (0, high, 0), (wide, thick, deep), wood)
    else:
        t.put(FRUSTUM, (0, high, 0), (wide, thick, deep), wood)
    t.next_part()
    if d.random() < 0.25:
        t.limb((0, high, 0), (0, 0.02, 0), 0.05, wood)
        t.put(FRUSTUM, (0, 0.02, 0), (wide * 0.5, 0.02, wide * 0.5), wood)
    else:
        for x in (-1, 1):
            for z in (-1, 1):
                t.limb(
                    (x * wide * 0.88, high, z * deep * 0.88),
                    (x * wide * 0.9, 0.01, z * deep * 0.9),
                    0.02 + thick * 0.5,
                    wood,
                    round_=False,
                )
    return (
        _with_things_on_top(d, t, high + thick, wide * 0.6, deep * 0.6) if d.random() < 0.3 else t
    )


def _with_things_on_top(d: Dice, t: Thing, high: float, wide: float, deep: float) -> Thing:
    """Small ones, as parts."""
    for _ in range(int(d.integers(1, 3))):
        t.next_part()
        add(
            t,
            container(d),
            (d.uniform(-1, 1) * wide, high, d.uniform(-1, 1) * deep),
            d.uniform(0.15, 0.3),
        )
    return t


def sofa(d: Dice) -> Thing:
    t, cloth = Thing(), look(d)
    wide, deep, seat, arm = (
        d.uniform(0.3, 0.6),
        d.uniform(0.2, 0.26),
        d.uniform(0.1, 0.18),
        d.uniform(0.05, 0.1),
    )
    t.put(CUBE, (0, seat, 0), (wide, seat, deep), cloth)
    t.put(CUBE, (0, seat * 2.2, -deep), (wide, seat * 1.6, arm), cloth)
    for x in (-1, 1):
        t.put(CUBE, (x * wide, seat * 1.5, 0), (arm, seat * 1.5, deep), cloth)
    for _ in range(int(d.integers(0, 4))):
        t.next_part()
        t.put(
            SPHERE,
            (d.uniform(-0.8, 0.8) * wide, seat * 2.6, -deep * 0.4),
            (0.12, 0.1, 0.06),
            look(d),
        )
    return t


def lamp(d: Dice) -> Thing:
    t, metal, shade = Thing(), plain(d), look(d)
    high, wide = d.uniform(0.4, 0.9), d.uniform(0.1, 0.25)
    t.put(FRUSTUM, (0, 0.02, 0), (wide * 0.8, 0.02, wide * 0.8), metal)
    t.limb((0, 0, 0), (0, high, 0), d.uniform(0.01, 0.06), metal, d.uniform(0.5, 1))
    t.next_part()
    t.put(
        FRUSTUM, (0, high, 0), (wide, wide * d.uniform(0.4, 1), wide), shade, top=d.uniform(0.3, 1)
    )
    return t


def screen(d: Dice) -> Thing:
    t, case = Thing(), plain(d, np.full(3, d.choice([0.02, 0.5, 0.8])))
    wide, high = d.uniform(0.25, 0.5), d.uniform(0.18, 0.32)
    up = d.uniform(0, 0.25)
    t.put(CUBE, (0, up + high, 0), (wide, high, d.uniform(0.015, 0.12)), case)
    t.next_part()
    t.put(
        CUBE,
        (0, up + high, 0.02 + 0.1 * d.random()),
        (wide * 0.92, high * 0.9, 0.012),
        look(d, gloss=0.5),
    )
    t.next_part()
    if up > 0.05:
        t.limb((0, up + 0.02, 0), (0, 0.01, 0), 0.04, case)
        t.put(CUBE, (0, 0.01, 0), (wide * 0.5, 0.01, 0.1), case)
    elif d.random() < 0.5:
        t.put(
            CUBE, (0, 0.015, high * 0.8), (wide, 0.012, high * 0.8), look(d, "windows", size=20.0)
        )
    return t


def container(d: Dice) -> Thing:
    """Bottles, cups, vases, bowls, pots: turned on a lathe."""
    t, clay = Thing(shared=d.random() < 0.5), look(d)
    y, r = 0.0, d.uniform(0.1, 0.3)
    for _ in range(int(d.integers(1, 5))):
        high, top = d.uniform(0.06, 0.45), d.uniform(0.4, 1.0)
        flips = d.random() < 0.35 and r * 1.6 < 0.45
        if flips:  # wider above
            wide = r / top
            t.put(FRUSTUM, (0, y + high / 2, 0), (wide, high / 2, wide), clay, turned(x=np.pi), top)
            r = wide
        else:
            t.put(FRUSTUM, (0, y + high / 2, 0), (r, high / 2, r), clay, top=top)
            r *= top
        y += high
        if d.random() < 0.4:
            t.next_part()
            clay = look(d)
    if d.random() < 0.3:
        t.put(SPHERE, (0, y, 0), (r, r * d.uniform(0.4, 1), r), clay)
    if d.random() < 0.35:
        grip, mid = d.uniform(0.06, 0.12), y * 0.5
        for a, b in (((0, 0.1), (1, 0.1)), ((1, 0.1), (1, -0.1)), ((1, -0.1), (0, -0.1))):
            t.limb(
                (0.7 * r + a[0] * (0.4 * r + grip), mid + a[1], 0),
                (0.7 * r + b[0] * (0.4 * r + grip), mid + b[1], 0),
                0.025,
                clay,
            )
    if d.random() < 0.2:
        t.next_part()
        add(t, flower(d), (0, y * 0.9, 0), 0.8)
    return t


def box(d: Dice) -> Thing:
    """Parcels, suitcases, books, bags, cakes, phones."""
    t = Thing()
    half = 0.4 * np.exp(0.6 * d.standard_normal(3)).clip(0.05, 1)
    at = 0.0
    for _ in range(int(d.integers(1, 4))):
        t.put(
            CUBE if d.random() < 0.75 else FRUSTUM,
            (0.03 * d.standard_normal(), at + half[1], 0),
            half,
            look(d),
            turned(y=0.3 * d.standard_normal()),
        )
        at += 2 * half[1]
        half = half * d.uniform(0.5, 1.0, 3) * [1, d.uniform(0.2, 1), 1]
        t.next_part()
    if d.random() < 0.3:
        for x in (-1, 1):
            t.limb((x * 0.1, at, 0), (x * 0.06, at + 0.12, 0), 0.015, plain(d))
        t.limb((-0.06, at + 0.12, 0), (0.06, at + 0.12, 0), 0.015, plain(d))
    return t
