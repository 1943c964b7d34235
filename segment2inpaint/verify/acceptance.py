"""The probability that a person accepts a removal, the verdict that follows, and the ranking.

A logistic regression of the checks gives the probability. ``benchmarks/acceptance.py`` fits it on
scenes with known truth, and reports how good it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, log

from segment2inpaint.judgement import Check, Judgement, Verdict
from segment2inpaint.verify.checks import fault

# How much the logit of each check's score lowers the logit of the probability. Logits below
# ``LOWEST`` count as that: an unlikely shadow is as good as a very unlikely one, and a fill that is
# just what the background network paints no better than the usual good one.
WEIGHTS = {
    "leftover": 0.14, "ghost": 0.0, "stranger": 0.16, "seam": 0.22, "smear": 0.01, "repeats": 0.0,
    "coherence": 0.65, "background": 1.0, "detail": 0.99, "shadow": 0.77, "coverage": 0.0,
}  # fmt: skip
BIAS = -4.73
LOWEST, HIGHEST = {"shadow": -1.0, "background": -2.0}, 6.0
LOWEST_OF_OTHERS = -6.0
# The median logits of good results: what is above them speaks against a result.
USUAL_LOGITS = {
    "leftover": -4.4, "ghost": -1.2, "stranger": -3.3, "seam": -4.0, "smear": -0.5,
    "repeats": -2.5, "coherence": -2.1, "background": -2.0, "detail": -1.0, "shadow": -1.0,
    "coverage": -6.0,
}  # fmt: skip
# Probabilities from which a result is clean, and below which it has failed.
CLEAN_PROBABILITY, FAILED_PROBABILITY = 0.7, 0.1

# How much the logits of a replacement's checks lower its rank.
REPLACEMENT_WEIGHTS = {"absent": 1.0, "seam": 0.1}


def judge(checks: Sequence[Check]) -> Judgement | None:
    """Return the judgement on a result by its checks, None without any.

    Whatever its probability, a result with a check that has failed has failed, and one with a
    doubtful ``coverage`` is not clean: how good such results are is not known.
    """
    if not checks:
        return None
    if not _are_of_removal(checks):
        return _judge_replacement(checks)
    evidence = _evidence(checks)
    probability = 1 / (1 + exp(sum(evidence.values()) - BIAS))
    verdict = _verdict(probability, checks)
    if verdict == "clean":
        return Judgement(verdict, probability)
    reason = _reason(checks)
    return Judgement(verdict, probability, reason, fault(reason))


def _reason(checks: Sequence[Check]) -> Check:
    """Return the check that speaks most against a result.

    A doubtful ``coverage`` comes first, then those that failed, and among them those that name the
    fault: whatever is wrong, the hole does not fit its surroundings.
    """
    failed = [check for check in checks if check.failed]
    named = [check for check in failed if check.name != "coherence"]
    weighty = [check for check in checks if WEIGHTS[check.name] > 0]
    suspects = _doubtful_coverage(checks) or named or failed or weighty
    return max(suspects, key=lambda check: (_excess(check), check.score))


def _excess(check: Check) -> float:
    """Return how much more a check says against a result than it says against good ones."""
    return WEIGHTS[check.name] * (clipped_logit(check) - USUAL_LOGITS[check.name])


def clipped_logit(check: Check) -> float:
    """Return the logit of a check's score, from ``LOWEST`` to ``HIGHEST``."""
    return min(HIGHEST, max(LOWEST.get(check.name, LOWEST_OF_OTHERS), _logit(check.score)))


def _verdict(probability: float, checks: Sequence[Check]) -> Verdict:
    if probability < FAILED_PROBABILITY or any(check.failed for check in checks):
        return "failed"
    is_clean = probability >= CLEAN_PROBABILITY and not _doubtful_coverage(checks)
    return "clean" if is_clean else "doubtful"


def _doubtful_coverage(checks: Sequence[Check]) -> list[Check]:
    return [check for check in checks if check.name == "coverage" and check.doubtful]


def _judge_replacement(checks: Sequence[Check]) -> Judgement:
    """Return the judgement by the worst check: no share of good replacements is known."""
    worst = max(checks, key=lambda check: (check.failed, check.score))
    if not worst.doubtful:
        return Judgement("clean")
    return Judgement("failed" if worst.failed else "doubtful", None, worst, worst.sentence)


def rank(candidates: Sequence[Sequence[Check]]) -> list[int]:
    """Return the indices of the candidates by their checks, best first.

    Those in which a check has failed come last.
    """

    def sort_key(index: int) -> tuple[bool, float]:
        checks = candidates[index]
        return any(check.failed for check in checks), sum(_evidence(checks).values())

    return sorted(range(len(candidates)), key=sort_key)


def _evidence(checks: Sequence[Check]) -> dict[str, float]:
    """Return what each check says against a result, as a part of the logit of its rejection."""
    weights = WEIGHTS if _are_of_removal(checks) else REPLACEMENT_WEIGHTS
    return {check.name: weights[check.name] * clipped_logit(check) for check in checks}


def _are_of_removal(checks: Sequence[Check]) -> bool:
    return all(check.name in WEIGHTS for check in checks)


def _logit(score: float) -> float:
    return log(max(score, 1e-12) / max(1 - score, 1e-12))
