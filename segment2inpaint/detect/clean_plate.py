"""A detector for the difference from a clean plate: a photo of the scene without the object."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from segment2inpaint.detect.prompts import check_for_detector, limit_mask
from segment2inpaint.errors import BadPrompt
from segment2inpaint.types import BinaryMask, Box, CleanPlate, Detection, Image, Points, Prompt

Matrix = NDArray[np.float64]

# Alignment, on a reduced photo.
REDUCED_SIDE = 1024  # px, long side
MAX_KEYPOINTS = 2000  # SIFT keypoints per picture
MATCH_RATIO = 0.75  # of the distances to the best and second best match (Lowe 2004)
MIN_MATCHES = 12  # an alignment from fewer is not trusted
MAX_REPROJECTION_ERROR = 2.0  # px, of an inlier
MAX_MISFIT = 0.98  # of the misfit without alignment; a smaller gain is not worth the resampling
MISFIT_CAP = 30.0  # 8-bit levels, so that the object itself hardly counts

# Difference.
BLUR_SIGMA = 1.5  # px, against noise
MAX_SHIFT = 0.5  # px by which photo and plate may still be misaligned
NOISE_SIGMAS = 6.0  # a difference is significant this many sigmas above the noise ...
MIN_DIFFERENCE = 4.0  # ... and not below this, CIE76
PIXELS_AT_ONCE = 1 << 20  # of the photo, to bound memory
STRIP_MARGIN = 8  # rows above and below a strip that the blur reaches


class CleanPlateDetector:
    """Select what differs from all clean plates as one object. Points and boxes limit it."""

    name = "plate"
    prompt_types: tuple[type, ...] = (CleanPlate, Points, Box)

    def detect(self, image: Image, prompts: Sequence[Prompt]) -> list[Detection]:
        """Return one detection, none if nothing differs. Raises ``BadPrompt``."""
        prompts = check_for_detector(self.name, self.prompt_types, prompts, image.shape[:2])
        plates = [p for p in prompts if isinstance(p, CleanPlate)]
        if not plates:
            raise BadPrompt(f"{self.name}: points and boxes only limit a plate; add a plate")
        mask = np.ones(image.shape[:2], np.bool_)
        for plate in plates:
            mask &= _changed(image, plate.image)
        mask = limit_mask(mask, prompts)
        return [Detection(mask)] if mask.any() else []


def _changed(image: Image, plate: Image) -> BinaryMask:
    """Return the pixels that differ from the plate by more than noise, (H, W)."""
    homography = _align(image, plate)
    exposure = _match_exposure(_reduce(image), _reduce(_warp(plate, homography)[0]))
    difference = np.empty(image.shape[:2], np.float16)
    for strip in _strips(*image.shape[:2]):
        difference[strip] = _difference(image, plate, homography, exposure, strip)
    sample = difference[::4, ::4].astype(np.float32)
    median = float(np.median(sample))
    sigma = 1.4826 * float(np.median(np.abs(sample - median)))  # of a normal distribution
    low = max(median + NOISE_SIGMAS * sigma, MIN_DIFFERENCE)
    return _hysteresis(difference, low, 2 * low)


def _strips(height: int, width: int) -> Iterator[slice]:
    rows = max(64, PIXELS_AT_ONCE // width)
    return (slice(y, min(y + rows, height)) for y in range(0, height, rows))


def _reduce(image: Image) -> Image:
    scale = min(1.0, REDUCED_SIDE / max(image.shape[:2]))
    size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    reduced: Image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return reduced


def _align(image: Image, plate: Image) -> Matrix | None:
    """Return the homography (3, 3) from the photo's pixels to the plate's.

    None if there is no reliable one or if it fits hardly better than no alignment.
    """
    photo, clean = _reduce(image), _reduce(plate)
    homography = _find_homography(photo, clean)
    if homography is None:
        return None
    if _misfit(photo, clean, homography) >= MAX_MISFIT * _misfit(photo, clean, None):
        return None
    scale = np.diag([photo.shape[1] / image.shape[1], photo.shape[0] / image.shape[0], 1.0])
    full: Matrix = np.linalg.inv(scale) @ homography @ scale
    return full


def _find_homography(image: Image, plate: Image) -> Matrix | None:
    """Match SIFT keypoints (Lowe 2004) and fit by MAGSAC (Barath et al. 2019)."""
    sift = cv2.SIFT.create(MAX_KEYPOINTS)
    grey = (cv2.cvtColor(i, cv2.COLOR_RGB2GRAY) for i in (image, plate))
    (points, descriptors), (plate_points, plate_descriptors) = (
        sift.detectAndCompute(g, None) for g in grey
    )
    if min(len(points), len(plate_points)) < MIN_MATCHES:
        return None
    pairs = cv2.BFMatcher().knnMatch(descriptors, plate_descriptors, k=2)
    matches = [m for m, second in pairs if m.distance < MATCH_RATIO * second.distance]
    if len(matches) < MIN_MATCHES:
        return None
    source = np.array([points[m.queryIdx].pt for m in matches], np.float32)
    target = np.array([plate_points[m.trainIdx].pt for m in matches], np.float32)
    cv2.setRNGSeed(0)
    matrix, inliers = cv2.findHomography(source, target, cv2.USAC_MAGSAC, MAX_REPROJECTION_ERROR)
    if matrix is None or int(inliers.sum()) < MIN_MATCHES:
        return None
    return np.asarray(matrix, np.float64)


def _misfit(image: Image, plate: Image, homography: Matrix | None) -> float:
    """Return the mean absolute difference, infinite if the plate covers less than half."""
    warped, covered = _warp(plate, homography)
    difference = np.abs(image.astype(np.int16) - warped).mean(axis=2)[covered]
    return float(np.mean(np.minimum(difference, MISFIT_CAP))) if covered.mean() > 0.5 else np.inf


def _warp(
    plate: Image, homography: Matrix | None, rows: slice = slice(None)
) -> tuple[Image, BinaryMask]:
    """Return some rows of the plate, aligned to the photo, and where the plate has pixels."""
    height, width = plate.shape[:2]
    first, last, _ = rows.indices(height)
    if homography is None:
        return plate[rows], np.ones((last - first, width), np.bool_)
    shifted = homography @ np.array([[1, 0, 0], [0, 1, first], [0, 0, 1]], np.float64)
    size, flags = (width, last - first), cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    warped = cv2.warpPerspective(plate, shifted, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    ones = np.full((height, width), 255, np.uint8)
    return warped, cv2.warpPerspective(ones, shifted, size, flags=flags) == 255


def _match_exposure(image: Image, plate: Image) -> Matrix:
    """Return gain and offset of each channel, (2, 3), that map the plate's values to the photo's.

    Least squares, refitted without the worst pixels, so that the object does not count.
    """
    return np.array([_fit_line(plate[..., c], image[..., c]) for c in range(3)]).T


def _fit_line(plate: NDArray[np.uint8], photo: NDArray[np.uint8]) -> tuple[float, float]:
    """Return gain and offset from one channel of the plate to that of the photo."""
    x, y = (channel.ravel()[::7].astype(np.float64) for channel in (plate, photo))
    exposed = (x > 4) & (x < 251) & (y > 4) & (y < 251)  # neither black nor clipped
    gain, offset = 1.0, float(np.median(y - x))
    for _ in range(4):
        residual = np.abs(y - gain * x - offset)
        inliers = exposed & (residual <= max(2.5 * float(np.median(residual)), 2.0))
        if inliers.sum() < 100 or np.ptp(x[inliers]) < 16:
            break
        gain, offset = np.polyfit(x[inliers], y[inliers], 1)
    return gain, offset


def _difference(
    image: Image, plate: Image, homography: Matrix | None, exposure: Matrix, strip: slice
) -> NDArray[np.float32]:
    """Return the CIE76 difference in some rows, 0 where the plate has no pixels.

    A difference that a shift by ``MAX_SHIFT`` explains is subtracted.
    """
    start, stop = max(0, strip.start - STRIP_MARGIN), min(len(image), strip.stop + STRIP_MARGIN)
    rows = slice(start, stop)
    warped, covered = _warp(plate, homography, rows)
    exposed = np.clip(warped * exposure[0] + exposure[1], 0, 255).astype(np.float32)
    photo, clean = (_blurred_lab(i) for i in (image[rows].astype(np.float32), exposed))
    x, y = (cv2.Scharr(clean, cv2.CV_32F, *order) / 16 for order in ((1, 0), (0, 1)))
    explained = MAX_SHIFT * np.sqrt((x**2 + y**2).sum(axis=2))
    difference = np.maximum(np.linalg.norm(photo - clean, axis=2) - explained, 0)
    difference[~covered] = 0
    inner: NDArray[np.float32] = difference[strip.start - start :][: strip.stop - strip.start]
    return inner


def _blurred_lab(image: NDArray[np.float32]) -> NDArray[np.float32]:
    smooth = cv2.GaussianBlur(image / 255, (0, 0), BLUR_SIGMA)
    lab: NDArray[np.float32] = cv2.cvtColor(smooth, cv2.COLOR_RGB2Lab)
    return lab


def _hysteresis(difference: NDArray[np.float16], low: float, high: float) -> BinaryMask:
    """Return the components above ``low`` that somewhere exceed ``high`` (Canny 1986)."""
    count, labels = cv2.connectedComponents((difference > low).astype(np.uint8))
    keep = np.zeros(count, np.bool_)
    keep[labels[difference > high]] = True
    keep[0] = False
    mask: BinaryMask = keep[labels]
    return mask
