"""``--dry-run --estimate``: the forecast of a run, from a trial that leaves nothing behind."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from dataset_photos import batch_red
from PIL import Image

from segment2inpaint.dataset import estimate
from segment2inpaint.dataset.manifest_rows import photo_record
from segment2inpaint.dataset.run_types import Json, PhotoJob

SMALL, LARGE = (60, 80), (600, 800)  # height, width
START, SECONDS_PER_PHOTO, SECONDS_PER_MEGAPIXEL = 3.0, 0.3, 2.0  # of a simulated run


def simulated_seconds(height: int, width: int) -> float:
    return SECONDS_PER_PHOTO + SECONDS_PER_MEGAPIXEL * height * width / 1e6


class SimulatedPool:
    """Two workers on a clock of their own, whose photos take ``simulated_seconds``."""

    def __init__(self) -> None:
        self.now, self.outputs = 0.0, list[str]()

    def __enter__(self) -> SimulatedPool:
        self.now += START
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def run(self, jobs: Iterable[PhotoJob], count: int) -> Iterator[Json]:
        for job in jobs:
            with Image.open(job.photo) as photo:
                seconds = simulated_seconds(photo.height, photo.width)
            self.now += seconds / 2
            self.outputs.append(job.output)
            yield photo_record(job, [], "done", seconds=seconds)


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> SimulatedPool:
    simulated = SimulatedPool()
    monkeypatch.setattr(estimate, "open_pool", lambda *_: simulated)
    monkeypatch.setattr(estimate, "perf_counter", lambda: simulated.now)
    return simulated


def save_photos(folder: Path, small: int, large: int) -> Path:
    """Save gray photos, of which the large ones come last."""
    folder.mkdir()
    for number in range(small + large):
        size = SMALL if number < small else LARGE
        Image.fromarray(np.full(size, 128, np.uint8)).save(folder / f"{number:04d}.png")
    return folder


def run_estimate(source: Path, out: Path, workers: int) -> Result:
    return batch_red(source, out, "--dry-run", "--estimate", "--workers", workers)


def estimated_seconds(result: Result) -> float:
    assert result.exit_code == 0, result.output
    found = re.search(r"^estimate with \d+ workers?: (\d+) s\b", result.stdout, re.MULTILINE)
    assert found, result.stdout
    return float(found[1])


def test_the_forecast_of_photos_of_two_sizes_is_right(tmp_path: Path, pool: SimulatedPool) -> None:
    source = save_photos(tmp_path / "in", small=280, large=40)
    true = START + (280 * simulated_seconds(*SMALL) + 40 * simulated_seconds(*LARGE)) / 2
    result = run_estimate(source, tmp_path / "out", 2)
    assert estimated_seconds(result) == pytest.approx(true, rel=0.2)
    assert len(pool.outputs) < 60


def test_a_trial_of_all_photos_gives_their_time(tmp_path: Path, pool: SimulatedPool) -> None:
    result = run_estimate(save_photos(tmp_path / "in", 0, 6), tmp_path / "out", 2)
    true = START + 6 * simulated_seconds(*LARGE) / 2
    assert estimated_seconds(result) == pytest.approx(true, abs=1)
    assert "6 photos timed" in result.stdout


def test_retried_photos_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Retrying(SimulatedPool):
        def run(self, jobs: Iterable[PhotoJob], count: int) -> Iterator[Json]:
            for number, record in enumerate(super().run(jobs, count)):
                yield {**record, "rows": [{**record["rows"][0], "attempts": 1 + number % 2}]}

    monkeypatch.setattr(estimate, "open_pool", lambda *_: Retrying())
    result = run_estimate(save_photos(tmp_path / "in", 4, 0), tmp_path / "out", 1)
    assert "4 photos timed, 2 of them retried" in result.stdout


def test_each_beginning_of_a_sample_has_large_photos_in_proportion_to_their_cost() -> None:
    costs = [1.0] * 900 + [81.0] * 100  # the large ones make up nine tenths of the cost
    sample = estimate.draw_sample(costs)
    assert sorted(sample) == list(range(1000))
    for count in (10, 30, 60):
        share = sum(index >= 900 for index in sample[:count]) / count
        assert share == pytest.approx(0.9, abs=0.1)


def test_photos_that_cannot_be_read_give_no_estimate(tmp_path: Path) -> None:
    source = save_photos(tmp_path / "in", 2, 0)
    for path in source.iterdir():
        path.write_bytes(path.read_bytes()[:100])  # the header is whole
    result = run_estimate(source, tmp_path / "out", 1)
    assert "none of the trial photos could be edited" in result.stdout
