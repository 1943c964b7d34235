"""One run at a time in an output folder, or several shards of one run."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from segment2inpaint.dataset import storage
from segment2inpaint.dataset.options import Shard
from segment2inpaint.dataset.results_log import STATE_FOLDER
from segment2inpaint.errors import BadDataset

_SHARD_LOCK = re.compile(r"^lock-\d{5}-of-\d{5}$")
_PATIENCE = 5.0  # s; a shard that starts holds the lock of whole runs for a moment
_PAUSE = 0.5  # s, for the same reason


def plan_file(shard: Shard | None) -> str:
    """Return the name of the plan's file in the state folder; each shard has its own."""
    return f"plan-{shard.label}.sqlite" if shard else "plan.sqlite"


@contextmanager
def state_folder(out: str, shard: Shard | None, *, dry_run: bool) -> Iterator[str]:
    """Return the folder for the plan: that of the locked output folder, or a temporary one.

    Partial files of killed runs are deleted. Remote stores are not locked. Raises ``BadDataset``
    if another run, or the same shard, uses the output folder.
    """
    if dry_run or storage.is_remote(out):
        with tempfile.TemporaryDirectory() as folder:
            yield folder
        return
    state = Path(out, STATE_FOLDER)
    try:
        state.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadDataset(
            f"{out}: cannot be created: {error.strerror}; choose another OUTDIR"
        ) from error
    with _locked(out, state, shard):
        if shard:  # other shards may be writing partial files
            yield str(state)
            return
        storage.delete_partial_files(out)
        try:
            yield str(state)
        finally:
            storage.delete_partial_files(out)


@contextmanager
def _locked(out: str, state: Path, shard: Shard | None) -> Iterator[None]:
    """Hold the lock of a run or shard after a look at the locks that exclude it.

    A shard excludes whole runs, and a whole run excludes all shards.
    """
    import filelock

    own = state / (f"lock-{shard.label}" if shard else "lock")
    with ExitStack() as stack:
        try:
            stack.enter_context(filelock.FileLock(own, timeout=0 if shard else _PAUSE))
            for other in _excluded(state, shard):
                with filelock.FileLock(other, timeout=_PATIENCE if shard else 0):
                    pass
        except filelock.Timeout:
            raise BadDataset(
                f"{out}: another run is using it; wait for it, or choose another OUTDIR"
            ) from None
        yield


def _excluded(state: Path, shard: Shard | None) -> list[Path]:
    if shard:
        return [state / "lock"]
    return sorted(path for path in state.iterdir() if _SHARD_LOCK.match(path.name))
