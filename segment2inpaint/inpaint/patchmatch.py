"""Compiled kernels of the exemplar fill: patch search and voting.

All arrays are in the frame of one pyramid level, padded by ``RADIUS`` on each side.
A *target* is a patch centre whose patch touches the hole; ``index`` gives its number at each
pixel, -1 where there is none. ``nnf`` holds the source centre (y, x) of each target.
Bands of targets may run at the same time: across bands only the last pass's field is read, so
the result does not depend on the number of threads.

Source: PatchMatch, Barnes et al. 2009; weights as in Wexler, Shechtman, Irani 2007.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

RADIUS = 3  # of a patch: 7 x 7 px
SIDE = 2 * RADIUS + 1
CHANNELS = 5  # R, G, B and the two texture features
ROW = SIDE * CHANNELS


@njit(cache=True, nogil=True, fastmath=True)
def _mix(a: Any, b: Any, c: Any) -> Any:
    """A hash of three numbers, uniform in 32 bits (xorshift-multiply)."""
    h = np.uint64(a) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(b)
    h = (h ^ (h >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9) + np.uint64(c)
    h = (h ^ (h >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (h ^ (h >> np.uint64(31))) & np.uint64(0xFFFFFFFF)


@njit(cache=True, nogil=True, fastmath=True)
def _distance(flat: Any, patch: Any, weight: Any, y: Any, x: Any, stop: Any) -> Any:
    """Weighted sum of squared differences, given up once it is above ``stop``."""
    total = np.float32(0.0)
    left = (x - RADIUS) * CHANNELS
    for r in range(SIDE):
        row = flat[y - RADIUS + r]
        part = np.float32(0.0)
        for k in range(ROW):
            d = patch[r, k] - row[left + k]
            part += weight[r, k] * d * d
        total += part
        if total > stop:
            break
    return total


@njit(cache=True, nogil=True, fastmath=True)
def improve(
    flat: Any,
    weight: Any,
    targets: Any,
    index: Any,
    before: Any,
    nnf: Any,
    cost: Any,
    usable: Any,
    sources: Any,
    offsets: Any,
    span: Any,
    turn: int,
    seed: int,
) -> None:
    """One pass over the targets ``span[0]`` to ``span[1]``: propagate, then search at random.

    Reads ``before`` outside the band; writes ``nnf`` and ``cost`` in it.
    """
    height, width = usable.shape
    patch = np.empty((SIDE, ROW), np.float32)
    share = np.empty((SIDE, ROW), np.float32)
    first, last = span
    step = 1 if turn % 2 == 0 else -1
    for n in range(last - first):
        i = first + n if step == 1 else last - 1 - n
        ty = targets[i, 0]
        tx = targets[i, 1]
        mass = np.float32(0.0)
        for r in range(SIDE):
            for s in range(SIDE):
                w = weight[ty - RADIUS + r, tx - RADIUS + s]
                mass += w
                for c in range(CHANNELS):
                    k = s * CHANNELS + c
                    patch[r, k] = flat[ty - RADIUS + r, (tx - RADIUS) * CHANNELS + k]
                    share[r, k] = w
        by = nnf[i, 0]
        bx = nnf[i, 1]
        best = _distance(flat, patch, share, by, bx, np.float32(np.inf))
        for way in range(4):
            dy = step if way == 0 else -step if way == 2 else 0
            dx = step if way == 1 else -step if way == 3 else 0
            j = index[ty - dy, tx - dx]
            if j < 0:
                continue
            if first <= j < last:
                y = nnf[j, 0] + dy
                x = nnf[j, 1] + dx
            else:
                y = before[j, 0] + dy
                x = before[j, 1] + dx
            if (y != by or x != bx) and 0 <= y < height and 0 <= x < width and usable[y, x]:
                d = _distance(flat, patch, share, y, x, best)
                if d < best:
                    best, by, bx = d, y, x
        h = _mix(seed, i, turn)
        for _ in range(2):
            h = _mix(h, i, turn)
            o = np.int64(h) % len(offsets)
            y = ty + offsets[o, 0]
            x = tx + offsets[o, 1]
            if 0 <= y < height and 0 <= x < width and usable[y, x]:
                d = _distance(flat, patch, share, y, x, best)
                if d < best:
                    best, by, bx = d, y, x
        h = _mix(h, i, turn)
        o = np.int64(h) % len(sources)
        y = sources[o, 0]
        x = sources[o, 1]
        d = _distance(flat, patch, share, y, x, best)
        if d < best:
            best, by, bx = d, y, x
        reach = max(height, width) // 2
        while reach >= 1:
            h = _mix(h, i, reach)
            y = by + np.int64(h & np.uint64(0xFFFF)) % (2 * reach + 1) - reach
            x = bx + np.int64(h >> np.uint64(16)) % (2 * reach + 1) - reach
            if 0 <= y < height and 0 <= x < width and usable[y, x]:
                d = _distance(flat, patch, share, y, x, best)
                if d < best:
                    best, by, bx = d, y, x
            reach //= 2
        nnf[i, 0] = by
        nnf[i, 1] = bx
        cost[i] = best / max(mass, np.float32(1e-6))


@njit(cache=True, nogil=True, fastmath=True)
def vote(
    flat: Any,
    out: Any,
    pixels: Any,
    index: Any,
    nnf: Any,
    trust: Any,
    span: Any,
    sharpen: int,
) -> None:
    """Write each pixel as the trusted mean of what the patches over it say.

    ``sharpen`` rounds of mean shift move the mean to the nearest mode, against haze.
    """
    said = np.empty((SIDE * SIDE, CHANNELS), np.float32)
    weight = np.empty(SIDE * SIDE, np.float32)
    mean = np.empty(CHANNELS, np.float32)
    for p in range(span[0], span[1]):
        y = pixels[p, 0]
        x = pixels[p, 1]
        count = 0
        for dy in range(-RADIUS, RADIUS + 1):
            for dx in range(-RADIUS, RADIUS + 1):
                i = index[y + dy, x + dx]
                if i < 0:
                    continue
                weight[count] = trust[i]
                at = (nnf[i, 1] - dx) * CHANNELS
                for c in range(CHANNELS):
                    said[count, c] = flat[nnf[i, 0] - dy, at + c]
                count += 1
        width = np.float32(0.0)
        for turn in range(sharpen + 1):
            total = np.float32(1e-12)
            mean[:] = 0
            spread = np.float32(0.0)
            for n in range(count):
                w = weight[n]
                total += w
                for c in range(CHANNELS):
                    mean[c] += w * said[n, c]
            for c in range(CHANNELS):
                mean[c] /= total
            if turn == sharpen:
                break
            for n in range(count):
                d = np.float32(0.0)
                for c in range(3):
                    d += (said[n, c] - mean[c]) ** 2
                spread += weight[n] * d
            width = spread / total + np.float32(4.0)
            for n in range(count):
                d = np.float32(0.0)
                for c in range(3):
                    d += (said[n, c] - mean[c]) ** 2
                weight[n] *= np.exp(-d / width)
        for c in range(CHANNELS):
            out[y, x * CHANNELS + c] = mean[c]
