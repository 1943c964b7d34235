"""A diffusion model in one .safetensors file, under the names that its authors gave its tensors.

What it lacks (how to build the networks, tokenizers, often text encoders and the VAE) is lent by
the folder of a model of its family: the one named with it, one of the file's name beside it, or
that of the family's card. diffusers itself turns the tensors into its own.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file

from segment2inpaint.catalogue import OPTIONAL, Card, command, lacking, parts, places
from segment2inpaint.catalogue import card as card_named
from segment2inpaint.inpaint.diffusion_fast import quantize
from segment2inpaint.inpaint.diffusion_folder import read_index, variant
from segment2inpaint.types import BadModel, ModelMissing

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

# Text encoders by the names of their tensors; T5 has a number of its own in each family.
TEXTS = {
    "cond_stage_model.": "text_encoder",
    "conditioner.embedders.0.": "text_encoder",
    "conditioner.embedders.1.": "text_encoder_2",
    "text_encoders.clip_l.": "text_encoder",
    "text_encoders.clip_g.": "text_encoder_2",
}
T5 = {
    "SD3Transformer2DModel": "text_encoder_3",
    "FluxTransformer2DModel": "text_encoder_2",
    "ChromaTransformer2DModel": "text_encoder",
}
THIRD = "text_encoder_3"  # Stable Diffusion 3 paints without it, and many files leave it out

CODER = ("first_stage_model.", "vae.")
CODER_UNREAD = {"Flux2Transformer2DModel", "QwenImageTransformer2DModel"}  # by diffusers

# Weights with a scale beside them, which would be taken for the numbers themselves.
SCALED = ("scaled_fp8", "scale_weight", "weight_scale", "comfy_quant", "quant_state", "qweight")

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
class Contents:
    """A file's ``network``, a class of diffusers, the ``parts`` of a pipeline that it holds, and
    the name of the ``card`` of its family; ``channels`` of the latents that a UNet takes."""

    file: Path
    network: str
    parts: frozenset[str]
    card: str
    channels: int = 0


def read(file: Path) -> Contents:
    """What a file holds. Raises ``BadModel`` for anything but a model that can inpaint."""
    shapes = _shapes(file)
    bare = {name.removeprefix(PREFIX): shape for name, shape in shapes.items()}
    network = next((kind for mark, kind in NETWORKS.items() if mark in bare), "")
    if not network or any("lora" in name for name in shapes):
        raise BadModel(f"{file}: {_other(shapes)}; expected a diffusion model in one file")
    scaled = next((name for name in shapes if any(mark in name for mark in SCALED)), None)
    if scaled:
        why = f"its weights need a scale ({scaled}), which diffusers does not read"
        raise BadModel(f"{file}: {why}; get the model in 16 bits")
    card = card_for(network, bare)
    if not card:
        raise BadModel(f"{file}: a {network} that is not for inpainting; take its base model")
    hint, instead = NAMED.get(card, ("/", ""))
    card = instead if hint in file.stem.lower() else card
    channels = bare["input_blocks.0.0.weight"][1] if network == UNET else 0
    return Contents(file, network, _held(network, shapes), card, channels)


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
    if channels not in (4, 9) or any("embedders.0.model." in name for name in shapes):
        return ""  # edits by instructions, or refines what another model made
    if "label_emb.0.0.weight" in shapes:
        return "sdxl-inpaint"
    dense = any(name.endswith(".proj_in.weight") and len(s) == 2 for name, s in shapes.items())
    if not dense:
        return "sd15-inpaint"
    return "sd2-inpaint" if channels == 9 else "sd21"


def _held(network: str, shapes: Shapes) -> frozenset[str]:
    """The parts of a pipeline that the file has."""
    texts = {prefix: part for prefix, part in TEXTS.items() if network not in CODER_UNREAD}
    if network in T5:
        texts["text_encoders.t5xxl."] = T5[network]
    held = {part for prefix, part in texts.items() if _any(shapes, prefix)}
    if network not in CODER_UNREAD and any(_any(shapes, prefix) for prefix in CODER):
        held.add("vae")
    return frozenset(held | {_folder_of(network)})


def _any(shapes: Shapes, prefix: str) -> bool:
    return any(name.startswith(prefix) for name in shapes)


def _folder_of(network: str) -> str:
    return "unet" if network == UNET else "transformer"


# --- what it lacks --------------------------------------------------------------------------------


def lender(contents: Contents, base: str = "") -> Path:
    """The folder that lends what the file lacks: of ``base`` (a card, a hub id or a folder), of
    the file's name beside it, or of the family's card.

    Raises ``ModelMissing`` if there is none, or it lacks the same; ``BadModel`` for one of
    another family.
    """
    wanting = ""
    for folder in _lenders(contents, base):
        index = read_index(folder)
        _check_family(contents, folder, index)
        absent = _absent(contents, folder, index)
        if not absent:
            return folder
        wanting = wanting or f" ({folder} has no {absent[0]})"
    named = shlex.quote(f"{contents.file}@{base}" if base else str(contents.file))
    what = "the configuration and what else it lacks"
    raise ModelMissing(
        f"{contents.file}: {what} of {base or contents.card} is not on this machine{wanting}; "
        f"get it with: {command(named)}"
    )


def _lenders(contents: Contents, base: str) -> list[Path]:
    if base and Path(base).is_dir():
        return [Path(base)]
    beside = [] if base else [contents.file.with_suffix("")]
    there = [*beside, *places(card_named(base or contents.card))]
    return [folder for folder in there if (folder / "model_index.json").is_file()]


def _check_family(contents: Contents, folder: Path, index: dict[str, Any]) -> None:
    pipeline = str(index.get("_class_name"))
    network = (index.get(_folder_of(contents.network)) or ["", ""])[1]
    other_unet = network == UNET and ("XL" in pipeline) != (contents.card == "sdxl-inpaint")
    if network != contents.network or other_unet:
        raise BadModel(
            f"{contents.file}: goes with {contents.card}, but {folder} is a {pipeline}; "
            "name a model of its family after @"
        )


def _absent(contents: Contents, folder: Path, index: dict[str, Any]) -> list[str]:
    """What neither the file nor the folder has and the pipeline needs."""
    built = [part for part in contents.parts if not (folder / part / "config.json").is_file()]
    whole = contents.parts | {THIRD}
    return built + [part for part in lacking(folder) if part not in whole]


def to_fetch(contents: Contents, base: str = "") -> tuple[Card, frozenset[str]]:
    """The card that lends what the file lacks, and the parts whose weights are not needed."""
    third = {THIRD} if "text_encoder" in contents.parts else set()
    return card_named(base or contents.card), contents.parts | OPTIONAL | third


# --- opening it -----------------------------------------------------------------------------------


def opened(
    contents: Contents,
    folder: Path,
    index: dict[str, Any],
    pipeline: Any,
    options: dict[str, Any],
) -> Any:
    """The file's parts and the folder's others in one pipeline, without a safety checker.

    ``options`` are those of ``pipeline.from_pretrained``. Raises ``BadModel`` for a network that
    is not whole, and whatever diffusers raises.
    """
    try:
        own = _networks(contents, folder, index, options)
    except NotImplementedError as error:  # so torch says that there is nothing to copy
        why = "tensors of its network are missing"
        raise BadModel(f"{contents.file}: {why}; get the model again") from error
    own |= _texts(contents, folder, index, pipeline, own, options)
    unused = [p for p in parts(index) if p in OPTIONAL or (p == THIRD and p in lacking(folder))]
    left_out: dict[str, Any] = dict.fromkeys(p for p in unused if p not in own)
    if "safety_checker" in left_out:
        left_out["requires_safety_checker"] = False
    return pipeline.from_pretrained(
        folder, variant=variant(folder, index), **left_out, **own, **options
    )


def _networks(
    contents: Contents, folder: Path, index: dict[str, Any], options: dict[str, Any]
) -> dict[str, Any]:
    """The network and, where the file has it, the VAE."""
    import diffusers

    tensors = load_file(contents.file)
    network = _folder_of(contents.network)
    bits = options.get("quantization_config")
    more: dict[str, Any] = {k: v for k, v in options.items() if k != "quantization_config"}
    made = {}
    for part in contents.parts & {network, "vae"}:
        extra = {"in_channels": contents.channels} if part == "unet" else {}
        made[part] = getattr(diffusers, index[part][1]).from_single_file(
            _own(tensors, part), config=str(folder), subfolder=part, **extra, **more
        )
        if bits and part == network:  # which diffusers leaves out when it opens a file
            quantize(made[part], bits.quant_mapping[part])
    return made


def _own(tensors: Mapping[str, Any], part: str) -> dict[str, Any]:
    """A part's tensors: a UNet's with the prefix, without which diffusers does not know them, the
    others' without, as it takes it for a part of the names of some."""
    if part == "vae":
        return {k: v for k, v in tensors.items() if k.startswith(CODER)}
    whole = any(name.startswith(PREFIX) for name in tensors)
    bare = {k.removeprefix(PREFIX): v for k, v in tensors.items() if k.startswith(PREFIX * whole)}
    return {PREFIX + k: v for k, v in bare.items()} if part == "unet" else bare


def _texts(
    contents: Contents,
    folder: Path,
    index: dict[str, Any],
    pipeline: Any,
    own: dict[str, Any],
    options: dict[str, Any],
) -> dict[str, Any]:
    """The text encoders in the file. diffusers opens those by way of a whole pipeline only."""
    import diffusers

    held = contents.parts - own.keys()
    if not held:
        return {}
    plain = getattr(diffusers, pipeline.__name__.replace("Inpaint", ""))
    opener = pipeline if hasattr(pipeline, "from_single_file") else plain
    others = dict.fromkeys(part for part in parts(index) if part not in contents.parts)
    more = {k: v for k, v in options.items() if k != "quantization_config"}
    pipe = opener.from_single_file(str(contents.file), config=str(folder), **own, **others, **more)
    made = {part: getattr(pipe, part) for part in held}
    for text in made.values():
        text.tie_weights()  # T5 has one matrix under two names, and files have one of them
        text.eval()  # diffusers leaves T5 as if it were to be trained
    return made
