"""Diffusion models on disk: what is loaded, and what cannot be."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from crops import FILL, close, crop, same
from safetensors.torch import load_file, save_file

from segment2inpaint.errors import BadModel, ModelMissing
from segment2inpaint.inpaint.diffusion.call import paint
from segment2inpaint.inpaint.diffusion.inpainter import DiffusionInpainter, settings_for
from segment2inpaint.models.catalogue import card


def copy(folders: dict[str, Path], target: Path, name: str = "sd9") -> Path:
    shutil.copytree(folders[name], target / name)
    return target / name


def fails(folder: Path | str, *words: str) -> None:
    with pytest.raises((BadModel, ModelMissing)) as caught:
        DiffusionInpainter(folder, "cpu")
    text = str(caught.value)
    assert "\n" not in text
    assert all(word in text for word in (str(folder), *words))


def test_half_precision_files_only(folders: dict[str, Path], tmp_path: Path) -> None:
    """A folder as ``models download`` makes it: fp16 files, computed in float32 on a CPU."""
    tiny.stable_diffusion(9).to(torch.float16).save_pretrained(tmp_path / "half", variant="fp16")
    assert not list(tmp_path.rglob("unet/diffusion_pytorch_model.safetensors"))
    loaded = DiffusionInpainter(tmp_path / "half", "cpu")
    assert loaded._pipe.dtype == torch.float32
    assert loaded.inpaint([crop()], FILL)[0].shape == (64, 96, 3)


@pytest.mark.parametrize(
    ("name", "make"),
    [("sd15-inpaint", tiny.stable_diffusion), ("sdxl-inpaint", tiny.stable_diffusion_xl)],
)
def test_the_files_of_a_card_are_enough(tmp_path: Path, name: str, make: Callable[[], Any]) -> None:
    """Nothing but what a download brings, in the form that those repositories have it."""
    pipe = make().to(torch.float16)
    pipe.save_pretrained(tmp_path, variant="fp16")
    for part in tmp_path.glob("tokenizer*"):
        tiny.save_old_tokenizer(pipe.tokenizer, part)
    wanted = {tmp_path / file for file in card(name).files}
    for path in [path for path in tmp_path.rglob("*") if path.is_file() and path not in wanted]:
        path.unlink()
    painted = [DiffusionInpainter(tmp_path, "cpu").inpaint([crop()], FILL)]
    pipe.to(torch.float32).set_progress_bar_config(disable=True)
    whole = settings_for(FILL, card(name))
    assert close(painted[0], paint(pipe, [crop()], whole, lambda *_: None))


def test_safety_checker_that_was_not_downloaded(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = copy(folders, tmp_path)
    path = folder / "model_index.json"
    index = json.loads(path.read_text())
    index["safety_checker"] = ["stable_diffusion", "StableDiffusionSafetyChecker"]
    index["feature_extractor"] = ["transformers", "CLIPImageProcessor"]
    path.write_text(json.dumps(index))
    assert DiffusionInpainter(folder, "cpu")._pipe.safety_checker is None


def test_not_a_model(folders: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    fails(tmp_path / "empty", "no model_index.json")
    fails(tmp_path / "none", "no such file or folder")
    fails(str(tmp_path / "none"), "no such file or folder")


def test_damaged_models(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = copy(folders, tmp_path)
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    fails(folder, "cannot be loaded")
    weights.unlink()
    fails(folder, "cannot be loaded")
    shutil.rmtree(folder / "vae")
    fails(folder, "'vae' is missing")


@pytest.mark.parametrize(
    "name",
    ["model_index.json", "unet/config.json", "scheduler/scheduler_config.json"],
)
@pytest.mark.parametrize("text", ["{", "[]"])
def test_damaged_configurations(
    folders: dict[str, Path], tmp_path: Path, name: str, text: str
) -> None:
    folder = copy(folders, tmp_path)
    (folder / name).write_text(text)
    fails(folder, f"{name}: damaged: ")


def test_configurations_that_are_not_there(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = copy(folders, tmp_path)
    (folder / "unet" / "config.json").unlink()
    fails(folder, "no file named config.json found in directory unet")
    for path in (folder / "tokenizer").glob("*"):
        path.unlink()
    fails(folder, "tokenizer has no vocabulary; download the model again")
    (folder / "model_index.json").write_text('{"unet": ["diffusers", "UNet2DConditionModel"]}')
    fails(folder, "expected a pipeline's _class_name")


def test_a_tensor_that_is_not_there(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = copy(folders, tmp_path)
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    tensors = {name: tensor.clone() for name, tensor in load_file(weights).items()}
    del tensors["conv_out.weight"]
    save_file(tensors, weights)
    fails(folder, "1 tensors of its unet are missing, such as conv_out.weight")


@pytest.mark.parametrize("part", ["unet", "text_encoder"])
def test_pickled_weights_run_nothing(folders: dict[str, Path], tmp_path: Path, part: str) -> None:
    """They load where there are no others, but as numbers only."""
    folder = copy(folders, tmp_path)
    [weights] = (folder / part).glob("*.safetensors")
    name = "pytorch_model.bin" if part == "text_encoder" else f"{weights.stem}.bin"
    torch.save(load_file(weights), folder / part / name)
    weights.unlink()
    assert DiffusionInpainter(folder, "cpu").inpaint([crop()], FILL)[0].shape == (64, 96, 3)
    torch.save({"x": Trap(tmp_path / "ran")}, folder / part / name)
    fails(folder, "cannot be loaded")
    assert not (tmp_path / "ran").exists()


class Trap:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_one_part_in_half_precision_only(folders: dict[str, Path], tmp_path: Path) -> None:
    """The others are as they are."""
    folder = copy(folders, tmp_path)
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    weights.rename(weights.with_suffix(".fp16.safetensors"))
    expected = DiffusionInpainter(folders["sd9"], "cpu").inpaint([crop()], FILL)
    assert same(DiffusionInpainter(folder, "cpu").inpaint([crop()], FILL), expected)


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        ("PixArtAlphaPipeline", "no inpainting"),
        ("NoSuchPipeline", "no inpainting"),
        ("StableDiffusionControlNetInpaintPipeline", "needs more"),
    ],
)
def test_families_that_do_not_inpaint(tmp_path: Path, kind: str, word: str) -> None:
    (tmp_path / "model_index.json").write_text(json.dumps({"_class_name": kind}))
    fails(tmp_path, word)
