"""A ball on a lawn and a traffic cone on a gravel path."""

from __future__ import annotations

import math

import numpy as np

import light
import materials
import shapes


def near_first(count, near, far, spread, seed, eye=(0.0, 0.0)):
    """(count, 2) ground points in a wedge along +y, as dense in the picture far as near."""
    rng = np.random.default_rng(seed)
    y = near * (far / near) ** rng.uniform(0, 1, count)
    x = rng.uniform(-1, 1, count) * spread * y
    return np.stack([x + eye[0], y + eye[1]], 1)


def ball():
    light.sky(36, 238, sun=5.0, clouds=0.5, warmth=0.3)
    light.camera((0, -1.55, 0.44), (-0.10, 0.3, 0.17), lens=40, fstop=5.6, focus=(0.1, 0, 0.1))
    green = [(0.05, 0.11, 0.015), (0.09, 0.17, 0.025), (0.14, 0.21, 0.04), (0.10, 0.18, 0.03), (0.30, 0.25, 0.11)]
    grass = materials.foliage("grass", green)
    soil = materials.mineral("soil", [(0.05, 0.045, 0.02), (0.07, 0.06, 0.03)])
    shapes.plane("soil", (60, 60), soil)
    shapes.blades("lawn", near_first(150_000, 0.7, 12, 0.75, 1, (0, -1.55)), 0.05, 0.0042, grass, seed=2)
    daisies()
    boards = materials.wood("fence", (0.10, 0.075, 0.055), (0.24, 0.19, 0.145), "z", rough=0.8, wear=0.8)
    rng = np.random.default_rng(5)
    x = np.arange(-9, 9, 0.152)
    tall = 1.55 + rng.normal(0, 0.012, len(x))
    shapes.boxes(
        "fence",
        np.stack([x, 0 * x + 6.5, tall / 2], 1),
        np.stack([0 * x + 0.14, 0 * x + 0.022, tall], 1),
        boards,
        tilt=0.004,
    )
    shapes.boxes("rails", [(0, 6.56, 0.4), (0, 6.56, 1.2)], (18, 0.05, 0.1), boards)
    leaf = materials.foliage("leaf", [(0.02, 0.05, 0.012), (0.05, 0.10, 0.02), (0.08, 0.13, 0.025)])
    crowns = [(-5.5, 10, 2.6), (-2.6, 11, 2.1), (1.2, 12, 2.3), (4.3, 10.5, 3.4), (7, 11, 2.6)]
    shapes.leaves("trees", shapes.cloud_of(crowns, [(1.9, 1.6, 1.5)] * 5, 60_000, 3), 0.14, leaf)
    shapes.leaves(
        "shrub", shapes.cloud_of([(-2.7, 5.9, 0.35), (-3.5, 5.9, 0.5)], [(0.6, 0.5, 0.5)] * 2, 9_000, 4), 0.07, leaf
    )
    rubber = materials.paint("rubber", (0.45, 0.006, 0.008), rough=0.36, lumps=0.04, lump_size=300, dirt=0.04)
    shell = shapes.ball_faces(6)
    return [shapes.mesh("ball", shell[0] * 0.13, shell[1], rubber, smooth=True, location=(0.12, 0.0, 0.132))]


def daisies():
    rng = np.random.default_rng(11)
    white = materials.paint("petal", (0.75, 0.75, 0.72), rough=0.6)
    yellow = materials.paint("heart", (0.75, 0.45, 0.02), rough=0.7)
    at = np.stack([rng.uniform(-1.6, 1.6, 34), rng.uniform(-0.9, 3.0, 34), rng.uniform(0.045, 0.07, 34)], 1)
    at = at[np.hypot(at[:, 0] - 0.12, at[:, 1]) > 0.3]
    petal = np.array([[0, -0.0008, 0], [0.009, -0.0022, 0.001], [0.011, 0, 0.0015], [0.009, 0.0022, 0.001]])
    wheel = shapes.turns(np.stack([np.zeros(16), np.zeros(16), np.arange(16) * math.pi / 8], 1))
    flower = np.einsum("nij,kj->nki", wheel, petal).reshape(-1, 3)
    faces = np.arange(4) + 4 * np.arange(16)[:, None]
    lean = shapes.turns(rng.normal(0, 0.3, (len(at), 3)))
    shapes.mesh("daisies", *shapes.copies(flower, faces, at, lean), white)
    dot, dot_faces = shapes.ball_faces(2)
    shapes.mesh("hearts", *shapes.copies(dot * (0.0035, 0.0035, 0.002), dot_faces, at, lean), yellow, smooth=True)


def cone():
    light.sky(25, 252, sun=4.6, clouds=0.6, warmth=0.5)
    light.camera((0.1, -2.7, 0.95), (0.22, 0.3, 0.33), lens=38, fstop=5.6, focus=(-0.2, 0, 0.2))
    eye = (0.1, -2.7)
    gravel_path(eye)
    rng = np.random.default_rng(3)
    spots = near_first(120_000, 1.5, 22, 0.8, 6, eye)
    edge = 1.55 + 0.12 * np.sin(spots[:, 1] * 2.1) + rng.normal(0, 0.1, len(spots))
    spots = spots[np.abs(spots[:, 0] - 0.1) > edge]
    green = [(0.05, 0.10, 0.015), (0.09, 0.15, 0.025), (0.13, 0.18, 0.04), (0.26, 0.22, 0.09)]
    shapes.blades("verge", spots, 0.10, 0.007, materials.foliage("grass", green), seed=2)
    shapes.plane(
        "soil",
        (80, 80),
        materials.mineral("field", [(0.07, 0.10, 0.025), (0.10, 0.12, 0.035)]),
        location=(0, 0, -0.02),
    )
    leaf = materials.foliage("leaf", [(0.02, 0.05, 0.012), (0.05, 0.10, 0.02), (0.10, 0.13, 0.025)])
    crowns = [
        (-6.5, 15, 2.4),
        (-3.2, 19, 2.6),
        (3.6, 18, 2.2),
        (6.8, 15, 2.8),
        (0.5, 26, 2.6),
        (-9, 18, 3.5),
        (9.5, 19, 3.5),
    ]
    shapes.leaves("trees", shapes.cloud_of(crowns, [(2.3, 2, 2.3)] * 7, 80_000, 3), 0.17, leaf)
    bark = materials.mineral("bark", [(0.06, 0.045, 0.035), (0.10, 0.08, 0.06)], 0.6, 30, 0.95, 0.02)
    for x, y, _ in crowns[:4]:
        shapes.tube("trunk", [(x, y, 0), (x + 0.1, y, 1.2), (x, y, 2.4)], 0.17, bark, taper=[1.3, 1, 0.9])
    post = materials.wood("post", (0.10, 0.07, 0.05), (0.22, 0.17, 0.13), "z", rough=0.85, wear=0.8)
    rows = [(side + 0.1, y) for side in (-1.95, 1.95) for y in (1.4, 3.6, 5.8, 8.0, 10.2)]
    shapes.boxes("posts", [(x, y, 0.36) for x, y in rows], (0.1, 0.1, 0.75), post, bevel=0.012, tilt=0.02)
    fallen = near_first(220, 1.2, 9, 0.6, 9, eye)
    shapes.leaves(
        "fallen",
        np.column_stack([fallen, np.full(220, 0.016)]),
        0.05,
        materials.foliage("fallen", [(0.30, 0.16, 0.03), (0.18, 0.08, 0.02), (0.36, 0.26, 0.06)]),
        9,
    )
    return cone_parts((-0.28, 0.05, 0.012))


def gravel_path(eye):
    grit = materials.mineral(
        "pebble",
        [(0.20, 0.18, 0.15), (0.36, 0.32, 0.27), (0.27, 0.23, 0.19), (0.45, 0.42, 0.37), (0.17, 0.155, 0.145)],
        0.4,
        260,
        0.8,
        0.0015,
    )
    rng = np.random.default_rng(12)
    spots = near_first(25_000, 1.35, 16, 0.62, 4, eye)
    spots = spots[np.abs(spots[:, 0] - 0.1) < 1.8]
    far = spots[:, 1] - eye[1]
    for name, chosen, fine in (("near", far < 2.6, 3), ("far", far >= 2.6, 2)):
        at = np.column_stack([spots[chosen], rng.uniform(-0.005, 0.004, chosen.sum())])
        shapes.stones(name, at, 0.0125 * (far[chosen] / 1.5) ** 0.55, grit, fine, seed=5)
    shapes.plane(
        "bed",
        (3.7, 50),
        materials.mineral("bed", [(0.20, 0.18, 0.15), (0.26, 0.235, 0.2)], 0.7, 120, 0.9, 0.01),
        location=(0.1, 15, -0.008),
    )


def cone_parts(at):
    def write(n):
        part = n("SeparateXYZ", n.here(), out=2)
        scuff = n.ramp(n.noise(14, 9, 0.7), (0.56, 0.0), (0.72, 0.55))
        band = n.math("MULTIPLY", n.math("GREATER_THAN", part, 0.27), n.math("LESS_THAN", part, 0.42))
        tint = n.mix(band, (0.66, 0.10, 0.012), (0.62, 0.62, 0.60))
        return {
            "Base_Color": n.mix(scuff, tint, (0.10, 0.075, 0.06)),
            "Roughness": 0.45,
            "Normal": n.bump(n.noise(90, 4), 0.12, 0.003),
        }

    plastic = materials.material("plastic", write)
    black = materials.paint("foot", (0.025, 0.025, 0.025), rough=0.7, lumps=0.4, dirt=0.7)
    body = [
        (0.142, 0.03),
        (0.145, 0.034),
        (0.133, 0.05),
        (0.125, 0.06),
        (0.040, 0.60),
        (0.034, 0.612),
        (0.026, 0.612),
        (0.024, 0.59),
    ]
    return shapes.group(
        [
            shapes.lathe("body", body, plastic),
            shapes.boxes("foot", [(0, 0, 0.016)], (0.37, 0.37, 0.034), black, bevel=0.012),
        ],
        at,
        (0.012, -0.02, 0.5),
    )
