"""``Predictor``: masks for clicks and boxes on one photo, called as segment-anything's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from segment2inpaint.conversions import PhotoLike, as_photo, box_of, points_of, sam_points
from segment2inpaint.detect.prompts import check_prompts
from segment2inpaint.editor import Editor
from segment2inpaint.errors import BadOption, BadPrompt, NothingFound
from segment2inpaint.protocols import (
    Detector,
    MaskPrompt,
    PredictedMasks,
    PredictsMasks,
    SupportsPrepare,
)
from segment2inpaint.types import (
    BinaryMask,
    Box,
    FloatArray,
    Granularity,
    Image,
    Points,
    Prompt,
    Request,
)

GRANULARITIES: tuple[Granularity, ...] = ("auto", "part", "whole")
SAME_MASK_IOU = 0.99  # of two masks that count as one


class Predictor:
    """Predict masks for prompts on one photo, called as ``SamPredictor`` of segment-anything is.

    ``detector`` is a name as for ``mask``; ``auto`` takes the best for clicks on this machine.
    The embedding of the photo is computed by ``set_image`` and cached, so that each ``predict`` is
    cheap. Raises ``BadOption``, ``ModelMissing`` and ``BadModel`` as ``Editor`` does.

    >>> predictor = Predictor()
    >>> predictor.set_image("street.jpg")
    >>> masks, scores, logits = predictor.predict([(412, 300)], [1])
    >>> remove("street.jpg", masks[scores.argmax()])
    """

    def __init__(self, detector: str = "auto", editor: Editor | None = None) -> None:
        editor = editor or Editor()
        request = Request((Points(((0, 0),)),), detector=detector)
        name = editor.resolve(request, paint=False).detector
        self._detector: Detector = editor.detector(name)
        self._image: Image | None = None

    @property
    def name(self) -> str:
        """Return the name of the detector."""
        return self._detector.name

    def set_image(self, image: PhotoLike) -> None:
        """Prepare a photo for ``predict``: what ``remove`` takes. Raises ``BadImage``."""
        pixels = as_photo(image).image
        if isinstance(self._detector, SupportsPrepare):
            self._detector.prepare([pixels])
        self._image = pixels

    def reset_image(self) -> None:
        """Forget the photo."""
        self._image = None

    def predict(
        self,
        point_coords: ArrayLike | None = None,
        point_labels: ArrayLike | None = None,
        box: ArrayLike | None = None,
        mask_input: FloatArray | None = None,
        multimask_output: bool = True,
    ) -> PredictedMasks:
        """Return ``(masks, scores, logits)`` for one object.

        ``point_coords`` is ``(N, 2)``, (x, y) in photo pixels, and ``point_labels`` is ``(N,)``, 1
        on the object and 0 off it; None means 1 for all. ``box`` is x0, y0, x1, y1.

        ``masks`` is ``(C, H, W)`` bool, of the photo's size, and ``scores`` is ``(C,)`` float32.

        The models of the SAM family predict three masks, or one without ``multimask_output``. They
        are returned as predicted: not chosen, cleaned or refined. ``scores`` is the predicted IoU,
        ``logits`` is ``(C, s, s)`` float32 (s = 256 for SAM), and ``logits[i : i + 1]`` can be the
        ``mask_input`` of the next call.

        Other detectors give the mask that ``mask`` gives, and with ``multimask_output`` after it
        those of a part and of the whole if they differ. ``scores`` is the IoU with the first
        mask, which therefore has 1. ``logits`` is None, and ``mask_input`` is refused.

        Raises ``BadPrompt``, ``NothingFound``, and ``BadOption`` before ``set_image``.
        """
        if self._image is None:
            raise BadOption("predict: no image is set; call set_image(image) first")
        box_prompt = None if box is None else box_of(box)
        points = None if point_coords is None else points_of(point_coords, point_labels)
        prompts: list[Prompt] = [p for p in (box_prompt, points) if p is not None]
        if point_labels is not None and point_coords is None:
            raise BadPrompt("point_labels: expected point_coords too; give both")
        if not prompts and mask_input is None:
            raise BadPrompt("predict: no prompt given; give point_coords, box or both")
        check_prompts(prompts, (self._image.shape[0], self._image.shape[1]))
        if isinstance(self._detector, PredictsMasks):
            prompt = _arrays(point_coords, point_labels, box, mask_input)
            return self._detector.predict_masks(self._image, prompt, multimask_output)
        if mask_input is not None:
            raise BadPrompt(f"mask_input: {self.name} takes none; leave it out")
        return self._detect(self._image, box_prompt, points, multimask_output)

    def _detect(
        self, image: Image, box: Box | None, points: Points | None, multimask_output: bool
    ) -> PredictedMasks:
        """Return the masks of a detector that finds one for each granularity."""
        points = points or Points()
        if box is not None and not all(map(box.contains, points.include)):
            raise BadPrompt(f"{self.name}: a point on the object is outside its box; move one")
        wanted = GRANULARITIES if multimask_output and points.include else GRANULARITIES[:1]
        found: list[BinaryMask] = []
        for granularity in wanted:
            prompt = replace(points, granularity=granularity)
            given: list[Prompt] = [p for p in (box, prompt) if p is not None and p != Points()]
            masks = [d.mask for d in self._detector.detect(image, given) if d.mask.any()]
            found += [m for m in masks[:1] if all(_iou(m, o) < SAME_MASK_IOU for o in found)]
        if not found:
            raise NothingFound(f"nothing found at the prompt by {self.name}")
        scores = np.array([_iou(mask, found[0]) for mask in found], np.float32)
        return PredictedMasks(np.stack(found), scores, None)


def _arrays(
    point_coords: ArrayLike | None,
    point_labels: ArrayLike | None,
    box: ArrayLike | None,
    mask_input: FloatArray | None,
) -> MaskPrompt:
    """Return the prompt as arrays, with fractions of pixels."""
    points = labels = corners = None
    if point_coords is not None:
        points, labels = sam_points(point_coords, point_labels)
    if box is not None:
        corners = np.asarray(box, np.float64).reshape(4)
    mask = None if mask_input is None else np.asarray(mask_input, np.float32)
    return MaskPrompt(points, labels, corners, mask)


def _iou(first: BinaryMask, second: BinaryMask) -> float:
    union = np.count_nonzero(first | second)
    return np.count_nonzero(first & second) / union if union else 1.0
