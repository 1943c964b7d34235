"""Superpixels merged pair by pair."""

from __future__ import annotations

import numpy as np

from segment2inpaint.detect.hierarchy import trees
from segment2inpaint.detect.superpixels import graph


def test_regions_that_hold_a_piece_grow_until_they_are_the_picture() -> None:
    image = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
    pieces = graph(image, 50)
    for tree in trees(pieces):
        for leaf in (0, len(pieces.area) - 1):
            regions = tree.holding(leaf)
            assert regions[:, leaf].all()
            assert (regions[1:] >= regions[:-1]).all()
            assert (regions.sum(axis=1)[1:] > regions.sum(axis=1)[:-1]).all()
            assert regions[-1].all()


def test_what_is_alike_is_merged_first() -> None:
    image = np.zeros((60, 80, 3), np.uint8)
    image[:, 40:] = (200, 40, 40)
    pieces = graph(image, 48)
    left = pieces.center[:, 0] < 40
    for tree in trees(pieces):
        assert any((region == left).all() for region in tree.holding(int(np.flatnonzero(left)[0])))
