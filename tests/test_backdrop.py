"""Another background behind an object: nothing is painted, the object keeps its pixels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import assert_error, disc_mask, load, run, save_scene, scene
from PIL import Image as Pillow

import segment2inpaint as s2i
from segment2inpaint.compositing.backdrop import lay_picture
from segment2inpaint.images import photo_from_array
from segment2inpaint.types import ReplacementImage

CORE = (slice(52, 69), slice(72, 89))  # the middle of the disc
COLOR = "80,60"


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    return save_scene(tmp_path)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A picture of 40x60 px: blue, with a green left half."""
    pixels = np.zeros((60, 40, 3), np.uint8) + np.array([10, 20, 250], np.uint8)
    pixels[:, :20] = (20, 240, 30)
    Pillow.fromarray(pixels).save(tmp_path / "picture.png")
    return tmp_path / "picture.png"


def replaced(photo: Path, picture: Path, out: Path, *words: object) -> Any:
    result = run("replace", photo, "--color", COLOR, "--invert", "--with", picture, "-o", out,
                 *words)  # fmt: skip
    assert result.exit_code == 0, result.output
    return result


def test_the_picture_lies_behind_the_object(photo: Path, picture: Path, tmp_path: Path) -> None:
    """The picture is on the whole background, and nothing of it on the object."""
    out, mask = tmp_path / "o.png", tmp_path / "m.png"
    result = replaced(photo, picture, out, "--save-mask", mask)
    after = load(out)
    assert (after[CORE] == scene()[CORE]).all()
    assert (after[:30, :70] == (20, 240, 30)).all()
    assert (after[:30, 90:] == (10, 20, 250)).all()
    kept = load(mask) == 0
    assert (after[kept] == scene()[kept]).all()
    assert kept[disc_mask()].mean() > 0.8
    assert " 0 pixels changed outside" in result.stderr
    assert "inpainter:" not in result.stderr  # none is chosen


@pytest.mark.parametrize(
    ("fit", "corner", "side"),
    [("cover", (20, 240, 30), (20, 240, 30)), ("stretch", (20, 240, 30), (20, 240, 30)),
     ("contain", (255, 255, 255), (255, 255, 255))],
)  # fmt: skip
def test_the_picture_is_scaled_as_asked(
    photo: Path, picture: Path, tmp_path: Path, fit: str, corner: Any, side: Any
) -> None:
    replaced(photo, picture, tmp_path / "o.png", "--with-fit", fit)
    after = load(tmp_path / "o.png")
    assert tuple(after[0, 0]) == corner
    assert tuple(after[60, 2]) == side
    assert tuple(after[2, 70]) == (20, 240, 30)


def test_cover_keeps_the_shape_and_stretch_does_not() -> None:
    """A square in the middle of a tall picture stays a square, or gets the photo's shape."""
    pixels = np.zeros((80, 40, 3), np.uint8)
    pixels[30:50, 10:30] = 255
    picture = ReplacementImage(pixels, np.ones((80, 40), np.float32))
    base = np.full((60, 120, 3), 99, np.uint8)
    shapes = {}
    for fit in ("cover", "stretch"):
        white = lay_picture(base, picture, fit)[..., 0] > 127
        shapes[fit] = np.ptp(np.argwhere(white), axis=0)
    assert abs(shapes["cover"][0] - shapes["cover"][1]) <= 1
    assert shapes["stretch"][1] > 3 * shapes["stretch"][0]


@pytest.mark.parametrize("background", ["white", "#0a64ff", "blur"])
def test_a_colour_or_a_blur_lies_behind_the_object(
    photo: Path, tmp_path: Path, background: str
) -> None:
    out = tmp_path / "o.png"
    words = ["--color", COLOR, "--invert", "--background", background, "-o", out]
    assert run("remove", photo, *words).exit_code == 0
    after = load(out)
    assert (after[CORE] == scene()[CORE]).all()
    expected = {"white": (255,) * 3, "#0a64ff": (10, 100, 255)}.get(background)
    if expected:
        assert (after[:40] == expected).all()
    else:  # smooth, of the photo's brightness, and without the red of the disc next to it
        grey = after[:40].astype(int)
        assert np.abs(np.diff(grey, axis=1)).max() <= 3
        assert np.abs(grey.mean() - scene()[:40].mean()) < 6
        ring = after[60, 100:106].astype(int)
        assert (ring[:, 0] - ring[:, 1]).max() < 8


def test_a_transparent_background_is_written_as_such(photo: Path, tmp_path: Path) -> None:
    out = tmp_path / "o.png"
    words = ["--color", COLOR, "--invert", "--background", "transparent"]
    assert run("remove", photo, *words, "-o", out).exit_code == 0
    after = load(out)
    assert after.shape[2] == 4
    assert (after[CORE][..., 3] == 255).all()
    assert (after[:40] == 0).all()  # nor are the old pixels hidden in it
    assert_error(run("remove", photo, *words, "-o", tmp_path / "o.jpg"), 1, "transparency", ".png")


def test_nothing_is_painted_around_an_object_without_a_model(photo: Path, tmp_path: Path) -> None:
    """One line says what to do instead."""
    result = run("remove", photo, "--color", COLOR, "--invert", "-o", tmp_path / "o.png")
    assert_error(result, 1, "--background white, blur, transparent", "--with")
    assert not (tmp_path / "o.png").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--background", "white"], "--background needs --invert"),
        (["--background", "pink", "--invert"], "white, blur, transparent or #rrggbb"),
        (["--with-fit", "cover", "--invert", "--prompt", "a"], "--with-fit needs --with"),
        (["--with", "PICTURE", "--with-fit", "contain"], "--with-fit needs --with and --invert"),
    ],
)
def test_a_background_in_the_wrong_place_is_refused(
    photo: Path, picture: Path, tmp_path: Path, words: list[str], message: str
) -> None:
    given = [picture if word == "PICTURE" else word for word in words]
    result = run("replace", photo, "--color", COLOR, *given, "-o", tmp_path / "o.png")
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())


def test_the_printed_request_gives_the_same_result(
    photo: Path, picture: Path, tmp_path: Path
) -> None:
    first, second, request = (tmp_path / name for name in ("1.png", "2.png", "r.json"))
    result = replaced(photo, picture, first, "--with-fit", "contain", "--background", "#102030",
                      "--json")  # fmt: skip
    fill = json.loads(result.stdout)["request"]["fill"]
    assert (fill["picture_fit"], fill["background"]) == ("contain", "#102030")
    request.write_text(result.stdout)
    assert run("replace", photo, "--request", request, "-o", second).exit_code == 0
    assert first.read_bytes() == second.read_bytes()


def test_a_batch_lays_it_behind_every_object(photo: Path, picture: Path, tmp_path: Path) -> None:
    """As options of the run, and as keys of a row."""
    single = tmp_path / "single.png"
    replaced(photo, picture, single)
    row = {"photo": str(photo), "colors": "80,60", "picture": str(picture), "invert": True}
    (tmp_path / "rows.jsonl").write_text(json.dumps(row) + "\n")
    clear = {**row, "background": "transparent", "picture": None}
    (tmp_path / "clear.jsonl").write_text(json.dumps(clear) + "\n")
    for rows in ("rows", "clear"):
        done = run("batch", tmp_path / f"{rows}.jsonl", tmp_path / rows, "--workers", "0")
        assert done.exit_code == 0, done.output
    unpainted = run(
        "batch", tmp_path, tmp_path / "x", "--color", COLOR, "--invert", "--glob", "photo.png"
    )
    assert_error(unpainted, 1, "--background white")  # before anything is read
    assert (load(tmp_path / "rows/photo.png") == load(single)).all()
    assert (load(tmp_path / "clear/photo.png")[:40, :, 3] == 0).all()


def test_python_takes_the_same_options() -> None:
    white = s2i.remove(
        scene(), s2i.Color((80, 60)), refine=s2i.Refine(invert=True),
        fill=s2i.Fill(background="white"),
    )  # fmt: skip
    assert (white.image[:40] == 255).all()
    assert white.changed_outside == 0
    assert white.opacity is None
    with pytest.raises(s2i.BadOption, match="background must be"):
        s2i.remove(scene(), (80, 60), fill=s2i.Fill(background="sky"))
    with pytest.raises(s2i.BadOption, match="needs invert"):
        s2i.remove(scene(), (80, 60), fill=s2i.Fill(background="white"))
    with pytest.raises(s2i.BadOption, match="picture_fit must be one of cover, contain, stretch"):
        s2i.remove(scene(), (80, 60), fill=s2i.Fill(picture_fit="tile"))  # type: ignore[arg-type]


def test_protected_areas_stay_and_an_object_without_ground_is_refused() -> None:
    inverted = s2i.Refine(invert=True, protect=(s2i.Box(0, 0, 30, 20),))
    result = s2i.remove(
        scene(), s2i.Color((80, 60)), refine=inverted, fill=s2i.Fill(background="white")
    )
    assert (result.image[:20, :30] == scene()[:20, :30]).all()
    assert (result.alpha[:20, :30] == 0).all()
    everywhere = np.ones(scene().shape[:2], np.bool_)
    with pytest.raises(s2i.NothingFound, match="no background"):
        s2i.remove(
            photo_from_array(scene()), everywhere, refine=s2i.Refine(invert=True),
            fill=s2i.Fill(background="white"),
        )  # fmt: skip
