"""Tests of the diffusion inpainter with small random models of the real classes."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import tiny_flows
import torch
from conftest import FakeInpainter
from crops import FILL, equal, make_crop, nearly_equal

from segment2inpaint.errors import BadModel, BadOption
from segment2inpaint.inpaint.diffusion.inpainter import (
    NEGATIVE_PROMPT,
    REMOVAL_PROMPT,
    DiffusionInpainter,
    SmoothInpainter,
    read_input_spec,
    resolve_settings,
    select_card,
)
from segment2inpaint.inpaint.diffusion.load import choose_dtype, load_pipeline
from segment2inpaint.models.catalogue import card, cards
from segment2inpaint.protocols import Crop, RuntimeOptions
from segment2inpaint.types import Fill


@pytest.fixture(scope="module")
def model(folders: dict[str, Path]) -> DiffusionInpainter:
    return DiffusionInpainter(folders["sd9"], "cpu")


# --- the families ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["sd9", "sd4", "sdxl"])
def test_a_saved_model_repaints_the_hole(folders: dict[str, Path], name: str) -> None:
    inpainter = DiffusionInpainter(folders[name], "cpu")
    crop = make_crop()
    before = crop.image.copy()
    shares: list[float] = []
    [result] = inpainter.inpaint([crop], FILL, lambda _, share: shares.append(share))
    assert result.shape == crop.image.shape
    assert result.dtype == np.uint8
    assert (result != crop.image)[crop.mask].any()
    assert np.array_equal(crop.image, before)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert len(shares) >= 3
    assert inpainter.input_spec.area == 128 * 128
    assert (inpainter.input_spec.multiple, inpainter.input_spec.mask_cell) == (8, 8)


def test_the_native_size_is_read_from_the_model() -> None:
    assert read_input_spec(tiny_flows.stable_diffusion_3()).area == 128 * 128
    assert read_input_spec(tiny_flows.flux()).area == 1024 * 1024
    assert read_input_spec(tiny_flows.z_image()).area == 1024 * 1024


# --- crops and seeds ---------------------------------------------------------------------------


def test_a_result_does_not_depend_on_the_other_crops(model: DiffusionInpainter) -> None:
    crops = [make_crop(seed=1), make_crop(96, 64, seed=2), make_crop(seed=3)]
    batched = model.inpaint(crops, FILL)
    assert equal(batched, [model.inpaint([c], FILL)[0] for c in crops])
    assert not np.array_equal(batched[0], batched[2])


def test_no_crops_give_no_results(model: DiffusionInpainter) -> None:
    assert model.inpaint([], FILL) == []


def test_the_content_of_the_hole_has_no_influence_on_a_removal(model: DiffusionInpainter) -> None:
    """At a low strength the old pixels shine through, so the hole is filled first."""
    original = make_crop()
    changed = Crop(original.image.copy(), original.mask, original.seed)
    changed.image[changed.mask] = 255
    remove = Fill(num_inference_steps=4, strength=0.5)
    assert equal(model.inpaint([original], remove), model.inpaint([changed], remove))
    replace = Fill(prompt="x", num_inference_steps=4, strength=0.5)
    assert not equal(model.inpaint([original], replace), model.inpaint([changed], replace))


@pytest.mark.parametrize("box", [(0, 64, 0, 96), (0, 10, 0, 10), (60, 64, 90, 96)])
def test_the_prefill_covers_a_hole_at_the_edge(box: tuple[int, int, int, int]) -> None:
    """Nothing of the object is left, unless everything is masked."""
    y0, y1, x0, x1 = box
    mask = np.zeros((64, 96), bool)
    mask[y0:y1, x0:x1] = True
    image = np.full((64, 96, 3), 90, np.uint8)
    image[mask] = 250
    [result] = SmoothInpainter().inpaint([Crop(image, mask)], Fill())
    assert mask.all() or result.max() <= 110


def test_only_a_removal_at_low_strength_uses_the_given_prefill(
    folders: dict[str, Path],
) -> None:
    prefill = FakeInpainter()
    inpainter = DiffusionInpainter(folders["sd9"], "cpu", prefill=prefill)
    low, high = Fill(num_inference_steps=2, strength=0.5), Fill(num_inference_steps=2)
    inpainter.inpaint([make_crop()], high)
    assert not prefill.calls
    inpainter.inpaint([make_crop()], low)
    assert len(prefill.calls) == 1
    assert (inpainter.resolve_fill(low)["prefill"], inpainter.resolve_fill(high)["prefill"]) == (
        "fake",
        "telea",
    )
    assert "prefill" not in inpainter.resolve_fill(FILL)


# --- settings ----------------------------------------------------------------------------------


def test_settings_are_those_of_the_request_then_of_the_card(model: DiffusionInpainter) -> None:
    sd15 = card("sd15-inpaint")
    assert model.resolve_fill(Fill()) == {
        "prompt": sd15.remove.prompt,
        "negative_prompt": sd15.remove.negative_prompt,
        "num_inference_steps": 30,
        "guidance_scale": 7.5,
        "strength": 1.0,
        "prefill": "telea",
    }
    settings = model.resolve_fill(Fill(prompt="", guidance_scale=2.0, num_inference_steps=9))
    assert settings == {
        "prompt": "",
        "num_inference_steps": 9,
        "guidance_scale": 2.0,
        "strength": 1.0,
    }


def test_sdxl_uses_the_defaults_of_its_card(folders: dict[str, Path]) -> None:
    settings = DiffusionInpainter(folders["sdxl"], "cpu").resolve_fill(Fill(prompt="a"))
    assert settings["num_inference_steps"] == 20
    assert (settings["strength"], settings["guidance_scale"]) == (0.99, 8.0)


def test_a_replacement_has_a_negative_prompt_where_the_model_uses_one(
    model: DiffusionInpainter, folders: dict[str, Path]
) -> None:
    """A given one, also an empty one, is used instead."""
    for inpainter in (model, DiffusionInpainter(folders["sdxl"], "cpu")):
        resolved = inpainter.resolve_fill(Fill(prompt="a red rose"))
        assert resolved["negative_prompt"] == NEGATIVE_PROMPT
        given = Fill(prompt="a red rose", negative_prompt="", num_inference_steps=2)
        assert inpainter.resolve_fill(given)["negative_prompt"] == ""
    unguided = model.resolve_fill(Fill(prompt="a red rose", guidance_scale=1.0))
    assert "negative_prompt" not in unguided
    removal = model.resolve_fill(Fill())
    assert removal["negative_prompt"] == card("sd15-inpaint").remove.negative_prompt
    for name in ("flux-dev", "flux-fill", "z-image-turbo", "flux2-klein"):
        assert "negative_prompt" not in resolve_settings(Fill(prompt="a"), card(name))
    assert resolve_settings(Fill(prompt="a"), card("qwen-image"))["negative_prompt"] == " "


def test_strength_1_is_warned_about_with_sdxl_inpainting_alone(
    folders: dict[str, Path], model: DiffusionInpainter
) -> None:
    inpainter = DiffusionInpainter(folders["sdxl"], "cpu")
    with pytest.warns(UserWarning, match="less sharply at strength 1.*0.99 is the default"):
        inpainter.inpaint([make_crop()], FILL)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        inpainter.inpaint([make_crop()], replace(FILL, strength=0.99))
        model.inpaint([make_crop()], FILL)


def test_a_strength_below_1_counts_for_z_image_turbo(tmp_path: Path) -> None:
    """Its pipeline alone would run all 8 steps at a strength of 0.9."""
    tiny_flows.z_image().save_pretrained(tmp_path)
    inpainter = DiffusionInpainter(tmp_path, "cpu")
    assert inpainter.resolve_fill(Fill(prompt="a"))["num_inference_steps"] == 8
    steps: list[int] = []
    inpainter.pipe.transformer.register_forward_pre_hook(lambda *_: steps.append(1))
    for strength, expected in ((1.0, 8), (0.99, 7), (0.9, 7), (0.875, 7), (0.5, 4), (0.125, 1)):
        steps.clear()
        inpainter.inpaint([make_crop()], Fill(prompt="a", strength=strength))
        assert len(steps) == expected


def test_the_named_card_is_used_or_the_first_of_its_class() -> None:
    """Several cards can have one pipeline class."""
    assert select_card("StableDiffusionInpaintPipeline").name == "sd15-inpaint"
    assert select_card("StableDiffusionInpaintPipeline", "sd2-inpaint").name == "sd2-inpaint"
    unknown = select_card("NoSuchPipeline")
    assert (unknown.fill.strength, unknown.remove.prompt) == (1.0, REMOVAL_PROMPT)


@pytest.mark.parametrize(
    ("fill", "word"),
    [
        (Fill(strength=0.0), "strength must be above 0"),
        (Fill(strength=1.5), "at most 1"),
        (Fill(num_inference_steps=0), "steps must be at least 1"),
        (Fill(num_inference_steps=4, strength=0.1), "leaves none of 4 steps"),
    ],
)
def test_settings_out_of_range_are_refused(
    model: DiffusionInpainter, fill: Fill, word: str
) -> None:
    with pytest.raises(BadOption, match=word):
        model.inpaint([make_crop()], fill)


def test_prompts_and_guidance_change_the_result(model: DiffusionInpainter) -> None:
    def paint(**values: Any) -> list[Any]:
        return model.inpaint([make_crop()], Fill(num_inference_steps=2, **values))

    base = paint(prompt="a red rose")
    assert not equal(base, paint(prompt="a dog"))
    assert not equal(base, paint(prompt="a red rose", guidance_scale=1.0))
    assert not equal(base, paint(prompt="a red rose", negative_prompt="a dog"))


def test_dtypes_are_chosen_by_device_or_name() -> None:
    assert choose_dtype("auto", "cpu") == torch.float32
    assert choose_dtype("auto", "mps") == torch.float16
    assert choose_dtype("bf16", "cpu") == torch.bfloat16
    with pytest.raises(BadOption, match="float31"):
        choose_dtype("float31", "cpu")


# --- errors while painting ----------------------------------------------------------------------


def test_overflow_in_half_precision_repeats_the_call_in_float32(folders: dict[str, Path]) -> None:
    inpainter = DiffusionInpainter(folders["sd9"], "cpu", "bf16")

    def overflow(_: Any, __: Any, out: torch.Tensor) -> torch.Tensor:
        return out if out.dtype == torch.float32 else out * float("nan")

    hook = inpainter.pipe.vae.decoder.register_forward_hook(overflow)
    with pytest.warns(UserWarning, match="overflowed"):
        result = inpainter.inpaint([make_crop()], FILL)
    hook.remove()
    assert inpainter.pipe.dtype == torch.float32
    assert equal(result, inpainter.inpaint([make_crop()], FILL))


def test_nan_in_float32_is_an_error(folders: dict[str, Path]) -> None:
    inpainter = DiffusionInpainter(folders["sd9"], "cpu")
    inpainter.pipe.vae.decoder.register_forward_hook(lambda _, __, out: out * float("nan"))
    with pytest.raises(BadModel, match="returned NaN"):
        inpainter.inpaint([make_crop()], FILL)


def test_a_crop_that_the_safety_checker_refuses_is_returned_unchanged(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    pipe = tiny.stable_diffusion()
    tiny.add_safety_checker(pipe)
    pipe.save_pretrained(tmp_path)
    inpainter = DiffusionInpainter(tmp_path, "cpu")
    capfd.readouterr()
    with pytest.warns(UserWarning, match="safety checker"):
        [result] = inpainter.inpaint([make_crop()], FILL)
    assert np.array_equal(result, make_crop().image)
    assert capfd.readouterr().err == ""
    with torch.no_grad():
        inpainter.pipe.safety_checker.concept_embeds_weights.fill_(2.0)
    [result] = inpainter.inpaint([make_crop()], FILL)
    assert (result != make_crop().image).any()


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"),
    ],
)
def test_a_crop_that_does_not_fit_into_the_memory_is_an_error(
    folders: dict[str, Path], error: Exception
) -> None:
    inpainter = DiffusionInpainter(folders["sd9"], "cpu")

    def raise_out_of_memory(*_: Any) -> None:
        raise error

    inpainter.pipe.unet.register_forward_pre_hook(raise_out_of_memory)
    with pytest.raises(BadOption, match="out of memory"):
        inpainter.inpaint([make_crop()], FILL)


def test_a_batch_that_does_not_fit_into_the_memory_is_halved(folders: dict[str, Path]) -> None:
    """This is warned about and remembered, and changes results only by rounding."""
    inpainter = DiffusionInpainter(folders["sd9"], "cpu", runtime=RuntimeOptions(batch_size=5))
    crops = [make_crop(seed=n) for n in range(5)]
    expected = inpainter.inpaint(crops, FILL)

    def raise_out_of_memory(_: Any, inputs: tuple[torch.Tensor, ...]) -> None:
        if len(inputs[0]) > 2 * 2:  # the guidance doubles the batch
            raise torch.OutOfMemoryError("CUDA out of memory")

    inpainter.pipe.unet.register_forward_pre_hook(raise_out_of_memory)
    with pytest.warns(UserWarning, match="continuing with 2 at once"):
        assert nearly_equal(inpainter.inpaint(crops, FILL), expected)
    assert inpainter.input_spec.batch_size == 2


def test_nothing_is_written_to_the_terminal(
    folders: dict[str, Path], capfd: pytest.CaptureFixture[str]
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", DeprecationWarning)  # not shown to users
        for name in ("sd9", "sdxl"):
            fill = replace(FILL, strength=0.9)  # 1 is warned about
            DiffusionInpainter(folders[name], "cpu", "fp16").inpaint([make_crop()], fill)
    assert capfd.readouterr() == ("", "")


def test_every_card_names_a_pipeline_class_and_valid_settings(folders: dict[str, Path]) -> None:
    import diffusers

    diffusion_cards = [c for c in cards() if c.backend == "diffusion"]
    assert {c.pipeline for c in diffusion_cards} >= {
        type(load_pipeline(folders[name], torch.float32)).__name__ for name in ("sd9", "sdxl")
    }
    for c in diffusion_cards:
        resolve_settings(Fill(), c)
        resolve_settings(Fill(prompt="x"), c)
        assert c.kind == "part" or getattr(diffusers, c.pipeline)


def test_a_run_is_cancelled_within_one_step(model: DiffusionInpainter) -> None:
    """An exception from the callback ends the run, and the model works again afterwards."""
    steps: list[int] = []
    hook = model.pipe.unet.register_forward_hook(lambda *_: steps.append(1))

    def stop(stage: str, share: float) -> None:
        if share > 0.2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        model.inpaint([make_crop()], Fill(prompt="a red rose", num_inference_steps=20), stop)
    assert len(steps) == 5
    hook.remove()
    assert model.inpaint([make_crop()], FILL)[0].shape == (64, 96, 3)
