"""Diffusion models: small random ones of the real classes, through the real path."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import tiny_flows
import torch
from conftest import FakeInpainter
from crops import FILL, close, crop, same

from segment2inpaint.errors import BadModel, BadOption
from segment2inpaint.inpaint.diffusion import inpainter
from segment2inpaint.inpaint.diffusion.inpainter import (
    DiffusionInpainter,
    input_spec_of,
    settings_for,
)
from segment2inpaint.inpaint.diffusion.load import choose_dtype, load
from segment2inpaint.models.catalogue import card
from segment2inpaint.protocols import Crop, RuntimeOptions
from segment2inpaint.types import Fill


@pytest.fixture(scope="module")
def model(folders: dict[str, Path]) -> DiffusionInpainter:
    return DiffusionInpainter(folders["sd9"], "cpu")


# --- the families ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["sd9", "sd4", "sdxl"])
def test_a_saved_model_repaints_the_hole(folders: dict[str, Path], name: str) -> None:
    loaded = DiffusionInpainter(folders[name], "cpu")
    asked = crop()
    before = asked.image.copy()
    stages: list[float] = []
    [painted] = loaded.inpaint([asked], FILL, lambda _, share: stages.append(share))
    assert painted.shape == asked.image.shape
    assert painted.dtype == np.uint8
    assert (painted != asked.image)[asked.mask].any()
    assert np.array_equal(asked.image, before)
    assert stages == sorted(stages)
    assert stages[-1] == 1.0
    assert len(stages) >= 3
    assert loaded.input_spec.area == 128 * 128
    assert (loaded.input_spec.multiple, loaded.input_spec.mask_cell) == (8, 8)


def test_native_size_is_read_off_the_model() -> None:
    assert input_spec_of(tiny_flows.stable_diffusion_3()).area == 128 * 128
    assert input_spec_of(tiny_flows.flux()).area == 1024 * 1024
    assert input_spec_of(tiny_flows.z_image()).area == 1024 * 1024


# --- crops and seeds ---------------------------------------------------------------------------


def test_a_crop_does_not_depend_on_its_company(model: DiffusionInpainter) -> None:
    crops = [crop(seed=1), crop(96, 64, seed=2), crop(seed=3)]
    together = model.inpaint(crops, FILL)
    assert same(together, [model.inpaint([c], FILL)[0] for c in crops])
    assert not np.array_equal(together[0], together[2])


def test_no_crops(model: DiffusionInpainter) -> None:
    assert model.inpaint([], FILL) == []


def test_a_removal_does_not_see_the_object(model: DiffusionInpainter) -> None:
    """At a low strength the old pixels shine through, so the hole is filled beforehand."""
    plain = crop()
    loud = Crop(plain.image.copy(), plain.mask, plain.seed)
    loud.image[loud.mask] = 255
    remove = Fill(num_inference_steps=4, strength=0.5)
    assert same(model.inpaint([plain], remove), model.inpaint([loud], remove))
    replace = Fill(prompt="x", num_inference_steps=4, strength=0.5)
    assert not same(model.inpaint([plain], replace), model.inpaint([loud], replace))


@pytest.mark.parametrize("box", [(0, 64, 0, 96), (0, 10, 0, 10), (60, 64, 90, 96)])
def test_a_hole_at_the_edge_is_filled(box: tuple[int, int, int, int]) -> None:
    """Wherever anything is known, nothing of the object is left."""
    y0, y1, x0, x1 = box
    bits = np.zeros((64, 96), bool)
    bits[y0:y1, x0:x1] = True
    image = np.full((64, 96, 3), 90, np.uint8)
    image[bits] = 250
    [painted] = inpainter.SmoothInpainter().inpaint([Crop(image, bits)], Fill())
    assert bits.all() or painted.max() <= 110


def test_a_removal_that_keeps_a_part_starts_from_the_better_guess(
    folders: dict[str, Path],
) -> None:
    fake = FakeInpainter()
    loaded = DiffusionInpainter(folders["sd9"], "cpu", prefill=fake)
    low, high = Fill(num_inference_steps=2, strength=0.5), Fill(num_inference_steps=2)
    loaded.inpaint([crop()], high)
    assert not fake.calls
    loaded.inpaint([crop()], low)
    assert len(fake.calls) == 1
    assert (loaded.resolve_fill(low)["prefill"], loaded.resolve_fill(high)["prefill"]) == (
        "fake",
        "telea",
    )
    assert "prefill" not in loaded.resolve_fill(FILL)


# --- settings ----------------------------------------------------------------------------------


def test_request_before_card_before_pipeline(model: DiffusionInpainter) -> None:
    mine = card("sd15-inpaint")
    assert model.resolve_fill(Fill()) == {
        "prompt": mine.remove.prompt,
        "negative_prompt": mine.remove.negative_prompt,
        "num_inference_steps": 30,
        "guidance_scale": 7.5,
        "strength": 1.0,
        "prefill": "telea",
    }
    asked = model.resolve_fill(Fill(prompt="", guidance_scale=2.0, num_inference_steps=9))
    assert asked == {
        "prompt": "",
        "num_inference_steps": 9,
        "guidance_scale": 2.0,
        "strength": 1.0,
    }


def test_sdxl_has_its_own_defaults(folders: dict[str, Path]) -> None:
    settings = DiffusionInpainter(folders["sdxl"], "cpu").resolve_fill(Fill(prompt="a"))
    assert settings["num_inference_steps"] == 20
    assert (settings["strength"], settings["guidance_scale"]) == (0.99, 8.0)


def test_the_card_that_was_named_is_used(folders: dict[str, Path]) -> None:
    """Several cards may be of one class: the first serves, unless another is named."""
    assert inpainter.card_of("StableDiffusionInpaintPipeline").name == "sd15-inpaint"
    assert inpainter.card_of("StableDiffusionInpaintPipeline", "sd2-inpaint").name == "sd2-inpaint"
    unknown = inpainter.card_of("NoSuchPipeline")
    assert (unknown.fill.strength, unknown.remove.prompt) == (1.0, inpainter.BACKGROUND)


@pytest.mark.parametrize(
    ("fill", "word"),
    [
        (Fill(strength=0.0), "strength must be above 0"),
        (Fill(strength=1.5), "at most 1"),
        (Fill(num_inference_steps=0), "steps must be at least 1"),
        (Fill(num_inference_steps=4, strength=0.1), "leaves none of 4 steps"),
    ],
)
def test_settings_out_of_range(model: DiffusionInpainter, fill: Fill, word: str) -> None:
    with pytest.raises(BadOption, match=word):
        model.inpaint([crop()], fill)


def test_prompt_and_guidance_reach_the_model(model: DiffusionInpainter) -> None:
    def of(**values: Any) -> list[Any]:
        return model.inpaint([crop()], Fill(num_inference_steps=2, **values))

    base = of(prompt="a red rose")
    assert not same(base, of(prompt="a dog"))
    assert not same(base, of(prompt="a red rose", guidance_scale=1.0))
    assert not same(base, of(prompt="a red rose", negative_prompt="a dog"))


def test_dtypes() -> None:
    assert choose_dtype("auto", "cpu") == torch.float32
    assert choose_dtype("auto", "mps") == torch.float16
    assert choose_dtype("bf16", "cpu") == torch.bfloat16
    with pytest.raises(BadOption, match="float31"):
        choose_dtype("float31", "cpu")


# --- what may go wrong while painting ------------------------------------------------------------


def test_half_precision_that_overflows_is_done_again(folders: dict[str, Path]) -> None:
    loaded = DiffusionInpainter(folders["sd9"], "cpu", "bf16")

    def overflow(_: Any, __: Any, out: torch.Tensor) -> torch.Tensor:
        return out if out.dtype == torch.float32 else out * float("nan")

    loaded._pipe.vae.decoder.register_forward_hook(overflow)
    with pytest.warns(UserWarning, match="overflowed"):
        painted = loaded.inpaint([crop()], FILL)
    loaded._pipe.vae.decoder._forward_hooks.clear()
    assert loaded._pipe.dtype == torch.float32
    assert same(painted, loaded.inpaint([crop()], FILL))


def test_no_numbers_at_all(folders: dict[str, Path]) -> None:
    loaded = DiffusionInpainter(folders["sd9"], "cpu")
    loaded._pipe.vae.decoder.register_forward_hook(lambda _, __, out: out * float("nan"))
    with pytest.raises(BadModel, match="paints no numbers"):
        loaded.inpaint([crop()], FILL)


def test_a_refused_crop_is_given_back(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    pipe = tiny.stable_diffusion()
    tiny.add_safety_checker(pipe)
    pipe.save_pretrained(tmp_path)
    loaded = DiffusionInpainter(tmp_path, "cpu")
    capfd.readouterr()
    with pytest.warns(UserWarning, match="safety checker"):
        [painted] = loaded.inpaint([crop()], FILL)
    assert np.array_equal(painted, crop().image)
    assert capfd.readouterr().err == ""
    with torch.no_grad():
        loaded._pipe.safety_checker.concept_embeds_weights.fill_(2.0)
    [painted] = loaded.inpaint([crop()], FILL)
    assert (painted != crop().image).any()


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"),
    ],
)
def test_memory_runs_out(folders: dict[str, Path], error: Exception) -> None:
    loaded = DiffusionInpainter(folders["sd9"], "cpu")

    def full(*_: Any) -> None:
        raise error

    loaded._pipe.unet.register_forward_pre_hook(full)
    with pytest.raises(BadOption, match="out of memory"):
        loaded.inpaint([crop()], FILL)


def test_memory_runs_out_for_many(folders: dict[str, Path]) -> None:
    """Half as many, said, remembered, and the results the same but for rounding."""
    loaded = DiffusionInpainter(folders["sd9"], "cpu", tuning=RuntimeOptions(batch_size=5))
    crops = [crop(seed=n) for n in range(5)]
    whole = loaded.inpaint(crops, FILL)

    def full(_: Any, given: tuple[torch.Tensor, ...]) -> None:
        if len(given[0]) > 2 * 2:  # twice a crop, for the guidance
            raise torch.OutOfMemoryError("CUDA out of memory")

    loaded._pipe.unet.register_forward_pre_hook(full)
    with pytest.warns(UserWarning, match="going on with 2 at once"):
        assert close(loaded.inpaint(crops, FILL), whole)
    assert loaded.input_spec.batch_size == 2


def test_nothing_is_said_to_the_terminal(
    folders: dict[str, Path], capfd: pytest.CaptureFixture[str]
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", DeprecationWarning)  # which nobody is shown
        for name in ("sd9", "sdxl"):
            DiffusionInpainter(folders[name], "cpu", "fp16").inpaint([crop()], FILL)
    assert capfd.readouterr() == ("", "")


def test_cards_match_the_pipelines_that_load_them(folders: dict[str, Path]) -> None:
    import diffusers

    from segment2inpaint.models.catalogue import cards

    named = [one for one in cards() if one.backend == "diffusion"]
    assert {one.pipeline for one in named} >= {
        type(load(folders[name], torch.float32)).__name__ for name in ("sd9", "sdxl")
    }
    for one in named:
        settings_for(Fill(), one)
        settings_for(Fill(prompt="x"), one)
        assert one.kind == "part" or getattr(diffusers, one.pipeline)


def test_a_cancel_is_heard_within_a_step(model: DiffusionInpainter) -> None:
    """Whatever the progress raises ends the run, and the model goes on to work."""
    steps: list[int] = []
    hook = model._pipe.unet.register_forward_hook(lambda *_: steps.append(1))

    def stop(stage: str, share: float) -> None:
        if share > 0.2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        model.inpaint([crop()], Fill(prompt="a red rose", num_inference_steps=20), stop)
    assert len(steps) == 5
    hook.remove()
    assert model.inpaint([crop()], FILL)[0].shape == (64, 96, 3)
