"""What a removal left to see: a few statistics of the hole and of what surrounds it.

Everything is measured in a ``View``: the photo before and after in a crop round the hole, at most
256 px long, in CIE L*a*b*. Each function gives an ``Evidence``: some numbers that are larger the
surer the fault is, and where in the view it shows. What the numbers mean is for ``verify``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import hypot, log1p, sqrt

import cv2
import numpy as np
from numpy.typing import NDArray

from segment2inpaint.types import Alpha, BinaryMask, Box, Image, bounding_box

FloatArray = NDArray[np.float32]
Places = NDArray[np.intp]

LONG = 256  # px of a view's long side, at most
CONTEXT = 0.5  # of the hole's diagonal, each side
LEAST = 24  # photo px of context
STEPS = range(-12, 20)  # px from the edge of alpha, where gradients are compared
BEYOND = 2  # px from the hole from which more of the object counts
LITTLE = 0.02  # of the object's area: hardly more than nothing
REPEATED = 0.3  # correlation below which nothing repeats, whatever there is around it
FEW, MANY = 200, 500  # pixels that are asked, and that they are compared with
SHIFT = 7.0  # px: a texture is like itself over less


@dataclass(frozen=True, eq=False)
class HoleView:
    """``before`` and ``after`` (h, w, 3) L*a*b*, ``hole`` where alpha > 0, ``bits`` the object.

    ``out`` and ``inn`` are the distances in px from the hole, and from what surrounds it.
    ``box`` is the view's place in the photo, ``shown`` the crop after the removal in RGB. ``more``
    (h, w) in [0, 1] is how likely each place belongs to the object; 0 where nobody was asked.
    """

    before: FloatArray
    after: FloatArray
    hole: BinaryMask
    bits: BinaryMask
    out: FloatArray
    inn: FloatArray
    box: Box
    shown: Image
    more: FloatArray

    @cached_property
    def soft(self) -> FloatArray:
        """``after``, slightly blurred."""
        return blur(self.after, 1)

    @cached_property
    def broad(self) -> FloatArray:
        """``after``, blurred."""
        return blur(self.after, 3)

    @cached_property
    def edges(self) -> FloatArray:
        """The gradient's size in ``after``."""
        return strength(self.after)


@dataclass(frozen=True, eq=False)
class Measurement:
    """``numbers``: larger is worse. ``where``: (h, w) in [0, 1], the size of the view."""

    numbers: tuple[float, ...]
    where: Alpha


def hole_view(before: Image, after: Image, alpha: Alpha, bits: BinaryMask, window: Box) -> HoleView:
    """The view of the hole in ``window``: where ``alpha`` > 0; the object was at ``bits``."""
    x0, y0, x1, y1 = bounding_box(alpha[window.slices] > 0)
    hole = Box(window.x0 + x0, window.y0 + y0, window.x0 + x1, window.y0 + y1)
    margin = max(LEAST, round(CONTEXT * hypot(hole.width, hole.height)))
    box = hole.grown(margin, (bits.shape[0], bits.shape[1]))
    scale = min(1.0, LONG / max(box.width, box.height))
    size = max(1, round(box.width * scale)), max(1, round(box.height * scale))
    painted = alpha[hole.slices] > 0

    def seen(part: Image | FloatArray) -> NDArray[np.float32]:
        return np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA))

    def laid(own: BinaryMask) -> NDArray[np.float32]:
        whole = np.zeros((box.height, box.width), np.float32)
        at = Box(hole.x0 - box.x0, hole.y0 - box.y0, hole.x1 - box.x0, hole.y1 - box.y0)
        whole[at.slices] = own
        return seen(whole)

    inside = laid(painted) > 0
    shown = seen(after[box.slices]).astype(np.uint8)
    return HoleView(
        lab(seen(before[box.slices]).astype(np.uint8)), lab(shown), inside,
        laid(bits[hole.slices] & painted) > 0.5, distance(~inside), distance(inside), box, shown,
        np.zeros(inside.shape, np.float32),
    )  # fmt: skip


def lab(image: Image) -> FloatArray:
    return np.asarray(cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2LAB))


def blur(a: FloatArray, sigma: float) -> FloatArray:
    return np.asarray(cv2.GaussianBlur(np.asarray(a, np.float32), (0, 0), sigma))


def distance(bits: BinaryMask) -> FloatArray:
    """Of every True pixel from the nearest False one, in px."""
    return np.asarray(cv2.distanceTransform(bits.astype(np.uint8), cv2.DIST_L2, 5))


def sample(bits: BinaryMask, most: int) -> Places:
    """Flat places of True pixels, evenly ``most`` of them at most."""
    places = np.flatnonzero(bits)
    if len(places) <= most:
        return places
    return places[np.linspace(0, len(places) - 1, most).astype(np.intp)]


def squares(queries: FloatArray, samples: FloatArray) -> FloatArray:
    """(Q, S) squared Euclidean distances between rows."""
    return np.asarray((queries**2).sum(1)[:, None] + (samples**2).sum(1) - 2 * queries @ samples.T)


def nearest(queries: FloatArray, samples: FloatArray, which: int = 0) -> FloatArray:
    """(Q,) distances to the nearest of the samples, or to that after ``which`` nearer ones."""
    found = squares(queries, samples)
    least = np.partition(found, which, axis=1)[:, which] if which else found.min(1)
    return np.asarray(np.sqrt(np.maximum(least, 0)))


def described(places: Places, weight: float, *maps: FloatArray) -> FloatArray:
    """A row for each place: the values of the maps there and, times ``weight``, the place."""
    width = maps[0].shape[1]
    at = weight * np.column_stack([places % width, places // width]).astype(np.float32)
    values = [a.reshape(len(a) * width, -1)[places] for a in maps]
    return np.hstack([*values, at])


def spread(values: FloatArray, bits: BinaryMask, sigma: float) -> FloatArray:
    """Mean of ``values`` over the True pixels near each pixel."""
    weight = bits.astype(np.float32)
    return blur(values * weight, sigma) / (blur(weight, sigma) + 1e-3)


# --- the old object --------------------------------------------------------------------------


def leftover(seen: HoleView) -> Measurement:
    """Pixels outside the hole that look like the object, not like what lies further out.

    Just outside, compared with sampled colours and places: the 4th nearest of the object, and
    the 6th of the rest, as some of the object may lie there too. And in a wider band, by colour
    alone, as more of the object may lie there than was taken: the object's against those that
    at least a 20th of the rest has. And how much there belongs to the object by ``more``.
    """
    near, far = (seen.out > 0) & (seen.out <= 3), (seen.out > 8) & (seen.out < 64)
    where = np.zeros(seen.hole.shape, np.float32)
    if not near.any() or np.count_nonzero(far) < 9 or np.count_nonzero(seen.bits) < 9:
        return Measurement((0.0, 0.0, 0.0), where)
    ask, soft = sample(near, FEW), blur(seen.before, 0.7)
    rows, own, rest = (
        described(places, 0.15, soft)
        for places in (ask, sample(seen.bits, MANY), sample(far, MANY))
    )
    to_object, to_rest = nearest(rows, own, 3), nearest(rows, rest, 5)
    odds, asked = np.zeros_like(where), np.zeros_like(near)
    odds.flat[ask] = np.clip(np.log((to_rest + 5) / (to_object + 5)), -1, 1.5)
    asked.flat[ask] = True
    odds = spread(odds, asked, 3)
    where[near] = np.clip(odds[near], 0, 1)
    beyond = seen.more * (distance(~_filled(seen.hole)) > BEYOND)
    share = float(beyond.sum()) / np.count_nonzero(seen.bits)
    numbers = float(np.quantile(odds[asked], 0.98)), _alike(seen), log1p(share / LITTLE)
    return Measurement(numbers, np.maximum(where, beyond))


def _filled(bits: BinaryMask) -> BinaryMask:
    """The mask with all that it encloses: between spokes a network sees the wheel."""
    outer, _ = cv2.findContours(bits.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    whole = cv2.drawContours(np.zeros(bits.shape, np.uint8), outer, -1, 1, cv2.FILLED)
    return np.asarray(whole > 0)


def _alike(seen: HoleView) -> float:
    """How much likelier than by the surroundings' colours a few pixels are by the object's."""
    soft, near, far = blur(seen.before, 1), (seen.out > 1) & (seen.out <= 24), seen.out > 8
    ask, own, rest = (
        described(sample(bits, MANY), 0, soft) for bits in (near, seen.bits, far & (seen.out < 128))
    )
    to_object, to_rest = (
        nearest(ask, own, min(7, len(own) - 1)),
        nearest(ask, rest, len(rest) // 20),
    )
    return float(np.quantile(np.log((to_rest + 4) / (to_object + 4)), 0.98))


def ghost(seen: HoleView) -> Measurement:
    """How far the gradients of the old object are still there: their correlation, local and whole.

    Only on the object: beside it, before and after are alike by right.
    """
    where = np.zeros(seen.hole.shape, np.float32)
    if not seen.bits.any():
        return Measurement((0.0, 0.0), where)
    height, width = seen.bits.shape
    part = bounding_box(seen.bits).grown(16, (height, width)).slices
    bits = seen.bits[part]
    old, new = gradients(blur(seen.before[part], 1)), gradients(seen.soft[part])
    inside = (bits & (seen.inn[part] > 3)).astype(np.float32)
    both, of_old, of_new = (
        np.einsum("ijk,ijk->ij", a, b) * inside for a, b in ((old, new), (old, old), (new, new))
    )
    whole = both.sum() / sqrt(of_old.sum() * of_new.sum() + 1)
    floor = (100 * blur(inside, 4)) ** 2
    local = blur(both, 4) / np.sqrt(blur(of_old, 4) * blur(of_new, 4) + floor + 1e-3)
    where[part] = np.clip(local, 0, 1) * bits
    return Measurement((float(whole), float(local[bits].mean())), where)


def gradients(maps: FloatArray) -> FloatArray:
    """(h, w, 2 C): along x, along y, by Sobel's filter."""
    return np.dstack([cv2.Sobel(maps, cv2.CV_32F, 1, 0), cv2.Sobel(maps, cv2.CV_32F, 0, 1)])


def strength(maps: FloatArray) -> FloatArray:
    """Size of the gradient over all channels, per px."""
    slopes = gradients(maps)
    size: FloatArray = np.sqrt(np.einsum("ijk,ijk->ij", slopes, slopes)) / 8
    return size


# --- what the fill brought --------------------------------------------------------------------


def unexplained_object(seen: HoleView) -> Measurement:
    """What the fill shows and its surroundings do not: the distance to the nearest of them.

    In colour at two scales, grain and place; against how far the surroundings' inner ring is
    from their outer one. And edges that are stronger than outside.
    """
    fine = seen.after - blur(seen.after, 1.5)
    grain = np.sqrt(blur(np.einsum("ijk,ijk->ij", fine, fine), 2))
    ask = sample(seen.inn > 1, FEW)
    around, near = sample(seen.out > 2, MANY), sample((seen.out > 2) & (seen.out < 12), FEW)
    far = sample(seen.out > 18, MANY)
    where = np.zeros(seen.hole.shape, np.float32)
    if len(ask) < 9 or len(near) < 9 or len(far) < 9:
        return Measurement((0.0, 0.0), where)
    asked = np.zeros(seen.hole.shape, np.bool_)
    asked.flat[ask] = True
    rows = [
        described(places, 0.05, seen.soft, seen.broad, grain) for places in (ask, around, near, far)
    ]
    where.flat[ask] = nearest(rows[0], rows[1])
    where = spread(where, asked, 4)
    usual = float(np.quantile(nearest(rows[2], rows[3]), 0.9)) + 3
    strangeness = float(np.quantile(where[asked], 0.95)) / usual
    inside, outside = (np.quantile(seen.edges[m], 0.95) for m in (seen.inn > 1, seen.out > 2))
    shown = np.clip(where / usual - 0.5, 0, 1) * seen.hole
    return Measurement(
        (float(np.log(strangeness + 0.1)), float(np.log((inside + 1.2) / (outside + 1.2)))),
        shown.astype(np.float32),
    )


def seam(seen: HoleView) -> Measurement:
    """Edges along the edge of alpha, stronger than along parallels to it on both sides.

    And another colour on one side of it than on the other.
    """
    signed = np.where(seen.hole, 0.5 - seen.inn, seen.out - 0.5)
    profile = np.array(_profile(seen.edges, signed))
    at = STEPS.index(0)
    here = profile[at - 2 : at + 2]
    beside = np.concatenate([profile[at - 9 : at - 4], profile[at + 4 : at + 14]])
    beside = beside[~np.isnan(beside)]
    where = np.clip(seen.edges / 6, 0, 1) * (np.abs(signed) < 2)
    if np.isnan(here).all() or not beside.size:
        return Measurement((0.0, 0.0, 0.0), where.astype(np.float32))
    top, usual = float(np.nanmax(here)), float(np.median(beside))
    rise = (top - usual) / (float(beside.std()) + 0.3)
    return Measurement(
        (float(np.log((top + 0.3) / (usual + 0.3))), float(np.arcsinh(rise)), _step(seen)),
        where.astype(np.float32),
    )


def _step(seen: HoleView) -> float:
    """How far colours on both sides of the hole's edge are apart, as a logarithm."""
    inner, outer = seen.hole & (seen.inn <= 6), (seen.out > 0) & (seen.out <= 6)
    apart = np.array(
        [spread(one, inner, 3) - spread(one, outer, 3) for one in cv2.split(seen.after)]
    )
    edge = seen.hole & (seen.inn <= 1.5)
    return float(np.log(np.sqrt((apart[:, edge] ** 2).sum(0)).mean() + 0.5))


def _profile(edges: FloatArray, signed: FloatArray) -> list[float]:
    """The median over each band of ``STEPS``, 1 px wide; nan where there are few."""
    near = (signed >= STEPS[0]) & (signed < STEPS[-1] + 1)
    band, values = np.floor(signed[near]), edges[near]
    bands = (values[band == t] for t in STEPS)
    return [float(np.median(one)) if len(one) > 20 else float("nan") for one in bands]


def smear(seen: HoleView) -> Measurement:
    """Less grain than places of the same colour outside, and streaks: all edges one way."""
    fine = seen.after[..., 0] - blur(seen.after[..., 0], 1.6)
    grain = np.log(blur(fine**2, 2) + 0.02)
    ask, around = sample(seen.inn > 4, MANY), sample((seen.out > 4) & (seen.out < 90), MANY)
    where = np.zeros(seen.hole.shape, np.float32)
    if len(ask) < 9 or len(around) < 20:
        return Measurement((0.0, 0.0), where)
    inside, outside = (described(places, 0.1, seen.broad) for places in (ask, around))
    alike = np.argpartition(squares(inside, outside), 9, axis=1)[:, :9]
    usual = np.quantile(grain.flat[around][alike], 0.2, axis=1)
    lack = usual - grain.flat[ask]
    where.flat[ask] = np.clip(lack / 3, 0, 1)
    streaks = _coherence(seen.after[..., 0])
    one_way = np.median(streaks.flat[ask]) - np.median(streaks.flat[around])
    return Measurement((float(np.median(lack)), float(one_way)), where)


def _coherence(grey: FloatArray) -> FloatArray:
    """Of the structure tensor, in [0, 1]: 1 where all gradients point one way."""
    soft = blur(grey, 0.7)
    x, y = (cv2.Sobel(soft, cv2.CV_32F, *way) for way in ((1, 0), (0, 1)))
    xx, yy, xy = (blur(p, 3) for p in (x * x, y * y, x * y))
    coherence: FloatArray = np.sqrt((xx - yy) ** 2 + 4 * xy**2) / (xx + yy + 0.05)
    return coherence


def repeats(seen: HoleView) -> Measurement:
    """How like the fill is to itself, shifted; less what its surroundings are."""
    grey = seen.after[..., 0] - blur(seen.after[..., 0], 3)
    inner, outer = seen.inn > 1, seen.out > 2
    where = np.zeros(seen.hole.shape, np.float32)
    if np.count_nonzero(inner) < 200 or np.count_nonzero(outer) < 200:
        return Measurement((0.0, 0.0), where)
    box = bounding_box(inner).slices
    inside = _selfsame(grey[box], inner[box])
    around = _selfsame(grey, outer) if inside > REPEATED else 0.0
    where[inner] = np.clip(inside, 0, 1)
    return Measurement((inside, inside - around), where)


def _selfsame(grey: FloatArray, bits: BinaryMask) -> float:
    """The highest masked normalised correlation with itself over a shift of 7 px or more.

    By Fourier transforms (Padfield 2012). Shifts that leave under a quarter do not count.
    """
    size = tuple(cv2.getOptimalDFTSize(2 * n) for n in bits.shape)
    values, mask = np.where(bits, grey, 0), bits.astype(np.float32)
    a, m, q = (cv2.dft(padded(p, size)) for p in (values, mask, values**2))
    both, count, one = (correlation(*pair) for pair in ((a, a), (m, m), (q, m)))
    two = np.roll(one[::-1, ::-1], 1, (0, 1))  # the other way round
    half = slice(size[0] // 2 + 1)  # the rest is the same, turned round
    both, count, one, two = (p[half] for p in (both, count, one, two))
    like = both / np.sqrt(np.maximum(one * two, 0) + (0.5 * count) ** 2 + 1)
    like[count < 0.25 * np.float32(mask.sum())] = 0
    y, x = np.nonzero(np.hypot(*np.mgrid[: min(7, len(like)), -6:7]) < SHIFT)
    like[y, (x - 6) % like.shape[1]] = 0
    return float(like.max())


def padded(a: FloatArray, size: tuple[int, ...]) -> FloatArray:
    whole = np.zeros(size, np.float32)
    whole[: a.shape[0], : a.shape[1]] = a
    return whole


def correlation(a: FloatArray, b: FloatArray) -> FloatArray:
    """Of two pictures, over all cyclic shifts, from their Fourier transforms."""
    product = cv2.mulSpectrums(a, b, 0, conjB=True)
    return np.asarray(cv2.dft(product, flags=cv2.DFT_INVERSE | cv2.DFT_REAL_OUTPUT | cv2.DFT_SCALE))
