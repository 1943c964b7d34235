"""Lessons for the network, a lot at a time: photos that never were, a mask, and what the object
there does to the picture beside itself.

Half are staged pictures in another light and paint, some with the thing put back without what it
does; half are compositions (``casting``). In some the mask is rough; in some it holds all that the
object does already, so that nothing is left to find.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from models.training.shadow.casting import composed
from models.training.shadow.chance import Chance
from models.training.shadow.pool import Pool
from models.training.shadow.shots import clouds, grown, linear, shown, smooth, taken, toned
from models.training.shadow.views import Edges, cropped, framed, inside, planes

SEEN = (2.5, 6.0)  # levels of 255 by which a change is not seen, and is seen
PLAIN = 10.0  # levels from which it is plain to see
FEW, MANY = 0.02, 0.08  # of the object's area: hardly a shadow up to there, one from there
TRIES = 24  # pixels that are looked at for a thing
LEAST = 120.0  # px of an object in its view


class Lot(NamedTuple):
    """``planes`` as the network gets them; of each pixel (n, s, s) how much the object changes it
    and whether that is asked (0 on the object and beyond the photo); whether it changes much (n,),
    and whether that is asked.
    """

    planes: Tensor
    effect: Tensor
    asked: Tensor
    cast: Tensor
    sure: Tensor


class Seen(NamedTuple):
    """As ``composed`` has it: ``photo`` and ``clean`` as displayed, the object's ``share``."""

    photo: Tensor
    clean: Tensor
    share: Tensor


@torch.no_grad()
def lot(pool: Pool, count: int, generator: torch.Generator) -> Lot:
    """Half of them staged, half composed."""
    chances = Chance(count - count // 2, generator), Chance(count // 2, generator)
    parts = [lesson(make(pool, c), c) for make, c in zip((staged, laid), chances, strict=True)]
    return Lot(*(torch.cat(pair) for pair in zip(*parts, strict=True)))


def staged(pool: Pool, chance: Chance) -> Seen:
    photo, clean, thing, gone = pool.staged(chance)
    share = (thing == gone[:, None, None]).float()[:, None]
    soft = smooth(grown(share), 0.6 * torch.ones_like(share[:, :, :1, :1]), reach=2)
    photo = torch.where(chance.often(0.15), torch.lerp(clean, photo, soft), photo)
    paint = linear(pool.flats(chance)[0])
    paint = 1 - chance.between(0, 0.9) * (1 - paint) * chance.often(0.25)
    lamps = clouds(chance, pool.side, 3, 24) * 2 ** chance.between(-1, 3)
    paint = paint * (1 - chance.between(0, 0.7) * torch.sigmoid(lamps) * chance.often(0.25))
    photo = shown(linear(photo) * torch.lerp(paint, torch.ones_like(paint), share))
    return Seen(photo, shown(linear(clean) * paint), share)


def laid(pool: Pool, chance: Chance) -> Seen:
    photo, clean, _, _ = pool.staged(chance)
    flat, _ = pool.flats(chance)
    ground = torch.where(chance.often(0.5), photo, clean)
    ground = torch.where(chance.often(0.35), flat, ground)
    source, _, thing, gone = pool.staged(chance)
    leaf_of, leaf = pool.flats(chance)
    other = chance.often(0.2)
    label = torch.where(chance.often(0.6)[:, 0, 0, 0], gone, _anyone(thing, gone, chance))
    label = torch.where(other[:, 0, 0, 0], _anyone(leaf, leaf.flatten(1).amax(1), chance), label)
    numbers = torch.where(other[:, 0], leaf, thing)
    mask = (numbers == label[:, None, None]).float()[:, None]
    return Seen(*composed(ground, torch.where(other, leaf_of, source), mask, chance))


def _anyone(numbers: Tensor, otherwise: Tensor, chance: Chance) -> Tensor:
    """The number at some pixel where something is, of pictures (n, s, s)."""
    at = chance.between(0, numbers[0].numel(), TRIES).long()
    tried = numbers.flatten(1).gather(1, at)
    found = tried.gather(1, (tried > 0).float().argmax(1, keepdim=True))[:, 0]
    return torch.where(found > 0, found, otherwise)


def lesson(seen: Seen, chance: Chance) -> Lot:
    """The photo that a camera takes of it, the view round the mask, and what is true there."""
    apart = (seen.photo - seen.clean).abs().amax(1, keepdim=True) * 255
    known = _rough(seen.share, chance)
    gone = (apart > SEEN[1]) & chance.often(0.07)  # the mask holds it already
    known = torch.maximum(known, grown(gone.float()))
    near = grown(seen.share)
    maps = torch.cat([seen.photo, seen.clean, near, known], 1)
    maps = torch.where(chance.often(0.5), maps.flip(-1), maps)
    edges, within = _edges(maps.shape[-1], chance)
    frame = framed(maps[:, 7] * within, edges)
    photo, clean, near, known = cropped(maps, frame).split([3, 3, 1, 1], 1)
    photo, clean = toned((photo, clean), chance)
    apart = (photo - clean).abs().amax(1, keepdim=True) * 255
    apart = functional.avg_pool2d(apart, 3, 1, 1)[:, 0]
    photo = taken(photo, chance)
    near = grown(near)[:, 0]
    size = (known[:, 0] > 0.5).sum((1, 2)).clamp(min=1)
    there = (size > LEAST).float()
    asked = inside(frame) * (near < 0.02) * (known[:, 0] < 0.5) * there[:, None, None]
    effect = ((apart - SEEN[0]) / (SEEN[1] - SEEN[0])).clamp(0, 1) * asked
    much, some = ((a * asked).sum((1, 2)) / size for a in (apart > PLAIN, apart > SEEN[0]))
    cast = (much > MANY).float()
    sure = ((much > MANY) | (some < FEW)).float() * there
    told = planes(photo, known[:, 0], frame)
    return Lot(told, effect, asked, cast, sure)


def _edges(side: int, chance: Chance) -> tuple[Edges, Tensor]:
    """Where photos end, some within their pictures; and 1 inside (n, s, s)."""
    cuts = [(chance.between(0, 0.3) * side * chance.often(0.4))[:, 0].round() for _ in range(4)]
    edges = Edges(cuts[0], cuts[1], side - cuts[2], side - cuts[3])
    line = torch.arange(side, device=cuts[0].device)
    x, y = line[None, None, :], line[None, :, None]
    inside_ = (x >= edges.left) & (x < edges.right) & (y >= edges.top) & (y < edges.low)
    return edges, inside_.float()


def _rough(share: Tensor, chance: Chance) -> Tensor:
    """The mask as a detector has it: some too large, too small or with a wobbling edge."""
    large = smooth(share, chance.between(0.5, 4))
    wobble = clouds(chance, share.shape[-1], 6, 48) * chance.between(0, 0.3)
    rough = (large + wobble * (large > 0.02) * (large < 0.98) > chance.between(0.15, 0.75)).float()
    holed = (share > 0.5).float()
    return torch.where(chance.often(0.35) & (rough.amax((2, 3), keepdim=True) > 0), rough, holed)
