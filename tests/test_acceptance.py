"""Tests of the judgement that follows from checks, and of the ranking."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from made_checks import make_check, removal_checks

from segment2inpaint.judgement import Check, Judgement
from segment2inpaint.verify import acceptance


def judgement(checks: Sequence[Check]) -> Judgement:
    found = acceptance.judge(checks)
    assert found
    return found


def test_a_sound_result_is_clean_without_a_reason() -> None:
    found = judgement(removal_checks())
    assert found.verdict == "clean"
    assert found.probability is not None
    assert found.probability >= acceptance.CLEAN_PROBABILITY
    assert found.reason is None
    assert found.sentence == "no problem found"


@pytest.mark.parametrize("name", ["leftover", "seam", "coherence", "background", "shadow"])
def test_a_certain_fault_is_the_reason(name: str) -> None:
    found = judgement(removal_checks(**{name: 0.99}))
    assert found.verdict != "clean"
    assert found.reason
    assert found.reason.name == name
    assert found.sentence.startswith(("look at it: ", "failed: "))


def test_the_probability_falls_with_each_score() -> None:
    for name, weight in acceptance.WEIGHTS.items():
        low, high = (judgement(removal_checks(**{name: s})).probability for s in (0.2, 0.9))
        assert low is not None
        assert high is not None
        assert (high < low) if weight else (high == low)


def test_a_failed_check_is_never_clean() -> None:
    """Even if the probability ignores it, as it ignores ghosts in fills."""
    assert judgement(removal_checks(ghost=0.999)).verdict != "clean"


def test_the_same_doubt_weighs_more_in_detailed_surroundings() -> None:
    plain, detailed = (
        judgement(removal_checks(coherence=0.3, background=0.3, detail=score))
        for score in (0.1, 0.7)
    )
    assert plain.verdict == "clean"
    assert detailed.verdict == "doubtful"
    assert detailed.reason
    assert detailed.reason.name == "detail"


def test_a_fill_as_the_background_network_paints_it_is_no_better_than_a_usual_good_one() -> None:
    own, usual = (judgement(removal_checks(background=score)) for score in (0.0001, 0.11))
    assert own.probability == usual.probability


def test_a_mask_of_most_of_the_photo_is_never_clean() -> None:
    found = judgement(removal_checks(coverage=0.7))
    assert found.verdict == "doubtful"
    assert found.reason
    assert found.reason.name == "coverage"
    assert judgement(removal_checks(coverage=0.4)).verdict == "clean"
    both = judgement(removal_checks(coverage=0.7, seam=0.99))
    assert both.verdict == "failed"
    assert both.reason
    assert both.reason.name == "coverage"


def test_many_faults_fail() -> None:
    names = [name for name in acceptance.WEIGHTS if name != "coverage"]
    found = judgement(removal_checks(**dict.fromkeys(names, 0.97)))
    assert found.verdict == "failed"
    assert found.sentence.startswith("failed: ")


def test_nothing_verified_has_no_judgement() -> None:
    assert acceptance.judge([]) is None


@pytest.mark.parametrize(("score", "verdict"), [(0.1, "clean"), (0.5, "doubtful"), (0.8, "failed")])
def test_the_worst_check_decides_on_a_replacement(score: float, verdict: str) -> None:
    found = judgement([make_check("absent", 0.0), make_check("seam", score)])
    assert (found.verdict, found.probability) == (verdict, None)


def test_the_likelier_candidate_ranks_first() -> None:
    bad, doubtful, sound = (removal_checks(coherence=score) for score in (0.95, 0.6, 0.1))
    assert acceptance.rank([bad, doubtful, sound]) == [2, 1, 0]
    assert acceptance.rank([doubtful, doubtful]) == [0, 1]


def test_a_replacement_that_is_there_ranks_first() -> None:
    absent, there = ([make_check("absent", s), make_check("seam", 0.5)] for s in (0.9, 0.1))
    assert acceptance.rank([absent, there]) == [1, 0]


def test_a_candidate_in_which_a_check_has_failed_ranks_last() -> None:
    """Even if the check does not count for the probability."""
    ghost, other = removal_checks(ghost=0.99), removal_checks(coherence=0.3)
    assert acceptance.rank([ghost, other]) == [1, 0]
