"""Inpainters: the table of backends, and which one ``auto`` takes."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from ..types import BadOption, Inpainter, ModelMissing

INPAINTERS = {
    "exemplar": "exemplar:Exemplar",
    "telea": "opencv:Telea",
    "ns": "opencv:NavierStokes",
    "diffusion": "diffusion:Diffusion",
}


def choose(*, generate: bool) -> str:
    """The best inpainter on this machine: exemplar to remove, a diffusion model to generate.

    Raises ``ModelMissing`` if there is no model to generate with.
    """
    from .. import catalogue

    if not generate:
        return "exemplar"
    for card in catalogue.cards():
        if card.kind == "inpainter" and catalogue.find(card.name):
            return card.name
    raise ModelMissing(
        "replace with --prompt needs a diffusion model and none is on this machine; "
        "get one with `segment2inpaint models download sd15-inpaint`, or give a picture: --with"
    )


def load(name: str, device: str = "auto", dtype: str = "auto") -> Inpainter:
    """The inpainter of a name in the table, a catalogue card, a folder, a file or a hub id.

    Raises ``BadOption`` for an unknown name, ``ModelMissing`` for a model not on this machine.
    """
    from .. import catalogue

    if name in INPAINTERS and name != "diffusion":
        made: Inpainter = _backend(name)()
        return made
    known = [c.name for c in catalogue.cards() if c.kind == "inpainter"]
    if name != "diffusion" and name not in known and not Path(name).exists() and "/" not in name:
        listed = ", ".join(["auto", *INPAINTERS, *known])
        raise BadOption(f"unknown inpainter {name!r}; known: {listed}, a folder or a hub id")
    wanted = choose(generate=True) if name == "diffusion" else name
    loaded: Inpainter = _backend("diffusion")(catalogue.resolve(wanted, "diffusion"), device, dtype)
    return loaded


def _backend(name: str) -> Any:
    module, _, attribute = INPAINTERS[name].partition(":")
    return getattr(import_module(f".{module}", __name__), attribute)
