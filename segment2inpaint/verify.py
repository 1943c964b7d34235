"""Did it work: checks of a result, a verdict, and what to try next.

Each check weighs the numbers of ``evidence`` by a logistic regression on scenes with truth, so
that 7 % of sound results reach a score of 0.5; 1 % come near the threshold where it has failed.
``benchmarks/verify.py`` makes the weights and the thresholds and tells how well they do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import exp

import cv2
import numpy as np

from . import evidence, shadow
from .evidence import Evidence, View
from .types import (
    Alpha,
    Bits,
    Box,
    Check,
    Detector,
    Image,
    Length,
    Points,
    Prompt,
    Refine,
    Verdict,
)

DOUBT = 0.5  # score from which a result is doubtful
AGAIN = 0.8  # overlap with the old mask from which a detector is said to find the object again
MOST = 8  # holes that are checked, the largest ones
RED = (255, 0, 64)


@dataclass(frozen=True)
class _Rule:
    """How one check reads its evidence, and what it says: sound, doubtful, failed."""

    look: Callable[[View], Evidence]
    weights: tuple[float, ...]
    constant: float
    threshold: float
    says: tuple[str, str, str]


RULES = {
    "leftover": _Rule(
        evidence.leftover, (5.5,), -2.83, 0.83,
        ("nothing of the object is left at the edge",
         "something like the object may be left at the edge",
         "part of the object is left at the edge"),
    ),
    "ghost": _Rule(
        evidence.ghost, (5.59, 6.33), -1.37, 0.97,
        ("the object does not shine through",
         "the object may shine through",
         "the object still shines through"),
    ),
    "stranger": _Rule(
        evidence.stranger, (4.47, 1.4), 0.38, 0.78,
        ("nothing new stands there",
         "something may stand there that its surroundings do not explain",
         "something new stands there"),
    ),
    "seam": _Rule(
        evidence.seam, (0.91, 1.93), -3.04, 0.83,
        ("no seam", "a seam may show", "a seam shows"),
    ),
    "smear": _Rule(
        evidence.smear, (2.05, 6.66), -0.96, 0.83,
        ("as grained as its surroundings", "may be smeared", "smeared"),
    ),
    "repeats": _Rule(
        evidence.repeats, (4.0, 1.31), -3.87, 0.76,
        ("no pattern repeats", "a pattern may repeat", "a pattern repeats"),
    ),
}  # fmt: skip
OBJECT = ("leftover", "ghost", "stranger")  # checks that a second look of the detector can settle
SHADOWS = (
    "no shadow is left behind", "a shadow may be left behind", "its shadow is left behind",
)  # fmt: skip
ABSENT = ("something stands there now", "hardly anything new stands there", "nothing stands there")


def removal(
    before: Image, after: Image, alpha: Alpha, bits: Bits, windows: Sequence[Box]
) -> tuple[Check, ...]:
    """The checks of a removal: the object at ``bits`` taken away by repainting ``alpha`` > 0.

    ``windows`` are boxes round the holes; the worst hole counts.
    """
    seen = _views(before, after, alpha, bits, windows)
    checks = [_checked(name, seen) for name in RULES]
    return (*checks, _orphan(before, alpha, bits, seen[0]))


def replacement(
    before: Image, after: Image, alpha: Alpha, bits: Bits, windows: Sequence[Box]
) -> tuple[Check, ...]:
    """The checks after something was painted in the object's place: is it there, does it join."""
    seen = _views(before, after, alpha, bits, windows)
    strange = _checked("stranger", seen)
    score = 1 - strange.score
    there = Check("absent", score, 0.95, _said(ABSENT, score, 0.95), strange.picture)
    return there, _checked("seam", seen)


def _views(
    before: Image, after: Image, alpha: Alpha, bits: Bits, windows: Sequence[Box]
) -> list[View]:
    """A view of each window, the ``MOST`` largest of them."""
    largest = sorted(windows, key=lambda box: -box.width * box.height)[:MOST]
    views = []
    for box in largest:
        own = np.zeros_like(alpha)
        own[box.slices] = alpha[box.slices]
        views.append(evidence.view(before, after, own, bits & (own > 0)))
    return views


def _checked(name: str, seen: Sequence[View]) -> Check:
    """The check of a name, of the view where it is worst."""
    rule = RULES[name]
    found = [(rule.look(view), view) for view in seen]
    scores = [_score(rule, one.numbers) for one, _ in found]
    worst = int(np.argmax(scores))
    picture = _marked(found[worst][1].shown, found[worst][0].where)
    said = _said(rule.says, scores[worst], rule.threshold)
    return Check(name, scores[worst], rule.threshold, said, picture)


def _score(rule: _Rule, numbers: Sequence[float]) -> float:
    total = rule.constant + sum(w * n for w, n in zip(rule.weights, numbers, strict=True))
    return 1 / (1 + exp(-float(np.clip(total, -50, 50))))


def _said(says: tuple[str, str, str], score: float, threshold: float) -> str:
    return says[2] if score >= threshold else says[1] if score >= DOUBT else says[0]


def _orphan(before: Image, alpha: Alpha, bits: Bits, seen: View) -> Check:
    """Is a shadow of the object left outside the hole."""
    cast = shadow.find(before, bits)
    size = seen.shown.shape[1::-1]
    left = cast.bits & (alpha == 0)
    share = float(left.sum() / max(1, cast.bits.sum()))
    score = cast.certainty * share
    where = cv2.resize(left[seen.box.slices].astype(np.float32), size, interpolation=cv2.INTER_AREA)
    said = _said(SHADOWS, score, shadow.SURE)
    return Check("shadow", score, shadow.SURE, said, _marked(seen.shown, where))


def _marked(image: Image, where: Alpha) -> Image:
    """The picture with red laid over ``where``."""
    mixed = image + 0.7 * where[..., None] * (np.array(RED, np.float32) - image)
    return np.rint(mixed).astype(np.uint8)


def again(
    checks: Sequence[Check],
    detector: Detector,
    after: Image,
    prompts: Sequence[Prompt],
    bits: Bits,
    box: Box,
) -> tuple[Check, ...]:
    """The checks after a second look at ``box`` with the same clicks and boxes.

    Only if one of ``OBJECT`` is in doubt: a look can cost as much as the first. What the detector
    finds again at the old place, by an intersection over union of ``AGAIN``, has failed.
    """
    doubtful = [c for c in checks if c.name in OBJECT and DOUBT <= c.score < c.threshold]
    asked = [moved for p in prompts if (moved := _moved(p, box)) is not None]
    clicks = all(isinstance(p, Points | Box) for p in prompts)
    if not doubtful or not asked or not clicks:
        return tuple(checks)
    old = bits[box.slices]
    found = detector.detect(np.ascontiguousarray(after[box.slices]), asked)
    overlap = max((_overlap(mask.bits, old) for mask in found), default=0.0)
    if overlap < AGAIN:
        return tuple(checks)
    said = f"the detector finds the object again (overlap {overlap:.2f})"
    return tuple(
        Check(c.name, max(c.score, c.threshold), c.threshold, said, c.picture)
        if c in doubtful
        else c
        for c in checks
    )


def _moved(prompt: Prompt, box: Box) -> Prompt | None:
    """A click or box in the coordinates of ``box``; None for any other, or outside."""
    if isinstance(prompt, Points):
        include, exclude = (
            tuple((x - box.x0, y - box.y0) for x, y in points if box.holds((x, y)))
            for points in (prompt.include, prompt.exclude)
        )
        return Points(include, exclude, prompt.granularity) if include else None
    if isinstance(prompt, Box) and prompt.overlaps(box):
        x0, y0, x1, y1 = (v - o for v, o in zip(prompt, (box.x0, box.y0) * 2, strict=True))
        return Box(max(x0, 0), max(y0, 0), min(x1, box.width), min(y1, box.height))
    return None


def _overlap(one: Bits, other: Bits) -> float:
    """Intersection over union."""
    return float((one & other).sum() / max(1, (one | other).sum()))


# --- what follows from the checks --------------------------------------------------------------


def verdict(checks: Sequence[Check]) -> Verdict:
    """``failed`` if a check has, ``doubtful`` if a score is 0.5 or more, else ``clean``."""
    if any(check.failed for check in checks):
        return "failed"
    return "doubtful" if any(check.score >= DOUBT for check in checks) else "clean"


def rank(candidates: Sequence[Sequence[Check]]) -> list[int]:
    """The numbers of the candidates, best first: fewest failed checks, then least sum of scores."""

    def badness(number: int) -> tuple[int, float]:
        checks = candidates[number]
        return sum(check.failed for check in checks), sum(check.score for check in checks)

    return sorted(range(len(candidates)), key=badness)


def mended(checks: Sequence[Check], how: Refine, dilate: float) -> Refine:
    """What the failed checks suggest to do to the mask; ``how`` itself if they suggest nothing.

    Twice the dilation for a leftover, where the dilation is automatic; the shadow with the
    object for an orphan shadow, where it may be taken.
    """
    failed = {check.name for check in checks if check.failed}
    if "leftover" in failed and how.dilate.unit == "auto":
        how = replace(how, dilate=Length(round(2 * dilate, 1), "px"))
    if "shadow" in failed and how.shadow is None:
        how = replace(how, shadow=True)
    return how
