"""Work in the background: looks, of which a newer one replaces an older, and jobs in a queue."""

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
FINISHED = ("done", "failed", "cancelled")
REMEMBERED = 500  # finished jobs that can still be asked about

T = TypeVar("T")
log = logging.getLogger("segment2inpaint.web")


class Superseded(Segment2InpaintError):
    """A newer look of the same page has replaced this one."""


class Cancelled(Exception):
    """Raised inside of a job to end it."""


class LatestOnlyExecutor:
    """Quick work that a page waits for, two at a time.

    Of the same ``slot`` only the newest is wanted: older ones still waiting end as
    ``Superseded``.
    """

    def __init__(self, waiting: int, threads: int = 2) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="look")
        self._waiting, self._most = 0, waiting
        self._newest: dict[str, Future[Any]] = {}

    async def run(self, work: Callable[[], T], slot: str = "") -> T:
        """What ``work`` gives. Raises ``Full``, ``Superseded`` and what ``work`` raises."""
        if self._waiting >= self._most:
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

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)


@dataclass(eq=False)
class EditJob:
    """Something that takes a while: where it stands, and the id of what came of it.

    ``sketch`` is the latest of ``sketches`` JPEGs of a work in progress.
    """

    photo: str
    id: str = field(default_factory=new_id)
    state: State = "queued"
    stage: str = ""
    share: float = 0.0
    result: str | None = None
    error: dict[str, str] | None = None
    number: int = 0
    sketch: bytes = b""
    sketches: int = 0
    cancel_requested: threading.Event = field(default_factory=threading.Event)  # to be cancelled

    def progress(self, stage: str, share: float) -> None:
        """Note how far it is. Raises ``Cancelled`` if it is no longer wanted."""
        if self.cancel_requested.is_set():
            raise Cancelled
        self.stage, self.share = stage, share

    def show(self, sketch: bytes) -> None:
        """Keep a picture of what there is so far."""
        self.sketch, self.sketches = sketch, self.sketches + 1

    @property
    def news(self) -> tuple[str, str, float, int]:
        """Changes when there is something to tell."""
        return self.state, self.stage, round(self.share, 2), self.sketches


class JobQueue:
    """Jobs one after the other, in the order in which they came."""

    def __init__(self, queue: int) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="job")
        self._jobs: OrderedDict[str, EditJob] = OrderedDict()
        self._lock = threading.Lock()
        self._most, self._count = queue, 0
        self.current: EditJob | None = None

    def start(self, photo: str, work: Callable[[ProgressCallback], str]) -> EditJob:
        """Put ``work``, which returns the id of its result, at the queue's end.

        Raises ``Full``.
        """
        with self._lock:
            unfinished = [job for job in self._jobs.values() if job.state not in FINISHED]
            if len(unfinished) > self._most:
                raise ServerBusy(
                    f"the server is busy: {len(unfinished)} jobs are waiting; try later"
                )
            self._count += 1
            job = EditJob(photo, number=self._count)
            self._jobs[job.id] = job
            for old in [j for j in self._jobs.values() if j.state in FINISHED][:-REMEMBERED]:
                del self._jobs[old.id]
        self._pool.submit(partial(self._run, job, work))
        return job

    def get(self, name: str) -> EditJob:
        """Raises ``Gone``."""
        job = self._jobs.get(name)
        if job is None:
            raise NotFound("no such job on the server")
        return job

    def place(self, job: EditJob) -> int:
        """How many jobs are before it."""
        with self._lock:
            return sum(
                other.state not in FINISHED and other.number < job.number
                for other in self._jobs.values()
            )

    def cancel(self, name: str) -> EditJob:
        """End a job at once; what it still does until its next step is thrown away.

        The next one waits for that step, see ``ending``. Raises ``Gone``.
        """
        job = self.get(name)
        job.cancel_requested.set()
        self._end(job, "cancelled")
        return job

    @property
    def ending(self) -> bool:
        """Whether a cancelled job has not yet come to its next step."""
        current = self.current
        return current is not None and current.state == "cancelled"

    async def wait(self, job: EditJob, seconds: float) -> None:
        """Until the job has moved on, at most so long."""
        before = job.news, self.place(job)
        for _ in range(int(seconds / 0.05)):
            if job.state in FINISHED:
                return
            await asyncio.sleep(0.05)
            if (job.news, self.place(job)) != before:
                return

    def close(self) -> None:
        for job in list(self._jobs.values()):
            job.cancel_requested.set()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _run(self, job: EditJob, work: Callable[[ProgressCallback], str]) -> None:
        with self._lock:
            if job.state != "queued":
                return
            job.state, self.current = "running", job
        try:
            self._end(job, "done", result=work(job.progress))
        except Cancelled:
            self._end(job, "cancelled")
        except Segment2InpaintError as error:
            self._end(job, "failed", error=error_payload(error))
        except Exception:
            log.exception("job %s failed", job.id)
            text = "something broke on the server; its terminal says what"
            self._end(job, "failed", error={"kind": "Broken", "message": text})
        finally:
            self.current = None

    def _end(
        self,
        job: EditJob,
        state: State,
        result: str | None = None,
        error: dict[str, str] | None = None,
    ) -> None:
        """Settle a job, if it is not settled: what comes after it was cancelled is too late."""
        with self._lock:
            if job.state not in FINISHED:
                job.result, job.error, job.state = result, error, state
                job.share = 1.0 if state == "done" else job.share


def error_payload(error: Segment2InpaintError) -> dict[str, str]:
    """An error as JSON data."""
    return {"kind": type(error).__name__, "message": str(error)}
