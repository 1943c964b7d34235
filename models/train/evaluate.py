"""How good a trained network is on scenes it has not seen, on photos with truth, and how fast.

    python models/train/evaluate.py out/full/model.safetensors
    S2I_EVAL=FOLDER python models/train/evaluate.py out/full/model.safetensors --limit 20

Scored by benchmarks/detect.py through the detector that everybody uses. The held-out scenes are
for choosing; of the sets of photos none may choose anything. ``--beside grabcut`` scores a
detector without weights on the same.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import click
import numpy as np
import scenes
import torch
from network import SIZES, make

from segment2inpaint import detect
from segment2inpaint.masks import innermost
from segment2inpaint.types import Bits, Detector, Image, box_of

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import detect as benchmark

HELD_OUT = 10**9  # where its seeds begin; training does not come so far
CLICKS = 10  # at most, to reach 85 and 90 %
HEADER = (
    "| detector | set | photos | 1 click | 3 clicks | box | boundary F | NoC85 | NoC90 | s "
    "| s more |\n|---|---|---|---|---|---|---|---|---|---|---|"
)


def held_out(count: int, side: int, level: str) -> list[benchmark.Item]:
    """One object of each of ``count`` scenes; ``level`` is whole, part or mark."""
    found = (_item(i, side, level) for i in range(4 * count))
    return [item for item in found if item is not None][:count]


def _item(number: int, side: int, level: str) -> benchmark.Item | None:
    """The largest that leaves most of the photo to others; None if there is none."""
    made = scenes.make(HELD_OUT + number, 1, side)
    image, labels = _photo(made, getattr(made, level)[0])
    sizes = {i: int((labels == i).sum()) for i in np.unique(labels) if i}
    least = scenes.LEAST * (side / 128) ** 2
    fitting = {i: area for i, area in sizes.items() if 2 * least < area < labels.size / 3}
    if not fitting:
        return None
    bits: Bits = labels == max(fitting, key=lambda i: fitting[i])
    return benchmark.Item(f"{level} {number}", image, bits, innermost(bits), box_of(bits))


def _photo(made: scenes.Scenes, labels: torch.Tensor) -> tuple[Image, np.ndarray]:
    """Without what lies beyond it, whose colour is no whole number."""
    inside = (made.images[0] == made.images[0].round()).all(0)
    high, wide = int(inside.any(1).sum()), int(inside.any(0).sum())
    image = made.images[0, :, :high, :wide].permute(1, 2, 0).byte().numpy()
    return np.ascontiguousarray(image), labels[:high, :wide].numpy()


def rows(name: str, tool: Detector, sets: dict[str, list[benchmark.Item]]) -> Iterator[str]:
    """A line of the table for each set."""
    for label, items in sets.items():
        scores = [benchmark.run(tool, item, CLICKS) for item in items]
        yield f"| {name} {benchmark.row(label, scores, CLICKS)}"


def speed(size: str, threads: int) -> tuple[float, float]:
    """Seconds of the encoder and of a further click, the best of five; weights do not matter."""
    torch.set_num_threads(threads)
    sam = make(SIZES[size]).eval()
    pixels = torch.zeros(1, 3, SIZES[size].side, SIZES[size].side)

    def ask(embedding: torch.Tensor) -> None:
        said = torch.tensor([[[5.0, 6.0], [9.0, 2.0]]]), torch.ones(1, 2)
        sparse, dense = sam.prompt_encoder(said, None, None)
        where = sam.prompt_encoder.get_dense_pe()
        sam.mask_decoder.predict_masks(embedding, where, sparse, dense)

    with torch.inference_mode():
        embedding = sam.image_encoder(pixels)
        return (
            min(_seconds(lambda: sam.image_encoder(pixels)) for _ in range(5)),
            min(_seconds(lambda: ask(embedding)) for _ in range(5)),
        )


def _seconds(act: Callable[[], object]) -> float:
    start = time.perf_counter()
    act()
    return time.perf_counter() - start


@click.command(help=__doc__)
@click.argument("checkpoint", required=False)
@click.option("--beside", multiple=True, help="Another detector; repeatable.")
@click.option("--scenes", "count", default=40, show_default=True, help="Held-out scenes a level.")
@click.option("--side", default=512, show_default=True, help="Of the scenes, px.")
@click.option("--limit", type=int, help="Photos of each set.")
@click.option(
    "--speed", "timed", is_flag=True, help="Time the full size instead; needs no weights."
)
@click.option("--threads", default=2, show_default=True, help="For --speed.")
def main(
    checkpoint: str | None,
    beside: Sequence[str],
    count: int,
    side: int,
    limit: int | None,
    timed: bool,
    threads: int,
) -> None:
    if timed:
        encoder, further = speed("full", threads)
        click.echo(f"encoder {encoder:.3f} s, a further click {1000 * further:.0f} ms")
        return
    if not checkpoint:
        raise click.UsageError("give a CHECKPOINT, or --speed")
    sets = {f"made, {level}": held_out(count, side, level) for level in ("whole", "part", "mark")}
    if root := os.environ.get("S2I_EVAL"):
        for name in benchmark.SETS:
            sets[name] = list(benchmark.items(Path(root) / name, "all"))[:limit]
    click.echo(HEADER)
    for detector in (checkpoint, *beside):
        for line in rows(Path(detector).stem, detect.load(detector, "cpu", cache=False), sets):
            click.echo(line)


if __name__ == "__main__":
    main()
