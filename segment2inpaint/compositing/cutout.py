"""An object alone: its own colours and a soft alpha, cropped to the object."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image as Pillow

from segment2inpaint import images
from segment2inpaint.compositing import matting
from segment2inpaint.errors import NothingFound
from segment2inpaint.images import Photo
from segment2inpaint.types import (
    Alpha,
    Box,
    Detection,
    Image,
    Points,
    Prompt,
    Refine,
    bounding_box,
)


@dataclass(frozen=True, eq=False)
class Cutout:
    """An object without its background.

    ``image``, ``(h, w, 3)`` uint8 RGB, and ``alpha``, ``(h, w)`` float32 in [0, 1], are those of
    the part ``box`` of the photo. The colours are the photo's where alpha is 1; along the edge
    they are the object's own, without the background, and 0 where alpha is 0. ``score`` is the
    detector's confidence, and ``photo`` the photo that the object is from.

    >>> cutout("dog.jpg", (412, 300)).save("dog.png")
    """

    image: Image = field(repr=False)
    alpha: Alpha = field(repr=False)
    box: Box
    score: float
    photo: Photo = field(repr=False)

    @property
    def pil(self) -> Pillow.Image:
        """Return the object as an RGBA picture."""
        return Pillow.fromarray(np.dstack([self.image, np.rint(self.alpha * 255).astype(np.uint8)]))

    def in_place(self) -> Cutout:
        """Return the object on a transparent ground of the photo's size."""
        size = self.photo.size
        image, alpha = np.zeros((*size, 3), np.uint8), np.zeros(size, np.float32)
        image[self.box.slices], alpha[self.box.slices] = self.image, self.alpha
        return Cutout(image, alpha, Box(0, 0, size[1], size[0]), self.score, self.photo)

    def encode(self, format: str = "PNG", *, quality: int | None = None) -> bytes:
        """Return the bytes of a file with transparency: PNG, WEBP, TIFF or AVIF.

        The colour profile and the resolution are the photo's. Raises ``BadImage``.
        """
        return _encode(self.image, self.alpha, self.photo, format, quality)

    def save(
        self, target: str | Path, *, quality: int | None = None, overwrite: bool = False
    ) -> None:
        """Write the object to a file; the suffix selects the format. Raises ``BadImage``."""
        data = self.encode(images.format_of(target), quality=quality)
        images.write_bytes(target, data, source=self.photo.path, overwrite=overwrite)


def _encode(image: Image, alpha: Alpha, photo: Photo, format: str, quality: int | None) -> bytes:
    opacity = np.rint(alpha * 255).astype(np.uint8)
    picture = Photo(image, photo.name, alpha=opacity, icc_profile=photo.icc_profile, dpi=photo.dpi)
    return images.encode(picture, image, np.zeros_like(alpha), format=format, quality=quality)


def cut_out(
    photo: Photo,
    detections: Sequence[Detection],
    refine: Refine = Refine(),
    prompts: Sequence[Prompt] = (),
) -> Cutout:
    """Return the objects together as one cutout; at least one is needed.

    ``refine`` decides about holes and soft edges, see ``matting.objects_alpha``. The photo's own
    transparency is kept. Raises ``NothingFound`` if the photo is transparent there.
    """
    keep = [at for p in prompts if isinstance(p, Points) for at in p.exclude]
    alpha = matting.objects_alpha(photo.image, detections, refine, keep)
    if photo.alpha is not None:
        alpha = alpha * (photo.alpha / np.iinfo(photo.alpha.dtype).max).astype(np.float32)
    box = bounding_box(alpha > 0)
    if not box.width:
        raise NothingFound(f"{photo.name}: the photo is transparent where the object is")
    colors = matting.foreground_colors(photo.image, alpha)
    colors[alpha == 0] = 0  # what is hidden must not be in the file
    part = colors[box.slices].copy(), alpha[box.slices].copy()
    return Cutout(*part, box, max(d.score for d in detections), photo)
