"""Animals, people, birds, toys and statues.

Each function makes a random ``Thing`` that stands on y = 0 and faces +z; sizes are about 1.
"""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from models.training.rendering.materials import (
    fur_material,
    plain_material,
    random_material,
    similar_colour,
)
from models.training.rendering.thing import CUBE, FRUSTUM, SPHERE, Thing, attach, rotation


def animal(rng: Generator) -> Thing:
    """Make a four-legged animal, from mouse to giraffe."""
    t, coat = Thing(shared_texture=rng.random() < 0.8), fur_material(rng)
    leg, length, girth = rng.uniform(0.15, 0.7), rng.uniform(0.35, 0.7), rng.uniform(0.12, 0.26)
    body_y = leg + girth * 0.7
    t.add_body(SPHERE, (0, body_y, 0), (girth, girth * rng.uniform(0.9, 1.2), length / 2), coat)
    t.add_body(
        SPHERE, (0, body_y + 0.02, length * 0.25), (girth * 0.95, girth * 1.05, girth * 1.2), coat
    )
    t.add_body(SPHERE, (0, body_y, -length * 0.3), (girth, girth, girth * 1.1), coat)
    neck = np.array(
        [
            0,
            body_y + rng.uniform(0, 0.6) * rng.random() + 0.1,
            length * 0.5 + rng.uniform(0.05, 0.2),
        ]
    )
    neck[0] = 0.25 * rng.standard_normal() * girth
    t.add_limb(
        (0, body_y + girth * 0.3, length * 0.3),
        neck,
        girth * rng.uniform(0.5, 0.8),
        coat,
        rng.uniform(0.5, 0.9),
    )
    head = girth * rng.uniform(0.5, 0.9)
    t.add_body(SPHERE, neck, head, coat)
    nose = neck + np.array(
        [
            0.2 * girth * rng.standard_normal(),
            -head * rng.uniform(0, 0.6),
            head * rng.uniform(0.8, 1.6),
        ]
    )
    t.add_limb(neck, nose, head * 0.7, coat, rng.uniform(0.4, 0.8))
    dark = plain_material(rng, np.array([0.02, 0.02, 0.02]), gloss=0.5)
    for side in (-1, 1):
        t.add_body(SPHERE, neck + [side * head * 0.6, head * 0.4, head * 0.65], head * 0.16, dark)
    ear = rng.uniform(0.3, 1.2) * head
    for side in (-1, 1):
        t.add_body(
            SPHERE,
            neck + [side * head * 0.7, head * 0.7 + ear * 0.4, -0.1 * head],
            (ear * 0.4, ear, ear * 0.2),
            coat,
            rotation(z=-side * rng.uniform(0, 0.9)),
        )
    stocking = coat if rng.random() < 0.7 else fur_material(rng)
    stride = rng.uniform(0, 0.35)
    for x, z, s in ((-1, 1, 1), (1, 1, -1), (-1, -1, -1), (1, -1, 1)):
        hip = np.array([x * girth * 0.6, body_y - girth * 0.2, z * length * 0.32])
        foot = np.array([hip[0], 0.03, hip[2] + s * stride * leg])
        knee = (hip + foot) / 2 + [0, 0, -0.08 * z * leg]
        thickness = girth * rng.uniform(0.22, 0.38)
        t.add_limb(hip, knee, thickness * 1.3, coat, 0.7)
        t.add_limb(knee, foot, thickness * 0.9, stocking, 0.8)
    tail = np.array(
        [
            0.3 * rng.standard_normal() * length,
            body_y + rng.uniform(-0.4, 0.4),
            -length * rng.uniform(0.6, 1.1),
        ]
    )
    t.add_limb(
        (0, body_y + girth * 0.4, -length * 0.45),
        tail,
        girth * rng.uniform(0.1, 0.4),
        coat,
        rng.uniform(0.3, 1),
    )
    return t


def person(rng: Generator) -> Thing:
    """Make a person that stands, walks, sits or raises the arms."""
    t = Thing()
    skin = plain_material(rng, similar_colour(rng, np.array([0.45, 0.26, 0.17]), 0.5), grain=0.02)
    shirt, trousers, shoes, hair = (
        random_material(rng),
        random_material(rng),
        plain_material(rng),
        fur_material(rng),
    )
    width, leg = rng.uniform(0.09, 0.14), rng.uniform(0.4, 0.5)
    is_seated = rng.random() < 0.2
    hip = np.array([0, leg * (0.55 if is_seated else 1.0), 0])
    chest = hip + [0.03 * rng.standard_normal(), 0.3, 0.05 * rng.standard_normal()]
    t.add_limb(hip, chest, width, shirt, rng.uniform(1.0, 1.25))
    t.add_body(SPHERE, hip + [0, 0.12, 0], (width * 1.15, 0.17, width * 0.8), shirt)
    t.add_body(SPHERE, chest, (width * 1.5, width * 0.7, width * 0.8), shirt)
    head = chest + [0.02 * rng.standard_normal(), 0.2, 0.02]
    t.add_limb(chest, head - [0, 0.06, 0], 0.045, skin)
    t.add_body(SPHERE, head, (0.07, 0.095, 0.085), skin)
    if rng.random() < 0.85:
        t.add_body(SPHERE, head + [0, 0.035, -0.02], (0.08, 0.085, 0.085), hair)
        if rng.random() < 0.35:
            t.add_body(SPHERE, head + [0, -0.06, -0.06], (0.075, 0.16, 0.05), hair)
    if rng.random() < 0.3:
        hat = random_material(rng)
        t.add_body(FRUSTUM, head + [0, 0.09, 0], (0.085, 0.05, 0.09), hat, top=rng.uniform(0.5, 1))
        t.add_body(FRUSTUM, head + [0, 0.05, 0.03], (rng.uniform(0.09, 0.18), 0.008, 0.14), hat)
    bare_legs, has_skirt = rng.random() < 0.35, rng.random() < 0.15
    swing = rng.uniform(-0.35, 0.35)
    for side in (-1, 1):
        top = hip + [side * width * 0.55, 0, 0]
        reach = side * swing + 0.05 * rng.standard_normal()
        if is_seated:
            knee, foot = top + [0, 0, leg * 0.5], top + [0, -leg * 0.5, leg * 0.5]
        else:
            knee = top + [side * 0.02, -leg * 0.5, leg * max(reach, 0) * 0.8]
            foot = np.array([knee[0], 0.04 + 0.1 * max(-reach, 0), top[2] + leg * reach])
        t.add_limb(top, knee, width * 0.62, trousers, 0.75)
        t.add_limb(knee, foot, width * 0.45, skin if bare_legs else trousers, 0.7)
        t.add_body(SPHERE, foot + [0, -0.01, 0.04], (0.04, 0.035, 0.09), shoes)
    if has_skirt:
        t.add_body(
            FRUSTUM,
            hip + [0, -0.12, 0],
            (width * rng.uniform(1.4, 2.2), 0.16, width * 1.4),
            trousers,
            top=0.6,
        )
    short_sleeves = rng.random() < 0.5
    for side in (-1, 1):
        shoulder = chest + [side * width * 1.45, 0.02, 0]
        lift = rng.uniform(-1.5, 1.4) if rng.random() < 0.4 else rng.uniform(-1.5, -1.1)
        fore = lift + rng.uniform(0, 1.8) * rng.random()
        elbow = shoulder + 0.17 * np.array(
            [side * np.cos(lift) * 0.7, np.sin(lift), 0.4 * rng.standard_normal()]
        )
        hand = elbow + 0.17 * np.array(
            [side * np.cos(fore) * 0.6, np.sin(fore), rng.uniform(0, 0.8)]
        )
        t.add_limb(shoulder, elbow, 0.045, shirt, 0.85)
        t.add_limb(elbow, hand, 0.035, skin if short_sleeves else shirt, 0.8)
        t.add_body(SPHERE, hand, 0.04, skin)
    if rng.random() < 0.25:
        bag = random_material(rng)
        at = (
            hip + [rng.choice([-1, 1]) * width * 1.6, 0.05, 0]
            if rng.random() < 0.5
            else chest + [0, -0.1, -width]
        )
        t.add_body(CUBE, at, (0.09, 0.12, 0.07), bag)
    return t


def bird(rng: Generator) -> Thing:
    t, coat, wing = Thing(shared_texture=True), fur_material(rng), fur_material(rng)
    body_y, girth, length = rng.uniform(0.05, 0.5), rng.uniform(0.12, 0.25), rng.uniform(0.25, 0.45)
    tilt = rotation(x=-rng.uniform(0, 0.9))
    t.add_body(SPHERE, (0, body_y + girth, 0), (girth, girth, length), coat, tilt)
    head = np.array(
        [
            0.05 * rng.standard_normal(),
            body_y + girth + rng.uniform(0.15, 0.6) * length + girth * 0.5,
            length * 0.8,
        ]
    )
    t.add_limb((0, body_y + girth, length * 0.4), head, girth * 0.7, coat, rng.uniform(0.5, 0.8))
    beak = plain_material(rng, similar_colour(rng, np.array([0.5, 0.25, 0.05]), 0.6))
    t.add_limb(head, head + [0, -0.04, rng.uniform(0.1, 0.3)], girth * 0.25, beak, 0.2, False)
    t.add_body(
        SPHERE,
        head + [girth * 0.35, 0.03, girth * 0.3],
        girth * 0.1,
        plain_material(rng, np.full(3, 0.02)),
    )
    is_flying = rng.random() < 0.4
    for side in (-1, 1):
        if is_flying:
            lift = rng.uniform(-0.3, 0.9)
            t.add_body(
                SPHERE,
                (side * 0.35, body_y + girth * 1.3 + 0.3 * lift, 0),
                (0.38, 0.02, length * 0.45),
                wing,
                rotation(z=side * lift),
            )
        else:
            t.add_body(
                SPHERE,
                (side * girth * 0.85, body_y + girth, -0.05),
                (girth * 0.25, girth * 0.7, length * 0.8),
                wing,
                tilt,
            )
    t.add_body(
        SPHERE,
        (0, body_y + girth * 0.8, -length * 1.1),
        (girth * 0.5, 0.03, length * 0.5),
        wing,
        tilt,
    )
    if not is_flying:
        for side in (-1, 1):
            t.add_limb(
                (side * girth * 0.4, body_y + girth * 0.3, 0),
                (side * girth * 0.4, 0.01, 0.03),
                0.02,
                beak,
            )
    return t


def toy(rng: Generator) -> Thing:
    """Make a teddy, doll or snowman: round bodies on one another."""
    t, coat = Thing(shared_texture=rng.random() < 0.5), fur_material(rng)
    r, y = rng.uniform(0.2, 0.32), 0.0
    for _ in range(int(rng.integers(2, 4))):
        t.add_body(SPHERE, (0, y + r, 0), (r, r * rng.uniform(0.9, 1.2), r * 0.9), coat)
        y += r * 1.7
        r *= rng.uniform(0.6, 0.95)
        coat = coat if rng.random() < 0.7 else random_material(rng)
    for x in (-1, 1):
        t.add_body(SPHERE, (x * r * 0.9, y + r * 0.3, 0), r * 0.45, coat)
        t.add_body(
            SPHERE, (x * 0.25, 0.3, 0.1), (0.09, 0.2, 0.1), coat, rotation(z=x * rng.uniform(0, 1))
        )
        t.add_body(SPHERE, (x * 0.15, 0.08, 0.2), (0.1, 0.1, 0.17), coat)
        t.add_body(
            SPHERE,
            (x * r * 0.4, y - r * 0.2, r * 1.1),
            r * 0.12,
            plain_material(rng, np.full(3, 0.02)),
        )
    return t


def statue(rng: Generator) -> Thing:
    """Make a person or animal of stone or metal on a pedestal."""
    t, stone = (
        Thing(shared_texture=True),
        plain_material(rng, similar_colour(rng, np.full(3, 0.35), 0.4), grain=0.1),
    )
    t.add_body(CUBE, (0, 0.15, 0), (0.2, 0.15, 0.2), stone)
    attach(t, (person if rng.random() < 0.6 else animal)(rng), (0, 0.3, 0), 0.8)
    t.materials[1:] = [stone] * len(t.materials[1:])
    return t


def rider(rng: Generator) -> Thing:
    """Make a person on an animal."""
    t = animal(rng)
    _, height = t.bounds()
    attach(t, person(rng), (0, 0.35 * height[1], 0), 0.7)
    return t
