"""A picture as a graph of a few hundred superpixels, small enough for many trial cuts."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from segment2inpaint.detect.builtin.features import (
    FloatArray,
    IntArray,
    color_words,
    lab,
    slopes,
    softened,
    texture,
)
from segment2inpaint.types import Image

COMPACT = 10.0  # CIE76 that a superpixel's width weighs as much as (SLIC's m)
ROUNDS = 3
BIN = 7.0  # side of a colour word in L*a*b*
SPREAD = 5.0  # how far a colour word counts for its neighbours, CIE76
TEXTURE = 0.25  # weight of a texture difference beside the gradient's 1


@dataclass(frozen=True, eq=False)
class SuperpixelGraph:
    """K superpixels, E pairs of neighbours.

    ``labels`` (h, w): the superpixel of each pixel. ``area`` (K,): pixels. ``rim`` (K,): pixels
    on the picture's border. ``center`` (K, 2): mean x, y. ``ends`` (2, E), ``length`` (E,): px of
    common boundary. ``edge`` (E,): boundary strength, 1 in the root mean square. ``rank`` (E,):
    share of weaker ones. ``features`` (K, 15): mean L*a*b*, texture. ``words`` (K, V): pixels of
    each colour. ``spread`` (K, V): the same, counted for near colours too.
    """

    labels: IntArray
    area: FloatArray
    rim: FloatArray
    center: FloatArray
    ends: IntArray
    length: FloatArray
    edge: FloatArray
    rank: FloatArray
    features: FloatArray
    words: FloatArray
    spread: FloatArray

    @property
    def scale(self) -> float:
        """Side of a square as large as the picture, px."""
        return float(np.sqrt(self.area.sum()))


def superpixel_graph(image: Image, number: int) -> SuperpixelGraph:
    """About ``number`` superpixels of an (h, w, 3) picture of at least 2 x 2 px."""
    labels = slic(image, number)
    flat, count = labels.ravel(), int(labels.max()) + 1
    area = np.bincount(flat, minlength=count).astype(np.float32)

    def mean(plane: FloatArray) -> FloatArray:
        total: FloatArray = (np.bincount(flat, plane.ravel(), count) / area).astype(np.float32)
        return total

    colors = lab(image)
    grain = np.stack([mean(plane) for plane in texture(colors[..., 0])], 1)
    color = np.stack([mean(colors[..., i]) for i in range(3)], 1)
    ends, length, gradient = _boundaries(labels, _gradient(image))
    difference = np.linalg.norm(color[ends[0]] - color[ends[1]], axis=1)
    roughness = np.linalg.norm(grain[ends[0]] - grain[ends[1]], axis=1)
    edge = gradient + difference / 2 + TEXTURE * roughness
    y, x = np.mgrid[: labels.shape[0], : labels.shape[1]].astype(np.float32)
    border = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    words, spread = _words(softened(image), labels, count)
    return SuperpixelGraph(
        labels=labels,
        area=area,
        rim=np.bincount(border, minlength=count).astype(np.float32),
        center=np.stack([mean(x), mean(y)], 1),
        ends=ends,
        length=length,
        edge=edge / max(float(np.sqrt((edge**2).mean())), 1e-6),
        rank=(edge.argsort().argsort() / max(len(edge), 1)).astype(np.float32),
        features=np.hstack([color, grain / 2]),
        words=words,
        spread=spread,
    )


def slic(image: Image, number: int) -> IntArray:
    """Superpixels by k-means in colour and place (SLIC, Achanta et al. 2012), from 0 on."""
    height, width = image.shape[:2]
    step = max(1.0, float(np.sqrt(height * width / number)))
    rows, columns = max(1, round(height / step)), max(1, round(width / step))
    y, x = np.mgrid[:height, :width]
    points = np.dstack([softened(image), np.dstack([x, y]) * COMPACT / step])
    points = points.reshape(-1, 5).astype(np.float32)
    row, column = (y * rows // height).ravel(), (x * columns // width).ravel()
    near = [
        np.clip(row + i, 0, rows - 1) * columns + np.clip(column + j, 0, columns - 1)
        for i in (-1, 0, 1)
        for j in (-1, 0, 1)
    ]
    labels = row * columns + column
    for _ in range(ROUNDS):
        size = np.maximum(np.bincount(labels, minlength=rows * columns), 1)
        means = [np.bincount(labels, p, rows * columns) / size for p in points.T]
        labels = _nearest(points, np.stack(means, 1).astype(np.float32), near)
    found: IntArray = np.unique(labels, return_inverse=True)[1].reshape(height, width)
    return found


def _nearest(points: FloatArray, means: FloatArray, near: list[IntArray]) -> IntArray:
    """For each point the nearest of its nine candidate means."""
    best = np.full(len(points), np.inf, np.float32)
    labels, away = near[0].copy(), np.empty_like(points)
    for candidate in near:
        means.take(candidate, axis=0, out=away, mode="clip")  # other modes make a copy first
        np.subtract(points, away, out=away)
        distance = np.einsum("ij,ij->i", away, away)
        closer = distance < best
        np.copyto(best, distance, where=closer)
        np.copyto(labels, candidate, where=closer)
    return labels


def _gradient(image: Image) -> FloatArray:
    x, y = slopes(lab(cv2.GaussianBlur(image, (0, 0), 1.0)))
    size: FloatArray = np.sqrt((x**2 + y**2).sum(axis=2))
    return size


def _boundaries(labels: IntArray, gradient: FloatArray) -> tuple[IntArray, FloatArray, FloatArray]:
    """Pairs of neighbours (2, E), the length of their boundary, the mean gradient on it."""
    count = int(labels.max()) + 1
    keys, values = [], []
    for a, b in (np.s_[:, :-1], np.s_[:, 1:]), (np.s_[:-1], np.s_[1:]):
        apart = labels[a] != labels[b]
        first, second = labels[a][apart], labels[b][apart]
        keys.append(np.minimum(first, second) * count + np.maximum(first, second))
        values.append(np.maximum(gradient[a], gradient[b])[apart])
    key, pair = np.unique(np.concatenate(keys), return_inverse=True)
    length = np.bincount(pair, minlength=len(key)).astype(np.float32)
    strength = np.bincount(pair, np.concatenate(values), len(key)) / np.maximum(length, 1)
    return np.stack(np.divmod(key, count)), length, strength.astype(np.float32)


def _words(lab: FloatArray, labels: IntArray, count: int) -> tuple[FloatArray, FloatArray]:
    """Histograms of the superpixels over the colours that the picture has."""
    word, near = color_words(lab, BIN, SPREAD)
    number = len(near)
    histogram = np.bincount(labels.ravel() * number + word, minlength=count * number)
    words = histogram.reshape(count, number).astype(np.float32)
    return words, words @ near
