"""A bicycle against a brick wall."""

from __future__ import annotations

import math

import numpy as np

import light
import materials
import shapes


def bicycle():
    """Build the scene; return the objects to remove."""
    light.add_sky(44, 222, sun=4.2, clouds=0.4, warmth=0.25)
    light.add_camera((-0.55, -3.0, 1.3), (0.28, 0, 0.60), lens=36, fstop=6.3, focus=(0.4, -0.3, 0.6))
    add_brick_wall()
    rng = np.random.default_rng(7)
    slab = materials.mineral(
        "slab", [(0.20, 0.19, 0.17), (0.30, 0.28, 0.25), (0.24, 0.235, 0.225)], 0.35, 70, 0.85, 0.003, 2.0
    )
    points = [
        (x + 0.3 * (j % 2), -0.22 - 0.41 * j, -0.03 + rng.normal(0, 0.0015))
        for j in range(8)
        for x in np.arange(-3.6, 4.2, 0.602)
    ]
    shapes.add_boxes("slabs", points, (0.594, 0.402, 0.06), slab, bevel=0.005, tilt=0.002)
    shapes.add_plane(
        "joints", (12, 12), materials.mineral("joints", [(0.07, 0.06, 0.045)], 0.4, 90), location=(0, 0, -0.012)
    )
    tufts = np.concatenate(
        [rng.normal((x, -0.025), (0.06, 0.01), (rng.integers(15, 70), 2)) for x in rng.uniform(-2.4, 3, 16)]
    )
    shapes.add_blades(
        "weeds", tufts, 0.055, 0.004, materials.foliage("weed", [(0.06, 0.10, 0.02), (0.12, 0.17, 0.04)]), 3
    )
    litter = np.column_stack([rng.uniform(-2, 2.5, 40), -np.abs(rng.normal(0, 0.35, 40)) - 0.03, np.full(40, 0.003)])
    shapes.add_leaves(
        "litter",
        litter,
        0.035,
        materials.foliage("litter", [(0.22, 0.12, 0.03), (0.14, 0.06, 0.02), (0.3, 0.2, 0.05)]),
        9,
    )
    return shapes.group(bicycle_parts(), (-0.12, -0.5, 0), (math.radians(-10), 0, math.radians(2)))


def add_brick_wall():
    rng = np.random.default_rng(2)
    red = materials.mineral(
        "brick",
        [(0.10, 0.035, 0.022), (0.23, 0.085, 0.05), (0.29, 0.13, 0.08), (0.17, 0.055, 0.035), (0.33, 0.17, 0.11)],
        0.45,
        110,
        0.85,
        0.004,
        14.0,
    )
    pitch = np.array([0.2255, 0.0755])
    points = np.array(
        [((i + 0.5 * (j % 2)) * pitch[0], 0.05, 0.04 + j * pitch[1]) for j in range(34) for i in range(-17, 20)]
    )
    points += rng.normal(0, 1, points.shape) * (0.0015, 0.002, 0.001)
    shapes.add_boxes("bricks", points, (0.215, 0.1, 0.065), red, bevel=0.004, tilt=0.006, seed=3)

    def shader(n):
        grain = n.noise(140, 8, 0.8)
        return {
            "Base_Color": n.ramp(n.noise(3, 8), (0.3, (0.22, 0.19, 0.15)), (0.7, (0.36, 0.32, 0.26))),
            "Roughness": 0.95,
            "Normal": n.bump(grain, 1.0, 0.006),
        }

    shapes.add_boxes("mortar", [(0, 0.058, 1.3)], (9, 0.1, 2.7), materials.make_material("mortar", shader), bevel=0.001)


def bicycle_parts():
    """Return a bicycle, seen from the side in the x-z plane; the hubs are 1.03 m apart."""
    rubber = materials.paint("rubber", (0.018, 0.018, 0.019), rough=0.75, lumps=0.4, lump_size=200, dirt=0.5)
    chrome = materials.paint("chrome", (0.60, 0.60, 0.60), rough=0.28, metal=1.0, dirt=0.4)
    teal = materials.paint("teal", (0.018, 0.115, 0.125), rough=0.3, lumps=0.02, dirt=0.12, coat=0.6)
    hide = materials.paint("leather", (0.13, 0.05, 0.02), rough=0.5, lumps=0.3, lump_size=120)
    rear, front, crank = (0, 0, 0.345), (1.03, 0, 0.345), (0.44, 0, 0.275)
    saddle, head, crown = (0.29, 0, 0.83), (0.865, 0, 0.86), (0.915, 0, 0.70)
    parts = wheel_parts(rear, rubber, chrome) + wheel_parts(front, rubber, chrome)
    for a, b, r in ((crank, saddle, 0.0145), (saddle, head, 0.0135), (crank, crown, 0.0155), (head, crown, 0.018)):
        parts.append(shapes.add_tube("frame", [a, b], r, teal))
    for y in (-0.06, 0.06):
        side = (rear[0], y, rear[2])
        parts.append(shapes.add_tube("stay", [side, (0.30, y * 0.7, 0.30), crank], 0.009, teal))
        parts.append(shapes.add_tube("stay", [side, (0.25, y * 0.35, 0.74), (0.285, y * 0.2, 0.80)], 0.0075, teal))
        parts.append(
            shapes.add_tube(
                "fork",
                [(0.915, y * 0.5, 0.70), (0.93, y, 0.63), (0.965, y, 0.48), (1.03, y, 0.345)],
                0.011,
                teal,
                taper=[1.1, 1, 0.9, 0.65],
            )
        )
    parts += mudguards(rear, front, teal) + drive_parts(rear, crank, chrome, rubber)
    parts.append(shapes.add_tube("post", [saddle, (0.262, 0, 0.93)], 0.0125, chrome))
    parts.append(shapes.add_tube("stem", [head, (0.848, 0, 0.925), (0.90, 0, 0.955)], 0.0115, chrome))
    bar = [
        (0.72, -0.27, 0.985),
        (0.84, -0.245, 0.995),
        (0.905, -0.10, 0.965),
        (0.905, 0.10, 0.965),
        (0.84, 0.245, 0.995),
        (0.72, 0.27, 0.985),
    ]
    parts.append(shapes.add_tube("bar", bar, 0.011, chrome))
    for end, bend in ((bar[0], bar[1]), (bar[5], bar[4])):
        parts.append(shapes.add_tube("grip", [end, tuple(0.2 * np.array(end) + 0.8 * np.array(bend))], 0.0155, hide))
    parts.append(
        shapes.add_tube(
            "cable", [(0.86, -0.2, 0.985), (0.97, -0.08, 1.0), (0.95, 0, 0.85), (0.93, 0.0, 0.70)], 0.0024, rubber
        )
    )
    return [*parts, saddle_part((0.275, 0, 0.94), hide)]


def wheel_parts(hub, rubber, chrome):
    parts = [
        shapes.add_ring("tyre", hub, 0.328, 0.0175, rubber),
        shapes.add_ring("rim", hub, 0.309, 0.009, chrome),
        shapes.add_tube("hub", [(hub[0], -0.045, hub[2]), (hub[0], 0.045, hub[2])], 0.017, chrome),
    ]
    for i in range(32):
        turn, side = 2 * math.pi * i / 32, 0.03 * (-1) ** i
        skew = turn + 0.9 * (-1) ** (i // 2)
        inner = (hub[0] + 0.02 * math.cos(skew), side, hub[2] + 0.02 * math.sin(skew))
        parts.append(
            shapes.add_tube(
                "spoke",
                [inner, (hub[0] + 0.305 * math.cos(turn), 0, hub[2] + 0.305 * math.sin(turn))],
                0.0011,
                chrome,
            )
        )
    return parts


def mudguards(rear, front, paint):
    """Return mudguards: curved strips above the wheels."""
    parts = []
    for hub, start, end in ((rear, 20, 195), (front, 30, 165)):
        turn = np.radians(np.linspace(start, end, 40))
        across = ((-0.026, 0.352), (-0.016, 0.362), (0.016, 0.362), (0.026, 0.352))
        verts = [(hub[0] + r * math.cos(t), y, hub[2] + r * math.sin(t)) for t in turn for y, r in across]
        faces = [[4 * i + j, 4 * i + j + 1, 4 * i + j + 5, 4 * i + j + 4] for i in range(39) for j in range(3)]
        parts.append(shapes.add_mesh("guard", verts, faces, paint, smooth=True))
    return parts


def drive_parts(rear, crank, chrome, rubber):
    x, _, z = crank
    y = -0.055
    parts = [
        shapes.add_ring("chainring", (x, y, z), 0.085, 0.0045, chrome),
        shapes.add_ring("sprocket", (rear[0], y, rear[2]), 0.035, 0.006, chrome),
    ]
    for i in range(5):
        t = 0.4 + i * 1.2566
        parts.append(
            shapes.add_tube("spider", [(x, y, z), (x + 0.083 * math.cos(t), y, z + 0.083 * math.sin(t))], 0.006, chrome)
        )
    parts.append(shapes.add_tube("chain", [(x, y, z + 0.087), (rear[0], y, rear[2] + 0.037)], 0.0042, rubber))
    parts.append(shapes.add_tube("chain", [(x, y, z - 0.087), (rear[0], y, rear[2] - 0.037)], 0.0042, rubber))
    for sign, side in ((1, -0.085), (-1, 0.085)):
        end = (x + 0.13 * sign, side, z - 0.11 * sign)
        parts.append(shapes.add_tube("crank", [(x, side * 0.8, z), end], 0.0085, chrome))
        parts.append(
            shapes.add_boxes("pedal", [(end[0], side * 1.65, end[2])], (0.09, 0.085, 0.022), rubber, bevel=0.005)
        )
    parts.append(shapes.add_tube("axle", [(x, -0.07, z), (x, 0.07, z)], 0.02, chrome))
    return parts


def saddle_part(at, hide):
    """Return a saddle: a flattened ball, wide behind, with a long nose."""
    ball, faces = shapes.icosphere(5)
    back = (1 - ball[:, 0]) / 2
    wide = 0.03 + 0.065 * back**2
    lift = 0.014 * (back - 0.4) ** 2 * 4
    verts = np.column_stack([0.135 * ball[:, 0], wide * ball[:, 1], (0.022 + 0.016 * back) * ball[:, 2] + lift])
    return shapes.add_mesh("saddle", verts + at, faces, hide, smooth=True)
