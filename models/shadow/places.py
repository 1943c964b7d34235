"""Made scenes of ``models/train`` in one file: grounds and cut-outs for the lessons.

python models/shadow/places.py places.npz
"""

from __future__ import annotations

import sys
from pathlib import Path

import click
import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "train"))
import scenes

SIDE = 176  # px of a scene
BATCH = 8


@click.command(help=__doc__)
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--count", default=480, show_default=True)
def main(out: Path, count: int) -> None:
    torch.set_num_threads(1)
    made = [scenes.make(10_000 + n, BATCH, SIDE) for n in range(count // BATCH)]
    images = torch.cat([m.images for m in made]).permute(0, 2, 3, 1).round().byte().numpy()
    labels = torch.cat([m.whole for m in made]).numpy()
    np.savez_compressed(out, images=images, labels=labels)


if __name__ == "__main__":
    main()
