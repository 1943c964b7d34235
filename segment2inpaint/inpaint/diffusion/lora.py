"""LoRAs that let a model work in few steps: their weights, scheduler and settings."""

from __future__ import annotations

from dataclasses import fields, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from segment2inpaint.errors import BadModel, BadOption
from segment2inpaint.models.catalogue import ModelCard, card, resolve
from segment2inpaint.models.quiet import quiet_libraries
from segment2inpaint.types import Fill


def apply_lora(pipe: Any, base: ModelCard, name: str) -> ModelCard:
    """Merge the LoRA of card ``name`` into the pipeline; return ``base`` with its settings.

    Raises ``BadOption`` for a LoRA of another family or without peft, ``ModelMissing`` if the LoRA
    is not on this machine, ``BadModel`` if its file is damaged.
    """
    lora = card(name)
    kind = type(pipe).__name__
    if lora.backend != "lora" or lora.pipeline != kind:
        raise BadOption(f"{name} does not fit {kind}; `models list` shows the LoRAs")
    if find_spec("peft") is None:
        raise BadOption(f"{name} needs the package peft: pip install peft")
    _merge_weights(pipe, resolve(name, "lora"), lora.files[0])
    set_scheduler(pipe, lora.scheduler)
    return replace(
        base,
        fill=_override(base.fill, lora.fill),
        remove=_override(base.remove, lora.fill),
    )


def _merge_weights(pipe: Any, folder: Path, file: str) -> None:
    """Add the LoRA's weights to the network's own, permanently."""
    try:
        with quiet_libraries("diffusers", "transformers"):
            pipe.load_lora_weights(folder, weight_name=file, local_files_only=True)
            pipe.fuse_lora()
            pipe.unload_lora_weights()
    except Exception as error:  # three libraries raise errors of any class
        reason = (str(error).strip() or type(error).__name__).split("\n")[0]
        raise BadModel(
            f"{folder / file}: this LoRA cannot be merged into the model: {reason}"
        ) from error


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
