"""The shell command of a request, read back by the command line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from command_line import requests_of
from hypothesis import given
from hypothesis import strategies as st
from web_server import draw_scene

from segment2inpaint import images
from segment2inpaint.types import (
    Box,
    Color,
    Everything,
    Fill,
    Find,
    Length,
    Points,
    Prompt,
    Refine,
    Request,
    Text,
)
from segment2inpaint.web.command_line import format_command

pixels = st.tuples(st.integers(0, 159), st.integers(0, 119))
clicks = st.lists(pixels, min_size=1, max_size=3, unique=True).map(tuple)
granularities = st.sampled_from(["auto", "part", "object", "whole"])
numbers = st.lists(st.integers(1, 9), min_size=1, max_size=3).map(tuple)


def single(prompts: st.SearchStrategy[Prompt]) -> st.SearchStrategy[tuple[Prompt, ...]]:
    return prompts.map(lambda prompt: (prompt,))


prompts = st.one_of(
    single(st.builds(Points, clicks, st.lists(pixels, max_size=2).map(tuple), granularities)),
    st.lists(st.builds(Points, pixels.map(lambda p: (p,))), min_size=2, max_size=3).map(tuple),
    st.lists(st.builds(Box, *[st.integers(0, 99)] * 4), min_size=1, max_size=2).map(tuple),
    single(st.builds(Color, pixels, st.none(), st.none() | st.floats(0, 90), st.booleans())),
    single(st.builds(Color, st.none(), st.tuples(*[st.integers(0, 255)] * 3))),
    single(st.builds(Text, st.sampled_from(["dog", "a 'red' rose", "-x"]))),
    single(st.builds(Everything, numbers)),
    single(
        st.builds(
            Find,
            st.sampled_from(["text", "face"]),
            st.none() | st.floats(0.1, 1),
            numbers,
            st.none() | st.builds(Box, *[st.integers(0, 99)] * 4),
            st.integers(0, 30),
            st.just(()) | st.just((2, Box(1, 2, 3, 4))),
        )
    ),
)
lengths = st.sampled_from([Length(), Length(12, "px"), Length(2.5, "%")])
refines = st.builds(
    Refine, lengths, lengths, st.booleans(), st.booleans(), st.none() | st.booleans(), st.booleans()
)
fills = st.builds(
    Fill,
    prompt=st.none() | st.sampled_from(["a rose", "it's; rm -rf"]),
    strength=st.none() | st.floats(0.1, 1),
    seed=st.integers(0, 9),
    padding_mask_crop=st.none() | st.integers(0, 50),
    candidates=st.integers(1, 3),
)
requests = st.builds(
    Request, prompts, refines, fills, st.sampled_from(["auto", "builtin"]),
    st.sampled_from(["auto", "telea"]), st.booleans(), st.integers(1, 3),
)  # fmt: skip


@pytest.fixture(scope="module")
def photo_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("command") / "a photo.png"
    scene = draw_scene()
    images.write(path, images.photo_from_array(scene), scene, np.zeros((120, 160), np.float32))
    return path


@given(request=requests)
def test_the_command_line_reads_the_request_back(photo_file: Path, request: Request) -> None:
    """Quotes and dashes in texts do no harm."""
    command = format_command(request, str(photo_file), "out.png")
    assert command is not None
    assert requests_of(command) == [request]


def test_a_request_that_options_cannot_express_has_no_command() -> None:
    two_objects = (Points(((1, 2), (3, 4))), Points(((5, 6),)))
    assert format_command(Request(two_objects), "a.png", "b.png") is None


def test_file_names_cannot_be_mistaken_for_options() -> None:
    command = format_command(Request((Box(0, 0, 5, 5),)), "-o.jpg", "-x.jpg")
    assert command == "segment2inpaint remove ./-o.jpg -b 0,0,5,5 -o ./-x.jpg"
