"""Diffusion models in the Hugging Face cache, in each form that diffusers opens, are found."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import tiny_flows
import torch
from click.testing import CliRunner
from PIL import Image as Pillow
from safetensors.torch import load_file

from segment2inpaint import inpaint
from segment2inpaint.cli import main
from segment2inpaint.errors import ModelMissing
from segment2inpaint.models import catalogue

REPO = "stable-diffusion-v1-5/stable-diffusion-inpainting"
FORMER_REPO = "runwayml/stable-diffusion-inpainting"
COMMIT = "0123456789" * 4


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Return an empty cache, which is the only place where models are looked for."""
    monkeypatch.setattr(catalogue, "default_hub_cache", lambda: tmp_path / "hub")
    monkeypatch.setattr(catalogue, "models_folder", lambda: tmp_path / "models")
    return tmp_path / "hub"


def checked(pipe: Any) -> Any:
    tiny.add_safety_checker(pipe)
    with torch.no_grad():  # accept everything
        pipe.safety_checker.concept_embeds_weights.fill_(2.0)
        pipe.safety_checker.special_care_embeds_weights.fill_(2.0)
    return pipe


def pickle_weights(folder: Path) -> None:
    """Replace all .safetensors by the .bin files of older models."""
    for path in folder.rglob("*.safetensors"):
        parts = path.name.removesuffix(".safetensors").split(".")
        stem = "pytorch_model" if parts[0] == "model" else parts[0]
        torch.save(load_file(path), path.with_name(".".join([stem, *parts[1:], "bin"])))
        path.unlink()


def save_checked(folder: Path) -> None:
    checked(tiny.stable_diffusion()).save_pretrained(folder)


def save_half(folder: Path) -> None:
    pipe = checked(tiny.stable_diffusion())
    pipe.to(torch.float16).save_pretrained(folder, variant="fp16")


def save_half_unchecked(folder: Path) -> None:
    tiny.stable_diffusion().to(torch.float16).save_pretrained(folder, variant="fp16")


def save_pickled(folder: Path) -> None:
    save_checked(folder)
    pickle_weights(folder)


def save_half_pickled(folder: Path) -> None:
    save_half(folder)
    pickle_weights(folder)


def save_without_checker_weights(folder: Path) -> None:
    save_checked(folder)
    (folder / "safety_checker" / "model.safetensors").unlink()


def save_sharded(folder: Path) -> None:
    tiny.stable_diffusion().save_pretrained(folder, max_shard_size="100KB")
    assert list(folder.glob("unet/*-of-*"))


# What diffusers opens without further arguments, or as variant="fp16".
FORMS: dict[str, Callable[[Path], None]] = {
    "fp32": save_checked,
    "fp16": save_half,
    "fp16 without safety checker": save_half_unchecked,
    "bin": save_pickled,
    "fp16 bin": save_half_pickled,
    "safety checker without weights": save_without_checker_weights,
    "shards": save_sharded,
}


def save_in_cache(cache: Path, repo: str, save: Callable[[Path], None]) -> Path:
    """Save a model as the hub's client does: links to blobs in a snapshot that refs/main names."""
    folder = cache / f"models--{repo.replace('/', '--')}"
    save(cache / "saved")
    for path in [path for path in (cache / "saved").rglob("*") if path.is_file()]:
        blob = folder / "blobs" / sha256(path.read_bytes()).hexdigest()
        link = folder / "snapshots" / COMMIT / path.relative_to(cache / "saved")
        blob.parent.mkdir(parents=True, exist_ok=True)
        link.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(path, blob)
        link.symlink_to(blob)
    shutil.rmtree(cache / "saved")
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(COMMIT)
    return folder / "snapshots" / COMMIT


def run_command(*words: object) -> Any:
    return CliRunner().invoke(main, [str(word) for word in words])


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("repo", [REPO, FORMER_REPO])
def test_a_model_is_found_in_every_form(cache: Path, repo: str, form: str) -> None:
    """It is found by its hub id, its card and ``auto``, and the list marks it."""
    folder = save_in_cache(cache, repo, FORMS[form])
    assert catalogue.resolve(repo, "diffusion") == folder
    assert catalogue.resolve("sd15-inpaint", "diffusion") == folder
    assert inpaint.choose(generate=True, device="cpu").name == "sd15-inpaint"
    assert "\n* sd15-inpaint " in run_command("models", "list").stdout


@pytest.mark.parametrize("form", FORMS)
def test_a_model_paints_in_every_form(cache: Path, tmp_path: Path, form: str) -> None:
    save_in_cache(cache, FORMER_REPO, FORMS[form])
    photo, out = tmp_path / "photo.png", tmp_path / "out.png"
    y, x = np.mgrid[:64, :64]
    Pillow.fromarray(np.stack([x * 3, y * 3, x + y], -1).astype(np.uint8)).save(photo)
    arguments = ["replace", photo, "-b", "16,16,32,32", "--prompt", "x", "--steps", 1, "-o", out]
    result = run_command(*arguments, "--device", "cpu", "--no-verify", "--inpainter", FORMER_REPO)
    assert result.exit_code == 0, result.output
    assert "safety checker refused" not in result.stderr
    assert (np.asarray(Pillow.open(out)) != np.asarray(Pillow.open(photo))).any()


def test_what_diffusers_opens_by_hub_id_is_found(cache: Path) -> None:
    from diffusers import AutoPipelineForInpainting

    for form, variant in [("bin", None), ("fp32", None), ("fp16 without safety checker", "fp16")]:
        save_in_cache(cache, REPO, FORMS[form])
        pipe = AutoPipelineForInpainting.from_pretrained(
            REPO, local_files_only=True, cache_dir=cache, variant=variant
        )
        assert pipe.unet.config.in_channels == 9
        assert catalogue.find(REPO)
        shutil.rmtree(cache)


@pytest.mark.parametrize(
    "name",
    [
        "unet/diffusion_pytorch_model.safetensors",
        "text_encoder/model.safetensors",
        "tokenizer/tokenizer.json",
        "scheduler/scheduler_config.json",
        "model_index.json",
    ],
)
def test_an_interrupted_download_is_not_found(cache: Path, name: str) -> None:
    folder = save_in_cache(cache, REPO, save_checked)
    (folder / name).unlink()
    assert catalogue.find(REPO) is None
    assert catalogue.find("sd15-inpaint") is None
    with pytest.raises(ModelMissing, match="models download sd15-inpaint"):
        catalogue.resolve("sd15-inpaint", "diffusion")


def test_the_named_repository_precedes_others_with_the_same_model(cache: Path) -> None:
    former = save_in_cache(cache, FORMER_REPO, save_checked)
    current = save_in_cache(cache, REPO, save_checked)
    assert catalogue.find(FORMER_REPO) == former
    assert catalogue.find(REPO) == catalogue.find("sd15-inpaint") == current


def test_the_commit_of_main_precedes_others(cache: Path) -> None:
    """As in diffusers; which folder changed last says little."""
    main_commit = save_in_cache(cache, "org/tuned", save_checked)
    for name in ("a" * 40, "f" * 40):
        shutil.copytree(main_commit, main_commit.with_name(name))
    assert catalogue.find("org/tuned") == main_commit


def test_pipelines_without_a_card_are_listed_and_chosen_last(cache: Path) -> None:
    save_in_cache(cache, "org/tuned", save_checked)
    save_in_cache(cache, "org/xl", lambda f: tiny.stable_diffusion_xl(4).save_pretrained(f))
    save_in_cache(cache, "org/flux", lambda f: tiny_flows.flux("FluxPipeline").save_pretrained(f))
    other = save_in_cache(cache, "org/other", save_checked)
    index = json.loads((other / "model_index.json").read_text())
    (other / "model_index.json").unlink()
    (other / "model_index.json").write_text(json.dumps(index | {"_class_name": "AudioPipeline"}))
    assert catalogue.uncatalogued_pipelines() == ["org/flux", "org/tuned", "org/xl"]
    listed = run_command("models", "list").stdout
    assert "\n* org/tuned " in listed
    assert "org/other" not in listed
    choice = inpaint.choose(generate=True, device="cpu")
    assert choice.name == "org/flux"
    assert "Hugging Face cache" in choice.reason
    save_in_cache(cache, REPO, save_checked)
    assert inpaint.choose(generate=True, device="cpu").name == "sd15-inpaint"
