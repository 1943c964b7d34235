"""Cars, bicycles, planes, boats.

Each maker gives a ``Thing`` that stands on y = 0 and looks along +z; sizes are about 1.
"""

from __future__ import annotations

import numpy as np

from models.training.stage.body import CUBE, FRUSTUM, SPHERE, Thing, turned
from models.training.stage.living import person
from models.training.stage.looks import Dice, look, near, plain


def car(d: Dice) -> Thing:
    """Cars, vans, lorries and buses."""
    t, paint = Thing(), plain(d, gloss=d.uniform(0.2, 0.9), shine=2 ** d.uniform(4, 8))
    glass = plain(d, np.array([0.03, 0.04, 0.05]) * d.uniform(0.5, 4), gloss=0.8)
    rubber, rim = plain(d, np.full(3, 0.02)), plain(d, np.full(3, d.uniform(0.1, 0.6)))
    wide, long, r = d.uniform(0.2, 0.28), d.uniform(0.45, 0.75), d.uniform(0.07, 0.11)
    body, tall = d.uniform(0.08, 0.13), d.uniform(0.08, 0.3)
    t.put(CUBE, (0, r + body, 0), (wide, body, long), paint)
    t.put(SPHERE, (0, r + body, long * 0.85), (wide, body * 1.05, long * 0.3), paint)
    t.next_part()
    back, at = d.uniform(0.4, 0.95), d.uniform(-0.3, 0.1) * long
    cabin = look(d) if d.random() < 0.15 else paint
    t.put(
        CUBE,
        (0, r + 2 * body + tall * 0.5, at),
        (wide * 0.93, tall * 0.5, long * back * 0.6),
        glass,
    )
    t.put(CUBE, (0, r + 2 * body + tall, at), (wide * 0.9, tall * 0.12, long * back * 0.6), cabin)
    for z in (-0.6, 0.6):
        t.limb(
            (-wide * 0.9, r + 2 * body, at + z * long * back),
            (-wide * 0.85, r + 2 * body + tall, at + 0.9 * z * long * back),
            0.02,
            paint,
        )
        t.limb(
            (wide * 0.9, r + 2 * body, at + z * long * back),
            (wide * 0.85, r + 2 * body + tall, at + 0.9 * z * long * back),
            0.02,
            paint,
        )
    for x in (-1, 1):
        for z in (-0.62, 0.62):
            t.next_part()
            t.put(
                FRUSTUM, (x * wide * 0.95, r, z * long), (r, 0.04, r), rubber, turned(z=np.pi / 2)
            )
            t.put(
                FRUSTUM,
                (x * (wide * 0.95 + 0.03), r, z * long),
                (r * 0.6, 0.02, r * 0.6),
                rim,
                turned(z=np.pi / 2),
            )
        t.put(
            SPHERE,
            (x * wide * 0.7, r + body * 1.2, long * 1.08),
            0.04,
            plain(d, np.full(3, 0.8), gloss=0.9),
        )
    return t


def bicycle(d: Dice) -> Thing:
    """With a rider now and then; motorcycles too."""
    t = person(d) if d.random() < 0.45 else Thing()
    for lay in t.lays:
        lay[1, 3] += 0.12
        lay[2, 3] -= 0.05
    t.next_part()
    metal, rubber = plain(d, gloss=0.5), plain(d, np.full(3, 0.03))
    r, fat = d.uniform(0.17, 0.24), d.uniform(0.008, 0.05)
    for z in (-0.32, 0.32):
        spokes = 7
        for a in np.arange(spokes) * 2 * np.pi / spokes:
            one, other = (
                np.array([0, r + r * np.sin(a + s), z + r * np.cos(a + s)])
                for s in (0, 2 * np.pi / spokes)
            )
            t.limb(one, other, 0.012 + fat * 0.4, rubber, round_=False)
        t.limb((0, r, z), (0, r + r * 0.9, z), 0.01, metal, round_=False)
    seat, bar, pedal = np.array([0, 0.5, -0.12]), np.array([0, 0.55, 0.24]), np.array([0, r, 0.0])
    for a, b in (
        (seat, pedal),
        (pedal, (0, r, -0.32)),
        (seat, (0, r, -0.32)),
        (seat, bar),
        (bar, pedal),
        (bar, (0, r, 0.32)),
    ):
        t.limb(a, b, 0.018 + fat, metal)
    t.put(SPHERE, seat + [0, 0.02, -0.02], (0.05, 0.02, 0.09), rubber)
    t.limb(bar + [-0.16, 0.05, 0], bar + [0.16, 0.05, 0], 0.015, metal)
    return t


def plane(d: Dice) -> Thing:
    t, paint, trim = Thing(), plain(d, gloss=0.4), look(d)
    up, wide, long = d.uniform(0.1, 0.2), d.uniform(0.05, 0.12), d.uniform(0.5, 0.7)
    t.put(SPHERE, (0, up, 0), (wide, wide, long), paint)
    t.next_part()
    t.put(
        SPHERE,
        (0, up + wide * 0.5, long * 0.65),
        (wide * 0.6, wide * 0.5, long * 0.15),
        plain(d, np.full(3, 0.03), gloss=0.8),
    )
    span, sweep = d.uniform(0.4, 0.8), d.uniform(0, 0.6)
    at = d.choice([-0.4, 0.6]) * wide
    for side in (-1, 1):
        t.next_part()
        t.put(
            SPHERE,
            (side * span * 0.5, up + at, -sweep * span * 0.3),
            (span * 0.55, 0.015, d.uniform(0.08, 0.16)),
            trim if d.random() < 0.3 else paint,
            turned(y=side * sweep),
        )
        t.put(SPHERE, (side * 0.14, up + wide * 0.2, -long * 0.9), (0.15, 0.012, 0.06), paint)
        if d.random() < 0.5:
            t.put(SPHERE, (side * span * 0.4, up + at - 0.05, 0.03), (0.035, 0.035, 0.1), paint)
    t.next_part()
    t.put(SPHERE, (0, up + wide * 1.4, -long * 0.9), (0.012, d.uniform(0.1, 0.2), 0.09), trim)
    if d.random() < 0.4:
        for x, z in ((0, 0.4), (-0.1, -0.05), (0.1, -0.05)):
            t.limb((x, up, z), (x, 0.03, z), 0.015, paint)
    return t


def boat(d: Dice) -> Thing:
    t, paint, wood = Thing(), plain(d), look(d)
    wide, long, deep = d.uniform(0.12, 0.25), d.uniform(0.4, 0.7), d.uniform(0.08, 0.15)
    t.put(SPHERE, (0, deep * 0.6, 0), (wide, deep, long), paint)
    t.put(CUBE, (0, deep * 1.1, 0), (wide * 0.7, deep * 0.3, long * 0.7), wood)
    if d.random() < 0.5:
        t.next_part()
        t.put(
            CUBE,
            (0, deep * 1.6 + 0.08, -long * 0.2),
            (wide * 0.5, 0.1, long * 0.25),
            look(d, "windows"),
        )
    if d.random() < 0.5:
        t.next_part()
        high = d.uniform(0.5, 1.1)
        t.limb((0, deep, 0.05), (0, high, 0.05), 0.012, wood)
        sail = plain(d, near(d, np.full(3, 0.8), 0.3))
        t.put(FRUSTUM, (0, high * 0.58, -0.12), (0.2, high * 0.35, 0.012), sail, top=0.05)
    return t
