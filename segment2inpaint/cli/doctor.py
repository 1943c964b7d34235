"""``doctor``: what this machine can do."""

from __future__ import annotations

import sys
from importlib.metadata import version
from os import environ

import click
import cloup

from segment2inpaint import __version__
from segment2inpaint.cli.options import examples

LABEL_WIDTH = 16  # characters of the first column


@cloup.command(epilog=examples("doctor"))
def doctor() -> None:
    """Show what this machine can do.

    It prints versions, devices, file formats, the models on this machine, what auto uses, and
    which diffusion models fit in the memory. Include this text when you report a bug.
    """
    for label, value in {**_installation(), **_defaults(), **_diffusion()}.items():
        click.echo(f"{label:<{LABEL_WIDTH}}{value}")


def _installation() -> dict[str, str]:
    """Return versions, devices, file formats, and the models on this machine."""
    from segment2inpaint import images
    from segment2inpaint.models import catalogue, device

    local = [card.name for card in catalogue.cards() if catalogue.find(card.name)]
    return {
        "segment2inpaint": __version__,
        "python": sys.version.split()[0],
        **{name: version(name) for name in ("opencv-python", "pillow", "torch", "diffusers")},
        "devices": ", ".join(device.devices()),
        "reads": ", ".join(images.formats()),
        "models here": ", ".join(local) or "none",
        "models folder": str(catalogue.models_folder()),
    }


def _defaults() -> dict[str, str]:
    """Return what ``auto`` chooses on this machine."""
    from segment2inpaint import detect, inpaint
    from segment2inpaint.errors import ModelMissing
    from segment2inpaint.types import Points

    try:
        replace = inpaint.choose(generate=True)
    except ModelMissing as error:
        replace = f"nothing ({error})"
    detector = detect.choose([Points(((0, 0),))])
    return {
        "a click uses": f"{detector.name} ({detector.reason})",
        "remove uses": inpaint.choose(generate=False),
        "replace uses": replace,
    }


def _diffusion() -> dict[str, str]:
    """Return which diffusion models fit in the memory, and which options work here."""
    import psutil

    from segment2inpaint.models import catalogue, device

    place = device.choose_device()
    on_gpu, free_memory = place != "cpu", device.free_memory(place)
    cache = catalogue.default_hub_cache()
    disk = next(folder for folder in (cache, *cache.parents) if folder.exists())
    free_disk = psutil.disk_usage(str(disk)).free
    return {
        "free memory": f"{catalogue.format_size(free_memory)} on {place}, "
                       f"{'16' if on_gpu else '32'} bits",
        "free disk": f"{catalogue.format_size(free_disk)} for downloads",
        **_models_by_memory(free_memory, on_gpu=on_gpu),
        **_optimizations(place),
    }  # fmt: skip


def _models_by_memory(free: int, *, on_gpu: bool) -> dict[str, str]:
    """Return the names of the models that fit in ``free`` bytes, in twice as many, and in none.

    Offloading makes room on a GPU for a model of up to about twice its memory. Weights have 16
    bits on a GPU and 32 bits, twice the size, on a CPU.
    """
    from segment2inpaint.models import catalogue

    scale = 1 if on_gpu else 2
    needs = {card.name: card.memory * scale for card in catalogue.cards() if card.memory}
    fitting = [name for name, need in needs.items() if need <= free]
    offloaded = [name for name, need in needs.items() if free < need <= 2 * free and on_gpu]
    too_large = [name for name in needs if name not in (*fitting, *offloaded)]
    return {
        "models that fit": ", ".join(fitting) or "none",
        "with --offload": ", ".join(offloaded) or ("none" if on_gpu else "needs a GPU"),
        "too large": ", ".join(too_large) or "none",
    }


def _optimizations(place: str) -> dict[str, str]:
    """Return which options that save memory or time work on this device, or what they need."""
    from importlib.util import find_spec
    from shutil import which

    from segment2inpaint.inpaint.diffusion.attention import working_backends

    compiles = find_spec("triton") if place.startswith("cuda") else which(environ.get("CXX", "g++"))
    return {
        "--quantize": _quantizers(),
        "--attention": ", ".join(working_backends(place)) or "none",
        "--compile": "yes" if compiles else "needs a C++ compiler; on a GPU, triton",
        "MODEL+LORA": "yes" if find_spec("peft") else "needs peft: pip install peft",
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
