"""Windows: where they lie, what the inpainter gets, what comes back."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import masks, photos
from hypothesis import assume, given
from hypothesis import strategies as st

from segment2inpaint import window
from segment2inpaint.masks import connected_components
from segment2inpaint.protocols import InputSpec
from segment2inpaint.types import Alpha, BinaryMask, Box
from segment2inpaint.window import Window, crop_window, plan, stitch

CANVASES = [
    InputSpec(),
    InputSpec(area=512 * 512, multiple=8, mask_cell=8),
    InputSpec(area=1024 * 1024, multiple=16, mask_cell=16),
    InputSpec(padding_share=1.0, min_side=256),
]
canvases = st.sampled_from(CANVASES)


def windows(mask: BinaryMask, input_spec: InputSpec, padding: int | None = None) -> list[Window]:
    height, width = mask.shape
    return plan(
        [box for box, _ in connected_components(mask)], (height, width), input_spec, padding
    )


@given(masks(side=900), canvases, st.none() | st.integers(0, 300))
def test_windows_are_disjoint_inside_the_photo_and_cover_the_mask(
    mask: BinaryMask, input_spec: InputSpec, padding: int | None
) -> None:
    height, width = mask.shape
    covered = np.zeros(mask.shape, int)
    for w in windows(mask, input_spec, padding):
        assert 0 <= w.box.x0 < w.box.x1 <= width
        assert 0 <= w.box.y0 < w.box.y1 <= height
        covered[w.box.slices] += 1
    assert covered.max() == 1
    assert (covered[mask] == 1).all()


@given(masks(side=900), canvases)
def test_sides_are_multiples_and_enlargement_is_bounded(
    mask: BinaryMask, input_spec: InputSpec
) -> None:
    for w in windows(mask, input_spec):
        assert w.padded_size[0] % input_spec.multiple == 0
        assert w.padded_size[1] % input_spec.multiple == 0
        assert w.size[0] <= 2 * w.box.height
        assert w.size[1] <= 2 * w.box.width
        assert all(
            0 <= p - s < input_spec.multiple for p, s in zip(w.padded_size, w.size, strict=True)
        )


@given(masks(side=900), canvases)
def test_aspect_is_bounded_where_the_photo_allows_it(
    mask: BinaryMask, input_spec: InputSpec
) -> None:
    height, width = mask.shape
    for w in windows(mask, input_spec):
        if w.box.height < height:
            assert w.box.width <= 2 * w.box.height
        if w.box.width < width:
            assert w.box.height <= 2 * w.box.width


@given(masks(side=300), canvases)
def test_planning_commutes_with_a_rotation_by_180_degrees(
    mask: BinaryMask, input_spec: InputSpec
) -> None:
    """Up to the one pixel by which an odd margin cannot be split."""
    height, width = mask.shape
    there = sorted(w.box for w in windows(mask, input_spec))
    turned = windows(np.ascontiguousarray(mask[::-1, ::-1]), input_spec)
    back = sorted(
        Box(width - b.x1, height - b.y1, width - b.x0, height - b.y0)
        for b in (w.box for w in turned)
    )
    if len(there) == len(back):
        assert np.abs(np.array(there) - np.array(back)).max() <= 2


@pytest.mark.parametrize(
    ("box", "input_spec", "expected", "scale"),
    [
        (Box(980, 730, 1020, 770), CANVASES[2], (512, 512), 2.0),
        (Box(800, 600, 1200, 900), CANVASES[2], (810, 650), 1.4),
        (Box(500, 350, 1500, 1150), CANVASES[2], (1900, 1500), 0.607),
        (Box(900, 700, 940, 740), InputSpec(), (104, 104), 1.0),
        (Box(0, 0, 200, 200), InputSpec(), (400, 400), 1.0),  # in the corner: shifted, not cut
    ],
)
def test_windows_equal_hand_computed_ones(
    box: Box, input_spec: InputSpec, expected: tuple[int, int], scale: float
) -> None:
    """On a photo of 2000x1500: the window's width and height, and its scale."""
    (w,) = plan([box], (1500, 2000), input_spec)
    assert (w.box.width, w.box.height) == expected
    assert w.scale == pytest.approx(scale, abs=0.01)


def test_given_padding_is_used() -> None:
    (w,) = plan([Box(900, 700, 1000, 800)], (1500, 2000), InputSpec(min_side=0), 50)
    assert w.box == Box(850, 650, 1050, 850)


@given(st.data(), st.sampled_from(CANVASES[1:3]))
def test_windows_away_from_the_border_have_few_sizes(
    data: st.DataObject, input_spec: InputSpec
) -> None:
    """So that crops of many objects can share a call."""
    side = st.integers(1, 700)
    box = Box(1500, 1500, 1500 + data.draw(side), 1500 + data.draw(side))
    (w,) = plan([box], (4000, 4000), input_spec)
    assert input_spec.area is not None
    assert w.padded_size in window.native_sizes(input_spec.area, input_spec.multiple)
    assert w.padded_size[0] * w.padded_size[1] <= input_spec.area


@given(masks(side=300), st.integers(0, 120))
def test_given_padding_gives_the_crop_of_diffusers(mask: BinaryMask, padding: int) -> None:
    """The same box, and, the photo having room for it, the same pixels."""
    from diffusers.image_processor import VaeImageProcessor
    from PIL import Image

    input_spec = InputSpec(area=128 * 128, multiple=8, mask_cell=8)
    (w,) = windows(mask, input_spec, padding)
    library = VaeImageProcessor(vae_scale_factor=8)
    picture = Image.fromarray(mask.astype(np.uint8) * 255)
    box = library.get_crop_region(picture, 128, 128, pad=padding)
    assert w.box == box
    assume(min(w.size) > 1)  # diffusers fails on what is as thin as a line
    photo = np.random.default_rng(0).integers(0, 256, (*mask.shape, 3), dtype=np.uint8)
    seen = crop_window(photo, mask.astype(np.float32), w, input_spec).image
    cropped = Image.fromarray(photo).crop(box)
    theirs = np.asarray(library.resize(cropped, 128, 128, resize_mode="fill"))
    (y, x), (height, width) = w.offset, w.size
    inner = np.s_[y : y + height, x : x + width]
    assert (seen[inner] == theirs[inner]).all()


def test_overlapping_windows_are_joined_and_others_are_not() -> None:
    near = [Box(100, 100, 140, 140), Box(160, 100, 200, 140)]
    far = Box(900, 900, 940, 940)
    boxes = [w.box for w in plan([*near, far], (1000, 1000), InputSpec())]
    assert len(boxes) == 2
    assert boxes[0].union(Box(*near[0]).union(near[1])) == boxes[0]


def test_many_specks_share_windows() -> None:
    specks = [Box(x, y, x + 6, y + 6) for x in range(40, 1240, 60) for y in range(40, 1240, 60)]
    assert len(plan(specks, (1600, 1600), InputSpec())) == 1


@given(st.data(), masks(side=60), canvases)
def test_stitching_writes_only_where_alpha_is_positive(
    data: st.DataObject, mask: BinaryMask, input_spec: InputSpec
) -> None:
    photo = data.draw(photos(*mask.shape))
    alpha: Alpha = mask.astype(np.float32) * 0.5
    image = photo.copy()
    for w in windows(mask, input_spec):
        crop = crop_window(photo, alpha, w, input_spec)
        assert crop.image.shape[:2] == crop.mask.shape == w.padded_size
        stitch(image, alpha, w, np.full_like(crop.image, 255))
    assert (image[~mask] == photo[~mask]).all()
    blend = np.rint(photo[mask] + np.float32(0.5) * (np.float32(255) - photo[mask]))
    assert (image[mask] == blend).all()


@given(masks(side=200), canvases)
def test_the_model_mask_covers_the_alpha(mask: BinaryMask, input_spec: InputSpec) -> None:
    """Every photo pixel that will be blended lies in a masked model pixel."""
    photo = np.zeros((*mask.shape, 3), np.uint8)
    for w in windows(mask, input_spec):
        crop = crop_window(photo, mask.astype(np.float32), w, input_spec)
        own = np.argwhere(mask[w.box.slices])
        scale = np.array(w.size) / (w.box.height, w.box.width)
        centre = ((own + 0.5) * scale).astype(int)
        assert crop.mask[centre[:, 0], centre[:, 1]].all()


def test_the_model_mask_covers_whole_latent_cells() -> None:
    input_spec = InputSpec(area=64 * 64, multiple=8, mask_cell=8)
    alpha = np.zeros((64, 64), np.float32)
    alpha[33, 18] = 0.01
    crop = crop_window(
        np.zeros((64, 64, 3), np.uint8),
        alpha,
        Window(Box(0, 0, 64, 64), (64, 64), (64, 64)),
        input_spec,
    )
    assert crop.mask[32:40, 16:24].all()
    assert crop.mask.sum() == 64


def test_a_smooth_picture_survives_resampling_and_back() -> None:
    ramp = np.linspace(0, 255, 300).astype(np.uint8)[None, :, None].repeat(200, 0).repeat(3, 2)
    half = window.resample(ramp, (100, 150))
    assert np.abs(window.resample(half, (200, 300)).astype(int) - ramp).max() <= 2
    assert window.resample(ramp, (200, 300)) is ramp
