"""Tests of models in one file, for every family that diffusers reads, with tiny real ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import tiny_files
import tiny_flows
import torch
from click.testing import CliRunner
from hub import Hub, read_files, serve_hub
from PIL import Image as Pillow
from safetensors.torch import load_file, save_file

from segment2inpaint import inpaint
from segment2inpaint.cli import main
from segment2inpaint.errors import BadModel, ModelMissing
from segment2inpaint.inpaint.diffusion import inspection, single_file
from segment2inpaint.inpaint.diffusion.inpainter import DiffusionInpainter
from segment2inpaint.inpaint.diffusion.inspection import NETWORK_PREFIX
from segment2inpaint.models import catalogue, download
from segment2inpaint.protocols import Crop
from segment2inpaint.types import Fill

Make = Callable[[], Any]
FILL = Fill(prompt="a red rose", num_inference_steps=2, strength=1.0, guidance_scale=3.0)
PROMPT_ONLY = Fill(prompt="a red rose")


def sd3(**options: Any) -> Any:
    """Return a Stable Diffusion 3 with an identity projection, as its files have none."""
    pipe = tiny_flows.stable_diffusion_3(**options)
    with torch.no_grad():
        pipe.text_encoder.text_projection.weight.copy_(torch.eye(24))
    return pipe


# Name: a function that makes it, the card of its family, and the components of files that have
# more than the network (all networks if empty, None for families without such files).
FAMILIES: dict[str, tuple[Make, str, tuple[str, ...] | None]] = {
    "sd": (tiny.stable_diffusion, "sd15-inpaint", ()),
    "sd-text": (
        lambda: tiny.stable_diffusion(4, "StableDiffusionPipeline"), "sd15-inpaint", (),
    ),
    "sd2": (lambda: tiny.stable_diffusion(use_linear_projection=True), "sd2-inpaint", ()),
    "sd2-text": (
        lambda: tiny.stable_diffusion(4, "StableDiffusionPipeline", use_linear_projection=True),
        "sd21", (),
    ),
    "sdxl": (tiny.stable_diffusion_xl, "sdxl-inpaint", ()),
    "sdxl-text": (lambda: tiny.stable_diffusion_xl(4), "sdxl-inpaint", ()),
    "sd3": (sd3, "sd3-medium", ()),
    "sd35-large": (lambda: sd3(qk_norm="rms_norm"), "sd35-large", ()),
    "sd35-medium": (
        lambda: sd3(qk_norm="rms_norm", dual_attention_layers=(0,)), "sd35-medium", (),
    ),
    "flux": (lambda: tiny_flows.flux("FluxPipeline"), "flux-schnell", ()),
    "fill": (lambda: tiny_flows.flux("FluxFillPipeline"), "flux-fill", ()),
    "kontext": (lambda: tiny_flows.flux("FluxKontextPipeline"), "flux-kontext", None),
    "klein": (tiny_flows.flux_2_klein, "flux2-klein", None),
    "chroma": (tiny_flows.chroma, "chroma", ()),
    "z-image": (tiny_flows.z_image, "z-image-turbo", ("transformer", "vae")),
    "qwen": (tiny_flows.qwen_image, "qwen-image", None),
}  # fmt: skip


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Read networks of width 32 instead of 3072, on one thread, and only the test's own models."""
    for network in ("FluxTransformer2DModel", "ChromaTransformer2DModel"):
        tiny_files.set_network_width(monkeypatch, network)
    monkeypatch.setattr(catalogue, "models_folder", lambda: tmp_path / "models")
    monkeypatch.setattr(catalogue, "default_hub_cache", lambda: tmp_path / "hub")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def make_crop() -> Crop:
    y, x = np.mgrid[:64, :64]
    mask = np.zeros((64, 64), bool)
    mask[16:32, 16:32] = True
    image = np.stack([127 + 100 * np.sin(x / 9), 127 + 100 * np.cos(y / 7), x + y], -1)
    return Crop(image.astype(np.uint8), mask, 3)


def networks_of(pipe: Any) -> dict[str, torch.nn.Module]:
    return {n: part for n, part in pipe.components.items() if isinstance(part, torch.nn.Module)}


def check_equal(first: DiffusionInpainter, second: DiffusionInpainter) -> None:
    """Check that both have one class and the same weights, and paint the same pixels.

    A difference of one level is allowed: on some processors rounding depends on the address of
    the weights.
    """
    networks, expected = networks_of(first.pipe), networks_of(second.pipe)
    assert type(first.pipe) is type(second.pipe)
    assert networks.keys() == expected.keys()
    for name, network in expected.items():
        weights, other_weights = network.state_dict(), networks[name].state_dict()
        assert weights.keys() == other_weights.keys()
        assert [n for n in weights if not torch.equal(weights[n], other_weights[n])] == []
    results = [d.inpaint([make_crop()], FILL)[0].astype(int) for d in (first, second)]
    assert int(np.abs(results[0] - results[1]).max()) <= 1


def main_component(pipe: Any) -> str:
    return "unet" if hasattr(pipe, "unet") else "transformer"


def check_refused(file: Path | str, *words: str, base: str = "", kind: type = BadModel) -> None:
    with pytest.raises(kind) as caught:
        DiffusionInpainter(Path(file), "cpu", base=base)
    text = str(caught.value)
    assert "\n" not in text
    assert text.startswith(str(file))
    assert all(word in text for word in words), text


# --- every family -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FAMILIES)
def test_a_file_paints_what_its_folder_paints(name: str, tmp_path: Path) -> None:
    """This holds for the network alone, with and without prefix, and for all networks.

    The folder next to the file supplies the rest.
    """
    make, card, components = FAMILIES[name]
    all_networks = [] if components is None else [(components, NETWORK_PREFIX)]
    pipe = make()
    pipe.save_pretrained(tmp_path / name)
    folder = DiffusionInpainter(tmp_path / name, "cpu")
    file, network = tmp_path / f"{name}.safetensors", main_component(pipe)
    for components, prefix in [([network], ""), ([network], NETWORK_PREFIX), *all_networks]:
        tiny_files.save_single_file(pipe, file, components, prefix)
        assert inspection.inspect_file(file).card == card
        from_file = DiffusionInpainter(file, "cpu")
        check_equal(from_file, folder)
        assert from_file.input_spec == folder.input_spec


def test_open_settings_are_those_of_the_base_or_of_the_family_card(tmp_path: Path) -> None:
    """If several cards have one pipeline class, the file's tensors decide."""
    pipe = tiny_flows.flux("FluxPipeline")
    pipe.save_pretrained(tmp_path / "models" / "flux-schnell")
    pipe.save_pretrained(tmp_path / "models" / "flux-dev")
    file = tiny_files.save_single_file(pipe, tmp_path / "any.safetensors")
    for name, guidance_scale in ((str(file), 0.0), (f"{file}@flux-dev", 7.0)):
        inpainter = inpaint.load(name, "cpu")
        assert isinstance(inpainter, DiffusionInpainter)
        assert inpainter.resolve_fill(PROMPT_ONLY)["guidance_scale"] == guidance_scale


def test_marks_in_a_file_choose_velocity_prediction(tmp_path: Path) -> None:
    pipe = tiny.stable_diffusion_xl(4)
    pipe.save_pretrained(tmp_path / "x")
    file = tiny_files.save_single_file(pipe, tmp_path / "x.safetensors")
    weights = {name: tensor.clone() for name, tensor in load_file(file).items()}
    schedules = []
    for marks in ([], ["v_pred"], ["v_pred", "ztsnr"]):
        save_file(weights | {mark: torch.zeros(0) for mark in marks}, file)
        settings = DiffusionInpainter(file, "cpu").pipe.scheduler.config
        schedules.append((settings.prediction_type, settings.rescale_betas_zero_snr))
    assert schedules == [("epsilon", False), ("v_prediction", False), ("v_prediction", True)]
    save_file(weights | {"edm_mean": torch.zeros(4)}, file)
    check_refused(file, "cannot inpaint")


def test_the_cards_and_classes_of_single_files_exist() -> None:
    import diffusers

    named = {card for _, card, _ in FAMILIES.values()} | {"flux-dev", "flux2-klein-9b"}
    named |= {card for _, card in inspection.CARD_BY_FILE_NAME.values()}
    assert all(catalogue.card(name).backend == "diffusion" for name in named)
    assert all(getattr(diffusers, kind) for kind in inspection.NETWORK_BY_TENSOR.values())


def test_eight_bit_weights_without_scales_are_read(tmp_path: Path) -> None:
    """Large files often have them."""
    pipe = tiny_flows.flux("FluxFillPipeline")
    pipe.save_pretrained(tmp_path / "x")
    file = tiny_files.save_single_file(pipe, tmp_path / "x.safetensors")
    eight_bit = {name: tensor.to(torch.float8_e4m3fn) for name, tensor in load_file(file).items()}
    save_file(eight_bit, file)
    rounded = eight_bit[f"{NETWORK_PREFIX}double_blocks.0.img_mod.lin.weight"].float()
    pipe = DiffusionInpainter(file, "cpu").pipe
    assert torch.equal(pipe.transformer.transformer_blocks[0].norm1.linear.weight, rounded)
    assert {weight.dtype for weight in pipe.text_encoder_2.parameters()} == {torch.float32}


# --- the base model of a file -------------------------------------------------------------------


def test_the_base_is_the_named_or_the_adjacent_folder_or_that_of_the_card(tmp_path: Path) -> None:
    """They are tried in this order; a base that lacks the same as the file is skipped."""
    pipe = tiny.stable_diffusion()
    file = tiny_files.save_single_file(pipe, tmp_path / "tuned.safetensors", ["unet"])
    contents = inspection.inspect_file(file)
    named, adjacent = tmp_path / "mine", tmp_path / "tuned"
    of_card = tmp_path / "models" / "sd15-inpaint"
    for folder in (of_card, adjacent, named):
        pipe.save_pretrained(folder)
        base = str(named) if folder == named else ""
        assert single_file.find_base(contents, base) == folder
    (adjacent / "vae" / "diffusion_pytorch_model.safetensors").unlink()
    assert single_file.find_base(contents) == of_card
    (of_card / "unet" / "config.json").unlink()
    check_refused(file, "is not on this machine", f"{adjacent} has no vae", kind=ModelMissing)


def test_a_base_of_another_family_is_refused(tmp_path: Path) -> None:
    file = tiny_files.save_single_file(
        tiny.stable_diffusion(), tmp_path / "tuned.safetensors", ["unet"]
    )
    for name, make in (("xl", tiny.stable_diffusion_xl), ("qwen", tiny_flows.qwen_image)):
        make().save_pretrained(tmp_path / name)
        words = ("belongs to the family of sd15-inpaint", "name a model of its family after @")
        check_refused(file, *words, base=str(tmp_path / name))


def test_a_missing_base_is_reported_with_the_command_to_download_it(tmp_path: Path) -> None:
    """A name with a space is quoted for the shell."""
    file = tiny_files.save_single_file(
        tiny_flows.flux("FluxFillPipeline"), tmp_path / "my fill.safetensors"
    )
    check_refused(
        file, f"models download '{file}'", "flux-fill, which is not on this", kind=ModelMissing
    )
    check_refused(file, f"models download '{file}@org/x'", base="org/x", kind=ModelMissing)
    with pytest.raises(ModelMissing, match="no such file"):
        inpaint.load(str(tmp_path / "none.safetensors"), "cpu")


def test_a_third_text_encoder_is_omitted_if_file_and_base_lack_it(tmp_path: Path) -> None:
    pipe = sd3()
    pipe.save_pretrained(tmp_path / "m")
    components = ["transformer", "vae", "text_encoder", "text_encoder_2"]
    file = tiny_files.save_single_file(pipe, tmp_path / "m.safetensors", components)
    assert networks_of(DiffusionInpainter(file, "cpu").pipe).keys() == {
        *components,
        "text_encoder_3",
    }
    (tmp_path / "m" / "text_encoder_3" / "model.safetensors").unlink()
    inpainter = DiffusionInpainter(file, "cpu")
    assert networks_of(inpainter.pipe).keys() == set(components)
    assert inpainter.inpaint([make_crop()], FILL)[0].shape == (64, 64, 3)


def test_the_safety_checker_of_a_base_is_not_used(tmp_path: Path) -> None:
    """A file has none, and its results must not depend on the base."""
    pipe = tiny.stable_diffusion()
    tiny.add_safety_checker(pipe)
    pipe.save_pretrained(tmp_path / "m")
    file = tiny_files.save_single_file(
        pipe, tmp_path / "m.safetensors", ["unet", "vae", "text_encoder"]
    )
    assert DiffusionInpainter(file, "cpu").pipe.safety_checker is None


# --- downloading the base -----------------------------------------------------------------------


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    with serve_hub({}) as made:
        there = {"endpoint": made.url, "answer_timeout": 20.0, "stall_timeout": 20.0}
        monkeypatch.setattr(download, "default_hub_cache", lambda: tmp_path / "hub")
        monkeypatch.setattr(download, "download", partial(download.download, **there))
        yield made


def run_command(*words: object) -> Any:
    return CliRunner().invoke(main, [str(word) for word in words])


def test_the_download_of_a_file_gets_what_it_lacks(hub: Hub, tmp_path: Path) -> None:
    """It gets the configurations and the weights that are not in the file."""
    pipe = tiny_flows.flux("FluxFillPipeline")
    pipe.save_pretrained(tmp_path / "whole")
    file = tiny_files.save_single_file(pipe, tmp_path / "fill.safetensors", ["transformer"])
    hub.files = read_files(tmp_path / "whole")
    photo, out = tmp_path / "photo.png", tmp_path / "out.png"
    Pillow.fromarray(make_crop().image).save(photo)
    arguments = ["replace", photo, "-b", "16,16,32,32", "--prompt", "x", "--steps", 2, "-o", out]
    arguments += ["--inpainter", file, "--device", "cpu", "--no-verify"]
    refused = run_command(*arguments)
    assert refused.exit_code == 1
    assert f"get it with: segment2inpaint models download {file}" in refused.stderr
    assert not hub.requests
    fetched = run_command("models", "download", file)
    assert fetched.exit_code == 0, fetched.output
    assert "from black-forest-labs/FLUX.1-Fill-dev" in fetched.stderr
    assert "FLUX.1 [dev] Non-Commercial" in fetched.stderr
    weights = [name for name in hub.requests if name.endswith(".safetensors")]
    assert not any("/transformer/" in name for name in weights)
    assert {Path(name).parent.name for name in weights} == {"vae", "text_encoder", "text_encoder_2"}
    assert catalogue.find("flux-fill") is None  # a part of the model does not count
    result = run_command(*arguments)
    assert result.exit_code == 0, result.output
    assert (np.asarray(Pillow.open(out)) != make_crop().image).any()
    check_equal(DiffusionInpainter(file, "cpu"), DiffusionInpainter(tmp_path / "whole", "cpu"))


def test_no_weights_are_downloaded_for_a_complete_file(hub: Hub, tmp_path: Path) -> None:
    pipe = tiny.stable_diffusion_xl(4)
    pipe.to(torch.float16).save_pretrained(tmp_path / "whole", variant="fp16")
    file = tiny_files.save_single_file(pipe, tmp_path / "xl.safetensors")
    hub.files = read_files(tmp_path / "whole")
    for part in ("tokenizer", "tokenizer_2"):  # the files that the card names
        for name in ("vocab.json", "merges.txt", "special_tokens_map.json"):
            hub.files[f"{part}/{name}"] = b"{}"
    assert run_command("models", "download", file).exit_code == 0
    assert not any(name.endswith(".safetensors") for name in hub.requests)


def test_a_named_base_is_downloaded(hub: Hub, tmp_path: Path) -> None:
    """The file then paints, which needs the tokenizer's template too."""
    pipe = tiny_flows.z_image()
    pipe.save_pretrained(tmp_path / "whole")
    file = tiny_files.save_single_file(pipe, tmp_path / "tuned.safetensors", ["transformer"])
    hub.files = read_files(tmp_path / "whole")
    assert run_command("models", "download", f"{file}@someone/tuned").exit_code == 0
    assert all("someone/tuned" in request for request in hub.requests)
    check_equal(
        DiffusionInpainter(file, "cpu", base="someone/tuned"),
        DiffusionInpainter(tmp_path / "whole", "cpu"),
    )


def test_a_failed_download_is_reported_in_one_line(hub: Hub, tmp_path: Path) -> None:
    """For a file that is no model, the hub gets no request."""
    file = tiny_files.save_single_file(
        tiny_flows.z_image(), tmp_path / "z.safetensors", ["transformer"]
    )
    hub.status = 503
    failed = run_command("models", "download", file)
    assert failed.exit_code == 1
    (line,) = [line for line in failed.stderr.splitlines() if line.startswith("error:")]
    assert "z-image-turbo" in line
    assert "answered 503" in line
    hub.requests.clear()
    save_file({"encoder.down.0.x": torch.zeros(1)}, file)
    assert "a VAE alone" in run_command("models", "download", file).stderr
    assert not hub.requests


# --- damaged files ------------------------------------------------------------------------------


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    pipe = tiny.stable_diffusion()
    pipe.save_pretrained(tmp_path / "m")
    file = tiny_files.save_single_file(pipe, tmp_path / "m.safetensors")
    weights = {name: tensor.clone() for name, tensor in load_file(file).items()}
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])
    check_refused(file, "not a readable .safetensors")
    (tmp_path / "model.ckpt").write_bytes(b"123")
    check_refused(tmp_path / "model.ckpt", "not a readable .safetensors")
    lost = f"{NETWORK_PREFIX}middle_block.1.proj_in.weight"
    save_file({name: weight for name, weight in weights.items() if name != lost}, file)
    check_refused(file, "1 tensors of its unet are missing", "get the model again")
    lost = "cond_stage_model.transformer.text_model.final_layer_norm.weight"
    save_file({name: weight for name, weight in weights.items() if name != lost}, file)
    check_refused(
        file, "1 tensors of its text_encoder are missing, such as", "final_layer_norm.weight"
    )
    save_file({name: weight[:1] for name, weight in weights.items()}, file)
    check_refused(
        file, "its unet cannot be loaded with the rest of", "does not fit its config.json: expected"
    )
    save_file({**weights, f"{NETWORK_PREFIX}out.2.weight_scale": torch.ones(1)}, file)
    check_refused(file, "need a scale", "get the model in 16 bits")
