"""Selection of annotated objects."""

from __future__ import annotations

import pytest

from segment2inpaint.dataset.formats.annotations import (
    Annotation,
    AnnotationFilter,
    AreaThreshold,
    edit_items,
)
from segment2inpaint.dataset.run_types import EditItem, InvalidRow

DOG = Annotation("1", "dog", "set: 1", (1, 2, 3, 4), area=4.0, photo_size=(48, 64))
CAT = Annotation("2", "cat", "set: 2", shape={"polygons": [[0, 0, 9, 0, 9, 9]]}, area=40.0)
NOTHING = Annotation("3", "dog", "set: 3")


def select(
    *annotations: Annotation, **options: object
) -> list[tuple[str, str] | EditItem | InvalidRow]:
    """Return the items of a photo; invalid rows as (where, message)."""
    annotation_filter = AnnotationFilter(**options)  # type: ignore[arg-type]
    items = edit_items("p.png", "p.png", annotations, annotation_filter, {"seed": 1}, "set: p")
    return [(i.where, i.message) if isinstance(i, InvalidRow) else i for i in items]


def test_area_thresholds_are_parsed() -> None:
    assert AreaThreshold.parse("400") == AreaThreshold(400.0)
    assert AreaThreshold.parse("2%") == AreaThreshold(0.02, is_fraction=True)
    assert AnnotationFilter(categories=("dog",)) != AnnotationFilter()


def test_items_have_the_size_that_is_declared_for_the_photo() -> None:
    request = {"seed": 1, "prompts": [{"box": [1, 2, 3, 4]}]}
    assert select(DOG) == [EditItem("p.png", "p.png", request, "set: 1", "1", "dog", (48, 64))]


def test_a_photo_is_copied_if_no_object_is_selected() -> None:
    assert select(DOG, categories=("cow",)) == [EditItem("p.png", "p.png", None, "set: p")]
    assert select() == select(DOG, ids=("7",))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"use": "auto"}, "the annotation has neither a box nor a mask"),
        ({"use": "box"}, "the annotation has neither a box nor a mask"),
        ({"min_area": AreaThreshold(5.0)}, "its area is not known in this unit; give per cent"),
        ({"max_area": AreaThreshold(0.5, True)}, "its area is not known in this unit; give square"),
    ],
)
def test_an_object_that_cannot_be_used_stops_no_other(
    options: dict[str, object], message: str
) -> None:
    known = Annotation("4", "dog", "set: 4", (1, 2, 3, 9), area=14.0, photo_size=(10, 14))
    (where, got), item = select(NOTHING, known, **options)  # type: ignore[misc]
    assert where == "set: 3"
    assert got.startswith(message)
    assert item.id == "4"


def test_a_photo_whose_object_cannot_be_used_is_not_copied() -> None:
    assert [where for where, _ in select(NOTHING)] == ["set: 3"]  # type: ignore[misc]


def test_an_object_without_what_is_asked_for_is_named() -> None:
    assert select(CAT, use="box") == [("set: 2", "the annotation has no box; leave out --use")]
    assert select(DOG, use="mask") == [("set: 1", "the annotation has no mask; leave out --use")]


def test_what_the_filter_does_not_match_is_listed() -> None:
    annotation_filter = AnnotationFilter(categories=("dog", "cow", "emu"), ids=("1", "9"))
    rows = annotation_filter.unmatched(["dog", "cow"], {"dog", "cat"}, {"1", "2"}, "set")
    assert [str(row) for row in rows] == [
        "set: no annotation has the category 'cow'",
        "set: no category 'emu'; known: cat, cow, dog",
        "set: no annotation has the id '9'",
    ]
