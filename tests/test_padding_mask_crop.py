"""What a model is shown of an object with ``--padding-mask-crop``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from conftest import FakeDetector, FakeInpainter

from segment2inpaint.images import photo_from_array
from segment2inpaint.inpaint.diffusion.inpainter import DiffusionInpainter
from segment2inpaint.pipeline import Pipeline
from segment2inpaint.protocols import InputSpec
from segment2inpaint.result import Result
from segment2inpaint.types import BinaryMask, Box, Fill, Length, Refine

CELL = 8
FILL = Fill(prompt="a red rose", num_inference_steps=1, strength=1.0, padding_mask_crop=24)


def disc(height: int = 400, width: int = 560) -> BinaryMask:
    y, x = np.mgrid[:height, :width]
    return np.asarray((x - 250) ** 2 + (y - 190) ** 2 < 70**2)


def pixels(length: float) -> Length:
    return Length(length, "px")


def shown_cells(result: Result, latent_mask: BinaryMask, area: int) -> int:
    """Return how many latent cells show the model pixels that are blended."""
    [window] = result.settings["windows"]
    box = Box(*window["box"])
    blended = (result.alpha > 0)[box.slices].astype(np.float32)
    side = int(area**0.5)
    at_model_size = cv2.resize(blended, (side, side), interpolation=cv2.INTER_AREA) > 0
    cells = at_model_size.reshape(side // CELL, CELL, side // CELL, CELL).any(axis=(1, 3))
    return int((cells & ~latent_mask).sum())


@pytest.mark.parametrize(("dilate", "feather"), [(20, 0), (20, 12), (4, 4)])
def test_no_latent_cell_shows_a_pixel_that_is_blended(
    folders: dict[str, Path], dilate: float, feather: float
) -> None:
    inpainter = DiffusionInpainter(folders["sd9"], "cpu")
    masks: list[BinaryMask] = []

    def remember_mask(_: Any, inputs: tuple[torch.Tensor, ...]) -> None:
        masks.append(inputs[0][0, 4].numpy() > 0.5)

    inpainter.pipe.unet.register_forward_pre_hook(remember_mask)
    photo = photo_from_array(
        np.random.default_rng(0).integers(0, 255, (400, 560, 3), dtype=np.uint8)
    )
    pipeline = Pipeline(FakeDetector(disc()), inpainter, attempts=1, verify=False)
    result = pipeline(photo, [], Refine(pixels(dilate), pixels(feather)), FILL)
    area = inpainter.input_spec.area
    assert area is not None
    assert shown_cells(result, masks[0], area) == 0


@pytest.mark.parametrize(
    ("refine", "exact"),
    [
        (Refine(pixels(0), pixels(0)), True),
        (Refine(pixels(5), pixels(0)), False),
        (Refine(pixels(5), pixels(5)), False),
        (Refine(), False),
    ],
)
def test_only_a_mask_as_it_is_gets_the_mask_of_diffusers(refine: Refine, exact: bool) -> None:
    """Then the library's own padding_mask_crop shows the model the same."""
    inpainter = FakeInpainter(InputSpec(area=128 * 128, multiple=8, mask_cell=CELL))
    photo = photo_from_array(np.zeros((400, 560, 3), np.uint8))
    pipeline = Pipeline(FakeDetector(disc()), inpainter, attempts=1, verify=False)
    pipeline(photo, [], refine, FILL)
    [[crop]] = inpainter.calls
    cells = crop.mask.reshape(16, CELL, 16, CELL)
    is_pooled = bool((cells.any(axis=(1, 3)) == cells.all(axis=(1, 3))).all())
    assert is_pooled is not exact
