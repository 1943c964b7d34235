"""Inpainters: the table of backends, the choice of ``auto``, and loading by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segment2inpaint import extras
from segment2inpaint.errors import BadModel, BadOption, ModelMissing
from segment2inpaint.models.device import choose_device, free_memory
from segment2inpaint.protocols import Inpainter, PreviewCallback, RuntimeOptions

if TYPE_CHECKING:
    from segment2inpaint.models.catalogue import ModelCard

INPAINTERS = {
    "guided": "exemplar.inpainter:GuidedInpainter",
    "exemplar": "exemplar.inpainter:ExemplarInpainter",
    "migan": "migan:MiganInpainter",
    "telea": "opencv:TeleaInpainter",
    "ns": "opencv:NavierStokesInpainter",
    "blur": "obscure:BlurInpainter",
    "pixelate": "obscure:PixelateInpainter",
    "solid": "obscure:SolidInpainter",
    "lama": "lama.inpainter:LamaInpainter",
    "diffusion": "diffusion.inpainter:DiffusionInpainter",
}
# Those that ship with the package, with all that they need.
SHIPPED = tuple(name for name in INPAINTERS if name not in ("lama", "diffusion"))
# Fills that hide the object instead of inventing what is behind it.
OBSCURERS = ("blur", "pixelate", "solid")


@dataclass(frozen=True)
class InpainterChoice:
    """The inpainter that ``auto`` chose, with one line on the reason or on a better one."""

    name: str
    reason: str = ""


def choose(*, generate: bool, device: str = "auto") -> InpainterChoice:
    """Return the best inpainter on this machine; nothing is downloaded.

    To remove an object, it is a model that was trained to remove (``removal`` in its card), else
    ``lama`` if it is on this machine, else ``guided``. To generate one, it is a
    diffusion model, one that was trained to inpaint if there is one; without a model of the
    catalogue, it is another pipeline in the Hugging Face cache. Of several models, it is the
    largest one that fits into the GPU's free memory, or the smallest one without a GPU. Raises
    ``ModelMissing`` if there is no model to generate with, ``PackageMissing`` without the packages
    for one.
    """
    from segment2inpaint.models.catalogue import is_regular

    if not generate:
        return _choose_remover(device)
    extras.require("models", "replace with --prompt", "give a picture: --with")
    local = _local_cards(lambda card: card.backend == "diffusion" and not card.removal)
    if not local:
        return _choose_uncatalogued()
    trained = [card for card in local if not is_regular(card)]
    return InpainterChoice(_best_fitting(trained or local, device))


def _choose_uncatalogued() -> InpainterChoice:
    """Return a pipeline in the cache that no card names. Raises ``ModelMissing``."""
    from segment2inpaint.models import catalogue

    others = catalogue.uncatalogued_pipelines()
    if not others:
        raise ModelMissing(
            "replace with --prompt needs a diffusion model and none is on this machine; "
            "get one with `segment2inpaint models download sd15-inpaint`, or give a picture: --with"
        )
    return InpainterChoice(others[0], "it is in the Hugging Face cache")


def _choose_remover(device: str) -> InpainterChoice:
    from segment2inpaint.models import catalogue

    if local := [*_local_cards(lambda card: card.removal), *_local_removal_loras()]:
        name = _best_fitting(local, device)
        return InpainterChoice(name, "trained to remove objects; it is on this machine")
    if _local_cards(lambda card: card.name == "lama"):
        return InpainterChoice("lama", "a learned fill for large holes; it is on this machine")
    command = catalogue.setup_command("lama")
    return InpainterChoice("guided", f"`{command}` gets LaMa, a larger network")


def _local_cards(wanted: Callable[[ModelCard], bool]) -> list[ModelCard]:
    """Return the cards of the wanted inpainters that are on this machine."""
    from segment2inpaint.models import catalogue

    known = [card for card in catalogue.cards() if card.kind == "inpainter" and wanted(card)]
    return [card for card in known if catalogue.is_usable(card.name)]


def _local_removal_loras() -> list[ModelCard]:
    """Return ``MODEL+LORA`` for each LoRA that removes, if both are on this machine."""
    from segment2inpaint.models import catalogue

    loras = [card for card in catalogue.cards() if card.base]
    return [
        replace(catalogue.card(lora.base), name=f"{lora.base}+{lora.name}")
        for lora in loras
        if catalogue.is_usable(lora.name) and catalogue.is_usable(lora.base)
    ]


def _best_fitting(local: Sequence[ModelCard], device: str) -> str:
    """Return the largest model that fits into the GPU's free memory, else the smallest one."""
    local = sorted(local, key=lambda card: card.memory)
    device = choose_device(device)
    free = 0 if device == "cpu" else free_memory(device)
    fitting = [card for card in local if card.memory <= free]
    return (fitting[-1] if fitting else local[0]).name


def load(
    name: str,
    device: str = "auto",
    dtype: str = "auto",
    runtime: RuntimeOptions = RuntimeOptions(),
    on_preview: PreviewCallback | None = None,
) -> Inpainter:
    """Return the inpainter of a name: of ``INPAINTERS``, a card, a folder, a file or a hub id.

    ``MODEL+LORA`` is a diffusion model with a LoRA: a card, a file or a hub id; ``LORA@WEIGHT``
    adds it with a weight. ``FILE@MODEL`` is a single file with the model that supplies what the
    file lacks. ``on_preview`` gets sketches from a diffusion model after each step. Raises
    ``BadOption`` for an unknown name, ``ModelMissing`` for a model that is not on this machine,
    ``PackageMissing`` for one whose packages are not installed, ``BadModel`` for a damaged one.
    """
    from segment2inpaint.models import catalogue

    inpainter: Inpainter
    if name in SHIPPED:
        inpainter = _backend(name)()
        return inpainter
    check_name(name)
    extras.require("models", f"the inpainter {name}")
    name, base, lora = split_name(name)
    model = choose(generate=True, device=device).name if name == "diffusion" else name
    path = catalogue.resolve(model)
    if _is_lama(model, path):
        inpainter = _backend("lama")(path, device, runtime)
        return inpainter
    path = catalogue.resolve(model, "diffusion")
    prefill = _backend("exemplar")()
    inpainter = _backend("diffusion")(
        path, device, dtype, runtime, prefill, model, on_preview, base, lora
    )
    return inpainter


def check_name(name: str) -> None:
    """Raise ``BadOption`` for a name that no inpainter has; nothing is loaded."""
    from segment2inpaint.models import catalogue

    name, _, lora = split_name(name)
    cards = [c.name for c in catalogue.cards() if c.kind == "inpainter"]
    if name not in (*INPAINTERS, *cards) and not Path(name).exists() and "/" not in name:
        known = ", ".join(dict.fromkeys(["auto", *INPAINTERS, *cards]))
        raise BadOption(f"unknown inpainter {name!r}; known: {known}, a folder or a hub id")
    if lora:
        _check_lora(name, lora)


def _check_lora(model: str, lora: str) -> None:
    """Raise an error for a LoRA that is not here or no LoRA, or a model that takes none.

    Without the packages for LoRAs, that is ``PackageMissing``.
    """
    from segment2inpaint.inpaint.diffusion.lora import check_package, find_lora

    if model in INPAINTERS and model != "diffusion":
        raise BadOption(f"{model} takes no LoRA, only diffusion models do; omit +{lora}")
    check_package(lora)
    find_lora(lora)


def split_name(name: str) -> tuple[str, str, str]:
    """Return model, base and LoRA of ``MODEL@BASE+LORA@WEIGHT``; absent ones are empty.

    The LoRA keeps its weight. A name that is the path of an existing file is not split, nor is a
    model at a ``+`` in its path.
    """
    if Path(name).exists():
        return name, "", ""
    model, lora = _split_lora(name)
    if Path(model).exists():
        return model, "", lora
    model, at, base = model.rpartition("@")
    return (model, base, lora) if at else (base, "", lora)


def _split_lora(name: str) -> tuple[str, str]:
    """Return what is before and after the ``+`` in front of a LoRA.

    It is the first one behind the name of a model. For a file that does not exist, it is the
    first one behind ``@BASE``.
    """
    parts = name.split("+")
    for count in range(1, len(parts)):
        model = "+".join(parts[:count])
        if _names_model(model) or _names_model(model.rpartition("@")[0]):
            return model, "+".join(parts[count:])
    file, at, rest = name.rpartition("@")
    if at and not rest.replace(".", "", 1).isdigit():
        base, _, lora = rest.partition("+")
        return f"{file}@{base}", lora
    return parts[0], "+".join(parts[1:])


def _names_model(name: str) -> bool:
    """Return whether this is a path that exists, a name in the catalogue, or a hub id."""
    from segment2inpaint.models import catalogue

    known = {*INPAINTERS, *(card.name for card in catalogue.cards())}
    hub_id = catalogue.HUB_ID.fullmatch(name) and not Path(name).suffix
    return bool(name) and (name in known or bool(hub_id) or Path(name).exists())


def _is_lama(name: str, path: Path) -> bool:
    """Return whether a model is a LaMa, not a diffusion model.

    Raises ``BadModel`` for a file that is neither, before a large library is imported.
    """
    from segment2inpaint.inpaint.lama.weights import SUFFIXES, holds_lama, weights_file

    if not Path(name).expanduser().exists() or name == "lama":
        return name == "lama"
    if path.is_dir():
        single = not (path / "model_index.json").exists()
        files = [file for file in path.rglob("*") if single and file.suffix in SUFFIXES]
        return bool(files) and holds_lama(weights_file(path, ()))
    is_lama = holds_lama(path)
    if not is_lama and path.suffix != ".safetensors":
        raise BadModel(
            f"{path}: not a LaMa, the only model that is read from {path.suffix} files; "
            "a diffusion model is a .safetensors file or a folder"
        )
    return is_lama


def _backend(name: str) -> Any:
    module, _, attribute = INPAINTERS[name].partition(":")
    return getattr(import_module(f".{module}", __name__), attribute)
