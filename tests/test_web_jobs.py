"""Work in the background: the queue, and looks of which the newest counts."""

from __future__ import annotations

import asyncio
import threading

import pytest

from segment2inpaint.web import jobs as web_jobs
from segment2inpaint.web.routes_results import job_out


def test_a_bug_in_a_job_is_told_and_survived(caplog: pytest.LogCaptureFixture) -> None:
    line = web_jobs.JobQueue(4)

    def broken(progress: object) -> str:
        raise ZeroDivisionError

    job = line.start("p", broken)
    after = line.start("p", lambda progress: "fine")
    line._pool.shutdown(wait=True)
    assert (job.state, after.state) == ("failed", "done")
    assert job.error is not None
    assert job.error["kind"] == "Broken"
    assert "ZeroDivisionError" in caplog.text


def test_a_full_queue_refuses() -> None:
    line, go = web_jobs.JobQueue(1), threading.Event()

    def slow(progress: object) -> str:
        go.wait(10)
        return ""

    line.start("p", slow)
    line.start("p", slow)
    with pytest.raises(web_jobs.ServerBusy):
        line.start("p", slow)
    go.set()
    line.close()


def test_a_job_is_cancelled_at_once_though_it_does_not_look() -> None:
    """The next one waits for the thread and says so; the late result is not kept."""
    line, begun, go = web_jobs.JobQueue(4), threading.Event(), threading.Event()

    def deaf(progress: object) -> str:
        begun.set()
        go.wait(30)
        return "late"

    first = line.start("p", deaf)
    assert begun.wait(30)
    assert line.cancel(first.id).state == "cancelled"
    second = line.start("p", lambda progress: "fine")
    told = job_out(line, second)
    assert (told.state, told.place, told.stage) == ("queued", 0, "ending")
    go.set()
    line._pool.shutdown(wait=True)
    assert (first.state, first.result) == ("cancelled", None)
    assert (second.state, second.result) == ("done", "fine")
    assert not line.ending


def test_of_several_looks_the_newest_is_answered() -> None:
    """Those that wait in the same slot are dropped; other slots are not touched."""

    async def play() -> list[object]:
        looks, go = web_jobs.LatestOnlyExecutor(10, threads=1), threading.Event()
        blocker = asyncio.create_task(looks.run(lambda: go.wait(10)))
        tasks = []
        for i in range(3):
            tasks.append(asyncio.create_task(looks.run(lambda i=i: i, "a")))  # type: ignore[misc]
            await asyncio.sleep(0)
        tasks.append(asyncio.create_task(looks.run(lambda: 9, "b")))
        await asyncio.sleep(0.05)
        go.set()
        await blocker
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        looks.close()
        return list(answers)

    first, second, third, other = asyncio.run(play())
    assert isinstance(first, web_jobs.Superseded)
    assert isinstance(second, web_jobs.Superseded)
    assert (third, other) == (2, 9)
