"""Simulated prompts for training: clicks, boxes and corrections on labelled scenes.

Each sample is a window of a scene from a pool, taken by a random camera, with an object in it.
The first click is usually far inside the object; the next ones are in the middle of the largest
error of the last prediction, as in RITM (Sofiiuk et al. 2021).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from models.training.batch_random import BatchRandom
from models.training.scenes.camera import gaussian_blur, jpeg_compress

CLICK_RADIUS = 1 / 64  # of the frame's side, around a click
MAX_DEPTH = 1 / 13  # of the frame's side, where ``depths`` saturates
MIN_AREA = 1 / 1700  # of the frame; smaller objects do not count
MAX_AREA = 0.75  # of the photo; larger objects do not count
COLOUR_MEAN, COLOUR_STD = 0.45, 0.25  # that normalise the colour planes
BOX_PROBABILITY = 0.25  # that a sample starts with a box
MIN_WINDOW = 0.3  # of the pool's frame, side of a window
# That a later round has no new click, only the last prediction: the detector looks twice, too.
NO_CLICK_PROBABILITY = 0.3
BOX_JITTER = 0.06  # of a box's sides, standard deviation of its corners

# Pictures (n, 3, s, s) in [0, 255] to the network's colour planes.
Camera = Callable[[Tensor, BatchRandom], Tensor]


@dataclass(eq=False)
class ScenePool:
    """The newest N scenes, in frames of p px.

    ``photo`` (N, 3, p, p) and the labels ``thing`` and ``part`` (N, p, p) are uint8; ``photo_box``
    (N, 4) x0, y0, x1, y1 in px is the photo's place in its frame.
    """

    photo: Tensor
    thing: Tensor
    part: Tensor
    photo_box: Tensor
    filled: int = 0
    next: int = 0

    @staticmethod
    def empty(capacity: int, side: int, device: torch.device) -> ScenePool:
        """Return a pool with room for ``capacity`` scenes of ``side`` px."""

        def zeros(*shape: int, dtype: torch.dtype = torch.uint8) -> Tensor:
            return torch.zeros(capacity, *shape, dtype=dtype, device=device)

        frame = side, side
        return ScenePool(
            zeros(3, *frame), zeros(*frame), zeros(*frame), zeros(4, dtype=torch.float32)
        )

    def put(self, photo: Tensor, thing: Tensor, part: Tensor, inside: Tensor) -> None:
        """Add scenes (n, ...) in place of the oldest; ``photo`` in [0, 255]."""
        capacity = len(self.photo)
        rows = (torch.arange(len(photo), device=photo.device) + self.next) % capacity
        self.photo[rows] = photo.round().clamp(0, 255).byte()
        self.thing[rows], self.part[rows] = thing, part
        self.photo_box[rows] = bounding_boxes(inside)
        self.next = (self.next + len(photo)) % capacity
        self.filled = min(capacity, self.filled + len(photo))


@dataclass(eq=False)
class Samples:
    """n training samples.

    ``planes`` (n, 8, s, s) is the network's input, see ``clicknet``. ``object_target`` and
    ``part_target`` (n, s / 2, s / 2) in [0, 1] are its targets, and ``valid`` (n, 2) is 1 where
    each of them counts. ``round`` (n,) is the number of earlier predictions.
    """

    planes: Tensor
    object_target: Tensor
    part_target: Tensor
    valid: Tensor
    round: Tensor

    def __getitem__(self, rows: Tensor) -> Samples:
        return Samples(*(getattr(self, f)[rows] for f in self.__dataclass_fields__))

    @staticmethod
    def concatenate(batches: list[Samples]) -> Samples:
        """Return all samples of several batches."""
        fields = Samples.__dataclass_fields__
        return Samples(*(torch.cat([getattr(batch, f) for batch in batches]) for f in fields))


def first_prompts(
    pool: ScenePool, side: int, count: int, generator: torch.Generator, camera: Camera | None = None
) -> Samples:
    """Return ``count`` samples of round 0, in frames of ``side`` px.

    ``camera`` replaces ``photograph``.
    """
    rng = BatchRandom(count, generator)
    rows = torch.randint(pool.filled, (count,), generator=generator, device=generator.device)
    thing, part, photo_boxes = pool.thing[rows], pool.part[rows], pool.photo_box[rows]
    number = _random_thing(thing, generator)
    has_box = rng.bernoulli(BOX_PROBABILITY)[:, 0, 0]
    masks = thing == number[:, None, None]
    grid, inside = _random_window(
        bounding_boxes(masks), photo_boxes, has_box, thing.shape[-1], side, rng
    )
    photo = functional.grid_sample(pool.photo[rows].float(), grid, "bilinear", "border", False)
    labels = torch.stack([thing, part], 1).float()
    labels = functional.grid_sample(labels, grid, "nearest", "zeros", False) * inside[:, None]
    masks = (labels[:, 0] == number[:, None, None]) & inside
    points = _random_points(_halve(masks), generator)
    part_numbers = labels[torch.arange(count, device=points.device), 1, points[:, 1], points[:, 0]]
    part_mask = masks & (labels[:, 1] == part_numbers[:, None, None])
    # A box may be around a part; a single click selects the whole object.
    part_in_box = has_box & rng.bernoulli(0.25)[:, 0, 0] & (_is_large_enough(_halve(part_mask)))
    target_mask = torch.where(part_in_box[:, None, None], part_mask, masks)
    planes = torch.zeros(count, 8, side, side, device=points.device)
    planes[:, :3] = (camera or photograph)(photo, rng) * inside[:, None]
    planes[:, 3] = inside
    has_click = ~has_box | rng.bernoulli(0.25)[:, 0, 0]
    planes[:, 4] = _discs(points, side) * has_click[:, None, None]
    planes[:, 6] = _boxes(target_mask, inside, rng) * has_box[:, None, None]
    object_target, part_target = (
        functional.avg_pool2d(mask.float(), 2) for mask in (target_mask, part_mask)
    )
    counts = _is_large_enough(object_target) & (
        object_target.mean((1, 2)) < MAX_AREA * inside.float().mean((1, 2))
    )
    valid = torch.stack([counts, counts & ~has_box], 1).float()
    return Samples(
        planes, object_target, part_target, valid, torch.zeros(count, device=points.device)
    )


def next_prompts(
    samples: Samples,
    logits: Tensor,
    generator: torch.Generator,
    no_click_probability: float = NO_CLICK_PROBABILITY,
) -> Samples:
    """Return the next round: the last prediction, and mostly a click in the middle of an error.

    Now and then the part becomes the target, as if the user had wanted it.
    """
    n, half = len(logits), logits.shape[-1]
    wants_part = (samples.round == 0) & (samples.valid[:, 1] > 0)
    has_click = torch.rand(n, generator=generator, device=logits.device) > no_click_probability
    wants_part &= has_click & (torch.rand(n, generator=generator, device=logits.device) < 0.2)
    wants_part &= _is_large_enough(samples.part_target)
    target = torch.where(wants_part[:, None, None], samples.part_target, samples.object_target)
    probability = logits[:, 0].float().sigmoid()
    predicted, truth = probability > 0.5, target > 0.5
    missing, extra = depths(truth & ~predicted), depths(predicted & ~truth)
    noise = torch.rand(n, 2, half, half, generator=generator, device=logits.device)
    errors = torch.stack([missing, extra], 1)
    index = ((errors + 0.9 * noise) * (errors > 0)).flatten(1).argmax(1)
    is_positive = index < half * half
    index = index % (half * half)
    points = 2 * torch.stack([index % half, index // half], 1)
    discs = _discs(points, 2 * half)
    planes = samples.planes.clone()
    planes[:, 4] = planes[:, 4].maximum(discs * (is_positive & has_click)[:, None, None])
    planes[:, 5] = planes[:, 5].maximum(discs * (~is_positive & has_click)[:, None, None])
    planes[:, 7] = _double(probability) * planes[:, 3]
    valid = torch.stack([samples.valid[:, 0], torch.zeros_like(samples.valid[:, 1])], 1)
    return Samples(planes, target, samples.part_target, valid, samples.round + 1)


def _double(maps: Tensor) -> Tensor:
    return functional.interpolate(maps[:, None], scale_factor=2, mode="bilinear")[:, 0]


def _is_large_enough(masks: Tensor) -> Tensor:
    """Return which masks (n, h, w) are large enough to count."""
    return masks.float().mean((1, 2)) > MIN_AREA


def _random_thing(thing: Tensor, generator: torch.Generator) -> Tensor:
    """Return the number of a thing of each scene (n, p, p), large ones slightly more often."""
    numbers = thing[:, 2::4, 2::4].flatten(1).long()
    is_thing = (numbers > 0).float()
    areas = torch.zeros(len(numbers), 256, device=numbers.device).scatter_add_(1, numbers, is_thing)
    weights = is_thing / areas.gather(1, numbers).clamp(min=1) ** 0.6
    weights = (
        weights * (1 + (numbers == 1)) * (areas.gather(1, numbers) > MIN_AREA * numbers.shape[1])
    )
    drawn = torch.multinomial(weights + 1e-9, 1, generator=generator)
    return numbers.gather(1, drawn)[:, 0]


def bounding_boxes(masks: Tensor) -> Tensor:
    """Return half-open boxes (n, 4) around masks (n, s, s); the whole frame for empty masks."""
    side, edges = masks.shape[-1], []
    for occupied in (masks.any(1), masks.any(2)):
        edges += [occupied.int().argmax(1), side - occupied.flip(1).int().argmax(1)]
    left, right, top, bottom = (edge.float() for edge in edges)
    return torch.stack([left, top, right, bottom], 1)


def _random_window(
    box: Tensor, photo_box: Tensor, has_box: Tensor, pool_side: int, side: int, rng: BatchRandom
) -> tuple[Tensor, Tensor]:
    """Return the sampling grid (n, side, side, 2) of a window, and its photo area (n, side, side).

    The window is the whole photo or the surroundings of the object, as when a detector looks
    closer.
    """
    n = len(box)
    size = (box[:, 2:] - box[:, :2]).amax(1, keepdim=True)
    is_close = has_box | rng.bernoulli(0.45)[:, 0, 0]
    margin = torch.where(has_box[:, None], rng.uniform(0.2, 0.8, 1), rng.uniform(0.15, 1.6, 1))
    window = torch.cat([box[:, :2] - margin * size, box[:, 2:] + margin * size], 1)
    window = window + 0.12 * size * rng.normal(4)
    shortfall = MIN_WINDOW * pool_side - (window[:, 2:] - window[:, :2]).amax(1, keepdim=True)
    window = window + shortfall.clamp(min=0) / 2 * torch.tensor([-1, -1, 1, 1], device=box.device)
    window = torch.where(is_close[:, None], window, photo_box)
    low = torch.maximum(window[:, :2], photo_box[:, :2])
    high = torch.minimum(window[:, 2:], photo_box[:, 2:])
    high = torch.maximum(high, low + 16)
    scale = side / (high - low).amax(1)
    index = torch.arange(side, device=box.device) + 0.5
    offset = index[None] / scale[:, None]  # (n, side) px of the pool's frame
    is_flipped = rng.bernoulli(0.5)[:, :, 0]
    x = torch.where(is_flipped, high[:, :1] - offset, low[:, :1] + offset)
    y = low[:, 1:2] + offset
    inside = ((x < high[:, :1]) & (x > low[:, :1]))[:, None, :] & (y < high[:, 1:])[:, :, None]
    grid = torch.stack([x[:, None].expand(n, side, side), y[:, :, None].expand(n, side, side)], -1)
    return grid * (2 / pool_side) - 1, inside


def _halve(masks: Tensor) -> Tensor:
    return functional.avg_pool2d(masks.float(), 2) > 0.5


def depths(areas: Tensor) -> Tensor:
    """Return how many px each pixel (n, s, s) lies inside its area, at most MAX_DEPTH of 2 s."""
    remaining = functional.pad(areas.byte(), [1] * 4)
    total = areas.byte()
    for step in range(round(2 * MAX_DEPTH * areas.shape[-1])):
        eroded = remaining[:, 1:-1, 1:-1] & remaining[:, :-2, 1:-1] & remaining[:, 2:, 1:-1]
        eroded = eroded & remaining[:, 1:-1, :-2] & remaining[:, 1:-1, 2:]
        if step % 2:  # alternate, so that the reach is an octagon
            eroded = (
                eroded
                & remaining[:, :-2, :-2]
                & remaining[:, 2:, 2:]
                & remaining[:, 2:, :-2]
                & remaining[:, :-2, 2:]
            )
        total = total + eroded
        remaining = functional.pad(eroded, [1] * 4)
    return total.float()


def _random_points(masks: Tensor, generator: torch.Generator) -> Tensor:
    """Return a point (n, 2) x, y per area: usually far inside, sometimes anywhere.

    Areas (n, h, h) are at half of the frame's size, points in the frame's px.
    """
    half = masks.shape[-1]
    inner_depth = depths(masks)
    noise = torch.rand(inner_depth.shape, generator=generator, device=inner_depth.device)
    is_anywhere = (
        torch.rand(len(masks), 1, 1, generator=generator, device=inner_depth.device) < 0.35
    )
    # Weighted sampling: choose the largest u ** (1 / w) (Efraimidis and Spirakis 2006).
    priority = torch.where(masks, noise ** (1 / inner_depth.clamp(min=0.5)), -1.0)
    index = torch.where(is_anywhere, priority, inner_depth + 0.9 * noise).flatten(1).argmax(1)
    return 2 * torch.stack([index % half, index // half], 1)


def _discs(points: Tensor, side: int) -> Tensor:
    """Return discs (n, side, side) around points (n, 2)."""
    index = torch.arange(side, device=points.device)
    dx = (index[None] - points[:, :1]).square()
    dy = (index[None] - points[:, 1:]).square()
    return (dy[:, :, None] + dx[:, None] <= round(CLICK_RADIUS * side + 0.1) ** 2).float()


def _boxes(masks: Tensor, inside: Tensor, rng: BatchRandom) -> Tensor:
    """Return boxes (n, s, s) around masks (n, s, s), half of them off, as users draw them."""
    boxes = bounding_boxes(masks)
    size = (boxes[:, 2:] - boxes[:, :2]).repeat(1, 2)
    is_exact = rng.bernoulli(0.5)[:, 0]
    boxes = (boxes + size * BOX_JITTER * rng.normal(4).clamp(-2, 2) * ~is_exact).round()
    index = torch.arange(masks.shape[-1], device=masks.device)[None]
    columns = (index >= boxes[:, :1]) & (index < boxes[:, 2:3])
    rows = (index >= boxes[:, 1:2]) & (index < boxes[:, 3:])
    return (rows[:, :, None] & columns[:, None] & inside).float()


def photograph(photo: Tensor, rng: BatchRandom) -> Tensor:
    """Return the network's colour planes of pictures (n, 3, s, s) in [0, 255], through a camera."""
    side = photo.shape[-1]
    scale = side / 320  # blur and noise are smaller in a small frame
    result = gaussian_blur(photo / 255, rng.uniform(0, 1.6) * rng.bernoulli(0.5) * scale)
    result = result.clamp(0.003, 1) ** (2 ** rng.uniform(-0.6, 0.6))[..., None]
    grey = result.mean(1, keepdim=True)
    result = torch.lerp(
        grey, result, rng.uniform(0.3, 1.3)[..., None] * (~rng.bernoulli(0.06))[..., None]
    )
    result = result * (1 + 0.07 * rng.normal(3, 1, 1))
    result = result + 0.07 * scale * rng.uniform(0, 1)[..., None] ** 3 * rng.normal(3, side, side)
    result = jpeg_compress(result * 255, rng).round().clamp(0, 255)
    return (result / 255 - COLOUR_MEAN) / COLOUR_STD
