"""Render things on the ground, with and without each, in the light of the sky and of each lamp.

    pip install bpy                         # Blender as a module; the package does not need it
    python models/shadow/render.py OUT --first 0 --count 500

Scene N becomes OUT/NNNNN.npz: linear light of every combination, so that training mixes suns,
skies and paints at will. A file that is there is not made again. One scene takes some seconds.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
import time
from pathlib import Path

import bpy
import numpy as np
import things
from mathutils import Vector
from things import Nodes, shapes

SIZE = (248, 192)  # px: width, height
LAMPS = 2  # directed lights, each rendered alone
TARGETS = 2  # things that have a picture without them
SAMPLES = (3, 1, 3)  # a pixel: of the sky, of each lamp; then denoised
UNIT = 4000.0  # a stored level, of linear light 1


def main() -> None:
    ask = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    ask.add_argument("out", type=Path)
    ask.add_argument("--first", type=int, default=0)
    ask.add_argument("--count", type=int, default=500)
    asked = ask.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    for number in range(asked.first, asked.first + asked.count):
        path = asked.out / f"{number:05d}.npz"
        if not path.exists():
            start = time.time()
            arrays = scene(np.random.default_rng(number))
            part = path.with_suffix(".part")
            with part.open("wb") as file:
                np.savez_compressed(file, **arrays)
            part.replace(path)
            sys.stderr.write(f"{path.name} {time.time() - start:.1f} s\n")


def scene(dice) -> dict[str, np.ndarray]:
    """``light`` (1 + TARGETS, 1 + LAMPS, h, w, 3): with all or without one thing, by sky or lamp;
    ``cover`` (h, w, 4): shares of the pixel that are thing 1, thing 2, ground and wall;
    ``ground`` (h, w, 2): where the view meets the ground, NaN above the horizon.
    """
    bpy.ops.wm.read_factory_settings(use_empty=True)
    settings()
    targets, rest, lamps = build(dice)
    light = np.zeros((1 + TARGETS, 1 + LAMPS, SIZE[1], SIZE[0], 3), np.uint16)
    for without in range(1 + TARGETS):
        for number, target in enumerate(targets):
            for part in target:
                part.hide_render = number == without - 1
        for lamp in range(1 + LAMPS):
            sky(0.0 if lamp else 1.0)
            for number, one in enumerate(lamps):
                one.hide_render = number != lamp - 1
            light[without, lamp] = shoot(SAMPLES[lamp])
    for part in (p for target in targets for p in target):
        part.hide_render = False
    return {"light": light, "cover": cover(targets, rest), "ground": ground()}


def settings() -> None:
    picture, cycles = bpy.context.scene.render, bpy.context.scene.cycles
    picture.engine = "CYCLES"
    picture.resolution_x, picture.resolution_y = SIZE
    picture.use_persistent_data = True
    picture.threads_mode, picture.threads = "FIXED", 1
    picture.image_settings.file_format, picture.image_settings.color_depth = "PNG", "16"
    picture.image_settings.compression = 0
    cycles.use_denoising, cycles.denoiser, cycles.denoising_prefilter = (
        True,
        "OPENIMAGEDENOISE",
        "FAST",
    )
    cycles.max_bounces, cycles.diffuse_bounces, cycles.glossy_bounces = 3, 1, 2
    cycles.use_adaptive_sampling = False
    cycles.sample_clamp_indirect, cycles.seed = 4.0, 1
    cycles.caustics_reflective = cycles.caustics_refractive = False
    bpy.context.scene.view_settings.view_transform = "Raw"
    world = bpy.data.worlds.new("sky")
    bpy.context.scene.world, world.use_nodes = world, True


def sky(strength: float) -> None:
    bpy.context.scene.world.node_tree.nodes["Background"].inputs[1].default_value = strength


def build(dice):
    """Targets, what else may be painted anew ({name: objects}), and lamps."""
    floor = bpy.data.materials.new("floor")
    water = surface(floor, dice)
    spread = dice.uniform(0.5, 2.2)
    targets = [put(dice, dice.normal(0, 0.25, 2))]
    targets.append(put(dice, dice.choice([-1, 1], 2) * dice.uniform(0.5, 1, 2) * spread))
    for _ in range(int(dice.integers(0, 4))):
        put(dice, dice.uniform(-3.5, 3.5, 2) * [1, 1.5], apart=0.8)
    rest = {"ground": [shapes.plane("ground", (80, 80), floor)], "wall": []}
    if dice.random() < 0.4:
        rest["wall"] = walls(dice)
    if not water and dice.random() < 0.3:
        rest["ground"] += clutter(dice)
    eye = camera(dice)
    lamps = [sun(dice, number) for number in range(LAMPS)]
    if dice.random() < 0.28:
        shade(dice, lamps[0], eye)
    return targets, rest, lamps


def paint(dice, name="paint", low=0.02):
    made = bpy.data.materials.new(name)
    made.use_nodes = True
    shader = made.node_tree.nodes["Principled BSDF"]
    hue = dice.uniform(low, 0.8) * dice.uniform(0.4, 1, 3)
    shader.inputs["Base Color"].default_value = (*hue, 1)
    shader.inputs["Roughness"].default_value = dice.uniform(0.2, 0.9)
    return made


def surface(made, dice) -> bool:
    """Give ground its look: dull and even, shiny, or water (True); smooth or rough."""
    made.use_nodes = True
    kind = dice.choice(3, p=[0.65, 0.22, 0.13])
    n = Nodes(made.node_tree)
    shader = made.node_tree.nodes["Principled BSDF"]
    grey = [0.5, dice.uniform(0.1, 0.5), 0.02][kind]
    shader.inputs["Base Color"].default_value = (grey, grey, grey, 1)
    rough = [dice.uniform(0.7, 1), dice.uniform(0.03, 0.45), dice.uniform(0.0, 0.1)][kind]
    shader.inputs["Roughness"].default_value = rough
    shader.inputs["Specular IOR Level"].default_value = [0.1, dice.uniform(0.4, 1), 1.0][kind]
    if kind == 2 or dice.random() < 0.6:
        stretch = (1, dice.uniform(1, 4), 1) if kind == 2 else (1, 1, 1)
        noise = n.noise(2 ** dice.uniform(1, 6), 6, 0.6, stretch=stretch)
        high = dice.uniform(0.02, 0.15) if kind == 2 else dice.uniform(0.1, 1)
        bump = n("Bump", Height=noise, Strength=high, Distance=0.1)
        n.feed(shader.inputs["Normal"], bump)
    return bool(kind == 2)


def put(dice, at, apart=0.0):
    """A thing at a place, parted from the middle."""
    if np.hypot(*at) < apart:
        at = at / (np.hypot(*at) + 1e-6) * apart
    parts = things.some(dice, paint(dice))
    pivot = parts[0].parent
    scale = 2 ** dice.uniform(-0.6, 0.4)
    pivot.scale = (scale,) * 3
    pivot.location = (at[0], at[1], pivot.location[2] * scale)
    return parts


def walls(dice):
    made = [wall(dice, (0, dice.uniform(0.4, 4), 0), dice.normal(0, 0.25))]
    if dice.random() < 0.35:
        made.append(wall(dice, (dice.choice([-1, 1]) * dice.uniform(1, 4), 0, 0), math.pi / 2))
    return made


def wall(dice, at, turn):
    high = dice.choice([12.0, dice.uniform(0.4, 2.5)], p=[0.7, 0.3])
    plain = paint(dice, "wall", 0.3)
    return shapes.boxes(
        "wall", [(0, 0, high / 2)], (40, 0.1, high), plain, location=at, rotation=(0, 0, turn)
    )


def clutter(dice):
    """Grass, pebbles or leaves all about."""
    at = np.column_stack([dice.uniform(-5, 5, (6000, 2)), np.zeros(6000)])
    kind, dull = dice.integers(3), paint(dice, "clutter", 0.2)
    if kind == 0:
        return [shapes.blades("grass", at, dice.uniform(0.04, 0.12), 0.02, dull)]
    if kind == 1:
        return [shapes.stones("stones", at[: int(dice.integers(300, 3000))], 0.04, dull, 1)]
    return [shapes.leaves("leaves", at[: int(dice.integers(100, 1500))], 0.1, dull)]


def camera(dice) -> Vector:
    data = bpy.data.cameras.new("camera")
    data.lens = dice.uniform(26, 80)
    far = data.lens / 36 * dice.uniform(2.2, 5.5)  # so many units are as wide as the picture
    up, round_ = (
        math.radians(dice.choice([dice.uniform(2, 25), dice.uniform(15, 60)])),
        dice.normal(0, 0.5),
    )
    eye = far * Vector(
        (math.sin(round_) * math.cos(up), -math.cos(round_) * math.cos(up), math.sin(up))
    )
    eye.z = max(eye.z, 0.12)
    seen = bpy.data.objects.new("camera", data)
    seen.location = eye
    aim = Vector((*dice.normal(0, 0.35, 2), dice.uniform(0.0, 0.6)))
    seen.rotation_euler = (aim - eye).to_track_quat("-Z", "Y").to_euler()
    bpy.context.collection.objects.link(seen)
    bpy.context.scene.camera = seen
    return eye


def sun(dice, number):
    data = bpy.data.lights.new("sun", "SUN")
    wide = [dice.uniform(0.3, 3), dice.choice([dice.uniform(2, 12), dice.uniform(10, 50)])][number]
    data.energy, data.angle = 2.0, math.radians(wide)
    up, round_ = math.radians(dice.uniform(9, 75)), dice.uniform(0, 2 * math.pi)
    way = Vector((math.sin(round_) * math.cos(up), math.cos(round_) * math.cos(up), math.sin(up)))
    made = bpy.data.objects.new("sun", data)
    made.rotation_euler = (-way).to_track_quat("-Z", "Y").to_euler()
    made["way"] = way
    bpy.context.collection.objects.link(made)
    return made


def shade(dice, lamp, eye) -> None:
    """Something large out of sight that keeps the sun off a part of the ground."""
    way = Vector(lamp["way"])
    base = Vector((*dice.uniform(-2.5, 2.5, 2), 0))
    at = base + way * (6 / max(way.z, 0.2))
    at.z = max(at.z, 4)
    dull = paint(dice)
    if dice.random() < 0.5:
        shapes.boxes("roof", [at], dice.uniform(1, 5, 3) * [1, 1, 0.4], dull, rotation=(0, 0, 0))
    else:
        leaves = shapes.cloud_of([tuple(at)], [(2.5, 2.5, 1)], 600, 3)
        shapes.leaves("crown", leaves, 0.5, dull)


def shoot(samples: int) -> np.ndarray:
    """(h, w, 3) uint16 linear light."""
    bpy.context.scene.cycles.samples = samples
    with tempfile.TemporaryDirectory() as folder:
        bpy.context.scene.render.filepath = f"{folder}/shot.png"
        bpy.ops.render.render(write_still=True)
        shot = bpy.data.images.load(f"{folder}/shot.png")
        shot.colorspace_settings.name = "Non-Color"
        pixels = np.empty(shot.size[0] * shot.size[1] * 4, np.float32)
        shot.pixels.foreach_get(pixels)
        pixels = pixels.reshape(shot.size[1], shot.size[0], 4)[::-1, :, :3]
        bpy.data.images.remove(shot)
    return np.rint(pixels * UNIT).astype(np.uint16)


def cover(targets, rest) -> np.ndarray:
    """(h, w, 4) uint8: how much of each pixel is thing 1, thing 2, ground, wall."""
    glow = bpy.data.materials.new("glow")
    glow.use_nodes = True
    glow.node_tree.nodes.clear()
    nodes = Nodes(glow.node_tree)
    nodes.end("OutputMaterial", nodes("Emission", nodes("ObjectInfo", out="Color")))
    bpy.context.view_layer.material_override = glow
    bpy.context.scene.cycles.max_bounces, bpy.context.scene.cycles.use_denoising = 0, False
    sky(0.0)
    groups = [*targets, rest["ground"], rest["wall"]]
    shots = []
    for pair in (groups[:2], groups[2:]):
        for thing in bpy.data.objects:
            thing.color = (0, 0, 0, 1)
        for channel, group in enumerate(pair):
            for thing in group:
                thing.color = (*np.eye(3)[channel], 1)
        shots.append(shoot(4)[..., :2] / UNIT)
    return np.rint(255 * np.concatenate(shots, -1).clip(0, 1)).astype(np.uint8)


def ground() -> np.ndarray:
    """(h, w, 2) float16: x, y where the line of sight through each pixel meets z = 0."""
    seen = bpy.context.scene.camera
    corners = [seen.matrix_world @ c for c in seen.data.view_frame(scene=bpy.context.scene)]
    eye = np.array(seen.matrix_world.translation)
    right, low, left = (
        np.array(corners[i]) for i in (0, 1, 3)
    )  # top right, bottom right, top left
    across = (np.arange(SIZE[0]) + 0.5)[:, None] / SIZE[0] * (right - left)
    down = (np.arange(SIZE[1]) + 0.5)[:, None] / SIZE[1] * (low - right)
    way = left + across[None] + down[:, None] - eye
    far = np.where(way[..., 2] < -1e-4, -eye[2] / np.minimum(way[..., 2], -1e-4), np.nan)
    return (eye + far[..., None] * way)[..., :2].clip(-200, 200).astype(np.float16)


if __name__ == "__main__":
    main()
