"""The three stages of one photo: load its files, edit it, write the results.

``write_results`` returns the record of the photo for the results log. An error of one photo is
recorded and does not raise. ``AbortRun`` is raised for what would stop every photo: a full disk or
a missing model.
"""

from __future__ import annotations

import errno
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from time import perf_counter

import numpy as np

from segment2inpaint import images, masks, pipeline
from segment2inpaint.dataset import request_json, retries, storage
from segment2inpaint.dataset.declared_size import PhotoFrame
from segment2inpaint.dataset.inputs import FileVersion, digest, file_version, read_input
from segment2inpaint.dataset.manifest_rows import (
    InputVersions,
    base_row,
    object_rows,
    photo_record,
)
from segment2inpaint.dataset.names import mask_name, object_mask_name, thumbnail_path
from segment2inpaint.dataset.photo_states import AbortRun, EditedPhoto, FailedPhoto, LoadedPhoto
from segment2inpaint.dataset.run_types import FAILED_STATUSES, Json, PhotoJob, RunSettings
from segment2inpaint.dataset.thumbnails import edit_thumbnail
from segment2inpaint.editor import Editor
from segment2inpaint.errors import (
    BadDataset,
    BadModel,
    ModelMissing,
    NothingFound,
    Segment2InpaintError,
)
from segment2inpaint.images import Photo
from segment2inpaint.result import Result
from segment2inpaint.types import Alpha, Request

DISK_FULL_ERRNOS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO}


def make_editor(settings: RunSettings) -> Editor:
    """Return an editor, which a worker keeps for all its photos."""
    return Editor(settings.device, settings.dtype, settings.cache, runtime=settings.runtime)


# --- loading ----------------------------------------------------------------------------------


def load_photo(job: PhotoJob, settings: RunSettings) -> LoadedPhoto | FailedPhoto:
    """Read the photo of a job and all files that its requests refer to."""
    start = perf_counter()
    inputs: list[FileVersion] = []
    notes: list[str] = []
    try:
        inputs.extend(file_version(name) for name in request_json.referenced_files(job.items))
        fingerprint, data = storage.fingerprint(job.photo), read_input(job.photo)
        inputs.insert(0, (fingerprint, digest(data)))
        has_edits = any(item.request is not None for item in job.items)
        if not has_edits and settings.only_masks is None:
            return LoadedPhoto(job, data, None, (), inputs, perf_counter() - start)
        limit = {"max_pixels": settings.max_pixels} if settings.max_pixels else {}
        photo = images.read(data, name=job.photo, **limit)
        frame = PhotoFrame(photo.size, photo.orientation)
        if not has_edits:  # its size is needed
            return LoadedPhoto(job, data, photo, (), inputs, perf_counter() - start)
        steps, rejected = request_json.load_steps(job.items, frame, settings, notes.append)
        if job.earlier:
            steps = retries.mend_steps(steps, job.earlier)
    except Exception as error:  # noqa: BLE001 - any error is recorded as this photo's failure
        return failed_photo(job, error, inputs)
    seconds = perf_counter() - start
    return LoadedPhoto(
        job, data, photo, tuple(steps), inputs, seconds, tuple(notes), tuple(rejected)
    )


def quarantine_record(job: PhotoJob, error: str) -> Json:
    """Return the record of a photo that crashed its worker process."""
    if job.earlier:
        return retries.without_actions(job.earlier)
    names = [job.photo, *request_json.referenced_files(job.items)]
    try:
        inputs = [file_version(name) for name in names]
    except Exception:  # noqa: BLE001 - the files of such a photo may be unreadable in any way
        inputs = []
    return photo_record(job, inputs, "quarantined", error)


def failed_photo(
    job: PhotoJob, error: Exception, inputs: InputVersions, data: bytes = b""
) -> FailedPhoto:
    """Return the failure of a photo, with the traceback if the error is unexpected."""
    if isinstance(error, Segment2InpaintError):
        message = _first_line(str(error), error).removeprefix(f"{job.photo}: ")
        copy_data = data if isinstance(error, NothingFound) else b""
        return FailedPhoto(job, message, inputs, copy_data=copy_data)
    message = _first_line(f"{type(error).__name__}: {error}", error)
    return FailedPhoto(job, message, inputs, traceback.format_exc())


def _first_line(text: str, error: Exception) -> str:
    return next(iter(text.splitlines()), type(error).__name__)


# --- editing ----------------------------------------------------------------------------------


def edit_photos(
    photos: Iterable[LoadedPhoto | FailedPhoto], editor: Editor
) -> Iterator[EditedPhoto | FailedPhoto]:
    """Yield each photo edited, in order; crops of several photos share batches.

    Raises ``AbortRun`` if a model is missing or damaged.
    """
    rest = iter(photos)
    started: deque[LoadedPhoto | FailedPhoto] = deque()  # not yet yielded: at most a batch
    try:
        for result in editor.many(_first_requests(rest, started)):
            while not _has_edits(started[0]):
                yield _pass_through(started.popleft())
            yield _run_remaining_steps(started.popleft(), result, editor)
    except (ModelMissing, BadModel) as error:
        raise AbortRun(error) from error
    except Exception:  # noqa: BLE001 - edit each photo alone to find the one that fails
        yield from (_edit_alone(photo, editor) for photo in started)
        started.clear()
        yield from (_edit_alone(photo, editor) for photo in rest)
    yield from (_pass_through(photo) for photo in started)


def _first_requests(
    photos: Iterator[LoadedPhoto | FailedPhoto], started: deque[LoadedPhoto | FailedPhoto]
) -> Iterator[tuple[Photo, Request]]:
    """Yield the first request of each photo that has one; append every photo to ``started``."""
    for loaded in photos:
        started.append(loaded)
        if isinstance(loaded, LoadedPhoto) and loaded.photo:
            yield loaded.photo, loaded.steps[0][0]


def _has_edits(loaded: LoadedPhoto | FailedPhoto) -> bool:
    return isinstance(loaded, LoadedPhoto) and loaded.photo is not None


def _pass_through(loaded: LoadedPhoto | FailedPhoto) -> EditedPhoto | FailedPhoto:
    """Return a failed photo, or one that is only copied, without editing it."""
    if isinstance(loaded, FailedPhoto):
        return loaded
    no_pixels = np.zeros((0, 0, 3), np.uint8)
    return EditedPhoto(loaded, no_pixels, np.zeros((0, 0), np.float32))


def _run_remaining_steps(
    loaded: LoadedPhoto | FailedPhoto, result: Result | Segment2InpaintError, editor: Editor
) -> EditedPhoto | FailedPhoto:
    """Run the steps after the first, each on the image of the step before."""
    assert isinstance(loaded, LoadedPhoto)
    assert loaded.photo
    try:
        if isinstance(result, Segment2InpaintError):
            raise result
        results = [result]
        for request, _ in loaded.steps[1:]:
            photo = replace(loaded.photo, image=results[-1].image)
            results.append(editor.run(photo, request))
    except (ModelMissing, BadModel) as error:
        raise AbortRun(error) from error
    except Exception as error:  # noqa: BLE001 - any error is recorded as this photo's failure
        return failed_photo(loaded.job, error, loaded.inputs, loaded.data)
    alpha: Alpha = np.maximum.reduce([result.alpha for result in results])
    seconds = sum(sum(result.seconds.values()) for result in results)
    return EditedPhoto(loaded, results[-1].image, alpha, tuple(results), seconds)


def _edit_alone(loaded: LoadedPhoto | FailedPhoto, editor: Editor) -> EditedPhoto | FailedPhoto:
    """Edit one photo without batching it with others."""
    if not _has_edits(loaded):
        return _pass_through(loaded)
    assert isinstance(loaded, LoadedPhoto)
    assert loaded.photo
    try:
        result = editor.run(loaded.photo, loaded.steps[0][0])
    except Exception as error:
        if isinstance(error, ModelMissing | BadModel):
            raise AbortRun(error) from error
        return failed_photo(loaded.job, error, loaded.inputs, loaded.data)
    return _run_remaining_steps(loaded, result, editor)


# --- writing ----------------------------------------------------------------------------------


def write_results(photo: EditedPhoto | FailedPhoto, settings: RunSettings) -> Json:
    """Write the results of a photo, and return its record.

    A retry that fails leaves the earlier result and its record. Raises ``AbortRun`` if the disk is
    full.
    """
    earlier = (photo if isinstance(photo, FailedPhoto) else photo.loaded).job.earlier
    if isinstance(photo, FailedPhoto):
        if earlier:
            return retries.without_actions(earlier)
        return recorded(photo, lambda: _write_failed(photo, settings))
    record = recorded(photo.loaded, lambda: _write_edited(photo, settings))
    is_lost = earlier is not None and record["status"] in FAILED_STATUSES
    return retries.without_actions(earlier) if earlier and is_lost else record


def recorded(photo: LoadedPhoto | FailedPhoto, write: Callable[[], Json]) -> Json:
    """Return the record that ``write`` returns; if it raises, the record of the failure.

    Raises ``AbortRun`` if the disk is full.
    """
    try:
        return write()
    except Exception as error:
        if _is_disk_full(error):
            message = str(error).removesuffix("; choose another place")
            raise AbortRun(BadDataset(f"{message}; make room and start again")) from error
        return failure_record(failed_photo(photo.job, error, photo.inputs))


def _write_edited(edited: EditedPhoto, settings: RunSettings) -> Json:
    loaded, start = edited.loaded, perf_counter()
    if loaded.photo is None:
        return _write_copy(loaded.job, loaded.data, loaded.inputs, settings)
    if loaded.job.earlier and not retries.is_better(edited.results, loaded.job.earlier):
        return retries.without_actions(loaded.job.earlier)
    verdict = _worst_verdict([result.verdict for result in edited.results])
    if loaded.job.save_thumbnail or verdict not in (None, "clean"):
        thumbnail = edit_thumbnail(
            loaded.photo.image, edited.results[-1], edited.image, edited.alpha
        )
        storage.write(thumbnail_path(loaded.job.output, settings), thumbnail)
    if settings.strict and verdict == "failed":
        return _rejected_record(edited, settings)
    files = _encode_outputs(edited, settings)
    for name, content in files.items():
        storage.write(storage.join(settings.out, name), content)
    digests = {name: digest(content) for name, content in files.items()}
    changed_outside = _changed_outside(edited, loaded.photo, files[loaded.job.output])
    rows = object_rows(
        loaded.steps, edited.results, settings, digests, changed_outside, _note(loaded)
    )
    if loaded.job.earlier:
        rows = retries.with_actions(rows, loaded.job.earlier)
    rows += [base_row(item, "failed", str(reason)) for item, reason in loaded.rejected]
    absent = sum(row["status"] == "failed" for row in rows)
    status = "partial" if absent else "done"
    error = _partial_error(absent, rows, loaded.rejected)
    seconds = loaded.seconds + edited.seconds + perf_counter() - start
    written = {name: len(content) for name, content in files.items()}
    return photo_record(loaded.job, loaded.inputs, status, error, rows, verdict, seconds, written)


def _partial_error(
    absent: int, rows: Sequence[Json], rejected: Sequence[request_json.RejectedItem]
) -> str:
    if rejected:
        return f"{absent} of {len(rows)} objects failed: {rejected[0][1]}"
    return f"{absent} of {len(rows)} objects not found" if absent else ""


def _rejected_record(edited: EditedPhoto, settings: RunSettings) -> Json:
    """Return the record of a result that failed its checks and is not written."""
    loaded = edited.loaded
    failures = "; ".join(
        r.judgement.message for r in edited.results if r.judgement and r.verdict == "failed"
    )
    rows = object_rows(loaded.steps, edited.results, settings, {}, 0)
    error = f"not good enough: {failures}"
    return photo_record(loaded.job, loaded.inputs, "failed", error, rows, "failed")


def _changed_outside(edited: EditedPhoto, photo: Photo, data: bytes) -> int:
    """Return the number of pixels of the file that differ where the joint alpha is 0."""
    if len(edited.results) == 1:
        count = edited.results[0].changed_outside
    else:
        count = pipeline.changed_outside(photo.image, edited.image, edited.alpha)
    return images.file_changes(photo, count, edited.alpha, data).outside


def _note(loaded: LoadedPhoto) -> str:
    """Return what masks were taken for and what the result does not keep, in one line."""
    assert loaded.photo
    not_kept = images.not_kept(loaded.photo, _output_format(loaded.job))
    lost = [f"not kept: {', '.join(not_kept)}"] if not_kept else []
    return "; ".join([*dict.fromkeys(loaded.notes), *lost])


def _encode_outputs(edited: EditedPhoto, settings: RunSettings) -> dict[str, bytes]:
    """Return the files of a result by name: the photo, and its mask if masks are written."""
    photo, job = edited.loaded.photo, edited.loaded.job
    assert photo
    opacity = edited.results[-1].opacity if edited.results else None
    data = images.encode(
        images.with_opacity(photo, opacity), edited.image, edited.alpha,
        format=_output_format(job), quality=settings.quality,
    )  # fmt: skip
    if not settings.masks:
        return {job.output: data}
    files = {job.output: data, mask_name(job.output, settings): images.encode_mask(edited.alpha)}
    if settings.pairs:
        files[object_mask_name(job.output)] = images.encode_mask(
            masks.union([d for result in edited.results for d in result.detections])
        )
    return files


def _output_format(job: PhotoJob) -> str | None:
    """Return the image format of a new suffix; None keeps the photo's own format."""
    suffix = storage.containing_file(job.photo).rpartition(".")[2]
    if "#" in job.photo or job.output.rpartition(".")[2] == suffix:
        return None
    return images.format_of(job.output)


def _write_failed(failed: FailedPhoto, settings: RunSettings) -> Json:
    """Treat a photo without the object as ``settings.if_nothing`` says; record other failures."""
    if failed.copy_data and settings.if_nothing == "copy":
        return _write_copy(failed.job, failed.copy_data, failed.inputs, settings, failed.error)
    if failed.copy_data and settings.if_nothing == "skip":
        return photo_record(failed.job, failed.inputs, "nothing", failed.error)
    return failure_record(failed)


def failure_record(failed: FailedPhoto) -> Json:
    return photo_record(
        failed.job, failed.inputs, "failed", failed.error, traceback=failed.traceback
    )


def _write_copy(
    job: PhotoJob, data: bytes, inputs: InputVersions, settings: RunSettings, error: str = ""
) -> Json:
    storage.write(storage.join(settings.out, job.output), data)
    return photo_record(job, inputs, "copied", error, written={job.output: len(data)})


def _is_disk_full(error: BaseException) -> bool:
    cause = error.__cause__ if isinstance(error, Segment2InpaintError) else error
    return isinstance(cause, OSError) and cause.errno in DISK_FULL_ERRNOS


def _worst_verdict(verdicts: Sequence[str | None]) -> str | None:
    """Return the worst verdict; None if no result was verified."""
    return next((v for v in ("failed", "doubtful", "clean") if v in verdicts), None)
