"""The probability that a person accepts a removal, the verdict that follows, and the ranking.

A logistic regression of the checks gives the probability. ``benchmarks/acceptance.py`` fits it on
scenes with known truth, and reports how good it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, log, sqrt

import numpy as np

from segment2inpaint.judgement import Check, Judgement, Verdict
from segment2inpaint.verify.checks import CHECK_SPECS, fault

# How much the doubt of each check (see ``_doubt``) lowers the logit of the probability.
WEIGHTS: dict[str, float] = {}
BIAS = 0.0
# Probabilities from which a result is clean, and below which it has failed.
CLEAN_PROBABILITY, FAILED_PROBABILITY = 0.8, 0.2

# How much the logit of a check's score, and the log distance from the candidates' mean, lower a
# candidate's rank. Fitted by least squares on the ranks of four fills of each tuning scene, none
# below 0.
RANK_WEIGHTS = {"stranger": 1.0, "absent": 1.0, "smear": 0.15, "seam": 0.1}
DISTANCE_RANK_WEIGHT = 5.0


def judge(checks: Sequence[Check]) -> Judgement | None:
    """Return the judgement on a result by its checks, None without any."""
    if not checks:
        return None
    if not all(check.name in WEIGHTS for check in checks):
        return _judge_replacement(checks)
    evidence = {check.name: WEIGHTS[check.name] * _doubt(check.score) for check in checks}
    probability = 1 / (1 + exp(sum(evidence.values()) - BIAS))
    verdict = _verdict(probability)
    if verdict == "clean":
        return Judgement(verdict, probability)
    reason = max(checks, key=lambda check: evidence[check.name])
    return Judgement(verdict, probability, reason, fault(reason))


def _verdict(probability: float) -> Verdict:
    if probability < FAILED_PROBABILITY:
        return "failed"
    return "clean" if probability >= CLEAN_PROBABILITY else "doubtful"


def _doubt(score: float) -> float:
    """Return the doubt that a score of a check is: 0 for none, its logit for a high one."""
    return -log(max(1 - score, 1e-12))


def _judge_replacement(checks: Sequence[Check]) -> Judgement:
    """Return the judgement by the worst check: no share of good replacements is known."""
    worst = max(checks, key=lambda check: (check.failed, check.score))
    if not worst.doubtful:
        return Judgement("clean")
    return Judgement("failed" if worst.failed else "doubtful", None, worst, worst.sentence)


def rank(candidates: Sequence[Sequence[Check]]) -> list[int]:
    """Return the indices of the candidates by their checks, best first.

    Fewer failed checks come first, then lower scores weighted by ``RANK_WEIGHTS``, together with
    the distance of the result from the candidates' mean.
    """
    distances = _distances_from_mean(candidates)

    def sort_key(index: int) -> tuple[int, float]:
        checks = candidates[index]
        scores = sum(RANK_WEIGHTS.get(c.name, 0.0) * _logit(c.score) for c in checks)
        failures = sum(check.failed for check in checks)
        return failures, scores + DISTANCE_RANK_WEIGHT * distances[index]

    return sorted(range(len(candidates)), key=sort_key)


def _logit(score: float) -> float:
    return log(max(score, 1e-12) / max(1 - score, 1e-12))


def _distances_from_mean(candidates: Sequence[Sequence[Check]]) -> Sequence[float]:
    """Return the log RMS distance of each removal from the candidates' mean, by RGB levels.

    What few candidates show is seldom right. All distances are 0 for candidates that cannot be
    compared: those of different masks, and replacements, which may differ.
    """
    crops = [checks[0].crop for checks in candidates if checks and checks[0].name in CHECK_SPECS]
    if len(crops) < len(candidates) or len({crop.shape for crop in crops}) > 1:
        return [0.0] * len(candidates)
    deviation = np.array(crops, np.float32)
    deviation -= deviation.mean(0)
    differs = np.abs(deviation).sum((0, 3)) > 0
    squares = (deviation[:, differs] ** 2).sum(2)
    return [log(sqrt(float(row.mean())) + 1) if row.size else 0.0 for row in squares]
