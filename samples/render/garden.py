"""A ball on a lawn and a traffic cone on a gravel path."""

from __future__ import annotations

import math

import numpy as np

import light
import materials
import shapes


def perspective_points(count, min_distance, max_distance, spread, seed, eye=(0.0, 0.0)):
    """Return (count, 2) random ground points in a wedge along +y, equally dense at all distances in the picture."""
    rng = np.random.default_rng(seed)
    y = min_distance * (max_distance / min_distance) ** rng.uniform(0, 1, count)
    x = rng.uniform(-1, 1, count) * spread * y
    return np.stack([x + eye[0], y + eye[1]], 1)


def ball():
    """Build the ball's scene; return the objects to remove."""
    light.add_sky(36, 238, sun=5.0, clouds=0.5, warmth=0.3)
    light.add_camera((0, -1.55, 0.44), (-0.10, 0.3, 0.17), lens=40, fstop=5.6, focus=(0.1, 0, 0.1))
    green = [(0.05, 0.11, 0.015), (0.09, 0.17, 0.025), (0.14, 0.21, 0.04), (0.10, 0.18, 0.03), (0.30, 0.25, 0.11)]
    grass = materials.foliage("grass", green)
    soil = materials.mineral("soil", [(0.05, 0.045, 0.02), (0.07, 0.06, 0.03)])
    shapes.add_plane("soil", (60, 60), soil)
    shapes.add_blades("lawn", perspective_points(150_000, 0.7, 12, 0.75, 1, (0, -1.55)), 0.05, 0.0042, grass, seed=2)
    add_daisies()
    boards = materials.wood("fence", (0.10, 0.075, 0.055), (0.24, 0.19, 0.145), "z", rough=0.8, wear=0.8)
    rng = np.random.default_rng(5)
    x = np.arange(-9, 9, 0.152)
    heights = 1.55 + rng.normal(0, 0.012, len(x))
    shapes.add_boxes(
        "fence",
        np.stack([x, 0 * x + 6.5, heights / 2], 1),
        np.stack([0 * x + 0.14, 0 * x + 0.022, heights], 1),
        boards,
        tilt=0.004,
    )
    shapes.add_boxes("rails", [(0, 6.56, 0.4), (0, 6.56, 1.2)], (18, 0.05, 0.1), boards)
    leaf = materials.foliage("leaf", [(0.02, 0.05, 0.012), (0.05, 0.10, 0.02), (0.08, 0.13, 0.025)])
    crowns = [(-5.5, 10, 2.6), (-2.6, 11, 2.1), (1.2, 12, 2.3), (4.3, 10.5, 3.4), (7, 11, 2.6)]
    shapes.add_leaves("trees", shapes.ellipsoid_points(crowns, [(1.9, 1.6, 1.5)] * 5, 60_000, 3), 0.14, leaf)
    shapes.add_leaves(
        "shrub",
        shapes.ellipsoid_points([(-2.7, 5.9, 0.35), (-3.5, 5.9, 0.5)], [(0.6, 0.5, 0.5)] * 2, 9_000, 4),
        0.07,
        leaf,
    )
    rubber = materials.paint("rubber", (0.45, 0.006, 0.008), rough=0.36, lumps=0.04, lump_size=300, dirt=0.04)
    sphere = shapes.icosphere(6)
    return [shapes.add_mesh("ball", sphere[0] * 0.13, sphere[1], rubber, smooth=True, location=(0.12, 0.0, 0.132))]


def add_daisies():
    rng = np.random.default_rng(11)
    white = materials.paint("petal", (0.75, 0.75, 0.72), rough=0.6)
    yellow = materials.paint("heart", (0.75, 0.45, 0.02), rough=0.7)
    centers = np.stack([rng.uniform(-1.6, 1.6, 34), rng.uniform(-0.9, 3.0, 34), rng.uniform(0.045, 0.07, 34)], 1)
    centers = centers[np.hypot(centers[:, 0] - 0.12, centers[:, 1]) > 0.3]
    petal = np.array([[0, -0.0008, 0], [0.009, -0.0022, 0.001], [0.011, 0, 0.0015], [0.009, 0.0022, 0.001]])
    rotations = shapes.rotations(np.stack([np.zeros(16), np.zeros(16), np.arange(16) * math.pi / 8], 1))
    flower = np.einsum("nij,kj->nki", rotations, petal).reshape(-1, 3)
    faces = np.arange(4) + 4 * np.arange(16)[:, None]
    rotations_ = shapes.rotations(rng.normal(0, 0.3, (len(centers), 3)))
    shapes.add_mesh("daisies", *shapes.repeat_mesh(flower, faces, centers, rotations_), white)
    sphere, sphere_faces = shapes.icosphere(2)
    shapes.add_mesh(
        "hearts",
        *shapes.repeat_mesh(sphere * (0.0035, 0.0035, 0.002), sphere_faces, centers, rotations_),
        yellow,
        smooth=True,
    )


def cone():
    """Build the cone's scene; return the objects to remove."""
    light.add_sky(25, 252, sun=4.6, clouds=0.6, warmth=0.5)
    light.add_camera((0.1, -2.7, 0.95), (0.22, 0.3, 0.33), lens=38, fstop=5.6, focus=(-0.2, 0, 0.2))
    eye = (0.1, -2.7)
    add_gravel_path(eye)
    rng = np.random.default_rng(3)
    points = perspective_points(120_000, 1.5, 22, 0.8, 6, eye)
    path_edge = 1.55 + 0.12 * np.sin(points[:, 1] * 2.1) + rng.normal(0, 0.1, len(points))
    points = points[np.abs(points[:, 0] - 0.1) > path_edge]
    green = [(0.05, 0.10, 0.015), (0.09, 0.15, 0.025), (0.13, 0.18, 0.04), (0.26, 0.22, 0.09)]
    shapes.add_blades("verge", points, 0.10, 0.007, materials.foliage("grass", green), seed=2)
    shapes.add_plane(
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
    shapes.add_leaves("trees", shapes.ellipsoid_points(crowns, [(2.3, 2, 2.3)] * 7, 80_000, 3), 0.17, leaf)
    bark = materials.mineral("bark", [(0.06, 0.045, 0.035), (0.10, 0.08, 0.06)], 0.6, 30, 0.95, 0.02)
    for x, y, _ in crowns[:4]:
        shapes.add_tube("trunk", [(x, y, 0), (x + 0.1, y, 1.2), (x, y, 2.4)], 0.17, bark, taper=[1.3, 1, 0.9])
    post = materials.wood("post", (0.10, 0.07, 0.05), (0.22, 0.17, 0.13), "z", rough=0.85, wear=0.8)
    rows = [(side + 0.1, y) for side in (-1.95, 1.95) for y in (1.4, 3.6, 5.8, 8.0, 10.2)]
    shapes.add_boxes("posts", [(x, y, 0.36) for x, y in rows], (0.1, 0.1, 0.75), post, bevel=0.012, tilt=0.02)
    leaf_points = perspective_points(220, 1.2, 9, 0.6, 9, eye)
    shapes.add_leaves(
        "fallen",
        np.column_stack([leaf_points, np.full(220, 0.016)]),
        0.05,
        materials.foliage("fallen", [(0.30, 0.16, 0.03), (0.18, 0.08, 0.02), (0.36, 0.26, 0.06)]),
        9,
    )
    return cone_parts((-0.28, 0.05, 0.012))


def add_gravel_path(eye):
    grit = materials.mineral(
        "pebble",
        [(0.20, 0.18, 0.15), (0.36, 0.32, 0.27), (0.27, 0.23, 0.19), (0.45, 0.42, 0.37), (0.17, 0.155, 0.145)],
        0.4,
        260,
        0.8,
        0.0015,
    )
    rng = np.random.default_rng(12)
    points = perspective_points(25_000, 1.35, 16, 0.62, 4, eye)
    points = points[np.abs(points[:, 0] - 0.1) < 1.8]
    distance = points[:, 1] - eye[1]
    for name, selected, subdivisions in (("near", distance < 2.6, 3), ("far", distance >= 2.6, 2)):
        centers = np.column_stack([points[selected], rng.uniform(-0.005, 0.004, selected.sum())])
        shapes.add_stones(name, centers, 0.0125 * (distance[selected] / 1.5) ** 0.55, grit, subdivisions, seed=5)
    shapes.add_plane(
        "bed",
        (3.7, 50),
        materials.mineral("bed", [(0.20, 0.18, 0.15), (0.26, 0.235, 0.2)], 0.7, 120, 0.9, 0.01),
        location=(0.1, 15, -0.008),
    )


def cone_parts(location):
    def shader(n):
        z = n("SeparateXYZ", n.object_coordinates(), out=2)
        scuffs = n.ramp(n.noise(14, 9, 0.7), (0.56, 0.0), (0.72, 0.55))
        stripe = n.math("MULTIPLY", n.math("GREATER_THAN", z, 0.27), n.math("LESS_THAN", z, 0.42))
        tint = n.mix(stripe, (0.66, 0.10, 0.012), (0.62, 0.62, 0.60))
        return {
            "Base_Color": n.mix(scuffs, tint, (0.10, 0.075, 0.06)),
            "Roughness": 0.45,
            "Normal": n.bump(n.noise(90, 4), 0.12, 0.003),
        }

    plastic = materials.make_material("plastic", shader)
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
            shapes.add_lathe("body", body, plastic),
            shapes.add_boxes("foot", [(0, 0, 0.016)], (0.37, 0.37, 0.034), black, bevel=0.012),
        ],
        location,
        (0.012, -0.02, 0.5),
    )
