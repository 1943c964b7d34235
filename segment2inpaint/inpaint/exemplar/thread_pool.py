"""The threads that run the exemplar fill's kernels, and the share of the work that is done."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any


class PatchJobRunner:
    """Runs jobs and reports the share of the total work that is done.

    Work is counted in units; one unit is about the time to compare two patches. Control returns
    to Python between jobs, so an interrupt takes effect there.
    """

    def __init__(self, run: Callable[..., Any], on_progress: Callable[[float], None]) -> None:
        """Keep the callables.

        ``run`` is ``map`` or the ``map`` of a thread pool. ``on_progress`` is called with the
        share of the work that is done, in [0, 1].
        """
        self._run, self._on_progress = run, on_progress
        self._total_units, self._done_units = 1.0, 0.0

    def set_total(self, units: float) -> None:
        """Set the amount of work that makes the share 1."""
        self._total_units = max(units, 1.0)

    def run_jobs(self, job: Callable[[Any], None], jobs: Sequence[Any], units: float) -> None:
        """Call ``job`` with each of ``jobs`` in parallel; all together count ``units``."""
        for _ in self._run(job, jobs):
            self.add_done(units / len(jobs))

    def add_done(self, units: float) -> None:
        """Count ``units`` as done and report the new share."""
        self._done_units += units
        self._on_progress(min(self._done_units / self._total_units, 1.0))


@contextmanager
def thread_pool(threads: int) -> Iterator[ThreadPoolExecutor]:
    """Yield a pool; on exit, jobs that have not begun are dropped and running ones not awaited."""
    executor = ThreadPoolExecutor(threads)
    try:
        yield executor
    finally:
        executor.shutdown(wait=False, cancel_futures=True)
