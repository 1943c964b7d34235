"""Options that control how a run executes; they never change its results."""

from __future__ import annotations

from dataclasses import dataclass

from segment2inpaint.errors import BadOption


@dataclass(frozen=True)
class Shard:
    """One of ``count`` parts of a run; ``number`` is from 1. Raises ``BadOption``."""

    number: int
    count: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.count:
            raise BadOption(f"shard must be I/N with I from 1 to N, got {self}")

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Return the shard in ``I/N``. Raises ``BadOption``."""
        number, _, count = text.partition("/")
        try:
            return cls(int(number), int(count))
        except ValueError:
            raise BadOption(f"shard must be I/N, such as 1/4, got {text!r}") from None

    @property
    def label(self) -> str:
        """Return the part of a file's name that tells shards apart."""
        return f"{self.number:05d}-of-{self.count:05d}"

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"


@dataclass(frozen=True)
class ExecutionOptions:
    """The workers of a run, and the limits at which it gives up.

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
        shard: process only this part of the photos; all parts may run at once with the same
            output folder. Each writes a part of the manifest, and ``join`` the rest.
        join: process nothing; write the manifest, the report and the annotations of what the
            shards have finished.
    """

    workers: int | None = None
    timeout: float = 0.0
    max_failures: int | None = None
    engine: str = "local"
    address: str | None = None
    gpus: float = 0.0
    block: int = 16
    shard: Shard | None = None
    join: bool = False

    def __post_init__(self) -> None:
        if self.shard and self.join:
            raise BadOption("shard and join are two runs: join when all shards have finished")
        if self.shard and self.engine != "local":
            raise BadOption(f"a shard runs on one machine, got the engine {self.engine!r}")
