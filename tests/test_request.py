"""Requests as JSON."""

from __future__ import annotations

import json

import numpy as np
import pytest
from conftest import masks
from hypothesis import given

from segment2inpaint.editor import Editor
from segment2inpaint.errors import BadOption, BadPrompt
from segment2inpaint.request import from_json, to_json, validate
from segment2inpaint.types import (
    BinaryMask,
    Box,
    CleanPlate,
    Color,
    Everything,
    Fill,
    Length,
    Points,
    Refine,
    ReplacementImage,
    Request,
    Text,
    UserMask,
)

PIXEL = np.full((1, 1, 3), 9, np.uint8)


def no_file(path: str) -> ReplacementImage:
    raise AssertionError(path)


def no_mask(path: str) -> BinaryMask:
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
    assert from_json(json.loads(json.dumps(to_json(request))), no_file, no_mask) == request


@given(masks())
def test_a_user_mask_without_a_file_is_written_as_run_lengths(mask: BinaryMask) -> None:
    data = json.loads(json.dumps(to_json(Request((UserMask(mask),)))))
    (prompt,) = from_json(data, no_file, no_mask).prompts
    assert isinstance(prompt, UserMask)
    assert (prompt.mask == mask).all()


def test_run_lengths_are_those_of_coco() -> None:
    """Column by column, zeros first, as pycocotools counts."""
    data = to_json(Request((UserMask(np.array([[True, False], [True, True]])),)))
    assert data["prompts"] == [{"mask": {"size": [2, 2], "counts": [0, 2, 1, 1]}}]


def test_files_are_written_by_name_and_read_again() -> None:
    picture = ReplacementImage(PIXEL, np.ones((1, 1), np.float32), "cup.png")
    request = Request(
        (CleanPlate(PIXEL, "clean.png"), UserMask(np.ones((1, 1), np.bool_), "m.png")),
        fill=Fill(picture=picture),
    )
    asked: list[str] = []

    def read(path: str) -> ReplacementImage:
        asked.append(path)
        return picture

    again = from_json(to_json(request), read, lambda _: np.ones((1, 1), np.bool_))
    assert asked == ["cup.png", "clean.png"]
    assert to_json(again) == to_json(request)


def test_a_clean_plate_without_a_file_cannot_be_written() -> None:
    with pytest.raises(BadOption, match="Plate without a file"):
        to_json(Request((CleanPlate(PIXEL),)))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"prompts": [], "color": 1}, "unknown key 'color' in Request"),
        ({"prompts": [], "refine": {"grow": 1}}, "unknown key 'grow' in Refine"),
        ({"prompts": [], "fill": {"steps": 1}}, "unknown key 'steps' in Fill"),
        ({"prompts": [{"circle": 1}]}, "unknown prompt 'circle'"),
        ({}, "it has no prompts"),
        ({"prompts": [{"box": [1, 2, 3]}]}, "a box is x0, y0, x1, y1"),
        ({"prompts": [{"box": ["a", 2, 3, 4]}]}, "not a request: invalid literal"),
        ({"prompts": [{"points": {"include": [[1]]}}]}, "each point is x, y"),
        ({"prompts": [{"points": {"include": [[1, float("nan")]]}}]}, "not a request: cannot"),
        ({"prompts": [{"points": {"includ": [[1, 2]]}}]}, "unexpected keyword argument 'includ'"),
        ({"prompts": ["box"]}, "a prompt has one key of points, box"),
        ({"prompts": [], "refine": {"dilate": 12}}, 'dilate must be a text such as "12px", got 12'),
        ({"prompts": [], "attempts": "2"}, "attempts must be a whole number from 1, got '2'"),
        ({"prompts": [], "fill": {"seed": None}}, "seed must be a whole number from 0, got None"),
    ],
)
def test_invalid_json_is_refused_in_one_line(data: dict[str, object], message: str) -> None:
    with pytest.raises(BadOption, match=message):
        from_json(data, no_file, no_mask)


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (Request((), fill=Fill(seed=-1)), "seed must be a whole number from 0, got -1"),
        (Request((), fill=Fill(seed=True)), "seed must be a whole number from 0, got True"),
        (Request((), fill=Fill(strength=9)), "strength must be a number from 0.001 to 1, got 9"),
        (Request((), fill=Fill(guidance_scale=float("nan"))), "guidance_scale must be a number"),
        (Request((), fill=Fill(candidates=0)), "candidates must be a whole number from 1 to 64"),
        (Request((), Refine(dilate=12)), r"dilate must be a Length, such as Length.parse\("),
        (Request((), Refine(invert=1)), "invert must be true or false, got 1"),
        (Request((), inpainter=None), "inpainter must be text, got None"),
        (Request((Points([[1, 2]]),)), "points must be tuples"),
        (Request((Points((1, 2)),)), "points must be tuples"),
        (Request((Points(((1, 2),), granularity="huge"),)), "granularity must be one of auto"),
        (Request((Box(1.5, 2, 3, 4),)), "a box must have whole numbers"),
        (Request((Color(rgb=(300, 0, 0)),)), "from 0 to 255"),
        (
            Request((Color(at=(1, 2), tolerance=float("nan")),)),
            "tolerance must be a number of 0 or more",
        ),
        (Request((UserMask(np.zeros((2, 3), np.uint8)),)), r"got \(2, 3\) uint8"),
        (
            Request((CleanPlate("clean.jpg"),)),
            "a clean plate must be an .H, W, 3. uint8 array, got 'clean",
        ),
        (Request((Text(" "),)), "words of a text prompt must not be empty"),
        (Request(([1, 2],)), "a prompt must be Points, Box"),
    ],
)
def test_a_value_out_of_range_is_refused_in_one_line(request_: Request, message: str) -> None:
    """Whoever made the request: an ``Editor`` looks before it works."""
    with pytest.raises((BadOption, BadPrompt), match=message):
        Editor().resolve(request_)


@pytest.mark.parametrize("number", [np.int64(3), np.uint8(3), 3])
def test_numpy_numbers_are_accepted(number: int) -> None:
    validate(
        Request((Points(((number, number),)), Box(0, 0, number, number)), fill=Fill(seed=number))
    )
