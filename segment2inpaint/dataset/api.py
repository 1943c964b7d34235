"""The Python interface to dataset runs."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any

from segment2inpaint import request as requests
from segment2inpaint.dataset.formats.annotations import AnnotationFilter
from segment2inpaint.dataset.formats.registry import open_source
from segment2inpaint.dataset.options import ExecutionOptions
from segment2inpaint.dataset.run_types import InvalidRow, Json, PhotoOutcome, RunSettings
from segment2inpaint.dataset.runner import execute, open_plan
from segment2inpaint.dataset.storage import is_remote
from segment2inpaint.errors import BadOption
from segment2inpaint.types import Request

MAX_WARNINGS = 20  # rows left out that `run` warns of one by one


def run(
    source: str | Path,
    request: Request | Mapping[str, Any] | None,
    out: str | Path,
    *,
    format: str = "auto",
    annotation_filter: AnnotationFilter | None = None,
    root: str | Path | None = None,
    globs: tuple[str, ...] = (),
    retry_failed: bool = False,
    retry_doubtful: bool = False,
    skip_invalid: bool = False,
    execution: ExecutionOptions | None = None,
    on_problem: Callable[[InvalidRow], None] | None = None,
    **settings: Any,
) -> Iterator[PhotoOutcome]:
    """Edit every photo of a dataset, and yield the outcome of each photo when it is finished.

    A run can be interrupted at any time. The next call with the same ``out`` resumes it: photos
    that are finished and unchanged are neither edited again nor yielded.

    Worker processes import the calling script, so a script needs ``if __name__ == "__main__":``
    around this call. ``ExecutionOptions(workers=0)`` runs without worker processes.

    Args:
        source: a folder, or a ``.jsonl``, ``.csv``, COCO ``.json``, YOLO ``.yaml`` or ``.tar``
            file, or a folder of Pascal VOC, LabelMe, Parquet or tar files; or the URL of one.
        request: the request for all photos; the rows of a table override parts of it. It may be
            the JSON form of a request, in which a mask or a clean plate may be a folder with one
            file per photo. None: annotations or rows supply the prompts.
        out: the output folder, local or a URL.
        format: one of ``FORMATS``; ``auto`` detects it from the name and the content.
        annotation_filter: selects annotated objects; None selects all.
        root: the folder that photo names in ``source`` are relative to; None is the format's
            default.
        globs: patterns that select photos of a folder, such as ``*.jpg``; empty selects all.
        retry_failed: process photos again that failed in an earlier run.
        retry_doubtful: process photos again whose result was not clean, each with the action that
            may mend it; the better result is kept.
        skip_invalid: skip invalid rows instead of refusing the whole source.
        execution: the number of workers, the time limit, the engine, and the shard of the photos.
        on_problem: called with each row that is invalid, and each record that matches nothing,
            such as an annotation without a photo; None warns of them.
        settings: fields of ``RunSettings``, such as ``quality=90`` or ``if_nothing="copy"``. With
            ``only_masks=MaskOutputs(...)`` the run edits nothing and writes masks and annotations;
            a dilation and a feather of ``auto`` are then 0.

    Raises:
        BadDataset: the source has invalid rows or nothing to edit (raised before any photo is
            edited), the output folder is in use, or the disk is full.
        BadOption: the request or a setting is invalid.
        ModelMissing: a model that the request needs is not on this machine.
    """
    execution = execution or ExecutionOptions()
    run_settings = RunSettings(_absolute(out), **settings)
    reader = open_source(
        str(source), _base_request(request, run_settings), format=format,
        annotation_filter=annotation_filter or AnnotationFilter(),
        root=str(root) if root else None, globs=globs, out=run_settings.out,
    )  # fmt: skip
    planning = open_plan(
        reader, run_settings, retry_failed=retry_failed, retry_doubtful=retry_doubtful,
        skip_invalid=skip_invalid, shard=execution.shard,
        on_problem=on_problem or _warn_first_problems(),
    )  # fmt: skip
    with planning as plan:
        yield from execute(plan, reader, execution)


def _warn_first_problems() -> Callable[[InvalidRow], None]:
    """Return a function that warns of a row that is left out, the first few only."""
    numbers = count(1)

    def on_problem(row: InvalidRow) -> None:
        number = next(numbers)
        if number <= MAX_WARNINGS:
            warnings.warn(f"left out: {row}", stacklevel=4)
        elif number == MAX_WARNINGS + 1:
            warnings.warn("more rows are left out; report.html lists them", stacklevel=4)

    return on_problem


def base_request(request: Request | Mapping[str, Any] | None) -> Json:
    """Return the JSON form of a request; None gives a request without prompts.

    Raises ``BadOption`` for an invalid request.
    """
    if request is None:
        request = Request(())
    if isinstance(request, Request):
        requests.validate(request)
        return requests.to_json(request)
    prompts = request.get("prompts")
    if not isinstance(prompts, list) or not all(isinstance(p, dict) for p in prompts):
        raise BadOption(f"request must have a list of prompts, got {prompts!r:.60}")
    return dict(request)


def _base_request(request: Request | Mapping[str, Any] | None, settings: RunSettings) -> Json:
    """Return the JSON form of a request, for exact masks if the run only finds objects."""
    base = base_request(request)
    if settings.only_masks is None:
        return base
    refine = dict(base.get("refine", {}))
    exact = {k: "0px" for k in ("dilate", "feather") if refine.get(k, "auto") == "auto"}
    return {**base, "refine": {**refine, **exact}}


def _absolute(out: str | Path) -> str:
    return str(out) if is_remote(str(out)) else str(Path(out).absolute())
