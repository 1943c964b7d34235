"""The flow: detect, refine, plan windows, inpaint, stitch, verify. Read this page first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import Any

import numpy as np

from . import edges, masks, shadow, verify, window
from .images import Photo
from .types import (
    Alpha,
    BadPrompt,
    Bits,
    Box,
    Canvas,
    Check,
    Crop,
    Detector,
    Fill,
    Image,
    Inpainter,
    Mask,
    NothingFound,
    OwnMask,
    Picture,
    Plate,
    Point,
    Points,
    Progress,
    Prompt,
    Refine,
    Result,
    Verdict,
    box_of,
    quiet,
)

SEEDS = 1000  # from one attempt's seed to the next's: windows take the seeds between


@dataclass(frozen=True)
class Pipeline:
    """A detector and an inpainter, ready for any number of photos.

    With ``verify``, each result is looked at again, and one that failed is tried again in
    another way, ``attempts`` times in all; ``others`` are further inpainters for that.
    """

    detector: Detector
    inpainter: Inpainter
    progress: Progress = quiet
    verify: bool = True
    attempts: int = 2
    others: tuple[Inpainter, ...] = ()

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
        clock = _Clock(self.progress)
        with clock("detect"):
            found = find(self.detector, photo.image, prompts, edge_refine=refine.edge_refine)
        job = _Job(photo.image, found, prompts)
        plan: _Plan | None = _Plan(refine, fill, self.inpainter)
        tries: list[_Try] = []
        while plan:
            tries.append(self._tried(job, plan, clock))
            plan = self._next(tries)
        ranked = verify.rank([one.checks for one in tries])
        best = tries[ranked[0]]
        with clock("check"):
            changed = changed_outside(photo.image, best.image, best.alpha)
        return Result(
            best.image, best.alpha, tuple(found), changed, clock.seconds, best.settings,
            best.checks, best.verdict, tuple(one.story(one is best) for one in tries),
        )  # fmt: skip

    def _tried(self, job: _Job, plan: _Plan, clock: _Clock) -> _Try:
        """One attempt: refine, plan windows, inpaint, stitch, verify."""
        refine, fill, canvas = plan.refine, plan.fill, plan.inpainter.canvas
        with clock("refine"):
            factor = 2.0 if fill.prompt else 1.0
            alpha, dilate, feather = refined(job.found, job.prompts, refine, canvas, fill, factor)
            if refine.shadow and not refine.invert:
                alpha = _shadowed(job, alpha, dilate + feather)
            windows = _windows(alpha > 0, canvas, fill)
        with clock("inpaint"):
            image = self._painted(job.photo, alpha, windows, plan)
        if fill.picture:
            alpha = _placed(image, alpha, fill.picture, box_of(masks.union(job.found)))
        settings = {
            "detector": self.detector.name,
            "inpainter": plan.inpainter.name,
            "dilate": dilate,
            "feather": feather,
            "shadow": bool(refine.shadow),
            "seed": fill.seed,
            "windows": [{"box": list(w.box), "size": list(w.size)} for w in windows],
        }
        checks: tuple[Check, ...] = ()
        if self.verify and not refine.invert:
            with clock("verify"):
                checks = self._checked(job, image, alpha, fill, [w.box for w in windows])
        return _Try(plan, image, alpha, settings, checks)

    def _checked(
        self, job: _Job, image: Image, alpha: Alpha, fill: Fill, boxes: Sequence[Box]
    ) -> tuple[Check, ...]:
        bits = masks.union(job.found)
        if fill.prompt or fill.picture:
            return verify.replacement(job.photo, image, alpha, bits, boxes)
        checks = verify.removal(job.photo, image, alpha, bits, boxes)
        return verify.again(checks, self.detector, image, job.prompts, bits, boxes[0])

    def _next(self, tries: Sequence[_Try]) -> _Plan | None:
        """What to try after these: None if the last has not failed, or nothing else may help.

        What its checks suggest for the mask, else another inpainter, else another seed.
        """
        last = tries[-1]
        if last.verdict != "failed" or len(tries) >= self.attempts or last.plan.fill.picture:
            return None
        refine = verify.mended(last.checks, last.plan.refine, last.settings["dilate"])
        if refine != last.plan.refine:
            return replace(last.plan, refine=refine)
        used = [one.plan.inpainter for one in tries]
        for other in self.others:
            if other not in used:
                return replace(last.plan, inpainter=other)
        return replace(last.plan, fill=replace(last.plan.fill, seed=last.plan.fill.seed + SEEDS))

    def _painted(
        self, photo: Image, alpha: Alpha, windows: Sequence[window.Window], plan: _Plan
    ) -> Image:
        """A copy of the photo with every window inpainted and stitched."""
        image, canvas, fill = photo.copy(), plan.inpainter.canvas, plan.fill
        crops = [window.cut(photo, alpha, w, canvas, fill.seed + i) for i, w in enumerate(windows)]
        for group in _alike(crops):
            filled = plan.inpainter.inpaint([crops[i] for i in group], fill, self.progress)
            for i, new in zip(group, filled, strict=True):
                window.stitch(image, alpha, windows[i], new)
        return image


@dataclass(frozen=True, eq=False)
class _Job:
    """What all attempts share."""

    photo: Image
    found: Sequence[Mask]
    prompts: Sequence[Prompt]


@dataclass(frozen=True, eq=False)
class _Plan:
    """What one attempt does."""

    refine: Refine
    fill: Fill
    inpainter: Inpainter


@dataclass(frozen=True, eq=False)
class _Try:
    """What one attempt came to."""

    plan: _Plan
    image: Image
    alpha: Alpha
    settings: Mapping[str, Any]
    checks: tuple[Check, ...]

    @property
    def verdict(self) -> Verdict | None:
        return verify.verdict(self.checks) if self.checks else None

    def story(self, kept: bool) -> dict[str, Any]:
        told = {key: self.settings[key] for key in ("inpainter", "dilate", "shadow", "seed")}
        scores = {check.name: round(check.score, 3) for check in self.checks}
        return {**told, "scores": scores, "verdict": self.verdict, "kept": kept}


def find(
    detector: Detector, image: Image, prompts: Sequence[Prompt], *, edge_refine: bool = True
) -> list[Mask]:
    """The objects at the prompts, each a mask of the photo's size with at least one pixel.

    With ``edge_refine``, masks with slack are brought to the edges in the photo.
    Raises ``NothingFound``, or ``BadPrompt`` for a mask or plate of another size than the photo.
    """
    height, width = image.shape[:2]
    for prompt in prompts:
        if isinstance(prompt, OwnMask | Plate):
            array = prompt.bits if isinstance(prompt, OwnMask) else prompt.image
            _check_size(type(prompt).__name__, prompt.source, array.shape, (height, width))
    found = [m for m in detector.detect(image, prompts) if m.bits.any()]
    if not found:
        raise NothingFound(f"nothing found at the prompt by {detector.name}")
    return [_sharp(image, mask) for mask in found] if edge_refine else found


def _sharp(image: Image, mask: Mask) -> Mask:
    if mask.slack <= 0:
        return mask
    return Mask(edges.follow(image, mask.bits, mask.slack), mask.score, edges.LEFT * mask.slack)


def _check_size(kind: str, source: str, shape: tuple[int, ...], size: tuple[int, int]) -> None:
    if shape[:2] != size:
        what = {"OwnMask": "mask", "Plate": "plate"}[kind]
        raise BadPrompt(
            f"{what} {source}: expected the photo's size {size[1]}x{size[0]}, "
            f"got {shape[1]}x{shape[0]}"
        )


def refined(
    found: Sequence[Mask],
    prompts: Sequence[Prompt],
    refine: Refine,
    canvas: Canvas = Canvas(),
    fill: Fill = Fill(),
    factor: float = 1.0,
) -> tuple[Alpha, float, float]:
    """The alpha of the objects found, with the dilate and feather that ``auto`` came to.

    Raises ``NothingFound`` if an inverted mask leaves nothing.
    """
    least = 0.0
    if canvas.cell > 1:
        windows = _windows(masks.union(found), canvas, fill)
        least = canvas.cell / min(w.scale for w in windows)
    done = masks.refine(found, refine, keep=_excluded(prompts), least=least, factor=factor)
    if not done[0].any():
        raise NothingFound("the object fills the photo: inverted, nothing is left to repaint")
    return done


def _shadowed(job: _Job, alpha: Alpha, softness: float) -> Alpha:
    """The alpha with that of the objects' shadows, where they are likely enough."""
    for mask in job.found:
        cast = shadow.find(job.photo, mask.bits)
        if cast.certainty >= shadow.ASKED:
            alpha = np.maximum(alpha, shadow.alpha(cast, max(softness, 1.0)))
    return alpha


def _excluded(prompts: Sequence[Prompt]) -> list[Point]:
    return [point for p in prompts if isinstance(p, Points) for point in p.exclude]


def _windows(painted: Bits, canvas: Canvas, fill: Fill) -> list[window.Window]:
    boxes = [box for box, _ in masks.parts(painted)]
    height, width = painted.shape
    return window.plan(boxes, (height, width), canvas, fill.padding_mask_crop)


def _alike(crops: Sequence[Crop]) -> list[list[int]]:
    """The crops' numbers, grouped by size, in the order of each size's first crop."""
    groups: dict[tuple[int, ...], list[int]] = {}
    for i, crop in enumerate(crops):
        groups.setdefault(crop.image.shape, []).append(i)
    return list(groups.values())


def _placed(image: Image, alpha: Alpha, picture: Picture, box: Box) -> Alpha:
    """Lay a picture over the old object's box, in place; the alpha of both changes."""
    where, new, share = window.placed(picture, box)
    window.blend(image[where.slices], new, share)
    both = alpha.copy()
    np.maximum(both[where.slices], share, out=both[where.slices])
    return both


def changed_outside(before: Image, after: Image, alpha: Alpha) -> int:
    """How many pixels differ where alpha is 0."""
    differ = (before != after).any(axis=2)
    return int(np.count_nonzero(differ & (alpha == 0)))


def preview(before: Image, result: Result, side: int = 1024) -> Image:
    """before | mask | after, each at most ``side`` px long, the mask in red over the photo."""
    scale = min(1.0, side / max(before.shape[:2]))
    size = max(1, round(before.shape[0] * scale)), max(1, round(before.shape[1] * scale))
    share = np.rint(153 * result.alpha).astype(np.uint8)[..., None].repeat(3, axis=2)
    old, weight, new = (window.resampled(image, size) for image in (before, share, result.image))
    tint = np.array([255, 0, 64], np.float32)
    marked = np.rint(old + np.float32(1 / 255) * weight * (tint - old)).astype(np.uint8)
    gap = np.full((size[0], 8, 3), 255, np.uint8)
    return np.hstack([old, gap, marked, gap, new])


@dataclass
class _Clock:
    """Wall seconds by stage, each stage told as it begins."""

    progress: Progress
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        self.progress(stage, 0.0)
        start = perf_counter()
        yield
        spent = self.seconds.get(stage, 0.0) + perf_counter() - start
        self.seconds[stage] = round(spent, 3)
