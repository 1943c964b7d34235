"""What is in a diffusion model's file, told by the names and shapes of its tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open

from segment2inpaint.errors import BadModel

Shapes = Mapping[str, tuple[int, ...]]

# The network's class in diffusers, by a tensor that only its family has.
NETWORKS = {
    "input_blocks.0.0.weight": "UNet2DConditionModel",
    "joint_blocks.0.context_block.adaLN_modulation.1.bias": "SD3Transformer2DModel",
    "distilled_guidance_layer.in_proj.bias": "ChromaTransformer2DModel",
    "single_stream_modulation.lin.weight": "Flux2Transformer2DModel",
    "vector_in.in_layer.weight": "FluxTransformer2DModel",
    "layers.0.adaLN_modulation.0.weight": "ZImageTransformer2DModel",
    "transformer_blocks.0.img_mod.1.weight": "QwenImageTransformer2DModel",
}
PREFIX = "model.diffusion_model."  # of the network, where other parts are in the file too
UNET = "UNet2DConditionModel"

# Text encoders by the names that diffusers reads (a file with others is lent one); T5 has a
# number of its own in each family.
TEXTS = {
    "cond_stage_model.transformer.text_model.": "text_encoder",
    "cond_stage_model.model.": "text_encoder",
    "conditioner.embedders.0.transformer.text_model.": "text_encoder",
    "conditioner.embedders.1.model.": "text_encoder_2",
    "text_encoders.clip_l.transformer.text_model.": "text_encoder",
    "text_encoders.clip_g.transformer.text_model.": "text_encoder_2",
}
T5 = {
    "SD3Transformer2DModel": "text_encoder_3",
    "FluxTransformer2DModel": "text_encoder_2",
    "ChromaTransformer2DModel": "text_encoder",
}

# What refines another model's pictures, and what counts noise in another way.
OTHER_UNETS = ("embedders.0.model.", "edm_")

CODER = ("first_stage_model.", "vae.")
CODER_UNREAD = {"Flux2Transformer2DModel", "QwenImageTransformer2DModel"}  # by diffusers

# Weights with a scale beside them, which would be taken for the numbers themselves.
SCALED = ("scaled_fp8", "scale_weight", "weight_scale", "comfy_quant", "quant_state", "qweight")

# Empty tensors that say for what a relative of Stable Diffusion XL was trained: the velocity
# instead of the noise, from noise alone.
VELOCITY = {"v_pred", "ztsnr"}

# What else a file may be, by a piece of a tensor's name; the first that is there.
OTHERS = {
    "lora": "a LoRA",
    "hada_w1": "a LoRA",
    "control_model.": "a ControlNet",
    "controlnet_": "a ControlNet",
    "emb_params": "a textual inversion",
    "down_blocks.": "a part of a folder, which is what to name",
    "single_transformer_blocks.": "a part of a folder, which is what to name",
    "encoder.down.": "a VAE alone",
    "text_model.": "a text encoder alone",
    "encoder.block.": "a text encoder alone",
    "model.layers.": "a text encoder alone",
}

# The same tensors to the last; only the file's name tells.
NAMED = {"flux-dev": ("kontext", "flux-kontext"), "qwen-image": ("edit", "qwen-image-edit")}


@dataclass(frozen=True)
class CheckpointInfo:
    """A file's ``network``, a class of diffusers, the ``parts`` of a pipeline that it holds, and
    the name of the ``card`` of its family; ``channels`` of the latents that a UNet takes, and
    what of ``VELOCITY`` says how it was trained."""

    file: Path
    network: str
    parts: frozenset[str]
    card: str
    channels: int = 0
    trained: frozenset[str] = frozenset()


def read(file: Path) -> CheckpointInfo:
    """What a file holds. Raises ``BadModel`` for anything but a model that can inpaint."""
    shapes = _shapes(file)
    bare = {name.removeprefix(PREFIX): shape for name, shape in shapes.items()}
    network = next((kind for mark, kind in NETWORKS.items() if mark in bare), "")
    _check(file, network, shapes)
    try:
        card = card_for(network, bare)
    except (KeyError, IndexError, ValueError):  # tensors missing, or of other shapes
        card = ""
    if not card:
        raise BadModel(
            f"{file}: a {network} that is not for inpainting, or not whole; take its base model"
        )
    hint, instead = NAMED.get(card, ("/", ""))
    return CheckpointInfo(
        file,
        network,
        _held(network, shapes),
        instead if hint in file.stem.lower() else card,
        bare["input_blocks.0.0.weight"][1] if network == UNET else 0,
        frozenset(VELOCITY & shapes.keys()),
    )


def _check(file: Path, network: str, shapes: Shapes) -> None:
    """Raises ``BadModel`` for what is no network of a known family, or in too few bits."""
    if not network or any("lora" in name for name in shapes):
        raise BadModel(f"{file}: {_other(shapes)}; expected a diffusion model in one file")
    scaled = next((name for name in shapes if any(mark in name for mark in SCALED)), None)
    if scaled:
        why = f"its weights need a scale ({scaled}), which diffusers does not read"
        raise BadModel(f"{file}: {why}; get the model in 16 bits")


def _shapes(file: Path) -> Shapes:
    try:
        with safe_open(file, "pt") as opened:
            return {name: tuple(opened.get_slice(name).get_shape()) for name in opened.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        what = "not a readable .safetensors file, the only kind of single file that is taken"
        raise BadModel(f"{file}: {what}") from error


def _other(shapes: Shapes) -> str:
    found = (what for mark, what in OTHERS.items() if any(mark in name for name in shapes))
    some = next(iter(shapes), "nothing")
    return next(found, f"not a known kind of model (it has {some})")


def card_for(network: str, shapes: Shapes) -> str:
    """The card of the family's member with these tensors, empty for one that cannot inpaint."""
    if network == UNET:
        return _card_for_unet(shapes)
    if network == "SD3Transformer2DModel":
        if any(".attn2." in name for name in shapes):
            return "sd35-medium"
        return "sd35-large" if any(".ln_q." in name for name in shapes) else "sd3-medium"
    guided = "guidance_in.in_layer.weight" in shapes
    if network == "FluxTransformer2DModel":
        (_, taken), given = shapes["img_in.weight"], shapes["final_layer.linear.weight"][0]
        if taken == given:
            return "flux-dev" if guided else "flux-schnell"
        return "flux-fill" if taken == 2 * given + 256 else ""  # else made for depth or edges
    if network == "Flux2Transformer2DModel":
        width = shapes["img_in.weight"][0]
        return "" if guided else "flux2-klein-9b" if width > 3072 else "flux2-klein"
    return {"ChromaTransformer2DModel": "chroma", "ZImageTransformer2DModel": "z-image-turbo"}.get(
        network, "qwen-image"
    )


def _card_for_unet(shapes: Shapes) -> str:
    channels = shapes["input_blocks.0.0.weight"][1]
    if channels not in (4, 9) or any(mark in name for name in shapes for mark in OTHER_UNETS):
        return ""  # such as one that edits by instructions
    if "label_emb.0.0.weight" in shapes:
        return "sdxl-inpaint"
    dense = any(name.endswith(".proj_in.weight") and len(s) == 2 for name, s in shapes.items())
    if not dense:
        return "sd15-inpaint"
    return "sd2-inpaint" if channels == 9 else "sd21"


def _held(network: str, shapes: Shapes) -> frozenset[str]:
    """The parts of a pipeline that the file has."""
    texts = {} if network in CODER_UNREAD else dict(TEXTS)
    if network in T5:
        texts["text_encoders.t5xxl.transformer."] = T5[network]
    held = {part for prefix, part in texts.items() if _any(shapes, prefix)}
    if network not in CODER_UNREAD and any(_any(shapes, prefix) for prefix in CODER):
        held.add("vae")
    return frozenset(held | {folder_of(network)})


def _any(shapes: Shapes, prefix: str) -> bool:
    return any(name.startswith(prefix) for name in shapes)


def folder_of(network: str) -> str:
    return "unet" if network == UNET else "transformer"
