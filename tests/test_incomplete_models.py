"""Networks that lack tensors, have others or other shapes: they never paint with random weights."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny
import tiny_files
import tiny_flows
import torch
from crops import FILL, equal, make_crop
from safetensors.torch import load_file, save_file

from segment2inpaint.errors import BadModel
from segment2inpaint.inpaint.diffusion.inpainter import DiffusionInpainter

Weights = dict[str, torch.Tensor]
Change = Callable[[Weights], Weights]


def drop_some(weights: Weights) -> Weights:
    return {name: weights[name] for name in sorted(weights)[16:]}


def rename_all(weights: Weights) -> Weights:
    return {f"foreign.{name}": tensor for name, tensor in weights.items()}


def cut_one(weights: Weights) -> Weights:
    name = max(name for name in weights if weights[name].ndim == 1 and len(weights[name]) > 1)
    return weights | {name: weights[name][1:].clone()}


def copy_model(folder: Path, target: Path) -> Path:
    shutil.copytree(folder, target)
    return target


def change_weights(folder: Path, change: Change, form: str = "safetensors") -> None:
    """Change the weights of one component, and save them in another form."""
    [path] = folder.glob("*.safetensors")
    weights = change(load_file(path))
    if form == "safetensors":
        save_file(weights, path)
        return
    path.unlink()
    if form == "bin":
        stem = "pytorch_model" if path.stem == "model" else path.stem
        torch.save(weights, path.with_name(f"{stem}.bin"))
        return
    halves = {n: {k: w for i, (k, w) in enumerate(weights.items()) if i % 2 == n} for n in (0, 1)}
    shards = {f"{path.stem}-0000{n + 1}-of-00002.safetensors": half for n, half in halves.items()}
    for name, shard in shards.items():
        save_file(shard, folder / name, {"format": "pt"})
    weight_map = {key: name for name, shard in shards.items() for key in shard}
    content = {"metadata": {"total_size": 1}, "weight_map": weight_map}
    path.with_name(f"{path.name}.index.json").write_text(json.dumps(content))


def refusal(model: Path) -> str:
    """Return the message with which the model is refused."""
    with pytest.raises(BadModel) as caught:
        DiffusionInpainter(model, "cpu")
    text = str(caught.value)
    assert "\n" not in text
    assert text.startswith(str(model))
    assert text.endswith("the model again")
    return text


# --- folders --------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["safetensors", "bin", "sharded"])
@pytest.mark.parametrize("component", ["unet", "vae", "text_encoder"])
def test_a_component_without_some_tensors_is_refused(
    folders: dict[str, Path], tmp_path: Path, component: str, form: str
) -> None:
    folder = copy_model(folders["sd9"], tmp_path / "m")
    change_weights(folder / component, drop_some, form)
    assert f"16 tensors of its {component} are missing, such as " in refusal(folder)


@pytest.mark.parametrize("component", ["unet", "vae", "text_encoder", "text_encoder_2"])
def test_a_component_with_foreign_names_is_refused(
    folders: dict[str, Path], tmp_path: Path, component: str
) -> None:
    folder = copy_model(folders["sdxl"], tmp_path / "m")
    [path] = (folder / component).glob("*.safetensors")
    count = len(load_file(path))
    change_weights(folder / component, rename_all)
    assert f"{count} tensors of its {component} are missing, such as " in refusal(folder)


@pytest.mark.parametrize("component", ["unet", "vae", "text_encoder"])
def test_a_component_with_other_shapes_is_refused(
    folders: dict[str, Path], tmp_path: Path, component: str
) -> None:
    folder = copy_model(folders["sd9"], tmp_path / "m")
    change_weights(folder / component, cut_one)
    text = refusal(folder)
    assert component in text
    assert "expected " in text
    assert "got " in text


def test_a_safety_checker_without_some_tensors_is_refused(tmp_path: Path) -> None:
    """Filled at random, it would refuse or accept by chance."""
    pipe = tiny.stable_diffusion()
    tiny.add_safety_checker(pipe)
    pipe.save_pretrained(tmp_path / "m")
    change_weights(tmp_path / "m" / "safety_checker", drop_some)
    assert "16 tensors of its safety_checker are missing" in refusal(tmp_path / "m")


@pytest.mark.parametrize(
    ("make", "component"),
    [
        (lambda: tiny_flows.flux("FluxPipeline"), "text_encoder_2"),
        (tiny_flows.flux_2_klein, "text_encoder"),
        (tiny_flows.qwen_image, "text_encoder"),
        (tiny_flows.chroma, "transformer"),
    ],
    ids=["t5", "qwen3", "qwen2.5-vl", "transformer"],
)
def test_other_families_are_checked_too(
    tmp_path: Path, make: Callable[[], Any], component: str
) -> None:
    make().save_pretrained(tmp_path / "m")
    change_weights(tmp_path / "m" / component, rename_all)
    assert f"tensors of its {component} are missing" in refusal(tmp_path / "m")


def test_tied_weights_and_computed_positions_may_be_absent_or_present(tmp_path: Path) -> None:
    """A T5 has one matrix under two names; old CLIP encoders have their positions in the file."""
    pipe = tiny_flows.flux("FluxPipeline")
    pipe.save_pretrained(tmp_path / "m")

    def keep_one_name(weights: Weights) -> Weights:
        return {n: t for n, t in weights.items() if n != "encoder.embed_tokens.weight"}

    def add_positions(weights: Weights) -> Weights:
        return weights | {"text_model.embeddings.position_ids": torch.arange(77)[None]}

    change_weights(tmp_path / "m" / "text_encoder_2", keep_one_name)
    change_weights(tmp_path / "m" / "text_encoder", add_positions)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        loaded = DiffusionInpainter(tmp_path / "m", "cpu").pipe
    for name in ("text_encoder", "text_encoder_2"):
        expected = getattr(pipe, name).state_dict()
        assert all(torch.equal(expected[n], w) for n, w in getattr(loaded, name).named_parameters())


@pytest.mark.parametrize("component", ["unet", "text_encoder"])
def test_tensors_without_a_place_are_ignored_with_a_note(
    folders: dict[str, Path], tmp_path: Path, component: str
) -> None:
    folder = copy_model(folders["sd9"], tmp_path / "m")
    change_weights(folder / component, lambda w: w | {"extra.weight": torch.ones(2)})
    with pytest.warns(UserWarning, match=f"1 tensors of its {component} are no part of .*extra"):
        inpainter = DiffusionInpainter(folder, "cpu")
    expected = DiffusionInpainter(folders["sd9"], "cpu").inpaint([make_crop()], FILL)
    assert equal(inpainter.inpaint([make_crop()], FILL), expected)


# --- single files ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "prefix", "component"),
    [
        (tiny.stable_diffusion, "model.diffusion_model.middle_block.1.", "unet"),
        (tiny.stable_diffusion, "first_stage_model.decoder.mid.", "vae"),
        (tiny.stable_diffusion, "cond_stage_model.transformer.text_model.encoder.", "text_encoder"),
        (tiny.stable_diffusion_xl, "conditioner.embedders.1.model.transformer.", "text_encoder_2"),
        (
            lambda: tiny.stable_diffusion(use_linear_projection=True),
            "cond_stage_model.model.transformer.",
            "text_encoder",
        ),
        (tiny_flows.stable_diffusion_3, "text_encoders.t5xxl.transformer.encoder.block.1.",
         "text_encoder_3"),
        (tiny_flows.stable_diffusion_3, "text_encoders.clip_g.transformer.text_model.encoder.",
         "text_encoder_2"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("foreign", [False, True], ids=["missing", "foreign"])
def test_a_file_without_some_tensors_is_refused(
    tmp_path: Path, make: Callable[[], Any], prefix: str, component: str, foreign: bool
) -> None:
    pipe = make()
    pipe.save_pretrained(tmp_path / "m")
    file = tiny_files.save_single_file(pipe, tmp_path / "m.safetensors")
    weights = {name: tensor.clone() for name, tensor in load_file(file).items()}
    lost = {name for name in weights if name.startswith(prefix)}
    renamed = {name + "_x": weights[name] for name in lost} if foreign else {}
    save_file({n: w for n, w in weights.items() if n not in lost} | renamed, file)
    assert lost
    text = refusal(file)
    assert f"tensors of its {component} are missing, such as " in text


@pytest.mark.parametrize(
    ("name", "component"),
    [
        ("model.diffusion_model.out.2.bias", "unet"),
        ("first_stage_model.quant_conv.bias", "vae"),
        ("cond_stage_model.transformer.text_model.final_layer_norm.weight", "text_encoder"),
    ],
)
def test_a_file_with_another_shape_is_refused(tmp_path: Path, name: str, component: str) -> None:
    pipe = tiny.stable_diffusion()
    pipe.save_pretrained(tmp_path / "m")
    file = tiny_files.save_single_file(pipe, tmp_path / "m.safetensors")
    weights = {key: tensor.clone() for key, tensor in load_file(file).items()}
    size = len(weights[name])
    save_file(weights | {name: weights[name][1:].clone()}, file)
    text = refusal(file)
    assert f"its {component} cannot be loaded with the rest of {tmp_path / 'm'}: " in text
    assert f"does not fit its config.json: expected [{size}], got [{size - 1}]" in text


@pytest.mark.parametrize(
    ("make", "prefix", "component"),
    [
        (tiny.stable_diffusion, "cond_stage_model.transformer.text_model.", "text_encoder"),
        (tiny.stable_diffusion_xl, "conditioner.embedders.1.model.", "text_encoder_2"),
        (tiny_flows.stable_diffusion_3, "text_encoders.t5xxl.transformer.", "text_encoder_3"),
    ],
)
def test_a_file_with_a_foreign_text_encoder_is_refused(
    tmp_path: Path, make: Callable[[], Any], prefix: str, component: str
) -> None:
    pipe = make()
    pipe.save_pretrained(tmp_path / "m")
    file = tiny_files.save_single_file(pipe, tmp_path / "m.safetensors")
    weights = {name.replace(prefix, f"{prefix}x."): w for name, w in load_file(file).items()}
    save_file({name: tensor.clone() for name, tensor in weights.items()}, file)
    text = refusal(file)
    assert component in text
    assert "tensors are missing or have other names" in text


# --- messages -------------------------------------------------------------------------------------


def edit_index(folder: Path, **entries: Any) -> None:
    path = folder / "model_index.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | entries))


@pytest.mark.parametrize("name", ["tokenizer", "tokenizer_2", "text_encoder_2", "vae"])
def test_a_required_component_that_is_null_is_reported(
    folders: dict[str, Path], tmp_path: Path, name: str
) -> None:
    folder = copy_model(folders["sdxl"], tmp_path / "m")
    edit_index(folder, **{name: [None, None]})
    text = refusal_of(folder)
    assert f"model_index.json: {name} is [null, null]" in text
    assert "StableDiffusionXLInpaintPipeline needs one; get the model again" in text


def refusal_of(model: Path) -> str:
    with pytest.raises(BadModel) as caught:
        DiffusionInpainter(model, "cpu")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_component_without_a_class_is_reported(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = copy_model(folders["sd9"], tmp_path / "m")
    edit_index(folder, unet=["diffusers", None])
    assert "expected unet as [library, class], got ['diffusers', None]" in refusal_of(folder)


def test_missing_files_are_named_by_what_is_missing(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    """diffusers names a .bin in place of missing .safetensors."""
    folder = copy_model(folders["sd9"], tmp_path / "m")
    change_weights(folder / "unet", dict, "sharded")
    assert DiffusionInpainter(folder, "cpu").pipe.unet is not None
    (folder / "unet" / "diffusion_pytorch_model-00002-of-00002.safetensors").unlink()
    text = refusal(folder)
    assert "unet lacks 1 of 2 files of its weights, such as" in text
    assert "-00002-of-00002.safetensors" in text
    (folder / "text_encoder" / "model.safetensors").unlink()
    text = refusal(folder)
    assert "text_encoder has no weights, expected .safetensors" in text


@pytest.mark.parametrize("component", ["unet", "text_encoder"])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.9])
@pytest.mark.parametrize("form", ["safetensors", "bin"])
def test_a_truncated_file_is_named(
    folders: dict[str, Path], tmp_path: Path, component: str, share: float, form: str
) -> None:
    folder = copy_model(folders["sd9"], tmp_path / "m")
    change_weights(folder / component, dict, form)
    [path] = (folder / component).glob(f"*.{form}")
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    text = refusal_of(folder)
    assert text.startswith(f"{path}: damaged or incomplete (")
    assert text.endswith("download the model again")


def test_an_optional_component_without_weights_is_omitted(tmp_path: Path) -> None:
    pipe = tiny.stable_diffusion()
    tiny.add_safety_checker(pipe)
    pipe.save_pretrained(tmp_path / "m")
    (tmp_path / "m" / "safety_checker" / "model.safetensors").unlink()
    assert DiffusionInpainter(tmp_path / "m", "cpu").pipe.safety_checker is None
