"""Regular checkpoints have other settings than those trained to inpaint, told by their UNet."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny
import tiny_files

from segment2inpaint import inpaint
from segment2inpaint.inpaint.diffusion.inpainter import DiffusionInpainter, select_card
from segment2inpaint.models import catalogue
from segment2inpaint.types import Fill

NOTE = "not trained to inpaint, a visible outline is likely; an inpainting checkpoint blends better"


def regular_sd() -> Any:
    return tiny.stable_diffusion(4, "StableDiffusionPipeline")


def regular_sd2() -> Any:
    return tiny.stable_diffusion(4, "StableDiffusionPipeline", use_linear_projection=True)


def load(model: Path, **options: str) -> DiffusionInpainter:
    with warnings.catch_warnings():
        warnings.filterwarnings("error", NOTE)
        return DiffusionInpainter(model, "cpu", **options)


def load_regular(model: Path, **options: str) -> DiffusionInpainter:
    with pytest.warns(UserWarning, match=NOTE):
        return DiffusionInpainter(model, "cpu", **options)


@pytest.mark.parametrize(
    ("make", "card", "inpainting_card"),
    [
        (regular_sd, "sd15", "sd15-inpaint"),
        (lambda: tiny.stable_diffusion_xl(4), "sdxl", "sdxl-inpaint"),
    ],
)
def test_a_regular_checkpoint_keeps_part_of_the_picture(
    tmp_path: Path, make: Callable[[], Any], card: str, inpainting_card: str
) -> None:
    """In a removal it starts from a fill, which is more than a smear."""
    make().save_pretrained(tmp_path / "m")
    for inpainter in (
        load_regular(tmp_path / "m"),
        load_regular(tmp_path / "m", card=inpainting_card),
    ):
        assert inpainter.card.name == card
        assert inpainter.resolve_fill(Fill(prompt="a red rose"))["strength"] == 0.9
        assert inpainter.resolve_fill(Fill())["strength"] == 0.8
    with_prefill = inpaint.load(str(tmp_path / "m"), "cpu")
    assert isinstance(with_prefill, DiffusionInpainter)
    assert with_prefill.resolve_fill(Fill())["prefill"] == "exemplar"
    with_strength = Fill(strength=1.0)
    assert with_prefill.resolve_fill(with_strength)["strength"] == 1.0


@pytest.mark.parametrize("name", ["sd9", "sdxl"])
def test_an_inpainting_checkpoint_keeps_its_settings(folders: dict[str, Path], name: str) -> None:
    """This holds also if the user names the card of a regular one."""
    family, strength = ("sd15", 1.0) if name == "sd9" else ("sdxl", 0.99)
    for inpainter in (load(folders[name]), load(folders[name], card=family)):
        assert inpainter.card.name == f"{family}-inpaint"
        assert inpainter.resolve_fill(Fill())["strength"] == strength


@pytest.mark.parametrize(
    ("make", "card"),
    [
        (regular_sd, "sd15"),
        (regular_sd2, "sd21"),
        (lambda: tiny.stable_diffusion_xl(4), "sdxl"),
    ],
)
def test_a_regular_file_has_the_settings_of_its_family(
    tmp_path: Path, make: Callable[[], Any], card: str
) -> None:
    pipe = make()
    pipe.save_pretrained(tmp_path / "m")
    file = tiny_files.save_single_file(pipe, tmp_path / "m.safetensors")
    assert load_regular(file).card.name == card


def test_a_regular_model_supplies_what_a_regular_file_lacks(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """An inpainting model of the family does too, and comes first."""
    monkeypatch.setattr(catalogue, "models_folder", lambda: tmp_path / "models")
    monkeypatch.setattr(catalogue, "default_hub_cache", lambda: tmp_path / "hub")
    pipe = regular_sd()
    pipe.save_pretrained(tmp_path / "models" / "sd15")
    file = tiny_files.save_single_file(pipe, tmp_path / "tuned.safetensors", ["unet"])
    assert load_regular(file).card.name == "sd15"
    shutil.move(tmp_path / "models" / "sd15", tmp_path / "models" / "sd15-inpaint")
    assert load_regular(file).card.name == "sd15"


def test_auto_prefers_a_model_that_was_trained_to_inpaint(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(catalogue, "models_folder", lambda: tmp_path / "models")
    monkeypatch.setattr(catalogue, "default_hub_cache", lambda: tmp_path / "hub")
    regular_sd().save_pretrained(tmp_path / "models" / "sd15")
    assert inpaint.choose(generate=True, device="cpu").name == "sd15"
    tiny.stable_diffusion_xl().save_pretrained(tmp_path / "models" / "sdxl-inpaint")
    assert inpaint.choose(generate=True, device="cpu").name == "sdxl-inpaint"


def test_the_cards_of_regular_models_are_named_by_their_inpainting_card() -> None:
    named = {card.name: card.regular for card in catalogue.cards() if card.regular}
    assert named == {"sd15-inpaint": "sd15", "sd2-inpaint": "sd21", "sdxl-inpaint": "sdxl"}
    for name, regular in named.items():
        assert catalogue.card(regular).pipeline == catalogue.card(name).pipeline
        assert catalogue.is_regular(catalogue.card(regular))
        assert not catalogue.is_regular(catalogue.card(name))
    assert select_card("StableDiffusionInpaintPipeline").name == "sd15-inpaint"
    assert select_card("StableDiffusionXLInpaintPipeline").name == "sdxl-inpaint"
