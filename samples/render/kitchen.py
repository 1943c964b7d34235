"""An orange among oranges on a table."""

from __future__ import annotations

import math

import numpy as np

import light
import materials
import shapes


def oranges():
    """Build the scene; return the objects to remove."""
    light.add_even_light((0.9, 0.95, 1.0), 0.16)
    light.add_camera((0.06, -0.62, 0.27), (0.0, 0.03, 0.035), lens=50, fstop=5.6, focus=(0.02, -0.03, 0.04))
    light.add_lamp((-1.3, 0.35, 1.0), (0, 0, 0), (0.9, 1.1), 22, (1.0, 0.96, 0.9))
    light.add_lamp((1.6, -1.2, 1.2), (0, 0, 0), (1.5, 1.5), 6, (0.8, 0.9, 1.0))
    walnut = materials.wood(
        "walnut", (0.09, 0.042, 0.018), (0.24, 0.125, 0.058), "x", rough=0.42, grain=2.2, wear=0.6, coat=0.1
    )
    shapes.add_boxes(
        "table", [(0, y, -0.02) for y in np.arange(-0.7, 0.62, 0.118)], (2.4, 0.1165, 0.04), walnut, bevel=0.0015
    )
    add_kitchen_wall()
    bowl = materials.paint("glaze", (0.16, 0.26, 0.32), rough=0.22, lumps=0.06, lump_size=40, dirt=0.3, coat=0.5)
    shapes.add_lathe(
        "bowl",
        [
            (0, 0.008),
            (0.045, 0.008),
            (0.05, 0),
            (0.056, 0.004),
            (0.058, 0.012),
            (0.1, 0.04),
            (0.128, 0.085),
            (0.132, 0.09),
            (0.129, 0.0925),
            (0.124, 0.088),
            (0.095, 0.046),
            (0, 0.018),
        ],
        bowl,
        subdivide=1,
        location=(-0.2, 0.27, 0),
    )
    peel_material, stalk_material = (
        make_peel_material(),
        materials.paint("stalk", (0.10, 0.12, 0.03), rough=0.8, lumps=0.4),
    )
    for i, location in enumerate(
        [(-0.255, 0.25, 0.085), (-0.165, 0.235, 0.082), (-0.2, 0.315, 0.088), (-0.2, 0.265, 0.137)]
    ):
        orange(peel_material, stalk_material, location, 20 + i)
    for i, location in enumerate(
        [
            (-0.175, 0.02, 0.036),
            (-0.115, -0.062, 0.036),
            (0.16, 0.075, 0.037),
            (0.235, 0.02, 0.036),
            (0.075, 0.125, 0.036),
        ]
    ):
        orange(peel_material, stalk_material, location, 30 + i)
    green = materials.foliage("leaf", [(0.03, 0.09, 0.02), (0.05, 0.12, 0.025)], shine=0.3)
    leaf((-0.03, 0.1, 0.004), 0.4, green)
    leaf((0.205, -0.055, 0.004), 2.2, green)
    return orange(peel_material, stalk_material, (0.035, -0.035, 0.0385), 41, 1.06)


def add_kitchen_wall():
    glaze = materials.paint("tile", (0.66, 0.66, 0.62), rough=0.2, lumps=0.12, lump_size=12, dirt=0.25, coat=0.4)
    grout = materials.mineral("grout", [(0.40, 0.39, 0.36)], 0.2, 200)
    rows = [(x + 0.076 * (j % 2), 0.9, 0.0375 + 0.077 * j) for j in range(-2, 14) for x in np.arange(-1.6, 1.6, 0.152)]
    shapes.add_boxes("tiles", rows, (0.15, 0.012, 0.075), glaze, bevel=0.002, tilt=0.006)
    shapes.add_boxes("grout", [(0, 0.905, 0.4)], (4, 0.012, 2), grout)
    jar = materials.paint("jar", (0.30, 0.14, 0.09), rough=0.5, lumps=0.3, lump_size=30, dirt=0.5)
    shapes.add_lathe(
        "jar",
        [
            (0, 0),
            (0.06, 0),
            (0.075, 0.02),
            (0.085, 0.09),
            (0.07, 0.16),
            (0.05, 0.185),
            (0.055, 0.2),
            (0.048, 0.2),
            (0.04, 0.18),
        ],
        jar,
        location=(0.34, 0.55, 0),
        subdivide=1,
    )


def make_peel_material():
    def shader(n):
        coordinates = n.piece_coordinates()
        pores = n("TexVoronoi", Vector=coordinates, Scale=420.0, feature="SMOOTH_F1")
        tint = n.ramp(n.noise(26, 5, 0.6, coordinates), (0.3, (0.60, 0.165, 0.008)), (0.7, (0.74, 0.265, 0.016)))
        points = n.ramp(n.noise(90, 3, 0.6, coordinates), (0.66, 0.0), (0.76, 0.35))
        return {
            "Base_Color": n.mix(points, tint, (0.34, 0.13, 0.02)),
            "Roughness": 0.36,
            "Normal": n.bump(n.noise(30, 4, 0.6, coordinates), 0.25, 0.003, n.bump(pores, 0.55, 0.0012)),
            "Coat_Weight": 0.15,
            "Coat_Roughness": 0.25,
        }

    return materials.make_material("peel", shader)


def orange(peel_material, stalk_material, location, seed, size=1.0):
    """Add an orange, not quite round, at a random rotation; return its objects."""
    rng = np.random.default_rng(seed)
    verts, faces = shapes.icosphere(6)
    profile = 1 - 0.05 * np.exp(-((1 - verts[:, 2]) / 0.02)) - 0.02 * np.exp(-((1 + verts[:, 2]) / 0.02))
    waves = np.sin(verts @ rng.normal(0, 1.3, (3, 5)) + rng.uniform(0, 6, 5)).sum(1)
    shape = verts * (profile * (1 + 0.006 * waves))[:, None] * (1, 1, 0.95) * 0.0385 * size
    rotation = (rng.normal(0, 0.5), rng.normal(0, 0.5), rng.uniform(0, 6))
    fruit = shapes.add_mesh("orange", shape, faces, peel_material, smooth=True)
    points = np.arange(10) * math.pi / 5
    star = (
        np.stack([np.cos(points), np.sin(points), 0 * points], 1) * np.where(np.arange(10) % 2, 0.0024, 0.0045)[:, None]
    )
    stalk_points = np.concatenate([star + (0, 0, 0.0349), [(0, 0, 0.0362)]]) * (1, 1, size)
    stalk_faces = [[i, (i + 1) % 10, 10] for i in range(10)]
    return shapes.group(
        [fruit, shapes.add_mesh("stalk", stalk_points, stalk_faces, stalk_material)], location, rotation
    )


def leaf(location, angle, green):
    t = np.linspace(0, 1, 9)
    half_width = 0.016 * np.sin(np.pi * t) ** 0.8
    rows = [
        np.stack([t * 0.075, sign * half_width, 0.012 * np.sin(np.pi * t) + abs(sign) * 0.006], 1)
        for sign in (-1, 0, 1)
    ]
    faces = [[9 * r + i, 9 * r + i + 1, 9 * r + i + 10, 9 * r + i + 9] for r in (0, 1) for i in range(8)]
    shapes.add_mesh(
        "leaf",
        np.concatenate(rows),
        faces,
        green,
        smooth=True,
        subdivide=1,
        location=location,
        rotation=(0.1, 0, angle),
    )
