"""A small COCO dataset for the tests."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from dataset_photos import (
    PHOTO_SIZE,
    RED_BOX,
    box_polygon,
    red_mask,
    save_photo,
)

HEIGHT, WIDTH = PHOTO_SIZE
BACKGROUND_BOX = (40, 30, 56, 44)  # an annotated patch without red


def annotation(
    number: int, image: int, category: int, box: tuple[int, ...], **fields: Any
) -> dict[str, Any]:
    """Return the record of a box, with a polygon; ``fields`` override those of the record."""
    x0, y0, x1, y1 = box
    w, h = x1 - x0, y1 - y0
    return {
        "id": number, "image_id": image, "category_id": category, "iscrowd": 0,
        "segmentation": [box_polygon(box)], "bbox": [x0, y0, w, h], "area": w * h, **fields,
    }  # fmt: skip


def save_coco(folder: Path) -> Path:
    """Three photos; the red square in each is a dog, a patch of background in two is a cat."""
    for number in range(3):
        save_photo(folder / f"set/val/p{number}.png", number)
    data = {
        "info": {"year": 2026},
        "images": [
            {"id": n, "file_name": f"p{n}.png", "width": WIDTH, "height": HEIGHT} for n in range(3)
        ],
        "categories": [{"id": 1, "name": "dog"}, {"id": 7, "name": "cat"}],
        "annotations": [
            annotation(10, 0, 1, RED_BOX),
            annotation(11, 1, 1, RED_BOX, segmentation=run_lengths(), iscrowd=1),
            annotation(12, 2, 1, RED_BOX, segmentation=[]),
            annotation(13, 0, 7, BACKGROUND_BOX),
            annotation(14, 1, 7, BACKGROUND_BOX),
        ],
    }
    path = folder / "set/annotations/instances_val.json"
    path.parent.mkdir()
    path.write_text(json.dumps(data, indent=1))
    return path


def run_lengths() -> dict[str, Any]:
    """Return the mask of the red square as compressed run lengths."""
    from pycocotools import mask

    encoded = mask.encode(np.asfortranarray(red_mask() // 255))
    return {"size": list(PHOTO_SIZE), "counts": encoded["counts"].decode()}


def read_with_pycocotools(path: Path) -> Any:
    from pycocotools.coco import COCO

    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(str(path))
