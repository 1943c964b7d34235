"""The editor and the three functions, without any download."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

import segment2inpaint
from segment2inpaint import mask, read, remove, replace, write
from segment2inpaint.editor import Editor
from segment2inpaint.errors import BadImage, BadOption, BadPrompt, NothingFound
from segment2inpaint.images import Photo, photo_of
from segment2inpaint.types import (
    Box,
    Fill,
    Points,
    Refine,
    ReplacementImage,
    Request,
    Result,
    UserMask,
)

BLOCK = np.zeros((96, 128), np.bool_)
BLOCK[40:60, 50:70] = True


@pytest.fixture(scope="module")
def photo() -> Photo:
    """A red block on a grained grey."""
    image = np.random.default_rng(0).normal(128, 9, (96, 128, 3)).clip(0, 255).astype(np.uint8)
    image[BLOCK] = (220, 30, 20)
    return photo_of(image)


def request(*prompts: object, fill: Fill = Fill(), **names: str) -> Request:
    own = prompts or (UserMask(BLOCK),)
    return Request(own, fill=fill, **{"inpainter": "telea", **names})  # type: ignore[arg-type]


# --- many -------------------------------------------------------------------------------------


def test_many_photos_give_what_each_alone_gives(photo: Photo) -> None:
    editor = Editor()
    fills = [Fill(seed=seed) for seed in (1, 2, 3)]
    jobs = [(photo, request(fill=fill, inpainter="exemplar")) for fill in fills]
    together = list(editor.many(jobs))
    for outcome, job in zip(together, jobs, strict=True):
        assert isinstance(outcome, Result)
        assert (outcome.image == editor.run(*job).image).all()


def test_a_failed_job_is_an_outcome_and_the_others_go_on(photo: Photo) -> None:
    jobs = [
        (photo, request()),
        (photo, request(Points(((500, 5),)))),
        (photo, request(detector="nonsense")),
        (photo, request()),
    ]
    good, outside, nonsense, last = Editor().many(jobs)
    assert isinstance(good, Result)
    assert isinstance(last, Result)
    assert isinstance(outside, BadPrompt)
    assert str(outside).startswith("array: ")
    assert isinstance(nonsense, BadOption)


def test_jobs_are_taken_as_they_are_needed(photo: Photo) -> None:
    taken = []
    jobs = ((photo, request()) for number in range(9) if not taken.append(number))  # type: ignore[func-returns-value]
    outcomes = Editor().many(jobs)
    next(outcomes)
    assert taken == [0]


# --- candidates -------------------------------------------------------------------------------


def test_candidates_are_ranked_and_differ(photo: Photo) -> None:
    result = Editor().run(photo, request(fill=Fill(candidates=3), inpainter="exemplar"))
    assert len(result.candidates) == 3
    assert len({one.image.tobytes() for one in result.candidates}) == 3
    failed = [sum(check.failed for check in one.checks) for one in result.candidates]
    assert failed == sorted(failed)
    first = result.candidates[0]
    assert first.image is result.image
    assert (first.verdict, first.settings) == (result.verdict, result.settings)
    assert [one["kept"] for one in result.attempts].count(True) == 1


def test_one_candidate_is_the_result(photo: Photo) -> None:
    result = Editor().run(photo, request())
    (only,) = result.candidates
    assert only.image is result.image
    assert only.checks is result.checks


def test_where_seeds_are_idle_candidates_are_other_inpainters(photo: Photo) -> None:
    told: list[str] = []
    result = Editor(on_message=told.append).run(photo, request(fill=Fill(candidates=5)))
    used = {one.settings["inpainter"] for one in result.candidates}
    assert used == {"telea", "exemplar", "ns"}
    assert told == ["3 candidates: telea has but one, whatever the seed"]


# --- remove, replace, mask --------------------------------------------------------------------


def test_remove_takes_a_path_a_photo_or_an_array(photo: Photo, tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    write(path, photo, photo.image, np.zeros(photo.size, np.float32))
    made = [
        remove(given, UserMask(BLOCK), inpainter="telea").image
        for given in (path, str(path), path.read_bytes(), photo, photo.image.copy())
    ]
    assert all((image == made[0]).all() for image in made)
    assert (made[0] != photo.image).any()


def test_short_prompts(photo: Photo) -> None:
    clicked = mask(photo, (60, 50))
    assert clicked.dtype == np.bool_
    assert (clicked == mask(photo, Points(((60, 50),)))).all()
    boxed = mask(photo, (45, 35, 75, 65))
    assert (boxed == mask(photo, Box(45, 35, 75, 65))).all()
    assert (mask(photo, BLOCK) == BLOCK).all()
    assert (mask(photo, BLOCK, refine=Refine(invert=True)) == ~BLOCK).all()


def test_replace_by_a_picture(photo: Photo, tmp_path: Path) -> None:
    green = np.zeros((20, 20, 3), np.uint8)
    green[:] = (0, 200, 0)
    path = tmp_path / "green.png"
    write(path, photo_of(green), green, np.zeros((20, 20), np.float32))
    for given in (path, green, ReplacementImage(green, np.ones((20, 20), np.float32))):
        result = replace(photo, BLOCK, picture=given, inpainter="telea")
        assert (result.image[BLOCK] == (0, 200, 0)).all()
        assert result.changed_outside == 0


@pytest.mark.parametrize("inpainter", ["exemplar", "telea", "ns", "lama"])
def test_who_cannot_read_a_prompt_says_so(photo: Photo, inpainter: str) -> None:
    """Else something would be painted, and not what was asked for."""
    with pytest.raises(BadOption, match=f"{inpainter} cannot read a prompt"):
        replace(photo, BLOCK, prompt="a red rose", inpainter=inpainter)


def test_what_can_go_wrong_is_one_line(photo: Photo, tmp_path: Path) -> None:
    with pytest.raises(BadOption, match="what should stand there"):
        replace(photo, BLOCK)
    with pytest.raises(BadImage, match="no such file"):
        remove(tmp_path / "none.jpg", (1, 2))
    with pytest.raises(NothingFound):
        remove(photo, np.zeros((96, 128), np.bool_))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (Pillow.new("RGB", (4, 4)), "expected a path, .* got Image; pixels are given as"),
        (None, "expected a path, .* got NoneType"),
        ([[[1, 2, 3]]], "expected a path, .* got list"),
    ],
)
def test_what_is_no_photo_is_one_line(given: object, message: str) -> None:
    with pytest.raises(BadImage, match=message):
        remove(given, (1, 2))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "given",
    [
        (1, 2, 3),
        ("a", "b"),
        (float("nan"), 3),
        ((1, 2), (3, 4)),
        None,
        5,
        np.zeros((96, 128), np.uint8),
        np.zeros(4, bool),
    ],
)
def test_what_is_no_prompt_is_one_line(photo: Photo, given: object) -> None:
    with pytest.raises(BadPrompt, match=r"expected|must be"):
        mask(photo, given)  # type: ignore[arg-type]


def test_lists_and_arrays_of_numbers_are_points_and_boxes(photo: Photo) -> None:
    """As they come out of JSON and of NumPy."""
    for given in ([60, 50], np.array([60, 50])):
        assert (mask(photo, given) == mask(photo, (60, 50))).all()
    assert (mask(photo, [48, 38, 72, 62]) == mask(photo, (48, 38, 72, 62))).all()


def test_what_is_told_of_a_result_fits_on_a_screen(photo: Photo) -> None:
    """A notebook shows it: without pixels."""
    result = remove(photo, BLOCK, inpainter="telea")
    assert len(repr(result)) < 3000
    assert "array(" not in repr(result)
    assert "array(" not in repr(photo)
    assert "array(" not in repr(UserMask(BLOCK))


def test_the_public_names_are_there() -> None:
    assert segment2inpaint.__all__ == sorted(segment2inpaint.__all__)
    assert all(getattr(segment2inpaint, name) for name in segment2inpaint.__all__)
    assert read.__module__ == "segment2inpaint.images"
