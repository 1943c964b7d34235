"""The Python interface, ``dataset.run``."""

from __future__ import annotations

from pathlib import Path

import pytest
from dataset_photos import RED_BOX, is_square_removed

from segment2inpaint import Color, Points, Request, dataset
from segment2inpaint.dataset import ExecutionOptions
from segment2inpaint.errors import BadDataset, Segment2InpaintError
from segment2inpaint.types import Refine


def test_run_yields_the_outcome_of_each_photo(photo_folder: Path, tmp_path: Path) -> None:
    request = Request((Color(rgb=(220, 30, 30), tolerance=30.0),), inpainter="telea", verify=False)
    (photo_folder / "bad.png").write_bytes(b"no")
    out, execution = tmp_path / "out", ExecutionOptions(workers=0)
    outcomes = list(dataset.run(photo_folder, request, out, execution=execution))
    assert {o.output: o.status for o in outcomes if not o.ok} == {"bad.png": "failed"}
    done = next(o for o in outcomes if o.output == "a.png")
    assert done.rows[0]["box"] == list(RED_BOX)
    assert is_square_removed(out / "a.png")
    assert list(dataset.run(photo_folder, request, out, execution=execution)) == []


def test_run_raises_before_any_photo_is_edited(tmp_path: Path) -> None:
    request = Request((Points(((1, 1),)),), Refine())
    with pytest.raises(BadDataset, match="no such file or folder"):
        next(dataset.run(tmp_path / "none", request, tmp_path / "out"))


@pytest.mark.parametrize(
    ("request_", "settings", "message"),
    [
        ({}, {}, "request must have a list of prompts, got None"),
        ({"prompts": [5]}, {}, "request must have a list of prompts, got .5."),
        (Request((Points(((1.5, 2),)),)), {}, "points must be tuples"),
        (Request((Points(((1, 2),)),)), {"if_nothing": "cry"}, "if_nothing must be one of fail"),
        (Request((Points(((1, 2),)),)), {"masks": "/m"}, "masks must be a folder below"),
        (Request((Points(((1, 2),)),)), {"quality": 0}, "quality must be 1 to 100, got 0"),
    ],
)
def test_run_raises_for_an_invalid_request_or_setting(
    photo_folder: Path, tmp_path: Path, request_: object, settings: dict[str, object], message: str
) -> None:
    with pytest.raises(Segment2InpaintError, match=message):
        list(dataset.run(photo_folder, request_, tmp_path / "out", **settings))  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()
