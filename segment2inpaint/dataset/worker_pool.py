"""A pool of worker processes that survives the death of any of them.

Each worker keeps its models loaded, reads photos ahead and writes results in the background. When
a worker dies, the photos that it held are processed again, each alone in a worker. A photo whose
worker dies repeatedly while it is alone is quarantined.
"""

from __future__ import annotations

import multiprocessing
import os
import queue
import signal
import threading
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from multiprocessing.connection import Connection, wait
from time import monotonic
from types import TracebackType
from typing import Any

from segment2inpaint.dataset.photo_states import AbortRun
from segment2inpaint.dataset.run_types import Json, PhotoJob, RunSettings
from segment2inpaint.errors import BadDataset
from segment2inpaint.models.threads import bound_worker_threads

PHOTOS_PER_GROUP = 16  # most photos sent to a worker together, which may share batches
QUEUE_DEPTH = 3  # photos that a worker reads ahead, and as many that wait to be written
MAX_CRASHES = 2  # crashes of an isolated photo's worker until the photo is quarantined
MAX_FAILED_STARTS = 3  # workers that die in a row before they are ready until the run stops


@dataclass(eq=False)
class _Worker:
    """A worker process.

    ``pipe`` is the connection to it and ``jobs`` what it holds, by output name. ``isolated``: its
    only job is a photo that may have crashed another worker. ``ready``: it has started.
    """

    process: Any
    pipe: Connection
    jobs: dict[str, PhotoJob] = field(default_factory=dict)
    isolated: bool = False
    ready: bool = False
    last_message_time: float = field(default_factory=monotonic)


class WorkerPool:
    """A pool of ``size`` worker processes, to be used as a context manager.

    A worker that reports nothing for ``timeout`` seconds is killed; 0 is no limit.
    """

    def __init__(self, size: int, settings: RunSettings, timeout: float = 0.0) -> None:
        self._size = size
        self._settings = settings
        self._timeout = timeout
        self._workers: list[_Worker] = []
        self._suspects: deque[PhotoJob] = deque()
        self._crashes: Counter[str] = Counter()
        self._failed_starts = 0
        self._unsent = 0

    def __enter__(self) -> WorkerPool:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for worker in self._workers:
            worker.process.kill()
        for worker in self._workers:
            worker.process.join()
            worker.pipe.close()
        self._workers.clear()

    def run(self, jobs: Iterable[PhotoJob], count: int) -> Iterator[Json]:
        """Yield the record of each job when it is finished, in any order.

        Towards the end of the ``count`` jobs groups become smaller, so that the workers finish
        together (guided self-scheduling, Polychronopoulos and Kuck 1987).

        Raises the ``Segment2InpaintError`` that stops every photo, such as a full disk or a
        missing model, and ``BadDataset`` if workers cannot be started.
        """
        pending, self._unsent = iter(jobs), count
        while True:
            self._assign_jobs(pending)
            if not any(worker.jobs for worker in self._workers):
                return
            wait([worker.pipe for worker in self._workers], self._time_until_timeout())
            for worker in list(self._workers):
                yield from self._receive(worker)

    # --- sending ---------------------------------------------------------------------------

    def _assign_jobs(self, pending: Iterator[PhotoJob]) -> None:
        """Send each suspect to an idle worker, and keep the other workers at up to two groups."""
        while len(self._workers) < self._size:
            self._workers.append(_start_worker(self._settings))
        for worker in self._workers:
            if self._suspects and not worker.jobs:
                self._send_jobs(worker, [self._suspects.popleft()], isolated=True)
            elif not (worker.jobs and worker.isolated) and len(worker.jobs) <= self._group_size():
                group = list(islice(pending, self._group_size()))
                self._unsent -= len(group)
                self._send_jobs(worker, group, isolated=False)

    def _group_size(self) -> int:
        return max(1, min(PHOTOS_PER_GROUP, self._unsent // self._size))

    def _send_jobs(self, worker: _Worker, jobs: list[PhotoJob], *, isolated: bool) -> None:
        if not jobs:
            return
        if not worker.jobs:
            worker.last_message_time = monotonic()
        worker.jobs.update((job.output, job) for job in jobs)
        worker.isolated = isolated
        try:
            worker.pipe.send(jobs)
        except OSError:  # the worker has died, which _receive notices
            return

    def _time_until_timeout(self) -> float | None:
        if not self._timeout:
            return None
        times = [worker.last_message_time for worker in self._workers if worker.jobs]
        return max(0.0, min(times) + self._timeout - monotonic())

    # --- receiving -------------------------------------------------------------------------

    def _receive(self, worker: _Worker) -> Iterator[Json]:
        """Yield the records that a worker has sent; handle its death or its silence."""
        try:
            while worker.pipe.poll():
                yield from self._handle_message(worker, worker.pipe.recv())
        except (EOFError, OSError):
            yield from self._handle_death(worker, _exit_reason(worker.process))
            return
        silence = monotonic() - worker.last_message_time
        if self._timeout and worker.jobs and worker.ready and silence > self._timeout:
            worker.process.kill()
            yield from self._handle_death(worker, f"took longer than {self._timeout:g} s")

    def _handle_message(self, worker: _Worker, message: Any) -> Iterator[Json]:
        """Handle a record, an exception that stops the run, or None: the worker has started."""
        worker.last_message_time, worker.ready = monotonic(), True
        if isinstance(message, Exception):
            raise message
        if message is not None:
            self._failed_starts = 0
            del worker.jobs[message["output"]]
            yield message

    def _handle_death(self, worker: _Worker, reason: str) -> Iterator[Json]:
        """Queue the jobs of a dead worker for isolation; quarantine repeated crashers."""
        from segment2inpaint.dataset.process_photo import quarantine_record

        self._workers.remove(worker)
        worker.pipe.close()
        worker.process.join()
        if not worker.ready:
            self._count_failed_start(reason)
        for job in worker.jobs.values():
            self._crashes[job.output] += worker.isolated and worker.ready
            if self._crashes[job.output] < MAX_CRASHES:
                self._suspects.append(job)
            else:
                yield quarantine_record(job, f"its process died {MAX_CRASHES} times: {reason}")

    def _count_failed_start(self, reason: str) -> None:
        self._failed_starts += 1
        if self._failed_starts >= MAX_FAILED_STARTS:
            raise BadDataset(
                f"worker processes end while they start ({reason}); try --workers 0, or in a "
                'Python script: if __name__ == "__main__"'
            )


def _start_worker(settings: RunSettings) -> _Worker:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=run_worker, args=(theirs, settings), daemon=True)
    process.start()
    theirs.close()
    return _Worker(process, ours)


def _exit_reason(process: Any) -> str:
    process.join()
    code = process.exitcode
    if code is not None and code < 0:
        return f"killed by {signal.Signals(-code).name}"
    return f"exit status {code}"


# --- in the worker process --------------------------------------------------------------------


def run_worker(pipe: Connection, settings: RunSettings) -> None:
    """Receive groups of jobs and send their records, until the other end of the pipe is closed."""
    from segment2inpaint.dataset import process_photo

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent process handles Ctrl-C
    bound_worker_threads(settings.threads)
    groups: queue.Queue[list[Future[Any]]] = queue.Queue()
    slots = threading.Semaphore(QUEUE_DEPTH)
    editor = process_photo.make_editor(settings)
    with ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(1) as writer:
        threading.Thread(
            target=_listen, args=(pipe, groups, reader, slots, settings), daemon=True
        ).start()
        pipe.send(None)
        try:
            while True:
                _process_group(groups.get(), editor, pipe, writer, slots, settings)
        except AbortRun as abort:
            pipe.send(abort.error)
            os._exit(1)


def _listen(
    pipe: Connection,
    groups: queue.Queue[list[Future[Any]]],
    reader: ThreadPoolExecutor,
    slots: threading.Semaphore,
    settings: RunSettings,
) -> None:
    """Start to read each photo that arrives; end the process when the parent has ended."""
    from segment2inpaint.dataset.process_photo import load_photo

    def load(job: PhotoJob) -> Any:
        slots.acquire()
        return load_photo(job, settings)

    while True:
        try:
            jobs = pipe.recv()
        except (EOFError, OSError):
            os._exit(1)
        groups.put([reader.submit(load, job) for job in jobs])


def _process_group(
    group: list[Future[Any]],
    editor: Any,
    pipe: Connection,
    writer: ThreadPoolExecutor,
    slots: threading.Semaphore,
    settings: RunSettings,
) -> None:
    """Edit a group of photos; each is written and reported while the next ones are edited."""
    from segment2inpaint.dataset import stages

    def loaded_photos() -> Iterator[Any]:
        for future in group:
            loaded = future.result()
            slots.release()
            yield loaded

    writing: deque[Future[Json]] = deque()
    for edited in stages.process(loaded_photos(), editor, settings):
        writing.append(writer.submit(stages.write_results, edited, settings))
        while writing and (len(writing) > QUEUE_DEPTH or writing[0].done()):
            pipe.send(writing.popleft().result())
    for future in writing:
        pipe.send(future.result())
