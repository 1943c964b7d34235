"""Tests of the names of inpainters, and of the choice of ``auto``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from segment2inpaint import inpaint
from segment2inpaint.editor import Editor
from segment2inpaint.errors import ModelMissing
from segment2inpaint.inpaint import InpainterChoice, choose, split_name
from segment2inpaint.models import catalogue
from segment2inpaint.models.catalogue import ModelCard
from segment2inpaint.protocols import InputSpec
from segment2inpaint.types import Request, UserMask


def test_a_name_is_split_into_model_base_and_lora() -> None:
    assert split_name("sd15-inpaint") == ("sd15-inpaint", "", "")
    assert split_name("sd15-inpaint+lcm-sd15") == ("sd15-inpaint", "", "lcm-sd15")
    assert split_name("a+b.safetensors@org/x") == ("a+b.safetensors", "org/x", "")
    assert split_name("a.safetensors@sd15-inpaint+lcm-sd15") == (
        "a.safetensors",
        "sd15-inpaint",
        "lcm-sd15",
    )


def test_an_existing_path_is_not_split(tmp_path: Path) -> None:
    (tmp_path / "a+b@c.safetensors").touch()
    assert split_name(str(tmp_path / "a+b@c.safetensors"))[1:] == ("", "")


# --- the choice of ``auto`` ---------------------------------------------------------------------

REMOVER = ModelCard(
    name="tidy", title="", repo="org/tidy", kind="inpainter", backend="diffusion", removal=True
)


@pytest.fixture
def local(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> set[str]:
    """The names of the models on a machine that has only these, some of them removal models."""
    names: set[str] = set()
    others = [card for card in catalogue.cards() if not card.removal]
    removers = [REMOVER, replace(REMOVER, name="tidy-large", memory=9)]
    monkeypatch.setattr(catalogue, "cards", lambda: [*others, *removers])
    monkeypatch.setattr(catalogue, "default_hub_cache", lambda: tmp_path)
    monkeypatch.setattr(catalogue, "find", lambda name: Path(name) if name in names else None)
    return names


def test_auto_removes_with_the_best_model_on_the_machine_and_says_why(local: set[str]) -> None:
    nothing = "`segment2inpaint models download lama` gets LaMa, a larger network"
    assert choose(generate=False) == InpainterChoice("guided", nothing)
    steps = [
        ("sd15-inpaint", "guided", nothing),
        ("lama", "lama", "a learned fill for large holes; it is on this machine"),
        ("tidy-large", "tidy-large", "trained to remove objects; it is on this machine"),
        ("tidy", "tidy", "trained to remove objects; it is on this machine"),
    ]
    for added, name, reason in steps:
        local.add(added)
        assert choose(generate=False, device="cpu") == InpainterChoice(name, reason)


def test_auto_takes_the_largest_removal_model_that_fits_the_gpu(
    local: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    local |= {"tidy", "tidy-large"}
    monkeypatch.setattr(inpaint, "choose_device", lambda name: "cuda:0")
    for free, name in [(10, "tidy-large"), (8, "tidy")]:
        monkeypatch.setattr(inpaint, "free_memory", lambda device, free=free: free)
        assert choose(generate=False).name == name


def test_a_removal_model_is_not_taken_to_paint_a_prompt(local: set[str]) -> None:
    local.add("tidy")
    with pytest.raises(ModelMissing, match="models download sd15-inpaint"):
        choose(generate=True)
    local.add("sd15-inpaint")
    assert choose(generate=True, device="cpu").name == "sd15-inpaint"


def test_the_editor_says_which_inpainter_auto_chose(local: set[str]) -> None:
    messages: list[str] = []
    editor = Editor(on_message=messages.append)
    request = Request((UserMask(np.ones((2, 2), np.bool_)),))
    assert editor.resolve(request).inpainter == "guided"
    assert messages.pop().endswith("gets LaMa, a larger network)")
    local.add("lama")
    assert editor.resolve(request).inpainter == "lama"
    assert messages == ["inpainter: lama (a learned fill for large holes; it is on this machine)"]


def test_after_a_failed_removal_auto_tries_another_inpainter(
    local: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seedless = SimpleNamespace(input_spec=InputSpec(uses_seed=False))
    monkeypatch.setattr(Editor, "inpainter", lambda self, name: seedless)
    request = Request((UserMask(np.ones((2, 2), np.bool_)),))
    editor = Editor()
    assert editor._other_inpainters(request, "lama") == ["guided"]
    assert editor._other_inpainters(request, "guided") == []
    local.add("lama")
    assert editor._other_inpainters(request, "migan") == ["lama"]
    assert editor._other_inpainters(replace(request, inpainter="lama"), "lama") == []
