"""The scenes that the click network is trained on, in pools that are renewed all the time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset

from models.training.click import cutouts
from models.training.click.click_simulation import ScenePool
from models.training.click.config import TrainingConfig
from models.training.rendering import render_dataset, renderer
from models.training.rendering.description import Description, describe
from models.training.scenes import scenes as flat_scenes

FLAT_PROBABILITY = 0.2  # of a batch of flat scenes instead of rendered ones
FLAT_PER_READ_SCENE = 0.03  # flat scenes per scene read from a file; on a CPU they take long
CUTOUT_POOL_SIZE = 1500  # scenes


class DescriptionDataset(IterableDataset):  # type: ignore[type-arg]
    """Endless lists of ``count`` scene descriptions, different in each dataloader worker."""

    def __init__(self, count: int, seed: int) -> None:
        self.count, self.seed = count, seed

    def __iter__(self) -> Iterator[list[Description]]:
        info = torch.utils.data.get_worker_info()
        rng = np.random.default_rng([self.seed, info.id if info else 0])
        while True:
            yield [describe(rng) for _ in range(self.count)]


class SceneSource:
    """A ``pool`` of rendered and flat scenes, and a ``cutout_pool`` of scenes with cutouts.

    Scenes are rendered on the device, or read from ``folder``, where ``render_dataset`` writes
    them. ``store`` holds the cutouts; without one the second pool stays empty.
    """

    def __init__(
        self, config: TrainingConfig, device: torch.device, seed: int, folder: Path | None = None,
        workers: int = 0, store: cutouts.Store | None = None, rank: int = 0, world_size: int = 1,
    ) -> None:  # fmt: skip
        self.config, self.device, self.folder, self.store = config, device, folder, store
        self.rank, self.world_size = rank, world_size
        self.rng = np.random.default_rng(seed)
        self.pool = ScenePool.empty(config.pool_size, config.side, device)
        self.cutout_pool = ScenePool.empty(CUTOUT_POOL_SIZE if store else 1, config.side, device)
        self.batches_made = 0
        self.seen_files: set[str] = set()
        if folder is None:
            dataset = DescriptionDataset(config.new_scenes, seed + int(time.time()) % 1000003)
            prefetch = 4 if workers else None
            self.descriptions = iter(
                DataLoader(dataset, batch_size=None, num_workers=workers, prefetch_factor=prefetch)
            )

    def add(self) -> None:
        """Add new scenes to the pools."""
        self._add_pool_scenes()
        if self.store:
            self._add_cutout_scenes(self.store)

    def _add_cutout_scenes(self, store: cutouts.Store) -> None:
        """Composite cutouts onto scenes of the pool."""
        rows = torch.from_numpy(self.rng.integers(self.pool.filled, size=self.config.cutout_scenes))
        scenes = [
            cutouts.compose(store, cutouts.Scene(photo, thing, part), self.rng)
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
        self.cutout_pool.put(
            photo.movedim(3, 1), thing, part, torch.ones_like(thing, dtype=torch.bool)
        )

    def _add_pool_scenes(self) -> None:
        self.batches_made += 1
        if self.folder is not None:
            if self.batches_made % 100 == 1:
                self._read_new_files(self.folder)
            return
        descriptions = next(self.descriptions)
        if self.batches_made % round(1 / FLAT_PROBABILITY) == 0:
            self._add_flat_scenes(self.config.new_scenes)
            return
        scenes = renderer.render(
            descriptions, self.config.side, self.device, seed=self.batches_made
        )
        sharp = scenes.defocus < 3
        self.pool.put(scenes.photo * 255, scenes.thing * sharp, scenes.part * sharp, scenes.inside)

    def _read_new_files(self, folder: Path) -> None:
        """Read the files that are new in the folder, and add a share of flat scenes."""
        count = 0
        for arrays in render_dataset.read_rendered(
            folder, self.seen_files, self.rank, self.world_size
        ):
            photo, thing, part, inside = (
                torch.from_numpy(arrays[n]).to(self.device)
                for n in ("photo", "thing", "part", "inside")
            )
            self.pool.put(photo, thing, part, inside.bool())
            count += len(photo)
        if flat := round(count * FLAT_PER_READ_SCENE):
            self._add_flat_scenes(flat)

    def _add_flat_scenes(self, count: int) -> None:
        scenes = flat_scenes.draw_scenes(
            self.pool.next + self.batches_made, count, self.config.side, self.device
        )
        inside = (scenes.images == scenes.images.round()).all(1)
        self.pool.put(scenes.images, scenes.thing, scenes.part, inside)
