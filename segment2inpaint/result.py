"""``Result``: what a request gave, as pixels, as a picture and as a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image as Pillow

from segment2inpaint import images, masks
from segment2inpaint.errors import BadOption
from segment2inpaint.images import Photo
from segment2inpaint.judgement import Action, Check, Judgement, Verdict
from segment2inpaint.types import (
    Alpha,
    BinaryMask,
    Detection,
    Image,
    bounding_box,
)

if TYPE_CHECKING:
    from supervision import Detections

OPAQUE_FORMATS = ("JPEG", "BMP")
NOTEBOOK_SIDE = 1024  # px, longest side of the picture that a notebook shows


@dataclass(frozen=True, eq=False)
class Candidate:
    """One of several results of a request; its fields are those of ``Result``."""

    image: Image = field(repr=False)
    alpha: Alpha = field(repr=False)
    checks: tuple[Check, ...]
    judgement: Judgement | None
    settings: Mapping[str, Any]

    @property
    def verdict(self) -> Verdict | None:
        """Return the verdict, None if the candidate was not verified."""
        return self.judgement.verdict if self.judgement else None


@dataclass(frozen=True, eq=False)
class Result:
    """The result of a request.

    ``image`` is ``(H, W, 3)`` uint8 RGB, of the photo's size. ``alpha``, ``(H, W)`` float32 in
    [0, 1], is the share of the new pixel. ``detections`` are the objects found. ``changed_outside``
    counts the pixels that changed although alpha is 0 there: any other count than 0 is a bug.
    ``seconds`` holds the wall time of each stage and ``settings`` the values chosen by ``auto``.
    ``checks`` is empty and ``judgement`` None if the result was not verified. ``action`` is what
    may mend a result that is not clean, None if nothing is known to. ``attempts`` describes each
    attempt in order: its number, settings, scores, verdict and whether it was kept.
    ``candidates`` holds at most ``Fill.candidates`` results, the best first; the first is this one.
    ``photo`` is the photo that was edited. A notebook shows the result as a picture. ``opacity``,
    ``(H, W)`` float32 in [0, 1], is the alpha channel of a result with a transparent background,
    else None.

    >>> result = remove("street.jpg", (412, 300))
    >>> result.save("clean.jpg")
    """

    image: Image = field(repr=False)
    alpha: Alpha = field(repr=False)
    detections: tuple[Detection, ...]
    changed_outside: int
    seconds: Mapping[str, float]
    settings: Mapping[str, Any] = field(default_factory=dict)
    checks: tuple[Check, ...] = ()
    judgement: Judgement | None = None
    action: Action | None = None
    attempts: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)
    candidates: tuple[Candidate, ...] = field(default=(), repr=False)
    photo: Photo | None = field(default=None, repr=False)
    opacity: Alpha | None = field(default=None, repr=False)

    @property
    def verdict(self) -> Verdict | None:
        """Return the verdict, None if the result was not verified."""
        return self.judgement.verdict if self.judgement else None

    @property
    def mask(self) -> BinaryMask:
        """Return where the objects found are, ``(H, W)`` bool: the union of their masks."""
        if not self.detections:
            return np.zeros(self.alpha.shape, np.bool_)
        return masks.union(self.detections)

    @property
    def pil(self) -> Pillow.Image:
        """Return the result as an upright 8-bit PIL image: RGB, RGBA, L or LA, as the photo is.

        The colour profile is in its ``info``, so that Pillow saves it too.
        """
        photo = self._edited_photo()
        pixels = images.edited_pixels(photo, self.image, self.alpha)
        picture = Pillow.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
        if photo.icc_profile:
            picture.info["icc_profile"] = photo.icc_profile
        return picture

    def save(
        self, target: str | Path, *, quality: int | None = None, overwrite: bool = False
    ) -> None:
        """Write the edited photo to ``target``, as ``write`` does.

        Raises ``BadImage`` if it cannot be written, and if ``target`` is the photo's own file and
        ``overwrite`` is False.
        """
        photo = self._edited_photo()
        images.write(
            target, photo, self.image, self.alpha, quality=quality, overwrite=overwrite
        )  # fmt: skip

    def encode(self, format: str | None = None, *, quality: int | None = None) -> bytes:
        """Return the edited photo as the bytes of a file.

        ``format`` is such as ``PNG``; None is the photo's own, or PNG for an array and for a new
        transparency that the photo's format cannot hold. Raises ``BadImage`` for a format that
        cannot hold the photo.
        """
        photo = self._edited_photo()
        if format is None and self.opacity is not None and photo.format in OPAQUE_FORMATS:
            format = "PNG"
        return images.encode(photo, self.image, self.alpha, format=format, quality=quality)

    def to_supervision(self) -> Detections:
        """Return the objects found as ``supervision.Detections``: boxes, masks and confidence.

        Boxes are half-open, as ``Box`` is. Raises ``BadOption`` without the package supervision.
        """
        try:
            import supervision
        except ImportError:
            raise BadOption(
                "to_supervision: the package supervision is missing; pip install supervision"
            ) from None
        if not self.detections:
            return supervision.Detections.empty()
        boxes = [bounding_box(d.mask) for d in self.detections]
        return supervision.Detections(
            xyxy=np.array(boxes, np.float32),
            mask=np.stack([d.mask for d in self.detections]),
            confidence=np.array([d.score for d in self.detections], np.float32),
        )

    def _repr_png_(self) -> bytes:
        """Return a PNG for notebooks, of at most ``NOTEBOOK_SIDE`` px a side."""
        picture = self.pil
        picture.thumbnail((NOTEBOOK_SIDE, NOTEBOOK_SIDE))
        buffer = BytesIO()
        picture.save(buffer, "PNG")
        return buffer.getvalue()

    def _edited_photo(self) -> Photo:
        photo = self.photo or images.photo_from_array(self.image)
        return images.with_opacity(photo, self.opacity)
