"""Train the network that finds shadows; run it again to go on where it stopped.

    python models/shadow/render.py renders --count 500      # needs bpy, an hour on one core
    python models/shadow/places.py places.npz
    python models/shadow/learn.py renders places.npz --out run --steps 6000

The weights for the package are ``run/shadow.safetensors``. One thread, fixed seeds.
"""

from __future__ import annotations

import time
from pathlib import Path

import click
import cv2
import numpy as np
import torch
from casts import Lesson, Source, lesson, source
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional
from unet import Network, folded

BATCH = 16
RATE = 2.5e-3
BLOCK = 250  # steps that share their lessons, and from checkpoint to checkpoint
LESSONS = 1000  # of a block: to make one takes as long as to learn from it thrice
KEPT = 0.998  # of the mean weights, a step


@click.command(help=__doc__)
@click.argument("renders", type=click.Path(exists=True, path_type=Path))
@click.argument("places", type=click.Path(exists=True, path_type=Path))
@click.option("--out", default="run", type=click.Path(path_type=Path), show_default=True)
@click.option("--steps", default=6000, show_default=True)
def main(renders: Path, places: Path, out: Path, steps: int) -> None:
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    torch.manual_seed(0)
    out.mkdir(parents=True, exist_ok=True)
    train(source(renders, places), out, steps, steps)


def train(source: Source, out: Path, steps: int, stop: int) -> None:
    """The steps up to ``stop`` of a run of ``steps``, a multiple of ``BLOCK``."""
    network, mean = Network().to(memory_format=torch.channels_last), Network()
    mean.load_state_dict(network.state_dict())
    optimizer = torch.optim.AdamW(network.parameters(), RATE, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, steps, pct_start=0.1)
    parts = {"network": network, "mean": mean, "optimizer": optimizer, "schedule": schedule}
    first = resumed(out / "checkpoint.pt", parts)
    for number in range(first // BLOCK, stop // BLOCK):
        start, losses = time.time(), []
        lessons = block(source, number)
        for step in range(number * BLOCK, (number + 1) * BLOCK):
            loss = asked(network, drawn(lessons, np.random.default_rng(step)))
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            follow(mean, network, min(KEPT, step / (step + 20)))
            losses.append(loss.item())
        keep(out, step + 1, parts)
        click.echo(f"{step + 1} loss {np.mean(losses):.4f} {time.time() - start:.0f} s")


def block(source: Source, number: int) -> list[Lesson]:
    """The lessons of a block of steps, at half precision."""
    made = []
    for i in range(LESSONS):
        one = lesson(source, np.random.default_rng((number, i)))
        planes, shadow, asked = (a.astype(np.float16) for a in (one.planes, one.shadow, one.asked))
        made.append(Lesson(planes, shadow, asked, one.cast))
    return made


def drawn(lessons: list[Lesson], dice: np.random.Generator) -> list[Lesson]:
    """Some of them, of other contrast, every second one mirrored."""
    made = []
    for one in (lessons[dice.integers(len(lessons))] for _ in range(BATCH)):
        planes, shadow, asked = (a.astype(np.float32) for a in (one.planes, one.shadow, one.asked))
        planes[[0, 3, 4]] *= np.float32(dice.uniform(0.8, 1.2))
        planes[1:3] *= np.float32(dice.uniform(0.6, 1.3))
        if dice.random() < 0.5:
            planes, shadow, asked = (np.flip(a, -1).copy() for a in (planes, shadow, asked))
            planes[7] *= -1
        made.append(Lesson(planes, shadow, asked, one.cast))
    return made


def asked(network: Network, lessons: list[Lesson]) -> Tensor:
    """Four times the cross entropy of the pixels, one less their Dice coefficient, and a little
    of the cross entropy of there being a shadow.
    """
    planes, shadow, weight = (
        torch.from_numpy(np.stack([getattr(one, name) for one in lessons]))
        for name in ("planes", "shadow", "asked")
    )
    cast = torch.tensor([one.cast for one in lessons])
    with torch.autocast("cpu", torch.bfloat16):
        logits, there = network(planes.contiguous(memory_format=torch.channels_last))
    logits, there = logits.float(), there.float()
    cross = functional.binary_cross_entropy_with_logits(logits, shadow, reduction="none")
    cross = (cross * weight).sum((1, 2)) / weight.sum((1, 2)).clamp(min=1)
    likely = logits.sigmoid() * weight
    both, either = (likely * shadow).sum((1, 2)), (likely + shadow).sum((1, 2))
    dice = (1 - (2 * both + 20) / (either + 20)) * (shadow.sum((1, 2)) > 10)
    known = ~cast.isnan()
    sure = functional.binary_cross_entropy_with_logits(there[known], cast[known])
    return 4 * cross.mean() + dice.mean() + 0.5 * sure


@torch.no_grad()
def follow(mean: Network, network: Network, kept: float) -> None:
    for old, new in zip(mean.state_dict().values(), network.state_dict().values(), strict=True):
        old.copy_(torch.lerp(new, old, kept) if old.is_floating_point() else new)


def resumed(path: Path, parts: dict[str, object]) -> int:
    """The step to go on with."""
    if not path.exists():
        return 0
    kept = torch.load(path, weights_only=True)
    for name, part in parts.items():
        part.load_state_dict(kept[name])
    return int(kept["step"])


def keep(out: Path, step: int, parts: dict[str, object]) -> None:
    states = {name: part.state_dict() for name, part in parts.items()}
    torch.save({"step": step, **states}, out / "checkpoint.part")
    (out / "checkpoint.part").replace(out / "checkpoint.pt")
    save_file(folded(parts["mean"]), out / "shadow.part")
    (out / "shadow.part").replace(out / "shadow.safetensors")


if __name__ == "__main__":
    main()
