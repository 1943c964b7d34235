"""The wheel holds all that the main job needs, and runs away from the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built wheel, unpacked."""
    folder = tmp_path_factory.mktemp("wheel")
    words = ["-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run([sys.executable, *words], check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def run(site: Path, *words: str) -> str:
    """The command line of the wheel, from another folder."""
    code = (
        "import segment2inpaint, sys; from segment2inpaint.cli import main;"
        f"assert segment2inpaint.__file__.startswith({str(site)!r}); main({list(words)!r})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=site.parent,
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_the_cards_travel(site: Path) -> None:
    for card in (ROOT / "models").glob("*.toml"):
        assert (site / "segment2inpaint" / "models" / card.name).read_bytes() == card.read_bytes()
        assert card.stem in run(site, "models", "list")


def test_the_page_travels(site: Path) -> None:
    static = ROOT / "segment2inpaint" / "web" / "static"
    there = site / "segment2inpaint" / "web" / "static"
    assert (static / "index.html").is_file()
    for file in static.iterdir():
        assert (there / file.name).read_bytes() == file.read_bytes()


def test_the_weights_travel(site: Path) -> None:
    for name in ("shadow.safetensors", "click.onnx", "saliency.onnx"):
        there = site / "segment2inpaint" / "models" / "weights" / name
        assert there.read_bytes() == (ROOT / "models" / "weights" / name).read_bytes()


def test_what_others_ask_to_be_said_travels(site: Path) -> None:
    (notice,) = site.glob("segment2inpaint-*.dist-info/licenses/NOTICE")
    assert "U²-Net" in notice.read_text(encoding="utf-8")


def test_the_main_job_runs(site: Path, tmp_path: Path) -> None:
    photo = np.full((60, 80, 3), 120, np.uint8)
    photo[20:40, 30:50] = (200, 30, 30)
    Pillow.fromarray(photo).save(tmp_path / "a.png")
    run(site, "remove", str(tmp_path / "a.png"), "-p", "40,30", "-o", str(tmp_path / "b.png"))
    assert (np.asarray(Pillow.open(tmp_path / "b.png")) == 120).all()
