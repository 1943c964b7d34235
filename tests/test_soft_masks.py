"""Masks with soft edges: their greys blend the new pixels with the old ones."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from command_line import run
from conftest import draw
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFilter

from segment2inpaint import images
from segment2inpaint.api import as_prompt
from segment2inpaint.detect.user_mask import UserMaskDetector
from segment2inpaint.errors import BadOption, BadPrompt
from segment2inpaint.masks import dilate_soft, feather_mask, refine
from segment2inpaint.request import from_json, to_json, validate
from segment2inpaint.types import Alpha, Box, Detection, Length, Points, Refine, Request, UserMask
from segment2inpaint.web.session import PackedMask

SIZE = (120, 160)
NONE = Length(0, "px")


def picture(blur: float = 0, scale: int = 1) -> Pillow.Image:
    """Return a mask of an ellipse; ``scale`` draws it larger first, for smoothed edges."""
    drawn = Pillow.new("L", (SIZE[1] * scale, SIZE[0] * scale))
    ImageDraw.Draw(drawn).ellipse([v * scale for v in (40, 30, 110, 90)], fill=255)
    return drawn.resize(SIZE[::-1], Pillow.Resampling.BOX).filter(ImageFilter.GaussianBlur(blur))


def png(mask: Pillow.Image) -> bytes:
    file = BytesIO()
    mask.save(file, "PNG")
    return file.getvalue()


def soft_alpha(blur: float = 6) -> Alpha:
    return np.asarray(picture(blur), np.float32) / np.float32(255)


# --- files ------------------------------------------------------------------------------------


def test_a_blurred_mask_keeps_its_greys() -> None:
    for blur in (4, 8, 16):
        values = images.read_mask(png(picture(blur)), SIZE)
        assert values.dtype == np.float32
        assert np.array_equal(values, soft_alpha(blur))


@pytest.mark.parametrize("mask", [picture(), picture(scale=4), picture(blur=0.7)])
def test_a_mask_with_a_smoothed_outline_stays_hard(mask: Pillow.Image) -> None:
    values = images.read_mask(png(mask), SIZE)
    assert values.dtype == np.bool_
    assert np.array_equal(values, np.asarray(mask) > 127)


def test_a_soft_alpha_channel_and_16_bits_keep_their_greys() -> None:
    color = Pillow.new("RGB", SIZE[::-1], (200, 30, 30))
    color.putalpha(picture(8))
    assert np.array_equal(images.read_mask(png(color), SIZE), soft_alpha(8))
    deep = Pillow.fromarray(np.asarray(picture(8)).astype(np.uint16) * 257)
    assert np.array_equal(images.read_mask(png(deep), SIZE), soft_alpha(8))


def test_a_flat_grey_area_is_no_soft_edge() -> None:
    """Three values are a tri-map or labels."""
    values = np.asarray(picture()).copy()
    values[50:70, 60:90] = 160
    assert images.read_mask(png(Pillow.fromarray(values)), SIZE).dtype == np.bool_


# --- alpha ------------------------------------------------------------------------------------


def found(alpha: Alpha) -> Detection:
    [detection] = UserMaskDetector().detect(
        np.zeros((*SIZE, 3), np.uint8), [UserMask.from_values(alpha)]
    )
    return detection


def test_an_undilated_soft_mask_is_the_alpha() -> None:
    alpha, dilate, feather = refine([found(soft_alpha())], Refine(NONE, NONE))
    assert np.array_equal(alpha, soft_alpha())
    assert (dilate, feather) == (0, 0)


def test_a_dilated_soft_mask_keeps_its_ramp() -> None:
    """It is moved outwards by the radius, with the steps of 32 greys at most."""
    step, radius = soft_alpha(), 10
    alpha, dilate, _ = refine([found(step)], Refine(Length(radius, "px"), NONE))
    assert dilate == radius
    row = alpha[60]
    moved = step[60, 75 - 40 : 75 + 40 - 2 * radius][None]  # the left half, before the dilation
    left = row[75 - 40 - radius : 75 + 40 - 3 * radius]
    assert abs(left[:40] - moved[0, :40]).max() < 1 / 16
    assert len(np.unique(alpha)) > 16
    assert (alpha >= step).all()


def test_the_automatic_dilation_grows_a_soft_mask_too() -> None:
    alpha, dilate, feather = refine([found(soft_alpha())], Refine())
    assert dilate >= 6
    assert feather == 0
    assert alpha.sum() > soft_alpha().sum()


def test_a_soft_mask_of_two_values_is_refined_as_a_hard_one() -> None:
    mask = np.asarray(picture()) > 127
    grown = dilate_soft(mask.astype(np.float32), 9, 5)
    assert np.array_equal(grown, feather_mask(mask, 9, 5))


def test_inverted_greys_are_the_complement() -> None:
    options = Refine(NONE, NONE, invert=True)
    alpha, _, _ = refine([found(soft_alpha())], options)
    assert np.allclose(alpha, 1 - soft_alpha())


def test_points_and_boxes_select_parts_of_a_soft_mask() -> None:
    photo, prompt = np.zeros((*SIZE, 3), np.uint8), UserMask.from_values(soft_alpha())
    [half] = UserMaskDetector().detect(photo, [prompt, Box(0, 0, 75, SIZE[0])])
    assert half.alpha is not None
    assert (half.alpha[:, 75:] == 0).all()
    assert np.array_equal(half.alpha[:, :75], soft_alpha()[:, :75])
    assert UserMaskDetector().detect(photo, [prompt, Points(((2, 2),))]) == []


# --- requests ---------------------------------------------------------------------------------


def test_a_request_names_the_file_of_a_soft_mask() -> None:
    request = Request((UserMask.from_values(soft_alpha(), "m.png"),))
    data = to_json(request)
    assert data["prompts"] == [{"mask": "m.png"}]
    [read] = from_json(data, lambda _: pytest.fail("no picture"), lambda _: soft_alpha()).prompts
    assert isinstance(read, UserMask)
    assert read.alpha is not None
    assert np.array_equal(read.alpha, soft_alpha())
    with pytest.raises(BadOption, match="a soft mask without a file"):
        to_json(Request((UserMask.from_values(soft_alpha()),)))


def test_arrays_of_floats_are_soft_masks() -> None:
    photo = images.photo_from_array(np.zeros((*SIZE, 3), np.uint8))
    prompt = as_prompt(soft_alpha().astype(np.float64), photo)
    assert isinstance(prompt, UserMask)
    assert prompt.alpha is not None
    validate(Request((prompt,)))
    with pytest.raises(BadPrompt, match=r"in \[0, 1\]"):
        validate(Request((UserMask.from_values(2 * soft_alpha()),)))
    with pytest.raises(BadPrompt, match="use mask > 127"):
        as_prompt(np.full(SIZE, 255, np.int64), photo)


def test_the_page_stores_a_soft_mask() -> None:
    packed = PackedMask.pack(found(soft_alpha()))
    alpha = packed.to_detection().alpha
    assert alpha is not None
    assert np.array_equal(alpha, soft_alpha())
    assert packed.nbytes > PackedMask.pack(Detection(draw("#"))).nbytes


def test_the_command_line_blends_by_the_greys(tmp_path: Path) -> None:
    """Also those below half."""
    photo = tmp_path / "a.png"
    image = np.random.default_rng(0).integers(0, 255, (*SIZE, 3), dtype=np.uint8)
    Pillow.fromarray(image).save(photo)
    picture(8).save(tmp_path / "m.png")
    done = run("remove", photo, "--mask", tmp_path / "m.png", "--dilate", "0px", "--inpainter",
               "telea", "--no-verify", "-o", tmp_path / "o.png", "--save-mask",
               tmp_path / "s.png")  # fmt: skip
    assert done.exit_code == 0, done.output
    assert np.array_equal(np.asarray(Pillow.open(tmp_path / "s.png")), np.asarray(picture(8)))
    changed = (np.asarray(Pillow.open(tmp_path / "o.png")) != image).any(axis=2)
    faint = (soft_alpha(8) > 0.2) & (soft_alpha(8) < 0.4)
    assert changed[faint].mean() > 0.9
    assert not changed[soft_alpha(8) == 0].any()
