"""Options that control how a run executes; they never change its results."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ExecutionOptions:
    """Who does the work, and when to give up.

    Attributes:
        workers: number of worker processes. None is one per CPU core, or one for a GPU. 0 runs in
            the calling process; a photo that crashes it ends the run.
        timeout: seconds that one photo may take; 0 is no limit.
        max_failures: stop the run when more photos than this have failed; None never stops it.
        engine: ``local`` or ``ray``.
        address: ``host:port`` of the Ray cluster, or ``auto``. None uses the environment variable
            ``RAY_ADDRESS``, else starts Ray on this machine.
        gpus: fraction of a GPU that each Ray worker reserves.
        block: number of photos in one Ray task.
    """

    workers: int | None = None
    timeout: float = 0.0
    max_failures: int | None = None
    engine: str = "local"
    address: str | None = None
    gpus: float = 0.0
    block: int = 16
