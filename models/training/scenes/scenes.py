"""Made scenes with exact masks, a batch at a time, on the CPU or a GPU.

Shapes of many kinds are laid over one another as dead leaves are (their statistics are those of
photos: Lee, Mumford and Huang 2001; that networks learn from them: Baradad et al. 2021), some of
them composed of parts that bear marks; before a wall and on a floor in perspective; shaded, with
shadows; then blurred, made noisy and compressed as a camera does. Nothing is read from anywhere.

    python -m models.training.scenes.scenes sheet.png  # some scenes, and the speed
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

from models.training.scenes.camera import finish, smooth
from models.training.scenes.shapes import Dice, Plane, bank, colour, inner, outline, plane, shade

OBJECTS = 14  # at most, in a scene; every second one has parts
PARTS = 4  # of an object besides its body, at most; every second one bears a mark
FAR = 5  # as many objects may be out of focus
COLOURS = 6  # in the palette of a scene
LEAST = 24  # px, the smallest area of a mask that counts, on a frame of 128 px


@dataclass(frozen=True, eq=False)
class Scenes:
    """n pictures and what is where.

    ``images`` (n, 3, s, s) float32, whole numbers in [0, 255], the mean colour beyond the
    photo; it begins at the top left. ``whole``, ``part`` and ``mark`` (n, s, s) uint8 number
    what each pixel belongs to, 0 for nothing: objects, their parts, and parts of these. A mark
    lies in one part, a part in one object.
    """

    images: Tensor
    whole: Tensor
    part: Tensor
    mark: Tensor


@dataclass(eq=False)
class _Canvas:
    """What is painted on, back to front."""

    paint: Tensor
    whole: Tensor
    part: Tensor
    mark: Tensor
    palette: Tensor
    noise: Tensor
    light: Tensor
    dice: Dice
    layers: int = 0


def make(seed: int, n: int, side: int, device: str | torch.device = "cpu") -> Scenes:
    """``n`` scenes of ``side`` px, a multiple of 8; the same ones for a seed, on a device."""
    generator = torch.Generator(device).manual_seed(seed)
    dice = Dice(n, generator)
    whole = plane(n, side, generator.device)
    canvas = _empty(whole, dice)
    _background(canvas, whole)
    far = dice.between(0, 3) * dice.chance(0.4) * side / 256
    for number in range(1, OBJECTS + 1):
        _object(canvas, whole, number, PARTS if number % 2 else 0)
        if number == FAR:  # what is behind may be out of focus
            canvas.paint = smooth(canvas.paint, far)
    images, inside = finish(canvas.paint, dice)
    labels = (canvas.whole, canvas.part, canvas.mark)
    return Scenes(images, *(label * inside for label in labels))


def _empty(whole: Plane, dice: Dice) -> _Canvas:
    nothing = torch.zeros_like(whole.u, dtype=torch.uint8)
    hue = dice.between(0, 1, COLOURS, 3)
    grey = hue.mean(-1, keepdim=True)
    palette = torch.lerp(grey, hue, dice.between(0, 1.2, 1, 1)) * dice.between(0.6, 1.3, 1, 1)
    angle = dice.between(-3.14, 3.14)
    light = torch.stack([angle.cos(), angle.sin()], dim=1)
    paint = torch.zeros(dice.n, 3, *whole.u.shape[1:], device=whole.u.device)
    return _Canvas(paint, nothing, nothing, nothing, palette, bank(dice), light, dice)


def _background(canvas: _Canvas, whole: Plane) -> None:
    """A wall, in most scenes with a floor that recedes to a horizon, perhaps tilted."""
    dice = canvas.dice
    horizon = torch.where(dice.chance(0.6), dice.between(-0.7, 0.6), dice.between(9, 9.1))
    y = whole.v + 0.3 * dice.normal(1, 1) * whole.u * dice.chance(0.3) - horizon
    away = 1 / y.clamp(min=0.03)
    floor = Plane(whole.u * away * dice.between(0.3, 1), away, whole.pixels)
    wall = Plane(whole.u * dice.between(0.5, 2), whole.v * dice.between(0.5, 2), whole.pixels)
    behind = colour(wall, canvas.noise, canvas.palette, dice)
    below = colour(floor, canvas.noise, canvas.palette, dice)
    under = (y * whole.pixels * 0.5 + 0.5).clamp(0, 1)[:, None]
    lit = 1 + 0.3 * dice.normal(1, 1) * whole.u + 0.3 * dice.normal(1, 1) * whole.v
    canvas.paint = torch.lerp(behind, below, under) * lit.clamp(0.4, 1.6)[:, None]


def _object(canvas: _Canvas, whole: Plane, number: int, parts: int) -> None:
    """A leaf, or a body with parts in it, behind it or standing out, some twice by symmetry."""
    dice = canvas.dice
    present = dice.chance(0.75)
    size = 0.8 * 2 ** dice.between(-3, 0) * (1.0 if parts else 0.8)
    at = dice.between(-1, 1), dice.between(-1, 1)
    body = inner(whole, at, size, dice, 0.15)
    shape, rim = outline(body, dice)
    _shadow(canvas, shape * present)
    _layer(canvas, body, rim, shape * present, number)
    if parts:
        _mark(canvas, body)
    for place in range(parts):
        _part(canvas, body, number, present & dice.chance(0.7), marked=place % 2 == 0)


def _part(canvas: _Canvas, body: Plane, number: int, present: Tensor, marked: bool) -> None:
    dice = canvas.dice
    twice = dice.chance(0.3)
    mirrored = body._replace(u=torch.where(twice, body.u.abs(), body.u))
    at = dice.between(-0.9, 0.9), dice.between(-0.9, 0.9)
    where = inner(mirrored, at, 2 ** dice.between(-2.2, -0.4), dice, 0.35)
    shape, rim = outline(where, dice)
    behind = dice.chance(0.3) & (canvas.whole == number)
    _layer(canvas, where, rim, shape * present * ~behind, number)
    if marked:
        _mark(canvas, where)


def _mark(canvas: _Canvas, part: Plane) -> None:
    """On the part that was painted last, and nowhere else."""
    dice = canvas.dice
    at = dice.between(-0.5, 0.5), dice.between(-0.5, 0.5)
    where = inner(part, at, 2 ** dice.between(-1.8, -0.5), dice, 0.3)
    shape, rim = outline(where, dice)
    on = (canvas.part == canvas.layers) & dice.chance(0.6)
    _paint(canvas, where, rim, shape * on)
    canvas.mark = torch.where(shape * on > 0.5, canvas.layers, canvas.mark)


def _layer(canvas: _Canvas, where: Plane, rim: Tensor, shape: Tensor, number: int) -> None:
    """A part of the object of that number, over whatever is there."""
    _paint(canvas, where, rim, shape)
    canvas.layers += 1
    on = shape > 0.5
    canvas.whole = torch.where(on, number, canvas.whole)
    canvas.part = torch.where(on, canvas.layers, canvas.part)
    canvas.mark = torch.where(on, 0, canvas.mark)


def _paint(canvas: _Canvas, where: Plane, rim: Tensor, shape: Tensor) -> None:
    dice = canvas.dice
    look = colour(where, canvas.noise, canvas.palette, dice)
    look = look * shade(where, rim, canvas.light, dice)
    canvas.paint = torch.lerp(canvas.paint, look, shape[:, None])


def _shadow(canvas: _Canvas, shape: Tensor) -> None:
    """On what lies below, away from the light, soft, made at an eighth of the size."""
    dice, side = canvas.dice, shape.shape[-1]
    small = functional.avg_pool2d(shape[:, None], 8)
    shift = canvas.light[:, :, 0, 0] * dice.between(0.0, 0.25, 1)
    lay = torch.eye(2, 3, device=shape.device).repeat(len(shape), 1, 1)
    lay[:, :, 2] = shift
    grid = functional.affine_grid(lay, list(small.shape), align_corners=False)
    moved = functional.grid_sample(small, grid, align_corners=False)
    soft = functional.avg_pool2d(moved, 3, 1, 1)
    wide = functional.interpolate(soft, (side, side), mode="bilinear")
    strength = dice.between(0, 0.7) * dice.chance(0.6)
    canvas.paint = canvas.paint * (1 - strength[:, None] * wide)


def masks(scenes: Scenes) -> list[list[Tensor]]:
    """For each scene its distinct masks (s, s) bool, large enough to be meant."""
    least = LEAST * (scenes.whole.shape[-1] / 128) ** 2
    found = []
    for whole, part, mark in zip(scenes.whole, scenes.part, scenes.mark, strict=True):
        alone = [m == i for m in (whole, part, mark) for i in m.unique().tolist() if i]
        found.append([bits for bits in alone if bits.sum() >= least])
    return found


def sheet(scenes: Scenes, columns: int = 4) -> NDArray[np.uint8]:
    """Pictures, each beside its objects, parts and marks in colours: (h, w, 3) uint8 BGR."""
    colours = np.random.default_rng(0).integers(40, 256, (256, 3), dtype=np.uint8)
    colours[0] = 0
    tiles = []
    for i, image in enumerate(scenes.images):
        pixels = image.permute(1, 2, 0).round().byte().cpu().numpy()[..., ::-1]
        labels = [colours[m[i].cpu().numpy()] for m in (scenes.whole, scenes.part, scenes.mark)]
        top, bottom = np.hstack([pixels, labels[0]]), np.hstack(labels[1:])
        tiles.append(np.vstack([top, bottom]))
    rows = [np.hstack(tiles[i : i + columns]) for i in range(0, len(tiles), columns)]
    return np.vstack(rows)


@click.command(help=__doc__)
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--side", default=256, show_default=True)
@click.option("--count", default=8, show_default=True)
@click.option("--seed", default=0, show_default=True)
@click.option("--device", default="cpu", show_default=True)
def main(path: Path, side: int, count: int, seed: int, device: str) -> None:
    start, spent = time.perf_counter(), time.process_time()
    made = make(seed, count, side, device)
    total = float(made.images.sum())  # waits for the device
    wall, cpu = time.perf_counter() - start, time.process_time() - spent
    cv2.imwrite(str(path), sheet(made))
    click.echo(f"{count / wall:.2f} scenes of {side} px a second, {cpu / count:.2f} CPU s each")
    click.echo(f"mean {total / made.images.numel():.0f}")


if __name__ == "__main__":
    main()
