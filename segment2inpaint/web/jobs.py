"""Background work: an executor in which new calls replace old ones, and a queue of jobs."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal, TypeVar

from segment2inpaint.errors import Segment2InpaintError
from segment2inpaint.protocols import ProgressCallback
from segment2inpaint.web.session import NotFound, ServerBusy, new_id

State = Literal["queued", "running", "done", "failed", "cancelled"]
FINISHED_STATES = ("done", "failed", "cancelled")
MAX_FINISHED_JOBS = 500  # finished jobs that clients can still query
POLL_INTERVAL = 0.05  # seconds between two looks at a job that a client waits for

T = TypeVar("T")
log = logging.getLogger("segment2inpaint.web")


class Superseded(Segment2InpaintError):
    """A newer call of the same page has replaced this one."""


class Cancelled(Exception):
    """Raised inside a job to end it."""


class LatestOnlyExecutor:
    """Run quick calls that a client waits for, in a few threads.

    Of the calls with the same ``slot``, only the newest matters: older ones that have not
    started raise ``Superseded``.
    """

    def __init__(self, max_waiting: int, threads: int = 2) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="quick-call")
        self._waiting, self._max_waiting = 0, max_waiting
        self._newest: dict[str, Future[Any]] = {}

    async def run(self, work: Callable[[], T], slot: str = "") -> T:
        """Return the result of ``work``, called in a thread.

        Raises ``ServerBusy`` if too many calls are waiting, ``Superseded`` if a newer call has
        replaced this one, and the errors of ``work``.
        """
        if self._waiting >= self._max_waiting:
            raise ServerBusy(
                "the server is busy: too many clicks are waiting; try again in a moment"
            )
        future = self._pool.submit(work)
        older = self._newest.get(slot) if slot else None
        if older:
            older.cancel()
        if slot:
            self._newest[slot] = future
        self._waiting += 1
        try:
            return await asyncio.wrap_future(future)
        except (CancelledError, asyncio.CancelledError):
            if future.cancelled() and self._newest.get(slot) is not future:
                raise Superseded("a newer click has replaced this one") from None
            raise
        finally:
            self._waiting -= 1
            if self._newest.get(slot) is future:
                del self._newest[slot]

    @property
    def is_busy(self) -> bool:
        """Return whether a call is running or waiting."""
        return self._waiting > 0

    def close(self) -> None:
        """Drop the waiting calls."""
        self._pool.shutdown(wait=False, cancel_futures=True)


@dataclass(eq=False)
class EditJob:
    """A long-running job, its progress, and the id of its result.

    ``photo`` is the id of the photo, ``stage`` the name of the pipeline stage, and
    ``stage_progress``, in [0, 1], how much of it is done. ``number`` counts the jobs of a
    queue. ``sketch`` is the newest of ``sketches`` JPEG previews.
    """

    photo: str
    id: str = field(default_factory=new_id)
    state: State = "queued"
    stage: str = ""
    stage_progress: float = 0.0
    result: str | None = None
    error: dict[str, str] | None = None
    number: int = 0
    sketch: bytes = b""
    sketches: int = 0
    cancel_requested: threading.Event = field(default_factory=threading.Event)

    def progress(self, stage: str, share: float) -> None:
        """Record the progress. Raises ``Cancelled`` if the job has been cancelled."""
        if self.cancel_requested.is_set():
            raise Cancelled
        self.stage, self.stage_progress = stage, share

    def set_sketch(self, jpeg: bytes) -> None:
        """Store a preview of the unfinished picture."""
        self.sketch, self.sketches = jpeg, self.sketches + 1

    @property
    def status(self) -> tuple[str, str, float, int]:
        """The values that a waiting client is informed of when one of them changes."""
        return self.state, self.stage, round(self.stage_progress, 2), self.sketches


class JobQueue:
    """Run jobs one at a time, in the order of their arrival."""

    def __init__(self, max_waiting: int) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="job")
        self._jobs: OrderedDict[str, EditJob] = OrderedDict()
        self._lock = threading.Lock()
        self._max_waiting, self._count = max_waiting, 0
        self.current: EditJob | None = None

    def start(self, photo: str, work: Callable[[ProgressCallback], str]) -> EditJob:
        """Add a job to the queue. ``work`` returns the id of its result.

        Raises ``ServerBusy`` if too many jobs are waiting.
        """
        with self._lock:
            unfinished = [job for job in self._jobs.values() if job.state not in FINISHED_STATES]
            if len(unfinished) > self._max_waiting:
                raise ServerBusy(
                    f"the server is busy: {len(unfinished)} jobs are waiting; try again later"
                )
            self._count += 1
            job = EditJob(photo, number=self._count)
            self._jobs[job.id] = job
            finished = [j for j in self._jobs.values() if j.state in FINISHED_STATES]
            for old in finished[:-MAX_FINISHED_JOBS]:
                del self._jobs[old.id]
        self._pool.submit(partial(self._run, job, work))
        return job

    def get(self, job_id: str) -> EditJob:
        """Return the job with this id. Raises ``NotFound``."""
        job = self._jobs.get(job_id)
        if job is None:
            raise NotFound("no such job on the server")
        return job

    def count_ahead(self, job: EditJob) -> int:
        """Return the number of unfinished jobs that started before this one."""
        with self._lock:
            return sum(
                other.state not in FINISHED_STATES and other.number < job.number
                for other in self._jobs.values()
            )

    def cancel(self, job_id: str) -> EditJob:
        """Mark a job as cancelled. Raises ``NotFound``.

        Its work goes on until its next progress report, and the result is discarded. The next
        job starts after that, see ``is_cancelling``.
        """
        job = self.get(job_id)
        job.cancel_requested.set()
        self._finish(job, "cancelled")
        return job

    @property
    def is_cancelling(self) -> bool:
        """Return whether the work of a cancelled job has not stopped yet."""
        current = self.current
        return current is not None and current.state == "cancelled"

    async def wait(self, job: EditJob, seconds: float) -> None:
        """Wait until the status of the job changes, at most ``seconds``."""
        before = job.status, self.count_ahead(job)
        for _ in range(int(seconds / POLL_INTERVAL)):
            if job.state in FINISHED_STATES:
                return
            await asyncio.sleep(POLL_INTERVAL)
            if (job.status, self.count_ahead(job)) != before:
                return

    def close(self) -> None:
        """Cancel all jobs."""
        for job in list(self._jobs.values()):
            job.cancel_requested.set()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _run(self, job: EditJob, work: Callable[[ProgressCallback], str]) -> None:
        with self._lock:
            if job.state != "queued":
                return
            job.state, self.current = "running", job
        try:
            self._finish(job, "done", result=work(job.progress))
        except Cancelled:
            self._finish(job, "cancelled")
        except Segment2InpaintError as error:
            self._finish(job, "failed", error=error_payload(error))
        except Exception:
            log.exception("job %s failed", job.id)
            message = "internal error on the server; see the terminal where it runs"
            self._finish(job, "failed", error={"kind": "Broken", "message": message})
        finally:
            self.current = None

    def _finish(
        self,
        job: EditJob,
        state: State,
        result: str | None = None,
        error: dict[str, str] | None = None,
    ) -> None:
        """Set the final state, unless the job has one: a result after its cancellation is lost."""
        with self._lock:
            if job.state not in FINISHED_STATES:
                job.result, job.error, job.state = result, error, state
                job.stage_progress = 1.0 if state == "done" else job.stage_progress


def error_payload(error: Segment2InpaintError) -> dict[str, str]:
    """Return an error as JSON data, its class name as ``kind``."""
    return {"kind": type(error).__name__, "message": str(error)}
