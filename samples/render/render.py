"""Render the sample pictures: each scene with its object, without it, and the exact mask.

    pip install bpy pillow      # Blender as a module (4.5, Python 3.11); not needed by the package
    python samples/render/render.py [--preview] [--out DIR] [SCENE...]

Per scene: NAME.jpg, NAME_clean.jpg (no object, no shadow, no reflection), NAME_mask.png (pixels
the object covers by half or more), NAME_effect.png (all that it changes: itself, shadow,
reflection) and an entry in samples.json. The two photos differ in grain, as two shots would.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import bpy
import numpy as np
from PIL import Image, ImageFilter

import scenes
from materials import Nodes

GRAIN = 1.5  # standard deviation in 8-bit levels
THREADS = 2


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    ask.add_argument("scenes", nargs="*", metavar="SCENE", help=" ".join(scenes.ALL))
    ask.add_argument("--preview", action="store_true", help="a quarter of the size, few rays")
    ask.add_argument("--out", type=Path, default=Path(__file__).parent.parent)
    asked = ask.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    for name in asked.scenes or scenes.ALL:
        start = time.time()
        make(name, asked.out, asked.preview)
        print(f"{name}: {time.time() - start:.0f} s", flush=True)


def make(name: str, out: Path, preview: bool) -> None:
    scene = scenes.ALL[name]
    bpy.ops.wm.read_factory_settings(use_empty=True)
    settings(scene, preview)
    target = scene.build()
    with_it = shoot()
    for thing in target:
        thing.hide_render = True
    without = shoot()
    for thing in target:
        thing.hide_render = False
    mask = coverage(target)[..., 0] >= 0.5
    seed = list(scenes.ALL).index(name)
    photo(with_it, 2 * seed).save(out / f"{name}.jpg", quality=92, subsampling="4:2:0")
    photo(without, 2 * seed + 1).save(out / f"{name}_clean.jpg", quality=92, subsampling="4:2:0")
    bits(mask).save(out / f"{name}_mask.png", optimize=True)
    bits(mask | changed(with_it, without)).save(out / f"{name}_effect.png", optimize=True)
    note(out / "samples.json", name, mask, scene.tests)


def settings(scene, preview: bool) -> None:
    picture, cycles = bpy.context.scene.render, bpy.context.scene.cycles
    picture.engine = "CYCLES"
    picture.resolution_x, picture.resolution_y = scene.size
    picture.resolution_percentage = 25 if preview else 100
    picture.use_persistent_data = True  # the scene is not built anew for the second picture
    picture.threads_mode, picture.threads = "FIXED", THREADS
    picture.image_settings.file_format, picture.image_settings.color_depth = "PNG", "16"
    cycles.samples = 16 if preview else scene.samples
    cycles.adaptive_threshold = 0.02
    cycles.use_denoising, cycles.denoiser, cycles.denoising_prefilter = True, "OPENIMAGEDENOISE", "ACCURATE"
    cycles.max_bounces, cycles.diffuse_bounces, cycles.glossy_bounces = 5, 2, 3
    cycles.sample_clamp_indirect, cycles.seed = 4.0, 1
    cycles.caustics_reflective = cycles.caustics_refractive = False
    view = bpy.context.scene.view_settings
    view.view_transform, view.look, view.exposure = "AgX", scene.look, scene.exposure


def shoot() -> np.ndarray:
    """(h, w, 3) float32 in [0, 1], as displayed, without grain."""
    with tempfile.TemporaryDirectory() as folder:
        bpy.context.scene.render.filepath = f"{folder}/shot.png"
        bpy.ops.render.render(write_still=True)
        shot = bpy.data.images.load(f"{folder}/shot.png")
        shot.colorspace_settings.name = "Non-Color"
        pixels = np.empty(shot.size[0] * shot.size[1] * 4, np.float32)
        shot.pixels.foreach_get(pixels)
        return pixels.reshape(shot.size[1], shot.size[0], 4)[::-1, :, :3]


def coverage(target) -> np.ndarray:
    """How much of each pixel the target covers: it glows white, all else is black."""
    scene = bpy.context.scene
    glow = bpy.data.materials.new("glow")
    glow.use_nodes = True
    glow.node_tree.nodes.clear()
    nodes = Nodes(glow.node_tree)
    nodes.end("OutputMaterial", nodes("Emission", Strength=nodes("ObjectInfo", out="Object Index")))
    for thing in target:
        thing.pass_index = 1
    bpy.context.view_layer.material_override = glow
    scene.world = bpy.data.worlds.new("dark")
    scene.world.color = (0, 0, 0)
    scene.view_settings.view_transform, scene.view_settings.look = "Raw", "None"
    scene.view_settings.exposure = 0
    scene.cycles.samples, scene.cycles.max_bounces, scene.cycles.use_denoising = 24, 0, False
    scene.cycles.use_adaptive_sampling = False
    return shoot()


def photo(shot: np.ndarray, seed: int) -> Image.Image:
    """What a camera adds: dark corners and grain."""
    height, width = shot.shape[:2]
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    shaded = shot * (1 - 0.07 * (x**2 + y**2))[..., None] * 255
    grainy = shaded + np.random.default_rng(seed).normal(0, GRAIN, shot.shape)
    return Image.fromarray(np.clip(np.round(grainy), 0, 255).astype(np.uint8))


def changed(a: np.ndarray, b: np.ndarray, threshold: float = 4 / 255) -> np.ndarray:
    """Where the object changes the picture, less the single pixels in which rays differ by chance."""
    apart = bits(np.abs(a - b).max(2) > threshold)
    return np.asarray(apart.filter(ImageFilter.MedianFilter(5))) > 0


def bits(mask: np.ndarray) -> Image.Image:
    return Image.fromarray(mask.astype(np.uint8) * 255)


def innermost(mask: np.ndarray) -> list[int]:
    """(x, y) of a pixel that erosion reaches last."""
    left = np.pad(mask, 1)
    while left.any():
        last = left
        left = left & np.roll(left, 1, 0) & np.roll(left, -1, 0)
        left &= np.roll(left, 1, 1) & np.roll(left, -1, 1)
    y, x = np.argwhere(last)[0] - 1
    return [int(x), int(y)]


def note(path: Path, name: str, mask: np.ndarray, tests: str) -> None:
    known = json.loads(path.read_text()) if path.exists() else {}
    y, x = np.nonzero(mask)
    known[name] = {
        "click": innermost(mask),
        "box": [int(x.min()), int(y.min()), int(x.max()) + 1, int(y.max()) + 1],
        "tests": tests,
    }
    ordered = {key: known[key] for key in scenes.ALL if key in known}
    lines = (f'  "{key}": {json.dumps(entry)}' for key, entry in ordered.items())
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
