"""A LoRA's file in the form that diffusers reads."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import safe_open

# Prefix of the tensors, and name of the configuration, of an adapter that peft saved.
PEFT_PREFIX = "base_model.model."
PEFT_CONFIG = "adapter_config.json"


@dataclass(frozen=True)
class LoraSource:
    """The first argument of ``load_lora_weights``, the others, and a factor of the weight."""

    argument: Any
    options: dict[str, Any]
    factor: float = 1.0


def lora_source(file: Path, network: str) -> LoraSource:
    """Return how diffusers reads a LoRA's file for a pipeline with this ``network`` component.

    It reads all formats itself, except peft's: there, the tensors have no network's name, and the
    scale is in a file next to it.
    """
    with safe_open(file, "pt") as header:
        names = list(header.keys())
        if not all(name.startswith(PEFT_PREFIX) for name in names):
            options = {"weight_name": file.name, "local_files_only": True}
            return LoraSource(file.parent, options)
        prefix = f"{network}."
        tensors = {
            prefix + name.removeprefix(PEFT_PREFIX): header.get_tensor(name) for name in names
        }
    return LoraSource(tensors, {}, _peft_factor(file.with_name(PEFT_CONFIG)))


def _peft_factor(path: Path) -> float:
    """Return the scale in peft's configuration, 1 if there is none."""
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        rank, alpha = float(config["r"]), float(config["lora_alpha"])
        return alpha / (math.sqrt(rank) if config.get("use_rslora") else rank)
    except (OSError, ValueError, KeyError, TypeError, ZeroDivisionError):
        return 1.0
