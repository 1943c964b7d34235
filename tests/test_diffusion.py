"""Diffusion models: small random ones of the real classes, through the real path."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch

from segment2inpaint.catalogue import card, find
from segment2inpaint.inpaint import diffusion
from segment2inpaint.inpaint.diffusion import Diffusion, canvas_of, paint, prefilled, settings_for
from segment2inpaint.inpaint.diffusion_load import choose_dtype, load, mended
from segment2inpaint.types import BadModel, BadOption, Crop, Fill, ModelMissing

FILL = Fill(prompt="a red rose", num_inference_steps=3, strength=1.0)


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Networks this small lose more by sharing work than they gain."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Saved pipelines: SD 1.5 for inpainting, plain SD, SDXL."""
    made = {
        "sd9": tiny.stable_diffusion(9),
        "sd4": tiny.stable_diffusion(4, "StableDiffusionPipeline"),
        "sdxl": tiny.stable_diffusion_xl(),
    }
    root = tmp_path_factory.mktemp("pipelines")
    for name, pipe in made.items():
        pipe.save_pretrained(root / name)
    return {name: root / name for name in made}


@pytest.fixture(scope="module")
def model(folders: dict[str, Path]) -> Diffusion:
    return Diffusion(folders["sd9"], "cpu")


def crop(height: int = 64, width: int = 96, seed: int = 0) -> Crop:
    y, x = np.mgrid[:height, :width]
    image = np.stack([127 + 100 * np.sin(x / 9), 127 + 100 * np.cos(y / 7), x + y], -1)
    bits = np.zeros((height, width), bool)
    bits[height // 4 : height // 2, width // 4 : width // 2] = True
    return Crop(image.astype(np.uint8), bits, seed)


def same(a: list[Any], b: list[Any]) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


# --- the families ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["sd9", "sd4", "sdxl"])
def test_a_saved_model_repaints_the_hole(folders: dict[str, Path], name: str) -> None:
    loaded = Diffusion(folders[name], "cpu")
    asked = crop()
    before = asked.image.copy()
    stages: list[float] = []
    [painted] = loaded.inpaint([asked], FILL, lambda _, share: stages.append(share))
    assert painted.shape == asked.image.shape
    assert painted.dtype == np.uint8
    assert (painted != asked.image)[asked.bits].any()
    assert np.array_equal(asked.image, before)
    assert stages == sorted(stages)
    assert stages[-1] == 1.0
    assert len(stages) >= 3
    assert loaded.canvas.area == 128 * 128
    assert (loaded.canvas.multiple, loaded.canvas.cell) == (8, 8)


FAMILIES: dict[str, Callable[[], tuple[Any, dict[str, Any]]]] = {
    "sd3": tiny.stable_diffusion_3,
    "flux": tiny.flux,
    "fill": lambda: tiny.flux("FluxFillPipeline"),
    "kontext": lambda: tiny.flux("FluxKontextInpaintPipeline"),
    "chroma": tiny.chroma,
    "z-image": tiny.z_image,
    "qwen": tiny.qwen_image,
    "klein": tiny.flux_2_klein,
}


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_takes_a_crop(family: str) -> None:
    """Same size back, steps reported, the same picture for the same seed only."""
    try:
        pipe, embeddings = FAMILIES[family]()
    except (ImportError, AttributeError) as lacking:
        pytest.skip(f"not in this version of diffusers: {lacking}")
    pipe.set_progress_bar_config(disable=True)
    mended(pipe)
    assert canvas_of(pipe).multiple == canvas_of(pipe).cell == 16
    steps: list[tuple[int, int]] = []
    settings = embeddings | {"num_inference_steps": 2, "strength": 1.0, "no_such_option": 1}
    painted = [
        paint(pipe, crop(64, 96, seed), settings, lambda *at: steps.append(at))
        for seed in (1, 1, 2)
    ]
    assert all(p is not None and p.shape == (64, 96, 3) for p in painted)
    assert np.array_equal(painted[0], painted[1])
    assert not np.array_equal(painted[0], painted[2])
    assert steps == [(1, 2), (2, 2)] * 3


def test_native_size_is_read_off_the_model() -> None:
    assert canvas_of(tiny.stable_diffusion_3()[0]).area == 128 * 128
    assert canvas_of(tiny.flux()[0]).area == 1024 * 1024
    assert canvas_of(tiny.z_image()[0]).area == 1024 * 1024


# --- crops and seeds ---------------------------------------------------------------------------


def test_a_crop_does_not_depend_on_its_company(model: Diffusion) -> None:
    crops = [crop(seed=1), crop(96, 64, seed=2), crop(seed=3)]
    together = model.inpaint(crops, FILL)
    assert same(together, [model.inpaint([c], FILL)[0] for c in crops])
    assert not np.array_equal(together[0], together[2])


def test_no_crops(model: Diffusion) -> None:
    assert model.inpaint([], FILL) == []


def test_a_removal_does_not_see_the_object(model: Diffusion) -> None:
    """At a low strength the old pixels shine through, so the hole is filled beforehand."""
    plain = crop()
    loud = Crop(plain.image.copy(), plain.bits, plain.seed)
    loud.image[loud.bits] = 255
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
    painted = prefilled(Crop(image, bits)).image
    assert bits.all() or painted.max() <= 110


# --- settings ----------------------------------------------------------------------------------


def test_request_before_card(model: Diffusion) -> None:
    family = model._defaults
    assert settings_for(Fill(), family) == {
        "prompt": family.prompt,
        "negative_prompt": family.negative_prompt,
        "num_inference_steps": 30,
        "guidance_scale": 7.5,
        "strength": 1.0,
    }
    asked = settings_for(Fill(prompt="", guidance_scale=2.0, num_inference_steps=9), family)
    assert asked == {
        "prompt": "",
        "num_inference_steps": 9,
        "guidance_scale": 2.0,
        "strength": 1.0,
    }


def test_sdxl_has_its_own_defaults(folders: dict[str, Path]) -> None:
    settings = settings_for(Fill(prompt="a"), Diffusion(folders["sdxl"], "cpu")._defaults)
    assert (settings["num_inference_steps"], settings["strength"]) == (20, 0.99)


@pytest.mark.parametrize(
    ("fill", "word"),
    [
        (Fill(strength=0.0), "strength must be above 0"),
        (Fill(strength=1.5), "at most 1"),
        (Fill(num_inference_steps=0), "steps must be at least 1"),
        (Fill(num_inference_steps=4, strength=0.1), "leaves none of 4 steps"),
    ],
)
def test_settings_out_of_range(model: Diffusion, fill: Fill, word: str) -> None:
    with pytest.raises(BadOption, match=word):
        model.inpaint([crop()], fill)


def test_prompt_and_guidance_reach_the_model(model: Diffusion) -> None:
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
    loaded = Diffusion(folders["sd9"], "cpu", "bf16")

    def overflow(_: Any, __: Any, out: torch.Tensor) -> torch.Tensor:
        return out if out.dtype == torch.float32 else out * float("nan")

    loaded._pipe.vae.decoder.register_forward_hook(overflow)
    with pytest.warns(UserWarning, match="overflowed"):
        painted = loaded.inpaint([crop()], FILL)
    loaded._pipe.vae.decoder._forward_hooks.clear()
    assert loaded._pipe.dtype == torch.float32
    assert same(painted, loaded.inpaint([crop()], FILL))


def test_no_numbers_at_all(folders: dict[str, Path]) -> None:
    loaded = Diffusion(folders["sd9"], "cpu")
    loaded._pipe.vae.decoder.register_forward_hook(lambda _, __, out: out * float("nan"))
    with pytest.raises(BadModel, match="paints no numbers"):
        loaded.inpaint([crop()], FILL)


def test_a_refused_crop_is_given_back(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    pipe = tiny.stable_diffusion()
    tiny.add_safety_checker(pipe)
    pipe.save_pretrained(tmp_path)
    loaded = Diffusion(tmp_path, "cpu")
    capfd.readouterr()
    with pytest.warns(UserWarning, match="safety checker"):
        [painted] = loaded.inpaint([crop()], FILL)
    assert np.array_equal(painted, crop().image)
    assert capfd.readouterr().err == ""
    with torch.no_grad():
        loaded._pipe.safety_checker.concept_embeds_weights.fill_(2.0)
    [painted] = loaded.inpaint([crop()], FILL)
    assert (painted != crop().image).any()


def test_memory_runs_out(folders: dict[str, Path]) -> None:
    loaded = Diffusion(folders["sd9"], "cpu")

    def full(*_: Any) -> None:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    loaded._pipe.unet.register_forward_pre_hook(full)
    with pytest.raises(BadOption, match="out of GPU memory"):
        loaded.inpaint([crop()], FILL)


# --- loading -------------------------------------------------------------------------------------


def copy(folders: dict[str, Path], target: Path, name: str = "sd9") -> Path:
    shutil.copytree(folders[name], target / name)
    return target / name


def fails(folder: Path | str, *words: str) -> None:
    with pytest.raises((BadModel, ModelMissing)) as caught:
        Diffusion(folder, "cpu")
    text = str(caught.value)
    assert "\n" not in text
    assert all(word in text for word in (str(folder), *words))


def test_half_precision_files_only(folders: dict[str, Path], tmp_path: Path) -> None:
    """A folder as ``models download`` makes it: fp16 files, computed in float32 on a CPU."""
    tiny.stable_diffusion(9).to(torch.float16).save_pretrained(tmp_path / "half", variant="fp16")
    assert not list(tmp_path.rglob("unet/diffusion_pytorch_model.safetensors"))
    loaded = Diffusion(tmp_path / "half", "cpu")
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
    painted = [Diffusion(tmp_path, "cpu").inpaint([crop()], FILL)]
    pipe.to(torch.float32).set_progress_bar_config(disable=True)
    whole = {**settings_for(FILL, card(name).fill)}
    assert np.array_equal(painted[0][0], paint(pipe, crop(), whole, lambda *_: None))


def test_safety_checker_that_was_not_downloaded(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = copy(folders, tmp_path)
    path = folder / "model_index.json"
    index = json.loads(path.read_text())
    index["safety_checker"] = ["stable_diffusion", "StableDiffusionSafetyChecker"]
    index["feature_extractor"] = ["transformers", "CLIPImageProcessor"]
    path.write_text(json.dumps(index))
    assert Diffusion(folder, "cpu")._pipe.safety_checker is None


def test_not_a_model(folders: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    fails(tmp_path / "empty", "no model_index.json")
    fails(tmp_path / "none", "no such file or folder")
    fails(str(tmp_path / "none"), "no such file or folder")


@pytest.mark.parametrize("name", ["sd9", "sd4"])
def test_a_model_in_one_file(folders: dict[str, Path], tmp_path: Path, name: str) -> None:
    """Paints what the folder paints; only the count of input channels is read off the file."""
    file = tmp_path / "tuned.safetensors"
    tiny.save_single_file(load(folders[name], torch.float32), file)
    shutil.copytree(folders["sd9"], tmp_path / "tuned")
    loaded = Diffusion(file, "cpu")
    assert same(
        loaded.inpaint([crop()], FILL), Diffusion(folders[name], "cpu").inpaint([crop()], FILL)
    )
    assert loaded.canvas.area == 128 * 128


def test_single_files_that_cannot_be_used(folders: dict[str, Path], tmp_path: Path) -> None:
    alone = tmp_path / "alone.safetensors"
    tiny.save_single_file(load(folders["sd9"], torch.float32), alone)
    if find("sd15-inpaint") is None:
        fails(alone, "needs the configuration", "models download sd15-inpaint")
    damaged = tmp_path / "model.ckpt"
    damaged.write_bytes(b"123")
    fails(damaged, "not a readable .safetensors")
    fails(folders["sd9"] / "unet" / "diffusion_pytorch_model.safetensors", "not a Stable Diff")


def test_damaged_models(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = copy(folders, tmp_path)
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    fails(folder, "cannot be loaded")
    weights.unlink()
    fails(folder, "cannot be loaded")
    shutil.rmtree(folder / "vae")
    fails(folder, "'vae' is missing")
    (folder / "model_index.json").write_text("{")
    fails(folder, "damaged")


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        ("PixArtAlphaPipeline", "no inpainting"),
        ("NoSuchPipeline", "no inpainting"),
        ("StableDiffusionControlNetInpaintPipeline", "needs more"),
        ("KandinskyV22InpaintPipeline", "needs more"),
    ],
)
def test_families_that_do_not_inpaint(tmp_path: Path, kind: str, word: str) -> None:
    (tmp_path / "model_index.json").write_text(json.dumps({"_class_name": kind}))
    fails(tmp_path, word)


def test_nothing_is_said_to_the_terminal(
    folders: dict[str, Path], capfd: pytest.CaptureFixture[str]
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", DeprecationWarning)  # which nobody is shown
        for name in ("sd9", "sdxl"):
            Diffusion(folders[name], "cpu", "fp16").inpaint([crop()], FILL)
    assert capfd.readouterr() == ("", "")


def test_cards_match_the_pipelines_that_load_them(folders: dict[str, Path]) -> None:
    from segment2inpaint.catalogue import cards

    named = [one for one in cards() if one.backend == "diffusion"]
    assert {one.pipeline for one in named} >= {
        type(load(folders[name], torch.float32)).__name__ for name in ("sd9", "sdxl")
    }
    for one in named:
        assert diffusion.defaults_of(one.pipeline) == one.fill
        settings_for(one.fill, one.fill)
