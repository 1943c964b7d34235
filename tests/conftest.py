"""Shared by the tests: drawn masks, hypothesis strategies, a fake detector and inpainter."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from segment2inpaint.protocols import Crop, InputSpec, ProgressCallback, no_progress
from segment2inpaint.types import BinaryMask, Detection, Fill, Image, Prompt

settings.register_profile("default", deadline=None, max_examples=50)
settings.load_profile("default")


def draw(*rows: str) -> BinaryMask:
    """Return a mask drawn as text: # is True."""
    return np.array([[c == "#" for c in row] for row in rows])


@st.composite
def masks(draw: st.DrawFn, side: int = 120) -> BinaryMask:
    """Return masks of a few rectangles and specks, never empty, at most ``side`` px long."""
    height, width = draw(st.integers(1, side)), draw(st.integers(1, side))
    mask = np.zeros((height, width), np.bool_)
    for _ in range(draw(st.integers(1, 4))):
        y, x = draw(st.integers(0, height - 1)), draw(st.integers(0, width - 1))
        mask[y : y + draw(st.integers(1, height)), x : x + draw(st.integers(1, width))] = True
    return mask


def photos(height: int, width: int) -> st.SearchStrategy[Image]:
    return arrays.arrays(np.uint8, (height, width, 3))


class FakeDetector:
    """Returns the masks that it was made with."""

    name = "fake"
    prompt_types: tuple[type, ...] = ()

    def __init__(self, *masks: BinaryMask) -> None:
        self.masks = masks

    def detect(self, image: Image, prompts: Sequence[Prompt]) -> list[Detection]:
        return [Detection(mask) for mask in self.masks]


class FakeInpainter:
    """Paints whole crops in one colour and records its input."""

    name = "fake"

    def __init__(self, input_spec: InputSpec = InputSpec(), color: int = 77) -> None:
        self.input_spec = input_spec
        self.color = color
        self.calls: list[list[Crop]] = []

    def inpaint(
        self, crops: Sequence[Crop], fill: Fill, progress: ProgressCallback = no_progress
    ) -> list[Image]:
        self.calls.append(list(crops))
        return [np.full_like(crop.image, self.color) for crop in crops]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Run a server for the web page. Yield its address."""
    from web_server import make_app, run_server

    with run_server(make_app()) as address:
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Yield Debian's Chromium, driven by Playwright."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="part of the extra [dev]")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("no Chromium: apt-get install chromium")
    with sync_api.sync_playwright() as playwright:
        chrome = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield chrome
        chrome.close()


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> dict[str, Path]:
    """Return folders of tiny saved pipelines: SD 1.5 inpainting, plain SD, SDXL. Read only.

    They are built once a test run: the first worker builds them, and the others wait.
    """
    import filelock

    base = tmp_path_factory.getbasetemp()
    root = (base if worker_id == "master" else base.parent) / "pipelines"
    with filelock.FileLock(f"{root}.lock"):
        if not root.exists():
            save_pipelines(root)
    return {folder.name: folder for folder in root.iterdir()}


def save_pipelines(root: Path) -> None:
    import tiny

    tiny.stable_diffusion(9).save_pretrained(root / "sd9")
    tiny.stable_diffusion(4, "StableDiffusionPipeline").save_pretrained(root / "sd4")
    tiny.stable_diffusion_xl().save_pretrained(root / "sdxl")


@pytest.fixture
def photo_folder(tmp_path: Path) -> Path:
    """Small photos with a red square, in a folder and its subfolders."""
    from dataset_photos import save_photo_folder

    return save_photo_folder(tmp_path / "in")
