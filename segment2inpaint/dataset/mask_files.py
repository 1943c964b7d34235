"""The mask files of one photo in a run that only finds objects."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

import cv2
import numpy as np

from segment2inpaint import images
from segment2inpaint.dataset import storage
from segment2inpaint.dataset.names import mask_name
from segment2inpaint.dataset.run_types import MaskOutputs, RunSettings
from segment2inpaint.types import Alpha, BinaryMask

OBJECT_FOLDER = "objects"  # one file for each object
NUMBER_FOLDER = "numbers"  # the values of pixels are the numbers of objects
MAX_BYTE = 255  # objects that a label map of 8 bits can number


def name_of(output: str, number: int, settings: RunSettings, outputs: MaskOutputs) -> str:
    """Return the name of the file with the mask of an object; empty if there is none."""
    if "objects" in outputs.files:
        return _object_name(output, number)
    if "union" in outputs.files:
        return mask_name(output, settings)
    return _numbers_name(output, settings) if outputs.files else ""


def encode(
    output: str,
    union: Alpha,
    objects: Sequence[BinaryMask],
    settings: RunSettings,
    outputs: MaskOutputs,
) -> dict[str, bytes]:
    """Return the mask files of a photo by name, relative to the output folder."""
    files: dict[str, bytes] = {}
    if "union" in outputs.files:
        files[mask_name(output, settings)] = images.encode_mask(union)
    if "objects" in outputs.files:
        files |= {_object_name(output, n): images.encode_mask(m) for n, m in enumerate(objects, 1)}
    if "numbers" in outputs.files:
        files[_numbers_name(output, settings)] = _encode_numbers(objects, union.shape)
    return files


def delete_surplus(output: str, number: int, out: str) -> None:
    """Delete the masks of an earlier run above the number of objects of this one."""
    for n in count(number + 1):
        file = storage.join(out, _object_name(output, n))
        if storage.size(file) < 0:
            return
        storage.delete(file)


def _object_name(output: str, number: int) -> str:
    return f"{OBJECT_FOLDER}/{output}/{number:03d}.png"


def _numbers_name(output: str, settings: RunSettings) -> str:
    name = mask_name(output, settings).removeprefix(f"{settings.masks}/")
    return f"{NUMBER_FOLDER}/{name}"


def _encode_numbers(objects: Sequence[BinaryMask], size: tuple[int, ...]) -> bytes:
    """Return a label map as a PNG, with 16 bits if there are many objects.

    Small objects cover large ones.
    """
    kind = np.uint8 if len(objects) <= MAX_BYTE else np.uint16
    numbers = np.zeros(size, kind)
    for i in sorted(range(len(objects)), key=lambda i: -int(objects[i].sum())):
        numbers[objects[i]] = i + 1
    _, data = cv2.imencode(".png", numbers)
    return bytes(data)
