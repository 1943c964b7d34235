"""Models of transformers from a folder, whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from segment2inpaint.types import BadModel, ModelMissing


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
    import transformers

    if not hasattr(transformers, model_class):
        version = transformers.__version__
        raise ModelMissing(f"{model}: transformers {version} has no {model_class}, get a newer one")
    here = {"local_files_only": True}
    try:
        with _quiet():
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
    if report["missing_keys"]:
        count, first = len(report["missing_keys"]), sorted(report["missing_keys"])[0]
        raise BadModel(f"{model}: {count} tensors of {model_class} are not there, such as {first}")
    return network.eval().requires_grad_(False), processor


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the library from telling of the tensors that it loads and of those it leaves."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity(logging.CRITICAL)
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
