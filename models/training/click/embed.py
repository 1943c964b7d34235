"""Draw training windows, encode them, and write their embeddings and labels.

    python -m models.training.click.embed --photos DIR --weights DIST --out out/windows

The encoder does not learn, so that each window is encoded once. OUT gets a file for each window,
in one folder for training and one for validation, which has photos of its own. An interrupted
run goes on where it stopped.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
import numpy as np
import torch
from torch import Tensor

from models.training.click.labelled_photos import LabelledPhoto, read_photos
from models.training.click.published import read_encoder
from models.training.click.tiny_vit import Encoder
from models.training.click.windows import Window, draw_window

VALIDATION_STEP = 10  # each tenth photo is for validation
VALIDATION_SHARE = 0.1  # validation windows per training window
REPORT_STEP = 50  # windows


def embed(encoder: Encoder, window: Window) -> Tensor:
    """Return the embedding (256, h / 16, w / 16) of a window."""
    device = encoder.mean.device
    picture = torch.from_numpy(window.image).to(device).permute(2, 0, 1)[None].float()
    inside = torch.zeros(1, 1, *window.image.shape[:2], device=device)
    inside[..., : window.size[0], : window.size[1]] = 1
    with torch.inference_mode():
        embedding: Tensor = encoder(picture, inside)[0]
    return embedding


def write_windows(
    encoder: Encoder, photos: Sequence[LabelledPhoto], folder: Path, count: int, seed: int
) -> None:
    """Write up to ``count`` windows; those that are there are left."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        path = folder / f"{number:05}.npz"
        if path.exists():
            continue
        window = draw_window(photos, np.random.default_rng([seed, number]))
        if window is not None:
            _write(path, window, embed(encoder, window))
        if number % REPORT_STEP == 0:
            click.echo(f"{folder.name}: {number} of {count}")


def _write(path: Path, window: Window, embedding: Tensor) -> None:
    """Write a window atomically."""
    values = embedding.cpu().numpy().astype(np.float16)
    temporary = path.with_suffix(".part")
    with temporary.open("wb") as file:
        np.savez(file, embedding=values, labels=window.labels, size=window.size)
    temporary.replace(path)


@click.command(help=__doc__)
@click.option("--photos", required=True, multiple=True,
              type=click.Path(path_type=Path, exists=True),
              help="Folder of labelled photos; may be given more than once.")  # fmt: skip
@click.option("--weights", required=True, type=click.Path(path_type=Path, exists=True),
              help="Folder of the published encoder.onnx.")  # fmt: skip
@click.option("--out", required=True, type=click.Path(path_type=Path))
@click.option("--count", default=4000, show_default=True, help="Windows for training.")
def main(photos: tuple[Path, ...], weights: Path, out: Path, count: int) -> None:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    encoder = read_encoder(weights / "encoder.onnx").to(device, memory_format=torch.channels_last)
    labelled = [photo for folder in photos for photo in read_photos(folder)]
    held_out = labelled[::VALIDATION_STEP]
    kept = [photo for i, photo in enumerate(labelled) if i % VALIDATION_STEP]
    click.echo(f"{len(kept)} photos for training, {len(held_out)} for validation")
    write_windows(encoder, held_out, out / "validation", round(VALIDATION_SHARE * count), 1)
    write_windows(encoder, kept, out / "training", count, 0)


if __name__ == "__main__":
    main()
