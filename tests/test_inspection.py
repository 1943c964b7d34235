"""Tests of the recognition of a model's file by the names and shapes of its tensors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from segment2inpaint.errors import BadModel
from segment2inpaint.inpaint.diffusion.inspection import NETWORK_PREFIX, family_card, inspect_file


def check_refused(file: Path, *words: str) -> None:
    with pytest.raises(BadModel) as caught:
        inspect_file(file)
    text = str(caught.value)
    assert "\n" not in text
    assert text.startswith(str(file))
    assert all(word in text for word in words), text


@pytest.mark.parametrize(
    ("network", "shapes", "card"),
    [
        ("FluxTransformer2DModel", {"img_in.weight": (3072, 64), "guided": ()}, "flux-dev"),
        ("FluxTransformer2DModel", {"img_in.weight": (3072, 64)}, "flux-schnell"),
        ("FluxTransformer2DModel", {"img_in.weight": (3072, 384), "guided": ()}, "flux-fill"),
        ("FluxTransformer2DModel", {"img_in.weight": (3072, 128), "guided": ()}, ""),
        ("Flux2Transformer2DModel", {"img_in.weight": (3072, 128)}, "flux2-klein"),
        ("Flux2Transformer2DModel", {"img_in.weight": (4096, 128)}, "flux2-klein-9b"),
        ("Flux2Transformer2DModel", {"img_in.weight": (6144, 128), "guided": ()}, ""),
    ],
)
def test_members_of_a_family_are_distinguished_by_their_real_sizes(
    network: str, shapes: dict[str, tuple[int, ...]], card: str
) -> None:
    known = {"final_layer.linear.weight": (64, 3072)}
    if "guided" in shapes:
        known["guidance_in.in_layer.weight"] = (3072, 256)
    assert family_card(network, known | shapes) == card


@pytest.mark.parametrize(
    ("names", "word"),
    [
        (["lora_unet_down_blocks_0.lora_down.weight"], "a LoRA;"),
        (["diffusion_model.double_blocks.0.img_attn.qkv.lora_A.weight"], "a LoRA;"),
        (["control_model.time_embed.0.weight"], "a ControlNet;"),
        (["encoder.down.0.block.0.conv1.weight", "decoder.conv_in.weight"], "a VAE alone;"),
        (["text_model.embeddings.position_embedding.weight"], "a text encoder alone;"),
        (["encoder.block.0.layer.0.layer_norm.weight"], "a text encoder alone;"),
        (["down_blocks.0.resnets.0.conv1.weight"], "one component of a model's folder"),
        (["emb_params"], "a textual inversion;"),
        (["blocks.0.self_attn.q.weight"], "not a known kind of model (it has blocks.0.self_attn"),
    ],
)
def test_files_of_other_kinds_are_refused_by_name(
    names: list[str], word: str, tmp_path: Path
) -> None:
    save_file({name: torch.zeros(1) for name in names}, tmp_path / "x.safetensors")
    check_refused(tmp_path / "x.safetensors", word, "expected a diffusion model in one file")


@pytest.mark.parametrize(
    "weights",
    [
        {"input_blocks.0.0.weight": (4, 8, 1, 1)},  # edits by instructions
        {"input_blocks.0.0.weight": (4, 4, 1, 1), "conditioner.embedders.0.model.x": (1,)},
        {"vector_in.in_layer.weight": (1,), "img_in.weight": (2, 8), "guidance_in.in_layer.weight":
         (1,), "final_layer.linear.weight": (4, 2)},  # made for depth or edges
        {"vector_in.in_layer.weight": (1,)},
        {"vector_in.in_layer.weight": (1,), "img_in.weight": (8,), "final_layer.linear.weight":
         (4,)},
    ],
)  # fmt: skip
def test_members_that_cannot_inpaint_are_refused(weights: dict[str, Any], tmp_path: Path) -> None:
    tensors = {
        NETWORK_PREFIX * ("." in name[:3]) + name: torch.zeros(s) for name, s in weights.items()
    }
    save_file(tensors, tmp_path / "x.safetensors")
    check_refused(tmp_path / "x.safetensors", "cannot inpaint or is incomplete; use its base model")
