"""Tiny pipelines in one file, with the tensor names of the families' authors."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from pathlib import Path
from types import FunctionType
from typing import Any

import torch

Weights = dict[str, torch.Tensor]
NETWORK = "model.diffusion_model."


def save_single_file(
    pipe: Any, path: Path, components: Collection[str] = (), prefix: str = NETWORK
) -> Path:
    """Save components of a pipeline, all networks by default, and return the path.

    ``prefix`` is that of the main network's tensors.
    """
    from safetensors.torch import save_file

    nets = {name: p for name, p in pipe.components.items() if isinstance(p, torch.nn.Module)}
    weights: Weights = {}
    for name in components or nets:
        weights |= _original(pipe, name, prefix)
    save_file({name: tensor.contiguous().clone() for name, tensor in weights.items()}, path)
    return path


def _original(pipe: Any, component: str, prefix: str) -> Weights:
    """Return a component's tensors under their authors' names."""
    weights, kind = getattr(pipe, component).state_dict(), type(getattr(pipe, component)).__name__
    if component == "vae":
        old = "first_stage_model." if hasattr(pipe, "unet") else "vae."
        return _add_prefix(_vae(weights), old)
    if component in ("unet", "transformer"):
        return _add_prefix(NETWORKS[kind](weights), prefix)
    if kind == "T5EncoderModel":
        del weights["encoder.embed_tokens.weight"]  # the same as shared.weight
        return _add_prefix(weights, "text_encoders.t5xxl.transformer.")
    return _clip(pipe, component, weights)


def _add_prefix(weights: Weights, prefix: str) -> Weights:
    return {prefix + name: tensor for name, tensor in weights.items()}


def _rename(weights: Weights, names: dict[str, Any]) -> Weights:
    """Return the tensors with names changed by all patterns, one after the other."""
    renamed = {}
    for name, tensor in weights.items():
        for pattern, new in names.items():
            name = re.sub(pattern, new, name)
        renamed[name] = tensor
    return renamed


def _fuse(weights: Weights, parts: list[str], whole: str) -> Weights:
    """Return the tensors with several joined to one, such as a query, a key and a value."""
    fused = {}
    for name, tensor in weights.items():
        if parts[0] in name:
            tensor = torch.cat([weights[name.replace(parts[0], part)] for part in parts])
            fused[name.replace(parts[0], whole)] = tensor
        elif not any(part in name for part in parts[1:]):
            fused[name] = tensor
    return fused


def _swap_halves(weights: Weights, *names: str) -> Weights:
    """Return the tensors with the halves of some exchanged: there the shift precedes the scale."""
    halves = {name: tensor.chunk(2) for name, tensor in weights.items()}
    return {n: torch.cat(halves[n][::-1]) if n in names else t for n, t in weights.items()}


def _format_numbers(template: str, *terms: tuple[int, int, int]) -> Callable[[re.Match[str]], str]:
    """Return a replacement function that formats group * factor + offset of each term.

    A term is (group, factor, offset).
    """

    def name(found: re.Match[str]) -> str:
        return template.format(*(int(found[g]) * factor + plus for g, factor, plus in terms))

    return name


# --- Stable Diffusion 1, 2 and XL ---------------------------------------------------------------

UNET = {
    r"^time_embedding\.linear_1": "time_embed.0",
    r"^time_embedding\.linear_2": "time_embed.2",
    r"^add_embedding\.linear_1": "label_emb.0.0",
    r"^add_embedding\.linear_2": "label_emb.0.2",
    r"^conv_in": "input_blocks.0.0",
    r"^conv_norm_out": "out.0",
    r"^conv_out": "out.2",
    r"^down_blocks\.(\d)\.resnets\.0": _format_numbers("input_blocks.{}.0", (1, 2, 1)),
    r"^down_blocks\.(\d)\.attentions\.0": _format_numbers("input_blocks.{}.1", (1, 2, 1)),
    r"^down_blocks\.(\d)\.downsamplers\.0\.conv": _format_numbers(
        "input_blocks.{}.0.op", (1, 2, 2)
    ),
    r"^up_blocks\.0\.upsamplers\.0": "output_blocks.1.2",
    r"^up_blocks\.0\.resnets\.(\d)": r"output_blocks.\1.0",
    r"^up_blocks\.0\.attentions\.(\d)": r"output_blocks.\1.1",
    r"^up_blocks\.1\.resnets\.(\d)": _format_numbers("output_blocks.{}.0", (1, 1, 2)),
    r"^mid_block\.resnets\.(\d)": _format_numbers("middle_block.{}", (1, 2, 0)),
    r"^mid_block\.attentions\.0": "middle_block.1",
}
RESNET = {
    r"\.norm1\.": ".in_layers.0.",
    r"\.conv1\.": ".in_layers.2.",
    r"\.norm2\.": ".out_layers.0.",
    r"\.conv2\.": ".out_layers.3.",
    r"\.time_emb_proj\.": ".emb_layers.1.",
    r"\.conv_shortcut\.": ".skip_connection.",
}
VAE = {
    r"down_blocks\.(\d)\.resnets": r"down.\1.block",
    r"down_blocks\.(\d)\.downsamplers\.0": r"down.\1.downsample",
    r"up_blocks\.(\d)\.resnets": _format_numbers("up.{}.block", (1, -1, 3)),
    r"up_blocks\.(\d)\.upsamplers\.0": _format_numbers("up.{}.upsample", (1, -1, 3)),
    r"mid_block\.resnets\.(\d)": _format_numbers("mid.block_{}", (1, 1, 1)),
    r"mid_block\.attentions\.0": "mid.attn_1",
    "conv_shortcut": "nin_shortcut",
    "conv_norm_out": "norm_out",
    "group_norm": "norm",
    r"to_([qkv])": r"\1",
    r"to_out\.0": "proj_out",
}
OPEN_CLIP = {
    r"^text_model\.": "",
    r"^embeddings\.token_embedding": "token_embedding",
    r"^embeddings\.position_embedding\.weight": "positional_embedding",
    "^final_layer_norm": "ln_final",
    r"^text_projection\.weight": "text_projection",
    r"^encoder\.layers\.": "transformer.resblocks.",
    r"\.layer_norm(\d)\.": r".ln_\1.",
    r"\.self_attn\.out_proj": ".attn.out_proj",
    r"\.self_attn\.qkv\.": ".attn.in_proj_",
    r"\.mlp\.fc1\.": ".mlp.c_fc.",
    r"\.mlp\.fc2\.": ".mlp.c_proj.",
}
CLIP = {
    "StableDiffusion": {"text_encoder": "cond_stage_model.transformer."},
    "StableDiffusionXL": {"text_encoder": "conditioner.embedders.0.transformer."},
    "StableDiffusion3": {
        "text_encoder": "text_encoders.clip_l.transformer.",
        "text_encoder_2": "text_encoders.clip_g.transformer.",
    },
    "Flux": {"text_encoder": "text_encoders.clip_l.transformer."},
}


def _unet(weights: Weights) -> Weights:
    inside = {name for name in weights if "transformer_blocks" in name}
    rest = {name: tensor for name, tensor in weights.items() if name not in inside}
    return _rename({n: weights[n] for n in inside}, UNET) | _rename(rest, UNET | RESNET)


def _vae(weights: Weights) -> Weights:
    """Return a VAE's tensors; its attention consists of convolutions there."""
    renamed = _rename(weights, VAE)
    square = {name for name, tensor in renamed.items() if ".attn_1." in name and tensor.ndim == 2}
    return {n: t[..., None, None] if n in square else t for n, t in renamed.items()}


def _clip(pipe: Any, component: str, weights: Weights) -> Weights:
    """Return a text encoder's tensors.

    Stable Diffusion 2 and the second encoder of XL have OpenCLIP's names, others OpenAI's.
    """
    family = re.sub("Inpaint|Fill|Pipeline", "", type(pipe).__name__)
    if family == "StableDiffusion" and pipe.unet.config.use_linear_projection:
        return _add_prefix(_open_clip(weights), "cond_stage_model.model.")
    if component not in CLIP[family]:
        return _add_prefix(_open_clip(weights), "conditioner.embedders.1.model.")
    named = _rename(weights, {r"^(?!text_model\.|text_projection)": "text_model."})
    return _add_prefix(named, CLIP[family][component])


def _open_clip(weights: Weights) -> Weights:
    fused = _fuse(weights, [f".{name}_proj." for name in "qkv"], ".qkv.")
    renamed = _rename(fused, OPEN_CLIP)
    return {n: t.T if n == "text_projection" else t for n, t in renamed.items()}


# --- transformers ---------------------------------------------------------------------------------

FINAL = {
    r"^proj_out\.": "final_layer.linear.",
    r"^norm_out\.linear\.": "final_layer.adaLN_modulation.1.",
}
SD3 = {
    r"^pos_embed\.pos_embed": "pos_embed",
    r"^pos_embed\.proj": "x_embedder.proj",
    r"^time_text_embed\.timestep_embedder\.linear_1": "t_embedder.mlp.0",
    r"^time_text_embed\.timestep_embedder\.linear_2": "t_embedder.mlp.2",
    r"^time_text_embed\.text_embedder\.linear_1": "y_embedder.mlp.0",
    r"^time_text_embed\.text_embedder\.linear_2": "y_embedder.mlp.2",
    r"^transformer_blocks\.": "joint_blocks.",
    r"\.(attn2?)\.to_out\.0": r".x_block.\1.proj",
    r"\.attn\.to_add_out": ".context_block.attn.proj",
    r"\.(attn2?)\.norm_([qk])\.": r".x_block.\1.ln_\2.",
    r"\.attn\.norm_added_([qk])\.": r".context_block.attn.ln_\1.",
    r"\.norm1\.linear": ".x_block.adaLN_modulation.1",
    r"\.norm1_context\.linear": ".context_block.adaLN_modulation.1",
    r"\.ff\.net\.0\.proj": ".x_block.mlp.fc1",
    r"\.ff\.net\.2": ".x_block.mlp.fc2",
    **FINAL,
}
DOUBLE = {
    r"\.attn\.norm_q\.weight": ".img_attn.norm.query_norm.scale",
    r"\.attn\.norm_k\.weight": ".img_attn.norm.key_norm.scale",
    r"\.attn\.norm_added_q\.weight": ".txt_attn.norm.query_norm.scale",
    r"\.attn\.norm_added_k\.weight": ".txt_attn.norm.key_norm.scale",
    r"\.attn\.to_out\.0": ".img_attn.proj",
    r"\.attn\.to_add_out": ".txt_attn.proj",
}
SINGLE = {
    r"^(single_blocks\.\d+)\.attn\.norm_q\.weight": r"\1.norm.query_norm.scale",
    r"^(single_blocks\.\d+)\.attn\.norm_k\.weight": r"\1.norm.key_norm.scale",
}
FLUX = {
    r"^single_transformer_blocks\.": "single_blocks.",
    **SINGLE,
    r"^(single_blocks\.\d+)\.norm\.linear": r"\1.modulation.lin",
    r"^(single_blocks\.\d+)\.proj_out": r"\1.linear2",
    r"^transformer_blocks\.": "double_blocks.",
    **DOUBLE,
    r"\.norm1\.linear": ".img_mod.lin",
    r"\.norm1_context\.linear": ".txt_mod.lin",
    r"\.ff\.net\.0\.proj": ".img_mlp.0",
    r"\.ff\.net\.2": ".img_mlp.2",
    r"\.ff_context\.net\.0\.proj": ".txt_mlp.0",
    r"\.ff_context\.net\.2": ".txt_mlp.2",
    r"^time_text_embed\.timestep_embedder\.": "time_in.",
    r"^time_text_embed\.text_embedder\.": "vector_in.",
    r"^time_text_embed\.guidance_embedder\.": "guidance_in.",
    r"^distilled_guidance_layer\.norms\.(\d)\.weight": r"distilled_guidance_layer.norms.\1.scale",
    r"\.linear_1\.": ".in_layer.",
    r"\.linear_2\.": ".out_layer.",
    "^context_embedder": "txt_in",
    "^x_embedder": "img_in",
    **FINAL,
}
FLUX_2 = {
    r"^single_transformer_blocks\.": "single_blocks.",
    **SINGLE,
    r"\.attn\.to_qkv_mlp_proj": ".linear1",
    r"^(single_blocks\.\d+)\.attn\.to_out": r"\1.linear2",
    r"^transformer_blocks\.": "double_blocks.",
    **DOUBLE,
    r"\.ff\.linear_in": ".img_mlp.0",
    r"\.ff\.linear_out": ".img_mlp.2",
    r"\.ff_context\.linear_in": ".txt_mlp.0",
    r"\.ff_context\.linear_out": ".txt_mlp.2",
    r"^time_guidance_embed\.timestep_embedder\.": "time_in.",
    r"\.linear_1\.": ".in_layer.",
    r"\.linear_2\.": ".out_layer.",
    r"_modulation(_img|_txt)?\.linear\.": r"_modulation\1.lin.",
    "^context_embedder": "txt_in",
    "^x_embedder": "img_in",
    **FINAL,
}
Z_IMAGE = {
    r"^all_final_layer\.2-1\.": "final_layer.",
    r"^all_x_embedder\.2-1\.": "x_embedder.",
    r"\.to_out\.0\.": ".out.",
    r"\.norm_([qk])\.": r".\1_norm.",
}
QKV = [f".attn.to_{name}." for name in "qkv"]
ADDED = [f".attn.add_{name}_proj." for name in "qkv"]
MODULATION = [f"final_layer.adaLN_modulation.1.{kind}" for kind in ("weight", "bias")]


def _sd3(weights: Weights) -> Weights:
    """Return the tensors; the last block's text branch ends with a norm like the final one."""
    renamed = _fuse(weights, QKV, ".x_block.attn.qkv.")
    renamed = _fuse(renamed, [name.replace("attn", "attn2") for name in QKV], ".x_block.attn2.qkv.")
    renamed = _rename(_fuse(renamed, ADDED, ".context_block.attn.qkv."), SD3)
    last = [
        f"joint_blocks.0.context_block.adaLN_modulation.1.{kind}" for kind in ("weight", "bias")
    ]
    return _swap_halves(renamed, *MODULATION, *last)


def _flux(weights: Weights) -> Weights:
    single = {n: t for n, t in weights.items() if n.startswith("single_")}
    double = {n: t for n, t in weights.items() if n not in single}
    single = _fuse(single, [*QKV, ".proj_mlp."], ".linear1.")
    double = _fuse(_fuse(double, QKV, ".img_attn.qkv."), ADDED, ".txt_attn.qkv.")
    return _swap_halves(_rename(single | double, FLUX), *MODULATION)


def _flux_2(weights: Weights) -> Weights:
    renamed = _fuse(_fuse(weights, QKV, ".img_attn.qkv."), ADDED, ".txt_attn.qkv.")
    return _swap_halves(_rename(renamed, FLUX_2), *MODULATION)


def _z_image(weights: Weights) -> Weights:
    return _rename(_fuse(weights, [f".to_{name}." for name in "qkv"], ".qkv."), Z_IMAGE)


NETWORKS: dict[str, Callable[[Weights], Weights]] = {
    "UNet2DConditionModel": _unet,
    "SD3Transformer2DModel": _sd3,
    "FluxTransformer2DModel": _flux,
    "ChromaTransformer2DModel": _flux,
    "Flux2Transformer2DModel": _flux_2,
    "ZImageTransformer2DModel": _z_image,
    "QwenImageTransformer2DModel": dict,
}


def set_network_width(monkeypatch: Any, network: str, width: int = 32) -> None:
    """Make diffusers read files of Flux or Chroma with this width, which it takes to be 3072."""
    from diffusers.loaders.single_file_model import SINGLE_FILE_LOADABLE_CLASSES as CLASSES

    read = CLASSES[network]["checkpoint_mapping_fn"]
    constants = tuple(width if c == 3072 else c for c in read.__code__.co_consts)
    patched = FunctionType(read.__code__.replace(co_consts=constants), read.__globals__)
    monkeypatch.setitem(CLASSES[network], "checkpoint_mapping_fn", patched)
