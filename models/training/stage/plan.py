"""What a scene holds: things on the ground, walls, scenery, light and a camera; plain numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.training.stage import things
from models.training.stage.body import CUBE, FRUSTUM, Thing, turned
from models.training.stage.looks import Dice, Look, colour, ground, look, near, wall
from models.training.stage.rays import BODIES, SLOTS
from models.training.stage.textures import LOOK

Array = NDArray[np.float32]
MOST = 40  # things; parts are numbered too, and there are fewer than 256


@dataclass(frozen=True, eq=False)
class Description:
    """A scene. Of its bodies, K = BODIES of them in the order of ``rays``:

    ``back`` (K, 3, 4) from the world to their own space, ``top`` (K,), ``look`` (K, LOOK),
    ``grain`` (K, 3, 4) from the world to texture space, ``thing`` and ``part`` (K,) numbers, 0 for
    what is none. ``light`` holds the numbers named in ``LIGHT``. ``eye`` (3,), ``turn`` (3, 3)
    from the camera to the world (it looks along -z), ``zoom``: the frame's long side is 1 / zoom
    of the distance. ``shape`` (2,): height and width of the photo, the longer is 1. ``gone`` is
    the thing that the scene is also made without.
    """

    back: Array
    top: Array
    look: Array
    grain: Array
    thing: NDArray[np.uint8]
    part: NDArray[np.uint8]
    eye: Array
    turn: Array
    zoom: float
    shape: tuple[float, float]
    light: Array
    gone: int


# Sun's direction, colour and width; the sky's colours above and at the horizon; how cloudy; light
# from below; fog's reach; where it is sharp, how fast it is not elsewhere; crooked edges: px, px.
LIGHT = {
    "sun": 3, "sunlight": 3, "wide": 1, "above": 3, "horizon": 3, "clouds": 1, "below": 3, "fog": 1,
    "focus": 1, "blur": 1, "rough": 1, "rough_scale": 1, "exposure": 1, "curve": 1,
}  # fmt: skip


class _Rows:
    """Bodies, as long as there is room."""

    def __init__(self) -> None:
        self.used = [0, 0, 0]
        self.first = np.concatenate([[0], np.cumsum(SLOTS)])
        self.back = np.zeros((BODIES, 3, 4), np.float32)
        self.back[:, :, 3] = 10.0  # nowhere
        self.top = np.ones(BODIES, np.float32)
        self.look = np.zeros((BODIES, LOOK), np.float32)
        self.grain = np.zeros((BODIES, 3, 4), np.float32)
        self.thing = np.zeros(BODIES, np.uint8)
        self.part = np.zeros(BODIES, np.uint8)
        self.things = self.parts = 0

    def add(self, thing: Thing, place: NDArray[np.float64], dice: Dice, counts: bool = True) -> int:
        """The thing at ``place`` (3, 4), from its space to the world; its number, or 0."""
        need = np.bincount(thing.kinds, minlength=3)
        parts = sorted(set(thing.parts))
        if any(u + n > s for u, n, s in zip(self.used, need, SLOTS, strict=True)):
            return 0
        if counts and (self.things >= MOST or self.parts + len(parts) > 250):
            return 0
        self.things += counts
        shared = turned(*dice.uniform(-3, 3, 3)) if thing.shared else None
        for i in range(len(thing.kinds)):
            self._body(thing, i, place, shared, parts, counts)
        self.parts += len(parts) * counts
        return self.things if counts else 0

    def _body(
        self, t: Thing, i: int, place: NDArray[np.float64], shared: NDArray[np.float64] | None,
        parts: list[int], counts: bool,
    ) -> None:  # fmt: skip
        row = self.first[t.kinds[i]] + self.used[t.kinds[i]]
        self.used[t.kinds[i]] += 1
        lay = t.lays[i]
        self.back[row] = _inverse(_after(place, lay))
        self.top[row], self.look[row] = t.tops[i], t.looks[i][:-1]
        own = lay.copy()
        own[:, :3] /= np.linalg.norm(own[:, :3], axis=0) + 1e-9
        to_own = np.eye(3, 4) if shared is not None else _inverse(own)
        pattern = t.looks[i][-1] * (shared if shared is not None else np.eye(3))
        self.grain[row] = _after(
            np.column_stack([pattern, np.zeros(3)]), _after(to_own, _inverse(place))
        )
        if counts:
            self.thing[row], self.part[row] = self.things, self.parts + 1 + parts.index(t.parts[i])

    def flat(
        self, kind: int, at: NDArray[np.float64], half: NDArray[np.float64], look_: Look,
        turn: NDArray[np.float64], counts: bool = False, dice: Dice | None = None,
    ) -> int:  # fmt: skip
        """A floor, wall or slab."""
        t = Thing()
        t.put(kind, (0, 0, 0), half, look_)
        return self.add(t, np.column_stack([turn, at]), dice or np.random.default_rng(0), counts)


def _after(outer: NDArray[np.floating], inner: NDArray[np.floating]) -> NDArray[np.float64]:
    """First ``inner``, then ``outer``, (3, 4) both."""
    made = outer[:, :3] @ inner
    made[:, 3] += outer[:, 3]
    return np.asarray(made, np.float64)


def _inverse(lay: NDArray[np.floating]) -> NDArray[np.float64]:
    turn = np.linalg.inv(lay[:, :3])
    return np.column_stack([turn, -turn @ lay[:, 3]])


def describe(dice: Dice, gone: bool = False) -> Description:
    """Some scene. With ``gone`` the first thing is seldom in the air, and may be taken away."""
    rows = _Rows()
    size = 2 ** dice.uniform(-1.5, 0.7)
    raised = dice.random() < 0.25
    floor = dice.uniform(0.4, 1.2) * (1 + size) if raised else 0.0
    main, centers = _things(dice, rows, size, gone)
    if raised:
        wide = (
            np.array([dice.uniform(0.8, 2.5), dice.uniform(0.02, 0.15), dice.uniform(0.6, 1.5)])
            * size
        )
        kind, top = (
            int(dice.choice([CUBE, CUBE, FRUSTUM])),
            look(dice, size=2 ** dice.uniform(0, 3)),
        )
        turn = turned(y=dice.uniform(-0.6, 0.6))
        rows.flat(kind, np.array([0, -wide[1], 0]), wide, top, turn, dice.random() < 0.7, dice)
    _surroundings(dice, rows, size, floor)
    focus = centers[0]
    eye, turn, zoom, shape, far = _camera(dice, focus, main, floor)
    return Description(
        rows.back, rows.top, rows.look, rows.grain, rows.thing, rows.part, eye, turn, zoom, shape,
        _light(dice, turn, far), 1,
    )  # fmt: skip


def _things(
    dice: Dice, rows: _Rows, size: float, gone: bool
) -> tuple[float, list[NDArray[np.float64]]]:
    """How large the first is, and where things are; the first is what the camera looks at."""
    count = 1 + int(dice.integers(0, 7) * (dice.random() < 0.8))
    crowd, placed = dice.uniform(0.6, 2.2), list[tuple[float, float, float]]()
    centers, largest = [], 0.0
    many = things.thing(dice) if dice.random() < 0.15 else None  # several of a kind
    for number in range(count):
        t = many or things.thing(dice)
        low, high = t.size()
        scale = size * dice.uniform(0.5, 1.3) / max(0.2, float((high - low).max()))
        reach = 0.5 * scale * float(np.hypot(high[0] - low[0], high[2] - low[2]))
        for _ in range(6):
            x, z = (0.0, 0.0) if number == 0 else dice.normal(0, crowd * size, 2)
            if all(np.hypot(x - a, z - b) > 0.8 * max(reach, r) for a, b, r in placed):
                break
        else:
            continue
        air = 0.0
        if dice.random() < (0.03 if gone and number == 0 else 0.09):
            air = size * dice.uniform(0.2, 2.5)
        tilt = turned(*(dice.uniform(-0.7, 0.7, 3) if air else np.zeros(3)))
        if not air and dice.random() < 0.06:
            tilt = turned(z=dice.choice([-1.5, 1.5]))  # it lies
            low = np.array([0, -0.5 * (high[0] - low[0]), 0])
        place = np.column_stack(
            [scale * tilt @ turned(y=dice.uniform(-3.15, 3.15)), [x, air - scale * low[1], z]]
        )
        if not rows.add(t, place, dice):
            continue
        placed.append((x, z, reach))
        middle = _after(place, np.column_stack([np.eye(3), (low + high) / 2]))[:, 3]
        centers.append(middle)
        if number == 0:
            largest = scale * float(np.linalg.norm(high - low)) * 0.75
    return largest, centers


def _surroundings(dice: Dice, rows: _Rows, size: float, floor: float) -> None:
    level = np.array([0, -floor, 0])
    rows.flat(
        CUBE,
        level + [0, -1, 0],
        np.array([80.0, 1, 80]),
        _laid(ground(dice)),
        turned(y=dice.uniform(-1.6, 1.6)),
    )
    for n in range(int(dice.integers(0, 4)) if floor == 0 else 0):  # rugs, roads, puddles, stains
        at = np.array([dice.normal(0, 2 * size), -0.001 * n, dice.normal(0, 2 * size)])
        half = np.array(
            [size * 2 ** dice.uniform(-1, 3), 0.003 * size, size * 2 ** dice.uniform(-1, 1)]
        )
        rows.flat(
            int(dice.choice([CUBE, FRUSTUM])),
            at,
            half,
            _laid(ground(dice)),
            turned(y=dice.uniform(-3, 3)),
        )
    if dice.random() < 0.45:
        away = size * 2 ** dice.uniform(-0.5, 2)
        yaw = dice.normal(0, 0.35)
        turn = turned(y=yaw)
        middle = level + turn @ [0, 0, -away - 0.05]
        rows.flat(CUBE, middle, np.array([30, 20, 0.05]), wall(dice), turn)
        if dice.random() < 0.3:
            side = dice.choice([-1, 1])
            rows.flat(
                CUBE,
                level + turn @ [side * away * 2 ** dice.uniform(0, 1.5), 0, 0],
                np.array([0.05, 20, 30]),
                wall(dice),
                turn,
            )
        for _ in range(int(dice.integers(0, 5))):  # pictures, windows, doors, shelves
            at = turn @ [dice.normal(0, 1.5 * size), dice.uniform(0, 2) * size, -away + 0.02]
            half = np.array(
                [
                    size * 2 ** dice.uniform(-3, 0),
                    size * 2 ** dice.uniform(-3, 0),
                    0.03 * size + 0.1 * size * (dice.random() < 0.2),
                ]
            )
            rows.flat(CUBE, at + level, half, look(dice), turn, dice.random() < 0.6, dice)
    for _ in range(int(dice.integers(0, 9))):
        t = things.scenery(dice)
        low, high = t.size()
        far = size * 2 ** dice.uniform(1, 4.5)
        scale = size * 2 ** dice.uniform(-0.5, 2.5) / float((high - low).max())
        at = level + [dice.uniform(-1, 1) * (2 * size + far), -scale * low[1] * 0.9, -far]
        rows.add(
            t,
            np.column_stack([scale * turned(y=dice.uniform(-3, 3)), at]),
            dice,
            dice.random() < 0.5,
        )


def _laid(look_: Look) -> Look:
    """A floor's look: patterns of about the size of things."""
    made = look_.copy()
    made[-1] = min(made[-1], 6.0)
    return made


def _camera(
    dice: Dice, focus: NDArray[np.float64], large: float, floor: float
) -> tuple[Array, Array, float, tuple[float, float], float]:
    zoom = 0.5 / np.tan(np.radians(dice.uniform(12, 35)))
    fills = float(np.clip(0.55 * np.exp(0.55 * dice.standard_normal()), 0.12, 1.3))
    far = max(large, 0.05) * zoom / fills
    kind = dice.random()
    rise = np.radians(
        dice.uniform(2, 25)
        if kind < 0.6
        else dice.uniform(25, 70)
        if kind < 0.92
        else dice.uniform(-12, 2)
    )
    short = float(
        np.clip(
            dice.choice([0.562, 0.66, 0.66, 0.75, 0.75, 1.0]) + 0.04 * dice.standard_normal(),
            0.45,
            1,
        )
    )
    shape = (short, 1.0) if dice.random() < 0.7 else (1.0, short)
    eye = focus + far * np.array([0, np.sin(rise), np.cos(rise)])
    eye[1] = max(eye[1], -floor + 0.06 * large)
    shift = (
        dice.normal(0, 0.22, 2).clip(-0.45, 0.45)
        * far
        / zoom
        * (1.1 - min(fills, 1))
        * [shape[1], shape[0]]
    )
    ahead = focus + [shift[0], shift[1], 0] - eye
    ahead /= np.linalg.norm(ahead)
    right = np.cross(ahead, [0, 1, 0])
    right /= np.linalg.norm(right)
    turn = np.column_stack([right, np.cross(right, ahead), -ahead]) @ turned(
        z=0.05 * dice.standard_normal()
    )
    return (
        eye.astype(np.float32),
        turn.astype(np.float32),
        float(zoom),
        shape,
        float(np.linalg.norm(focus - eye)),
    )


def _light(dice: Dice, turn: Array, far: float) -> Array:
    high = np.radians(dice.uniform(12, 85))
    round_ = dice.uniform(-np.pi, np.pi)
    sun = np.array([np.cos(high) * np.sin(round_), np.sin(high), np.cos(high) * np.cos(round_)])
    kind, warm = dice.random(), dice.uniform(0, 0.5)
    strong = 0.0 if kind < 0.15 else dice.uniform(0.3, 4)
    sunlight = strong * np.array([1, 1 - 0.5 * warm, 1 - warm])
    blue = dice.uniform(0, 0.6)
    above = dice.uniform(0.5, 1.1) * np.array([1 - blue, 1 - 0.4 * blue, 1.0])
    horizon = near(dice, np.full(3, 0.85), 0.3) if dice.random() < 0.7 else colour(dice)
    if dice.random() < 0.15:
        above = colour(dice) + 0.05
    below = 0.35 * colour(dice, True)
    blur = dice.uniform(2, 25) if dice.random() < 0.35 else 0.0
    fog = far * 2 ** dice.uniform(1, 5) if dice.random() < 0.2 else 1e5
    rough = dice.exponential(1.0) * (dice.random() < 0.6)
    made = {
        "sun": sun, "sunlight": sunlight, "wide": dice.uniform(0.01, 0.09),
        "above": above, "horizon": horizon, "clouds": dice.uniform(0, 0.8) * (dice.random() < 0.6),
        "below": below, "fog": fog, "focus": far, "blur": blur, "rough": min(rough, 4.0),
        "rough_scale": 2 ** dice.uniform(-1, 1.5), "exposure": dice.uniform(0.45, 1.15),
        "curve": dice.uniform(0, 0.6),
    }  # fmt: skip
    return np.concatenate(
        [np.broadcast_to(np.asarray(made[k], np.float32), n) for k, n in LIGHT.items()]
    )
