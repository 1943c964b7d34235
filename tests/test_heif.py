"""HEIC and JPEG XL, with their optional packages and without."""

from __future__ import annotations

import subprocess
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import assert_error, run
from pictures import Array, encode_negative, encode_picture, exif_with_orientation, random_pixels
from PIL import Image, ImageCms

from segment2inpaint import images
from segment2inpaint.errors import BadImage
from segment2inpaint.images import plugins

PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
OTHER_PROFILE = PROFILE.replace(b"sRGB", b"mine").replace("sRGB".encode("utf-16-be"), b"\0m" * 4)
HEIC_HEADER = b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic" + bytes(99)
JXL_HEADER = b"\xff\x0a" + bytes(99)


def heic(pixels: Array, **options: Any) -> bytes:
    pytest.importorskip("pillow_heif", reason="HEIC needs the extra [heif]")
    plugins.register("HEIF")
    rgb = {"matrix_coefficients": 0} if pixels.shape[2] > 2 else {}
    return encode_picture(pixels, "HEIF", **{"quality": -1, "chroma": 444, **rgb, **options})


def jxl(pixels: Array, **options: Any) -> bytes:
    pytest.importorskip("pillow_jxl", reason="JPEG XL needs the extra [jxl]")
    plugins.register("JXL")
    return encode_picture(pixels, "JXL", **{"lossless": True, **options})


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_heic_is_read_and_written_without_loss(channels: int) -> None:
    pixels = random_pixels(31, 45, channels)
    photo = images.read(heic(pixels))
    assert photo.format == "HEIF"
    assert photo.grey == (channels == 1)
    assert (photo.image[..., 0] == pixels[..., 0]).all()
    data, expected = encode_negative(photo)
    back = images.read(data)
    assert back.format == "HEIF"
    assert (back.image == expected).all()
    if photo.alpha is not None:
        assert (back.alpha == pixels[..., 3]).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_heic_is_upright_and_its_result_is_not_turned_again(orientation: int) -> None:
    pixels = random_pixels(10, 16, 3)
    file = heic(pixels, exif=exif_with_orientation(orientation).tobytes())
    photo = images.read(file)
    as_jpeg = images.read(encode_picture(pixels, "PNG", exif=exif_with_orientation(orientation)))
    assert photo.size == as_jpeg.size
    assert (photo.image == as_jpeg.image).all()
    for kind in ("HEIF", "PNG"):
        data, expected = encode_negative(photo, format=kind)
        assert (images.read(data).image == expected).all()


def test_heic_keeps_profile_and_exif() -> None:
    file = heic(random_pixels(9, 9, 3), icc_profile=PROFILE, exif=exif_with_orientation(1))
    data, _ = encode_negative(images.read(file))
    picture = Image.open(BytesIO(data))
    assert picture.info["icc_profile"] == PROFILE
    assert picture.getexif()[0x010F] == "Maker"


def test_of_a_heic_of_10_bits_8_are_used_and_a_line_tells_it(tmp_path: Path) -> None:
    pillow_heif = pytest.importorskip("pillow_heif", reason="HEIC needs the extra [heif]")
    pixels = random_pixels(48, 64, 3, np.uint16)
    photo, file = tmp_path / "a.heic", BytesIO()
    pillow_heif.from_bytes(mode="RGB;16", size=(64, 48), data=pixels.tobytes()).save(file)
    photo.write_bytes(file.getvalue())
    assert images.read(photo).not_kept == ("more than 8 of the 10 bits a sample",)
    done = run("remove", photo, "-b", "10,10,20,20", "--inpainter", "telea", "--no-verify",
               "-o", tmp_path / "o.heic")  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "o.heic does not keep: more than 8 of the 10 bits a sample" in done.stderr
    assert ": 1 object" in done.stderr


def test_only_the_main_picture_of_a_heic_is_kept() -> None:
    pytest.importorskip("pillow_heif", reason="HEIC needs the extra [heif]")
    plugins.register("HEIF")
    file, second = BytesIO(), Image.fromarray(random_pixels(16, 16, 3, seed=2))
    Image.fromarray(random_pixels(16, 16, 3)).save(
        file, "HEIF", save_all=True, append_images=[second]
    )
    photo = images.read(file.getvalue())
    assert photo.not_kept == ("further pictures",)
    data, _ = encode_negative(photo)
    assert getattr(Image.open(BytesIO(data)), "n_frames", 1) == 1


def test_a_lossy_heic_counts_what_it_changes(tmp_path: Path) -> None:
    photo, out, mask = (tmp_path / name for name in ("a.heic", "o.heic", "mask.png"))
    photo.write_bytes(heic(random_pixels(48, 64, 3)))
    done = run("remove", photo, "-b", "10,10,20,20", "--inpainter", "telea", "--no-verify",
               "--quality", "80", "-o", out, "--save-mask", mask)  # fmt: skip
    before, after = images.read(photo).image, images.read(out).image
    outside = np.asarray(Image.open(mask)) == 0
    count = ((before != after).any(axis=2) & outside).sum()
    assert count > 1000
    assert f"{count} pixels changed outside, by up to" in done.stderr
    assert "by lossy encoding" in done.stderr


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_jpeg_xl_is_read_and_written_without_loss(channels: int) -> None:
    pixels = random_pixels(9, 13, channels)
    photo = images.read(jxl(pixels))
    data, expected = encode_negative(photo)
    back = images.read(data)
    assert back.format == "JXL"
    assert (back.image == expected).all()


def test_the_orientation_in_the_exif_of_a_jpeg_xl_is_ignored_as_its_standard_says() -> None:
    pixels = random_pixels(9, 13, 3)
    photo = images.read(jxl(pixels, exif=exif_with_orientation(6).tobytes()))
    assert (photo.image == pixels).all()
    data, expected = encode_negative(photo, format="PNG")
    assert (images.read(data).image == expected).all()
    assert Image.open(BytesIO(data)).getexif().get(0x0112, 1) == 1


def test_a_photo_with_a_colour_profile_is_not_written_as_jpeg_xl(tmp_path: Path) -> None:
    """The package writes no profile, so the colours would be others."""
    pytest.importorskip("pillow_jxl", reason="JPEG XL needs the extra [jxl]")
    for profile, is_refused in ((PROFILE, False), (OTHER_PROFILE, True)):
        photo = images.read(encode_picture(random_pixels(9, 9, 3), "PNG", icc_profile=profile))
        if is_refused:
            with pytest.raises(BadImage, match=r"without a colour profile.* write \.png"):
                images.check_format(tmp_path / "o.jxl", photo)
        else:
            images.check_format(tmp_path / "o.jxl", photo)


@pytest.mark.parametrize(
    ("data", "suffix", "extra"), [(HEIC_HEADER, "heic", "heif"), (JXL_HEADER, "jxl", "jxl")]
)
def test_without_the_package_a_line_says_what_to_install(
    data: bytes, suffix: str, extra: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plugins, "is_installed", lambda kind: False)
    command = rf"pip install 'segment2inpaint\[{extra}\]'"
    with pytest.raises(BadImage, match=command):
        images.read(data)
    with pytest.raises(BadImage, match=command):
        images.format_of(f"a.{suffix}")
    photo = tmp_path / f"a.{suffix}"
    photo.write_bytes(data)
    done = run("remove", photo, "-p", "1,1", "-o", tmp_path / "o.png")
    assert_error(done, 1, f"pip install 'segment2inpaint[{extra}]'")
    done = run("batch", tmp_path, tmp_path / "out", "-p", "1,1", "--workers", 0)
    assert done.exit_code != 0
    assert f"segment2inpaint[{extra}]" in done.output


@pytest.mark.parametrize("data", [HEIC_HEADER, JXL_HEADER])
def test_damaged_files_are_refused_in_one_line(data: bytes) -> None:
    if not plugins.is_installed(plugins.plugin_format(data)):
        pytest.skip("needs the extras [heif] and [jxl]")
    with pytest.raises(BadImage, match="truncated or damaged") as caught:
        images.read(data)
    assert "\n" not in str(caught.value)


def test_the_packages_are_imported_only_for_their_files() -> None:
    code = (
        "import sys\n"
        "from segment2inpaint import images\n"
        "images.formats(), images.read('samples/ball.jpg')\n"
        "assert not {'pillow_heif', 'pillow_jxl'} & set(sys.modules)\n"
    )
    root = Path(__file__).parent.parent
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root)
