"""SAM's network from a checkpoint of any size, in Meta's layout or that of transformers.

The package's own loader is not used: it unpickles whatever is in the file, needs the device
that saved it, and knows three sizes.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from segment_anything.modeling import (
    ImageEncoderViT,
    MaskDecoder,
    PromptEncoder,
    Sam,
    TwoWayTransformer,
)

from segment2inpaint.errors import BadModel

Weights = dict[str, torch.Tensor]

MEAN, STD = [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]  # of RGB; as segment_anything


def read(checkpoint: Path) -> Weights:
    """The tensors of a checkpoint under the names of segment_anything, as float32.

    Raises ``BadModel``. Nothing in the file is executed.
    """
    path = checkpoint / "model.safetensors" if checkpoint.is_dir() else checkpoint
    if not path.is_file():
        what = "no model.safetensors in this folder" if checkpoint.is_dir() else "no such file"
        raise BadModel(f"{checkpoint}: {what}")
    try:
        if path.suffix == ".safetensors":
            content: Any = load_file(path)
        else:
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # what is no checkpoint can make an unpickler raise anything
        reason = str(error).split("\n")[0] or type(error).__name__
        raise BadModel(f"{path}: not a readable .pth or .safetensors file: {reason}") from error
    for key in ("model", "state_dict"):  # what training programs wrap it in
        content = content.get(key, content) if isinstance(content, dict) else {}
    weights = {
        str(name).removeprefix("module."): tensor.float()
        for name, tensor in content.items()
        if isinstance(tensor, torch.Tensor)
    }
    return _from_transformers(weights) if "vision_encoder.pos_embed" in weights else weights


def build(weights: Weights, source: Path) -> Sam:
    """The network whose size the weights tell, in evaluation mode on the CPU.

    ``source`` is named in errors. Raises ``BadModel``.
    """
    try:
        with torch.device("meta"):
            sam = _network(weights)
        sam.load_state_dict(weights, assign=True)
    except (KeyError, RuntimeError, ValueError, ZeroDivisionError, TypeError) as error:
        what = f"not a checkpoint of SAM (vit_b, vit_l, vit_h) but {_guess(weights)}"
        raise BadModel(f"{source}: {what}") from error
    return sam.eval().requires_grad_(False)


def _network(weights: Weights) -> Sam:
    """As ``segment_anything.build_sam``, with its constants read off the weights."""

    def shape(name: str) -> torch.Size:
        return weights[name].shape

    encoder, grid = _vit(weights)
    side = encoder.img_size
    prompt_dim = shape("prompt_encoder.no_mask_embed.weight")[1]
    prompt_encoder = PromptEncoder(
        embed_dim=prompt_dim,
        image_embedding_size=(grid, grid),
        input_image_size=(side, side),
        mask_in_chans=shape("prompt_encoder.mask_downscaling.3.weight")[0],
    )
    decoder = MaskDecoder(
        num_multimask_outputs=shape("mask_decoder.mask_tokens.weight")[0] - 1,
        transformer=TwoWayTransformer(
            depth=_count(weights, r"mask_decoder\.transformer\.layers\.(\d+)\."),
            embedding_dim=prompt_dim,
            mlp_dim=shape("mask_decoder.transformer.layers.0.mlp.lin1.weight")[0],
            num_heads=8,
        ),
        transformer_dim=prompt_dim,
        iou_head_depth=_count(weights, r"mask_decoder\.iou_prediction_head\.layers\.(\d+)\."),
        iou_head_hidden_dim=shape("mask_decoder.iou_prediction_head.layers.0.weight")[0],
    )
    with torch.device("cpu"):  # mean and deviation are not in the file: they must be real now
        return Sam(encoder, prompt_encoder, decoder, MEAN, STD)


def _vit(weights: Weights) -> tuple[ImageEncoderViT, int]:
    """SAM's own encoder, and the side of its embedding."""

    def shape(name: str) -> torch.Size:
        return weights[f"image_encoder.{name}"].shape

    width, _, patch, _ = shape("patch_embed.proj.weight")
    grid = shape("pos_embed")[1]
    depth = _count(weights, r"image_encoder\.blocks\.(\d+)\.")
    spans = [shape(f"blocks.{i}.attn.rel_pos_h") for i in range(depth)]
    encoder = ImageEncoderViT(
        depth=depth,
        embed_dim=width,
        img_size=grid * patch,
        mlp_ratio=shape("blocks.0.mlp.lin1.weight")[0] / width,
        norm_layer=partial(torch.nn.LayerNorm, eps=1e-6),
        num_heads=width // spans[0][1],
        patch_size=patch,
        qkv_bias=True,
        use_rel_pos=True,
        global_attn_indexes=[i for i in range(depth) if spans[i][0] == 2 * grid - 1],
        window_size=(min(span[0] for span in spans) + 1) // 2,
        out_chans=shape("neck.0.weight")[0],
    )
    return encoder, grid


def _count(weights: Weights, pattern: str) -> int:
    """How many parts the weights have whose number is the pattern's group."""
    return 1 + max(int(m[1]) for m in map(re.compile(pattern).match, weights) if m)


def _guess(weights: Weights) -> str:
    """What the weights look like instead."""
    signs = {
        "SAM 2": "image_encoder.trunk.",
        "SAM 2 or 3 of transformers": "vision_encoder.backbone.",
        "MobileSAM": "image_encoder.layers.",
        "SAM-HQ": "mask_decoder.hf_token",
        "Stable Diffusion": "model.diffusion_model.",
    }
    for name, sign in signs.items():
        if any(key.startswith(sign) for key in weights):
            return name
    first = next(iter(weights), None)
    return f"something else (its first tensor is {first})" if first else "a file without tensors"


def _from_transformers(weights: Weights) -> Weights:
    """Weights of transformers' ``SamModel`` under the names of segment_anything."""
    renamed: Weights = {}
    for name, tensor in weights.items():
        for pattern, ours in RENAMES:
            name = re.sub(pattern, ours, name)
        renamed[_layer_of_head(name, weights)] = tensor
    return renamed


def _layer_of_head(name: str, weights: Weights) -> str:
    """The small heads of the decoder number all their layers here, only the inner ones there."""
    found = HEAD.match(name)
    if not found:
        return name
    head, layer, rest = found.groups()
    inner = sum(key.startswith(f"{head}.layers.") and key.endswith(".weight") for key in weights)
    number = {"proj_in": 0, "proj_out": inner + 1}.get(layer)
    if number is None:
        number = 1 + int(layer.removeprefix("layers."))
    return f"{head}.layers.{number}.{rest}"


HEAD = re.compile(
    r"(mask_decoder\.(?:iou_prediction_head|output_hypernetworks_mlps\.\d+))"
    r"\.(proj_in|proj_out|layers\.\d+)\.(.*)"
)

# Applied one after another; the embedding of positions is kept under either of two names.
RENAMES = (
    (r"^shared_image_embedding\.", "prompt_encoder.shared_embedding."),
    (
        r"^prompt_encoder\.shared_embedding\.positional_embedding$",
        "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix",
    ),
    (r"^prompt_encoder\.point_embed\.", "prompt_encoder.point_embeddings."),
    (r"^prompt_encoder\.mask_embed\.conv1\.", "prompt_encoder.mask_downscaling.0."),
    (r"^prompt_encoder\.mask_embed\.layer_norm1\.", "prompt_encoder.mask_downscaling.1."),
    (r"^prompt_encoder\.mask_embed\.conv2\.", "prompt_encoder.mask_downscaling.3."),
    (r"^prompt_encoder\.mask_embed\.layer_norm2\.", "prompt_encoder.mask_downscaling.4."),
    (r"^prompt_encoder\.mask_embed\.conv3\.", "prompt_encoder.mask_downscaling.6."),
    (r"^mask_decoder\.upscale_conv1\.", "mask_decoder.output_upscaling.0."),
    (r"^mask_decoder\.upscale_layer_norm\.", "mask_decoder.output_upscaling.1."),
    (r"^mask_decoder\.upscale_conv2\.", "mask_decoder.output_upscaling.3."),
    (r"^(mask_decoder\.transformer\..*)layer_norm", r"\1norm"),
    (r"^vision_encoder\.neck\.conv1\.", "image_encoder.neck.0."),
    (r"^vision_encoder\.neck\.layer_norm1\.", "image_encoder.neck.1."),
    (r"^vision_encoder\.neck\.conv2\.", "image_encoder.neck.2."),
    (r"^vision_encoder\.neck\.layer_norm2\.", "image_encoder.neck.3."),
    (r"^vision_encoder\.patch_embed\.projection\.", "image_encoder.patch_embed.proj."),
    (r"^vision_encoder\.layers\.(\d+)\.layer_norm", r"image_encoder.blocks.\1.norm"),
    (r"^vision_encoder\.layers\.", "image_encoder.blocks."),
    (r"^vision_encoder\.", "image_encoder."),
)
