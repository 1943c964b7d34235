"""``doctor``: what this machine can do."""

from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError, version
from os import environ
from typing import TYPE_CHECKING

import click
import cloup

from segment2inpaint import __version__
from segment2inpaint.cli import model_facts
from segment2inpaint.cli.options import examples

if TYPE_CHECKING:
    from segment2inpaint.models.machine import Machine

LABEL_WIDTH = 16  # characters of the first column
# Distributions by the name that is printed.
PACKAGES = {"numpy": "numpy", "opencv": "opencv-python-headless", "pillow": "pillow",
            "torch": "torch", "diffusers": "diffusers"}  # fmt: skip


@cloup.command(epilog=examples("doctor"))
def doctor() -> None:
    """Show what this machine can do.

    It prints versions, devices, file formats, the models on this machine, the extras that are
    installed and the commands for the others, what auto uses, which diffusion models fit in the
    memory, and a table of all models: memory, seconds, whether commercial use is allowed, and
    published quality. Include this text when you report a bug.
    """
    rows = {**_installation(), **_extras(), **_defaults(), **_diffusion()}
    for label, value in rows.items():
        click.echo(f"{label:<{LABEL_WIDTH}}{value}")
    for line in ("", *_comparison()):
        click.echo(line)


def _comparison() -> list[str]:
    """Return a table of all models that find or fill, by what users choose from."""
    from segment2inpaint.models import catalogue
    from segment2inpaint.models.machine import this_machine

    models = [card for card in catalogue.cards() if card.kind in ("detector", "inpainter")]
    models.sort(key=lambda card: card.kind)
    return model_facts.table(models, this_machine())


def _installation() -> dict[str, str]:
    """Return versions, devices, file formats, and the models on this machine."""
    from segment2inpaint import images
    from segment2inpaint.models import catalogue, device

    local = [card.name for card in catalogue.cards() if catalogue.find(card.name)]
    return {
        "segment2inpaint": __version__,
        "python": sys.version.split()[0],
        **{name: _version(package) for name, package in PACKAGES.items()},
        "devices": ", ".join(device.devices()),
        "reads": ", ".join(images.formats()),
        "models here": ", ".join(local) or "none",
        "models folder": str(catalogue.models_folder()),
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _extras() -> dict[str, str]:
    """Return the extras, each with its command if it is not installed."""
    from segment2inpaint.extras import EXTRAS, install_command, is_installed
    from segment2inpaint.models.catalogue import format_size

    return {
        f"[{name}]": f"installed: {extra.purpose}" if is_installed(name)
        else f"{install_command(name)}: {extra.purpose}; {format_size(extra.megabytes * 1e6)}"
        for name, extra in EXTRAS.items()
    }  # fmt: skip


def _defaults() -> dict[str, str]:
    """Return what ``auto`` chooses on this machine."""
    from segment2inpaint import detect, inpaint
    from segment2inpaint.errors import ModelMissing
    from segment2inpaint.types import Points

    try:
        replace = inpaint.choose(generate=True).name
    except ModelMissing as error:
        replace = f"nothing ({error})"
    detector = detect.choose([Points(((0, 0),))])
    return {
        "a click uses": f"{detector.name} ({detector.reason})",
        "remove uses": inpaint.choose(generate=False).name,
        "replace uses": replace,
    }


def _diffusion() -> dict[str, str]:
    """Return which diffusion models fit in the memory, and which options work here."""
    from segment2inpaint.models import catalogue
    from segment2inpaint.models.machine import this_machine

    machine = this_machine()
    bits = 32 if machine.device == "cpu" else 16
    free = catalogue.format_size(machine.memory)
    return {
        "free memory": f"{free} on {machine.device}, {bits} bits",
        "free disk": f"{catalogue.format_size(machine.disk)} for downloads",
        **_models_by_memory(machine),
        **_optimizations(machine.device),
    }


def _models_by_memory(machine: Machine) -> dict[str, str]:
    """Return the names of the diffusion models that fit, that fit with offloading, and others."""
    from segment2inpaint.models import catalogue
    from segment2inpaint.models.machine import memory_needed

    names: dict[str, list[str]] = {"yes": [], "offload": [], "no": []}
    for card in catalogue.cards():
        if card.memory:
            names[machine.fit(memory_needed(card, machine.device))].append(card.name)
    no_offload = "none" if machine.device.startswith("cuda") else "needs an NVIDIA GPU"
    return {
        "models that fit": ", ".join(names["yes"]) or "none",
        "with --offload": ", ".join(names["offload"]) or no_offload,
        "too large": ", ".join(names["no"]) or "none",
    }


def _optimizations(place: str) -> dict[str, str]:
    """Return which options that save memory or time work on this device, or what they need."""
    from segment2inpaint import extras

    if not extras.is_installed("models"):
        return {}
    from importlib.util import find_spec
    from shutil import which

    from segment2inpaint.inpaint.diffusion.attention import working_backends

    compiles = find_spec("triton") if place.startswith("cuda") else which(environ.get("CXX", "g++"))
    return {
        "--quantize": _quantizers(),
        "--attention": ", ".join(working_backends(place)) or "none",
        "--compile": "yes" if compiles else "needs a C++ compiler; on a GPU, triton",
        "MODEL+LORA": "yes" if extras.is_installed("few-step") else "needs [few-step]",
    }


def _quantizers() -> str:
    from segment2inpaint.inpaint.diffusion.optimization import (
        QUANTIZATION_PACKAGES,
        installed_quantizers,
    )

    installed = installed_quantizers()
    available = [f"{bits} by {package}" for bits, package in installed.items()]
    missing = [
        f"{bits} needs {packages}"
        for bits, packages in QUANTIZATION_PACKAGES.items()
        if bits not in installed
    ]
    return "; ".join([*available, *missing])
