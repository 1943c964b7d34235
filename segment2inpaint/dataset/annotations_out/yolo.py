"""YOLO, as Ultralytics reads it: ``data.yaml``, ``classes.txt``, ``images/`` and ``labels/``.

A line of a label file is a class number and a polygon (segment) or a box (detect), in fractions of
the photo's width and height. Crowds are left out, as Ultralytics does when it converts COCO.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import PurePosixPath

import numpy as np

from segment2inpaint.dataset.annotations_out.dataset_folder import DatasetFolder
from segment2inpaint.dataset.annotations_out.objects import AnnotatedPhoto, RecordedObject
from segment2inpaint.dataset.annotations_out.polygons import joined_polygon, mask_polygons
from segment2inpaint.dataset.names import printable

Photos = Callable[[], Iterator[AnnotatedPhoto]]
Place = Callable[[RecordedObject, tuple[int, int]], list[float]]
PHOTO_FOLDER = "images"  # a name that no folder below may have: labels are found by it
TRAIN, VAL, TEST = "train", "val", "test"


def write_segments(folder: DatasetFolder, photos: Photos, classes: Sequence[str]) -> None:
    """Write the dataset with polygons; all parts of an object are one polygon."""
    _write(folder, photos, classes, _segment)


def write_boxes(folder: DatasetFolder, photos: Photos, classes: Sequence[str]) -> None:
    """Write the dataset with boxes."""
    _write(folder, photos, classes, _box)


def _write(folder: DatasetFolder, photos: Photos, classes: Sequence[str], place: Place) -> None:
    numbers = {name: number for number, name in enumerate(classes)}
    splits: set[str] = set()
    for photo in photos():
        name = folder.photo_name(photo.photo, _without_photo_folder(photo.output))
        folder.add_photo(photo.photo, name, f"{PHOTO_FOLDER}/")
        splits.add(name.partition("/")[0])
        lines = (
            f"{numbers[each.label]} {' '.join(f'{v:.6g}' for v in place(each, photo.size))}\n"
            for each in photo.objects
            if not each.is_crowd
        )
        label = PurePosixPath(name).with_suffix(".txt")
        folder.write(f"labels/{label}", "".join(lines).encode())
    folder.write("classes.txt", "".join(f"{printable(name)}\n" for name in classes).encode())
    folder.write("data.yaml", _config(classes, splits))


def _without_photo_folder(output: str) -> str:
    """Return a name without folders ``images`` in it, which would mislead the reader."""
    *folders, file = output.split("/")
    return "/".join([*(f for f in folders if f != PHOTO_FOLDER), file])


def _config(classes: Sequence[str], splits: set[str]) -> bytes:
    """Return ``data.yaml``; the splits are those of the source if it has a folder for each."""
    import yaml

    config: dict[str, object] = {
        split: f"{PHOTO_FOLDER}/{split}" if split in splits else PHOTO_FOLDER
        for split in (TRAIN, VAL)
    }
    if TEST in splits:
        config[TEST] = f"{PHOTO_FOLDER}/{TEST}"
    config |= {"nc": len(classes), "names": {n: printable(c) for n, c in enumerate(classes)}}
    return bytes(yaml.safe_dump(config, sort_keys=False, allow_unicode=True), "utf-8")


def _segment(each: RecordedObject, size: tuple[int, int]) -> list[float]:
    polygon = joined_polygon(mask_polygons(each.mask))
    values: list[float] = np.clip(polygon / [size[1], size[0]], 0, 1).ravel().tolist()
    return values


def _box(each: RecordedObject, size: tuple[int, int]) -> list[float]:
    height, width = size
    box = each.box
    center = (box.x0 + box.x1) / 2 / width, (box.y0 + box.y1) / 2 / height
    return [*center, box.width / width, box.height / height]
