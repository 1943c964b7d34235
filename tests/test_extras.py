"""Extras: what is said when one is missing, and what ``auto`` chooses then."""

from __future__ import annotations

import importlib
import os
from pathlib import Path

import numpy as np
import pytest

from segment2inpaint import detect, extras, inpaint
from segment2inpaint.compositing.matting import foreground_colors
from segment2inpaint.editor import Editor
from segment2inpaint.errors import ModelMissing, PackageMissing
from segment2inpaint.models import catalogue, device
from segment2inpaint.types import Points, Text


@pytest.fixture
def core(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no extra be installed."""
    monkeypatch.setattr(extras, "find_spec", lambda module: None)


def test_an_error_has_the_command_and_what_works_without(core: None) -> None:
    with pytest.raises(PackageMissing) as caught:
        extras.require("matting", "a soft edge", "cut hard: --hard-edge")
    assert str(caught.value) == (
        "a soft edge needs more packages: pip install 'segment2inpaint[matting]'; "
        "or cut hard: --hard-edge"
    )
    assert isinstance(caught.value, ModelMissing)  # a run over many photos stops


def test_an_installed_extra_raises_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda module: module)
    extras.require("ray", "--engine ray")


@pytest.mark.usefixtures("core")
def test_auto_never_chooses_a_model_whose_packages_are_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(catalogue, "find", lambda name, **_: tmp_path)  # all models are here
    click = detect.choose([Points(((1, 1),))])
    assert (click.name, "segment2inpaint[models]" in click.reason) == ("builtin", True)
    fill = inpaint.choose(generate=False)
    assert (fill.name, "segment2inpaint[models]" in fill.reason) == ("guided", True)
    with pytest.raises(PackageMissing, match="a text prompt needs more packages"):
        detect.choose([Text("dog")])
    with pytest.raises(PackageMissing, match="or give a picture: --with"):
        inpaint.choose(generate=True)
    assert device.devices() == ["cpu"]


@pytest.mark.usefixtures("core")
@pytest.mark.parametrize("name", [n for n in inpaint.INPAINTERS if n not in inpaint.SHIPPED])
def test_an_inpainter_that_is_a_model_names_its_extra(name: str) -> None:
    with pytest.raises(PackageMissing, match=f"the inpainter {name} needs more packages"):
        Editor().inpainter(name)


@pytest.mark.usefixtures("core")
@pytest.mark.parametrize("name", [n for n in detect.DETECTORS if n not in detect.SHIPPED])
def test_a_detector_that_is_a_model_names_its_extra(name: str) -> None:
    with pytest.raises(PackageMissing, match=f"the detector {name} needs more packages"):
        Editor().detector(name)


@pytest.mark.usefixtures("core")
def test_hard_edges_need_no_matting_and_hide_the_background() -> None:
    image = np.full((4, 4, 3), 90, np.uint8)
    alpha = np.zeros((4, 4), np.float32)
    alpha[1:3, 1:3] = 1
    assert foreground_colors(image, alpha).sum() == 4 * 3 * 90
    alpha[0, 0] = 0.5
    with pytest.raises(PackageMissing, match="a soft edge"):
        foreground_colors(image, alpha)


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"HF_HOME": "~/models"},
        {"HF_HUB_CACHE": "/data/hub"},
        {"HUGGINGFACE_HUB_CACHE": "/data/old", "HF_HOME": "/data/home"},
        {"XDG_CACHE_HOME": "/data/cache"},
        {"HF_HOME": "$HOME/hf"},
    ],
    ids=lambda variables: " ".join(variables) or "none",
)
def test_the_cache_is_found_where_huggingface_hub_has_it(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    constants = importlib.import_module("huggingface_hub.constants")
    with monkeypatch.context() as patch:
        for name in ("HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "XDG_CACHE_HOME"):
            patch.delenv(name, raising=False)
        for name, value in variables.items():
            patch.setenv(name, value)
        expected = importlib.reload(constants).HF_HUB_CACHE
        found = catalogue.default_hub_cache()
    importlib.reload(constants)
    assert os.fspath(found) == expected


def test_a_model_needs_the_extra_with_its_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    needed = {name: catalogue.card(name).extra for name in ("edgetam", "osor", "lcm-sd15", "lama")}
    assert needed == {
        "edgetam": "edgetam", "osor": "few-step", "lcm-sd15": "few-step", "lama": "models"
    }  # fmt: skip
    monkeypatch.setattr(extras, "is_installed", lambda name: name == "models")
    assert "[edgetam]" in catalogue.setup_command("edgetam")
    assert catalogue.setup_command("lama") == catalogue.download_command("lama")
