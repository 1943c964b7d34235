"""Train the click network on made scenes, from nothing, for a given time.

On a GPU, on a CPU, and with a process for each core::

    python -m models.training.click.teach --out out/click --minutes 9
    python -m models.training.click.teach --out out/click --plan small --minutes 60 --scenes DIR
    torchrun --nproc-per-node 2 -m models.training.click.teach ...

Scenes are made as it goes (``stage`` and ``scenes``), or read from DIR, where ``stage/farm.py``
makes them; with ``--pictures`` cutouts are laid over them and over photos.
The learning rate falls to zero with the time. OUT gets checkpoint.pt every minute, from which a run
that was killed goes on, log.csv, and at the end click.pt: the mean of the last weights, for
``export.py``.
"""

from __future__ import annotations

import csv
import math
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import click
import numpy as np
import torch
from torch import Tensor, distributed
from torch.nn import functional
from torch.utils.data import DataLoader, IterableDataset

from models.training.click import cutouts, questions
from models.training.click.clicknet import SIZES, ClickNetwork
from models.training.click.questions import Lessons, Pool
from models.training.scenes import scenes as leaves
from models.training.stage import farm, stage
from models.training.stage.halves import halves
from models.training.stage.plan import Description, describe

LEAVES = 0.2  # of the scenes are flat ones
FLAT = 0.03  # so many, for each that is read: on a CPU they take long
LAID = 0.55  # of the first questions are about cutouts, where there are any
KEPT = 1500  # of such scenes
AGAIN = 0.45  # of a batch are questions that go on
MOST = 6  # rounds
CLIP = 1.0
SAVE = 60.0  # seconds between checkpoints


@dataclass(frozen=True)
class Plan:
    """``batch`` questions a step, ``fresh`` scenes of ``side`` px a step for a pool of ``pool``,
    and ``laid`` of cutouts.
    """

    size: str
    batch: int
    side: int
    fresh: int
    pool: int
    rate: float
    laid: int = 4
    decay: float = 0.03
    warmup: int = 150


PLANS = {
    "full": Plan("full", 320, 320, 24, 4096, 1e-3, 40),
    "small": Plan("small", 32, farm.SIDE, 8, 12000, 1e-3),
}
KEEP = 0.9985  # of the mean weights, a step


class _Descriptions(IterableDataset):  # type: ignore[type-arg]
    """Lists of descriptions, made by processes of their own."""

    def __init__(self, count: int, seed: int) -> None:
        self.count, self.seed = count, seed

    def __iter__(self) -> Iterator[list[Description]]:
        info = torch.utils.data.get_worker_info()
        dice = np.random.default_rng([self.seed, info.id if info else 0])
        while True:
            yield [describe(dice) for _ in range(self.count)]


class Training:
    """Network, optimiser and pool, at some step; it ends after ``seconds``."""

    def __init__(
        self, plan: Plan, device: torch.device, seconds: float, scenes: Path | None = None,
        workers: int = 0, seed: int = 0, store: cutouts.Store | None = None,
    ) -> None:  # fmt: skip
        self.plan, self.device, self.seconds, self.scenes = plan, device, seconds, scenes
        self.rank, self.world = 0, 1
        if distributed.is_initialized():
            self.rank, self.world = distributed.get_rank(), distributed.get_world_size()
        torch.manual_seed(seed)
        seed += 1000 * self.rank
        self.dice = torch.Generator(device).manual_seed(seed)
        self.store, self.chance = store, np.random.default_rng(seed)
        size = SIZES[plan.size]
        self.side = size.side
        self.network = ClickNetwork(size).to(device, memory_format=torch.channels_last)
        self.mean = ClickNetwork(size).to(device, memory_format=torch.channels_last)
        self.mean.load_state_dict(self.network.state_dict())
        weights = [p for p in self.network.parameters() if p.ndim > 1]
        rest = [p for p in self.network.parameters() if p.ndim <= 1]
        groups = [
            {"params": weights, "weight_decay": plan.decay},
            {"params": rest, "weight_decay": 0},
        ]
        self.optimiser = torch.optim.AdamW(groups, lr=plan.rate, betas=(0.9, 0.98), fused=True)
        self.pool = Pool.empty(plan.pool, plan.side, device)
        self.laid = Pool.empty(KEPT if store else 1, plan.side, device)
        self.queue: Lessons | None = None
        self.step, self.spent, self.made = 0, 0.0, 0
        self.start = time.monotonic()
        self.known: set[str] = set()
        self.run = self.network
        if scenes is None:
            source = _Descriptions(plan.fresh, seed + int(time.time()) % 1000003)
            ahead = 4 if workers else None
            self.source = iter(
                DataLoader(source, batch_size=None, num_workers=workers, prefetch_factor=ahead)
            )

    def renew(self) -> None:
        """Fresh scenes into the pools."""
        self._renew()
        if self.store:
            self._lay(self.store)

    def _lay(self, store: cutouts.Store) -> None:
        """Cutouts over some scenes of the pool."""
        rows = torch.from_numpy(self.chance.integers(self.pool.filled, size=self.plan.laid))
        scenes = [
            cutouts.compose(store, cutouts.Scene(photo, thing, part), self.chance)
            for photo, thing, part in zip(
                self.pool.photo[rows].movedim(1, 3).float().cpu().numpy(),
                self.pool.thing[rows].cpu().numpy(),
                self.pool.part[rows].cpu().numpy(),
                strict=True,
            )
        ]
        photo, thing, part = (
            torch.from_numpy(np.stack([getattr(s, name) for s in scenes])).to(self.device)
            for name in ("photo", "thing", "part")
        )
        self.laid.put(photo.movedim(3, 1), thing, part, torch.ones_like(thing, dtype=torch.bool))

    def _renew(self) -> None:
        self.made += 1
        if self.scenes is not None:
            if self.made % 100 == 1:
                self._reread(self.scenes)
            return
        many = next(self.source)
        if self.made % round(1 / LEAVES) == 0:
            self._flat(self.plan.fresh)
            return
        staged = stage.render(many, self.plan.side, self.device, seed=self.made)
        sharp = staged.blurred < 3
        self.pool.put(staged.photo * 255, staged.thing * sharp, staged.part * sharp, staged.inside)

    def _reread(self, folder: Path) -> None:
        """What has come into the folder since, and a share of flat scenes."""
        count = 0
        for held in farm.read(folder, self.known, self.rank, self.world):
            photo, thing, part, inside = (
                torch.from_numpy(held[n]).to(self.device)
                for n in ("photo", "thing", "part", "inside")
            )
            self.pool.put(photo, thing, part, inside.bool())
            count += len(photo)
        if flat := round(count * FLAT):
            self._flat(flat)

    def _flat(self, count: int) -> None:
        made = leaves.make(self.pool.next + self.made, count, self.plan.side, self.device)
        inside = (made.images == made.images.round()).all(1)
        self.pool.put(made.images, made.whole, made.part, inside)

    def rate(self) -> float:
        done = min(1.0, self.spent / self.seconds)
        return (
            self.plan.rate
            * min(1.0, (self.step + 1) / self.plan.warmup)
            * 0.5
            * (1 + math.cos(math.pi * done))
        )

    def advance(self) -> dict[str, Tensor]:
        plan, again = self.plan, round(AGAIN * self.plan.batch)
        asked: list[Lessons] = []
        if self.queue is not None and len(self.queue.round) >= again:
            asked.append(self.queue[torch.arange(again, device=self.device)])
            self.queue = self.queue[torch.arange(again, len(self.queue.round), device=self.device)]
        fresh = plan.batch - sum(len(a.round) for a in asked)
        laid = round(LAID * fresh) if self.store else 0
        for pool, count in (self.laid, laid), (self.pool, fresh - laid):
            if count:
                asked.append(questions.first(pool, self.side, count, self.dice))
        lot = Lessons.together(asked)
        rate = self.rate()
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        planes = lot.planes.contiguous(memory_format=torch.channels_last)
        with halves(self.device.type):
            logits = self.run(planes)
        logits = logits.float()
        loss, overlap = judged(logits, lot)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.spent = time.monotonic() - self.start
        if self.world > 1:
            self._share()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), CLIP)
        self.optimiser.step()
        self._average()
        self._keep(lot, logits.detach())
        self.step += 1
        first = (lot.round == 0).float() * lot.asked[:, 1]
        later = (lot.round == 1).float() * lot.asked[:, 0]
        boxed = (lot.round == 0).float() * lot.asked[:, 0] * (1 - lot.asked[:, 1])
        return {"loss": loss.detach(), **{
            name: (overlap * w).sum() / w.sum().clamp(min=1)
            for name, w in (("click", first), ("second", later), ("box", boxed))
        }}  # fmt: skip

    @torch.no_grad()
    def _share(self) -> None:
        """Gradients and time, as the means over all processes, so that these stay the same."""
        grads = [p.grad for p in self.network.parameters() if p.grad is not None]
        flat = torch.cat([g.flatten() for g in grads] + [torch.tensor([self.spent])])
        distributed.all_reduce(flat)
        flat /= self.world
        self.spent = float(flat[-1])
        for grad, mean in zip(grads, flat[:-1].split([g.numel() for g in grads]), strict=True):
            grad.copy_(mean.view_as(grad))

    @torch.no_grad()
    def _average(self) -> None:
        keep = min(KEEP, (self.step + 1) / (self.step + 10))
        torch._foreach_lerp_(
            list(self.mean.parameters()), list(self.network.parameters()), 1 - keep
        )

    @torch.no_grad()
    def _keep(self, lot: Lessons, logits: Tensor) -> None:
        """Some are asked again in a later step."""
        stay = (torch.rand(len(lot.round), generator=self.dice, device=self.device) < 0.62) & (
            lot.round < MOST
        )
        rows = (stay & (lot.asked[:, 0] > 0)).nonzero()[:, 0]
        new = questions.further(lot[rows], logits[rows], self.dice)
        waiting = [new] if self.queue is None else [self.queue, new]
        self.queue = Lessons.together(waiting)
        most = self.plan.batch
        if len(self.queue.round) > most:
            order = torch.randperm(len(self.queue.round), generator=self.dice, device=self.device)
            self.queue = self.queue[order[:most]]

    def save(self, path: Path) -> None:
        held = {
            "network": self.network.state_dict(), "mean": self.mean.state_dict(),
            "optimiser": self.optimiser.state_dict(), "step": self.step, "spent": self.spent,
        }  # fmt: skip
        part = path.with_suffix(".part")
        torch.save(held, part)
        part.replace(path)

    def load(self, path: Path) -> None:
        held = torch.load(path, map_location=self.device, weights_only=True)
        self.network.load_state_dict(held["network"])
        self.mean.load_state_dict(held["mean"])
        self.optimiser.load_state_dict(held["optimiser"])
        self.step, self.spent = held["step"], held["spent"]

    def begin(self, path: Path) -> None:
        """With weights that another run left."""
        held = torch.load(path, map_location=self.device, weights_only=True)
        self.network.load_state_dict(held)
        self.mean.load_state_dict(held)


def judged(logits: Tensor, lot: Lessons) -> tuple[Tensor, Tensor]:
    """The loss, and IoU (n,) of the first answers: cross entropy and Dice coefficient."""
    wanted = torch.stack([lot.meant, lot.part], 1)
    inside = functional.avg_pool2d(lot.planes[:, 3:4], 2)
    plain = functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    chance = logits.sigmoid() * inside
    # small things count too: the entropy is weighed by how much there is to be told
    size = (wanted.mean((2, 3)) * 4).clamp(0.08, 1)
    entropy = (plain * inside).mean((2, 3)) / (inside.mean((2, 3)).clamp(min=0.05) * size)
    both, sums = (chance * wanted).sum((2, 3)), (chance + wanted).sum((2, 3))
    dice = 1 - (2 * both + 8) / (sums + 8)
    weight = lot.asked * torch.tensor([1.0, 0.35], device=logits.device)
    loss = ((entropy + dice) * weight).sum() / weight.sum().clamp(min=1)
    found, there = (chance[:, 0] > 0.5), wanted[:, 0] > 0.5
    overlap = (found & there).sum((1, 2)) / (found | there).sum((1, 2)).clamp(min=1)
    return loss, overlap.detach()


def run(training: Training, out: Path, compiled: bool, first: Path | None = None) -> None:
    out.mkdir(parents=True, exist_ok=True)
    if (out / "checkpoint.pt").exists():
        training.load(out / "checkpoint.pt")
    elif first:
        training.begin(first)
    if compiled:
        stage.fast()
        training.run = torch.compile(training.network)  # type: ignore[assignment]
    training.start = time.monotonic() - training.spent
    while training.pool.filled < min(4 * training.plan.batch, training.plan.pool):
        training.renew()
    saved, rows, mark = time.monotonic(), list[dict[str, Tensor]](), time.monotonic()
    while training.spent < training.seconds:
        training.renew()
        rows.append(training.advance())
        if training.step in (1, 5, 20) or training.step % 50 == 0:
            told = {k: float(torch.stack([r[k] for r in rows]).mean()) for k in rows[0]}
            rate = len(rows) * training.plan.batch * training.world / (time.monotonic() - mark)
            row = {"step": training.step, "seconds": training.spent, **told, "per_second": rate}
            if training.rank == 0:
                _log(out / "log.csv", row)
            rows, mark = [], time.monotonic()
        if training.rank == 0 and time.monotonic() - saved > SAVE:
            training.save(out / "checkpoint.pt")
            saved = time.monotonic()
    if training.rank == 0:
        training.save(out / "checkpoint.pt")
        finish(training, out)


@torch.no_grad()
def finish(training: Training, out: Path) -> None:
    """The mean weights, with their own statistics in the normalisations."""
    norms = [m for m in training.mean.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean
    training.mean.train()
    for number in range(30):
        pool = training.laid if training.store and number % 2 else training.pool
        count = min(128, 2 * training.plan.batch)
        lot = questions.first(pool, training.side, count, training.dice)
        with halves(training.device.type):
            logits = training.mean(lot.planes)
            training.mean(questions.further(lot, logits, training.dice).planes)
    torch.save(
        {k: v.float().cpu() for k, v in training.mean.state_dict().items()}, out / "click.pt"
    )


def _log(path: Path, row: dict[str, float]) -> None:
    click.echo("  ".join(f"{k} {v:.4g}" for k, v in row.items()))
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, list(row), lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerow({k: f"{v:.6g}" for k, v in row.items()})


@click.command(help=__doc__)
@click.option("--out", required=True, type=click.Path(path_type=Path))
@click.option("--plan", default="full", type=click.Choice(list(PLANS)), show_default=True)
@click.option("--minutes", default=9.0, show_default=True)
@click.option("--scenes", type=click.Path(path_type=Path, exists=True), help="Made by farm.py.")
@click.option("--pictures", type=click.Path(path_type=Path, exists=True), help="Made by gather.py.")
@click.option("--weights", type=click.Path(path_type=Path, exists=True), help="To begin with.")
@click.option("--rate", type=float, help="The highest learning rate, if not the plan's.")
@click.option("--workers", default=7, show_default=True, help="Processes that think of scenes.")
@click.option("--compile/--plain", "compiled", default=False, help="A minute first, then quicker.")
def main(
    out: Path, plan: str, minutes: float, scenes: Path | None, pictures: Path | None,
    weights: Path | None, rate: float | None, workers: int, compiled: bool,
) -> None:  # fmt: skip
    if "WORLD_SIZE" in os.environ:
        distributed.init_process_group("gloo")
    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.benchmark = True
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    chosen = PLANS[plan]
    store = cutouts.read(pictures, chosen.side) if pictures else None
    chosen = replace(chosen, rate=rate or chosen.rate)
    training = Training(chosen, device, 60 * minutes, scenes, workers, store=store)
    run(training, out, compiled, weights)
    if training.rank == 0:
        click.echo(f"{training.step} steps, {out / 'click.pt'} written")


if __name__ == "__main__":
    main()
