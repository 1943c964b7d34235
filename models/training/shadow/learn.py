"""Train the network that finds shadows; run it again to go on where it stopped.

    python -m models.training.shadow.learn --out run --minutes 9  # a GPU
    python -m models.training.shadow.learn --out run --minutes 60 --plan small --scenes DIR

With ``--scenes`` staged pictures are those that ``models/training/stage/farm.py`` leaves there.
The weights for the package are ``run/shadow.safetensors``.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path

import click
import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional

from models.training.shadow.lots import Lot, lot
from models.training.shadow.pool import STAGED, Pool, described
from models.training.shadow.unet import Network, folded, unfold
from models.training.stage.halves import halves

RATE, WARM = 1.2e-3, 100  # the highest rate, and steps up to it
KEPT = 0.9985  # of the mean weights, a step
SAVED = 60.0  # seconds from checkpoint to checkpoint
SHOWN = 25  # steps to a line


@dataclass(frozen=True)
class Plan:
    """``batch`` lessons a step, of ``most`` staged pictures and ``flat`` flat ones of ``side`` px;
    ``first`` staged ones before the first step, and new ones at each ``every``-th: ``fresh``, or
    those that were made ahead meanwhile.
    """

    batch: int
    side: int
    most: int
    flat: int
    first: int
    fresh: int
    every: int


PLANS = {
    "full": Plan(96, 256, 12_000, 1024, 512, 16, 2),
    "small": Plan(24, 256, 6000, 128, 64, 8, 25),
    "toy": Plan(4, 64, 32, 8, 4, 1, 3),
}


@click.command(help=__doc__)
@click.option("--out", default="run", type=click.Path(path_type=Path), show_default=True)
@click.option("--minutes", default=9.0, show_default=True, help="From the first run's start.")
@click.option("--plan", "name", default="full", type=click.Choice(list(PLANS)), show_default=True)
@click.option("--workers", default=5, show_default=True, help="Processes that think of scenes.")
@click.option("--seed", default=0, show_default=True)
@click.option("--scenes", type=click.Path(exists=True, path_type=Path), help="Staged ahead.")
@click.option(
    "--start", type=click.Path(exists=True, path_type=Path), help="Weights to begin with."
)
@click.option("--pause", default=0.0, help="Leave the GPU to others so many times a step's length.")
@click.option("--sheet", default=0, help="Make no run but OUT/lessons.png, with so many lessons.")
def main(
    out: Path, minutes: float, name: str, workers: int, seed: int, scenes: Path | None,
    start: Path | None, pause: float, sheet: int,
) -> None:  # fmt: skip
    torch.manual_seed(seed)
    torch.backends.cudnn.benchmark = True
    out.mkdir(parents=True, exist_ok=True)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    run = Run(PLANS[name], out, seed, device, workers, scenes, start)
    if sheet:
        cv2.imwrite(str(out / "lessons.png"), pictured(run.lessons(sheet)))
    else:
        run.learn(60 * minutes, pause)


class Run:
    """Network, mean of its weights and optimiser, ``spent`` seconds from the start."""

    def __init__(
        self, plan: Plan, out: Path, seed: int, device: str, workers: int,
        scenes: Path | None = None, start: Path | None = None,
    ) -> None:  # fmt: skip
        self._start = time.monotonic()
        self.plan, self.out, self.device = plan, out, device
        self.step, self.before = 0, 0.0
        self.network = Network().to(device).to(memory_format=torch.channels_last)
        self.mean = Network().to(device)
        self.mean.load_state_dict(self.network.state_dict())
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), RATE, weight_decay=0.03, fused=device == "cuda"
        )
        self._resume()
        seed = seed * 1_000_003 + self.step
        self.generator = torch.Generator(device).manual_seed(seed)
        self._scenes, self._known = scenes, set[str]()
        self._ahead = None if scenes else described(seed, plan.fresh, workers)
        self.pool = Pool(plan.most, plan.flat, STAGED if scenes else plan.side, device)
        self.pool.flatten(seed, 32)
        while self.pool.filled < plan.first:
            before = self.pool.filled
            self._stage()
            if self.pool.filled == before:
                time.sleep(1)  # for the farm
        if start and not self.step:
            self._begin(start)
        click.echo(f"{self.pool.filled} pictures staged after {self.spent():.0f} s")

    def spent(self) -> float:
        return self.before + time.monotonic() - self._start

    def lessons(self, count: int) -> Lot:
        return lot(self.pool, count, self.generator)

    def learn(self, seconds: float, pause: float = 0.0) -> None:
        losses: list[Tensor] = []
        saved = self.spent()
        while self.spent() < seconds:
            start = time.monotonic()
            if self.step % self.plan.every == 0:
                self._stage()
            losses.append(self._advance(rated(self.step, self.spent() / seconds)))
            if pause:
                losses[-1].sum().item()  # waits for the device
                time.sleep(pause * (time.monotonic() - start))
            if len(losses) == SHOWN:
                self._tell(losses)
                losses = []
            if self.spent() - saved > SAVED:
                self.keep()
                saved = self.spent()
        self.keep()

    def _stage(self) -> None:
        """Newer pictures for the pool."""
        if self._ahead:
            self.pool.add(next(self._ahead))
        elif self._scenes:
            self.pool.read(self._scenes, self._known)

    def _advance(self, rate: float) -> Tensor:
        """One step; the parts of its loss, (4,)."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        parts = asked(self.network, self.lessons(self.plan.batch))
        self.optimizer.zero_grad()
        parts[0].backward()
        norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        if torch.isfinite(norm):
            self.optimizer.step()
        follow(self.mean, self.network, min(KEPT, self.step / (self.step + 20)))
        self.step += 1
        return parts.detach()

    def _tell(self, losses: list[Tensor]) -> None:
        names = ("loss", "pixels", "overlap", "whole")
        means = torch.stack(losses).mean(0).tolist()
        told = "  ".join(f"{name} {value:.4f}" for name, value in zip(names, means, strict=True))
        click.echo(f"step {self.step}  {self.spent():.0f} s  {self.pool.filled} pictures  {told}")

    def _resume(self) -> None:
        path = self.out / "checkpoint.pt"
        if path.exists():
            kept = torch.load(path, weights_only=True, map_location=self.device)
            self.step, self.before = kept.pop("step"), kept.pop("spent")
            for name, state in kept.items():
                getattr(self, name).load_state_dict(state)

    def _begin(self, path: Path) -> None:
        """Start from weights that ``keep`` left."""
        weights = {name: w.to(self.device) for name, w in load_file(path).items()}
        unfold(self.network, weights, self.lessons(64).planes)
        self.mean.load_state_dict(self.network.state_dict())

    def keep(self) -> None:
        """Checkpoint and weights for the package, whole or not at all."""
        states = {n: getattr(self, n).state_dict() for n in ("network", "mean", "optimizer")}
        torch.save({"step": self.step, "spent": self.spent(), **states}, self.out / "part")
        (self.out / "part").replace(self.out / "checkpoint.pt")
        save_file({n: w.cpu() for n, w in folded(self.mean).items()}, self.out / "part")
        (self.out / "part").replace(self.out / "shadow.safetensors")


def rated(step: int, share: float) -> float:
    """The rate at a step, when that share of the time is over: it falls to 0 as a cosine."""
    return RATE * min(1, (step + 1) / WARM) * (1 + math.cos(math.pi * min(1.0, share))) / 2


def asked(network: Network, lessons: Lot) -> Tensor:
    """Four times the cross entropy of the pixels, one less their Dice coefficient, and half the
    cross entropy of there being a shadow: together, then each.
    """
    shown = lessons.planes.contiguous(memory_format=torch.channels_last)
    with halves(lessons.planes.device.type):
        logits, there = network(shown)
    logits, there = logits.float(), there.float()
    cross = functional.binary_cross_entropy_with_logits(logits, lessons.effect, reduction="none")
    weight = lessons.asked
    pixels = ((cross * weight).sum((1, 2)) / weight.sum((1, 2)).clamp(min=1)).mean()
    likely = logits.sigmoid() * weight
    both = (likely * lessons.effect).sum((1, 2))
    either = (likely + lessons.effect).sum((1, 2))
    some = (lessons.effect.sum((1, 2)) > 15).float()
    overlap = ((1 - (2 * both + 20) / (either + 20)) * some).sum() / some.sum().clamp(min=1)
    whole = functional.binary_cross_entropy_with_logits(there, lessons.cast, reduction="none")
    whole = (whole * lessons.sure).sum() / lessons.sure.sum().clamp(min=1)
    return torch.stack([4 * pixels + overlap + 0.5 * whole, pixels, overlap, whole])


@torch.no_grad()
def follow(mean: Network, network: Network, kept: float) -> None:
    old, new = mean.state_dict(), network.state_dict()
    floats = [name for name, value in old.items() if value.is_floating_point()]
    torch._foreach_lerp_([old[n] for n in floats], [new[n] for n in floats], 1 - kept)


def pictured(lessons: Lot) -> NDArray[np.uint8]:
    """Photo, mask and truth of each, and what was not asked, (h, w, 3) BGR."""
    light, red, blue = lessons.planes[:, :3].unbind(1)
    green = light - (red + blue) / 3
    colour = torch.stack([blue + green, green, red + green], -1)
    warm = (colour - 1.2).exp().clamp(0, 1) ** (1 / 2.2)
    share, within = lessons.planes[:, 5, ..., None], lessons.planes[:, 6]
    warm = warm * within[..., None]
    marked = warm * (1 - 0.5 * share)
    marked[..., 1] += 0.5 * share[..., 0]
    truth = torch.stack([lessons.asked * 0.2, within * 0.1, lessons.effect], -1)
    rows = torch.cat([warm, marked, truth], 2)
    said = (rows.clamp(0, 1) * 255).byte().cpu().numpy()
    for one, cast, sure in zip(said, lessons.cast.tolist(), lessons.sure.tolist(), strict=True):
        cv2.putText(one, f"{cast:.0f}" if sure else "?", (4, 20), 0, 0.6, (0, 255, 255), 1)
    said = said[: len(said) // 3 * 3]
    return np.vstack([np.hstack(list(said[i : i + 3])) for i in range(0, len(said), 3)])


if __name__ == "__main__":
    main()
