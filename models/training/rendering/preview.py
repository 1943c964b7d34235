"""Draw rendered scenes with their labels into one picture, and print the time they take.

python -m models.training.rendering.preview sheet.png
"""

from __future__ import annotations

import time
from pathlib import Path

import click
import cv2
import numpy as np
from numpy.typing import NDArray

from models.training.rendering.description import describe
from models.training.rendering.renderer import RenderedScenes, compile_kernels, render


def sheet(scenes: RenderedScenes, columns: int = 4) -> NDArray[np.uint8]:
    """Draw each scene above its clean plate, things in colours: (h, w, 3) uint8 BGR.

    The number of scenes must be below ``columns`` or a multiple of it.
    """
    palette = np.random.default_rng(0).integers(40, 256, (256, 3), dtype=np.uint8)
    palette[0] = 0
    tiles = []
    for i in range(len(scenes.photo)):
        pictures = [scenes.photo[i]] if scenes.clean is None else [scenes.photo[i], scenes.clean[i]]
        pixels = [
            (picture * scenes.inside[i] * 255).byte().permute(1, 2, 0).cpu().numpy()[..., ::-1]
            for picture in pictures
        ]
        tiles.append(np.vstack([*pixels, palette[scenes.thing[i].cpu().numpy()]]))
    rows = [np.hstack(tiles[i : i + columns]) for i in range(0, len(tiles), columns)]
    return np.vstack(rows)


@click.command(help=__doc__)
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--side", default=240, show_default=True)
@click.option("--count", default=8, show_default=True)
@click.option("--seed", default=0, show_default=True)
@click.option("--device", default="cpu", show_default=True)
@click.option(
    "--gone", "clean_plate", is_flag=True, help="Add each scene without one of its things."
)
def main(path: Path, side: int, count: int, seed: int, device: str, clean_plate: bool) -> None:
    rng = np.random.default_rng(seed)
    compile_kernels()
    start = time.perf_counter()
    descriptions = [describe(rng, clean_plate) for _ in range(count)]
    description_time = time.perf_counter() - start
    scenes = render(descriptions, side, device, clean_plate, seed)
    total = float(scenes.photo.mean())  # waits for the device
    wall = time.perf_counter() - start
    cv2.imwrite(str(path), sheet(scenes))
    click.echo(
        f"{description_time / count:.3f} s to describe one, {wall / count:.2f} s in all; "
        f"mean {total:.2f}"
    )


if __name__ == "__main__":
    main()
