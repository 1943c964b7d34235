"""A pool of scenes on the training device: rendered ones, renewed all the time, and flat ones."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from models.training.batch_random import BatchRandom
from models.training.rendering import render_dataset, renderer
from models.training.rendering.description import Description, describe
from models.training.scenes import scenes

RENDERED_SIDE = render_dataset.SIDE  # px, side of scenes read from files
PREFETCH_BATCHES = 4  # batches of descriptions queued per worker


class DescriptionDataset(Dataset[Description]):
    """A practically endless dataset of scene descriptions, determined by seed and index."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def __len__(self) -> int:
        return 1 << 40

    def __getitem__(self, number: int) -> Description:
        description = describe(np.random.default_rng((self.seed, number)), removable=True)
        return replace(description, shape=(1.0, 1.0))  # the photo fills the frame


def description_batches(seed: int, batch_size: int, workers: int) -> Iterator[list[Description]]:
    """Yield batches of new descriptions, made by dataloader workers."""
    prefetch = PREFETCH_BATCHES if workers else None
    return iter(DataLoader(
        DescriptionDataset(seed), batch_size, num_workers=workers, collate_fn=list,
        prefetch_factor=prefetch,
    ))  # fmt: skip


class ScenePool:
    """The newest ``capacity`` rendered scenes, and ``flat_count`` flat ones; all tensors are uint8.

    Rendered: ``photo`` and ``clean`` (n, 3, s, s), instance numbers ``thing`` (n, s, s), and the
    number of the thing that ``clean`` lacks, ``removed`` (n,). Flat: ``flat`` (m, 3, s, s) and its
    instance numbers ``flat_thing`` (m, s, s).
    """

    def __init__(self, capacity: int, flat_count: int, side: int, device: str) -> None:
        self.side, self.device, self.filled, self._next = side, device, 0, 0
        self._batch_number = 0
        zeros = functools.partial(torch.zeros, dtype=torch.uint8, device=device)
        self.photo, self.clean = zeros(capacity, 3, side, side), zeros(capacity, 3, side, side)
        self.thing, self.removed = zeros(capacity, side, side), zeros(capacity)
        self.flat, self.flat_thing = zeros(flat_count, 3, side, side), zeros(flat_count, side, side)
        if device != "cpu":
            renderer.compile_kernels()

    def fill_flat(self, seed: int, batch_size: int) -> None:
        """Draw the flat scenes, ``batch_size`` at a time."""
        for first in range(0, len(self.flat), batch_size):
            count = min(batch_size, len(self.flat) - first)
            drawn = scenes.draw_scenes(seed + first, count, self.side, self.device)
            self.flat[first : first + batch_size] = drawn.images.round().byte()
            self.flat_thing[first : first + batch_size] = drawn.thing

    @torch.no_grad()
    def add(self, descriptions: list[Description]) -> None:
        """Render scenes in place of the oldest."""
        self._batch_number += 1
        rendered = renderer.render(
            descriptions, self.side, self.device, clean_plate=True, seed=self._batch_number
        )
        assert rendered.clean is not None
        photo, clean = (
            (picture * 255).round().byte() for picture in (rendered.photo, rendered.clean)
        )
        self._put(photo, clean, rendered.thing.byte(), rendered.removed.byte())

    def read_rendered(self, folder: Path, seen_files: set[str]) -> None:
        """Read files of ``render_dataset`` that are not in ``seen_files`` into the pool."""
        for batch in render_dataset.read_rendered(folder, seen_files):
            photo, clean, thing = (torch.from_numpy(batch[n]) for n in ("photo", "clean", "thing"))
            self._put(photo, clean, thing, torch.ones(len(photo), dtype=torch.uint8))

    def _put(self, photo: Tensor, clean: Tensor, thing: Tensor, removed: Tensor) -> None:
        rows = (torch.arange(len(photo), device=self.device) + self._next) % len(self.photo)
        for stored, new in zip(
            (self.photo, self.clean, self.thing, self.removed),
            (photo, clean, thing, removed),
            strict=True,
        ):
            stored[rows] = new.to(self.device)
        self._next = (self._next + len(photo)) % len(self.photo)
        self.filled = min(self.filled + len(photo), len(self.photo))

    def sample_rendered(self, rng: BatchRandom) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return random photos, clean plates (in [0, 1]), labels, and numbers of removed things."""
        rows = rng.integers(self.filled)
        photo, clean = self.photo[rows].float() / 255, self.clean[rows].float() / 255
        return photo, clean, self.thing[rows], self.removed[rows]

    def sample_flat(self, rng: BatchRandom) -> tuple[Tensor, Tensor]:
        """Return random flat scenes in [0, 1] and their instance numbers."""
        rows = rng.integers(len(self.flat))
        return self.flat[rows].float() / 255, self.flat_thing[rows]
