"""The score of a removal by any tool, from the photos before and after it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from segment2inpaint import images, masks, window
from segment2inpaint.detect.clean_plate import CleanPlateDetector
from segment2inpaint.errors import BadImage, NothingFound
from segment2inpaint.images import Photo
from segment2inpaint.judgement import Check, Judgement, Verdict
from segment2inpaint.networks.click import shipped_click_network
from segment2inpaint.protocols import InputSpec
from segment2inpaint.types import (
    Alpha,
    BinaryMask,
    Box,
    CleanPlate,
    Detection,
    Image,
    Refine,
    UserMask,
)
from segment2inpaint.verify import acceptance, checks, coherence, reference

# Two pictures are not of one scene if their mean difference outside the mask is above this.
MAX_OUTSIDE_DIFFERENCE = 32.0  # levels of 255
SCENE_REDUCTION = 8  # of the pictures that are compared for it
CLOSING_SHARE = 0.01  # of the photo's long side, over which changed areas are joined
MIN_PART_SHARE = 0.02  # of the largest changed area; smaller ones are noise


@dataclass(frozen=True)
class Score:
    """The judgement on a removal, and its measures.

    ``judgement`` and ``checks`` are those of a ``Result``. ``area`` counts the pixels of the hole,
    ``changed_outside`` those outside the hole that differ, by at most ``changed_outside_levels``
    levels of 255. ``feature_similarity``, ``window_distance`` and ``novelty`` say how well the
    fill fits its surroundings, see ``verify.coherence``; the worst of several holes counts, and
    they are None if a hole has no surroundings. ``psnr`` in dB, ``ssim`` and ``undone`` compare
    the hole with the clean photo, see ``verify.reference``; they are None without one.
    """

    judgement: Judgement
    checks: tuple[Check, ...]
    area: int
    changed_outside: int
    changed_outside_levels: int
    feature_similarity: float | None
    window_distance: float | None
    novelty: float | None
    psnr: float | None = None
    ssim: float | None = None
    undone: float | None = None

    @property
    def verdict(self) -> Verdict:
        return self.judgement.verdict


def score_removal(
    before: Photo,
    after: Photo,
    mask: BinaryMask | Alpha | None = None,
    clean: Photo | None = None,
) -> Score:
    """Return the score of a removal that turned ``before`` into ``after``.

    ``mask`` (H, W), bool or float32 in [0, 1], is where the tool was to paint: wherever it is
    above 0; the object is above one half. Without it the hole is what changed, grown as
    ``Refine`` does. ``clean`` is the scene without the object; without a mask, what the object
    made of it belongs to the hole that is compared.

    Raises ``BadImage`` for photos that cannot be compared, ``NothingFound`` if the mask is empty
    or, without a mask, nothing changed.
    """
    others = [photo for photo in (after, clean) if photo is not None]
    for photo in others:
        _check_size(before, photo)
    alpha, object_mask = _changed_hole(before, after) if mask is None else _given_hole(mask)
    hole = alpha > 0
    for photo in others:
        _check_scene(before, photo, hole)
    boxes = [box for box, _ in masks.connected_components(hole)]
    planned = window.plan(boxes, before.size, InputSpec())
    windows = checks.largest_windows([w.box for w in planned])
    prompts = [] if mask is None else [UserMask(object_mask)]
    found = checks.check_removal(
        before.image, after.image, alpha, object_mask, windows, prompts=prompts
    )
    judgement = acceptance.judge(found)
    assert judgement
    changed, levels = images.changes_outside(before, after, alpha)
    score = Score(
        judgement, found, int(hole.sum()), changed, levels,
        **_coherence(after.image, hole, windows),
    )  # fmt: skip
    if clean is None:
        return score
    scene = hole if mask is not None else hole | _changed(before, clean)
    pictures = after.image, clean.image
    return replace(
        score,
        psnr=reference.psnr(*pictures, scene),
        ssim=reference.ssim(*pictures, scene),
        undone=reference.undone(before.image, *pictures, scene),
    )


def _coherence(after: Image, hole: BinaryMask, windows: Sequence[Box]) -> dict[str, float | None]:
    """Return the measures of ``coherence``, each of the hole in which it is worst."""
    network = shipped_click_network()
    features = [coherence.hole_features(after, hole, box, network) for box in windows]
    return {
        "feature_similarity": _worst(min, map(coherence.feature_similarity, features)),
        "window_distance": _worst(max, map(coherence.window_distance, features)),
        "novelty": _worst(max, map(coherence.novelty, features)),
    }


def _worst(
    choose: Callable[[Iterable[float]], float], values: Iterable[float | None]
) -> float | None:
    known = [value for value in values if value is not None]
    return choose(known) if known else None


# --- the hole ---------------------------------------------------------------------------------


def _given_hole(mask: BinaryMask | Alpha) -> tuple[Alpha, BinaryMask]:
    """Return the alpha of a given mask, and the object's mask. Raises ``NothingFound``."""
    if not mask.any():
        raise NothingFound("the mask is empty; mark what was to be removed")
    alpha = mask.astype(np.float32)
    return alpha, alpha > 0.5


def _changed_hole(before: Photo, after: Photo) -> tuple[Alpha, BinaryMask]:
    """Return the alpha and the mask of what changed. Raises ``BadImage``, ``NothingFound``."""
    changed = _changed(before, after)
    if not changed.any():
        _check_scene(before, after, changed)
        raise NothingFound(
            f"{after.name}: nothing differs from {before.name} by more than noise; give the mask"
        )
    return masks.refine([Detection(changed)], Refine())[0], changed


def _changed(before: Photo, after: Photo) -> BinaryMask:
    """Return what differs by more than noise, (H, W) bool, without specks and small gaps."""
    found = CleanPlateDetector().detect(before.image, [CleanPlate(after.image)])
    if not found:
        return np.zeros(before.size, np.bool_)
    radius = max(2, round(CLOSING_SHARE * max(before.size)))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1,) * 2)
    closed = cv2.morphologyEx(found[0].mask.astype(np.uint8), cv2.MORPH_CLOSE, disc)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(closed)
    areas = stats[:, cv2.CC_STAT_AREA]
    large = areas >= MIN_PART_SHARE * areas[1:].max()
    large[0] = False
    changed: BinaryMask = large[labels]
    return changed


# --- photos that can be compared --------------------------------------------------------------


def _check_size(before: Photo, other: Photo) -> None:
    """Raise ``BadImage`` unless both have one size."""
    if other.size != before.size:
        (height, width), (own_height, own_width) = before.size, other.size
        raise BadImage(
            f"{other.name}: expected the size of {before.name}, {width}x{height}, "
            f"got {own_width}x{own_height}; scale it to that size"
        )


def _check_scene(before: Photo, other: Photo, hole: BinaryMask) -> None:
    """Raise ``BadImage`` if the photos differ much outside the hole too."""
    size = [max(1, round(n / SCENE_REDUCTION)) for n in hole.shape[::-1]]
    outside, *pictures = (
        cv2.resize(a, size, interpolation=cv2.INTER_AREA).astype(np.float32)
        for a in ((~hole).astype(np.float32), before.image, other.image)
    )
    difference = np.abs(pictures[0] - pictures[1]).mean(2)
    mean = float((difference * outside).sum() / max(1e-6, float(outside.sum())))
    if mean > MAX_OUTSIDE_DIFFERENCE:
        place = " outside the mask" if hole.any() else ""
        raise BadImage(
            f"{other.name}: differs from {before.name} by {mean:.0f} of 255 levels{place}; "
            "expected the same scene, aligned to the pixel"
        )
