"""Edit many photos: a folder, a table or an annotated dataset in, the edited dataset out.

>>> from segment2inpaint import Points, Request, dataset
>>> for outcome in dataset.run("photos", Request((Points(((412, 300),)),)), "clean"):
...     print(outcome.output, outcome.status, outcome.verdict)

Read the modules in this order: ``api`` (``run``), ``run_types`` (the data that travels through a
run), ``formats`` (readers of datasets), ``plan``, ``runner``, ``process_photo`` (edits),
``mask_photo`` and ``annotations_out`` (masks and annotations).
"""

from __future__ import annotations

from segment2inpaint.dataset.api import run
from segment2inpaint.dataset.formats.annotations import AnnotationFilter, AreaThreshold
from segment2inpaint.dataset.formats.registry import FORMATS
from segment2inpaint.dataset.manifest import to_hf
from segment2inpaint.dataset.options import ExecutionOptions, Shard
from segment2inpaint.dataset.run_types import (
    InvalidRow,
    MaskOutputs,
    PhotoOutcome,
    RunSettings,
    UnmatchedRow,
)

__all__ = [
    "FORMATS",
    "AnnotationFilter",
    "AreaThreshold",
    "ExecutionOptions",
    "InvalidRow",
    "MaskOutputs",
    "PhotoOutcome",
    "RunSettings",
    "Shard",
    "UnmatchedRow",
    "run",
    "to_hf",
]
