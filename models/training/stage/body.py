"""A thing put together from spheres, cubes and frustums.

Its own space: y is up, it stands on y = 0, and it is about 1 large. ``put`` places a body,
``limb`` one between two points. Bodies are numbered by the part that they belong to.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.training.stage.looks import Look

SPHERE, CUBE, FRUSTUM = range(3)
Matrix = NDArray[np.float64]


@dataclass
class Thing:
    """Per body: ``kinds``, ``lay`` (3, 4) from its unit space to the thing's, ``tops``, ``looks``,
    ``parts``. ``shared``: patterns go on from body to body, as a fur's do.
    """

    kinds: list[int] = field(default_factory=list)
    lays: list[Matrix] = field(default_factory=list)
    tops: list[float] = field(default_factory=list)
    looks: list[Look] = field(default_factory=list)
    parts: list[int] = field(default_factory=list)
    shared: bool = False
    part: int = 0

    def next_part(self) -> None:
        self.part += 1

    def put(
        self,
        kind: int,
        at: ArrayLike,
        half: ArrayLike,
        look: Look,
        turn: Matrix | None = None,
        top: float = 1.0,
    ) -> None:
        """A body of the half sizes ``half`` (3,), its middle at ``at`` (3,)."""
        size = np.diag(np.broadcast_to(np.asarray(half, float), 3))
        lay = (np.eye(3) if turn is None else turn) @ size
        self.kinds.append(kind)
        self.lays.append(np.column_stack([lay, np.asarray(at, float)]))
        self.tops.append(top)
        self.looks.append(look)
        self.parts.append(self.part)

    def limb(
        self, one: ArrayLike, other: ArrayLike, wide: float, look: Look, thin: float = 1.0,
        round_: bool = True,
    ) -> None:  # fmt: skip
        """From one point to another, ``wide`` at the first, ``thin`` times that at the other."""
        a, b = np.asarray(one, float), np.asarray(other, float)
        length = float(np.linalg.norm(b - a)) + 1e-6
        turn = along((b - a) / length)
        self.put(FRUSTUM, (a + b) / 2, (wide, length / 2, wide), look, turn, thin)
        if round_:
            self.put(SPHERE, b, wide * thin, look)

    def size(self) -> tuple[Matrix, Matrix]:
        """Its lowest and highest coordinates, (3,) both, of the bodies' boxes."""
        reach = [np.abs(lay[:, :3]).sum(1) for lay in self.lays]
        low = np.min([lay[:, 3] - r for lay, r in zip(self.lays, reach, strict=True)], 0)
        high = np.max([lay[:, 3] + r for lay, r in zip(self.lays, reach, strict=True)], 0)
        return low, high


def along(way: Matrix) -> Matrix:
    """A turn (3, 3) that takes y to the unit vector ``way``."""
    aside = np.cross(way, [1.0, 0, 0] if abs(way[0]) < 0.8 else [0, 0, 1.0])
    aside /= np.linalg.norm(aside)
    return np.column_stack([np.cross(way, aside), way, aside])


def turned(x: float = 0.0, y: float = 0.0, z: float = 0.0) -> Matrix:
    """Turned about x, then y, then z, radians."""
    made = np.eye(3)
    for axis, angle in enumerate((x, y, z)):
        turn = np.eye(3)
        i, j = [(1, 2), (2, 0), (0, 1)][axis]
        turn[i, i] = turn[j, j] = np.cos(angle)
        turn[i, j], turn[j, i] = -np.sin(angle), np.sin(angle)
        made = turn @ made
    return made


def add(t: Thing, other: Thing, at: tuple[float, float, float], scale: float) -> None:
    """Another thing, as further parts of this one."""
    turn = turned(y=2.4 * len(other.kinds))  # some angle
    for kind, lay, top, how, part in zip(
        other.kinds, other.lays, other.tops, other.looks, other.parts, strict=True
    ):
        t.kinds.append(kind)
        moved = scale * turn @ lay
        moved[:, 3] += at
        t.lays.append(moved)
        t.tops.append(top)
        t.looks.append(how)
        t.parts.append(t.part + part)
    t.part += other.part
