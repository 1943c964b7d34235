"""A chair on floorboards and a floor lamp on shiny tiles."""

from __future__ import annotations

import math

import numpy as np

import light
import materials
import shapes


def chair():
    """Build the chair's scene; return the objects to remove."""
    light.add_even_light((0.75, 0.85, 1.0), 0.35)
    light.add_camera((-0.5, -2.75, 1.2), (0.0, 0.6, 0.66), lens=33, fstop=5.6, focus=(0.1, 0, 0.5))
    light.add_sunbeam((-3.2, -1.25, 1.95), (0, 0, 0), 4.5)
    light.add_lamp((-3.5, -0.5, 1.9), (0.5, 0.3, 0.4), (1.6, 1.8), 90, (0.85, 0.92, 1.0))
    add_window_frame()
    add_room()
    return chair_parts()


def add_window_frame():
    """Add shutters and bars outside the view on the left, which divide the sunlight into panes."""
    dark = materials.paint("dark", (0.1, 0.1, 0.1))
    walls = [(-3, -6.0, 1.5, 7.6), (-3, 3.45, 1.5, 4.5)]
    shapes.add_boxes("piers", [w[:3] for w in walls], [(0.1, w[3], 6) for w in walls], dark)
    shapes.add_boxes("sills", [(-3, -0.5, 0.2), (-3, -0.5, 3.6)], [(0.1, 5, 1.4), (0.1, 5, 2)], dark)
    shapes.add_boxes(
        "bars",
        [(-3, 0.0, 1.5), (-3, -0.5, 1.55), (-3, -1.1, 1.5)],
        [(0.05, 0.05, 3), (0.05, 4, 0.05), (0.05, 0.05, 3)],
        dark,
    )


def add_room():
    oak = materials.wood("oak", (0.13, 0.062, 0.026), (0.33, 0.185, 0.088), "y", rough=0.38, wear=0.5, coat=0.15)
    rng = np.random.default_rng(3)
    centres, sizes = [], []
    for x in np.arange(-3.0, 3.2, 0.142):
        y = -4.0 - rng.uniform(0, 1.6)
        while y < 2.2:
            long = rng.uniform(1.1, 1.9)
            centres.append((x, y + long / 2, -0.01 + rng.normal(0, 0.0004)))
            sizes.append((0.1405, long - 0.0015, 0.02))
            y += long
    shapes.add_boxes("floor", centres, sizes, oak, bevel=0.0012)
    plaster = materials.mineral("plaster", [(0.62, 0.60, 0.55), (0.66, 0.64, 0.59)], 0.03, 90, 0.9, 0.0015, 1.0)
    white = materials.paint("white", (0.72, 0.71, 0.68), rough=0.4, lumps=0.05, dirt=0.1)
    shapes.add_boxes("wall", [(0, 2.3, 1.5)], (9, 0.2, 3), plaster)
    shapes.add_boxes("side", [(2.6, -1, 1.5)], (0.2, 8, 3), plaster)
    shapes.add_boxes(
        "skirting", [(0, 2.19, 0.06), (2.49, -1, 0.06)], [(9, 0.02, 0.12), (0.02, 8, 0.12)], white, bevel=0.006
    )
    add_picture((-0.75, 2.18, 1.62))
    shapes.add_boxes("socket", [(1.9, 2.195, 0.32)], (0.085, 0.012, 0.085), white, bevel=0.005)
    add_plant((1.95, 1.6, 0))


def add_picture(at):
    frame = materials.wood("frame", (0.02, 0.014, 0.01), (0.05, 0.035, 0.025), "x", rough=0.4)
    paper = materials.paint("paper", (0.75, 0.73, 0.68), rough=0.9)

    def shader(n):
        bands = n.noise(2.2, 3, 0.5, stretch=(0.6, 1, 2.2), distortion=0.6)
        return {
            "Base_Color": n.ramp(
                bands,
                (0.36, (0.03, 0.07, 0.12)),
                (0.45, (0.12, 0.25, 0.28)),
                (0.52, (0.62, 0.52, 0.36)),
                (0.62, (0.45, 0.13, 0.06)),
            ),
            "Roughness": 0.6,
        }

    x, y, z = at
    w, h, t = 0.62, 0.8, 0.035
    shapes.add_boxes(
        "frame",
        [(x, y, z + h / 2), (x, y, z - h / 2), (x - w / 2, y, z), (x + w / 2, y, z)],
        [(w + t, 0.03, t), (w + t, 0.03, t), (t, 0.03, h), (t, 0.03, h)],
        frame,
        bevel=0.003,
    )
    shapes.add_boxes("paper", [(x, y + 0.012, z)], (w, 0.004, h), paper, bevel=0.0005)
    shapes.add_boxes(
        "print", [(x, y + 0.008, z)], (w - 0.2, 0.004, h - 0.24), materials.make_material("print", shader), bevel=0.0005
    )


def add_plant(at):
    """Add a pot with long arching leaves."""
    rng = np.random.default_rng(8)
    clay = materials.mineral("clay", [(0.34, 0.13, 0.07), (0.40, 0.17, 0.10)], 0.15, 60, 0.85, 0.002)
    soil = materials.mineral("soil", [(0.03, 0.02, 0.015), (0.05, 0.035, 0.025)])
    x, y, z = at
    shapes.add_lathe(
        "pot",
        [
            (0, 0),
            (0.12, 0),
            (0.125, 0.01),
            (0.165, 0.26),
            (0.18, 0.262),
            (0.184, 0.27),
            (0.184, 0.31),
            (0.178, 0.318),
            (0.166, 0.316),
            (0.16, 0.27),
        ],
        clay,
        location=at,
    )
    shapes.add_lathe("soil", [(0, 0.28), (0.165, 0.275)], soil, location=at)
    green = materials.foliage("leaf", [(0.02, 0.06, 0.015), (0.035, 0.09, 0.02), (0.06, 0.12, 0.03)], shine=0.3)
    verts, faces = [], []
    for i in range(26):
        way, heights, out = rng.uniform(0, 6.3), rng.uniform(0.5, 0.95), rng.uniform(0.18, 0.55)
        side = np.array([-math.sin(way), math.cos(way), 0])
        for t in np.linspace(0, 1, 12):
            mid = np.array(
                [
                    x + math.cos(way) * out * t**1.6,
                    y + math.sin(way) * out * t**1.6,
                    z + 0.28 + heights * (t - 0.45 * t**3),
                ]
            )
            half = side * 0.036 * math.sin(math.pi * (0.12 + 0.88 * t)) ** 0.8
            fold = np.array([0, 0, 0.35 * np.linalg.norm(half)])
            verts += [mid - half + fold, mid, mid + half + fold]
        for j in range(11):
            a = 36 * i + 3 * j
            faces += [[a, a + 1, a + 4, a + 3], [a + 1, a + 2, a + 5, a + 4]]
    shapes.add_mesh("leaves", verts, faces, green, smooth=True, subdivide=1)


def chair_parts():
    """Return a spindle-backed wooden chair, slightly rotated."""
    beech = materials.wood("beech", (0.022, 0.016, 0.012), (0.05, 0.036, 0.026), "z", rough=0.38, wear=0.3, coat=0.3)
    turn = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    c, q = np.cos(turn), np.sin(turn)
    rim = np.stack([0.215 * np.sign(c) * np.abs(c) ** 0.6, 0.205 * np.sign(q) * np.abs(q) ** 0.6], 1)
    rings = [
        (0.0, -0.012),
        (0.6, -0.012),
        (0.9, -0.004),
        (0.975, 0.004),
        (1.0, -0.006),
        (1.0, -0.022),
        (0.94, -0.034),
        (0, -0.034),
    ]
    verts = np.concatenate([np.column_stack([rim * f, np.full(64, 0.46 + z)]) for f, z in rings])
    i, j = np.meshgrid(np.arange(len(rings) - 1), np.arange(64), indexing="ij")
    k = (j + 1) % 64
    faces = np.stack([i * 64 + j, i * 64 + k, i * 64 + 64 + k, i * 64 + 64 + j], -1).reshape(-1, 4)
    parts = [shapes.add_mesh("seat", verts, faces, beech, smooth=True)]
    feet = {}
    for x in (-1, 1):
        for y in (-1, 1):
            top, foot = (0.15 * x, 0.14 * y, 0.44), (0.205 * x, 0.20 * y, 0.0)
            feet[x, y] = lambda t, a=top, b=foot: tuple(np.array(a) + (np.array(b) - a) * t)
            points = [feet[x, y](t) for t in (0, 0.3, 0.7, 1)]
            parts.append(shapes.add_tube("leg", points, 0.018, beech, taper=[0.8, 1.1, 1.0, 0.62]))
    for x in (-1, 1):
        parts.append(shapes.add_tube("stretcher", [feet[x, -1](0.55), feet[x, 1](0.55)], 0.0105, beech))
    middle = [tuple((np.array(feet[x, -1](0.55)) + feet[x, 1](0.55)) / 2) for x in (-1, 1)]
    parts.append(shapes.add_tube("stretcher", middle, 0.0105, beech))
    back = [(x, 0.165 + 0.02 * (1 - (x / 0.17) ** 2)) for x in np.linspace(-0.17, 0.17, 7)]
    for i, (x, y) in enumerate(back):
        top = (x * 1.2, y + 0.095, 0.87)
        thick = 0.013 if i in (0, 6) else 0.0075
        mid = tuple((np.array((x, y, 0.45)) + top) / 2 + (0, -0.012, 0))
        parts.append(shapes.add_tube("spindle", [(x, y, 0.45), mid, top], thick, beech, taper=[1.1, 1, 0.85]))
    crest = [(x, 0.262 + 0.03 * (1 - (x / 0.235) ** 2)) for x in np.linspace(-0.235, 0.235, 17)]
    verts = [
        (x, y + t, 0.88 + h)
        for x, y in crest
        for t, h in ((-0.011, -0.035), (-0.011, 0.045), (0.011, 0.045), (0.011, -0.035))
    ]
    faces = [
        [4 * i + a, 4 * i + (a + 1) % 4, 4 * i + 4 + (a + 1) % 4, 4 * i + 4 + a] for i in range(16) for a in range(4)
    ]
    faces += [[3, 2, 1, 0], [64, 65, 66, 67]]
    parts.append(shapes.add_mesh("crest", verts, faces, beech, bevel=0.008))
    return shapes.group(parts, (0.25, 0.15, 0), (0, 0, math.radians(-28)))


def floor_lamp():
    """Build the lamp's scene; return the objects to remove."""
    light.add_even_light((0.9, 0.95, 1.0), 0.3)
    light.add_camera((0.35, -3.7, 1.15), (0.12, 0, 0.78), lens=36, fstop=6.3, focus=(-0.1, 0, 1))
    light.add_lamp((-2.6, -1.2, 2.1), (0.3, 0.6, 0.9), (1.4, 2.0), 130, (1.0, 0.95, 0.88))
    wall = materials.mineral("plaster", [(0.40, 0.46, 0.44), (0.43, 0.49, 0.47)], 0.03, 90, 0.9, 0.0012, 1.0)
    white = materials.paint("white", (0.72, 0.71, 0.68), rough=0.4, lumps=0.05, dirt=0.1)
    shapes.add_boxes("wall", [(0, 0.9, 1.5)], (9, 0.2, 3.2), wall)
    shapes.add_boxes("skirting", [(0, 0.795, 0.05)], (9, 0.015, 0.1), white, bevel=0.005)
    add_shiny_tiles()
    add_sideboard()
    return lamp_parts()


def add_shiny_tiles():
    def shader(n):
        at = n.piece_coordinates()
        vein = n.noise(3.2, 9, 0.62, at, distortion=1.4)
        base = n.ramp(
            vein,
            (0.3, (0.10, 0.09, 0.08)),
            (0.48, (0.17, 0.155, 0.14)),
            (0.52, (0.12, 0.11, 0.10)),
            (0.7, (0.20, 0.185, 0.165)),
        )
        tone = n.math("MULTIPLY_ADD", n.random_per_piece(), 0.22, 0.84)
        smear = n.noise(3, 8, 0.7)
        return {
            "Base_Color": n.mix(1.0, base, n.to_vector(tone), "MULTIPLY"),
            "Roughness": n.math("MULTIPLY_ADD", smear, 0.16, 0.0),
            "Normal": n.bump(n.noise(5, 2), 0.03, 0.01),
            "Specular_IOR_Level": 0.8,
        }

    tile, step = materials.make_material("tile", shader), 0.452
    points = [(x, y, -0.01) for x in np.arange(-10, 11) * step for y in np.arange(-12, 4) * step]
    shapes.add_boxes("tiles", points, (0.449, 0.449, 0.02), tile, bevel=0.0015, tilt=0.0006)
    shapes.add_plane(
        "grout", (12, 12), materials.mineral("grout", [(0.16, 0.15, 0.13)], 0.2, 200), location=(0, 0, -0.002)
    )


def add_sideboard():
    oak = materials.wood("oak", (0.20, 0.105, 0.045), (0.36, 0.215, 0.11), "x", rough=0.42, grain=1.3, wear=0.3)
    x, y = 1.0, 0.52
    shapes.add_boxes(
        "carcass",
        [(x, y, 0.66), (x, y, 0.24), (x - 0.63, y, 0.45), (x + 0.63, y, 0.45), (x, y + 0.17, 0.45)],
        [(1.3, 0.4, 0.025), (1.3, 0.4, 0.025), (0.025, 0.4, 0.42), (0.025, 0.4, 0.42), (1.26, 0.02, 0.42)],
        oak,
        bevel=0.003,
    )
    shapes.add_boxes(
        "doors", [(x - 0.31, y - 0.185, 0.45), (x + 0.31, y - 0.185, 0.45)], (0.612, 0.02, 0.388), oak, bevel=0.002
    )
    for dx in (-0.55, 0.55):
        for dy in (-0.13, 0.13):
            shapes.add_tube(
                "foot", [(x + dx, y + dy, 0.24), (x + dx * 1.04, y + dy * 1.15, 0)], 0.017, oak, taper=[1.2, 0.7]
            )
    brass = materials.paint("brass", (0.55, 0.38, 0.15), rough=0.3, metal=1.0)
    shapes.add_boxes(
        "pulls", [(x - 0.06, y - 0.2, 0.5), (x + 0.06, y - 0.2, 0.5)], (0.012, 0.014, 0.1), brass, bevel=0.003
    )
    covers = materials.mineral(
        "covers",
        [(0.10, 0.14, 0.20), (0.42, 0.35, 0.24), (0.32, 0.09, 0.06), (0.08, 0.16, 0.12)],
        0.08,
        300,
        0.6,
        0.0005,
    )
    shapes.add_boxes(
        "books",
        [(x - 0.3, y, 0.69), (x - 0.31, y - 0.01, 0.724), (x - 0.29, y, 0.752)],
        [(0.27, 0.19, 0.034), (0.24, 0.17, 0.03), (0.20, 0.14, 0.022)],
        covers,
        bevel=0.002,
        tilt=0.0,
    )
    vase = materials.paint("vase", (0.62, 0.58, 0.50), rough=0.45, lumps=0.25, lump_size=25, dirt=0.4)
    shapes.add_lathe(
        "vase",
        [
            (0, 0),
            (0.05, 0),
            (0.07, 0.03),
            (0.088, 0.1),
            (0.075, 0.17),
            (0.035, 0.215),
            (0.03, 0.24),
            (0.036, 0.25),
            (0.028, 0.25),
            (0.02, 0.2),
        ],
        vase,
        subdivide=1,
        location=(x + 0.18, y, 0.673),
    )
    add_twigs((x + 0.18, y, 0.85))


def add_twigs(at):
    rng = np.random.default_rng(4)
    bark = materials.paint("bark", (0.10, 0.065, 0.04), rough=0.8, lumps=0.5, lump_size=150)
    tips = []
    for _ in range(9):
        way, lean = rng.uniform(0, 6.3), rng.uniform(0.1, 0.4)
        t = np.linspace(0, 1, 6)[:, None]
        bend = rng.normal(0, 0.02, (6, 3)) * t
        line = at + t * (math.cos(way) * lean, math.sin(way) * lean * 0.5, rng.uniform(0.4, 0.62)) + bend
        shapes.add_tube("twig", [tuple(p) for p in line], 0.0032, bark, taper=[1.2, 1, 0.9, 0.8, 0.6, 0.35])
        tips += [line[i] + (line[i + 1] - line[i]) * f for i in range(2, 5) for f in rng.uniform(0, 1, 4)]
    shapes.add_leaves(
        "leaves", np.array(tips), 0.05, materials.foliage("leaf", [(0.10, 0.14, 0.08), (0.16, 0.19, 0.11)]), 6
    )


def lamp_parts():
    steel = materials.paint("steel", (0.03, 0.03, 0.032), rough=0.35, metal=0.6, dirt=0.1)

    def linen(n):
        weave = n.math("ADD", n.noise(900, 2, stretch=(1, 1, 0.1)), n.noise(900, 2, stretch=(0.15, 0.15, 1)))
        colour = n.ramp(n.math("MULTIPLY", weave, 0.5), (0.35, (0.56, 0.47, 0.34)), (0.65, (0.74, 0.65, 0.50)))
        return n(
            "MixShader",
            0.35,
            n("BsdfPrincipled", Base_Color=colour, Roughness=0.9, Normal=n.bump(weave, 0.4, 0.001)),
            n("BsdfTranslucent", colour),
        )

    x, y = -0.42, 0.12
    flex = [
        (x, y + 0.02, 0.012),
        (x - 0.1, y + 0.2, 0.004),
        (x - 0.33, y + 0.25, 0.004),
        (x - 0.42, y + 0.5, 0.004),
        (x - 0.7, y + 0.6, 0.004),
        (x - 0.9, y + 0.66, 0.1),
    ]
    return [
        shapes.add_lathe(
            "base",
            [
                (0, 0),
                (0.142, 0),
                (0.146, 0.004),
                (0.146, 0.012),
                (0.14, 0.018),
                (0.03, 0.024),
                (0.014, 0.04),
                (0.0105, 0.06),
                (0.0105, 1.42),
                (0.016, 1.425),
                (0.016, 1.47),
                (0, 1.48),
            ],
            steel,
            location=(x, y, 0),
        ),
        shapes.add_lathe(
            "shade",
            [(0.235, 1.34), (0.2365, 1.3395), (0.155, 1.66), (0.1535, 1.66), (0.235, 1.34)],
            materials.make_material("linen", linen),
            location=(x, y, 0),
        ),
        shapes.add_lathe(
            "rims", [(0.2345, 1.338), (0.2385, 1.338), (0.2365, 1.348), (0.2345, 1.348)], steel, location=(x, y, 0)
        ),
        shapes.add_tube("flex", flex, 0.0032, steel),
    ]
