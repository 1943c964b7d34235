"""The editor: jobs, candidates and messages, without any download."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from segment2inpaint.editor import Editor
from segment2inpaint.errors import BadImage, BadOption, BadPrompt
from segment2inpaint.images import Photo, photo_from_array
from segment2inpaint.result import Result
from segment2inpaint.types import (
    Fill,
    Points,
    Request,
    UserMask,
)

BLOCK = np.zeros((96, 128), np.bool_)
BLOCK[40:60, 50:70] = True


@pytest.fixture(scope="module")
def photo() -> Photo:
    """A red block on grainy grey."""
    image = np.random.default_rng(0).normal(128, 9, (96, 128, 3)).clip(0, 255).astype(np.uint8)
    image[BLOCK] = (220, 30, 20)
    return photo_from_array(image)


def request(*prompts: object, fill: Fill = Fill(), **names: str) -> Request:
    return Request(prompts or (UserMask(BLOCK),), fill=fill, **{"inpainter": "telea", **names})  # type: ignore[arg-type]


# --- many -------------------------------------------------------------------------------------


def test_results_do_not_depend_on_the_other_jobs(photo: Photo) -> None:
    editor = Editor()
    fills = [Fill(seed=seed) for seed in (1, 2, 3)]
    jobs = [(photo, request(fill=fill, inpainter="exemplar")) for fill in fills]
    outcomes = list(editor.many(jobs))
    for outcome, job in zip(outcomes, jobs, strict=True):
        assert isinstance(outcome, Result)
        assert (outcome.image == editor.run(*job).image).all()


def test_an_editor_takes_photos_in_every_form_and_yields_the_error_of_a_bad_one(
    photo: Photo, tmp_path: Path
) -> None:
    path = tmp_path / "a.png"
    Pillow.fromarray(photo.image).save(path)
    forms = [photo, path, path.read_bytes(), Pillow.open(path), photo.image, tmp_path / "none.png"]
    *good, missing = Editor().many((form, request()) for form in forms)
    assert isinstance(missing, BadImage)
    first = good[0]
    assert isinstance(first, Result)
    for result in good:
        assert isinstance(result, Result)
        assert (result.image == first.image).all()
    found = Editor().find_objects(path, request())
    assert (found[0].mask == BLOCK).all()


def test_a_failed_job_yields_its_error_and_the_others_continue(photo: Photo) -> None:
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


def test_jobs_are_read_lazily(photo: Photo) -> None:
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


def test_the_only_candidate_is_the_result(photo: Photo) -> None:
    result = Editor().run(photo, request())
    (only,) = result.candidates
    assert only.image is result.image
    assert only.checks is result.checks


def test_candidates_use_other_inpainters_if_seeds_are_ignored(photo: Photo) -> None:
    messages: list[str] = []
    result = Editor(on_message=messages.append).run(photo, request(fill=Fill(candidates=7)))
    used = {one.settings["inpainter"] for one in result.candidates}
    assert used == {"telea", "guided", "exemplar", "migan", "ns"}
    assert messages == ["5 candidates: telea gives one result, whatever the seed"]
