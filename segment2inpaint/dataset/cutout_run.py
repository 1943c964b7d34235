"""Cut the objects out of many photos: a file for each photo or object, and annotations.

A photo that cannot be read or has no object costs only itself.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np

from segment2inpaint import images
from segment2inpaint.compositing.cutout import Cutout, cut_out
from segment2inpaint.dataset import storage
from segment2inpaint.dataset.annotations_out.polygons import mask_polygons
from segment2inpaint.dataset.formats.folder import FolderSource
from segment2inpaint.dataset.grounds import Ground
from segment2inpaint.dataset.inputs import read_input
from segment2inpaint.dataset.names import printable
from segment2inpaint.dataset.run_types import EditItem, InvalidRow, Json, UnmatchedRow
from segment2inpaint.editor import Editor
from segment2inpaint.errors import BadModel, BadOption, ModelMissing, Segment2InpaintError
from segment2inpaint.images import Photo
from segment2inpaint.types import BinaryMask, Box, Request, bounding_box

SUFFIXES = {"png": ".png", "webp": ".webp", "tiff": ".tif", "jpeg": ".jpg"}
LoadRequest = Callable[[Json, Photo], Request]
"""Returns the request that JSON describes, with its files read, for a photo."""


@dataclass(frozen=True, kw_only=True)
class CutoutOptions:
    """The files to write for each photo.

    Objects are written as they are, or on a ``ground``, ``copies`` of each. ``each`` writes a file
    for every object, else all objects of a photo are in one. ``crop`` leaves the rest of the
    photo's area out. ``label`` is the category in the annotations.
    """

    each: bool = False
    crop: bool = True
    ground: Ground | None = None
    copies: int = 1
    label: str = "object"
    quality: int | None = None


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture to write: its number of the photo's, and the object's mask in it, (H, W) bool."""

    number: int
    data: bytes
    mask: BinaryMask
    score: float
    source_box: Box


@dataclass(frozen=True)
class WrittenPicture:
    """A file that was written, relative to the output folder; ``box`` is the object's in it."""

    file: str
    size: tuple[int, int]
    box: Box
    area: int
    score: float
    source_box: Box
    polygons: Sequence[Sequence[float]]


@dataclass(frozen=True)
class CutoutOutcome:
    """The pictures written for a photo, or the reason why there are none."""

    photo: str
    pictures: tuple[WrittenPicture, ...] = ()
    error: str = ""


def make_pictures(
    photo: Photo, request: Request, editor: Editor, options: CutoutOptions, format: str, key: str
) -> Iterator[Picture]:
    """Yield the pictures of the objects at the prompts of a request, encoded as ``format``.

    ``key`` tells the random places of different photos apart. Raises as ``Editor.find_objects``,
    and ``BadImage``.
    """
    found = editor.find_objects(photo, request)
    groups = [[detection] for detection in found] if options.each else [found]
    number = 0
    for group in groups:
        cutout = cut_out(photo, group, request.refine, request.prompts)
        for _ in range(options.copies):
            number += 1
            yield _picture(cutout, number, options, format, f"{key} {number}")


def _picture(cutout: Cutout, number: int, options: CutoutOptions, format: str, key: str) -> Picture:
    if options.ground is None:
        whole = cutout if options.crop else cutout.in_place()
        data, mask = whole.encode(format, quality=options.quality), whole.alpha > 0.5
    else:
        composed = options.ground.compose(cutout, key)
        picture = images.photo_from_array(composed.image)
        nothing = np.zeros(picture.size, np.float32)
        data = images.encode(
            picture, picture.image, nothing, format=format, quality=options.quality
        )
        mask = composed.mask
    return Picture(number, data, mask, cutout.score, cutout.box)


def folder_items(folder: str, request: Json, out: str) -> Iterator[EditItem | InvalidRow]:
    """Yield the photos of a folder without those below ``out``, each with its request.

    A mask or plate in the request may be a folder with a file for each photo. Raises
    ``BadDataset`` if there are no photos, ``BadOption`` if ``out`` is the folder itself.
    """
    source, target = (PurePosixPath(storage.resolve_links(name)) for name in (folder, out))
    if source == target:
        raise BadOption(f"{out}: the output folder is that of the photos; choose another")
    inside = target.relative_to(source) if target.is_relative_to(source) else ""
    yield from FolderSource(folder, request, excluded=str(inside)).items()


def run(
    items: Iterable[EditItem | InvalidRow],
    out: str,
    load_request: LoadRequest,
    editor: Editor,
    options: CutoutOptions,
    format: str,
    max_pixels: int,
) -> Iterator[CutoutOutcome]:
    """Cut the objects out of each photo, write them below ``out``, and yield what came of it.

    ``format`` is a key of ``SUFFIXES``. Raises ``ModelMissing`` and ``BadModel``.
    """
    listed = list(items)
    stems = Counter(_stem(item.output) for item in listed if isinstance(item, EditItem))
    for item in listed:
        if not isinstance(item, EditItem):
            if not isinstance(item, UnmatchedRow):
                yield CutoutOutcome(item.where, error=item.message)
            continue
        stem = _stem(item.output) if stems[_stem(item.output)] == 1 else item.output
        try:
            photo = images.read(read_input(item.photo), name=item.photo, max_pixels=max_pixels)
            request = editor.resolve(load_request(item.request or {}, photo), paint=False)
            pictures = make_pictures(photo, request, editor, options, format.upper(), stem)
            written = tuple(_write(out, stem, p, options, SUFFIXES[format]) for p in pictures)
            yield CutoutOutcome(item.photo, written)
        except (ModelMissing, BadModel):
            raise
        except Segment2InpaintError as error:
            yield CutoutOutcome(item.photo, error=str(error).removeprefix(f"{item.photo}: "))


def _stem(output: str) -> str:
    return str(PurePosixPath(output).with_suffix(""))


def _write(
    out: str, stem: str, picture: Picture, options: CutoutOptions, suffix: str
) -> WrittenPicture:
    several = options.each or options.copies > 1
    name = f"{stem}-{picture.number}{suffix}" if several else f"{stem}{suffix}"
    storage.write(storage.join(out, name), picture.data)
    return describe(name, picture)


def describe(name: str, picture: Picture) -> WrittenPicture:
    """Return what annotations say of a picture."""
    mask = picture.mask
    polygons = [p.ravel().tolist() for p in mask_polygons(mask)] if mask.any() else []
    return WrittenPicture(
        name, (mask.shape[0], mask.shape[1]), bounding_box(mask), int(mask.sum()),
        picture.score, picture.source_box, polygons,
    )  # fmt: skip


def coco(pictures: Sequence[WrittenPicture], label: str) -> bytes:
    """Return COCO instances for pictures; an object that lies outside of its picture has none."""
    files = [
        {"id": i, "file_name": printable(p.file), "width": p.size[1], "height": p.size[0]}
        for i, p in enumerate(pictures, 1)
    ]
    annotations = [
        {
            "id": i, "image_id": i, "category_id": 1, "segmentation": p.polygons, "area": p.area,
            "bbox": [p.box.x0, p.box.y0, p.box.width, p.box.height], "iscrowd": 0,
        }
        for i, p in enumerate(pictures, 1)
        if p.area
    ]  # fmt: skip
    categories = [{"id": 1, "name": label, "supercategory": ""}]
    data = {"images": files, "annotations": annotations, "categories": categories}
    return (json.dumps(data, indent=1) + "\n").encode()
