"""The flow: detect, refine, plan windows, inpaint, stitch, verify. Read this page first."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter
from typing import Any

import numpy as np

from segment2inpaint import masks, window
from segment2inpaint.attempts import (
    Attempt,
    AttemptSpec,
    initial_attempts,
    rank_attempts,
)
from segment2inpaint.batching import (
    EditRun,
    InpaintCall,
    InpaintedCrops,
    run_batched,
    single_outcome,
)
from segment2inpaint.compositing.backdrop import change_background
from segment2inpaint.edge_refine import REMAINING_UNCERTAINTY, refine_edge
from segment2inpaint.errors import NothingFound, Segment2InpaintError
from segment2inpaint.images import Photo
from segment2inpaint.judgement import Check
from segment2inpaint.mending import CountSelected, action_for, next_attempts
from segment2inpaint.protocols import (
    CompilesKernels,
    Detector,
    Inpainter,
    ProgressCallback,
    ResolvesDefaults,
    no_progress,
)
from segment2inpaint.regions import EditJob, RepaintRegion, inpaint_call, plan_regions, stitch_crops
from segment2inpaint.result import Candidate, Result
from segment2inpaint.types import (
    Alpha,
    Box,
    Detection,
    Fill,
    Image,
    Prompt,
    Refine,
    Request,
    changed_pixels,
)
from segment2inpaint.verify import checks as verification
from segment2inpaint.verify.redetection import redetect


@dataclass(frozen=True)
class Pipeline:
    """A detector and an inpainter, ready for any number of photos.

    ``other_inpainters`` are used for an attempt after a failed one, and for the candidates of an
    inpainter that ignores seeds. ``verify`` and ``attempts`` apply to ``__call__``; a ``Request``
    has its own.
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
        """Find the objects at ``prompts`` and paint over them.

        Raises ``NothingFound`` if there is no object, ``BadPrompt`` for a prompt that is wrong for
        this photo or detector.
        """
        request = Request(tuple(prompts), refine, fill, verify=self.verify, attempts=self.attempts)
        return single_outcome(self.many([(photo, request)]))

    def many(
        self, jobs: Iterable[tuple[Photo, Request]]
    ) -> Iterator[Result | Segment2InpaintError]:
        """Yield the result of each job, in order; for a failed job, yield its error.

        Windows of equal size share a call of the inpainter, up to ``input_spec.batch_size`` of
        them, and at most that many photos are read ahead. A result does not depend on the other
        jobs.
        """
        return run_batched((self.edit_run(*job) for job in jobs), self.progress)

    def edit_run(self, photo: Photo, request: Request) -> EditRun[Result]:
        """Run one job as a generator that stops wherever crops are to be painted.

        ``batching`` describes the protocol. With ``request.verify`` the result is verified, and a
        failed one is followed by another attempt, up to ``request.attempts`` in all.
        """
        timer = _StageTimer(self.progress)
        if isinstance(self.inpainter, CompilesKernels):
            self.inpainter.start_compiling()
        with timer("detect"):
            edges = request.refine.edge_refine
            detections = find_objects(
                self.detector, photo.image, request.prompts, edge_refine=edges
            )
        if request.keeps_object:
            return self._change_background(photo, detections, request, timer)
        job = EditJob(photo.image, detections, request)
        specs = initial_attempts(request, self.inpainter, self.other_inpainters)
        rounds: list[list[Attempt]] = []
        limit = request.attempts if request.verify else 1
        while specs and len(rounds) < max(1, limit):
            rounds.append((yield from self._run_attempts(job, specs, timer)))
            finished = [attempt for attempts in rounds for attempt in attempts]
            specs = next_attempts(request, finished, rounds[-1], self.other_inpainters)
        count_selected = partial(_count_selected, self.detector, job)
        return _result(job, photo, rounds, self.other_inpainters, timer, count_selected)

    def _change_background(
        self, photo: Photo, detections: list[Detection], request: Request, timer: _StageTimer
    ) -> Result:
        """Return the result of laying another background behind the objects; nothing is painted."""
        with timer("matting"):
            changed = change_background(photo.image, detections, request)
        settings = {
            "detector": self.detector.name, "inpainter": "background", "dilate": 0.0,
            "feather": 0.0, "shadow": False, "seed": request.fill.seed, "fill": {}, "windows": [],
        }  # fmt: skip
        image, alpha = changed.image, changed.alpha
        return Result(
            image, alpha, tuple(detections), changed_outside(photo.image, image, alpha),
            timer.seconds, settings, photo=photo, opacity=changed.opacity,
            candidates=(Candidate(image, alpha, (), None, settings),),
        )  # fmt: skip

    def _run_attempts(
        self, job: EditJob, specs: Sequence[AttemptSpec], timer: _StageTimer
    ) -> Generator[list[InpaintCall], list[InpaintedCrops], list[Attempt]]:
        """Run attempts together: refine, plan windows, inpaint, stitch, verify."""
        with timer("refine"):
            regions = plan_regions(job, specs)
        self.progress("inpaint", 0.0)
        pairs = list(zip(specs, regions, strict=True))
        painted = yield [inpaint_call(job, spec, region) for spec, region in pairs]
        timer.add("inpaint", sum(answer.seconds for answer in painted))
        return [
            self._evaluate(job, spec, region, answer.images, timer)
            for (spec, region), answer in zip(pairs, painted, strict=True)
        ]

    def _evaluate(
        self,
        job: EditJob,
        spec: AttemptSpec,
        region: RepaintRegion,
        crops: Sequence[Image],
        timer: _StageTimer,
    ) -> Attempt:
        """Stitch the painted crops of one attempt and verify the result."""
        image, alpha = stitch_crops(job, spec, region, crops)
        checks: tuple[Check, ...] = ()
        unchecked = spec.inpainter.input_spec.obscures or spec.fill.picture_placement.is_moved
        if job.request.verify and not spec.refine.invert and not unchecked:
            with timer("verify"):
                boxes = [w.box for w in region.windows]
                checks = self._checks(job, image, alpha, spec.fill, boxes)
        settings = {"detector": self.detector.name, **_settings(spec, region)}
        return Attempt(spec, image, alpha, settings, checks)

    def _checks(
        self, job: EditJob, image: Image, alpha: Alpha, fill: Fill, boxes: Sequence[Box]
    ) -> tuple[Check, ...]:
        """Return the checks of a result; ``boxes`` are those of its windows."""
        mask = masks.union(job.detections) & ~job.protected
        if fill.prompt or fill.picture:
            return verification.check_replacement(job.photo, image, alpha, mask, boxes)
        prompts = job.request.prompts
        seen_in = [d.seen_in for d in job.detections if d.seen_in]
        checks = verification.check_removal(
            job.photo, image, alpha, mask, boxes, job.cast_shadow, prompts, seen_in
        )
        return redetect(checks, self.detector, image, prompts, alpha, mask, boxes[0])


# --- the state of a job -----------------------------------------------------------------------


@dataclass
class _StageTimer:
    """Wall seconds by stage; reports each stage as it begins."""

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


def _result(
    job: EditJob,
    photo: Photo,
    rounds: Sequence[Sequence[Attempt]],
    others: Sequence[Inpainter],
    timer: _StageTimer,
    count_selected: CountSelected,
) -> Result:
    """Return the result of the best attempt."""
    finished = [attempt for attempts in rounds for attempt in attempts]
    ranked = rank_attempts(finished)
    best = ranked[0]
    with timer("check"):
        changed = changed_outside(job.photo, best.image, best.alpha)
        action = action_for(job.request, finished, best, others, count_selected)
    history = (
        attempt.to_dict(number, kept=attempt is best)
        for number, attempts in enumerate(rounds, 1)
        for attempt in attempts
    )
    candidates = (
        Candidate(a.image, a.alpha, a.checks, a.judgement, a.settings)
        for a in ranked[: len(rounds[0])]
    )
    return Result(
        best.image, best.alpha, tuple(job.detections), changed, timer.seconds, best.settings,
        best.checks, best.judgement, action, tuple(history), tuple(candidates), photo,
    )  # fmt: skip


def _count_selected(detector: Detector, job: EditJob, prompts: Sequence[Prompt]) -> int:
    """Return how many pixels a detector selects at prompts that are not in the job's objects."""
    try:
        found = detector.detect(job.photo, prompts)
    except Segment2InpaintError:  # then the click would fail too; the result is there already
        return int(masks.union(job.detections).size)
    return int((masks.union(found) & ~masks.union(job.detections)).sum()) if found else 0


def _settings(spec: AttemptSpec, region: RepaintRegion) -> dict[str, Any]:
    """Return the values that ``auto`` was resolved to."""
    inpainter = spec.inpainter
    fill: Mapping[str, Any] = {}
    if isinstance(inpainter, ResolvesDefaults):
        fill = inpainter.resolve_fill(spec.fill)
    return {
        "inpainter": inpainter.name,
        "dilate": region.dilate,
        "feather": region.feather,
        "shadow": region.has_shadow,
        "seed": spec.fill.seed,
        "fill": dict(fill),
        "windows": [{"box": list(w.box), "size": list(w.size)} for w in region.windows],
    }


# --- detect -----------------------------------------------------------------------------------


def find_objects(
    detector: Detector, image: Image, prompts: Sequence[Prompt], *, edge_refine: bool = True
) -> list[Detection]:
    """Return the objects at the prompts; each mask has the photo's size and at least one pixel.

    ``edge_refine`` moves the edges of coarse masks to the edges in the photo. Raises
    ``NothingFound``, and ``BadPrompt`` for a prompt that is wrong for this photo or detector.
    """
    detections = [d for d in detector.detect(image, prompts) if d.mask.any()]
    if not detections:
        raise NothingFound(f"nothing found at the prompt by {detector.name}")
    return [_refine_edges(image, d) for d in detections] if edge_refine else detections


def _refine_edges(image: Image, detection: Detection) -> Detection:
    uncertainty = detection.edge_uncertainty
    if uncertainty <= 0:
        return detection
    mask = refine_edge(image, detection.mask, uncertainty)
    return Detection(mask, detection.score, REMAINING_UNCERTAINTY * uncertainty)


# --- measures and previews --------------------------------------------------------------------


def changed_outside(before: Image, after: Image, alpha: Alpha) -> int:
    """Return the number of pixels that differ where alpha is 0."""
    return int(np.count_nonzero(changed_pixels(before, after) & (alpha == 0)))


def preview(before: Image, result: Result, max_side: int = 1024) -> Image:
    """Return before | mask | after side by side, each at most ``max_side`` px long.

    The mask is shown in red over the photo.
    """
    scale = min(1.0, max_side / max(before.shape[:2]))
    size = max(1, round(before.shape[0] * scale)), max(1, round(before.shape[1] * scale))
    alpha = np.rint(153 * result.alpha).astype(np.uint8)[..., None].repeat(3, axis=2)
    old, weight, new = (window.resample(image, size) for image in (before, alpha, result.image))
    red = np.array([255, 0, 64], np.float32)
    marked = np.rint(old + np.float32(1 / 255) * weight * (red - old)).astype(np.uint8)
    gap = np.full((size[0], 8, 3), 255, np.uint8)
    return np.hstack([old, gap, marked, gap, new])
