"""The same plan on a Ray cluster: Ray moves names of photos about, the outputs are the state.

Each actor keeps a ``Crew`` of one process, so that a photo that takes its process down is met
as on one machine, and Ray sees only what comes from outside: actors and nodes that are lost.
Their blocks are run again by Ray; whatever is then still missing is run once more, each photo
a block of its own, and told as failed if it is lost again. Only the output folder says what is
finished: it must be reachable from every machine.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from itertools import islice
from typing import TYPE_CHECKING, Any

from segment2inpaint.dataset import results_log, storage
from segment2inpaint.dataset.process_photo import quarantine
from segment2inpaint.dataset.results_log import ResultsLog
from segment2inpaint.dataset.run_types import EditItem, Json, PhotoJob, RunSettings
from segment2inpaint.dataset.worker_pool import WorkerPool
from segment2inpaint.errors import BadDataset, BadOption, Segment2InpaintError

if TYPE_CHECKING:
    from segment2inpaint.dataset.options import ExecutionOptions
    from segment2inpaint.dataset.plan import RunPlan

WAVE = 10_000  # photos in one Ray dataset: bounds the driver's memory
RETRIES = 3  # of a block whose actor is lost
SPARE = 0.5  # CPUs of an actor as Ray counts them: whole ones would starve its own tasks
ROUNDS = 3  # over what is missing
PATIENCE = 10.0  # s for the cluster to answer


def records(plan: RunPlan, effort: ExecutionOptions, run: int) -> Iterator[Json]:
    """The record of each photo that is not finished, as blocks are done.

    Raises ``BadOption`` without Ray, ``BadDataset`` without a cluster.
    """
    ray = _connected(effort)
    for turn in range(ROUNDS):
        block = effort.block if turn == 0 else 1
        known: set[str] = set()
        todo = plan.todo()
        while wave := list(islice(todo, WAVE)):
            for record in _wave(ray, wave, plan.settings, effort, run, block):
                known.add(record["output"])
                yield record
        missing = {job.output for job in plan.todo()} - known
        for record in results_log.read(plan.settings.out, run):  # done, but the answer was lost
            if record["output"] in missing:
                missing.discard(record["output"])
                yield record
        if not missing:
            return
    book = ResultsLog(plan.settings.out, run)
    for job in list(plan.todo()):
        record = quarantine(job, f"its worker was lost in {ROUNDS} rounds")
        book.add([record])
        yield record


def _connected(effort: ExecutionOptions) -> Any:
    """Ray, connected to the cluster, or to one started on this machine."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
        import ray.data
    except ImportError:
        raise BadOption("--engine ray needs Ray: pip install 'segment2inpaint[ray]'") from None
    if not ray.is_initialized():
        # "local": else it would look for the remains of another cluster, and wait for them
        address = effort.address or os.environ.get("RAY_ADDRESS") or "local"
        try:
            _reach(address)
            ray.init(address=address, log_to_driver=False, logging_level="ERROR")
        except (OSError, ValueError, RuntimeError) as error:
            first = str(error).splitlines()[0]
            raise BadDataset(f"no Ray cluster at {address}: {first}") from error
    return ray


def _reach(address: str) -> None:
    """Raise ``OSError`` if nobody answers: Ray itself would wait for ever."""
    host, _, port = address.rpartition(":")
    if port.isdigit() and not storage.is_remote(host):
        socket.create_connection((host, int(port)), PATIENCE).close()


def _wave(
    ray: Any,
    jobs: list[PhotoJob],
    settings: RunSettings,
    effort: ExecutionOptions,
    run: int,
    block: int,
) -> Iterator[Json]:
    """Some photos as one Ray dataset: a table of names for each block, records back."""
    import pyarrow

    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False  # the caller has one, of photos
    context.max_errored_blocks = -1  # what is lost is found missing, and run again
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    names = [json.dumps(asdict(job)) for job in jobs]
    tables = [pyarrow.table({"job": names[at : at + block]}) for at in range(0, len(names), block)]
    pool = ray.data.ActorPoolStrategy(**_size(ray, effort, len(tables)))
    with warnings.catch_warnings():  # Ray 2.60 would rather not be told of retries
        warnings.simplefilter("ignore", DeprecationWarning)
        answers = ray.data.from_arrow(tables).map_batches(
            RayWorker,
            fn_constructor_args=(settings, run, effort.timeout),
            batch_size=None,
            batch_format="pyarrow",
            compute=pool,
            num_cpus=SPARE,
            num_gpus=effort.gpus or None,
            max_task_retries=RETRIES,
            max_restarts=-1,
        )
    for batch in answers.iter_batches(batch_size=None, batch_format="pyarrow"):
        for line in batch["record"].to_pylist():
            record = json.loads(line)
            if "stop" in record:
                raise BadDataset(record["stop"])
            yield record


def _size(ray: Any, effort: ExecutionOptions, blocks: int) -> Json:
    """How many actors: as asked for, else from one to as many as fit, as the cluster grows."""
    if effort.workers:
        return {"size": min(effort.workers, blocks)}
    have = ray.cluster_resources()
    fit = have.get("GPU", 0) / effort.gpus if effort.gpus else have.get("CPU", 1)
    return {"min_size": 1, "max_size": max(1, min(int(fit), blocks))}


class RayWorker:
    """An actor: a block of photos in, their records out; both are also in its own ledger."""

    def __init__(self, settings: RunSettings, run: int, timeout: float) -> None:
        self.book = ResultsLog(settings.out, run)
        self.crew = WorkerPool(1, settings, timeout)

    def __call__(self, batch: Any) -> Any:
        import pyarrow

        jobs = [job_of(json.loads(text)) for text in batch["job"].to_pylist()]
        try:
            done = self._done(jobs)
        except Segment2InpaintError as error:  # no photo can be done: the driver is to say so
            done = [{"stop": str(error)}]
        return pyarrow.table({"record": [json.dumps(record) for record in done]})

    def _done(self, jobs: Iterable[PhotoJob]) -> list[Json]:
        found = []
        for record in self.crew.run(jobs):
            if not storage.is_remote(self.book.folder):
                self.book.add([record])
            found.append(record)
        if storage.is_remote(self.book.folder):
            self.book.add(found)
        return found


def job_of(data: Json) -> PhotoJob:
    """The job that ``dataclasses.asdict`` took apart."""
    return PhotoJob(**{**data, "items": tuple(EditItem(**item) for item in data["items"])})
