"""Things laid over other pictures, with what they would do to the light there, or nothing of it.

A shadow is the thing's outline laid on the ground, up a wall or on a wall behind, and the dimness
round its foot; a mirror image is the thing upside down. All on whole batches: maps are
(n, c, s, s), numbers of each picture (n, 1, 1, 1).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from models.training.shadow.chance import Chance
from models.training.shadow.shots import clouds, linear, shown, smooth, wide

SIDE = 192  # px of the compositions
FAR = 1e4  # px: nowhere


class Thing(NamedTuple):
    """Its ``share`` (n, 1, s, s) of each pixel and its ``look`` (n, 3, s, s), linear light; the
    middle column of its box, its lowest row, its width and height in px.
    """

    share: Tensor
    look: Tensor
    middle: Tensor
    base: Tensor
    width: Tensor
    height: Tensor


def composed(
    ground: Tensor, source: Tensor, mask: Tensor, chance: Chance
) -> tuple[Tensor, Tensor, Tensor]:
    """Photo, clean and share, ``SIDE`` px large, of things cut out of ``source`` at ``mask``
    (n, 1, s, s), laid over ``ground``; pictures as displayed.
    """
    thing = placed(source, mask, chance)
    clean = _peopled(linear(_moved(ground, chance)), thing, chance)
    kind, any_ = chance.between(0, 1), chance.often(0.84)
    cast = clean * _dimmed(thing, kind, any_, chance)
    mirrors = any_ & ((kind > 0.74) & (kind < 0.9) | chance.often(0.1))
    cast = _mirrored(cast, thing, mirrors, chance)
    photo = torch.lerp(cast, thing.look, thing.share)
    return shown(photo), shown(clean), thing.share


def placed(source: Tensor, mask: Tensor, chance: Chance) -> Thing:
    """The things of other sizes at other places, in other light."""
    x, y = _pixels(mask.device)
    x0, x1 = _ends(mask.amax(2)[:, 0])
    y0, y1 = _ends(mask.amax(3)[:, 0])
    scale = 2 ** chance.between(-2.3, -0.8) * SIDE * 1.4 / (x1 - x0 + y1 - y0)
    left, top = chance.between(0.2, 0.8) * SIDE, chance.between(0.25, 0.85) * SIDE
    thin = (0.45 / scale) * (scale < 1)
    across = (x0 + x1) / 2 + (x - left) / scale * chance.sign()
    down = (y0 + y1) / 2 + (y - top) / scale
    soft = smooth(torch.cat([source * mask, mask], 1), thin, reach=4)
    both = _sampled(soft, across, down)
    share = both[:, 3:].clamp(0, 1)
    lit = 2 ** chance.normal().clamp(-2, 2) * (1 + 0.1 * chance.normal(3, 1, 1))
    look = (linear(both[:, :3] / both[:, 3:].clamp(min=0.02)) * lit).clamp(0, 1)
    width, height = (x1 - x0) * scale, (y1 - y0) * scale
    return Thing(share, look, left.expand_as(width), top + height / 2, width, height)


def _peopled(ground: Tensor, thing: Thing, chance: Chance) -> Tensor:
    """The ground with what is none of the thing's: other shadows, other things, dark patches."""
    other = thing._replace(share=thing.share.roll(1, 0), look=thing.look.roll(1, 0))
    other = other._replace(**{
        name: getattr(thing, name).roll(1, 0) for name in ("middle", "base", "width", "height")
    })  # fmt: skip
    stands = chance.often(0.3)
    shade = _laid(other, chance) * (chance.often(0.35) | stands)
    shade = torch.maximum(shade, _foot(other, chance) * stands)
    made = ground * (1 - chance.between(0.2, 0.8) * shade)
    made = torch.lerp(made, other.look, other.share * stands)
    cloud = clouds(chance, SIDE, 3, 24)
    patch = ((cloud - chance.between(0.2, 1.5)) * 2 ** chance.between(0, 5)).clamp(0, 1)
    return made * (1 - chance.between(0.1, 0.7) * patch * chance.often(0.25))


def _dimmed(thing: Thing, kind: Tensor, any_: Tensor, chance: Chance) -> Tensor:
    """How much of the light the thing leaves, (n, 3, s, s)."""
    blue = torch.arange(1, -2, -1, device=kind.device).view(3, 1, 1)  # skylight is a little blue
    tint = 1 + chance.between(-0.03, 0.06) * blue
    floor = any_ & (kind < 0.72)
    again = floor & chance.often(0.15)
    behind = any_ & ((kind > 0.9) | chance.often(0.06))
    foot = any_ & chance.often(0.45)
    parts = (
        (_laid(thing, chance), floor, chance.between(0.15, 0.9)),
        (_laid(thing, chance), again, chance.between(0.05, 0.5)),
        (_behind(thing, chance), behind, chance.between(0.04, 0.6)),
        (_foot(thing, chance), foot, chance.between(0.1, 0.9)),
        (_dusk(thing, chance), foot & chance.often(0.4), chance.between(0.02, 0.4)),
    )
    left = torch.ones_like(thing.look)
    for shade, there, dark in parts:
        left = left * (1 - dark * tint * shade * there).clamp(0.02, 1)
    return left


def _laid(thing: Thing, chance: Chance) -> Tensor:
    """The outline on the ground, some on up a wall, softer the further from what casts it."""
    x, y = _pixels(thing.share.device)
    flat = chance.sign() * chance.between(0.1, 1)
    shear, size = chance.normal(), thing.height
    base = thing.base - chance.between(-0.02, 0.12) * size
    slope = 0.15 * chance.normal() * chance.often(0.5)
    up = (y - base - slope * (x - thing.middle)) / flat
    up = up * (1 + chance.between(-0.25, 0.35) * (up / size).clamp(0, 1.5))
    walled = (flat < 0) & chance.often(0.3)
    fold = torch.where(walled, chance.between(0.1, 1) * size, FAR)
    over = (up - fold).clamp(min=0) * flat.abs()
    height = up.minimum(fold) + over / chance.between(0.7, 1.3)
    aside = shear * up.minimum(fold) + 0.5 * shear * over
    part = (height / size).clamp(0, 1)
    across = thing.middle + (x - aside - thing.middle) / (1 + chance.between(-0.25, 0.3) * part)
    shade = _sampled(thing.share, across, base - height)
    near = smooth(shade, chance.between(0.2, 1.2))
    far = smooth(shade, chance.between(0.4, 2.3).square())
    return torch.lerp(near, far, part) * (1 - chance.between(0, 0.7) * part * chance.often(0.6))


def _behind(thing: Thing, chance: Chance) -> Tensor:
    """The outline on something upright behind, away from the light, larger or smaller."""
    x, y = _pixels(thing.share.device)
    size = 2 ** chance.between(-0.5, 0.7)
    right, down = (chance.between(-0.8, 0.8) * (thing.width + thing.height) / 2 for _ in range(2))
    centre = thing.base - thing.height / 2
    across = thing.middle + (x - thing.middle - right) / size
    shade = _sampled(thing.share, across, centre + (y - centre - 0.5 * down) / size)
    near = smooth(shade, chance.between(0.3, 2.5))
    far = wide(shade, chance.between(3, 20))
    return torch.where(chance.often(0.5), near, far)


def _foot(thing: Thing, chance: Chance) -> Tensor:
    """The dark patch below under an even sky."""
    x, y = _pixels(thing.share.device)
    right = (x - thing.middle - 0.15 * chance.normal() * thing.width) / thing.width
    row = thing.base - chance.between(-0.03, 0.08) * thing.height
    below = (y - row) / (thing.width * 2 ** chance.between(-4.5, -1.5))
    away = ((right / chance.between(0.3, 0.8)).square() + below.square()).clamp(max=50)
    return (-(away ** chance.between(0.5, 2))).exp()


def _dusk(thing: Thing, chance: Chance) -> Tensor:
    """The dimness of what is close behind and below it."""
    x, y = _pixels(thing.share.device)
    drop = chance.between(-0.02, 0.15) * thing.height
    moved = _sampled(thing.share, x.expand_as(thing.share), y - drop)
    return wide(moved, thing.height * chance.between(0.03, 0.25).clamp(max=0.25))


def _mirrored(cast: Tensor, thing: Thing, there: Tensor, chance: Chance) -> Tensor:
    """The thing upside down below its lowest line, faint, rippled, streaked and fading."""
    x, y = _pixels(thing.share.device)
    slope = 0.1 * chance.normal() * chance.often(0.3)
    base = thing.base - chance.between(0, 0.06) * thing.height + slope * (x - thing.middle)
    deep = (y - base) / (thing.height * chance.between(0.85, 1.15))
    ripple = clouds(chance, SIDE, 12, 48) * chance.between(0, 3) * chance.often(0.5)
    across = x + ripple * deep.clamp(0, 1)
    both = torch.cat([thing.share, thing.look * thing.share], 1)
    both = _sampled(both, across, base - deep * thing.height)
    streak = chance.between(0, 6) * chance.often(0.6)
    both = smooth(both, chance.between(0, 1.5), streak)
    share = both[:, :1].clamp(0, 1)
    look = both[:, 1:] / share.clamp(min=0.05)
    fade = (-deep.clamp(min=0) / chance.between(0.3, 4)).exp() * (deep > 0)
    part = share * fade * chance.between(0.03, 0.8) * there
    # what the ground mirrors otherwise, sky or wall, is hidden by the thing
    dulled = look * chance.between(0.6, 1)
    return torch.lerp(cast, dulled, part)


def _moved(ground: Tensor, chance: Chance) -> Tensor:
    """A part of each picture, some the other way round, SIDE px large."""
    side = ground.shape[-1]
    x, y = _pixels(ground.device)
    share = chance.between(0.6, 1)
    left, top = (chance.between(0, 1) * (1 - share) * side for _ in range(2))
    across = left + share * x * (side / SIDE)
    across = torch.where(chance.often(0.5), across, side - across)
    return _sampled(ground, across, top + share * y * (side / SIDE))


def _sampled(maps: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """The maps at places given in px, 0 beyond."""
    side = maps.shape[-1]
    x, y = torch.broadcast_tensors(x, y)
    where = torch.stack([x[:, 0], y[:, 0]], -1) * (2 / side) - 1
    return functional.grid_sample(maps, where, "bilinear", "zeros", align_corners=False)


def _ends(line: Tensor) -> tuple[Tensor, Tensor]:
    """The first place of (n, s) that is set and the one after the last."""
    set_ = (line > 0.5).float()
    first, last = set_.argmax(1), line.shape[1] - set_.flip(1).argmax(1)
    return first.float().view(-1, 1, 1, 1), last.float().view(-1, 1, 1, 1)


def _pixels(device: torch.device) -> tuple[Tensor, Tensor]:
    line = torch.arange(SIDE, device=device) + 0.5
    return line.view(1, 1, 1, -1), line.view(1, 1, -1, 1)
