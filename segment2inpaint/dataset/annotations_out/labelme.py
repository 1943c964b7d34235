"""LabelMe: a JSON file beside each photo, with polygons.

The parts of an object share a ``group_id``. ``description`` is the object's id in the source.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import PurePosixPath

from segment2inpaint.dataset.annotations_out.dataset_folder import DatasetFolder
from segment2inpaint.dataset.annotations_out.objects import AnnotatedPhoto, RecordedObject
from segment2inpaint.dataset.annotations_out.polygons import mask_polygons
from segment2inpaint.dataset.names import printable
from segment2inpaint.dataset.run_types import Json

VERSION = "5.5.0"  # of LabelMe, whose format this is


def write(
    folder: DatasetFolder, photos: Callable[[], Iterator[AnnotatedPhoto]], classes: Sequence[str]
) -> None:
    """Write the dataset; LabelMe has no list of classes."""
    for photo in photos():
        name = folder.photo_name(photo.photo, photo.output)
        folder.add_photo(photo.photo, name, "")
        shapes = [s for n, each in enumerate(photo.objects, 1) for s in _shapes(each, n)]
        data: Json = {
            "version": VERSION, "flags": {}, "shapes": shapes,
            "imagePath": printable(PurePosixPath(name).name), "imageData": None,
            "imageHeight": photo.size[0], "imageWidth": photo.size[1],
        }  # fmt: skip
        folder.write(str(PurePosixPath(name).with_suffix(".json")), _encode(data))


def _shapes(each: RecordedObject, number: int) -> list[Json]:
    polygons = mask_polygons(each.mask)
    return [
        {
            "label": each.label, "points": polygon.tolist(),
            "group_id": number if len(polygons) > 1 else None,
            "description": printable(each.id), "shape_type": "polygon", "flags": {}, "mask": None,
            "score": each.score,
        }
        for polygon in polygons
    ]  # fmt: skip


def _encode(data: Json) -> bytes:
    return json.dumps(data, indent=2).encode()
