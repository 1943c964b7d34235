"""The flow, with detectors and inpainters that only pretend."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from conftest import FakeDetector, FakeInpainter, masks
from hypothesis import assume, given
from hypothesis import strategies as st

from segment2inpaint import pipeline
from segment2inpaint.errors import NothingFound
from segment2inpaint.images import Photo, photo_from_array
from segment2inpaint.pipeline import Pipeline, changed_outside, preview
from segment2inpaint.protocols import Crop, InputSpec, ProgressCallback, no_progress
from segment2inpaint.types import (
    BinaryMask,
    Detection,
    Fill,
    Image,
    Length,
    Points,
    Prompt,
    Refine,
    ReplacementImage,
    Request,
)

LATENT = InputSpec(area=64 * 64, multiple=8, mask_cell=8)


def noise(*size: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)


def block(height: int = 100, width: int = 120) -> BinaryMask:
    mask = np.zeros((height, width), np.bool_)
    mask[40:60, 50:70] = True
    return mask


@given(masks(), st.sampled_from([InputSpec(), LATENT]), st.booleans())
def test_nothing_changes_outside_alpha(
    mask: BinaryMask, input_spec: InputSpec, invert: bool
) -> None:
    """For any mask and input_spec: outside identical, the object repainted whole."""
    assume(not (invert and mask.all()))
    photo = photo_from_array(noise(*mask.shape))
    before = photo.image.copy()
    pipeline = Pipeline(FakeDetector(mask), FakeInpainter(input_spec))
    result = pipeline(photo, [], Refine(invert=invert, fill_holes=False))
    assert result.changed_outside == 0
    assert (result.image[result.alpha == 0] == before[result.alpha == 0]).all()
    assert (result.image[~mask if invert else mask] == 77).all()
    assert (photo.image == before).all()


def test_changed_outside_counts() -> None:
    """It is a measurement: a fault would show."""
    before = noise(8, 8)
    after = before.copy()
    after[2, 3] ^= 1
    alpha = np.zeros((8, 8), np.float32)
    assert changed_outside(before, after, alpha) == 1
    alpha[2, 3] = 0.1
    assert changed_outside(before, after, alpha) == 0


def test_the_inpainter_sees_every_pixel_that_is_blended() -> None:
    fake = FakeInpainter()
    result = Pipeline(FakeDetector(block()), fake, attempts=1)(
        photo_from_array(noise(100, 120)), []
    )
    ((crop,),) = fake.calls
    (window,) = result.settings["windows"]
    x0, y0, x1, y1 = window["box"]
    assert (crop.mask == (result.alpha[y0:y1, x0:x1] > 0)).all()


def test_distant_objects_share_a_call_and_have_their_own_seeds() -> None:
    mask = np.zeros((400, 900), np.bool_)
    mask[100:120, 100:120] = mask[100:120, 700:720] = True
    fake = FakeInpainter(InputSpec(batch_size=4))
    pipeline = Pipeline(FakeDetector(mask), fake, attempts=1)
    pipeline(photo_from_array(noise(400, 900)), [], fill=Fill(seed=5))
    (crops,) = fake.calls
    assert [crop.seed for crop in crops] == [5, 7]


def test_two_objects_are_two_detections() -> None:
    one, two = block(), np.roll(block(), 30, axis=1)
    result = Pipeline(FakeDetector(one, two), FakeInpainter())(
        photo_from_array(noise(100, 120)), []
    )
    assert len(result.detections) == 2
    assert (result.alpha[one | two] == 1).all()


def test_a_fill_is_compiled_while_the_object_is_looked_for() -> None:
    calls: list[str] = []

    class CompilingInpainter(FakeInpainter):
        def start_compiling(self) -> None:
            calls.append("compile")

    class LoggingDetector(FakeDetector):
        def detect(self, image: Image, prompts: Sequence[Prompt]) -> list[Detection]:
            calls.append("detect")
            return super().detect(image, prompts)

    Pipeline(LoggingDetector(block()), CompilingInpainter())(photo_from_array(noise(100, 120)), [])
    assert calls == ["compile", "detect"]


def test_a_fill_prompt_doubles_the_dilation() -> None:
    pipeline = Pipeline(FakeDetector(block()), FakeInpainter())
    photo = photo_from_array(noise(100, 120))
    plain = pipeline(photo, []).settings["dilate"]
    assert pipeline(photo, [], fill=Fill(prompt="a rose")).settings["dilate"] == 2 * plain


def test_the_dilation_is_at_least_one_latent_cell() -> None:
    """Small windows are enlarged twofold: a cell of 32 model pixels is 16 photo pixels."""
    input_spec = InputSpec(area=512 * 512, multiple=32, mask_cell=32)
    big = np.zeros((600, 600), np.bool_)
    big[290:310, 290:310] = True
    result = Pipeline(FakeDetector(big), FakeInpainter(input_spec), attempts=1)(
        photo_from_array(noise(600, 600)), []
    )
    assert result.settings["dilate"] == pytest.approx(16, abs=0.1)


@pytest.mark.parametrize("found", [[], [np.zeros((100, 120), np.bool_)]])
def test_no_mask_and_an_empty_mask_raise_nothing_found(found: list[BinaryMask]) -> None:
    """No mask and an empty mask are the same: an error, never an empty run."""
    with pytest.raises(NothingFound, match="fake"):
        Pipeline(FakeDetector(*found), FakeInpainter())(photo_from_array(noise(100, 120)), [])


def test_a_hole_with_an_excluded_point_stays() -> None:
    mask, none = block(), Length(0, "px")
    mask[50, 60] = False
    pipeline = Pipeline(FakeDetector(mask), FakeInpainter())
    photo, exact = photo_from_array(noise(100, 120)), Refine(none, none)
    assert pipeline(photo, [], exact).alpha[50, 60] == 1
    assert pipeline(photo, [Points((), ((60, 50),))], exact).alpha[50, 60] == 0


def test_a_picture_replaces_the_object() -> None:
    """It lies over the fill, and its pixels count as changed by right."""
    picture = ReplacementImage(np.full((10, 10, 3), 200, np.uint8), np.ones((10, 10), np.float32))
    result = Pipeline(FakeDetector(block()), FakeInpainter())(
        photo_from_array(noise(100, 120)), [], fill=Fill(picture=picture)
    )
    assert (result.image[40:60, 50:70] == 200).all()
    assert (result.image[38, 50:70] == 77).all()
    assert result.changed_outside == 0


def test_inverting_a_mask_that_fills_the_photo_raises_nothing_found() -> None:
    whole = FakeDetector(np.ones((30, 40), np.bool_))
    with pytest.raises(NothingFound, match="fills the photo"):
        Pipeline(whole, FakeInpainter())(photo_from_array(noise(30, 40)), [], Refine(invert=True))


def test_preview_shows_before_mask_after() -> None:
    photo = photo_from_array(noise(100, 120))
    result = Pipeline(FakeDetector(block()), FakeInpainter())(photo, [])
    sheet = preview(photo.image, result)
    assert sheet.shape == (100, 3 * 120 + 16, 3)
    assert (sheet[:, :120] == photo.image).all()
    assert (sheet[:, -120:] == result.image).all()
    assert preview(photo.image, result, max_side=60).shape == (50, 3 * 60 + 16, 3)


def test_stages_are_reported_and_timed() -> None:
    stages: list[str] = []
    pipeline = Pipeline(
        FakeDetector(block()), FakeInpainter(), lambda stage, _: stages.append(stage), attempts=1
    )
    result = pipeline(photo_from_array(noise(100, 120)), [])
    assert stages == ["detect", "refine", "inpaint", "verify", "check"]
    assert list(result.seconds) == stages


# --- verification and retry -------------------------------------------------------------------


class Fills:
    """Paints one picture for each call, the last one ever after."""

    input_spec = InputSpec()

    def __init__(self, name: str, *whole: Image) -> None:
        self.name = name
        self.whole = whole
        self.seeds: list[int] = []

    def inpaint(
        self, crops: Sequence[Crop], fill: Fill, progress: ProgressCallback = no_progress
    ) -> list[Image]:
        self.seeds += [crop.seed for crop in crops]
        (crop,) = crops
        whole = self.whole[min(len(self.seeds), len(self.whole)) - 1]
        # the crop is found in the picture by its first pixel: the grain is unlike everywhere
        y, x = np.argwhere((whole == crop.image[0, 0]).all(axis=2))[0]
        return [whole[y : y + crop.image.shape[0], x : x + crop.image.shape[1]]]


def grained() -> Image:
    """A surface whose every pixel is its own."""
    return np.random.default_rng(0).normal(128, 18, (160, 200, 3)).clip(0, 255).astype(np.uint8)


def spoilt() -> Image:
    """The surface with a blue thing where the object was."""
    after = grained()
    after[70:90, 90:110] = (20, 40, 230)
    return after


def job() -> tuple[Photo, BinaryMask]:
    mask = np.zeros((160, 200), np.bool_)
    mask[60:100, 80:120] = True
    image = grained()
    image[mask] = (230, 40, 30)
    return photo_from_array(image), mask


def test_a_good_result_needs_one_attempt() -> None:
    photo, mask = job()
    result = Pipeline(FakeDetector(mask), Fills("good", grained()))(photo, [])
    assert result.verdict != "failed"
    assert len(result.attempts) == 1
    assert {check.name for check in result.checks} >= {"leftover", "ghost", "seam", "shadow"}


def test_a_failed_attempt_is_repeated_with_another_seed_and_the_best_is_kept() -> None:
    photo, mask = job()
    fake = Fills("second", spoilt(), grained())
    result = Pipeline(FakeDetector(mask), fake)(photo, [])
    assert fake.seeds == [0, 1001]
    assert [attempt["verdict"] == "failed" for attempt in result.attempts] == [True, False]
    assert [attempt["kept"] for attempt in result.attempts] == [False, True]
    assert result.settings["seed"] == 1001
    assert (result.image[70:90, 90:110] == grained()[70:90, 90:110]).all()
    assert result.changed_outside == 0


def test_another_inpainter_comes_before_another_seed() -> None:
    photo, mask = job()
    bad, good = Fills("bad", spoilt()), Fills("good", grained())
    result = Pipeline(FakeDetector(mask), bad, other_inpainters=(good,))(photo, [])
    assert (bad.seeds, good.seeds) == ([0], [0])
    assert result.settings["inpainter"] == "good"


def test_a_leftover_is_repeated_with_twice_the_dilation() -> None:
    photo, mask = job()
    part = mask.copy()
    part[:, 108:] = False
    result = Pipeline(FakeDetector(part), Fills("good", grained()))(photo, [])
    first, second = result.attempts
    assert first["scores"]["leftover"] > second["scores"]["leftover"]
    assert second["dilate"] == pytest.approx(2 * first["dilate"], abs=0.1)


@pytest.mark.parametrize("attempts", [1, 2, 3])
def test_attempts_are_bounded_and_the_outside_is_kept(attempts: int) -> None:
    photo, mask = job()
    fake = Fills("bad", spoilt())
    result = Pipeline(FakeDetector(mask), fake, attempts=attempts)(photo, [])
    assert result.verdict == "failed"
    assert len(result.attempts) == len(fake.seeds) == attempts
    assert result.changed_outside == 0


@pytest.mark.parametrize(("verify", "invert"), [(False, False), (True, True)])
def test_an_unverified_result_has_no_verdict(verify: bool, invert: bool) -> None:
    photo, mask = job()
    pipeline = Pipeline(FakeDetector(mask), FakeInpainter(), verify=verify)
    result = pipeline(photo, [], Refine(invert=invert))
    assert result.verdict is None
    assert result.checks == ()
    assert len(result.attempts) == 1


def test_a_result_is_kept_if_the_click_that_may_mend_it_finds_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Such a click is not worth proposing: it counts as one that selects all."""

    class FindsOnce(FakeDetector):
        calls = 0

        def detect(self, image: Image, prompts: Sequence[Prompt]) -> list[Detection]:
            self.calls += 1
            if self.calls > 1:
                raise NothingFound("nothing there")
            return super().detect(image, prompts)

    counts: list[int] = []

    def count(request: Request, *others: Any) -> None:
        counts.append(others[-1](request.prompts))

    monkeypatch.setattr(pipeline, "action_for", count)
    result = Pipeline(FindsOnce(block()), FakeInpainter(), verify=False)(
        photo_from_array(noise(100, 120)), []
    )
    assert result.action is None
    assert counts == [100 * 120]
