"""What is recommended for a machine: fake ones, with the cards of the catalogue."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import pytest

from segment2inpaint.extras import EXTRAS
from segment2inpaint.models import catalogue
from segment2inpaint.models.catalogue import card, cards
from segment2inpaint.models.machine import Machine, memory_needed, weight_bytes
from segment2inpaint.models.recommendation import TASKS, Recommendation, recommend

GB = 10**9
EVERY_EXTRA = frozenset(EXTRAS)
NO_GPU = Machine("cpu", 14 * GB, 14 * GB, 500 * GB, EVERY_EXTRA)
GPU_8_GB = Machine("cuda:0", 8 * GB, 28 * GB, 500 * GB, EVERY_EXTRA)
GPU_24_GB = Machine("cuda:0", 24 * GB, 60 * GB, 500 * GB, EVERY_EXTRA)
APPLE = Machine("mps", 12 * GB, 12 * GB, 500 * GB, EVERY_EXTRA)


@pytest.fixture(autouse=True)
def nothing_on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    put_on_disk(monkeypatch, ())


def put_on_disk(monkeypatch: pytest.MonkeyPatch, names: Collection[str]) -> None:
    """Make only the named models be on this machine."""
    monkeypatch.setattr(catalogue, "find", lambda name: Path(name) if name in names else None)


def names(found: Recommendation) -> tuple[str, str]:
    """Return the names of the best and the lighter suggestion; "" for none."""
    return (
        found.best.name if found.best else "",
        found.lighter.name if found.lighter else "",
    )


@pytest.mark.parametrize(
    ("machine", "best", "lighter"),
    [
        (NO_GPU, "sam2.1-tiny", "edgetam"),
        (GPU_8_GB, "sam2.1-large", "sam2.1-tiny"),
        (GPU_24_GB, "sam2.1-large", "sam2.1-tiny"),
        (APPLE, "sam2.1-large", "sam2.1-tiny"),
    ],
)
def test_a_detector_is_chosen_by_speed_on_a_cpu_and_by_quality_on_a_gpu(
    machine: Machine, best: str, lighter: str
) -> None:
    assert names(recommend("detect", machine)) == (best, lighter)


@pytest.mark.parametrize(
    ("machine", "best", "lighter"),
    [
        (NO_GPU, "sd15-inpaint", "sd15-inpaint+lcm-sd15"),
        (GPU_8_GB, "sdxl-inpaint", "sd15-inpaint"),
        (GPU_24_GB, "flux2-klein", "sdxl-inpaint"),
        (APPLE, "sdxl-inpaint", "sd15-inpaint"),
    ],
)
def test_a_model_that_paints_is_the_largest_that_fits(
    machine: Machine, best: str, lighter: str
) -> None:
    assert names(recommend("replace", machine)) == (best, lighter)


def test_a_removal_without_a_gpu_takes_a_quick_network() -> None:
    best, lighter = names(recommend("remove", NO_GPU))
    assert (best, lighter) == ("lama", "guided")


def test_a_removal_on_a_gpu_prefers_a_model_trained_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trained = replace(card("sdxl-inpaint"), name="trained", removal=True)
    refused = replace(trained, name="refused", commercial="no", memory=12 * GB)
    known = [c for c in cards() if not c.removal]
    monkeypatch.setattr(catalogue, "cards", lambda: [*known, trained, refused])
    assert names(recommend("remove", GPU_24_GB)) == ("trained", "lama")
    assert names(recommend("remove", NO_GPU))[0] == "lama"


def test_offloading_needs_an_nvidia_gpu_and_free_ram() -> None:
    best = recommend("replace", GPU_8_GB).best
    assert best
    assert "offloaded to RAM" in best.reason
    little_ram = replace(GPU_8_GB, ram=9 * GB)
    assert names(recommend("replace", little_ram))[0] == "sd15-inpaint"
    small_apple = replace(APPLE, memory=8 * GB, ram=8 * GB)
    assert names(recommend("replace", small_apple))[0] == "sd15-inpaint"


def test_without_memory_only_what_ships_is_recommended() -> None:
    tiny = Machine("cpu", 10**7, 10**7, 500 * GB)
    assert names(recommend("detect", tiny)) == ("builtin", "")
    assert names(recommend("remove", tiny)) == ("guided", "")
    assert names(recommend("replace", tiny)) == ("", "")


def test_a_download_must_fit_on_the_disk_but_a_model_that_is_here_need_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    full = replace(GPU_24_GB, disk=3 * GB)
    assert names(recommend("replace", full))[0] == "sd15-inpaint"
    put_on_disk(monkeypatch, {"sdxl-inpaint"})
    best = recommend("replace", full).best
    assert best
    assert (best.name, best.here, best.commands) == ("sdxl-inpaint", True, ())


def test_the_commands_download_what_is_missing_and_install_packages() -> None:
    bare = replace(NO_GPU, extras=frozenset())
    edgetam, lora = recommend("detect", bare).lighter, recommend("replace", bare).lighter
    assert edgetam
    assert edgetam.commands == (
        "pip install 'segment2inpaint[edgetam]'",
        "segment2inpaint models download edgetam",
    )
    assert lora
    assert lora.commands == (
        "pip install 'segment2inpaint[few-step]'",
        "segment2inpaint models download sd15-inpaint",
        "segment2inpaint models download lcm-sd15",
    )
    assert not lora.here


@pytest.mark.parametrize("machine", [NO_GPU, GPU_8_GB, GPU_24_GB, APPLE])
@pytest.mark.parametrize("task", TASKS)
def test_what_is_recommended_fits_and_may_be_used_commercially(task: str, machine: Machine) -> None:
    found = recommend(task, machine)
    assert found.best
    for suggestion in filter(None, (found.best, found.lighter)):
        assert machine.fit(suggestion.memory) != "no"
        parts = [c for c in cards() if c.name in suggestion.name.split("+")]
        assert all(part.commercial != "no" for part in parts)
    if found.lighter:
        assert found.lighter.memory <= found.best.memory


def test_a_cpu_computes_in_twice_the_memory() -> None:
    sdxl = card("sdxl-inpaint")
    assert weight_bytes(sdxl, "cuda:0") == 2 * sdxl.parameters
    assert weight_bytes(sdxl, "cpu") == 4 * sdxl.parameters
    assert memory_needed(sdxl, "cpu") == 2 * memory_needed(sdxl, "mps") == 2 * sdxl.memory
    sam = card("sam2.1-large")
    assert memory_needed(sam, "cuda:0") == weight_bytes(sam, "cpu") == 4 * sam.parameters


def test_the_weights_of_a_model_that_another_needs_are_counted() -> None:
    kandinsky, prior = card("kandinsky22-inpaint"), card("kandinsky22-prior")
    assert weight_bytes(kandinsky, "mps") == 2 * (kandinsky.parameters + prior.parameters)


@pytest.mark.parametrize("model", [c for c in cards() if c.memory and c.parameters],
                         ids=lambda model: model.name)  # fmt: skip
def test_the_memory_of_a_card_holds_its_weights(model: catalogue.ModelCard) -> None:
    assert weight_bytes(model, "cuda:0") <= model.memory
