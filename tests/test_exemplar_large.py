"""Tests of the exemplar fill of large holes: the field of a coarser level is carried up."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from threading import Thread

import cv2
import numpy as np
import pytest

from segment2inpaint.inpaint.exemplar import inpainter
from segment2inpaint.inpaint.exemplar.inpainter import ExemplarInpainter, compile_in_thread
from segment2inpaint.protocols import Crop
from segment2inpaint.types import BinaryMask, Fill, Image

SAMPLES = Path(__file__).parent.parent / "samples"


def lawn(scale: float, grain: float) -> tuple[Image, BinaryMask]:
    """Return the picture without the ball, enlarged and with grain, and the ball's mask."""
    photo = cv2.imread(str(SAMPLES / "ball_clean.jpg"))
    mask = cv2.imread(str(SAMPLES / "ball_mask.png"), cv2.IMREAD_GRAYSCALE)
    assert photo is not None
    assert mask is not None
    photo = cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    size = photo.shape[1::-1]
    noise = np.random.default_rng(0).normal(0, grain, (*photo.shape[:2], 1))
    pixels = np.clip(np.rint(photo + noise), 0, 255).astype(np.uint8)
    return pixels, np.asarray(cv2.resize(mask, size) > 127)


def test_a_large_hole_keeps_the_sharpness_and_grain_of_its_surroundings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two octaves are carried up."""
    monkeypatch.setattr(inpainter, "MAX_SEARCHED_HOLE_AREA", 6_000)
    photo, mask = lawn(1.0, 4.0)
    assert mask.sum() > 16 * 6_000 / 4
    result = ExemplarInpainter(2).inpaint([Crop(photo, mask)], Fill())[0]
    inner = cv2.erode(mask.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    near = (cv2.dilate(mask.astype(np.uint8), np.ones((61, 61), np.uint8)) > 0) & ~mask
    for sigma in (1.0, 4.0):
        detail = result - cv2.GaussianBlur(result.astype(np.float32), (0, 0), sigma)
        assert detail[inner].std() == pytest.approx(detail[near].std(), rel=0.35)
    assert (result[~mask] == photo[~mask]).all()


def test_a_large_hole_has_no_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps between pixels are as large at the coarse level's cells as within them."""
    monkeypatch.setattr(inpainter, "MAX_SEARCHED_HOLE_AREA", 6_000)
    photo, mask = lawn(1.0, 4.0)
    result = ExemplarInpainter(2).inpaint([Crop(photo, mask)], Fill())[0].astype(np.float32)
    inner = cv2.erode(mask.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    steps = np.where(inner[:, 1:, None], np.abs(np.diff(result, axis=1)), np.nan)
    means = [np.nanmean(steps[:, phase::4]) for phase in range(4)]
    assert max(means) < 1.1 * min(means)


def test_thin_parts_of_a_large_hole_that_vanish_at_coarse_levels_are_filled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(inpainter, "MAX_SEARCHED_HOLE_AREA", 3_000)
    photo, mask = lawn(0.5, 4.0)
    mask[3, 5:-5] = mask[5:-5, 3] = mask[-1, 9:20] = True
    marked = photo.copy()
    marked[mask] = (255, 0, 255)
    result = ExemplarInpainter(2).inpaint([Crop(marked, mask)], Fill())[0]
    difference = np.abs(result.astype(int) - photo)[3, 5:-5]
    assert difference.mean() < 30


@pytest.mark.slow
def test_a_large_hole_is_filled_the_same_with_any_number_of_threads() -> None:
    photo, mask = lawn(2.6, 4.0)
    assert mask.sum() > inpainter.MAX_SEARCHED_HOLE_AREA
    one, three = (ExemplarInpainter(n).inpaint([Crop(photo, mask)], Fill())[0] for n in (1, 3))
    assert (one == three).all()


@pytest.mark.slow
def test_progress_of_a_large_hole_is_reported_often_and_can_cancel_it() -> None:
    photo, mask = lawn(2.6, 4.0)
    shares: list[float] = []
    ExemplarInpainter(2).inpaint([Crop(photo, mask)], Fill(), lambda _, s: shares.append(s))
    assert shares == sorted(shares)
    assert max(b - a for a, b in pairwise(shares)) < 0.05
    for share in (0.05, 0.3, 0.6, 0.9):
        assert count_calls(photo, mask, cancel_at=share) < len(shares)


def count_calls(photo: Image, mask: BinaryMask, cancel_at: float) -> int:
    """Cancel the fill at a share of the work, and return how often the callback was called."""
    shares: list[float] = []

    def stop(_: str, share: float) -> None:
        shares.append(share)
        if share >= cancel_at:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ExemplarInpainter(2).inpaint([Crop(photo, mask)], Fill(), stop)
    assert shares[-1] < cancel_at + 0.05
    return len(shares)


def test_the_fill_is_compiled_once() -> None:
    thread = compile_in_thread()
    assert isinstance(thread, Thread)
    assert compile_in_thread() is thread
    fill = "inpainter.ExemplarInpainter(1).inpaint([Crop(image, mask)], Fill())"
    program = (
        "import numpy as np\n"
        "from segment2inpaint.inpaint.exemplar import inpainter, patchmatch, poisson, shiftmap\n"
        "from segment2inpaint.protocols import Crop\n"
        "from segment2inpaint.types import Fill\n"
        "image = np.random.default_rng(0).integers(0, 255, (200, 200, 3)).astype(np.uint8)\n"
        "mask = np.zeros((200, 200), bool)\n"
        "mask[50:150, 60:140] = True\n"
        f"{fill}\n"
        "inpainter.MAX_SEARCHED_HOLE_AREA = 3000\n"
        f"{fill}\n"
        "for module in (patchmatch, poisson, shiftmap):\n"
        "    for kernel in vars(module).values():\n"
        "        if hasattr(kernel, 'signatures'):\n"
        "            assert len(kernel.signatures) <= 1, kernel\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=300)
