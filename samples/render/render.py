"""Render the samples: each scene with its object, without it, and the exact mask.

    pip install bpy pillow      # Blender as a module (4.5, Python 3.11); the package does not need it
    python samples/render/render.py [--preview] [--out DIR] [SCENE...]

Per scene it writes NAME.jpg, NAME_clean.jpg (without object, shadow and reflection), NAME_mask.png
(pixels of which the object covers at least half), NAME_effect.png (all that it changes: itself,
shadow, reflection) and an entry in samples.json. The two photos differ in grain, as two exposures do.
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
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("scenes", nargs="*", metavar="SCENE", help=" ".join(scenes.ALL))
    parser.add_argument("--preview", action="store_true", help="a quarter of the size, few rays")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent.parent)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    for name in args.scenes or scenes.ALL:
        start = time.time()
        render_scene(name, args.out, args.preview)
        print(f"{name}: {time.time() - start:.0f} s", flush=True)


def render_scene(name: str, out: Path, preview: bool) -> None:
    scene = scenes.ALL[name]
    bpy.ops.wm.read_factory_settings(use_empty=True)
    apply_settings(scene, preview)
    objects = scene.build()
    with_object = render_picture()
    for object_ in objects:
        object_.hide_render = True
    clean = render_picture()
    for object_ in objects:
        object_.hide_render = False
    mask = object_coverage(objects)[..., 0] >= 0.5
    seed = list(scenes.ALL).index(name)
    as_photo(with_object, 2 * seed).save(out / f"{name}.jpg", quality=92, subsampling="4:2:0")
    as_photo(clean, 2 * seed + 1).save(out / f"{name}_clean.jpg", quality=92, subsampling="4:2:0")
    as_mask_image(mask).save(out / f"{name}_mask.png", optimize=True)
    as_mask_image(mask | changed_pixels(with_object, clean)).save(out / f"{name}_effect.png", optimize=True)
    write_entry(out / "samples.json", name, mask, scene.tests)


def apply_settings(scene, preview: bool) -> None:
    render_settings, cycles = bpy.context.scene.render, bpy.context.scene.cycles
    render_settings.engine = "CYCLES"
    render_settings.resolution_x, render_settings.resolution_y = scene.size
    render_settings.resolution_percentage = 25 if preview else 100
    render_settings.use_persistent_data = True  # keeps the scene for the second picture
    render_settings.threads_mode, render_settings.threads = "FIXED", THREADS
    render_settings.image_settings.file_format, render_settings.image_settings.color_depth = "PNG", "16"
    cycles.samples = 16 if preview else scene.samples
    cycles.adaptive_threshold = 0.02
    cycles.use_denoising, cycles.denoiser, cycles.denoising_prefilter = True, "OPENIMAGEDENOISE", "ACCURATE"
    cycles.max_bounces, cycles.diffuse_bounces, cycles.glossy_bounces = 5, 2, 3
    cycles.sample_clamp_indirect, cycles.seed = 4.0, 1
    cycles.caustics_reflective = cycles.caustics_refractive = False
    view = bpy.context.scene.view_settings
    view.view_transform, view.look, view.exposure = "AgX", scene.look, scene.exposure


def render_picture() -> np.ndarray:
    """Return the rendered picture, float32 (h, w, 3) in [0, 1], as displayed, without grain."""
    with tempfile.TemporaryDirectory() as folder:
        bpy.context.scene.render.filepath = f"{folder}/shot.png"
        bpy.ops.render.render(write_still=True)
        picture = bpy.data.images.load(f"{folder}/shot.png")
        picture.colorspace_settings.name = "Non-Color"
        pixels = np.empty(picture.size[0] * picture.size[1] * 4, np.float32)
        picture.pixels.foreach_get(pixels)
        return pixels.reshape(picture.size[1], picture.size[0], 4)[::-1, :, :3]


def object_coverage(objects) -> np.ndarray:
    """Return how much of each pixel the objects cover, rendered white on black."""
    scene = bpy.context.scene
    glow = bpy.data.materials.new("glow")
    glow.use_nodes = True
    glow.node_tree.nodes.clear()
    nodes = Nodes(glow.node_tree)
    nodes.set_output("OutputMaterial", nodes("Emission", Strength=nodes("ObjectInfo", out="Object Index")))
    for object_ in objects:
        object_.pass_index = 1
    bpy.context.view_layer.material_override = glow
    scene.world = bpy.data.worlds.new("dark")
    scene.world.color = (0, 0, 0)
    scene.view_settings.view_transform, scene.view_settings.look = "Raw", "None"
    scene.view_settings.exposure = 0
    scene.cycles.samples, scene.cycles.max_bounces, scene.cycles.use_denoising = 24, 0, False
    scene.cycles.use_adaptive_sampling = False
    return render_picture()


def as_photo(picture: np.ndarray, seed: int) -> Image.Image:
    """Add a camera's dark corners and grain."""
    height, width = picture.shape[:2]
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    shaded = picture * (1 - 0.07 * (x**2 + y**2))[..., None] * 255
    grainy = shaded + np.random.default_rng(seed).normal(0, GRAIN, picture.shape)
    return Image.fromarray(np.clip(np.round(grainy), 0, 255).astype(np.uint8))


def changed_pixels(a: np.ndarray, b: np.ndarray, threshold: float = 4 / 255) -> np.ndarray:
    """Return where the object changes the picture, without single pixels in which rays differ at random."""
    difference = as_mask_image(np.abs(a - b).max(2) > threshold)
    return np.asarray(difference.filter(ImageFilter.MedianFilter(5))) > 0


def as_mask_image(mask: np.ndarray) -> Image.Image:
    return Image.fromarray(mask.astype(np.uint8) * 255)


def innermost_point(mask: np.ndarray) -> list[int]:
    """Return (x, y) of a pixel that erosion reaches last."""
    remaining = np.pad(mask, 1)
    while remaining.any():
        last = remaining
        remaining = remaining & np.roll(remaining, 1, 0) & np.roll(remaining, -1, 0)
        remaining &= np.roll(remaining, 1, 1) & np.roll(remaining, -1, 1)
    y, x = np.argwhere(last)[0] - 1
    return [int(x), int(y)]


def write_entry(path: Path, name: str, mask: np.ndarray, tests: str) -> None:
    known = json.loads(path.read_text()) if path.exists() else {}
    y, x = np.nonzero(mask)
    known[name] = {
        "click": innermost_point(mask),
        "box": [int(x.min()), int(y.min()), int(x.max()) + 1, int(y.max()) + 1],
        "tests": tests,
    }
    ordered = {key: known[key] for key in scenes.ALL if key in known}
    lines = (f'  "{key}": {json.dumps(entry)}' for key, entry in ordered.items())
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
