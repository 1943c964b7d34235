"""Inpainters: the table of backends, and which one ``auto`` takes."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from segment2inpaint.errors import BadOption, ModelMissing
from segment2inpaint.models.device import choose as choose_device
from segment2inpaint.models.device import free_memory
from segment2inpaint.protocols import Inpainter, PreviewCallback, RuntimeOptions

INPAINTERS = {
    "exemplar": "exemplar.inpainter:ExemplarInpainter",
    "telea": "opencv:TeleaInpainter",
    "ns": "opencv:NavierStokesInpainter",
    "lama": "lama.inpainter:LamaInpainter",
    "diffusion": "diffusion.inpainter:DiffusionInpainter",
}


def choose(*, generate: bool, device: str = "auto") -> str:
    """The best inpainter on this machine: exemplar to remove, a diffusion model to generate.

    Of the models that are here, the largest that the GPU holds; without a GPU the smallest.
    Raises ``ModelMissing`` if there is no model to generate with.
    """
    from segment2inpaint.models import catalogue

    if not generate:
        return "exemplar"
    able = [c for c in catalogue.cards() if c.kind == "inpainter" and c.backend == "diffusion"]
    here = sorted((c for c in able if catalogue.find(c.name)), key=lambda card: card.memory)
    if not here:
        raise ModelMissing(
            "replace with --prompt needs a diffusion model and none is on this machine; "
            "get one with `segment2inpaint models download sd15-inpaint`, or give a picture: --with"
        )
    place = choose_device(device)
    free = 0 if place == "cpu" else free_memory(place)
    held = [c for c in here if c.memory <= free]
    return (held[-1] if held else here[0]).name


def load(
    name: str,
    device: str = "auto",
    dtype: str = "auto",
    tuning: RuntimeOptions = RuntimeOptions(),
    look: PreviewCallback | None = None,
) -> Inpainter:
    """The inpainter of a name in the table, a catalogue card, a folder, a file or a hub id.

    ``MODEL+LORA`` is a diffusion model with the card of a LoRA for few steps laid over it,
    ``FILE@MODEL`` a file that takes what it lacks from a model; ``look`` is given sketches of a
    diffusion model's work.
    Raises ``BadOption`` for an unknown name, ``ModelMissing`` for a model not on this machine.
    """
    from segment2inpaint.models import catalogue

    if name in INPAINTERS and name not in ("diffusion", "lama"):
        made: Inpainter = _backend(name)()
        return made
    check_name(name)
    name, base, lora = split(name)
    wanted = choose(generate=True, device=device) if name == "diffusion" else name
    path = catalogue.resolve(wanted)
    if wanted == "lama" or (path.suffix == ".safetensors" and _is_lama(path)):
        made = _backend("lama")(path, device, tuning)
        return made
    path = catalogue.resolve(wanted, "diffusion")
    exemplar = _backend("exemplar")()
    card = f"{wanted}+{lora}" if lora else wanted
    made = _backend("diffusion")(path, device, dtype, tuning, exemplar, card, look, base)
    return made


def check_name(name: str) -> None:
    """Raise ``BadOption`` for a name that no inpainter has; nothing is loaded."""
    from segment2inpaint.models import catalogue

    name = split(name)[0]
    known = [c.name for c in catalogue.cards() if c.kind == "inpainter"]
    if name not in (*INPAINTERS, *known) and not Path(name).exists() and "/" not in name:
        listed = ", ".join(dict.fromkeys(["auto", *INPAINTERS, *known]))
        raise BadOption(f"unknown inpainter {name!r}; known: {listed}, a folder or a hub id")


def split(name: str) -> tuple[str, str, str]:
    """Model, base and LoRA of ``MODEL@BASE+LORA``, the latter two empty where they are not."""
    if Path(name).exists():
        return name, "", ""
    model, at, rest = name.rpartition("@")
    if not at:
        model, _, lora = name.partition("+")
        return model, "", lora
    base, _, lora = rest.partition("+")
    return model, base, lora


def _is_lama(path: Path) -> bool:
    from segment2inpaint.inpaint.lama.inpainter import is_lama

    return is_lama(path)


def _backend(name: str) -> Any:
    module, _, attribute = INPAINTERS[name].partition(":")
    return getattr(import_module(f".{module}", __name__), attribute)
