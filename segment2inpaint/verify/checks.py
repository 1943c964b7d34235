"""Checks of a result: is the object gone, is anything wrong with the fill, did a shadow stay.

Each check weighs the numbers of a measurement by a logistic regression, fitted on scenes with
known truth so that 7 % of the sound results reach a score of 0.5. About 1 % reach the threshold
from which the check has failed, which ``background`` and ``detail`` cannot.
``benchmarks/verify.py`` fits the weights and the thresholds and reports how good they are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import exp

import cv2
import numpy as np

from segment2inpaint.effects.shadow import Shadow, find_shadow
from segment2inpaint.judgement import DOUBTFUL_SCORE, Check
from segment2inpaint.masks import deepest_point
from segment2inpaint.networks import click
from segment2inpaint.networks.click import Embedding, ObjectPrompt
from segment2inpaint.networks.letterbox import outside_mask, sigmoid
from segment2inpaint.types import (
    Alpha,
    BinaryMask,
    Box,
    CleanPlate,
    Color,
    Image,
    Points,
    Prompt,
    UserMask,
)
from segment2inpaint.verify import measures
from segment2inpaint.verify.hole_view import HoleView, box_in_photo, hole_view
from segment2inpaint.verify.measures import Measurement

# The largest holes are checked, and the largest of them encoded, to bound the time.
MAX_CHECKED_HOLES, MAX_ENCODED_HOLES = 8, 2
ENCODING_CHECKS = "coherence", "background"
# The window in which the click network is asked what belongs to the object, if it saw none yet.
LOOK_MARGIN = 1.0  # of the object's long side, on each side
MIN_LOOK_MARGIN = 8  # px, added to it


@dataclass(frozen=True)
class _CheckSpec:
    """The conversion of a measurement's numbers to a score and a sentence.

    The score is the sigmoid of the weighted numbers plus ``bias``. ``sentences`` are for a sound,
    a doubtful and a failed result.
    """

    measure: Callable[[HoleView], Measurement]
    weights: tuple[float, ...]
    bias: float
    threshold: float
    sentences: tuple[str, str, str]


CHECK_SPECS = {
    "leftover": _CheckSpec(
        # The fitted threshold is 0.78. It is higher because in cluttered scenes too many whole
        # objects would be reported as incomplete.
        measures.leftover, (4.96, 1.25, 1.18), -5.03, 0.85,
        ("no sign of the object at the edge",
         "something like the object may be left at the edge",
         "part of the object seems to be left at the edge"),
    ),
    "ghost": _CheckSpec(
        measures.ghost, (5.59, 6.33), -1.37, 0.97,
        ("no sign of the object in the fill",
         "the object may shine through",
         "the object seems to shine through"),
    ),
    "stranger": _CheckSpec(
        measures.unexplained_object, (4.17, 1.52), 0.05, 0.79,
        ("no sign of anything new",
         "something may stand there that its surroundings do not explain",
         "something new seems to stand there"),
    ),
    "seam": _CheckSpec(
        measures.seam, (2.17, 1.29, 2.68), -7.28, 0.84,
        ("no sign of a seam", "a seam may show", "a seam seems to show"),
    ),
    "smear": _CheckSpec(
        measures.smear, (2.05, 6.66), -0.96, 0.83,
        ("as grained as its surroundings", "it may be smeared", "it seems smeared"),
    ),
    "repeats": _CheckSpec(
        measures.repeats, (4.0, 1.31), -3.87, 0.76,
        ("no sign of a repeated pattern", "a pattern may repeat", "a pattern seems to repeat"),
    ),
    "coherence": _CheckSpec(
        measures.unfamiliar_fill, (1.09, 2.71), 2.0, 0.77,
        ("like its surroundings",
         "it may not fit its surroundings",
         "it seems not to fit its surroundings"),
    ),
    "background": _CheckSpec(
        # What the network paints is one guess of many: it never fails a result.
        measures.unexpected_fill, (1.0,), 0.61, 1.0,
        ("about what is to be expected there",
         "one would expect something else there",
         "one would expect something else there"),
    ),
    "detail": _CheckSpec(
        # It is no fault itself, but makes one likely: it never fails.
        measures.detail, (1.0,), -0.79, 1.0,
        ("its surroundings are plain",
         "its surroundings are so detailed that the fill may show",
         "its surroundings are so detailed that the fill may show"),
    ),
}  # fmt: skip
SHADOW_SENTENCES = (
    "no sign of a shadow left behind", "a shadow may be left behind",
    "its shadow seems to be left behind",
)  # fmt: skip
ABSENT_SENTENCES = (
    "something new seems to stand there", "hardly anything new may stand there",
    "nothing new seems to stand there",
)  # fmt: skip
ABSENT_THRESHOLD = 0.95
COVERAGE_THRESHOLD = 1.0  # nothing is left to fill the hole from
SHADOW_THRESHOLD = 0.7  # of certainty; one that is just more likely than not is in doubt
_SENTENCES = {
    **{name: spec.sentences for name, spec in CHECK_SPECS.items()},
    "shadow": SHADOW_SENTENCES,
    "absent": ABSENT_SENTENCES,
}

# --- the checks ---------------------------------------------------------------------------------


def check_removal(
    before: Image,
    after: Image,
    alpha: Alpha,
    object_mask: BinaryMask,
    windows: Sequence[Box],
    known_shadow: Shadow | None = None,
    prompts: Sequence[Prompt] = (),
    seen_in: Sequence[Box] = (),
) -> tuple[Check, ...]:
    """Return the checks of a removal: those of ``CHECK_SPECS``, ``shadow`` and ``coverage``.

    The object at ``object_mask`` (H, W) was removed by repainting ``alpha`` > 0. ``windows`` are
    boxes around the holes; the worst hole counts. ``known_shadow`` is the object's shadow, if it
    is known already. The click network predicts what else belongs to the object, unless the
    ``prompts`` ask for a part of an object or for a given mask or colour. It looks where it saw the
    object before, if one of ``seen_in`` (see ``Detection``) holds the object.
    """
    views = [hole_view(before, after, alpha, object_mask, box) for box in largest_windows(windows)]
    if _ask_for_whole_object(prompts):
        views = [with_rest(view, before, object_mask, seen_in) for view in views]
    checks = [
        _run_check(name, views[:MAX_ENCODED_HOLES] if name in ENCODING_CHECKS else views)
        for name in CHECK_SPECS
    ]
    shadow = known_shadow or find_shadow(before, object_mask)
    return *checks, _check_shadow(shadow, alpha, views[0]), _check_coverage(alpha, views[0])


def check_replacement(
    before: Image, after: Image, alpha: Alpha, object_mask: BinaryMask, windows: Sequence[Box]
) -> tuple[Check, ...]:
    """Return the checks of a replacement: ``absent``, is nothing new there, and ``seam``.

    The arguments are those of ``check_removal``.
    """
    views = [hole_view(before, after, alpha, object_mask, box) for box in largest_windows(windows)]
    unexplained = _run_check("stranger", views)
    score = 1 - unexplained.score
    absent = replace(
        unexplained,
        name="absent",
        score=score,
        threshold=ABSENT_THRESHOLD,
        sentence=_choose_sentence("absent", score, ABSENT_THRESHOLD),
    )
    return absent, _run_check("seam", views)


def largest_windows(windows: Sequence[Box]) -> list[Box]:
    """Return at most ``MAX_CHECKED_HOLES`` windows, largest first."""
    return sorted(windows, key=lambda box: -box.width * box.height)[:MAX_CHECKED_HOLES]


def _ask_for_whole_object(prompts: Sequence[Prompt]) -> bool:
    """Return whether no prompt asks for a part, or for a given mask or colour."""
    return not any(
        isinstance(p, UserMask | Color | CleanPlate)
        or (isinstance(p, Points) and p.granularity == "part")
        for p in prompts
    )


def with_rest(
    view: HoleView, before: Image, object_mask: BinaryMask, seen_in: Sequence[Box] = ()
) -> HoleView:
    """Return a view with the click network's probability of the whole object.

    The network is asked at the deepest point of the mask. It looks at the smallest of ``seen_in``
    that holds the object, whose embedding it may have already, or else at a window of its own.
    """
    mask_in_window = object_mask[view.window.slices]
    if not mask_in_window.any():
        return view
    x, y = deepest_point(mask_in_window)
    place = view.window.x0 + x, view.window.y0 + y
    embedding = _look(before, box_in_photo(object_mask, view.window), seen_in)
    answer = click.shipped_click_network().answer(embedding, ObjectPrompt((place,)))
    letterbox, size = embedding.letterbox, view.hole.shape
    logits = click.resample_logits(letterbox, answer.logits[click.SINGLE], view.box, size)
    probability = sigmoid(logits)
    probability[outside_mask(letterbox.window, view.box, size)] = 0
    return replace(view, object_probability=probability)


def _look(photo: Image, object_box: Box, seen_in: Sequence[Box]) -> Embedding:
    """Return the embedding of the window in which the click network is asked about an object."""
    network = click.shipped_click_network()
    known = [box for box in seen_in if box.union(object_box) == box]
    if known:
        return network.look(photo, min(known, key=lambda look: look.width * look.height))
    margin = MIN_LOOK_MARGIN + round(LOOK_MARGIN * max(object_box.width, object_box.height))
    return network.embed(photo, object_box.expand(margin, photo.shape[:2]), click.WINDOW_SIDE)


def _run_check(name: str, views: Sequence[HoleView]) -> Check:
    """Return the named check of the view in which its score is worst."""
    spec = CHECK_SPECS[name]
    measurements = [spec.measure(view) for view in views]
    scores = [_score(spec, measurement.numbers) for measurement in measurements]
    worst = int(np.argmax(scores))
    sentence = _choose_sentence(name, scores[worst], spec.threshold)
    view, heatmap = views[worst], measurements[worst].heatmap
    return Check(name, scores[worst], spec.threshold, sentence, view.box, view.crop, heatmap)


def _score(spec: _CheckSpec, numbers: Sequence[float]) -> float:
    total = spec.bias + sum(w * n for w, n in zip(spec.weights, numbers, strict=True))
    return 1 / (1 + exp(-float(np.clip(total, -50, 50))))


def _choose_sentence(name: str, score: float, threshold: float) -> str:
    sound, doubtful, failed = _SENTENCES[name]
    return failed if score >= threshold else doubtful if score >= DOUBTFUL_SCORE else sound


def fault(check: Check) -> str:
    """Return what a check suspects, in words: also of a check that alone would not be in doubt."""
    return check.sentence if check.doubtful else _SENTENCES[check.name][1]


def _check_shadow(shadow: Shadow, alpha: Alpha, view: HoleView) -> Check:
    """Return the check for a shadow of the object outside the hole."""
    size = view.crop.shape[1::-1]
    score, place = shadow.remaining_certainty(alpha), view.box.slices
    remaining_crop = (shadow.mask[place] & (alpha[place] == 0)).astype(np.float32)
    heatmap = cv2.resize(remaining_crop, size, interpolation=cv2.INTER_AREA)
    sentence = _choose_sentence("shadow", score, SHADOW_THRESHOLD)
    return Check("shadow", score, SHADOW_THRESHOLD, sentence, view.box, view.crop, heatmap)


def _check_coverage(alpha: Alpha, view: HoleView) -> Check:
    """Return the check for a hole that leaves too little of the photo to fill it from.

    Its score is the share of the photo that the hole covers.
    """
    share = float((alpha > 0).mean())
    sentence = f"the mask covers {100 * share:.0f} % of the photo"
    heatmap = view.hole.astype(np.float32)
    return Check("coverage", share, COVERAGE_THRESHOLD, sentence, view.box, view.crop, heatmap)
