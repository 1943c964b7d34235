"""A sailing boat on a lake."""

from __future__ import annotations

import math

import numpy as np

import light
import materials
import shapes


def boat():
    """Build the scene; return the objects to remove."""
    light.add_sky(24, 236, sun=3.6, clouds=0.75, warmth=0.45, haze=2.0)
    light.add_camera((0, -27, 2.6), (-1.2, 0, 2.9), lens=46, fstop=8, focus=(0, 0, 2))
    shapes.add_plane("lake", (3000, 3000), water_material(), location=(0, 1300, 0))
    add_ridge(260, 30, 0.0075, (0.045, 0.065, 0.018), 0.08, 1)
    add_ridge(620, 98, 0.0042, (0.05, 0.07, 0.03), 0.30, 2)
    add_ridge(1300, 215, 0.0026, (0.06, 0.08, 0.05), 0.58, 3)
    reeds = np.random.default_rng(5).normal((-7.2, -8.5), (1.3, 0.8), (900, 2))
    shapes.add_blades(
        "reeds",
        reeds,
        1.15,
        0.022,
        materials.foliage("reed", [(0.08, 0.11, 0.03), (0.16, 0.16, 0.06), (0.26, 0.2, 0.1)]),
        5,
    )
    return shapes.group(boat_parts(), (1.6, 0, 0), (math.radians(-4), 0, math.radians(22)))


def water_material():
    def shader(n):
        distance = n("CameraData", out="View Distance")
        calm = n.math("DIVIDE", 14.0, n.math("ADD", distance, 14.0))
        ripple = n.noise(1.1, 6, 0.6, stretch=(0.55, 1.3, 1))
        swell = n.noise(0.22, 3, 0.5, stretch=(0.5, 1.4, 1), distortion=0.4)
        gust = n.ramp(n.noise(0.035, 4, 0.6, stretch=(0.4, 1.5, 1)), (0.4, 0.35), (0.62, 1.0))
        height = n.math("ADD", n.math("MULTIPLY", ripple, n.math("MULTIPLY", gust, calm)), swell)
        return {
            "Base_Color": (0.012, 0.028, 0.028),
            "Roughness": n.math("MULTIPLY_ADD", calm, -0.12, 0.14),
            "IOR": 1.333,
            "Normal": n.bump(height, 0.8, 0.16),
        }

    return materials.make_material("water", shader)


def add_ridge(distance, height, crown_ratio, colour, haze, seed):
    """Add a wooded ridge across the view, paler with distance; ``crown_ratio`` is a tree's radius / distance."""
    rng = np.random.default_rng(seed)
    waves = [(rng.uniform(0.5, 1.6) * 2**k, rng.uniform(0, 6), 0.55**k) for k in range(6)]
    width, depth = distance * 1.2, distance * 0.4

    def heights(x, y):
        slope = np.clip(y / depth + 0.5, 0, 1)
        ridge = sum(a * np.sin(f * (x / distance * 4 + 0.4 * np.sin(y / distance * 9)) + p) for f, p, a in waves)
        return height * slope**0.7 * np.clip(0.55 + 0.2 * ridge, 0.06, 2) - 0.3

    def shader(n):
        grain = n.noise(1.2 / (distance * crown_ratio), 7, 0.75)
        tone = n.math("ADD", n.math("MULTIPLY", n.random_per_piece(), 0.45), n.math("MULTIPLY", grain, 0.6))
        tint = n.ramp(tone, (0.2, tuple(c * 0.4 for c in colour)), (0.85, tuple(c * 1.7 for c in colour)))
        bumps = n.bump(grain, 1.0, distance * crown_ratio * 0.8)
        wood = n("BsdfPrincipled", Base_Color=tint, Roughness=0.95, Specular_IOR_Level=0.1, Normal=bumps)
        return n("MixShader", haze, wood, n("Emission", (0.42, 0.50, 0.62), 0.9))

    trees = materials.make_material("trees", shader)
    shapes.add_plane("ridge", (width, depth), trees, cells=160, heights=heights, location=(0, distance, 0))
    x, y = rng.uniform(-0.5, 0.5, (2, int(0.3 / crown_ratio**2))) * [[width], [depth]]
    crowns = np.column_stack([x, y + distance, heights(x, y) + distance * crown_ratio * 0.3])
    shapes.add_stones("crowns", crowns, distance * crown_ratio, trees, 2, seed, thickness=(0.8, 1.4))


def boat_parts():
    """Return a small sloop along x: bow at +x, water at z = 0."""
    white = materials.paint("gelcoat", (0.70, 0.70, 0.67), rough=0.25, lumps=0.0, dirt=0.15, coat=0.5)
    navy = materials.paint("navy", (0.012, 0.03, 0.09), rough=0.25, lumps=0.0, dirt=0.1, coat=0.5)
    metal = materials.paint("spar", (0.55, 0.55, 0.54), rough=0.35, metal=1.0)
    teak = materials.wood("teak", (0.16, 0.085, 0.04), (0.30, 0.18, 0.095), "x", rough=0.6, grain=0.8)
    parts = hull(navy, teak)
    parts.append(shapes.add_boxes("cabin", [(0.55, 0, 0.86)], (1.7, 1.0, 0.36), white, bevel=0.09))
    parts.append(shapes.add_boxes("lights", [(0.55, -0.502, 0.9)], (0.9, 0.012, 0.11), navy, bevel=0.004))
    parts.append(
        shapes.add_tube("mast", [(0.75, 0, 0.6), (0.72, 0, 4), (0.62, 0, 7.9)], 0.05, metal, taper=[1, 1, 0.7])
    )
    parts.append(shapes.add_tube("boom", [(0.72, 0, 1.55), (-1.95, 0.55, 1.5)], 0.036, metal))
    wires = [
        ((3.0, 0, 0.95), (0.64, 0, 7.3)),
        ((-2.6, 0, 0.6), (0.62, 0, 7.85)),
        ((0.6, -0.98, 0.7), (0.66, 0, 6.2)),
        ((0.6, 0.98, 0.7), (0.66, 0, 6.2)),
    ]
    parts += [shapes.add_tube("stay", wire, 0.008, metal) for wire in wires]
    cloth = sailcloth_material()
    parts.append(sail("main", (0.66, 0, 1.68), (0.60, 0, 7.75), (-1.9, 0.53, 1.6), 0.34, cloth))
    parts.append(sail("jib", (2.9, 0, 1.1), (0.72, 0, 7.0), (0.35, 0.62, 1.35), 0.30, cloth))
    return parts


def hull(paint, teak):
    u, v = np.linspace(0, 1, 40), np.linspace(-1, 1, 21)
    verts = []
    for t in u:
        beam = 1.0 * math.sin(math.pi * (0.30 + 0.70 * t)) ** 0.75 if t < 1 else 0.0
        sheer, keel = 0.62 + 0.36 * t**2, -0.45 * (1 - t**5)
        for across in v:
            z = sheer - (sheer - keel) * (1 - abs(across) ** 2.6)
            verts.append((-2.7 + 5.4 * t + 0.28 * t * (z / 0.6), beam * math.copysign(abs(across) ** 0.7, across), z))
    faces = [[21 * i + j, 21 * i + j + 1, 21 * i + j + 22, 21 * i + j + 21] for i in range(39) for j in range(20)]
    faces += [[j, 20 - j, 19 - j, j + 1] for j in range(9)]
    deck = [
        p
        for i in range(40)
        for p in (np.array(verts[21 * i]) - (0, 0, 0.03), np.array(verts[21 * i + 20]) - (0, 0, 0.03))
    ]
    planks = [[2 * i, 2 * i + 1, 2 * i + 3, 2 * i + 2] for i in range(39)]
    rail = [[tuple(verts[21 * i + k]) for i in range(0, 40, 3)] for k in (0, 20)]
    return [
        shapes.add_mesh("hull", verts, faces, paint, smooth=True),
        shapes.add_mesh("deck", deck, planks, teak),
        *(shapes.add_tube("rail", r, 0.022, teak) for r in rail),
    ]


def sailcloth_material():
    def shader(n):
        z = n("SeparateXYZ", n.object_coordinates(), out=2)
        seam = n.math("PINGPONG", z, 0.42)
        line = n.ramp(seam, (0.0, 0.8), (0.035, 1.0))
        cloth = n.mix(1.0, (0.80, 0.79, 0.74), line, "MULTIPLY")
        front = n("BsdfPrincipled", Base_Color=cloth, Roughness=0.7, Normal=n.bump(n.noise(1.6, 4), 0.5, 0.06))
        return n("MixShader", 0.4, front, n("BsdfTranslucent", cloth))

    return materials.make_material("sailcloth", shader)


def sail(name, tack, top, clew, belly, cloth):
    """Return a triangular sail, filled by wind towards +y."""
    tack, top, clew = (np.array(p, float) for p in (tack, top, clew))
    verts = []
    for height_ in np.linspace(0, 1, 24):
        for outward in np.linspace(0, 1, 16):
            chord = (1 - height_) ** 0.9 + 0.03 * math.sin(math.pi * height_)
            point = tack + (top - tack) * height_ + (clew - tack) * outward * chord
            bulge = belly * math.sin(math.pi * min(1, outward**0.75)) * chord
            verts.append(
                point
                + (
                    0,
                    bulge + 0.5 * outward * height_ * (1 - height_),
                    -0.05 * math.sin(math.pi * outward) * (1 - height_),
                )
            )
    faces = [[16 * i + j, 16 * i + j + 1, 16 * i + j + 17, 16 * i + j + 16] for i in range(23) for j in range(15)]
    return shapes.add_mesh(name, verts, faces, cloth, smooth=True)
