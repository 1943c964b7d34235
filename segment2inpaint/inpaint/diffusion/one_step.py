"""Removal in one step with OSOR: a LoRA for Stable Diffusion XL with a head that finds effects.

The UNet's last convolution has a fifth channel. It tells where the picture changes without the
object: in the object's mask, and in its shadow and mirror image.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file

from segment2inpaint.errors import BadModel, BadOption
from segment2inpaint.inpaint.diffusion.lora import (
    Lora,
    apply_lora,
    fuse_weights,
    with_settings,
)
from segment2inpaint.models.catalogue import ModelCard, card

CARD = "osor"  # describes the LoRA also if it is named by its path
HEAD = "unet.conv_out.weight"
HEAD_CHANNELS = 5  # the noise, and the logit of the alpha
INPAINTING_CHANNELS = 9


def add_lora(pipe: Any, base: ModelCard, lora: Lora) -> tuple[Any, ModelCard]:
    """Merge a LoRA into a pipeline; return the pipeline to use, and ``base`` with its settings.

    That is another pipeline if the LoRA is OSOR. Raises ``BadOption`` for OSOR with a model that
    was not trained to inpaint, ``BadModel`` if the LoRA cannot be merged.
    """
    if not has_alpha_head(lora.file):
        return pipe, apply_lora(pipe, base, lora)
    channels = pipe.unet.config.in_channels if hasattr(pipe, "unet") else 0
    if channels != INPAINTING_CHANNELS:
        raise BadOption(
            f"{lora.file}: needs Stable Diffusion XL inpainting, got {type(pipe).__name__} with "
            f"{channels} channels; use sdxl-inpaint+{CARD}"
        )
    from segment2inpaint.inpaint.diffusion.one_step_pipeline import OneStepRemovalPipeline

    tensors = load_file(lora.file)
    fuse_weights(pipe, lora.file, lora.weight, _lora_tensors(tensors))
    _replace_head(pipe, lora.file, tensors)
    return OneStepRemovalPipeline.from_inpainting(pipe), with_settings(pipe, base, card(CARD))


def has_alpha_head(file: Path) -> bool:
    """Return whether a LoRA's file has OSOR's last convolution; only its header is read."""
    with safe_open(file, "pt") as header:
        if HEAD not in header.keys():  # noqa: SIM118
            return False
        return bool(header.get_slice(HEAD).get_shape()[0] == HEAD_CHANNELS)


def _lora_tensors(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the tensors of the LoRA alone, without the name of the adapter in theirs."""
    return {k.replace(".default.", "."): t for k, t in tensors.items() if ".lora_" in k}


def _replace_head(pipe: Any, file: Path, tensors: Mapping[str, torch.Tensor]) -> None:
    """Give the UNet the file's last convolution. Raises ``BadModel`` if it does not fit."""
    old = pipe.unet.conv_out
    head = torch.nn.Conv2d(old.in_channels, HEAD_CHANNELS, old.kernel_size, padding=old.padding)
    names = {"weight": HEAD, "bias": HEAD.replace("weight", "bias")}
    try:
        head.load_state_dict({short: tensors[name] for short, name in names.items()})
    except (KeyError, RuntimeError) as error:
        raise BadModel(
            f"{file}: its last convolution {HEAD} does not fit the model, expected "
            f"{tuple(head.weight.shape)} and a bias; get the LoRA again"
        ) from error
    pipe.unet.conv_out = head.to(old.weight.device, old.weight.dtype)
