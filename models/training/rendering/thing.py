"""A thing: spheres, cubes and frustums.

A thing has its own space: y points up, it stands on y = 0, and it is about 1 large.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.training.rendering.materials import Material

SPHERE, CUBE, FRUSTUM = range(3)
Matrix = NDArray[np.float64]


@dataclass
class Thing:
    """Bodies, one entry per body in each list.

    ``kinds`` are SPHERE, CUBE or FRUSTUM; ``transforms`` (3, 4) map a body's unit space to the
    thing's; ``top_radii`` are those of frustums. With ``shared_texture`` patterns continue from
    body to body, as a fur's do.
    """

    kinds: list[int] = field(default_factory=list)
    transforms: list[Matrix] = field(default_factory=list)
    top_radii: list[float] = field(default_factory=list)
    materials: list[Material] = field(default_factory=list)
    shared_texture: bool = False

    def add_body(
        self,
        kind: int,
        center: ArrayLike,
        half_size: ArrayLike,
        material: Material,
        turn: Matrix | None = None,
        top: float = 1.0,
    ) -> None:
        """Add a body with half sizes ``half_size`` (3,) and its middle at ``center`` (3,)."""
        bounds = np.diag(np.broadcast_to(np.asarray(half_size, float), 3))
        linear = (np.eye(3) if turn is None else turn) @ bounds
        self.kinds.append(kind)
        self.transforms.append(np.column_stack([linear, np.asarray(center, float)]))
        self.top_radii.append(top)
        self.materials.append(material)

    def add_limb(
        self,
        start: ArrayLike,
        end: ArrayLike,
        radius: float,
        material: Material,
        taper: float = 1.0,
        rounded: bool = True,
    ) -> None:
        """Add a frustum from ``start`` to ``end``, with a sphere at its end unless not ``rounded``.

        ``radius`` is that of the start; the end's is ``taper`` times as large.
        """
        a, b = np.asarray(start, float), np.asarray(end, float)
        length = float(np.linalg.norm(b - a)) + 1e-6
        turn = rotation_to((b - a) / length)
        self.add_body(FRUSTUM, (a + b) / 2, (radius, length / 2, radius), material, turn, taper)
        if rounded:
            self.add_body(SPHERE, b, radius * taper, material)

    def bounds(self) -> tuple[Matrix, Matrix]:
        """Return the lowest and the highest coordinates of the bodies' boxes, (3,) both."""
        half_extents = [np.abs(transform[:, :3]).sum(1) for transform in self.transforms]
        low = np.min(
            [
                transform[:, 3] - r
                for transform, r in zip(self.transforms, half_extents, strict=True)
            ],
            0,
        )
        high = np.max(
            [
                transform[:, 3] + r
                for transform, r in zip(self.transforms, half_extents, strict=True)
            ],
            0,
        )
        return low, high


def rotation_to(direction: Matrix) -> Matrix:
    """Return a rotation (3, 3) that takes the y axis to the unit vector ``direction``."""
    side = np.cross(direction, [1.0, 0, 0] if abs(direction[0]) < 0.8 else [0, 0, 1.0])
    side /= np.linalg.norm(side)
    return np.column_stack([np.cross(direction, side), direction, side])


def rotation(x: float = 0.0, y: float = 0.0, z: float = 0.0) -> Matrix:
    """Return a rotation (3, 3) about x, then y, then z, in radians."""
    matrix = np.eye(3)
    for axis, angle in enumerate((x, y, z)):
        step = np.eye(3)
        i, j = [(1, 2), (2, 0), (0, 1)][axis]
        step[i, i] = step[j, j] = np.cos(angle)
        step[i, j], step[j, i] = -np.sin(angle), np.sin(angle)
        matrix = step @ matrix
    return matrix


def attach(target: Thing, other: Thing, offset: tuple[float, float, float], scale: float) -> None:
    """Add another thing, scaled and moved, to ``target``."""
    turn = rotation(y=2.4 * len(other.kinds))  # an arbitrary angle
    for kind, transform, top, material in zip(
        other.kinds, other.transforms, other.top_radii, other.materials, strict=True
    ):
        target.kinds.append(kind)
        moved = scale * turn @ transform
        moved[:, 3] += offset
        target.transforms.append(moved)
        target.top_radii.append(top)
        target.materials.append(material)
