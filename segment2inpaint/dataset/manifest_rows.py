"""Records of the results log, and the manifest rows of a photo's objects in them."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from importlib.metadata import version

import numpy as np

from segment2inpaint.dataset.inputs import FileVersion
from segment2inpaint.dataset.names import mask_name
from segment2inpaint.dataset.run_types import EditItem, Json, PhotoJob, RunSettings
from segment2inpaint.judgement import Judgement
from segment2inpaint.result import Result
from segment2inpaint.types import (
    Box,
    Detection,
    Points,
    Prompt,
    Request,
    UserMask,
    bounding_box,
)

InputVersions = Sequence[FileVersion]
"""The versions of a job's input files: first the photo, then the files of its requests."""
EditStep = tuple[Request, tuple[EditItem, ...]]
"""A request, and the items that it edits."""

CLICK_TOLERANCE = 3  # px between a click and the mask that it produced
RECORDED_LIBRARIES = {"numpy": "numpy", "cv2": "opencv-python-headless", "PIL": "pillow",
                      "torch": "torch", "diffusers": "diffusers",
                      "transformers": "transformers"}  # fmt: skip


def photo_record(
    job: PhotoJob,
    inputs: InputVersions,
    status: str,
    error: str = "",
    rows: Sequence[Json] = (),
    verdict: str | None = None,
    seconds: float = 0.0,
    written: Mapping[str, int] | None = None,
    traceback: str = "",
) -> Json:
    """Return the record of a photo for the results log.

    ``status`` is that of ``PhotoOutcome``, ``written`` the size in bytes of each file written.
    Without ``rows``, each requested object gets a row with ``status`` and ``error``.
    """
    requested = [item for item in job.items if item.request is not None]
    rows = list(rows) or [base_row(item, status, error) for item in requested]
    photo_digest = inputs[0][1] if inputs else ""
    return {
        "photo": job.photo, "output": job.output, "key": job.key, "status": status,
        "error": error, "verdict": verdict, "seconds": round(seconds, 3),
        "inputs": [list(pair) for pair in inputs], "written": dict(written or {}),
        "trace": traceback,
        "rows": [{**row, "error": row["error"] or (error if row["status"] != "done" else ""),
                  "photo_sha256": photo_digest, "key": job.key, "seconds": round(seconds, 3)}
                 for row in rows],
    }  # fmt: skip


def object_rows(
    steps: Sequence[EditStep],
    results: Sequence[Result],
    settings: RunSettings,
    digests: Mapping[str, str],
    changed_outside: int,
    note: str = "",
) -> list[Json]:
    """Return a manifest row for each object of a photo.

    ``results`` has one result per step. ``digests`` has the SHA-256 of each file written, and is
    empty if the result was rejected. ``changed_outside`` counts the pixels that differ from the
    photo outside the repainted region. ``note`` says what a mask was taken for, and what of the
    photo's file the result does not keep.
    """
    output = steps[0][1][0].output
    mask = mask_name(output, settings) if settings.masks else ""
    rows = []
    for (request, items), result in zip(steps, results, strict=True):
        for item, prompts in zip(items, prompt_slices(items), strict=True):
            detection = _object_detection(request.prompts, prompts, result.detections)
            status = "done" if detection and digests else "failed"
            if not detection and settings.if_nothing != "fail":
                status = "nothing"
            rows.append({
                **base_row(item, status, "" if detection else "nothing found there"),
                "mask": mask if digests else "",
                "verdict": result.verdict,
                "checks": {check.name: round(check.score, 4) for check in result.checks},
                "attempts": max(1, len(result.attempts)),
                "box": list(bounding_box(detection.mask)) if detection else None,
                "area": int(detection.mask.sum()) if detection else None,
                "changed": int((result.alpha > 0).sum()),
                "changed_outside": changed_outside,
                "detector": result.settings["detector"],
                "inpainter": result.settings["inpainter"],
                "versions": library_versions(),
                "output_sha256": digests.get(output, ""),
                "mask_sha256": digests.get(mask, ""),
                "timings": dict(result.seconds),
                **_judgement(result.judgement),
                "action": result.action and result.action.to_json(),
                **({"note": note} if note else {}),
            })  # fmt: skip
    return rows


def _judgement(judgement: Judgement | None) -> Json:
    """Return the columns that explain the verdict; they are None if nothing was verified."""
    names = ("probability", "reason", "sentence")
    values = judgement.to_json() if judgement else {}
    return {name: values.get(name) for name in names}


def base_row(item: EditItem, status: str, error: str) -> Json:
    """Return the columns of a row that need no result."""
    return {
        "photo": item.photo, "output": item.output, "where": item.where, "id": item.id,
        "label": item.label, "status": status, "error": error, "request": item.request,
    }  # fmt: skip


def _object_detection(
    prompts: Sequence[Prompt], item_prompts: slice, detections: Sequence[Detection]
) -> Detection | None:
    """Return the union of the detections that belong to an item's prompts; None without any.

    If there is one detection per prompt and all prompts have one type, detections are in the
    order of the prompts. Otherwise a detection belongs to a prompt that it touches.
    """
    if len(detections) == len(prompts) and len({type(prompt) for prompt in prompts}) == 1:
        matches = list(detections[item_prompts])
    else:
        matches = [d for d in detections if any(_touches(d, p) for p in prompts[item_prompts])]
    if not matches:
        return None
    return Detection(np.logical_or.reduce([detection.mask for detection in matches]))


def prompt_slices(items: Sequence[EditItem]) -> Iterator[slice]:
    """Yield the slice of a step's prompts that belongs to each item."""
    end = 0
    for item in items:
        start, end = end, end + len((item.request or {"prompts": []})["prompts"])
        yield slice(start, end)


def _touches(detection: Detection, prompt: Prompt) -> bool:
    """Return whether a detection lies at a prompt; always True for prompts without a place."""
    mask = detection.mask
    match prompt:
        case Box():
            return bool(mask[prompt.slices].any())
        case UserMask():
            return bool((mask & prompt.mask).any())
        case Points():
            boxes = [Box(x, y, x + 1, y + 1) for x, y in prompt.include]
            return any(mask[b.expand(CLICK_TOLERANCE, mask.shape[:2]).slices].any() for b in boxes)
    return True


def library_versions() -> Json:
    """Return the versions of the imported libraries that influence results."""
    return {
        name: _version(package)
        for name, package in RECORDED_LIBRARIES.items()
        if name in sys.modules
    }


@lru_cache
def _version(package: str) -> str:
    try:
        return version(package)
    except ImportError:
        return ""
