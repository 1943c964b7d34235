"""Masks as annotation tools write them: label maps, palettes, colours, 16 bits, alpha."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from command_line import run
from pictures import Array, encode_picture, exif_with_orientation, random_pixels
from PIL import Image, ImageDraw, ImageFilter

from segment2inpaint import images
from segment2inpaint.errors import BadImage
from segment2inpaint.images import sixteen_bit
from segment2inpaint.types import BinaryMask

SIZE = (90, 120)  # height, width


def disc(x: int, y: int, radius: int) -> BinaryMask:
    picture = Image.new("1", SIZE[::-1])
    ImageDraw.Draw(picture).ellipse([x - radius, y - radius, x + radius, y + radius], fill=1)
    return np.asarray(picture)


A, B = disc(35, 40, 18), disc(85, 50, 14)
NOTHING = np.zeros(SIZE, np.bool_)


def ring(mask: BinaryMask, width: int = 2) -> BinaryMask:
    """Return the pixels around a mask."""
    kernel = np.ones((2 * width + 1,) * 2, np.uint8)
    return (cv2.dilate(mask.astype(np.uint8), kernel) > 0) & ~mask


def labels(*layers: tuple[BinaryMask, int], background: int = 0, dtype: Any = np.uint8) -> Array:
    values = np.full(SIZE, background, dtype)
    for mask, value in layers:
        values[mask] = value
    return values


def png(values: Array) -> bytes:
    if values.dtype == np.uint16:
        return sixteen_bit.encode_png(values[..., None])
    return encode_picture(values[..., None] if values.ndim == 2 else values, "PNG")


def palette_png(values: Array, colors: dict[int, tuple[int, int, int]], **options: Any) -> bytes:
    picture = Image.frombytes("P", SIZE[::-1], values.tobytes())
    table = [0] * 768
    for index, color in colors.items():
        table[3 * index : 3 * index + 3] = color
    picture.putpalette(table)
    file = BytesIO()
    picture.save(file, "PNG", **options)
    return file.getvalue()


def colored(*layers: tuple[BinaryMask, tuple[int, ...]], background: tuple[int, ...]) -> Array:
    pixels = np.zeros((*SIZE, len(background)), np.uint8)
    pixels[:] = background
    for mask, color in layers:
        pixels[mask] = color
    return pixels


def read(data: bytes) -> tuple[BinaryMask, str]:
    """Return the mask and what was said about it."""
    notes: list[str] = []
    mask = images.read_mask(data, SIZE, name="m.png", on_message=notes.append)
    assert len(notes) <= 1
    return mask > 0.5, "".join(notes)  # a soft mask has values in [0, 1]


def with_alpha(colors: Array, alpha: Array) -> Array:
    return np.dstack([colors, colors, colors, alpha.astype(np.uint8)])


SOFT = np.asarray(
    Image.fromarray(labels((A, 255))).filter(ImageFilter.GaussianBlur(4)), dtype=np.uint8
)
VOC = {0: (0, 0, 0), 1: (128, 0, 0), 15: (192, 128, 128), 255: (224, 224, 192)}
NOISE = np.random.default_rng(0)
# name -> file, object, words of the note
UNUSUAL: dict[str, tuple[bytes, BinaryMask, str]] = {
    "0 and 1": (png(labels((A, 1))), A, "value 1"),
    "0 and 1 of a thin line": (png(labels((ring(A, 1), 1))), ring(A, 1), "value 1"),
    "two labels": (png(labels((A, 1), (B, 2))), A | B, "values 1, 2"),
    "many labels": (png(labels((A, 17), (B, 80))), A | B, "values 17, 80"),
    "void border": (png(labels((ring(A), 255), (A, 1))), A, "255 is taken for void"),
    "thick void border": (png(labels((ring(A, 8), 255), (A, 5))), A, "value 5; 255 is taken"),
    "void of two objects": (
        png(labels((ring(A), 255), (ring(B), 255), (A, 1), (B, 20))), A | B, "values 1, 20; 255",
    ),
    "void elsewhere": (png(labels((B, 255), (A, 3))), A, "value 3; 255 is taken for void"),
    "void around a high label": (png(labels((ring(A), 255), (A, 120))), A, "value 120; 255"),
    "objects at 85, 170 and 255": (
        png(labels((A, 85), (B, 170), (disc(60, 12, 8), 255))), A | B | disc(60, 12, 8),
        "values 85, 170, 255",
    ),
    "palette": (palette_png(labels((A, 1), (B, 15)), VOC), A | B, "palette: values 1, 15"),
    "palette with void": (
        palette_png(labels((ring(A), 255), (A, 1)), VOC), A, "value 1; 255 is taken for void",
    ),
    "palette whose background is not 0": (
        palette_png(labels((A, 0)) + labels((~A, 1)), {0: (250, 0, 0), 1: (0, 0, 0)}), A, "value 0",
    ),
    "palette with a transparent background": (
        palette_png(labels((A, 2), (B, 3), background=1), {1: (9, 200, 9), 2: (200, 9, 9),
                    3: (9, 9, 200)}, transparency=1), A | B, "values 2, 3",
    ),
    "grey palette of labels": (
        palette_png(labels((ring(A), 255), (A, 1)), {i: (i, i, i) for i in range(256)}), A, "void",
    ),
    "16-bit labels": (png(labels((A, 1), (B, 7), dtype=np.uint16)), A | B, "values 1, 7"),
    "16-bit labels above 255": (
        png(labels((A, 24000), (B, 26001), dtype=np.uint16)), A | B, "values 24000, 26001",
    ),
    "255 in 16 bits": (png(labels((A, 255), dtype=np.uint16)), A, "16-bit values of 0 to 255"),
    "4095 in 16 bits": (png(labels((A, 4095), dtype=np.uint16)), A, "value 4095"),
    "red on black": (png(colored((A, (255, 0, 0)), background=(0, 0, 0))), A, "#ff0000"),
    "dark red on black": (png(colored((A, (128, 0, 0)), background=(0, 0, 0))), A, "#800000"),
    "blue on white": (png(colored((A, (0, 0, 255)), background=(255, 255, 255))), A, "#0000ff"),
    "two colours": (
        png(colored((A, (0, 128, 0)), (B, (128, 0, 128)), background=(0, 0, 0))), A | B, "#800080",
    ),
    "void in colours": (
        png(colored((ring(A), (224, 224, 192)), (A, (128, 0, 0)), background=(0, 0, 0))), A,
        "the colour of void is left out",
    ),
    "a small red dot on white": (
        png(colored((disc(9, 9, 1), (255, 0, 0)), background=(255, 255, 255))), disc(9, 9, 1),
        "#ff0000",
    ),
    "red, opaque RGBA": (
        png(colored((A, (255, 0, 0, 255)), background=(0, 0, 0, 255))), A, "#ff0000",
    ),
    "red RGBA with noise in alpha": (
        png(np.dstack([colored((A, (200, 30, 30)), background=(0, 0, 0)),
                       NOISE.integers(253, 256, SIZE)]).astype(np.uint8)), A, "#c81e1e",
    ),
    "a cutout": (
        png(np.dstack([random_pixels(*SIZE, 3), labels((A, 255))])), A, "the opaque part",
    ),
    "a photo with a hole": (
        png(np.dstack([random_pixels(*SIZE, 3), labels((~A, 255))])), A, "the transparent part",
    ),
    "white paint on a layer": (
        png(with_alpha(labels(background=255), labels((A, 255)))), A, "the opaque part",
    ),
    "black paint on a layer": (png(with_alpha(labels(), labels((A, 255)))), A, "the opaque part"),
    "a white layer with a soft hole": (
        png(with_alpha(labels(background=255), 255 - SOFT)), SOFT > 127, "the transparent part",
    ),
    "dim JPEG": (
        encode_picture(labels((A, 100))[..., None], "JPEG", quality=95), A, "half of the brightest",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", UNUSUAL)
def test_the_whole_picture_says_what_the_object_is_and_a_line_tells_it(case: str) -> None:
    data, expected, words = UNUSUAL[case]
    mask, note = read(data)
    wrong = mask ^ expected
    assert wrong.sum() <= (20 if case == "dim JPEG" else 0)
    assert note.startswith("m.png: the mask is not black and white; the object is ")
    assert words in note
    assert "\n" not in note


PLAIN: dict[str, tuple[Array, BinaryMask]] = {
    "black and white": (labels((A, 255)), A),
    "white on 1": (labels((A, 255), background=1), A),
    "grey above half": (labels((A, 200)), A),
    "soft": (SOFT, SOFT > 127),
    "trimap": (labels((ring(A), 128), (A, 255)), A | ring(A)),
    "soft in three levels": (labels((ring(A), 100), (A, 255)), A),
    "noise in the background": (np.where(A, 255, NOISE.integers(0, 2, SIZE)).astype(np.uint8), A),
    "stray pixels of 1": (labels((A, 255), (disc(100, 80, 1), 1)), A),
    "16 bits": (labels((A, 65535), dtype=np.uint16), A),
    "soft 16 bits": (SOFT.astype(np.uint16) * 257, SOFT > 127),
    "noise in alpha": (with_alpha(labels((A, 255)), NOISE.integers(254, 256, SIZE)), A),
    "one transparent pixel": (
        with_alpha(labels((A, 255)), np.where(np.arange(90 * 120).reshape(SIZE) == 5, 0, 255)), A,
    ),
    "corners cut off": (
        with_alpha(labels((A, 255)), np.where(disc(0, 0, 9), 0, 255)), A,
    ),
    "all white": (labels(background=255), ~NOTHING),
    "all black": (labels(), NOTHING),
    "all white with noise in alpha": (
        with_alpha(labels(background=255), NOISE.integers(254, 256, SIZE)), ~NOTHING,
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", PLAIN)
def test_black_and_white_and_soft_masks_are_cut_at_half_and_nothing_is_said(case: str) -> None:
    values, expected = PLAIN[case]
    mask, note = read(png(values))
    assert np.array_equal(mask, expected)
    assert note == ""


@pytest.mark.parametrize("quality", [60, 95])
def test_the_noise_of_a_jpeg_does_not_make_a_label_map(quality: int) -> None:
    mask, note = read(encode_picture(labels((A, 255))[..., None], "JPEG", quality=quality))
    assert (mask ^ A).sum() < 20
    assert note == ""


AMBIGUOUS: dict[str, tuple[Callable[[], bytes], str]] = {
    "no background": (lambda: png(labels((A, 1), (ring(A), 3), background=2)), "values 1, 2, 3"),
    "no background and void": (lambda: png(labels((A, 7), (B, 255), background=4)), "4, 7, 255"),
    "a photo": (lambda: encode_picture(random_pixels(*SIZE, 3), "PNG"), "colours"),
    "a dark ramp": (lambda: png(np.tile(np.arange(120, dtype=np.uint8), (90, 1))), "values 0, 1"),
    "a palette without 0": (
        lambda: palette_png(labels((A, 4), background=9), {4: (200, 0, 0), 9: (0, 200, 0)}),
        "palette values 4, 9 and no 0",
    ),
    "neither black nor white": (
        lambda: png(colored((A, (250, 220, 30)), background=(60, 0, 80))), "neither black nor",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", AMBIGUOUS)
def test_a_mask_that_does_not_tell_the_object_is_refused_in_one_line(case: str) -> None:
    """The line has the values found and what to do."""
    make, words = AMBIGUOUS[case]
    with pytest.raises(BadImage) as caught:
        read(make())
    line = str(caught.value)
    assert line.startswith("m.png: ")
    assert words in line
    assert "expected 255 on the object and 0 elsewhere" in line
    assert "\n" not in line


def test_label_maps_are_turned_and_resized() -> None:
    small = labels((ring(A), 255), (A, 1))
    turned = encode_picture(small[..., None], "PNG", exif=exif_with_orientation(6))
    mask = images.read_mask(turned, SIZE[::-1])
    assert np.array_equal(mask, np.rot90(A, -1))
    double = images.read_mask(png(small), (180, 240), resize=True)
    assert (double ^ A.repeat(2, axis=0).repeat(2, axis=1)).mean() < 0.005


def test_a_mask_of_the_photo_as_it_is_stored_is_turned_upright() -> None:
    """Annotation tools that ignore EXIF write such masks."""
    notes: list[str] = []
    stored = png(labels((A, 255)))
    for orientation, mask in ((6, np.rot90(A, -1)), (8, np.rot90(A)), (5, A.T)):
        turned = images.read_mask(
            stored, SIZE[::-1], name="m.png", orientation=orientation, on_message=notes.append
        )
        assert np.array_equal(turned, mask)
    assert notes == ["m.png: the mask was turned upright, as the photo's EXIF says"] * 3
    assert np.array_equal(images.read_mask(stored, SIZE, orientation=3), A)
    with pytest.raises(BadImage, match="must have the photo's size"):
        images.read_mask(stored, SIZE[::-1], orientation=3)


def test_the_command_line_and_the_manifest_tell_what_was_taken(tmp_path: Path) -> None:
    photo, mask = tmp_path / "in" / "a.png", tmp_path / "m.png"
    photo.parent.mkdir()
    Image.fromarray(random_pixels(*SIZE, 3)).save(photo)
    mask.write_bytes(png(labels((ring(A), 255), (A, 1))))
    options = ("--inpainter", "telea", "--no-verify")
    done = run("remove", photo, "--mask", mask, *options, "-o", tmp_path / "o.png",
               "--save-mask", tmp_path / "s.png")  # fmt: skip
    assert f"{mask}: the mask is not black and white; the object is a label map: value 1" in (
        done.stderr
    )
    assert (np.asarray(Image.open(tmp_path / "s.png"))[A] == 255).all()
    table = tmp_path / "in" / "rows.csv"
    table.write_text(f"photo,mask\na.png,{mask}\n")
    done = run("batch", table, tmp_path / "out", *options, "--workers", 0)
    assert done.exit_code == 0, done.output
    assert "255 is taken for void" in (tmp_path / "out" / "manifest.jsonl").read_text()
    assert "255 is taken for void" in (tmp_path / "out" / "report.html").read_text()


def test_the_greys_of_a_smoothed_outline_are_read_if_asked_for() -> None:
    values = cv2.GaussianBlur(labels((A, 255)), (0, 0), 1.5)
    assert images.read_mask(png(values), SIZE).dtype == np.bool_
    greys = images.read_mask(png(values), SIZE, greys=True)
    assert greys == pytest.approx(values / 255)


def test_the_noise_of_a_lossy_mask_is_black_with_greys_too() -> None:
    data = encode_picture(labels((A, 255))[..., None], "JPEG", quality=60)
    greys = images.read_mask(data, SIZE, greys=True)
    assert not greys[~A & ~ring(A, 8)].any()
    assert greys[A].all()
