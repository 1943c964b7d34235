"""COCO instances: ``annotations.json`` and ``images/``.

The format is that of https://cocodataset.org/#format-data, with ``score`` and, where the source
has one, ``source_id`` for each annotation.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence

from segment2inpaint.dataset.annotations_out.dataset_folder import DatasetFolder
from segment2inpaint.dataset.annotations_out.objects import AnnotatedPhoto, RecordedObject
from segment2inpaint.dataset.annotations_out.polygons import mask_polygons
from segment2inpaint.dataset.names import printable
from segment2inpaint.dataset.run_types import Json, package_version

Segmentation = Callable[[RecordedObject], "Json | list[list[float]]"]
Photos = Callable[[], Iterator[AnnotatedPhoto]]


def write_polygons(folder: DatasetFolder, photos: Photos, classes: Sequence[str]) -> None:
    """Write the dataset with polygons; crowds have run lengths, as the format wants it."""
    _write(folder, photos, classes, _polygons)


def write_run_lengths(folder: DatasetFolder, photos: Photos, classes: Sequence[str]) -> None:
    """Write the dataset with compressed run lengths."""
    _write(folder, photos, classes, lambda each: each.run_lengths)


def _write(
    folder: DatasetFolder, photos: Photos, classes: Sequence[str], segmentation: Segmentation
) -> None:
    """Write the dataset, photo by photo: it need not fit in memory."""
    ids = {name: number for number, name in enumerate(classes, 1)}
    info = {"description": "made by segment2inpaint", "version": package_version()}
    categories = [{"id": id, "name": name, "supercategory": ""} for name, id in ids.items()]
    with folder.open("annotations.json") as file:
        file.write(f'{{"info": {json.dumps(info)}, "licenses": [],\n"images": ['.encode())
        for line in _separated(_images(folder, photos)):
            file.write(line)
        file.write(b'],\n"annotations": [')
        for line in _separated(_annotations(photos, ids, segmentation)):
            file.write(line)
        file.write(f'],\n"categories": {json.dumps(categories)}}}\n'.encode())


def _separated(records: Iterator[Json]) -> Iterator[bytes]:
    separator = "\n"
    for record in records:
        yield f"{separator}{json.dumps(record)}".encode()
        separator = ",\n"


def _images(folder: DatasetFolder, photos: Photos) -> Iterator[Json]:
    for number, photo in enumerate(photos(), 1):
        name = folder.photo_name(photo.photo, photo.output)
        folder.add_photo(photo.photo, name, "images/")
        height, width = photo.size
        yield {"id": number, "file_name": printable(name), "width": width, "height": height}


def _annotations(photos: Photos, ids: dict[str, int], segmentation: Segmentation) -> Iterator[Json]:
    number = 0
    for image, photo in enumerate(photos(), 1):
        for each in photo.objects:
            number += 1
            box = each.box
            yield {
                "id": number,
                "image_id": image,
                "category_id": ids[each.label],
                "segmentation": segmentation(each),
                "area": each.area,
                "bbox": [box.x0, box.y0, box.width, box.height],
                "iscrowd": int(each.is_crowd),
                "score": each.score,
                **({"source_id": printable(each.id)} if each.id else {}),
            }


def _polygons(each: RecordedObject) -> Json | list[list[float]]:
    if each.is_crowd:
        return each.run_lengths
    return [polygon.ravel().tolist() for polygon in mask_polygons(each.mask)]
