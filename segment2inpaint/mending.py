"""What may mend a result, by the reason of its judgement, and how a request does it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np

from segment2inpaint.attempts import SEED_STEP, Attempt
from segment2inpaint.judgement import Action, Check
from segment2inpaint.protocols import Inpainter
from segment2inpaint.types import Box, Length, Point, Points, Prompt, Request

GROWTH = 2.0  # the dilation of a mask that is to grow, over the one used
MIN_DILATE = 2.0  # px, that counts as used
REST_LEVEL = 0.5  # of the heatmap, from which a pixel is a part of the object
# View px from a rest's outside, at its deepest point. The heatmap of what looks like the object at
# the hole's edge is narrower.
MIN_REST_DEPTH = 4.0


def action_for(
    request: Request, attempts: Sequence[Attempt], kept: Attempt, others: Sequence[Inpainter] = ()
) -> Action | None:
    """Return what may mend the attempt that was ``kept``; None if it is clean or nothing can.

    ``attempts`` are all attempts, ``others`` the inpainters that may be tried.
    """
    reason = kept.judgement.reason if kept.judgement else None
    if reason is None or request.fill.picture:
        return None
    if reason.name == "shadow":
        return None if kept.spec.refine.shadow else Action("take-shadow")
    if reason.name == "leftover" and _allow_clicks(request.prompts):
        rest = rest_of_object(reason)
        if rest:
            return Action("click-rest", point=rest)
    if reason.name in ("leftover", "ghost"):
        used = float(kept.settings["dilate"])
        return Action("grow-mask", dilate=round(GROWTH * max(MIN_DILATE, used), 1))
    return _other_fill(attempts, kept, others)


def _allow_clicks(prompts: Sequence[Prompt]) -> bool:
    """Return whether a further click makes sense beside the prompts."""
    return all(isinstance(p, Points | Box) for p in prompts)


def rest_of_object(leftover: Check) -> Point | None:
    """Return the photo pixel (x, y) deepest in what is left of the object, None for a mere rim."""
    left = (leftover.heatmap >= REST_LEVEL).astype(np.uint8)
    depth = cv2.distanceTransform(left, cv2.DIST_L2, 5)
    if depth.max(initial=0) < MIN_REST_DEPTH:
        return None
    y, x = np.unravel_index(int(depth.argmax()), depth.shape)
    (height, width), box = depth.shape, leftover.box
    return (
        box.x0 + int((x + 0.5) * box.width / width),
        box.y0 + int((y + 0.5) * box.height / height),
    )


def _other_fill(
    attempts: Sequence[Attempt], kept: Attempt, others: Sequence[Inpainter]
) -> Action | None:
    """Return another inpainter that was not used yet, or else another seed, if there is any."""
    used = {attempt.spec.inpainter.name for attempt in attempts}
    for other in others:
        if other.name not in used:
            return Action("other-fill", inpainter=other.name)
    if not kept.spec.inpainter.input_spec.uses_seed:
        return None
    return Action("other-seed", seed=SEED_STEP + max(a.spec.fill.seed for a in attempts))


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
