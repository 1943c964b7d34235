"""What is told of a photo and its objects: a line of the ledger, rows of the manifest."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from importlib.metadata import version

import numpy as np

from segment2inpaint.dataset.plan import mask_name
from segment2inpaint.dataset.run_types import EditItem, Json, PhotoJob, RunSettings
from segment2inpaint.types import (
    Box,
    Detection,
    Points,
    Prompt,
    Request,
    Result,
    UserMask,
    bounding_box,
)

Inputs = Sequence[tuple[str, str]]  # of each file: size and time, and digest
Step = tuple[Request, tuple[EditItem, ...]]  # a request, and the objects that it is for

NEAR = 3  # px that a click may lie beside the mask that it made
LIBRARIES = {"numpy": "numpy", "cv2": "opencv-python", "PIL": "pillow", "torch": "torch",
             "diffusers": "diffusers", "transformers": "transformers"}  # fmt: skip


def record(
    job: PhotoJob,
    inputs: Inputs,
    status: str,
    error: str = "",
    rows: Sequence[Json] = (),
    verdict: str | None = None,
    seconds: float = 0.0,
    written: Mapping[str, int] | None = None,
    trace: str = "",
) -> Json:
    """The line of the ledger for a photo."""
    asked = [item for item in job.items if item.request is not None]
    told = list(rows) or [_said(item, status, error) for item in asked]
    digest = inputs[0][1] if inputs else ""
    return {
        "photo": job.photo, "output": job.output, "key": job.key, "status": status,
        "error": error, "verdict": verdict, "seconds": round(seconds, 3),
        "inputs": [list(one) for one in inputs], "written": dict(written or {}), "trace": trace,
        "rows": [{**row, "error": row["error"] or (error if row["status"] != "done" else ""),
                  "photo_sha256": digest, "key": job.key, "seconds": round(seconds, 3)}
                 for row in told],
    }  # fmt: skip


def rows(
    steps: Sequence[Step],
    results: Sequence[Result],
    settings: RunSettings,
    digests: Mapping[str, str],
    changed: int,
) -> list[Json]:
    """A row of the manifest for each object of a photo.

    ``digests`` are of the files written, none if it was no good; ``changed`` counts pixels
    that differ where nothing was to be repainted.
    """
    output = steps[0][1][0].output
    told = []
    for (request, items), result in zip(steps, results, strict=True):
        for item, own in zip(items, _spans(items), strict=True):
            found = _found(request.prompts, own, result.detections)
            status = "done" if found and digests else "failed"
            if not found and settings.if_nothing != "fail":
                status = "nothing"
            told.append({
                **_said(item, status, "" if found else "nothing found there"),
                "mask": mask_name(output, settings) if settings.masks and digests else "",
                "verdict": result.verdict,
                "checks": {check.name: round(check.score, 4) for check in result.checks},
                "attempts": max(1, len(result.attempts)),
                "box": list(bounding_box(found.mask)) if found else None,
                "area": int(found.mask.sum()) if found else None,
                "changed": int((result.alpha > 0).sum()),
                "changed_outside": changed,
                "detector": result.settings["detector"],
                "inpainter": result.settings["inpainter"],
                "versions": _versions(),
                "output_sha256": digests.get(output, ""),
                "mask_sha256": digests.get(mask_name(output, settings), ""),
                "timings": dict(result.seconds),
            })  # fmt: skip
    return told


def _said(item: EditItem, status: str, error: str) -> Json:
    """What can be told of an object before anything was done."""
    return {
        "photo": item.photo, "output": item.output, "where": item.where, "id": item.id,
        "label": item.label, "status": status, "error": error, "request": item.request,
    }  # fmt: skip


def _found(prompts: Sequence[Prompt], own: slice, masks: Sequence[Detection]) -> Detection | None:
    """The mask of the object that some of the prompts point at, None if there is none.

    As many masks as prompts of one kind are in their order; else the place tells.
    """
    if len(masks) == len(prompts) and len({type(prompt) for prompt in prompts}) == 1:
        hers = list(masks[own])
    else:
        hers = [mask for mask in masks if any(_is_at(mask, p) for p in prompts[own])]
    return Detection(np.logical_or.reduce([mask.mask for mask in hers])) if hers else None


def _spans(items: Sequence[EditItem]) -> Iterator[slice]:
    """Which of the step's prompts are each object's."""
    end = 0
    for item in items:
        start, end = end, end + len((item.request or {"prompts": []})["prompts"])
        yield slice(start, end)


def _is_at(mask: Detection, prompt: Prompt) -> bool:
    match prompt:
        case Box():
            return bool(mask.mask[prompt.slices].any())
        case UserMask():
            return bool((mask.mask & prompt.mask).any())
        case Points():
            spots = [Box(x, y, x + 1, y + 1) for x, y in prompt.include]
            return any(mask.mask[s.grown(NEAR, mask.mask.shape[:2]).slices].any() for s in spots)
    return True


def _versions() -> Json:
    """Of the libraries that were used."""
    return {name: _version(dist) for name, dist in LIBRARIES.items() if name in sys.modules}


@lru_cache
def _version(name: str) -> str:
    try:
        return version(name)
    except ImportError:
        return ""
