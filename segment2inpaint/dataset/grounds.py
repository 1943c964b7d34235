"""Grounds to put objects on: a colour, a picture, or the pictures of a folder at random."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

import numpy as np
from PIL import ImageColor

from segment2inpaint import images
from segment2inpaint.api import as_picture
from segment2inpaint.compositing.backdrop import WHITE, lay_picture
from segment2inpaint.compositing.composition import (
    Composition,
    Placement,
    compose,
    random_placement,
)
from segment2inpaint.compositing.cutout import Cutout
from segment2inpaint.dataset import storage
from segment2inpaint.dataset.names import is_photo
from segment2inpaint.errors import BadOption
from segment2inpaint.types import Image, PictureFit, ReplacementImage

SHADOW_MARGIN = 0.3  # of a cropped object's height, around it: room for its shadow


@dataclass(frozen=True, eq=False, kw_only=True)
class Ground:
    """The pictures on which objects are put.

    Of ``color``, ``picture`` and ``files`` one is set. ``files`` are pictures of which one is
    chosen for each object, which then stands at a random place, at a random scale. On the others
    it stands where it stood in its photo, or alone if ``crop`` is set. ``seed`` determines all
    that is random.
    """

    color: tuple[int, int, int] | None = None
    picture: ReplacementImage | None = None
    files: Sequence[str] = ()
    fit: PictureFit = "cover"
    shadow: bool = False
    crop: bool = False
    seed: int = 0

    def compose(self, cutout: Cutout, key: str) -> Composition:
        """Return the object on the ground; ``key`` tells random choices apart.

        Raises ``BadImage`` for a picture that cannot be read.
        """
        if self.files:
            return self._compose_at_random(cutout, key)
        box, size = cutout.box, cutout.photo.size
        place = Placement(box.x0, box.y0)
        if self.crop:
            margin = round(SHADOW_MARGIN * box.height) if self.shadow else 0
            place = Placement(margin, margin)
            size = box.height + 2 * margin, box.width + 2 * margin
        return compose(self._plain_ground(size), cutout, place, shadow=self.shadow)

    def _plain_ground(self, size: tuple[int, int]) -> Image:
        base = np.full((*size, 3), self.color or WHITE, np.uint8)
        return lay_picture(base, self.picture, self.fit) if self.picture else base

    def _compose_at_random(self, cutout: Cutout, key: str) -> Composition:
        rng = np.random.default_rng([self.seed, crc32(key.encode("utf-8", "surrogateescape"))])
        ground = images.read(self.files[int(rng.integers(len(self.files)))]).image
        size = (ground.shape[0], ground.shape[1])
        place = random_placement(cutout, size, rng, shadow=self.shadow)
        return compose(ground, cutout, place, shadow=self.shadow)


def open_ground(
    name: str, fit: PictureFit = "cover", *, shadow: bool = False, crop: bool = False, seed: int = 0
) -> Ground:
    """Return the ground of a name: a folder, a picture, or a colour such as ``#ff00c8``.

    Raises ``BadOption`` for what is none of them and for a folder without pictures, ``BadImage``
    for a file that is no picture.
    """
    path = Path(name)
    if path.is_dir():
        files = [storage.join(name, f) for f in storage.list_files(name) if is_photo(f)]
        if not files:
            raise BadOption(f"--on {name}: expected a folder with pictures, found none")
        return Ground(files=files, shadow=shadow, seed=seed)
    if path.exists():
        picture = as_picture(images.read(path))
        return Ground(picture=picture, fit=fit, shadow=shadow, crop=crop)
    try:
        red, green, blue = ImageColor.getrgb(name)[:3]
    except ValueError:
        raise BadOption(
            f"--on {name}: neither a picture, nor a folder, nor a colour such as '#ff00c8' or white"
        ) from None
    return Ground(color=(red, green, blue), shadow=shadow, crop=crop)
