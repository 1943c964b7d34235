"""The exemplar fill's last step: copy pixels, and blend the copies in the gradient domain.

Averaged patches lose grain; copied pixels keep it but show seams. So the differences between
neighbours are copied, and the picture is the one that has them and meets the hole's border.

Sources: Perez et al. 2003 (Poisson blending); Darabi et al. 2012 (screened: pulled to the vote).
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call"
# The kernels take arrays and numbers as numba sees them, without annotations.

from __future__ import annotations

import numpy as np

from segment2inpaint.inpaint.exemplar.jit import Array, compiled
from segment2inpaint.inpaint.exemplar.pyramid import CHANNELS, RADIUS, PyramidLevel
from segment2inpaint.inpaint.exemplar.thread_pool import PatchJobRunner

PULL = 0.02  # towards the vote: a step at the border is forgotten after PULL ** -0.5 px
ROUNDS = 60  # of relaxation
OVER = 1.7  # over-relaxation
BLEND = 1.0  # what a pixel's relaxation takes, in looks at a patch
CENTRED = 0.02  # a patch costs so much more for a pixel by each squared px from its centre


def blend(level: PyramidLevel, nnf: Array, cost: Array, work: PatchJobRunner) -> Array:
    """The hole's pixels, (P, 3) float32, in place of the averages that ``flat`` holds."""
    chosen = np.zeros((len(level.pixels), 2), np.int32)
    _choose(level.pixels, level.index, nnf, cost, chosen)
    inside = level.hole | level.known
    steps = np.zeros((len(chosen), 3), np.float32)
    links = np.zeros((len(chosen), 4), np.int32)
    used = np.zeros(len(chosen), np.float32)
    _guide(level.flat, level.pixels, level.number, inside, level.known, chosen, steps, links, used)
    wanted = np.ascontiguousarray(level.view[level.hole][:, :3])
    made = level.view[chosen[:, 0], chosen[:, 1], :3]
    for turn in range(ROUNDS):
        _relax(made, wanted, steps, links, used, np.float32(PULL), turn % 2)
        work.did(BLEND * len(made) / ROUNDS)
    return made


@compiled
def _choose(pixels, index, nnf, cost, chosen):
    """The source pixel of each pixel: what the best of the patches over it puts there."""
    for p in range(len(pixels)):
        y, x = pixels[p]
        least = np.float32(np.inf)
        for dy in range(-RADIUS, RADIUS + 1):
            for dx in range(-RADIUS, RADIUS + 1):
                i = index[y + dy, x + dx]
                if i >= 0:
                    c = cost[i] * (1 + np.float32(CENTRED) * (dy * dy + dx * dx))
                    if c < least:
                        least = c
                        chosen[p, 0], chosen[p, 1] = nnf[i, 0] - dy, nnf[i, 1] - dx


@compiled
def _guide(flat, pixels, number, inside, known, chosen, steps, links, used):
    """Fill in the right-hand side: for each pixel the sum of wanted steps from its neighbours.

    ``links`` (P, 4) are the neighbours' numbers, -1 if not in the hole; ``used`` (P,) how many
    neighbours there are.
    """
    for p in range(len(pixels)):
        y, x = pixels[p]
        sy, sx = chosen[p]
        for w in range(4):
            dy, dx = (-1, 1, 0, 0)[w], (0, 0, -1, 1)[w]
            links[p, w] = -1
            if not inside[y + dy, x + dx]:
                continue
            used[p] += 1
            q = number[y + dy, x + dx]
            links[p, w] = q
            here = known[sy + dy, sx + dx]
            there = q >= 0 and known[chosen[q, 0] - dy, chosen[q, 1] - dx]
            for c in range(3):
                step = np.float32(0.0)
                if here:
                    ours = flat[sy + dy, (sx + dx) * CHANNELS + c]
                    step += flat[sy, sx * CHANNELS + c] - ours
                if there:
                    ours = flat[chosen[q, 0] - dy, (chosen[q, 1] - dx) * CHANNELS + c]
                    step += ours - flat[chosen[q, 0], chosen[q, 1] * CHANNELS + c]
                if here and there:
                    step /= 2
                if q < 0:
                    step += flat[y + dy, (x + dx) * CHANNELS + c]
                steps[p, c] += step


@compiled
def _relax(made, wanted, steps, links, used, pull, back):
    """One sweep of successive over-relaxation of the screened Poisson equation, in place."""
    for n in range(len(made)):
        p = len(made) - 1 - n if back else n
        for c in range(3):
            total = steps[p, c] + pull * wanted[p, c]
            for w in range(4):
                if links[p, w] >= 0:
                    total += made[links[p, w], c]
            wish = total / (used[p] + pull)
            made[p, c] += np.float32(OVER) * (wish - made[p, c])
