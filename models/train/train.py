"""Train the small segmenter on made scenes, from nothing.

    python models/train/train.py --out out/full                # all of it; a GPU wants hours
    python models/train/train.py --out out/full --minutes 9    # a piece of it; repeat to go on

Kill it when you like: it goes on from the last checkpoint and comes to the same weights. OUT gets
checkpoint.pt, log.csv, curve.png, table.md, model.safetensors (16 bits, for `--detector PATH`)
and a card for it.
"""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import click
import scenes
import torch
from accelerate import Accelerator
from lessons import Verdict, targets, teach
from network import SIZES, export, make, write
from segment_anything.modeling import Sam

CLIP = 1.0  # the largest norm of a gradient
FIELDS = ("step", "loss", "focal", "dice", "score", "first", "last", "rate", "seconds")
ROWS = 12  # of the table


@dataclass(frozen=True)
class Plan:
    """A run: it and the device determine the weights.

    ``batch`` scenes a step with ``each`` objects, asked for ``rounds`` times; ``rate`` the
    highest learning rate, reached after ``warmup`` steps, from where it falls to 0 as a cosine;
    ``log`` steps to a row of the log.
    """

    size: str
    steps: int
    batch: int
    each: int
    rounds: int
    rate: float
    warmup: int
    log: int
    seed: int = 0


PLANS = {
    "full": Plan("full", 100_000, 32, 8, 4, 6e-4, 2000, 100),
    "small": Plan("small", 4000, 8, 6, 3, 1e-3, 100, 50),
    "toy": Plan("toy", 700, 6, 8, 1, 3e-3, 20, 20),
}


class Training:
    """Network, optimiser and schedule of a plan, at some step of it."""

    def __init__(self, plan: Plan, device: str) -> None:
        self.plan, self.step = plan, 0
        cpu = device == "cpu"
        half = "no" if cpu or not torch.cuda.is_bf16_supported() else "bf16"
        self._accelerator = Accelerator(cpu=cpu, mixed_precision=half)
        network = make(SIZES[plan.size], plan.seed)
        optimiser = torch.optim.AdamW(
            network.parameters(), plan.rate, betas=(0.9, 0.98), weight_decay=0.05
        )
        self.sam: Sam
        self.sam, self._optimiser = self._accelerator.prepare(network, optimiser)
        self._schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, self._share)

    @property
    def rate(self) -> float:
        return float(self._schedule.get_last_lr()[0])

    def advance(self) -> Verdict:
        """One step. Its scenes and questions hang on the seed and the step's number alone."""
        plan, device = self.plan, self._accelerator.device
        seed = plan.seed * 1_000_003 + self.step
        made = scenes.make(seed, plan.batch, SIZES[plan.size].side, device)
        dice = torch.Generator(device).manual_seed(seed)
        asked = targets(made, plan.each, dice)
        with self._accelerator.autocast():  # the encoder alone: the decoder's places are fine
            embeddings = self.sam.image_encoder(self.sam.preprocess(made.images)).float()
        verdict = teach(self.sam, embeddings, asked, plan.rounds, dice)
        self._accelerator.backward(verdict.loss)
        norm = self._accelerator.clip_grad_norm_(self.sam.parameters(), CLIP)
        if torch.isfinite(norm):
            self._optimiser.step()
        self._optimiser.zero_grad()
        self._schedule.step()
        self.step += 1
        return verdict

    def save(self, path: Path) -> None:
        """All that the next step needs, whole or not at all."""
        content = io.BytesIO()
        torch.save({"plan": asdict(self.plan), "step": self.step} | self._states(), content)
        write(path, content.getvalue())

    def load(self, path: Path) -> None:
        """Raises ``click.ClickException`` for a checkpoint of another plan."""
        state = torch.load(path, map_location="cpu", weights_only=True)
        if state["plan"] != asdict(self.plan):
            raise click.ClickException(
                f"{path}: of another plan, {state['plan']}, not {asdict(self.plan)}; "
                "give the same options, or another --out"
            )
        self.sam.load_state_dict(state["model"])
        self._optimiser.load_state_dict(state["optimiser"])
        self._schedule.load_state_dict(state["schedule"])
        torch.set_rng_state(state["random"])
        if "random of the gpu" in state:
            torch.cuda.set_rng_state(state["random of the gpu"])
        self.step = state["step"]

    def _states(self) -> dict[str, Any]:
        states = {
            "model": self.sam.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "schedule": self._schedule.state_dict(),
            "random": torch.get_rng_state(),
        }
        if self._accelerator.device.type == "cuda":
            states["random of the gpu"] = torch.cuda.get_rng_state()
        return states

    def _share(self, step: int) -> float:
        """Of the highest learning rate."""
        plan = self.plan
        if step < plan.warmup:
            return (step + 1) / plan.warmup
        left = (plan.steps - step) / max(1, plan.steps - plan.warmup)
        return float(torch.sin(torch.tensor(left * torch.pi / 2)) ** 2)


def run(plan: Plan, out: Path, device: str, minutes: float, save_every: float = 60) -> Training:
    """Go on in ``out`` until the plan is done or the minutes are over; 0 of them: no limit."""
    end = time.monotonic() + 60 * minutes if minutes else float("inf")
    out.mkdir(parents=True, exist_ok=True)
    training, checkpoint = Training(plan, device), out / "checkpoint.pt"
    if checkpoint.exists():
        training.load(checkpoint)
    rows = _cut(out / "log.csv", training.step)
    saved = time.monotonic()
    while training.step < plan.steps and time.monotonic() < end:
        rows.append(_stretch(training))
        _log(out / "log.csv", rows)
        click.echo("  ".join(f"{k} {v:.4g}" for k, v in rows[-1].items()))
        if time.monotonic() - saved >= save_every:
            training.save(checkpoint)
            saved = time.monotonic()
    training.save(checkpoint)
    _finish(training, rows, out)
    return training


def _stretch(training: Training) -> dict[str, float]:
    """As many steps as make a row of the log, and that row: the means."""
    start, plan = time.perf_counter(), training.plan
    verdicts = [training.advance() for _ in range(min(plan.log, plan.steps - training.step))]
    means = {
        name: float(torch.stack([getattr(v, name).detach().mean() for v in verdicts]).mean())
        for name in ("loss", "focal", "dice", "score", "first", "last")
    }
    spent = time.perf_counter() - start
    return {"step": training.step, **means, "rate": training.rate, "seconds": spent}


def _cut(path: Path, step: int) -> list[dict[str, float]]:
    """The log's rows up to a step: what came after the checkpoint is made again."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        rows = [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]
    return [row for row in rows if row["step"] <= step]


def _log(path: Path, rows: list[dict[str, float]]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, FIELDS, lineterminator="\n")
    writer.writeheader()
    writer.writerows({k: f"{v:.6g}" for k, v in row.items()} for row in rows)
    write(path, text.getvalue().encode())


def _finish(training: Training, rows: list[dict[str, float]], out: Path) -> None:
    export(training.sam, out, training.step)
    if rows:
        write(out / "table.md", "\n".join(_table(rows)).encode())
        _curve(rows, out / "curve.png")


def _table(rows: list[dict[str, float]]) -> Iterator[str]:
    yield "| step | loss | IoU after the first prompt | after the last | seconds |"
    yield "|---|---|---|---|---|"
    spent = 0.0
    shown = {round(i * (len(rows) - 1) / max(1, ROWS - 1)) for i in range(ROWS)}
    for number, row in enumerate(rows):
        spent += row["seconds"]
        if number in shown:
            yield _line(row, spent)
    yield ""


def _line(row: Mapping[str, float], spent: float) -> str:
    return (
        f"| {row['step']:.0f} | {row['loss']:.3f} | {row['first']:.3f} | {row['last']:.3f} "
        f"| {spent:.0f} |"
    )


def _curve(rows: list[dict[str, float]], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3), layout="constrained")
    left, right = figure.subplots(1, 2)
    steps = [row["step"] for row in rows]
    left.plot(steps, [row["loss"] for row in rows])
    left.set(xlabel="step", ylabel="loss")
    for name, label in (("first", "first prompt"), ("last", "last")):
        right.plot(steps, [row[name] for row in rows], label=label)
    right.set(xlabel="step", ylabel="IoU, training scenes", ylim=(0, 1))
    right.legend()
    figure.savefig(path, dpi=80)


@click.command(help=__doc__)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder of the run.")
@click.option("--plan", "name", default="full", type=click.Choice(list(PLANS)), show_default=True)
@click.option("--minutes", default=0.0, help="Stop after so many, to be continued; 0: at the end.")
@click.option("--steps", type=click.IntRange(1), help="Instead of the plan's.")
@click.option("--seed", default=0, show_default=True)
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto")
def main(out: Path, name: str, minutes: float, steps: int | None, seed: int, device: str) -> None:
    plan = replace(PLANS[name], seed=seed)
    if steps:
        plan = replace(plan, steps=steps)
    here = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda" and here == "cpu":
        raise click.ClickException("no CUDA device on this machine; leave out --device cuda")
    training = run(plan, out, here if device == "auto" else device, minutes)
    click.echo(f"{training.step} of {plan.steps} steps done, {out / 'model.safetensors'} written")


if __name__ == "__main__":
    main()
