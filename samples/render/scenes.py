"""The scenes by name, and how each is rendered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import garden
import kitchen
import lake
import rooms
import street


@dataclass(frozen=True)
class Scene:
    build: Callable  # () -> the Blender objects to remove
    tests: str
    size: tuple[int, int] = (1152, 864)
    samples: int = 16
    exposure: float = 0.0
    look: str = "AgX - Medium High Contrast"


ALL = {
    "ball": Scene(
        garden.ball,
        "A red ball in grass: one strong colour, fine texture behind it, blades across its edge.",
        samples=32,
        exposure=0.6,
    ),
    "chair": Scene(
        rooms.chair,
        "A spindle-backed chair on floorboards in window light: thin parts, lines that run to a "
        "vanishing point, a cast shadow; easily boxed.",
        exposure=0.45,
    ),
    "bicycle": Scene(
        street.bicycle,
        "A bicycle against a brick wall: wire-thin parts, holes that show the wall, a regular "
        "texture, a shadow on wall and ground.",
        exposure=0.3,
    ),
    "boat": Scene(
        lake.boat,
        "A sailing boat on a lake: it crosses the shore line, is mirrored in the water, and stands "
        "before a smooth sky.",
        exposure=0.2,
    ),
    "oranges": Scene(
        kitchen.oranges, "One of several oranges: only the one pointed at may go.", (1024, 768), exposure=0.6
    ),
    "lamp": Scene(
        rooms.floor_lamp,
        "A floor lamp on shiny tiles, upright format: a wall of smooth tone, a thin pole and "
        "flex, a mirror image in the floor.",
        (816, 1088),
        exposure=0.5,
    ),
    "cone": Scene(
        garden.cone,
        "A traffic cone in low sun: coarse gravel, a long cast shadow, stripes.",
        (1024, 768),
        exposure=0.3,
    ),
}
