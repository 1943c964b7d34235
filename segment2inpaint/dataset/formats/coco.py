"""COCO instances and panoptic annotations (pycocotools) as prompts, and without what is gone."""

from __future__ import annotations

import contextlib
import io
import json
import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from math import isfinite
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from segment2inpaint import images
from segment2inpaint.dataset import storage
from segment2inpaint.dataset.formats.annotations import Annotation, AnnotationFilter, items_of
from segment2inpaint.dataset.names import output_name
from segment2inpaint.dataset.run_types import EditItem, InvalidRow, Json
from segment2inpaint.errors import BadDataset
from segment2inpaint.types import BinaryMask


@dataclass(frozen=True)
class CocoSource:
    """``path`` is the JSON file, ``root`` the folder of the photos (None: found beside it)."""

    path: str
    base: Json
    pick: AnnotationFilter
    root: str | None = None
    kind = "coco"

    def items(self) -> Iterator[EditItem | InvalidRow]:
        """The chosen objects of each photo, sorted by its name. Raises ``BadDataset``."""
        data = loaded(self.path)
        root, top = self._folders(data)
        labels = {one["id"]: str(one["name"]) for one in data["categories"]}
        self.pick.check(list(labels.values()), self.path)
        found = (
            _panoptic(data, labels, self)
            if is_panoptic(data)
            else _instances(data, labels, self.path)
        )
        self.pick.check_ids({one.id for several in found.values() for one in several}, self.path)
        for photo in sorted(data["images"], key=lambda one: str(one["file_name"])):
            where = f"{self.path}: image {photo['id']}"
            name = storage.join(root, photo["file_name"])
            output = output_name(_below(name, top))
            own = [_with_share(one, photo) for one in found.get(photo["id"], [])]
            yield from items_of(name, output, own, self.pick, self.base, where)

    def updated(self, gone: set[str]) -> Iterator[tuple[str, bytes]]:
        """The annotations without the records of the objects in ``gone``; else byte for byte."""
        raw = storage.read(self.path)
        data = loaded(self.path)
        _, top = self._folders(data)
        inside = _below(self.path, top)
        name = f"annotations/{PurePosixPath(inside).name}" if ".." in inside else inside
        if is_panoptic(data):
            yield from _panoptic_without(self, data, gone, str(PurePosixPath(name).with_suffix("")))
            gone_here = bool(gone)
        else:
            left = [one for one in data["annotations"] if str(one["id"]) not in gone]
            gone_here = len(left) < len(data["annotations"])
            data["annotations"] = left
        yield name, json.dumps(data).encode() if gone_here else raw

    def _folders(self, data: Json) -> tuple[str, str]:
        """The folder of the photos, and the one that the output mirrors."""
        home, _, stem = _split(self.path)
        root = self.root or _root(home, stem, data, self.path)
        above = os.path.dirname(home.rstrip("/"))
        for top in (home, above):
            if root == top or root.startswith(top.rstrip("/") + "/"):
                return root, top
        return root, root


def loaded(path: str) -> Json:
    """The annotations, checked by pycocotools unless panoptic. Raises ``BadDataset``."""
    try:
        data: Json = json.loads(storage.read(path))
        for key in ("images", "annotations", "categories"):
            if not isinstance(data[key], list):
                raise TypeError(f"{key} is not a list")
        for key, name in (("images", "file_name"), ("categories", "name")):
            for one in data[key]:
                one[name]
        if not is_panoptic(data):
            _index(data)
            _check_numbers(data, path)
    except (ValueError, KeyError, TypeError) as error:
        raise BadDataset(
            f"{path}: not COCO annotations with images, annotations, categories ({error!r:.80})"
        ) from error
    return data


def _check_numbers(data: Json, path: str) -> None:
    """Ids say what is gone: two things of one id would go together. Raises ``BadDataset``."""
    for key in ("images", "annotations"):
        seen = set()
        for one in data[key]:
            if one["id"] in seen:
                raise BadDataset(f"{path}: two {key} have the id {one['id']}; give each its own")
            seen.add(one["id"])


def bits_of(shape: Json, size: tuple[int, int]) -> BinaryMask:
    """Polygons or run lengths as pixels. Raises ``BadDataset`` if they do not fit the photo."""
    from pycocotools import mask as runs

    height, width = size
    counts = shape.get("rle", {}).get("counts")
    if isinstance(counts, list) and sum(counts) != height * width:
        raise BadDataset(
            f"the annotated run lengths come to {sum(counts)} pixels, expected those of "
            f"{width}x{height}, {height * width}"
        )
    try:
        if "polygons" in shape:
            coded = runs.merge(runs.frPyObjects(shape["polygons"], height, width))
        else:
            coded = shape["rle"]
            if isinstance(coded["counts"], list):
                coded = runs.frPyObjects(coded, *coded["size"])
        with warnings.catch_warnings():  # pycocotools is older than NumPy 2
            warnings.simplefilter("ignore", DeprecationWarning)
            bits: BinaryMask = runs.decode(coded).astype(np.bool_)
    except Exception as error:
        raise BadDataset(f"the annotated mask is damaged: {error!r:.80}") from error
    if bits.shape != size:
        got = f"{bits.shape[1]}x{bits.shape[0]}"
        raise BadDataset(f"the annotated mask is {got}, expected the photo's {width}x{height}")
    return bits


def is_panoptic(data: Json) -> bool:
    return bool(data["annotations"]) and "segments_info" in data["annotations"][0]


def segment(file: str, number: int, size: tuple[int, int]) -> BinaryMask:
    """The pixels of one segment of a panoptic PNG. Raises ``BadDataset``."""
    ids = _numbered(file, storage.fingerprint(file))
    if ids.shape != size:
        raise BadDataset(f"{file}: has {ids.shape[::-1]} pixels, expected {size[::-1]}")
    found: BinaryMask = ids == number
    return found


def _instances(data: Json, labels: dict[int, str], path: str) -> dict[int, list[Annotation]]:
    found: dict[int, list[Annotation]] = {}
    for one in data["annotations"]:
        where = f"{path}: annotation {one['id']}"
        x, y, w, h = _corners(one.get("bbox") or (0, 0, 0, 0), where)
        found.setdefault(one["image_id"], []).append(
            Annotation(
                id=str(one["id"]),
                label=labels.get(one["category_id"], str(one["category_id"])),
                where=where,
                box=(x, y, x + w, y + h) if w and h else None,
                shape=_shape(one.get("segmentation")),
                area=one.get("area"),
            )
        )
    return found


def _corners(bbox: Any, where: str) -> list[float]:
    try:
        numbers = [float(value) for value in bbox]
    except (TypeError, ValueError):
        numbers = []
    if len(numbers) != 4 or not all(map(isfinite, numbers)):
        raise BadDataset(f"{where}: expected a bbox x, y, width, height, got {bbox!r:.60}")
    return numbers


def _shape(segmentation: Any) -> Json | None:
    if not segmentation:
        return None
    if isinstance(segmentation, dict):
        return {"rle": {key: segmentation[key] for key in ("size", "counts")}}
    return {"polygons": segmentation}


def _panoptic(data: Json, labels: dict[int, str], coco: CocoSource) -> dict[int, list[Annotation]]:
    """Things; stuff (sky, grass) only if its category is asked for by name."""
    stuff = {c["id"] for c in data["categories"] if not c.get("isthing", 1)}
    wanted = set(coco.pick.categories)
    found: dict[int, list[Annotation]] = {}
    for one in data["annotations"]:
        file = _png(coco.path, one["file_name"])
        for part in one["segments_info"]:
            label = labels.get(part["category_id"], str(part["category_id"]))
            if part["category_id"] in stuff and label not in wanted:
                continue
            x, y, w, h = part["bbox"]
            found.setdefault(one["image_id"], []).append(
                Annotation(
                    id=f"{one['file_name']}#{part['id']}",
                    label=label,
                    where=f"{one['file_name']}: segment {part['id']}",
                    box=(x, y, x + w, y + h),
                    shape={"segment": {"file": file, "id": part["id"]}},
                    area=part.get("area"),
                )
            )
    return found


def _panoptic_without(
    coco: CocoSource, data: Json, gone: set[str], folder: str
) -> Iterator[tuple[str, bytes]]:
    """Each PNG with the pixels of what is gone unlabelled; ``data`` loses their segments."""
    for one in data["annotations"]:
        file = _png(coco.path, one["file_name"])
        lost = [s["id"] for s in one["segments_info"] if f"{one['file_name']}#{s['id']}" in gone]
        one["segments_info"] = [s for s in one["segments_info"] if s["id"] not in lost]
        raw = storage.read(file)
        if lost:
            photo = images.read(raw, name=file)
            bits = np.isin(_ids(photo.image), lost)
            empty = np.where(bits[..., None], np.uint8(0), photo.image)
            raw = images.encode(photo, empty, bits.astype(np.float32))
        yield f"{folder}/{one['file_name']}", raw


@lru_cache(2)
def _numbered(file: str, token: str) -> Any:
    """The segments' numbers in a PNG, kept for the other objects of its photo."""
    return _ids(images.read(storage.read(file), name=file).image)


def _ids(colors: Any) -> Any:
    wide = colors.astype(np.uint32)
    return wide[..., 0] + 256 * wide[..., 1] + 65536 * wide[..., 2]


def _png(path: str, name: str) -> str:
    """Panoptic PNGs are in a folder named as the JSON file."""
    return storage.join(str(path).removesuffix(".json"), name)


def _with_share(found: Annotation, photo: Json) -> Annotation:
    pixels = photo.get("width", 0) * photo.get("height", 0)
    if not pixels or found.area is None:
        return found
    return replace(found, share=found.area / pixels)


def _index(data: Json) -> None:
    """Let pycocotools read it; what it prints is nobody's concern."""
    from pycocotools.coco import COCO

    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = data
        coco.createIndex()


def _split(path: str) -> tuple[str, str, str]:
    """Folder, name and stem of a file."""
    folder, _, name = (path if storage.is_remote(path) else os.path.abspath(path)).rpartition("/")
    return folder or "/", name, name.rpartition(".")[0]


def _root(home: str, stem: str, data: Json, path: str) -> str:
    """Where the photos are: the folder, of those that are usual, that has the first one."""
    above = os.path.dirname(home.rstrip("/"))
    split = stem.removeprefix("instances_").removeprefix("panoptic_")
    usual = [home, f"{home}/images", f"{home}/{split}", f"{above}/{split}", f"{above}/images"]
    usual += [above, f"{above}/images/{split}"]
    for folder in usual:
        if (
            not data["images"]
            or storage.size(storage.join(folder, data["images"][0]["file_name"])) >= 0
        ):
            return folder
    raise BadDataset(
        f"{path}: the photo {data['images'][0]['file_name']} is not beside it; give --root"
    )


def _below(name: str, top: str) -> str:
    if storage.is_remote(name):
        return name[len(top.rstrip("/")) + 1 :]
    return Path(os.path.relpath(name, top)).as_posix()
