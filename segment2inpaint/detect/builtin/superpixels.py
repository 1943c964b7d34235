"""Turn a picture into a graph of a few hundred superpixels, small enough for many trial cuts."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from segment2inpaint.detect.builtin.features import (
    IntArray,
    color_words,
    denoised_lab,
    gradients,
    texture_planes,
)
from segment2inpaint.detect.lab import to_lab
from segment2inpaint.types import FloatArray, Image

COMPACTNESS = 10.0  # CIE76 that equals a distance of one superpixel width (SLIC's m)
SLIC_ITERATIONS = 3
COLOR_WORD_SIDE = 7.0  # CIE76
COLOR_WORD_SPREAD = 5.0  # CIE76 over which a colour word counts for similar words
TEXTURE_WEIGHT = 0.25  # of a texture difference in the boundary strength, relative to the gradient


@dataclass(frozen=True, eq=False)
class SuperpixelGraph:
    """K superpixels and E pairs of neighbours, the edges of the graph.

    Per superpixel: ``labels`` (h, w), the superpixel of each pixel; ``area`` (K,) in px;
    ``border`` (K,), its px on the picture's border; ``center`` (K, 2), mean x and y; ``features``
    (K, 15), mean L*a*b* and texture; ``words`` (K, V), its px of each colour word; ``spread``
    (K, V), the same with similar words counted too.

    Per edge: ``ends`` (2, E), the two superpixels; ``length`` (E,), px of their common boundary;
    ``edge`` (E,), the boundary's strength, scaled to a root mean square of 1; ``rank`` (E,), the
    share of weaker edges.
    """

    labels: IntArray
    area: FloatArray
    border: FloatArray
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
        """The side of a square of the picture's area, px."""
        return float(np.sqrt(self.area.sum()))


def superpixel_graph(image: Image, number: int) -> SuperpixelGraph:
    """Return the graph of about ``number`` superpixels of a picture (h, w, 3), 2 x 2 px or more."""
    labels = slic(image, number)
    flat, count = labels.ravel(), int(labels.max()) + 1
    area = np.bincount(flat, minlength=count).astype(np.float32)

    def mean(plane: FloatArray) -> FloatArray:
        total: FloatArray = (np.bincount(flat, plane.ravel(), count) / area).astype(np.float32)
        return total

    colors = to_lab(image)
    texture = np.stack([mean(plane) for plane in texture_planes(colors[..., 0])], 1)
    color = np.stack([mean(colors[..., i]) for i in range(3)], 1)
    ends, length, gradient = _boundaries(labels, _gradient(image))
    color_difference = np.linalg.norm(color[ends[0]] - color[ends[1]], axis=1)
    texture_difference = np.linalg.norm(texture[ends[0]] - texture[ends[1]], axis=1)
    edge = gradient + color_difference / 2 + TEXTURE_WEIGHT * texture_difference
    y, x = np.mgrid[: labels.shape[0], : labels.shape[1]].astype(np.float32)
    border = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    words, spread = _words(denoised_lab(image), labels, count)
    return SuperpixelGraph(
        labels=labels,
        area=area,
        border=np.bincount(border, minlength=count).astype(np.float32),
        center=np.stack([mean(x), mean(y)], 1),
        ends=ends,
        length=length,
        edge=edge / max(float(np.sqrt((edge**2).mean())), 1e-6),
        rank=(edge.argsort().argsort() / max(len(edge), 1)).astype(np.float32),
        features=np.hstack([color, texture / 2]),
        words=words,
        spread=spread,
    )


def slic(image: Image, number: int) -> IntArray:
    """Return superpixel labels (h, w), from 0, by k-means in colour and place.

    The method is SLIC (Achanta et al. 2012).
    """
    height, width = image.shape[:2]
    step = max(1.0, float(np.sqrt(height * width / number)))
    rows, columns = max(1, round(height / step)), max(1, round(width / step))
    y, x = np.mgrid[:height, :width]
    points = np.dstack([denoised_lab(image), np.dstack([x, y]) * COMPACTNESS / step])
    points = points.reshape(-1, 5).astype(np.float32)
    row, column = (y * rows // height).ravel(), (x * columns // width).ravel()
    near = [
        np.clip(row + i, 0, rows - 1) * columns + np.clip(column + j, 0, columns - 1)
        for i in (-1, 0, 1)
        for j in (-1, 0, 1)
    ]
    labels = row * columns + column
    for _ in range(SLIC_ITERATIONS):
        size = np.maximum(np.bincount(labels, minlength=rows * columns), 1)
        means = [np.bincount(labels, p, rows * columns) / size for p in points.T]
        labels = _nearest(points, np.stack(means, 1).astype(np.float32), near)
    compact: IntArray = np.unique(labels, return_inverse=True)[1].reshape(height, width)
    return compact


def _nearest(points: FloatArray, means: FloatArray, near: list[IntArray]) -> IntArray:
    """Return for each point the nearest of its nine candidate means."""
    best = np.full(len(points), np.inf, np.float32)
    labels, offset = near[0].copy(), np.empty_like(points)
    for candidate in near:
        means.take(candidate, axis=0, out=offset, mode="clip")  # other modes copy first
        np.subtract(points, offset, out=offset)
        distance = np.einsum("ij,ij->i", offset, offset)
        closer = distance < best
        np.copyto(best, distance, where=closer)
        np.copyto(labels, candidate, where=closer)
    return labels


def _gradient(image: Image) -> FloatArray:
    x, y = gradients(to_lab(cv2.GaussianBlur(image, (0, 0), 1.0)))
    magnitude: FloatArray = np.sqrt((x**2 + y**2).sum(axis=2))
    return magnitude


def _boundaries(labels: IntArray, gradient: FloatArray) -> tuple[IntArray, FloatArray, FloatArray]:
    """Return pairs of neighbours (2, E), their boundary lengths and mean gradients, (E,) each."""
    count = int(labels.max()) + 1
    keys, values = [], []
    for a, b in (np.s_[:, :-1], np.s_[:, 1:]), (np.s_[:-1], np.s_[1:]):
        boundary = labels[a] != labels[b]
        first, second = labels[a][boundary], labels[b][boundary]
        keys.append(np.minimum(first, second) * count + np.maximum(first, second))
        values.append(np.maximum(gradient[a], gradient[b])[boundary])
    key, pair = np.unique(np.concatenate(keys), return_inverse=True)
    length = np.bincount(pair, minlength=len(key)).astype(np.float32)
    strength = np.bincount(pair, np.concatenate(values), len(key)) / np.maximum(length, 1)
    return np.stack(np.divmod(key, count)), length, strength.astype(np.float32)


def _words(lab: FloatArray, labels: IntArray, count: int) -> tuple[FloatArray, FloatArray]:
    """Return ``words`` and ``spread`` of ``SuperpixelGraph``."""
    word, similarity = color_words(lab, COLOR_WORD_SIDE, COLOR_WORD_SPREAD)
    number = len(similarity)
    histogram = np.bincount(labels.ravel() * number + word, minlength=count * number)
    words = histogram.reshape(count, number).astype(np.float32)
    return words, words @ similarity
