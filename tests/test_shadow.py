"""The cast shadow, on drawn ground."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import masks
from hypothesis import given, settings

from segment2inpaint import shadow
from segment2inpaint.types import Bits, Image

SIZE = (200, 260)


def ground() -> Image:
    y = np.arange(SIZE[0])[:, None, None]
    grain = np.random.default_rng(0).normal(0, 4, (*SIZE, 3))
    return (np.array([150, 140, 120]) + y / 8 + grain).clip(0, 255).astype(np.uint8)


def post() -> Bits:
    bits = np.zeros(SIZE, np.bool_)
    bits[50:130, 120:140] = True
    return bits


def laid() -> Bits:
    """The post's shadow, to the right of it and a little towards the viewer."""
    bits = np.zeros(SIZE, np.bool_)
    for up in range(80):
        y, x = 129 + round(0.2 * up), 120 + round(0.8 * up)
        bits[y - 1 : y + 2, x : x + 20] = True
    return bits & ~post()


def scene(*, shaded: bool) -> Image:
    photo = ground().astype(np.float32)
    if shaded:
        photo[laid()] *= 0.6
    photo[post()] = (40, 60, 160)
    return photo.astype(np.uint8)


def test_a_cast_shadow_is_found() -> None:
    cast = shadow.find(scene(shaded=True), post())
    assert cast.certainty >= shadow.SURE
    both, either = cast.bits & laid(), cast.bits | laid()
    assert both.sum() / either.sum() > 0.6
    assert not (cast.bits & post()).any()


def test_where_there_is_none_it_is_not_sure() -> None:
    assert shadow.find(scene(shaded=False), post()).certainty < shadow.SURE


def test_alpha_ends_softly() -> None:
    alpha = shadow.alpha(shadow.Shadow(laid(), 1.0), 10)
    assert (alpha[laid()] == 1).all()
    assert 0 < alpha[(alpha > 0) & ~laid()].min() < 0.1
    none = shadow.alpha(shadow.Shadow(np.zeros(SIZE, np.bool_), 0.0), 10)
    assert none.max() == 0


@pytest.mark.parametrize("full", [False, True])
def test_no_object_and_nothing_but_object_cast_none(full: bool) -> None:
    cast = shadow.find(ground(), np.full(SIZE, full))
    assert cast.certainty == 0
    assert not cast.bits.any()


@settings(max_examples=15)
@given(masks())
def test_any_mask_will_do(bits: Bits) -> None:
    photo = np.random.default_rng(0).integers(0, 256, (*bits.shape, 3), np.uint8)
    cast = shadow.find(photo, bits)
    assert cast.bits.shape == bits.shape
    assert not (cast.bits & bits).any()
    assert 0 <= cast.certainty <= 1
