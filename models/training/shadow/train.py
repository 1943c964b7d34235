"""Train the shadow network on synthetic scenes; run it again to resume where it stopped.

    python -m models.training.shadow.train --out run --minutes 9  # on a GPU
    python -m models.training.shadow.train --out run --minutes 60 --plan small --scenes DIR

With ``--scenes``, rendered scenes are read from DIR, where
``models.training.rendering.render_dataset`` writes them. The weights, ``run/shadow.safetensors``,
are those that ``models.training.shadow.tune`` starts from.
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
from torch import Tensor, nn
from torch.nn import functional

from models.training.mixed_precision import autocast
from models.training.shadow.batches import Batch, make_batch
from models.training.shadow.scene_pool import RENDERED_SIDE, ScenePool, description_batches
from models.training.shadow.unet import ShadowNetwork, fold_batch_norm, unfold_batch_norm

LEARNING_RATE = 1.2e-3  # the highest, after the warm-up
WARMUP_STEPS = 100
EMA_DECAY = 0.9985  # per step, of the exponential moving average of the weights
CHECKPOINT_SECONDS = 60.0  # between checkpoints
LOG_STEPS = 25  # per line of the log


@dataclass(frozen=True)
class TrainingConfig:
    """Sizes of a run.

    The pool holds ``pool_size`` rendered and ``flat_count`` flat scenes of ``side`` px. It starts
    with ``initial_scenes`` rendered ones; every ``scene_interval`` steps it gets ``new_scenes``
    more, or all that ``render_dataset`` has written since.
    """

    batch_size: int
    side: int
    pool_size: int
    flat_count: int
    initial_scenes: int
    new_scenes: int
    scene_interval: int


CONFIGS = {
    "full": TrainingConfig(96, 256, 12_000, 1024, 512, 16, 2),
    "small": TrainingConfig(24, 256, 6000, 128, 64, 8, 25),
    "toy": TrainingConfig(4, 64, 32, 8, 4, 1, 3),
}


@click.command(help=__doc__)
@click.option("--out", default="run", type=click.Path(path_type=Path), show_default=True)
@click.option("--minutes", default=9.0, show_default=True, help="From the first run's start.")
@click.option("--plan", "name", default="full", type=click.Choice(list(CONFIGS)), show_default=True)
@click.option("--workers", default=5, show_default=True, help="Dataloader workers.")
@click.option("--seed", default=0, show_default=True)
@click.option(
    "--scenes", type=click.Path(exists=True, path_type=Path), help="Folder of rendered scenes."
)
@click.option("--start", type=click.Path(exists=True, path_type=Path), help="Initial weights.")
@click.option("--pause", default=0.0, help="Idle time after each step, in step lengths.")
@click.option(
    "--sheet", default=0, help="Do not train; draw this many samples into OUT/samples.png."
)
def main(
    out: Path, minutes: float, name: str, workers: int, seed: int, scenes: Path | None,
    start: Path | None, pause: float, sheet: int,
) -> None:  # fmt: skip
    torch.manual_seed(seed)
    torch.backends.cudnn.benchmark = True
    out.mkdir(parents=True, exist_ok=True)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    trainer = Trainer(CONFIGS[name], out, seed, device, workers, scenes, start)
    if sheet:
        cv2.imwrite(str(out / "samples.png"), draw_samples(trainer.make_batch(sheet)))
    else:
        trainer.train(60 * minutes, pause)


class Trainer:
    """The network, the moving average of its weights (``mean``), the optimiser and the scenes."""

    def __init__(
        self, config: TrainingConfig, out: Path, seed: int, device: str, workers: int,
        scenes: Path | None = None, weights: Path | None = None,
    ) -> None:  # fmt: skip
        self._start_time = time.monotonic()
        self.config, self.out, self.device = config, out, device
        self.step, self.earlier_seconds = 0, 0.0
        self.network = ShadowNetwork().to(device).to(memory_format=torch.channels_last)
        self.mean = ShadowNetwork().to(device)
        self.mean.load_state_dict(self.network.state_dict())
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), LEARNING_RATE, weight_decay=0.03, fused=device == "cuda"
        )
        self._resume()
        seed = seed * 1_000_003 + self.step
        self.generator = torch.Generator(device).manual_seed(seed)
        self._scenes, self._seen_files = scenes, set[str]()
        self._descriptions = (
            None if scenes else description_batches(seed, config.new_scenes, workers)
        )
        self.pool = ScenePool(
            config.pool_size, config.flat_count, RENDERED_SIDE if scenes else config.side, device
        )
        self.pool.fill_flat(seed, 32)
        while self.pool.filled < config.initial_scenes:
            previous = self.pool.filled
            self._add_scenes()
            if self.pool.filled == previous:
                time.sleep(1)  # until ``render_dataset`` has written more
        if weights and not self.step:
            self._load_weights(weights)
        click.echo(f"{self.pool.filled} scenes rendered after {self.elapsed():.0f} s")

    def elapsed(self) -> float:
        """Return the seconds of training, earlier runs included."""
        return self.earlier_seconds + time.monotonic() - self._start_time

    def make_batch(self, count: int) -> Batch:
        """Return ``count`` samples of the pool."""
        return make_batch(self.pool, count, self.generator)

    def train(self, seconds: float, pause: float = 0.0) -> None:
        """Train until ``seconds`` have elapsed in all, and save."""
        losses: list[Tensor] = []
        saved_at = self.elapsed()
        while self.elapsed() < seconds:
            start = time.monotonic()
            if self.step % self.config.scene_interval == 0:
                self._add_scenes()
            losses.append(self.train_step(learning_rate(self.step, self.elapsed() / seconds)))
            if pause:
                losses[-1].sum().item()  # waits for the device
                time.sleep(pause * (time.monotonic() - start))
            if len(losses) == LOG_STEPS:
                self._log(losses)
                losses = []
            if self.elapsed() - saved_at > CHECKPOINT_SECONDS:
                self.save()
                saved_at = self.elapsed()
        self.save()

    def _add_scenes(self) -> None:
        """Add newer scenes to the pool."""
        if self._descriptions:
            self.pool.add(next(self._descriptions))
        elif self._scenes:
            self.pool.read_rendered(self._scenes, self._seen_files)

    def train_step(self, rate: float) -> Tensor:
        """Take one step; return its losses (4,), see ``compute_losses``."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        losses = compute_losses(self.network, self.make_batch(self.config.batch_size))
        self.optimizer.zero_grad()
        losses[0].backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        if torch.isfinite(norm):
            self.optimizer.step()
        update_mean(self.mean, self.network, min(EMA_DECAY, self.step / (self.step + 20)))
        self.step += 1
        return losses.detach()

    def _log(self, losses: list[Tensor]) -> None:
        names = ("loss", "pixels", "dice", "presence")
        means = torch.stack(losses).mean(0).tolist()
        text = "  ".join(f"{name} {value:.4f}" for name, value in zip(names, means, strict=True))
        click.echo(f"step {self.step}  {self.elapsed():.0f} s  {self.pool.filled} scenes  {text}")

    def _resume(self) -> None:
        path = self.out / "checkpoint.pt"
        if path.exists():
            checkpoint = torch.load(path, weights_only=True, map_location=self.device)
            self.step, self.earlier_seconds = checkpoint.pop("step"), checkpoint.pop("spent")
            for name, state in checkpoint.items():
                getattr(self, name).load_state_dict(state)

    def _load_weights(self, path: Path) -> None:
        """Start from weights that ``save`` wrote."""
        weights = {name: w.to(self.device) for name, w in load_file(path).items()}
        unfold_batch_norm(self.network, weights, self.make_batch(64).planes)
        self.mean.load_state_dict(self.network.state_dict())

    def save(self) -> None:
        """Write a checkpoint and the weights for ``tune``, each atomically."""
        states = {n: getattr(self, n).state_dict() for n in ("network", "mean", "optimizer")}
        torch.save({"step": self.step, "spent": self.elapsed(), **states}, self.out / "part")
        (self.out / "part").replace(self.out / "checkpoint.pt")
        save_file({n: w.cpu() for n, w in fold_batch_norm(self.mean).items()}, self.out / "part")
        (self.out / "part").replace(self.out / "shadow.safetensors")


def learning_rate(step: int, progress: float) -> float:
    """Return the learning rate: linear warm-up, then a cosine that falls to 0 at ``progress`` 1."""
    return (
        LEARNING_RATE
        * min(1, (step + 1) / WARMUP_STEPS)
        * (1 + math.cos(math.pi * min(1.0, progress)))
        / 2
    )


def compute_losses(network: ShadowNetwork, batch: Batch) -> Tensor:
    """Return the losses of a batch, see ``shadow_losses``."""
    planes = batch.planes.contiguous(memory_format=torch.channels_last)
    with autocast(batch.planes.device.type):
        logits, presence = network(planes)
    return shadow_losses(logits.float(), presence.float(), batch)


def shadow_losses(logits: Tensor, presence: Tensor, batch: Batch) -> Tensor:
    """Return the loss and its parts: pixels' cross entropy, Dice loss, presence's cross entropy."""
    cross_entropy = functional.binary_cross_entropy_with_logits(
        logits, batch.target, reduction="none"
    )
    valid = batch.valid
    pixel_loss = ((cross_entropy * valid).sum((1, 2)) / valid.sum((1, 2)).clamp(min=1)).mean()
    probability = logits.sigmoid() * valid
    intersection = (probability * batch.target).sum((1, 2))
    total = (probability + batch.target).sum((1, 2))
    counts = (batch.target.sum((1, 2)) > 15).float()
    dice_loss = ((1 - (2 * intersection + 20) / (total + 20)) * counts).sum() / counts.sum().clamp(
        min=1
    )
    presence_loss = functional.binary_cross_entropy_with_logits(
        presence, batch.has_shadow, reduction="none"
    )
    presence_loss = (
        presence_loss * batch.has_shadow_valid
    ).sum() / batch.has_shadow_valid.sum().clamp(min=1)
    return torch.stack(
        [4 * pixel_loss + dice_loss + 0.5 * presence_loss, pixel_loss, dice_loss, presence_loss]
    )


@torch.no_grad()
def update_mean(mean: nn.Module, network: nn.Module, decay: float) -> None:
    """Move the averaged weights towards the network's."""
    mean_state, state = mean.state_dict(), network.state_dict()
    floats = [name for name, value in mean_state.items() if value.is_floating_point()]
    torch._foreach_lerp_([mean_state[n] for n in floats], [state[n] for n in floats], 1 - decay)


def draw_samples(batch: Batch) -> NDArray[np.uint8]:
    """Draw photo, mask and target (with what is not valid) of each sample: (h, w, 3) uint8 BGR."""
    brightness, red, blue = batch.planes[:, :3].unbind(1)
    green = brightness - (red + blue) / 3
    colour = torch.stack([blue + green, green, red + green], -1)
    photo = (colour - 1.2).exp().clamp(0, 1) ** (1 / 2.2)
    alpha, in_photo = batch.planes[:, 5, ..., None], batch.planes[:, 6]
    photo = photo * in_photo[..., None]
    with_mask = photo * (1 - 0.5 * alpha)
    with_mask[..., 1] += 0.5 * alpha[..., 0]
    truth = torch.stack([batch.valid * 0.2, in_photo * 0.1, batch.target], -1)
    rows = torch.cat([photo, with_mask, truth], 2)
    tiles = (rows.clamp(0, 1) * 255).byte().cpu().numpy()
    for tile, has_shadow, valid in zip(
        tiles, batch.has_shadow.tolist(), batch.has_shadow_valid.tolist(), strict=True
    ):
        cv2.putText(tile, f"{has_shadow:.0f}" if valid else "?", (4, 20), 0, 0.6, (0, 255, 255), 1)
    tiles = tiles[: len(tiles) // 3 * 3]
    return np.vstack([np.hstack(list(tiles[i : i + 3])) for i in range(0, len(tiles), 3)])


if __name__ == "__main__":
    main()
