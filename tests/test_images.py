"""Orientation, arrays, writing by file name, and masks."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from pictures import (
    encode_negative,
    encode_picture,
    exif_with_orientation,
    left_half_alpha,
    open_picture,
    random_pixels,
    stored_pixels,
)
from PIL import Image, ImageOps

from segment2inpaint import images
from segment2inpaint.errors import BadImage, BadOption
from segment2inpaint.images import sixteen_bit


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "PNG16", "TIFF16"])
@pytest.mark.parametrize("value", range(1, 9))
def test_photos_are_upright_in_memory_and_keep_their_orientation_in_the_file(
    kind: str, value: int
) -> None:
    """Pillow turns pixels in the same way. The tag is written too."""
    stored, exif = random_pixels(48, 80, 3), exif_with_orientation(value)
    if kind.endswith("16"):
        encode = sixteen_bit.encode_png if kind == "PNG16" else sixteen_bit.encode_tiff
        file = encode(stored.astype(np.uint16) * 257, exif=exif.tobytes())
    else:
        file = encode_picture(
            stored, kind, exif=exif, **({"lossless": True} if kind == "WEBP" else {})
        )
    photo = images.read(file)
    plain = Image.fromarray(np.asarray(stored) if kind != "JPEG" else stored_pixels(file))
    plain.info["exif"] = exif.tobytes()
    assert np.array_equal(photo.image, np.asarray(ImageOps.exif_transpose(plain)))
    data, expected = encode_negative(photo)
    back = images.read(data)
    assert back.orientation == photo.orientation == value
    assert open_picture(data).getexif()[0x010F] == "Maker"
    if kind == "JPEG":
        region = images.touched_blocks(photo, 255 - photo.image, left_half_alpha(photo))
        assert np.array_equal(back.image[~region], photo.image[~region])
        assert not region.all()
        assert stored_pixels(data).shape == stored_pixels(file).shape
    else:
        assert np.array_equal(back.image, expected)


def test_another_format_is_written_upright() -> None:
    """As a PNG, a rotated JPEG is upright, its tag is 1, and the rest of EXIF is kept."""
    photo = images.read(
        encode_picture(
            random_pixels(24, 40, 3), "JPEG", exif=exif_with_orientation(6), dpi=(240, 240)
        )
    )
    data, expected = encode_negative(photo, format="PNG")
    picture = open_picture(data)
    assert np.array_equal(np.asarray(picture), expected)
    assert picture.getexif()[0x0112] == 1
    assert picture.getexif()[0x010F] == "Maker"
    assert round(picture.info["dpi"][0]) == 240


def test_photos_are_read_only_and_encode_leaves_its_inputs_unchanged() -> None:
    photo = images.read(encode_picture(random_pixels(8, 8, 4), "PNG"))
    with pytest.raises(ValueError, match="read-only"):
        photo.image[0, 0] = 0
    new, alpha = random_pixels(8, 8, 3, seed=2), left_half_alpha(photo)
    copies = new.copy(), alpha.copy()
    images.encode(photo, new, alpha)
    assert np.array_equal(new, copies[0])
    assert np.array_equal(alpha, copies[1])


def test_arrays_are_copied_and_must_be_rgb_of_the_right_size() -> None:
    pixels = random_pixels(4, 5, 3)
    photo = images.photo_from_array(pixels)
    pixels[:] = 0
    assert photo.size == (4, 5)
    assert photo.image.any()
    for wrong in (
        random_pixels(4, 5, 4),
        random_pixels(4, 5, 3)[..., 0],
        np.zeros((0, 5, 3), np.uint8),
    ):
        with pytest.raises(BadImage, match=r"expected shape \(H, W, 3\), got"):
            images.photo_from_array(wrong)
    with pytest.raises(BadImage, match="expected a uint8 array, got float64"):
        images.photo_from_array(np.zeros((4, 5, 3)))  # type: ignore[arg-type]
    with pytest.raises(BadImage, match="expected image of size"):
        images.encode(photo, random_pixels(5, 4, 3), np.ones((4, 5), np.float32))
    with pytest.raises(BadImage, match="expected alpha of size"):
        images.encode(photo, random_pixels(4, 5, 3), np.ones((5, 4), np.float32))


def test_suffix_selects_the_format(tmp_path: Path) -> None:
    """Whatever the format cannot hold is left out silently."""
    source = tmp_path / "in.png"
    source.write_bytes(sixteen_bit.encode_png(random_pixels(24, 32, 3, np.uint16), dpi=(300, 300)))
    photo = images.read(source)
    kinds = {
        "jpg": "JPEG",
        "JPEG": "JPEG",
        "png": "PNG",
        "webp": "WEBP",
        "tif": "TIFF",
        "bmp": "BMP",
    }
    for suffix, kind in kinds.items():
        target = tmp_path / "new" / f"out.{suffix}"
        images.write(target, photo, 255 - photo.image, left_half_alpha(photo))
        assert open_picture(target.read_bytes()).format == kind
    assert images.read(tmp_path / "new" / "out.tif").pixels_16bit is not None
    assert [
        round(x) for x in open_picture((tmp_path / "new" / "out.jpg").read_bytes()).info["dpi"]
    ] == [300] * 2


def test_write_refuses_bad_targets_and_qualities(tmp_path: Path) -> None:
    """Unknown suffixes, the input file, JPEG and BMP with transparency, quality out of range."""
    source = tmp_path / "in.png"
    source.write_bytes(encode_picture(random_pixels(9, 9, 4), "PNG"))
    photo = images.read(source)
    arguments = photo, photo.image, left_half_alpha(photo)
    with pytest.raises(BadImage, match=r"cannot write .xyz, expected .jpg, .jpeg"):
        images.write(tmp_path / "out.xyz", *arguments)
    with pytest.raises(BadImage, match="cannot write without a suffix"):
        images.write(tmp_path / "out", *arguments)
    with pytest.raises(BadImage, match="is the input itself"):
        images.write(source, *arguments)
    for suffix in ("jpg", "bmp"):
        with pytest.raises(BadImage, match=r"transparency; write .png"):
            images.write(tmp_path / f"out.{suffix}", *arguments)
    for quality in (0, 101):
        with pytest.raises(BadOption, match="quality must be 1 to 100"):
            images.encode(*arguments, quality=quality)
    with pytest.raises(BadImage, match="cannot write GIF"):
        images.encode(*arguments, format="GIF")
    assert [path.name for path in tmp_path.iterdir()] == ["in.png"]
    images.write(source, *arguments, overwrite=True)
    assert np.array_equal(images.read(source).image, photo.image)


def test_opaque_alpha_can_be_written_as_jpeg() -> None:
    pixels = random_pixels(9, 9, 4)
    pixels[..., 3] = 255
    photo = images.read(encode_picture(pixels, "PNG"))
    assert open_picture(encode_negative(photo, format="JPEG")[0]).mode == "RGB"


def test_photo_too_large_for_a_format_is_an_error_of_one_line() -> None:
    """WebP allows 16383 pixels a side."""
    photo = images.photo_from_array(np.zeros((1, 16384, 3), np.uint8))
    with pytest.raises(BadImage, match="cannot be written as WEBP") as caught:
        encode_negative(photo, format="WEBP")
    assert "\n" not in str(caught.value)


def test_grey_profile_is_left_out_for_rgb_pixels() -> None:
    """WebP has no greyscale."""
    profile = bytes(16) + b"GRAY" + bytes(200)
    photo = images.read(encode_picture(random_pixels(9, 9, 1), "PNG", icc_profile=profile))
    assert "icc_profile" not in open_picture(encode_negative(photo, format="WEBP")[0]).info
    assert open_picture(encode_negative(photo)[0]).info["icc_profile"] == profile


# --- masks ----------------------------------------------------------------------------------


def test_masks_of_every_pixel_format_are_cut_at_half() -> None:
    """1 bit, grey, 16-bit grey, RGB, palette; the alpha channel counts if it varies."""
    expected = random_pixels(9, 7, 1)[..., 0] > 127
    grey = np.where(expected, 128, 127).astype(np.uint8)[..., None]
    opaque = np.dstack([np.repeat(grey, 3, 2), np.full((9, 7), 255, np.uint8)])
    transparent = np.dstack([random_pixels(9, 7, 3), grey])
    palette, one_bit = BytesIO(), BytesIO()
    Image.fromarray(grey[..., 0]).convert("RGB").quantize(4).save(palette, "PNG")
    Image.fromarray(expected).save(one_bit, "PNG")
    files = [
        encode_picture(grey, "PNG"), encode_picture(np.repeat(grey, 3, 2), "BMP"),
        encode_picture(opaque, "PNG"), encode_picture(transparent, "PNG"),
        palette.getvalue(), one_bit.getvalue(),
        sixteen_bit.encode_png(np.where(expected, 40000, 20000).astype(np.uint16)[..., None]),
    ]  # fmt: skip
    for file in files:
        assert np.array_equal(images.read_mask(file, (9, 7)), expected)


def test_mask_is_rotated_by_its_orientation() -> None:
    mask = random_pixels(9, 7, 1)[..., 0] > 127
    file = encode_picture(
        mask.astype(np.uint8)[..., None] * 255, "PNG", exif=exif_with_orientation(6)
    )
    assert np.array_equal(images.read_mask(file, (7, 9)), np.rot90(mask, -1))


def test_mask_of_another_size_is_refused_or_resized() -> None:
    """The error names both sizes."""
    mask = np.zeros((10, 20), np.bool_)
    mask[2:6, 5:15] = True
    file = encode_picture(mask.astype(np.uint8)[..., None] * 255, "PNG")
    with pytest.raises(BadImage, match=r"size 40x30, got 20x10; .* --resize-mask"):
        images.read_mask(file, (30, 40))
    big = images.read_mask(file, (20, 40), resize=True)
    assert np.array_equal(big, mask.repeat(2, axis=0).repeat(2, axis=1))


def test_an_empty_mask_is_no_error() -> None:
    assert not images.read_mask(encode_picture(np.zeros((5, 5, 1), np.uint8), "PNG"), (5, 5)).any()


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tif", "bmp"])
def test_written_masks_are_read_back_unchanged(suffix: str, tmp_path: Path) -> None:
    """Bool and float masks; the noise of JPEG does not matter."""
    mask = np.zeros((40, 30), np.bool_)
    mask[8:24, 8:16] = True
    target = tmp_path / f"mask.{suffix}"
    for values in (mask, mask.astype(np.float32)):
        images.write_mask(target, values)
        assert np.array_equal(images.read_mask(target, (40, 30)), mask)
    images.write_mask(tmp_path / "soft.png", np.full((4, 4), 0.5, np.float32))
    assert (stored_pixels((tmp_path / "soft.png").read_bytes()) == 128).all()
    with pytest.raises(BadImage, match="is the input itself"):
        images.write_mask(target, mask, source=target)


@pytest.mark.parametrize("image", [np.zeros((4, 6), np.uint8), np.zeros((4, 6, 3), np.float32)])
def test_write_refuses_images_of_another_shape_or_dtype(tmp_path: Path, image: np.ndarray) -> None:
    photo = images.photo_from_array(np.ones((4, 6, 3), np.uint8))
    with pytest.raises(BadImage, match=r"expected image \(H, W, 3\) uint8"):
        images.write(tmp_path / "a.png", photo, image, np.ones((4, 6), np.float32))
