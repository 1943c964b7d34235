"""Animals, people, birds, toys, and what is made like them.

Each maker gives a ``Thing`` that stands on y = 0 and looks along +z; sizes are about 1.
"""

from __future__ import annotations

import numpy as np

from models.training.stage.body import CUBE, FRUSTUM, SPHERE, Thing, add, turned
from models.training.stage.looks import Dice, fur, look, near, plain


def animal(d: Dice) -> Thing:
    """On four legs, from mouse to giraffe."""
    t, coat = Thing(shared=d.random() < 0.8), fur(d)
    leg, long, fat = d.uniform(0.15, 0.7), d.uniform(0.35, 0.7), d.uniform(0.12, 0.26)
    up = leg + fat * 0.7
    t.put(SPHERE, (0, up, 0), (fat, fat * d.uniform(0.9, 1.2), long / 2), coat)
    t.put(SPHERE, (0, up + 0.02, long * 0.25), (fat * 0.95, fat * 1.05, fat * 1.2), coat)
    t.put(SPHERE, (0, up, -long * 0.3), (fat, fat, fat * 1.1), coat)
    neck = np.array(
        [0, up + d.uniform(0, 0.6) * d.random() + 0.1, long * 0.5 + d.uniform(0.05, 0.2)]
    )
    neck[0] = 0.25 * d.standard_normal() * fat
    t.limb(
        (0, up + fat * 0.3, long * 0.3), neck, fat * d.uniform(0.5, 0.8), coat, d.uniform(0.5, 0.9)
    )
    t.next_part()
    head = fat * d.uniform(0.5, 0.9)
    t.put(SPHERE, neck, head, coat)
    nose = neck + np.array(
        [0.2 * fat * d.standard_normal(), -head * d.uniform(0, 0.6), head * d.uniform(0.8, 1.6)]
    )
    t.limb(neck, nose, head * 0.7, coat, d.uniform(0.4, 0.8))
    dark = plain(d, np.array([0.02, 0.02, 0.02]), gloss=0.5)
    for side in (-1, 1):
        t.put(SPHERE, neck + [side * head * 0.6, head * 0.4, head * 0.65], head * 0.16, dark)
    ear = d.uniform(0.3, 1.2) * head
    for side in (-1, 1):
        t.put(SPHERE, neck + [side * head * 0.7, head * 0.7 + ear * 0.4, -0.1 * head],
              (ear * 0.4, ear, ear * 0.2), coat, turned(z=-side * d.uniform(0, 0.9)))  # fmt: skip
    stocking = coat if d.random() < 0.7 else fur(d)
    stride = d.uniform(0, 0.35)
    for x, z, s in ((-1, 1, 1), (1, 1, -1), (-1, -1, -1), (1, -1, 1)):
        t.next_part()
        hip = np.array([x * fat * 0.6, up - fat * 0.2, z * long * 0.32])
        foot = np.array([hip[0], 0.03, hip[2] + s * stride * leg])
        knee = (hip + foot) / 2 + [0, 0, -0.08 * z * leg]
        thick = fat * d.uniform(0.22, 0.38)
        t.limb(hip, knee, thick * 1.3, coat, 0.7)
        t.limb(knee, foot, thick * 0.9, stocking, 0.8)
    t.next_part()
    tail = np.array(
        [0.3 * d.standard_normal() * long, up + d.uniform(-0.4, 0.4), -long * d.uniform(0.6, 1.1)]
    )
    t.limb(
        (0, up + fat * 0.4, -long * 0.45), tail, fat * d.uniform(0.1, 0.4), coat, d.uniform(0.3, 1)
    )
    return t


def person(d: Dice) -> Thing:
    """Standing, walking, sitting or with arms raised."""
    t = Thing()
    skin = plain(d, near(d, np.array([0.45, 0.26, 0.17]), 0.5), grain=0.02)
    shirt, trousers, shoes, hair = look(d), look(d), plain(d), fur(d)
    wide, leg = d.uniform(0.09, 0.14), d.uniform(0.4, 0.5)
    sits = d.random() < 0.2
    hip = np.array([0, leg * (0.55 if sits else 1.0), 0])
    chest = hip + [0.03 * d.standard_normal(), 0.3, 0.05 * d.standard_normal()]
    t.limb(hip, chest, wide, shirt, d.uniform(1.0, 1.25))
    t.put(SPHERE, hip + [0, 0.12, 0], (wide * 1.15, 0.17, wide * 0.8), shirt)
    t.put(SPHERE, chest, (wide * 1.5, wide * 0.7, wide * 0.8), shirt)
    t.next_part()
    head = chest + [0.02 * d.standard_normal(), 0.2, 0.02]
    t.limb(chest, head - [0, 0.06, 0], 0.045, skin)
    t.put(SPHERE, head, (0.07, 0.095, 0.085), skin)
    t.next_part()
    if d.random() < 0.85:
        t.put(SPHERE, head + [0, 0.035, -0.02], (0.08, 0.085, 0.085), hair)
        if d.random() < 0.35:
            t.put(SPHERE, head + [0, -0.06, -0.06], (0.075, 0.16, 0.05), hair)
    if d.random() < 0.3:
        t.next_part()
        hat = look(d)
        t.put(FRUSTUM, head + [0, 0.09, 0], (0.085, 0.05, 0.09), hat, top=d.uniform(0.5, 1))
        t.put(FRUSTUM, head + [0, 0.05, 0.03], (d.uniform(0.09, 0.18), 0.008, 0.14), hat)
    bare, skirt = d.random() < 0.35, d.random() < 0.15
    t.next_part()
    swing = d.uniform(-0.35, 0.35)
    for side in (-1, 1):
        top = hip + [side * wide * 0.55, 0, 0]
        reach = side * swing + 0.05 * d.standard_normal()
        if sits:
            knee, foot = top + [0, 0, leg * 0.5], top + [0, -leg * 0.5, leg * 0.5]
        else:
            knee = top + [side * 0.02, -leg * 0.5, leg * max(reach, 0) * 0.8]
            foot = np.array([knee[0], 0.04 + 0.1 * max(-reach, 0), top[2] + leg * reach])
        t.limb(top, knee, wide * 0.62, trousers, 0.75)
        t.limb(knee, foot, wide * 0.45, skin if bare else trousers, 0.7)
        t.put(SPHERE, foot + [0, -0.01, 0.04], (0.04, 0.035, 0.09), shoes)
    if skirt:
        t.put(
            FRUSTUM,
            hip + [0, -0.12, 0],
            (wide * d.uniform(1.4, 2.2), 0.16, wide * 1.4),
            trousers,
            top=0.6,
        )
    short = d.random() < 0.5
    t.next_part()
    for side in (-1, 1):
        shoulder = chest + [side * wide * 1.45, 0.02, 0]
        lift = d.uniform(-1.5, 1.4) if d.random() < 0.4 else d.uniform(-1.5, -1.1)
        fore = lift + d.uniform(0, 1.8) * d.random()
        elbow = shoulder + 0.17 * np.array(
            [side * np.cos(lift) * 0.7, np.sin(lift), 0.4 * d.standard_normal()]
        )
        hand = elbow + 0.17 * np.array([side * np.cos(fore) * 0.6, np.sin(fore), d.uniform(0, 0.8)])
        t.limb(shoulder, elbow, 0.045, shirt, 0.85)
        t.limb(elbow, hand, 0.035, skin if short else shirt, 0.8)
        t.put(SPHERE, hand, 0.04, skin)
    if d.random() < 0.25:
        t.next_part()
        bag = look(d)
        at = (
            hip + [d.choice([-1, 1]) * wide * 1.6, 0.05, 0]
            if d.random() < 0.5
            else chest + [0, -0.1, -wide]
        )
        t.put(CUBE, at, (0.09, 0.12, 0.07), bag)
    return t


def bird(d: Dice) -> Thing:
    t, coat, wing = Thing(shared=True), fur(d), fur(d)
    up, fat, long = d.uniform(0.05, 0.5), d.uniform(0.12, 0.25), d.uniform(0.25, 0.45)
    lean = turned(x=-d.uniform(0, 0.9))
    t.put(SPHERE, (0, up + fat, 0), (fat, fat, long), coat, lean)
    head = np.array(
        [0.05 * d.standard_normal(), up + fat + d.uniform(0.15, 0.6) * long + fat * 0.5, long * 0.8]
    )
    t.limb((0, up + fat, long * 0.4), head, fat * 0.7, coat, d.uniform(0.5, 0.8))
    t.next_part()
    beak = plain(d, near(d, np.array([0.5, 0.25, 0.05]), 0.6))
    t.limb(head, head + [0, -0.04, d.uniform(0.1, 0.3)], fat * 0.25, beak, 0.2, False)
    t.put(SPHERE, head + [fat * 0.35, 0.03, fat * 0.3], fat * 0.1, plain(d, np.full(3, 0.02)))
    flies = d.random() < 0.4
    for side in (-1, 1):
        t.next_part()
        if flies:
            lift = d.uniform(-0.3, 0.9)
            t.put(
                SPHERE,
                (side * 0.35, up + fat * 1.3 + 0.3 * lift, 0),
                (0.38, 0.02, long * 0.45),
                wing,
                turned(z=side * lift),
            )
        else:
            t.put(
                SPHERE,
                (side * fat * 0.85, up + fat, -0.05),
                (fat * 0.25, fat * 0.7, long * 0.8),
                wing,
                lean,
            )
    t.next_part()
    t.put(SPHERE, (0, up + fat * 0.8, -long * 1.1), (fat * 0.5, 0.03, long * 0.5), wing, lean)
    if not flies:
        for side in (-1, 1):
            t.limb(
                (side * fat * 0.4, up + fat * 0.3, 0), (side * fat * 0.4, 0.01, 0.03), 0.02, beak
            )
    return t


def toy(d: Dice) -> Thing:
    """Teddies, dolls, snowmen: round parts on one another."""
    t, coat = Thing(shared=d.random() < 0.5), fur(d)
    r, y = d.uniform(0.2, 0.32), 0.0
    for _ in range(int(d.integers(2, 4))):
        t.put(SPHERE, (0, y + r, 0), (r, r * d.uniform(0.9, 1.2), r * 0.9), coat)
        y += r * 1.7
        r *= d.uniform(0.6, 0.95)
        t.next_part()
        coat = coat if d.random() < 0.7 else look(d)
    for x in (-1, 1):
        t.put(SPHERE, (x * r * 0.9, y + r * 0.3, 0), r * 0.45, coat)
        t.put(SPHERE, (x * 0.25, 0.3, 0.1), (0.09, 0.2, 0.1), coat, turned(z=x * d.uniform(0, 1)))
        t.put(SPHERE, (x * 0.15, 0.08, 0.2), (0.1, 0.1, 0.17), coat)
        t.put(SPHERE, (x * r * 0.4, y - r * 0.2, r * 1.1), r * 0.12, plain(d, np.full(3, 0.02)))
    return t


def statue(d: Dice) -> Thing:
    """Something of stone or metal on a pedestal."""
    t, stone = Thing(shared=True), plain(d, near(d, np.full(3, 0.35), 0.4), grain=0.1)
    t.put(CUBE, (0, 0.15, 0), (0.2, 0.15, 0.2), stone)
    t.next_part()
    add(t, (person if d.random() < 0.6 else animal)(d), (0, 0.3, 0), 0.8)
    t.looks[1:] = [stone] * len(t.looks[1:])
    return t


def rider(d: Dice) -> Thing:
    """A person on an animal."""
    t = animal(d)
    t.next_part()
    _, high = t.size()
    add(t, person(d), (0, 0.35 * high[1], 0), 0.7)
    return t
