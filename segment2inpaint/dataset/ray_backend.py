"""Run a plan on a Ray cluster.

Ray moves only the names of photos. The output folder holds the state of the run, so it must be
reachable from every machine.

Each Ray actor has a ``WorkerPool`` of one process. A photo that crashes its process is therefore
handled as on one machine, and Ray sees only the loss of actors and nodes. Ray runs their blocks
again. Photos that are still missing afterwards are run once more, each in its own block, and are
quarantined if they are lost again.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import islice
from typing import TYPE_CHECKING, Any

from segment2inpaint import extras
from segment2inpaint.dataset import storage
from segment2inpaint.dataset.process_photo import quarantine_record
from segment2inpaint.dataset.results_log import ResultsLog, read_records
from segment2inpaint.dataset.run_types import EditItem, Json, PhotoJob, RunSettings
from segment2inpaint.dataset.worker_pool import WorkerPool
from segment2inpaint.errors import BadDataset, Segment2InpaintError

if TYPE_CHECKING:
    from segment2inpaint.dataset.options import ExecutionOptions
    from segment2inpaint.dataset.plan import RunPlan

PHOTOS_PER_DATASET = 10_000  # photos in one Ray dataset; bounds the memory of the driver
BLOCK_RETRIES = 3  # attempts of Ray for a block whose actor is lost
ACTOR_CPUS = 0.5  # CPUs that Ray reserves for an actor; whole ones would starve Ray's own tasks
MAX_ROUNDS = 3  # passes over the photos that are still missing
CONNECT_TIMEOUT = 10.0  # s for the cluster to answer


def run_records(plan: RunPlan, execution: ExecutionOptions, run: int) -> Iterator[Json]:
    """Process the pending photos of a plan, and yield the record of each as blocks are finished.

    ``run`` is the number of the run in the results log. Raises ``PackageMissing`` if Ray is
    not installed, and ``BadDataset`` if the cluster does not answer.
    """
    ray = _connect(execution)
    for round_number in range(MAX_ROUNDS):
        block = execution.block if round_number == 0 else 1
        received: set[str] = set()
        pending = plan.pending_jobs()
        while jobs := list(islice(pending, PHOTOS_PER_DATASET)):
            for record in _run_dataset(ray, jobs, plan.settings, execution, run, block):
                received.add(record["output"])
                yield record
        missing = {job.output for job in plan.pending_jobs()} - received
        for record in read_records(plan.settings.out, run):  # logged, but the reply was lost
            if record["output"] in missing:
                missing.discard(record["output"])
                yield record
        if not missing:
            return
    log = ResultsLog(plan.settings.out, run)
    for job in list(plan.pending_jobs()):
        record = quarantine_record(job, f"its worker was lost in {MAX_ROUNDS} rounds")
        log.add([record])
        yield record


def _connect(execution: ExecutionOptions) -> Any:
    """Return the ``ray`` module, connected to the cluster or to Ray started on this machine."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    extras.require("ray", "--engine ray")
    import ray
    import ray.data

    if not ray.is_initialized():
        # With no address, Ray would look for the remains of another cluster and wait for them.
        address = execution.address or os.environ.get("RAY_ADDRESS") or "local"
        try:
            _check_reachable(address)
            ray.init(address=address, log_to_driver=False, logging_level="ERROR")
        except (OSError, ValueError, RuntimeError) as error:
            reason = str(error).splitlines()[0]
            raise BadDataset(f"no Ray cluster at {address}: {reason}") from error
    return ray


def _check_reachable(address: str) -> None:
    """Raise ``OSError`` if nothing listens at the address; Ray itself would wait forever."""
    host, _, port = address.rpartition(":")
    if port.isdigit() and not storage.is_remote(host):
        socket.create_connection((host, int(port)), CONNECT_TIMEOUT).close()


def _run_dataset(
    ray: Any,
    jobs: list[PhotoJob],
    settings: RunSettings,
    execution: ExecutionOptions,
    run: int,
    block: int,
) -> Iterator[Json]:
    """Run jobs as one Ray dataset, a table of jobs per block, and yield their records."""
    import pyarrow

    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False  # the caller shows the progress, in photos
    context.max_errored_blocks = -1  # photos of lost blocks are found missing and run again
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    texts = [json.dumps(asdict(job)) for job in jobs]
    tables = [pyarrow.table({"job": texts[i : i + block]}) for i in range(0, len(texts), block)]
    pool = ray.data.ActorPoolStrategy(**_pool_size(ray, execution, len(tables)))
    with warnings.catch_warnings():  # Ray 2.60 deprecates the retry options
        warnings.simplefilter("ignore", DeprecationWarning)
        results = ray.data.from_arrow(tables).map_batches(
            RayWorker,
            fn_constructor_args=(settings, run, execution.timeout),
            batch_size=None,
            batch_format="pyarrow",
            compute=pool,
            num_cpus=ACTOR_CPUS,
            num_gpus=execution.gpus or None,
            max_task_retries=BLOCK_RETRIES,
            max_restarts=-1,
        )
    for batch in results.iter_batches(batch_size=None, batch_format="pyarrow"):
        for text in batch["record"].to_pylist():
            record = json.loads(text)
            if "stop" in record:
                raise BadDataset(record["stop"])
            yield record


def _pool_size(ray: Any, execution: ExecutionOptions, blocks: int) -> Json:
    """Return the number of actors: as requested, else one to as many as fit on the cluster."""
    if execution.workers:
        return {"size": min(execution.workers, blocks)}
    total = ray.cluster_resources()
    limit = total.get("GPU", 0) / execution.gpus if execution.gpus else total.get("CPU", 1)
    return {"min_size": 1, "max_size": max(1, min(int(limit), blocks))}


class RayWorker:
    """A Ray actor that processes blocks of photos, and logs and returns their records."""

    def __init__(self, settings: RunSettings, run: int, timeout: float) -> None:
        self.log = ResultsLog(settings.out, run)
        self.pool = WorkerPool(1, settings, timeout)

    def __call__(self, batch: Any) -> Any:
        """Return a ``pyarrow.Table`` of records for a table of jobs, both as JSON text."""
        import pyarrow

        jobs = [job_from_dict(json.loads(text)) for text in batch["job"].to_pylist()]
        try:
            records = self._process(jobs)
        except Segment2InpaintError as error:  # no photo can be processed: the driver reports it
            records = [{"stop": str(error)}]
        return pyarrow.table({"record": [json.dumps(record) for record in records]})

    def _process(self, jobs: Sequence[PhotoJob]) -> list[Json]:
        """Return the records of jobs; a remote log gets them in one object, not one each."""
        remote = storage.is_remote(self.log.folder)
        records = []
        for record in self.pool.run(jobs, len(jobs)):
            if not remote:
                self.log.add([record])
            records.append(record)
        if remote:
            self.log.add(records)
        return records


def job_from_dict(data: Json) -> PhotoJob:
    """Return the job that ``dataclasses.asdict`` turned into a dictionary."""
    items = tuple(_item_from_dict(item) for item in data["items"])
    return PhotoJob(**{**data, "items": items})


def _item_from_dict(data: Json) -> EditItem:
    size = data["photo_size"]
    return EditItem(**{**data, "photo_size": tuple(size) if size else None})
