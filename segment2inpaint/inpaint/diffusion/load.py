"""A model on disk to an inpainting pipeline of diffusers, whatever its family."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import torch

from segment2inpaint.errors import BadModel, BadOption, Segment2InpaintError
from segment2inpaint.inpaint.diffusion import inspection, single_file
from segment2inpaint.inpaint.diffusion.folder import check_texts, inpaint_class, opened, read_index
from segment2inpaint.inpaint.diffusion.optimization import quantization
from segment2inpaint.models.quiet import quiet_libraries

DTYPES = {
    "float32": torch.float32,
    "fp32": torch.float32,
    "float16": torch.float16,
    "fp16": torch.float16,
    "bfloat16": torch.bfloat16,
    "bf16": torch.bfloat16,
}

# They warn while painting: of what Diffusion says itself, of SDXL's own change of dtype, and
# while compiling.
CHATTER = (
    "diffusers.pipelines.stable_diffusion.safety_checker",
    "diffusers.models.modeling_utils",
    "torch.utils.cpp_extension",
)


def choose_dtype(name: str, device: str) -> torch.dtype:
    """The torch type for ``auto`` or a key of ``DTYPES``; ``auto`` halves where it is faster.

    Raises ``BadOption``. diffusers itself takes an unknown name for float32 without a word.
    """
    if name == "auto":
        if device.startswith("cuda") and torch.cuda.is_bf16_supported():
            return torch.bfloat16
        return torch.float32 if device == "cpu" else torch.float16
    if name not in DTYPES:
        raise BadOption(f"dtype must be auto, {', '.join(DTYPES)}, got {name!r}")
    return DTYPES[name]


def load(model: Path, dtype: torch.dtype, quantize: str | None = None, base: str = "") -> Any:
    """The inpainting pipeline in a folder or file, on the CPU. Never touches the network.

    A file is a .safetensors in the layout of its authors; ``base`` is the model that lends it
    what it lacks, see ``diffusion_file``. Raises ``BadModel``: not a pipeline, a part missing or
    damaged, a family that cannot inpaint from a prompt; ``ModelMissing`` for what a file lacks
    and is not on this machine, or a Kandinsky without its prior; ``BadOption`` for a
    quantization that is not to be had.
    """
    with quiet_libraries("diffusers", "transformers"):
        pipe = _loaded(model, dtype, quantize, base)
    pipe.set_progress_bar_config(disable=True)
    for chatter in CHATTER:
        logging.getLogger(chatter).setLevel(logging.CRITICAL)
    _check_whole(model, pipe)
    return mended(pipe)


def _loaded(model: Path, dtype: torch.dtype, quantize: str | None, base: str) -> Any:
    """The pipeline, errors of three libraries told in a line."""
    contents = inspection.read(model) if model.is_file() else None
    folder = single_file.lender(contents, base) if contents else model
    index = read_index(folder)
    pipeline = inpaint_class(folder, index["_class_name"])
    check_texts(folder, index)
    options: dict[str, Any] = {"local_files_only": True, _dtype_keyword(): dtype}
    if quantize:
        options["quantization_config"] = quantization(quantize, dtype, index)
    try:
        if contents:
            return single_file.opened(contents, folder, index, pipeline, options)
        return opened(folder, index, pipeline, options)
    except Segment2InpaintError:
        raise
    except Exception as error:  # they raise what they like
        using = f" with the rest of {folder}" if contents else ""
        raise BadModel(
            f"{model}: cannot be loaded as {pipeline.__name__}{using}: {_reason(error, folder)}; "
            "get the model again"
        ) from error


def _check_whole(model: Path, pipe: Any) -> None:
    """Raises ``BadModel`` for a network that was filled in part; diffusers leaves that as it is."""
    for part, network in pipe.components.items():
        weights = network.named_parameters() if isinstance(network, torch.nn.Module) else []
        empty = [name for name, weight in weights if weight.is_meta]
        if empty:
            what = f"{len(empty)} tensors of its {part} are missing, such as {empty[0]}"
            raise BadModel(f"{model}: {what}; get the model again")


def _reason(error: Exception, folder: Path) -> str:
    """Its first sentence."""
    told = f"it lacks {error}" if isinstance(error, KeyError) else str(error).strip()
    first = (told or type(error).__name__).split("\n")[0]
    return first.replace(f"{folder}/", "").split(". ")[0].rstrip(".")


def _dtype_keyword() -> str:
    """Renamed in diffusers 1.0; the old name is taken, with a warning, for some versions before."""
    import diffusers

    return "dtype" if int(diffusers.__version__.split(".")[0]) >= 1 else "torch_dtype"


def mended(pipe: Any) -> Any:
    """Chroma's inpainting reads a key that the configuration of its checkpoints lacks."""
    chroma = type(pipe).__name__.startswith("Chroma")
    if chroma and "guidance_embeds" not in pipe.transformer.config:
        pipe.transformer.register_to_config(guidance_embeds=False)
    return pipe
