"""Nothing changes outside the mask on real photos: S2I_EVAL has SET/ITEM/image.* and mask.png."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from segment2inpaint import images, inpaint
from segment2inpaint.detect.user_mask import UserMaskDetector
from segment2inpaint.pipeline import Pipeline
from segment2inpaint.types import UserMask

FOLDER = Path(os.environ.get("S2I_EVAL", "/nonexistent"))
PHOTOS = sorted(p for p in FOLDER.glob("*/*/image.*") if (p.parent / "mask.png").exists())

pytestmark = pytest.mark.skipif(not PHOTOS, reason="S2I_EVAL names no folder of photos")


@pytest.mark.parametrize("path", PHOTOS, ids=lambda p: f"{p.parent.parent.name}-{p.parent.name}")
def test_nothing_changes_outside(path: Path) -> None:
    """As PNG no pixel with alpha 0 differs; as JPEG none outside the edited blocks."""
    photo = images.read(path)
    mask = UserMask(images.read_mask(path.parent / "mask.png", photo.size))
    result = Pipeline(UserMaskDetector(), inpaint.load("telea"))(photo, [mask])
    assert result.changed_outside == 0
    written_png = images.read(images.encode(photo, result.image, result.alpha, format="PNG")).image
    assert (written_png == photo.image)[result.alpha == 0].all()
    if photo.jpeg_file:
        written = images.read(images.encode(photo, result.image, result.alpha)).image
        is_changed = (written != photo.image).any(axis=2)
        touched_blocks = images.touched_blocks(photo, result.image, result.alpha)
        assert not np.count_nonzero(is_changed & ~touched_blocks)
