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
SEED_STEP = 1001


@dataclass(frozen=True, eq=False)
class AttemptSpec:
    """What one attempt does."""

    refine: Refine
    fill: Fill
    inpainter: Inpainter


@dataclass(frozen=True, eq=False)
class Attempt:
    """What one attempt came to."""

    spec: AttemptSpec
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

    def to_dict(self, attempt: int, kept: bool) -> dict[str, Any]:
        """What is told of it, as JSON data; candidates are tries of one attempt."""
        told = {key: self.settings[key] for key in ("inpainter", "dilate", "shadow", "seed")}
        scores = {check.name: round(check.score, 3) for check in self.checks}
        return {"attempt": attempt, **told, "scores": scores, "verdict": self.verdict, "kept": kept}


def initial_attempts(
    request: Request, inpainter: Inpainter, others: Sequence[Inpainter]
) -> list[AttemptSpec]:
    """The plans of the candidates: a seed each, or an inpainter each where seeds are idle."""
    plan = AttemptSpec(request.refine, request.fill, inpainter)
    count = max(1, request.fill.candidates)
    if inpainter.input_spec.uses_seed:
        return [_with_seed(plan, number * SEED_STEP) for number in range(count)]
    return [replace(plan, inpainter=one) for one in (inpainter, *others)][:count]


def next_attempts(
    tries: Sequence[Attempt], latest: Sequence[Attempt], others: Sequence[Inpainter]
) -> list[AttemptSpec]:
    """What to try after these: nothing if one has not failed, or if nothing else may help.

    What the checks of the best of the ``latest`` suggest for the mask, with all of them; else
    another inpainter, else another seed.
    """
    if best(tries).verdict != "failed" or tries[0].spec.fill.picture:
        return []
    last = best(latest)
    refine = verify.suggest_refine(last.checks, last.spec.refine, last.settings["dilate"])
    if refine != last.spec.refine:
        return [replace(one.spec, refine=refine) for one in latest]
    used = [one.spec.inpainter for one in tries]
    for other in others:
        if other not in used:
            return [replace(last.spec, inpainter=other)]
    if not last.spec.inpainter.input_spec.uses_seed:
        return []
    highest = max(one.spec.fill.seed for one in tries)
    return [_with_seed(last.spec, highest + SEED_STEP - last.spec.fill.seed)]


def ranked(tries: Sequence[Attempt]) -> list[Attempt]:
    """The best first."""
    return [tries[i] for i in verify.rank([one.checks for one in tries])]


def best(tries: Sequence[Attempt]) -> Attempt:
    return ranked(tries)[0]


def _with_seed(plan: AttemptSpec, by: int) -> AttemptSpec:
    return replace(plan, fill=replace(plan.fill, seed=plan.fill.seed + by))
