"""A command imports no library that its request does not need, in any of its processes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import disc_mask, save_scene
from PIL import Image as Pillow

LARGE_LIBRARIES = {
    "accelerate", "datasets", "diffusers", "fastapi", "fsspec", "matplotlib", "numba",
    "onnxruntime", "pandas", "pyarrow", "pycocotools", "pydantic", "pymatting", "ray", "scipy",
    "skimage", "torch", "torchvision", "tqdm", "transformers", "uvicorn",
}  # fmt: skip
VERIFIED = {"onnxruntime"}  # the encoder looks at the result
EXEMPLAR = {"numba", "scipy", *VERIFIED}  # numba imports scipy if it is installed
TELEA = ("--inpainter", "telea")
CLICK, BOX, COLOR = ("-p", "80,60"), ("-b", "66,46,95,75"), ("--color", "80,60")
MASK = ("--mask", "mask.png")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with photos, a mask and a folder for results."""
    save_scene(tmp_path)
    Pillow.fromarray(disc_mask()).save(tmp_path / "mask.png")
    (tmp_path / "photos").mkdir()
    for name in ("a.png", "b.png"):
        (tmp_path / "photos" / name).write_bytes((tmp_path / "photo.png").read_bytes())
    return tmp_path


def imported_libraries(folder: Path, *arguments: str) -> set[str]:
    """Return the large libraries that a Python process and its children import."""
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPROFILEIMPORTTIME": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    names = re.findall(r"^import time: .*\| +(\w+)[.\w]*$", done.stderr, re.MULTILINE)
    assert "segment2inpaint" in names
    return LARGE_LIBRARIES.intersection(names)


def command_libraries(folder: Path, *words: str) -> set[str]:
    return imported_libraries(folder, "-m", "segment2inpaint", *words)


@pytest.mark.parametrize(
    ("prompt", "needed"),
    [
        (MASK, VERIFIED),
        (COLOR, VERIFIED),
        ((*MASK, "--no-verify"), {"onnxruntime"}),  # for the shadow
        ((*MASK, "--no-verify", "--no-shadow"), set()),
        (BOX, {"onnxruntime"}),
        (CLICK, {"onnxruntime"}),
    ],
    ids=["mask", "color", "unverified", "without checks and shadow", "box", "click"],
)
def test_a_removal_imports_only_what_its_prompt_needs(
    folder: Path, prompt: tuple[str, ...], needed: set[str]
) -> None:
    assert (
        command_libraries(folder, "remove", "photo.png", *prompt, *TELEA, "-o", "o.png") == needed
    )


def test_a_navier_stokes_fill_imports_no_large_library(folder: Path) -> None:
    words = ("remove", "photo.png", *MASK, "--inpainter", "ns", "-o", "o.png")
    assert command_libraries(folder, *words) == VERIFIED


def test_an_exemplar_fill_imports_its_compiler_alone(folder: Path) -> None:
    libraries = command_libraries(folder, "remove", "photo.png", *MASK, "-o", "o.png")
    assert "numba" in libraries
    assert libraries <= EXEMPLAR


def test_a_mask_imports_only_what_finds_it(folder: Path) -> None:
    words = ("mask", "photo.png", *CLICK, "-o", "o.png")
    assert command_libraries(folder, *words) == {"onnxruntime"}


def test_a_cutout_imports_the_matting_but_no_model(folder: Path) -> None:
    libraries = command_libraries(folder, "cutout", "photo.png", *MASK, "-o", "o.png")
    assert libraries <= {"pymatting", *EXEMPLAR}


@pytest.mark.parametrize("workers", ["0", "1"])
def test_a_batch_imports_only_the_table_of_its_manifest(folder: Path, workers: str) -> None:
    words = ("batch", "photos", "out", *BOX, *TELEA, "--workers", workers)
    assert command_libraries(folder, *words) == {"onnxruntime", "pyarrow"}


def test_a_batch_counts_its_workers_without_torch(folder: Path) -> None:
    """By default their number depends on whether a model runs on a GPU."""
    words = ("batch", "photos", "out", "--mask", "mask.png", *TELEA)
    assert command_libraries(folder, *words) == {"pyarrow", *VERIFIED}


@pytest.mark.parametrize("words", [("models", "list"), ("completion", "bash")])
def test_a_list_imports_no_large_library(folder: Path, words: tuple[str, ...]) -> None:
    assert command_libraries(folder, *words) == set()


def test_the_page_loads_no_network_before_it_is_used(folder: Path) -> None:
    """The command loads those of the first click after the server has started."""
    pytest.importorskip("fastapi")
    code = "from segment2inpaint.web import app, server"
    assert imported_libraries(folder, "-c", code) <= {"fastapi", "pydantic", "uvicorn"}
