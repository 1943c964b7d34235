"""Training batches for the shadow network: a photo, an object's mask, and what the object changes.

Half of the samples are rendered scenes with new paint and light; in some of them the object is
put back without its effects. The other half are composites (``compositing``). Some masks are
rough; some hold the object's effects already, so that nothing is left to find.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from models.training.batch_random import BatchRandom
from models.training.shadow.augmentation import (
    adjust_tones,
    capture,
    cloud_noise,
    dilate,
    gaussian_blur,
    to_display,
    to_linear,
)
from models.training.shadow.compositing import compose
from models.training.shadow.network_input import (
    PhotoEdges,
    crop_views,
    input_planes,
    photo_area,
    view_frame,
)
from models.training.shadow.scene_pool import ScenePool

# Levels of 255: a smaller change is invisible, a larger one visible.
VISIBLE_LEVELS = (2.5, 6.0)
STRONG_LEVELS = 10.0  # levels of 255, from which a change is strong
# Changed area over the object's area: below the first there is no shadow, above the second there
# is one; samples between do not count for ``has_shadow``.
NO_SHADOW_RATIO, SHADOW_RATIO = 0.02, 0.08
INSTANCE_TRIES = 24  # random pixels, of which the first on a thing chooses it
MIN_OBJECT_AREA = 120.0  # view px, below which a sample does not count


class Batch(NamedTuple):
    """Samples, all float32.

    ``planes`` is the network's input. ``target`` (n, s, s) in [0, 1] is how visibly the object
    changes each pixel; ``valid`` (n, s, s) is 0 where that does not count: on the object and
    beyond the photo. ``has_shadow`` (n,) is 1 if the object changes much, and counts where
    ``has_shadow_valid`` is 1.
    """

    planes: Tensor
    target: Tensor
    valid: Tensor
    has_shadow: Tensor
    has_shadow_valid: Tensor


class PicturePair(NamedTuple):
    """Displayed pictures with and without the objects, (n, 3, s, s), and the objects' alpha."""

    photo: Tensor
    clean: Tensor
    alpha: Tensor


@torch.no_grad()
def make_batch(pool: ScenePool, count: int, generator: torch.Generator) -> Batch:
    """Return a batch, half of it rendered, half composites."""
    parts = []
    for make_pairs, size in (
        (rendered_pairs, count - count // 2),
        (composite_pairs, count // 2),
    ):
        rng = BatchRandom(size, generator, (1, 1, 1))
        parts.append(make_samples(make_pairs(pool, rng), rng))
    return Batch(*(torch.cat(tensors) for tensors in zip(*parts, strict=True)))


def rendered_pairs(pool: ScenePool, rng: BatchRandom) -> PicturePair:
    """Return rendered scenes in random paint and light."""
    photo, clean, thing, removed = pool.sample_rendered(rng)
    alpha = (thing == removed[:, None, None]).float()[:, None]
    soft = gaussian_blur(dilate(alpha), 0.6 * torch.ones_like(alpha[:, :, :1, :1]), radius=2)
    photo = torch.where(rng.bernoulli(0.15), torch.lerp(clean, photo, soft), photo)
    paint = to_linear(pool.sample_flat(rng)[0])
    paint = 1 - rng.uniform(0, 0.9) * (1 - paint) * rng.bernoulli(0.25)
    noise = cloud_noise(rng, pool.side, 3, 24) * 2 ** rng.uniform(-1, 3)
    paint = paint * (1 - rng.uniform(0, 0.7) * torch.sigmoid(noise) * rng.bernoulli(0.25))
    photo = to_display(to_linear(photo) * torch.lerp(paint, torch.ones_like(paint), alpha))
    return PicturePair(photo, to_display(to_linear(clean) * paint), alpha)


def composite_pairs(pool: ScenePool, rng: BatchRandom) -> PicturePair:
    """Return composites of an object from one scene onto another."""
    photo, clean, _, _ = pool.sample_rendered(rng)
    flat, _ = pool.sample_flat(rng)
    ground = torch.where(rng.bernoulli(0.5), photo, clean)
    ground = torch.where(rng.bernoulli(0.35), flat, ground)
    source, _, thing, removed = pool.sample_rendered(rng)
    flat_source, flat_thing = pool.sample_flat(rng)
    use_flat = rng.bernoulli(0.2)
    number = torch.where(
        rng.bernoulli(0.6)[:, 0, 0, 0], removed, _random_instance(thing, removed, rng)
    )
    number = torch.where(
        use_flat[:, 0, 0, 0],
        _random_instance(flat_thing, flat_thing.flatten(1).amax(1), rng),
        number,
    )
    numbers = torch.where(use_flat[:, 0], flat_thing, thing)
    mask = (numbers == number[:, None, None]).float()[:, None]
    return PicturePair(*compose(ground, torch.where(use_flat, flat_source, source), mask, rng))


def _random_instance(numbers: Tensor, default: Tensor, rng: BatchRandom) -> Tensor:
    """Return the instance number at a random pixel that has one, else ``default``."""
    places = rng.uniform(0, numbers[0].numel(), INSTANCE_TRIES).long()
    candidates = numbers.flatten(1).gather(1, places)
    number = candidates.gather(1, (candidates > 0).float().argmax(1, keepdim=True))[:, 0]
    return torch.where(number > 0, number, default)


def make_samples(pair: PicturePair, rng: BatchRandom) -> Batch:
    """Augment the pictures, crop the views around the masks and compute the targets."""
    change = (pair.photo - pair.clean).abs().amax(1, keepdim=True) * 255
    mask = rough_mask(pair.alpha, rng)
    affected = (change > VISIBLE_LEVELS[1]) & rng.bernoulli(0.07)  # is in the mask
    mask = torch.maximum(mask, dilate(affected.float()))
    object_area = dilate(pair.alpha)
    maps = torch.cat([pair.photo, pair.clean, object_area, mask], 1)
    maps = torch.where(rng.bernoulli(0.5), maps.flip(-1), maps)
    edges, in_photo = _random_photo_edges(maps.shape[-1], rng)
    frame = view_frame(maps[:, 7] * in_photo, edges)
    views = crop_views(maps, frame)
    photo, clean, object_area, mask = torch.split(views, [3, 3, 1, 1], 1)
    photo, clean = adjust_tones((photo, clean), rng)
    change = (photo - clean).abs().amax(1, keepdim=True) * 255
    change = functional.avg_pool2d(change, 3, 1, 1)[:, 0]
    photo = capture(photo, rng)
    object_area = dilate(object_area)[:, 0]
    area = (mask[:, 0] > 0.5).sum((1, 2)).clamp(min=1)
    large_enough = (area > MIN_OBJECT_AREA).float()
    valid = (
        photo_area(frame) * (object_area < 0.02) * (mask[:, 0] < 0.5) * large_enough[:, None, None]
    )
    target = ((change - VISIBLE_LEVELS[0]) / (VISIBLE_LEVELS[1] - VISIBLE_LEVELS[0])).clamp(
        0, 1
    ) * valid
    strong_ratio, visible_ratio = (
        (changed * valid).sum((1, 2)) / area
        for changed in (change > STRONG_LEVELS, change > VISIBLE_LEVELS[0])
    )
    has_shadow = (strong_ratio > SHADOW_RATIO).float()
    has_shadow_valid = (
        (strong_ratio > SHADOW_RATIO) | (visible_ratio < NO_SHADOW_RATIO)
    ).float() * large_enough
    inputs = input_planes(photo, mask[:, 0], frame)
    return Batch(inputs, target, valid, has_shadow, has_shadow_valid)


def _random_photo_edges(side: int, rng: BatchRandom) -> tuple[PhotoEdges, Tensor]:
    """Return photos' edges, some inside their pictures, and a map (n, s, s) that is 1 inside."""
    cuts = [(rng.uniform(0, 0.3) * side * rng.bernoulli(0.4))[:, 0].round() for _ in range(4)]
    edges = PhotoEdges(cuts[0], cuts[1], side - cuts[2], side - cuts[3])
    place = torch.arange(side, device=cuts[0].device)
    x, y = place[None, None, :], place[None, :, None]
    in_photo = (x >= edges.left) & (x < edges.right) & (y >= edges.top) & (y < edges.bottom)
    return edges, in_photo.float()


def rough_mask(alpha: Tensor, rng: BatchRandom) -> Tensor:
    """Return masks as a detector finds them: some too large, too small or with a wobbly edge."""
    blurred = gaussian_blur(alpha, rng.uniform(0.5, 4))
    wobble = cloud_noise(rng, alpha.shape[-1], 6, 48) * rng.uniform(0, 0.3)
    rough = (
        blurred + wobble * (blurred > 0.02) * (blurred < 0.98) > rng.uniform(0.15, 0.75)
    ).float()
    exact = (alpha > 0.5).float()
    return torch.where(rng.bernoulli(0.35) & (rough.amax((2, 3), keepdim=True) > 0), rough, exact)
