"""A coarse mask's edge followed at full resolution."""

from __future__ import annotations

from math import ceil

import cv2
import numpy as np

from segment2inpaint.types import Alpha, BinaryMask, Image, bounding_box

BAND = 0.75  # of the slack: how far an edge is moved
WIDTH = 8.0  # px of the reduced picture that the band is wide at most
REMAINING_UNCERTAINTY = 0.4  # of the slack remains after it
ROUNDS = 2  # of GrabCut
ROOM = 10  # of the slack: what is seen round the mask


def refine_edge(image: Image, bits: BinaryMask, slack: float) -> BinaryMask:
    """A mask whose edge may be off by ``slack`` px, brought to the edge in the photo nearby.

    Only pixels within ``BAND`` x slack of the edge change. GrabCut (Rother et al. 2004) decides
    them, on a picture reduced so that the band is a few pixels wide; a guided filter (He et al.
    2013) carries its edge back to the photo's size. Returns the mask itself where that fails.
    """
    where = bounding_box(bits).grown(ceil(ROOM * slack), (bits.shape[0], bits.shape[1]))
    part, coarse = image[where.slices], bits[where.slices]
    band = BAND * slack
    scale = min(1.0, WIDTH / band)
    size = max(1, round(where.width * scale)), max(1, round(where.height * scale))
    small = cv2.resize(part, size, interpolation=cv2.INTER_AREA)
    depth = cv2.resize(_depth(coarse), size, interpolation=cv2.INTER_LINEAR)
    cut = _cut(small, depth, band)
    if scale < 1:
        soft = cv2.resize(cut, (where.width, where.height), interpolation=cv2.INTER_LINEAR)
        cut = guided_filter(_light(part), soft, ceil(1 / scale))
    near = np.abs(_depth(coarse)) <= band + 1
    new = bits.copy()
    new[where.slices] = np.where(near, cut > 0.5, coarse)
    return new if new.any() else bits


def guided_filter(guide: Alpha, values: Alpha, radius: int, eps: float = 1e-4) -> Alpha:
    """Values (H, W) smoothed within ``radius`` px, but not across edges of the guide (H, W).

    Guided filter (He et al. 2013), both in [0, 1]; ``eps`` is the guide's variance below which
    it counts as flat.
    """

    def mean(plane: Alpha) -> Alpha:
        blurred: Alpha = cv2.blur(plane, (2 * radius + 1,) * 2, borderType=cv2.BORDER_REFLECT)
        return blurred

    about, level = mean(guide), mean(values)
    slope = (mean(guide * values) - about * level) / (mean(guide * guide) - about**2 + eps)
    return mean(slope) * guide + mean(level - slope * about)


def _cut(image: Image, depth: Alpha, band: float) -> Alpha:
    """GrabCut where |depth| <= band, 0 or 1; deeper pixels are what their sign says."""
    trimap = np.where(depth > 0, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    trimap[depth > band] = cv2.GC_FGD
    trimap[depth < -band] = cv2.GC_BGD
    if (trimap % 2 == 0).any() and (trimap % 2 == 1).any():
        models = np.zeros((1, 65)), np.zeros((1, 65))
        cv2.setRNGSeed(0)
        cv2.grabCut(image, trimap, None, *models, ROUNDS, cv2.GC_INIT_WITH_MASK)
    return (trimap % 2).astype(np.float32)


def _depth(bits: BinaryMask) -> Alpha:
    """Distance to the edge in px, positive inside."""
    inside, outside = (
        cv2.distanceTransform(side.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        for side in (bits, ~bits)
    )
    depth: Alpha = inside - outside
    return depth


def _light(image: Image) -> Alpha:
    light: Alpha = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
    return light
