"""Annotated objects as what to take away: which are chosen, and how they are pointed at."""

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
    """A bound on an object's area: square pixels, or a share of the photo."""

    value: float
    share: bool = False

    @classmethod
    def parse(cls, text: str) -> AreaThreshold:
        """Read ``400`` (square pixels) or ``1%`` (of the photo). Raises ``BadOption``."""
        try:
            value = float(text.strip().removesuffix("%"))
        except ValueError:
            value = -1.0
        if not 0 <= value < float("inf"):
            raise BadOption(f"area must be square pixels or a share such as 1%, got {text!r}")
        share = text.strip().endswith("%")
        return cls(value / 100 if share else value, share)


@dataclass(frozen=True)
class AnnotationFilter:
    """Which annotated objects are meant; empty and None mean all. ``use``: the box or the mask."""

    categories: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    min_area: AreaThreshold | None = None
    max_area: AreaThreshold | None = None
    use: Use = "auto"

    def check(self, known: Sequence[str], where: str) -> None:
        """Raise ``BadDataset`` for a category that the dataset does not have."""
        for name in self.categories:
            if name not in known:
                listed = ", ".join(sorted(set(known))) or "none"
                raise BadDataset(f"{where}: no category {name!r}; known: {listed}")

    def check_ids(self, known: Collection[str], where: str) -> None:
        """Raise ``BadDataset`` for an id that no object has."""
        for name in self.ids:
            if name not in known:
                raise BadDataset(f"{where}: no annotation has the id {name!r}")

    def takes(self, found: Annotation) -> bool:
        """Raises ``BadDataset`` if the area is not known in the unit asked for."""
        if self.categories and found.label not in self.categories:
            return False
        if self.ids and found.id not in self.ids:
            return False
        low, high = self.min_area, self.max_area
        return (not low or low.value <= _area(found, low)) and (
            not high or _area(found, high) <= high.value
        )


@dataclass(frozen=True)
class Annotation:
    """One annotated object.

    ``box`` is x0, y0, x1, y1 and ``shape`` a prompt as in ``Item.request``, in photo pixels or,
    with ``relative``, in shares of width and height. ``area`` is in square pixels or None,
    ``share`` the same as a share of the photo.
    """

    id: str
    label: str
    where: str
    box: tuple[float, float, float, float] | None = None
    shape: Json | None = None
    relative: bool = False
    area: float | None = None
    share: float | None = None

    def prompt(self, use: Use) -> Json | None:
        """What points at it, None if it has no mask and one is asked for, or no box."""
        box = None
        if self.box and self.relative:
            box = {"box": list(self.box)}
        elif self.box:
            x0, y0, x1, y1 = self.box
            box = {"box": [floor(x0), floor(y0), ceil(x1), ceil(y1)]}
        one = {"auto": self.shape or box, "box": box, "mask": self.shape}[use]
        return {"relative": one} if one and self.relative else one


def items_of(
    photo: str,
    output: str,
    found: Sequence[Annotation],
    pick: AnnotationFilter,
    base: Json,
    where: str,
) -> Iterator[EditItem]:
    """The chosen objects of a photo; the photo as it is, where there are none."""
    chosen = [one for one in found if pick.takes(one)]
    for one in chosen:
        prompt = one.prompt(pick.use)
        if prompt is None:
            kind = "box" if pick.use == "box" else "mask"
            raise BadDataset(f"{one.where}: the annotation has no {kind}; leave out --use")
        request = {**base, "prompts": [prompt]}
        yield EditItem(photo, output, request, one.where, one.id, one.label)
    if not chosen:
        yield EditItem(photo, output, None, where)


def _area(found: Annotation, bound: AreaThreshold) -> float:
    value = found.share if bound.share else found.area
    if value is None:
        other = "square pixels" if bound.share else "per cent of the photo, such as 1%"
        raise BadDataset(f"{found.where}: its area is not known so; give it in {other}")
    return value
