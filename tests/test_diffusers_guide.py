"""``docs/diffusers_guide.md``: what the rows say to type works with the models of the guide.

The models are small and random, but of the real classes.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import tiny_flows
import torch
from command_line import disc_mask, run, save_scene
from doc_blocks import text_of
from PIL import Image as Pillow
from PIL import ImageFilter

from segment2inpaint.inpaint.diffusion import inpainter
from segment2inpaint.protocols import InputSpec

ROW = re.compile(r"^\| (?P<guide>[^|]+) \| `(?P<options>--[^`]+)` \| [^|]+ \|$", re.MULTILINE)
# The rows of the guide's models name cards, compiling takes minutes, and the rest needs a GPU.
NOT_RUN = ("sd15-inpaint", "sdxl-inpaint", "kandinsky22-inpaint", "--compile", "--offload")
MODELS: dict[str, Callable[[], Any]] = {
    "sd": tiny.stable_diffusion,
    "sdxl": tiny.stable_diffusion_xl,
    "kandinsky": lambda: tiny_flows.kandinsky_2_2()[0],
}
# Sections and parameters of the guide that have a row.
GUIDE = """
from_pretrained torch_dtype variant prompt negative_prompt mask_image sketch blur_factor strength
guidance_scale generator padding_mask_crop apply_overlay text-to-image image-to-image refiner
prompt_embeds ControlNet enable_model_cpu_offload xFormers torch.compile latents
num_images_per_prompt height num_inference_steps enable_sequential_cpu_offload
"""


def rows() -> list[str]:
    """Return the options that the page says to type."""
    found = [match["options"] for match in ROW.finditer(text_of("diffusers_guide.md"))]
    return [options for options in found if not any(word in options for word in NOT_RUN)]


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Run torch on one thread, which is faster for networks this small."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the photo, a mask, a blurred mask and the first model."""
    folder = tmp_path_factory.mktemp("guide")
    save_scene(folder)
    mask = Pillow.fromarray(disc_mask().astype(np.uint8) * 255)
    mask.save(folder / "MASK.png")
    mask.filter(ImageFilter.GaussianBlur(5)).save(folder / "BLURRED.png")
    MODELS["sd"]().save_pretrained(folder / "sd")
    return folder


def check_row(folder: Path, model: str, options: str) -> None:
    """Run the command with these options; the picture is changed, and only there."""
    words = [str(folder / model) if word == "MODEL" else word for word in shlex.split(options)]
    words = [str(folder / word) if word.endswith(".png") else word for word in words]
    given = {word for word in words if word.startswith("--")}
    defaults = {
        "--mask": folder / "MASK.png", "--prompt": "a black cat",
        "--inpainter": folder / model, "--steps": 2, "--seed": 1,
    }  # fmt: skip
    rest = [part for pair in defaults.items() if pair[0] not in given for part in pair]
    target = folder / "OUT.png"
    done = run("replace", folder / "photo.png", *rest, *words, "--no-verify", "--overwrite",
               "--json", "-o", target)  # fmt: skip
    assert done.exit_code == 0, f"{options}: {done.output}"
    assert '"changed_outside": 0' in done.stdout, options


@pytest.mark.parametrize("options", rows())
def test_a_row_works_with_stable_diffusion(folder: Path, options: str) -> None:
    check_row(folder, "sd", options)


@pytest.mark.slow
@pytest.mark.parametrize("model", ["sdxl", "kandinsky"])
def test_every_row_works_with_the_larger_models(
    folder: Path, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inpainter, "KANDINSKY_INPUT_SPEC", InputSpec(128 * 128, 64, 64))
    MODELS[model]().save_pretrained(folder / model)
    for options in rows():
        check_row(folder, model, options)


@pytest.mark.parametrize("mode", ["model", "group"])
def test_a_row_for_a_gpu_is_refused_in_one_line_without_one(folder: Path, mode: str) -> None:
    assert f"`--offload {mode}` | on a GPU" in text_of("diffusers_guide.md")
    done = run("replace", folder / "photo.png", "--mask", folder / "MASK.png", "--prompt", "a",
               "--inpainter", folder / "sd", "--device", "cpu", "--offload", mode,
               "-o", folder / "OUT.png")  # fmt: skip
    assert done.exit_code == 1
    assert "keeps weights off a GPU" in done.stderr.splitlines()[-1]


def test_the_parameters_of_the_guide_have_a_row() -> None:
    text = text_of("diffusers_guide.md")
    assert [word for word in GUIDE.split() if word not in text] == []
    assert len(rows()) >= 12
