"""An installation without extras: every command works there, or says in one line what to install.

``make test-core`` makes such an environment with the Dockerfile's commands, and runs this there,
without ``conftest.py``. In an environment with extras it is skipped.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import urllib.request
from importlib.util import find_spec
from pathlib import Path

import pytest

import segment2inpaint
from segment2inpaint.extras import EXTRAS, is_installed

pytestmark = pytest.mark.skipif(
    find_spec("torch") is not None, reason="for an environment without extras: make test-core"
)
SAMPLES = Path(__file__).parents[2] / "samples"
BOX = ("-b", "640,390,840,600")
TELEA = ("--inpainter", "telea")
ONE = (*TELEA, "--glob", "ball.jpg")
MODELS = "pip install 'segment2inpaint[models]'"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a photo, its clean plate and its mask."""
    for name in ("ball.jpg", "ball_clean.jpg", "ball_mask.png"):
        shutil.copy(SAMPLES / name, tmp_path)
    return tmp_path


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder, with the package that is installed."""
    command = [sys.executable, "-m", "segment2inpaint", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def test_the_installed_package_is_tested_and_no_extra_is_there() -> None:
    assert "site-packages" in segment2inpaint.__file__
    assert not any(map(is_installed, EXTRAS))


@pytest.mark.parametrize(
    "prompt",
    [
        ("-p", "742,491"), BOX, ("--color", "742,491"), ("--plate", "ball_clean.jpg"),
        ("--mask", "ball_mask.png"), ("--everything", "--pick", "1"),
    ],
    ids=lambda prompt: prompt[0],
)  # fmt: skip
def test_an_object_is_removed_at_every_prompt_without_a_model(
    folder: Path, prompt: tuple[str, ...]
) -> None:
    done = run(folder, "remove", "ball.jpg", *prompt, *TELEA, "-o", "out.jpg")
    assert done.returncode == 0, done.stderr
    assert (folder / "out.jpg").stat().st_size > 10_000


def test_the_guided_fill_is_what_auto_chooses(folder: Path) -> None:
    done = run(folder, "remove", "ball.jpg", *BOX, "--json", "-o", "out.jpg")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["settings"]["inpainter"] == "guided"


def test_an_object_is_cut_out_along_its_mask(folder: Path) -> None:
    done = run(folder, "cutout", "ball.jpg", *BOX, "--hard-edge", "-o", "ball.png")
    assert done.returncode == 0, done.stderr
    done = run(folder, "replace", "ball.jpg", *BOX, "--with", "ball.png", "-o", "out.jpg")
    assert done.returncode == 0, done.stderr


def test_a_folder_is_processed_and_listed_in_the_manifest(folder: Path) -> None:
    (folder / "ball_clean.jpg").unlink()
    (folder / "ball_mask.png").unlink()
    done = run(folder, "batch", ".", "out", *BOX, *TELEA, "--workers", "1")
    assert done.returncode == 0, done.stderr
    (line,) = (folder / "out" / "manifest.jsonl").read_text().splitlines()
    assert json.loads(line)["status"] == "done"
    assert not (folder / "out" / "manifest.parquet").exists()


@pytest.mark.parametrize(
    ("words", "command"),
    [
        (("remove", "ball.jpg", "--text", "ball", "-o", "o.jpg"), MODELS),
        (("remove", "ball.jpg", *BOX, "--inpainter", "lama", "-o", "o.jpg"), MODELS),
        (("remove", "ball.jpg", *BOX, "--inpainter", "org/name", "-o", "o.jpg"), MODELS),
        (("mask", "ball.jpg", *BOX, "--detector", "sam2.1-tiny", "-o", "o.png"), MODELS),
        (("replace", "ball.jpg", *BOX, "--prompt", "a rose", "-o", "o.jpg"), MODELS),
        (("models", "download", "lama"), MODELS),
        (("batch", ".", "out", "--text", "ball"), MODELS),
        (("remove", "ball.jpg", *BOX, "--inpainter", "sd15+lcm-sd15", "-o", "o.jpg"), "[few-step]"),
        (("mask", "ball.jpg", *BOX, "--detector", "edgetam", "-o", "o.png"), "[edgetam]"),
        (("cutout", "ball.jpg", *BOX, "-o", "o.png"), "[matting]"),
        (("batch", "table.parquet", "out"), "[parquet]"),
        (("batch", ".", "out", *BOX, *ONE, "--pairs", "hf"), "[parquet]"),
        (("batch", ".", "out", *BOX, *ONE, "--engine", "ray"), "[ray]"),
        (("remove", "photo.heic", *BOX, "-o", "o.jpg"), "[heif]"),
        (("remove", "photo.jxl", *BOX, "-o", "o.jpg"), "[jxl]"),
        (("batch", "s3://bucket/photos", "out", *BOX), "s3fs"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_an_error_says_in_one_line_what_to_install(
    folder: Path, words: tuple[str, ...], command: str
) -> None:
    (folder / "table.parquet").write_bytes(b"PAR1")
    (folder / "photo.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0heicmif1")
    (folder / "photo.jxl").write_bytes(b"\xff\x0a\0\0")
    done = run(folder, *words)
    assert done.returncode == 1
    (error,) = (line for line in done.stderr.splitlines() if line.startswith("error: "))
    assert command in error
    assert "Traceback" not in done.stderr


def test_doctor_prints_the_command_for_each_extra(folder: Path) -> None:
    done = run(folder, "doctor")
    assert done.returncode == 0, done.stderr
    assert all(f"pip install 'segment2inpaint[{name}]'" in done.stdout for name in EXTRAS)


@pytest.mark.parametrize("words", [("list",), ("show", "lama"), ("recommend",)])
def test_the_catalogue_is_readable(folder: Path, words: tuple[str, ...]) -> None:
    done = run(folder, "models", *words)
    assert done.returncode == 0, done.stderr
    assert "lama" in done.stdout


def test_the_page_is_served(folder: Path) -> None:
    command = [sys.executable, "-m", "segment2inpaint", "web", "--no-open", "--port", "0"]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        address = server.stdout.readline().split()[4]
        with urllib.request.urlopen(address) as page:
            assert b"<title>" in page.read()
        server.kill()
