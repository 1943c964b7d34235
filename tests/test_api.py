"""``remove``, ``replace``, ``mask`` and the public names, without any download."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image as Pillow

import segment2inpaint
from segment2inpaint import Editor, mask, read, remove, replace, write
from segment2inpaint.api.keywords import RemoveKeywords
from segment2inpaint.errors import BadImage, BadOption, BadPrompt, NothingFound
from segment2inpaint.images import Photo, photo_from_array
from segment2inpaint.types import (
    Box,
    Fill,
    Length,
    Points,
    Refine,
    ReplacementImage,
    Request,
    UserMask,
)

BLOCK = np.zeros((96, 128), np.bool_)
BLOCK[40:60, 50:70] = True


@pytest.fixture(scope="module")
def photo() -> Photo:
    """A red block on grainy grey."""
    image = np.random.default_rng(0).normal(128, 9, (96, 128, 3)).clip(0, 255).astype(np.uint8)
    image[BLOCK] = (220, 30, 20)
    return photo_from_array(image)


def test_remove_accepts_a_path_an_open_file_a_photo_an_array_or_a_pil_image(
    photo: Photo, tmp_path: Path
) -> None:
    path = tmp_path / "photo.png"
    write(path, photo, photo.image, np.zeros(photo.size, np.float32))
    opened = BytesIO(path.read_bytes())
    images = [
        remove(source, UserMask(BLOCK), inpainter="telea", verify=False).image
        for source in (path, str(path), opened, photo, photo.image.copy(), Pillow.open(path))
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
        (
            Pillow.new("CMYK", (4, 4)),
            r"expected a PIL image .* got CMYK; use image.convert",
        ),
        (Pillow.new("F", (4, 4)), "expected a PIL image of mode RGB, .* got F"),
        (np.zeros((4, 4, 2), np.uint8), r"expected shape .* got \(4, 4, 2\)"),
        (np.zeros((4, 4, 3)), "expected a uint8 array, got float64"),
        (np.zeros((0, 4), np.uint8), "expected shape"),
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
        ((1, 2), (3, 4, 5)),
        ((1, 2, 3, 4), (5, 6, 7, 8)),
        None,
        5,
        [],
        np.zeros((96, 128), np.uint16) + 500,
        np.zeros((3, 96, 128), bool),
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


def test_several_points_are_all_on_one_object(photo: Photo) -> None:
    expected = mask(photo, Points(((60, 50), (55, 45))))
    for points in ([(60, 50), (55, 45)], ((60, 50), (55, 45)), np.array([[60.4, 50.9], [55, 45]])):
        assert (mask(photo, points) == expected).all()


def test_arrays_of_segment_anything_are_points_and_a_box(photo: Photo) -> None:
    clicked = mask(photo, Points(((60, 50),), ((5, 5),)))
    coords, labels = np.array([[60.0, 50.0], [5.0, 5.0]]), np.array([1, 0])
    assert (mask(photo, point_coords=coords, point_labels=labels) == clicked).all()
    assert (mask(photo, point_coords=coords[None], point_labels=labels[None]) == clicked).all()
    boxed = mask(photo, (45, 35, 75, 65))
    assert (mask(photo, box=np.array([[45, 35, 75, 65]])) == boxed).all()
    result = remove(photo, point_coords=[(60, 50)], inpainter="telea", verify=False)
    assert result.alpha[50, 60] == 1


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"point_coords": [1, 2, 3]}, r"point_coords must be \(N, 2\)"),
        ({"point_coords": [(1, 2)], "point_labels": [1, 0]}, "point_labels must be 1 values"),
        ({"point_coords": [(1, 2)], "point_labels": [2]}, "point_labels must be"),
        ({"point_coords": [(1, 2)], "point_labels": "a"}, "point_labels must be"),
        ({"box": (1, 2)}, "box must be x0, y0, x1, y1"),
        ({"point_coords": [(float("nan"), 2)]}, "point_coords must be"),
    ],
)
def test_wrong_arrays_of_points_are_refused(
    photo: Photo, keywords: dict[str, Any], message: str
) -> None:
    with pytest.raises(BadPrompt, match=message):
        mask(photo, **keywords)


def test_bytes_give_bytes_in_the_same_format(photo: Photo) -> None:
    result = remove(photo, BLOCK, inpainter="telea", verify=False)
    for format in ("PNG", "JPEG", "WEBP"):
        data = remove(result.encode(format), BLOCK, inpainter="telea", verify=False)
        assert isinstance(data, bytes)
        assert read(data).format == format
    green = Pillow.new("RGB", (20, 20), (0, 200, 0))
    pasted = replace(result.encode("PNG"), BLOCK, picture=green, inpainter="telea", verify=False)
    assert (read(pasted).image[BLOCK] == (0, 200, 0)).all()


def test_bytes_whose_background_is_removed_become_a_png(photo: Photo) -> None:
    data = remove(photo_as_jpeg(photo), BLOCK, invert=True, background="transparent")
    cut = read(data)
    assert cut.format == "PNG"
    assert cut.alpha is not None
    assert cut.alpha[50, 60] == 255
    assert cut.alpha[0, 0] == 0


def photo_as_jpeg(photo: Photo) -> bytes:
    buffer = BytesIO()
    Pillow.fromarray(photo.image).save(buffer, "JPEG")
    return buffer.getvalue()


def test_keywords_are_fields_of_refine_fill_and_request(photo: Photo) -> None:
    refine, fill = Refine(Length(9, "px"), Length.parse("2%"), shadow=False), Fill(seed=5)
    long = remove(photo, BLOCK, refine=refine, fill=fill, inpainter="exemplar", verify=False)
    for dilate in (9, "9px", Length(9, "px")):
        short = remove(
            photo, BLOCK, dilate=dilate, feather="2%", shadow=False, seed=5,
            inpainter="exemplar", verify=False,
        )  # fmt: skip
        assert (short.image == long.image).all()
        assert (short.alpha == long.alpha).all()
        assert not short.checks
    over = remove(photo, BLOCK, refine=refine, dilate=20, inpainter="telea", verify=False)
    assert over.settings["dilate"] == 20
    assert over.settings["feather"] == long.settings["feather"]


def test_a_mask_is_dilated_only_by_its_own_keyword(photo: Photo) -> None:
    assert (mask(photo, BLOCK, refine=Refine(dilate=Length(9, "px"))) == BLOCK).all()
    assert mask(photo, BLOCK, dilate=9).sum() > 2 * BLOCK.sum()
    assert (mask(photo, BLOCK, invert=True) == ~BLOCK).all()


def test_areas_are_protected_by_a_keyword(photo: Photo) -> None:
    area = Box(0, 0, 60, 96)
    for areas in (area, [area], (area, UserMask(np.zeros((96, 128), np.bool_)))):
        alpha = remove(photo, BLOCK, protect=areas, inpainter="telea", verify=False).alpha
        assert not alpha[:, :60].any()
        assert alpha[:, 60:].any()


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        (
            {"sed": 1},
            r"remove: unknown keyword 'sed'; did you mean seed\? known: attempts, ",
        ),
        ({"picture": "a.png"}, "remove: unknown keyword 'picture'"),
        ({"dilate": True}, "dilate must be a number of px"),
        ({"feather": "wide"}, "feather: length must be of the form auto, 12px or 3%, got 'wide'"),
        ({"dilate": -2}, "dilate: length must be a number of 0 or more"),
        ({"seed": "x"}, "seed must be a whole number from 0"),
        ({"shadow": 3}, "shadow must be true or false"),
        ({"point_labels": [1]}, "point_labels: expected point_coords too"),
    ],
)
def test_wrong_keywords_are_one_line(photo: Photo, keywords: dict[str, Any], message: str) -> None:
    with pytest.raises(BadOption, match=message) as caught:
        remove(photo, BLOCK, **keywords)
    assert "\n" not in str(caught.value)


def test_each_function_names_the_keywords_that_it_has(photo: Photo) -> None:
    with pytest.raises(BadOption, match="mask: unknown keyword 'seed'; known: box, detector, d"):
        mask(photo, BLOCK, seed=1)  # type: ignore[call-arg]
    with pytest.raises(BadOption, match="replace: unknown keyword 'sedd'; did you mean seed"):
        replace(photo, BLOCK, prompt="a", sedd=1)  # type: ignore[call-overload]


def test_every_option_has_its_keyword() -> None:
    """A new field of these classes needs a line in ``segment2inpaint.api.keywords``."""
    names = {field.name for kind in (Refine, Fill, Request) for field in fields(kind)}
    own = {"prompts", "refine", "fill", "detector", "inpainter", "picture"}
    assert RemoveKeywords.__optional_keys__ == names - own | {
        "point_coords",
        "point_labels",
        "box",
    }


def test_write_accepts_a_result(photo: Photo, tmp_path: Path) -> None:
    result = remove(photo, BLOCK, inpainter="telea")
    write(tmp_path / "a.png", photo, result.image, result.alpha)
    write(tmp_path / "b.png", result)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_write_with_wrong_arguments_raises_our_error(photo: Photo) -> None:
    result = remove(photo, BLOCK, inpainter="telea", verify=False)
    for arguments, message in [
        ((photo, "a.png"), "target must be a path, got Photo"),
        (("a.png", result.image, result.alpha), "photo must be a Photo or a Result, got ndarray"),
        (("a.png", photo), "image must be an array, got NoneType"),
        (("a.png", photo, result.image), "alpha must be an array, got NoneType"),
        (("a.png", photo, result.pil, result.alpha), "image must be an array, got Image"),
        (("a.png", result, result.image), "a Result has its own image"),
    ]:
        with pytest.raises(BadImage, match=f"write: {message}.*expected write\\(target, photo"):
            write(*arguments)  # type: ignore[arg-type]


def test_dir_and_help_list_the_public_names() -> None:
    """In a process of its own, where nothing is imported yet."""
    code = (
        "import pydoc, segment2inpaint as s; assert set(s.__all__) <= set(dir(s)); "
        "text = pydoc.render_doc(s, renderer=pydoc.plaintext); "
        "assert [n for n in s.__all__ if n not in text] == []; assert 'remove(' in text"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("inpainter", ["telea", pytest.param("exemplar", marks=pytest.mark.slow)])
def test_four_threads_with_one_editor_give_equal_results(photo: Photo, inpainter: str) -> None:
    editor = Editor()
    clicks = [(60, 50), (52, 42)]

    def edit(point: tuple[int, int]) -> NDArray[np.uint8]:
        result = remove(photo, point, editor=editor, inpainter=inpainter, verify=False)
        return result.image

    alone = [edit(point) for point in clicks]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(edit, 2 * clicks))
    assert all((a == b).all() for a, b in zip(2 * alone, together, strict=True))


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
