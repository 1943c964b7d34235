"""The difference from a photo of the same scene without the object."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from segment2inpaint.detect.prompts import accept, limit
from segment2inpaint.errors import BadPrompt
from segment2inpaint.types import BinaryMask, Box, CleanPlate, Detection, Image, Points, Prompt

Matrix = NDArray[np.float64]

WORKING = 1024  # long side at which photo and plate are aligned, px
LEAST = 12  # matches that make an alignment
BETTER = 0.98  # of the difference without it is the most that an alignment may leave
BLUR = 1.5  # px, against noise
SHIFT = 0.5  # px that photo and plate may still lie apart
SIGMAS, FLOOR = 6.0, 4.0  # above the noise, and at least so much CIE76, is a difference
STRIP, MARGIN = 1 << 20, 8  # px worked on at once; rows beyond them that the blur sees


class CleanPlateDetector:
    """Takes clean plates: what differs from all of them is one object."""

    name = "plate"
    prompt_types: tuple[type, ...] = (CleanPlate, Points, Box)

    def detect(self, image: Image, prompts: Sequence[Prompt]) -> list[Detection]:
        """One mask, or none where nothing differs. Raises ``BadPrompt``."""
        prompts = accept(self.name, self.prompt_types, prompts, image.shape[:2])
        plates = [p for p in prompts if isinstance(p, CleanPlate)]
        if not plates:
            raise BadPrompt(f"{self.name}: points and boxes only limit a plate, give a plate too")
        bits = np.ones(image.shape[:2], np.bool_)
        for plate in plates:
            bits &= _changed(image, plate.image)
        bits = limit(bits, prompts)
        return [Detection(bits)] if bits.any() else []


def _changed(image: Image, plate: Image) -> BinaryMask:
    """Pixels that the plate does not explain."""
    matrix = _alignment(image, plate)
    exposure = _exposure(_small(image), _small(_warped(plate, matrix)[0]))
    difference = np.empty(image.shape[:2], np.float16)
    for strip in _strips(*image.shape[:2]):
        difference[strip] = _difference(image, plate, matrix, exposure, strip)
    sample = difference[::4, ::4].astype(np.float32)
    centre = float(np.median(sample))
    sigma = 1.4826 * float(np.median(np.abs(sample - centre)))
    low = max(centre + SIGMAS * sigma, FLOOR)
    return _hysteresis(difference, low, 2 * low)


def _strips(height: int, width: int) -> Iterator[slice]:
    rows = max(64, STRIP // width)
    return (slice(y, min(y + rows, height)) for y in range(0, height, rows))


def _small(image: Image) -> Image:
    scale = min(1.0, WORKING / max(image.shape[:2]))
    size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    small: Image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return small


def _alignment(image: Image, plate: Image) -> Matrix | None:
    """The homography from the photo's pixels to the plate's; None if they lie well as they are.

    SIFT features (Lowe 2004), MAGSAC (Barath et al. 2019).
    """
    small, other = _small(image), _small(plate)
    matrix = _homography(small, other)
    if matrix is None or _misfit(small, other, matrix) >= BETTER * _misfit(small, other, None):
        return None
    scale = np.diag([small.shape[1] / image.shape[1], small.shape[0] / image.shape[0], 1.0])
    full: Matrix = np.linalg.inv(scale) @ matrix @ scale
    return full


def _homography(image: Image, plate: Image) -> Matrix | None:
    sift = cv2.SIFT.create(2000)
    grey = (cv2.cvtColor(i, cv2.COLOR_RGB2GRAY) for i in (image, plate))
    (points, marks), (others, other_marks) = (sift.detectAndCompute(g, None) for g in grey)
    if min(len(points), len(others)) < LEAST:
        return None
    pairs = cv2.BFMatcher().knnMatch(marks, other_marks, k=2)
    good = [m for m, n in pairs if m.distance < 0.75 * n.distance]
    if len(good) < LEAST:
        return None
    here = np.array([points[m.queryIdx].pt for m in good], np.float32)
    there = np.array([others[m.trainIdx].pt for m in good], np.float32)
    cv2.setRNGSeed(0)
    matrix, inliers = cv2.findHomography(here, there, cv2.USAC_MAGSAC, 2.0)
    if matrix is None or int(inliers.sum()) < LEAST:
        return None
    return np.asarray(matrix, np.float64)


def _misfit(image: Image, plate: Image, matrix: Matrix | None) -> float:
    """Mean difference where both have pixels, large ones cut: the object must not count much."""
    moved, seen = _warped(plate, matrix)
    apart = np.abs(image.astype(np.int16) - moved).mean(axis=2)[seen]
    return float(np.mean(np.minimum(apart, 30))) if seen.mean() > 0.5 else np.inf


def _warped(
    plate: Image, matrix: Matrix | None, rows: slice = slice(None)
) -> tuple[Image, BinaryMask]:
    """The plate as the photo's camera saw it, in some rows, and where it has pixels."""
    height, width = plate.shape[:2]
    first, last, _ = rows.indices(height)
    if matrix is None:
        return plate[rows], np.ones((last - first, width), np.bool_)
    shifted = matrix @ np.array([[1, 0, 0], [0, 1, first], [0, 0, 1]], np.float64)
    size, flags = (width, last - first), cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    moved = cv2.warpPerspective(plate, shifted, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    ones = np.full((height, width), 255, np.uint8)
    return moved, cv2.warpPerspective(ones, shifted, size, flags=flags) == 255


def _exposure(image: Image, plate: Image) -> Matrix:
    """(2, 3): gain and offset of each channel that make the plate's values the photo's.

    Least squares, four times, each without the worst: the object must not count.
    """
    fits = []
    for c in range(3):
        x, y = (i[..., c].ravel()[::7].astype(np.float64) for i in (plate, image))
        usable = (x > 4) & (x < 251) & (y > 4) & (y < 251)
        gain, offset = 1.0, float(np.median(y - x))
        for _ in range(4):
            rest = np.abs(y - gain * x - offset)
            near = usable & (rest <= max(2.5 * float(np.median(rest)), 2.0))
            if near.sum() < 100 or np.ptp(x[near]) < 16:
                break
            gain, offset = np.polyfit(x[near], y[near], 1)
        fits.append((gain, offset))
    return np.array(fits).T


def _difference(
    image: Image, plate: Image, matrix: Matrix | None, exposure: Matrix, strip: slice
) -> NDArray[np.float32]:
    """CIE76 difference in some rows, less what half a pixel of shift explains; 0 without plate."""
    wide = slice(max(0, strip.start - MARGIN), min(image.shape[0], strip.stop + MARGIN))
    moved, seen = _warped(plate, matrix, wide)
    exposed = np.clip(moved * exposure[0] + exposure[1], 0, 255).astype(np.float32)
    photo, clean = (_lab(i) for i in (image[wide].astype(np.float32), exposed))
    x, y = (cv2.Scharr(clean, cv2.CV_32F, *way) / 16 for way in ((1, 0), (0, 1)))
    shift = SHIFT * np.sqrt((x**2 + y**2).sum(axis=2))
    apart = np.maximum(np.linalg.norm(photo - clean, axis=2) - shift, 0)
    apart[~seen] = 0
    inner: NDArray[np.float32] = apart[strip.start - wide.start :][: strip.stop - strip.start]
    return inner


def _lab(image: NDArray[np.float32]) -> NDArray[np.float32]:
    smooth = cv2.GaussianBlur(image / 255, (0, 0), BLUR)
    lab: NDArray[np.float32] = cv2.cvtColor(smooth, cv2.COLOR_RGB2Lab)
    return lab


def _hysteresis(difference: NDArray[np.float16], low: float, high: float) -> BinaryMask:
    """Components above ``low`` that somewhere exceed ``high`` (Canny 1986)."""
    count, labels = cv2.connectedComponents((difference > low).astype(np.uint8))
    keep = np.zeros(count, np.bool_)
    keep[labels[difference > high]] = True
    keep[0] = False
    kept: BinaryMask = keep[labels]
    return kept
