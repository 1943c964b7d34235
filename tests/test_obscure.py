"""The fills that hide an object: blur, pixelate and solid."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image as Pillow

from segment2inpaint import inpaint, request
from segment2inpaint.cli import main
from segment2inpaint.editor import Editor
from segment2inpaint.errors import BadOption
from segment2inpaint.images import photo_from_array
from segment2inpaint.inpaint.obscure import CELLS
from segment2inpaint.protocols import Crop
from segment2inpaint.types import Box, Fill, Image, Length, Refine, Request, UserMask

OBJECT = Box(40, 30, 120, 130)


def noise(height: int = 160, width: int = 200) -> Image:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def object_mask(box: Box = OBJECT, size: tuple[int, int] = (160, 200)) -> UserMask:
    mask = np.zeros(size, np.bool_)
    mask[box.slices] = True
    return UserMask(mask)


def painted(name: str, image: Image, mask: UserMask, fill: Fill = Fill()) -> Image:
    (result,) = inpaint.load(name).inpaint([Crop(image, mask.mask)], fill)
    return result


@pytest.mark.parametrize("scale", [1, 8])
@pytest.mark.parametrize("name", ["blur", "pixelate"])
def test_details_are_gone_however_large_the_object_is(name: str, scale: int) -> None:
    """Stripes of a fifth of a face, as wide as eyes and mouth are apart, leave hardly a trace."""
    height, width = 130 * scale, 100 * scale
    image = np.full((height, width, 3), 128, np.uint8)
    stripe = 6 * scale
    for y in range(0, height, 2 * stripe):
        image[y : y + stripe] = 255
    mask = UserMask(np.ones((height, width), np.bool_))
    inside = painted(name, image, mask)[2 * stripe : -2 * stripe].astype(int)
    assert image.std() > 60
    assert inside.std() < 15


def test_pixelation_leaves_a_few_colours(tmp_path: Path) -> None:
    result = painted("pixelate", noise(), object_mask())
    colours = np.unique(result[OBJECT.slices].reshape(-1, 3), axis=0)
    assert 4 <= len(colours) <= CELLS**2


def test_a_line_of_text_is_hidden_as_a_whole_and_not_letter_by_letter() -> None:
    """The cells are longer than a letter, so that no letter can be guessed from its colour."""
    line = Box(10, 70, 190, 90)
    result = painted("pixelate", noise(), object_mask(line))
    assert len(np.unique(result[line.slices].reshape(-1, 3), axis=0)) <= CELLS


def test_solid_takes_the_mean_colour_or_a_given_one() -> None:
    image, mask = noise(), object_mask()
    mean = np.rint(image[mask.mask].mean(axis=0))
    assert (painted("solid", image, mask)[mask.mask] == mean).all()
    black = painted("solid", image, mask, Fill(fill_color=(0, 0, 0)))
    assert not black[mask.mask].any()


def test_objects_are_hidden_one_by_one() -> None:
    image = np.zeros((160, 200, 3), np.uint8)
    image[:, 100:] = 200
    mask = UserMask(object_mask(Box(10, 10, 60, 60)).mask | object_mask(Box(130, 10, 190, 60)).mask)
    result = painted("solid", image, mask)
    assert (result == image).all()


@pytest.mark.parametrize("name", inpaint.OBSCURERS)
def test_nothing_else_changes_and_nothing_is_verified(name: str) -> None:
    lines: list[str] = []
    photo = photo_from_array(noise())
    result = Editor(on_message=lines.append).run(
        photo, Request((object_mask(),), Refine(feather=Length(4, "px")), inpainter=name)
    )
    assert result.changed_outside == 0
    assert (result.image[result.alpha == 0] == photo.image[result.alpha == 0]).all()
    assert (result.image != photo.image).any()
    assert (result.checks, result.verdict) == ((), None)
    assert len(result.attempts) == 1
    assert f"{name} hides the object: there is nothing to verify" in lines


def test_candidates_never_show_what_another_inpainter_invented() -> None:
    asked = Request((object_mask(),), fill=Fill(candidates=3), inpainter="blur")
    result = Editor().run(photo_from_array(noise()), asked)
    assert [c.settings["inpainter"] for c in result.candidates] == ["blur"]


def test_a_colour_without_the_fill_that_uses_it_is_refused() -> None:
    asked = Request((object_mask(),), fill=Fill(fill_color=(1, 2, 3)), inpainter="blur")
    with pytest.raises(BadOption, match="fill_color needs the inpainter solid, got blur"):
        request.validate(asked)
    with pytest.raises(BadOption, match="red, green, blue from 0 to 255"):
        request.validate(
            Request((object_mask(),), fill=Fill(fill_color=(1, 2, 300)), inpainter="solid")
        )


def test_the_command_line_paints_the_given_colour(tmp_path: Path) -> None:
    Pillow.fromarray(noise()).save(tmp_path / "a.png")
    words = ["remove", str(tmp_path / "a.png"), "--mask", str(tmp_path / "m.png")]
    Pillow.fromarray(255 * object_mask().mask.astype(np.uint8)).save(tmp_path / "m.png")
    words += ["--fill", "solid", "--fill-color", "#102030", "-o", str(tmp_path / "b.png")]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0, result.output
    after = np.asarray(Pillow.open(tmp_path / "b.png"))
    assert (after[OBJECT.slices] == (0x10, 0x20, 0x30)).all()


def test_two_fills_at_once_are_refused(tmp_path: Path) -> None:
    Pillow.fromarray(noise()).save(tmp_path / "a.png")
    words = ["remove", str(tmp_path / "a.png"), "-p", "60,60", "--fill", "blur"]
    words += ["--inpainter", "telea", "-o", str(tmp_path / "b.png")]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 2
    assert "--fill blur and --inpainter telea contradict each other" in result.output
