"""Tests of models that were trained to remove, with small random weights of their structure."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import tiny_flows
import tiny_loras
import torch
from crops import FILL, equal, make_crop, nearly_equal
from PIL import Image as Pillow

from segment2inpaint import Editor, inpaint
from segment2inpaint.errors import BadModel, BadOption
from segment2inpaint.images.photo import photo_from_array
from segment2inpaint.inpaint.diffusion import inpainter as inpainter_module
from segment2inpaint.inpaint.diffusion.inpainter import DiffusionInpainter
from segment2inpaint.inpaint.diffusion.outline import RED, outline_object
from segment2inpaint.models import catalogue
from segment2inpaint.protocols import Crop
from segment2inpaint.types import Box, Fill, Refine, Request

needs_peft = pytest.mark.skipif(find_spec("peft") is None, reason="peft is not installed")
REMOVAL = Fill()


def load(name: str) -> DiffusionInpainter:
    inpainter = inpaint.load(name, "cpu")
    assert isinstance(inpainter, DiffusionInpainter)
    return inpainter


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder for models by card name; nothing else is on this machine."""
    monkeypatch.setattr(catalogue, "models_folder", lambda: tmp_path / "models")
    monkeypatch.setattr(catalogue, "snapshots", lambda *_: [])
    return tmp_path / "models"


# --- RORem ----------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:--prompt is too long")  # the tokenizer reads bytes
def test_rorem_removes_with_the_settings_of_its_authors(
    folders: dict[str, Path], models: Path
) -> None:
    shutil.copytree(folders["sdxl"], models / "rorem")
    rorem = load("rorem")
    settings = rorem.resolve_fill(REMOVAL)
    assert settings["prompt"].startswith("4K, high quality, masterpiece")
    assert (settings["guidance_scale"], settings["strength"]) == (1.0, 0.99)
    assert rorem.input_spec.area == 512 * 512
    assert not rorem.input_spec.edits_by_instruction
    [result] = rorem.inpaint([make_crop()], Fill(num_inference_steps=2))
    assert result.shape == make_crop().image.shape
    assert inpaint.choose(generate=False).name == "rorem"


def test_other_models_of_the_family_are_not_taken_for_one_that_removes(
    folders: dict[str, Path],
) -> None:
    assert DiffusionInpainter(folders["sdxl"], "cpu").card.name == "sdxl-inpaint"


@needs_peft
def test_rorem_takes_its_lcm_lora_by_path(folders: dict[str, Path], models: Path) -> None:
    shutil.copytree(folders["sdxl"], models / "rorem")
    weights = tiny_loras.random_lora(tiny.stable_diffusion_xl().unet)
    file = tiny_loras.save_diffusers(weights, models / "rorem_lcm.safetensors")
    fast = load(f"rorem+{file}")
    settings = fast.resolve_fill(REMOVAL)
    assert (settings["num_inference_steps"], settings["guidance_scale"]) == (4, 1.0)
    assert settings["prompt"].startswith("4K")
    assert type(fast.pipe.scheduler).__name__ == "LCMScheduler"
    assert fast.input_spec.area == 512 * 512


# --- OSOR -----------------------------------------------------------------------------------------


@pytest.fixture
def osor(folders: dict[str, Path], tmp_path: Path) -> str:
    """Return the name of a tiny OSOR, by its path; its alpha is 0.5 everywhere."""
    file = tiny_loras.save_osor(tiny.stable_diffusion_xl(), tmp_path / "phase2.safetensors")
    return f"{folders['sdxl']}+{file}"


@needs_peft
def test_osor_removes_in_one_step_and_sees_object_and_mask(osor: str) -> None:
    inpainter = load(osor)
    assert inpainter.resolve_fill(REMOVAL) == {
        "prompt": "Remove the instance of object",
        "guidance_scale": 1.0,
    }
    assert inpainter.input_spec.edits_by_instruction
    assert (inpainter.input_spec.area, inpainter.input_spec.multiple) == (512 * 512, 16)
    steps: list[float] = []
    crop = make_crop()
    [result] = inpainter.inpaint([crop], REMOVAL, lambda _, share: steps.append(share))
    assert set(steps) == {1.0}
    assert result.shape == crop.image.shape
    whole = Crop(crop.image, np.ones_like(crop.mask), crop.seed, crop.mask)
    assert equal(inpainter.inpaint([whole], REMOVAL), [result])
    elsewhere = Crop(crop.image, np.roll(crop.mask, 30, 1), crop.seed)
    assert not equal(inpainter.inpaint([elsewhere], REMOVAL), [result])
    hidden = Crop(crop.image * ~crop.mask[..., None], crop.mask, crop.seed)
    assert not equal(inpainter.inpaint([hidden], REMOVAL), [result])


@needs_peft
def test_the_batch_does_not_change_a_result_of_osor_but_the_seed_does(osor: str) -> None:
    inpainter = load(osor)
    inpainter.input_spec = replace(inpainter.input_spec, batch_size=2)
    together = inpainter.inpaint([make_crop(seed=1), make_crop(seed=2)], REMOVAL)
    alone = [inpainter.inpaint([make_crop(seed=s)], REMOVAL)[0] for s in (1, 2)]
    assert nearly_equal(together, alone)
    assert not equal([together[0]], [together[1]])


@needs_peft
def test_osor_paints_as_its_formula_says(folders: dict[str, Path], tmp_path: Path) -> None:
    """It is held against the formula: noise of step 400, one prediction, blended by alpha."""
    file = tiny_loras.save_osor(tiny.stable_diffusion_xl(), tmp_path / "o.safetensors", alpha=0.7)
    pipe = load(f"{folders['sdxl']}+{file}").pipe
    crop = make_crop(64, 64)
    crop_call: dict[str, Any] = {}
    unet = pipe.unet.forward

    def record(sample: Any, *args: Any, **kwargs: Any) -> Any:
        output = unet(sample, *args, **kwargs)
        crop_call.update(kwargs, sample=sample, timestep=args[0], output=output[0])
        return output

    pipe.unet.forward = record
    blended: list[torch.Tensor] = []
    pipe(
        prompt=["x"],
        image=[Pillow.fromarray(crop.image)],
        object_mask=[Pillow.fromarray(crop.mask.astype(np.uint8) * 255)],
        height=64,
        width=64,
        generator=[torch.Generator().manual_seed(0)],
        callback_on_step_end=lambda _p, _i, _t, values: blended.append(values["latents"]),
    )
    noisy, cells, latents = crop_call["sample"].split([4, 1, 4], 1)
    assert crop_call["timestep"] == 400
    assert cells.sum() == 2 * 2  # cells of 8 px in a hole of 16 x 16 px
    assert crop_call["added_cond_kwargs"]["time_ids"].tolist() == [[64, 64, 0, 0, 64, 64]]
    share = pipe.scheduler.alphas_cumprod[400]
    noise, logit = crop_call["output"].split([4, 1], 1)
    clean = (noisy - (1 - share).sqrt() * noise) / share.sqrt()
    alpha = 1 / (1 + np.exp(-0.7))
    assert torch.allclose(logit.sigmoid(), torch.full_like(logit, alpha))
    assert torch.allclose(blended[0], clean * alpha + latents * (1 - alpha), atol=1e-5)


@needs_peft
def test_osor_refuses_other_models_prompts_and_a_damaged_head(
    folders: dict[str, Path], osor: str, tmp_path: Path
) -> None:
    from safetensors.torch import load_file, save_file

    file = Path(osor.split("+")[1])
    with pytest.raises(BadOption, match="only removes objects"):
        load(osor).inpaint([make_crop()], FILL)
    tiny.stable_diffusion_xl(4).save_pretrained(tmp_path / "sdxl4")
    with (
        pytest.raises(BadOption, match=r"needs Stable Diffusion XL inpainting, got .* 4 channels"),
        pytest.warns(UserWarning, match="not trained to inpaint"),
    ):
        load(f"{tmp_path / 'sdxl4'}+{file}")
    with pytest.raises(BadOption, match="not for the family"):
        load(f"{folders['sd9']}+{file}")
    tensors = load_file(file)
    del tensors["unet.conv_out.bias"]
    save_file(tensors, tmp_path / "cut.safetensors")
    with pytest.raises(BadModel, match=r"last convolution unet.conv_out.weight does not fit"):
        load(f"{folders['sdxl']}+{tmp_path / 'cut.safetensors'}")


@needs_peft
def test_nothing_changes_outside_the_alpha_of_a_removal_with_effects(osor: str) -> None:
    photo = photo_from_array(make_crop(96, 128).image)
    request = Request(
        (Box(40, 30, 70, 60),), Refine(shadow=True), Fill(), "builtin", osor, verify=False
    )
    result = Editor("cpu").run(photo, request)
    assert result.changed_outside == 0
    outside = result.alpha == 0
    assert (result.image[outside] == photo.image[outside]).all()
    assert (result.image != photo.image).any()


# --- FLUX.2 [klein] -------------------------------------------------------------------------------


def test_the_outline_is_a_red_rectangle_outside_the_object() -> None:
    crop = make_crop()
    outlined = outline_object(crop)
    changed = (outlined.image != crop.image).any(-1)
    assert changed.any()
    assert not changed[crop.mask].any()
    assert (outlined.image[changed] == RED).all()
    assert outlined.mask.all()
    assert np.array_equal(outlined.object_mask, crop.mask)
    whole = Crop(crop.image, np.ones_like(crop.mask), 0, crop.mask)
    assert np.array_equal(outline_object(whole).image, outlined.image)
    nothing = Crop(crop.image, np.zeros_like(crop.mask))
    assert outline_object(nothing) is nothing


@needs_peft
def test_the_klein_lora_outlines_the_object_and_asks_for_its_removal(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe = tiny_flows.flux_2_klein()
    pipe.save_pretrained(tmp_path / "klein")
    weights = tiny_loras.random_lora(pipe.transformer, ["to_qkv_mlp_proj", "to_q", "to_k", "to_v"])
    (models / "flux2-klein-remove").mkdir(parents=True)
    tiny_loras.save_diffusers(
        weights,
        models / "flux2-klein-remove" / "flux-object-remove-lora.safetensors",
        "transformer",
    )
    painted: list[Crop] = []
    monkeypatch.setattr(
        inpainter_module, "paint", lambda _pipe, crops, *_: [painted.append(c) for c in crops]
    )
    klein = load(f"{tmp_path / 'klein'}+flux2-klein-remove")
    settings = klein.resolve_fill(REMOVAL)
    assert settings["prompt"] == "Remove the highlighted object from the scene"
    assert (settings["num_inference_steps"], settings["guidance_scale"]) == (4, 1.0)
    assert "prefill" not in settings
    assert klein.input_spec.edits_by_instruction
    crop = make_crop()
    klein.inpaint([crop], REMOVAL)
    klein.inpaint([crop], FILL)
    assert np.array_equal(painted[0].image, outline_object(crop).image)
    assert painted[0].mask.all()
    assert np.array_equal(painted[1].image, crop.image)


@needs_peft
def test_a_removal_lora_with_its_base_is_preferred_by_auto(
    models: Path, folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    here = {"sdxl-inpaint"}
    monkeypatch.setattr(catalogue, "find", lambda name, **_: models if name in here else None)
    assert inpaint.choose(generate=False, device="cpu").name == "guided"
    here |= {"osor"}
    choice = inpaint.choose(generate=False, device="cpu")
    assert choice.name == "sdxl-inpaint+osor"
    assert "trained to remove" in choice.reason
    assert inpaint.choose(generate=True, device="cpu").name == "sdxl-inpaint"
    here.remove("sdxl-inpaint")
    assert inpaint.choose(generate=False, device="cpu").name == "guided"


@needs_peft
def test_the_klein_lora_is_refused_with_the_larger_klein(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both have one pipeline class; the widths of the layers differ."""
    small = tiny_flows.flux_2_klein()
    weights = tiny_loras.random_lora(small.transformer)
    (models / "flux2-klein-remove").mkdir(parents=True)
    file = models / "flux2-klein-remove" / "flux-object-remove-lora.safetensors"
    wide = {k: t.repeat(1, 2) if "lora_A" in k else t for k, t in weights.items()}
    tiny_loras.save_diffusers(wide, file, "transformer")
    small.save_pretrained(tmp_path / "klein")
    monkeypatch.setattr(inpainter_module, "load_pipeline", lambda *_: pytest.fail("was read"))
    with pytest.raises(BadOption, match=r"not for the family.*expected width 32, got 64"):
        load(f"{tmp_path / 'klein'}+flux2-klein-remove")


# --- ObjectClear ----------------------------------------------------------------------------------


def test_objectclear_is_refused_in_one_line_that_says_why(tmp_path: Path) -> None:
    index = {"_class_name": "ObjectClearPipeline", "unet": ["diffusers", "UNet2DConditionModel"]}
    (tmp_path / "model_index.json").write_text(json.dumps(index))
    with pytest.raises(
        BadModel, match=r"non-commercial use only.*not in diffusers.*rorem"
    ) as error:
        inpaint.load(str(tmp_path), "cpu")
    assert "\n" not in str(error.value)
