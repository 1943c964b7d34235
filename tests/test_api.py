"""``remove``, ``replace``, ``mask`` and the public names, without any download."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

import segment2inpaint
from segment2inpaint import mask, remove, replace, write
from segment2inpaint.errors import BadImage, BadOption, BadPrompt, NothingFound
from segment2inpaint.images import Photo, photo_from_array
from segment2inpaint.types import Box, Points, Refine, ReplacementImage, UserMask

BLOCK = np.zeros((96, 128), np.bool_)
BLOCK[40:60, 50:70] = True


@pytest.fixture(scope="module")
def photo() -> Photo:
    """A red block on grainy grey."""
    image = np.random.default_rng(0).normal(128, 9, (96, 128, 3)).clip(0, 255).astype(np.uint8)
    image[BLOCK] = (220, 30, 20)
    return photo_from_array(image)


def test_remove_accepts_a_path_bytes_a_photo_or_an_array(photo: Photo, tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    write(path, photo, photo.image, np.zeros(photo.size, np.float32))
    images = [
        remove(source, UserMask(BLOCK), inpainter="telea").image
        for source in (path, str(path), path.read_bytes(), photo, photo.image.copy())
    ]
    assert all((image == images[0]).all() for image in images)
    assert (images[0] != photo.image).any()


def test_short_forms_equal_prompt_objects(photo: Photo) -> None:
    clicked = mask(photo, (60, 50))
    assert clicked.dtype == np.bool_
    assert (clicked == mask(photo, Points(((60, 50),)))).all()
    boxed = mask(photo, (45, 35, 75, 65))
    assert (boxed == mask(photo, Box(45, 35, 75, 65))).all()
    assert (mask(photo, BLOCK) == BLOCK).all()
    assert (mask(photo, BLOCK, refine=Refine(invert=True)) == ~BLOCK).all()


def test_replace_accepts_a_path_an_array_or_a_picture(photo: Photo, tmp_path: Path) -> None:
    green = np.zeros((20, 20, 3), np.uint8)
    green[:] = (0, 200, 0)
    path = tmp_path / "green.png"
    write(path, photo_from_array(green), green, np.zeros((20, 20), np.float32))
    for value in (path, green, ReplacementImage(green, np.ones((20, 20), np.float32))):
        result = replace(photo, BLOCK, picture=value, inpainter="telea")
        assert (result.image[BLOCK] == (0, 200, 0)).all()
        assert result.changed_outside == 0


@pytest.mark.parametrize("inpainter", ["exemplar", "telea", "ns", "lama"])
def test_an_inpainter_without_text_encoder_refuses_a_prompt(photo: Photo, inpainter: str) -> None:
    """Otherwise it would paint something else than the user wanted."""
    with pytest.raises(BadOption, match=f"{inpainter} cannot read a prompt"):
        replace(photo, BLOCK, prompt="a red rose", inpainter=inpainter)


def test_user_errors_are_one_line(photo: Photo, tmp_path: Path) -> None:
    with pytest.raises(BadOption, match="expected prompt="):
        replace(photo, BLOCK)
    with pytest.raises(BadImage, match="no such file"):
        remove(tmp_path / "none.jpg", (1, 2))
    with pytest.raises(NothingFound):
        remove(photo, np.zeros((96, 128), np.bool_))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (Pillow.new("RGB", (4, 4)), "expected a path, .* got Image"),
        (None, "expected a path, .* got NoneType"),
        ([[[1, 2, 3]]], "expected a path, .* got list"),
    ],
)
def test_a_wrong_photo_argument_is_refused(value: object, message: str) -> None:
    with pytest.raises(BadImage, match=message):
        remove(value, (1, 2))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "value",
    [
        (1, 2, 3),
        ("a", "b"),
        (float("nan"), 3),
        ((1, 2), (3, 4)),
        None,
        5,
        np.zeros((96, 128), np.uint8),
        np.zeros(4, bool),
    ],
)
def test_a_wrong_prompt_argument_is_refused(photo: Photo, value: object) -> None:
    with pytest.raises(BadPrompt, match=r"expected|must be"):
        mask(photo, value)  # type: ignore[arg-type]


def test_lists_and_arrays_are_points_and_boxes(photo: Photo) -> None:
    """JSON and NumPy give such values."""
    for point in ([60, 50], np.array([60, 50])):
        assert (mask(photo, point) == mask(photo, (60, 50))).all()
    assert (mask(photo, [48, 38, 72, 62]) == mask(photo, (48, 38, 72, 62))).all()


def test_the_repr_of_a_result_holds_no_pixels(photo: Photo) -> None:
    """A notebook shows it."""
    result = remove(photo, BLOCK, inpainter="telea")
    assert len(repr(result)) < 3000
    assert "array(" not in repr(result)
    assert "array(" not in repr(photo)
    assert "array(" not in repr(UserMask(BLOCK))


def test_public_names_are_sorted_and_importable() -> None:
    assert segment2inpaint.__all__ == sorted(segment2inpaint.__all__)
    assert all(getattr(segment2inpaint, name) for name in segment2inpaint.__all__)
