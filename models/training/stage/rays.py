"""Rays through scenes of simple bodies, many scenes at once, on the CPU or a GPU.

A body is a unit sphere, a unit cube or a unit cone frustum (its axis is y, from -1 to 1, with
radius 1 below), moved, turned and stretched. Scenes have as many of each as ``SLOTS`` says, in this
order; those that are not in use are nowhere. Shapes: n scenes, K bodies, P rays.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

SLOTS = (72, 24, 48)  # spheres, cubes, frustums of a scene
BODIES = sum(SLOTS)
NEAR = 1e-3  # a ray starts to hit from there
FAR = 1e6  # how far a ray that hits nothing goes


class Bodies(NamedTuple):
    """``back`` (n, K, 3, 4): from the world to a body's own space; ``top`` (n, K): the radius of
    a frustum at y = 1.
    """

    back: Tensor
    top: Tensor


class Hit(NamedTuple):
    """``far`` (n, P) along the ray, FAR for nothing; ``body`` (n, P), a number."""

    far: Tensor
    body: Tensor


def nearest(bodies: Bodies, start: Tensor, way: Tensor) -> Hit:
    """What rays from ``start`` hit first; (n, 3, P) both, or (n, 3, 1) if all have the same."""
    found, body, first = None, None, 0
    for kind, count in enumerate(SLOTS):
        last = first + count
        part = bodies.back[:, first:last, :, :, None]  # (n, k, 3, 4, 1)
        s = [_dot(part[:, :, i], start) + part[:, :, i, 3] for i in range(3)]
        w = [_dot(part[:, :, i], way) for i in range(3)]
        if kind == 0:
            far = _sphere(s, w)
        elif kind == 1:
            far = _cube(s, w)
        else:
            far = _frustum(s, w, bodies.top[:, first:last, None])
        least, which = far.min(1)
        if found is None:
            found, body = least, which
        else:
            body = torch.where(least < found, which + first, body)
            found = torch.minimum(found, least)
        first = last
    return Hit(found, body)


def _dot(row: Tensor, vector: Tensor) -> Tensor:
    x, y, z = (vector[:, None, i] for i in range(3))
    return row[:, :, 0] * x + row[:, :, 1] * y + row[:, :, 2] * z


def _sphere(s: list[Tensor], w: list[Tensor]) -> Tensor:
    a = w[0] * w[0] + w[1] * w[1] + w[2] * w[2]
    b = s[0] * w[0] + s[1] * w[1] + s[2] * w[2]
    c = s[0] * s[0] + s[1] * s[1] + s[2] * s[2] - 1
    inner = b * b - a * c
    t = (-b - inner.clamp(min=0).sqrt()) / (a + 1e-12)
    return torch.where((inner > 0) & (t > NEAR), t, FAR)


def _cube(s: list[Tensor], w: list[Tensor]) -> Tensor:
    first, last = None, None
    for p, d in zip(s, w, strict=True):
        d = torch.where(d.abs() < 1e-9, 1e-9, d)
        one, other = (-1 - p) / d, (1 - p) / d
        low, high = torch.minimum(one, other), torch.maximum(one, other)
        first = low if first is None else torch.maximum(first, low)
        last = high if last is None else torch.minimum(last, high)
    return torch.where((first < last) & (first > NEAR), first, FAR)


def _frustum(s: list[Tensor], w: list[Tensor], top: Tensor) -> Tensor:
    slope, middle = (top - 1) / 2, (top + 1) / 2
    radius = middle + slope * s[1]
    a = w[0] * w[0] + w[2] * w[2] - slope * slope * w[1] * w[1]
    a = torch.where(a.abs() < 1e-9, 1e-9, a)
    b = s[0] * w[0] + s[2] * w[2] - slope * w[1] * radius
    c = s[0] * s[0] + s[2] * s[2] - radius * radius
    inner = b * b - a * c
    root = inner.clamp(min=0).sqrt()
    found = torch.full_like(b, FAR)
    for t in ((-b - root) / a, (-b + root) / a):
        y = s[1] + t * w[1]
        on = (inner > 0) & (t > NEAR) & (y.abs() < 1) & (middle + slope * y > 0)
        found = torch.minimum(found, torch.where(on, t, FAR))
    rise = torch.where(w[1].abs() < 1e-9, 1e-9, w[1])
    for y, wide in ((-1.0, torch.ones_like(top)), (1.0, top)):
        t = (y - s[1]) / rise
        x, z = s[0] + t * w[0], s[2] + t * w[2]
        on = (t > NEAR) & (x * x + z * z < wide * wide)
        found = torch.minimum(found, torch.where(on, t, FAR))
    return found


def normals(back: Tensor, top: Tensor, body: Tensor, at: Tensor) -> Tensor:
    """Outward unit normals (n, 3, P) at points (n, 3, P) on bodies.

    ``back`` (n, P, 3, 4) and ``top`` (n, P) are those of each point's body, ``body`` (n, P).
    """
    own = moved(back, at)
    size = own.abs()
    largest = size.max(1, keepdim=True).values
    cube = own.sign() * (size >= largest)
    x, y, z = own.unbind(1)
    radius = (1 + top) / 2 + (top - 1) / 2 * y
    side = torch.stack([x, radius * (1 - top) / 2, z], 1)
    cap = torch.stack([torch.zeros_like(x), y.sign(), torch.zeros_like(x)], 1)
    frustum = torch.where((y.abs() > 0.9995)[:, None], cap, side)
    kind = (body >= SLOTS[0]).long() + (body >= SLOTS[0] + SLOTS[1]).long()
    local = torch.where((kind == 0)[:, None], own, torch.where((kind == 1)[:, None], cube, frustum))
    world = torch.stack([(back[..., i] * local.transpose(1, 2)).sum(-1) for i in range(3)], 1)
    return world / world.norm(dim=1, keepdim=True).clamp(min=1e-9)


def moved(lay: Tensor, at: Tensor) -> Tensor:
    """Points (n, 3, P), each in another space: ``lay`` (n, P, 3, 4)."""
    x, y, z = at[:, :, :, None].unbind(1)  # (n, P, 1) each
    made = lay[..., 0] * x + lay[..., 1] * y + lay[..., 2] * z + lay[..., 3]
    return made.transpose(1, 2)
