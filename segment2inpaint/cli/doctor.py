"""What this machine can do, on the command line."""

from __future__ import annotations

import sys
from importlib.metadata import version
from os import environ

import click

from segment2inpaint import __version__


@click.command()
def doctor() -> None:
    """What this machine can do, and what auto takes here."""
    from segment2inpaint import detect, images, inpaint
    from segment2inpaint.errors import ModelMissing
    from segment2inpaint.models import catalogue, device
    from segment2inpaint.types import Points

    try:
        generates = inpaint.choose(generate=True)
    except ModelMissing as error:
        generates = f"nothing ({error})"
    click_takes = detect.choose([Points(((0, 0),))])
    here = [c.name for c in catalogue.cards() if catalogue.find(c.name)]
    rows = {
        "segment2inpaint": __version__,
        "python": sys.version.split()[0],
        **{name: version(name) for name in ("opencv-python", "pillow", "torch", "diffusers")},
        "devices": ", ".join(device.devices()),
        "reads": ", ".join(images.formats()),
        "models here": ", ".join(here) or "none",
        "models folder": catalogue.models_folder(),
        "a click takes": f"{click_takes.name} ({click_takes.reason})",
        "remove takes": inpaint.choose(generate=False),
        "replace takes": generates,
        **_generation(),
    }
    for key, value in rows.items():
        click.echo(f"{key:<16}{value}")


def _generation() -> dict[str, str]:
    """How diffusion models can run here, and which of them."""
    import psutil

    from segment2inpaint.models import catalogue, device

    place = device.choose()
    free, half = device.free_memory(place), place != "cpu"
    cache = catalogue.default_hub_cache()
    disk = next(path for path in (cache, *cache.parents) if path.exists())
    needs = {c.name: c.memory * (1 if half else 2) for c in catalogue.cards() if c.memory}
    whole = [name for name, need in needs.items() if need <= free]
    part = [name for name, need in needs.items() if free < need <= 2 * free and half]
    large = [name for name in needs if name not in (*whole, *part)]
    return {
        "free memory": f"{catalogue.megabytes(free)} on {place}, {'16' if half else '32'} bits",
        "free disk": f"{catalogue.megabytes(psutil.disk_usage(str(disk)).free)} for downloads",
        "models that fit": ", ".join(whole) or "none",
        "with --offload": ", ".join(part) or ("none" if half else "needs a GPU"),
        "too large": ", ".join(large) or "none",
        **_faster(place),
    }


def _faster(place: str) -> dict[str, str]:
    """What makes diffusion models fit and hurry here."""
    from importlib.util import find_spec
    from shutil import which

    from segment2inpaint.inpaint.diffusion.attention import attentions
    from segment2inpaint.inpaint.diffusion.optimization import NEEDS, quantizers

    here = quantizers()
    words = [f"{bits} by {here[bits]}" for bits in here]
    words += [f"{bits} needs {NEEDS[bits]}" for bits in NEEDS if bits not in here]
    compiles = find_spec("triton") if place.startswith("cuda") else which(environ.get("CXX", "g++"))
    return {
        "--quantize": "; ".join(words),
        "--attention": ", ".join(attentions(place)) or "none",
        "--compile": "yes" if compiles else "needs a C++ compiler, on a GPU triton",
        "MODEL+LORA": "yes" if find_spec("peft") else "needs peft: pip install peft",
    }
