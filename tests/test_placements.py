"""The placement of a picture through every door: JSON, the command line, tables and the server."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import SIZE, assert_error, load, requests_of, run, save_scene, scene
from dataset_photos import FAST_OPTIONS, NO_WORKERS, batch, output_photos, read_manifest
from fastapi.testclient import TestClient
from PIL import Image as Pillow
from web_server import API, BASE_URL, decode, draw_scene, encode, make_app, open_photo, run_job
from web_server import assert_error as assert_web_error

from segment2inpaint.editor import Editor
from segment2inpaint.errors import BadOption
from segment2inpaint.request import from_json, to_json, validate
from segment2inpaint.types import (
    BinaryMask,
    Box,
    Fill,
    PicturePlacement,
    Refine,
    ReplacementImage,
    Request,
)
from segment2inpaint.web.command_line import format_command

BLUE = (10, 20, 250)
PICTURE = ReplacementImage(np.full((8, 8, 3), BLUE, np.uint8), np.ones((8, 8), np.float32), "b.png")
PLACEMENT = PicturePlacement((30.5, 40), 1.25, -30, flip=True, blend=0.5, contact_shadow=True)
DISC = ("-b", "62,42,98,78", "--inpainter", "telea")


@pytest.fixture
def blue(tmp_path: Path) -> Path:
    path = tmp_path / "blue.png"
    Pillow.fromarray(PICTURE.image).save(path)
    return path


def read_picture(name: str) -> ReplacementImage:
    return PICTURE


def no_mask(name: str) -> BinaryMask:
    raise AssertionError(name)


def placed(placement: Any, **fill: Any) -> Request:
    return Request((), fill=Fill(picture=PICTURE, picture_placement=placement, **fill))


def test_a_placement_survives_json_and_a_default_one_is_not_written() -> None:
    request = placed(PLACEMENT, picture_cutout=True)
    data = json.loads(json.dumps(to_json(request)))
    assert from_json(data, read_picture, no_mask) == request
    assert data["fill"]["picture_placement"]["at"] == [30.5, 40]
    default = to_json(placed(PicturePlacement()))["fill"]
    assert not {"picture_placement", "picture_cutout"} & set(default)


@pytest.mark.parametrize(
    ("placement", "message"),
    [
        (PicturePlacement(at=(1,)), r"at must be a tuple \(x, y\) in photo px, got \(1,\)"),  # type: ignore[arg-type]
        (PicturePlacement(at=(1, float("nan"))), "at must be a tuple"),
        (PicturePlacement(at=(1, 1e9)), "at must be a tuple"),
        (PicturePlacement(scale=0), "scale must be a number from 0.01 to 100, got 0"),
        (PicturePlacement(angle=400), "angle must be a number from -360 to 360, got 400"),
        (PicturePlacement(blend=True), "blend must be a number from 0 to 1, got True"),
        (PicturePlacement(flip=1), "flip must be true or false, got 1"),  # type: ignore[arg-type]
        ((3, 4), r"picture_placement must be a PicturePlacement, got \(3, 4\)"),
    ],
)
def test_a_wrong_value_is_refused_in_one_line(placement: Any, message: str) -> None:
    with pytest.raises(BadOption, match=message):
        validate(placed(placement))


@pytest.mark.parametrize("data", [{"size": 3}, [1, 2], "left"])
def test_json_of_another_form_is_refused(data: object) -> None:
    request = {"prompts": [], "fill": {"picture": "b.png", "picture_placement": data}}
    with pytest.raises(BadOption, match="picture_placement must be an object with at, scale"):
        from_json(request, read_picture, no_mask)


def test_a_placement_needs_a_picture_in_the_objects_place() -> None:
    with pytest.raises(BadOption, match="add --with PICTURE, and leave out --invert"):
        validate(Request((), fill=Fill(picture_placement=PLACEMENT)))
    behind = Request((), Refine(invert=True), placed(PLACEMENT).fill)
    with pytest.raises(BadOption, match="leave out --invert"):
        validate(behind)
    with pytest.raises(BadOption, match="picture_cutout needs a picture"):
        validate(Request((), fill=Fill(picture_cutout=True)))


def test_the_command_line_puts_the_picture_where_it_is_told(tmp_path: Path, blue: Path) -> None:
    """The disc is gone, the picture stands elsewhere, and nothing else changes."""
    photo, out = save_scene(tmp_path), tmp_path / "out.png"
    place = ("--with-at", "30,100", "--with-scale", "0.5")
    result = run("replace", photo, *DISC, "--with", blue, *place, "-o", out, "--json")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["changed_outside"] == 0
    assert report["verdict"] is None
    after = load(out)
    rows, columns = np.nonzero((after == BLUE).all(axis=2))
    assert abs(rows.mean() + 0.5 - 100) <= 0.5
    assert abs(columns.mean() + 0.5 - 30) <= 0.5
    assert abs(after.astype(int) - scene(disc=False))[50:70, 70:90].mean() < 8


def test_the_printed_request_gives_the_same_pixels_again(tmp_path: Path, blue: Path) -> None:
    photo = save_scene(tmp_path)
    options = ["--with-at", "60.5,70", "--with-scale", "1.5", "--with-angle", "20", "--with-flip",
               "--with-blend", "0.4", "--with-shadow"]  # fmt: skip
    first, second = tmp_path / "1.png", tmp_path / "2.png"
    result = run("replace", photo, *DISC, "--with", blue, *options, "-o", first, "--json")
    (tmp_path / "request.json").write_text(result.stdout)
    again = run("replace", photo, "--request", tmp_path / "request.json", "-o", second)
    assert again.exit_code == 0, again.output
    assert (load(first) == load(second)).all()
    assert (load(first) != scene()).any()


def test_wrong_options_of_the_command_line_give_one_line(tmp_path: Path, blue: Path) -> None:
    photo, out = save_scene(tmp_path), tmp_path / "out.png"
    outside = run("replace", photo, *DISC, "--with", blue, "--with-at", "900,9", "-o", out)
    assert_error(outside, 1, "outside the photo: its centre is at 900,9, and the photo is 160x120")
    no_picture = run("replace", photo, *DISC, "--prompt", "a", "--with-flip", "-o", out)
    assert_error(no_picture, 1, "add --with PICTURE")
    letters = run("replace", photo, *DISC, "--with", blue, "--with-at", "left", "-o", out)
    assert letters.exit_code == 2
    assert "expected X,Y in photo pixels, got 'left'" in letters.stderr
    assert not out.exists()


@pytest.mark.parametrize("placement", [PLACEMENT, PicturePlacement(scale=2), PicturePlacement()])
@pytest.mark.parametrize("cutout", [True, False])
def test_the_page_copies_a_command_with_the_placement(
    tmp_path: Path, blue: Path, placement: PicturePlacement, cutout: bool
) -> None:
    photo = save_scene(tmp_path)
    picture = ReplacementImage(PICTURE.image, PICTURE.alpha, str(blue))
    fill = Fill(picture=picture, picture_placement=placement, picture_cutout=cutout)
    command = format_command(Request((Box(1, 2, 30, 40),), fill=fill), str(photo), "out.png")
    assert command is not None
    (request,) = requests_of(command)
    assert request.fill.picture_placement == placement
    assert request.fill.picture_cutout == cutout


def test_rows_of_a_table_place_pictures(tmp_path: Path, blue: Path) -> None:
    save_scene(tmp_path)
    table = tmp_path / "rows.csv"
    with table.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["photo", "boxes", "picture", "picture_placement"])
        rows.writerow(["photo.png", "62,42,98,78", "blue.png", json.dumps({"at": [30, 100]})])
    out = tmp_path / "out"
    result = batch(table, out, *FAST_OPTIONS, *NO_WORKERS)
    assert result.exit_code == 0, result.output
    assert list(output_photos(out)) == ["photo.png"]
    assert (load(out / "photo.png")[95:105, 25:35] == BLUE).all()
    (row,) = read_manifest(out)
    assert row["request"]["fill"]["picture_placement"] == {"at": [30, 100]}


# --- cutting out --------------------------------------------------------------------------------


def test_the_object_in_an_opaque_picture_is_cut_out(tmp_path: Path) -> None:
    photo = save_scene(tmp_path)
    ball = Path(__file__).parent.parent / "samples/ball.jpg"
    out, mask = tmp_path / "out.png", tmp_path / "changed.png"
    words = ("--with", ball, "--with-cutout", "--with-scale", "2", "--save-mask", mask)
    result = run("replace", photo, *DISC, *words, "-o", out)
    assert result.exit_code == 0, result.output
    red, green = load(out)[..., 0].astype(int), load(out)[..., 1].astype(int)
    changed = load(mask) > 0
    assert changed.mean() < 0.3
    assert (red - green > 40)[changed].mean() > 0.6  # the ball, not the lawn around it
    assert (load(out)[~changed] == scene()[~changed]).all()


def test_a_picture_with_transparency_is_not_cut_again() -> None:
    alpha = np.ones((8, 8), np.float32)
    alpha[0] = 0
    picture = ReplacementImage(PICTURE.image, alpha)
    assert Editor("cpu").cut_out_picture(picture) is picture


def test_a_picture_in_which_nothing_stands_out_is_refused() -> None:
    plain = np.full((*SIZE, 3), 128, np.uint8)
    picture = ReplacementImage(plain, np.ones(SIZE, np.float32), "wall.jpg")
    with pytest.raises(BadOption, match=r"wall\.jpg: no object stands out in it; cut one out"):
        Editor("cpu").cut_out_picture(picture)


# --- the server ---------------------------------------------------------------------------------


def test_the_server_shows_a_picture_as_it_inserts_it() -> None:
    """Without its transparent margin; the size in the header is that of the uploaded pixels."""
    large = np.zeros((1500, 2400, 4), np.uint8)
    large[100:1300, 200:2200] = (*BLUE, 255)
    with TestClient(make_app(), base_url=BASE_URL) as client:
        photo = open_photo(client)
        files = f"{API}/photos/{photo}/files"
        upload = client.post(files, params={"kind": "picture"}, content=encode(large))
        shown = client.get(f"{files}/{upload.json()['id']}/picture")
        assert shown.headers["x-size"] == "2000,1200"
        assert decode(shown.content).shape[1] == 1024
        placement = {"at": [30, 100], "scale": 0.5}
        fill = {"picture": upload.json()["id"], "picture_placement": placement}
        job = run_job(client, photo, prompts=[{"box": [62, 42, 98, 78]}], fill=fill)
        result = decode(client.get(f"{API}/results/{job['result']}/file").content)
        assert tuple(result[100, 30]) == BLUE
        assert (result[:20] == draw_scene()[:20]).all()
        assert_web_error(client.get(f"{files}/{'x' * 22}/picture"), 404)
