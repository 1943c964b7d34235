"""Models that need few steps: the weights of a LoRA laid over them, and its scheduler."""

from __future__ import annotations

from dataclasses import fields, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from segment2inpaint.errors import BadModel, BadOption
from segment2inpaint.models.catalogue import ModelCard, card, resolve
from segment2inpaint.models.quiet import quiet_libraries
from segment2inpaint.types import Fill


def few_steps(pipe: Any, base: ModelCard, name: str) -> ModelCard:
    """Lay the LoRA of card ``name`` over the pipeline; returns ``base`` with its settings.

    Raises ``BadOption`` for a LoRA of another family and without peft, ``ModelMissing`` if it
    is not on this machine, ``BadModel`` if its file is damaged.
    """
    lora = card(name)
    kind = type(pipe).__name__
    if lora.backend != "lora" or lora.pipeline != kind:
        raise BadOption(f"{name} does not go with {kind}; `models list` shows what there is")
    if find_spec("peft") is None:
        raise BadOption(f"{name} needs the package peft: pip install peft")
    lay_over(pipe, resolve(name, "lora"), lora.files[0])
    _schedule(pipe, lora.scheduler)
    return replace(base, fill=_over(lora.fill, base.fill), remove=_over(lora.fill, base.remove))


def lay_over(pipe: Any, folder: Path, file: str) -> None:
    """Add the weights to the network's own, for good."""
    try:
        with quiet_libraries("diffusers", "transformers"):
            pipe.load_lora_weights(folder, weight_name=file, local_files_only=True)
            pipe.fuse_lora()
            pipe.unload_lora_weights()
    except Exception as error:  # three libraries raise what they like
        reason = (str(error).strip() or type(error).__name__).split("\n")[0]
        raise BadModel(f"{folder / file}: cannot be laid over the model: {reason}") from error


def _schedule(pipe: Any, name: str) -> None:
    """Few steps must end without noise: they are counted from the last one."""
    import diffusers

    kind = getattr(diffusers, name)
    pipe.scheduler = kind.from_config(pipe.scheduler.config, timestep_spacing="trailing")


def _over(first: Fill, second: Fill) -> Fill:
    """What the first says, else what the second says."""
    said = {f.name: getattr(first, f.name) for f in fields(Fill)}
    plain = Fill()
    return replace(second, **{k: v for k, v in said.items() if v != getattr(plain, k)})
