"""Outputs that would destroy a file or cannot be written are refused, before any work."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from command_line import SIZE, assert_error, run, save_scene, scene
from PIL import Image as Pillow


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    return save_scene(tmp_path)


def test_the_photo_is_overwritten_only_with_overwrite(photo: Path, tmp_path: Path) -> None:
    before = photo.read_bytes()
    words = ["remove", photo, "-p", "80,60", "--inpainter", "telea", "-o", photo]
    assert_error(run(*words), 1, "photo.png", "--overwrite")
    assert photo.read_bytes() == before
    assert run(*words, "--overwrite").exit_code == 0
    assert photo.read_bytes() != before


@pytest.mark.parametrize("option", ["--save-mask", "--preview"])
def test_no_other_output_overwrites_the_photo(photo: Path, tmp_path: Path, option: str) -> None:
    before = photo.read_bytes()
    assert_error(
        run("remove", photo, "-p", "80,60", "-o", tmp_path / "x.png", option, photo), 1, "photo.png"
    )
    assert photo.read_bytes() == before


@pytest.mark.parametrize("option", ["-o", "--save-mask", "--preview"])
@pytest.mark.parametrize("name", ["mask", "plate", "picture", "request"])
def test_no_output_overwrites_another_input(
    photo: Path, tmp_path: Path, option: str, name: str
) -> None:
    inputs = {n: tmp_path / f"{n}.png" for n in ("mask", "plate", "picture", "request")}
    for file in inputs.values():
        Pillow.fromarray(scene()).save(file)
    Pillow.fromarray(scene()[..., 0] > 127).save(inputs["mask"])
    words = ["--mask", inputs["mask"], "--plate", inputs["plate"], "--with", inputs["picture"]]
    if name == "request":
        request = {"prompts": [{"mask": str(inputs["mask"])}], "inpainter": "telea"}
        inputs["request"].write_text(json.dumps(request))
        words = ["--request", inputs["request"]]
    before = inputs[name].read_bytes()
    out = {"-o": tmp_path / "x.png", option: inputs[name]}
    targets = [word for pair in out.items() for word in pair]
    assert_error(run("replace", photo, *words, *targets), 1, f"{name}.png", "--overwrite")
    assert inputs[name].read_bytes() == before


def test_two_outputs_with_the_same_file_are_refused(photo: Path, tmp_path: Path) -> None:
    out = tmp_path / "x.png"
    result = run("remove", photo, "-p", "80,60", "-o", out, "--preview", out)
    assert result.exit_code == 2


def test_a_file_name_that_is_too_long_is_reported(photo: Path, tmp_path: Path) -> None:
    words = ["remove", photo, "-p", "80,60", "-o", tmp_path / f"{'x' * 300}.png"]
    assert_error(run(*words), 1, "cannot be written: File name too long")


def test_an_unknown_output_format_is_reported(photo: Path, tmp_path: Path) -> None:
    assert_error(run("remove", photo, "-p", "80,60", "-o", tmp_path / "x.gif"), 1, "x.gif", ".png")


def test_a_format_that_cannot_hold_the_photo_is_refused_before_the_work(tmp_path: Path) -> None:
    clear = np.dstack([scene(), np.full(SIZE, 99, np.uint8)])
    Pillow.fromarray(clear).save(tmp_path / "clear.png")
    Pillow.new("RGB", (16_384, 1)).save(tmp_path / "long.png")
    for name, out, part in (
        ("clear.png", "x.jpg", "JPEG cannot hold the photo's transparency; write .png"),
        ("long.png", "x.webp", "WEBP holds at most 16383 px a side, the photo has 16384x1"),
    ):
        words = ["remove", tmp_path / name, "-p", "0,0", "--detector", "none", "-o"]
        assert_error(run(*words, tmp_path / out), 1, out, part)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_a_full_standard_output_is_reported(photo: Path) -> None:
    code = "import sys; sys.stdout = open('/dev/full', 'w'); from segment2inpaint.cli import main; "
    words = ["mask", str(photo), "--color", "80,60", "-o", "-"]
    process = subprocess.run(
        [sys.executable, "-c", f"{code}main({words!r})"], stderr=subprocess.PIPE, text=True
    )
    assert process.returncode == 1
    assert "error: No space left on device" in process.stderr
    assert "Traceback" not in process.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_a_full_disk_is_reported(photo: Path) -> None:
    """/dev/full is a device that is always full."""
    link = photo.parent / "full.png"
    link.symlink_to("/dev/full")
    words = ["-p", "80,60", "--inpainter", "telea", "-o", link]
    assert_error(run("remove", photo, *words), 1, "full.png", "No space left")
