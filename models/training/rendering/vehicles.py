"""Cars, bicycles, planes, boats.

Each function makes a random ``Thing`` that stands on y = 0 and faces +z; sizes are about 1.
"""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from models.training.rendering.living import person
from models.training.rendering.materials import plain_material, random_material, similar_colour
from models.training.rendering.thing import CUBE, FRUSTUM, SPHERE, Thing, rotation


def car(rng: Generator) -> Thing:
    """Make a car, van, lorry or bus."""
    t, paint = (
        Thing(),
        plain_material(rng, gloss=rng.uniform(0.2, 0.9), shininess=2 ** rng.uniform(4, 8)),
    )
    glass = plain_material(rng, np.array([0.03, 0.04, 0.05]) * rng.uniform(0.5, 4), gloss=0.8)
    rubber, rim = (
        plain_material(rng, np.full(3, 0.02)),
        plain_material(rng, np.full(3, rng.uniform(0.1, 0.6))),
    )
    width, length, r = rng.uniform(0.2, 0.28), rng.uniform(0.45, 0.75), rng.uniform(0.07, 0.11)
    body_height, cabin_height = rng.uniform(0.08, 0.13), rng.uniform(0.08, 0.3)
    t.add_body(CUBE, (0, r + body_height, 0), (width, body_height, length), paint)
    t.add_body(
        SPHERE,
        (0, r + body_height, length * 0.85),
        (width, body_height * 1.05, length * 0.3),
        paint,
    )
    length_ratio, center_z = rng.uniform(0.4, 0.95), rng.uniform(-0.3, 0.1) * length
    cabin = random_material(rng) if rng.random() < 0.15 else paint
    t.add_body(
        CUBE,
        (0, r + 2 * body_height + cabin_height * 0.5, center_z),
        (width * 0.93, cabin_height * 0.5, length * length_ratio * 0.6),
        glass,
    )
    t.add_body(
        CUBE,
        (0, r + 2 * body_height + cabin_height, center_z),
        (width * 0.9, cabin_height * 0.12, length * length_ratio * 0.6),
        cabin,
    )
    for z in (-0.6, 0.6):
        t.add_limb(
            (-width * 0.9, r + 2 * body_height, center_z + z * length * length_ratio),
            (
                -width * 0.85,
                r + 2 * body_height + cabin_height,
                center_z + 0.9 * z * length * length_ratio,
            ),
            0.02,
            paint,
        )
        t.add_limb(
            (width * 0.9, r + 2 * body_height, center_z + z * length * length_ratio),
            (
                width * 0.85,
                r + 2 * body_height + cabin_height,
                center_z + 0.9 * z * length * length_ratio,
            ),
            0.02,
            paint,
        )
    for x in (-1, 1):
        for z in (-0.62, 0.62):
            t.add_body(
                FRUSTUM,
                (x * width * 0.95, r, z * length),
                (r, 0.04, r),
                rubber,
                rotation(z=np.pi / 2),
            )
            t.add_body(
                FRUSTUM,
                (x * (width * 0.95 + 0.03), r, z * length),
                (r * 0.6, 0.02, r * 0.6),
                rim,
                rotation(z=np.pi / 2),
            )
        t.add_body(
            SPHERE,
            (x * width * 0.7, r + body_height * 1.2, length * 1.08),
            0.04,
            plain_material(rng, np.full(3, 0.8), gloss=0.9),
        )
    return t


def bicycle(rng: Generator) -> Thing:
    """Make a bicycle or motorcycle, in about half of the cases with a rider."""
    t = person(rng) if rng.random() < 0.45 else Thing()
    for lay in t.transforms:
        lay[1, 3] += 0.12
        lay[2, 3] -= 0.05
    metal, rubber = plain_material(rng, gloss=0.5), plain_material(rng, np.full(3, 0.03))
    r, girth = rng.uniform(0.17, 0.24), rng.uniform(0.008, 0.05)
    for z in (-0.32, 0.32):
        spokes = 7
        for a in np.arange(spokes) * 2 * np.pi / spokes:
            start, end = (
                np.array([0, r + r * np.sin(a + s), z + r * np.cos(a + s)])
                for s in (0, 2 * np.pi / spokes)
            )
            t.add_limb(start, end, 0.012 + girth * 0.4, rubber, rounded=False)
        t.add_limb((0, r, z), (0, r + r * 0.9, z), 0.01, metal, rounded=False)
    seat, bar, pedal = np.array([0, 0.5, -0.12]), np.array([0, 0.55, 0.24]), np.array([0, r, 0.0])
    for a, b in (
        (seat, pedal),
        (pedal, (0, r, -0.32)),
        (seat, (0, r, -0.32)),
        (seat, bar),
        (bar, pedal),
        (bar, (0, r, 0.32)),
    ):
        t.add_limb(a, b, 0.018 + girth, metal)
    t.add_body(SPHERE, seat + [0, 0.02, -0.02], (0.05, 0.02, 0.09), rubber)
    t.add_limb(bar + [-0.16, 0.05, 0], bar + [0.16, 0.05, 0], 0.015, metal)
    return t


def plane(rng: Generator) -> Thing:
    t, paint, trim = Thing(), plain_material(rng, gloss=0.4), random_material(rng)
    body_y, width, length = rng.uniform(0.1, 0.2), rng.uniform(0.05, 0.12), rng.uniform(0.5, 0.7)
    t.add_body(SPHERE, (0, body_y, 0), (width, width, length), paint)
    t.add_body(
        SPHERE,
        (0, body_y + width * 0.5, length * 0.65),
        (width * 0.6, width * 0.5, length * 0.15),
        plain_material(rng, np.full(3, 0.03), gloss=0.8),
    )
    span, sweep = rng.uniform(0.4, 0.8), rng.uniform(0, 0.6)
    wing_y = rng.choice([-0.4, 0.6]) * width
    for side in (-1, 1):
        t.add_body(
            SPHERE,
            (side * span * 0.5, body_y + wing_y, -sweep * span * 0.3),
            (span * 0.55, 0.015, rng.uniform(0.08, 0.16)),
            trim if rng.random() < 0.3 else paint,
            rotation(y=side * sweep),
        )
        t.add_body(
            SPHERE, (side * 0.14, body_y + width * 0.2, -length * 0.9), (0.15, 0.012, 0.06), paint
        )
        if rng.random() < 0.5:
            t.add_body(
                SPHERE,
                (side * span * 0.4, body_y + wing_y - 0.05, 0.03),
                (0.035, 0.035, 0.1),
                paint,
            )
    t.add_body(
        SPHERE, (0, body_y + width * 1.4, -length * 0.9), (0.012, rng.uniform(0.1, 0.2), 0.09), trim
    )
    if rng.random() < 0.4:
        for x, z in ((0, 0.4), (-0.1, -0.05), (0.1, -0.05)):
            t.add_limb((x, body_y, z), (x, 0.03, z), 0.015, paint)
    return t


def boat(rng: Generator) -> Thing:
    t, paint, wood = Thing(), plain_material(rng), random_material(rng)
    width, length, depth = rng.uniform(0.12, 0.25), rng.uniform(0.4, 0.7), rng.uniform(0.08, 0.15)
    t.add_body(SPHERE, (0, depth * 0.6, 0), (width, depth, length), paint)
    t.add_body(CUBE, (0, depth * 1.1, 0), (width * 0.7, depth * 0.3, length * 0.7), wood)
    if rng.random() < 0.5:
        t.add_body(
            CUBE,
            (0, depth * 1.6 + 0.08, -length * 0.2),
            (width * 0.5, 0.1, length * 0.25),
            random_material(rng, "windows"),
        )
    if rng.random() < 0.5:
        height = rng.uniform(0.5, 1.1)
        t.add_limb((0, depth, 0.05), (0, height, 0.05), 0.012, wood)
        sail = plain_material(rng, similar_colour(rng, np.full(3, 0.8), 0.3))
        t.add_body(FRUSTUM, (0, height * 0.58, -0.12), (0.2, height * 0.35, 0.012), sail, top=0.05)
    return t
