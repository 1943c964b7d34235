"""Objects composited onto other pictures, with the shadows and reflections they would cast.

Cast shadows are the object's outline projected onto the ground, up a wall or onto a wall behind;
contact shadows lie below the object; a reflection is the object upside down. All functions work
on batches: maps are (n, c, s, s), numbers per picture (n, 1, 1, 1).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from models.training.batch_random import BatchRandom
from models.training.shadow.augmentation import (
    cloud_noise,
    gaussian_blur,
    to_display,
    to_linear,
    wide_blur,
)

COMPOSITE_SIDE = 192  # px, side of the composites
NOWHERE = 1e4  # px, beyond every picture


class PlacedObject(NamedTuple):
    """An object in the composite's frame.

    ``alpha`` (n, 1, s, s) in [0, 1] and ``colour`` (n, 3, s, s) in linear light. ``center_x`` is
    the column of its middle, ``bottom`` its lowest row, ``width`` and ``height`` its size, all in
    px.
    """

    alpha: Tensor
    colour: Tensor
    center_x: Tensor
    bottom: Tensor
    width: Tensor
    height: Tensor


def compose(
    ground: Tensor, source: Tensor, mask: Tensor, rng: BatchRandom
) -> tuple[Tensor, Tensor, Tensor]:
    """Return photo, clean plate and alpha of objects composited onto ``ground``.

    The objects are cut out of ``source`` at ``mask`` (n, 1, s, s). Pictures are displayed values;
    results are ``COMPOSITE_SIDE`` px large. In about one of six the object casts nothing.
    """
    placed = place_object(source, mask, rng)
    clean = _add_distractors(to_linear(_random_crop(ground, rng)), placed, rng)
    kind, has_effect = rng.uniform(0, 1), rng.bernoulli(0.84)
    lit = clean * _transmitted_light(placed, kind, has_effect, rng)
    reflects = has_effect & ((kind > 0.74) & (kind < 0.9) | rng.bernoulli(0.1))
    lit = _add_reflection(lit, placed, reflects, rng)
    photo = torch.lerp(lit, placed.colour, placed.alpha)
    return to_display(photo), to_display(clean), placed.alpha


def place_object(source: Tensor, mask: Tensor, rng: BatchRandom) -> PlacedObject:
    """Return the objects at random sizes, places and exposures."""
    x, y = _pixel_centers(mask.device)
    x0, x1 = _extent(mask.amax(2)[:, 0])
    y0, y1 = _extent(mask.amax(3)[:, 0])
    scale = 2 ** rng.uniform(-2.3, -0.8) * COMPOSITE_SIDE * 1.4 / (x1 - x0 + y1 - y0)
    center_x, center_y = (
        rng.uniform(0.2, 0.8) * COMPOSITE_SIDE,
        rng.uniform(0.25, 0.85) * COMPOSITE_SIDE,
    )
    sigma = (0.45 / scale) * (scale < 1)
    source_x = (x0 + x1) / 2 + (x - center_x) / scale * rng.sign()
    source_y = (y0 + y1) / 2 + (y - center_y) / scale
    blurred = gaussian_blur(torch.cat([source * mask, mask], 1), sigma, radius=4)
    sampled = _sample(blurred, source_x, source_y)
    alpha = sampled[:, 3:].clamp(0, 1)
    gain = 2 ** rng.normal().clamp(-2, 2) * (1 + 0.1 * rng.normal(3, 1, 1))
    colour = (to_linear(sampled[:, :3] / sampled[:, 3:].clamp(min=0.02)) * gain).clamp(0, 1)
    width, height = (x1 - x0) * scale, (y1 - y0) * scale
    return PlacedObject(
        alpha, colour, center_x.expand_as(width), center_y + height / 2, width, height
    )


def _add_distractors(ground: Tensor, thing: PlacedObject, rng: BatchRandom) -> Tensor:
    """Add effects of other causes: other shadows, other objects, dark patches."""
    distractor = thing._replace(alpha=thing.alpha.roll(1, 0), colour=thing.colour.roll(1, 0))
    distractor = distractor._replace(**{
        name: getattr(thing, name).roll(1, 0) for name in ("center_x", "bottom", "width", "height")
    })  # fmt: skip
    present = rng.bernoulli(0.3)
    shade = _ground_shadow(distractor, rng) * (rng.bernoulli(0.35) | present)
    shade = torch.maximum(shade, _contact_shadow(distractor, rng) * present)
    picture = ground * (1 - rng.uniform(0.2, 0.8) * shade)
    picture = torch.lerp(picture, distractor.colour, distractor.alpha * present)
    noise = cloud_noise(rng, COMPOSITE_SIDE, 3, 24)
    patch = ((noise - rng.uniform(0.2, 1.5)) * 2 ** rng.uniform(0, 5)).clamp(0, 1)
    return picture * (1 - rng.uniform(0.1, 0.7) * patch * rng.bernoulli(0.25))


def _transmitted_light(
    thing: PlacedObject, kind: Tensor, has_effect: Tensor, rng: BatchRandom
) -> Tensor:
    """Return the fraction of light (n, 3, s, s) that the object's shadows leave."""
    blue = torch.arange(1, -2, -1, device=kind.device).view(3, 1, 1)  # skylight is slightly blue
    tint = 1 + rng.uniform(-0.03, 0.06) * blue
    on_ground = has_effect & (kind < 0.72)
    second = on_ground & rng.bernoulli(0.15)
    on_wall = has_effect & ((kind > 0.9) | rng.bernoulli(0.06))
    contact = has_effect & rng.bernoulli(0.45)
    layers = (
        (_ground_shadow(thing, rng), on_ground, rng.uniform(0.15, 0.9)),
        (_ground_shadow(thing, rng), second, rng.uniform(0.05, 0.5)),
        (_wall_shadow(thing, rng), on_wall, rng.uniform(0.04, 0.6)),
        (_contact_shadow(thing, rng), contact, rng.uniform(0.1, 0.9)),
        (_ambient_occlusion(thing, rng), contact & rng.bernoulli(0.4), rng.uniform(0.02, 0.4)),
    )
    light = torch.ones_like(thing.colour)
    for shade, present, darkness in layers:
        light = light * (1 - darkness * tint * shade * present).clamp(0.02, 1)
    return light


def _ground_shadow(thing: PlacedObject, rng: BatchRandom) -> Tensor:
    """Project the outline onto the ground, sometimes up a wall; softer far from the object."""
    x, y = _pixel_centers(thing.alpha.device)
    foreshortening = rng.sign() * rng.uniform(0.1, 1)
    shear, height = rng.normal(), thing.height
    bottom = thing.bottom - rng.uniform(-0.02, 0.12) * height
    slope = 0.15 * rng.normal() * rng.bernoulli(0.5)
    up = (y - bottom - slope * (x - thing.center_x)) / foreshortening
    up = up * (1 + rng.uniform(-0.25, 0.35) * (up / height).clamp(0, 1.5))
    has_wall = (foreshortening < 0) & rng.bernoulli(0.3)
    fold = torch.where(has_wall, rng.uniform(0.1, 1) * height, NOWHERE)
    excess = (up - fold).clamp(min=0) * foreshortening.abs()
    distance = up.minimum(fold) + excess / rng.uniform(0.7, 1.3)
    offset = shear * up.minimum(fold) + 0.5 * shear * excess
    fraction = (distance / height).clamp(0, 1)
    source_x = thing.center_x + (x - offset - thing.center_x) / (
        1 + rng.uniform(-0.25, 0.3) * fraction
    )
    shade = _sample(thing.alpha, source_x, bottom - distance)
    sharp = gaussian_blur(shade, rng.uniform(0.2, 1.2))
    soft = gaussian_blur(shade, rng.uniform(0.4, 2.3).square())
    return torch.lerp(sharp, soft, fraction) * (
        1 - rng.uniform(0, 0.7) * fraction * rng.bernoulli(0.6)
    )


def _wall_shadow(thing: PlacedObject, rng: BatchRandom) -> Tensor:
    """Project the outline onto an upright surface behind, shifted and scaled."""
    x, y = _pixel_centers(thing.alpha.device)
    scale = 2 ** rng.uniform(-0.5, 0.7)
    shift_x, shift_y = (rng.uniform(-0.8, 0.8) * (thing.width + thing.height) / 2 for _ in range(2))
    center_y = thing.bottom - thing.height / 2
    source_x = thing.center_x + (x - thing.center_x - shift_x) / scale
    shade = _sample(thing.alpha, source_x, center_y + (y - center_y - 0.5 * shift_y) / scale)
    sharp = gaussian_blur(shade, rng.uniform(0.3, 2.5))
    soft = wide_blur(shade, rng.uniform(3, 20))
    return torch.where(rng.bernoulli(0.5), sharp, soft)


def _contact_shadow(thing: PlacedObject, rng: BatchRandom) -> Tensor:
    """Return the dark patch below an object under an even sky."""
    x, y = _pixel_centers(thing.alpha.device)
    across = (x - thing.center_x - 0.15 * rng.normal() * thing.width) / thing.width
    row = thing.bottom - rng.uniform(-0.03, 0.08) * thing.height
    below = (y - row) / (thing.width * 2 ** rng.uniform(-4.5, -1.5))
    distance = ((across / rng.uniform(0.3, 0.8)).square() + below.square()).clamp(max=50)
    return (-(distance ** rng.uniform(0.5, 2))).exp()


def _ambient_occlusion(thing: PlacedObject, rng: BatchRandom) -> Tensor:
    """Return the dimness close behind and below the object."""
    x, y = _pixel_centers(thing.alpha.device)
    drop = rng.uniform(-0.02, 0.15) * thing.height
    shifted = _sample(thing.alpha, x.expand_as(thing.alpha), y - drop)
    return wide_blur(shifted, thing.height * rng.uniform(0.03, 0.25).clamp(max=0.25))


def _add_reflection(
    picture: Tensor, thing: PlacedObject, present: Tensor, rng: BatchRandom
) -> Tensor:
    """Blend in the object upside down below its bottom: faint, rippled, streaked and fading."""
    x, y = _pixel_centers(thing.alpha.device)
    slope = 0.1 * rng.normal() * rng.bernoulli(0.3)
    bottom = thing.bottom - rng.uniform(0, 0.06) * thing.height + slope * (x - thing.center_x)
    depth = (y - bottom) / (thing.height * rng.uniform(0.85, 1.15))
    ripple = cloud_noise(rng, COMPOSITE_SIDE, 12, 48) * rng.uniform(0, 3) * rng.bernoulli(0.5)
    source_x = x + ripple * depth.clamp(0, 1)
    sampled = torch.cat([thing.alpha, thing.colour * thing.alpha], 1)
    sampled = _sample(sampled, source_x, bottom - depth * thing.height)
    streak = rng.uniform(0, 6) * rng.bernoulli(0.6)
    sampled = gaussian_blur(sampled, rng.uniform(0, 1.5), streak)
    alpha = sampled[:, :1].clamp(0, 1)
    colour = sampled[:, 1:] / alpha.clamp(min=0.05)
    fade = (-depth.clamp(min=0) / rng.uniform(0.3, 4)).exp() * (depth > 0)
    weight = alpha * fade * rng.uniform(0.03, 0.8) * present
    # The object hides what the ground reflects otherwise: sky or wall.
    dimmed = colour * rng.uniform(0.6, 1)
    return torch.lerp(picture, dimmed, weight)


def _random_crop(ground: Tensor, rng: BatchRandom) -> Tensor:
    """Return a random part of each picture, sometimes flipped, ``COMPOSITE_SIDE`` px large."""
    side = ground.shape[-1]
    x, y = _pixel_centers(ground.device)
    fraction = rng.uniform(0.6, 1)
    left, top = (rng.uniform(0, 1) * (1 - fraction) * side for _ in range(2))
    source_x = left + fraction * x * (side / COMPOSITE_SIDE)
    source_x = torch.where(rng.bernoulli(0.5), source_x, side - source_x)
    return _sample(ground, source_x, top + fraction * y * (side / COMPOSITE_SIDE))


def _sample(maps: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Sample maps at pixel coordinates; 0 outside."""
    side = maps.shape[-1]
    x, y = torch.broadcast_tensors(x, y)  # type: ignore[no-untyped-call]
    grid = torch.stack([x[:, 0], y[:, 0]], -1) * (2 / side) - 1
    return functional.grid_sample(maps, grid, "bilinear", "zeros", align_corners=False)


def _extent(mask: Tensor) -> tuple[Tensor, Tensor]:
    """Return the first set place of each row (n, s) and the one after the last, as (n, 1, 1, 1)."""
    is_set = (mask > 0.5).float()
    first, last = is_set.argmax(1), mask.shape[1] - is_set.flip(1).argmax(1)
    return first.float().view(-1, 1, 1, 1), last.float().view(-1, 1, 1, 1)


def _pixel_centers(device: torch.device) -> tuple[Tensor, Tensor]:
    line = torch.arange(COMPOSITE_SIDE, device=device) + 0.5
    return line.view(1, 1, 1, -1), line.view(1, 1, -1, 1)
