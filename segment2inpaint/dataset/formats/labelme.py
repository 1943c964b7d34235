"""LabelMe annotations, one JSON file next to each photo.

The format is that of https://github.com/wkentaro/labelme.
"""

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
from segment2inpaint.dataset.formats.annotations import Annotation, AnnotationFilter, edit_items
from segment2inpaint.dataset.names import output_name
from segment2inpaint.dataset.run_types import EditItem, InvalidRow, Json
from segment2inpaint.errors import BadDataset, BadImage
from segment2inpaint.request import run_lengths

Points = list[tuple[float, float]]
CIRCLE_CORNERS = 64  # corners of the polygon that stands for a circle


@dataclass(frozen=True)
class LabelMeSource:
    """The photos of a folder of LabelMe files; ``path`` is the folder."""

    path: str
    base: Json
    annotation_filter: AnnotationFilter
    kind = "labelme"

    def items(self) -> Iterator[EditItem | InvalidRow]:
        """Yield the selected objects of each annotated photo, sorted by file name.

        Raises ``BadDataset``.
        """
        labels: set[str] = set()
        for name in self._annotation_files():
            try:
                data = parse(storage.read(storage.join(self.path, name)))
                labels.update(str(shape["label"]) for shape in data["shapes"])
                items = self._photo_items(name, data)
            except (ValueError, KeyError, TypeError, BadDataset, BadImage) as error:
                reason = str(error) if isinstance(error, BadDataset) else repr(error)
                yield InvalidRow(name, f"not a LabelMe file: {reason:.80}")
                continue
            yield from items
        self.annotation_filter.check_categories(sorted(labels), self.path)

    def remaining_annotations(self, removed_ids: set[str]) -> Iterator[tuple[str, bytes]]:
        """Yield each file without the removed shapes, otherwise byte for byte.

        A changed file also loses its copy of the photo (``imageData``), which would still show
        the removed object.
        """
        for name in self._annotation_files():
            raw = storage.read(storage.join(self.path, name))
            yield name, _remove_shapes(raw, name, removed_ids)

    def _annotation_files(self) -> list[str]:
        return [name for name in storage.list_files(self.path) if name.endswith(".json")]

    def _photo_items(self, name: str, data: Json) -> list[EditItem]:
        annotations = [_annotation(s, n, name, data) for n, s in enumerate(data["shapes"], 1)]
        photo = str(PurePosixPath(name).parent / data["imagePath"].replace("\\", "/"))
        items = edit_items(
            storage.join(self.path, photo), output_name(photo), annotations,
            self.annotation_filter, self.base, name,
        )  # fmt: skip
        return list(items)


def parse(raw: bytes) -> Json:
    """Return the content of a LabelMe file.

    Raises ``ValueError``, ``KeyError`` or ``TypeError`` if it is something else.
    """
    data: Json = json.loads(raw)
    if not isinstance(data, dict) or not isinstance(data["shapes"], list):
        raise ValueError("shapes is not a list")
    if not isinstance(data["imagePath"], str):
        raise ValueError("imagePath is not a string")
    return data


def _annotation(shape: Json, number: int, name: str, data: Json) -> Annotation:
    points = [(float(x), float(y)) for x, y in shape["points"]]
    prompt, area = _shape_prompt(shape.get("shape_type") or "polygon", points, shape, data)
    xs, ys = [x for x, _ in points], [y for _, y in points]
    pixels = (data.get("imageWidth") or 0) * (data.get("imageHeight") or 0)
    return Annotation(
        id=f"{name}#{number}",
        label=str(shape["label"]),
        where=f"{name}: shape {number}",
        box=(min(xs), min(ys), max(xs), max(ys)) if len(points) > 1 else None,
        shape=prompt,
        area=area,
        area_fraction=area / pixels if pixels else None,
    )


def _shape_prompt(kind: str, points: Points, shape: Json, data: Json) -> tuple[Json | None, float]:
    """Return the prompt for a shape and its area in square pixels. Raises ``BadDataset``."""
    if kind == "polygon":
        return _polygon_prompt(points)
    if kind == "circle":
        (x, y), edge = points
        radius = dist((x, y), edge)
        angles = [2 * pi * i / CIRCLE_CORNERS for i in range(CIRCLE_CORNERS)]
        return _polygon_prompt([(x + radius * cos(a), y + radius * sin(a)) for a in angles])
    if kind == "rectangle":
        (x0, y0), (x1, y1) = points
        return None, abs((x1 - x0) * (y1 - y0))
    if kind in ("point", "points"):
        return {"points": {"include": [[int(x), int(y)] for x, y in points]}}, 0.0
    if kind == "mask":
        return _mask_prompt(points, shape, data)
    raise BadDataset(f"a {kind} has no area; expected polygon, rectangle, circle, point or mask")


def _polygon_prompt(points: Points) -> tuple[Json, float]:
    import cv2

    flat = [value for point in points for value in point]
    return {"polygons": [flat]}, float(cv2.contourArea(np.array(points, np.float32)))


def _mask_prompt(points: Points, shape: Json, data: Json) -> tuple[Json, float]:
    """Return the prompt for a PNG of the mask's box, whose top left corner is the first point."""
    patch = images.read(base64.b64decode(shape["mask"]), name="mask").image[..., 0] > 0
    mask = np.zeros((data["imageHeight"], data["imageWidth"]), np.bool_)
    x, y = round(points[0][0]), round(points[0][1])
    mask[y : y + patch.shape[0], x : x + patch.shape[1]] = patch
    return {"mask": run_lengths(mask)}, float(patch.sum())


def _remove_shapes(raw: bytes, name: str, removed_ids: set[str]) -> bytes:
    try:
        data: Any = parse(raw)
    except (ValueError, KeyError, TypeError):
        return raw
    shapes = [s for n, s in enumerate(data["shapes"], 1) if f"{name}#{n}" not in removed_ids]
    if len(shapes) == len(data["shapes"]):
        return raw
    return json.dumps({**data, "shapes": shapes, "imageData": None}, indent=2).encode()
