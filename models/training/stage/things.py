"""Things of many kinds, made anew each time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from models.training.stage.body import Thing
from models.training.stage.indoors import box, chair, container, lamp, screen, sofa, table
from models.training.stage.living import animal, bird, person, rider, statue, toy
from models.training.stage.looks import Dice
from models.training.stage.outdoors import (
    ball,
    cloud,
    construct,
    flower,
    fruit,
    heap,
    house,
    mushroom,
    sign,
    tree,
    umbrella,
)
from models.training.stage.vehicles import bicycle, boat, car, plane

MAKERS: tuple[tuple[Callable[[Dice], Thing], float], ...] = (
    (animal, 0.13), (person, 0.14), (bird, 0.05), (car, 0.06), (bicycle, 0.03), (plane, 0.025),
    (boat, 0.02), (chair, 0.03), (table, 0.025), (sofa, 0.015), (lamp, 0.015), (screen, 0.03),
    (container, 0.07), (fruit, 0.03), (ball, 0.015), (heap, 0.03), (flower, 0.03), (tree, 0.03),
    (mushroom, 0.01), (sign, 0.03), (house, 0.02), (box, 0.05), (umbrella, 0.01), (toy, 0.025),
    (statue, 0.015), (rider, 0.015), (construct, 0.12), (cloud, 0.04),
)  # fmt: skip
_CHANCES = np.cumsum([chance for _, chance in MAKERS])
SCENERY = (tree, tree, house, cloud, box, construct, sign, tree)


def thing(d: Dice) -> Thing:
    number = int(np.searchsorted(_CHANCES, d.random() * _CHANCES[-1]))
    return MAKERS[min(number, len(MAKERS) - 1)][0](d)


def scenery(d: Dice) -> Thing:
    """What stands about in the distance."""
    return SCENERY[int(d.integers(len(SCENERY)))](d)
