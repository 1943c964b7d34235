"""Objects as the results log records them: what annotations of every format are made of."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from segment2inpaint.dataset.formats.coco_masks import decode_run_lengths
from segment2inpaint.dataset.run_types import Json
from segment2inpaint.types import BinaryMask, Box

ANNOTATED_STATUSES = ("done", "partial", "copied")  # photos without an object among them


@dataclass(frozen=True)
class RecordedObject:
    """An object of a photo.

    Attributes:
        id: the identifier of the object in the source, or empty.
        label: its category, or empty.
        score: the detector's confidence in [0, 1].
        box: the smallest box that holds the mask, half-open, in pixels of the upright photo.
        area: the number of pixels of the mask.
        is_crowd: it is a group of objects.
        run_lengths: the mask as compressed COCO run lengths.
    """

    id: str
    label: str
    score: float
    box: Box
    area: int
    is_crowd: bool
    run_lengths: Json

    @property
    def mask(self) -> BinaryMask:
        """The mask, ``(H, W)`` bool."""
        return decode_run_lengths(self.run_lengths)

    def to_json(self) -> Json:
        """Return the object for the results log."""
        return {**asdict(self), "box": list(self.box)}


@dataclass(frozen=True)
class AnnotatedPhoto:
    """A photo with its objects; ``output`` is its name below the source, ``size`` (h, w)."""

    photo: str
    output: str
    size: tuple[int, int]
    objects: tuple[RecordedObject, ...]


def annotated_photos(records: Iterable[Json], default_label: str) -> Iterator[AnnotatedPhoto]:
    """Yield the photos of a run that were finished, those without objects among them."""
    for record in records:
        if record["status"] in ANNOTATED_STATUSES and "size" in record:
            height, width = record["size"]
            objects = tuple(_object(data, default_label) for data in record["objects"])
            yield AnnotatedPhoto(record["photo"], record["output"], (height, width), objects)


def _object(data: Mapping[str, Any], default_label: str) -> RecordedObject:
    label = " ".join(data["label"].split()) or default_label
    return RecordedObject(**{**data, "box": Box(*data["box"]), "label": label})


def encode_mask(mask: BinaryMask) -> Json:
    """Return a mask as compressed COCO run lengths, with text for JSON."""
    from pycocotools import mask as coco_mask

    with warnings.catch_warnings():  # pycocotools uses what NumPy 2 deprecates
        warnings.simplefilter("ignore", DeprecationWarning)
        encoded = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": [int(side) for side in encoded["size"]], "counts": encoded["counts"].decode()}
