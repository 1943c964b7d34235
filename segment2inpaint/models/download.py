"""Download a model from the Hugging Face hub and verify the checksum of every file."""

from __future__ import annotations

import errno
import hashlib
import shutil
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import Future, wait
from functools import partial
from pathlib import Path, PurePosixPath
from threading import Thread
from time import monotonic
from typing import NamedTuple, TypeVar

from segment2inpaint import extras
from segment2inpaint.errors import BadModel, ModelMissing, Segment2InpaintError
from segment2inpaint.models.catalogue import (
    ModelCard,
    default_hub_cache,
    download_command,
    format_size,
    hub_folder,
    models_folder,
)
from segment2inpaint.models.quiet import quiet_hub
from segment2inpaint.protocols import ProgressCallback, no_progress

ANSWER_TIMEOUT = 15.0  # seconds until the hub has listed the files
STALL_TIMEOUT = 120.0  # seconds without a new byte; the client writes up to 64 MB at a time
TEXT_SUFFIXES = {".json", ".txt", ".model", ".jinja"}  # configurations, vocabularies, templates
UNWRITABLE_ERRORS = (PermissionError, NotADirectoryError, FileExistsError)
NETWORK_LIBRARIES = {"httpx", "httpx2", "httpcore", "httpcore2", "requests", "urllib3"}

T = TypeVar("T")


class _HubFile(NamedTuple):
    """A file on the hub: its path, bytes, and sha256; small files have git's sha1 instead."""

    name: str
    size: int
    digest: str


def download(
    model: ModelCard,
    progress: ProgressCallback = no_progress,
    *,
    skip_weights_in: Collection[str] = (),
    hub_cache: Path | None = None,
    endpoint: str | None = None,
    answer_timeout: float = ANSWER_TIMEOUT,
    stall_timeout: float = STALL_TIMEOUT,
) -> Path:
    """Download the model into the Hugging Face cache, verify every file, and return its folder.

    Files in the cache are not downloaded again. ``skip_weights_in`` names folders of the
    repository whose weights are left out. ``hub_cache`` None is the default cache. ``endpoint`` is
    a mirror of the hub; None is that of ``HF_ENDPOINT``. ``HF_HUB_OFFLINE`` is respected. The
    download is abandoned if the hub does not answer for ``answer_timeout`` seconds, or sends no
    new byte for ``stall_timeout`` seconds.

    Raises ``ModelMissing`` if the model cannot be downloaded, and ``PackageMissing`` without the
    packages that load it. Raises ``BadModel`` if a file has the wrong checksum; the file is
    deleted.
    """
    extras.require("models", model.name)
    from huggingface_hub import constants

    cache = (hub_cache or default_hub_cache()).expanduser()
    hub = (endpoint or constants.ENDPOINT).rstrip("/")
    try:
        with quiet_hub():
            files = _call_with_timeout(
                lambda: _list_files(model, hub, skip_weights_in), answer_timeout
            )
            _check_disk_space(model, files, cache)
            return _download_files(model, files, cache, hub, stall_timeout, progress)
    except Exception as error:
        user_error = _to_user_error(error, model, hub, cache)
        if user_error is None:
            raise
        raise user_error from error


def _list_files(model: ModelCard, hub: str, skip_weights_in: Collection[str]) -> list[_HubFile]:
    """Return the files to download, from the hub's listing."""
    from huggingface_hub import HfApi

    try:
        info = HfApi(endpoint=hub).model_info(
            model.repo, revision=model.revision, files_metadata=True, timeout=ANSWER_TIMEOUT
        )
    except (ValueError, TypeError, KeyError) as error:  # the login page of a proxy, for example
        raise ModelMissing(
            f"{model.name}: {hub} does not answer like a model hub; check HF_ENDPOINT and proxies"
        ) from error
    available = {
        s.rfilename: _HubFile(
            s.rfilename, s.size or 0, s.lfs.sha256 if s.lfs is not None else s.blob_id or ""
        )
        for s in info.siblings or []
    }
    names = model.files or select_files(list(available))
    missing = [name for name in names if name not in available]
    if missing or not names:
        lacking = missing[0] if missing else "weights as .safetensors"
        raise ModelMissing(f"{model.name}: {model.repo} on {hub} has no {lacking}")
    return [available[name] for name in names if not _is_weights_in(name, skip_weights_in)]


def _is_weights_in(name: str, folders: Collection[str]) -> bool:
    """Return whether the file holds weights and lies in one of the folders."""
    path = PurePosixPath(name)
    return path.suffix == ".safetensors" and str(path.parent) in folders


def select_files(names: list[str]) -> tuple[str, ...]:
    """Return the files of a repository that loading needs: text files and .safetensors.

    The fp16 weights are preferred if every folder has them. In a repository with
    ``model_index.json`` the weights are in folders; weights in the root are copies and left out.
    """
    paths = [PurePosixPath(name) for name in names]
    depth = 2 if "model_index.json" in names else 1
    weights = [p for p in paths if p.suffix == ".safetensors" and len(p.parts) == depth]
    selected = [p for p in weights if ".fp16" in p.name]
    if {p.parent for p in selected} != {p.parent for p in weights}:
        selected = [p for p in weights if p.name.count(".") == 1]
    texts = [p for p in paths if p.suffix in TEXT_SUFFIXES and len(p.parts) <= depth]
    return tuple(map(str, [*texts, *selected])) if selected else ()


def _check_disk_space(model: ModelCard, files: list[_HubFile], cache: Path) -> None:
    """Raise ``ModelMissing`` if the disk has too little free space for the files."""
    existing = next(path for path in [cache, *cache.parents] if path.exists())
    free = shutil.disk_usage(existing).free
    needed = sum(file.size for file in files) - _cached_bytes(hub_folder(model, cache) / "blobs")
    if needed > free:
        raise ModelMissing(
            f"{model.name}: disk full, {cache} has {format_size(free)} free and "
            f"{format_size(needed)} are needed; free some, or set HF_HUB_CACHE to another disk"
        )


def _download_files(
    model: ModelCard,
    files: list[_HubFile],
    cache: Path,
    hub: str,
    stall_timeout: float,
    progress: ProgressCallback,
) -> Path:
    from huggingface_hub import hf_hub_download

    blobs = hub_folder(model, cache) / "blobs"
    total = max(1, sum(file.size for file in files))
    start = _cached_bytes(blobs)

    def report_bytes() -> float:
        now = _cached_bytes(blobs)
        progress(f"downloading {model.name}", min(1.0, (now - start) / total))
        return now

    for file in files:
        call = partial(
            hf_hub_download,
            model.repo,
            file.name,
            revision=model.revision,
            cache_dir=cache,
            endpoint=hub,
        )
        path = Path(_call_with_timeout(call, stall_timeout, report_bytes))
        _verify_checksum(model, file, path)
    progress(f"downloading {model.name}", 1.0)
    return path.parents[len(PurePosixPath(file.name).parts) - 1]


def _cached_bytes(blobs: Path) -> float:
    """Return the number of bytes in the cache folder, unfinished files included."""
    total = 0.0
    for path in blobs.glob("*"):
        try:
            total += path.stat().st_size
        except FileNotFoundError:  # the client renamed a finished file
            continue
    return total


def _verify_checksum(model: ModelCard, file: _HubFile, path: Path) -> None:
    """Delete the file and raise ``BadModel`` if its checksum differs from the card's or hub's."""
    expected = model.sha256.get(file.name, file.digest)
    got = _sha256(path) if len(expected) == 64 else _git_sha1(path)
    if got == expected:
        return
    path.resolve().unlink()
    path.unlink(missing_ok=True)
    raise BadModel(
        f"{model.name}: {file.name} is damaged or another version: checksum {got[:12]}..., "
        f"expected {expected[:12]}...; deleted, try again: {download_command(model.name)}"
    )


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _git_sha1(path: Path) -> str:
    """Return git's id of the file's content, the only checksum of small files on the hub."""
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _call_with_timeout(
    call: Callable[[], T], timeout: float, measure: Callable[[], float] = lambda: 0.0
) -> T:
    """Return the result of ``call``, which runs in a daemon thread.

    Raises ``TimeoutError`` if ``measure`` returns no new maximum for ``timeout`` seconds. The hub's
    client has no such limit and may retry for minutes. After a timeout the call continues in its
    thread, which does not keep the program from ending.
    """
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(call())
        except BaseException as error:  # noqa: BLE001 (raised again in the caller's thread)
            future.set_exception(error)

    Thread(target=run, daemon=True).start()
    maximum, last_change = -1.0, monotonic()
    while not wait([future], timeout=0.1).done:
        value = measure()
        if value > maximum:
            maximum, last_change = value, monotonic()
        elif monotonic() - last_change > timeout:
            raise TimeoutError(f"nothing new for {timeout:g} s")
    return future.result()


def _to_user_error(
    error: Exception, model: ModelCard, hub: str, cache: Path
) -> Segment2InpaintError | None:
    """Return an error with one line that says what to do, None if the user cannot solve it."""
    if isinstance(error, Segment2InpaintError):
        return error
    causes = list(_causes(error))
    message = _machine_problem(causes, model, cache) or _hub_problem(error, causes, model, hub)
    return ModelMissing(f"{model.name}: {message}") if message else None


def _machine_problem(causes: list[BaseException], model: ModelCard, cache: Path) -> str:
    """Return what is wrong on this machine; empty if nothing is."""
    from huggingface_hub import errors

    if any(isinstance(cause, OSError) and cause.errno == errno.ENOSPC for cause in causes):
        return f"disk full while writing to {cache}; free some space"
    if any(isinstance(cause, UNWRITABLE_ERRORS) for cause in causes):
        return f"cannot write to {cache}; set HF_HUB_CACHE to another folder"
    if any(isinstance(cause, errors.OfflineModeIsEnabled) for cause in causes):
        return f"HF_HUB_OFFLINE is set, nothing is downloaded; unset it, or {_copy_hint(model)}"
    return ""


def _hub_problem(error: Exception, causes: list[BaseException], model: ModelCard, hub: str) -> str:
    """Return what is wrong with the hub or the network; empty if nothing is."""
    from huggingface_hub import errors

    status = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(error, errors.GatedRepoError) or status == 403:
        return (
            f"the model is gated; accept its licence at {model.page}, "
            "then log in with: hf auth login"
        )
    if isinstance(error, errors.RepositoryNotFoundError) or status == 401:
        return f"{hub} has no {model.repo}, or it requires: hf auth login"
    if status == 404:
        return (
            f"{hub} has no revision {model.revision} of {model.repo}; "
            f"get a newer segment2inpaint, or {_copy_hint(model)}"
        )
    if status is not None:
        return f"{hub} answered {status}; try again later"
    if isinstance(error, OSError) or any(map(_is_network_error, causes)):
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        return (
            f"cannot be downloaded from {hub} ({reason}); check the network, set "
            f"HF_ENDPOINT to a mirror, or {_copy_hint(model)}"
        )
    return ""


def _copy_hint(model: ModelCard) -> str:
    return f"copy the model to {models_folder() / model.name}"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield the error and the errors that led to it."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _is_network_error(error: BaseException) -> bool:
    """Return whether a network library raised the error; versions of the hub's client differ."""
    return type(error).__module__.partition(".")[0] in NETWORK_LIBRARIES
