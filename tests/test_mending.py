"""Tests of the actions that may mend a result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from made_checks import make_check, removal_checks

from segment2inpaint import inpaint, mending
from segment2inpaint.attempts import SEED_STEP, Attempt, AttemptSpec
from segment2inpaint.judgement import Action, Check, action_from_json
from segment2inpaint.protocols import Inpainter
from segment2inpaint.types import (
    Box,
    Color,
    Fill,
    Length,
    Points,
    Prompt,
    Refine,
    ReplacementImage,
    Request,
)

CLICK = Request((Points(((10, 10),)),))
EXEMPLAR, TELEA = inpaint.load("exemplar"), inpaint.load("telea")


def attempt_with(*suspects: Check, inpainter: Inpainter = EXEMPLAR) -> Attempt:
    """Return an attempt in which these checks are in doubt and all others are sound."""
    checks = {check.name: check for check in [*removal_checks(), *suspects]}
    spec = AttemptSpec(Refine(), Fill(), inpainter)
    image, alpha = np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8), np.float32)
    return Attempt(spec, image, alpha, {"dilate": 5.0}, tuple(checks.values()))


def action(*suspects: Check, request: Request = CLICK) -> Action | None:
    kept = attempt_with(*suspects)
    return mending.action_for(request, [kept], kept, [])


def leftover_blob() -> Check:
    """Return a leftover whose rest is a square of 12 px in a view at half the photo's scale."""
    heatmap = np.zeros((60, 60), np.float32)
    heatmap[20:32, 30:42] = 1
    check = make_check("leftover", 0.9)
    return replace(check, box=Box(100, 200, 220, 320), heatmap=heatmap)


@pytest.mark.parametrize(
    ("reason", "options"),
    [
        ("shadow", "--shadow"),
        ("leftover", "--dilate 10px"),
        ("ghost", "--dilate 10px"),
        ("smear", f"--seed {SEED_STEP}"),
        ("coherence", f"--seed {SEED_STEP}"),
        ("background", f"--seed {SEED_STEP}"),
        ("detail", f"--seed {SEED_STEP}"),
    ],
)
def test_each_reason_has_an_action(reason: str, options: str) -> None:
    found = action(make_check(reason, 0.9))
    assert found
    assert found.options == options
    assert found.sentence


def test_a_clean_result_and_an_inserted_picture_have_no_action() -> None:
    assert action() is None
    picture = ReplacementImage(np.zeros((1, 1, 3), np.uint8), np.ones((1, 1), np.float32), "-")
    inserted = replace(CLICK, fill=Fill(picture=picture))
    assert action(make_check("seam", 0.9), request=inserted) is None


def test_the_rest_of_an_object_is_clicked_where_it_is_deepest() -> None:
    found = action(leftover_blob())
    assert found
    assert found.name == "click-rest"
    assert found.point
    x, y = found.point
    assert 100 + 2 * 34 <= x <= 100 + 2 * 38
    assert 200 + 2 * 24 <= y <= 200 + 2 * 28
    by_color = action(leftover_blob(), request=Request((Color((10, 10)),)))
    assert by_color
    assert by_color.name == "grow-mask"


def test_a_click_that_selects_much_more_than_the_rest_is_not_proposed() -> None:
    kept, rest = attempt_with(leftover_blob()), 24 * 24  # photo px

    def proposed(selected: int) -> str:
        def count_selected(prompts: Sequence[Prompt]) -> int:
            assert [len(p.include) for p in prompts if isinstance(p, Points)] == [2]
            return selected

        found = mending.action_for(CLICK, [kept], kept, [], count_selected)
        assert found
        return found.name

    assert proposed(2 * rest) == "click-rest"
    assert proposed(20 * rest) == "grow-mask"


def test_nothing_is_proposed_for_a_mask_of_most_of_the_photo() -> None:
    assert action(make_check("coverage", 0.8)) is None


def test_an_inpainter_that_was_not_used_is_tried_before_another_seed() -> None:
    kept = attempt_with(make_check("smear", 0.9))
    found = mending.action_for(CLICK, [kept], kept, [EXEMPLAR, TELEA])
    assert found == Action("other-fill", inpainter="telea")


@pytest.mark.parametrize("used", ["telea", "migan"])
def test_the_guided_fill_is_proposed_in_place_of_one_that_ignores_seeds(used: str) -> None:
    kept = attempt_with(make_check("smear", 0.9), inpainter=inpaint.load(used))
    proposed = mending.action_for(CLICK, [kept], kept, [])
    assert proposed == Action("other-fill", inpainter="guided")
    assert mending.next_attempts(CLICK, [kept], [kept], []) == []


def test_seeds_are_not_proposed_for_ever() -> None:
    kept = attempt_with(make_check("smear", 0.9))
    late = replace(kept.spec, fill=Fill(seed=mending.LAST_SEED))
    assert mending.action_for(CLICK, [replace(kept, spec=late)], kept, []) is None


def test_actions_change_the_request() -> None:
    box = Request((Box(1, 2, 3, 4),))
    assert mending.apply(Action("take-shadow"), CLICK).refine.shadow is True
    assert mending.apply(Action("grow-mask", dilate=7), CLICK).refine.dilate == Length(7, "px")
    clicked = mending.apply(Action("click-rest", point=(5, 6)), CLICK)
    assert clicked.prompts == (Points(((10, 10), (5, 6))),)
    both = mending.apply(Action("click-rest", point=(5, 6)), box)
    assert both.prompts == (*box.prompts, Points(((5, 6),)))
    assert mending.apply(Action("other-fill", inpainter="ns"), CLICK).inpainter == "ns"
    assert mending.apply(Action("other-seed", seed=9), CLICK).fill.seed == 9


@pytest.mark.parametrize(
    "one",
    [
        Action("take-shadow"),
        Action("grow-mask", dilate=7.5),
        Action("click-rest", point=(5, 6)),
        Action("other-fill", inpainter="ns"),
        Action("other-seed", seed=9),
    ],
)
def test_an_action_survives_json(one: Action) -> None:
    assert action_from_json(one.to_json()) == one


def test_the_place_of_a_check_is_in_photo_pixels() -> None:
    assert leftover_blob().place == Box(160, 240, 184, 264)
    assert make_check("seam", 0.9).place is None
