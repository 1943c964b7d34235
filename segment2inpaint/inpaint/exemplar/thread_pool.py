"""The threads that the exemplar fill's kernels run on, and how far they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any


class PatchJobRunner:
    """Runs jobs, and tells which share of what was planned is done.

    Between two jobs Python has control, so that an interrupt is heard there.
    """

    def __init__(self, run: Callable[..., Any], tell: Callable[[float], None]) -> None:
        """``run`` is ``map``, or a pool's; ``tell`` is called with the share, in [0, 1]."""
        self.run, self.tell = run, tell
        self.planned, self.done = 1.0, 0.0

    def plan(self, units: float) -> None:
        """So much is to be done; one unit is about what it takes to look at one patch."""
        self.planned = max(units, 1.0)

    def map(self, job: Callable[[Any], None], jobs: Sequence[Any], units: float) -> None:
        """Run all jobs, ``units`` together, at the same time."""
        for _ in self.run(job, jobs):
            self.did(units / len(jobs))

    def did(self, units: float) -> None:
        """So much more is done."""
        self.done += units
        self.tell(min(self.done / self.planned, 1.0))


@contextmanager
def pool(threads: int) -> Iterator[ThreadPoolExecutor]:
    """A pool that an exception leaves at once: jobs not begun yet are dropped."""
    made = ThreadPoolExecutor(threads)
    try:
        yield made
    finally:
        made.shutdown(wait=False, cancel_futures=True)
