"""LoRAs by card, path or hub id: their files, weights, scheduler and settings."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open

from segment2inpaint import extras
from segment2inpaint.errors import BadModel, BadOption, ModelMissing
from segment2inpaint.inpaint.diffusion.lora_file import LoraSource, lora_source
from segment2inpaint.models.catalogue import (
    ModelCard,
    candidate_folders,
    card,
    cards,
    download_command,
    resolve,
)
from segment2inpaint.models.quiet import quiet_libraries
from segment2inpaint.types import Fill

if TYPE_CHECKING:
    import torch

# Name of the file in which diffusers and peft save a LoRA.
LORA_FILE_NAMES = ("pytorch_lora_weights.safetensors", "adapter_model.safetensors")
# Parts of the names of a LoRA's tensors, and of those of its relatives that diffusers reads.
LORA_MARKS = ("lora", "lokr_")
# A LoRA of latent consistency needs another scheduler, and its tensors do not tell.
LCM_MARK = "lcm"


@dataclass(frozen=True)
class Lora:
    """A LoRA: its card, the weight to add it with, and the path that it was named by, if any.

    The card of a LoRA without one has no settings.
    """

    card: ModelCard
    weight: float
    path: Path | None = None

    @property
    def file(self) -> Path:
        """The file with its weights. Raises ``ModelMissing`` if it is not on this machine."""
        return self.path or resolve(self.card.name, "lora") / self.card.files[0]


def find_lora(spec: str) -> Lora:
    """Return the LoRA of ``LORA`` or ``LORA@WEIGHT``: a card, a file, a folder or a hub id.

    Only the header of the file is read. Raises ``BadOption`` for a card of another kind or a
    weight that is no number, ``ModelMissing`` for a path or hub id that is not on this machine,
    ``BadModel`` for a file that is damaged or no LoRA.
    """
    name, weight = _split_weight(spec)
    known = next((c for c in cards() if name in (c.name, c.repo)), None)
    if known and not Path(name).expanduser().exists():
        if known.backend != "lora":
            raise BadOption(f"{name} is not a LoRA; `models list` shows the LoRAs")
        return Lora(known, known.lora_weight if weight is None else weight)
    file = _find_file(name)
    check_header(file)
    return Lora(ModelCard(str(file), str(file), ""), 1.0 if weight is None else weight, file)


def _split_weight(spec: str) -> tuple[str, float | None]:
    """Return the LoRA's name and its weight, None for the default one."""
    name, at, text = spec.rpartition("@")
    if not at or Path(spec).expanduser().exists():
        return spec, None
    try:
        weight = float(text)
    except ValueError:
        weight = math.nan
    if not math.isfinite(weight):
        raise BadOption(f"{spec}: the weight of a LoRA must be a number, got {text!r}; try 0.8")
    return name, weight


def _find_file(name: str) -> Path:
    """Return the file of a path or a hub id. Raises ``ModelMissing`` and ``BadModel``."""
    path = Path(name).expanduser()
    if path.is_file():
        return path
    if path.is_dir():
        return _only_file(path)
    if path.suffix or name.startswith((".", "~")) or len(path.parts) != 2:
        known = ", ".join(c.name for c in cards() if c.backend == "lora")
        raise ModelMissing(
            f"{name}: no such LoRA; expected a .safetensors file, a hub id, or one of {known}"
        )
    folders = [f for f in candidate_folders(card(name)) if any(f.glob("*.safetensors"))]
    if not folders:
        raise ModelMissing(
            f"LoRA {name} is not on this machine; get it with: {download_command(name)}"
        )
    return _only_file(folders[0])


def _only_file(folder: Path) -> Path:
    """Return the LoRA's file in a folder. Raises ``BadModel`` if there is none or a choice."""
    files = sorted(folder.glob("*.safetensors"))
    usual = [file for file in files if file.name in LORA_FILE_NAMES]
    if len(files) != 1 and not usual:
        names = ", ".join(file.name for file in files[:3]) or "none"
        raise BadModel(
            f"{folder}: expected one LoRA as .safetensors, got {len(files)} ({names}); "
            "name a file by its path"
        )
    return (usual or files)[0]


def check_header(file: Path) -> None:
    """Raise ``BadModel`` for a file that is not .safetensors or has no tensors of a LoRA."""
    try:
        with safe_open(file, "pt") as header:
            names = list(header.keys())
    except (SafetensorError, OSError) as error:
        raise BadModel(
            f"{file}: not a readable .safetensors file, expected a LoRA; get it again"
        ) from error
    if not any(mark in name.lower() for name in names for mark in LORA_MARKS):
        first = names[0] if names else "nothing"
        raise BadModel(f"{file}: not a LoRA, none of its {len(names)} tensors is (it has {first})")


def apply_lora(pipe: Any, base: ModelCard, lora: Lora) -> ModelCard:
    """Merge a LoRA into the pipeline; return ``base`` with the LoRA's settings.

    Raises ``BadModel`` if diffusers cannot merge it.
    """
    fuse_weights(pipe, lora.file, lora.weight)
    return with_settings(pipe, base, _settings_card(lora, type(pipe).__name__))


def with_settings(pipe: Any, base: ModelCard, lora: ModelCard) -> ModelCard:
    """Return ``base`` with the settings of a LoRA's card; give the pipeline its scheduler."""
    if lora.scheduler:
        set_scheduler(pipe, lora.scheduler)
    return replace(
        base,
        fill=_override(base.fill, lora.fill),
        remove=_override(_override(base.remove, lora.fill), lora.remove),
        removal=base.removal or lora.removal,
        edits=base.edits or lora.edits,
        input_spec=lora.input_spec or base.input_spec,
        outlines=lora.outlines,
        removes_only=lora.removes_only,
    )


def _settings_card(lora: Lora, pipeline: str) -> ModelCard:
    """Return the card with the LoRA's settings: its own, or that of the family's LCM LoRA."""
    if not lora.path or LCM_MARK not in lora.path.stem.lower():
        return lora.card
    similar = [c for c in cards() if c.scheduler == "LCMScheduler" and c.pipeline == pipeline]
    return similar[0] if similar else lora.card


def check_package(name: str) -> None:
    """Raise ``PackageMissing`` if peft is not installed, which merges a LoRA."""
    extras.require("few-step", f"the LoRA {name}")


def fuse_weights(
    pipe: Any, file: Path, weight: float, tensors: dict[str, torch.Tensor] | None = None
) -> None:
    """Add a LoRA's weights, times ``weight``, to the network's own, permanently.

    They are ``tensors``, or else those in the file. Raises ``BadModel``.
    """
    network = "unet" if hasattr(pipe, "unet") else "transformer"
    try:
        source = LoraSource(tensors, {}) if tensors else lora_source(file, network)
        with quiet_libraries("diffusers", "transformers"):
            pipe.load_lora_weights(source.argument, **source.options)
            pipe.fuse_lora(lora_scale=weight * source.factor)
            pipe.unload_lora_weights()
    except Exception as error:  # three libraries raise errors of any class
        reason = (str(error).strip() or type(error).__name__).split("\n")[0]
        raise BadModel(f"{file}: this LoRA cannot be merged into the model: {reason}") from error


def set_scheduler(pipe: Any, name: str) -> None:
    """Give the pipeline a scheduler of diffusers, with "trailing" timesteps.

    With few steps the last one must end without noise, so timesteps are counted from the end.
    """
    import diffusers

    kind = getattr(diffusers, name)
    pipe.scheduler = kind.from_config(pipe.scheduler.config, timestep_spacing="trailing")


def _override(fill: Fill, overrides: Fill) -> Fill:
    """Return ``fill`` with the values of ``overrides`` that are not the defaults."""
    defaults = Fill()
    values = {f.name: getattr(overrides, f.name) for f in fields(Fill)}
    return replace(fill, **{k: v for k, v in values.items() if v != getattr(defaults, k)})
