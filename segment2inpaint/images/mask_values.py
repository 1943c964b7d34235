"""Decide which pixels of a picture are the object, if the picture is a mask.

A plain mask is black and white, or grey with soft edges: the object is above half. Annotation
tools write other kinds: label maps, with 0 for the background and often with a void value at the
edges, palettes, coloured objects, values that use a small part of the range. The decision uses
the whole picture: which values occur, how often, and what lies beside what.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from segment2inpaint.images.pixels import Pixels, to_8bit, to_grey
from segment2inpaint.types import BinaryMask, Image

VOID = 255  # the label of pixels that belong to no object, as in Pascal VOC and Cityscapes
_VOID_COLOR = (224, 224, 192)  # of the palette of Pascal VOC
_MAX_LABELS = 64  # different values; pictures with more are soft masks or photos
_MAX_SEPARATE_LABELS = 16  # different values of a map of which one is above half
_MAX_SMALL_LABEL = 40  # labels up to this value make 255 void; more classes than most sets have
_MIN_SHARE = 0.001  # of the picture; a channel with fewer deviating pixels is taken for constant
_MAX_HOLES = 0.05  # of the picture that may be transparent beside a black and white mask
_MIN_OPAQUE_EDGE = 0.95  # of the picture's edge, where transparent pixels are the object
_NOISE_RANGE = 16  # levels from black or white
_MIN_CORE = 0.1  # of a region that must survive an erosion, else it is an edge or noise
_MIN_CONTACT = 0.3  # of the border of an object that touches the background
_MIN_LABEL_SHARE = 0.02  # of the pixels of 255; fewer pixels of small values are noise
_GREY_BELOW = 224  # a value below this, and as far from black, is neither black nor white
_MIN_RAMP = 4  # px of grey across the edge of a soft mask; the edge of a smoothed one has 1 or 2
_MIN_GREYS = 8  # different greys of a soft mask; fewer are flat areas
_COLOR_NOISE = 24  # levels between the channels of a grey picture that was a JPEG
_MAX_GREY_SPREAD = 64  # levels; a pixel with more has a colour
_BIN = 32  # levels; similar colours are counted together
_MIN_BIN_SHARE = 0.02  # of the pixels that are not background, for a colour of an object
_MAX_BIN_SHARE_LOST = 0.1  # of the picture that may have none of the colours found


class AmbiguousMask(ValueError):
    """The picture does not tell what the object is; the text says what was found."""


@dataclass(frozen=True, eq=False)
class MaskValues:
    """The values of a mask file, as 8 bits, with their meaning.

    ``values`` are (H, W) uint8; the object is above 127. ``note`` says in words what was taken for
    the object; it is empty for black and white, and for grey with the object above half. ``soft``
    tells that edges are grey over more than the width of smoothed ones: the greys blend.
    """

    values: NDArray[np.uint8]
    note: str = ""
    soft: bool = False


@dataclass(frozen=True, eq=False)
class MaskPicture:
    """The upright pixels of a mask file.

    ``image`` is (H, W, 3) uint8 RGB. ``grey`` are the values of a greyscale file, uint8 or uint16.
    ``alpha`` is the alpha channel, ``labels`` the palette indices. ``lossy`` tells whether the
    format may change values.
    """

    image: Image
    grey: Pixels | None = None
    alpha: Pixels | None = None
    labels: Pixels | None = None
    lossy: bool = False


def interpret(picture: MaskPicture) -> MaskValues:
    """Return what a mask file says. Raises ``AmbiguousMask``."""
    if picture.labels is not None:
        found = _from_palette(picture.labels, picture)
        if found is not None:
            return found
    if picture.alpha is not None and _alpha_is_mask(picture.alpha, picture.image):
        return _from_alpha(picture.alpha, picture.lossy)
    if picture.grey is not None:
        return _from_grey(picture.grey, picture.lossy)
    if _is_grey(picture.image):
        return _from_grey(to_grey(picture.image), picture.lossy)
    return _from_colors(picture.image)


def _alpha_is_mask(alpha: Pixels, image: Image) -> bool:
    """Return whether alpha is the mask; if it is nearly constant, the colours are."""
    alpha = to_8bit(alpha)
    if alpha.min() == alpha.max() or alpha.min() > 127:
        return False
    if (image == image[0, 0]).all():
        return True
    most = _MAX_HOLES if _is_black_and_white(image) else _MIN_SHARE
    return bool(np.mean(alpha < 128) >= most and alpha.max() > _NOISE_RANGE)


def _from_alpha(alpha: Pixels, lossy: bool) -> MaskValues:
    """Return the opaque pixels, or the transparent ones if the edge of the picture is opaque.

    Both are in use: the cut-out object, and the photo with a hole where the object was.
    """
    values = to_8bit(alpha)
    edge = np.concatenate([values[0], values[-1], values[:, 0], values[:, -1]])
    if np.mean(edge > 127) >= _MIN_OPAQUE_EDGE:
        return MaskValues(255 - values, "the transparent part", _is_soft(255 - values))
    found = _from_grey(alpha, lossy)
    return replace(found, note=found.note or "the opaque part")


def _is_black_and_white(image: Image) -> bool:
    grey = to_grey(image)
    black, white = np.mean(grey <= _NOISE_RANGE), np.mean(grey >= 255 - _NOISE_RANGE)
    return bool(min(black, white) >= _MIN_SHARE and black + white >= 0.98)


def _is_grey(image: Image) -> bool:
    """Return whether nearly all pixels are grey."""
    red, green, blue = (image[..., i] for i in range(3))  # numpy is slow along a short axis
    spread = np.maximum(np.maximum(red, green), blue) - np.minimum(np.minimum(red, green), blue)
    return bool(spread.max() <= _MAX_GREY_SPREAD and np.mean(spread > _COLOR_NOISE) < _MIN_SHARE)


def _mask(chosen: BinaryMask, note: str) -> MaskValues:
    return MaskValues(np.where(chosen, np.uint8(255), np.uint8(0)), note)


# --- grey -------------------------------------------------------------------------------------


def _from_grey(values: Pixels, lossy: bool) -> MaskValues:
    """Return what grey values say: black and white, soft, or a label map."""
    found = _found_values(values)
    half = np.iinfo(values.dtype).max // 2
    if values.dtype == np.uint16 and found[-1] <= 255 and found[-1] > 0:
        return _from_small_16bit(values.astype(np.uint8), lossy)
    if not lossy and 2 <= len(found) <= _MAX_LABELS:
        _check_background(values, found)
        if _is_label_map(values, found, half):
            return _from_labels(values, found, is_void=_has_void(values, found))
    if found[-1] > half or found[-1] == 0:
        grey = to_8bit(values)
        return MaskValues(grey, soft=_is_soft(grey))
    return _from_dark(values, found)


def _check_background(values: Pixels, found: list[int]) -> None:
    """Raise ``AmbiguousMask`` for a label map in which no pixel is 0."""
    small = [value for value in found if value <= _MAX_SMALL_LABEL]
    if found[0] and len(small) > 1 and all(_has_core(values == value) for value in small):
        raise AmbiguousMask(f"{_list_values(values)}, and no 0 for the background")


def _from_small_16bit(values: NDArray[np.uint8], lossy: bool) -> MaskValues:
    """Return what 16-bit values say that have 8 bits or fewer."""
    result = _from_grey(values, lossy)
    return replace(result, note=result.note or "16-bit values of 0 to 255: above 127")


def _is_soft(values: NDArray[np.uint8]) -> bool:
    """Return whether the edges are ramps of greys, wider than those of a smoothed outline."""
    grey = values[(values > 255 - _GREY_BELOW) & (values < _GREY_BELOW)]
    object_mask = values > 127
    edge_length = np.count_nonzero(object_mask[1:] != object_mask[:-1])
    edge_length += np.count_nonzero(object_mask[:, 1:] != object_mask[:, :-1])
    wide = 0 < _MIN_RAMP * edge_length < grey.size
    return bool(wide and np.count_nonzero(np.bincount(grey)) >= _MIN_GREYS)


def _is_label_map(values: Pixels, found: list[int], half: int) -> bool:
    """Return whether few values stand for objects, and not for shares of one object."""
    dark = (values > 0) & (values <= half)
    if found[0] != 0 or not dark.any():
        return False
    if found[-1] <= half:
        return len(found) == 2 or _has_core(dark)
    if values.dtype == np.uint8 and found[-1] == VOID and _has_void(values, found):
        return True
    objects = [values == value for value in found[1:]]
    return len(objects) <= _MAX_SEPARATE_LABELS and all(
        _has_core(part) and _touches(part, values == 0) for part in objects
    )


def _has_void(values: Pixels, found: list[int]) -> bool:
    """Return whether 255 is the void of a label map: labels are small, or 255 surrounds them."""
    labels, void = (values > 0) & (values < VOID), values == VOID
    if found[-1] != VOID or not _has_core(labels):
        return False
    if labels.sum() < _MIN_LABEL_SHARE * void.sum():
        return False
    return found[-2] <= _MAX_SMALL_LABEL or _surrounds(void, labels)


def _from_labels(values: Pixels, found: list[int], *, is_void: bool) -> MaskValues:
    labels = [value for value in found if value and not (is_void and value == VOID)]
    void = "; 255 is taken for void" if is_void else ""
    return _mask(np.isin(values, labels), f"a label map: {_name_values(labels)}{void}")


def _from_dark(values: Pixels, found: list[int]) -> MaskValues:
    """Return what values say that are all below half, and no label map."""
    high = found[-1]
    middle = (values > high // 4) & (values < high - high // 4)
    if found[0] > high // 4 or high <= _NOISE_RANGE or middle.mean() > 0.05:
        raise AmbiguousMask(_list_values(values))
    return _mask(values > high // 2, f"dark: values above {high // 2}, half of the brightest")


# --- colours ----------------------------------------------------------------------------------


def _from_palette(labels: Pixels, picture: MaskPicture) -> MaskValues | None:
    """Return what the indices of a palette say; None if its colours or its alpha are the mask."""
    indices = np.array(_found_values(labels))
    first = np.array([np.argmax(labels.reshape(-1) == index) for index in indices])
    colors = picture.image.reshape(-1, 3)[first].astype(int)
    if len(indices) > _MAX_LABELS or (np.ptp(colors, axis=1) <= _COLOR_NOISE).all():
        return None
    background = _palette_background(indices, colors, picture.alpha, first)
    void = {VOID} if VOID in indices and len(indices) > 2 else set()
    chosen = [int(i) for i in indices if i not in background | void]
    if not chosen:
        return None
    note = f"a palette: {_name_values(chosen)}{'; 255 is taken for void' if void else ''}"
    return _mask(np.isin(labels, chosen), note)


def _palette_background(
    indices: Pixels, colors: NDArray[np.int_], alpha: Pixels | None, first: Pixels
) -> set[int]:
    """Return the indices of the background: transparent, else black, else 0."""
    if alpha is not None:
        transparent = {int(i) for i in indices[alpha.reshape(-1)[first] == 0]}
        if transparent:
            return transparent
    black = {int(i) for i in indices[colors.max(axis=1) < _NOISE_RANGE]}
    if black or 0 in indices:
        return black or {0}
    raise AmbiguousMask(f"palette values {_join(indices)} and no 0")


def _from_colors(image: Image) -> MaskValues:
    """Return the pixels that have another colour than the background, which is black or white."""
    bins = np.rint(image / np.float32(_BIN)).astype(np.int32) @ np.array([81, 9, 1])
    counts = np.bincount(bins.ravel(), minlength=729)
    black, white = counts[0], counts[728]
    if max(black, white) < _MIN_SHARE * bins.size:
        raise AmbiguousMask("colours, and neither black nor white for the background")
    background = 0 if black >= white else 728
    others = np.flatnonzero(counts >= max(1, _MIN_BIN_SHARE * (bins.size - counts[background])))
    others = others[others != background]
    covered = (counts[background] + counts[others].sum()) / bins.size
    if not others.size or covered < 1 - _MAX_BIN_SHARE_LOST:
        raise AmbiguousMask(f"{np.count_nonzero(counts)} kinds of colours, as in a photo")
    colors = [_bin_mean(image, bins == number) for number in (background, *others)]
    return _nearest_colors(image, colors)


def _bin_mean(image: Image, where: BinaryMask) -> tuple[int, int, int]:
    red, green, blue = np.rint(image[where].mean(axis=0)).astype(int).tolist()
    return red, green, blue


def _nearest_colors(image: Image, colors: list[tuple[int, int, int]]) -> MaskValues:
    """Return the pixels nearer to another colour than to the first, and not to that of void."""
    void = [c for c in colors[1:] if _is_void_color(c)] if len(colors) > 2 else []
    pixels = image.astype(np.float32)
    distances = [((pixels - np.array(color, np.float32)) ** 2).sum(axis=2) for color in colors]
    nearest = np.argmin(np.stack(distances), axis=0)
    chosen = [i for i, color in enumerate(colors) if i and color not in void]
    names = ", ".join(f"#{r:02x}{g:02x}{b:02x}" for r, g, b in (colors[i] for i in chosen))
    note = f"colours: {names}{'; the colour of void is left out' if void else ''}"
    return _mask(np.isin(nearest, chosen), note)


def _is_void_color(color: tuple[int, int, int]) -> bool:
    return all(abs(a - b) < _NOISE_RANGE for a, b in zip(color, _VOID_COLOR, strict=True))


# --- regions ----------------------------------------------------------------------------------


def _has_core(region: BinaryMask) -> bool:
    """Return whether the region is an area, and neither an outline nor noise."""
    # Small masks are all edge: there, an area is a region whose pixels lie together.
    padded = np.pad(region.astype(np.uint8), 1)
    if region.sum() < 64:
        together = cv2.morphologyEx(padded, cv2.MORPH_OPEN, np.ones((2, 2), np.uint8))
        return bool(together.sum() >= region.sum() / 2)
    core = cv2.erode(padded, np.ones((3, 3), np.uint8))
    return bool(core.sum() >= _MIN_CORE * region.sum())


def _outer_border(region: BinaryMask) -> BinaryMask:
    """Return the pixels beside the region."""
    grown = cv2.dilate(region.astype(np.uint8), np.ones((3, 3), np.uint8))
    border: BinaryMask = (grown > 0) & ~region
    return border


def _touches(region: BinaryMask, background: BinaryMask) -> bool:
    border = _outer_border(region)
    return not border.any() or bool(background[border].mean() >= _MIN_CONTACT)


def _surrounds(ring: BinaryMask, region: BinaryMask) -> bool:
    """Return whether the ring lies around the region and is thin."""
    border = _outer_border(region)
    return bool(border.any() and ring[border].mean() >= 0.5 and ring.sum() < region.sum())


# --- words ------------------------------------------------------------------------------------


def _join(values: Iterable[int]) -> str:
    """Return numbers as words, the first eight of many."""
    numbers = [str(int(value)) for value in values]
    return ", ".join(numbers[:8]) + (f", ... ({len(numbers)} values)" if len(numbers) > 8 else "")


def _name_values(values: list[int]) -> str:
    return f"value{'s' * (len(values) > 1)} {_join(values)}"


def _found_values(values: Pixels) -> list[int]:
    """Return the values that occur, in order."""
    return [int(v) for v in np.flatnonzero(np.bincount(values.ravel()))]  # faster than unique()


def _list_values(values: Pixels) -> str:
    """Return the values that occur most, as words."""
    counts = np.bincount(values.ravel())
    found = np.flatnonzero(counts)
    most = np.sort(found[np.argsort(-counts[found], kind="stable")[:8]])
    rest = f" and {len(found) - 8} more" if len(found) > 8 else ""
    return f"values {_join(most)}{rest}"
