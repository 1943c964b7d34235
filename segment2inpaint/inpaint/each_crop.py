"""Inpaint crops one after the other, for inpainters that do not batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from segment2inpaint.protocols import Crop, ProgressCallback
from segment2inpaint.types import Image


def inpaint_each(
    crops: Sequence[Crop], inpaint: Callable[[Crop], Image], progress: ProgressCallback
) -> list[Image]:
    """Return what ``inpaint`` makes of each crop, and tell ``progress`` the share that is done."""
    results = []
    for index, crop in enumerate(crops):
        progress("inpainting", index / len(crops))
        results.append(inpaint(crop))
    progress("inpainting", 1.0)
    return results
