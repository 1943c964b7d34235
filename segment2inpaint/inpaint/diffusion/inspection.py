"""Recognition of a diffusion model's file by the names and shapes of its tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open

from segment2inpaint.errors import BadModel

Shapes = Mapping[str, tuple[int, ...]]

# The network's class in diffusers, by a tensor that only its family has.
NETWORK_BY_TENSOR = {
    "input_blocks.0.0.weight": "UNet2DConditionModel",
    "joint_blocks.0.context_block.adaLN_modulation.1.bias": "SD3Transformer2DModel",
    "distilled_guidance_layer.in_proj.bias": "ChromaTransformer2DModel",
    "single_stream_modulation.lin.weight": "Flux2Transformer2DModel",
    "vector_in.in_layer.weight": "FluxTransformer2DModel",
    "layers.0.adaLN_modulation.0.weight": "ZImageTransformer2DModel",
    "transformer_blocks.0.img_mod.1.weight": "QwenImageTransformer2DModel",
}
# Prefix of the network's tensors in files that hold other components too.
NETWORK_PREFIX = "model.diffusion_model."
UNET_CLASS = "UNet2DConditionModel"

# Text encoders by the tensor prefixes that diffusers reads; a file with other prefixes takes its
# text encoder from the base model. T5 has a different number in each family.
TEXT_ENCODER_BY_PREFIX = {
    "cond_stage_model.transformer.text_model.": "text_encoder",
    "cond_stage_model.model.": "text_encoder",
    "conditioner.embedders.0.transformer.text_model.": "text_encoder",
    "conditioner.embedders.1.model.": "text_encoder_2",
    "text_encoders.clip_l.transformer.text_model.": "text_encoder",
    "text_encoders.clip_g.transformer.text_model.": "text_encoder_2",
}
T5_PREFIX = "text_encoders.t5xxl.transformer."
T5_COMPONENT = {
    "SD3Transformer2DModel": "text_encoder_3",
    "FluxTransformer2DModel": "text_encoder_2",
    "ChromaTransformer2DModel": "text_encoder",
}

# Tensors of UNets that cannot inpaint here: refiners, and models with another noise schedule.
UNSUPPORTED_UNET_MARKS = ("embedders.0.model.", "edm_")

VAE_PREFIXES = ("first_stage_model.", "vae.")
# diffusers cannot read the VAE in a file of these families.
VAE_UNREADABLE = {"Flux2Transformer2DModel", "QwenImageTransformer2DModel"}

# Marks of quantized weights that need a scale; diffusers would read them as plain numbers.
SCALE_MARKS = (
    "scaled_fp8",
    "scale_weight",
    "weight_scale",
    "comfy_quant",
    "quant_state",
    "qweight",
)

# Empty tensors of Stable Diffusion XL models that were trained to predict the velocity instead of
# the noise (v_pred), from pure noise on (ztsnr).
VELOCITY_MARKS = {"v_pred", "ztsnr"}

# Other kinds of files, by a part of a tensor's name; the first match counts.
OTHER_FILE_KINDS = {
    "lora": "a LoRA",
    "hada_w1": "a LoRA",
    "control_model.": "a ControlNet",
    "controlnet_": "a ControlNet",
    "emb_params": "a textual inversion",
    "down_blocks.": "one component of a model's folder; name the folder",
    "single_transformer_blocks.": "one component of a model's folder; name the folder",
    "encoder.down.": "a VAE alone",
    "text_model.": "a text encoder alone",
    "encoder.block.": "a text encoder alone",
    "model.layers.": "a text encoder alone",
}

# Models with exactly the tensors of another one: card -> (word in the file's name, other card).
CARD_BY_FILE_NAME = {
    "flux-dev": ("kontext", "flux-kontext"),
    "qwen-image": ("edit", "qwen-image-edit"),
}


@dataclass(frozen=True)
class CheckpointInfo:
    """The content of a checkpoint file.

    ``network_class`` is a class of diffusers, ``components`` are the components of a pipeline in
    the file, ``card`` names the card of its family. ``unet_channels`` is the number of latent
    channels that a UNet takes, 0 for other networks. ``velocity_marks`` is a subset of
    ``VELOCITY_MARKS``.
    """

    file: Path
    network_class: str
    components: frozenset[str]
    card: str
    unet_channels: int = 0
    velocity_marks: frozenset[str] = frozenset()


def inspect_file(file: Path) -> CheckpointInfo:
    """Return the content of a .safetensors file; only its header is read.

    Raises ``BadModel`` for anything but a model that can inpaint.
    """
    shapes = _read_shapes(file)
    bare = {name.removeprefix(NETWORK_PREFIX): shape for name, shape in shapes.items()}
    network = next((kind for mark, kind in NETWORK_BY_TENSOR.items() if mark in bare), "")
    _check_network(file, network, shapes)
    try:
        card = family_card(network, bare)
    except (KeyError, IndexError, ValueError):  # tensors are missing or have other shapes
        card = ""
    if not card:
        raise BadModel(
            f"{file}: this {network} cannot inpaint or is incomplete; use its base model"
        )
    word, other_card = CARD_BY_FILE_NAME.get(card, ("/", ""))
    return CheckpointInfo(
        file,
        network,
        _components(network, shapes),
        other_card if word in file.stem.lower() else card,
        bare["input_blocks.0.0.weight"][1] if network == UNET_CLASS else 0,
        frozenset(VELOCITY_MARKS & shapes.keys()),
    )


def _read_shapes(file: Path) -> Shapes:
    try:
        with safe_open(file, "pt") as header:
            return {name: tuple(header.get_slice(name).get_shape()) for name in header.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise BadModel(
            f"{file}: not a readable .safetensors file, the only supported kind of single file"
        ) from error


def _check_network(file: Path, network: str, shapes: Shapes) -> None:
    """Raise ``BadModel`` for a file without a network of a known family or with scaled weights."""
    if not network or any("lora" in name for name in shapes):
        kind = _describe_kind(shapes)
        raise BadModel(f"{file}: {kind}; expected a diffusion model in one file")
    scaled = next((name for name in shapes if any(mark in name for mark in SCALE_MARKS)), None)
    if scaled:
        raise BadModel(
            f"{file}: its weights need a scale ({scaled}), which diffusers does not read; "
            "get the model in 16 bits"
        )


def _describe_kind(shapes: Shapes) -> str:
    kinds = (
        kind for mark, kind in OTHER_FILE_KINDS.items() if any(mark in name for name in shapes)
    )
    first_tensor = next(iter(shapes), "nothing")
    return next(kinds, f"not a known kind of model (it has {first_tensor})")


def family_card(network: str, shapes: Shapes) -> str:
    """Return the card of the family's member with these tensors, "" if it cannot inpaint.

    The names in ``shapes`` have no prefix. Raises ``KeyError``, ``IndexError`` or ``ValueError``
    for an incomplete network.
    """
    match network:
        case "UNet2DConditionModel":
            return _unet_card(shapes)
        case "SD3Transformer2DModel":
            return _sd3_card(shapes)
        case "FluxTransformer2DModel":
            return _flux_card(shapes)
        case "Flux2Transformer2DModel":
            return _flux2_card(shapes)
        case "ChromaTransformer2DModel":
            return "chroma"
        case "ZImageTransformer2DModel":
            return "z-image-turbo"
    return "qwen-image"


def _unet_card(shapes: Shapes) -> str:
    channels = shapes["input_blocks.0.0.weight"][1]
    marks = UNSUPPORTED_UNET_MARKS
    if channels not in (4, 9) or any(mark in name for name in shapes for mark in marks):
        return ""  # other numbers of channels are for editing by instructions, for example
    if "label_emb.0.0.weight" in shapes:
        return "sdxl-inpaint"
    linear = any(name.endswith(".proj_in.weight") and len(s) == 2 for name, s in shapes.items())
    if not linear:
        return "sd15-inpaint"
    return "sd2-inpaint" if channels == 9 else "sd21"


def _sd3_card(shapes: Shapes) -> str:
    if any(".attn2." in name for name in shapes):
        return "sd35-medium"
    return "sd35-large" if any(".ln_q." in name for name in shapes) else "sd3-medium"


def _flux_card(shapes: Shapes) -> str:
    (_, channels_in), channels_out = (
        shapes["img_in.weight"],
        shapes["final_layer.linear.weight"][0],
    )
    if channels_in == channels_out:
        return "flux-dev" if _has_guidance(shapes) else "flux-schnell"
    # Fill takes the masked latents and a packed mask as well; others take a depth or edge map.
    return "flux-fill" if channels_in == 2 * channels_out + 256 else ""


def _flux2_card(shapes: Shapes) -> str:
    width = shapes["img_in.weight"][0]
    if _has_guidance(shapes):
        return ""
    return "flux2-klein-9b" if width > 3072 else "flux2-klein"


def _has_guidance(shapes: Shapes) -> bool:
    return "guidance_in.in_layer.weight" in shapes


def _components(network: str, shapes: Shapes) -> frozenset[str]:
    """Return the components of a pipeline that diffusers can read from the file."""
    readable = network not in VAE_UNREADABLE
    encoders = dict(TEXT_ENCODER_BY_PREFIX) if readable else {}
    if network in T5_COMPONENT:
        encoders[T5_PREFIX] = T5_COMPONENT[network]
    components = {name for prefix, name in encoders.items() if _has_prefix(shapes, prefix)}
    if readable and any(_has_prefix(shapes, prefix) for prefix in VAE_PREFIXES):
        components.add("vae")
    return frozenset(components | {network_component(network)})


def _has_prefix(shapes: Shapes, prefix: str) -> bool:
    return any(name.startswith(prefix) for name in shapes)


def network_component(network_class: str) -> str:
    """Return the pipeline component, and so the folder, of a network class."""
    return "unet" if network_class == UNET_CLASS else "transformer"
