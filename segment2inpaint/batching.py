"""Many runs at once: crops that are alike share a call of their inpainter.

A run is a generator: it yields what it wants painted (one crop at least), is sent the painted
crops, and returns its outcome. One run alone and a million runs are driven by the same few lines.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any, Generic, NamedTuple, TypeVar

from segment2inpaint.errors import Segment2InpaintError
from segment2inpaint.protocols import Crop, Inpainter, ProgressCallback, no_progress
from segment2inpaint.types import Fill, Image

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class InpaintCall:
    """Crops that an inpainter shall paint as ``fill`` says."""

    inpainter: Inpainter
    fill: Fill
    crops: Sequence[Crop]


class InpaintedCrops(NamedTuple):
    """The crops of one ``Ask``, in order, and their share of the time that it took."""

    images: list[Image]
    seconds: float


EditRun = Generator[list[InpaintCall], list[InpaintedCrops], T]


@dataclass(frozen=True, eq=False)
class _PendingCrop:
    """One crop that waits: whose it is, of which ask, the how manieth, and what it is like."""

    run: _ActiveRun[Any]
    call: int
    index: int
    crop: Crop
    batch_key: tuple[Any, ...]


class _ActiveRun(Generic[T]):
    """A run, what it waits for, and what it came to."""

    def __init__(self, run: EditRun[T]) -> None:
        self.run = run
        self.outcome: T | Segment2InpaintError | None = None
        self._go_on(lambda: next(run))

    @property
    def share(self) -> float:
        """How much of what it asked for is painted."""
        return sum(map(len, self.painted)) / self.total

    def paint(self, one: _PendingCrop, image: Image, seconds: float) -> None:
        """Take a painted crop; go on when it was the last."""
        self.painted[one.call][one.index] = image
        self.seconds[one.call] += seconds
        if sum(map(len, self.painted)) == self.total:
            answers = [
                InpaintedCrops([images[i] for i in range(len(images))], spent)
                for images, spent in zip(self.painted, self.seconds, strict=True)
            ]
            self._go_on(lambda: self.run.send(answers))

    def fail(self, error: Segment2InpaintError) -> None:
        """What it waits for cannot be had."""
        self._go_on(lambda: self.run.throw(error))

    def _go_on(self, step: Callable[[], list[InpaintCall]]) -> None:
        self.waiting: deque[_PendingCrop] = deque()
        try:
            asks = step()
        except StopIteration as end:
            self.outcome = end.value
            return
        except Segment2InpaintError as error:
            self.outcome = error
            return
        self.painted: list[dict[int, Image]] = [{} for _ in asks]
        self.seconds = [0.0] * len(asks)
        self.total = sum(len(ask.crops) for ask in asks)
        self.waiting.extend(
            _PendingCrop(self, number, index, crop, _batch_key(ask, crop))
            for number, ask in enumerate(asks)
            for index, crop in enumerate(ask.crops)
        )


def run_batched(
    runs: Iterable[EditRun[T]], progress: ProgressCallback = no_progress
) -> Iterator[T | Segment2InpaintError]:
    """What the runs come to, in their order; an error that a user can put right is an outcome.

    A run is begun only when it is next, or may lend crops to the call for one before it: no
    more are in work, or wait to be taken, than its inpainter likes crops in a call.
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
                _inpaint_group_of(head, active, source, progress)
    finally:  # the caller has stopped: nothing shall go on
        for left in active:
            left.run.close()


def single_outcome(outcomes: Iterator[T | Segment2InpaintError]) -> T:
    """What a single run came to. Raises its error."""
    [outcome] = outcomes
    if isinstance(outcome, Segment2InpaintError):
        raise outcome
    return outcome


def _start_next(source: Iterator[EditRun[T]], active: deque[_ActiveRun[T]]) -> bool:
    """Begin the next run, if there is one."""
    run = next(source, None)
    if run is not None:
        active.append(_ActiveRun(run))
    return run is not None


def _inpaint_group_of(
    head: _ActiveRun[T],
    active: deque[_ActiveRun[T]],
    source: Iterator[EditRun[T]],
    progress: ProgressCallback,
) -> None:
    """One call for the first crop that ``head`` waits for, and those like it."""
    first = head.waiting[0]
    inpainter, most = first.batch_key[0], max(1, first.batch_key[0].input_spec.batch_size)
    while (
        len(_same_batch(first, active)) < most
        and len(active) < most
        and _start_next(source, active)
    ):
        pass
    group = _same_batch(first, active)[:most]
    for one in group:
        one.run.waiting.remove(one)
    done, own = head.share, sum(one.run is head for one in group) / head.total
    _inpaint(inpainter, group, lambda stage, share: progress(stage, done + share * own))


def _inpaint(inpainter: Inpainter, group: list[_PendingCrop], progress: ProgressCallback) -> None:
    """Paint a group; where it fails, each alone, so that nobody falls with another."""
    start = perf_counter()
    try:
        images = inpainter.inpaint([one.crop for one in group], group[0].batch_key[1], progress)
    except Segment2InpaintError as error:
        if len(group) == 1:
            group[0].run.fail(error)
        else:
            for one in group:
                if one.run.outcome is None:
                    _inpaint(inpainter, [one], progress)
        return
    seconds = (perf_counter() - start) / len(group)
    for one, image in zip(group, images, strict=True):
        one.run.paint(one, image, seconds)


def _same_batch(first: _PendingCrop, active: Iterable[_ActiveRun[Any]]) -> list[_PendingCrop]:
    """The crops that can share a call with the first, in order."""
    return [one for run in active for one in run.waiting if one.batch_key == first.batch_key]


def _batch_key(ask: InpaintCall, crop: Crop) -> tuple[Any, ...]:
    """What crops of one call have in common: the inpainter, what it paints, the size."""
    plain = replace(ask.fill, seed=0, candidates=1, padding_mask_crop=None, picture=None)
    return ask.inpainter, plain, crop.image.shape
