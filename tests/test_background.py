"""The background network: what it paints, what it does not read, and the guided fill."""

from __future__ import annotations

import hashlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from segment2inpaint import Editor, inpaint
from segment2inpaint.errors import BadModel
from segment2inpaint.images import photo_from_array
from segment2inpaint.inpaint.exemplar.inpainter import ExemplarInpainter, Guide, GuidedInpainter
from segment2inpaint.models.shipped import shipped_folder
from segment2inpaint.networks import any_size, background
from segment2inpaint.networks.background import paint_background
from segment2inpaint.protocols import Crop
from segment2inpaint.types import BinaryMask, Fill, Image, Refine, Request, UserMask

SIZES = ((1, 1), (3, 700), (900, 40), (513, 511))


def landscape(height: int = 240, width: int = 320) -> Image:
    """Return a bright sky over dark, grainy ground."""
    image = np.empty((height, width, 3), np.uint8)
    image[: height // 2], image[height // 2 :] = (170, 200, 235), (80, 95, 60)
    grain = np.random.default_rng(0).integers(-12, 13, (height, width, 1))
    return np.asarray(np.clip(image + grain, 0, 255), np.uint8)


def disc(height: int = 240, width: int = 320, radius: int = 45) -> BinaryMask:
    drawn = cv2.circle(
        np.zeros((height, width), np.uint8), (width // 2, height // 2), radius, 1, -1
    )
    return np.asarray(drawn > 0)


def fill_with(name: str, image: Image, mask: BinaryMask, seed: int = 0) -> Image:
    return inpaint.load(name).inpaint([Crop(image, mask, seed)], Fill())[0]


def mean_error(filled: Image, truth: Image, mask: BinaryMask) -> float:
    return float(np.abs(filled[mask].astype(int) - truth[mask]).mean())


@pytest.mark.parametrize("name", ["guided", "migan"])
def test_the_horizon_goes_on_behind_the_object(name: str) -> None:
    truth, mask = landscape(), disc()
    photo = np.where(mask[..., None], np.uint8([200, 20, 20]), truth)
    filled = fill_with(name, photo, mask)
    assert (filled[~mask] == photo[~mask]).all()
    assert mean_error(filled, truth, mask) < 14
    above, below = filled[90:110, 150:170].mean(), filled[130:150, 150:170].mean()
    assert above > 180 > 100 > below


@pytest.mark.parametrize("name", ["guided", "migan"])
def test_what_is_under_the_mask_is_not_read(name: str) -> None:
    photo, mask = landscape(), disc()
    other = np.where(mask[..., None], np.uint8(0), photo)
    assert (fill_with(name, photo, mask) == fill_with(name, other, mask)).all()


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_crops_of_any_size_keep_it(size: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    mask = np.zeros(size, np.bool_)
    mask[: 1 + size[0] // 3, : 1 + size[1] // 3] = True
    painted = paint_background(image, mask)
    assert painted.shape == image.shape
    assert painted.dtype == np.uint8
    assert (painted[~mask] == image[~mask]).all()
    assert paint_background(image, np.ones(size, np.bool_)).shape == image.shape


def test_a_missing_network_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(any_size, "shipped_network", lambda name: None)
    background.forget_pictures()
    with pytest.raises(BadModel, match=r"background\.onnx is missing .* install the package again"):
        paint_background(landscape(), disc())


def test_the_model_card_names_the_file_that_ships() -> None:
    data = (shipped_folder("weights") / "background.onnx").read_bytes()
    card = Path(__file__).parent.parent / "models" / "weights" / "background.md"
    assert hashlib.sha256(data).hexdigest() in card.read_text()


class GivenGuide(GuidedInpainter):
    """A guided fill whose guide is given."""

    def __init__(self, picture: Image) -> None:
        super().__init__(2)
        self.picture, self.asked = picture, 0

    def guide(self) -> Guide:
        return self.paint

    def paint(self, crop: Crop) -> Image:
        self.asked += 1
        return self.picture


def two_grounds(side: int = 160) -> tuple[Image, Image]:
    """Return a photo of dark blobs left of bright ones, and one with the two changed over."""
    noise = cv2.GaussianBlur(np.random.default_rng(1).normal(0, 60, (side, side, 3)), (0, 0), 1.5)
    left = np.arange(side)[None, :, None] < side // 2
    dark, bright = noise + 70, noise + 180
    pictures = (np.where(left, dark, bright), np.where(left, bright, dark))
    first, second = (np.asarray(np.clip(p, 0, 255), np.uint8) for p in pictures)
    return first, second


def test_the_fill_follows_its_guide_with_pixels_of_the_photo() -> None:
    photo, opposite = two_grounds(240)
    mask = disc(240, 240, 50)
    left = mask & (np.arange(240) < 115)
    plain = ExemplarInpainter(2).inpaint([Crop(photo, mask)], Fill())[0]
    followed = GivenGuide(opposite).inpaint([Crop(photo, mask)], Fill())[0]
    assert plain[left].mean() < 80
    assert followed[left].mean() > 130
    assert (followed[~mask] == photo[~mask]).all()


def lawn(side: int = 240) -> Image:
    """Return grass that is sharp in the lower two thirds, and out of focus above."""
    random = np.random.default_rng(3)
    sharp = cv2.GaussianBlur(random.normal(0, 90, (side, side)).astype(np.float32), (0, 0), 0.8)
    blurred = cv2.GaussianBlur(sharp, (0, 0), 3)
    grass = np.where(np.arange(side)[:, None] < side // 3, blurred, sharp)
    return np.asarray(np.clip(grass[..., None] + (70, 110, 40), 0, 255), np.uint8)


def detail(image: Image, mask: BinaryMask) -> float:
    return float(np.abs(cv2.Laplacian(image[..., 1], cv2.CV_32F))[mask].mean())


def test_a_smooth_guide_is_filled_with_the_grain_of_the_ground() -> None:
    photo, mask = lawn(), np.roll(disc(240, 240, 35), 30, axis=0)
    smooth = np.asarray(cv2.GaussianBlur(photo, (0, 0), 0.8))
    guide = np.where(mask[..., None], smooth, photo)
    filled = GivenGuide(guide).inpaint([Crop(photo, mask)], Fill())[0]
    assert detail(guide, mask) < 0.6 * detail(photo, mask)
    assert detail(filled, mask) > 0.8 * detail(photo, mask)


def test_an_odd_seed_takes_the_structure_without_a_guide() -> None:
    photo, opposite = two_grounds()
    mask = disc(160, 160, 30)
    left = mask & (np.arange(160) < 75)
    other = GivenGuide(opposite).inpaint([Crop(photo, mask, 1)], Fill())[0]
    assert other[left].mean() < 100


def test_a_thin_hole_needs_no_guide() -> None:
    photo, opposite = two_grounds()
    mask = np.zeros((160, 160), np.bool_)
    mask[80:84, 20:140] = True
    inpainter = GivenGuide(opposite)
    filled = inpainter.inpaint([Crop(photo, mask)], Fill())[0]
    assert inpainter.asked == 0
    assert (filled == ExemplarInpainter(2).inpaint([Crop(photo, mask)], Fill())[0]).all()


def test_a_guided_fill_does_not_depend_on_its_threads() -> None:
    photo, mask = landscape(), disc()
    one, two = (GuidedInpainter(n).inpaint([Crop(photo, mask, 4)], Fill())[0] for n in (1, 2))
    assert (one == two).all()


def test_a_hole_larger_than_the_guided_levels_follows_its_guide() -> None:
    photo, opposite = two_grounds(640)
    mask = disc(640, 640, 200)
    left = mask & (np.arange(640) < 300)
    followed = GivenGuide(opposite).inpaint([Crop(photo, mask)], Fill())[0]
    assert followed[left].mean() > 140


def test_the_checks_ask_for_the_picture_that_guided_the_fill(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    runs, load = list[str](), background.load_network
    monkeypatch.setattr(background, "load_network", lambda name: [runs.append(name), load(name)][1])
    background.forget_pictures()
    mask = disc()
    request = Request((UserMask(mask),), Refine(shadow=False), inpainter="guided", attempts=1)
    result = Editor().run(photo_from_array(landscape()), request)
    assert [check.name for check in result.checks if check.name == "background"]
    assert len(runs) == 1
