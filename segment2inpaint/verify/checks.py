"""Checks of a result, the verdict that follows, and the mask options to try next.

Each check weighs the numbers of a measurement by a logistic regression, fitted on scenes with
known truth so that 7 % of the sound results reach a score of 0.5. About 1 % reach the threshold
from which the check has failed. ``benchmarks/verify.py`` fits the weights and the thresholds and
reports how good they are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import exp, log, sqrt

import cv2
import numpy as np

from segment2inpaint.effects.shadow import AUTOMATIC_CERTAINTY, Shadow, find_shadow
from segment2inpaint.masks import deepest_point
from segment2inpaint.networks import click
from segment2inpaint.networks.click import ObjectPrompt
from segment2inpaint.networks.letterbox import outside_mask, sigmoid
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
    bounding_box,
)
from segment2inpaint.verify import measures
from segment2inpaint.verify.hole_view import HoleView, hole_view
from segment2inpaint.verify.measures import Measurement

# Intersection over union from which a detector's second mask is the old object.
SAME_OBJECT_IOU = 0.8
# Share of a detector's second mask inside the hole from which it is a new object.
NEW_OBJECT_SHARE = 0.99
MAX_REDETECT_SIDE = 256  # px, long side of the crop for a second detection
MAX_CHECKED_HOLES = 8  # the largest holes, to bound the time
# The window in which the click network is asked what belongs to the object.
LOOK_SIDE = 512  # px, long side of its frame
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
SHADOW_SENTENCES = (
    "no shadow is left behind", "a shadow may be left behind", "its shadow is left behind",
)  # fmt: skip
ABSENT_SENTENCES = (
    "something stands there now", "hardly anything new stands there", "nothing stands there",
)  # fmt: skip
ABSENT_THRESHOLD = 0.95

# The checks that a second detection can settle, with clicks and with boxes as prompts. In a box a
# detector finds something in any case.
SETTLED_BY_CLICKS, SETTLED_BY_BOXES = ("ghost", "stranger"), ("ghost",)

# How much the logit of a check's score, and the log distance from the candidates' mean, lower a
# candidate's rank. Fitted by least squares on the ranks of four fills of each tuning scene, none
# below 0.
RANK_WEIGHTS = {"stranger": 1.0, "absent": 1.0, "smear": 0.15, "seam": 0.1}
DISTANCE_RANK_WEIGHT = 5.0


# --- the checks ---------------------------------------------------------------------------------


def check_removal(
    before: Image,
    after: Image,
    alpha: Alpha,
    object_mask: BinaryMask,
    windows: Sequence[Box],
    known_shadow: Shadow | None = None,
    prompts: Sequence[Prompt] = (),
) -> tuple[Check, ...]:
    """Return the checks of a removal, those of ``CHECK_SPECS`` in order and ``shadow``.

    The object at ``object_mask`` (H, W) was removed by repainting ``alpha`` > 0. ``windows`` are
    boxes around the holes; the worst hole counts. ``known_shadow`` is the object's shadow, if it
    is known already. The click network predicts what else belongs to the object, unless the
    ``prompts`` ask for a part of an object or for a given mask or colour.
    """
    make_view = view_with_rest if _ask_for_whole_object(prompts) else hole_view
    views = [make_view(before, after, alpha, object_mask, box) for box in largest_windows(windows)]
    checks = [_run_check(name, views) for name in CHECK_SPECS]
    shadow = known_shadow or find_shadow(before, object_mask)
    return (*checks, _check_shadow(shadow, alpha, views[0]))


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
        sentence=_choose_sentence(ABSENT_SENTENCES, score, ABSENT_THRESHOLD),
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


def view_with_rest(
    before: Image, after: Image, alpha: Alpha, object_mask: BinaryMask, window: Box
) -> HoleView:
    """Return the ``hole_view`` with the click network's probability of the whole object.

    The network is asked at the deepest point of the mask, in a window of its own.
    """
    view = hole_view(before, after, alpha, object_mask, window)
    mask_in_window = object_mask[window.slices]
    if not mask_in_window.any():
        return view
    x, y = deepest_point(mask_in_window)
    box = bounding_box(mask_in_window)
    margin = MIN_LOOK_MARGIN + round(LOOK_MARGIN * max(box.width, box.height))
    moved = Box(box.x0 + window.x0, box.y0 + window.y0, box.x1 + window.x0, box.y1 + window.y0)
    look = moved.expand(margin, (before.shape[0], before.shape[1]))
    network = click.shipped_click_network()
    embedding = network.embed(before, look, LOOK_SIDE)
    answer = network.answer(embedding, ObjectPrompt(((window.x0 + x, window.y0 + y),)))
    logits = answer.logits[click.SINGLE]
    seen = click.resample_logits(embedding.letterbox, logits, view.box, view.hole.shape)
    probability = sigmoid(seen)
    probability[outside_mask(look, view.box, view.hole.shape)] = 0
    return replace(view, object_probability=probability)


def _run_check(name: str, views: Sequence[HoleView]) -> Check:
    """Return the named check of the view in which its score is worst."""
    spec = CHECK_SPECS[name]
    measurements = [spec.measure(view) for view in views]
    scores = [_score(spec, measurement.numbers) for measurement in measurements]
    worst = int(np.argmax(scores))
    sentence = _choose_sentence(spec.sentences, scores[worst], spec.threshold)
    crop, heatmap = views[worst].crop, measurements[worst].heatmap
    return Check(name, scores[worst], spec.threshold, sentence, crop, heatmap)


def _score(spec: _CheckSpec, numbers: Sequence[float]) -> float:
    total = spec.bias + sum(w * n for w, n in zip(spec.weights, numbers, strict=True))
    return 1 / (1 + exp(-float(np.clip(total, -50, 50))))


def _choose_sentence(sentences: tuple[str, str, str], score: float, threshold: float) -> str:
    sound, doubtful, failed = sentences
    return failed if score >= threshold else doubtful if score >= DOUBTFUL_SCORE else sound


def _check_shadow(shadow: Shadow, alpha: Alpha, view: HoleView) -> Check:
    """Return the check for a shadow of the object outside the hole."""
    size = view.crop.shape[1::-1]
    score, place = shadow.remaining_certainty(alpha), view.box.slices
    remaining_crop = (shadow.mask[place] & (alpha[place] == 0)).astype(np.float32)
    heatmap = cv2.resize(remaining_crop, size, interpolation=cv2.INTER_AREA)
    sentence = _choose_sentence(SHADOW_SENTENCES, score, AUTOMATIC_CERTAINTY)
    return Check("shadow", score, AUTOMATIC_CERTAINTY, sentence, view.crop, heatmap)


# --- a second detection -------------------------------------------------------------------------


def redetect(
    checks: Sequence[Check],
    detector: Detector,
    after: Image,
    prompts: Sequence[Prompt],
    alpha: Alpha,
    object_mask: BinaryMask,
    box: Box,
) -> tuple[Check, ...]:
    """Return the checks after a second detection in ``box`` with the same clicks and boxes.

    The detector runs only if it can settle a doubtful check, because it can take as long as the
    first time. A check fails if the detector finds the old object, or, at a click, something that
    lies in the hole.
    """
    by_clicks = all(isinstance(p, Points) for p in prompts)
    names = SETTLED_BY_CLICKS if by_clicks else SETTLED_BY_BOXES
    doubtful = [c for c in checks if c.name in names and c.doubtful and not c.failed]
    if not doubtful or not all(isinstance(p, Points | Box) for p in prompts):
        return tuple(checks)
    scale = min(1.0, MAX_REDETECT_SIDE / max(box.width, box.height))
    size = max(1, round(box.width * scale)), max(1, round(box.height * scale))
    local_prompts = [moved for p in prompts if (moved := _to_crop(p, box, size)) is not None]
    if not local_prompts:
        return tuple(checks)
    detections = detector.detect(_resize(after[box.slices], size), local_prompts)
    old_mask, hole = (
        _resize(mask[box.slices].astype(np.uint8), size) > 0 for mask in (object_mask, alpha > 0)
    )
    sentences = _redetected_sentences(detections, old_mask, hole, by_clicks)
    return tuple(
        replace(check, score=check.threshold, sentence=sentences[check.name])
        if check in doubtful and check.name in sentences
        else check
        for check in checks
    )


def _resize(image: Image, size: tuple[int, int]) -> Image:
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA))


def _redetected_sentences(
    detections: Sequence[Detection], old_mask: BinaryMask, hole: BinaryMask, by_clicks: bool
) -> dict[str, str]:
    """Return the sentence of each check that fails by the second detection."""
    iou = max((_mask_iou(detection.mask, old_mask) for detection in detections), default=0.0)
    if iou >= SAME_OBJECT_IOU:
        sentence = f"the detector finds the object again (overlap {iou:.2f})"
        return dict.fromkeys(SETTLED_BY_CLICKS, sentence)
    if by_clicks and any(_is_new(detection.mask, hole) for detection in detections):
        return {"stranger": "the detector finds something new at the click"}
    return {}


def _is_new(mask: BinaryMask, hole: BinaryMask) -> bool:
    return bool(mask.any() and hole[mask].mean() >= NEW_OBJECT_SHARE)


def _mask_iou(first: BinaryMask, second: BinaryMask) -> float:
    return float((first & second).sum() / max(1, (first | second).sum()))


def _to_crop(prompt: Prompt, box: Box, size: tuple[int, int]) -> Prompt | None:
    """Return a prompt for the crop ``box`` resized to ``size`` (w, h).

    None for prompts that are no clicks or boxes, or lie outside the crop.
    """

    def scale(x: int, y: int) -> tuple[int, int]:
        return (x - box.x0) * size[0] // box.width, (y - box.y0) * size[1] // box.height

    if isinstance(prompt, Points):
        include, exclude = (
            tuple(scale(x, y) for x, y in points if box.contains((x, y)))
            for points in (prompt.include, prompt.exclude)
        )
        return Points(include, exclude, prompt.granularity) if include else None
    if isinstance(prompt, Box) and prompt.overlaps(box):
        x0, y0 = scale(max(prompt.x0, box.x0), max(prompt.y0, box.y0))
        x1, y1 = scale(min(prompt.x1, box.x1) - 1, min(prompt.y1, box.y1) - 1)
        return Box(x0, y0, x1 + 1, y1 + 1)
    return None


# --- conclusions --------------------------------------------------------------------------------


def verdict(checks: Sequence[Check]) -> Verdict:
    """Return ``failed`` if a check has failed, ``doubtful`` if one is doubtful, else ``clean``."""
    if any(check.failed for check in checks):
        return "failed"
    return "doubtful" if any(check.doubtful for check in checks) else "clean"


def rank(candidates: Sequence[Sequence[Check]]) -> list[int]:
    """Return the indices of the candidates by their checks, best first.

    Fewer failed checks come first, then lower scores weighted by ``RANK_WEIGHTS``, together with
    the distance of the result from the candidates' mean.
    """
    distances = _distances_from_mean(candidates)

    def sort_key(index: int) -> tuple[int, float]:
        checks = candidates[index]
        scores = sum(RANK_WEIGHTS.get(c.name, 0.0) * _logit(c.score) for c in checks)
        failures = sum(check.failed for check in checks)
        return failures, scores + DISTANCE_RANK_WEIGHT * distances[index]

    return sorted(range(len(candidates)), key=sort_key)


def _logit(score: float) -> float:
    return log(max(score, 1e-12) / max(1 - score, 1e-12))


def _distances_from_mean(candidates: Sequence[Sequence[Check]]) -> Sequence[float]:
    """Return the log RMS distance of each removal from the candidates' mean, by RGB levels.

    What few candidates show is seldom right. All distances are 0 for candidates that cannot be
    compared: those of different masks, and replacements, which may differ.
    """
    crops = [checks[0].crop for checks in candidates if checks and checks[0].name in CHECK_SPECS]
    if len(crops) < len(candidates) or len({crop.shape for crop in crops}) > 1:
        return [0.0] * len(candidates)
    deviation = np.array(crops, np.float32)
    deviation -= deviation.mean(0)
    differs = np.abs(deviation).sum((0, 3)) > 0
    squares = (deviation[:, differs] ** 2).sum(2)
    return [log(sqrt(float(row.mean())) + 1) if row.size else 0.0 for row in squares]


def suggest_refine(checks: Sequence[Check], refine: Refine, dilate: float) -> Refine:
    """Return mask options that may mend the failed checks; ``refine`` itself if none do.

    A leftover doubles the dilation, in px, if that is automatic. A remaining shadow is removed
    with the object unless the options forbid it.
    """
    failed = {check.name for check in checks if check.failed}
    if "leftover" in failed and refine.dilate.unit == "auto":
        refine = replace(refine, dilate=Length(round(2 * dilate, 1), "px"))
    if "shadow" in failed and refine.shadow is None:
        refine = replace(refine, shadow=True)
    return refine
