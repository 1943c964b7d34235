"""A sailing boat on a lake."""

from __future__ import annotations

import math

import numpy as np

import light
import materials
import shapes


def boat():
    light.sky(24, 236, sun=3.6, clouds=0.75, warmth=0.45, haze=2.0)
    light.camera((0, -27, 2.6), (-1.2, 0, 2.9), lens=46, fstop=8, focus=(0, 0, 2))
    shapes.plane("lake", (3000, 3000), lake_water(), location=(0, 1300, 0))
    shore(260, 30, 0.0075, (0.045, 0.065, 0.018), 0.08, 1)
    shore(620, 98, 0.0042, (0.05, 0.07, 0.03), 0.30, 2)
    shore(1300, 215, 0.0026, (0.06, 0.08, 0.05), 0.58, 3)
    reeds = np.random.default_rng(5).normal((-7.2, -8.5), (1.3, 0.8), (900, 2))
    shapes.blades(
        "reeds",
        reeds,
        1.15,
        0.022,
        materials.foliage("reed", [(0.08, 0.11, 0.03), (0.16, 0.16, 0.06), (0.26, 0.2, 0.1)]),
        5,
    )
    return shapes.group(boat_parts(), (1.6, 0, 0), (math.radians(-4), 0, math.radians(22)))


def lake_water():
    def write(n):
        far = n("CameraData", out="View Distance")
        calm = n.math("DIVIDE", 14.0, n.math("ADD", far, 14.0))
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

    return materials.material("water", write)


def shore(far, tall, crown, colour, haze, seed):
    """A wooded ridge across the view, paler the farther away; ``crown`` is a tree's radius / far."""
    rng = np.random.default_rng(seed)
    waves = [(rng.uniform(0.5, 1.6) * 2**k, rng.uniform(0, 6), 0.55**k) for k in range(6)]
    wide, deep = far * 1.2, far * 0.4

    def heights(x, y):
        slope = np.clip(y / deep + 0.5, 0, 1)
        ridge = sum(a * np.sin(f * (x / far * 4 + 0.4 * np.sin(y / far * 9)) + p) for f, p, a in waves)
        return tall * slope**0.7 * np.clip(0.55 + 0.2 * ridge, 0.06, 2) - 0.3

    def write(n):
        grain = n.noise(1.2 / (far * crown), 7, 0.75)
        tone = n.math("ADD", n.math("MULTIPLY", n.island(), 0.45), n.math("MULTIPLY", grain, 0.6))
        tint = n.ramp(tone, (0.2, tuple(c * 0.4 for c in colour)), (0.85, tuple(c * 1.7 for c in colour)))
        bumps = n.bump(grain, 1.0, far * crown * 0.8)
        wood = n("BsdfPrincipled", Base_Color=tint, Roughness=0.95, Specular_IOR_Level=0.1, Normal=bumps)
        return n("MixShader", haze, wood, n("Emission", (0.42, 0.50, 0.62), 0.9))

    trees = materials.material("trees", write)
    shapes.plane("ridge", (wide, deep), trees, cells=160, heights=heights, location=(0, far, 0))
    x, y = rng.uniform(-0.5, 0.5, (2, int(0.3 / crown**2))) * [[wide], [deep]]
    crowns = np.column_stack([x, y + far, heights(x, y) + far * crown * 0.3])
    shapes.stones("crowns", crowns, far * crown, trees, 2, seed, thick=(0.8, 1.4))


def boat_parts():
    """A small sloop along x, bow at +x, water at z = 0."""
    white = materials.paint("gelcoat", (0.70, 0.70, 0.67), rough=0.25, lumps=0.0, dirt=0.15, coat=0.5)
    navy = materials.paint("navy", (0.012, 0.03, 0.09), rough=0.25, lumps=0.0, dirt=0.1, coat=0.5)
    metal = materials.paint("spar", (0.55, 0.55, 0.54), rough=0.35, metal=1.0)
    teak = materials.wood("teak", (0.16, 0.085, 0.04), (0.30, 0.18, 0.095), "x", rough=0.6, grain=0.8)
    things = hull(navy, teak)
    things.append(shapes.boxes("cabin", [(0.55, 0, 0.86)], (1.7, 1.0, 0.36), white, bevel=0.09))
    things.append(shapes.boxes("lights", [(0.55, -0.502, 0.9)], (0.9, 0.012, 0.11), navy, bevel=0.004))
    things.append(shapes.tube("mast", [(0.75, 0, 0.6), (0.72, 0, 4), (0.62, 0, 7.9)], 0.05, metal, taper=[1, 1, 0.7]))
    things.append(shapes.tube("boom", [(0.72, 0, 1.55), (-1.95, 0.55, 1.5)], 0.036, metal))
    wires = [
        ((3.0, 0, 0.95), (0.64, 0, 7.3)),
        ((-2.6, 0, 0.6), (0.62, 0, 7.85)),
        ((0.6, -0.98, 0.7), (0.66, 0, 6.2)),
        ((0.6, 0.98, 0.7), (0.66, 0, 6.2)),
    ]
    things += [shapes.tube("stay", wire, 0.008, metal) for wire in wires]
    cloth = sailcloth()
    things.append(sail("main", (0.66, 0, 1.68), (0.60, 0, 7.75), (-1.9, 0.53, 1.6), 0.34, cloth))
    things.append(sail("jib", (2.9, 0, 1.1), (0.72, 0, 7.0), (0.35, 0.62, 1.35), 0.30, cloth))
    return things


def hull(paint, teak):
    u, v = np.linspace(0, 1, 40), np.linspace(-1, 1, 21)
    verts = []
    for t in u:
        beam = 1.0 * math.sin(math.pi * (0.30 + 0.70 * t)) ** 0.75 if t < 1 else 0.0
        sheer, keel = 0.62 + 0.36 * t**2, -0.45 * (1 - t**5)
        for w in v:
            z = sheer - (sheer - keel) * (1 - abs(w) ** 2.6)
            verts.append((-2.7 + 5.4 * t + 0.28 * t * (z / 0.6), beam * math.copysign(abs(w) ** 0.7, w), z))
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
        shapes.mesh("hull", verts, faces, paint, smooth=True),
        shapes.mesh("deck", deck, planks, teak),
        *(shapes.tube("rail", r, 0.022, teak) for r in rail),
    ]


def sailcloth():
    def write(n):
        part = n("SeparateXYZ", n.here(), out=2)
        seam = n.math("PINGPONG", part, 0.42)
        line = n.ramp(seam, (0.0, 0.8), (0.035, 1.0))
        cloth = n.mix(1.0, (0.80, 0.79, 0.74), line, "MULTIPLY")
        front = n("BsdfPrincipled", Base_Color=cloth, Roughness=0.7, Normal=n.bump(n.noise(1.6, 4), 0.5, 0.06))
        return n("MixShader", 0.4, front, n("BsdfTranslucent", cloth))

    return materials.material("sailcloth", write)


def sail(name, tack, top, clew, belly, cloth):
    """A three-cornered sail that the wind fills towards +y."""
    tack, top, clew = (np.array(p, float) for p in (tack, top, clew))
    verts = []
    for up in np.linspace(0, 1, 24):
        for out in np.linspace(0, 1, 16):
            chord = (1 - up) ** 0.9 + 0.03 * math.sin(math.pi * up)
            point = tack + (top - tack) * up + (clew - tack) * out * chord
            full = belly * math.sin(math.pi * min(1, out**0.75)) * chord
            verts.append(point + (0, full + 0.5 * out * up * (1 - up), -0.05 * math.sin(math.pi * out) * (1 - up)))
    faces = [[16 * i + j, 16 * i + j + 1, 16 * i + j + 17, 16 * i + j + 16] for i in range(23) for j in range(15)]
    return shapes.mesh(name, verts, faces, cloth, smooth=True)
