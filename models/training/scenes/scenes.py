"""Flat scenes with exact labels, drawn in batches on a CPU or a GPU.

Shapes of many kinds are drawn over one another as in the dead leaves model, whose statistics are
those of photos (Lee, Mumford and Huang 2001) and from which networks can learn (Baradad et al.
2021). Some objects have parts, and parts have marks; only objects are labelled. The background is a
wall and a floor in perspective. Objects are shaded and cast shadows; then a simulated camera blurs,
adds noise and compresses. No file is read.

    python -m models.training.scenes.scenes sheet.png  # draw some scenes and print the speed
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import click
import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from models.training.batch_random import BatchRandom
from models.training.scenes.camera import gaussian_blur, photograph
from models.training.scenes.shapes import (
    Plane,
    draw_outline,
    inner_plane,
    noise_bank,
    paint_texture,
    picture_plane,
    shading,
)

MAX_OBJECTS = 14  # in a scene; every second one has parts
MAX_PARTS = 4  # of an object besides its body; every second one has a mark
BACKGROUND_OBJECTS = 5  # the first objects, which may be out of focus
PALETTE_SIZE = 6  # colours of a scene


@dataclass(frozen=True, eq=False)
class FlatScenes:
    """n pictures and their labels.

    ``images`` (n, 3, s, s) float32 holds whole numbers in [0, 255]; the photo begins at the top
    left, and the mean colour fills the rest. ``thing`` (n, s, s) uint8 are labels of objects, 0 for
    none.
    """

    images: Tensor
    thing: Tensor


@dataclass(eq=False)
class _Canvas:
    """Scenes while they are drawn, back to front."""

    pictures: Tensor
    thing: Tensor
    part: Tensor
    palette: Tensor
    noise: Tensor
    light_direction: Tensor
    rng: BatchRandom
    layers: int = 0


def draw_scenes(seed: int, n: int, side: int, device: str | torch.device = "cpu") -> FlatScenes:
    """Draw ``n`` scenes of ``side`` px, a multiple of 8. The seed determines them, per device."""
    generator = torch.Generator(device).manual_seed(seed)
    rng = BatchRandom(n, generator)
    frame = picture_plane(n, side, generator.device)
    canvas = _empty_canvas(frame, rng)
    _draw_background(canvas, frame)
    blur = rng.uniform(0, 3) * rng.bernoulli(0.4) * side / 256
    for number in range(1, MAX_OBJECTS + 1):
        _draw_object(canvas, frame, number, MAX_PARTS if number % 2 else 0)
        if number == BACKGROUND_OBJECTS:  # the objects so far may be out of focus
            canvas.pictures = gaussian_blur(canvas.pictures, blur)
    images, inside = photograph(canvas.pictures, rng)
    return FlatScenes(images, canvas.thing * inside)


def _empty_canvas(frame: Plane, rng: BatchRandom) -> _Canvas:
    blank = torch.zeros_like(frame.u, dtype=torch.uint8)
    colours = rng.uniform(0, 1, PALETTE_SIZE, 3)
    grey = colours.mean(-1, keepdim=True)
    palette = torch.lerp(grey, colours, rng.uniform(0, 1.2, 1, 1)) * rng.uniform(0.6, 1.3, 1, 1)
    angle = rng.uniform(-3.14, 3.14)
    light_direction = torch.stack([angle.cos(), angle.sin()], dim=1)
    pictures = torch.zeros(rng.count, 3, *frame.u.shape[1:], device=frame.u.device)
    return _Canvas(pictures, blank, blank, palette, noise_bank(rng), light_direction, rng)


def _draw_background(canvas: _Canvas, frame: Plane) -> None:
    """Draw a wall, in most scenes with a floor that recedes to a horizon, sometimes tilted."""
    rng = canvas.rng
    horizon = torch.where(rng.bernoulli(0.6), rng.uniform(-0.7, 0.6), rng.uniform(9, 9.1))
    y = frame.v + 0.3 * rng.normal(1, 1) * frame.u * rng.bernoulli(0.3) - horizon
    distance = 1 / y.clamp(min=0.03)
    floor = Plane(frame.u * distance * rng.uniform(0.3, 1), distance, frame.pixels_per_unit)
    wall = Plane(
        frame.u * rng.uniform(0.5, 2), frame.v * rng.uniform(0.5, 2), frame.pixels_per_unit
    )
    wall_colour = paint_texture(wall, canvas.noise, canvas.palette, rng)
    floor_colour = paint_texture(floor, canvas.noise, canvas.palette, rng)
    floor_alpha = (y * frame.pixels_per_unit * 0.5 + 0.5).clamp(0, 1)[:, None]
    brightness = 1 + 0.3 * rng.normal(1, 1) * frame.u + 0.3 * rng.normal(1, 1) * frame.v
    canvas.pictures = (
        torch.lerp(wall_colour, floor_colour, floor_alpha) * brightness.clamp(0.4, 1.6)[:, None]
    )


def _draw_object(canvas: _Canvas, frame: Plane, number: int, parts: int) -> None:
    """Draw a simple shape, or a body with parts on or behind it, some mirrored."""
    rng = canvas.rng
    present = rng.bernoulli(0.75)
    size = 0.8 * 2 ** rng.uniform(-3, 0) * (1.0 if parts else 0.8)
    center = rng.uniform(-1, 1), rng.uniform(-1, 1)
    body = inner_plane(frame, center, size, rng, 0.15)
    alpha, rim = draw_outline(body, rng)
    _draw_shadow(canvas, alpha * present)
    _add_layer(canvas, body, rim, alpha * present, number)
    if parts:
        _draw_mark(canvas, body)
    for index in range(parts):
        _draw_part(canvas, body, number, present & rng.bernoulli(0.7), marked=index % 2 == 0)


def _draw_part(canvas: _Canvas, body: Plane, number: int, present: Tensor, marked: bool) -> None:
    rng = canvas.rng
    is_mirrored = rng.bernoulli(0.3)
    mirrored = body._replace(u=torch.where(is_mirrored, body.u.abs(), body.u))
    center = rng.uniform(-0.9, 0.9), rng.uniform(-0.9, 0.9)
    plane = inner_plane(mirrored, center, 2 ** rng.uniform(-2.2, -0.4), rng, 0.35)
    alpha, rim = draw_outline(plane, rng)
    is_behind = rng.bernoulli(0.3) & (canvas.thing == number)
    _add_layer(canvas, plane, rim, alpha * present * ~is_behind, number)
    if marked:
        _draw_mark(canvas, plane)


def _draw_mark(canvas: _Canvas, part: Plane) -> None:
    """Draw a mark on the last part, clipped to it."""
    rng = canvas.rng
    center = rng.uniform(-0.5, 0.5), rng.uniform(-0.5, 0.5)
    plane = inner_plane(part, center, 2 ** rng.uniform(-1.8, -0.5), rng, 0.3)
    alpha, rim = draw_outline(plane, rng)
    on_part = (canvas.part == canvas.layers) & rng.bernoulli(0.6)
    _paint_shape(canvas, plane, rim, alpha * on_part)


def _add_layer(canvas: _Canvas, plane: Plane, rim: Tensor, alpha: Tensor, number: int) -> None:
    """Draw a part of object ``number`` over everything."""
    _paint_shape(canvas, plane, rim, alpha)
    canvas.layers += 1
    covered = alpha > 0.5
    canvas.thing = torch.where(covered, number, canvas.thing)
    canvas.part = torch.where(covered, canvas.layers, canvas.part)


def _paint_shape(canvas: _Canvas, plane: Plane, rim: Tensor, alpha: Tensor) -> None:
    rng = canvas.rng
    texture = paint_texture(plane, canvas.noise, canvas.palette, rng)
    texture = texture * shading(plane, rim, canvas.light_direction, rng)
    canvas.pictures = torch.lerp(canvas.pictures, texture, alpha[:, None])


def _draw_shadow(canvas: _Canvas, alpha: Tensor) -> None:
    """Darken what lies below, away from the light; soft, computed at an eighth of the size."""
    rng, side = canvas.rng, alpha.shape[-1]
    small = functional.avg_pool2d(alpha[:, None], 8)
    shift = canvas.light_direction[:, :, 0, 0] * rng.uniform(0.0, 0.25, 1)
    transform = torch.eye(2, 3, device=alpha.device).repeat(len(alpha), 1, 1)
    transform[:, :, 2] = shift
    grid = functional.affine_grid(transform, list(small.shape), align_corners=False)
    shifted = functional.grid_sample(small, grid, align_corners=False)
    soft = functional.avg_pool2d(shifted, 3, 1, 1)
    shadow = functional.interpolate(soft, (side, side), mode="bilinear")
    strength = rng.uniform(0, 0.7) * rng.bernoulli(0.6)
    canvas.pictures = canvas.pictures * (1 - strength[:, None] * shadow)


def sheet(scenes: FlatScenes, columns: int = 4) -> NDArray[np.uint8]:
    """Draw scenes and their labels in colours: (h, w, 3) uint8 BGR.

    The number of scenes must be below ``columns`` or a multiple of it.
    """
    palette = np.random.default_rng(0).integers(40, 256, (256, 3), dtype=np.uint8)
    palette[0] = 0
    tiles = []
    for i, image in enumerate(scenes.images):
        pixels = image.permute(1, 2, 0).round().byte().cpu().numpy()[..., ::-1]
        tiles.append(np.vstack([pixels, palette[scenes.thing[i].cpu().numpy()]]))
    rows = [np.hstack(tiles[i : i + columns]) for i in range(0, len(tiles), columns)]
    return np.vstack(rows)


@click.command(help=__doc__)
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--side", default=256, show_default=True)
@click.option("--count", default=8, show_default=True)
@click.option("--seed", default=0, show_default=True)
@click.option("--device", default="cpu", show_default=True)
def main(path: Path, side: int, count: int, seed: int, device: str) -> None:
    start, cpu_start = time.perf_counter(), time.process_time()
    drawn = draw_scenes(seed, count, side, device)
    total = float(drawn.images.sum())  # waits for the device
    wall, cpu = time.perf_counter() - start, time.process_time() - cpu_start
    cv2.imwrite(str(path), sheet(drawn))
    click.echo(f"{count / wall:.2f} scenes of {side} px a second, {cpu / count:.2f} CPU s each")
    click.echo(f"mean {total / drawn.images.numel():.0f}")


if __name__ == "__main__":
    main()
