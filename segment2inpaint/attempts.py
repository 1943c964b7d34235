"""The attempts at one object: the candidates, and what is tried after a failure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from segment2inpaint.judgement import Check, Judgement
from segment2inpaint.protocols import Inpainter
from segment2inpaint.types import Alpha, Fill, Image, Length, Refine, Request
from segment2inpaint.verify import acceptance

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

    @cached_property
    def judgement(self) -> Judgement | None:
        """Return the judgement of the checks, None if nothing was verified."""
        return acceptance.judge(self.checks)

    @property
    def has_failed(self) -> bool:
        return self.judgement is not None and self.judgement.verdict == "failed"

    def to_dict(self, number: int, kept: bool) -> dict[str, Any]:
        """Return a JSON summary; candidates that were painted together share a ``number``."""
        settings = {key: self.settings[key] for key in ("inpainter", "dilate", "shadow", "seed")}
        scores = {check.name: round(check.score, 3) for check in self.checks}
        said = {"scores": scores, "verdict": self.judgement.verdict if self.judgement else None}
        return {"attempt": number, **settings, **said, "kept": kept}


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
    if not best_attempt(attempts).has_failed or attempts[0].spec.fill.picture:
        return []
    last = best_attempt(latest)
    refine = _suggest_refine(last)
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


def _suggest_refine(attempt: Attempt) -> Refine:
    """Return mask options that may mend the failed checks; those of the attempt if none do.

    A leftover doubles the dilation if that is automatic. A remaining shadow is removed with the
    object unless the options forbid it.
    """
    refine = attempt.spec.refine
    failed = {check.name for check in attempt.checks if check.failed}
    if "leftover" in failed and refine.dilate.unit == "auto":
        refine = replace(refine, dilate=Length(round(2 * attempt.settings["dilate"], 1), "px"))
    if "shadow" in failed and refine.shadow is None:
        refine = replace(refine, shadow=True)
    return refine


def rank_attempts(attempts: Sequence[Attempt]) -> list[Attempt]:
    """Return the attempts, the best first."""
    return [attempts[i] for i in acceptance.rank([attempt.checks for attempt in attempts])]


def best_attempt(attempts: Sequence[Attempt]) -> Attempt:
    """Return the best attempt by its checks."""
    return rank_attempts(attempts)[0]


def _with_seed(spec: AttemptSpec, offset: int) -> AttemptSpec:
    return replace(spec, fill=replace(spec.fill, seed=spec.fill.seed + offset))
