"""Things of many kinds that stand on the ground at the origin, about one unit high.

Each maker takes dice and a material, and gives the Blender objects that the thing is made of.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2] / "samples" / "render"))
import shapes
from materials import Nodes  # noqa: F401 (for render.py)


def lump(dice, paint):
    """A ball, an egg, a stone or a blob."""
    verts, faces = shapes.ball_faces(4)
    waves = dice.normal(size=(6, 3)) * dice.uniform(0.8, 2.2)
    lumps = np.sin(verts @ waves.T + dice.uniform(0, 6, 6)).sum(1)
    verts = verts * (1 + dice.choice([0, 0.05, 0.1]) * lumps[:, None])
    size = dice.uniform(0.25, 0.5) * np.array([1, *dice.uniform(0.6, 1.3, 2)])
    verts = verts * (size[0] if dice.random() < 0.4 else size)
    return [shapes.mesh("lump", verts - [0, 0, verts[:, 2].min()], faces, paint, smooth=True)]


def block(dice, paint):
    """A box, or a pile of some."""
    count = int(dice.choice([1, 1, 2, 3, 4]))
    sizes = dice.uniform(0.2, 0.8, (count, 3)) * (0.6 if count > 2 else 1)
    base = np.concatenate([[0], np.cumsum(sizes[:-1, 2])])
    centres = np.column_stack([dice.normal(0, 0.06, (count, 2)), base + sizes[:, 2] / 2])
    turn = (0, 0, dice.uniform(0, 3))
    return [shapes.boxes("block", centres, sizes, paint, bevel=0.02, rotation=turn)]


def turned(dice, paint):
    """A bottle, vase, cone, drum, cup or pillar: a profile swept round."""
    count = int(dice.integers(2, 8))
    high = dice.uniform(0.5, 1.4)
    z = np.sort(dice.uniform(0, high, count))
    r = dice.uniform(0.05, 0.4, count) if dice.random() < 0.6 else np.linspace(0.4, 0.04, count)
    profile = [(0, 0), (r[0], 0), *zip(r, z, strict=True), (r[-1], high), (0, high)]
    return [shapes.lathe("turned", profile, paint, 40, smooth=bool(dice.random() < 0.7))]


def furniture(dice, paint):
    """A chair, stool, table or bench: a slab on legs, perhaps with a back of slats."""
    wide, deep, high = dice.uniform(0.3, 1.2), dice.uniform(0.3, 0.6), dice.uniform(0.3, 0.6)
    leg = dice.uniform(0.015, 0.045)
    x, y = wide / 2 - leg, deep / 2 - leg
    corners = [(sx * x, sy * y) for sx in (-1, 1) for sy in (-1, 1)]
    boxes = [((0, 0, high), (wide, deep, dice.uniform(0.03, 0.08)))]
    boxes += [((cx, cy, high / 2), (2 * leg, 2 * leg, high)) for cx, cy in corners]
    if dice.random() < 0.6:
        top = high + dice.uniform(0.2, 0.6)
        boxes.append(((0, y, top), (wide, 0.04, dice.uniform(0.05, 0.15))))
        for at in np.linspace(-x, x, int(dice.integers(2, 8))):
            boxes.append(((at, y, (top + high) / 2), (leg, leg, top - high)))
    if dice.random() < 0.4:
        boxes += [((0, sy * y, high / 3), (wide, leg, leg)) for sy in (-1, 1)]
    centres, sizes = zip(*boxes, strict=True)
    return [shapes.boxes("furniture", centres, sizes, paint, bevel=0.008)]


def figure(dice, paint):
    """A person in any pose."""
    hip, chest, head = 0.52, 0.82, 1.0
    lean = dice.normal(0, 0.06, 2)
    neck = np.array([lean[0], lean[1], chest])
    parts = [("body", [(0, 0, hip), tuple(neck)], dice.uniform(0.07, 0.13))]
    for side in (-1, 1):
        step = dice.normal(0, 0.16)
        knee = (side * 0.08 + step / 3, step / 2, 0.27)
        foot = (side * 0.09 + step / 2, step, 0.03)
        parts.append(("leg", [(side * 0.06, 0, hip), knee, foot], dice.uniform(0.035, 0.06)))
        reach = side * dice.uniform(0.1, 0.4), dice.normal(0, 0.15), dice.uniform(-0.4, 0.2)
        hand = neck + np.array(reach)
        elbow = (neck + hand) / 2 + dice.normal(0, 0.05, 3)
        parts.append(("arm", [tuple(neck - [0, 0, 0.03]), tuple(elbow), tuple(hand)], 0.03))
    made = [shapes.tube(name, line, thick, paint, smooth=False) for name, line, thick in parts]
    verts, faces = shapes.ball_faces(3)
    at = (neck[0], neck[1], head)
    return [*made, shapes.mesh("head", verts * 0.085, faces, paint, smooth=True, location=at)]


def animal(dice, paint):
    """A long body on four legs."""
    long, high, thick = dice.uniform(0.5, 1), dice.uniform(0.3, 0.6), dice.uniform(0.09, 0.18)
    verts, faces = shapes.ball_faces(3)
    body = verts * [long / 2 + thick / 2, thick, thick * 1.1] + [0, 0, high]
    made = [shapes.mesh("body", body, faces, paint, smooth=True)]
    for sx in (-1, 1):
        for sy in (-1, 1):
            x, y = sx * long * 0.4, sy * thick * 0.6
            foot = (x + dice.normal(0, 0.07), y, 0)
            made.append(shapes.tube("leg", [(x, y, high), foot], thick * 0.25, paint, smooth=False))
    up = high + dice.uniform(0, 0.35)
    front = long / 2 + dice.uniform(0.05, 0.2)
    made.append(shapes.tube("neck", [(long * 0.4, 0, high), (front, 0, up)], thick * 0.5, paint))
    made.append(shapes.mesh("head", verts * [0.14, 0.08, 0.09] + [front, 0, up], faces, paint))
    return made


def vehicle(dice, paint):
    """A body, a cabin and wheels."""
    long, wide, low = dice.uniform(1.0, 1.8), dice.uniform(0.5, 0.7), dice.uniform(0.08, 0.15)
    high, top = dice.uniform(0.2, 0.35), dice.uniform(0.15, 0.4)
    boxes = [((0, 0, low + high / 2), (long, wide, high))]
    at = dice.uniform(-0.15, 0.15) * long
    boxes.append(((at, 0, low + high + top / 2), (long * 0.5, wide * 0.9, top)))
    made = [shapes.boxes("car", *zip(*boxes, strict=True), paint, bevel=0.05)]
    for sx in (-1, 1):
        for sy in (-1, 1):
            at = (sx * long * 0.32, sy * wide * 0.48, 0.13)
            made.append(shapes.ring("wheel", at, 0.09, 0.04, paint, 16))
    return made


def post(dice, paint):
    """A pole with a sign, a shade or a knob on it."""
    high, thick = dice.uniform(0.8, 1.6), dice.uniform(0.012, 0.04)
    made = [shapes.tube("pole", [(0, 0, 0), (0, 0, high)], thick, paint, smooth=False)]
    kind = dice.integers(4)
    if kind == 0:
        sign = dice.uniform(0.15, 0.5, 2)
        made.append(shapes.boxes("sign", [(0, 0, high)], (sign[0], 0.03, sign[1]), paint))
    elif kind == 1:
        low, r = high - dice.uniform(0.15, 0.3), dice.uniform(0.15, 0.3)
        made.append(shapes.lathe("shade", [(r, low), (0.6 * r, high), (0, high)], paint, 32))
    elif kind == 2:
        verts, faces = shapes.ball_faces(3)
        made.append(
            shapes.mesh("knob", verts * dice.uniform(0.08, 0.2) + [0, 0, high], faces, paint)
        )
    if dice.random() < 0.5:
        r = dice.uniform(0.1, 0.25)
        made.append(shapes.lathe("foot", [(r, 0), (r, 0.03), (0, 0.05)], paint, 32))
    return made


def cycle(dice, paint):
    """Two wheels in a frame of rods."""
    r, gap, thick = dice.uniform(0.22, 0.34), dice.uniform(0.3, 0.5), dice.uniform(0.01, 0.025)
    made = [shapes.ring("wheel", (s * gap, 0, r), r, thick, paint, 24) for s in (-1, 1)]
    back, front, low = (-gap, 0, r), (gap, 0, r), (-0.1, 0, r)
    seat, bar = (-0.18, 0, 2 * r + 0.1), (gap - 0.1, 0, 2 * r + 0.15)
    rods = [(back, seat), (back, low), (seat, low), (low, bar), (seat, bar), (front, bar)]
    rods.append(((bar[0], -0.2, bar[2] + 0.05), (bar[0], 0.2, bar[2] + 0.05)))
    made += [shapes.tube("rod", rod, thick, paint, smooth=False) for rod in rods]
    return [*made, shapes.boxes("saddle", [seat], (0.2, 0.1, 0.05), paint, bevel=0.02)]


def plant(dice, paint):
    """A stem, or a pot, with leaves."""
    crown, r = dice.uniform(0.4, 1.0), dice.uniform(0.2, 0.4)
    spread = (r, r * dice.uniform(0.7, 1.2), r * dice.uniform(0.6, 1.3))
    at = shapes.cloud_of([(0, 0, crown)], [spread], int(dice.integers(150, 900)), 1)
    made = [shapes.leaves("leaves", at, dice.uniform(0.05, 0.12), paint, 2)]
    made.append(shapes.tube("stem", [(0, 0, 0), (0, 0, crown)], dice.uniform(0.01, 0.05), paint))
    if dice.random() < 0.4:
        made.append(shapes.lathe("pot", [(0.1, 0), (0.14, 0.25), (0, 0.25)], paint, 32))
    return made


def frame(dice, paint):
    """A ring, an arch, or some rods through the air."""
    if dice.random() < 0.5:
        r, thick = dice.uniform(0.25, 0.5), dice.uniform(0.02, 0.12)
        return [shapes.ring("ring", (0, 0, r + thick), r, thick, paint, 32)]
    points = dice.uniform([-0.5, -0.3, 0.05], [0.5, 0.3, 1.1], (int(dice.integers(3, 7)), 3))
    points[0, 2] = points[-1, 2] = 0
    return [shapes.tube("rods", [tuple(p) for p in points], dice.uniform(0.015, 0.06), paint)]


KINDS = (
    lump, lump, block, turned, turned, furniture, furniture, figure, figure, animal, vehicle,
    post, cycle, plant, frame,
)  # fmt: skip


def some(dice, paint):
    """One of any kind, turned to face anywhere, now and then in the air or tipped over."""
    parts = KINDS[dice.integers(len(KINDS))](dice, paint)
    high = dice.choice([0.0, dice.uniform(0.05, 0.8)], p=[0.9, 0.1])
    return shapes.group(parts, (0, 0, high), (0, 0, dice.uniform(0, 2 * math.pi)))
