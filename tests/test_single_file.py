"""Models in one file, of every family that diffusers reads: tiny ones of the real classes."""

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
from segment2inpaint.models import catalogue, download
from segment2inpaint.protocols import Crop
from segment2inpaint.types import Fill

Make = Callable[[], Any]
FILL = Fill(prompt="a red rose", num_inference_steps=2, strength=1.0, guidance_scale=3.0)
OPEN = Fill(prompt="a red rose")
NETWORK = "model.diffusion_model."


def sd3(**options: Any) -> Any:
    """With the projection that files of this family have: none."""
    pipe = tiny_flows.stable_diffusion_3(**options)
    with torch.no_grad():
        pipe.text_encoder.text_projection.weight.copy_(torch.eye(24))
    return pipe


# Name: how it is made, the card that it is taken for, and what else files of it
# have: the parts, all networks if empty.
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
    """Networks of 32 instead of 3072, on one thread; and no models but those of the test."""
    for network in ("FluxTransformer2DModel", "ChromaTransformer2DModel"):
        tiny_files.set_network_width(monkeypatch, network)
    monkeypatch.setattr(catalogue, "models_folder", lambda: tmp_path / "models")
    monkeypatch.setattr(catalogue, "default_hub_cache", lambda: tmp_path / "hub")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def crop() -> Crop:
    y, x = np.mgrid[:64, :64]
    bits = np.zeros((64, 64), bool)
    bits[16:32, 16:32] = True
    image = np.stack([127 + 100 * np.sin(x / 9), 127 + 100 * np.cos(y / 7), x + y], -1)
    return Crop(image.astype(np.uint8), bits, 3)


def networks(pipe: Any) -> dict[str, torch.nn.Module]:
    return {n: part for n, part in pipe.components.items() if isinstance(part, torch.nn.Module)}


def same(one: DiffusionInpainter, other: DiffusionInpainter) -> bool:
    """Of one class, with the same weights, and painting the same pixels.

    One level apart counts as the same: some processors round by where in memory a weight lies.
    """
    ours, theirs = networks(one.pipe), networks(other.pipe)
    assert type(one.pipe) is type(other.pipe)
    assert ours.keys() == theirs.keys()
    for name, network in theirs.items():
        weights, own = network.state_dict(), ours[name].state_dict()
        assert weights.keys() == own.keys()
        assert [n for n in weights if not torch.equal(weights[n], own[n])] == []
    painted = [d.inpaint([crop()], FILL)[0].astype(int) for d in (one, other)]
    return int(np.abs(painted[0] - painted[1]).max()) <= 1


def largest(pipe: Any) -> str:
    return "unet" if hasattr(pipe, "unet") else "transformer"


def fails(file: Path | str, *words: str, base: str = "", kind: type = BadModel) -> None:
    with pytest.raises(kind) as caught:
        DiffusionInpainter(Path(file), "cpu", base=base)
    text = str(caught.value)
    assert "\n" not in text
    assert text.startswith(str(file))
    assert all(word in text for word in words), text


# --- every family -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FAMILIES)
def test_a_file_paints_what_its_folder_paints(name: str, tmp_path: Path) -> None:
    """The network alone, with the prefix that it has among others or without; and, where such
    files are shared, all networks. The folder lends the rest, from beside the file."""
    make, card, more = FAMILIES[name]
    whole = [] if more is None else [(more, NETWORK)]
    pipe = make()
    pipe.save_pretrained(tmp_path / name)
    folder = DiffusionInpainter(tmp_path / name, "cpu")
    file, network = tmp_path / f"{name}.safetensors", largest(pipe)
    for parts, prefix in [([network], ""), ([network], NETWORK), *whole]:
        tiny_files.save_single_file(pipe, file, parts, prefix)
        assert inspection.inspect_file(file).card == card
        opened = DiffusionInpainter(file, "cpu")
        assert same(opened, folder)
        assert opened.input_spec == folder.input_spec


def test_the_card_of_the_family_settles_what_is_left_open(tmp_path: Path) -> None:
    """By the file's tensors, where several cards are of one pipeline; by the base's name first."""
    pipe = tiny_flows.flux("FluxPipeline")
    pipe.save_pretrained(tmp_path / "models" / "flux-schnell")
    pipe.save_pretrained(tmp_path / "models" / "flux-dev")
    file = tiny_files.save_single_file(pipe, tmp_path / "any.safetensors")
    assert inpaint.load(str(file), "cpu").resolve_fill(OPEN)["guidance_scale"] == 0.0  # type: ignore[attr-defined]
    named = inpaint.load(f"{file}@flux-dev", "cpu")
    assert named.resolve_fill(OPEN)["guidance_scale"] == 7.0  # type: ignore[attr-defined]


def test_a_file_says_what_it_was_trained_for(tmp_path: Path) -> None:
    pipe = tiny.stable_diffusion_xl(4)
    pipe.save_pretrained(tmp_path / "x")
    file = tiny_files.save_single_file(pipe, tmp_path / "x.safetensors")
    weights = {name: tensor.clone() for name, tensor in load_file(file).items()}
    kinds = []
    for signs in ([], ["v_pred"], ["v_pred", "ztsnr"]):
        save_file(weights | {sign: torch.zeros(0) for sign in signs}, file)
        settings = DiffusionInpainter(file, "cpu").pipe.scheduler.config
        kinds.append((settings.prediction_type, settings.rescale_betas_zero_snr))
    assert kinds == [("epsilon", False), ("v_prediction", False), ("v_prediction", True)]
    save_file(weights | {"edm_mean": torch.zeros(4)}, file)
    fails(file, "cannot inpaint")


def test_cards_of_files_exist() -> None:
    import diffusers

    named = {card for _, card, _ in FAMILIES.values()} | {"flux-dev", "flux2-klein-9b"}
    named |= {card for _, card in inspection.CARD_BY_FILE_NAME.values()}
    assert all(catalogue.card(name).backend == "diffusion" for name in named)
    assert all(getattr(diffusers, kind) for kind in inspection.NETWORK_BY_TENSOR.values())


def test_numbers_of_eight_bits_are_read_as_what_they_are(tmp_path: Path) -> None:
    """Without scales they are common in large files."""
    pipe = tiny_flows.flux("FluxFillPipeline")
    pipe.save_pretrained(tmp_path / "x")
    file = tiny_files.save_single_file(pipe, tmp_path / "x.safetensors")
    small = {name: tensor.to(torch.float8_e4m3fn) for name, tensor in load_file(file).items()}
    save_file(small, file)
    rounded = small[f"{NETWORK}double_blocks.0.img_mod.lin.weight"].float()
    opened = DiffusionInpainter(file, "cpu").pipe
    assert torch.equal(opened.transformer.transformer_blocks[0].norm1.linear.weight, rounded)
    assert {weight.dtype for weight in opened.text_encoder_2.parameters()} == {torch.float32}


# --- who lends what a file lacks ----------------------------------------------------------------


def test_a_lender_is_named_or_beside_or_the_cards(tmp_path: Path) -> None:
    """In this order; one that lacks what the file lacks is passed over."""
    pipe = tiny.stable_diffusion()
    file = tiny_files.save_single_file(pipe, tmp_path / "tuned.safetensors", ["unet"])
    contents = inspection.inspect_file(file)
    named, beside = tmp_path / "mine", tmp_path / "tuned"
    of_card = tmp_path / "models" / "sd15-inpaint"
    for folder in (of_card, beside, named):
        pipe.save_pretrained(folder)
        base = str(named) if folder == named else ""
        assert single_file.find_base(contents, base) == folder
    (beside / "vae" / "diffusion_pytorch_model.safetensors").unlink()
    assert single_file.find_base(contents) == of_card
    (of_card / "unet" / "config.json").unlink()
    fails(file, "is not on this machine", f"{beside} has no vae", kind=ModelMissing)


def test_a_lender_of_another_family(tmp_path: Path) -> None:
    file = tiny_files.save_single_file(
        tiny.stable_diffusion(), tmp_path / "tuned.safetensors", ["unet"]
    )
    for name, make in (("xl", tiny.stable_diffusion_xl), ("qwen", tiny_flows.qwen_image)):
        make().save_pretrained(tmp_path / name)
        words = ("belongs to the family of sd15-inpaint", "name a model of its family after @")
        fails(file, *words, base=str(tmp_path / name))


def test_nobody_lends(tmp_path: Path) -> None:
    """Which says what to type; a name with a space survives the shell."""
    file = tiny_files.save_single_file(
        tiny_flows.flux("FluxFillPipeline"), tmp_path / "my fill.safetensors"
    )
    fails(file, f"models download '{file}'", "flux-fill, which is not on this", kind=ModelMissing)
    fails(file, f"models download '{file}@org/x'", base="org/x", kind=ModelMissing)
    with pytest.raises(ModelMissing, match="no such file"):
        inpaint.load(str(tmp_path / "none.safetensors"), "cpu")


def test_a_third_text_encoder_is_left_out_where_nobody_has_it(tmp_path: Path) -> None:
    pipe = sd3()
    pipe.save_pretrained(tmp_path / "m")
    parts = ["transformer", "vae", "text_encoder", "text_encoder_2"]
    file = tiny_files.save_single_file(pipe, tmp_path / "m.safetensors", parts)
    assert networks(DiffusionInpainter(file, "cpu").pipe).keys() == {*parts, "text_encoder_3"}
    (tmp_path / "m" / "text_encoder_3" / "model.safetensors").unlink()
    opened = DiffusionInpainter(file, "cpu")
    assert networks(opened.pipe).keys() == set(parts)
    assert opened.inpaint([crop()], FILL)[0].shape == (64, 64, 3)


def test_the_safety_checker_of_a_lender_stays_there(tmp_path: Path) -> None:
    """A file brings none, and what it paints must not depend on who lends."""
    pipe = tiny.stable_diffusion()
    tiny.add_safety_checker(pipe)
    pipe.save_pretrained(tmp_path / "m")
    file = tiny_files.save_single_file(
        pipe, tmp_path / "m.safetensors", ["unet", "vae", "text_encoder"]
    )
    assert DiffusionInpainter(file, "cpu").pipe.safety_checker is None


# --- fetching what a file lacks -----------------------------------------------------------------


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    with serve_hub({}) as made:
        there = {"endpoint": made.url, "answer_timeout": 20.0, "stall_timeout": 20.0}
        monkeypatch.setattr(download, "default_hub_cache", lambda: tmp_path / "hub")
        monkeypatch.setattr(download, "download", partial(download.download, **there))
        yield made


def command(*words: object) -> Any:
    return CliRunner().invoke(main, [str(word) for word in words])


def test_what_a_file_lacks_is_fetched_when_it_is_named(hub: Hub, tmp_path: Path) -> None:
    """The configurations, and the weights of what is not in the file; then it paints."""
    pipe = tiny_flows.flux("FluxFillPipeline")
    pipe.save_pretrained(tmp_path / "whole")
    file = tiny_files.save_single_file(pipe, tmp_path / "fill.safetensors", ["transformer"])
    hub.files = read_files(tmp_path / "whole")
    photo, out = tmp_path / "photo.png", tmp_path / "out.png"
    Pillow.fromarray(crop().image).save(photo)
    paint = ["replace", photo, "-b", "16,16,32,32", "--prompt", "x", "--steps", 2, "-o", out]
    paint += ["--inpainter", file, "--device", "cpu", "--no-verify"]
    refused = command(*paint)
    assert refused.exit_code == 1
    assert f"get it with: segment2inpaint models download {file}" in refused.stderr
    assert not hub.requests
    fetched = command("models", "download", file)
    assert fetched.exit_code == 0, fetched.output
    assert "from black-forest-labs/FLUX.1-Fill-dev" in fetched.stderr
    assert "FLUX.1 [dev] Non-Commercial" in fetched.stderr
    weights = [name for name in hub.requests if name.endswith(".safetensors")]
    assert not any("/transformer/" in name for name in weights)
    assert {Path(name).parent.name for name in weights} == {"vae", "text_encoder", "text_encoder_2"}
    assert catalogue.find("flux-fill") is None  # a part of it is not the model
    painted = command(*paint)
    assert painted.exit_code == 0, painted.output
    assert (np.asarray(Pillow.open(out)) != crop().image).any()
    assert same(DiffusionInpainter(file, "cpu"), DiffusionInpainter(tmp_path / "whole", "cpu"))


def test_a_whole_file_needs_no_weights(hub: Hub, tmp_path: Path) -> None:
    pipe = tiny.stable_diffusion_xl(4)
    pipe.to(torch.float16).save_pretrained(tmp_path / "whole", variant="fp16")
    file = tiny_files.save_single_file(pipe, tmp_path / "xl.safetensors")
    hub.files = read_files(tmp_path / "whole")
    for part in ("tokenizer", "tokenizer_2"):  # the files that the card names
        for name in ("vocab.json", "merges.txt", "special_tokens_map.json"):
            hub.files[f"{part}/{name}"] = b"{}"
    assert command("models", "download", file).exit_code == 0
    assert not any(name.endswith(".safetensors") for name in hub.requests)


def test_a_base_after_the_file_is_fetched_from(hub: Hub, tmp_path: Path) -> None:
    """And paints, which takes the template of its tokenizer, too."""
    pipe = tiny_flows.z_image()
    pipe.save_pretrained(tmp_path / "whole")
    file = tiny_files.save_single_file(pipe, tmp_path / "tuned.safetensors", ["transformer"])
    hub.files = read_files(tmp_path / "whole")
    assert command("models", "download", f"{file}@someone/tuned").exit_code == 0
    assert all("someone/tuned" in request for request in hub.requests)
    assert same(
        DiffusionInpainter(file, "cpu", base="someone/tuned"),
        DiffusionInpainter(tmp_path / "whole", "cpu"),
    )


def test_fetching_for_a_file_fails_in_a_line(hub: Hub, tmp_path: Path) -> None:
    """As for a card; nothing is asked of a hub for what is no model."""
    file = tiny_files.save_single_file(
        tiny_flows.z_image(), tmp_path / "z.safetensors", ["transformer"]
    )
    hub.status = 503
    failed = command("models", "download", file)
    assert failed.exit_code == 1
    (line,) = [line for line in failed.stderr.splitlines() if line.startswith("error:")]
    assert "z-image-turbo" in line
    assert "answered 503" in line
    hub.requests.clear()
    save_file({"encoder.down.0.x": torch.zeros(1)}, file)
    assert "a VAE alone" in command("models", "download", file).stderr
    assert not hub.requests


# --- files and names that cannot be used ---------------------------------------------------------


def test_files_that_are_damaged(tmp_path: Path) -> None:
    pipe = tiny.stable_diffusion()
    pipe.save_pretrained(tmp_path / "m")
    file = tiny_files.save_single_file(pipe, tmp_path / "m.safetensors")
    weights = {name: tensor.clone() for name, tensor in load_file(file).items()}
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    fails(file, "not a readable .safetensors")
    (tmp_path / "model.ckpt").write_bytes(b"123")
    fails(tmp_path / "model.ckpt", "not a readable .safetensors")
    lost = f"{NETWORK}middle_block.1.proj_in.weight"
    save_file({name: weight for name, weight in weights.items() if name != lost}, file)
    fails(file, "tensors of its network are missing; get the model again")
    lost = "cond_stage_model.transformer.text_model.final_layer_norm.weight"
    save_file({name: weight for name, weight in weights.items() if name != lost}, file)
    fails(file, "1 tensors of its text_encoder are missing, such as", "final_layer_norm.weight")
    save_file({name: weight[:1] for name, weight in weights.items()}, file)
    fails(file, "cannot be loaded as StableDiffusionInpaintPipeline with the rest of")
    save_file({**weights, f"{NETWORK}out.2.weight_scale": torch.ones(1)}, file)
    fails(file, "need a scale", "get the model in 16 bits")


def test_names_of_models() -> None:
    assert inpaint.split_name("sd15-inpaint") == ("sd15-inpaint", "", "")
    assert inpaint.split_name("sd15-inpaint+lcm-sd15") == ("sd15-inpaint", "", "lcm-sd15")
    assert inpaint.split_name("a+b.safetensors@org/x") == ("a+b.safetensors", "org/x", "")
    assert inpaint.split_name("a.safetensors@sd15-inpaint+lcm-sd15") == (
        "a.safetensors", "sd15-inpaint", "lcm-sd15",
    )  # fmt: skip


def test_a_path_with_the_signs_in_it(tmp_path: Path) -> None:
    (tmp_path / "a+b@c.safetensors").touch()
    assert inpaint.split_name(str(tmp_path / "a+b@c.safetensors"))[1:] == ("", "")
