"""Embeddings kept in memory and on disk."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch

from segment2inpaint.detect.sam.embeddings import IN_MEMORY, Embedding, EmbeddingCache, digest
from segment2inpaint.detect.sam.original import SamDetector
from segment2inpaint.types import Image, Points

CLICK = [Points(((20, 15),))]


def photo(seed: int = 0, size: tuple[int, int] = (30, 40)) -> Image:
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)


class Encoder:
    """Embeds a photo as its mean, and counts how often."""

    def __init__(self) -> None:
        self.runs: list[int] = []

    def __call__(self, images: Sequence[Image]) -> list[Embedding]:
        self.runs.append(len(images))
        return [{"mean": torch.full((1, 4), float(image.mean()))} for image in images]


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    path = tmp_path / "weights.pth"
    path.write_bytes(b"weights")
    return path


def entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def test_a_photo_is_embedded_once(checkpoint: Path) -> None:
    kept, encoder = EmbeddingCache(checkpoint, "x"), Encoder()
    (first,) = kept.get([photo()], encoder)
    (again,) = kept.get([photo().copy()], encoder)
    assert encoder.runs == [1]
    assert again["mean"] is first["mean"]
    kept.get([photo(1), photo(), photo(2), photo(1)], encoder)
    assert encoder.runs == [1, 2]
    kept.get([photo().reshape(40, 30, 3)], encoder)
    assert encoder.runs == [1, 2, 1]


def test_memory_has_an_end(checkpoint: Path) -> None:
    kept, encoder = EmbeddingCache(checkpoint, "x"), Encoder()
    for seed in range(IN_MEMORY + 1):
        kept.get([photo(seed)], encoder)
    kept.get([photo(IN_MEMORY)], encoder)
    assert len(encoder.runs) == IN_MEMORY + 1
    kept.get([photo(0)], encoder)
    assert len(encoder.runs) == IN_MEMORY + 2


def test_the_next_run_finds_it_on_disk(checkpoint: Path, tmp_path: Path) -> None:
    folder, encoder = tmp_path / "cache", Encoder()
    (made,) = EmbeddingCache(checkpoint, "x", folder).get([photo()], encoder)
    (found,) = EmbeddingCache(checkpoint, "x", folder).get([photo()], encoder)
    assert encoder.runs == [1]
    assert torch.equal(made["mean"], found["mean"])


def test_another_checkpoint_or_kind_is_another_entry(checkpoint: Path, tmp_path: Path) -> None:
    folder, encoder = tmp_path / "cache", Encoder()
    other = tmp_path / "other.pth"
    other.write_bytes(b"other weights")
    for path, kind in ((checkpoint, "x"), (other, "x"), (checkpoint, "half")):
        EmbeddingCache(path, kind, folder).get([photo()], encoder)
    assert encoder.runs == [1, 1, 1]
    moved = checkpoint.rename(tmp_path / "moved.pth")
    EmbeddingCache(moved, "x", folder).get([photo()], encoder)
    assert encoder.runs == [1, 1, 1]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: b"",
        lambda data: data[:20],
        lambda data: data[:-1],
        lambda data: data[:-3] + bytes([data[-3] ^ 1]) + data[-2:],
        lambda data: b"not an entry at all, but longer than a digest",
    ],
)
def test_a_damaged_entry_is_made_anew(
    checkpoint: Path, tmp_path: Path, spoil: Callable[[bytes], bytes]
) -> None:
    folder, encoder = tmp_path / "cache", Encoder()
    EmbeddingCache(checkpoint, "x", folder).get([photo()], encoder)
    (entry,) = entries(folder)
    whole = entry.read_bytes()
    entry.write_bytes(spoil(whole))
    (made,) = EmbeddingCache(checkpoint, "x", folder).get([photo()], encoder)
    assert encoder.runs == [1, 1]
    assert made["mean"][0, 0] == pytest.approx(photo().mean(), rel=1e-5)
    assert entry.read_bytes() == whole


def test_the_folder_keeps_its_size_and_what_was_used_last(checkpoint: Path, tmp_path: Path) -> None:
    folder, encoder = tmp_path / "cache", Encoder()
    EmbeddingCache(checkpoint, "x", folder).get([photo(0)], encoder)
    (first,) = entries(folder)
    size = 3 * first.stat().st_size
    os.utime(first, (1, 1))
    for seed in (1, 2):
        EmbeddingCache(checkpoint, "x", folder, size).get([photo(seed)], encoder)
    EmbeddingCache(checkpoint, "x", folder, size).get(
        [photo(0)], encoder
    )  # used, so no longer oldest
    assert first.stat().st_mtime > 1
    for i, entry in enumerate(sorted(set(entries(folder)) - {first})):
        os.utime(entry, (10 + i, 10 + i))
    EmbeddingCache(checkpoint, "x", folder, size).get([photo(3)], encoder)
    assert first in entries(folder)
    assert len(entries(folder)) == 3
    assert sum(entry.stat().st_size for entry in entries(folder)) <= size


def test_a_folder_that_cannot_be_written(checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (made,) = EmbeddingCache(checkpoint, "x", tmp_path / "file").get([photo()], Encoder())
    assert made["mean"].shape == (1, 4)


def test_no_folder_writes_nothing(checkpoint: Path, tmp_path: Path) -> None:
    before = set(tmp_path.rglob("*"))
    EmbeddingCache(checkpoint, "x").get([photo()], Encoder())
    assert set(tmp_path.rglob("*")) == before


def test_digest_of_a_folder_is_that_of_weights_and_settings(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"1")
    one = digest(tmp_path)
    (tmp_path / "README.md").write_text("changes nothing")
    assert digest(tmp_path) == one
    (tmp_path / "config.json").write_text("{ }")
    assert digest(tmp_path) != one


def test_a_second_detector_does_not_run_its_encoder(tmp_path: Path) -> None:
    """Mask for mask the same, from what the first one left on disk."""
    checkpoint, folder = tiny.save_sam(tmp_path), tmp_path / "cache"
    image = photo(size=(60, 80))
    first = SamDetector(checkpoint, "cpu", folder).detect(image, CLICK)
    second = SamDetector(checkpoint, "cpu", folder)
    del second._network._sam.image_encoder.blocks
    masks = second.detect(image, CLICK)
    assert (masks[0].mask == first[0].mask).all()


def _fill(checkpoint: Path, folder: Path, size: int) -> list[float]:
    """What one process finds, embedding and dropping the same photos as the other."""
    kept = []
    for seed in (*range(12), *range(12)):
        (made,) = EmbeddingCache(checkpoint, "x", folder, size).get([photo(seed)], Encoder())
        kept.append(float(made["mean"][0, 0]))
    return kept


@pytest.mark.slow
def test_two_processes_fill_one_folder(checkpoint: Path, tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        jobs = [pool.submit(_fill, checkpoint, folder, 1500) for _ in range(2)]
        both = [job.result() for job in jobs]
    expected = [photo(seed).mean() for seed in (*range(12), *range(12))]
    assert both == [pytest.approx(expected, rel=1e-5)] * 2
    assert not list(folder.glob("*.part"))
    assert sum(entry.stat().st_size for entry in entries(folder)) <= 1500 + 400
