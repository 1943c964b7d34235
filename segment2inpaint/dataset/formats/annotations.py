"""Annotated objects: selection by class, id and area, and conversion to prompts."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from math import ceil, floor
from typing import Literal

from segment2inpaint.dataset.run_types import EditItem, InvalidRow, Json, UnmatchedRow
from segment2inpaint.errors import BadDataset, BadOption

Use = Literal["auto", "box", "mask"]


@dataclass(frozen=True)
class AreaThreshold:
    """A bound on the area of an object.

    ``value`` is in square pixels, or with ``is_fraction`` a fraction of the photo, 0 to 1.
    """

    value: float
    is_fraction: bool = False

    @classmethod
    def parse(cls, text: str) -> AreaThreshold:
        """Read ``400`` (square pixels) or ``1%`` (of the photo). Raises ``BadOption``."""
        try:
            value = float(text.strip().removesuffix("%"))
        except ValueError:
            value = -1.0
        if not 0 <= value < float("inf"):
            raise BadOption(f"area must be square pixels or a share such as 1%, got {text!r}")
        is_fraction = text.strip().endswith("%")
        return cls(value / 100 if is_fraction else value, is_fraction)


@dataclass(frozen=True)
class AnnotationFilter:
    """Selects annotated objects.

    Attributes:
        categories: class names to select; empty selects all.
        ids: annotation ids to select; empty selects all.
        min_area: the smallest area to select; None is no limit.
        max_area: the largest area to select; None is no limit.
        use: make a prompt from the annotated ``box`` or ``mask``; ``auto`` takes the mask if there
            is one.
    """

    categories: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    min_area: AreaThreshold | None = None
    max_area: AreaThreshold | None = None
    use: Use = "auto"

    def unmatched(
        self, categories: Collection[str], labels: Collection[str], ids: Collection[str], where: str
    ) -> Iterator[InvalidRow]:
        """Yield a line for each class name or id to select that no object has.

        ``categories`` are the class names that the dataset declares, ``labels`` and ``ids`` those
        that its objects have, ``where`` is the dataset. An id names one object, so an unknown one
        is invalid.
        """
        known = ", ".join(sorted({*categories, *labels})) or "none"
        for name in self.categories:
            if name not in categories and name not in labels:
                yield UnmatchedRow(where, f"no category {name!r}; known: {known:.300}")
            elif name not in labels:
                yield UnmatchedRow(where, f"no annotation has the category {name!r}")
        for id in self.ids:
            if id not in ids:
                yield InvalidRow(where, f"no annotation has the id {id!r}")

    def may_match(self, label: str, id: str) -> bool:
        """Return whether an object may be selected, whatever its area."""
        return (not self.categories or label in self.categories) and (
            not self.ids or id in self.ids
        )

    def matches(self, annotation: Annotation) -> bool:
        """Return whether an object is selected.

        Raises ``BadDataset`` if its area is not known in the unit of a threshold.
        """
        if not self.may_match(annotation.label, annotation.id):
            return False
        low, high = self.min_area, self.max_area
        return (not low or low.value <= _area(annotation, low)) and (
            not high or _area(annotation, high) <= high.value
        )


@dataclass(frozen=True)
class Annotation:
    """One annotated object.

    Attributes:
        id: the identifier of the object.
        label: its class name.
        where: the file and the annotation in it, for error messages.
        box: (x0, y0, x1, y1), or None.
        shape: a mask as a prompt of ``EditItem.request``, or None.
        relative: ``box`` and ``shape`` are in fractions of the photo's width and height, not in
            photo pixels.
        area: in square pixels, if ``relative`` as a fraction of the photo; None if unknown.
        photo_size: (height, width) that the annotation file declares for the photo, or None. Set
            it for fractions too: the photo may be turned.
        is_crowd: it is a group of objects.
    """

    id: str
    label: str
    where: str
    box: tuple[float, float, float, float] | None = None
    shape: Json | None = None
    relative: bool = False
    area: float | None = None
    photo_size: tuple[int, int] | None = None
    is_crowd: bool = False

    def prompt(self, use: Use) -> Json | None:
        """Return the prompt for the object, or None if it lacks the box or mask asked for."""
        prompt = {"auto": self.shape or self._box_prompt(), "box": self._box_prompt(),
                  "mask": self.shape}[use]  # fmt: skip
        return {"relative": prompt} if prompt and self.relative else prompt

    def _box_prompt(self) -> Json | None:
        if self.box is None:
            return None
        if self.relative:
            return {"box": list(self.box)}
        x0, y0, x1, y1 = self.box
        return {"box": [floor(x0), floor(y0), ceil(x1), ceil(y1)]}


def edit_items(
    photo: str,
    output: str,
    annotations: Sequence[Annotation],
    annotation_filter: AnnotationFilter,
    base: Json,
    where: str,
) -> Iterator[EditItem | InvalidRow]:
    """Yield an item for each selected object of a photo; without any, one that copies the photo.

    ``base`` is the request as JSON that the prompts are put into, ``where`` the place of the
    photo in its dataset. An object without the box or mask that ``annotation_filter.use`` asks
    for is invalid, as is one whose area is not known in the unit of a threshold.
    """
    copies = True
    for annotation in annotations:
        try:
            if not annotation_filter.matches(annotation):
                continue
            request = {**base, "prompts": [_prompt(annotation, annotation_filter.use)]}
        except BadDataset as error:
            yield InvalidRow(annotation.where, str(error))
        else:
            yield EditItem(
                photo, output, request, annotation.where, annotation.id, annotation.label,
                annotation.photo_size, annotation.is_crowd,
            )  # fmt: skip
        copies = False
    if copies:
        yield EditItem(photo, output, None, where)


def _prompt(annotation: Annotation, use: Use) -> Json:
    """Return the prompt for an object. Raises ``BadDataset`` if it lacks what ``use`` asks for."""
    prompt = annotation.prompt(use)
    if prompt is None and annotation.prompt("auto") is None:
        raise BadDataset("the annotation has neither a box nor a mask")
    if prompt is None:
        raise BadDataset(f"the annotation has no {use}; leave out --use")
    return prompt


def _area(annotation: Annotation, threshold: AreaThreshold) -> float:
    """Return the area of an object in the unit of a threshold."""
    area, size = annotation.area, annotation.photo_size
    if area is not None and threshold.is_fraction != annotation.relative:
        pixels = size[0] * size[1] if size else 0
        area = (area * pixels if annotation.relative else area / pixels) if pixels else None
    if area is None:
        unit = "square pixels" if threshold.is_fraction else "per cent of the photo, such as 1%"
        raise BadDataset(f"its area is not known in this unit; give {unit}")
    return area
