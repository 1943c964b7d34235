"""What the network is asked about made scenes: clicks, boxes, masks so far.

A pool of scenes is kept and renewed; each lesson is a window of one, taken by a camera of its own,
with a thing in it. The first click is far inside it more often than not, a further one in the
middle of the largest error of the last answer, as in RITM (Sofiiuk et al. 2021).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from models.training.scenes.camera import compressed, smooth
from models.training.scenes.shapes import Dice

DISC = 1 / 64  # of the frame, radius of a click
DEPTH = 1 / 13  # of the frame, as deep as is told
LEAST = 1 / 1700  # of the frame, of a thing that is asked for
MOST = 0.75  # of the photo
MEAN, SPREAD = 0.45, 0.25  # of colours
BOXED = 0.25  # of the lessons begin with a box
CLOSEST = 0.3  # of the pool's frame that a window is at least
AGAIN = 0.3  # of the lessons that go on have no further click: it looks again
LOOSE = 0.06  # of a box's sides, the deviation of its corners


@dataclass(eq=False)
class Pool:
    """N scenes: ``photo`` (N, 3, p, p) uint8, ``thing`` and ``part`` (N, p, p) uint8, ``place``
    (N, 4) x0, y0, x1, y1 of the photo in its frame, px.
    """

    photo: Tensor
    thing: Tensor
    part: Tensor
    place: Tensor
    filled: int = 0
    next: int = 0

    @staticmethod
    def empty(count: int, side: int, device: torch.device) -> Pool:
        def zeros(*shape: int, dtype: torch.dtype = torch.uint8) -> Tensor:
            return torch.zeros(count, *shape, dtype=dtype, device=device)

        frame = side, side
        return Pool(zeros(3, *frame), zeros(*frame), zeros(*frame), zeros(4, dtype=torch.float32))

    def put(self, photo: Tensor, thing: Tensor, part: Tensor, inside: Tensor) -> None:
        """Scenes (n, ...) in place of the oldest; ``photo`` in [0, 255]."""
        count = len(self.photo)
        rows = (torch.arange(len(photo), device=photo.device) + self.next) % count
        self.photo[rows] = photo.round().clamp(0, 255).byte()
        self.thing[rows], self.part[rows] = thing, part
        self.place[rows] = box_of(inside)
        self.next = (self.next + len(photo)) % count
        self.filled = min(count, self.filled + len(photo))


@dataclass(eq=False)
class Lessons:
    """n questions. ``planes`` (n, 8, s, s), see ``clicknet``; ``meant`` and ``part``
    (n, s / 2, s / 2) in [0, 1]: what the answers should be; ``asked`` (n, 2): whether they count;
    ``round`` (n,): how often it was asked before.
    """

    planes: Tensor
    meant: Tensor
    part: Tensor
    asked: Tensor
    round: Tensor

    def __getitem__(self, rows: Tensor) -> Lessons:
        return Lessons(*(getattr(self, f)[rows] for f in self.__dataclass_fields__))

    @staticmethod
    def together(several: list[Lessons]) -> Lessons:
        fields = Lessons.__dataclass_fields__
        return Lessons(*(torch.cat([getattr(one, f) for one in several]) for f in fields))


def first(pool: Pool, side: int, count: int, generator: torch.Generator) -> Lessons:
    """Lessons that begin, ``count`` of them, in frames of ``side`` px."""
    dice = Dice(count, generator)
    scene = torch.randint(pool.filled, (count,), generator=generator, device=generator.device)
    thing, part, place = pool.thing[scene], pool.part[scene], pool.place[scene]
    number = _drawn(thing, generator)
    boxed = dice.chance(BOXED)[:, 0, 0]
    bits = thing == number[:, None, None]
    grid, inside = _window(box_of(bits), place, boxed, thing.shape[-1], side, dice)
    photo = functional.grid_sample(pool.photo[scene].float(), grid, "bilinear", "border", False)
    labels = torch.stack([thing, part], 1).float()
    labels = functional.grid_sample(labels, grid, "nearest", "zeros", False) * inside[:, None]
    bits = (labels[:, 0] == number[:, None, None]) & inside
    at = _inside(_small(bits), generator)
    clicked = labels[torch.arange(count, device=at.device), 1, at[:, 1], at[:, 0]]
    own_part = bits & (labels[:, 1] == clicked[:, None, None])
    # in a box either may be meant, at a single click the whole is
    as_part = boxed & dice.chance(0.25)[:, 0, 0] & (_large(_small(own_part)))
    meant = torch.where(as_part[:, None, None], own_part, bits)
    planes = torch.zeros(count, 8, side, side, device=at.device)
    planes[:, :3] = _taken(photo, dice) * inside[:, None]
    planes[:, 3] = inside
    clicks = ~boxed | dice.chance(0.25)[:, 0, 0]
    planes[:, 4] = _disc(at, side) * clicks[:, None, None]
    planes[:, 6] = _boxes(meant, inside, dice) * boxed[:, None, None]
    small, small_part = (functional.avg_pool2d(b.float(), 2) for b in (meant, own_part))
    fair = _large(small) & (small.mean((1, 2)) < MOST * inside.float().mean((1, 2)))
    asked = torch.stack([fair, fair & ~boxed], 1).float()
    return Lessons(planes, small, small_part, asked, torch.zeros(count, device=at.device))


def further(lessons: Lessons, logits: Tensor, generator: torch.Generator) -> Lessons:
    """The same with the answer so far, and for most a click in the middle of what is wrong.

    Now and then it turns out that the part was meant.
    """
    n, half = len(logits), logits.shape[-1]
    turn = (lessons.round == 0) & (lessons.asked[:, 1] > 0)
    clicks = torch.rand(n, generator=generator, device=logits.device) > AGAIN
    turn &= clicks & (torch.rand(n, generator=generator, device=logits.device) < 0.2)
    turn &= _large(lessons.part)
    meant = torch.where(turn[:, None, None], lessons.part, lessons.meant)
    chance = logits[:, 0].float().sigmoid()
    found, truth = chance > 0.5, meant > 0.5
    missing, extra = depth(truth & ~found), depth(found & ~truth)
    noise = torch.rand(n, 2, half, half, generator=generator, device=logits.device)
    both = torch.stack([missing, extra], 1)
    place = ((both + 0.9 * noise) * (both > 0)).flatten(1).argmax(1)
    on = place < half * half
    place = place % (half * half)
    at = 2 * torch.stack([place % half, place // half], 1)
    disc = _disc(at, 2 * half)
    planes = lessons.planes.clone()
    planes[:, 4] = planes[:, 4].maximum(disc * (on & clicks)[:, None, None])
    planes[:, 5] = planes[:, 5].maximum(disc * (~on & clicks)[:, None, None])
    planes[:, 7] = _twice(chance) * planes[:, 3]
    asked = torch.stack([lessons.asked[:, 0], torch.zeros_like(lessons.asked[:, 1])], 1)
    return Lessons(planes, meant, lessons.part, asked, lessons.round + 1)


def _twice(maps: Tensor) -> Tensor:
    return functional.interpolate(maps[:, None], scale_factor=2, mode="bilinear")[:, 0]


def _large(bits: Tensor) -> Tensor:
    """Which of (n, h, w) are large enough to be asked for."""
    return bits.float().mean((1, 2)) > LEAST


def _drawn(thing: Tensor, generator: torch.Generator) -> Tensor:
    """The number of a thing of each scene (n, p, p), large ones a little more often."""
    small = thing[:, 2::4, 2::4].flatten(1).long()
    there = (small > 0).float()
    count = torch.zeros(len(small), 256, device=small.device).scatter_add_(1, small, there)
    weight = there / count.gather(1, small).clamp(min=1) ** 0.6
    weight = weight * (1 + (small == 1)) * (count.gather(1, small) > LEAST * small.shape[1])
    drawn = torch.multinomial(weight + 1e-9, 1, generator=generator)
    return small.gather(1, drawn)[:, 0]


def box_of(bits: Tensor) -> Tensor:
    """Half-open boxes (n, 4) round bits (n, s, s), whole if there are none."""
    side, ends = bits.shape[-1], []
    for line in (bits.any(1), bits.any(2)):
        ends += [line.int().argmax(1), side - line.flip(1).int().argmax(1)]
    left, right, top, bottom = (e.float() for e in ends)
    return torch.stack([left, top, right, bottom], 1)


def _window(
    box: Tensor, place: Tensor, boxed: Tensor, inner: int, side: int, dice: Dice
) -> tuple[Tensor, Tensor]:
    """Where each pixel of a frame of ``side`` px comes from in one of ``inner`` px, for
    ``grid_sample``, and which are photo: (n, side, side, 2), (n, side, side).

    The whole photo, or what surrounds the thing, as it is when a detector looks again.
    """
    n = len(box)
    size = (box[:, 2:] - box[:, :2]).amax(1, keepdim=True)
    near = boxed | dice.chance(0.45)[:, 0, 0]
    margin = torch.where(boxed[:, None], dice.between(0.2, 0.8, 1), dice.between(0.15, 1.6, 1))
    ends = torch.cat([box[:, :2] - margin * size, box[:, 2:] + margin * size], 1)
    ends = ends + 0.12 * size * dice.normal(4)
    lacking = CLOSEST * inner - (ends[:, 2:] - ends[:, :2]).amax(1, keepdim=True)
    ends = ends + lacking.clamp(min=0) / 2 * torch.tensor([-1, -1, 1, 1], device=box.device)
    ends = torch.where(near[:, None], ends, place)
    low = torch.maximum(ends[:, :2], place[:, :2])
    high = torch.minimum(ends[:, 2:], place[:, 2:])
    high = torch.maximum(high, low + 16)
    scale = side / (high - low).amax(1)
    line = torch.arange(side, device=box.device) + 0.5
    away = line[None] / scale[:, None]  # (n, side) px of the pool's frame
    flip = dice.chance(0.5)[:, :, 0]
    x = torch.where(flip, high[:, :1] - away, low[:, :1] + away)
    y = low[:, 1:2] + away
    inside = ((x < high[:, :1]) & (x > low[:, :1]))[:, None, :] & (y < high[:, 1:])[:, :, None]
    grid = torch.stack([x[:, None].expand(n, side, side), y[:, :, None].expand(n, side, side)], -1)
    return grid * (2 / inner) - 1, inside


def _small(bits: Tensor) -> Tensor:
    return functional.avg_pool2d(bits.float(), 2) > 0.5


def depth(areas: Tensor) -> Tensor:
    """How many px each pixel (n, s, s) lies within its area, at most ``DEPTH`` of twice s."""
    left = functional.pad(areas.byte(), [1] * 4)
    total = areas.byte()
    for number in range(round(2 * DEPTH * areas.shape[-1])):
        inner = left[:, 1:-1, 1:-1] & left[:, :-2, 1:-1] & left[:, 2:, 1:-1]
        inner = inner & left[:, 1:-1, :-2] & left[:, 1:-1, 2:]
        if number % 2:  # an octagon is nearly round
            inner = (
                inner & left[:, :-2, :-2] & left[:, 2:, 2:] & left[:, 2:, :-2] & left[:, :-2, 2:]
            )
        total = total + inner
        left = functional.pad(inner, [1] * 4)
    return total.float()


def _inside(bits: Tensor, generator: torch.Generator) -> Tensor:
    """A point (n, 2) x, y of the frame in each area (n, h, h) at half its size: far inside, or
    anywhere.
    """
    half = bits.shape[-1]
    deep = depth(bits)
    noise = torch.rand(deep.shape, generator=generator, device=deep.device)
    anywhere = torch.rand(len(bits), 1, 1, generator=generator, device=deep.device) < 0.35
    # the largest of u ** (1 / w) is drawn with weights w
    drawn = torch.where(bits, noise ** (1 / deep.clamp(min=0.5)), -1.0)
    place = torch.where(anywhere, drawn, deep + 0.9 * noise).flatten(1).argmax(1)
    return 2 * torch.stack([place % half, place // half], 1)


def _disc(at: Tensor, side: int) -> Tensor:
    """Discs (n, side, side) round points (n, 2)."""
    line = torch.arange(side, device=at.device)
    x = (line[None] - at[:, :1]).square()
    y = (line[None] - at[:, 1:]).square()
    return (y[:, :, None] + x[:, None] <= round(DISC * side + 0.1) ** 2).float()


def _boxes(bits: Tensor, inside: Tensor, dice: Dice) -> Tensor:
    """Boxes (n, s, s) round the bits (n, s, s) as one draws them, a little off."""
    box = box_of(bits)
    size = (box[:, 2:] - box[:, :2]).repeat(1, 2)
    careful = dice.chance(0.5)[:, 0]
    box = (box + size * LOOSE * dice.normal(4).clamp(-2, 2) * ~careful).round()
    line = torch.arange(bits.shape[-1], device=bits.device)[None]
    x = (line >= box[:, :1]) & (line < box[:, 2:3])
    y = (line >= box[:, 1:2]) & (line < box[:, 3:])
    return (y[:, :, None] & x[:, None] & inside).float()


def _taken(photo: Tensor, dice: Dice) -> Tensor:
    """What a camera makes of pictures (n, 3, s, s) in [0, 255], as the network gets it."""
    side = photo.shape[-1]
    fine = side / 320  # a small frame shows less of blur and noise
    made = smooth(photo / 255, dice.between(0, 1.6) * dice.chance(0.5) * fine)
    made = made.clamp(0.003, 1) ** (2 ** dice.between(-0.6, 0.6))[..., None]
    grey = made.mean(1, keepdim=True)
    made = torch.lerp(
        grey, made, dice.between(0.3, 1.3)[..., None] * (~dice.chance(0.06))[..., None]
    )
    made = made * (1 + 0.07 * dice.normal(3, 1, 1))
    made = made + 0.07 * fine * dice.between(0, 1)[..., None] ** 3 * dice.normal(3, side, side)
    made = compressed(made * 255, dice).round().clamp(0, 255)
    return (made / 255 - MEAN) / SPREAD
