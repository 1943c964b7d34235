"""Ray casting in scenes of simple bodies, many scenes at once, on a CPU or a GPU.

A body is a unit sphere, a unit cube or a unit cone frustum (its axis is y, from -1 to 1, with
radius 1 at the bottom), moved, rotated and scaled. A scene has ``MAX_BODIES`` of each, in this
order; unused ones lie out of sight. Shapes: n scenes, K bodies, P rays.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

MAX_BODIES = (72, 24, 48)  # spheres, cubes, frustums in a scene
BODY_COUNT = sum(MAX_BODIES)
MIN_DISTANCE = 1e-3  # nearer hits do not count
NO_HIT = 1e6  # the distance of a ray that hits nothing


class Bodies(NamedTuple):
    """The bodies of n scenes.

    ``to_local`` (n, K, 3, 4) maps world points to a body's unit space; ``top_radius`` (n, K) is the
    radius of a frustum at y = 1.
    """

    to_local: Tensor
    top_radius: Tensor


class Hit(NamedTuple):
    """``distance`` (n, P) along the ray, NO_HIT for none, and the index ``body`` (n, P)."""

    distance: Tensor
    body: Tensor


def nearest_hit(bodies: Bodies, origin: Tensor, direction: Tensor) -> Hit:
    """Return what rays hit first.

    ``direction`` is (n, 3, P); ``origin`` is (n, 3, P), or (n, 3, 1) if all rays share it.
    """
    distances, first = [], 0
    for kind, count in enumerate(MAX_BODIES):
        last = first + count
        rows = bodies.to_local[:, first:last, :, :, None]  # (n, k, 3, 4, 1)
        o = [_dot(rows[:, :, i], origin) + rows[:, :, i, 3] for i in range(3)]
        d = [_dot(rows[:, :, i], direction) for i in range(3)]
        if kind == 0:
            distances.append(_sphere(o, d))
        elif kind == 1:
            distances.append(_cube(o, d))
        else:
            distances.append(_frustum(o, d, bodies.top_radius[:, first:last, None]))
        first = last
    return _nearest(distances)


def _nearest(distances: list[Tensor]) -> Hit:
    """Return the nearest of the hits with each kind of body, (n, k, P) each."""
    nearest, body = distances[0].min(1)
    first = distances[0].shape[1]
    for distance in distances[1:]:
        closest, index = distance.min(1)
        body = torch.where(closest < nearest, index + first, body)
        nearest = torch.minimum(nearest, closest)
        first += distance.shape[1]
    return Hit(nearest, body)


def _dot(row: Tensor, vector: Tensor) -> Tensor:
    x, y, z = (vector[:, None, i] for i in range(3))
    return row[:, :, 0] * x + row[:, :, 1] * y + row[:, :, 2] * z


def _sphere(o: list[Tensor], d: list[Tensor]) -> Tensor:
    a = d[0] * d[0] + d[1] * d[1] + d[2] * d[2]
    b = o[0] * d[0] + o[1] * d[1] + o[2] * d[2]
    c = o[0] * o[0] + o[1] * o[1] + o[2] * o[2] - 1
    discriminant = b * b - a * c
    t = (-b - discriminant.clamp(min=0).sqrt()) / (a + 1e-12)
    return torch.where((discriminant > 0) & (t > MIN_DISTANCE), t, NO_HIT)


def _cube(o: list[Tensor], d: list[Tensor]) -> Tensor:
    entries, exits = [], []
    for origin, direction in zip(o, d, strict=True):
        direction = torch.where(direction.abs() < 1e-9, 1e-9, direction)
        first, second = (-1 - origin) / direction, (1 - origin) / direction
        entries.append(torch.minimum(first, second))
        exits.append(torch.maximum(first, second))
    entry = torch.maximum(torch.maximum(entries[0], entries[1]), entries[2])
    end = torch.minimum(torch.minimum(exits[0], exits[1]), exits[2])
    return torch.where((entry < end) & (entry > MIN_DISTANCE), entry, NO_HIT)


def _frustum(o: list[Tensor], d: list[Tensor], top_radius: Tensor) -> Tensor:
    slope, middle = (top_radius - 1) / 2, (top_radius + 1) / 2
    radius = middle + slope * o[1]
    a = d[0] * d[0] + d[2] * d[2] - slope * slope * d[1] * d[1]
    a = torch.where(a.abs() < 1e-9, 1e-9, a)
    b = o[0] * d[0] + o[2] * d[2] - slope * d[1] * radius
    c = o[0] * o[0] + o[2] * o[2] - radius * radius
    discriminant = b * b - a * c
    root = discriminant.clamp(min=0).sqrt()
    nearest = torch.full_like(b, NO_HIT)
    for t in ((-b - root) / a, (-b + root) / a):
        y = o[1] + t * d[1]
        valid = (discriminant > 0) & (t > MIN_DISTANCE) & (y.abs() < 1) & (middle + slope * y > 0)
        nearest = torch.minimum(nearest, torch.where(valid, t, NO_HIT))
    slope_y = torch.where(d[1].abs() < 1e-9, 1e-9, d[1])
    for cap_y, cap_radius in ((-1.0, torch.ones_like(top_radius)), (1.0, top_radius)):
        t = (cap_y - o[1]) / slope_y
        x, z = o[0] + t * d[0], o[2] + t * d[2]
        valid = (t > MIN_DISTANCE) & (x * x + z * z < cap_radius * cap_radius)
        nearest = torch.minimum(nearest, torch.where(valid, t, NO_HIT))
    return nearest


def normals(to_local: Tensor, top_radius: Tensor, body: Tensor, points: Tensor) -> Tensor:
    """Return outward unit normals (n, 3, P) at points (n, 3, P) on bodies.

    ``to_local`` (n, P, 3, 4), ``top_radius`` (n, P) and the index ``body`` (n, P) are those of each
    point's body.
    """
    local_point = transform_points(to_local, points)
    size = local_point.abs()
    largest = size.max(1, keepdim=True).values
    cube = local_point.sign() * (size >= largest)
    x, y, z = local_point.unbind(1)
    radius = (1 + top_radius) / 2 + (top_radius - 1) / 2 * y
    side = torch.stack([x, radius * (1 - top_radius) / 2, z], 1)
    cap = torch.stack([torch.zeros_like(x), y.sign(), torch.zeros_like(x)], 1)
    frustum = torch.where((y.abs() > 0.9995)[:, None], cap, side)
    kind = (body >= MAX_BODIES[0]).long() + (body >= MAX_BODIES[0] + MAX_BODIES[1]).long()
    local_normal = torch.where(
        (kind == 0)[:, None], local_point, torch.where((kind == 1)[:, None], cube, frustum)
    )
    normal = torch.stack(
        [(to_local[..., i] * local_normal.transpose(1, 2)).sum(-1) for i in range(3)], 1
    )
    unit: Tensor = normal / normal.norm(dim=1, keepdim=True).clamp(min=1e-9)
    return unit


def transform_points(transforms: Tensor, points: Tensor) -> Tensor:
    """Apply a transform (n, P, 3, 4) to each point (n, 3, P)."""
    x, y, z = points[:, :, :, None].unbind(1)  # (n, P, 1) each
    moved = (
        transforms[..., 0] * x
        + transforms[..., 1] * y
        + transforms[..., 2] * z
        + transforms[..., 3]
    )
    return moved.transpose(1, 2)
