"""Random scenes as plain numbers: things, ground, walls, scenery, light, a camera."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from models.training.rendering.body_table import BodyTable, compose
from models.training.rendering.materials import (
    Material,
    ground_material,
    random_colour,
    random_material,
    similar_colour,
    wall_material,
)
from models.training.rendering.thing import CUBE, FRUSTUM, rotation
from models.training.rendering.things import random_scenery, random_thing

FloatArray = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Description:
    """A scene.

    Its bodies (K = BODY_COUNT, in the order of ``rays``): ``to_local`` (K, 3, 4) from the world to
    their unit space, ``top_radius`` (K,), ``material`` (K, MATERIAL_SIZE), ``to_texture`` (K, 3,
    4) from the world to texture space, and the numbers of the ``thing`` (K,), 0 for background.

    The camera: ``eye`` (3,) is its position, ``camera_rotation`` (3, 3) maps its space to the
    world (it looks along -z), and the frame's long side is 1 / ``zoom`` of the distance. ``shape``
    is the photo's height and width relative to the frame, of which the longer is 1.

    ``light`` holds the numbers of ``LIGHT_FIELDS``. ``removed`` is the number of the thing that a
    clean plate lacks.
    """

    to_local: FloatArray
    top_radius: FloatArray
    material: FloatArray
    to_texture: FloatArray
    thing: NDArray[np.uint8]
    eye: FloatArray
    camera_rotation: FloatArray
    zoom: float
    shape: tuple[float, float]
    light: FloatArray
    removed: int


# Name and length of each field. ``sun`` is a direction, ``sun_width`` its angular size. ``zenith``,
# ``horizon`` and ``ground_light`` are the colours of light from above, the side and below. ``fog``
# and ``focus`` are distances, ``blur`` is the strength of defocus. ``edge_jitter`` (px) and its
# scale make outlines crooked.
LIGHT_FIELDS = {
    "sun": 3, "sunlight": 3, "sun_width": 1, "zenith": 3, "horizon": 3, "clouds": 1,
    "ground_light": 3, "fog": 1, "focus": 1, "blur": 1, "edge_jitter": 1, "edge_jitter_scale": 1,
    "exposure": 1, "tone_curve": 1,
}  # fmt: skip


def describe(rng: Generator, removable: bool = False) -> Description:
    """Return a random scene.

    With ``removable`` the first thing, which the camera looks at, is rarely in the air.
    """
    table = BodyTable()
    size = 2 ** rng.uniform(-1.5, 0.7)
    on_table = rng.random() < 0.25
    floor_depth = rng.uniform(0.4, 1.2) * (1 + size) if on_table else 0.0
    focus_size, centers = _add_things(rng, table, size, removable)
    if on_table:
        half_size = (
            np.array([rng.uniform(0.8, 2.5), rng.uniform(0.02, 0.15), rng.uniform(0.6, 1.5)]) * size
        )
        shape_kind, material = (
            int(rng.choice([CUBE, CUBE, FRUSTUM])),
            random_material(rng, size=2 ** rng.uniform(0, 3)),
        )
        table.add_slab(
            shape_kind,
            np.array([0, -half_size[1], 0]),
            half_size,
            material,
            rotation(y=rng.uniform(-0.6, 0.6)),
            rng.random() < 0.7,
            rng,
        )
    _add_surroundings(rng, table, size, floor_depth)
    focus = centers[0]
    eye, camera_rotation, zoom, shape, distance = _camera(rng, focus, focus_size, floor_depth)
    return Description(
        table.to_local, table.top_radius, table.material, table.to_texture, table.thing,
        eye, camera_rotation, zoom, shape, _light(rng, camera_rotation, distance), 1,
    )  # fmt: skip


def _add_things(
    rng: Generator, table: BodyTable, size: float, removable: bool
) -> tuple[float, list[NDArray[np.float64]]]:
    """Add things; return the size of the first, which the camera looks at, and all centers."""
    count = 1 + int(rng.integers(0, 7) * (rng.random() < 0.8))
    spread, placed = rng.uniform(0.6, 2.2), list[tuple[float, float, float]]()
    centers, focus_size = [], 0.0
    repeated = random_thing(rng) if rng.random() < 0.15 else None  # several of the same kind
    for number in range(count):
        thing = repeated or random_thing(rng)
        low, high = thing.bounds()
        scale = size * rng.uniform(0.5, 1.3) / max(0.2, float((high - low).max()))
        radius = 0.5 * scale * float(np.hypot(high[0] - low[0], high[2] - low[2]))
        for _ in range(6):
            x, z = (0.0, 0.0) if number == 0 else rng.normal(0, spread * size, 2)
            if all(np.hypot(x - a, z - b) > 0.8 * max(radius, r) for a, b, r in placed):
                break
        else:
            continue
        height = 0.0
        if rng.random() < (0.03 if removable and number == 0 else 0.09):
            height = size * rng.uniform(0.2, 2.5)
        tilt = rotation(*(rng.uniform(-0.7, 0.7, 3) if height else np.zeros(3)))
        if not height and rng.random() < 0.06:
            tilt = rotation(z=rng.choice([-1.5, 1.5]))  # toppled
            low = np.array([0, -0.5 * (high[0] - low[0]), 0])
        to_world = np.column_stack(
            [scale * tilt @ rotation(y=rng.uniform(-3.15, 3.15)), [x, height - scale * low[1], z]]
        )
        if not table.add(thing, to_world, rng):
            continue
        placed.append((x, z, radius))
        center = compose(to_world, np.column_stack([np.eye(3), (low + high) / 2]))[:, 3]
        centers.append(center)
        if number == 0:
            focus_size = scale * float(np.linalg.norm(high - low)) * 0.75
    return focus_size, centers


def _add_surroundings(rng: Generator, table: BodyTable, size: float, floor_depth: float) -> None:
    level = np.array([0, -floor_depth, 0])
    table.add_slab(
        CUBE,
        level + [0, -1, 0],
        np.array([80.0, 1, 80]),
        _floor_material(ground_material(rng)),
        rotation(y=rng.uniform(-1.6, 1.6)),
    )
    for number in range(
        int(rng.integers(0, 4)) if floor_depth == 0 else 0
    ):  # rugs, roads, puddles, stains
        center = np.array([rng.normal(0, 2 * size), -0.001 * number, rng.normal(0, 2 * size)])
        half_size = np.array(
            [size * 2 ** rng.uniform(-1, 3), 0.003 * size, size * 2 ** rng.uniform(-1, 1)]
        )
        table.add_slab(
            int(rng.choice([CUBE, FRUSTUM])),
            center,
            half_size,
            _floor_material(ground_material(rng)),
            rotation(y=rng.uniform(-3, 3)),
        )
    if rng.random() < 0.45:
        wall_distance = size * 2 ** rng.uniform(-0.5, 2)
        yaw = rng.normal(0, 0.35)
        orientation = rotation(y=yaw)
        center = level + orientation @ [0, 0, -wall_distance - 0.05]
        table.add_slab(CUBE, center, np.array([30, 20, 0.05]), wall_material(rng), orientation)
        if rng.random() < 0.3:
            side = rng.choice([-1, 1])
            table.add_slab(
                CUBE,
                level + orientation @ [side * wall_distance * 2 ** rng.uniform(0, 1.5), 0, 0],
                np.array([0.05, 20, 30]),
                wall_material(rng),
                orientation,
            )
        for _ in range(int(rng.integers(0, 5))):  # pictures, windows, doors, shelves
            center = orientation @ [
                rng.normal(0, 1.5 * size),
                rng.uniform(0, 2) * size,
                -wall_distance + 0.02,
            ]
            half_size = np.array(
                [
                    size * 2 ** rng.uniform(-3, 0),
                    size * 2 ** rng.uniform(-3, 0),
                    0.03 * size + 0.1 * size * (rng.random() < 0.2),
                ]
            )
            table.add_slab(
                CUBE,
                center + level,
                half_size,
                random_material(rng),
                orientation,
                rng.random() < 0.6,
                rng,
            )
    for _ in range(int(rng.integers(0, 9))):
        thing = random_scenery(rng)
        low, high = thing.bounds()
        distance = size * 2 ** rng.uniform(1, 4.5)
        scale = size * 2 ** rng.uniform(-0.5, 2.5) / float((high - low).max())
        center = level + [
            rng.uniform(-1, 1) * (2 * size + distance),
            -scale * low[1] * 0.9,
            -distance,
        ]
        table.add(
            thing,
            np.column_stack([scale * rotation(y=rng.uniform(-3, 3)), center]),
            rng,
            rng.random() < 0.5,
        )


def _floor_material(material: Material) -> Material:
    """Limit the pattern's frequency, so that it is about as large as things."""
    scaled = material.copy()
    scaled[-1] = min(scaled[-1], 6.0)
    return scaled


def _camera(
    rng: Generator, focus: NDArray[np.float64], focus_size: float, floor_depth: float
) -> tuple[FloatArray, FloatArray, float, tuple[float, float], float]:
    """Return eye, rotation, zoom, the photo's shape, and the distance to ``focus``."""
    zoom = 0.5 / np.tan(np.radians(rng.uniform(12, 35)))
    fraction = float(np.clip(0.55 * np.exp(0.55 * rng.standard_normal()), 0.12, 1.3))
    distance = max(focus_size, 0.05) * zoom / fraction
    choice = rng.random()
    elevation = np.radians(
        rng.uniform(2, 25)
        if choice < 0.6
        else rng.uniform(25, 70)
        if choice < 0.92
        else rng.uniform(-12, 2)
    )
    short_side = float(
        np.clip(
            rng.choice([0.562, 0.66, 0.66, 0.75, 0.75, 1.0]) + 0.04 * rng.standard_normal(),
            0.45,
            1,
        )
    )
    shape = (short_side, 1.0) if rng.random() < 0.7 else (1.0, short_side)
    eye = focus + distance * np.array([0, np.sin(elevation), np.cos(elevation)])
    eye[1] = max(eye[1], -floor_depth + 0.06 * focus_size)
    shift = (
        rng.normal(0, 0.22, 2).clip(-0.45, 0.45)
        * distance
        / zoom
        * (1.1 - min(fraction, 1))
        * [shape[1], shape[0]]
    )
    forward = focus + [shift[0], shift[1], 0] - eye
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, [0, 1, 0])
    right /= np.linalg.norm(right)
    orientation = np.column_stack([right, np.cross(right, forward), -forward]) @ rotation(
        z=0.05 * rng.standard_normal()
    )
    return (
        eye.astype(np.float32),
        orientation.astype(np.float32),
        float(zoom),
        shape,
        float(np.linalg.norm(focus - eye)),
    )


def _light(rng: Generator, camera_rotation: FloatArray, distance: float) -> FloatArray:
    """Return the numbers of ``LIGHT_FIELDS``."""
    elevation = np.radians(rng.uniform(12, 85))
    azimuth = rng.uniform(-np.pi, np.pi)
    sun = np.array(
        [
            np.cos(elevation) * np.sin(azimuth),
            np.sin(elevation),
            np.cos(elevation) * np.cos(azimuth),
        ]
    )
    choice, warmth = rng.random(), rng.uniform(0, 0.5)
    strength = 0.0 if choice < 0.15 else rng.uniform(0.3, 4)
    sunlight = strength * np.array([1, 1 - 0.5 * warmth, 1 - warmth])
    blueness = rng.uniform(0, 0.6)
    zenith = rng.uniform(0.5, 1.1) * np.array([1 - blueness, 1 - 0.4 * blueness, 1.0])
    horizon = (
        similar_colour(rng, np.full(3, 0.85), 0.3) if rng.random() < 0.7 else random_colour(rng)
    )
    if rng.random() < 0.15:
        zenith = random_colour(rng) + 0.05
    ground_light = 0.35 * random_colour(rng, True)
    blur = rng.uniform(2, 25) if rng.random() < 0.35 else 0.0
    fog = distance * 2 ** rng.uniform(1, 5) if rng.random() < 0.2 else 1e5
    jitter = rng.exponential(1.0) * (rng.random() < 0.6)
    values = {
        "sun": sun, "sunlight": sunlight, "sun_width": rng.uniform(0.01, 0.09),
        "zenith": zenith, "horizon": horizon, "clouds": rng.uniform(0, 0.8) * (rng.random() < 0.6),
        "ground_light": ground_light, "fog": fog, "focus": distance, "blur": blur,
        "edge_jitter": min(jitter, 4.0), "edge_jitter_scale": 2 ** rng.uniform(-1, 1.5),
        "exposure": rng.uniform(0.45, 1.15), "tone_curve": rng.uniform(0, 0.6),
    }  # fmt: skip
    return np.concatenate(
        [np.broadcast_to(np.asarray(values[k], np.float32), n) for k, n in LIGHT_FIELDS.items()]
    )
