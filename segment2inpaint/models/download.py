"""Fetch a model from the Hugging Face hub, and check every byte of it."""

from __future__ import annotations

import errno
import hashlib
import logging
import shutil
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from threading import Thread
from time import monotonic
from typing import NamedTuple, TypeVar

from segment2inpaint.errors import BadModel, ModelMissing, Segment2InpaintError
from segment2inpaint.models.catalogue import (
    ModelCard,
    default_hub_cache,
    download_command,
    hub_folder,
    megabytes,
    models_folder,
)
from segment2inpaint.protocols import ProgressCallback, no_progress

ANSWER = 15.0  # seconds that the hub has for its first answer
STALL = 120.0  # seconds without a new byte; its client writes up to 64 MB at a time
TEXTS = {".json", ".txt", ".model", ".jinja"}  # configurations, vocabularies, chat templates
UNWRITABLE = (PermissionError, NotADirectoryError, FileExistsError)

T = TypeVar("T")


class _File(NamedTuple):
    """A file on the hub: ``digest`` is a sha256, or git's own sha1 where there is none."""

    name: str
    size: int
    digest: str


def download(
    model: ModelCard,
    progress: ProgressCallback = no_progress,
    *,
    without: Collection[str] = (),
    hub_cache: Path | None = None,
    endpoint: str | None = None,
    answer: float = ANSWER,
    stall: float = STALL,
) -> Path:
    """Fetch the model into the Hugging Face cache, check every file, return its folder.

    Files that are there already are kept. ``without`` names folders whose weights are not
    wanted. ``endpoint`` is a mirror of the hub, None that of
    ``HF_ENDPOINT``; ``HF_HUB_OFFLINE`` is obeyed. A hub that is silent for ``answer`` seconds,
    or sends nothing new for ``stall``, is given up. Raises ``ModelMissing`` if the model cannot
    be fetched, ``BadModel`` if what came is not what it should be (it is deleted).
    """
    from huggingface_hub import constants

    where = (hub_cache or default_hub_cache()).expanduser()
    hub = (endpoint or constants.ENDPOINT).rstrip("/")
    try:
        with _quiet_hub():
            files = _bounded(lambda: _listing(model, hub, without), answer)
            _check_room(model, files, where)
            return _fetch(model, files, where, hub, stall, progress)
    except Exception as error:
        told = _told(error, model, hub, where)
        if told is None:
            raise
        raise told from error


def _listing(model: ModelCard, hub: str, without: Collection[str] = ()) -> list[_File]:
    """The wanted files of the model on the hub."""
    from huggingface_hub import HfApi

    try:
        info = HfApi(endpoint=hub).model_info(
            model.repo, revision=model.revision, files_metadata=True, timeout=ANSWER
        )
    except (ValueError, TypeError, KeyError) as error:  # a proxy's page to log in, say
        what = "answers, but not as a hub of models does"
        raise ModelMissing(f"{model.name}: {hub} {what}; check HF_ENDPOINT and proxies") from error
    there = {
        s.rfilename: _File(
            s.rfilename, s.size or 0, s.lfs.sha256 if s.lfs is not None else s.blob_id or ""
        )
        for s in info.siblings or []
    }
    wanted = model.files or _wanted(list(there))
    missing = [name for name in wanted if name not in there]
    if missing or not wanted:
        lacks = missing[0] if missing else "weights as .safetensors"
        raise ModelMissing(f"{model.name}: {model.repo} on {hub} has no {lacks}")
    return [there[name] for name in wanted if not _weights_of(name, without)]


def _weights_of(name: str, folders: Collection[str]) -> bool:
    """Whether a file is the weights in one of the folders."""
    path = PurePosixPath(name)
    return path.suffix == ".safetensors" and str(path.parent) in folders


def _wanted(names: list[str]) -> tuple[str, ...]:
    """Of a listing, what loading needs: configurations and .safetensors, in fp16 if that is whole.

    Beside ``model_index.json`` the weights are in folders; files in the root are copies of them.
    """
    paths = [PurePosixPath(name) for name in names]
    depth = 2 if "model_index.json" in names else 1
    weights = [p for p in paths if p.suffix == ".safetensors" and len(p.parts) == depth]
    half = [p for p in weights if ".fp16" in p.name]
    if {p.parent for p in half} != {p.parent for p in weights}:
        half = [p for p in weights if p.name.count(".") == 1]
    texts = [p for p in paths if p.suffix in TEXTS and len(p.parts) <= depth]
    return tuple(map(str, [*texts, *half])) if half else ()


def _check_room(model: ModelCard, files: list[_File], where: Path) -> None:
    """Raises ``ModelMissing`` if the disk cannot hold the files."""
    there = next(path for path in [where, *where.parents] if path.exists())
    free = shutil.disk_usage(there).free
    need = sum(file.size for file in files) - _held(hub_folder(model, where) / "blobs")
    if need > free:
        raise ModelMissing(
            f"{model.name}: disk full, {where} has {megabytes(free)} left and "
            f"{megabytes(need)} are needed; free some, or set HF_HUB_CACHE to another disk"
        )


def _fetch(
    model: ModelCard,
    files: list[_File],
    where: Path,
    hub: str,
    stall: float,
    progress: ProgressCallback,
) -> Path:
    from huggingface_hub import hf_hub_download

    blobs = hub_folder(model, where) / "blobs"
    total = max(1, sum(file.size for file in files))
    start = _held(blobs)

    def held() -> float:
        now = _held(blobs)
        progress(f"downloading {model.name}", min(1.0, (now - start) / total))
        return now

    for file in files:
        get = partial(
            hf_hub_download,
            model.repo,
            file.name,
            revision=model.revision,
            cache_dir=where,
            endpoint=hub,
        )
        path = Path(_bounded(get, stall, held))
        _check(model, file, path)
    progress(f"downloading {model.name}", 1.0)
    return path.parents[len(PurePosixPath(file.name).parts) - 1]


def _held(blobs: Path) -> float:
    """Bytes in the cache, unfinished files included."""
    held = 0.0
    for path in blobs.glob("*"):
        try:
            held += path.stat().st_size
        except FileNotFoundError:  # renamed as it was finished
            continue
    return held


def _check(model: ModelCard, file: _File, path: Path) -> None:
    """Delete the file and raise ``BadModel`` if it is not what the card or the hub says."""
    expected = model.sha256.get(file.name, file.digest)
    got = _sha256(path) if len(expected) == 64 else _git_sha1(path)
    if got == expected:
        return
    path.resolve().unlink()
    path.unlink(missing_ok=True)
    raise BadModel(
        f"{model.name}: {file.name} is damaged or not the known one: checksum {got[:12]}..., "
        f"expected {expected[:12]}...; deleted, try again: {download_command(model.name)}"
    )


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _git_sha1(path: Path) -> str:
    """The id that git gives a file's content; small files on the hub have no other checksum."""
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _bounded(
    call: Callable[[], T], patience: float, amount: Callable[[], float] = lambda: 0.0
) -> T:
    """What ``call`` gives. Raises ``TimeoutError`` if ``amount`` has not reached a new height
    for ``patience`` seconds: the hub's client alone would try for minutes.

    The call goes on in a daemon thread that does not keep the program from ending.
    """
    outcome: Future[T] = Future()

    def work() -> None:
        try:
            outcome.set_result(call())
        except BaseException as error:  # noqa: BLE001 (handed on to the caller's thread)
            outcome.set_exception(error)

    Thread(target=work, daemon=True).start()
    most, since = -1.0, monotonic()
    while not wait([outcome], timeout=0.1).done:
        now = amount()
        if now > most:
            most, since = now, monotonic()
        elif monotonic() - since > patience:
            raise TimeoutError(f"nothing new for {patience:g} s")
    return outcome.result()


@contextmanager
def _quiet_hub() -> Iterator[None]:
    """Keep the hub's client from writing to the terminal; progress is reported by us."""
    from huggingface_hub.utils.tqdm import (
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
    )

    log = logging.getLogger("huggingface_hub")
    level, barred = log.level, are_progress_bars_disabled()
    log.setLevel(logging.CRITICAL)
    disable_progress_bars()
    try:
        yield
    except TimeoutError:  # the call that was given up goes on for a while: keep it silent
        level, barred = logging.CRITICAL, True
        raise
    finally:
        log.setLevel(level)
        if not barred:
            enable_progress_bars()


def _told(error: Exception, model: ModelCard, hub: str, where: Path) -> Segment2InpaintError | None:
    """The error in one line, None if it is not one that a user can put right."""
    from huggingface_hub import errors

    if isinstance(error, Segment2InpaintError):
        return error
    status = getattr(getattr(error, "response", None), "status_code", None)
    causes = list(_causes(error))
    if any(isinstance(cause, OSError) and cause.errno == errno.ENOSPC for cause in causes):
        return ModelMissing(f"{model.name}: disk full while writing to {where}; free some space")
    if any(isinstance(cause, UNWRITABLE) for cause in causes):
        return ModelMissing(f"{model.name}: cannot write to {where}; set HF_HUB_CACHE elsewhere")
    if any(isinstance(cause, errors.OfflineModeIsEnabled) for cause in causes):
        how = f"unset it, or lay the model into {models_folder() / model.name}"
        return ModelMissing(f"{model.name}: HF_HUB_OFFLINE is set, nothing is downloaded; {how}")
    if isinstance(error, errors.GatedRepoError) or status == 403:
        how = f"accept its licence at {model.page}, then log in with: hf auth login"
        return ModelMissing(f"{model.name} is gated; {how}")
    if isinstance(error, errors.RepositoryNotFoundError) or status == 401:
        return ModelMissing(f"{model.name}: {hub} has no {model.repo}, or it needs: hf auth login")
    if status == 404:
        return ModelMissing(
            f"{model.name}: {hub} has no revision {model.revision} of {model.repo}; "
            "get a newer segment2inpaint, or lay the model into "
            f"{models_folder() / model.name}"
        )
    if status is not None:
        return ModelMissing(f"{model.name}: {hub} answered {status}; try again later")
    if isinstance(error, OSError) or any(map(_is_network, causes)):
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        return ModelMissing(
            f"{model.name}: cannot be fetched from {hub} ({reason}); check the network, set "
            f"HF_ENDPOINT to a mirror, or lay the model into {models_folder() / model.name}"
        )
    return None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _is_network(error: BaseException) -> bool:
    """The hub's client has had three network libraries; each has errors of its own."""
    library = type(error).__module__.partition(".")[0]
    return library in {"httpx", "httpx2", "httpcore", "httpcore2", "requests", "urllib3"}
