"""Background work of the server: the job queue and the executor for quick calls."""

from __future__ import annotations

import asyncio
import threading
from time import monotonic, sleep

import pytest

from segment2inpaint.web.jobs import (
    FINISHED_STATES,
    EditJob,
    JobQueue,
    LatestOnlyExecutor,
    ServerBusy,
    Superseded,
)
from segment2inpaint.web.routes_results import describe_job


def wait_until_finished(job: EditJob) -> None:
    deadline = monotonic() + 30
    while job.state not in FINISHED_STATES and monotonic() < deadline:
        sleep(0.01)
    assert job.state in FINISHED_STATES


def test_a_bug_in_a_job_is_logged_and_the_next_job_runs(caplog: pytest.LogCaptureFixture) -> None:
    queue = JobQueue(4)

    def broken(progress: object) -> str:
        raise ZeroDivisionError

    job = queue.start("p", broken)
    next_job = queue.start("p", lambda progress: "result")
    wait_until_finished(next_job)
    assert (job.state, next_job.state) == ("failed", "done")
    assert job.error is not None
    assert job.error["kind"] == "Broken"
    assert "ZeroDivisionError" in caplog.text


def test_a_full_queue_refuses_jobs() -> None:
    queue, release = JobQueue(1), threading.Event()

    def slow(progress: object) -> str:
        release.wait(10)
        return ""

    queue.start("p", slow)
    queue.start("p", slow)
    with pytest.raises(ServerBusy):
        queue.start("p", slow)
    release.set()
    queue.close()


def test_a_cancelled_job_ends_at_once_even_if_its_work_goes_on() -> None:
    """The next job waits for that work and says so. The late result is discarded."""
    queue, started, release = JobQueue(4), threading.Event(), threading.Event()

    def without_progress_reports(progress: object) -> str:
        started.set()
        release.wait(30)
        return "late result"

    first = queue.start("p", without_progress_reports)
    assert started.wait(30)
    assert queue.cancel(first.id).state == "cancelled"
    second = queue.start("p", lambda progress: "result")
    described = describe_job(queue, second)
    assert (described.state, described.place, described.stage) == ("queued", 0, "ending")
    release.set()
    wait_until_finished(second)
    assert (first.state, first.result) == ("cancelled", None)
    assert (second.state, second.result) == ("done", "result")
    assert not queue.is_cancelling


def test_only_the_newest_call_of_a_slot_is_answered() -> None:
    """Older calls that wait in the same slot are dropped. Other slots are not affected."""

    async def call_while_busy() -> list[object]:
        executor, release = LatestOnlyExecutor(10, threads=1), threading.Event()
        blocker = asyncio.create_task(executor.run(lambda: release.wait(10)))
        tasks = []
        for i in range(3):
            tasks.append(asyncio.create_task(executor.run(lambda i=i: i, "a")))  # type: ignore[misc]
            await asyncio.sleep(0)
        tasks.append(asyncio.create_task(executor.run(lambda: 9, "b")))
        await asyncio.sleep(0.05)
        release.set()
        await blocker
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        executor.close()
        return list(answers)

    first, second, third, other_slot = asyncio.run(call_while_busy())
    assert isinstance(first, Superseded)
    assert isinstance(second, Superseded)
    assert (third, other_slot) == (2, 9)
