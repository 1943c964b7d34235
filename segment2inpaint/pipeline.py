"""The flow: detect, refine, plan windows, inpaint, stitch, verify. Read this page first."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from time import perf_counter
from typing import Any

import numpy as np

from segment2inpaint import attempts, masks, window
from segment2inpaint import edge_refine as edges
from segment2inpaint.attempts import Attempt, AttemptSpec
from segment2inpaint.batching import (
    EditRun,
    InpaintCall,
    InpaintedCrops,
    run_batched,
    single_outcome,
)
from segment2inpaint.effects import edit_difference, shadow
from segment2inpaint.errors import NothingFound, Segment2InpaintError
from segment2inpaint.images import Photo
from segment2inpaint.protocols import (
    Detector,
    Inpainter,
    InputSpec,
    ProgressCallback,
    ResolvesDefaults,
    no_progress,
)
from segment2inpaint.types import (
    Alpha,
    BinaryMask,
    Box,
    Check,
    Detection,
    Fill,
    Image,
    Point,
    Points,
    Prompt,
    Refine,
    ReplacementImage,
    Request,
    Result,
    bounding_box,
    changed_pixels,
)
from segment2inpaint.verify import checks as verify

WINDOW_SEED_STEP = 2  # from one window's seed to the next's, see attempts.SEEDS


@dataclass(frozen=True)
class Pipeline:
    """A detector and an inpainter, ready for any number of photos.

    ``others`` are further inpainters, for an attempt after a failed one and for candidates of
    an inpainter that has but one. ``verify`` and ``attempts`` are those of a call; a
    ``Request`` says for itself.
    """

    detector: Detector
    inpainter: Inpainter
    progress: ProgressCallback = no_progress
    verify: bool = True
    attempts: int = 2
    other_inpainters: tuple[Inpainter, ...] = ()

    def __call__(
        self,
        photo: Photo,
        prompts: Sequence[Prompt],
        refine: Refine = Refine(),
        fill: Fill = Fill(),
    ) -> Result:
        """Find what ``prompts`` point at and paint it over.

        Raises ``NothingFound`` if there is nothing, ``BadPrompt`` for a prompt that makes no
        sense for this photo or detector.
        """
        request = Request(tuple(prompts), refine, fill, verify=self.verify, attempts=self.attempts)
        return single_outcome(self.many([(photo, request)]))

    def many(
        self, jobs: Iterable[tuple[Photo, Request]]
    ) -> Iterator[Result | Segment2InpaintError]:
        """The results of many photos, in order; for a job that failed, its error.

        Windows of one size share a call of the inpainter, up to its ``input_spec.batch``, and so
        many photos at most are read ahead. A result does not depend on its neighbours.
        """
        return run_batched((self.steps(*job) for job in jobs), self.progress)

    def steps(self, photo: Photo, request: Request) -> EditRun[Result]:
        """One job, stopping where something is to be painted; see ``together``.

        With ``request.verify`` each result is looked at again, and one that failed is tried
        again in another way, ``request.attempts`` times in all.
        """
        clock = _StageTimer(self.progress)
        with clock("detect"):
            found = find(
                self.detector, photo.image, request.prompts, edge_refine=request.refine.edge_refine
            )
        job = _EditJob(photo.image, found, request)
        plans = attempts.initial_attempts(request, self.inpainter, self.other_inpainters)
        rounds: list[list[Attempt]] = []
        limit = request.attempts if request.verify else 1
        while plans and len(rounds) < max(1, limit):
            rounds.append((yield from self._run_attempts(job, plans, clock)))
            tries = [one for latest in rounds for one in latest]
            plans = attempts.next_attempts(tries, rounds[-1], self.other_inpainters)
        ranked = attempts.ranked(tries)
        best = ranked[0]
        with clock("check"):
            changed = changed_outside(photo.image, best.image, best.alpha)
        return Result(
            best.image, best.alpha, tuple(found), changed, clock.seconds, best.settings,
            best.checks, best.verdict,
            tuple(o.to_dict(n, o is best) for n, latest in enumerate(rounds, 1) for o in latest),
            tuple(one.candidate for one in ranked[: len(rounds[0])]),
        )  # fmt: skip

    def _run_attempts(
        self, job: _EditJob, plans: Sequence[AttemptSpec], clock: _StageTimer
    ) -> Generator[list[InpaintCall], list[InpaintedCrops], list[Attempt]]:
        """Attempts, painted together: refine, plan windows, inpaint, stitch, verify."""
        with clock("refine"):
            made: dict[
                Any, _RepaintRegion
            ] = {}  # candidates that differ in their seed share theirs
            for plan in plans:
                key = plan.refine, plan.inpainter.input_spec
                made[key] = made.get(key) or _repaint_region(job, plan)
            holes = [made[plan.refine, plan.inpainter.input_spec] for plan in plans]
        self.progress("inpaint", 0.0)
        painted = yield [
            _inpaint_call(job, plan, hole) for plan, hole in zip(plans, holes, strict=True)
        ]
        clock.add("inpaint", sum(one.seconds for one in painted))
        return [
            self._evaluate(job, plan, hole, one.images, clock)
            for plan, hole, one in zip(plans, holes, painted, strict=True)
        ]

    def _evaluate(
        self,
        job: _EditJob,
        plan: AttemptSpec,
        hole: _RepaintRegion,
        crops: Sequence[Image],
        clock: _StageTimer,
    ) -> Attempt:
        """One attempt's painted crops, stitched and verified."""
        image, alpha = _stitch(job, plan, hole, crops)
        checks: tuple[Check, ...] = ()
        if job.request.verify and not plan.refine.invert:
            with clock("verify"):
                boxes = [w.box for w in hole.windows]
                checks = self._checks(job, image, alpha, plan.fill, boxes)
        settings = {"detector": self.detector.name, **_settings(plan, hole)}
        return Attempt(plan, image, alpha, settings, checks)

    def _checks(
        self, job: _EditJob, image: Image, alpha: Alpha, fill: Fill, boxes: Sequence[Box]
    ) -> tuple[Check, ...]:
        bits = masks.union(job.detections)
        if fill.prompt or fill.picture:
            return verify.check_replacement(job.photo, image, alpha, bits, boxes)
        prompts = job.request.prompts
        checks = verify.check_removal(job.photo, image, alpha, bits, boxes, job.shadow, prompts)
        return verify.redetect(checks, self.detector, image, prompts, alpha, bits, boxes[0])


@dataclass(frozen=True, eq=False)
class _EditJob:
    """What all attempts share."""

    photo: Image
    detections: Sequence[Detection]
    request: Request

    @cached_property
    def shadow(self) -> shadow.Shadow:
        """The shadow of all that was found."""
        return shadow.find_shadow(self.photo, masks.union(self.detections))


@dataclass(frozen=True, eq=False)
class _RepaintRegion:
    """What an attempt repaints; ``dilate`` and ``feather`` are what ``auto`` came to."""

    alpha: Alpha
    dilate: float
    feather: float
    windows: Sequence[window.Window]


def _repaint_region(job: _EditJob, plan: AttemptSpec) -> _RepaintRegion:
    """The alpha and the windows of an attempt."""
    refine, fill, input_spec = plan.refine, plan.fill, plan.inpainter.input_spec
    factor = 2.0 if fill.prompt else 1.0
    alpha, dilate, feather = refined_alpha(
        job.detections, job.request.prompts, refine, input_spec, fill, factor
    )
    if refine.shadow and not refine.invert:
        alpha = _add_shadows(job, alpha, dilate + feather)
    return _RepaintRegion(alpha, dilate, feather, _windows(alpha > 0, input_spec, fill))


def _inpaint_call(job: _EditJob, plan: AttemptSpec, hole: _RepaintRegion) -> InpaintCall:
    """The crops of an attempt, a seed each."""
    input_spec, seed = plan.inpainter.input_spec, plan.fill.seed
    crops = [
        window.crop_window(job.photo, hole.alpha, w, input_spec, seed + WINDOW_SEED_STEP * i)
        for i, w in enumerate(hole.windows)
    ]
    if _repaints_whole_crop(plan):
        crops = [replace(crop, mask=np.ones_like(crop.mask)) for crop in crops]
    return InpaintCall(plan.inpainter, plan.fill, crops)


def _repaints_whole_crop(plan: AttemptSpec) -> bool:
    """Whether whole crops are repainted, to see what goes with the object."""
    refine = plan.refine
    return bool(
        plan.inpainter.input_spec.edits_by_instruction and refine.shadow and not refine.invert
    )


def _stitch(
    job: _EditJob, plan: AttemptSpec, hole: _RepaintRegion, crops: Sequence[Image]
) -> tuple[Image, Alpha]:
    """A copy of the photo with every window in it, and the alpha with that of a picture."""
    image, alpha = job.photo.copy(), hole.alpha
    for place, crop in zip(hole.windows, crops, strict=True):
        if _repaints_whole_crop(plan):
            alpha = _add_edit_difference(job, plan, hole, place, crop, alpha)
        window.stitch(image, alpha, place, crop)
    if plan.fill.picture:
        alpha = _place_picture(
            image, alpha, plan.fill.picture, bounding_box(masks.union(job.detections))
        )
    return image, alpha


def _add_edit_difference(
    job: _EditJob,
    plan: AttemptSpec,
    hole: _RepaintRegion,
    place: window.Window,
    crop: Image,
    alpha: Alpha,
) -> Alpha:
    """The alpha with what an editor changed besides the hole of a window."""
    given = window.crop_window(job.photo, hole.alpha, place, plan.inpainter.input_spec)
    bits = window.paste_mask(edit_difference.object_effect(given.image, crop, given.mask), place)
    soft = shadow.shadow_alpha(shadow.Shadow(bits, 1.0), max(hole.dilate + hole.feather, 1.0))
    both = alpha.copy()
    np.maximum(both[place.box.slices], soft, out=both[place.box.slices])
    return both


def _settings(plan: AttemptSpec, hole: _RepaintRegion) -> dict[str, Any]:
    """What ``auto`` resolved to."""
    return {
        "inpainter": plan.inpainter.name,
        "dilate": hole.dilate,
        "feather": hole.feather,
        "shadow": bool(plan.refine.shadow),
        "seed": plan.fill.seed,
        "fill": dict(plan.inpainter.resolve_fill(plan.fill))
        if isinstance(plan.inpainter, ResolvesDefaults)
        else {},
        "windows": [{"box": list(w.box), "size": list(w.size)} for w in hole.windows],
    }


def find(
    detector: Detector, image: Image, prompts: Sequence[Prompt], *, edge_refine: bool = True
) -> list[Detection]:
    """The objects at the prompts, each a mask of the photo's size with at least one pixel.

    With ``edge_refine``, masks with slack are brought to the edges in the photo.
    Raises ``NothingFound``, or ``BadPrompt`` for a mask or plate of another size than the photo.
    """
    found = [m for m in detector.detect(image, prompts) if m.mask.any()]
    if not found:
        raise NothingFound(f"nothing found at the prompt by {detector.name}")
    return [_refine_edges(image, mask) for mask in found] if edge_refine else found


def _refine_edges(image: Image, mask: Detection) -> Detection:
    if mask.edge_uncertainty <= 0:
        return mask
    return Detection(
        edges.refine_edge(image, mask.mask, mask.edge_uncertainty),
        mask.score,
        edges.REMAINING_UNCERTAINTY * mask.edge_uncertainty,
    )


def refined_alpha(
    found: Sequence[Detection],
    prompts: Sequence[Prompt],
    refine: Refine,
    input_spec: InputSpec = InputSpec(),
    fill: Fill = Fill(),
    factor: float = 1.0,
) -> tuple[Alpha, float, float]:
    """The alpha of the objects found, with the dilate and feather that ``auto`` came to.

    Raises ``NothingFound`` if an inverted mask leaves nothing.
    """
    least = 0.0
    if input_spec.mask_cell > 1:
        windows = _windows(masks.union(found), input_spec, fill)
        least = input_spec.mask_cell / min(w.scale for w in windows)
    done = masks.refine(found, refine, keep=_excluded_points(prompts), least=least, factor=factor)
    if not done[0].any():
        raise NothingFound("the object fills the photo: inverted, nothing is left to repaint")
    return done


def _add_shadows(job: _EditJob, alpha: Alpha, softness: float) -> Alpha:
    """The alpha with that of the objects' shadows, where they are likely enough."""
    for mask in job.detections:
        cast = job.shadow if len(job.detections) == 1 else shadow.find_shadow(job.photo, mask.mask)
        if cast.certainty >= shadow.ASKED:
            alpha = np.maximum(alpha, shadow.shadow_alpha(cast, max(softness, 1.0)))
    return alpha


def _excluded_points(prompts: Sequence[Prompt]) -> list[Point]:
    return [point for p in prompts if isinstance(p, Points) for point in p.exclude]


def _windows(painted: BinaryMask, input_spec: InputSpec, fill: Fill) -> list[window.Window]:
    boxes = [box for box, _ in masks.connected_components(painted)]
    height, width = painted.shape
    return window.plan(boxes, (height, width), input_spec, fill.padding_mask_crop)


def _place_picture(image: Image, alpha: Alpha, picture: ReplacementImage, box: Box) -> Alpha:
    """Lay a picture over the old object's box, in place; the alpha of both changes."""
    where, new, share = window.place_picture(picture, box)
    window.blend(image[where.slices], new, share)
    both = alpha.copy()
    np.maximum(both[where.slices], share, out=both[where.slices])
    return both


def changed_outside(before: Image, after: Image, alpha: Alpha) -> int:
    """How many pixels differ where alpha is 0."""
    return int(np.count_nonzero(changed_pixels(before, after) & (alpha == 0)))


def preview(before: Image, result: Result, side: int = 1024) -> Image:
    """before | mask | after, each at most ``side`` px long, the mask in red over the photo."""
    scale = min(1.0, side / max(before.shape[:2]))
    size = max(1, round(before.shape[0] * scale)), max(1, round(before.shape[1] * scale))
    share = np.rint(153 * result.alpha).astype(np.uint8)[..., None].repeat(3, axis=2)
    old, weight, new = (window.resample(image, size) for image in (before, share, result.image))
    tint = np.array([255, 0, 64], np.float32)
    marked = np.rint(old + np.float32(1 / 255) * weight * (tint - old)).astype(np.uint8)
    gap = np.full((size[0], 8, 3), 255, np.uint8)
    return np.hstack([old, gap, marked, gap, new])


@dataclass
class _StageTimer:
    """Wall seconds by stage, each stage told as it begins."""

    progress: ProgressCallback
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        self.progress(stage, 0.0)
        start = perf_counter()
        yield
        self.add(stage, perf_counter() - start)

    def add(self, stage: str, seconds: float) -> None:
        self.seconds[stage] = round(self.seconds.get(stage, 0.0) + seconds, 3)
