"""Diffusion pipelines made to fit and to hurry: offload, compilation, attention, quantization."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from inspect import getsource
from typing import Any

import torch

from segment2inpaint.errors import BadOption
from segment2inpaint.inpaint.diffusion.attention import attend
from segment2inpaint.models.device import free_memory
from segment2inpaint.protocols import RuntimeOptions

OFFLOADS = ("auto", "none", "model", "group")
QUANTIZED = ("transformer", "unet", "text_encoder", "text_encoder_2", "text_encoder_3")
NEEDS = {
    "8bit": "torchao or bitsandbytes: pip install torchao",
    "4bit": "bitsandbytes, or torchao and mslk: pip install bitsandbytes",
}
ROOM = 0.7  # share of the free memory that weights may take, the rest is for what they compute
LARGE = 1536 * 1536  # pixels from which a decoder works tile by tile


def placed(pipe: Any, place: str, tuning: RuntimeOptions) -> Any:
    """The pipeline where it is to run, as ``tuning`` says. Raises ``BadOption``."""
    how = offload(pipe, place, tuning.offload)
    if tuning.attention:
        attend(network(pipe), tuning.attention, place)
    if tuning.block_cache:
        _cache_blocks(pipe, tuning.block_cache)
    _channels_last(pipe)
    if hasattr(getattr(pipe, "vae", None), "enable_tiling"):
        _tile(pipe.vae)
    if how == "model":
        pipe.enable_model_cpu_offload(device=place)
    elif how == "group":
        stream = place.startswith("cuda")
        pipe.enable_group_offload(torch.device(place), offload_type="leaf_level", use_stream=stream)
    else:
        pipe.to(place)
    if tuning.compile:
        _compile(network(pipe))
    return pipe


def network(pipe: Any) -> Any:
    """The part that runs at every step."""
    return getattr(pipe, "unet", None) or pipe.transformer


def offload(pipe: Any, place: str, wanted: str) -> str:
    """``none``, ``model`` or ``group``: what was asked for, or what the memory asks for.

    Raises ``BadOption`` for another word, and for offloading from a CPU.
    """
    if wanted not in OFFLOADS:
        raise BadOption(f"offload must be {', '.join(OFFLOADS)}, got {wanted!r}")
    if wanted in ("model", "group") and place == "cpu":
        raise BadOption(f"--offload {wanted} keeps weights off a GPU, and this runs on the CPU")
    if wanted != "auto":
        return wanted
    if not place.startswith("cuda"):
        return "none"
    free = free_memory(place)
    sizes = [sum(w.nbytes for w in part.parameters()) for part in _networks(pipe)]
    return fitting_offload(sizes, free)


def fitting_offload(sizes: list[int], free: int) -> str:
    """How networks of so many bytes fit into the free ones: all, one at a time, or in pieces."""
    if sum(sizes) <= ROOM * free:
        return "none"
    return "model" if max(sizes) <= ROOM * free else "group"


def _networks(pipe: Any) -> Iterator[torch.nn.Module]:
    return (part for part in pipe.components.values() if isinstance(part, torch.nn.Module))


def _channels_last(pipe: Any) -> None:
    """Convolutions are quicker so, on a CPU and with tensor cores; the numbers are the same."""
    for part in _networks(pipe):
        if {4} == {weight.ndim for weight in part.parameters()} & {4, 5}:
            part.to(memory_format=torch.channels_last)


def _tile(vae: Any) -> None:
    """Large pictures are decoded tile by tile; native sizes of all families stay whole."""
    side = int(LARGE**0.5)
    if hasattr(vae, "tile_sample_min_size") and hasattr(vae, "tile_latent_min_size"):
        ratio = vae.tile_sample_min_size // vae.tile_latent_min_size or 1
        vae.tile_sample_min_size, vae.tile_latent_min_size = side, side // ratio
        vae.enable_tiling()


def _cache_blocks(pipe: Any, share: float) -> None:
    """Raises ``BadOption`` for a pipeline that cannot: most do not say which pass they are in."""
    from diffusers import FirstBlockCacheConfig

    part = network(pipe)
    if not hasattr(part, "cache_context") or "cache_context" not in getsource(type(pipe)):
        raise BadOption(f"--block-cache is of no effect on {type(pipe).__name__}; leave it")
    part.enable_cache(FirstBlockCacheConfig(threshold=share))


def _compile(part: Any) -> None:
    """Its repeated blocks, which takes less time than the whole; the whole if it names none."""
    try:
        part.compile_repeated_blocks(fullgraph=True)
    except ValueError:
        part.compile()


def quantizers() -> dict[str, str]:
    """For ``8bit`` and ``4bit`` the installed library that does it, if there is one."""
    torchao, bnb, kernels = (bool(find_spec(name)) for name in ("torchao", "bitsandbytes", "mslk"))
    eight = "torchao" if torchao else "bitsandbytes" if bnb else ""
    four = "bitsandbytes" if bnb else "torchao" if torchao and kernels else ""
    return {bits: name for bits, name in (("8bit", eight), ("4bit", four)) if name}


def quantization(bits: str, dtype: torch.dtype, index: dict[str, Any]) -> Any:
    """What diffusers is told to keep weights in 8 or 4 bits. Raises ``BadOption``."""
    from diffusers import PipelineQuantizationConfig

    if bits not in NEEDS:
        raise BadOption(f"quantize must be 8bit or 4bit, got {bits!r}")
    name = quantizers().get(bits)
    if name is None:
        raise BadOption(f"--quantize {bits} needs {NEEDS[bits]}")
    libraries = {part: (index.get(part) or [None])[0] for part in QUANTIZED}
    made = {
        part: _torchao(bits, library) if name == "torchao" else _bitsandbytes(bits, dtype, library)
        for part, library in libraries.items()
        if library in ("diffusers", "transformers")
    }
    return PipelineQuantizationConfig(quant_mapping=made)


def _torchao(bits: str, library: str) -> Any:
    """diffusers and transformers each have a class of their own for it."""
    from torchao import quantization as ao

    kind = ao.Int8WeightOnlyConfig if bits == "8bit" else ao.Int4WeightOnlyConfig
    return import_module(library).TorchAoConfig(kind())


def quantize(part: Any, config: Any) -> None:
    """Keep the weights of a network that is loaded already in fewer bits. Raises ``BadOption``
    for a configuration that is not torchao's."""
    if type(config).__name__ != "TorchAoConfig":
        raise BadOption("--quantize of a model in one file is by torchao only; name its folder")
    from torchao.quantization import quantize_

    quantize_(part, config.quant_type)


def _bitsandbytes(bits: str, dtype: torch.dtype, library: str) -> Any:
    made = import_module(library).BitsAndBytesConfig
    if bits == "8bit":
        return made(load_in_8bit=True)
    return made(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=dtype)
