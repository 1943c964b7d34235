"""Did it work: checks of a result, a verdict, and what to try next.

Each check weighs the numbers of ``evidence`` by a logistic regression on scenes with truth, so
that 7 % of sound results reach a score of 0.5; 1 % come near the threshold where it has failed.
``benchmarks/verify.py`` makes the weights and the thresholds and tells how well they do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import exp, log, sqrt

import cv2
import numpy as np

from segment2inpaint.effects import shadow
from segment2inpaint.effects.shadow import Shadow
from segment2inpaint.networks import click
from segment2inpaint.networks.onnx import shipped_network
from segment2inpaint.protocols import Detector
from segment2inpaint.types import (
    DOUBTFUL_SCORE,
    Alpha,
    BinaryMask,
    Box,
    Check,
    CleanPlate,
    Color,
    Detection,
    Image,
    Length,
    Points,
    Prompt,
    Refine,
    UserMask,
    Verdict,
)
from segment2inpaint.verify import measures
from segment2inpaint.verify.measures import HoleView, Measurement

AGAIN = 0.8  # overlap with the old mask from which a detector is said to find the object again
INSIDE = 0.99  # share in the hole from which what it finds there at a click is something new
LOOK = 256  # px of what it looks at, at most
MOST = 8  # holes that are checked, the largest ones


@dataclass(frozen=True)
class _CheckSpec:
    """How one check reads its evidence, and what it says: sound, doubtful, failed."""

    look: Callable[[HoleView], Measurement]
    weights: tuple[float, ...]
    constant: float
    threshold: float
    says: tuple[str, str, str]


CHECK_SPECS = {
    "leftover": _CheckSpec(
        # fitted: 0.78; where more lies about, more whole objects would be said to have a part left
        measures.leftover, (4.96, 1.25, 1.18), -5.03, 0.85,
        ("nothing of the object is left at the edge",
         "something like the object may be left at the edge",
         "part of the object is left at the edge"),
    ),
    "ghost": _CheckSpec(
        measures.ghost, (5.59, 6.33), -1.37, 0.97,
        ("the object does not shine through",
         "the object may shine through",
         "the object still shines through"),
    ),
    "stranger": _CheckSpec(
        measures.unexplained_object, (4.17, 1.52), 0.05, 0.79,
        ("nothing new stands there",
         "something may stand there that its surroundings do not explain",
         "something new stands there"),
    ),
    "seam": _CheckSpec(
        measures.seam, (2.17, 1.29, 2.68), -7.28, 0.84,
        ("no seam", "a seam may show", "a seam shows"),
    ),
    "smear": _CheckSpec(
        measures.smear, (2.05, 6.66), -0.96, 0.83,
        ("as grained as its surroundings", "may be smeared", "smeared"),
    ),
    "repeats": _CheckSpec(
        measures.repeats, (4.0, 1.31), -3.87, 0.76,
        ("no pattern repeats", "a pattern may repeat", "a pattern repeats"),
    ),
}  # fmt: skip
# Checks that a second look of the detector can settle, at clicks and at boxes: in a box it finds
# something in any case.
AT_CLICKS, AT_BOXES = ("ghost", "stranger"), ("ghost",)
# How much worse a logit of a check's score makes a candidate, and a log distance from their mean:
# by least squares on the standing of four fills of each scene for tuning, none below 0.
WORSE, APART = {"stranger": 1.0, "absent": 1.0, "smear": 0.15, "seam": 0.1}, 5.0
SHADOWS = (
    "no shadow is left behind", "a shadow may be left behind", "its shadow is left behind",
)  # fmt: skip
ABSENT = ("something stands there now", "hardly anything new stands there", "nothing stands there")


def check_removal(
    before: Image,
    after: Image,
    alpha: Alpha,
    bits: BinaryMask,
    windows: Sequence[Box],
    cast: Shadow | None = None,
    prompts: Sequence[Prompt] = (),
) -> tuple[Check, ...]:
    """The checks of a removal: the object at ``bits`` taken away by repainting ``alpha`` > 0.

    ``windows`` are boxes round the holes; the worst hole counts. ``cast`` is the object's
    shadow, if it was looked for already. The click network is asked what else belongs to the
    object, unless the ``prompts`` drew a line themselves.
    """
    look = view if _whole(prompts) else measures.hole_view
    seen = [look(before, after, alpha, bits, box) for box in _largest(windows)]
    checks = [_checked(name, seen) for name in CHECK_SPECS]
    return (*checks, _orphan(cast or shadow.find_shadow(before, bits), alpha, seen[0]))


def check_replacement(
    before: Image, after: Image, alpha: Alpha, bits: BinaryMask, windows: Sequence[Box]
) -> tuple[Check, ...]:
    """The checks after something was painted in the object's place: is it there, does it join."""
    seen = [measures.hole_view(before, after, alpha, bits, box) for box in _largest(windows)]
    strange = _checked("stranger", seen)
    score = 1 - strange.score
    said = _said(ABSENT, score, 0.95)
    there = replace(strange, name="absent", score=score, threshold=0.95, sentence=said)
    return there, _checked("seam", seen)


def _largest(windows: Sequence[Box]) -> list[Box]:
    return sorted(windows, key=lambda box: -box.width * box.height)[:MOST]


def _whole(prompts: Sequence[Prompt]) -> bool:
    """Whether a whole object was meant: no part, nor what a mask or a colour says."""
    return not any(
        isinstance(p, UserMask | Color | CleanPlate)
        or (isinstance(p, Points) and p.granularity == "part")
        for p in prompts
    )


def view(before: Image, after: Image, alpha: Alpha, bits: BinaryMask, window: Box) -> HoleView:
    """As ``evidence.view``, with what the click network takes for more of the object."""
    seen, own = measures.hole_view(before, after, alpha, bits, window), np.zeros_like(bits)
    own[window.slices] = bits[window.slices]
    network = shipped_network("click")
    if network is None or not own.any():
        return seen
    answer = click.rest_of_object(before, own, network)
    return replace(seen, more=answer.likely(seen.box, seen.hole.shape))


def _checked(name: str, seen: Sequence[HoleView]) -> Check:
    """The check of a name, of the view where it is worst."""
    rule = CHECK_SPECS[name]
    found = [(rule.look(view), view) for view in seen]
    scores = [_score(rule, one.numbers) for one, _ in found]
    worst = int(np.argmax(scores))
    one, view = found[worst]
    said = _said(rule.says, scores[worst], rule.threshold)
    return Check(name, scores[worst], rule.threshold, said, view.shown, one.where)


def _score(rule: _CheckSpec, numbers: Sequence[float]) -> float:
    total = rule.constant + sum(w * n for w, n in zip(rule.weights, numbers, strict=True))
    return 1 / (1 + exp(-float(np.clip(total, -50, 50))))


def _said(says: tuple[str, str, str], score: float, threshold: float) -> str:
    return says[2] if score >= threshold else says[1] if score >= DOUBTFUL_SCORE else says[0]


def _orphan(cast: Shadow, alpha: Alpha, seen: HoleView) -> Check:
    """Is a shadow of the object left outside the hole."""
    size = seen.shown.shape[1::-1]
    left = cast.mask & (alpha == 0)
    share = float(left.sum() / max(1, cast.mask.sum()))
    score = cast.certainty * share
    where = cv2.resize(left[seen.box.slices].astype(np.float32), size, interpolation=cv2.INTER_AREA)
    said = _said(SHADOWS, score, shadow.SURE)
    return Check("shadow", score, shadow.SURE, said, seen.shown, where)


def redetect(
    checks: Sequence[Check],
    detector: Detector,
    after: Image,
    prompts: Sequence[Prompt],
    alpha: Alpha,
    bits: BinaryMask,
    box: Box,
) -> tuple[Check, ...]:
    """The checks after a second look at ``box`` with the same clicks and boxes.

    Only if it can settle a doubt: a look can cost as much as the first. A check has failed if
    the detector finds the object again, by an intersection over union of ``AGAIN``, or at a click
    something that lies in the hole.
    """
    clicks = all(isinstance(p, Points) for p in prompts)
    names = AT_CLICKS if clicks else AT_BOXES
    doubtful = [c for c in checks if c.name in names and c.doubtful and not c.failed]
    if not doubtful or not all(isinstance(p, Points | Box) for p in prompts):
        return tuple(checks)
    scale = min(1.0, LOOK / max(box.width, box.height))
    size = max(1, round(box.width * scale)), max(1, round(box.height * scale))
    asked = [moved for p in prompts if (moved := _moved(p, box, size)) is not None]
    if not asked:
        return tuple(checks)
    found = detector.detect(_small(after[box.slices], size), asked)
    old, hole = (_small(m[box.slices].astype(np.uint8), size) > 0 for m in (bits, alpha > 0))
    said = _seen(found, old, hole, clicks)
    return tuple(
        replace(c, score=c.threshold, sentence=said[c.name])
        if c in doubtful and c.name in said
        else c
        for c in checks
    )


def _small(image: Image, size: tuple[int, int]) -> Image:
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA))


def _seen(
    found: Sequence[Detection], old: BinaryMask, hole: BinaryMask, clicks: bool
) -> dict[str, str]:
    """What a second look says to each check that it settles."""
    overlap = max((_overlap(mask.mask, old) for mask in found), default=0.0)
    if overlap >= AGAIN:
        said = f"the detector finds the object again (overlap {overlap:.2f})"
        return dict.fromkeys(AT_CLICKS, said)
    if clicks and any(m.mask.any() and hole[m.mask].mean() >= INSIDE for m in found):
        return {"stranger": "the detector finds something new at the click"}
    return {}


def _moved(prompt: Prompt, box: Box, size: tuple[int, int]) -> Prompt | None:
    """A click or box in ``box`` reduced to ``size`` (w, h); None for any other, or outside."""

    def at(x: int, y: int) -> tuple[int, int]:
        return (x - box.x0) * size[0] // box.width, (y - box.y0) * size[1] // box.height

    if isinstance(prompt, Points):
        include, exclude = (
            tuple(at(x, y) for x, y in points if box.contains((x, y)))
            for points in (prompt.include, prompt.exclude)
        )
        return Points(include, exclude, prompt.granularity) if include else None
    if isinstance(prompt, Box) and prompt.overlaps(box):
        x0, y0 = at(max(prompt.x0, box.x0), max(prompt.y0, box.y0))
        x1, y1 = at(min(prompt.x1, box.x1) - 1, min(prompt.y1, box.y1) - 1)
        return Box(x0, y0, x1 + 1, y1 + 1)
    return None


def _overlap(one: BinaryMask, other: BinaryMask) -> float:
    """Intersection over union."""
    return float((one & other).sum() / max(1, (one | other).sum()))


# --- what follows from the checks --------------------------------------------------------------


def verdict(checks: Sequence[Check]) -> Verdict:
    """``failed`` if a check has, ``doubtful`` if a score is 0.5 or more, else ``clean``."""
    if any(check.failed for check in checks):
        return "failed"
    return "doubtful" if any(check.doubtful for check in checks) else "clean"


def rank(candidates: Sequence[Sequence[Check]]) -> list[int]:
    """The numbers of the candidates, best first: fewest failed checks, then least ``WORSE``."""
    apart = _apart(candidates)

    def badness(number: int) -> tuple[int, float]:
        checks = candidates[number]
        told = sum(WORSE.get(check.name, 0.0) * _logit(check.score) for check in checks)
        return sum(check.failed for check in checks), told + APART * apart[number]

    return sorted(range(len(candidates)), key=badness)


def _logit(score: float) -> float:
    return log(max(score, 1e-12) / max(1 - score, 1e-12))


def _apart(candidates: Sequence[Sequence[Check]]) -> Sequence[float]:
    """How far each removal is from their mean, log of RGB levels: what few have is seldom true.

    0 where they cannot be compared: after other masks, or if each shall show something new.
    """
    shown = [one[0].crop for one in candidates if one and one[0].name in CHECK_SPECS]
    if len(shown) < len(candidates) or len({one.shape for one in shown}) > 1:
        return [0.0] * len(candidates)
    off = np.array(shown, np.float32)
    off -= off.mean(0)
    differ = np.abs(off).sum((0, 3)) > 0
    squares = (off[:, differ] ** 2).sum(2)
    return [log(sqrt(float(row.mean())) + 1) if row.size else 0.0 for row in squares]


def suggest_refine(checks: Sequence[Check], how: Refine, dilate: float) -> Refine:
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
