"""Forecast how long a run will take, from a sample that is edited as the run would do it.

The sample is drawn with probability proportional to what each photo is expected to cost (Hansen
and Hurwitz, "On the theory of sampling from finite populations", 1943), by its size, its objects
and their sizes as far as these are known without decoding it. Each beginning of the sample covers
the range of costs, so it can end at any time.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from segment2inpaint.dataset.formats.registry import Source
from segment2inpaint.dataset.header_checks import picture_header
from segment2inpaint.dataset.plan import RunPlan
from segment2inpaint.dataset.run_types import FAILED_STATUSES, EditItem, Json, PhotoJob
from segment2inpaint.dataset.runner import open_pool, write_summary_files
from segment2inpaint.errors import Segment2InpaintError

MAX_HEADERS = 2000  # photos whose headers are read; of a larger run, a sample
MIN_TIMED = 10  # photos that are timed, after those that load the models
MAX_SHARE = 0.1  # of the run that the trial takes, if that is enough for MIN_TIMED
MAX_SECONDS, FEWEST_TIMED = 30.0, 3  # of a trial, after which fewer photos are enough
# The expected cost of a photo, of one megapixel of it, of an object and of a megapixel of object.
PHOTO_COST, MEGAPIXEL_COST, OBJECT_COST, OBJECT_MEGAPIXEL_COST = 1.0, 4.0, 1.0, 30.0
OBJECT_SHARE = 0.03  # of its photo, the size of an object of unknown size
DRAWS_PER_PHOTO = 8  # with repetition; a photo that none of them meets comes last
GOLDEN_RATIO = (5**0.5 - 1) / 2  # its multiples, modulo 1, are spread evenly


@dataclass(frozen=True)
class Estimate:
    """The forecast of a run, in wall seconds.

    Attributes:
        start: starting the workers and loading the models.
        photos: editing the photos and writing the results.
        timed: the number of photos in the trial.
        retried: those of them that took more than one attempt.
        error: the standard error of ``photos``.
        planning: reading and checking the source.
        summary: writing the manifest, the report and the annotations.
    """

    start: float
    photos: float
    timed: int
    retried: int
    error: float = 0.0
    planning: float = 0.0
    summary: float = 0.0

    @property
    def seconds(self) -> float:
        """Return the duration of the whole run."""
        return self.planning + self.start + self.photos + self.summary


@dataclass(frozen=True)
class _Timing:
    """A photo of the trial: its record, its expected cost, and when it was finished, in s.

    ``warms_up``: it is the first of its worker, which loads the models.
    """

    record: Json
    cost: float
    end: float
    warms_up: bool

    @property
    def seconds(self) -> float:
        return max(1e-3, float(self.record["seconds"]))


def estimate_run(
    plan: RunPlan, source: Source, workers: int, planning: float = 0.0
) -> Estimate | None:
    """Return a forecast of the pending photos, of which there is at least one.

    A sample is edited into a temporary folder. ``planning`` is the time that the plan took.
    Return None if none of the sample could be edited.
    """
    counts = plan.counts()
    pending = counts.photos - counts.processed
    step = -(-pending // MAX_HEADERS)
    jobs = list(islice(plan.pending_jobs(), 0, None, step))
    costs = [_expected_cost(job) for job in jobs]
    total_cost = sum(costs) * pending / len(jobs)
    with tempfile.TemporaryDirectory() as folder:
        trial = _Trial(plan, folder, min(workers, pending), total_cost, pending)
        cheapest = np.argsort(costs, kind="stable")[: trial.workers].tolist()
        sample = dict.fromkeys([*cheapest, *draw_sample(costs)])
        timings = trial.run([(jobs[i], costs[i]) for i in sample])
        if all(timing.record["status"] in FAILED_STATUSES for timing in timings):
            return None
        summary = trial.time_summary(source, timings)
    return replace(trial.forecast(timings), planning=planning, summary=summary)


def draw_sample(costs: Sequence[float]) -> list[int]:
    """Return indices in an order whose beginnings are samples proportional to the costs."""
    order = np.argsort(costs, kind="stable")
    sums = np.cumsum(np.asarray(costs)[order])
    places = np.arange(0.5, DRAWS_PER_PHOTO * len(order)) * GOLDEN_RATIO % 1 * sums[-1]
    drawn = order[np.searchsorted(sums, places, side="right").clip(max=len(order) - 1)]
    return list(dict.fromkeys([*drawn.tolist(), *order.tolist()]))


@dataclass(frozen=True)
class _Trial:
    """Edits photos of a plan into ``folder``; ``cost`` is that of all ``pending`` photos."""

    plan: RunPlan
    folder: str
    workers: int
    cost: float
    pending: int

    def run(self, sample: Sequence[tuple[PhotoJob, float]]) -> list[_Timing]:
        """Return the timings of a beginning of the sample that is long enough.

        The first photos of the sample, one for each worker, load the models.
        """
        costs = {job.output: cost for job, cost in sample}
        first = [job.output for job, _ in sample[: self.workers]]
        settings = replace(self.plan.settings, out=self.folder)
        timings: list[_Timing] = []
        start = perf_counter()
        # Several workers get one photo at a time; a single one gets groups, which share batches.
        count = self.pending if self.workers == 1 else 0
        with open_pool(settings, self.workers, len(sample)) as pool:
            for record in pool.run((job for job, _ in sample), count):
                output, end = record["output"], perf_counter() - start
                timings.append(_Timing(record, costs[output], end, output in first))
                if self._is_enough(timings):
                    break
        return timings

    def _is_enough(self, timings: Sequence[_Timing]) -> bool:
        count, elapsed = len(timings) - self.workers, timings[-1].end
        if elapsed > MAX_SECONDS:
            return count >= FEWEST_TIMED
        return count >= MIN_TIMED and elapsed > MAX_SHARE * self.forecast(timings).seconds

    def forecast(self, timings: Sequence[_Timing]) -> Estimate:
        """Return the forecast without planning and summary.

        The mean ratio of time to expected cost of the photos that found the models loaded holds
        for all that are not in the trial.
        """
        retried = sum(_is_retried(timing.record) for timing in timings)
        warm = [timing for timing in timings if timing.warms_up] or timings[:1]
        timed = [timing for timing in timings if not timing.warms_up] or timings
        if len(timings) == self.pending:
            start = max(0.0, warm[0].end - warm[0].seconds)
            return Estimate(start, timings[-1].end - start, len(timings), retried)
        overlap = self._overlap(timed, warm[-1].end)
        ratios = np.array([overlap * timing.seconds / timing.cost for timing in timed])
        mean, rest = float(ratios.mean()), max(0.0, self.cost - _total_cost(timed))
        start = max(0.0, warm[-1].end - mean * _total_cost(warm) / self.workers)
        photos = overlap * sum(timing.seconds for timing in timed) + mean * rest
        error = float(ratios.std()) / len(timed) ** 0.5 * rest
        return Estimate(start, photos / self.workers, len(timings), retried, error / self.workers)

    def _overlap(self, timed: Sequence[_Timing], start: float) -> float:
        """Return the time of the workers since ``start`` for each second in the records.

        A worker reads ahead and writes in the background. 1 if too few photos are timed.
        """
        later = [timing for timing in timed if timing.end > start]
        if len(later) < MIN_TIMED:
            return 1.0
        return self.workers * (later[-1].end - start) / sum(timing.seconds for timing in later)

    def time_summary(self, source: Source, timings: Sequence[_Timing]) -> float:
        """Return the seconds that the manifest, the report and the annotations take.

        They grow with the photos, and those of the trial are timed.
        """
        settings = replace(self.plan.settings, out=self.folder)
        start = perf_counter()
        with RunPlan(Path(self.folder, "plan.sqlite"), settings, lambda _: {}) as plan:
            plan.add_records(timing.record for timing in timings)
            write_summary_files(plan, source)
        return (perf_counter() - start) * self.pending / len(timings)


def _total_cost(timings: Sequence[_Timing]) -> float:
    return sum(timing.cost for timing in timings)


def _is_retried(record: Json) -> bool:
    return any((row.get("attempts") or 1) > 1 for row in record["rows"])


# --- expected costs ---------------------------------------------------------------------------


def _expected_cost(job: PhotoJob) -> float:
    """Return the expected cost of a photo; only the ratio of two costs has a meaning."""
    try:
        height, width = picture_header(job.photo).size
    except Segment2InpaintError:
        return PHOTO_COST  # it fails at once
    edits = [item for item in job.items if item.request is not None]
    areas = [area for item in edits for area in _object_areas(item, (height, width))]
    megapixels, object_megapixels = height * width / 1e6, sum(areas) / 1e6
    return (
        PHOTO_COST
        + MEGAPIXEL_COST * megapixels
        + OBJECT_COST * len(edits)
        + OBJECT_MEGAPIXEL_COST * min(megapixels, object_megapixels)
    )


def _object_areas(item: EditItem, size: tuple[int, int]) -> Iterator[float]:
    """Yield the area of the box of each prompt, in pixels of a photo of (height, width)."""
    photo_area = size[0] * size[1]
    for prompt in (item.request or {}).get("prompts", ()):
        if box := _box_of(prompt.get("relative", {})):
            yield _area(box) * photo_area
        elif box := _box_of(prompt):
            yield min(photo_area, _area(box))
        else:
            yield OBJECT_SHARE * photo_area


def _box_of(prompt: Any) -> list[float] | None:
    """Return the box x0, y0, x1, y1 of a box or of polygons; None for other prompts."""
    if "box" in prompt:
        return list(prompt["box"])
    if "polygons" in prompt:
        values = [value for polygon in prompt["polygons"] for value in polygon]
        xs, ys = values[::2], values[1::2]
        return [min(xs), min(ys), max(xs), max(ys)] if ys else None
    return None


def _area(box: Sequence[float]) -> float:
    x0, y0, x1, y1 = box
    return max(0.0, x1 - x0) * max(0.0, y1 - y0)
