"""One photo: read it, edit it, write what came of it, tell of it in a record.

A record is a line of the ledger. Nothing a photo does raises here, but for what would stop
every photo: a full disk, a model that is not there.
"""

from __future__ import annotations

import errno
import hashlib
import traceback
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np

from segment2inpaint import images, pipeline
from segment2inpaint.dataset import request_json, storage
from segment2inpaint.dataset.formats.shards import read_input
from segment2inpaint.dataset.manifest_rows import Inputs, Step, record, rows
from segment2inpaint.dataset.plan import mask_name
from segment2inpaint.dataset.results_log import STATE
from segment2inpaint.dataset.run_types import Json, PhotoJob, RunSettings
from segment2inpaint.editor import Editor
from segment2inpaint.errors import (
    BadDataset,
    BadModel,
    ModelMissing,
    NothingFound,
    Segment2InpaintError,
)
from segment2inpaint.images import Photo
from segment2inpaint.types import Alpha, Image, Request, Result, bounding_box

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO}
THUMB = 160  # px, the longer side of each of its three pictures
LOOK = 0.75  # of the object's longer side, shown round it


@dataclass(frozen=True, eq=False)
class LoadedPhoto:
    """A photo read, and its requests with the objects that each is for; no photo: a copy."""

    job: PhotoJob
    data: bytes
    photo: Photo | None
    steps: tuple[Step, ...]
    inputs: Inputs
    seconds: float


@dataclass(frozen=True, eq=False)
class FailedPhoto:
    """A photo that could not be done, at whatever stage.

    ``whole`` is its file where there was nothing to find in it, else empty.
    """

    job: PhotoJob
    error: str
    inputs: Inputs
    trace: str = ""
    whole: bytes = b""


@dataclass(frozen=True, eq=False)
class EditedPhoto:
    """A photo with its objects gone; a result for each step."""

    ready: LoadedPhoto
    image: Image
    alpha: Alpha
    results: tuple[Result, ...] = ()
    seconds: float = 0.0


class AbortRun(Exception):
    """Not an error of one photo: no photo can be done, the run must end with ``error``."""

    def __init__(self, error: Segment2InpaintError) -> None:
        super().__init__(error)
        self.error = error


def editor_for(settings: RunSettings) -> Editor:
    """The editor that a worker keeps."""
    return Editor(settings.device, settings.dtype, settings.cache, runtime=settings.tuning)


def load_photo(job: PhotoJob, settings: RunSettings) -> LoadedPhoto | FailedPhoto:
    """Read all files of a photo and its requests."""
    start = perf_counter()
    inputs: list[tuple[str, str]] = []
    try:
        inputs.extend(_input(name) for name in request_json.files(job.items))
        before, data = storage.fingerprint(job.photo), read_input(job.photo)
        inputs.insert(0, (before, _digest(data)))
        if all(item.request is None for item in job.items):
            return LoadedPhoto(job, data, None, (), inputs, perf_counter() - start)
        limit = {"max_pixels": settings.max_pixels} if settings.max_pixels else {}
        photo = images.read(data, name=job.photo, **limit)
        steps = tuple(
            (request_json.ready(request, photo.size, settings), tuple(items))
            for request, items in request_json.steps(job.items)
        )
    except Exception as error:  # noqa: BLE001 - whatever a photo does, it is that photo's
        return _failure(job, error, inputs)
    return LoadedPhoto(job, data, photo, steps, inputs, perf_counter() - start)


def edit_photos(
    some: Iterable[LoadedPhoto | FailedPhoto], editor: Editor
) -> Iterator[EditedPhoto | FailedPhoto]:
    """Each photo with its objects gone, in order; windows of several photos share batches."""
    rest = iter(some)
    begun: deque[LoadedPhoto | FailedPhoto] = deque()  # not told of yet: at most what a batch holds
    try:
        for result in editor.many(_first_steps(rest, begun)):
            while not _is_asked(begun[0]):
                yield _without_steps(begun.popleft())
            yield _finished(begun.popleft(), result, editor)
    except (ModelMissing, BadModel) as error:
        raise AbortRun(error) from error
    except Exception:  # noqa: BLE001 - a fault of ours: whose photo it is shows alone
        yield from (_one(one, editor) for one in begun)
        begun.clear()
        yield from (_one(one, editor) for one in rest)
    yield from (_without_steps(one) for one in begun)


def write_results(one: EditedPhoto | FailedPhoto, settings: RunSettings) -> Json:
    """Write the results of a photo; its record. Raises ``Stop`` if the disk is full."""
    try:
        return _delivered(one, settings)
    except Exception as error:
        if _is_full(error):
            told = str(error).removesuffix("; choose another place")
            raise AbortRun(BadDataset(f"{told}; make room and start again")) from error
        job, inputs = (one if isinstance(one, FailedPhoto) else one.ready).job, _inputs_of(one)
        return _failed(_failure(job, error, inputs))


def quarantine(job: PhotoJob, error: str) -> Json:
    """The record of a photo that took its process down."""
    try:
        inputs = [_input(name) for name in [job.photo, *request_json.files(job.items)]]
    except Segment2InpaintError:
        inputs = []
    return record(job, inputs, "quarantined", error)


def _input(name: str) -> tuple[str, str]:
    return storage.fingerprint(name), _digest(read_input(name))


# --- editing --------------------------------------------------------------------------------


def _first_steps(
    rest: Iterator[LoadedPhoto | FailedPhoto], begun: deque[LoadedPhoto | FailedPhoto]
) -> Iterator[tuple[Photo, Request]]:
    """What is to be done first to each photo; all are noted in ``begun``."""
    for one in rest:
        begun.append(one)
        if isinstance(one, LoadedPhoto) and one.photo:
            yield one.photo, one.steps[0][0]


def _is_asked(one: LoadedPhoto | FailedPhoto) -> bool:
    return isinstance(one, LoadedPhoto) and one.photo is not None


def _without_steps(one: LoadedPhoto | FailedPhoto) -> EditedPhoto | FailedPhoto:
    """A failure, or a photo that is only copied."""
    nothing = np.zeros((0, 0, 3), np.uint8)
    return (
        one
        if isinstance(one, FailedPhoto)
        else EditedPhoto(one, nothing, nothing[..., 0].astype("f4"))
    )


def _finished(
    one: LoadedPhoto | FailedPhoto, result: Result | Segment2InpaintError, editor: Editor
) -> EditedPhoto | FailedPhoto:
    """The other steps of a photo, each on what the one before has left."""
    assert isinstance(one, LoadedPhoto)
    assert one.photo
    try:
        if isinstance(result, Segment2InpaintError):
            raise result
        results = [result]
        for request, _ in one.steps[1:]:
            photo = replace(one.photo, image=results[-1].image)
            results.append(editor.run(photo, request))
    except (ModelMissing, BadModel) as error:
        raise AbortRun(error) from error
    except Exception as error:  # noqa: BLE001 - as above
        return _failure(one.job, error, one.inputs, one.data)
    alpha: Alpha = np.maximum.reduce([result.alpha for result in results])
    spent = sum(sum(result.seconds.values()) for result in results)
    return EditedPhoto(one, results[-1].image, alpha, tuple(results), spent)


def _one(one: LoadedPhoto | FailedPhoto, editor: Editor) -> EditedPhoto | FailedPhoto:
    """One photo by itself."""
    if not _is_asked(one):
        return _without_steps(one)
    assert isinstance(one, LoadedPhoto)
    assert one.photo
    try:
        result = editor.run(one.photo, one.steps[0][0])
    except Exception as error:
        if isinstance(error, ModelMissing | BadModel):
            raise AbortRun(error) from error
        return _failure(one.job, error, one.inputs, one.data)
    return _finished(one, result, editor)


# --- writing --------------------------------------------------------------------------------


def _delivered(one: EditedPhoto | FailedPhoto, settings: RunSettings) -> Json:
    if isinstance(one, FailedPhoto):
        return _left(one, settings) if one.whole else _failed(one)
    ready, start = one.ready, perf_counter()
    if ready.photo is None:
        return _copied(ready.job, ready.data, ready.inputs, settings)
    verdict = _worst([result.verdict for result in one.results])
    if ready.job.thumb or verdict not in (None, "clean"):
        _write_thumb(one, settings)
    if settings.strict and verdict == "failed":
        seen = "; ".join(c.sentence for r in one.results for c in r.checks if c.failed)
        told = rows(ready.steps, one.results, settings, {}, 0)
        return record(ready.job, ready.inputs, "failed", f"not good enough: {seen}", told, verdict)
    files = _files(one, settings)
    for name, content in files.items():
        storage.write(storage.join(settings.out, name), content)
    changed = one.results[0].changed_outside
    if len(one.results) > 1:
        changed = pipeline.changed_outside(ready.photo.image, one.image, one.alpha)
    digests = {name: _digest(content) for name, content in files.items()}
    told = rows(ready.steps, one.results, settings, digests, changed)
    absent = sum(row["status"] == "failed" for row in told)
    status = "partial" if absent else "done"
    error = f"{absent} of {len(told)} objects not found" if absent else ""
    seconds = ready.seconds + one.seconds + perf_counter() - start
    written = {name: len(content) for name, content in files.items()}
    return record(ready.job, ready.inputs, status, error, told, verdict, seconds, written)


def _files(one: EditedPhoto, settings: RunSettings) -> dict[str, bytes]:
    """What is written for a photo, by name: itself, and its mask."""
    photo, job = one.ready.photo, one.ready.job
    assert photo
    kind = _format(photo, job)
    data = images.encode(photo, one.image, one.alpha, format=kind, quality=settings.quality)
    if not settings.masks:
        return {job.output: data}
    return {job.output: data, mask_name(job.output, settings): images.encode_mask(one.alpha)}


def _left(one: FailedPhoto, settings: RunSettings) -> Json:
    """A photo with nothing to find in it: a failure, copied, or left out."""
    if settings.if_nothing == "copy":
        return _copied(one.job, one.whole, one.inputs, settings, one.error)
    if settings.if_nothing == "skip":
        return record(one.job, one.inputs, "nothing", one.error)
    return _failed(one)


def _failed(one: FailedPhoto) -> Json:
    return record(one.job, one.inputs, "failed", one.error, trace=one.trace)


def _copied(
    job: PhotoJob, data: bytes, inputs: Inputs, settings: RunSettings, why: str = ""
) -> Json:
    storage.write(storage.join(settings.out, job.output), data)
    return record(job, inputs, "copied", why, written={job.output: len(data)})


def _inputs_of(one: EditedPhoto | FailedPhoto) -> Inputs:
    return one.inputs if isinstance(one, FailedPhoto) else one.ready.inputs


def _format(photo: Photo, job: PhotoJob) -> str | None:
    """None: the photo's own, whatever its suffix says; else what the new suffix asks for."""
    same = job.output.rpartition(".")[2] == storage.file_of(job.photo).rpartition(".")[2]
    return None if same or "#" in job.photo else images.format_of(job.output)


def _write_thumb(one: EditedPhoto, settings: RunSettings) -> None:
    """before | mask | after, round what was repainted, for the report."""
    assert one.ready.photo
    before, box = one.ready.photo.image, bounding_box(one.alpha > 0)
    box = box.grown(int(LOOK * max(box.width, box.height)), before.shape[:2])
    every = max(1, max(box.width, box.height) // THUMB)  # enough pixels for a small picture
    high, wide = (slice(s.start, s.stop, every) for s in box.slices)
    part = replace(one.results[-1], image=one.image[high, wide], alpha=one.alpha[high, wide])
    strip = images.photo_of(pipeline.preview(before[high, wide], part, THUMB))
    nothing = np.zeros(strip.size, np.float32)
    data = images.encode(strip, strip.image, nothing, format="JPEG", quality=80)
    storage.write(thumb_name(one.ready.job.output, settings), data)


def thumb_name(output: str, settings: RunSettings) -> str:
    """Where the report's picture of a photo is."""
    return storage.join(settings.out, f"{STATE}/thumbs/{output}.jpg")


def _failure(job: PhotoJob, error: Exception, inputs: Inputs, data: bytes = b"") -> FailedPhoto:
    """What a photo could not: in a line if the user can mend it, with its trace if it is ours."""
    if isinstance(error, Segment2InpaintError):
        whole = data if isinstance(error, NothingFound) else b""
        told = str(error).splitlines()[0].removeprefix(f"{job.photo}: ")
        return FailedPhoto(job, told, inputs, whole=whole)
    told = f"{type(error).__name__}: {error}".splitlines()[0]
    return FailedPhoto(job, told, inputs, traceback.format_exc())


def _is_full(error: BaseException) -> bool:
    cause = error.__cause__ if isinstance(error, Segment2InpaintError) else error
    return isinstance(cause, OSError) and cause.errno in FULL


def _worst(verdicts: Sequence[str | None]) -> str | None:
    order = ["failed", "doubtful", "clean"]
    return next((one for one in order if one in verdicts), None)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
