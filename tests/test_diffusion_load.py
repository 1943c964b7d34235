"""Tests of loading diffusion models from disk, and of the errors for damaged ones."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from crops import FILL, equal, make_crop, nearly_equal
from safetensors.torch import load_file, save_file

from segment2inpaint.errors import BadModel, ModelMissing
from segment2inpaint.inpaint.diffusion.call import paint
from segment2inpaint.inpaint.diffusion.inpainter import DiffusionInpainter, resolve_settings
from segment2inpaint.models.catalogue import card


def copy_model(folders: dict[str, Path], target: Path, name: str = "sd9") -> Path:
    shutil.copytree(folders[name], target / name)
    return target / name


def check_refused(folder: Path | str, *words: str) -> None:
    with pytest.raises((BadModel, ModelMissing)) as caught:
        DiffusionInpainter(folder, "cpu")
    text = str(caught.value)
    assert "\n" not in text
    assert all(word in text for word in (str(folder), *words))


def test_a_folder_with_half_precision_files_only_is_loaded(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    """``models download`` makes such folders; on a CPU they are computed in float32."""
    tiny.stable_diffusion(9).to(torch.float16).save_pretrained(tmp_path / "half", variant="fp16")
    assert not list(tmp_path.rglob("unet/diffusion_pytorch_model.safetensors"))
    inpainter = DiffusionInpainter(tmp_path / "half", "cpu")
    assert inpainter.pipe.dtype == torch.float32
    assert inpainter.inpaint([make_crop()], FILL)[0].shape == (64, 96, 3)


@pytest.mark.parametrize(
    ("name", "make"),
    [("sd15-inpaint", tiny.stable_diffusion), ("sdxl-inpaint", tiny.stable_diffusion_xl)],
)
def test_the_files_of_a_card_are_enough(tmp_path: Path, name: str, make: Callable[[], Any]) -> None:
    """Only the downloaded files are present, in the form of those repositories."""
    pipe = make().to(torch.float16)
    pipe.save_pretrained(tmp_path, variant="fp16")
    for component in tmp_path.glob("tokenizer*"):
        tiny.save_old_tokenizer(pipe.tokenizer, component)
    card_files = {tmp_path / file for file in card(name).files}
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    for path in files:
        if path not in card_files:
            path.unlink()
    results = DiffusionInpainter(tmp_path, "cpu").inpaint([make_crop()], FILL)
    pipe.to(torch.float32).set_progress_bar_config(disable=True)
    settings = resolve_settings(FILL, card(name))
    assert nearly_equal(results, paint(pipe, [make_crop()], settings, lambda *_: None))


def test_a_safety_checker_that_was_not_downloaded_is_omitted(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    folder = copy_model(folders, tmp_path)
    path = folder / "model_index.json"
    index = json.loads(path.read_text())
    index["safety_checker"] = ["stable_diffusion", "StableDiffusionSafetyChecker"]
    index["feature_extractor"] = ["transformers", "CLIPImageProcessor"]
    path.write_text(json.dumps(index))
    assert DiffusionInpainter(folder, "cpu").pipe.safety_checker is None


def test_folders_without_a_model_are_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    check_refused(tmp_path / "empty", "no model_index.json")
    check_refused(tmp_path / "none", "no such file or folder")
    check_refused(str(tmp_path / "none"), "no such file or folder")


def test_damaged_weights_and_missing_components_are_refused(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    folder = copy_model(folders, tmp_path)
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[:1000])
    check_refused(folder, f"{weights}: damaged or incomplete", "download the model again")
    weights.unlink()
    check_refused(folder, "unet has no weights, expected .safetensors or .bin in its folder")
    weights.write_bytes(content)
    shutil.rmtree(folder / "vae")
    check_refused(folder, "component 'vae' is missing")


@pytest.mark.parametrize(
    "name",
    ["model_index.json", "unet/config.json", "scheduler/scheduler_config.json"],
)
@pytest.mark.parametrize("text", ["{", "[]"])
def test_damaged_configurations_are_refused(
    folders: dict[str, Path], tmp_path: Path, name: str, text: str
) -> None:
    folder = copy_model(folders, tmp_path)
    (folder / name).write_text(text)
    check_refused(folder, f"{name}: damaged: ")


def test_missing_configurations_are_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = copy_model(folders, tmp_path)
    (folder / "unet" / "config.json").unlink()
    check_refused(folder, "no file named config.json found in directory unet")
    for path in (folder / "tokenizer").glob("*"):
        path.unlink()
    check_refused(folder, "tokenizer has no vocabulary; download the model again")
    (folder / "model_index.json").write_text('{"unet": ["diffusers", "UNet2DConditionModel"]}')
    check_refused(folder, "expected a pipeline's _class_name")


def test_a_missing_tensor_is_named(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = copy_model(folders, tmp_path)
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    tensors = {name: tensor.clone() for name, tensor in load_file(weights).items()}
    del tensors["conv_out.weight"]
    save_file(tensors, weights)
    check_refused(folder, "1 tensors of its unet are missing, such as conv_out.weight")


@pytest.mark.parametrize("component", ["unet", "text_encoder"])
def test_pickled_weights_run_no_code(
    folders: dict[str, Path], tmp_path: Path, component: str
) -> None:
    """They are loaded if there are no others, but as numbers only."""
    folder = copy_model(folders, tmp_path)
    [weights] = (folder / component).glob("*.safetensors")
    name = "pytorch_model.bin" if component == "text_encoder" else f"{weights.stem}.bin"
    torch.save(load_file(weights), folder / component / name)
    weights.unlink()
    assert DiffusionInpainter(folder, "cpu").inpaint([make_crop()], FILL)[0].shape == (64, 96, 3)
    torch.save({"x": Trap(tmp_path / "ran")}, folder / component / name)
    check_refused(folder, "cannot be loaded")
    assert not (tmp_path / "ran").exists()


class Trap:
    """An object that creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_a_single_component_in_half_precision_is_loaded(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    folder = copy_model(folders, tmp_path)
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    weights.rename(weights.with_suffix(".fp16.safetensors"))
    expected = DiffusionInpainter(folders["sd9"], "cpu").inpaint([make_crop()], FILL)
    assert equal(DiffusionInpainter(folder, "cpu").inpaint([make_crop()], FILL), expected)


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        ("PixArtAlphaPipeline", "no inpainting"),
        ("NoSuchPipeline", "no inpainting"),
        ("StableDiffusionControlNetInpaintPipeline", "needs more"),
    ],
)
def test_families_that_cannot_inpaint_are_refused(tmp_path: Path, kind: str, word: str) -> None:
    (tmp_path / "model_index.json").write_text(json.dumps({"_class_name": kind}))
    check_refused(tmp_path, word)
