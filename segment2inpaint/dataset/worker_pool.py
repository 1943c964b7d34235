"""Worker processes: each keeps its models, reads ahead and writes behind, and may die.

A photo that takes its process down costs nobody else: what the process held is done again, each
photo alone, and one that was alone twice when its process died is quarantined.
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

from segment2inpaint.dataset.run_types import Json, PhotoJob, RunSettings
from segment2inpaint.errors import BadDataset

GROUP = 16  # photos handed out together: they may share batches
AHEAD = 3  # photos that a worker reads before their turn, and as many that wait to be written
STRIKES = 2  # deaths of its process that a photo is allowed, when alone
STARTS = 3  # deaths in a row of workers that have done nothing


@dataclass(eq=False)
class _Worker:
    """A process, the pipe to it, and the photos that it holds, by output."""

    process: Any
    pipe: Connection
    held: dict[str, PhotoJob] = field(default_factory=dict)
    alone: bool = False
    ready: bool = False
    heard: float = field(default_factory=monotonic)


class WorkerPool:
    """Some workers. ``timeout``: seconds after which one that says nothing is killed, 0: never."""

    def __init__(self, size: int, settings: RunSettings, timeout: float = 0.0) -> None:
        self._size = size
        self._settings = settings
        self._timeout = timeout
        self._workers: list[_Worker] = []
        self._suspects: deque[PhotoJob] = deque()
        self._strikes: Counter[str] = Counter()
        self._false_starts = 0

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

    def run(self, jobs: Iterable[PhotoJob]) -> Iterator[Json]:
        """The record of each photo, as they are done. Raises what no photo can be done without."""
        rest = iter(jobs)
        while True:
            self._feed(rest)
            busy = [worker for worker in self._workers if worker.held]
            if not busy:
                return
            wait([worker.pipe for worker in self._workers], self._patience())
            for worker in list(self._workers):
                yield from self._heard(worker)

    # --- handing out -----------------------------------------------------------------------

    def _feed(self, rest: Iterator[PhotoJob]) -> None:
        """Suspects go to idle workers, one each; the others hold up to two groups."""
        while len(self._workers) < self._size:
            self._workers.append(_started(self._settings))
        for worker in self._workers:
            if self._suspects and not worker.held:
                self._give(worker, [self._suspects.popleft()], alone=True)
            elif not (worker.held and worker.alone) and len(worker.held) <= GROUP:
                self._give(worker, list(islice(rest, GROUP)), alone=False)

    def _give(self, worker: _Worker, jobs: list[PhotoJob], *, alone: bool) -> None:
        if not jobs:
            return
        if not worker.held:
            worker.heard = monotonic()
        worker.held.update((job.output, job) for job in jobs)
        worker.alone = alone
        try:
            worker.pipe.send(jobs)
        except OSError:  # it has died; its end of the pipe tells so
            return

    def _patience(self) -> float | None:
        if not self._timeout:
            return None
        busy = [worker.heard for worker in self._workers if worker.held]
        return max(0.0, min(busy) + self._timeout - monotonic())

    # --- taking back -----------------------------------------------------------------------

    def _heard(self, worker: _Worker) -> Iterator[Json]:
        """What a worker has sent, and what becomes of what it held if it has died."""
        try:
            while worker.pipe.poll():
                yield from self._message(worker, worker.pipe.recv())
        except (EOFError, OSError):
            yield from self._buried(worker, _death(worker.process))
            return
        silent = monotonic() - worker.heard
        if self._timeout and worker.held and worker.ready and silent > self._timeout:
            worker.process.kill()
            yield from self._buried(worker, f"took longer than {self._timeout:g} s")

    def _message(self, worker: _Worker, message: Any) -> Iterator[Json]:
        worker.heard, worker.ready = monotonic(), True
        if isinstance(message, Exception):
            raise message
        if message is not None:
            self._false_starts = 0
            del worker.held[message["output"]]
            yield message

    def _buried(self, worker: _Worker, why: str) -> Iterator[Json]:
        """Do again, alone, what a dead worker held; but quarantine who killed it twice."""
        from segment2inpaint.dataset.process_photo import quarantine

        self._workers.remove(worker)
        worker.pipe.close()
        worker.process.join()
        if not worker.ready:
            self._false_starts += 1
            if self._false_starts >= STARTS:
                raise BadDataset(
                    f"worker processes die at their start ({why}); try --workers 0, or in a "
                    'script of your own: if __name__ == "__main__"'
                )
        for job in worker.held.values():
            self._strikes[job.output] += worker.alone and worker.ready
            if self._strikes[job.output] < STRIKES:
                self._suspects.append(job)
            else:
                yield quarantine(job, f"its process died {STRIKES} times: {why}")


def _started(settings: RunSettings) -> _Worker:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=work, args=(theirs, settings), daemon=True)
    process.start()
    theirs.close()
    return _Worker(process, ours)


def _death(process: Any) -> str:
    process.join()
    code = process.exitcode
    if code is not None and code < 0:
        return f"killed by {signal.Signals(-code).name}"
    return f"exit status {code}"


# --- in the worker ----------------------------------------------------------------------------


def work(pipe: Connection, settings: RunSettings) -> None:
    """A worker's life: groups of jobs in, records out, until the other end is closed."""
    from segment2inpaint.dataset import process_photo as stages

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    _limit_threads(settings.threads)
    groups: queue.Queue[list[Future[Any]]] = queue.Queue()
    slots = threading.Semaphore(AHEAD)
    editor = stages.editor_for(settings)
    with ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(1) as writer:
        threading.Thread(
            target=_listen, args=(pipe, groups, reader, slots, settings), daemon=True
        ).start()
        pipe.send(None)
        try:
            while True:
                _do(groups.get(), editor, pipe, writer, slots, settings)
        except stages.AbortRun as stop:
            pipe.send(stop.error)
            os._exit(1)


def _listen(
    pipe: Connection,
    groups: queue.Queue[list[Future[Any]]],
    reader: ThreadPoolExecutor,
    slots: threading.Semaphore,
    settings: RunSettings,
) -> None:
    """Begin to read each photo that arrives. Without a parent there is nothing to live for."""
    from segment2inpaint.dataset.process_photo import load_photo

    def read(job: PhotoJob) -> Any:
        slots.acquire()
        return load_photo(job, settings)

    while True:
        try:
            jobs = pipe.recv()
        except (EOFError, OSError):
            os._exit(1)
        groups.put([reader.submit(read, job) for job in jobs])


def _do(
    group: list[Future[Any]],
    editor: Any,
    pipe: Connection,
    writer: ThreadPoolExecutor,
    slots: threading.Semaphore,
    settings: RunSettings,
) -> None:
    """Edit a group; each photo is written, and told of, while the next is edited."""
    from segment2inpaint.dataset import process_photo as stages

    def taken() -> Iterator[Any]:
        for future in group:
            one = future.result()
            slots.release()
            yield one

    writing: deque[Future[Json]] = deque()
    for one in stages.edit_photos(taken(), editor):
        writing.append(writer.submit(stages.write_results, one, settings))
        while writing and (len(writing) > AHEAD or writing[0].done()):
            pipe.send(writing.popleft().result())
    for future in writing:
        pipe.send(future.result())


def _limit_threads(count: int) -> None:
    """Share the cores: several workers with a pool for all cores each would stand in queues."""
    if not count:
        return
    import cv2

    cv2.setNumThreads(count)
    for name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ[name] = str(count)
