"""Batches over many runs: crops of equal size share a call of their inpainter.

A run is a generator. It yields the calls that it needs (with at least one crop), receives the
painted crops, and returns its outcome. The same loop drives one run and a million runs.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Generic, NamedTuple, TypeVar

from segment2inpaint.errors import Segment2InpaintError
from segment2inpaint.protocols import Crop, Inpainter, ProgressCallback, no_progress
from segment2inpaint.types import Fill, Image

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class InpaintCall:
    """Crops for an inpainter, and what to paint."""

    inpainter: Inpainter
    fill: Fill
    crops: Sequence[Crop]


class InpaintedCrops(NamedTuple):
    """The painted crops of one ``InpaintCall``, in order, and their share of the wall time."""

    images: list[Image]
    seconds: float


EditRun = Generator[list[InpaintCall], list[InpaintedCrops], T]


class _BatchKey(NamedTuple):
    """The properties that crops of one call share; ``shape`` is that of the image."""

    inpainter: Inpainter
    fill: Fill
    shape: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class _PendingCrop(Generic[T]):
    """A queued crop: its run, its call and place in that run, and its batch key."""

    run: _ActiveRun[T]
    call_index: int
    crop_index: int
    crop: Crop
    batch_key: _BatchKey


class _ActiveRun(Generic[T]):
    """A run in progress: its pending crops, its painted crops and, at the end, its outcome."""

    def __init__(self, run: EditRun[T]) -> None:
        self.run = run
        self.outcome: T | Segment2InpaintError | None = None
        self._advance(lambda: next(run))

    @property
    def progress(self) -> float:
        """Return the share of the current crops that are painted."""
        return sum(map(len, self.painted)) / self.total

    def receive(self, pending: _PendingCrop[T], image: Image, seconds: float) -> None:
        """Store a painted crop; continue the run after the last one."""
        self.painted[pending.call_index][pending.crop_index] = image
        self.seconds[pending.call_index] += seconds
        if sum(map(len, self.painted)) == self.total:
            answers = [
                InpaintedCrops([images[i] for i in range(len(images))], seconds)
                for images, seconds in zip(self.painted, self.seconds, strict=True)
            ]
            self._advance(lambda: self.run.send(answers))

    def fail(self, error: Segment2InpaintError) -> None:
        """Raise the inpainter's error in the run."""
        self._advance(lambda: self.run.throw(error))

    def _advance(self, resume: Callable[[], list[InpaintCall]]) -> None:
        """Run to the next calls, or to the outcome."""
        self.pending: deque[_PendingCrop[T]] = deque()
        try:
            calls = resume()
        except StopIteration as end:
            self.outcome = end.value
            return
        except Segment2InpaintError as error:
            self.outcome = error
            return
        self.painted: list[dict[int, Image]] = [{} for _ in calls]
        self.seconds = [0.0] * len(calls)
        self.total = sum(len(call.crops) for call in calls)
        self.pending.extend(
            _PendingCrop(self, call_index, crop_index, crop, _batch_key(call, crop))
            for call_index, call in enumerate(calls)
            for crop_index, crop in enumerate(call.crops)
        )


def run_batched(
    runs: Iterable[EditRun[T]], progress: ProgressCallback = no_progress
) -> Iterator[T | Segment2InpaintError]:
    """Yield the outcome of each run, in order; the outcome of a failed run is its error.

    A run is started when it is the next one, or when its crops can fill up the batch of an earlier
    one. So the number of unfinished runs never exceeds the inpainter's batch size, and ``runs``
    may be endless.
    """
    source = iter(runs)
    active: deque[_ActiveRun[T]] = deque()
    try:
        while active or _start_next(source, active):
            head = active[0]
            if head.outcome is not None:
                active.popleft()
                yield head.outcome
            else:
                _inpaint_batch_for(head, active, source, progress)
    finally:  # the caller has stopped early
        for unfinished in active:
            unfinished.run.close()


def single_outcome(outcomes: Iterator[T | Segment2InpaintError]) -> T:
    """Return the outcome of the only run, or raise its error."""
    [outcome] = outcomes
    if isinstance(outcome, Segment2InpaintError):
        raise outcome
    return outcome


def _start_next(source: Iterator[EditRun[T]], active: deque[_ActiveRun[T]]) -> bool:
    """Start the next run; return False if there is none."""
    run = next(source, None)
    if run is not None:
        active.append(_ActiveRun(run))
    return run is not None


def _inpaint_batch_for(
    head: _ActiveRun[T],
    active: deque[_ActiveRun[T]],
    source: Iterator[EditRun[T]],
    progress: ProgressCallback,
) -> None:
    """Make one call for the first pending crop of ``head`` and others with its batch key."""
    key = head.pending[0].batch_key
    size = max(1, key.inpainter.input_spec.batch_size)
    while len(_with_key(key, active)) < size and len(active) < size and _start_next(source, active):
        pass
    batch = _with_key(key, active)[:size]
    for pending in batch:
        pending.run.pending.remove(pending)
    start = head.progress
    share = sum(pending.run is head for pending in batch) / head.total
    _inpaint(batch, lambda stage, part: progress(stage, start + part * share))


def _inpaint(batch: list[_PendingCrop[T]], progress: ProgressCallback) -> None:
    """Paint a batch. If that fails, paint each crop alone, so that only the faulty run fails."""
    key, start = batch[0].batch_key, perf_counter()
    try:
        images = key.inpainter.inpaint([pending.crop for pending in batch], key.fill, progress)
    except Segment2InpaintError as error:
        if len(batch) == 1:
            batch[0].run.fail(error)
            return
        for pending in batch:
            if pending.run.outcome is None:
                _inpaint([pending], progress)
        return
    seconds = (perf_counter() - start) / len(batch)
    for pending, image in zip(batch, images, strict=True):
        pending.run.receive(pending, image, seconds)


def _with_key(key: _BatchKey, active: Iterable[_ActiveRun[T]]) -> list[_PendingCrop[T]]:
    """Return the pending crops with this batch key, in order."""
    return [crop for run in active for crop in run.pending if crop.batch_key == key]


def _batch_key(call: InpaintCall, crop: Crop) -> _BatchKey:
    fill = replace(call.fill, seed=0, candidates=1, padding_mask_crop=None, picture=None)
    return _BatchKey(call.inpainter, fill, crop.image.shape)
