"""Make scenes ahead, into a folder, for a machine without a GPU; end it when there are enough.

    python -m models.training.stage.farm scenes --seed 0 --minutes 30 &

Each file holds ``LOT`` scenes, with and without a thing; ``read`` gives them.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np
import torch
from numpy.typing import NDArray

from models.training.stage.plan import describe
from models.training.stage.stage import fast, render

LOT = 8
SIDE = 256
NAMES = ("photo", "clean", "thing", "part", "inside")
Arrays = dict[str, NDArray[np.uint8]]


def lot(dice: np.random.Generator) -> Arrays:
    """``LOT`` scenes: ``photo`` and ``clean`` (LOT, 3, SIDE, SIDE), the rest (LOT, SIDE, SIDE).

    What is out of focus is no thing.
    """
    made: dict[str, list[NDArray[np.uint8]]] = {name: [] for name in NAMES}
    for _ in range(LOT):
        staged = render(
            [describe(dice, True)], SIDE, gone=True, seed=int(dice.integers(2**31)), fine=1
        )
        sharp = staged.blurred < 2
        made["photo"].append((staged.photo[0] * 255).round().byte().numpy())
        made["clean"].append((staged.clean[0] * 255).round().byte().numpy())  # type: ignore[index]
        made["thing"].append((staged.thing * sharp)[0].numpy())
        made["part"].append((staged.part * sharp)[0].numpy())
        made["inside"].append(staged.inside[0].byte().numpy())
    return {name: np.stack(arrays) for name, arrays in made.items()}


def read(folder: Path, known: set[str], rank: int = 0, world: int = 1) -> Iterator[Arrays]:
    """Files that are not among the ``known`` names, which they are added to: those that are for
    one of several processes.
    """
    for path in sorted(folder.glob("*.npz")):
        if path.name not in known and zlib.crc32(path.name.encode()) % world == rank:
            known.add(path.name)
            with np.load(path) as held:
                yield {name: held[name] for name in NAMES}


@click.command(help=__doc__)
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--seed", default=0, show_default=True)
@click.option("--minutes", default=30.0, show_default=True)
def main(folder: Path, seed: int, minutes: float) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    fast()
    end, number = time.monotonic() + 60 * minutes, 0
    while time.monotonic() < end:
        path = folder / f"{seed}-{number:05d}.npz"
        number += 1
        if not path.exists():
            made = lot(np.random.default_rng([seed, number]))
            with (part := path.with_suffix(".part")).open("wb") as file:
                np.savez(file, **made)
            part.rename(path)


if __name__ == "__main__":
    main()
