"""Annotated objects: selection by class, id and area, and conversion to prompts."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from math import ceil, floor
from typing import Literal

from segment2inpaint.dataset.run_types import EditItem, Json
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

    def check_categories(self, known: Sequence[str], where: str) -> None:
        """Raise ``BadDataset`` for a category that the dataset does not have."""
        for name in self.categories:
            if name not in known:
                listed = ", ".join(sorted(set(known))) or "none"
                raise BadDataset(f"{where}: no category {name!r}; known: {listed}")

    def check_ids(self, known: Collection[str], where: str) -> None:
        """Raise ``BadDataset`` for an id that no annotation has."""
        for name in self.ids:
            if name not in known:
                raise BadDataset(f"{where}: no annotation has the id {name!r}")

    def matches(self, annotation: Annotation) -> bool:
        """Return whether an object is selected.

        Raises ``BadDataset`` if its area is not known in the unit of a threshold.
        """
        if self.categories and annotation.label not in self.categories:
            return False
        if self.ids and annotation.id not in self.ids:
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
        area: in square pixels, or None if unknown.
        area_fraction: the area as a fraction of the photo, or None if unknown.
    """

    id: str
    label: str
    where: str
    box: tuple[float, float, float, float] | None = None
    shape: Json | None = None
    relative: bool = False
    area: float | None = None
    area_fraction: float | None = None

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
) -> Iterator[EditItem]:
    """Yield an item for each selected object of a photo; without any, one that copies the photo.

    ``base`` is the request as JSON that the prompts are put into, ``where`` the place of the
    photo in its dataset. Raises ``BadDataset`` if a selected object lacks the box or mask that
    ``annotation_filter.use`` asks for.
    """
    selected = [a for a in annotations if annotation_filter.matches(a)]
    for annotation in selected:
        prompt = annotation.prompt(annotation_filter.use)
        if prompt is None:
            kind = "box" if annotation_filter.use == "box" else "mask"
            raise BadDataset(f"{annotation.where}: the annotation has no {kind}; leave out --use")
        request = {**base, "prompts": [prompt]}
        yield EditItem(photo, output, request, annotation.where, annotation.id, annotation.label)
    if not selected:
        yield EditItem(photo, output, None, where)


def _area(annotation: Annotation, threshold: AreaThreshold) -> float:
    """Return the area of an object in the unit of a threshold."""
    area = annotation.area_fraction if threshold.is_fraction else annotation.area
    if area is None:
        unit = "square pixels" if threshold.is_fraction else "per cent of the photo, such as 1%"
        raise BadDataset(f"{annotation.where}: its area is not known in this unit; give {unit}")
    return area
