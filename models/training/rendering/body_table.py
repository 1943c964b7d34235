"""The bodies of a scene as arrays, in the order of ``rays``."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from models.training.rendering.materials import Material
from models.training.rendering.rays import BODY_COUNT, MAX_BODIES
from models.training.rendering.textures import MATERIAL_SIZE
from models.training.rendering.thing import Thing, rotation

MAX_THINGS = 40  # of a scene


class BodyTable:
    """The bodies of a scene, up to ``MAX_BODIES``."""

    def __init__(self) -> None:
        self.used = [0, 0, 0]
        self.first = np.concatenate([[0], np.cumsum(MAX_BODIES)])
        self.to_local = np.zeros((BODY_COUNT, 3, 4), np.float32)
        self.to_local[:, :, 3] = 10.0  # nowhere
        self.top_radius = np.ones(BODY_COUNT, np.float32)
        self.material = np.zeros((BODY_COUNT, MATERIAL_SIZE), np.float32)
        self.to_texture = np.zeros((BODY_COUNT, 3, 4), np.float32)
        self.thing = np.zeros(BODY_COUNT, np.uint8)
        self.things = 0

    def add(
        self, thing: Thing, to_world: NDArray[np.float64], rng: Generator, is_thing: bool = True
    ) -> int:
        """Add a thing, placed by ``to_world`` (3, 4), and return its number.

        Return 0 if there is no room, or if it is no thing but background.
        """
        counts = np.bincount(thing.kinds, minlength=3)
        if any(u + n > s for u, n, s in zip(self.used, counts, MAX_BODIES, strict=True)):
            return 0
        if is_thing and self.things >= MAX_THINGS:
            return 0
        self.things += is_thing
        texture_rotation = rotation(*rng.uniform(-3, 3, 3)) if thing.shared_texture else None
        for i in range(len(thing.kinds)):
            self._add_row(thing, i, to_world, texture_rotation, is_thing)
        return self.things if is_thing else 0

    def _add_row(
        self, thing: Thing, index: int, to_world: NDArray[np.float64],
        texture_rotation: NDArray[np.float64] | None, is_thing: bool,
    ) -> None:  # fmt: skip
        row = self.first[thing.kinds[index]] + self.used[thing.kinds[index]]
        self.used[thing.kinds[index]] += 1
        to_thing = thing.transforms[index]
        self.to_local[row] = invert(compose(to_world, to_thing))
        self.top_radius[row], self.material[row] = (
            thing.top_radii[index],
            thing.materials[index][:-1],
        )
        rigid = to_thing.copy()
        rigid[:, :3] /= np.linalg.norm(rigid[:, :3], axis=0) + 1e-9
        to_pattern = np.eye(3, 4) if texture_rotation is not None else invert(rigid)
        scale = thing.materials[index][-1] * (
            texture_rotation if texture_rotation is not None else np.eye(3)
        )
        self.to_texture[row] = compose(
            np.column_stack([scale, np.zeros(3)]), compose(to_pattern, invert(to_world))
        )
        if is_thing:
            self.thing[row] = self.things

    def add_slab(
        self, kind: int, center: NDArray[np.float64], half_size: NDArray[np.float64],
        material: Material, orientation: NDArray[np.float64], is_thing: bool = False,
        rng: Generator | None = None,
    ) -> int:  # fmt: skip
        """Add a floor, wall or slab; return its number as ``add`` does."""
        slab = Thing()
        slab.add_body(kind, (0, 0, 0), half_size, material)
        return self.add(
            slab, np.column_stack([orientation, center]), rng or np.random.default_rng(0), is_thing
        )


def compose(outer: NDArray[np.floating], inner: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the transform (3, 4) that applies ``inner`` first, then ``outer``."""
    product = outer[:, :3] @ inner
    product[:, 3] += outer[:, 3]
    return np.asarray(product, np.float64)


def invert(transform: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the inverse of a transform (3, 4)."""
    inverse = np.linalg.inv(transform[:, :3])
    return np.column_stack([inverse, -inverse @ transform[:, 3]])
