"""Pictures to make lessons of, on the device: staged ones, ever newer, and flat made scenes."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from models.training.scenes import scenes
from models.training.shadow.chance import Chance
from models.training.stage import farm, stage

STAGED = farm.SIDE  # px of pictures made ahead
AHEAD = 4  # lots of descriptions that wait for each worker


class Descriptions(Dataset[stage.Description]):
    """As many scenes as anyone asks for, each known by its number."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def __len__(self) -> int:
        return 1 << 40

    def __getitem__(self, number: int) -> stage.Description:
        made = stage.describe(np.random.default_rng((self.seed, number)), gone=True)
        return replace(made, shape=(1.0, 1.0))  # all of the frame is photo


def described(seed: int, lot: int, workers: int) -> Iterator[list[stage.Description]]:
    """Lots of new descriptions, made by worker processes."""
    ahead = AHEAD if workers else None
    return iter(DataLoader(
        Descriptions(seed), lot, num_workers=workers, collate_fn=list, prefetch_factor=ahead
    ))  # fmt: skip


class Pool:
    """The newest ``most`` staged pictures: ``photo`` and ``clean`` (n, 3, s, s) uint8, ``thing``
    (n, s, s), ``gone`` (n,); and ``flat`` (m, 3, s, s) with the numbers of what is there, ``leaf``.
    """

    def __init__(self, most: int, flat: int, side: int, device: str) -> None:
        self.side, self.device, self.filled, self._next = side, device, 0, 0
        self._lots = 0
        zeros = functools.partial(torch.zeros, dtype=torch.uint8, device=device)
        self.photo, self.clean = zeros(most, 3, side, side), zeros(most, 3, side, side)
        self.thing, self.gone = zeros(most, side, side), zeros(most)
        self.flat, self.leaf = zeros(flat, 3, side, side), zeros(flat, side, side)
        if device != "cpu":
            stage.fast()

    def flatten(self, seed: int, lot: int) -> None:
        """Make the flat scenes."""
        for first in range(0, len(self.flat), lot):
            count = min(lot, len(self.flat) - first)
            made = scenes.make(seed + first, count, self.side, self.device)
            self.flat[first : first + lot] = made.images.round().byte()
            self.leaf[first : first + lot] = made.whole

    @torch.no_grad()
    def add(self, descriptions: list[stage.Description]) -> None:
        """Stage them, in place of the oldest."""
        self._lots += 1
        staged = stage.render(descriptions, self.side, self.device, gone=True, seed=self._lots)
        assert staged.clean is not None
        photo, clean = ((one * 255).round().byte() for one in (staged.photo, staged.clean))
        self._put(photo, clean, staged.thing.byte(), staged.gone.byte())

    def read(self, folder: Path, known: set[str]) -> None:
        """Take files of ``farm`` that are not ``known`` yet, in place of the oldest."""
        for made in farm.read(folder, known):
            photo, clean, thing = (torch.from_numpy(made[n]) for n in ("photo", "clean", "thing"))
            self._put(photo, clean, thing, torch.ones(len(photo), dtype=torch.uint8))

    def _put(self, photo: Tensor, clean: Tensor, thing: Tensor, gone: Tensor) -> None:
        rows = (torch.arange(len(photo), device=self.device) + self._next) % len(self.photo)
        for held, new in zip(
            (self.photo, self.clean, self.thing, self.gone),
            (photo, clean, thing, gone),
            strict=True,
        ):
            held[rows] = new.to(self.device)
        self._next = (self._next + len(photo)) % len(self.photo)
        self.filled = min(self.filled + len(photo), len(self.photo))

    def staged(self, chance: Chance) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Photo and clean in [0, 1], the numbers of the things, and of the one that is gone."""
        rows = chance.below(self.filled)
        photo, clean = self.photo[rows].float() / 255, self.clean[rows].float() / 255
        return photo, clean, self.thing[rows], self.gone[rows]

    def flats(self, chance: Chance) -> tuple[Tensor, Tensor]:
        rows = chance.below(len(self.flat))
        return self.flat[rows].float() / 255, self.leaf[rows]
