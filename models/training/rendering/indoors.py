"""Furniture, vessels, boxes.

Each function makes a random ``Thing`` that stands on y = 0 and faces +z; sizes are about 1.
"""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from models.training.rendering.materials import plain_material, random_material
from models.training.rendering.outdoors import flower
from models.training.rendering.thing import CUBE, FRUSTUM, SPHERE, Thing, attach, rotation


def chair(rng: Generator) -> Thing:
    t, wood = Thing(), random_material(rng)
    cloth = wood if rng.random() < 0.5 else random_material(rng)
    width, depth, seat, thickness = (
        rng.uniform(0.18, 0.35),
        rng.uniform(0.18, 0.25),
        rng.uniform(0.3, 0.5),
        rng.uniform(0.012, 0.06),
    )
    t.add_body(CUBE, (0, seat, 0), (width, thickness, depth), cloth)
    for x in (-1, 1):
        for z in (-1, 1):
            t.add_limb(
                (x * width * 0.9, seat, z * depth * 0.9),
                (x * width * rng.uniform(0.9, 1.1), 0.01, z * depth),
                thickness * 0.9 + 0.008,
                wood,
                rounded=False,
            )
    height = rng.uniform(0.25, 0.55)
    if rng.random() < 0.6:
        t.add_body(
            CUBE,
            (0, seat + height * 0.6, -depth),
            (width, height * rng.uniform(0.2, 0.5), thickness),
            cloth,
            rotation(x=-0.15),
        )
    for x in np.linspace(-1, 1, int(rng.integers(2, 6))):
        t.add_limb(
            (x * width * 0.95, seat, -depth),
            (x * width * 0.95, seat + height, -depth - 0.05),
            thickness * 0.6 + 0.008,
            wood,
        )
    if rng.random() < 0.3:
        for x in (-1, 1):
            t.add_body(CUBE, (x * width, seat + 0.15, 0), (thickness, 0.02, depth), wood)
    return t


def table(rng: Generator) -> Thing:
    t, wood = Thing(), random_material(rng)
    width, depth, height, thickness = (
        rng.uniform(0.3, 0.6),
        rng.uniform(0.2, 0.4),
        rng.uniform(0.3, 0.55),
        rng.uniform(0.015, 0.05),
    )
    if rng.random() < 0.6:
        t.add_body(CUBE, (0, height, 0), (width, thickness, depth), wood)
    else:
        t.add_body(FRUSTUM, (0, height, 0), (width, thickness, depth), wood)
    if rng.random() < 0.25:
        t.add_limb((0, height, 0), (0, 0.02, 0), 0.05, wood)
        t.add_body(FRUSTUM, (0, 0.02, 0), (width * 0.5, 0.02, width * 0.5), wood)
    else:
        for x in (-1, 1):
            for z in (-1, 1):
                t.add_limb(
                    (x * width * 0.88, height, z * depth * 0.88),
                    (x * width * 0.9, 0.01, z * depth * 0.9),
                    0.02 + thickness * 0.5,
                    wood,
                    rounded=False,
                )
    return (
        _add_things_on_top(rng, t, height + thickness, width * 0.6, depth * 0.6)
        if rng.random() < 0.3
        else t
    )


def _add_things_on_top(
    rng: Generator, t: Thing, height: float, width: float, depth: float
) -> Thing:
    """Put one or two small containers on top."""
    for _ in range(int(rng.integers(1, 3))):
        attach(
            t,
            container(rng),
            (rng.uniform(-1, 1) * width, height, rng.uniform(-1, 1) * depth),
            rng.uniform(0.15, 0.3),
        )
    return t


def sofa(rng: Generator) -> Thing:
    t, cloth = Thing(), random_material(rng)
    width, depth, seat, arm = (
        rng.uniform(0.3, 0.6),
        rng.uniform(0.2, 0.26),
        rng.uniform(0.1, 0.18),
        rng.uniform(0.05, 0.1),
    )
    t.add_body(CUBE, (0, seat, 0), (width, seat, depth), cloth)
    t.add_body(CUBE, (0, seat * 2.2, -depth), (width, seat * 1.6, arm), cloth)
    for x in (-1, 1):
        t.add_body(CUBE, (x * width, seat * 1.5, 0), (arm, seat * 1.5, depth), cloth)
    for _ in range(int(rng.integers(0, 4))):
        t.add_body(
            SPHERE,
            (rng.uniform(-0.8, 0.8) * width, seat * 2.6, -depth * 0.4),
            (0.12, 0.1, 0.06),
            random_material(rng),
        )
    return t


def lamp(rng: Generator) -> Thing:
    t, metal, shade = Thing(), plain_material(rng), random_material(rng)
    height, width = rng.uniform(0.4, 0.9), rng.uniform(0.1, 0.25)
    t.add_body(FRUSTUM, (0, 0.02, 0), (width * 0.8, 0.02, width * 0.8), metal)
    t.add_limb((0, 0, 0), (0, height, 0), rng.uniform(0.01, 0.06), metal, rng.uniform(0.5, 1))
    t.add_body(
        FRUSTUM,
        (0, height, 0),
        (width, width * rng.uniform(0.4, 1), width),
        shade,
        top=rng.uniform(0.3, 1),
    )
    return t


def screen(rng: Generator) -> Thing:
    t, case = Thing(), plain_material(rng, np.full(3, rng.choice([0.02, 0.5, 0.8])))
    width, height = rng.uniform(0.25, 0.5), rng.uniform(0.18, 0.32)
    foot_height = rng.uniform(0, 0.25)
    t.add_body(CUBE, (0, foot_height + height, 0), (width, height, rng.uniform(0.015, 0.12)), case)
    t.add_body(
        CUBE,
        (0, foot_height + height, 0.02 + 0.1 * rng.random()),
        (width * 0.92, height * 0.9, 0.012),
        random_material(rng, gloss=0.5),
    )
    if foot_height > 0.05:
        t.add_limb((0, foot_height + 0.02, 0), (0, 0.01, 0), 0.04, case)
        t.add_body(CUBE, (0, 0.01, 0), (width * 0.5, 0.01, 0.1), case)
    elif rng.random() < 0.5:
        t.add_body(
            CUBE,
            (0, 0.015, height * 0.8),
            (width, 0.012, height * 0.8),
            random_material(rng, "windows", size=20.0),
        )
    return t


def container(rng: Generator) -> Thing:
    """Make a bottle, cup, vase, bowl or pot: a solid of revolution, sometimes with a handle."""
    t, clay = Thing(shared_texture=rng.random() < 0.5), random_material(rng)
    y, r = 0.0, rng.uniform(0.1, 0.3)
    for _ in range(int(rng.integers(1, 5))):
        height, top = rng.uniform(0.06, 0.45), rng.uniform(0.4, 1.0)
        widens = rng.random() < 0.35 and r * 1.6 < 0.45
        if widens:  # wider above
            width = r / top
            t.add_body(
                FRUSTUM,
                (0, y + height / 2, 0),
                (width, height / 2, width),
                clay,
                rotation(x=np.pi),
                top,
            )
            r = width
        else:
            t.add_body(FRUSTUM, (0, y + height / 2, 0), (r, height / 2, r), clay, top=top)
            r *= top
        y += height
        if rng.random() < 0.4:
            clay = random_material(rng)
    if rng.random() < 0.3:
        t.add_body(SPHERE, (0, y, 0), (r, r * rng.uniform(0.4, 1), r), clay)
    if rng.random() < 0.35:
        grip_size, mid = rng.uniform(0.06, 0.12), y * 0.5
        for a, b in (((0, 0.1), (1, 0.1)), ((1, 0.1), (1, -0.1)), ((1, -0.1), (0, -0.1))):
            t.add_limb(
                (0.7 * r + a[0] * (0.4 * r + grip_size), mid + a[1], 0),
                (0.7 * r + b[0] * (0.4 * r + grip_size), mid + b[1], 0),
                0.025,
                clay,
            )
    if rng.random() < 0.2:
        attach(t, flower(rng), (0, y * 0.9, 0), 0.8)
    return t


def box(rng: Generator) -> Thing:
    """Make parcels, suitcases, books, bags, cakes or phones."""
    t = Thing()
    half = 0.4 * np.exp(0.6 * rng.standard_normal(3)).clip(0.05, 1)
    at = 0.0
    for _ in range(int(rng.integers(1, 4))):
        t.add_body(
            CUBE if rng.random() < 0.75 else FRUSTUM,
            (0.03 * rng.standard_normal(), at + half[1], 0),
            half,
            random_material(rng),
            rotation(y=0.3 * rng.standard_normal()),
        )
        at += 2 * half[1]
        half = half * rng.uniform(0.5, 1.0, 3) * [1, rng.uniform(0.2, 1), 1]
    if rng.random() < 0.3:
        for x in (-1, 1):
            t.add_limb((x * 0.1, at, 0), (x * 0.06, at + 0.12, 0), 0.015, plain_material(rng))
        t.add_limb((-0.06, at + 0.12, 0), (0.06, at + 0.12, 0), 0.015, plain_material(rng))
    return t
