"""Loading of a model on disk as an inpainting pipeline of diffusers, for any family."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import torch

from segment2inpaint.errors import BadModel, BadOption, Segment2InpaintError
from segment2inpaint.inpaint.diffusion import single_file
from segment2inpaint.inpaint.diffusion.components import (
    check_missing,
    empty_tensors,
    first_sentence,
)
from segment2inpaint.inpaint.diffusion.folder import (
    check_components,
    find_inpaint_class,
    open_folder,
    read_index,
)
from segment2inpaint.inpaint.diffusion.inspection import inspect_file
from segment2inpaint.inpaint.diffusion.optimization import quantization_config
from segment2inpaint.models.quiet import quiet_libraries

DTYPES = {
    "float32": torch.float32,
    "fp32": torch.float32,
    "float16": torch.float16,
    "fp16": torch.float16,
    "bfloat16": torch.bfloat16,
    "bf16": torch.bfloat16,
}

# These loggers warn while painting: about refused results, which ``call.paint`` reports itself,
# about SDXL's own change of dtype, and about the compiler.
NOISY_LOGGERS = (
    "diffusers.pipelines.stable_diffusion.safety_checker",
    "diffusers.models.modeling_utils",
    "torch.utils.cpp_extension",
)


def choose_dtype(name: str, device: str) -> torch.dtype:
    """Return the torch type for ``auto`` or a key of ``DTYPES``.

    ``auto`` is a 16-bit type on a GPU, where it is faster, and float32 on a CPU. Raises
    ``BadOption``; diffusers itself would use float32 for an unknown name, without an error.
    """
    if name == "auto":
        if device.startswith("cuda") and torch.cuda.is_bf16_supported():
            return torch.bfloat16
        return torch.float32 if device == "cpu" else torch.float16
    if name not in DTYPES:
        raise BadOption(f"dtype must be auto, {', '.join(DTYPES)}, got {name!r}")
    return DTYPES[name]


def load_pipeline(
    model: Path, dtype: torch.dtype, quantize: str | None = None, base: str = ""
) -> Any:
    """Return the inpainting pipeline in a folder or file, on the CPU, without network access.

    A file is a .safetensors with its authors' tensor names; ``base`` is the model that supplies
    what the file lacks, see ``single_file``. Raises ``BadModel`` if there is no pipeline, a
    component is missing or damaged, or the family cannot inpaint from a prompt; ``ModelMissing``
    if the base model or the prior of a Kandinsky is not on this machine; ``BadOption`` for a
    quantization that is unavailable.
    """
    with quiet_libraries("diffusers", "transformers"):
        pipe = _open_model(model, dtype, quantize, base)
    pipe.set_progress_bar_config(disable=True)
    for name in NOISY_LOGGERS:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    _check_complete(model, pipe)
    _complete_chroma_config(pipe)
    return pipe


def _open_model(model: Path, dtype: torch.dtype, quantize: str | None, base: str) -> Any:
    """Return the pipeline, and raise the errors of three libraries as one-line ``BadModel``."""
    checkpoint = inspect_file(model) if model.is_file() else None
    folder = single_file.find_base(checkpoint, base) if checkpoint else model
    index = read_index(folder)
    pipeline = find_inpaint_class(folder, index["_class_name"])
    supplied = single_file.supplied_components(checkpoint, folder, index) if checkpoint else set()
    check_components(folder, index, pipeline, supplied)
    options: dict[str, Any] = {"local_files_only": True, _dtype_keyword(): dtype}
    if quantize:
        options["quantization_config"] = quantization_config(quantize, dtype, index)
    try:
        if checkpoint:
            return single_file.open_file(checkpoint, folder, index, pipeline, options)
        return open_folder(folder, index, pipeline, options)
    except Segment2InpaintError:
        raise
    except Exception as error:  # the libraries raise errors of any class
        using = f" with the rest of {folder}" if checkpoint else ""
        reason = first_sentence(error, folder)
        raise BadModel(
            f"{model}: cannot be loaded as {pipeline.__name__}{using}: {reason}; "
            "get the model again"
        ) from error


def _check_complete(model: Path, pipe: Any) -> None:
    """Raise ``BadModel`` for a network with missing tensors, which diffusers leaves empty."""
    for component, network in pipe.components.items():
        if isinstance(network, torch.nn.Module):
            check_missing(model, component, empty_tensors(network))


def _dtype_keyword() -> str:
    """Return the name of the dtype argument, which diffusers 1.0 renames."""
    import diffusers

    return "dtype" if int(diffusers.__version__.split(".")[0]) >= 1 else "torch_dtype"


def _complete_chroma_config(pipe: Any) -> None:
    """Set a key that Chroma's inpainting reads and its checkpoints' configuration lacks."""
    is_chroma = type(pipe).__name__.startswith("Chroma")
    if is_chroma and "guidance_embeds" not in pipe.transformer.config:
        pipe.transformer.register_to_config(guidance_embeds=False)
