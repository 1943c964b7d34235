"""Load SAM from a checkpoint of any size, in Meta's format or that of transformers.

The loader of segment_anything is not used: it unpickles whatever is in the file, needs the
device that saved the file, and knows three sizes only.
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

# Mean and standard deviation of R, G, B in 0..255; the values of segment_anything.
PIXEL_MEAN, PIXEL_STD = [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]

TRANSFORMER_HEADS = 8  # of the mask decoder; the weights do not tell it


def read(checkpoint: Path) -> Weights:
    """Return the tensors of a checkpoint under the names of segment_anything, as float32.

    ``checkpoint`` is a file, or a folder with ``model.safetensors``. No code in the file is run.
    Raises ``BadModel`` for a file that cannot be read.
    """
    path = checkpoint / "model.safetensors" if checkpoint.is_dir() else checkpoint
    if not path.is_file():
        fault = "no model.safetensors in this folder" if checkpoint.is_dir() else "no such file"
        raise BadModel(f"{checkpoint}: {fault}")
    try:
        if path.suffix == ".safetensors":
            content: Any = load_file(path)
        else:
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # an unpickler raises errors of any type for other files
        reason = str(error).split("\n")[0] or type(error).__name__
        raise BadModel(f"{path}: not a readable .pth or .safetensors file: {reason}") from error
    for key in ("model", "state_dict"):  # wrappers of training programs
        content = content.get(key, content) if isinstance(content, dict) else {}
    weights = {
        str(name).removeprefix("module."): tensor.float()
        for name, tensor in content.items()
        if isinstance(tensor, torch.Tensor)
    }
    return _from_transformers(weights) if "vision_encoder.pos_embed" in weights else weights


def build(weights: Weights, source: Path) -> Sam:
    """Return the SAM of these weights, in evaluation mode and on the device of the weights.

    Its size is read from the shapes of the weights. ``source`` is named in errors. Raises
    ``BadModel`` for weights that are not those of a SAM.
    """
    try:
        with torch.device("meta"):
            sam = _build_empty(weights)
        sam.load_state_dict(weights, assign=True)
    except (KeyError, RuntimeError, ValueError, ZeroDivisionError, TypeError) as error:
        raise BadModel(
            f"{source}: expected a checkpoint of SAM (vit_b, vit_l, vit_h), got {_guess(weights)}"
        ) from error
    return sam.eval().requires_grad_(False)


def _build_empty(weights: Weights) -> Sam:
    """Build a SAM as ``segment_anything.build_sam`` does, with sizes read from the weights."""

    def shape(name: str) -> torch.Size:
        return weights[name].shape

    encoder, embedding_side = _image_encoder(weights)
    side = encoder.img_size
    prompt_dim = shape("prompt_encoder.no_mask_embed.weight")[1]
    prompt_encoder = PromptEncoder(
        embed_dim=prompt_dim,
        image_embedding_size=(embedding_side, embedding_side),
        input_image_size=(side, side),
        mask_in_chans=shape("prompt_encoder.mask_downscaling.3.weight")[0],
    )
    decoder = MaskDecoder(
        num_multimask_outputs=shape("mask_decoder.mask_tokens.weight")[0] - 1,
        transformer=TwoWayTransformer(
            depth=_count_layers(weights, r"mask_decoder\.transformer\.layers\.(\d+)\."),
            embedding_dim=prompt_dim,
            mlp_dim=shape("mask_decoder.transformer.layers.0.mlp.lin1.weight")[0],
            num_heads=TRANSFORMER_HEADS,
        ),
        transformer_dim=prompt_dim,
        iou_head_depth=_count_layers(
            weights, r"mask_decoder\.iou_prediction_head\.layers\.(\d+)\."
        ),
        iou_head_hidden_dim=shape("mask_decoder.iou_prediction_head.layers.0.weight")[0],
    )
    with torch.device("cpu"):  # mean and deviation are not in the file, so they need values now
        return Sam(encoder, prompt_encoder, decoder, PIXEL_MEAN, PIXEL_STD)


def _image_encoder(weights: Weights) -> tuple[ImageEncoderViT, int]:
    """Return SAM's image encoder and the side of its embedding."""

    def shape(name: str) -> torch.Size:
        return weights[f"image_encoder.{name}"].shape

    width, _, patch, _ = shape("patch_embed.proj.weight")
    side = shape("pos_embed")[1]
    depth = _count_layers(weights, r"image_encoder\.blocks\.(\d+)\.")
    rel_pos = [shape(f"blocks.{i}.attn.rel_pos_h") for i in range(depth)]  # (2 * window - 1, d)
    encoder = ImageEncoderViT(
        depth=depth,
        embed_dim=width,
        img_size=side * patch,
        mlp_ratio=shape("blocks.0.mlp.lin1.weight")[0] / width,
        norm_layer=partial(torch.nn.LayerNorm, eps=1e-6),
        num_heads=width // rel_pos[0][1],
        patch_size=patch,
        qkv_bias=True,
        use_rel_pos=True,
        global_attn_indexes=[i for i in range(depth) if rel_pos[i][0] == 2 * side - 1],
        window_size=(min(length for length, _ in rel_pos) + 1) // 2,
        out_chans=shape("neck.0.weight")[0],
    )
    return encoder, side


def _count_layers(weights: Weights, pattern: str) -> int:
    """Return the number of layers whose index is the group of a pattern."""
    return 1 + max(int(m[1]) for m in map(re.compile(pattern).match, weights) if m)


def _guess(weights: Weights) -> str:
    """Return a guess at the model that the weights belong to."""
    prefixes = {
        "SAM 2": "image_encoder.trunk.",
        "SAM 2 or 3 of transformers": "vision_encoder.backbone.",
        "MobileSAM": "image_encoder.layers.",
        "SAM-HQ": "mask_decoder.hf_token",
        "Stable Diffusion": "model.diffusion_model.",
    }
    for name, prefix in prefixes.items():
        if any(key.startswith(prefix) for key in weights):
            return name
    first = next(iter(weights), None)
    return f"another model (its first tensor is {first})" if first else "a file without tensors"


def _from_transformers(weights: Weights) -> Weights:
    """Return the weights of transformers' ``SamModel`` under the names of segment_anything."""
    renamed: Weights = {}
    for name, tensor in weights.items():
        for pattern, replacement in RENAMES:
            name = re.sub(pattern, replacement, name)
        renamed[_rename_head_layer(name, weights)] = tensor
    return renamed


def _rename_head_layer(name: str, weights: Weights) -> str:
    """Return the name of a layer in one of the decoder's small heads.

    segment_anything numbers all layers of a head, transformers only the inner ones.
    """
    match = HEAD_LAYER.match(name)
    if not match:
        return name
    head, layer, rest = match.groups()
    inner = sum(key.startswith(f"{head}.layers.") and key.endswith(".weight") for key in weights)
    number = {"proj_in": 0, "proj_out": inner + 1}.get(layer)
    if number is None:
        number = 1 + int(layer.removeprefix("layers."))
    return f"{head}.layers.{number}.{rest}"


HEAD_LAYER = re.compile(
    r"(mask_decoder\.(?:iou_prediction_head|output_hypernetworks_mlps\.\d+))"
    r"\.(proj_in|proj_out|layers\.\d+)\.(.*)"
)

# Pattern -> replacement, applied in this order. The positional embedding has either of two names.
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
