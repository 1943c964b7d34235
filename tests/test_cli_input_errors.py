"""Bad photos, prompts, masks and options end in one line and an exit status."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import tiny
from command_line import SIZE, assert_error, load, run, save_scene, scene
from PIL import Image as Pillow


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    return save_scene(tmp_path)


def test_a_missing_photo_is_reported(tmp_path: Path) -> None:
    assert_error(
        run("remove", tmp_path / "no.jpg", "-p", "1,1", "-o", "x.png"), 1, "no.jpg", "no such"
    )


def test_a_folder_instead_of_a_photo_is_reported(tmp_path: Path) -> None:
    assert_error(run("remove", tmp_path, "-p", "1,1", "-o", "x.png"), 1, str(tmp_path), "folder")


@pytest.mark.parametrize(
    ("name", "data", "part"),
    [
        ("empty.jpg", b"", "empty"),
        ("text.jpg", b"this is a text and not a picture\n" * 9, "text.jpg"),
    ],
)
def test_a_file_that_is_not_a_photo_is_reported(
    tmp_path: Path, name: str, data: bytes, part: str
) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    assert_error(run("remove", path, "-p", "1,1", "-o", tmp_path / "x.png"), 1, name, part)
    assert not (tmp_path / "x.png").exists()


def test_a_truncated_jpeg_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "half.jpg"
    Pillow.fromarray(scene()).save(path)
    path.write_bytes(path.read_bytes()[:900])
    assert_error(
        run("remove", path, "-p", "1,1", "-o", tmp_path / "x.jpg"), 1, "half.jpg", "truncated"
    )


def test_a_photo_with_too_many_pixels_is_refused_by_its_header(tmp_path: Path) -> None:
    """The header of 30000 x 30000 pixels is enough; no memory is allocated for the pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", 30000, 30000, 8, 2, 0, 0, 0)
    path = tmp_path / "bomb.png"
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
    )
    assert_error(
        run("remove", path, "-p", "1,1", "-o", tmp_path / "x.png"),
        1,
        "bomb.png",
        "30000",
        "--max-pixels",
    )


def test_a_photo_of_one_pixel_does_not_crash(tmp_path: Path) -> None:
    path, out = tmp_path / "dot.png", tmp_path / "x.png"
    Pillow.fromarray(np.full((1, 1, 3), 9, np.uint8)).save(path)
    result = run("remove", path, "-p", "0,0", "-o", out)
    assert result.exit_code in (0, 4), result.output
    assert result.exit_code == 4 or load(out).shape == (1, 1, 3)


# --- prompts and masks ------------------------------------------------------------------------


def test_a_command_without_a_prompt_is_refused(photo: Path) -> None:
    assert_error(run("remove", photo, "-o", "x.png"), 1, "no prompt", "-p")


@pytest.mark.parametrize("point", ["160,5", "5,120", "-1,5", "99999999,1"])
def test_a_point_outside_the_photo_is_reported(photo: Path, tmp_path: Path, point: str) -> None:
    result = run("remove", photo, "-p", point, "-o", tmp_path / "x.png")
    assert_error(result, 1, "photo.png", point, "160 x 120")


@pytest.mark.parametrize("box", ["5,5,5,9", "5,5,9,5", "200,10,300,20"])
def test_an_empty_box_is_reported(photo: Path, tmp_path: Path, box: str) -> None:
    assert_error(run("remove", photo, "-b", box, "-o", tmp_path / "x.png"), 1, "photo.png", "box")


def test_an_empty_mask_finds_nothing(photo: Path, tmp_path: Path) -> None:
    Pillow.new("L", SIZE[::-1]).save(tmp_path / "m.png")
    assert_error(
        run("remove", photo, "--mask", tmp_path / "m.png", "-o", tmp_path / "x.png"), 4, "photo.png"
    )
    assert not (tmp_path / "x.png").exists()


def test_a_mask_of_another_size_needs_resize_mask(photo: Path, tmp_path: Path) -> None:
    mask = tmp_path / "m.png"
    Pillow.new("L", (80, 60), 255).save(mask)
    words = ["remove", photo, "--mask", mask, "-o", tmp_path / "x.png", "--inpainter", "telea"]
    assert_error(run(*words), 1, "m.png", "160x120", "80x60", "--resize-mask")
    assert run(*words, "--resize-mask").exit_code == 0


# --- options ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["-p", "1"], "expected X,Y"),
        (["-p", "a,b"], "expected X,Y"),
        (["-b", "1,2,3"], "expected X0,Y0,X1,Y1"),
        (["--color", "#12"], "#RRGGBB"),
        (["--color", "red"], "X,Y or '#RRGGBB'"),
        (["-p", "1,1", "--dilate", "-3px"], "a number of 0 or more"),
        (["-p", "1,1", "--dilate", "nan"], "a number of 0 or more"),
        (["-p", "1,1", "--feather", "wide"], "12px"),
        (["-p", "1,1", "--nonsense"], "--nonsense"),
        (["-p", "1,1", "--strength", "2"], "--strength"),
        (["-p", "1,1", "--strength", "nan"], "'nan' is not a number"),
        (["--color", "1,1", "--tolerance", "nan"], "'nan' is not a number"),
        (["-p", "1,1", "--guidance-scale", "inf"], "--guidance-scale"),
        (["-p", "1,1", "--tolerance", "3"], "--tolerance needs --color"),
        (["-p", "1,1", "--global"], "--global needs --color"),
        (["-p", "1,1", "--threshold", "0.2"], "--threshold needs --text"),
        (["--color", "1,1", "--granularity", "part"], "--granularity needs --point"),
        (["-b", "1,1,9,9", "--each"], "--each needs --point"),
    ],
)
def test_a_usage_error_says_what_was_expected(photo: Path, words: list[str], part: str) -> None:
    """The exit status is 2."""
    result = run("remove", photo, *words, "-o", "x.png")
    assert result.exit_code == 2
    assert part in result.stderr


def test_replace_needs_a_prompt_or_a_picture(photo: Path, tmp_path: Path) -> None:
    result = run("replace", photo, "-p", "80,60", "-o", tmp_path / "x.png")
    assert result.exit_code == 2
    assert "--prompt" in result.stderr


# --- models -----------------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["detector", "inpainter"])
def test_an_unknown_name_lists_the_known_names(photo: Path, tmp_path: Path, word: str) -> None:
    result = run("remove", photo, "-p", "80,60", f"--{word}", "magic", "-o", tmp_path / "x.png")
    assert_error(result, 1, "magic", "auto", "sam-vit-b" if word == "detector" else "exemplar")


@pytest.mark.parametrize(
    ("word", "name", "data"),
    [
        ("detector", "fake.safetensors", b"not weights"),
        ("inpainter", "fake.safetensors", b"not weights"),
        (
            "detector",
            "fake.pth",
            b"hello, not weights\n",
        ),  # it happens to start with opcodes of a pickle
        ("detector", "fake.txt", b""),
    ],
)
def test_a_file_that_is_not_a_checkpoint_is_reported(
    photo: Path, tmp_path: Path, word: str, name: str, data: bytes
) -> None:
    fake = tmp_path / name
    fake.write_bytes(data)
    result = run("remove", photo, "-p", "80,60", f"--{word}", fake, "-o", tmp_path / "x.png")
    assert_error(result, 1, name)


def test_a_missing_model_is_reported_with_its_download_command(
    photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is downloaded; the message has the command that does."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    result = run(
        "remove", photo, "-p", "80,60", "--detector", "sam-vit-h", "-o", tmp_path / "x.png"
    )
    assert_error(result, 1, "segment2inpaint models download sam-vit-h", "2.6 GB")


def test_offload_needs_a_gpu(tmp_path: Path, photo: Path) -> None:
    tiny.stable_diffusion().save_pretrained(tmp_path / "sd")
    result = run("remove", photo, "-b", "66,46,95,75", "--inpainter", tmp_path / "sd",
                 "--device", "cpu", "--offload", "model", "-o", tmp_path / "out.png")  # fmt: skip
    assert_error(result, 1, "--offload model keeps weights off a GPU")
