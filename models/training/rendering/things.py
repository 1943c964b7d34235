"""Random things of 28 kinds."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.random import Generator

from models.training.rendering.indoors import box, chair, container, lamp, screen, sofa, table
from models.training.rendering.living import animal, bird, person, rider, statue, toy
from models.training.rendering.outdoors import (
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
from models.training.rendering.thing import Thing
from models.training.rendering.vehicles import bicycle, boat, car, plane

# Functions that make a random thing of one kind, with the relative frequency of each.
MAKERS: tuple[tuple[Callable[[Generator], Thing], float], ...] = (
    (animal, 0.13), (person, 0.14), (bird, 0.05), (car, 0.06), (bicycle, 0.03), (plane, 0.025),
    (boat, 0.02), (chair, 0.03), (table, 0.025), (sofa, 0.015), (lamp, 0.015), (screen, 0.03),
    (container, 0.07), (fruit, 0.03), (ball, 0.015), (heap, 0.03), (flower, 0.03), (tree, 0.03),
    (mushroom, 0.01), (sign, 0.03), (house, 0.02), (box, 0.05), (umbrella, 0.01), (toy, 0.025),
    (statue, 0.015), (rider, 0.015), (construct, 0.12), (cloud, 0.04),
)  # fmt: skip
_CUMULATIVE = np.cumsum([weight for _, weight in MAKERS])
SCENERY = (tree, tree, house, cloud, box, construct, sign, tree)


def random_thing(rng: Generator) -> Thing:
    """Return a thing of a random kind."""
    index = int(np.searchsorted(_CUMULATIVE, rng.random() * _CUMULATIVE[-1]))
    return MAKERS[min(index, len(MAKERS) - 1)][0](rng)


def random_scenery(rng: Generator) -> Thing:
    """Return a thing for the background."""
    return SCENERY[int(rng.integers(len(SCENERY)))](rng)
