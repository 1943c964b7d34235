"""Plants, fruit, signs, houses, and heaps of anything.

Each maker gives a ``Thing`` that stands on y = 0 and looks along +z; sizes are about 1.
"""

from __future__ import annotations

import numpy as np

from models.training.stage.body import CUBE, FRUSTUM, SPHERE, Thing, turned
from models.training.stage.looks import Dice, colour, look, near, plain


def fruit(d: Dice) -> Thing:
    t = Thing()
    skin = look(
        d, str(d.choice(["plain", "noise", "slope", "stripes", "spots"])), gloss=d.uniform(0.1, 0.8)
    )
    r = d.uniform(0.2, 0.45)
    shape = r * np.exp(0.2 * d.standard_normal(3))
    t.put(SPHERE, (0, shape[1], 0), shape, skin)
    if d.random() < 0.3:
        t.put(SPHERE, (0, shape[1] * 1.5, 0), shape * 0.75, skin)
    t.next_part()
    if d.random() < 0.6:
        t.limb((0, shape[1] * 1.9, 0), (0.05, shape[1] * 2.3, 0), 0.02, plain(d))
        if d.random() < 0.4:
            t.put(
                SPHERE,
                (0.12, shape[1] * 2.2, 0),
                (0.12, 0.02, 0.06),
                plain(d, np.array([0.1, 0.25, 0.05])),
            )
    return t


def ball(d: Dice) -> Thing:
    t, r = Thing(), 0.4
    t.put(SPHERE, (0, r, 0), r, look(d, gloss=d.uniform(0, 0.9), size=2 ** d.uniform(0.5, 3)))
    return t


def heap(d: Dice) -> Thing:
    """Several alike: bananas, vegetables, stones, rolls."""
    t, skin, base = Thing(), look(d), d.uniform(0.08, 0.2, 3)
    same = d.random() < 0.7
    for _ in range(int(d.integers(3, 9))):
        t.next_part()
        half = base * np.exp(0.2 * d.standard_normal(3))
        at = d.uniform(-0.3, 0.3), d.uniform(0.05, 0.3), d.uniform(-0.3, 0.3)
        t.put(SPHERE, at, half, skin if same else look(d), turned(*d.uniform(-1, 1, 3)))
    return t


def flower(d: Dice) -> Thing:
    t, leaf = Thing(), plain(d, near(d, np.array([0.1, 0.25, 0.05]), 0.5))
    petal, heart = look(d, str(d.choice(["plain", "slope", "noise"]))), plain(d)
    for _ in range(int(d.integers(1, 4))):
        high, r = d.uniform(0.3, 0.9), d.uniform(0.06, 0.25)
        top = np.array([0.2 * d.standard_normal(), high, 0.2 * d.standard_normal()])
        t.next_part()
        t.limb((0, 0, 0), top, 0.012, leaf)
        t.next_part()
        face = turned(x=d.uniform(0, 1.5), y=d.uniform(-3, 3))
        count = int(d.integers(5, 9))
        for a in np.arange(count) * 2 * np.pi / count:
            way = face @ np.array([np.cos(a), 0.15, np.sin(a)])
            t.put(
                SPHERE,
                top + way * r * 0.6,
                (r * 0.55, r * 0.1, r * 0.3),
                petal,
                face @ turned(y=-a),
            )
        t.put(SPHERE, top, r * d.uniform(0.2, 0.4), heart)
    return t


def tree(d: Dice) -> Thing:
    """Trees, bushes, potted plants."""
    t, bark = Thing(shared=True), look(d, "noise", one=near(d, np.array([0.15, 0.1, 0.06]), 0.4))
    green = np.array([0.08, 0.16, 0.03]) if d.random() < 0.8 else colour(d)
    leaf = look(
        d,
        "leaves",
        one=near(d, green, 0.5),
        size=2 ** d.uniform(2, 4.5),
        grain=d.uniform(0.2, 0.7),
        gloss=0.0,
    )
    leaf[3:6] = near(d, leaf[:3], 0.7)
    trunk = d.uniform(0.02, 0.5)
    t.limb(
        (0, 0, 0), (0.05 * d.standard_normal(), trunk + 0.1, 0), d.uniform(0.02, 0.07), bark, 0.7
    )
    t.next_part()
    if d.random() < 0.25:
        for i in range(3):
            t.put(
                FRUSTUM,
                (0, trunk + 0.15 + 0.22 * i, 0),
                (0.3 - 0.07 * i, 0.2, 0.3 - 0.07 * i),
                leaf,
                top=0.05,
            )
        return t
    crown = d.uniform(0.15, 0.4)
    for _ in range(int(d.integers(4, 12))):
        at = np.array([0, trunk + crown, 0]) + crown * 0.65 * d.standard_normal(3).clip(-1.3, 1.3)
        t.put(SPHERE, at, crown * d.uniform(0.3, 0.7) * np.exp(0.2 * d.standard_normal(3)), leaf)
    return t


def mushroom(d: Dice) -> Thing:
    t, stem, cap = Thing(), plain(d), look(d)
    high, r = d.uniform(0.2, 0.6), d.uniform(0.15, 0.4)
    t.limb((0, 0, 0), (0, high, 0), d.uniform(0.04, 0.12), stem, d.uniform(0.6, 1.2))
    t.next_part()
    t.put(SPHERE, (0, high, 0), (r, r * d.uniform(0.3, 0.9), r), cap)
    return t


def sign(d: Dice) -> Thing:
    """Signs, parking meters, hydrants, clocks."""
    t, post = Thing(), plain(d)
    high, r = d.uniform(0.2, 0.9), d.uniform(0.1, 0.25)
    t.limb((0, 0, 0), (0, high, 0), d.uniform(0.012, 0.08), post)
    t.next_part()
    face, rim = look(d), plain(d)
    kind = d.random()
    if kind < 0.4:
        t.put(FRUSTUM, (0, high, 0.02), (r, 0.015, r), face, turned(x=np.pi / 2))
        t.put(FRUSTUM, (0, high, 0.01), (r * 1.12, 0.012, r * 1.12), rim, turned(x=np.pi / 2))
    elif kind < 0.8:
        t.put(
            CUBE,
            (0, high, 0.02),
            (r * d.uniform(0.6, 1.8), r * d.uniform(0.5, 1.2), 0.015),
            face,
            turned(z=d.choice([0, 0, 0.785])),
        )
    else:
        t.put(SPHERE, (0, high, 0), (r * 0.6, r * 0.8, r * 0.6), face)
        t.put(FRUSTUM, (0, high * 0.4, 0), (r * 0.5, high * 0.4, r * 0.5), rim)
    return t


def house(d: Dice) -> Thing:
    t, front, roof = Thing(), look(d, str(d.choice(["windows", "bricks", "plain"]))), look(d)
    wide, deep, high = d.uniform(0.2, 0.5), d.uniform(0.2, 0.5), d.uniform(0.2, 0.8)
    t.put(CUBE, (0, high / 2, 0), (wide, high / 2, deep), front)
    t.next_part()
    if d.random() < 0.6:
        t.put(
            FRUSTUM,
            (0, high + 0.15, 0),
            (wide * 1.4, 0.16, deep * 1.4),
            roof,
            top=d.uniform(0, 0.4),
        )
    for _ in range(int(d.integers(0, 3))):
        t.next_part()
        t.put(
            CUBE,
            (d.uniform(-0.8, 0.8) * wide, d.uniform(0.1, 0.9) * high, deep),
            (0.06, 0.08, 0.015),
            look(d),
        )
    return t


def umbrella(d: Dice) -> Thing:
    t, cloth = Thing(), look(d)
    high, r = d.uniform(0.5, 0.9), d.uniform(0.3, 0.5)
    t.limb((0, 0, 0), (0, high + 0.05, 0), 0.012, plain(d))
    t.next_part()
    t.put(FRUSTUM, (0, high, 0), (r, d.uniform(0.06, 0.15), r), cloth, top=0.08)
    return t


def construct(d: Dice) -> Thing:
    """Anything: bodies on bodies, some twice, by symmetry."""
    t, looks = Thing(shared=d.random() < 0.3), [look(d) for _ in range(int(d.integers(1, 5)))]
    half = 0.3 * np.exp(0.5 * d.standard_normal(3)).clip(0.15, 1)
    places = [(np.array([0, half[1], 0]), half)]
    t.put(int(d.integers(3)), places[0][0], half, looks[0], top=d.uniform(0.2, 1))
    for _ in range(int(d.integers(0, 9))):
        at, size = places[int(d.integers(len(places)))]
        small = 0.3 * np.exp(0.7 * d.standard_normal(3)).clip(0.05, 1.2) * d.uniform(0.3, 1)
        way = d.standard_normal(3)
        spot = at + way / np.linalg.norm(way) * size * d.uniform(0.7, 1.3)
        spot[1] = max(spot[1], 0.02)
        how, turn, kind = (
            looks[int(d.integers(len(looks)))],
            turned(*d.uniform(-1, 1, 3)),
            int(d.integers(3)),
        )
        top = d.uniform(0.1, 1)
        if d.random() < 0.7:
            t.next_part()
        t.put(kind, spot, small, how, turn, top)
        places.append((spot, small))
        if d.random() < 0.4:
            mirror = np.diag([-1.0, 1, 1])
            t.put(kind, mirror @ spot, small, how, mirror @ turn @ mirror, top)
    return t


def cloud(d: Dice) -> Thing:
    """Many of one surface: stones, dough, cloth, coral, a bush."""
    t, skin = Thing(shared=True), look(d)
    for _ in range(int(d.integers(3, 14))):
        at = d.standard_normal(3) * [0.3, 0.2, 0.3]
        t.put(
            int(d.choice([SPHERE, SPHERE, CUBE])),
            at + [0, 0.3, 0],
            d.uniform(0.08, 0.3) * np.exp(0.3 * d.standard_normal(3)),
            skin,
            turned(*d.uniform(-1, 1, 3)),
        )
    return t
