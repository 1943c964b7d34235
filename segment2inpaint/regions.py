"""The region that an attempt repaints: its alpha, its windows, their crops, and the stitching."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from segment2inpaint import masks, window
from segment2inpaint.attempts import AttemptSpec
from segment2inpaint.batching import InpaintCall
from segment2inpaint.compositing.insertion import insert_picture
from segment2inpaint.effects import edit_difference, shadow
from segment2inpaint.errors import BadPrompt, NothingFound
from segment2inpaint.protocols import InputSpec
from segment2inpaint.types import (
    Alpha,
    BinaryMask,
    Detection,
    Fill,
    Find,
    Image,
    Point,
    Points,
    Prompt,
    Refine,
    Request,
    bounding_box,
)

WINDOW_SEED_STEP = 2  # between the seeds of two windows; see attempts.SEED_STEP
REPLACE_DILATE_FACTOR = 2.0  # a new object needs room beyond the old one's outline


@dataclass(frozen=True, eq=False)
class EditJob:
    """The state that all attempts at one photo share."""

    photo: Image
    detections: Sequence[Detection]
    request: Request

    @cached_property
    def protected(self) -> BinaryMask:
        """Return the pixels that must not change."""
        return masks.protected_area(self.request.refine, self.photo.shape[:2])

    @property
    def is_flat(self) -> bool:
        """Return whether the objects are text or faces, which cast no shadow of their own."""
        return {type(prompt) for prompt in self.request.prompts} == {Find}

    @cached_property
    def shadows(self) -> Sequence[shadow.Shadow]:
        """Return the possible shadows of the objects, without the parts at negative clicks."""
        found = (self._find_shadow(detection.mask) for detection in self.detections)
        return [cast for cast in found if cast.certainty >= shadow.REQUESTED_CERTAINTY]

    @cached_property
    def cast_shadow(self) -> shadow.Shadow:
        """Return the shadow of all objects together; an empty one if it is to stay.

        Unless the request says so, that of text and faces stays.
        """
        none = shadow.Shadow(np.zeros(self.photo.shape[:2], np.bool_), 0.0)
        wanted = self.request.refine.shadow
        if wanted is False or (self.is_flat and wanted is None):
            return none
        if len(self.detections) == 1:
            return self.shadows[0] if self.shadows else none
        return self._find_shadow(masks.union(self.detections))

    def _find_shadow(self, mask: BinaryMask) -> shadow.Shadow:
        found = shadow.find_shadow(self.photo, mask)
        return found.without(excluded_points(self.request.prompts))

    def shadows_to_remove(
        self, refine: Refine, alpha: Alpha, input_spec: InputSpec = InputSpec()
    ) -> Sequence[shadow.Shadow]:
        """Return the shadows that go with their objects, whose ``alpha`` is given."""
        fill = self.request.fill
        if keeps_shadows(
            refine, is_flat=self.is_flat, obscures=input_spec.obscures,
            replaces=bool(fill.prompt or fill.picture),
        ):  # fmt: skip
            return ()
        return [cast for cast in self.shadows if cast.goes_with_object(refine.shadow, alpha)]


def keeps_shadows(refine: Refine, *, is_flat: bool, obscures: bool, replaces: bool) -> bool:
    """Return whether all shadows stay.

    Unless ``refine`` asks for them, those of text and faces stay (``is_flat``), those of objects
    that the fill ``obscures``, and those of objects that it ``replaces``: what stands there then
    would float.
    """
    unwanted = refine.shadow is None and (is_flat or obscures or replaces)
    return refine.invert or refine.shadow is False or unwanted


@dataclass(frozen=True, eq=False)
class RepaintRegion:
    """The region that an attempt repaints, with the radii used, in photo px.

    ``has_shadow`` says whether it holds the shadow of an object.
    """

    alpha: Alpha
    dilate: float
    feather: float
    windows: Sequence[window.Window]
    has_shadow: bool


# --- refine -----------------------------------------------------------------------------------


def plan_regions(job: EditJob, specs: Sequence[AttemptSpec]) -> list[RepaintRegion]:
    """Return the region of each attempt; candidates that differ only in their seed share one."""
    regions: dict[tuple[Refine, InputSpec], RepaintRegion] = {}
    for spec in specs:
        key = spec.refine, spec.inpainter.input_spec
        regions[key] = regions.get(key) or _repaint_region(job, spec)
    return [regions[spec.refine, spec.inpainter.input_spec] for spec in specs]


def _repaint_region(job: EditJob, spec: AttemptSpec) -> RepaintRegion:
    """Return the alpha and the windows of an attempt."""
    refine, fill, input_spec = spec.refine, spec.fill, spec.inpainter.input_spec
    factor = REPLACE_DILATE_FACTOR if fill.prompt else 1.0
    alpha, dilate, feather = refined_alpha(
        job.detections, job.request.prompts, refine, input_spec, fill, factor
    )
    shadows = job.shadows_to_remove(refine, alpha, input_spec)
    if shadows:
        alpha = shadow.add_shadows(alpha, shadows, dilate + feather)
        alpha = spare_protected(refine, job.detections, alpha)
    windows = _windows(alpha > 0, input_spec, fill)
    if dilate > 0 or not _is_hard(alpha):
        windows = [replace(w, like_diffusers=False) for w in windows]
    return RepaintRegion(alpha, dilate, feather, windows, bool(shadows))


def spare_protected(refine: Refine, detections: Sequence[Detection], alpha: Alpha) -> Alpha:
    """Return the alpha without the protected areas. Raises ``BadPrompt`` if nothing is left."""
    if not refine.protect:
        return alpha
    protected = masks.protected_area(refine, (alpha.shape[0], alpha.shape[1]))
    if not refine.invert and not (masks.union(detections) & ~protected).any():
        raise BadPrompt("the whole object is protected; make --protect smaller, or leave it out")
    spared: Alpha = np.where(protected, np.float32(0), alpha)
    if not spared.any():
        raise BadPrompt(
            "everything to repaint is protected; make --protect smaller, or leave it out"
        )
    return spared


def _is_hard(alpha: Alpha) -> bool:
    """Return whether the alpha is 0 or 1 everywhere: nothing is blended."""
    return not bool(((alpha > 0) & (alpha < 1)).any())


def refined_alpha(
    detections: Sequence[Detection],
    prompts: Sequence[Prompt],
    refine: Refine,
    input_spec: InputSpec = InputSpec(),
    fill: Fill = Fill(),
    dilate_factor: float = 1.0,
) -> tuple[Alpha, float, float]:
    """Return the alpha of the objects, and the dilate and feather radii used, in photo px.

    The mask is dilated by at least one cell of the inpainter; protected areas are left out.
    Raises ``NothingFound`` if an inverted mask leaves nothing to repaint, and ``BadPrompt`` if
    all of the object is protected.
    """
    min_dilate = 0.0
    if input_spec.mask_cell > 1:
        windows = _windows(masks.union(detections), input_spec, fill)
        min_dilate = input_spec.mask_cell / min(w.scale for w in windows)
    alpha, dilate, feather = masks.refine(
        detections,
        refine,
        keep=excluded_points(prompts),
        min_dilate=min_dilate,
        dilate_factor=dilate_factor,
    )
    if not alpha.any():
        raise NothingFound("the object fills the photo: inverted, nothing is left to repaint")
    return spare_protected(refine, detections, alpha), dilate, feather


def excluded_points(prompts: Sequence[Prompt]) -> list[Point]:
    """Return the clicks (x, y) on what is to stay."""
    return [point for p in prompts if isinstance(p, Points) for point in p.exclude]


# --- windows and inpainting -------------------------------------------------------------------


def _windows(repainted: BinaryMask, input_spec: InputSpec, fill: Fill) -> list[window.Window]:
    boxes = [box for box, _ in masks.connected_components(repainted)]
    height, width = repainted.shape
    return window.plan(boxes, (height, width), input_spec, fill.padding_mask_crop)


def inpaint_call(job: EditJob, spec: AttemptSpec, region: RepaintRegion) -> InpaintCall:
    """Return the crops of an attempt; each window has its own seed."""
    input_spec, seed = spec.inpainter.input_spec, spec.fill.seed
    crops = [
        window.crop_window(job.photo, region.alpha, w, input_spec, seed + WINDOW_SEED_STEP * i)
        for i, w in enumerate(region.windows)
    ]
    if _repaints_whole_crop(spec):
        crops = [
            replace(crop, mask=np.ones_like(crop.mask), object_mask=crop.mask) for crop in crops
        ]
    return InpaintCall(spec.inpainter, spec.fill, crops)


def _repaints_whole_crop(spec: AttemptSpec) -> bool:
    """Return whether an editing model repaints whole crops, so that effects go with the object."""
    refine = spec.refine
    edits = spec.inpainter.input_spec.edits_by_instruction
    return bool(edits and refine.shadow and not refine.invert)


# --- stitch -----------------------------------------------------------------------------------


def stitch_crops(
    job: EditJob, spec: AttemptSpec, region: RepaintRegion, crops: Sequence[Image]
) -> tuple[Image, Alpha]:
    """Return a copy of the photo with every painted window in it, and its alpha.

    Whatever was painted or placed, the protected areas are those of the photo.
    """
    image, alpha = job.photo.copy(), region.alpha
    for w, crop in zip(region.windows, crops, strict=True):
        if _repaints_whole_crop(spec):
            alpha = _add_edit_difference(job, spec, region, w, crop, alpha)
        window.stitch(image, alpha, w, crop)
    if spec.fill.picture:
        box = bounding_box(masks.union(job.detections))
        alpha = insert_picture(image, alpha, spec.fill.picture, box, spec.fill.picture_placement)
    if spec.refine.protect:
        image[job.protected] = job.photo[job.protected]
        alpha = np.where(job.protected, np.float32(0), alpha)
    return image, alpha


def _add_edit_difference(
    job: EditJob,
    spec: AttemptSpec,
    region: RepaintRegion,
    w: window.Window,
    crop: Image,
    alpha: Alpha,
) -> Alpha:
    """Return the alpha with the effects that an editing model removed outside the hole."""
    before = window.crop_window(job.photo, region.alpha, w, spec.inpainter.input_spec)
    effect = edit_difference.object_effect(before.image, crop, before.mask)
    mask = window.paste_mask(effect, w)
    softness = max(region.dilate + region.feather, 1.0)
    soft = shadow.shadow_alpha(shadow.Shadow(mask, 1.0), softness)
    both = alpha.copy()
    np.maximum(both[w.box.slices], soft, out=both[w.box.slices])
    return both
