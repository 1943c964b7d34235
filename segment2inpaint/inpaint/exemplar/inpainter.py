"""The exemplar fill: a hole is filled with pieces of its surroundings; no weights are needed.

Coarse to fine: at each level of a pyramid, a field of nearest patches and the picture in the
hole improve each other in turn. The structure is found at a coarse level, in two ways: by
patches from the border inwards, which never repeats what does not fit, and by few offsets,
which continues edges better; the patches' cost decides between them. Both are painted to
the end, and the one taken is moved towards the other where the two agree.

Sources: Wexler, Shechtman, Irani 2007 (the energy and how it is minimised); Newson et al. 2014
(texture features, onion peel); and those in ``patchmatch``, ``shiftmap`` and ``poisson``.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence

import cv2
import numpy as np

from segment2inpaint.inpaint.exemplar.jit import Array, cold
from segment2inpaint.inpaint.exemplar.patchmatch import BANDS, VOTE, improve, repaint, search
from segment2inpaint.inpaint.exemplar.poisson import BLEND, blend
from segment2inpaint.inpaint.exemplar.pyramid import (
    FADE,
    RADIUS,
    PyramidLevel,
    anywhere,
    doubled,
    pyramid,
)
from segment2inpaint.inpaint.exemplar.shiftmap import guess
from segment2inpaint.inpaint.exemplar.thread_pool import PatchJobRunner, pool
from segment2inpaint.inpaint.smooth import smooth
from segment2inpaint.protocols import Crop, InputSpec, ProgressCallback, no_progress
from segment2inpaint.types import BinaryMask, Fill, Image

STAGE = "filling from the surroundings"
COMPILING = "compiling the fill, this once"
GUESSED = 2500  # hole px, at most, at the level where the structure is found
DEARER = 1.06  # the offsets' structure is taken if its patches cost at most so much more
SOFT, SHARP = 5.0, 1.5  # how much the patches blend: after the peel, after the offsets
ROUNDS = 2  # at the finest level; more where it is cheap
PASSES = 2  # of the search in each round
OTHER = 100_003  # added to the seed for the second structure
AGREED = 18.0  # grey levels by which two tries may differ and still agree ...
AROUND = 3.0  # ... px around
REACH = 8  # px of random search once the structure is found
STRUCTURE = 15  # rounds, about, that finding the structure takes
THIN = 3.5  # px of depth below which a hole has no structure to find
GREY = 127  # where nothing at all is known

Field = tuple[Array, Array, float]  # centres (T, 2) int32, costs (T,) float32, softness


class ExemplarInpainter:
    """Fills by copying from the surroundings: never from ``bits``, the same for the same seed.

    Another seed is another try; odd ones take the structure that lost.
    """

    name = "exemplar"
    input_spec = InputSpec(padding=1.0, min_side=256)

    def __init__(self, threads: int | None = None) -> None:
        """``threads`` to work with, None: all there are. The result does not depend on it."""
        self.threads = threads or os.cpu_count() or 1

    def inpaint(
        self, crops: Sequence[Crop], fill: Fill, progress: ProgressCallback = no_progress
    ) -> list[Image]:
        """Each crop with its ``bits`` filled from its other pixels.

        Where there is too little to copy from, a smooth fill takes its place, with a warning.
        """
        painted = []
        if crops and cold(improve):
            _compile(progress)
        with pool(min(self.threads, BANDS)) as threads:
            for done, crop in enumerate(crops):
                work = PatchJobRunner(threads.map, _teller(progress, done, len(crops)))
                painted.append(_painted(crop, crop.seed % 2 == 1, work))
        progress(STAGE, 1.0)
        return painted


def _teller(progress: ProgressCallback, done: int, count: int) -> Callable[[float], None]:
    progress(STAGE, done / count)
    return lambda share: progress(STAGE, (done + share) / count)


def _compile(progress: ProgressCallback) -> None:
    """Call every kernel once, on next to nothing."""
    progress(COMPILING, 0.0)
    image = np.zeros((48, 48, 3), np.uint8)
    bits = np.zeros((48, 48), bool)
    bits[16:32, 16:32] = True
    _painted(Crop(image, bits), False, PatchJobRunner(map, lambda share: progress(COMPILING, 0.0)))


def _painted(crop: Crop, second: bool, work: PatchJobRunner) -> Image:
    if not crop.mask.any():
        return crop.image.copy()
    levels = pyramid(crop.image, crop.mask)
    if not levels:
        return _plain(crop.image, crop.mask)
    made, *other = _solved(levels, second, crop.seed, work)
    if other:
        made = _agreed(levels[0], made, other[0])
    inner = levels[0].pixels - RADIUS
    out = crop.image.copy()
    out[inner[:, 0], inner[:, 1]] = np.clip(np.rint(made), 0, 255)
    return out


def _plain(image: Image, bits: BinaryMask) -> Image:
    warnings.warn("too little around the hole to copy from: filled smoothly", stacklevel=3)
    return np.full_like(image, GREY) if bits.all() else smooth(image, bits)


def _solved(
    levels: list[PyramidLevel], second: bool, seed: int, work: PatchJobRunner
) -> list[Array]:
    """Paint the hole of all levels; returns the finest one's pixels (P, 3), once or twice.

    First from the structure that is taken, then, where there was a choice, from the other,
    which is worth only half the rounds.
    """
    middle = next((n for n, v in enumerate(levels) if len(v.pixels) <= GUESSED), len(levels) - 1)
    work.plan(_units(levels, middle))
    made = []
    for turn, (field, picture) in enumerate(_structures(levels[middle:], second, seed, work)):
        levels[middle].view[levels[middle].hole] = picture
        for n in range(middle - 1, -1, -1):
            again, start = _rounds(n) // (1 + turn), seed + turn * OTHER
            field = _finer(levels[n], levels[n + 1], field, start, work, rounds=again, reach=REACH)
        made.append(blend(levels[0], field[0], field[1], work))
    return made


def _agreed(level: PyramidLevel, made: Array, other: Array) -> Array:
    """``made``, and near to their mean wherever the ``other`` says much the same.

    Two tries that agree are both right but for their grain; where they do not, a mean would
    only be haze.
    """
    apart = np.zeros(level.hole.shape, np.float32)
    apart[level.hole] = ((made - other) ** 2).max(axis=1)
    near = cv2.GaussianBlur(apart, (0, 0), AROUND)[level.hole]
    say = np.exp(-near / AGREED**2)[:, None]
    return np.asarray(made + say / (1 + say) * (other - made))


def _rounds(n: int) -> int:
    """How often the level number ``n`` is searched and repainted."""
    return ROUNDS + min(2 * n, 4)


def _units(levels: list[PyramidLevel], middle: int) -> float:
    """What all this takes, near enough, in looks at a patch."""
    once = [PASSES * len(v.targets) + VOTE * len(v.pixels) for v in levels]
    finer = sum(1.5 * _rounds(n) * once[n] for n in range(middle))
    return finer + 2 * BLEND * len(levels[0].pixels) + STRUCTURE * sum(once[middle:])


def _structures(
    levels: list[PyramidLevel], second: bool, seed: int, work: PatchJobRunner
) -> list[tuple[Field, Array]]:
    """Paint the first of some coarse levels in two ways, the better first, or the ``second``."""
    level = levels[0]
    peeled = _peeled(levels, seed, work)
    first = peeled, level.view[level.hole]
    if level.weight[level.hole].min() > FADE**-THIN:
        return [first]
    limit = DEARER * _energy(level, peeled, seed, work)
    start = guess(level, seed, work)
    offsets = _settled(level, start, SHARP, seed, work, rounds=3, reach=REACH)
    found = [first, (offsets, level.view[level.hole])]
    cheap = _energy(level, offsets, seed, work) <= limit
    return found[::-1] if cheap != second else found


def _peeled(levels: list[PyramidLevel], seed: int, work: PatchJobRunner) -> Field:
    """Fill the coarsest hole layer by layer from its border, then the finer ones from that."""
    level = levels[-1]
    nnf = anywhere(level, len(level.targets), seed)
    left = level.hole.copy()
    while left.any():
        weight = np.where(left, 0, level.weight).astype(np.float32)
        nnf, cost = search(level, nnf, weight, work, seed=seed, passes=4)
        done = ((level.hole | level.known) & ~left).astype(np.uint8)
        layer = left & (cv2.dilate(done, np.ones((3, 3), np.uint8)) > 0)
        layer = layer if layer.any() else left
        repaint(level, nnf, cost, np.argwhere(layer).astype(np.int32), work, SOFT)
        left = left & ~layer
    field = _settled(level, nnf, SOFT, seed, work, rounds=8)
    for n in range(len(levels) - 2, -1, -1):
        field = _finer(levels[n], levels[n + 1], field, seed, work, rounds=4)
    return field


def _finer(
    level: PyramidLevel,
    coarse: PyramidLevel,
    field: Field,
    seed: int,
    work: PatchJobRunner,
    *,
    rounds: int,
    reach: int = 0,
) -> Field:
    """Paint the level from the field of the coarser one, and settle it."""
    nnf = doubled(level, coarse, field[0], seed)
    repaint(level, nnf, np.zeros(len(nnf), np.float32), level.pixels, work, SOFT)
    return _settled(level, nnf, field[2], seed, work, rounds=rounds, reach=reach)


def _settled(
    level: PyramidLevel,
    nnf: Array,
    softness: float,
    seed: int,
    work: PatchJobRunner,
    *,
    rounds: int,
    reach: int = 0,
) -> Field:
    """Search and repaint in turn."""
    for turn in range(rounds):
        nnf, cost = search(
            level, nnf, level.weight, work, seed=seed + turn, passes=PASSES, reach=reach
        )
        repaint(level, nnf, cost, level.pixels, work, softness)
    return nnf, cost, softness


def _energy(level: PyramidLevel, field: Field, seed: int, work: PatchJobRunner) -> float:
    """The mean root of the cost of all patches of the picture as it is."""
    cost = search(level, field[0], level.weight, work, seed=seed, passes=1, reach=REACH)[1]
    return float(np.sqrt(cost).mean())
