"""What is tried for one object, and what came of it: candidates, and what follows a failure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from segment2inpaint.protocols import Inpainter
from segment2inpaint.types import Alpha, Candidate, Check, Fill, Image, Refine, Request, Verdict
from segment2inpaint.verify import checks as verify

# From one try's seed to the next's: windows take the even numbers between, and odd seeds are
# those with which the exemplar fill takes the structure that lost.
SEEDS = 1001


@dataclass(frozen=True, eq=False)
class Plan:
    """What one attempt does."""

    refine: Refine
    fill: Fill
    inpainter: Inpainter


@dataclass(frozen=True, eq=False)
class Try:
    """What one attempt came to."""

    plan: Plan
    image: Image
    alpha: Alpha
    settings: Mapping[str, Any]
    checks: tuple[Check, ...]

    @property
    def verdict(self) -> Verdict | None:
        return verify.verdict(self.checks) if self.checks else None

    @property
    def candidate(self) -> Candidate:
        return Candidate(self.image, self.alpha, self.checks, self.verdict, self.settings)

    def story(self, attempt: int, kept: bool) -> dict[str, Any]:
        """What is told of it, as JSON data; candidates are tries of one attempt."""
        told = {key: self.settings[key] for key in ("inpainter", "dilate", "shadow", "seed")}
        scores = {check.name: round(check.score, 3) for check in self.checks}
        return {"attempt": attempt, **told, "scores": scores, "verdict": self.verdict, "kept": kept}


def first(request: Request, inpainter: Inpainter, others: Sequence[Inpainter]) -> list[Plan]:
    """The plans of the candidates: a seed each, or an inpainter each where seeds are idle."""
    plan = Plan(request.refine, request.fill, inpainter)
    count = max(1, request.fill.candidates)
    if inpainter.canvas.seeded:
        return [_reseeded(plan, number * SEEDS) for number in range(count)]
    return [replace(plan, inpainter=one) for one in (inpainter, *others)][:count]


def following(
    tries: Sequence[Try], latest: Sequence[Try], others: Sequence[Inpainter]
) -> list[Plan]:
    """What to try after these: nothing if one has not failed, or if nothing else may help.

    What the checks of the best of the ``latest`` suggest for the mask, with all of them; else
    another inpainter, else another seed.
    """
    if best(tries).verdict != "failed" or tries[0].plan.fill.picture:
        return []
    last = best(latest)
    refine = verify.mended(last.checks, last.plan.refine, last.settings["dilate"])
    if refine != last.plan.refine:
        return [replace(one.plan, refine=refine) for one in latest]
    used = [one.plan.inpainter for one in tries]
    for other in others:
        if other not in used:
            return [replace(last.plan, inpainter=other)]
    if not last.plan.inpainter.canvas.seeded:
        return []
    highest = max(one.plan.fill.seed for one in tries)
    return [_reseeded(last.plan, highest + SEEDS - last.plan.fill.seed)]


def ranked(tries: Sequence[Try]) -> list[Try]:
    """The best first."""
    return [tries[i] for i in verify.rank([one.checks for one in tries])]


def best(tries: Sequence[Try]) -> Try:
    return ranked(tries)[0]


def _reseeded(plan: Plan, by: int) -> Plan:
    return replace(plan, fill=replace(plan.fill, seed=plan.fill.seed + by))
