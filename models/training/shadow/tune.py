"""Train the shadow network that ships, with real photos; run it again to resume.

    python -m models.training.shadow.tune --samples out/samples --start run/shadow.safetensors \
        --out out/shadow --steps 600

It starts from the weights of ``models.training.shadow.train``. Every ``FOLDS``-th outlined photo is
kept for validation, unless ``--all`` is given. ``OUT/shadow.onnx`` is the network as it ships.
"""

from __future__ import annotations

import csv
import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import click
import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional

from models.training.onnx_file import compact, save
from models.training.shadow import samples
from models.training.shadow.batches import Batch
from models.training.shadow.feature_unet import ExportedNetwork, FeatureShadowNetwork
from models.training.shadow.samples import ABSENT, OPEN, PRESENT, Sample
from models.training.shadow.train import shadow_losses, update_mean
from models.training.shadow.unet import unfold_batch_norm
from segment2inpaint.networks.click import CELL
from segment2inpaint.networks.shadow import FEATURE_COUNT, FEATURES_SIDE, PLANE_COUNT
from segment2inpaint.networks.shadow import VIEW_SIDE as SIDE

FOLDS = 4
# Samples of a batch: photos and composites, each with and without a shadow, and scenes.
PHOTO_COUNTS, COMPOSITE_COUNTS, SCENE_COUNT = (4, 3), (2, 2), 5
LEARNING_RATE, UNET_SHARE = 1e-3, 0.5  # the highest; the share of it for the weights of the start
WARMUP_STEPS, WEIGHT_DECAY, MAX_GRADIENT_NORM = 40, 0.05, 1.0
EMA_DECAY, DROPOUT = 0.99, 0.3
NORM_BATCH = 48  # samples that set the batch norms of the start
SCALES, MAX_SHIFT = (0.8, 1.3), 0.12  # of random views; the shift is a share of half the view
LIGHT_PLANES, TONES = 5, (0.15, 0.05, 0.05)  # planes that change with tones, and by how much
CONTRAST, NOISE = 0.12, 0.03
OPSET = 18
LOG_STEPS, CHECKPOINT_STEPS = 50, 100
PROBABILITY = 0.4  # from which a pixel is shadow, in the validation
NEWTON_STEPS, RIDGE = 30, 1e-3  # of the calibration


class FeatureBatch(NamedTuple):
    """A batch of samples, and their features (n, FEATURE_COUNT, s / 8, s / 8)."""

    batch: Batch
    features: Tensor


Pools = Sequence[tuple[Sequence[Sample], int]]  # samples, and how many of them a batch has


@dataclass(frozen=True)
class Folds:
    """The samples for training, and the outlined ones for validation."""

    pools: Pools
    held_out: Sequence[Sample]


def read_folds(folder: Path, use_all: bool) -> Folds:
    """Read all samples of ``models.training.shadow.samples``."""
    files = sorted((folder / "outlined").glob("*.npz"))
    kept = [samples.read(file) for file in files if use_all or not is_held_out(file)]
    held_out = [samples.read(file) for file in files if is_held_out(file) and "-0.npz" in file.name]
    composites, scenes = (
        [samples.read(file) for file in sorted((folder / kind).glob("*.npz"))]
        for kind in ("composites", "scenes")
    )
    pools = [
        ([sample for sample in group if sample.presence == presence], count)
        for group, counts in ((kept, PHOTO_COUNTS), (composites, COMPOSITE_COUNTS))
        for presence, count in zip((PRESENT, ABSENT), counts, strict=True)
    ]
    return Folds([*pools, (scenes, SCENE_COUNT)], held_out)


def is_held_out(file: Path) -> bool:
    """Return whether the photo of a sample's file is for validation."""
    photo = file.name.rsplit("-", 2)[0]
    return int(hashlib.md5(photo.encode(), usedforsecurity=False).hexdigest(), 16) % FOLDS == 0


def collate(chosen: Sequence[Sample]) -> FeatureBatch:
    """Return samples as a batch."""
    planes, features, target, valid = (
        torch.from_numpy(np.stack([getattr(sample, name) for sample in chosen])).float()
        for name in ("planes", "features", "target", "valid")
    )
    presence = torch.tensor([sample.presence for sample in chosen])
    batch = Batch(planes, target, valid, presence.clamp(min=0), (presence != OPEN).float())
    return FeatureBatch(batch, features)


def vary(given: FeatureBatch) -> FeatureBatch:
    """Return a batch with other scales, places and tones."""
    batch, count = given.batch, len(given.features)
    matrix = torch.zeros(count, 2, 3)
    matrix[:, 0, 0] = matrix[:, 1, 1] = torch.empty(count).uniform_(*SCALES)
    matrix[:, :, 2].uniform_(-MAX_SHIFT, MAX_SHIFT)

    def move(maps: Tensor) -> Tensor:
        size = [count, 1, *maps.shape[2:]]
        grid = functional.affine_grid(matrix, size, align_corners=False)
        return functional.grid_sample(maps, grid, align_corners=False)

    planes = move(batch.planes)
    light, rest = planes[:, :LIGHT_PLANES], planes[:, LIGHT_PLANES:]
    light = light * (CONTRAST * torch.randn(count, 1, 1, 1)).exp()
    noise = NOISE * torch.rand(count, 1, 1, 1) * torch.randn_like(light)
    noise[:, : len(TONES)] += (
        torch.randn(count, len(TONES), 1, 1) * torch.tensor(TONES)[:, None, None]
    )
    planes = torch.cat([light + noise * rest[:, 1:2], rest], 1)
    target, valid = (move(maps[:, None])[:, 0] for maps in (batch.target, batch.valid))
    moved = batch._replace(planes=planes, target=target, valid=(valid > 0.99).float())
    return FeatureBatch(moved, move(given.features))


class Validation(NamedTuple):
    """Figures of the held-out photos.

    ``iou`` is the mean of their shadows, ``roc`` the area under the ROC curve of the presence.
    ``slope`` and ``constant`` calibrate its logit. ``found`` and ``false_alarms`` are the shares of
    objects with and without a shadow whose certainty is then above 0.5.
    """

    iou: float
    roc: float
    slope: float
    constant: float
    found: float
    false_alarms: float


class Tuner:
    """The network, the moving average of its weights (``mean``) and the optimiser."""

    def __init__(self, folds: Folds, seed: int, start: Path | None) -> None:
        torch.manual_seed(seed)
        self.folds, self.seed, self.step = folds, seed, 0
        self.network, self.mean = FeatureShadowNetwork(DROPOUT), FeatureShadowNetwork()
        if start is not None:
            first = collate(folds.pools[-1][0][:NORM_BATCH]).batch.planes
            unfold_batch_norm(self.network.unet, load_file(start), first)
        self.mean.load_state_dict(self.network.state_dict())
        unet = list(self.network.unet.parameters())
        known = {id(parameter) for parameter in unet}
        new = [p for p in self.network.parameters() if id(p) not in known]
        groups = [{"params": unet, "share": UNET_SHARE}, {"params": new, "share": 1.0}]
        self.optimizer = torch.optim.AdamW(groups, LEARNING_RATE, weight_decay=WEIGHT_DECAY)

    def train_step(self, steps: int) -> list[float]:
        """Take one of ``steps`` steps; return the losses, see ``shadow_losses``."""
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.step, steps) * group["share"]
        torch.manual_seed(self.seed * 1_000_003 + self.step)
        batch, features = vary(collate(self._choose()))
        losses = shadow_losses(*self.network.train()(batch.planes, features), batch)
        self.optimizer.zero_grad()
        losses[0].backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), MAX_GRADIENT_NORM)
        self.optimizer.step()
        update_mean(self.mean, self.network, min(EMA_DECAY, self.step / (self.step + 20)))
        self.step += 1
        return [float(loss) for loss in losses.detach()]

    def _choose(self) -> list[Sample]:
        """Return random samples; their order and number do not depend on earlier steps."""
        rng = np.random.default_rng([self.seed, self.step])
        return [
            pool[i] for pool, count in self.folds.pools for i in rng.integers(len(pool), size=count)
        ]

    @torch.no_grad()
    def validate(self) -> Validation:
        """Return how good the averaged network is on the held-out photos."""
        self.mean.eval()
        overlaps, scores = [], {PRESENT: [], ABSENT: [], OPEN: []}  # type: ignore[var-annotated]
        for sample in self.folds.held_out:
            batch, features = collate([sample])
            logits, presence = self.mean(batch.planes, features)
            scores[sample.presence].append(float(presence))
            if sample.presence == PRESENT:
                overlaps.append(_iou(logits.sigmoid() > PROBABILITY, batch))
        present, absent = (torch.tensor(scores[kind]) for kind in (PRESENT, ABSENT))
        roc = float((present[:, None] > absent).float().mean())
        slope, constant = _calibrate(present, absent)
        shares = (
            float((slope * logits + constant > 0).float().mean()) for logits in (present, absent)
        )
        return Validation(float(np.mean(overlaps)), roc, slope, constant, *shares)

    def save(self, path: Path) -> None:
        """Write a checkpoint atomically."""
        states = {n: getattr(self, n).state_dict() for n in ("network", "mean", "optimizer")}
        torch.save({"step": self.step, **states}, path.with_suffix(".part"))
        path.with_suffix(".part").replace(path)

    def load(self, path: Path) -> None:
        """Resume from a checkpoint."""
        checkpoint = torch.load(path, weights_only=True)
        self.step = checkpoint.pop("step")
        for name, state in checkpoint.items():
            getattr(self, name).load_state_dict(state)


def _calibrate(present: Tensor, absent: Tensor) -> tuple[float, float]:
    """Return slope and constant of the logistic regression of the presence on the logits."""
    logits = torch.cat([present, absent]).double()
    truth = torch.cat([torch.ones_like(present), torch.zeros_like(absent)]).double()
    weights = torch.tensor([1.0, 0.0], dtype=torch.float64)
    rows = torch.stack([logits, torch.ones_like(logits)], 1)
    for _ in range(NEWTON_STEPS):
        predicted = (rows @ weights).sigmoid()
        curvature = rows.T @ (rows * (predicted * (1 - predicted))[:, None]) + RIDGE * torch.eye(2)
        weights = weights - torch.linalg.solve(curvature, rows.T @ (predicted - truth))
    slope, constant = weights.tolist()
    return slope, constant


def _iou(found: Tensor, batch: Batch) -> float:
    found, truth = (mask & (batch.valid > 0) for mask in (found, batch.target > 0.5))
    return float((found & truth).sum() / (found | truth).sum().clamp(min=1))


def learning_rate(step: int, steps: int) -> float:
    """Return the learning rate of a step: linear warm-up, then a cosine that falls to 0."""
    warmup = min(1.0, (step + 1) / WARMUP_STEPS)
    return LEARNING_RATE * warmup * (1 + math.cos(math.pi * step / steps)) / 2


def export(network: FeatureShadowNetwork, out: Path) -> None:
    """Write the network as it ships."""
    cells = FEATURES_SIDE // CELL
    inputs = (
        torch.zeros(1, PLANE_COUNT, SIDE, SIDE),
        torch.zeros(1, FEATURE_COUNT, cells, cells),
    )
    program = torch.onnx.export(
        ExportedNetwork(network).eval(), inputs, input_names=["planes", "features"],
        output_names=["probability", "certainty"], opset_version=OPSET, dynamo=True, verbose=False,
    )  # fmt: skip
    assert program is not None
    save(compact(program.model_proto), out)


@click.command(help=__doc__)
@click.option("--samples", "folder", required=True, type=click.Path(path_type=Path, exists=True))
@click.option("--start", type=click.Path(path_type=Path, exists=True),
              help="Weights of models.training.shadow.train.")  # fmt: skip
@click.option("--out", required=True, type=click.Path(path_type=Path))
@click.option("--steps", default=600, show_default=True)
@click.option("--all", "use_all", is_flag=True, help="Learn from the photos for validation, too.")
@click.option("--seed", default=0, show_default=True)
def main(folder: Path, start: Path | None, out: Path, steps: int, use_all: bool, seed: int) -> None:
    out.mkdir(parents=True, exist_ok=True)
    tuner, checkpoint = Tuner(read_folds(folder, use_all), seed, start), out / "checkpoint.pt"
    if checkpoint.exists():
        tuner.load(checkpoint)
    losses = []
    while tuner.step < steps:
        losses.append(tuner.train_step(steps))
        if tuner.step % LOG_STEPS == 0:
            _log(out / "log.csv", [tuner.step, *np.mean(losses, 0), *tuner.validate()])
            losses = []
        if tuner.step % CHECKPOINT_STEPS == 0:
            tuner.save(checkpoint)
    export(tuner.mean, out / "shadow.onnx")


def _log(path: Path, row: Sequence[float]) -> None:
    """Add a row: step, loss, loss of pixels, Dice loss, loss of presence, and the validation."""
    text = [f"{value:.4g}" for value in row]
    click.echo("  ".join(text))
    with path.open("a", newline="") as file:
        csv.writer(file).writerow(text)


if __name__ == "__main__":
    main()
