"""The samples agree with samples.json and with each other."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

SAMPLES_FOLDER = Path(__file__).parent.parent / "samples"
SCENES = json.loads((SAMPLES_FOLDER / "samples.json").read_text(encoding="utf-8"))
SUFFIXES = (".jpg", "_clean.jpg", "_mask.png", "_effect.png")

each_scene = pytest.mark.parametrize("name", SCENES)


@functools.cache
def read_picture(file: str) -> NDArray[np.uint8]:
    with Image.open(SAMPLES_FOLDER / file) as image:
        return np.asarray(image)


def dilate(mask: NDArray[np.bool_], radius: int) -> NDArray[np.bool_]:
    side = 2 * radius + 1
    return np.asarray(cv2.dilate(mask.astype(np.uint8), np.ones((side, side), np.uint8)) > 0)


def difference(name: str) -> NDArray[np.int16]:
    """Return the photo minus its clean plate, (H, W, 3)."""
    return read_picture(f"{name}.jpg").astype(np.int16) - read_picture(f"{name}_clean.jpg")


def test_each_scene_has_its_pictures_and_there_are_no_others() -> None:
    files = {path.name for path in SAMPLES_FOLDER.iterdir() if path.suffix in {".jpg", ".png"}}
    assert files == {name + suffix for name in SCENES for suffix in SUFFIXES}
    assert len(SCENES) >= 6


def test_the_samples_stay_small() -> None:
    assert (
        sum(path.stat().st_size for path in SAMPLES_FOLDER.iterdir() if path.is_file()) < 6_000_000
    )


@each_scene
def test_pictures_of_a_scene_have_the_same_size(name: str) -> None:
    photo, clean, mask, effect = (read_picture(name + suffix) for suffix in SUFFIXES)
    assert photo.shape == clean.shape == (*mask.shape, 3)
    assert effect.shape == mask.shape
    assert max(mask.shape) >= 1024


@each_scene
def test_masks_are_binary_and_the_effect_includes_the_object(name: str) -> None:
    mask, effect = read_picture(f"{name}_mask.png"), read_picture(f"{name}_effect.png")
    assert set(np.unique(mask)) == set(np.unique(effect)) == {0, 255}
    assert (effect[mask > 0] == 255).all()


@each_scene
def test_the_click_is_on_the_object(name: str) -> None:
    x, y = SCENES[name]["click"]
    assert read_picture(f"{name}_mask.png")[y, x] == 255


@each_scene
def test_the_box_is_tight(name: str) -> None:
    y, x = np.nonzero(read_picture(f"{name}_mask.png"))
    expected = [x.min(), y.min(), x.max() + 1, y.max() + 1]
    assert SCENES[name]["box"] == expected


@each_scene
def test_the_object_is_in_one_picture_only(name: str) -> None:
    inside = np.abs(difference(name)).max(2)[read_picture(f"{name}_mask.png") > 0]
    assert np.median(inside) > 25


@each_scene
def test_outside_the_effect_only_the_grain_differs(name: str) -> None:
    outside = difference(name)[~dilate(read_picture(f"{name}_effect.png") > 0, 12)]
    assert np.abs(outside.mean(0)).max() < 0.6
    assert 1.0 < outside.std() < 4.0
