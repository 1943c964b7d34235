"""LabelMe files, one JSON beside each photo, as prompts, and without what is gone."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from math import cos, dist, pi, sin
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from segment2inpaint import images
from segment2inpaint.dataset import storage
from segment2inpaint.dataset.formats.annotations import Annotation, AnnotationFilter, items_of
from segment2inpaint.dataset.names import output_name
from segment2inpaint.dataset.run_types import EditItem, InvalidRow, Json
from segment2inpaint.errors import BadDataset, BadImage

CORNERS = 64  # of a circle


@dataclass(frozen=True)
class LabelMeSource:
    """``path`` is the folder of the JSON files."""

    path: str
    base: Json
    pick: AnnotationFilter
    kind = "labelme"

    def items(self) -> Iterator[EditItem | InvalidRow]:
        """The chosen objects of each annotated photo, sorted by name. Raises ``BadDataset``."""
        known: set[str] = set()
        for name in self._notes():
            try:
                data = parsed(storage.read(storage.join(self.path, name)))
                known.update(str(shape["label"]) for shape in data["shapes"])
                found = [_found(s, n, name, data) for n, s in enumerate(data["shapes"], 1)]
                photo = str(PurePosixPath(name).parent / data["imagePath"].replace("\\", "/"))
                source = storage.join(self.path, photo)
                items = list(
                    items_of(source, output_name(photo), found, self.pick, self.base, name)
                )
            except (ValueError, KeyError, TypeError, BadDataset, BadImage) as error:
                told = str(error) if isinstance(error, BadDataset) else repr(error)
                yield InvalidRow(name, f"not a LabelMe file: {told:.80}")
                continue
            yield from items
        self.pick.check(sorted(known), self.path)

    def updated(self, gone: set[str]) -> Iterator[tuple[str, bytes]]:
        """Each file without the shapes in ``gone``, else byte for byte.

        Where something is gone, so is the copy of the photo in the file (``imageData``): it
        would show what was there.
        """
        for name in self._notes():
            raw = storage.read(storage.join(self.path, name))
            yield name, _without(raw, name, gone)

    def _notes(self) -> list[str]:
        return [n for n in storage.walk(self.path) if n.endswith(".json")]


def parsed(raw: bytes) -> Json:
    """The data of a file. Raises ``ValueError`` or ``KeyError`` if it is not LabelMe's."""
    data: Json = json.loads(raw)
    if not isinstance(data, dict) or not isinstance(data["shapes"], list):
        raise ValueError("shapes is not a list")
    if not isinstance(data["imagePath"], str):
        raise ValueError("imagePath is not a string")
    return data


def _found(shape: Json, number: int, name: str, data: Json) -> Annotation:
    points = [(float(x), float(y)) for x, y in shape["points"]]
    prompt, area = _shape(shape.get("shape_type") or "polygon", points, shape, data)
    xs, ys = [x for x, _ in points], [y for _, y in points]
    pixels = (data.get("imageWidth") or 0) * (data.get("imageHeight") or 0)
    return Annotation(
        id=f"{name}#{number}",
        label=str(shape["label"]),
        where=f"{name}: shape {number}",
        box=(min(xs), min(ys), max(xs), max(ys)) if len(points) > 1 else None,
        shape=prompt,
        area=area,
        share=area / pixels if pixels else None,
    )


def _shape(
    kind: str, points: list[tuple[float, float]], shape: Json, data: Json
) -> tuple[Json | None, float]:
    """The prompt for a shape, and its area in square pixels. Raises ``BadDataset``."""
    if kind == "polygon":
        return _polygon(points)
    if kind == "circle":
        (x, y), edge = points
        radius = dist((x, y), edge)
        turns = [2 * pi * i / CORNERS for i in range(CORNERS)]
        return _polygon([(x + radius * cos(t), y + radius * sin(t)) for t in turns])
    if kind == "rectangle":
        (x0, y0), (x1, y1) = points
        return None, abs((x1 - x0) * (y1 - y0))
    if kind in ("point", "points"):
        return {"points": {"include": [[int(x), int(y)] for x, y in points]}}, 0.0
    if kind == "mask":
        return _mask(points, shape, data)
    raise BadDataset(f"a {kind} has no inside; expected polygon, rectangle, circle, point or mask")


def _polygon(points: list[tuple[float, float]]) -> tuple[Json, float]:
    import cv2

    flat = [value for point in points for value in point]
    return {"polygons": [flat]}, float(cv2.contourArea(np.array(points, np.float32)))


def _mask(points: list[tuple[float, float]], shape: Json, data: Json) -> tuple[Json, float]:
    """A PNG of the mask's box, where the photo's size is known."""
    from segment2inpaint.request import run_lengths

    patch = images.read(base64.b64decode(shape["mask"]), name="mask").image[..., 0] > 0
    whole = np.zeros((data["imageHeight"], data["imageWidth"]), np.bool_)
    x, y = round(points[0][0]), round(points[0][1])
    whole[y : y + patch.shape[0], x : x + patch.shape[1]] = patch
    return {"mask": run_lengths(whole)}, float(patch.sum())


def _without(raw: bytes, name: str, gone: set[str]) -> bytes:
    try:
        data: Any = parsed(raw)
    except (ValueError, KeyError, TypeError):
        return raw
    left = [s for n, s in enumerate(data["shapes"], 1) if f"{name}#{n}" not in gone]
    if len(left) == len(data["shapes"]):
        return raw
    return json.dumps({**data, "shapes": left, "imageData": None}, indent=2).encode()
