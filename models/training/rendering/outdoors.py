"""Plants, fruit, signs, houses, and random constructs.

Each function makes a random ``Thing`` that stands on y = 0 and faces +z; sizes are about 1.
"""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from models.training.rendering.materials import (
    plain_material,
    random_colour,
    random_material,
    similar_colour,
)
from models.training.rendering.thing import CUBE, FRUSTUM, SPHERE, Thing, rotation


def fruit(rng: Generator) -> Thing:
    t = Thing()
    skin = random_material(
        rng,
        str(rng.choice(["plain", "noise", "slope", "stripes", "spots"])),
        gloss=rng.uniform(0.1, 0.8),
    )
    r = rng.uniform(0.2, 0.45)
    shape = r * np.exp(0.2 * rng.standard_normal(3))
    t.add_body(SPHERE, (0, shape[1], 0), shape, skin)
    if rng.random() < 0.3:
        t.add_body(SPHERE, (0, shape[1] * 1.5, 0), shape * 0.75, skin)
    if rng.random() < 0.6:
        t.add_limb((0, shape[1] * 1.9, 0), (0.05, shape[1] * 2.3, 0), 0.02, plain_material(rng))
        if rng.random() < 0.4:
            t.add_body(
                SPHERE,
                (0.12, shape[1] * 2.2, 0),
                (0.12, 0.02, 0.06),
                plain_material(rng, np.array([0.1, 0.25, 0.05])),
            )
    return t


def ball(rng: Generator) -> Thing:
    t, r = Thing(), 0.4
    t.add_body(
        SPHERE,
        (0, r, 0),
        r,
        random_material(rng, gloss=rng.uniform(0, 0.9), size=2 ** rng.uniform(0.5, 3)),
    )
    return t


def heap(rng: Generator) -> Thing:
    """Make several of a kind: bananas, vegetables, stones, rolls."""
    t, skin, base = Thing(), random_material(rng), rng.uniform(0.08, 0.2, 3)
    same_material = rng.random() < 0.7
    for _ in range(int(rng.integers(3, 9))):
        half = base * np.exp(0.2 * rng.standard_normal(3))
        at = rng.uniform(-0.3, 0.3), rng.uniform(0.05, 0.3), rng.uniform(-0.3, 0.3)
        t.add_body(
            SPHERE,
            at,
            half,
            skin if same_material else random_material(rng),
            rotation(*rng.uniform(-1, 1, 3)),
        )
    return t


def flower(rng: Generator) -> Thing:
    t, leaf = Thing(), plain_material(rng, similar_colour(rng, np.array([0.1, 0.25, 0.05]), 0.5))
    petal, heart = (
        random_material(rng, str(rng.choice(["plain", "slope", "noise"]))),
        plain_material(rng),
    )
    for _ in range(int(rng.integers(1, 4))):
        height, r = rng.uniform(0.3, 0.9), rng.uniform(0.06, 0.25)
        top = np.array([0.2 * rng.standard_normal(), height, 0.2 * rng.standard_normal()])
        t.add_limb((0, 0, 0), top, 0.012, leaf)
        face = rotation(x=rng.uniform(0, 1.5), y=rng.uniform(-3, 3))
        count = int(rng.integers(5, 9))
        for a in np.arange(count) * 2 * np.pi / count:
            direction = face @ np.array([np.cos(a), 0.15, np.sin(a)])
            t.add_body(
                SPHERE,
                top + direction * r * 0.6,
                (r * 0.55, r * 0.1, r * 0.3),
                petal,
                face @ rotation(y=-a),
            )
        t.add_body(SPHERE, top, r * rng.uniform(0.2, 0.4), heart)
    return t


def tree(rng: Generator) -> Thing:
    """Make a tree, bush or potted plant."""
    t, bark = (
        Thing(shared_texture=True),
        random_material(rng, "noise", base=similar_colour(rng, np.array([0.15, 0.1, 0.06]), 0.4)),
    )
    green = np.array([0.08, 0.16, 0.03]) if rng.random() < 0.8 else random_colour(rng)
    leaf = random_material(
        rng,
        "leaves",
        base=similar_colour(rng, green, 0.5),
        size=2 ** rng.uniform(2, 4.5),
        grain=rng.uniform(0.2, 0.7),
        gloss=0.0,
    )
    leaf[3:6] = similar_colour(rng, leaf[:3], 0.7)
    trunk = rng.uniform(0.02, 0.5)
    t.add_limb(
        (0, 0, 0),
        (0.05 * rng.standard_normal(), trunk + 0.1, 0),
        rng.uniform(0.02, 0.07),
        bark,
        0.7,
    )
    if rng.random() < 0.25:
        for i in range(3):
            t.add_body(
                FRUSTUM,
                (0, trunk + 0.15 + 0.22 * i, 0),
                (0.3 - 0.07 * i, 0.2, 0.3 - 0.07 * i),
                leaf,
                top=0.05,
            )
        return t
    crown = rng.uniform(0.15, 0.4)
    for _ in range(int(rng.integers(4, 12))):
        at = np.array([0, trunk + crown, 0]) + crown * 0.65 * rng.standard_normal(3).clip(-1.3, 1.3)
        t.add_body(
            SPHERE, at, crown * rng.uniform(0.3, 0.7) * np.exp(0.2 * rng.standard_normal(3)), leaf
        )
    return t


def mushroom(rng: Generator) -> Thing:
    t, stem, cap = Thing(), plain_material(rng), random_material(rng)
    height, r = rng.uniform(0.2, 0.6), rng.uniform(0.15, 0.4)
    t.add_limb((0, 0, 0), (0, height, 0), rng.uniform(0.04, 0.12), stem, rng.uniform(0.6, 1.2))
    t.add_body(SPHERE, (0, height, 0), (r, r * rng.uniform(0.3, 0.9), r), cap)
    return t


def sign(rng: Generator) -> Thing:
    """Make a sign, parking meter, hydrant or clock."""
    t, post = Thing(), plain_material(rng)
    height, r = rng.uniform(0.2, 0.9), rng.uniform(0.1, 0.25)
    t.add_limb((0, 0, 0), (0, height, 0), rng.uniform(0.012, 0.08), post)
    face, rim = random_material(rng), plain_material(rng)
    kind = rng.random()
    if kind < 0.4:
        t.add_body(FRUSTUM, (0, height, 0.02), (r, 0.015, r), face, rotation(x=np.pi / 2))
        t.add_body(
            FRUSTUM, (0, height, 0.01), (r * 1.12, 0.012, r * 1.12), rim, rotation(x=np.pi / 2)
        )
    elif kind < 0.8:
        t.add_body(
            CUBE,
            (0, height, 0.02),
            (r * rng.uniform(0.6, 1.8), r * rng.uniform(0.5, 1.2), 0.015),
            face,
            rotation(z=rng.choice([0, 0, 0.785])),
        )
    else:
        t.add_body(SPHERE, (0, height, 0), (r * 0.6, r * 0.8, r * 0.6), face)
        t.add_body(FRUSTUM, (0, height * 0.4, 0), (r * 0.5, height * 0.4, r * 0.5), rim)
    return t


def house(rng: Generator) -> Thing:
    t, front, roof = (
        Thing(),
        random_material(rng, str(rng.choice(["windows", "bricks", "plain"]))),
        random_material(rng),
    )
    width, depth, height = rng.uniform(0.2, 0.5), rng.uniform(0.2, 0.5), rng.uniform(0.2, 0.8)
    t.add_body(CUBE, (0, height / 2, 0), (width, height / 2, depth), front)
    if rng.random() < 0.6:
        t.add_body(
            FRUSTUM,
            (0, height + 0.15, 0),
            (width * 1.4, 0.16, depth * 1.4),
            roof,
            top=rng.uniform(0, 0.4),
        )
    for _ in range(int(rng.integers(0, 3))):
        t.add_body(
            CUBE,
            (rng.uniform(-0.8, 0.8) * width, rng.uniform(0.1, 0.9) * height, depth),
            (0.06, 0.08, 0.015),
            random_material(rng),
        )
    return t


def umbrella(rng: Generator) -> Thing:
    t, cloth = Thing(), random_material(rng)
    height, r = rng.uniform(0.5, 0.9), rng.uniform(0.3, 0.5)
    t.add_limb((0, 0, 0), (0, height + 0.05, 0), 0.012, plain_material(rng))
    t.add_body(FRUSTUM, (0, height, 0), (r, rng.uniform(0.06, 0.15), r), cloth, top=0.08)
    return t


def construct(rng: Generator) -> Thing:
    """Make a random construct: bodies on bodies, some mirrored."""
    t, materials = (
        Thing(shared_texture=rng.random() < 0.3),
        [random_material(rng) for _ in range(int(rng.integers(1, 5)))],
    )
    base_size = 0.3 * np.exp(0.5 * rng.standard_normal(3)).clip(0.15, 1)
    places = [(np.array([0, base_size[1], 0]), base_size)]
    t.add_body(int(rng.integers(3)), places[0][0], base_size, materials[0], top=rng.uniform(0.2, 1))
    for _ in range(int(rng.integers(0, 9))):
        at, size = places[int(rng.integers(len(places)))]
        half_size = 0.3 * np.exp(0.7 * rng.standard_normal(3)).clip(0.05, 1.2) * rng.uniform(0.3, 1)
        direction = rng.standard_normal(3)
        center = at + direction / np.linalg.norm(direction) * size * rng.uniform(0.7, 1.3)
        center[1] = max(center[1], 0.02)
        material, tilt, shape = (
            materials[int(rng.integers(len(materials)))],
            rotation(*rng.uniform(-1, 1, 3)),
            int(rng.integers(3)),
        )
        top = rng.uniform(0.1, 1)
        t.add_body(shape, center, half_size, material, tilt, top)
        places.append((center, half_size))
        if rng.random() < 0.4:
            mirror = np.diag([-1.0, 1, 1])
            t.add_body(shape, mirror @ center, half_size, material, mirror @ tilt @ mirror, top)
    return t


def cloud(rng: Generator) -> Thing:
    """Make a cluster of bodies of one material: stones, dough, cloth, coral, a bush."""
    t, skin = Thing(shared_texture=True), random_material(rng)
    for _ in range(int(rng.integers(3, 14))):
        at = rng.standard_normal(3) * [0.3, 0.2, 0.3]
        t.add_body(
            int(rng.choice([SPHERE, SPHERE, CUBE])),
            at + [0, 0.3, 0],
            rng.uniform(0.08, 0.3) * np.exp(0.3 * rng.standard_normal(3)),
            skin,
            rotation(*rng.uniform(-1, 1, 3)),
        )
    return t
