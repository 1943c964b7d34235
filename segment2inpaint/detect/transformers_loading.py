"""Load models of transformers from a folder, completely or not at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from segment2inpaint.errors import BadModel, ModelMissing
from segment2inpaint.models.quiet import quiet_libraries


def model_type(folder: Path) -> str:
    """Return the ``model_type`` in the ``config.json`` of a folder. Raises ``BadModel``."""
    path = folder / "config.json"
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["model_type"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadModel(f"{folder}: not a model of transformers: {path.name}: {error}") from error


def load(folder: Path, model_class: str, processor_class: str) -> tuple[Any, Any]:
    """Return a model, float32 and on the CPU, and its processor. Never download anything.

    Raises ``BadModel`` for a folder that cannot be loaded or lacks tensors, ``ModelMissing`` for
    a package that is not installed or too old.
    """
    with quiet_libraries("transformers"):
        model, processor, missing = _load_parts(folder, model_class, processor_class)
    if missing:
        raise BadModel(
            f"{folder}: {len(missing)} tensors of {model_class} are missing, such as {missing[0]}"
        )
    return model.eval().requires_grad_(False), processor


def _load_parts(folder: Path, model_class: str, processor_class: str) -> tuple[Any, Any, list[str]]:
    """Return the model, its processor and the names of the tensors that the folder lacks."""
    import transformers

    if not hasattr(transformers, model_class):
        version = transformers.__version__
        raise ModelMissing(
            f"{folder}: transformers {version} has no {model_class}; install a newer version"
        )
    offline = {"local_files_only": True}
    try:
        model, report = getattr(transformers, model_class).from_pretrained(
            folder, use_safetensors=True, output_loading_info=True, dtype=torch.float32, **offline
        )
        processor = getattr(transformers, processor_class).from_pretrained(folder, **offline)
    except ImportError as error:
        reason = str(error).strip().split("\n")[0]
        raise ModelMissing(f"{folder}: {model_class} needs a package: {reason}") from error
    except Exception as error:  # the library raises errors of any type for a damaged folder
        reason = (str(error).strip() or type(error).__name__).split("\n")[0].split(". ")[0]
        raise BadModel(f"{folder}: cannot be loaded as {model_class}: {reason}") from error
    return model, processor, sorted(report["missing_keys"])
