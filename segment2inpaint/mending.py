"""Actions that may mend a result, as a further attempt or as a changed request."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import cv2
import numpy as np

from segment2inpaint.attempts import (
    SEED_STEP,
    Attempt,
    AttemptSpec,
    best_attempt,
    with_seed,
)
from segment2inpaint.judgement import Action, Check
from segment2inpaint.protocols import Inpainter
from segment2inpaint.types import Box, Length, Point, Points, Prompt, Request

GROWTH = 2.0  # the dilation of a mask that is to grow, over the one used
BETTER_INPAINTER = {"telea": "guided", "ns": "guided", "migan": "guided"}  # for what they smear
LAST_SEED = 4 * SEED_STEP  # that is proposed: what four seeds do not mend, a fifth does not
MIN_DILATE = 2.0  # px, that counts as used
REST_LEVEL = 0.5  # of the heatmap, from which a pixel is a part of the object
# View px from a rest's outside, at its deepest point. The heatmap of what looks like the object at
# the hole's edge is narrower.
MIN_REST_DEPTH = 4.0
# A click on the rest may add this many times the rest's area to the mask: on thin objects it can
# select what lies behind them. Of 15 clicks on training photos that add more, 11 make it worse.
MAX_REST_GROWTH = 3.0

CountSelected = Callable[[Sequence[Prompt]], int]
"""Returns the number of pixels that prompts select and that were not selected before."""


class Rest(NamedTuple):
    """A part of an object left in a result: its deepest pixel (x, y), its area in photo pixels."""

    point: Point
    area: float


def action_for(
    request: Request,
    attempts: Sequence[Attempt],
    kept: Attempt,
    others: Sequence[Inpainter] = (),
    count_selected: CountSelected | None = None,
) -> Action | None:
    """Return what may mend the attempt that was ``kept``; None if it is clean or nothing can.

    ``attempts`` are all attempts, ``others`` the inpainters that may be tried. With
    ``count_selected`` a click is proposed only if it selects little more than the rest.
    """
    reason = kept.judgement.reason if kept.judgement else None
    if reason is None or reason.name == "coverage" or request.fill.picture:
        return None
    if reason.name == "shadow":
        return None if kept.spec.refine.shadow else Action("take-shadow")
    if reason.name == "leftover" and _allow_clicks(request.prompts):
        rest = rest_of_object(reason)
        if rest and (count_selected is None or _is_selected(rest, request, count_selected)):
            return Action("click-rest", point=rest.point)
    if reason.name in ("leftover", "ghost"):
        return _growth(kept)
    return _other_fill(attempts, kept, others)


def _growth(attempt: Attempt) -> Action:
    used = float(attempt.settings["dilate"])
    return Action("grow-mask", dilate=round(GROWTH * max(MIN_DILATE, used), 1))


def _allow_clicks(prompts: Sequence[Prompt]) -> bool:
    """Return whether a further click makes sense beside the prompts."""
    return all(isinstance(p, Points | Box) for p in prompts)


def _is_selected(rest: Rest, request: Request, count_selected: CountSelected) -> bool:
    """Return whether a click on the rest selects little more than the rest."""
    prompts = _with_click(request.prompts, rest.point)
    return count_selected(prompts) <= MAX_REST_GROWTH * rest.area


def rest_of_object(leftover: Check) -> Rest | None:
    """Return what is left of the object outside the hole, None for a mere rim."""
    left = (leftover.heatmap >= REST_LEVEL).astype(np.uint8)
    depth = cv2.distanceTransform(left, cv2.DIST_L2, 5)
    if depth.max(initial=0) < MIN_REST_DEPTH:
        return None
    y, x = np.unravel_index(int(depth.argmax()), depth.shape)
    (height, width), box = depth.shape, leftover.box
    scale_x, scale_y = box.width / width, box.height / height
    point = box.x0 + int((x + 0.5) * scale_x), box.y0 + int((y + 0.5) * scale_y)
    return Rest(point, float(left.sum()) * scale_x * scale_y)


def _other_fill(
    attempts: Sequence[Attempt], kept: Attempt, others: Sequence[Inpainter]
) -> Action | None:
    """Return another inpainter that was not used yet, or else another seed, if there is any."""
    used = {attempt.spec.inpainter.name for attempt in attempts}
    for other in others:
        if other.name not in used:
            return Action("other-fill", inpainter=other.name)
    if not kept.spec.inpainter.input_spec.uses_seed:
        better = BETTER_INPAINTER.get(kept.spec.inpainter.name)
        return Action("other-fill", inpainter=better) if better else None
    seed = SEED_STEP + max(a.spec.fill.seed for a in attempts)
    return Action("other-seed", seed=seed) if seed <= LAST_SEED else None


def next_attempts(
    request: Request,
    attempts: Sequence[Attempt],
    latest: Sequence[Attempt],
    others: Sequence[Inpainter],
) -> list[AttemptSpec]:
    """Return the attempts that follow ``attempts``, of which ``latest`` were the last round.

    The list is empty if an attempt has not failed or if nothing else can help. Otherwise all of
    the latest attempts are repeated with another mask, or the best of them with another fill.
    """
    if not best_attempt(attempts).has_failed:
        return []
    last = best_attempt(latest)
    action = action_for(request, attempts, last, others)
    if action and action.name not in ("other-fill", "other-seed"):
        action = _safe_change(action, last) or _other_fill(attempts, last, others)
    return _specs(action, last, latest, others) if action else []


def _safe_change(action: Action, attempt: Attempt) -> Action | None:
    """Return a change of the mask that needs no consent, None if there is none.

    A shadow that is only possible stays, and so does the user's own dilation. A click is theirs.
    """
    if action.name == "take-shadow":
        assert attempt.judgement
        assert attempt.judgement.reason
        return action if attempt.judgement.reason.failed else None
    return _growth(attempt) if attempt.spec.refine.dilate.unit == "auto" else None


def _specs(
    action: Action, last: Attempt, latest: Sequence[Attempt], others: Sequence[Inpainter]
) -> list[AttemptSpec]:
    """Return the settings of the latest attempts, of which ``last`` is the best, changed."""
    if action.name == "other-fill":
        return [
            replace(last.spec, inpainter=other)
            for other in others
            if other.name == action.inpainter
        ]
    if action.seed is not None:
        return [with_seed(last.spec, action.seed - last.spec.fill.seed)]
    refine = apply(action, Request((), last.spec.refine)).refine
    return [replace(attempt.spec, refine=refine) for attempt in latest]


def apply(action: Action, request: Request) -> Request:
    """Return the request with the change that an action is."""
    refine, fill = request.refine, request.fill
    if action.name == "take-shadow":
        return replace(request, refine=replace(refine, shadow=True))
    if action.dilate is not None:
        return replace(request, refine=replace(refine, dilate=Length(action.dilate, "px")))
    if action.point is not None:
        return replace(request, prompts=_with_click(request.prompts, action.point))
    if action.inpainter is not None:
        return replace(request, inpainter=action.inpainter)
    assert action.seed is not None
    return replace(request, fill=replace(fill, seed=action.seed))


def _with_click(prompts: Sequence[Prompt], point: Point) -> tuple[Prompt, ...]:
    """Return the prompts with a further click, on the object of the last clicks, if any."""
    for number in reversed(range(len(prompts))):
        prompt = prompts[number]
        if isinstance(prompt, Points):
            more = replace(prompt, include=(*prompt.include, point))
            return (*prompts[:number], more, *prompts[number + 1 :])
    return (*prompts, Points((point,)))
