"""``mask`` on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tiny
import tiny_detectors
from command_line import DISC_BOX, assert_error, load, run, save_scene
from huggingface_hub import constants


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    return save_scene(tmp_path)


def test_the_written_mask_works_as_an_input(photo: Path, tmp_path: Path) -> None:
    """``mask`` and then ``--mask`` give the same result as the prompt itself."""
    mask, by_mask, by_point = (tmp_path / f"{i}.png" for i in range(3))
    assert run("mask", photo, "-p", "80,60", "-o", mask).exit_code == 0
    assert set(np.unique(load(mask))) == {0, 255}
    run("remove", photo, "--mask", mask, "--inpainter", "telea", "-o", by_mask)
    run("remove", photo, "-p", "80,60", "--inpainter", "telea", "-o", by_point)
    assert (load(by_mask) == load(by_point)).all()


def test_each_makes_every_point_an_object(photo: Path, tmp_path: Path) -> None:
    words = ["mask", photo, "-p", "80,60", "-p", "10,10", "--json", "-o", tmp_path / "m.png"]
    assert len(json.loads(run(*words).stdout)["masks"]) == 1
    assert len(json.loads(run(*words, "--each").stdout)["masks"]) == 2


def test_numbers_of_everything_work_with_pick(photo: Path, tmp_path: Path) -> None:
    numbers, overlay, mask = (tmp_path / name for name in ("n.png", "o.png", "m.png"))
    result = run("mask", photo, "--everything", "-o", numbers, "--overlay", overlay, "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)["masks"]
    labels = load(numbers)
    assert [m["number"] for m in found] == list(range(1, len(found) + 1))
    assert set(np.unique(labels)) <= set(range(len(found) + 1))
    assert load(overlay).shape == (120, 160, 3)
    (disc,) = [m["number"] for m in found if np.abs(np.subtract(m["box"], DISC_BOX)).max() < 6]
    run("mask", photo, "--everything", "--pick", disc, "-o", mask)
    assert load(mask)[60, 80] == 255
    assert (load(mask) == 255).sum() == found[disc - 1]["area"]
    out = run("remove", photo, "--everything", "--pick", disc, "-o", tmp_path / "x.png")
    assert out.exit_code == 0, out.output


def test_pick_and_everything_need_each_other(photo: Path, tmp_path: Path) -> None:
    words = ["-o", tmp_path / "x.png"]
    assert "--everything needs --pick N" in run("remove", photo, "--everything", *words).stderr
    assert (
        "--pick needs --text, --find or --everything"
        in run("mask", photo, "-p", "80,60", "--pick", "1", *words).stderr
    )
    assert "such as 1,3" in run("mask", photo, "--everything", "--pick", "a", *words).stderr
    assert_error(
        run("mask", photo, "--everything", "--pick", "99", *words), 1, "pick 99: there are"
    )


def test_numbers_are_not_written_in_a_lossy_format(photo: Path, tmp_path: Path) -> None:
    """A JPEG would change the numbers."""
    result = run("mask", photo, "--everything", "-o", tmp_path / "n.jpg")
    assert result.exit_code == 2
    assert "lossless" in result.stderr
    assert not (tmp_path / "n.jpg").exists()


def test_mask_prints_the_area(photo: Path, tmp_path: Path) -> None:
    result = run("mask", photo, "--color", "80,60", "-o", tmp_path / "m.png")
    (line,) = result.stderr.splitlines()
    assert "m.png: 1 object, 3." in line
    assert "% of the photo (color)" in line


def test_text_needs_a_model(photo: Path, tmp_path: Path) -> None:
    """``grabcut`` is an old name of the detector ``builtin``."""
    result = run("mask", photo, "--text", "dog", "--detector", "grabcut", "-o", tmp_path / "x.png")
    assert_error(result, 1, "builtin: cannot use text, it takes points and boxes")


def test_text_finds_objects_with_a_model(photo: Path, tmp_path: Path) -> None:
    """The weights are random; the test is about the way from the option to the masks."""
    dino = tiny_detectors.grounding_dino(tmp_path / "dino")
    words = ["mask", photo, "--text", "a dog", "--detector", dino, "-o", tmp_path / "m.png"]
    found = run(*words, "--threshold", "0", "--device", "cpu", "--json")
    assert found.exit_code == 0, found.output
    assert len(json.loads(found.stdout)["masks"]) > 0
    assert_error(run(*words, "--threshold", "1"), 4, "no 'a dog' above 1, the best scores 0.")


def test_no_edge_refine_keeps_the_mask_of_the_model(photo: Path, tmp_path: Path) -> None:
    checkpoint = tiny.save_sam(tmp_path)
    words = ["mask", photo, "-p", "80,60", "--detector", checkpoint, "--no-cache", "-o"]
    run(*words, tmp_path / "fine.png")
    run(*words, tmp_path / "rough.png", "--no-edge-refine")
    assert (load(tmp_path / "fine.png") != load(tmp_path / "rough.png")).any()


def test_a_hint_about_models_is_printed_once_on_a_machine(
    photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nothing can be kept, it is printed again, and nothing fails."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))

    def stderr(cache: Path) -> str:
        monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
        result = run("mask", photo, "-p", "80,60", "-o", tmp_path / "m.png", "--overwrite")
        assert result.exit_code == 0, result.output
        return result.stderr

    assert "models download sam" in stderr(tmp_path / "cache")
    assert "models download sam" not in stderr(tmp_path / "cache")
    (tmp_path / "file").write_text("no folder")
    assert ["models download sam" in stderr(tmp_path / "file") for _ in range(2)] == [True, True]
