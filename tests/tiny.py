"""Small random models of the real classes: whole pipelines that load and run in a moment."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import torch


def sam(seed: int = 0) -> Any:
    """A SAM for 256 px with two blocks (one windowed, one global), 0.3 million weights."""
    from segment_anything.modeling import (
        ImageEncoderViT,
        MaskDecoder,
        PromptEncoder,
        Sam,
        TwoWayTransformer,
    )

    torch.manual_seed(seed)
    made = Sam(
        ImageEncoderViT(
            depth=2,
            embed_dim=64,
            img_size=256,
            num_heads=2,
            out_chans=64,
            norm_layer=partial(torch.nn.LayerNorm, eps=1e-6),
            use_rel_pos=True,
            global_attn_indexes=(1,),
            window_size=14,
        ),
        PromptEncoder(64, (16, 16), (256, 256), 16),
        MaskDecoder(
            transformer_dim=64,
            transformer=TwoWayTransformer(2, 64, 8, 128),
            iou_head_hidden_dim=64,
        ),
        [123.675, 116.28, 103.53],
        [58.395, 57.12, 57.375],
    ).eval()
    _shake(made)
    return made


def sam_of_transformers(seed: int = 0) -> Any:
    """The same size of SAM as transformers builds it."""
    from transformers import SamConfig, SamModel

    torch.manual_seed(seed)
    size = {"image_size": 256, "patch_size": 16}
    vision = {
        "hidden_size": 64,
        "output_channels": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "global_attn_indexes": [1],
        "num_pos_feats": 32,
        "mlp_dim": 256,
        **size,
    }
    decoder = {"hidden_size": 64, "mlp_dim": 128, "iou_head_hidden_dim": 64}
    config = SamConfig(
        vision_config=vision,
        prompt_encoder_config={"hidden_size": 64, **size},
        mask_decoder_config=decoder,
    )
    made = SamModel(config).eval()
    _shake(made)
    return made


def save_sam(folder: Path, suffix: str = ".safetensors", seed: int = 0) -> Path:
    """A checkpoint file of the tiny SAM."""
    from safetensors.torch import save_file

    path = folder / f"sam{suffix}"
    weights = sam(seed).state_dict()
    if suffix == ".safetensors":
        save_file(weights, path)
    else:
        torch.save(weights, path)
    return path


def _shake(model: torch.nn.Module) -> None:
    """Make zero-initialised weights matter, so that a mistaken one changes the result."""
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn_like(weight) * 0.05)
