"""``cutout``: the object alone, of one photo and of folders, and on other grounds."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from command_line import SIZE, assert_error, disc_mask, load, run, save_scene, scene
from PIL import Image as Pillow

import segment2inpaint as s2i
from segment2inpaint.compositing.composition import Placement, compose, random_placement

DISC = ["--color", "80,60"]


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    return save_scene(tmp_path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two good photos and one that is no picture."""
    photos = tmp_path / "photos"
    photos.mkdir()
    for name in ("a.png", "b.png"):
        shutil.move(save_scene(photos), photos / name)
    (photos / "bad.jpg").write_bytes(b"no picture")
    return photos


@pytest.fixture
def grounds(tmp_path: Path) -> Path:
    """Two grounds of one colour each, of different sizes."""
    rooms = tmp_path / "rooms"
    rooms.mkdir()
    Pillow.new("RGB", (200, 150), (10, 120, 30)).save(rooms / "green.png")
    Pillow.new("RGB", (150, 260), (20, 40, 160)).save(rooms / "blue.png")
    return rooms


def test_the_object_is_alone_in_its_box(photo: Path, tmp_path: Path) -> None:
    out = tmp_path / "o.png"
    result = run("cutout", photo, *DISC, "-o", out, "--json")
    assert result.exit_code == 0, result.output
    rgba = load(out)
    (written,) = json.loads(result.stdout)["pictures"]
    x0, y0, x1, y1 = written["photo_box"]
    assert rgba.shape == (y1 - y0, x1 - x0, 4)
    assert 25 <= y1 - y0 <= 45
    whole = rgba[..., 3] == 255
    assert (rgba[whole][:, :3] == scene()[y0:y1, x0:x1][whole]).all()
    assert (rgba[rgba[..., 3] == 0] == 0).all()  # the background is not hidden in the file
    assert whole.sum() > 0.7 * disc_mask().sum()


def test_in_place_has_the_photos_size_in_every_format(photo: Path, tmp_path: Path) -> None:
    for name in ("o.png", "o.webp", "o.tif"):
        done = run("cutout", photo, *DISC, "--in-place", "-o", tmp_path / name)
        assert done.exit_code == 0, done.output
        picture = Pillow.open(tmp_path / name)
        assert (picture.mode, picture.size) == ("RGBA", SIZE[::-1])
    assert (load(tmp_path / "o.webp") == load(tmp_path / "o.png")).all()


def test_a_hard_edge_is_the_mask(photo: Path, tmp_path: Path) -> None:
    Pillow.fromarray(disc_mask()).save(tmp_path / "m.png")
    words = ["--mask", tmp_path / "m.png", "--in-place", "--hard-edge", "-o", tmp_path / "o.png"]
    assert run("cutout", photo, *words).exit_code == 0
    assert (load(tmp_path / "o.png")[..., 3] == 255 * disc_mask()).all()


def test_standard_input_and_output(photo: Path) -> None:
    done = run("cutout", "-", *DISC, "-o", "-", stdin=photo.read_bytes())
    assert done.exit_code == 0
    assert done.stdout_bytes.startswith(b"\x89PNG")


def test_everything_gives_a_file_for_each_object(photo: Path, tmp_path: Path) -> None:
    two = np.hstack([scene(), scene()])
    Pillow.fromarray(two).save(photo)
    done = run("cutout", photo, "--everything", "-o", tmp_path / "all", "--json")
    assert done.exit_code == 0, done.output
    outputs = [p["output"] for p in json.loads(done.stdout)["pictures"]]
    assert outputs == [f"photo-{n}.png" for n in range(1, len(outputs) + 1)]
    assert len(outputs) >= 2
    assert all((tmp_path / "all" / name).exists() for name in outputs)


def test_a_bad_photo_of_a_folder_costs_only_itself(folder: Path, tmp_path: Path) -> None:
    done = run("cutout", folder, *DISC, "-o", tmp_path / "objects", "--format", "webp")
    assert done.exit_code == 3
    assert sorted(p.name for p in (tmp_path / "objects").iterdir()) == ["a.webp", "b.webp"]
    assert "failed: " in done.stderr
    assert "bad.jpg" in done.stderr
    assert "3 photos, 2 pictures, 1 failed" in done.stderr
    only_bad = run("cutout", folder / "bad.jpg", folder / "bad.jpg", *DISC, "-o", tmp_path / "x")
    assert only_bad.exit_code == 1


def test_names_that_differ_only_in_their_suffix_stay_apart(folder: Path, tmp_path: Path) -> None:
    (folder / "bad.jpg").unlink()
    Pillow.open(folder / "a.png").save(folder / "a.webp", lossless=True)
    assert run("cutout", folder, *DISC, "-o", tmp_path / "o").exit_code == 0
    names = sorted(p.name for p in (tmp_path / "o").iterdir())
    assert names == ["a.png.png", "a.webp.png", "b.png"]


def test_a_folder_of_masks_is_paired_with_the_photos(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "masks").mkdir()
    Pillow.fromarray(disc_mask()).save(tmp_path / "masks/a_mask.png")
    done = run("cutout", folder, "--mask", tmp_path / "masks", "-o", tmp_path / "o")
    assert done.exit_code == 3
    assert [p.name for p in (tmp_path / "o").iterdir()] == ["a.png"]


def test_the_object_stands_on_a_colour_and_on_a_picture(
    photo: Path, grounds: Path, tmp_path: Path
) -> None:
    out = tmp_path / "o.png"
    assert run("cutout", photo, *DISC, "--on", "#ff00c8", "-o", out).exit_code == 0
    after = load(out)
    assert after.shape == (*SIZE, 3)
    assert (after[:40] == (255, 0, 200)).all()
    assert (after[55:65, 75:85] == scene()[55:65, 75:85]).all()
    words = ["--on", grounds / "green.png", "--crop", "-o", tmp_path / "o.jpg"]
    assert run("cutout", photo, *DISC, *words).exit_code == 0
    assert load(tmp_path / "o.jpg").shape[0] < 50


def test_a_shadow_darkens_the_ground_and_not_the_object(photo: Path, tmp_path: Path) -> None:
    words = ["cutout", photo, *DISC, "--on", "#c8c8c8"]
    plain, shaded = tmp_path / "p.png", tmp_path / "s.png"
    assert run(*words, "-o", plain).exit_code == 0
    assert run(*words, "--cast-shadow", "-o", shaded).exit_code == 0
    before, after = load(plain).astype(int), load(shaded).astype(int)
    assert (after <= before).all()
    darker = (before - after).max(axis=2) > 10
    assert darker[72:80, 70:90].any()  # below the disc
    assert not darker[55:65, 75:85].any()
    assert not darker[:40].any()


def test_training_pictures_have_annotations_that_fit_them(
    folder: Path, grounds: Path, tmp_path: Path
) -> None:
    from pycocotools.coco import COCO

    out = tmp_path / "training"
    words = ["cutout", folder, *DISC, "--on", grounds, "--copies", "4", "--label", "disc"]
    assert run(*words, "--cast-shadow", "-o", out).exit_code == 3  # the bad photo
    coco = COCO(str(out / "annotations.json"))
    assert [c["name"] for c in coco.cats.values()] == ["disc"]
    assert len(coco.imgs) == len(coco.anns) == 8
    assert len({tuple(a["bbox"]) for a in coco.anns.values()}) == 8  # each at its own place
    for annotation in coco.anns.values():
        file = coco.imgs[annotation["image_id"]]
        pixels = load(out / file["file_name"]).astype(int)
        assert pixels.shape[:2] == (file["height"], file["width"])
        mask = coco.annToMask(annotation) > 0
        assert mask.sum() == annotation["area"]
        red = (pixels[..., 0] - pixels[..., 1:].max(axis=2) > 25) & mask
        assert red.sum() > 0.8 * mask.sum()
    again = tmp_path / "again"
    run(*words, "--cast-shadow", "-o", again)
    assert all(p.read_bytes() == (again / p.name).read_bytes() for p in out.iterdir())
    other = tmp_path / "other"
    run(*words, "--cast-shadow", "--seed", "1", "-o", other)
    assert (other / "annotations.json").read_bytes() != (out / "annotations.json").read_bytes()


def test_random_places_lie_within_the_ground() -> None:
    cut = s2i.cutout(scene(), disc_mask())
    ground = np.full((90, 140, 3), 128, np.uint8)
    for seed in range(30):
        place = random_placement(cut, (90, 140), np.random.default_rng(seed), shadow=seed % 2 == 0)
        mask = compose(ground, cut, place).mask
        assert mask.any()
        rows, columns = np.nonzero(mask)
        assert 90 * 0.25 * 0.8 <= max(np.ptp(rows), np.ptp(columns)) + 1 <= 90 * 0.6
        assert not mask[:, 0].all()
        assert seed % 2 or rows.max() >= 90 * 0.5  # with a shadow it stands low
    half = compose(ground, cut, Placement(-10, -5)).mask  # partly outside
    assert 0 < half.sum() < compose(ground, cut).mask.sum()


def test_python_gives_the_object_as_a_picture(tmp_path: Path) -> None:
    cut = s2i.cutout(scene(), disc_mask())
    assert cut.pil.mode == "RGBA"
    assert cut.pil.size == (cut.box.width, cut.box.height)
    cut.save(tmp_path / "o.png")
    assert (load(tmp_path / "o.png") == np.asarray(cut.pil)).all()
    whole = s2i.cutout(scene(), disc_mask(), crop=False)
    assert whole.alpha.shape == SIZE
    assert (whole.alpha[cut.box.slices] == cut.alpha).all()


def test_the_photos_own_transparency_is_kept(photo: Path, tmp_path: Path) -> None:
    rgba = np.dstack([scene(), np.full(SIZE, 255, np.uint8)])
    rgba[:60, :, 3] = 0
    Pillow.fromarray(rgba).save(tmp_path / "half.png")
    Pillow.fromarray(disc_mask()).save(tmp_path / "m.png")
    words = ["--mask", tmp_path / "m.png", "--in-place", "-o", tmp_path / "o.png"]
    assert run("cutout", tmp_path / "half.png", *words).exit_code == 0
    assert (load(tmp_path / "o.png")[:60, :, 3] == 0).all()
    assert load(tmp_path / "o.png")[65, 80, 3] == 255


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["-o", "o.jpg"], ["JPEG cannot hold transparency", ".png"]),
        (["--on", "nowhere", "-o", "o.png"], ["nowhere", "nor a colour"]),
        (["--on", "EMPTY", "-o", "o.png"], ["EMPTY", "found none"]),
        (["-o", "PHOTO"], ["photo.png", "--overwrite"]),
    ],
)
def test_wrong_inputs_are_told_in_one_line(
    photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], parts: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("EMPTY").mkdir()
    given = [photo if word == "PHOTO" else word for word in words]
    assert_error(run("cutout", photo, *DISC, *given), 1, *parts)
    assert not Path("o.png").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--copies", "3"], "--copies needs --on"),
        (["--copies", "3", "--on", "white"], "--copies needs --on FOLDER"),
        (["--cast-shadow"], "--cast-shadow needs --on"),
        (["--label", "a"], "--label needs --on"),
        (["--format", "webp"], "--format is for a folder"),
        (["--everything", "--format", "jpeg"], "--format jpeg cannot hold transparency"),
    ],
)
def test_options_without_effect_are_refused(
    photo: Path, tmp_path: Path, words: list[str], message: str
) -> None:
    result = run("cutout", photo, *DISC, *words, "-o", tmp_path / "out.d")
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())


def test_the_folder_of_the_photos_is_no_output_folder(folder: Path) -> None:
    assert_error(run("cutout", folder, *DISC, "-o", folder), 1, "choose another")


def test_an_object_that_is_not_there_exits_with_4(photo: Path, tmp_path: Path) -> None:
    words = ["--color", "#00ff00", "--tolerance", "3", "-o", tmp_path / "o.png"]
    assert_error(run("cutout", photo, *words), 4, "nothing found")
