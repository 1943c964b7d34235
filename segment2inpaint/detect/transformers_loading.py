"""Models of transformers from a folder, whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from segment2inpaint.errors import BadModel, ModelMissing
from segment2inpaint.models.quiet import quiet_libraries


def model_type(model: Path) -> str:
    """What kind of model ``config.json`` says a folder holds. Raises ``BadModel``."""
    path = model / "config.json"
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["model_type"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadModel(f"{model}: no model of transformers here: {path.name}: {error}") from error


def load(model: Path, model_class: str, processor_class: str) -> tuple[Any, Any]:
    """A model in float32 on the CPU, and its processor. Never touches the network.

    Raises ``BadModel``, ``ModelMissing`` for a package that is not installed.
    """
    with quiet_libraries("transformers"):
        network, processor, missing = _loaded(model, model_class, processor_class)
    if missing:
        what = f"{len(missing)} tensors of {model_class}"
        raise BadModel(f"{model}: {what} are not there, such as {missing[0]}")
    return network.eval().requires_grad_(False), processor


def _loaded(model: Path, model_class: str, processor_class: str) -> tuple[Any, Any, list[str]]:
    """Both, and the names of the tensors that the folder lacks."""
    import transformers

    if not hasattr(transformers, model_class):
        version = transformers.__version__
        raise ModelMissing(f"{model}: transformers {version} has no {model_class}, get a newer one")
    here = {"local_files_only": True}
    try:
        network, report = getattr(transformers, model_class).from_pretrained(
            model, use_safetensors=True, output_loading_info=True, dtype=torch.float32, **here
        )
        processor = getattr(transformers, processor_class).from_pretrained(model, **here)
    except ImportError as error:
        package = "timm" if "timm" in str(error) else str(error).strip().split("\n")[0]
        raise ModelMissing(f"{model}: {model_class} needs {package}: pip install timm") from error
    except Exception as error:  # the library raises what it likes
        reason = (str(error).strip() or type(error).__name__).split("\n")[0].split(". ")[0]
        raise BadModel(f"{model}: cannot be loaded as {model_class}: {reason}") from error
    return network, processor, sorted(report["missing_keys"])
