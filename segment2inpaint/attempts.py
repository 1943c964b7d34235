"""The attempts at one object: the candidates, and what is tried after a failure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from segment2inpaint.protocols import Inpainter
from segment2inpaint.types import Alpha, Candidate, Check, Fill, Image, Refine, Request, Verdict
from segment2inpaint.verify import checks as verification

# The distance between the seeds of two attempts. It is odd and large: the windows of one attempt
# use the next even offsets, and the exemplar fill takes its second structure at an odd seed.
SEED_STEP = 1001


@dataclass(frozen=True, eq=False)
class AttemptSpec:
    """The settings of one attempt."""

    refine: Refine
    fill: Fill
    inpainter: Inpainter


@dataclass(frozen=True, eq=False)
class Attempt:
    """A finished attempt: ``image`` (H, W, 3) uint8 RGB, ``alpha`` (H, W) float32, its checks."""

    spec: AttemptSpec
    image: Image
    alpha: Alpha
    settings: Mapping[str, Any]
    checks: tuple[Check, ...]

    @property
    def verdict(self) -> Verdict | None:
        """Return the verdict of the checks, None if nothing was verified."""
        return verification.verdict(self.checks) if self.checks else None

    @property
    def candidate(self) -> Candidate:
        return Candidate(self.image, self.alpha, self.checks, self.verdict, self.settings)

    def to_dict(self, number: int, kept: bool) -> dict[str, Any]:
        """Return a JSON summary; candidates that were painted together share a ``number``."""
        settings = {key: self.settings[key] for key in ("inpainter", "dilate", "shadow", "seed")}
        scores = {check.name: round(check.score, 3) for check in self.checks}
        verdict = {"scores": scores, "verdict": self.verdict, "kept": kept}
        return {"attempt": number, **settings, **verdict}


def initial_attempts(
    request: Request, inpainter: Inpainter, others: Sequence[Inpainter]
) -> list[AttemptSpec]:
    """Return one attempt for each candidate of the request.

    Candidates differ in their seed, or in their inpainter if ``inpainter`` ignores seeds; then
    there may be fewer of them than the request asks for.
    """
    spec = AttemptSpec(request.refine, request.fill, inpainter)
    count = max(1, request.fill.candidates)
    if inpainter.input_spec.uses_seed:
        return [_with_seed(spec, number * SEED_STEP) for number in range(count)]
    return [replace(spec, inpainter=choice) for choice in (inpainter, *others)][:count]


def next_attempts(
    attempts: Sequence[Attempt], latest: Sequence[Attempt], others: Sequence[Inpainter]
) -> list[AttemptSpec]:
    """Return the attempts that follow ``attempts``, of which ``latest`` were the last round.

    The list is empty if an attempt has not failed or if nothing else can help. Otherwise all of
    the latest attempts are repeated with the mask that the checks of the best one suggest, or
    the best one is repeated with another inpainter, or with another seed.
    """
    if best_attempt(attempts).verdict != "failed" or attempts[0].spec.fill.picture:
        return []
    last = best_attempt(latest)
    refine = verification.suggest_refine(last.checks, last.spec.refine, last.settings["dilate"])
    if refine != last.spec.refine:
        return [replace(attempt.spec, refine=refine) for attempt in latest]
    used = [attempt.spec.inpainter for attempt in attempts]
    for other in others:
        if other not in used:
            return [replace(last.spec, inpainter=other)]
    if not last.spec.inpainter.input_spec.uses_seed:
        return []
    highest = max(attempt.spec.fill.seed for attempt in attempts)
    return [_with_seed(last.spec, highest + SEED_STEP - last.spec.fill.seed)]


def rank_attempts(attempts: Sequence[Attempt]) -> list[Attempt]:
    """Return the attempts, the best first."""
    return [attempts[i] for i in verification.rank([attempt.checks for attempt in attempts])]


def best_attempt(attempts: Sequence[Attempt]) -> Attempt:
    """Return the best attempt by its checks."""
    return rank_attempts(attempts)[0]


def _with_seed(spec: AttemptSpec, offset: int) -> AttemptSpec:
    return replace(spec, fill=replace(spec.fill, seed=spec.fill.seed + offset))
