"""Many photos: from a folder, a table or annotations, to the same without their objects.

>>> from segment2inpaint import Points, Request, dataset
>>> for outcome in dataset.run("photos", Request((Points(((412, 300),)),)), "clean"):
...     print(outcome.output, outcome.status, outcome.verdict)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from segment2inpaint import request as json_of
from segment2inpaint.dataset.formats.annotations import AnnotationFilter, AreaThreshold
from segment2inpaint.dataset.formats.registry import FORMATS, open_source
from segment2inpaint.dataset.manifest import to_hf
from segment2inpaint.dataset.options import ExecutionOptions
from segment2inpaint.dataset.run_types import Json, PhotoOutcome, RunSettings
from segment2inpaint.dataset.runner import execute, open_plan
from segment2inpaint.dataset.storage import is_remote
from segment2inpaint.errors import BadOption
from segment2inpaint.types import Request

__all__ = [
    "FORMATS",
    "AnnotationFilter",
    "AreaThreshold",
    "ExecutionOptions",
    "PhotoOutcome",
    "RunSettings",
    "run",
    "to_hf",
]


def run(
    source: str | Path,
    request: Request | Mapping[str, Any] | None,
    out: str | Path,
    *,
    format: str = "auto",
    pick: AnnotationFilter | None = None,
    root: str | Path | None = None,
    globs: tuple[str, ...] = (),
    retry_failed: bool = False,
    skip_invalid: bool = False,
    effort: ExecutionOptions | None = None,
    **settings: Any,
) -> Iterator[PhotoOutcome]:
    """Edit every photo of ``source`` into ``out``; yields what came of each, as it is done.

    ``source`` is a folder, ``.jsonl``, ``.csv``, COCO ``.json``, YOLO ``.yaml``, a folder of
    Pascal VOC, LabelMe, Parquet files or tars; or a URL of one. ``request`` holds for all
    photos, and for what rows leave open; a mapping is its JSON, in which a mask or plate may be
    a folder with one for each photo. ``pick`` chooses among annotated objects. ``settings`` are
    fields of ``Settings``.

    What an earlier run has done is not done again. It uses processes: a script that calls this
    needs ``if __name__ == "__main__":``, or ``effort=Effort(workers=0)``. Raises ``BadDataset``
    before any work if the source has faults, and when the disk is full, ``BadOption`` for a
    request or a setting that makes no sense.
    """
    how = RunSettings(out if is_remote(str(out)) else str(Path(out).absolute()), **settings)  # type: ignore[arg-type]
    base = base_of(request)
    given = open_source(
        str(source), base, format=format, pick=pick or AnnotationFilter(),
        root=str(root) if root else None, globs=globs, out=how.out,
    )  # fmt: skip
    with open_plan(given, how, retry_failed=retry_failed, skip_invalid=skip_invalid) as plan:
        yield from execute(plan, given, effort or ExecutionOptions())


def base_of(request: Request | Mapping[str, Any] | None) -> Json:
    """The JSON of a request, or of one that asks for nothing yet. Raises ``BadOption``."""
    if request is None:
        request = Request(())
    if isinstance(request, Request):
        json_of.check(request)
        return json_of.to_json(request)
    prompts = request.get("prompts")
    if not isinstance(prompts, list) or not all(isinstance(p, dict) for p in prompts):
        raise BadOption(f"a request has a list of prompts, got {prompts!r:.60}")
    return dict(request)
