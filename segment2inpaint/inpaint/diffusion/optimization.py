"""Lower memory use and run time of pipelines: offloading, compilation, attention, quantization."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from inspect import getsource
from typing import Any

import torch

from segment2inpaint.errors import BadOption
from segment2inpaint.extras import install_command
from segment2inpaint.inpaint.diffusion.attention import set_attention
from segment2inpaint.models.device import free_memory
from segment2inpaint.protocols import RuntimeOptions

OFFLOAD_MODES = ("auto", "none", "model", "group")
QUANTIZED_COMPONENTS = (
    "transformer",
    "unet",
    "text_encoder",
    "text_encoder_2",
    "text_encoder_3",
)
# The packages that each quantization needs.
QUANTIZATION_PACKAGES = {
    "8bit": f"torchao or bitsandbytes: {install_command('quantize')}",
    "4bit": "bitsandbytes, or torchao and mslk: pip install bitsandbytes",
}
# Share of the free memory that weights may fill; the rest is for activations.
MAX_WEIGHT_SHARE = 0.7
# A larger image, in px, is decoded in tiles. The native sizes of all families are smaller.
MAX_UNTILED_AREA = 1536 * 1536


def place_pipeline(pipe: Any, device: str, runtime: RuntimeOptions) -> Any:
    """Move the pipeline to its device and apply the options. Raises ``BadOption``."""
    offload = _choose_offload(pipe, device, runtime.offload)
    if runtime.attention:
        set_attention(_main_network(pipe), runtime.attention, device)
    if runtime.block_cache:
        _enable_block_cache(pipe, runtime.block_cache)
    _use_channels_last(pipe)
    if hasattr(getattr(pipe, "vae", None), "enable_tiling"):
        _enable_tiling(pipe.vae)
    if offload == "model":
        pipe.enable_model_cpu_offload(device=device)
    elif offload == "group":
        pipe.enable_group_offload(
            torch.device(device),
            offload_type="leaf_level",
            use_stream=device.startswith("cuda"),
        )
    else:
        pipe.to(device)
    if runtime.compile:
        _compile(_main_network(pipe))
    return pipe


def _main_network(pipe: Any) -> Any:
    """Return the network that runs at every step."""
    return getattr(pipe, "unet", None) or pipe.transformer


# --- offloading ---------------------------------------------------------------------------------


def _choose_offload(pipe: Any, device: str, mode: str) -> str:
    """Return ``none``, ``model`` or ``group``; ``auto`` goes by the free memory.

    Raises ``BadOption`` for an unknown mode, and for offloading on a CPU.
    """
    if mode not in OFFLOAD_MODES:
        raise BadOption(f"offload must be {', '.join(OFFLOAD_MODES)}, got {mode!r}")
    if mode in ("model", "group") and device == "cpu":
        raise BadOption(f"--offload {mode} keeps weights off a GPU, and this runs on the CPU")
    if mode != "auto":
        return mode
    if not device.startswith("cuda"):
        return "none"
    sizes = [sum(w.nbytes for w in network.parameters()) for network in _networks(pipe)]
    return fitting_offload(sizes, free_memory(device))


def fitting_offload(sizes: list[int], free: int) -> str:
    """Return the offload mode for networks of these sizes, in bytes.

    ``none`` if all fit into ``free`` bytes together, ``model`` if each fits alone, else ``group``.
    """
    if sum(sizes) <= MAX_WEIGHT_SHARE * free:
        return "none"
    return "model" if max(sizes) <= MAX_WEIGHT_SHARE * free else "group"


def _networks(pipe: Any) -> Iterator[torch.nn.Module]:
    return (c for c in pipe.components.values() if isinstance(c, torch.nn.Module))


# --- run time -----------------------------------------------------------------------------------


def _use_channels_last(pipe: Any) -> None:
    """Use the memory layout in which convolutions are faster; results stay the same."""
    for network in _networks(pipe):
        if {4} == {weight.ndim for weight in network.parameters()} & {4, 5}:
            network.to(memory_format=torch.channels_last)


def _enable_tiling(vae: Any) -> None:
    """Decode images above ``MAX_UNTILED_AREA`` tile by tile."""
    side = int(MAX_UNTILED_AREA**0.5)
    if hasattr(vae, "tile_sample_min_size") and hasattr(vae, "tile_latent_min_size"):
        ratio = vae.tile_sample_min_size // vae.tile_latent_min_size or 1
        vae.tile_sample_min_size, vae.tile_latent_min_size = side, side // ratio
        vae.enable_tiling()


def _enable_block_cache(pipe: Any, threshold: float) -> None:
    """Cache the first block's output. Raises ``BadOption`` for a pipeline without support.

    Most pipelines do not mark which pass of the guidance they are in, which the cache needs.
    """
    from diffusers import FirstBlockCacheConfig

    network = _main_network(pipe)
    if not hasattr(network, "cache_context") or "cache_context" not in getsource(type(pipe)):
        raise BadOption(f"--block-cache has no effect on {type(pipe).__name__}; omit it")
    network.enable_cache(FirstBlockCacheConfig(threshold=threshold))


def _compile(network: Any) -> None:
    """Compile the repeated blocks, which is quicker than the whole; the whole if it names none."""
    try:
        network.compile_repeated_blocks(fullgraph=True)
    except ValueError:
        network.compile()


# --- quantization -------------------------------------------------------------------------------


def installed_quantizers() -> dict[str, str]:
    """Return the installed library for ``8bit`` and ``4bit``; a key is absent without one."""
    torchao, bnb, mslk = (bool(find_spec(name)) for name in ("torchao", "bitsandbytes", "mslk"))
    eight = "torchao" if torchao else "bitsandbytes" if bnb else ""
    four = "bitsandbytes" if bnb else "torchao" if torchao and mslk else ""
    return {bits: name for bits, name in (("8bit", eight), ("4bit", four)) if name}


def quantization_config(bits: str, dtype: torch.dtype, index: dict[str, Any]) -> Any:
    """Return diffusers' configuration for weights in 8 or 4 bits. Raises ``BadOption``."""
    from diffusers import PipelineQuantizationConfig

    if bits not in QUANTIZATION_PACKAGES:
        raise BadOption(f"quantize must be 8bit or 4bit, got {bits!r}")
    quantizer = installed_quantizers().get(bits)
    if quantizer is None:
        raise BadOption(f"--quantize {bits} needs {QUANTIZATION_PACKAGES[bits]}")
    mapping = {}
    for component in QUANTIZED_COMPONENTS:
        library = (index.get(component) or [None])[0]
        if library not in ("diffusers", "transformers"):
            continue
        if quantizer == "torchao":
            mapping[component] = _torchao_config(bits, library)
        else:
            mapping[component] = _bitsandbytes_config(bits, dtype, library)
    return PipelineQuantizationConfig(quant_mapping=mapping)


def _torchao_config(bits: str, library: str) -> Any:
    """Return the configuration; diffusers and transformers each have their own class for it."""
    from torchao import quantization

    kind = (
        quantization.Int8WeightOnlyConfig if bits == "8bit" else quantization.Int4WeightOnlyConfig
    )
    return import_module(library).TorchAoConfig(kind())


def _bitsandbytes_config(bits: str, dtype: torch.dtype, library: str) -> Any:
    kind = import_module(library).BitsAndBytesConfig
    if bits == "8bit":
        return kind(load_in_8bit=True)
    return kind(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=dtype)


def quantize_network(network: Any, config: Any) -> None:
    """Quantize a loaded network in place.

    Raises ``BadOption`` for a configuration that is not torchao's.
    """
    if type(config).__name__ != "TorchAoConfig":
        raise BadOption("--quantize of a model in one file needs torchao; or name its folder")
    from torchao.quantization import quantize_

    quantize_(network, config.quant_type)
