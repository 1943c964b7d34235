"""The sample pictures keep what samples.json says of them."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

FOLDER = Path(__file__).parent.parent / "samples"
SCENES = json.loads((FOLDER / "samples.json").read_text(encoding="utf-8"))
ENDINGS = (".jpg", "_clean.jpg", "_mask.png", "_effect.png")

scenes = pytest.mark.parametrize("name", SCENES)


@functools.cache
def picture(file: str) -> NDArray[np.uint8]:
    with Image.open(FOLDER / file) as opened:
        return np.asarray(opened)


def grown(bits: NDArray[np.bool_], radius: int) -> NDArray[np.bool_]:
    side = 2 * radius + 1
    return np.asarray(cv2.dilate(bits.astype(np.uint8), np.ones((side, side), np.uint8)) > 0)


def apart(name: str) -> NDArray[np.int16]:
    """The photo less its clean plate, (H, W, 3)."""
    return picture(f"{name}.jpg").astype(np.int16) - picture(f"{name}_clean.jpg")


def test_every_picture_belongs_to_a_scene_and_every_scene_has_its_pictures() -> None:
    found = {path.name for path in FOLDER.iterdir() if path.suffix in {".jpg", ".png"}}
    assert found == {name + ending for name in SCENES for ending in ENDINGS}
    assert len(SCENES) >= 6


def test_the_samples_stay_small() -> None:
    assert sum(path.stat().st_size for path in FOLDER.iterdir() if path.is_file()) < 6_000_000


@scenes
def test_sizes_agree(name: str) -> None:
    with_it, clean, mask, effect = (picture(name + ending) for ending in ENDINGS)
    assert with_it.shape == clean.shape == (*mask.shape, 3)
    assert effect.shape == mask.shape
    assert max(mask.shape) >= 1024


@scenes
def test_masks_are_hard_and_the_effect_holds_the_object(name: str) -> None:
    mask, effect = picture(f"{name}_mask.png"), picture(f"{name}_effect.png")
    assert set(np.unique(mask)) == set(np.unique(effect)) == {0, 255}
    assert (effect[mask > 0] == 255).all()


@scenes
def test_the_click_is_on_the_object(name: str) -> None:
    x, y = SCENES[name]["click"]
    assert picture(f"{name}_mask.png")[y, x] == 255


@scenes
def test_the_box_is_tight(name: str) -> None:
    y, x = np.nonzero(picture(f"{name}_mask.png"))
    tight = [x.min(), y.min(), x.max() + 1, y.max() + 1]
    assert SCENES[name]["box"] == tight


@scenes
def test_the_object_is_seen_in_one_picture_only(name: str) -> None:
    inside = np.abs(apart(name)).max(2)[picture(f"{name}_mask.png") > 0]
    assert np.median(inside) > 25


@scenes
def test_elsewhere_only_the_grain_differs(name: str) -> None:
    outside = apart(name)[~grown(picture(f"{name}_effect.png") > 0, 12)]
    assert np.abs(outside.mean(0)).max() < 0.6
    assert 1.0 < outside.std() < 4.0
