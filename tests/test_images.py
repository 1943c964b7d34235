"""Photos upright, written by name, and masks."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from pictures import left_half, negative, noise, opened, raw, saved, turned
from PIL import Image, ImageOps

from segment2inpaint import images
from segment2inpaint.errors import BadImage, BadOption
from segment2inpaint.images import sixteen_bit


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "PNG16", "TIFF16"])
@pytest.mark.parametrize("value", range(1, 9))
def test_every_orientation(kind: str, value: int) -> None:
    """Upright for work, as Pillow turns it; stored as it was, with its tag, on writing."""
    stored, exif = noise(48, 80, 3), turned(value)
    if kind.endswith("16"):
        make = sixteen_bit.png if kind == "PNG16" else sixteen_bit.tiff
        file = make(stored.astype(np.uint16) * 257, exif=exif.tobytes())
    else:
        file = saved(stored, kind, exif=exif, **({"lossless": True} if kind == "WEBP" else {}))
    photo = images.read(file)
    plain = Image.fromarray(np.asarray(stored) if kind != "JPEG" else raw(file))
    plain.info["exif"] = exif.tobytes()
    assert np.array_equal(photo.image, np.asarray(ImageOps.exif_transpose(plain)))
    data, expected = negative(photo)
    back = images.read(data)
    assert back.orientation == photo.orientation == value
    assert opened(data).getexif()[0x010F] == "Maker"
    if kind == "JPEG":
        region = images.touched_blocks(photo, 255 - photo.image, left_half(photo))
        assert np.array_equal(back.image[~region], photo.image[~region])
        assert not region.all()
        assert raw(data).shape == raw(file).shape
    else:
        assert np.array_equal(back.image, expected)


def test_another_format_is_upright() -> None:
    """A turned JPEG as PNG is turned for good, its tag says so, and the rest of EXIF stays."""
    photo = images.read(saved(noise(24, 40, 3), "JPEG", exif=turned(6), dpi=(240, 240)))
    data, expected = negative(photo, format="PNG")
    picture = opened(data)
    assert np.array_equal(np.asarray(picture), expected)
    assert picture.getexif()[0x0112] == 1
    assert picture.getexif()[0x010F] == "Maker"
    assert round(picture.info["dpi"][0]) == 240


def test_image_cannot_be_written_to_and_inputs_stay() -> None:
    photo = images.read(saved(noise(8, 8, 4), "PNG"))
    with pytest.raises(ValueError, match="read-only"):
        photo.image[0, 0] = 0
    new, alpha = noise(8, 8, 3, seed=2), left_half(photo)
    copies = new.copy(), alpha.copy()
    images.encode(photo, new, alpha)
    assert np.array_equal(new, copies[0])
    assert np.array_equal(alpha, copies[1])


def test_arrays_from_python() -> None:
    """Copied, and of the one convention only."""
    pixels = noise(4, 5, 3)
    photo = images.photo_of(pixels)
    pixels[:] = 0
    assert photo.size == (4, 5)
    assert photo.image.any()
    for wrong in (noise(4, 5, 4), noise(4, 5, 3)[..., 0], np.zeros((0, 5, 3), np.uint8)):
        with pytest.raises(BadImage, match=r"expected shape \(H, W, 3\), got"):
            images.photo_of(wrong)
    with pytest.raises(BadImage, match="expected a uint8 array, got float64"):
        images.photo_of(np.zeros((4, 5, 3)))  # type: ignore[arg-type]
    with pytest.raises(BadImage, match="expected image of size"):
        images.encode(photo, noise(5, 4, 3), np.ones((4, 5), np.float32))
    with pytest.raises(BadImage, match="expected alpha of size"):
        images.encode(photo, noise(4, 5, 3), np.ones((5, 4), np.float32))


def test_write_follows_the_suffix(tmp_path: Path) -> None:
    """The format is the suffix's, and what is left out of it is left out silently."""
    source = tmp_path / "in.png"
    source.write_bytes(sixteen_bit.png(noise(24, 32, 3, np.uint16), dpi=(300, 300)))
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
        images.write(target, photo, 255 - photo.image, left_half(photo))
        assert opened(target.read_bytes()).format == kind
    assert images.read(tmp_path / "new" / "out.tif").pixels_16bit is not None
    assert [round(x) for x in opened((tmp_path / "new" / "out.jpg").read_bytes()).info["dpi"]] == [
        300
    ] * 2


def test_write_refuses(tmp_path: Path) -> None:
    """Unknown suffixes, the input itself, see-through JPEG and BMP, a senseless quality."""
    source = tmp_path / "in.png"
    source.write_bytes(saved(noise(9, 9, 4), "PNG"))
    photo = images.read(source)
    job = photo, photo.image, left_half(photo)
    with pytest.raises(BadImage, match=r"cannot write .xyz, expected .jpg, .jpeg"):
        images.write(tmp_path / "out.xyz", *job)
    with pytest.raises(BadImage, match="cannot write without a suffix"):
        images.write(tmp_path / "out", *job)
    with pytest.raises(BadImage, match="is the input itself"):
        images.write(source, *job)
    for suffix in ("jpg", "bmp"):
        with pytest.raises(BadImage, match=r"transparency; write .png"):
            images.write(tmp_path / f"out.{suffix}", *job)
    for quality in (0, 101):
        with pytest.raises(BadOption, match="quality must be 1 to 100"):
            images.encode(*job, quality=quality)
    with pytest.raises(BadImage, match="cannot write GIF"):
        images.encode(*job, format="GIF")
    assert [path.name for path in tmp_path.iterdir()] == ["in.png"]
    images.write(source, *job, overwrite=True)
    assert np.array_equal(images.read(source).image, photo.image)


def test_opaque_alpha_does_not_stop_a_jpeg() -> None:
    pixels = noise(9, 9, 4)
    pixels[..., 3] = 255
    photo = images.read(saved(pixels, "PNG"))
    assert opened(negative(photo, format="JPEG")[0]).mode == "RGB"


def test_what_a_format_cannot_hold_is_one_line() -> None:
    """WebP ends at 16383 pixels a side."""
    photo = images.photo_of(np.zeros((1, 16384, 3), np.uint8))
    with pytest.raises(BadImage, match="cannot be written as WEBP") as caught:
        negative(photo, format="WEBP")
    assert "\n" not in str(caught.value)


def test_grey_profile_does_not_go_with_rgb() -> None:
    """WebP has no grey: a profile for grey pixels would be wrong there."""
    profile = bytes(16) + b"GRAY" + bytes(200)
    photo = images.read(saved(noise(9, 9, 1), "PNG", icc_profile=profile))
    assert "icc_profile" not in opened(negative(photo, format="WEBP")[0]).info
    assert opened(negative(photo)[0]).info["icc_profile"] == profile


# --- masks ----------------------------------------------------------------------------------


def test_masks_of_every_kind() -> None:
    """Bits, grey, 16-bit grey, RGB, palette; alpha if it varies; half is the limit."""
    bits = noise(9, 7, 1)[..., 0] > 127
    grey = np.where(bits, 128, 127).astype(np.uint8)[..., None]
    flat = np.dstack([np.repeat(grey, 3, 2), np.full((9, 7), 255, np.uint8)])
    cut_out = np.dstack([noise(9, 7, 3), grey])
    palette, one = BytesIO(), BytesIO()
    Image.fromarray(grey[..., 0]).convert("RGB").quantize(4).save(palette, "PNG")
    Image.fromarray(bits).save(one, "PNG")
    files = [
        saved(grey, "PNG"), saved(np.repeat(grey, 3, 2), "BMP"), saved(flat, "PNG"),
        saved(cut_out, "PNG"), palette.getvalue(), one.getvalue(),
        sixteen_bit.png(np.where(bits, 40000, 20000).astype(np.uint16)[..., None]),
    ]  # fmt: skip
    for file in files:
        assert np.array_equal(images.read_mask(file, (9, 7)), bits)


def test_mask_is_turned_upright() -> None:
    bits = noise(9, 7, 1)[..., 0] > 127
    file = saved(bits.astype(np.uint8)[..., None] * 255, "PNG", exif=turned(6))
    assert np.array_equal(images.read_mask(file, (7, 9)), np.rot90(bits, -1))


def test_mask_of_another_size() -> None:
    """Both sizes are named, and ``resize`` brings it to the photo's."""
    bits = np.zeros((10, 20), np.bool_)
    bits[2:6, 5:15] = True
    file = saved(bits.astype(np.uint8)[..., None] * 255, "PNG")
    with pytest.raises(BadImage, match=r"size 40x30, got 20x10; .* --resize-mask"):
        images.read_mask(file, (30, 40))
    big = images.read_mask(file, (20, 40), resize=True)
    assert np.array_equal(big, bits.repeat(2, axis=0).repeat(2, axis=1))


def test_mask_of_labels_is_refused_and_an_empty_one_is_not() -> None:
    labels = (noise(5, 5, 1) > 127).astype(np.uint8)
    with pytest.raises(BadImage, match="brightest pixel is 1, expected 255"):
        images.read_mask(saved(labels, "PNG"), (5, 5))
    assert not images.read_mask(saved(labels * 0, "PNG"), (5, 5)).any()


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tif", "bmp"])
def test_mask_round_trip(suffix: str, tmp_path: Path) -> None:
    """Bool and float masks, JPEG's noise notwithstanding."""
    bits = np.zeros((40, 30), np.bool_)
    bits[8:24, 8:16] = True
    target = tmp_path / f"mask.{suffix}"
    for mask in (bits, bits.astype(np.float32)):
        images.write_mask(target, mask)
        assert np.array_equal(images.read_mask(target, (40, 30)), bits)
    images.write_mask(tmp_path / "soft.png", np.full((4, 4), 0.5, np.float32))
    assert (raw((tmp_path / "soft.png").read_bytes()) == 128).all()
    with pytest.raises(BadImage, match="is the input itself"):
        images.write_mask(target, bits, source=target)


@pytest.mark.parametrize("image", [np.zeros((4, 6), np.uint8), np.zeros((4, 6, 3), np.float32)])
def test_pixels_of_another_kind_are_not_written(tmp_path: Path, image: np.ndarray) -> None:
    photo = images.photo_of(np.ones((4, 6, 3), np.uint8))
    with pytest.raises(BadImage, match=r"expected image \(H, W, 3\) uint8"):
        images.write(tmp_path / "a.png", photo, image, np.ones((4, 6), np.float32))
