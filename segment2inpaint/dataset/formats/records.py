"""Records of annotation files: reading them, and keeping the bad ones from costing the others."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from segment2inpaint.dataset.formats.annotations import Annotation, AnnotationFilter, edit_items
from segment2inpaint.dataset.formats.shapes import PhotoSize, Shape
from segment2inpaint.dataset.run_types import EditItem, InvalidRow, Json
from segment2inpaint.dataset.text_files import decode_text
from segment2inpaint.errors import BadDataset

Record = Annotation | InvalidRow
RECORD_ERRORS = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError,
                 RecursionError)  # fmt: skip
MAX_MESSAGE = 500  # characters


def parse_json(data: bytes, name: str) -> Any:
    """Return the content of a JSON file. Raises ``BadDataset``."""
    try:
        return json.loads(decode_text(data, name))
    except (ValueError, RecursionError) as error:
        raise BadDataset(f"{name}: not JSON: {one_line(error)}") from error


def one_line(error: Exception) -> str:
    """Return the reason of a failure as one short line."""
    if isinstance(error, KeyError):
        return f"expected a key {error.args[0]!r:.40}, got none"
    if isinstance(error, RecursionError):
        return "nested too deeply"
    if isinstance(error, TypeError | LookupError | AttributeError | ArithmeticError):
        return f"not as expected: {error!r:.80}"
    return " ".join(str(error).split())[:MAX_MESSAGE] or type(error).__name__


def to_annotation(
    shape: Shape, id: str, label: str, where: str, photo_size: PhotoSize | None
) -> Annotation:
    """Return an annotated object with a shape in the pixels of its photo."""
    return Annotation(
        id=id,
        label=label,
        where=where,
        box=shape.box,
        shape=shape.prompt,
        area=shape.area,
        photo_size=photo_size,
    )


@dataclass
class AnnotationSelector:
    """Turns the records of photos into items, and tells what the filter did not match.

    ``categories`` are the class names that the dataset declares.
    """

    annotation_filter: AnnotationFilter
    base: Json
    categories: Collection[str] = ()
    labels: set[str] = field(default_factory=set)
    ids: set[str] = field(default_factory=set)

    def pick_label(self, names: Sequence[str]) -> str:
        """Return the class name of an object that may have several: the selected one, or all."""
        chosen = [name for name in names if name in self.annotation_filter.categories]
        return chosen[0] if chosen else ", ".join(names)

    def is_selected(self, label: str, id: str) -> bool:
        """Return whether an object may be selected, whatever its area; note its label and id."""
        self.labels.add(label)
        self.ids.add(id)
        return self.annotation_filter.may_match(label, id)

    def items(
        self, photo: str, output: str, records: Sequence[Record], where: str
    ) -> Iterator[EditItem | InvalidRow]:
        """Yield the items of a photo. It is not copied if all that it has is invalid."""
        invalid = [record for record in records if isinstance(record, InvalidRow)]
        yield from invalid
        annotations = [record for record in records if isinstance(record, Annotation)]
        for item in edit_items(
            photo, output, annotations, self.annotation_filter, self.base, where
        ):
            if isinstance(item, InvalidRow) or item.request is not None or not invalid:
                yield item

    def unmatched(self, path: str) -> Iterator[InvalidRow]:
        """Yield a line for each category and id to select that no object of a dataset has."""
        return self.annotation_filter.unmatched(self.categories, self.labels, self.ids, path)
