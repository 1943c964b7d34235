"""Sizes of training runs of the click network."""

from __future__ import annotations

from dataclasses import dataclass

from models.training.rendering import render_dataset


@dataclass(frozen=True)
class TrainingConfig:
    """Sizes of a run.

    ``size`` names the network's size. Each step takes ``batch_size`` samples from pools of
    ``pool_size`` scenes of ``side`` px, and adds ``new_scenes`` scenes and ``cutout_scenes`` with
    cutouts. ``learning_rate`` is the highest, after ``warmup_steps``.
    """

    size: str
    batch_size: int
    side: int
    new_scenes: int
    pool_size: int
    learning_rate: float
    cutout_scenes: int = 4
    weight_decay: float = 0.03
    warmup_steps: int = 150


CONFIGS = {
    "full": TrainingConfig("full", 320, 320, 24, 4096, 1e-3, 40),
    "small": TrainingConfig("small", 32, render_dataset.SIDE, 8, 12000, 1e-3),
}
