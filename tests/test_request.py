"""Requests as JSON."""

from __future__ import annotations

import json

import numpy as np
import pytest
from conftest import masks
from hypothesis import given

from segment2inpaint.request import dump, load
from segment2inpaint.types import (
    BadOption,
    Bits,
    Box,
    Color,
    Everything,
    Fill,
    Length,
    OwnMask,
    Picture,
    Plate,
    Points,
    Refine,
    Request,
    Text,
)

PIXEL = np.full((1, 1, 3), 9, np.uint8)


def no_file(path: str) -> Picture:
    raise AssertionError(path)


def no_mask(path: str) -> Bits:
    raise AssertionError(path)


def test_a_request_survives_json() -> None:
    request = Request(
        (
            Points(((1, 2), (3, 4)), ((5, 6),)),
            Points(((1, 2),), granularity="part"),
            Box(1, 2, 3, 4),
            Color(at=(3, 4), tolerance=2.5, everywhere=True),
            Color(rgb=(1, 2, 3)),
            Text("a dog"),
            Text("a cat", 0.25, (1, 3)),
            Everything((2,)),
        ),
        Refine(Length(3, "%"), Length(2, "px"), fill_holes=False, invert=True),
        Fill("a rose", seed=7, strength=0.5),
        "grabcut",
        "telea",
    )
    assert load(json.loads(json.dumps(dump(request))), no_file, no_mask) == request


@given(masks())
def test_an_own_mask_without_a_file_travels_whole(bits: Bits) -> None:
    data = json.loads(json.dumps(dump(Request((OwnMask(bits),)))))
    (prompt,) = load(data, no_file, no_mask).prompts
    assert isinstance(prompt, OwnMask)
    assert (prompt.bits == bits).all()


def test_run_lengths_are_cocos() -> None:
    """Column by column, zeros first, as pycocotools counts."""
    data = dump(Request((OwnMask(np.array([[True, False], [True, True]])),)))
    assert data["prompts"] == [{"mask": {"size": [2, 2], "counts": [0, 2, 1, 1]}}]


def test_files_are_named_and_read_again() -> None:
    picture = Picture(PIXEL, np.ones((1, 1), np.float32), "cup.png")
    request = Request(
        (Plate(PIXEL, "clean.png"), OwnMask(np.ones((1, 1), np.bool_), "m.png")),
        fill=Fill(picture=picture),
    )
    asked: list[str] = []

    def read(path: str) -> Picture:
        asked.append(path)
        return picture

    again = load(dump(request), read, lambda _: np.ones((1, 1), np.bool_))
    assert asked == ["cup.png", "clean.png"]
    assert dump(again) == dump(request)


def test_a_plate_without_a_file_has_no_json() -> None:
    with pytest.raises(BadOption, match="Plate without a file"):
        dump(Request((Plate(PIXEL),)))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"prompts": [], "color": 1}, "unknown key 'color' in Request"),
        ({"prompts": [], "refine": {"grow": 1}}, "unknown key 'grow' in Refine"),
        ({"prompts": [], "fill": {"steps": 1}}, "unknown key 'steps' in Fill"),
        ({"prompts": [{"circle": 1}]}, "unknown prompt 'circle'"),
    ],
)
def test_unknown_keys_are_refused(data: dict[str, object], message: str) -> None:
    with pytest.raises(BadOption, match=message):
        load(data, no_file, no_mask)
