"""Tests of LoRAs with small ones of the real classes: by card, path and hub id."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import tiny
import tiny_flows
import tiny_loras
import torch
from command_line import DISC_BOX, run, save_scene

from segment2inpaint import inpaint
from segment2inpaint.errors import BadModel, BadOption, ModelMissing, PackageMissing
from segment2inpaint.inpaint.diffusion import inpainter as inpainter_module
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
    with pytest.raises(BadOption, match=r"lcm-sdxl does not fit StableDiffusionInpaint.*expected"):
        inpaint.load(f"{model}+lcm-sdxl", "cpu")
    with pytest.raises(ModelMissing, match="models download hyper-sd15"):
        inpaint.load(f"{model}+hyper-sd15", "cpu")
    file = catalogue.models_folder() / "lcm-sd15" / "pytorch_lora_weights.safetensors"
    file.write_bytes(file.read_bytes()[:300])
    with pytest.raises(BadModel, match=r"not a readable .safetensors file, expected a LoRA"):
        inpaint.load(f"{model}+lcm-sd15", "cpu")
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(PackageMissing, match=r"segment2inpaint\[few-step\]"):
        inpaint.load(f"{model}+lcm-sd15", "cpu")


@pytest.mark.parametrize("name", [c.name for c in catalogue.cards() if c.backend == "lora"])
def test_the_card_of_a_lora_names_existing_classes_one_file_and_its_steps(name: str) -> None:
    import diffusers

    card = catalogue.card(name)
    assert getattr(diffusers, card.pipeline)
    assert len(card.files) == 1
    assert card.removal or card.scheduler
    if card.scheduler:
        assert getattr(diffusers, card.scheduler)
        assert card.fill.strength == 1.0
        assert card.fill.num_inference_steps


# --- by path and hub id ---------------------------------------------------------------------------


@pytest.fixture
def weights() -> tiny_loras.Weights:
    return tiny_loras.random_lora(tiny.stable_diffusion().unet)


def added_weight(name: str, layer: str = "down_blocks.1.attentions.0") -> torch.Tensor:
    """Return what the LoRA in a name added to a layer of its model."""
    path = f"{layer}.transformer_blocks.0.attn1.to_q"
    plain = load_diffusion(name.split("+")[0]).pipe.unet.get_submodule(path).weight
    return load_diffusion(name).pipe.unet.get_submodule(path).weight - plain


def test_a_lora_of_each_format_is_added_with_its_weight(
    model: Path, weights: tiny_loras.Weights, tmp_path: Path
) -> None:
    layer = "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q"
    expected = weights[f"{layer}.lora_B.weight"] @ weights[f"{layer}.lora_A.weight"]
    peft = tiny_loras.save_peft(weights, tmp_path / "peft", alpha=1.0)
    files = {
        tiny_loras.save_diffusers(weights, tmp_path / "my.safetensors"): 1.0,
        tiny_loras.save_kohya(weights, tmp_path / "kohya.safetensors", alpha=1.0): 0.5,
        peft: 0.5,
        peft.parent: 0.5,
    }
    for file, share in files.items():
        assert torch.allclose(added_weight(f"{model}+{file}"), expected * share, atol=1e-5)
        half = added_weight(f"{model}+{file}@0.5")
        assert torch.allclose(half, expected * share / 2, atol=1e-5)


def test_a_lora_by_path_keeps_the_settings_of_its_model_unless_it_is_an_lcm(
    model: Path, weights: tiny_loras.Weights, tmp_path: Path
) -> None:
    file = tiny_loras.save_diffusers(weights, tmp_path / "my.safetensors")
    plain, with_lora = load_diffusion(str(model)), load_diffusion(f"{model}+{file}")
    assert with_lora.resolve_fill(FILL) == plain.resolve_fill(FILL)
    assert type(with_lora.pipe.scheduler) is type(plain.pipe.scheduler)
    lcm = load_diffusion(f"{model}+{file.rename(tmp_path / 'my_LCM.safetensors')}@0.9")
    assert type(lcm.pipe.scheduler).__name__ == "LCMScheduler"
    assert lcm.resolve_fill(FILL)["num_inference_steps"] == 4


def test_a_lora_is_found_by_its_hub_id(
    model: Path, weights: tiny_loras.Weights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    cache = tmp_path / "hub"
    monkeypatch.setattr(catalogue, "default_hub_cache", lambda: cache)
    with pytest.raises(ModelMissing, match="models download someone/roses"):
        inpaint.load(f"{model}+someone/roses", "cpu")
    folder = cache / "models--someone--roses" / "snapshots" / ("0" * 40)
    folder.mkdir(parents=True)
    tiny_loras.save_diffusers(weights, folder / "pytorch_lora_weights.safetensors")
    assert added_weight(f"{model}+someone/roses@2").abs().max() > 0.1
    (folder / "pytorch_lora_weights.safetensors").rename(folder / "a.safetensors")
    tiny_loras.save_diffusers(weights, folder / "b.safetensors")
    with pytest.raises(BadModel, match=r"got 2 .a.safetensors, b.safetensors.; name a file"):
        inpaint.load(f"{model}+someone/roses", "cpu")


def test_a_lora_of_another_family_is_refused_before_the_model_is_read(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    xl = tiny_loras.random_lora(tiny.stable_diffusion_xl().unet)
    flux = tiny_loras.random_lora(tiny_flows.flux().transformer)
    files = [
        tiny_loras.save_diffusers(xl, tmp_path / "xl.safetensors"),
        tiny_loras.save_kohya(xl, tmp_path / "xl_kohya.safetensors"),
        tiny_loras.save_peft(xl, tmp_path / "xl_peft"),
        tiny_loras.save_diffusers(flux, tmp_path / "flux.safetensors", "transformer"),
    ]
    monkeypatch.setattr(inpainter_module, "load_pipeline", lambda *_: pytest.fail("was read"))
    for file in files:
        with pytest.raises(BadOption, match=r"not for the family of .*use a LoRA of the same"):
            inpaint.load(f"{model}+{file}", "cpu")


def test_what_is_no_lora_is_refused_without_diffusers(model: Path, tmp_path: Path) -> None:
    no_lora = model / "unet" / "diffusion_pytorch_model.safetensors"
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(no_lora.read_bytes()[:100])
    refusals = {
        f"{model}+{no_lora}": "not a LoRA, none of its",
        f"{model}+{cut}": "not a readable .safetensors",
        f"{model}+{tmp_path / 'none.safetensors'}": "no such LoRA",
        f"{model}+lcm": "no such LoRA; expected .* or one of .*lcm-sd15",
        f"{model}+sdxl-inpaint": "sdxl-inpaint is not a LoRA",
        f"{model}+lcm-sd15@strong": "must be a number, got 'strong'",
        "telea+lcm-sd15": "telea takes no LoRA",
    }
    code = (
        "import sys\nfrom segment2inpaint import inpaint\n"
        f"for name in {list(refusals)!r}:\n"
        "    try: inpaint.check_name(name)\n    except Exception as error: print(error)\n"
        "sys.exit('diffusers' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == len(refusals)
    for line, message in zip(lines, refusals.values(), strict=True):
        assert re.search(message, line), line


def test_names_are_split_into_model_base_lora_and_weight(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    split = inpaint.split_name
    assert split("sd15-inpaint+./mine.safetensors@0.8") == (
        "sd15-inpaint", "", "./mine.safetensors@0.8",
    )  # fmt: skip
    assert split("sdxl-inpaint+owner/name@0.5") == ("sdxl-inpaint", "", "owner/name@0.5")
    assert split("my.safetensors@sd21+lcm-sd15") == ("my.safetensors", "sd21", "lcm-sd15")
    assert split("my.safetensors@sd21") == ("my.safetensors", "sd21", "")
    monkeypatch.chdir(tmp_path)
    Path("a+b").mkdir()
    Path("v@2").mkdir()
    assert split("a+b") == ("a+b", "", "")
    assert split("a+b+c@1") == ("a+b", "", "c@1")
    assert split("a+b@sd21+c") == ("a+b", "sd21", "c")
    assert split("v@2+c@1") == ("v@2", "", "c@1")


@pytest.mark.slow
def test_a_row_of_a_batch_names_a_lora_by_its_path(
    model: Path, weights: tiny_loras.Weights, tmp_path: Path
) -> None:
    file = tiny_loras.save_diffusers(weights, tmp_path / "my.safetensors")
    save_scene(tmp_path)
    name = f"{model}+{file}@0.5"
    row = {
        "photo": "photo.png",
        "boxes": [list(DISC_BOX)],
        "inpainter": name,
        "num_inference_steps": 2,
    }
    rows, out = tmp_path / "rows.jsonl", tmp_path / "out"
    rows.write_text(json.dumps(row) + "\n")
    done = run("batch", str(rows), str(out), "--device", "cpu", "--no-verify")
    assert done.exit_code == 0, done.output
    assert (out / "photo.png").is_file()
    rows.write_text(json.dumps(row | {"inpainter": f"{model}+{tmp_path}/no.safetensors"}))
    assert "no such LoRA" in run("batch", str(rows), str(out), "--device", "cpu").output
