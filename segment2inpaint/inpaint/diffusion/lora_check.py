"""The check of a LoRA against a model's family, before the model's weights are read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from segment2inpaint.errors import BadOption
from segment2inpaint.inpaint.diffusion.folder import find_inpaint_class, read_index
from segment2inpaint.inpaint.diffusion.inspection import inspect_file
from segment2inpaint.inpaint.diffusion.lora import Lora, check_header
from segment2inpaint.inpaint.diffusion.lora_file import lora_source
from segment2inpaint.inpaint.diffusion.single_file import find_base
from segment2inpaint.models.quiet import quiet_libraries

# The pair of matrices that a LoRA adds to a layer, in the names of peft.
DOWN, UP = ".lora_A", ".lora_B"
NETWORK_PREFIX = re.compile(r"^(unet|transformer)\.")


def check_fit(lora: Lora, model: Path, base: str = "") -> None:
    """Raise ``BadOption`` for a LoRA of another family than the model in a folder or file.

    The LoRA's layers are compared with those of the model's network, of which only the
    configuration is read. ``base`` is as in ``load_pipeline``. Raises ``ModelMissing`` for a LoRA
    that is not on this machine, ``BadModel`` for a damaged one.
    """
    folder = find_base(inspect_file(model), base) if model.is_file() else model
    index = read_index(folder)
    pipeline = find_inpaint_class(folder, index["_class_name"])
    if not lora.path and lora.card.pipeline != pipeline.__name__:
        raise BadOption(
            f"{lora.card.name} does not fit {pipeline.__name__}, expected "
            f"{lora.card.pipeline}; `models list` shows the LoRAs"
        )
    check_header(lora.file)
    with quiet_libraries("diffusers", "transformers"):
        network = _empty_network(folder, index)
        layers = _lora_layers(pipeline, network, lora.file)
    _check_layers(lora.file, model, network, layers)


def _empty_network(folder: Path, index: Mapping[str, Any]) -> Any:
    """Return the model's main network without memory for its weights."""
    import diffusers

    name = "unet" if "unet" in index else "transformer"
    kind = getattr(diffusers, index[name][1])
    with torch.device("meta"):
        return kind.from_config(kind.load_config(folder / name, local_files_only=True))


def _lora_layers(pipeline: Any, network: Any, file: Path) -> dict[str, torch.Tensor]:
    """Return the LoRA's tensors for the main network by peft's names; {} for foreign names."""
    from diffusers.utils import convert_unet_state_dict_to_peft

    is_unet = type(network).__name__.startswith("UNet")
    source = lora_source(file, "unet" if is_unet else "transformer")
    options = {"unet_config": network.config} if is_unet else {}
    try:
        converted = pipeline.lora_state_dict(source.argument, **source.options, **options)
        tensors = converted[0] if isinstance(converted, tuple) else converted
        tensors = convert_unet_state_dict_to_peft(tensors) if is_unet else tensors
    # The converters raise errors of any class for the names of another family.
    except Exception:  # noqa: BLE001
        return {}
    other = ("text_encoder", "text_encoder_2", "lora_te")
    mine = {name: tensor for name, tensor in tensors.items() if not name.startswith(other)}
    return {NETWORK_PREFIX.sub("", name): tensor for name, tensor in mine.items()}


def _check_layers(
    file: Path, model: Path, network: Any, layers: Mapping[str, torch.Tensor]
) -> None:
    """Raise ``BadOption`` if a layer of the LoRA is not in the network or has another width."""
    modules = dict(network.named_modules())
    pairs = {name: t for name, t in layers.items() if DOWN in name or UP in name}
    wrong = [f for name, t in pairs.items() if (f := _misfit(modules, name, t))]
    if pairs and not wrong:
        return
    if not pairs and any("lokr_" in name for name in layers):
        return  # diffusers checks these while it merges them
    detail = f"{len(wrong)} of {len(pairs)} tensors differ, such as {wrong[0]}" if wrong else ""
    raise BadOption(
        f"{file}: this LoRA is not for the family of {model} ({type(network).__name__}): "
        f"{detail or 'it has none of its layers'}; use a LoRA of the same family"
    )


def _misfit(modules: Mapping[str, Any], name: str, tensor: torch.Tensor) -> str:
    """Return what is wrong with a LoRA's tensor, "" if it fits its layer."""
    layer = re.split(r"\.lora_[AB]", name)[0]
    weight = getattr(modules.get(layer), "weight", None)
    if weight is None:
        return f"{layer}, which the model does not have"
    axis = 1 if DOWN in name else 0
    expected, got = weight.shape[axis], tensor.shape[axis]
    return "" if expected == got else f"{layer}: expected width {expected}, got {got}"
