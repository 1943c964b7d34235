"""Options of a run that do not change its results."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ExecutionOptions:
    """Who does the work, and when to give up.

    ``workers``: processes; None is one for each core (one for a GPU), 0 does it in this
    process, where a crash is the end. ``timeout``: seconds a photo may take, 0 for any.
    ``max_failures``: photos that may fail before the run stops. ``engine`` is ``local`` or
    ``ray``; ``address``, ``gpus`` (share of one for each worker) and ``block`` (photos in a
    task) are Ray's.
    """

    workers: int | None = None
    timeout: float = 0.0
    max_failures: int | None = None
    engine: str = "local"
    address: str | None = None
    gpus: float = 0.0
    block: int = 16
