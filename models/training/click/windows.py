"""Training windows: parts of labelled photos as the network will see them, with pasted objects.

Objects of other photos are pasted into some, as in "Simple Copy-Paste" (Ghiasi et al. 2021).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from models.training.click.labelled_photos import LabelledObject, LabelledPhoto
from segment2inpaint.networks.click import CELL, MASK_CELL
from segment2inpaint.types import BinaryMask, FloatArray, Image

Slices = tuple[slice, slice]
Labels = NDArray[np.uint8]

SIDES = (1024, 768, 512, 384, 256)  # px, long sides of the frames that windows are scaled to
SIDE_SHARES = (0.35, 0.2, 0.2, 0.15, 0.1)
PHOTO_SIDE = 1024  # px, long side of the frame of a whole photo
WHOLE_PROBABILITY = 0.4  # that the window is the whole photo
MARGINS = (0.05, 3.0)  # of the object's long side, on each side of it in the window
MARGIN_FACTORS = (0.3, 1.7)  # by which the four margins differ
MIN_SIDE = 24  # px of the photo, of a window
MIN_AREA = 6  # values of a label, of objects that count
MIN_INSIDE = 0.6  # of an object's area that lies in the window
PASTE_PROBABILITY = 0.35
PASTED_SIZE = (0.1, 0.9)  # of the photo's long side, long side of a pasted object
MIN_PASTED_AREA = 0.001  # of the photo
EDGE_BLUR = 0.8  # px, standard deviation of the edge of a pasted object

LABELS = 3  # object, part, whole
FULL, UNKNOWN = 254, 255  # in labels: wholly covered; a part or whole that is not known


@dataclass(frozen=True, eq=False)
class Window:
    """A window of a photo in its frame.

    ``image`` (h, w, 3) is RGB; h and w are multiples of 16, and the photo fills the top left
    ``size`` (h, w). ``labels`` (q, LABELS, h / 4, w / 4) uint8 tell how much of each pixel belongs
    to each of q objects, from 0 to ``FULL``.
    """

    image: Image
    size: tuple[int, int]
    labels: Labels


def draw_window(photos: Sequence[LabelledPhoto], rng: np.random.Generator) -> Window | None:
    """Return a random window, None if no object in it counts."""
    photo = photos[int(rng.integers(len(photos)))]
    if rng.random() < PASTE_PROBABILITY:
        photo = _paste(photo, photos[int(rng.integers(len(photos)))], rng)
    pivot = photo.objects[rng.integers(len(photo.objects))]
    slices, side = _draw_slices(pivot.object, rng)
    cut = _cut(photo, slices, is_mirrored=rng.random() < 0.5)
    scale = side / max(cut.image.shape[:2])
    size = round(cut.image.shape[0] * scale), round(cut.image.shape[1] * scale)
    labels = [_labels(o, size) for o in cut.objects]
    labels = [values for values in labels if (values[0] > FULL / 2).sum() >= MIN_AREA]
    if not labels or min(size) < CELL:
        return None
    return Window(_pad(_scale(_photograph(cut.image, rng), size)), size, np.stack(labels))


def _draw_slices(mask: BinaryMask, rng: np.random.Generator) -> tuple[Slices, int]:
    """Return a window of the photo round an object, and the long side of its frame."""
    height, width = mask.shape
    if rng.random() < WHOLE_PROBABILITY:
        return (slice(0, height), slice(0, width)), PHOTO_SIDE
    rows, columns = _ranges(mask)
    long = max(rows.stop - rows.start, columns.stop - columns.start)
    margin = long * np.exp(rng.uniform(*np.log(MARGINS))) * rng.uniform(*MARGIN_FACTORS, 4)
    margin = np.maximum(margin, (MIN_SIDE - long) / 2)
    y0, x0 = max(0, round(rows.start - margin[0])), max(0, round(columns.start - margin[1]))
    y1 = min(height, round(rows.stop + margin[2]))
    x1 = min(width, round(columns.stop + margin[3]))
    return (slice(y0, y1), slice(x0, x1)), int(rng.choice(SIDES, p=SIDE_SHARES))


def _ranges(mask: BinaryMask) -> Slices:
    """Return the rows and columns of a mask's box."""
    rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def _cut(photo: LabelledPhoto, slices: Slices, *, is_mirrored: bool) -> LabelledPhoto:
    """Return a window of a photo with the objects that lie mostly in it, maybe mirrored."""
    step = -1 if is_mirrored else 1
    objects = tuple(
        _map_masks(labelled, lambda mask: mask[slices][:, ::step])
        for labelled in photo.objects
        if labelled.object[slices].sum() >= MIN_INSIDE * labelled.object.sum()
    )
    return LabelledPhoto(photo.image[slices][:, ::step], objects)


def _map_masks(
    labelled: LabelledObject, change: Callable[[BinaryMask], BinaryMask]
) -> LabelledObject:
    """Return an object whose known masks are changed."""
    part, whole = (m if m is None else change(m) for m in (labelled.part, labelled.whole))
    return LabelledObject(change(labelled.object), part, whole)


def _labels(labelled: LabelledObject, size: tuple[int, int]) -> Labels:
    """Return the labels (LABELS, h / 4, w / 4) of an object in a frame of ``size``."""
    scaled = []
    for mask in (labelled.object, labelled.part, labelled.whole):
        values = np.full(size, UNKNOWN, np.uint8)
        if mask is not None:
            values = _scale(mask.astype(np.uint8) * FULL, size)
        padded = _pad(values)
        quarter = padded.shape[1] // MASK_CELL, padded.shape[0] // MASK_CELL
        scaled.append(cv2.resize(padded, quarter, interpolation=cv2.INTER_AREA))
    return np.stack(scaled)


def _scale(image: Image, size: tuple[int, int]) -> Image:
    """Return a picture at ``size`` (h, w)."""
    shrinks = size[0] < image.shape[0]
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, size[::-1], interpolation=interpolation), np.uint8)


def _pad(values: Image) -> Image:
    """Return the picture with zeros at the right and below, so that its sides are multiples."""
    missing = [(0, -length % CELL) for length in values.shape[:2]]
    return np.pad(values, missing + [(0, 0)] * (values.ndim - 2))


# --- pasted objects -----------------------------------------------------------------------------


def _paste(photo: LabelledPhoto, source: LabelledPhoto, rng: np.random.Generator) -> LabelledPhoto:
    """Return a photo with an object of another one in it, which may cover objects of its own."""
    labelled = source.objects[rng.integers(len(source.objects))]
    size = photo.image.shape[1], photo.image.shape[0]
    matrix = _draw_place(labelled.object, size, rng)
    blur = EDGE_BLUR / min(float(matrix[0, 0]), 1.0)
    alpha = cv2.GaussianBlur(labelled.object.astype(np.float32), (0, 0), blur)
    alpha = cv2.warpAffine(alpha, matrix, size, flags=cv2.INTER_LINEAR)
    colors = cv2.warpAffine(source.image, matrix, size, flags=cv2.INTER_LINEAR)
    pasted = np.asarray(alpha > 0.5)
    if pasted.mean() < MIN_PASTED_AREA:
        return photo
    image = photo.image + (colors.astype(np.float32) - photo.image) * alpha[..., None]
    kept = (_map_masks(o, lambda mask: mask & ~pasted) for o in photo.objects)
    objects = LabelledObject(pasted), *(o for o in kept if o.object.any())
    return LabelledPhoto(image.round().astype(np.uint8), objects)


def _draw_place(mask: BinaryMask, size: tuple[int, int], rng: np.random.Generator) -> FloatArray:
    """Return the matrix (2, 3) that takes an object to a random place in a photo of ``size``."""
    rows, columns = _ranges(mask)
    length = max(size) * np.exp(rng.uniform(*np.log(PASTED_SIZE)))
    scale = length / max(rows.stop - rows.start, columns.stop - columns.start)
    middle = np.array([columns.start + columns.stop, rows.start + rows.stop]) / 2
    matrix = np.array([[scale, 0, 0], [0, scale, 0]], np.float32)
    matrix[:, 2] = rng.uniform(0, 1, 2) * size - scale * middle
    return matrix


# --- the camera ---------------------------------------------------------------------------------


def _photograph(image: Image, rng: np.random.Generator) -> Image:
    """Return the picture as another camera would have taken it."""
    values: FloatArray = image.astype(np.float32)
    if rng.random() < 0.3:
        values = cv2.GaussianBlur(values, (0, 0), float(rng.uniform(0.3, 1.6)))
    if rng.random() < 0.15:
        values = np.repeat(values.mean(2, keepdims=True), 3, 2)
    values = 255 * (values / 255).clip(0, 1) ** np.float32(2 ** rng.uniform(-0.6, 0.6))
    values *= rng.uniform(0.85, 1.15, 3).astype(np.float32)
    if rng.random() < 0.3:
        noise = rng.standard_normal(values.shape, np.float32)
        values += float(rng.uniform(0, 12)) * noise
    picture = values.clip(0, 255).astype(np.uint8)
    return _compress(picture, int(rng.integers(30, 95))) if rng.random() < 0.4 else picture


def _compress(picture: Image, quality: int) -> Image:
    """Return the picture after JPEG compression. The order of its colours does not matter."""
    data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
