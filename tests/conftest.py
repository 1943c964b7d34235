"""What several test files share: drawn masks, hypothesis strategies, fakes."""

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
    """A mask drawn as text: # is True."""
    return np.array([[c == "#" for c in row] for row in rows])


@st.composite
def masks(draw: st.DrawFn, side: int = 120) -> BinaryMask:
    """Photo-sized masks of a few rectangles and specks, never empty."""
    height, width = draw(st.integers(1, side)), draw(st.integers(1, side))
    bits = np.zeros((height, width), np.bool_)
    for _ in range(draw(st.integers(1, 4))):
        y, x = draw(st.integers(0, height - 1)), draw(st.integers(0, width - 1))
        bits[y : y + draw(st.integers(1, height)), x : x + draw(st.integers(1, width))] = True
    return bits


def photos(height: int, width: int) -> st.SearchStrategy[Image]:
    return arrays.arrays(np.uint8, (height, width, 3))


class FakeDetector:
    """Finds the masks it was given."""

    name = "fake"
    prompt_types: tuple[type, ...] = ()

    def __init__(self, *bits: BinaryMask) -> None:
        self.bits = bits

    def detect(self, image: Image, prompts: Sequence[Prompt]) -> list[Detection]:
        return [Detection(b) for b in self.bits]


class FakeInpainter:
    """Paints whole crops in one colour, and remembers what it was given."""

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
    """The address of a page's server."""
    from web_server import app, served

    with served(app()) as address:
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Debian's Chromium."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="of the extra [dev]")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("no Chromium: apt-get install chromium")
    with sync_api.sync_playwright() as player:
        made = player.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield made
        made.close()


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Saved pipelines: SD 1.5 for inpainting, plain SD, SDXL. To be read only."""
    import tiny

    made = {
        "sd9": tiny.stable_diffusion(9),
        "sd4": tiny.stable_diffusion(4, "StableDiffusionPipeline"),
        "sdxl": tiny.stable_diffusion_xl(),
    }
    root = tmp_path_factory.mktemp("pipelines")
    for name, pipe in made.items():
        pipe.save_pretrained(root / name)
    return {name: root / name for name in made}
