"""Inpainters: the table of backends, the choice of ``auto``, and loading by name."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from segment2inpaint.errors import BadOption, ModelMissing
from segment2inpaint.models.device import choose_device, free_memory
from segment2inpaint.protocols import Inpainter, PreviewCallback, RuntimeOptions

INPAINTERS = {
    "exemplar": "exemplar.inpainter:ExemplarInpainter",
    "telea": "opencv:TeleaInpainter",
    "ns": "opencv:NavierStokesInpainter",
    "lama": "lama.inpainter:LamaInpainter",
    "diffusion": "diffusion.inpainter:DiffusionInpainter",
}


def choose(*, generate: bool, device: str = "auto") -> str:
    """Return the name of the best inpainter on this machine.

    It is ``exemplar`` to remove an object. To generate one, it is the largest diffusion model on
    this machine that fits into the GPU's free memory, or the smallest one without a GPU. Raises
    ``ModelMissing`` if there is no model to generate with.
    """
    from segment2inpaint.models import catalogue

    if not generate:
        return "exemplar"
    known = [c for c in catalogue.cards() if c.kind == "inpainter" and c.backend == "diffusion"]
    local = sorted((c for c in known if catalogue.find(c.name)), key=lambda card: card.memory)
    if not local:
        raise ModelMissing(
            "replace with --prompt needs a diffusion model and none is on this machine; "
            "get one with `segment2inpaint models download sd15-inpaint`, or give a picture: --with"
        )
    device = choose_device(device)
    free = 0 if device == "cpu" else free_memory(device)
    fitting = [c for c in local if c.memory <= free]
    return (fitting[-1] if fitting else local[0]).name


def load(
    name: str,
    device: str = "auto",
    dtype: str = "auto",
    runtime: RuntimeOptions = RuntimeOptions(),
    on_preview: PreviewCallback | None = None,
) -> Inpainter:
    """Return the inpainter of a name: of ``INPAINTERS``, a card, a folder, a file or a hub id.

    ``MODEL+LORA`` is a diffusion model with the card of a LoRA for few steps. ``FILE@MODEL`` is a
    single file with the model that supplies what the file lacks. ``on_preview`` gets sketches
    from a diffusion model after each step. Raises ``BadOption`` for an unknown name,
    ``ModelMissing`` for a model that is not on this machine, ``BadModel`` for a damaged one.
    """
    from segment2inpaint.models import catalogue

    inpainter: Inpainter
    if name in INPAINTERS and name not in ("diffusion", "lama"):
        inpainter = _backend(name)()
        return inpainter
    check_name(name)
    name, base, lora = split_name(name)
    model = choose(generate=True, device=device) if name == "diffusion" else name
    path = catalogue.resolve(model)
    if model == "lama" or (path.suffix == ".safetensors" and _is_lama(path)):
        inpainter = _backend("lama")(path, device, runtime)
        return inpainter
    path = catalogue.resolve(model, "diffusion")
    prefill = _backend("exemplar")()
    card = f"{model}+{lora}" if lora else model
    inpainter = _backend("diffusion")(path, device, dtype, runtime, prefill, card, on_preview, base)
    return inpainter


def check_name(name: str) -> None:
    """Raise ``BadOption`` for a name that no inpainter has; nothing is loaded."""
    from segment2inpaint.models import catalogue

    name = split_name(name)[0]
    cards = [c.name for c in catalogue.cards() if c.kind == "inpainter"]
    if name not in (*INPAINTERS, *cards) and not Path(name).exists() and "/" not in name:
        known = ", ".join(dict.fromkeys(["auto", *INPAINTERS, *cards]))
        raise BadOption(f"unknown inpainter {name!r}; known: {known}, a folder or a hub id")


def split_name(name: str) -> tuple[str, str, str]:
    """Return model, base and LoRA of ``MODEL@BASE+LORA``; absent ones are empty.

    A name that is the path of an existing file is not split.
    """
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
