"""The attempts at one object: its candidates, and which of them is the best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from segment2inpaint.judgement import Check, Judgement
from segment2inpaint.protocols import Inpainter
from segment2inpaint.types import Alpha, Fill, Image, Refine, Request
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
        return [with_seed(spec, number * SEED_STEP) for number in range(count)]
    return [replace(spec, inpainter=choice) for choice in (inpainter, *others)][:count]


def rank_attempts(attempts: Sequence[Attempt]) -> list[Attempt]:
    """Return the attempts, the best first."""
    return [attempts[i] for i in acceptance.rank([attempt.checks for attempt in attempts])]


def best_attempt(attempts: Sequence[Attempt]) -> Attempt:
    """Return the best attempt by its checks."""
    return rank_attempts(attempts)[0]


def with_seed(spec: AttemptSpec, offset: int) -> AttemptSpec:
    """Return the settings with a seed that is larger by ``offset``."""
    return replace(spec, fill=replace(spec.fill, seed=spec.fill.seed + offset))
