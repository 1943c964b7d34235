"""PIL images, paths, bytes and arrays as photos and as masks."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageCms

from segment2inpaint.conversions import as_mask, as_photo, as_picture, as_prompt
from segment2inpaint.errors import BadImage, BadPrompt
from segment2inpaint.images import Photo
from segment2inpaint.types import Box, Points, Text, UserMask

DISC = np.hypot(*np.mgrid[-24:24, -32:32]) < 15


def pixels(channels: int) -> NDArray[np.uint8]:
    return np.random.default_rng(channels).integers(0, 256, (48, 64, channels), np.uint8)


@pytest.fixture
def photo() -> Photo:
    return as_photo(pixels(3))


# --- photos -----------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA"])
def test_an_array_and_a_pil_image_are_the_same_photo(mode: str) -> None:
    array = pixels(len(mode) if mode != "L" else 1)
    image = Pillow.fromarray(array[..., 0] if mode == "L" else array)
    assert image.mode == mode
    photos = [as_photo(image)] if mode == "LA" else [as_photo(image), as_photo(array)]
    for photo in photos:
        assert photo.grey == (mode in ("L", "LA"))
        assert (photo.image == (array[..., :1] if photo.grey else array[..., :3])).all()
        assert (photo.alpha is None) == (mode in ("RGB", "L"))
        if photo.alpha is not None:
            assert (photo.alpha == array[..., -1]).all()


def test_a_grey_array_may_have_no_third_axis() -> None:
    assert (as_photo(pixels(1)[..., 0]).image == as_photo(pixels(1)).image).all()


@pytest.mark.parametrize("mode", ["P", "1", "YCbCr", "HSV", "RGBX", "RGBa"])
def test_other_modes_of_pil_are_converted_as_pillow_does(mode: str) -> None:
    source = Pillow.fromarray(pixels(4 if mode == "RGBa" else 3))
    image = source.convert(mode)
    photo = as_photo(image)
    expected = image.convert("RGBA") if mode == "RGBa" else image
    assert (photo.image == np.asarray(expected.convert("RGB"))).all()
    assert photo.grey == (mode == "1")


def test_a_palette_with_a_transparent_colour_has_an_alpha_channel() -> None:
    image = Pillow.fromarray(pixels(3)).convert("P")
    image.info["transparency"] = image.getpixel((3, 4))
    alpha = as_photo(image).alpha
    assert alpha is not None
    assert alpha[4, 3] == 0
    assert alpha.max() == 255


def test_16_bits_of_a_pil_image_are_kept() -> None:
    values = np.arange(48 * 64, dtype=np.uint16).reshape(48, 64) * 20
    photo = as_photo(Pillow.fromarray(values))
    assert photo.grey
    assert photo.pixels_16bit is not None
    assert (photo.pixels_16bit[..., 0] == values).all()
    assert (photo.image[..., 0] == np.rint(values / 257)).all()


def test_the_colour_profile_of_a_pil_image_is_kept() -> None:
    image = Pillow.fromarray(pixels(3))
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image.info["icc_profile"] = profile
    assert as_photo(image).icc_profile == profile


def test_a_pil_image_that_was_opened_remembers_its_file(tmp_path: Path) -> None:
    Pillow.fromarray(pixels(3)).save(tmp_path / "a.png")
    opened = as_photo(Pillow.open(tmp_path / "a.png"))
    assert opened.path == tmp_path / "a.png"
    assert opened.name == str(tmp_path / "a.png")


def test_a_photo_is_a_copy_of_the_array() -> None:
    for array in (pixels(3), pixels(4), pixels(1)):
        photo = as_photo(array)
        before = photo.image.copy()
        array[:] = 0
        assert (photo.image == before).all()
        assert photo.alpha is None or photo.alpha.any()


def test_an_empty_pil_image_is_refused() -> None:
    with pytest.raises(BadImage, match="the image is empty"):
        as_photo(Pillow.new("RGB", (0, 4)))


def test_a_pil_image_with_alpha_is_a_picture_with_an_outline() -> None:
    picture = as_picture(as_photo(Pillow.fromarray(pixels(4))))
    assert np.allclose(picture.alpha, pixels(4)[..., 3] / 255)


# --- masks ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "mask",
    [
        DISC,
        DISC[None],
        DISC[..., None],
        255 * DISC.astype(np.uint8),
        DISC.astype(np.uint8),
        DISC.astype(np.uint8)[None],
        DISC.astype(np.int64),
        DISC.astype(np.float64),
        np.repeat(255 * DISC.astype(np.uint8)[..., None], 3, axis=2),
        Pillow.fromarray(DISC),
        Pillow.fromarray(255 * DISC.astype(np.uint8)),
        Pillow.fromarray(np.dstack([pixels(3), 255 * DISC.astype(np.uint8)])),
    ],
)
def test_every_form_of_a_mask_gives_the_same_mask(
    photo: Photo, mask: NDArray[np.bool_] | Pillow.Image
) -> None:
    prompt = as_prompt(mask, photo)
    assert isinstance(prompt, UserMask)
    assert (prompt.mask == DISC).all()


def test_a_mask_may_be_a_path_or_bytes(photo: Photo, tmp_path: Path) -> None:
    path = tmp_path / "mask.png"
    Pillow.fromarray(DISC).save(path)
    prompt = as_prompt(path, photo)
    assert isinstance(prompt, UserMask)
    assert prompt.source == str(path)  # so that the request can be written as JSON
    assert (prompt.mask == DISC).all()
    assert (as_mask(path.read_bytes(), photo) == DISC).all()
    with pytest.raises(BadImage, match="no such file"):
        as_prompt(tmp_path / "none.png", photo)


def test_masks_of_one_value_are_full_or_empty(photo: Photo) -> None:
    assert as_mask(np.ones((48, 64), np.uint8), photo).all()
    assert as_mask(np.full((48, 64), 255, np.uint8), photo).all()
    assert not as_mask(np.zeros((48, 64), np.uint8), photo).any()


def test_a_soft_uint8_mask_keeps_its_greys(photo: Photo) -> None:
    ramp = np.clip(255 - 12 * np.hypot(*np.mgrid[-24:24, -32:32]), 0, 255).astype(np.uint8)
    prompt = as_prompt(ramp, photo)
    assert isinstance(prompt, UserMask)
    assert prompt.alpha is not None
    assert np.allclose(prompt.alpha, ramp / 255)


def test_a_photo_is_not_a_mask(photo: Photo) -> None:
    with pytest.raises(BadImage, match="does not tell what the object is"):
        as_prompt(pixels(3), photo)


def test_several_masks_are_not_one(photo: Photo) -> None:
    with pytest.raises(BadPrompt, match="or one mask of several"):
        as_prompt(np.stack([DISC, DISC]), photo)


# --- prompts ----------------------------------------------------------------------------------


def test_short_forms_of_prompts(photo: Photo) -> None:
    assert as_prompt((3, 4), photo) == Points(((3, 4),))
    assert as_prompt([(3, 4), (5, 6)], photo) == Points(((3, 4), (5, 6)))
    assert as_prompt(np.array([[3.7, 4.2]]), photo) == Points(((3, 4),))
    assert as_prompt(np.array([3, 4, 5, 6]), photo) == Box(3, 4, 5, 6)
    assert as_prompt("a red ball", photo) == Text("a red ball")
    with pytest.raises(BadPrompt, match="give each box as a prompt of its own"):
        as_prompt([(1, 2, 3, 4), (5, 6, 7, 8)], photo)


def test_an_array_of_the_photos_size_is_a_mask_however_narrow() -> None:
    narrow = as_photo(np.zeros((3, 2, 3), np.uint8))
    values = np.array([[0, 1], [0, 1], [0, 0]])
    prompt = as_prompt(values, narrow)
    assert isinstance(prompt, UserMask)
    assert (prompt.mask == (values > 0)).all()
    assert as_prompt(values, as_photo(pixels(3))) == Points(((0, 1), (0, 1), (0, 0)))


def test_an_open_file_is_a_photo() -> None:
    buffer = BytesIO()
    Pillow.fromarray(pixels(3)).save(buffer, "PNG")
    buffer.seek(0)
    assert (as_photo(buffer).image == pixels(3)).all()
