"""Selection of annotated objects."""

from __future__ import annotations

from segment2inpaint.dataset.formats.annotations import AnnotationFilter, AreaThreshold


def test_area_thresholds_are_parsed() -> None:
    assert AreaThreshold.parse("400") == AreaThreshold(400.0)
    assert AreaThreshold.parse("2%") == AreaThreshold(0.02, is_fraction=True)
    assert AnnotationFilter(categories=("dog",)) != AnnotationFilter()
