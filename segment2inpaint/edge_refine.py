"""Edge refinement: moves the edge of a coarse mask to the edge in the photo."""

from __future__ import annotations

from math import ceil

import cv2
import numpy as np

from segment2inpaint.types import Alpha, BinaryMask, Image, bounding_box

BAND_SHARE = 0.75  # of the uncertainty: the distance within which pixels may change
REDUCED_BAND_WIDTH = 8.0  # px: the photo is reduced until the band is no wider
REMAINING_UNCERTAINTY = 0.4  # of the uncertainty is left after the refinement
GRABCUT_ITERATIONS = 2
CONTEXT_SHARE = 10  # of the uncertainty: the surroundings of the mask that GrabCut sees


def refine_edge(image: Image, mask: BinaryMask, uncertainty: float) -> BinaryMask:
    """Return the mask with its edge moved to the nearest edge in the photo, ``(H, W)`` bool.

    ``uncertainty`` is the largest expected error of the edge in px; only pixels within
    ``BAND_SHARE`` of it change. GrabCut (Rother et al. 2004) classifies them on a reduced photo,
    and a guided filter (He et al. 2013) carries its edge back to full resolution. Where that
    removes the whole mask, return the mask unchanged.
    """
    box = bounding_box(mask).expand(
        ceil(CONTEXT_SHARE * uncertainty), (mask.shape[0], mask.shape[1])
    )
    part, coarse = image[box.slices], mask[box.slices]
    band = BAND_SHARE * uncertainty
    scale = min(1.0, REDUCED_BAND_WIDTH / band)
    size = max(1, round(box.width * scale)), max(1, round(box.height * scale))
    reduced = cv2.resize(part, size, interpolation=cv2.INTER_AREA)
    distance = cv2.resize(_signed_distance(coarse), size, interpolation=cv2.INTER_LINEAR)
    foreground = _grabcut(reduced, distance, band)
    if scale < 1:
        soft = cv2.resize(foreground, (box.width, box.height), interpolation=cv2.INTER_LINEAR)
        foreground = guided_filter(_luma(part), soft, ceil(1 / scale))
    near = np.abs(_signed_distance(coarse)) <= band + 1
    refined = mask.copy()
    refined[box.slices] = np.where(near, foreground > 0.5, coarse)
    return refined if refined.any() else mask


def guided_filter(guide: Alpha, values: Alpha, radius: int, eps: float = 1e-4) -> Alpha:
    """Return ``values`` smoothed within ``radius`` px, but not across edges of ``guide``.

    This is the guided filter of He et al. 2013. Both arrays are ``(H, W)`` float32 in [0, 1];
    where the guide's variance is below ``eps``, it counts as flat.
    """

    def mean(plane: Alpha) -> Alpha:
        blurred: Alpha = cv2.blur(plane, (2 * radius + 1,) * 2, borderType=cv2.BORDER_REFLECT)
        return blurred

    about, level = mean(guide), mean(values)
    slope = (mean(guide * values) - about * level) / (mean(guide * guide) - about**2 + eps)
    return mean(slope) * guide + mean(level - slope * about)


def _grabcut(image: Image, distance: Alpha, band: float) -> Alpha:
    """Return 0 or 1 for each pixel: by GrabCut within ``band``, by the distance's sign beyond."""
    trimap = np.where(distance > 0, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    trimap[distance > band] = cv2.GC_FGD
    trimap[distance < -band] = cv2.GC_BGD
    if (trimap % 2 == 0).any() and (trimap % 2 == 1).any():
        models = np.zeros((1, 65)), np.zeros((1, 65))
        cv2.setRNGSeed(0)
        cv2.grabCut(image, trimap, None, *models, GRABCUT_ITERATIONS, cv2.GC_INIT_WITH_MASK)
    return (trimap % 2).astype(np.float32)


def _signed_distance(mask: BinaryMask) -> Alpha:
    """Return the distance to the edge in px, positive inside."""
    inside, outside = (
        cv2.distanceTransform(side.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        for side in (mask, ~mask)
    )
    distance: Alpha = inside - outside
    return distance


def _luma(image: Image) -> Alpha:
    luma: Alpha = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
    return luma
