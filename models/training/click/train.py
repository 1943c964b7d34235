"""Train the click network on synthetic scenes, from scratch, for a given time.

On a GPU, on a CPU, and with one process per core:

    python -m models.training.click.train --out out/click --minutes 9
    python -m models.training.click.train --out out/click --plan small --minutes 60 --scenes DIR
    torchrun --nproc-per-node 2 -m models.training.click.train ...

Scenes are rendered during training, or read from DIR, where
``models.training.rendering.render_dataset`` writes them. With ``--pictures``, cutouts are
composited onto them and onto photos. The learning rate falls to zero over the time. OUT gets
log.csv, every minute a checkpoint.pt, from which an interrupted run resumes, and at the end
click.pt: the averaged weights, for ``models.training.click.export``.
"""

from __future__ import annotations

import csv
import math
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import click
import torch
from torch import Tensor, distributed
from torch.nn import functional

from models.training.click import click_simulation, cutouts
from models.training.click.click_simulation import Samples
from models.training.click.clicknet import SIZES, ClickNetwork
from models.training.click.config import CONFIGS, TrainingConfig
from models.training.click.scene_source import SceneSource
from models.training.mixed_precision import autocast
from models.training.rendering import renderer

CUTOUT_SHARE = 0.55  # of the samples of round 0 show cutouts, if there are any
LATER_ROUND_SHARE = 0.45  # of a batch are later rounds of earlier samples
CONTINUE_PROBABILITY = 0.62  # that a sample gets another round
MAX_ROUNDS = 6
MAX_GRADIENT_NORM = 1.0
CHECKPOINT_SECONDS = 60.0  # between checkpoints
EMA_DECAY = 0.9985  # per step, of the exponential moving average of the weights
PART_WEIGHT = 0.35  # of the part's loss


class Trainer:
    """The network, the moving average of its weights (``mean``), the optimiser and the scenes.

    Training ends after ``seconds``. Under ``torchrun`` all processes keep the same weights.
    """

    def __init__(
        self, config: TrainingConfig, device: torch.device, seconds: float,
        folder: Path | None = None, workers: int = 0, seed: int = 0,
        store: cutouts.Store | None = None,
    ) -> None:  # fmt: skip
        self.config, self.device, self.seconds = config, device, seconds
        self.rank, self.world_size = 0, 1
        if distributed.is_initialized():
            self.rank, self.world_size = distributed.get_rank(), distributed.get_world_size()
        torch.manual_seed(seed)
        seed += 1000 * self.rank
        self.generator = torch.Generator(device).manual_seed(seed)
        size = SIZES[config.size]
        self.side = size.side
        self.network = ClickNetwork(size).to(device).to(memory_format=torch.channels_last)
        self.mean = ClickNetwork(size).to(device).to(memory_format=torch.channels_last)
        self.mean.load_state_dict(self.network.state_dict())
        weights = [p for p in self.network.parameters() if p.ndim > 1]
        other_parameters = [p for p in self.network.parameters() if p.ndim <= 1]
        groups = [
            {"params": weights, "weight_decay": config.weight_decay},
            {"params": other_parameters, "weight_decay": 0},
        ]
        self.optimizer = torch.optim.AdamW(
            groups, lr=config.learning_rate, betas=(0.9, 0.98), fused=True
        )
        self.queue: Samples | None = None
        self.step, self.elapsed = 0, 0.0
        self.start_time = time.monotonic()
        self.forward: Callable[[Tensor], Tensor] = self.network
        self.scenes = SceneSource(
            config, device, seed, folder, workers, store, self.rank, self.world_size
        )

    def learning_rate(self) -> float:
        """Return the learning rate: linear warm-up, then a cosine that falls to 0 with the time."""
        progress = min(1.0, self.elapsed / self.seconds)
        return (
            self.config.learning_rate
            * min(1.0, (self.step + 1) / self.config.warmup_steps)
            * 0.5
            * (1 + math.cos(math.pi * progress))
        )

    def train_step(self) -> dict[str, Tensor]:
        """Take one step; return the loss, and the IoU at the first click, the second, in a box."""
        config, later_count = self.config, round(LATER_ROUND_SHARE * self.config.batch_size)
        batches: list[Samples] = []
        if self.queue is not None and len(self.queue.round) >= later_count:
            batches.append(self.queue[torch.arange(later_count, device=self.device)])
            self.queue = self.queue[
                torch.arange(later_count, len(self.queue.round), device=self.device)
            ]
        first_count = config.batch_size - sum(len(batch.round) for batch in batches)
        cutout_count = round(CUTOUT_SHARE * first_count) if self.scenes.store else 0
        for pool, count in (
            (self.scenes.cutout_pool, cutout_count),
            (self.scenes.pool, first_count - cutout_count),
        ):
            if count:
                batches.append(
                    click_simulation.first_prompts(pool, self.side, count, self.generator)
                )
        samples = Samples.concatenate(batches)
        rate = self.learning_rate()
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        planes = samples.planes.contiguous(memory_format=torch.channels_last)
        with autocast(self.device.type):
            logits = self.forward(planes)
        logits = logits.float()
        loss, ious = compute_loss(logits, samples)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.elapsed = time.monotonic() - self.start_time
        if self.world_size > 1:
            self._all_reduce()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), MAX_GRADIENT_NORM)
        self.optimizer.step()
        self._update_mean()
        self._enqueue(samples, logits.detach())
        self.step += 1
        is_first = (samples.round == 0).float() * samples.valid[:, 1]
        is_second = (samples.round == 1).float() * samples.valid[:, 0]
        is_box = (samples.round == 0).float() * samples.valid[:, 0] * (1 - samples.valid[:, 1])
        return {"loss": loss.detach(), **{
            name: (ious * weight).sum() / weight.sum().clamp(min=1)
            for name, weight in (("click", is_first), ("second", is_second), ("box", is_box))
        }}  # fmt: skip

    @torch.no_grad()
    def _all_reduce(self) -> None:
        """Average gradients and time over all processes."""
        gradients = [p.grad for p in self.network.parameters() if p.grad is not None]
        flat = torch.cat([g.flatten() for g in gradients] + [torch.tensor([self.elapsed])])
        distributed.all_reduce(flat)
        flat /= self.world_size
        self.elapsed = float(flat[-1])
        for gradient, mean in zip(
            gradients, torch.split(flat[:-1], [g.numel() for g in gradients]), strict=True
        ):
            gradient.copy_(mean.view_as(gradient))

    @torch.no_grad()
    def _update_mean(self) -> None:
        """Move the averaged weights towards the network's."""
        decay = min(EMA_DECAY, (self.step + 1) / (self.step + 10))
        torch._foreach_lerp_(
            list(self.mean.parameters()), list(self.network.parameters()), 1 - decay
        )

    @torch.no_grad()
    def _enqueue(self, samples: Samples, logits: Tensor) -> None:
        """Queue the next round of some samples for later steps."""
        continues = (
            torch.rand(len(samples.round), generator=self.generator, device=self.device)
            < CONTINUE_PROBABILITY
        ) & (samples.round < MAX_ROUNDS)
        rows = (continues & (samples.valid[:, 0] > 0)).nonzero()[:, 0]
        next_samples = click_simulation.next_prompts(samples[rows], logits[rows], self.generator)
        batches = [next_samples] if self.queue is None else [self.queue, next_samples]
        self.queue = Samples.concatenate(batches)
        max_length = self.config.batch_size
        if len(self.queue.round) > max_length:
            order = torch.randperm(
                len(self.queue.round), generator=self.generator, device=self.device
            )
            self.queue = self.queue[order[:max_length]]

    def save(self, path: Path) -> None:
        """Write a checkpoint atomically."""
        checkpoint = {
            "network": self.network.state_dict(), "mean": self.mean.state_dict(),
            "optimiser": self.optimizer.state_dict(), "step": self.step, "spent": self.elapsed,
        }  # fmt: skip
        temporary = path.with_suffix(".part")
        torch.save(checkpoint, temporary)
        temporary.replace(path)

    def load(self, path: Path) -> None:
        """Resume from a checkpoint."""
        checkpoint = torch.load(path, map_location=self.device, weights_only=True)
        self.network.load_state_dict(checkpoint["network"])
        self.mean.load_state_dict(checkpoint["mean"])
        self.optimizer.load_state_dict(checkpoint["optimiser"])
        self.step, self.elapsed = checkpoint["step"], checkpoint["spent"]

    def load_weights(self, path: Path) -> None:
        """Start from weights that ``finish`` wrote."""
        state = torch.load(path, map_location=self.device, weights_only=True)
        self.network.load_state_dict(state)
        self.mean.load_state_dict(state)


def compute_loss(logits: Tensor, samples: Samples) -> tuple[Tensor, Tensor]:
    """Return the loss (cross entropy plus Dice loss) and each object's IoU (n,)."""
    targets = torch.stack([samples.object_target, samples.part_target], 1)
    inside = functional.avg_pool2d(samples.planes[:, 3:4], 2)
    cross_entropy = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    probability = logits.sigmoid() * inside
    # Divide the cross entropy by the object's size, so that small objects count too.
    size = (targets.mean((2, 3)) * 4).clamp(0.08, 1)
    weighted = (cross_entropy * inside).mean((2, 3)) / (inside.mean((2, 3)).clamp(min=0.05) * size)
    intersection, totals = (probability * targets).sum((2, 3)), (probability + targets).sum((2, 3))
    dice_loss = 1 - (2 * intersection + 8) / (totals + 8)
    weight = samples.valid * torch.tensor([1.0, PART_WEIGHT], device=logits.device)
    loss = ((weighted + dice_loss) * weight).sum() / weight.sum().clamp(min=1)
    predicted, truth = (probability[:, 0] > 0.5), targets[:, 0] > 0.5
    iou = (predicted & truth).sum((1, 2)) / (predicted | truth).sum((1, 2)).clamp(min=1)
    return loss, iou.detach()


def train(trainer: Trainer, out: Path, compiled: bool, weights: Path | None = None) -> None:
    """Train from ``out/checkpoint.pt`` if it exists, else from ``weights`` or from scratch."""
    out.mkdir(parents=True, exist_ok=True)
    if (out / "checkpoint.pt").exists():
        trainer.load(out / "checkpoint.pt")
    elif weights:
        trainer.load_weights(weights)
    if compiled:
        renderer.compile_kernels()
        trainer.forward = torch.compile(trainer.network)
    trainer.start_time = time.monotonic() - trainer.elapsed
    while trainer.scenes.pool.filled < min(4 * trainer.config.batch_size, trainer.config.pool_size):
        trainer.scenes.add()
    saved_at, rows, logged_at = time.monotonic(), list[dict[str, Tensor]](), time.monotonic()
    while trainer.elapsed < trainer.seconds:
        trainer.scenes.add()
        rows.append(trainer.train_step())
        if trainer.step in (1, 5, 20) or trainer.step % 50 == 0:
            means = {k: float(torch.stack([r[k] for r in rows]).mean()) for k in rows[0]}
            samples_per_second = (
                len(rows)
                * trainer.config.batch_size
                * trainer.world_size
                / (time.monotonic() - logged_at)
            )
            row = {
                "step": trainer.step,
                "seconds": trainer.elapsed,
                **means,
                "per_second": samples_per_second,
            }
            if trainer.rank == 0:
                _log(out / "log.csv", row)
            rows, logged_at = [], time.monotonic()
        if trainer.rank == 0 and time.monotonic() - saved_at > CHECKPOINT_SECONDS:
            trainer.save(out / "checkpoint.pt")
            saved_at = time.monotonic()
    if trainer.rank == 0:
        trainer.save(out / "checkpoint.pt")
        finish(trainer, out)


@torch.no_grad()
def finish(trainer: Trainer, out: Path) -> None:
    """Write the averaged weights, with batch norm statistics of their own."""
    norms = [m for m in trainer.mean.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # average over all batches
    trainer.mean.train()
    for batch_number in range(30):
        use_cutouts = trainer.scenes.store and batch_number % 2
        pool = trainer.scenes.cutout_pool if use_cutouts else trainer.scenes.pool
        count = min(128, 2 * trainer.config.batch_size)
        samples = click_simulation.first_prompts(pool, trainer.side, count, trainer.generator)
        with autocast(trainer.device.type):
            logits = trainer.mean(samples.planes)
            trainer.mean(click_simulation.next_prompts(samples, logits, trainer.generator).planes)
    torch.save({k: v.float().cpu() for k, v in trainer.mean.state_dict().items()}, out / "click.pt")


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
@click.option("--plan", "name", default="full", type=click.Choice(list(CONFIGS)), show_default=True)
@click.option("--minutes", default=9.0, show_default=True)
@click.option(
    "--scenes", type=click.Path(path_type=Path, exists=True), help="Folder of rendered scenes."
)
@click.option(
    "--pictures", type=click.Path(path_type=Path, exists=True), help="Folder of collect_cutouts."
)
@click.option("--weights", type=click.Path(path_type=Path, exists=True), help="Initial weights.")
@click.option(
    "--rate", "learning_rate", type=float, help="Highest learning rate [default: the plan's]."
)
@click.option("--workers", default=7, show_default=True, help="Dataloader workers.")
@click.option(
    "--compile/--plain",
    "compiled",
    default=False,
    help="Compile: takes a minute, then steps are faster.",
)
def main(
    out: Path, name: str, minutes: float, scenes: Path | None, pictures: Path | None,
    weights: Path | None, learning_rate: float | None, workers: int, compiled: bool,
) -> None:  # fmt: skip
    if "WORLD_SIZE" in os.environ:
        distributed.init_process_group("gloo")
    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.benchmark = True
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    config = CONFIGS[name]
    store = cutouts.read_store(pictures, config.side) if pictures else None
    config = replace(config, learning_rate=learning_rate or config.learning_rate)
    trainer = Trainer(config, device, 60 * minutes, scenes, workers, store=store)
    train(trainer, out, compiled, weights)
    if trainer.rank == 0:
        click.echo(f"{trainer.step} steps, {out / 'click.pt'} written")


if __name__ == "__main__":
    main()
