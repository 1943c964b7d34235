"""The cache of image embeddings, in memory and on disk."""

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

from segment2inpaint.detect.sam.checkpoint import build, read
from segment2inpaint.detect.sam.embeddings import MAX_IN_MEMORY, Embedding, EmbeddingCache, digest
from segment2inpaint.detect.sam.original import OriginalSamModel, SamDetector
from segment2inpaint.detect.sam.predictor import PromptableDetector
from segment2inpaint.types import Image, Points

CLICK = [Points(((20, 15),))]


def photo(seed: int = 0, size: tuple[int, int] = (30, 40)) -> Image:
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)


class MeanEncoder:
    """Embeds a photo as its mean, and records the number of photos of each run."""

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


def cache_files(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def test_a_photo_is_embedded_only_once(checkpoint: Path) -> None:
    cache, encoder = EmbeddingCache(checkpoint, "x"), MeanEncoder()
    (first,) = cache.get([photo()], encoder)
    (again,) = cache.get([photo().copy()], encoder)
    assert encoder.runs == [1]
    assert again["mean"] is first["mean"]
    cache.get([photo(1), photo(), photo(2), photo(1)], encoder)
    assert encoder.runs == [1, 2]
    cache.get([photo().reshape(40, 30, 3)], encoder)
    assert encoder.runs == [1, 2, 1]


def test_memory_holds_the_last_photos_only(checkpoint: Path) -> None:
    cache, encoder = EmbeddingCache(checkpoint, "x"), MeanEncoder()
    for seed in range(MAX_IN_MEMORY + 1):
        cache.get([photo(seed)], encoder)
    cache.get([photo(MAX_IN_MEMORY)], encoder)
    assert len(encoder.runs) == MAX_IN_MEMORY + 1
    cache.get([photo(0)], encoder)
    assert len(encoder.runs) == MAX_IN_MEMORY + 2


def test_a_new_cache_reads_the_file_of_an_earlier_one(checkpoint: Path, tmp_path: Path) -> None:
    folder, encoder = tmp_path / "cache", MeanEncoder()
    (computed,) = EmbeddingCache(checkpoint, "x", folder).get([photo()], encoder)
    (found,) = EmbeddingCache(checkpoint, "x", folder).get([photo()], encoder)
    assert encoder.runs == [1]
    assert torch.equal(computed["mean"], found["mean"])


def test_another_checkpoint_or_variant_is_another_file(checkpoint: Path, tmp_path: Path) -> None:
    folder, encoder = tmp_path / "cache", MeanEncoder()
    other = tmp_path / "other.pth"
    other.write_bytes(b"other weights")
    for path, variant in ((checkpoint, "x"), (other, "x"), (checkpoint, "half")):
        EmbeddingCache(path, variant, folder).get([photo()], encoder)
    assert encoder.runs == [1, 1, 1]
    moved = checkpoint.rename(tmp_path / "moved.pth")
    EmbeddingCache(moved, "x", folder).get([photo()], encoder)
    assert encoder.runs == [1, 1, 1]


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:20],
        lambda data: data[:-1],
        lambda data: data[:-3] + bytes([data[-3] ^ 1]) + data[-2:],
        lambda data: b"not a cache file at all, but longer than a digest",
    ],
)
def test_a_damaged_file_is_computed_and_written_again(
    checkpoint: Path, tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    folder, encoder = tmp_path / "cache", MeanEncoder()
    EmbeddingCache(checkpoint, "x", folder).get([photo()], encoder)
    (file,) = cache_files(folder)
    intact = file.read_bytes()
    file.write_bytes(damage(intact))
    (embedding,) = EmbeddingCache(checkpoint, "x", folder).get([photo()], encoder)
    assert encoder.runs == [1, 1]
    assert embedding["mean"][0, 0] == pytest.approx(photo().mean(), rel=1e-5)
    assert file.read_bytes() == intact


def test_the_folder_stays_small_and_drops_the_least_recently_used(
    checkpoint: Path, tmp_path: Path
) -> None:
    folder, encoder = tmp_path / "cache", MeanEncoder()
    EmbeddingCache(checkpoint, "x", folder).get([photo(0)], encoder)
    (first,) = cache_files(folder)
    size = 3 * first.stat().st_size
    os.utime(first, (1, 1))
    for seed in (1, 2):
        EmbeddingCache(checkpoint, "x", folder, size).get([photo(seed)], encoder)
    EmbeddingCache(checkpoint, "x", folder, size).get([photo(0)], encoder)  # a use, so it is new
    assert first.stat().st_mtime > 1
    for i, file in enumerate(sorted(set(cache_files(folder)) - {first})):
        os.utime(file, (10 + i, 10 + i))
    EmbeddingCache(checkpoint, "x", folder, size).get([photo(3)], encoder)
    assert first in cache_files(folder)
    assert len(cache_files(folder)) == 3
    assert sum(file.stat().st_size for file in cache_files(folder)) <= size


def test_a_folder_that_cannot_be_written_is_ignored(checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (embedding,) = EmbeddingCache(checkpoint, "x", tmp_path / "file").get([photo()], MeanEncoder())
    assert embedding["mean"].shape == (1, 4)


def test_a_cache_without_folder_writes_no_file(checkpoint: Path, tmp_path: Path) -> None:
    before = set(tmp_path.rglob("*"))
    EmbeddingCache(checkpoint, "x").get([photo()], MeanEncoder())
    assert set(tmp_path.rglob("*")) == before


def test_the_digest_of_a_folder_depends_on_weights_and_settings_only(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"1")
    before = digest(tmp_path)
    (tmp_path / "README.md").write_text("changes nothing")
    assert digest(tmp_path) == before
    (tmp_path / "config.json").write_text("{ }")
    assert digest(tmp_path) != before


def test_a_second_detector_gives_the_same_mask_without_its_encoder(tmp_path: Path) -> None:
    checkpoint, folder = tiny.save_sam(tmp_path), tmp_path / "cache"
    image = photo(size=(60, 80))
    first = SamDetector(checkpoint, "cpu", folder).detect(image, CLICK)
    sam = build(read(checkpoint), checkpoint)
    del sam.image_encoder.blocks
    model = OriginalSamModel(sam, "cpu")
    second = PromptableDetector(model, EmbeddingCache(checkpoint, model.variant, folder))
    assert (second.detect(image, CLICK)[0].mask == first[0].mask).all()


def fill_cache(checkpoint: Path, folder: Path, size: int) -> list[float]:
    """Return the embeddings of photos that two processes embed and drop at the same time."""
    means = []
    for seed in (*range(12), *range(12)):
        (embedding,) = EmbeddingCache(checkpoint, "x", folder, size).get(
            [photo(seed)], MeanEncoder()
        )
        means.append(float(embedding["mean"][0, 0]))
    return means


@pytest.mark.slow
def test_two_processes_can_share_a_folder(checkpoint: Path, tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        jobs = [pool.submit(fill_cache, checkpoint, folder, 1500) for _ in range(2)]
        both = [job.result() for job in jobs]
    expected = [photo(seed).mean() for seed in (*range(12), *range(12))]
    assert both == [pytest.approx(expected, rel=1e-5)] * 2
    assert not list(folder.glob("*.part"))
    assert sum(file.stat().st_size for file in cache_files(folder)) <= 1500 + 400
