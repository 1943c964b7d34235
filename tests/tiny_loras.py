"""Small random LoRAs of tiny models, in the formats that people have them in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

Weights = dict[str, torch.Tensor]
RANK = 2
# The layers of OSOR's LoRA.
OSOR_LAYERS = [
    *("to_k", "to_q", "to_v", "to_out.0", "conv", "conv1", "conv2", "conv_shortcut"),
    *("proj_in", "proj_out", "ff.net.2", "ff.net.0.proj"),
]


def random_lora(network: Any, layers: list[str] | None = None, seed: int = 0) -> Weights:
    """Return a LoRA for a network, with the names of peft (``...to_q.lora_A.weight``)."""
    from peft import LoraConfig
    from peft.utils import get_peft_model_state_dict

    torch.manual_seed(seed)
    network.add_adapter(LoraConfig(r=RANK, target_modules=layers or ["to_q", "to_v"]))
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if "lora_" in name:
                weight.copy_(torch.randn_like(weight))
    weights = {name: t.clone() for name, t in get_peft_model_state_dict(network).items()}
    network.delete_adapters("default")
    return weights


def save_diffusers(weights: Weights, path: Path, network: str = "unet") -> Path:
    """Save as diffusers does: the network's name in front."""
    save_file({f"{network}.{name}": t for name, t in weights.items()}, path)
    return path


def save_peft(weights: Weights, folder: Path, alpha: float = RANK) -> Path:
    """Save as peft does, with its configuration next to the file."""
    folder.mkdir()
    path = folder / "adapter_model.safetensors"
    save_file({f"base_model.model.{name}": t for name, t in weights.items()}, path)
    config = {"peft_type": "LORA", "r": RANK, "lora_alpha": alpha}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return path


def save_kohya(weights: Weights, path: Path, alpha: float = RANK) -> Path:
    """Save as kohya's scripts do: names with underscores, and an alpha for each layer."""
    renamed: Weights = {}
    for name, tensor in weights.items():
        layer, _, kind = name.removesuffix(".weight").rpartition(".")
        key = "lora_unet_" + layer.replace(".", "_")
        renamed[f"{key}.{'lora_down' if kind == 'lora_A' else 'lora_up'}.weight"] = tensor
        renamed[f"{key}.alpha"] = torch.tensor(alpha)
    save_file(renamed, path)
    return path


def save_osor(pipe: Any, path: Path, alpha: float = 0.0) -> Path:
    """Save a LoRA with OSOR's structure; its head answers ``alpha`` as a logit everywhere."""
    weights = random_lora(pipe.unet, OSOR_LAYERS)
    tensors = {
        f"unet.{name.replace('.weight', '.default.weight')}": t * 0.05
        for name, t in weights.items()
    }
    head = pipe.unet.conv_out
    last = torch.zeros_like(head.weight[:1])
    tensors["unet.conv_out.weight"] = torch.cat([head.weight, last]).detach()
    tensors["unet.conv_out.bias"] = torch.cat([head.bias, torch.tensor([alpha])]).detach()
    save_file(tensors, path)
    return path
