"""Measurements of a removal's faults: statistics of the hole and of its surroundings.

Each function returns a ``Measurement`` of a ``HoleView``: numbers that are larger the more likely
the fault is, and a heatmap of its place. ``checks`` turns the numbers into scores.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log, log1p, sqrt

import cv2
import numpy as np

from segment2inpaint.networks.background import paint_background
from segment2inpaint.networks.click import shipped_click_network
from segment2inpaint.protocols import SURROUNDINGS
from segment2inpaint.types import Alpha, BinaryMask, Box, FloatArray, bounding_box
from segment2inpaint.verify import coherence
from segment2inpaint.verify.hole_view import HoleView, box_in_photo
from segment2inpaint.verify.pixel_statistics import (
    FlatIndices,
    blur,
    distance_to_false,
    gradient_magnitude,
    gradients,
    masked_blur,
    nearest_distances,
    pixel_features,
    sample_indices,
    self_similarity,
    squared_distances,
)
from segment2inpaint.window import plan

# Distances in px from the hole's edge at which gradients are compared, negative inside.
PROFILE_DISTANCES = range(-12, 20)
LEFTOVER_DISTANCE = 2  # px; more of the object counts only further than this from the hole
LEFTOVER_AREA_SCALE = 0.02  # share of the object's area; much less than this is nothing
# Self-similarity below which a fill does not repeat; its surroundings are not compared then.
MIN_SELF_SIMILARITY = 0.3
NEGLIGIBLE_GRADIENT = 0.06  # of the lightness, per view px, added before the logarithm
NEGLIGIBLE_DISTANCE = 0.01  # of features, squared, added before the logarithm
COHERENCE_SIDE = 384  # px, long side of the encoder's frame: nearly as good as 512, and faster
# Numbers of pixels in a sample, which bound the time of comparing each with each.
SMALL_SAMPLE, LARGE_SAMPLE = 200, 500


@dataclass(frozen=True, eq=False)
class Measurement:
    """``numbers``, larger is worse, and ``heatmap``, (h, w) float32 in [0, 1], as the view."""

    numbers: tuple[float, ...]
    heatmap: Alpha


# --- the old object -----------------------------------------------------------------------------


def leftover(view: HoleView) -> Measurement:
    """Measure how much outside the hole looks like the object and not like the surroundings.

    The numbers are: the log-odds of the object in a narrow band around the hole, by the distances
    to samples of colours and places; the same in a wider band by colour alone, for an object of
    which more is left; and the object's area outside the hole by ``object_probability``.
    """
    near = (view.distance_outside > 0) & (view.distance_outside <= 3)
    far = (view.distance_outside > 8) & (view.distance_outside < 64)
    heatmap = np.zeros(view.hole.shape, np.float32)
    if not near.any() or np.count_nonzero(far) < 9 or np.count_nonzero(view.object_mask) < 9:
        return Measurement((0.0, 0.0, 0.0), heatmap)
    queries = sample_indices(near, SMALL_SAMPLE)
    odds, queried = np.zeros_like(heatmap), np.zeros_like(near)
    odds.flat[queries] = _near_log_odds(view, queries, far)
    queried.flat[queries] = True
    odds = masked_blur(odds, queried, 3)
    heatmap[near] = np.clip(odds[near], 0, 1)
    outside = distance_to_false(~_fill_holes(view.hole)) > LEFTOVER_DISTANCE
    remaining = view.object_probability * outside
    area_share = float(remaining.sum()) / np.count_nonzero(view.object_mask)
    numbers = (
        float(np.quantile(odds[queried], 0.98)),
        _color_log_odds(view),
        log1p(area_share / LEFTOVER_AREA_SCALE),
    )
    return Measurement(numbers, np.maximum(heatmap, remaining))


def _near_log_odds(view: HoleView, queries: FlatIndices, far: BinaryMask) -> FloatArray:
    """Return the log-odds of the object for some pixels, by colours and places.

    The 6th nearest of the surroundings counts, as some of the object may lie there too.
    """
    colors = blur(view.before, 0.7)
    query_rows, object_rows, far_rows = (
        pixel_features(indices, 0.15, colors)
        for indices in (
            queries,
            sample_indices(view.object_mask, LARGE_SAMPLE),
            sample_indices(far, LARGE_SAMPLE),
        )
    )
    to_object = nearest_distances(query_rows, object_rows, 3)
    to_far = nearest_distances(query_rows, far_rows, 5)
    return np.asarray(np.clip(np.log((to_far + 5) / (to_object + 5)), -1, 1.5))


def _fill_holes(mask: BinaryMask) -> BinaryMask:
    """Return the mask with enclosed areas filled: a wheel's probability covers its gaps too."""
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = cv2.drawContours(np.zeros(mask.shape, np.uint8), contours, -1, 1, cv2.FILLED)
    return np.asarray(filled > 0)


def _color_log_odds(view: HoleView) -> float:
    """Return the 98th percentile of the object-versus-background log-odds by colour.

    The background's distance is that to its nearest twentieth, so that a part of the object among
    it does not count.
    """
    colors = blur(view.before, 1)
    near = (view.distance_outside > 1) & (view.distance_outside <= 24)
    far = view.distance_outside > 8
    query_rows, object_rows, far_rows = (
        pixel_features(sample_indices(mask, LARGE_SAMPLE), 0, colors)
        for mask in (near, view.object_mask, far & (view.distance_outside < 128))
    )
    to_object = nearest_distances(query_rows, object_rows, min(7, len(object_rows) - 1))
    to_far = nearest_distances(query_rows, far_rows, len(far_rows) // 20)
    return float(np.quantile(np.log((to_far + 4) / (to_object + 4)), 0.98))


def ghost(view: HoleView) -> Measurement:
    """Measure whether the old object's gradients are still there: their correlation.

    The numbers are the correlation over the object, and the mean of the local ones. Pixels outside
    the object do not count, because before and after are rightly alike there.
    """
    heatmap = np.zeros(view.hole.shape, np.float32)
    if not view.object_mask.any():
        return Measurement((0.0, 0.0), heatmap)
    height, width = view.object_mask.shape
    region = bounding_box(view.object_mask).expand(16, (height, width)).slices
    mask = view.object_mask[region]
    old = gradients(blur(view.before[region], 1))
    new = gradients(view.after_blurred[region])
    inside = (mask & (view.distance_inside[region] > 3)).astype(np.float32)
    product, old_square, new_square = (
        np.einsum("ijk,ijk->ij", a, b) * inside for a, b in ((old, new), (old, old), (new, new))
    )
    total = product.sum() / sqrt(old_square.sum() * new_square.sum() + 1)
    floor = (100 * blur(inside, 4)) ** 2
    norm = np.sqrt(blur(old_square, 4) * blur(new_square, 4) + floor + 1e-3)
    local = blur(product, 4) / norm
    heatmap[region] = np.clip(local, 0, 1) * mask
    return Measurement((float(total), float(local[mask].mean())), heatmap)


# --- faults of the fill -------------------------------------------------------------------------


def unexplained_object(view: HoleView) -> Measurement:
    """Measure how much of the fill does not occur in its surroundings.

    The numbers are: the log of the distance of its pixels to the nearest surroundings, in colour
    at two scales, grain and place, relative to that between the inner and the outer surroundings;
    and the log ratio of the strongest gradients inside and outside.
    """
    inner, outer = view.distance_inside > 1, view.distance_outside > 2
    queries = sample_indices(inner, SMALL_SAMPLE)
    around = sample_indices(outer, LARGE_SAMPLE)
    near = sample_indices(outer & (view.distance_outside < 12), SMALL_SAMPLE)
    far = sample_indices(view.distance_outside > 18, LARGE_SAMPLE)
    distance = np.zeros(view.hole.shape, np.float32)
    if len(queries) < 9 or len(near) < 9 or len(far) < 9:
        return Measurement((0.0, 0.0), distance)
    maps = view.after_blurred, view.after_blurred_widely, _grain(view.after)
    query_rows, around_rows, near_rows, far_rows = (
        pixel_features(indices, 0.05, *maps) for indices in (queries, around, near, far)
    )
    queried = np.zeros(view.hole.shape, np.bool_)
    queried.flat[queries] = True
    distance.flat[queries] = nearest_distances(query_rows, around_rows)
    distance = masked_blur(distance, queried, 4)
    usual = float(np.quantile(nearest_distances(near_rows, far_rows), 0.9)) + 3
    novelty = float(np.quantile(distance[queried], 0.95)) / usual
    inside, outside = (np.quantile(view.gradient_size[m], 0.95) for m in (inner, outer))
    heatmap = np.clip(distance / usual - 0.5, 0, 1) * view.hole
    return Measurement(
        (float(np.log(novelty + 0.1)), float(np.log((inside + 1.2) / (outside + 1.2)))),
        heatmap.astype(np.float32),
    )


def _grain(lab: FloatArray) -> FloatArray:
    """Return the local strength of the finest structure, (h, w)."""
    fine = lab - blur(lab, 1.5)
    return np.asarray(np.sqrt(blur(np.einsum("ijk,ijk->ij", fine, fine), 2)))


def seam(view: HoleView) -> Measurement:
    """Measure gradients along the hole's edge that are stronger than along parallels to it.

    The numbers are: the log ratio of the two; their difference relative to the parallels' spread;
    and the difference of the colours on both sides of the edge.
    """
    signed = np.where(view.hole, 0.5 - view.distance_inside, view.distance_outside - 0.5)
    profile = np.array(_gradient_profile(view.gradient_size, signed))
    zero = PROFILE_DISTANCES.index(0)
    at_edge = profile[zero - 2 : zero + 2]
    parallels = np.concatenate([profile[zero - 9 : zero - 4], profile[zero + 4 : zero + 14]])
    parallels = parallels[~np.isnan(parallels)]
    heatmap = np.clip(view.gradient_size / 6, 0, 1) * (np.abs(signed) < 2)
    if np.isnan(at_edge).all() or not parallels.size:
        return Measurement((0.0, 0.0, 0.0), heatmap.astype(np.float32))
    peak, usual = float(np.nanmax(at_edge)), float(np.median(parallels))
    rise = (peak - usual) / (float(parallels.std()) + 0.3)
    ratio = float(np.log((peak + 0.3) / (usual + 0.3)))
    return Measurement(
        (ratio, float(np.arcsinh(rise)), _color_step(view)), heatmap.astype(np.float32)
    )


def _gradient_profile(gradient_size: FloatArray, signed: FloatArray) -> list[float]:
    """Return the median of each band of ``PROFILE_DISTANCES``, 1 px wide; NaN for few pixels."""
    near = (signed >= PROFILE_DISTANCES[0]) & (signed < PROFILE_DISTANCES[-1] + 1)
    band, values = np.floor(signed[near]), gradient_size[near]
    bands = (values[band == distance] for distance in PROFILE_DISTANCES)
    return [float(np.median(b)) if len(b) > 20 else float("nan") for b in bands]


def _color_step(view: HoleView) -> float:
    """Return the log of the colour difference between both sides of the hole's edge."""
    inner = view.hole & (view.distance_inside <= 6)
    outer = (view.distance_outside > 0) & (view.distance_outside <= 6)
    differences = np.array(
        [masked_blur(c, inner, 3) - masked_blur(c, outer, 3) for c in cv2.split(view.after)]
    )
    edge = view.hole & (view.distance_inside <= 1.5)
    return float(np.log(np.sqrt((differences[:, edge] ** 2).sum(0)).mean() + 0.5))


def smear(view: HoleView) -> Measurement:
    """Measure lack of grain and streaks.

    The numbers are: the log of the grain that pixels of the same colour outside have and the fill
    lacks; and how much more than outside the gradients point one way.
    """
    lightness = view.after[..., 0]
    fine = lightness - blur(lightness, 1.6)
    grain = np.log(blur(fine**2, 2) + 0.02)
    queries = sample_indices(view.distance_inside > 4, LARGE_SAMPLE)
    surroundings = (view.distance_outside > 4) & (view.distance_outside < 90)
    around = sample_indices(surroundings, LARGE_SAMPLE)
    heatmap = np.zeros(view.hole.shape, np.float32)
    if len(queries) < 9 or len(around) < 20:
        return Measurement((0.0, 0.0), heatmap)
    query_rows, around_rows = (
        pixel_features(indices, 0.1, view.after_blurred_widely) for indices in (queries, around)
    )
    alike = np.argpartition(squared_distances(query_rows, around_rows), 9, axis=1)[:, :9]
    usual = np.quantile(grain.flat[around][alike], 0.2, axis=1)
    lack = usual - grain.flat[queries]
    heatmap.flat[queries] = np.clip(lack / 3, 0, 1)
    alignment = _alignment(lightness)
    streaks = np.median(alignment.flat[queries]) - np.median(alignment.flat[around])
    return Measurement((float(np.median(lack)), float(streaks)), heatmap)


def _alignment(gray: FloatArray) -> FloatArray:
    """Return the coherence of the structure tensor, in [0, 1]: 1 if all gradients point one way."""
    smooth = blur(gray, 0.7)
    x, y = (cv2.Sobel(smooth, cv2.CV_32F, *order) for order in ((1, 0), (0, 1)))
    xx, yy, xy = (blur(p, 3) for p in (x * x, y * y, x * y))
    alignment: FloatArray = np.sqrt((xx - yy) ** 2 + 4 * xy**2) / (xx + yy + 0.05)
    return alignment


def repeats(view: HoleView) -> Measurement:
    """Measure how much the fill repeats itself: alone, and minus its surroundings' repetition."""
    detail = view.after[..., 0] - blur(view.after[..., 0], 3)
    inner, outer = view.distance_inside > 1, view.distance_outside > 2
    heatmap = np.zeros(view.hole.shape, np.float32)
    if np.count_nonzero(inner) < 200 or np.count_nonzero(outer) < 200:
        return Measurement((0.0, 0.0), heatmap)
    box = bounding_box(inner).slices
    inside = self_similarity(detail[box], inner[box])
    outside = self_similarity(detail, outer) if inside > MIN_SELF_SIMILARITY else 0.0
    heatmap[inner] = np.clip(inside, 0, 1)
    return Measurement((inside, inside - outside), heatmap)


def unfamiliar_fill(view: HoleView) -> Measurement:
    """Measure how far the fill is from its surroundings, by the features of the click encoder.

    The numbers are the log of the distance over windows, and the novelty, see
    ``verify.coherence``; 0 if the hole has no surroundings.
    """
    features = _fill_features(view)
    distance = coherence.window_distance(features)
    novelty = coherence.novelty(features)
    if distance is None or novelty is None:
        return Measurement((0.0, 0.0), np.zeros(view.hole.shape, np.float32))
    cells = coherence.novel_cells(features)
    heatmap = cv2.resize(cells, view.hole.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return Measurement(
        (log(distance + NEGLIGIBLE_DISTANCE), novelty), np.asarray(heatmap * view.hole, np.float32)
    )


def unexpected_fill(view: HoleView) -> Measurement:
    """Measure how far the fill is from what the background network paints in the hole.

    The number is the log of the mean squared distance of their features of the click encoder, at
    most 4 before the logarithm. Nothing of the object is read, so it tells what does not belong
    there, whatever made the fill. A squared distance of 1 or more is 1 in the heatmap.
    """
    found, expected = _fill_features(view), _expected_features(view)
    distances = np.square(found.values - expected.values).sum(2) * found.hole
    number = log(float(distances[found.hole].mean()) + NEGLIGIBLE_DISTANCE)
    heatmap = cv2.resize(distances, view.hole.shape[::-1])
    return Measurement((number,), np.asarray(heatmap.clip(0, 1) * view.hole, np.float32))


def _fill_features(view: HoleView) -> coherence.HoleFeatures:
    network = shipped_click_network()
    return coherence.hole_features(view.result, view.alpha, view.window, network, COHERENCE_SIDE)


def _expected_features(view: HoleView) -> coherence.HoleFeatures:
    """Return the features of the background network's picture in place of the fill."""
    x0, y0, x1, y1 = hole_box = box_in_photo(view.alpha, view.window)
    crop = plan([hole_box], view.alpha.shape[:2], SURROUNDINGS)[0].box
    hole = view.alpha[crop.slices] > 0
    expected = paint_background(view.result[crop.slices], hole)
    place = Box(x0 - crop.x0, y0 - crop.y0, x1 - crop.x0, y1 - crop.y0)
    return coherence.hole_features(expected, hole, place, shipped_click_network(), COHERENCE_SIDE)


def detail(view: HoleView) -> Measurement:
    """Measure how detailed the surroundings are: a fill of detailed ones is seldom convincing.

    The number is the log of the median gradient of the lightness outside the hole, slightly
    blurred, per view px.
    """
    gradient = gradient_magnitude(view.after_blurred[..., :1])
    outside = gradient[~view.hole] if not view.hole.all() else gradient
    number = log(float(np.median(outside)) + NEGLIGIBLE_GRADIENT)
    return Measurement((number,), view.hole.astype(np.float32))
