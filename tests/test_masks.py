"""The mask maths."""

from __future__ import annotations

from math import hypot

import numpy as np
import pytest
from conftest import draw, masks
from hypothesis import given
from hypothesis import strategies as st

from segment2inpaint.errors import BadOption
from segment2inpaint.masks import (
    connected_components,
    feather_mask,
    fill_holes,
    radii,
    refine,
    union,
)
from segment2inpaint.types import Box, Detection, Length, Refine

lengths = st.floats(0, 30)


def fixed(dilate: float, feather: float) -> Refine:
    return Refine(Length(dilate, "px"), Length(feather, "px"))


def test_union_joins_all_masks() -> None:
    """A pixel of any mask is in the union, and the masks are left alone."""
    one, two = Detection(draw("#..")), Detection(draw("..#"))
    assert union([one, two]).tolist() == [[True, False, True]]
    assert one.mask.tolist() == [[True, False, False]]


def test_small_holes_are_filled() -> None:
    """A hole of one pixel in a blob is of the object."""
    blob = np.ones((7, 7), np.bool_)
    blob[3, 3] = False
    assert fill_holes(np.pad(blob, 2)).sum() == 49


def test_large_holes_stay() -> None:
    """The background seen through a ring is not the ring."""
    ring = np.ones((20, 20), np.bool_)
    ring[4:16, 4:16] = False
    assert (fill_holes(np.pad(ring, 2)) == np.pad(ring, 2)).all()


def test_background_that_touches_the_border_is_not_a_hole() -> None:
    """Background that the photo's edge cuts off may go on outside."""
    mask = np.ones((20, 20), np.bool_)
    mask[0, 9] = False
    assert not fill_holes(mask)[0, 9]


def test_a_hole_with_an_excluded_point_stays() -> None:
    mask = np.ones((20, 20), np.bool_)
    mask[10, 9] = False
    assert fill_holes(mask)[10, 9]
    assert not fill_holes(mask, keep=[(9, 10)])[10, 9]


@given(masks())
def test_filling_holes_only_adds_pixels_and_is_idempotent(mask: np.ndarray) -> None:
    once = fill_holes(mask)
    assert not (mask & ~once).any()
    assert (fill_holes(once) >= once).all()


@given(masks())
def test_components_cover_the_mask_exactly_once(mask: np.ndarray) -> None:
    """Put back together, the parts are the mask, each pixel once, in tight boxes."""
    again = np.zeros(mask.shape, int)
    for box, own in connected_components(mask):
        again[box.slices] += own
        assert all(edge.any() for edge in (own[0], own[-1], own[:, 0], own[:, -1]))
    assert (again == mask).all()


@given(masks(side=40), lengths, lengths)
def test_alpha_equals_brute_force_distances(
    mask: np.ndarray, dilate: float, feather: float
) -> None:
    """Alpha is 1 on the object, 0 beyond the dilation, a smoothstep of the distance between."""
    yx = np.argwhere(mask)
    grid = np.stack(np.mgrid[: mask.shape[0], : mask.shape[1]], -1)
    away = np.sqrt(((grid[:, :, None] - yx) ** 2).sum(-1).min(-1))
    alpha = feather_mask(mask, dilate, min(feather, dilate))
    assert (alpha[mask] == 1).all()
    assert (alpha[away > dilate] == 0).all()
    assert (alpha[away <= dilate - min(feather, dilate) - 1e-3] == 1).all()
    assert alpha.min() >= 0
    assert alpha.max() <= 1


@given(masks(), lengths, lengths, lengths)
def test_alpha_grows_with_dilate_and_falls_with_feather(
    mask: np.ndarray, dilate: float, more: float, feather: float
) -> None:
    base = feather_mask(mask, dilate, min(feather, dilate))
    assert (feather_mask(mask, dilate + more, min(feather, dilate)) >= base).all()
    assert (feather_mask(mask, dilate, 0) >= base).all()


@given(masks(), st.sampled_from([0, 1, 2]))
def test_refine_commutes_with_flips_and_rotations(mask: np.ndarray, turn: int) -> None:
    how = Refine()
    turned = refine([Detection(np.ascontiguousarray(np.rot90(mask, turn)))], how)[0]
    assert np.allclose(turned, np.rot90(refine([Detection(mask)], how)[0], turn), atol=1e-5)
    flipped = refine([Detection(np.ascontiguousarray(mask[:, ::-1]))], how)[0]
    assert np.allclose(flipped, refine([Detection(mask)], how)[0][:, ::-1], atol=1e-5)


@given(masks())
def test_alpha_is_one_on_every_object(mask: np.ndarray) -> None:
    before = mask.copy()
    alpha, dilate, feather = refine([Detection(mask)], Refine())
    assert (alpha[mask] == 1).all()
    assert dilate >= feather + 2
    assert (mask == before).all()


def test_an_empty_mask_has_no_components() -> None:
    assert list(connected_components(np.zeros((5, 7), np.bool_))) == []
    assert not refine([Detection(np.ones((5, 7), np.bool_))], Refine(invert=True))[0].any()


def test_inverted_covers_the_background_and_spares_the_object() -> None:
    mask = np.zeros((60, 60), np.bool_)
    mask[20:40, 20:40] = True
    alpha, dilate, _ = refine([Detection(mask)], Refine(invert=True))
    assert (alpha[~mask] == 1).all()
    assert (alpha[24:36, 24:36] == 0).all()
    assert dilate == 3


@pytest.mark.parametrize(("side", "dilate", "feather"), [(40, 6, 4), (354, 15, 10), (2000, 32, 16)])
def test_automatic_radii(side: int, dilate: float, feather: float) -> None:
    """3 % and 2 % of the diagonal, within bounds."""
    got = radii(Box(0, 0, side, side), Refine())
    assert got == pytest.approx((dilate, feather), abs=0.1)


def test_given_radii_are_used() -> None:
    """Pixels as they are, per cent of the diagonal; the feather never beyond the dilation."""
    box = Box(0, 0, 300, 400)
    assert radii(box, fixed(5, 2)) == (5, 2)
    assert radii(box, fixed(5, 9)) == (5, 5)
    per_cent = Refine(Length(2, "%"), Length(1, "%"))
    assert radii(box, per_cent) == pytest.approx((0.02 * hypot(300, 400), 5))


def test_edge_uncertainty_raises_only_the_automatic_dilation() -> None:
    mask = np.zeros((99, 99), np.bool_)
    mask[40:60, 40:60] = True
    assert refine([Detection(mask, edge_uncertainty=20)], Refine())[1] == 20
    assert refine([Detection(mask)], Refine(), min_dilate=17)[1] == 17
    assert refine([Detection(mask)], Refine(), dilate_factor=2)[1] == 12
    assert (
        refine([Detection(mask, edge_uncertainty=20)], fixed(3, 1), min_dilate=17, dilate_factor=2)[
            1
        ]
        == 3
    )


def test_a_speck_is_not_dilated_like_a_large_object() -> None:
    mask = np.zeros((900, 900), np.bool_)
    mask[:800, :600] = True
    mask[850, 850] = True
    alpha = refine([Detection(mask)], Refine())[0]
    assert alpha[850, 850] == 1
    assert alpha[850, 857] == 0


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("auto", Length()),
        ("12px", Length(12, "px")),
        ("7", Length(7, "px")),
        (" 3 % ", Length(3, "%")),
    ],
)
def test_lengths(text: str, length: Length) -> None:
    assert Length.parse(text) == length
    assert Length.parse(str(length)) == length


@pytest.mark.parametrize("text", ["-1", "3em", "", "nan", "inf", "-3%"])
def test_invalid_lengths_are_refused(text: str) -> None:
    with pytest.raises(BadOption, match="length"):
        Length.parse(text)
