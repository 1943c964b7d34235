"""Tests of LoRAs for few steps with small ones of the real classes, by their cards."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch

from segment2inpaint import inpaint
from segment2inpaint.errors import BadModel, BadOption, ModelMissing
from segment2inpaint.inpaint.diffusion import lora
from segment2inpaint.inpaint.diffusion.inpainter import DiffusionInpainter
from segment2inpaint.models import catalogue
from segment2inpaint.protocols import Crop
from segment2inpaint.types import Fill

pytestmark = pytest.mark.skipif(find_spec("peft") is None, reason="peft is not installed")
FILL = Fill(prompt="a red rose")


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of a small model, and save the LoRA of a card in the models folder."""
    from peft import LoraConfig

    monkeypatch.setattr(catalogue, "models_folder", lambda: tmp_path / "models")
    monkeypatch.setattr(catalogue, "snapshots", lambda *_: [])
    pipe = tiny.stable_diffusion()
    pipe.save_pretrained(tmp_path / "sd")
    pipe.unet.add_adapter(LoraConfig(r=2, target_modules=["to_q", "to_v"]))
    torch.manual_seed(0)
    with torch.no_grad():
        for name, weight in pipe.unet.named_parameters():
            if "lora_" in name:
                weight.copy_(torch.randn_like(weight))
    from peft.utils import get_peft_model_state_dict

    layers = get_peft_model_state_dict(pipe.unet)
    pipe.save_lora_weights(tmp_path / "models" / "lcm-sd15", unet_lora_layers=layers)
    return tmp_path / "sd"


def load_diffusion(name: str) -> DiffusionInpainter:
    inpainter = inpaint.load(name, "cpu")
    assert isinstance(inpainter, DiffusionInpainter)
    return inpainter


def make_crop() -> Crop:
    mask = np.zeros((64, 64), np.bool_)
    mask[16:40, 16:40] = True
    return Crop(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8), mask, 3)


def test_a_lora_adds_its_weights_scheduler_and_settings(model: Path) -> None:
    inpainter = load_diffusion(f"{model}+lcm-sd15")
    assert type(inpainter.pipe.scheduler).__name__ == "LCMScheduler"
    settings = inpainter.resolve_fill(FILL)
    assert (settings["num_inference_steps"], settings["guidance_scale"]) == (4, 1.0)
    shares: list[float] = []
    [result] = inpainter.inpaint([make_crop()], FILL, lambda _, share: shares.append(share))
    assert len(set(shares)) == 4
    without_weights = load_diffusion(str(model))
    lora.set_scheduler(without_weights.pipe, "LCMScheduler")
    same = Fill(prompt="a red rose", num_inference_steps=4, guidance_scale=1.0)
    assert not np.array_equal(without_weights.inpaint([make_crop()], same)[0], result)
    two_steps = Fill(prompt="a red rose", num_inference_steps=2)
    assert inpainter.resolve_fill(two_steps)["num_inference_steps"] == 2


def test_unsuitable_missing_and_damaged_loras_are_refused(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(BadOption, match="lcm-sdxl does not fit StableDiffusionInpaint"):
        inpaint.load(f"{model}+lcm-sdxl", "cpu")
    with pytest.raises(ModelMissing, match="models download hyper-sd15"):
        inpaint.load(f"{model}+hyper-sd15", "cpu")
    file = catalogue.models_folder() / "lcm-sd15" / "pytorch_lora_weights.safetensors"
    file.write_bytes(file.read_bytes()[:300])
    with pytest.raises(BadModel, match="cannot be merged"):
        inpaint.load(f"{model}+lcm-sd15", "cpu")
    monkeypatch.setattr(lora, "find_spec", lambda _: None)
    with pytest.raises(BadOption, match="pip install peft"):
        inpaint.load(f"{model}+lcm-sd15", "cpu")


@pytest.mark.parametrize("name", [c.name for c in catalogue.cards() if c.backend == "lora"])
def test_the_card_of_a_lora_names_existing_classes_one_file_and_its_steps(name: str) -> None:
    import diffusers

    card = catalogue.card(name)
    assert getattr(diffusers, card.scheduler)
    assert getattr(diffusers, card.pipeline)
    assert len(card.files) == 1
    assert card.fill.strength == 1.0
    assert card.fill.num_inference_steps
