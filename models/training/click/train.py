"""Train the decoder on windows that ``embed`` has written, for a given time.

    python -m models.training.click.train --windows out/windows --weights DIST \
        --out out/click --minutes 60

It starts from the published weights. Each window is asked several questions, each in several
rounds of clicks. OUT gets log.csv, validation.csv and checkpoint.pt, from which an interrupted
run resumes; with more ``--minutes`` a finished run goes on. A GPU is used if there is one.
"""

from __future__ import annotations

import csv
import time
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import NamedTuple

import click
import numpy as np
import torch
from torch import Tensor

from models.training.click import losses
from models.training.click.decoder import Decoder
from models.training.click.published import read_decoder
from models.training.click.questions import (
    BOX_PROBABILITY,
    Questions,
    first_questions,
    next_questions,
)
from models.training.click.windows import Labels
from segment2inpaint.networks.click import MASK_CELL, SINGLE
from segment2inpaint.types import BinaryMask

ROUNDS = 3  # of clicks for each question
WARMUP_STEPS = 50
WEIGHT_DECAY = 0.01
MAX_GRADIENT_NORM = 1.0
EMA_DECAY = 0.998  # per step, of the moving average of weights
CHECKPOINT_SECONDS = 120.0
VALIDATION_SECONDS = 1200.0
VALIDATION_WINDOWS = 100
VALIDATION_QUESTIONS = 4  # about each window, at most
LOG_STEPS = 20

Measures = Mapping[str, float]  # of one window, by column; columns begin with "click" or "box"


class StoredWindow(NamedTuple):
    """A window of ``embed``: its embedding (1, 256, h, w), labels, and where the photo is."""

    embedding: Tensor
    labels: Labels
    inside: Tensor


class Round(NamedTuple):
    """Questions about a window, and the answers: logits (n, OUTPUTS, h, w), scores (n, OUTPUTS)."""

    questions: Questions
    logits: Tensor
    scores: Tensor


class Trainer:
    """The decoder, the published one, the moving average of its weights, and the optimiser."""

    def __init__(self, weights: Path, rate: float, questions: int, seed: int) -> None:
        torch.manual_seed(seed)
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.rate, self.questions_per_window = rate, questions
        self.teacher = read_decoder(weights / "sam.onnx").to(self.device).requires_grad_(False)
        self.network, self.mean = deepcopy(self.teacher), deepcopy(self.teacher)
        self.network.requires_grad_(True)
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), lr=rate, weight_decay=WEIGHT_DECAY
        )
        self.rng = np.random.default_rng(seed)
        self.step, self.elapsed, self.questions = 0, 0.0, 0

    def train_step(self, files: Sequence[Path], rate_factor: float) -> list[Measures]:
        """Take one step on a batch of windows; return the measures of each."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate * min(1.0, (self.step + 1) / WARMUP_STEPS) * rate_factor
        self.optimizer.zero_grad(set_to_none=True)
        rows = [self._learn_window(file, 1 / len(files)) for file in files]
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), MAX_GRADIENT_NORM)
        self.optimizer.step()
        self._update_mean()
        self.step += 1
        return rows

    def _learn_window(self, file: Path, weight: float) -> Measures:
        """Add the gradients of a window; return the loss and the mean IoU of each round."""
        window = read_window(file, self.device)
        chosen = self.rng.integers(len(window.labels), size=self.questions_per_window)
        with_box = self.rng.random() < BOX_PROBABILITY
        questions = first_questions(window.labels[chosen], with_box, self.rng)
        self.questions += len(chosen)
        kind, row = "box" if with_box else "click", {}
        for number, played in enumerate(play(self.network, window, questions, self.rng), 1):
            loss = self._loss(window, played)
            (weight / ROUNDS * loss).backward()  # type: ignore[no-untyped-call]
            row[f"{kind}_iou{number}"] = _mean_iou(window, played)
            row[f"{kind}_loss{number}"] = float(loss.detach())
        return row

    def _loss(self, window: StoredWindow, played: Round) -> Tensor:
        """Return the loss of a round; before corrections, that of all masks."""
        questions, logits, scores = played
        inside, others = window.inside, slice(SINGLE + 1, None)
        wanted = _to_tensor(questions.wanted_targets, inside)
        loss = losses.single_loss(logits[:, SINGLE], scores[:, SINGLE], wanted, inside)
        if questions.masks is not None:
            return loss
        with torch.no_grad():
            taught, _ = decode(self.teacher, window.embedding, questions)
        targets, known = (_to_tensor(v, inside) for v in (questions.targets, questions.known))
        alternatives = losses.alternatives_loss(
            logits[:, others], scores[:, others], targets, known, inside
        )
        distance = losses.teacher_loss(logits[:, others], taught[:, others], inside)
        return loss + losses.ALTERNATIVES_WEIGHT * alternatives + losses.TEACHER_WEIGHT * distance

    @torch.no_grad()
    def _update_mean(self) -> None:
        decay = min(EMA_DECAY, (self.step + 1) / (self.step + 10))
        current = self.network.state_dict()
        for name, value in self.mean.state_dict().items():
            value.lerp_(current[name], 1 - decay)

    @torch.no_grad()
    def validate(self, files: Sequence[Path]) -> list[Measures]:
        """Return the mean IoU of each round, of clicks and of boxes, for each window."""
        rows: list[Measures] = []
        for number, file in enumerate(files[:VALIDATION_WINDOWS]):
            rng, window = np.random.default_rng(number), read_window(file, self.device)
            for kind in ("click", "box"):
                labels = window.labels[:VALIDATION_QUESTIONS]
                rounds = play(self.mean, window, first_questions(labels, kind == "box", rng), rng)
                rows.append(
                    {f"{kind}_iou{n}": _mean_iou(window, r) for n, r in enumerate(rounds, 1)}
                )
        return rows

    def save(self, path: Path) -> None:
        """Write a checkpoint atomically."""
        checkpoint = {
            "network": self.network.state_dict(), "mean": self.mean.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "counts": {"step": self.step, "elapsed": self.elapsed, "questions": self.questions},
        }  # fmt: skip
        temporary = path.with_suffix(".part")
        torch.save(checkpoint, temporary)
        temporary.replace(path)

    def load(self, path: Path) -> None:
        """Resume from a checkpoint."""
        checkpoint = torch.load(path, map_location=self.device, weights_only=True)
        self.network.load_state_dict(checkpoint["network"])
        self.mean.load_state_dict(checkpoint["mean"])
        self.optimizer.load_state_dict(checkpoint["optimizer"])
        counts = checkpoint["counts"]
        self.step, self.questions = counts["step"], counts["questions"]
        self.elapsed = counts["elapsed"]
        self.rng = np.random.default_rng(self.step)


def read_window(file: Path, device: torch.device) -> StoredWindow:
    """Return a window from a file of ``embed``."""
    with np.load(file) as values:
        embedding = torch.from_numpy(values["embedding"]).to(device).float()[None]
        labels = values["labels"]
        height, width = values["size"] // MASK_CELL
    inside = torch.zeros(labels.shape[2:], device=device)
    inside[:height, :width] = 1
    return StoredWindow(embedding, labels, inside)


def play(
    network: Decoder, window: StoredWindow, questions: Questions, rng: np.random.Generator
) -> Iterator[Round]:
    """Yield the rounds of questions, each after the first with another click."""
    for _ in range(ROUNDS):
        logits, scores = decode(network, window.embedding, questions)
        yield Round(questions, logits, scores)
        questions = next_questions(questions, logits[:, SINGLE].detach(), rng)


def decode(network: Decoder, embedding: Tensor, questions: Questions) -> tuple[Tensor, Tensor]:
    """Return the answers, logits (n, OUTPUTS, h, w) and scores (n, OUTPUTS), to questions."""
    device = embedding.device
    points = torch.from_numpy(questions.points).to(device)
    kinds = torch.from_numpy(questions.kinds).to(device)
    masks = questions.masks
    has_mask = torch.full((len(points),), float(masks is not None), device=device)
    if masks is None:
        masks = torch.zeros(len(points), 1, *questions.targets.shape[2:], device=device)
    logits, scores = network(embedding, points, kinds, masks, has_mask)
    return logits, scores


def _mean_iou(window: StoredWindow, played: Round) -> float:
    """Return the mean IoU of the single answers with what is wanted."""
    wanted = _to_tensor(played.questions.wanted_targets, window.inside)
    return float(losses.iou(played.logits[:, SINGLE].detach(), wanted, window.inside).mean())


def _to_tensor(values: BinaryMask, like: Tensor) -> Tensor:
    return torch.from_numpy(values).to(like)


class _Timer:
    """A clock that rings every so many seconds; ``rings_now`` also at once."""

    def __init__(self, seconds: float, *, rings_now: bool) -> None:
        self._seconds = seconds
        self._last = -seconds if rings_now else time.monotonic()

    def rings(self) -> bool:
        now = time.monotonic()
        is_due = now - self._last > self._seconds
        self._last = now if is_due else self._last
        return is_due


def train(trainer: Trainer, windows: Path, out: Path, seconds: float, batch: int) -> None:
    """Train until ``seconds`` have been spent in all; the rate falls in the last half."""
    files, held_out = _files(windows / "training"), _files(windows / "validation")
    checkpoints = _Timer(CHECKPOINT_SECONDS, rings_now=False)
    validations = _Timer(VALIDATION_SECONDS, rings_now=True)
    start, rows = time.monotonic() - trainer.elapsed, list[Measures]()
    while trainer.elapsed < seconds:
        if validations.rings():
            _log(out / "validation.csv", trainer, trainer.validate(held_out), ("iou",))
        chosen = [files[i] for i in trainer.rng.integers(len(files), size=batch)]
        rows += trainer.train_step(chosen, min(1.0, 2 * (1 - trainer.elapsed / seconds)))
        trainer.elapsed = time.monotonic() - start
        if trainer.step % LOG_STEPS == 0:
            _log(out / "log.csv", trainer, rows, ("iou", "loss"))
            rows.clear()
        if checkpoints.rings():
            trainer.save(out / "checkpoint.pt")
    trainer.save(out / "checkpoint.pt")
    _log(out / "validation.csv", trainer, trainer.validate(held_out), ("iou",))


def _files(folder: Path) -> list[Path]:
    """Return the files of windows in a folder. Raises ``ValueError``."""
    files = sorted(folder.glob("*.npz"))
    if not files:
        raise ValueError(f"{folder}: no windows; write them with models.training.click.embed")
    return files


def _log(path: Path, trainer: Trainer, rows: Sequence[Measures], names: Sequence[str]) -> None:
    """Append the means of measures to a table; a column without a value stays empty."""
    columns = [f"{k}_{m}{n + 1}" for k in ("click", "box") for m in names for n in range(ROUNDS)]
    values = {c: [row[c] for row in rows if c in row] for c in columns}
    row = {"step": trainer.step, "questions": trainer.questions, "seconds": trainer.elapsed}
    row |= {column: float(np.mean(found)) for column, found in values.items() if found}
    click.echo(f"{path.stem}  " + "  ".join(f"{key} {value:.4g}" for key, value in row.items()))
    is_new = not path.exists()
    with path.open("a", newline="") as file:
        fields = ["step", "questions", "seconds", *columns]
        writer = csv.DictWriter(file, fields, lineterminator="\n")
        if is_new:
            writer.writeheader()
        writer.writerow({key: f"{value:.6g}" for key, value in row.items()})


@click.command(help=__doc__)
@click.option("--windows", required=True, type=click.Path(path_type=Path, exists=True))
@click.option("--weights", required=True, type=click.Path(path_type=Path, exists=True),
              help="Folder of the published sam.onnx.")  # fmt: skip
@click.option("--out", required=True, type=click.Path(path_type=Path))
@click.option("--minutes", default=60.0, show_default=True)
@click.option("--batch", default=4, show_default=True, help="Windows of a step.")
@click.option("--questions", default=2, show_default=True, help="Questions about each window.")
@click.option("--rate", default=1e-4, show_default=True, help="Highest learning rate.")
@click.option("--seed", default=0, show_default=True)
def main(
    windows: Path, weights: Path, out: Path, minutes: float, batch: int, questions: int,
    rate: float, seed: int,
) -> None:  # fmt: skip
    out.mkdir(parents=True, exist_ok=True)
    trainer = Trainer(weights, rate, questions, seed)
    if (out / "checkpoint.pt").exists():
        trainer.load(out / "checkpoint.pt")
    train(trainer, windows, out, 60 * minutes, batch)


if __name__ == "__main__":
    main()
