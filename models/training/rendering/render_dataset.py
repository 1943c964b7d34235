"""Render scenes into a folder, for training on a machine without a GPU.

    python -m models.training.rendering.render_dataset scenes --seed 0 --minutes 30 &

Each file holds ``SCENES_PER_FILE`` scenes with and without a thing. Stop it at any time; with the
same seed it continues.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np
import torch
from numpy.typing import NDArray

from models.training.rendering.description import describe
from models.training.rendering.renderer import compile_kernels, render

SCENES_PER_FILE = 8
SIDE = 256  # px, of the frames
ARRAY_NAMES = ("photo", "clean", "thing")
Arrays = dict[str, NDArray[np.uint8]]


def render_batch(
    rng: np.random.Generator, count: int = SCENES_PER_FILE, side: int = SIDE
) -> Arrays:
    """Render ``count`` scenes in frames of ``side`` px; all arrays are uint8.

    ``photo`` and ``clean`` are (count, 3, side, side), ``thing`` (count, side, side).
    Defocused things are labelled background.
    """
    arrays: dict[str, list[NDArray[np.uint8]]] = {name: [] for name in ARRAY_NAMES}
    for _ in range(count):
        scenes = render(
            [describe(rng, True)],
            side,
            clean_plate=True,
            seed=int(rng.integers(2**31)),
            supersampling=1,
        )
        sharp = scenes.defocus < 2
        arrays["photo"].append((scenes.photo[0] * 255).round().byte().numpy())
        arrays["clean"].append((scenes.clean[0] * 255).round().byte().numpy())  # type: ignore[index]
        arrays["thing"].append((scenes.thing * sharp)[0].numpy())
    return {name: np.stack(stack) for name, stack in arrays.items()}


def read_rendered(folder: Path, seen_files: set[str]) -> Iterator[Arrays]:
    """Yield the arrays of files that are not in ``seen_files``, and add their names to it."""
    for path in sorted(folder.glob("*.npz")):
        if path.name not in seen_files:
            seen_files.add(path.name)
            with np.load(path) as archive:
                yield {name: archive[name] for name in ARRAY_NAMES}


@click.command(help=__doc__)
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--seed", default=0, show_default=True)
@click.option("--minutes", default=30.0, show_default=True)
def main(folder: Path, seed: int, minutes: float) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    compile_kernels()
    end, number = time.monotonic() + 60 * minutes, 0
    while time.monotonic() < end:
        path = folder / f"{seed}-{number:05d}.npz"
        number += 1
        if not path.exists():
            arrays = render_batch(np.random.default_rng([seed, number]))
            with (part := path.with_suffix(".part")).open("wb") as file:
                np.savez(file, **arrays)  # type: ignore[arg-type]
            part.rename(path)


if __name__ == "__main__":
    main()
