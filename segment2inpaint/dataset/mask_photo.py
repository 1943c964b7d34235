"""One photo of a run that only finds objects: find them, write their masks, record them.

The record has all that annotations are made of, so that they are written at the end of the run.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np

from segment2inpaint import images, masks
from segment2inpaint.dataset import mask_files, storage
from segment2inpaint.dataset.annotations_out.objects import RecordedObject, encode_mask
from segment2inpaint.dataset.inputs import digest
from segment2inpaint.dataset.manifest_rows import (
    base_row,
    library_versions,
    photo_record,
    prompt_slices,
)
from segment2inpaint.dataset.names import thumbnail_path
from segment2inpaint.dataset.photo_states import AbortRun, FailedPhoto, LoadedPhoto
from segment2inpaint.dataset.process_photo import failed_photo, failure_record, recorded
from segment2inpaint.dataset.run_types import EditItem, Json, MaskOutputs, RunSettings
from segment2inpaint.dataset.thumbnails import mask_thumbnail
from segment2inpaint.editor import Editor
from segment2inpaint.errors import BadModel, ModelMissing, NothingFound
from segment2inpaint.regions import refined_alpha
from segment2inpaint.types import (
    Alpha,
    BinaryMask,
    Detection,
    Everything,
    Find,
    Prompt,
    Request,
    Text,
    bounding_box,
)

FINDS_SEVERAL = (Text, Find, Everything)  # prompts that are for any number of objects


@dataclass(frozen=True, eq=False)
class FoundObject:
    """An object that was found: for which item, in which category, and its ``mask``.

    ``mask`` is ``(H, W)`` bool, as ``Refine`` has left it; ``label`` is empty if neither the item
    nor a text prompt has one.
    """

    item: EditItem
    label: str
    request: Request
    detection: Detection
    mask: BinaryMask


@dataclass(frozen=True, eq=False)
class MaskedPhoto:
    """A photo in which objects were looked for.

    ``alpha`` is ``(H, W)`` float32, the union of the objects. ``missing`` are the items without an
    object. ``seconds`` is the time that finding took.
    """

    loaded: LoadedPhoto
    objects: tuple[FoundObject, ...]
    alpha: Alpha
    missing: tuple[EditItem, ...]
    seconds: float


# --- finding ----------------------------------------------------------------------------------


def find_masks(
    photos: Iterable[LoadedPhoto | FailedPhoto], editor: Editor
) -> Iterator[MaskedPhoto | FailedPhoto]:
    """Yield each photo with the objects at its prompts, in order; no inpainter is loaded.

    Raises ``AbortRun`` if a model is missing or damaged.
    """
    for photo in photos:
        yield photo if isinstance(photo, FailedPhoto) else _find(photo, editor)


def _find(loaded: LoadedPhoto, editor: Editor) -> MaskedPhoto | FailedPhoto:
    assert loaded.photo
    start = perf_counter()
    try:
        found, missing = _find_objects(loaded, editor)
        alpha = _union(found, loaded.photo.size)
    except (ModelMissing, BadModel) as error:
        raise AbortRun(error) from error
    except Exception as error:  # noqa: BLE001 - any error is recorded as this photo's failure
        return failed_photo(loaded.job, error, loaded.inputs, loaded.data)
    return MaskedPhoto(loaded, tuple(found), alpha, tuple(missing), perf_counter() - start)


def _find_objects(loaded: LoadedPhoto, editor: Editor) -> tuple[list[FoundObject], list[EditItem]]:
    """Return the objects of a photo's items, and the items without one.

    Raises ``NothingFound`` if no item has an object.
    """
    assert loaded.photo
    found: list[FoundObject] = []
    missing: dict[int, EditItem] = {}
    error = None
    for request, items in loaded.steps:
        for item, prompts in zip(items, prompt_slices(items), strict=True):
            for label, chosen in _by_label(item.label, request.prompts[prompts]):
                part = replace(request, prompts=chosen)
                try:
                    detections = editor.find_objects(loaded.photo, part)
                except NothingFound as nothing:
                    missing[id(item)], error = item, error or nothing
                    continue
                found += [_found_object(item, label, part, d) for d in detections]
    if error and not found:
        raise error
    answered = {id(each.item) for each in found}
    return _joined(found), [item for key, item in missing.items() if key not in answered]


def _by_label(label: str, prompts: Sequence[Prompt]) -> Iterator[tuple[str, tuple[Prompt, ...]]]:
    """Yield the prompts to run together, each with the category of what they find.

    Texts and kinds are run one by one, since what they find is of different categories.
    """
    named = [prompt for prompt in prompts if isinstance(prompt, Text | Find)]
    rest = [prompt for prompt in prompts if not isinstance(prompt, Text | Find)]
    if not named:
        yield label, tuple(prompts)
    for prompt in named:
        words = prompt.words if isinstance(prompt, Text) else prompt.kind
        yield label or words, (prompt, *rest)


def _found_object(
    item: EditItem, label: str, request: Request, detection: Detection
) -> FoundObject:
    alpha, _, _ = refined_alpha([detection], request.prompts, replace(request.refine, invert=False))
    return FoundObject(item, label, request, detection, alpha > 0.5)


def _joined(objects: Sequence[FoundObject]) -> list[FoundObject]:
    """Return the objects; an item with an id is one object unless its prompts may find several."""
    joined: list[FoundObject] = []
    places: dict[str, int] = {}
    for each in objects:
        place = places.get(each.item.id)
        if place is not None:
            joined[place] = _union_of(joined[place], each)
            continue
        if each.item.id and not any(isinstance(p, FINDS_SEVERAL) for p in each.request.prompts):
            places[each.item.id] = len(joined)
        joined.append(each)
    return joined


def _union_of(first: FoundObject, second: FoundObject) -> FoundObject:
    detection = replace(
        first.detection,
        mask=masks.union([first.detection, second.detection]),
        score=max(first.detection.score, second.detection.score),
        alpha=None,
    )
    return replace(first, detection=detection, mask=first.mask | second.mask)


def _union(objects: Sequence[FoundObject], size: tuple[int, int]) -> Alpha:
    """Return the union of the objects, ``(H, W)`` float32 in [0, 1]; inverted if asked for."""
    alpha: Alpha = np.zeros(size, np.float32)
    for refine in dict.fromkeys(each.request.refine for each in objects):
        group = [each for each in objects if each.request.refine == refine]
        prompts = [prompt for each in group for prompt in each.request.prompts]
        part, _, _ = refined_alpha([each.detection for each in group], prompts, refine)
        np.maximum(alpha, part, out=alpha)
    return alpha


# --- writing ----------------------------------------------------------------------------------


def write_results(
    photo: MaskedPhoto | FailedPhoto, settings: RunSettings, outputs: MaskOutputs
) -> Json:
    """Write the masks of a photo, and return its record. Raises ``AbortRun`` as for edits."""
    if isinstance(photo, FailedPhoto):
        return recorded(photo, lambda: _write_failed(photo, settings))
    return recorded(photo.loaded, lambda: _write(photo, settings, outputs))


def _write(masked: MaskedPhoto, settings: RunSettings, outputs: MaskOutputs) -> Json:
    loaded, start = masked.loaded, perf_counter()
    files = _write_files(masked, settings, outputs)
    rows = list(_rows(masked, settings, outputs, files))
    absent = sum(row["status"] == "failed" for row in rows)
    status = "partial" if absent else "done" if loaded.steps else "copied"
    error = f"{absent} of {len(rows)} objects not found" if absent else ""
    written = {name: len(content) for name, content in files.items()}
    seconds = loaded.seconds + masked.seconds + perf_counter() - start
    record = photo_record(
        loaded.job, loaded.inputs, status, error, rows, seconds=seconds, written=written
    )
    return {**record, "size": list(masked.alpha.shape), "objects": _recorded_objects(masked)}


def _write_files(
    masked: MaskedPhoto, settings: RunSettings, outputs: MaskOutputs
) -> dict[str, bytes]:
    """Write the masks of a photo and its picture in the report; return the masks by name."""
    job, photo = masked.loaded.job, masked.loaded.photo
    assert photo
    found = [each.mask for each in masked.objects]
    files = mask_files.encode(job.output, masked.alpha, found, settings, outputs)
    for name, content in files.items():
        storage.write(storage.join(settings.out, name), content)
    mask_files.delete_surplus(job.output, len(found), settings.out)
    if job.save_thumbnail and found:
        thumbnail = mask_thumbnail(photo.image, found)
        storage.write(thumbnail_path(job.output, settings), thumbnail)
    return files


def _recorded_objects(masked: MaskedPhoto) -> list[Json]:
    return [
        RecordedObject(
            id=each.item.id,
            label=each.label,
            score=round(each.detection.score, 4),
            box=bounding_box(each.mask),
            area=int(np.count_nonzero(each.mask)),
            is_crowd=each.item.is_crowd,
            run_lengths=encode_mask(each.mask),
        ).to_json()
        for each in masked.objects
    ]


def _rows(
    masked: MaskedPhoto, settings: RunSettings, outputs: MaskOutputs, files: Mapping[str, bytes]
) -> Iterator[Json]:
    """Yield a manifest row for each object, and for each item without one."""
    loaded = masked.loaded
    note = "; ".join(dict.fromkeys(loaded.notes))
    for number, each in enumerate(masked.objects, 1):
        mask = mask_files.name_of(loaded.job.output, number, settings, outputs)
        yield {
            **base_row(each.item, "done", ""),
            "label": each.label or outputs.label,
            "mask": mask,
            "mask_sha256": digest(files[mask]) if mask else "",
            "box": list(bounding_box(each.mask)),
            "area": int(np.count_nonzero(each.mask)),
            "score": round(each.detection.score, 4),
            "detector": each.request.detector,
            "versions": library_versions(),
            "timings": {"detect": round(masked.seconds, 3)},
            **({"note": note} if note else {}),
        }
    status = "failed" if settings.if_nothing == "fail" else "nothing"
    yield from (base_row(item, status, "nothing found there") for item in masked.missing)
    yield from (base_row(item, "failed", str(reason)) for item, reason in loaded.rejected)


def _write_failed(failed: FailedPhoto, settings: RunSettings) -> Json:
    """Treat a photo without an object as ``settings.if_nothing`` says; record other failures."""
    if failed.copy_data and settings.if_nothing == "copy":
        record = photo_record(failed.job, failed.inputs, "copied", failed.error)
        size = images.read(failed.copy_data, name=failed.job.photo).size
        return {**record, "size": list(size), "objects": []}
    if failed.copy_data and settings.if_nothing == "skip":
        return photo_record(failed.job, failed.inputs, "nothing", failed.error)
    return failure_record(failed)
