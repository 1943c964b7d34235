"""Small random models of the real classes: whole pipelines that load and run in a moment."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from tiny_texts import letters


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


# --- diffusion pipelines ---------------------------------------------------------------------


def tokenizer() -> Any:
    """CLIP's tokenizer with one token a byte, and its two special ones."""
    from transformers import CLIPTokenizer

    words = [*letters(), *(f"{c}</w>" for c in letters()), "<|startoftext|>", "<|endoftext|>"]
    vocabulary = {word: number for number, word in enumerate(words)}
    return CLIPTokenizer(vocab=vocabulary, merges=[], model_max_length=77)


def save_old_tokenizer(tokens: Any, folder: Path) -> None:
    """The files that tokenizers had before ``tokenizer.json``."""
    (folder / "tokenizer.json").unlink()
    (folder / "vocab.json").write_text(json.dumps(tokens.get_vocab()))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    special = {
        "bos_token": "<|startoftext|>",
        "eos_token": "<|endoftext|>",
        "pad_token": "<|endoftext|>",
        "unk_token": "<|endoftext|>",
    }
    (folder / "special_tokens_map.json").write_text(json.dumps(special))
    settings = {"tokenizer_class": "CLIPTokenizer", "model_max_length": 77, **special}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))


def text_encoder(tokens: Any, *, projected: bool = False) -> Any:
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    config = CLIPTextConfig(
        bos_token_id=tokens.bos_token_id,
        eos_token_id=tokens.eos_token_id,
        pad_token_id=tokens.pad_token_id,
        vocab_size=len(tokens),
        hidden_size=32,
        intermediate_size=37,
        num_attention_heads=4,
        num_hidden_layers=2,
        projection_dim=32,
    )
    return (CLIPTextModelWithProjection if projected else CLIPTextModel)(config).eval()


def vae(latent: int = 4, **options: Any) -> Any:
    """Four blocks, so that a latent pixel is 8 x 8 px as in the real ones."""
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        block_out_channels=[8] * 4,
        down_block_types=["DownEncoderBlock2D"] * 4,
        up_block_types=["UpDecoderBlock2D"] * 4,
        latent_channels=latent,
        norm_num_groups=4,
        sample_size=64,
        **options,
    ).eval()


def flow_vae(latent: int) -> Any:
    return vae(
        latent,
        use_quant_conv=False,
        use_post_quant_conv=False,
        shift_factor=0.06,
        scaling_factor=1.5,
    )


def unet(channels: int, **options: Any) -> Any:
    """For latents of 16 x 16: the model's native size is 128 px."""
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel(
        block_out_channels=(16, 32),
        layers_per_block=1,
        sample_size=16,
        in_channels=channels,
        out_channels=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        norm_num_groups=8,
        **options,
    ).eval()


def flow() -> Any:
    from diffusers import FlowMatchEulerDiscreteScheduler

    return FlowMatchEulerDiscreteScheduler()


def stable_diffusion(channels: int = 9, kind: str = "StableDiffusionInpaintPipeline") -> Any:
    """Nine channels: trained to inpaint. Four: any text-to-image model."""
    import diffusers

    torch.manual_seed(0)
    tokens = tokenizer()
    return getattr(diffusers, kind)(
        vae=vae(),
        text_encoder=text_encoder(tokens),
        tokenizer=tokens,
        unet=unet(channels, cross_attention_dim=32, attention_head_dim=8),
        scheduler=diffusers.DDIMScheduler(
            beta_start=0.00085,
            beta_end=0.012,
            beta_schedule="scaled_linear",
            clip_sample=False,
            set_alpha_to_one=False,
            steps_offset=1,
        ),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def add_safety_checker(pipe: Any) -> None:
    """A safety checker that refuses everything."""
    from diffusers.pipelines.stable_diffusion import StableDiffusionSafetyChecker
    from transformers import CLIPConfig, CLIPImageProcessor

    sizes = {"hidden_size": 32, "intermediate_size": 37, "num_hidden_layers": 1}
    sizes |= {"num_attention_heads": 4, "projection_dim": 32}
    vision = {**sizes, "image_size": 32, "patch_size": 8}
    config = CLIPConfig(vision_config=vision, text_config=sizes, projection_dim=32)
    checker = StableDiffusionSafetyChecker(config).eval()
    with torch.no_grad():
        checker.concept_embeds_weights.fill_(-2.0)  # the least similarity that is refused
    eye = CLIPImageProcessor(size={"shortest_edge": 32}, crop_size=32)
    pipe.register_modules(safety_checker=checker, feature_extractor=eye)
    pipe.register_to_config(requires_safety_checker=True)


def save_single_file(pipe: Any, path: Path) -> None:
    """A tiny Stable Diffusion in one file, under the names that its authors gave its tensors."""
    from safetensors.torch import save_file

    weights = {}
    for part, names in ORIGINAL.items():
        for name, tensor in getattr(pipe, part).state_dict().items():
            if part == "text_encoder":
                name = "text_model." + name.removeprefix("text_model.")
            resnet = part == "unet" and "transformer_blocks" not in name
            for pattern, original in [*names.items(), *(ORIGINAL_RESNET.items() if resnet else ())]:
                name = re.sub(pattern, original, name)
            square = part == "vae" and ".attn_1." in name and tensor.ndim == 2
            weights[name] = (tensor[..., None, None] if square else tensor).contiguous().clone()
    save_file(weights, path)


def _at(template: str, *terms: tuple[int, int, int]) -> Callable[[re.Match[str]], str]:
    """Fill in numbers: of each (group, factor, offset), group * factor + offset."""

    def name(found: re.Match[str]) -> str:
        return template.format(*(int(found[g]) * factor + plus for g, factor, plus in terms))

    return name


ORIGINAL: dict[str, dict[str, Any]] = {
    "text_encoder": {"^": "cond_stage_model.transformer."},
    "unet": {
        r"^time_embedding\.linear_1": "time_embed.0",
        r"^time_embedding\.linear_2": "time_embed.2",
        r"^conv_in": "input_blocks.0.0",
        r"^conv_norm_out": "out.0",
        r"^conv_out": "out.2",
        r"^down_blocks\.(\d)\.resnets\.0": _at("input_blocks.{}.0", (1, 2, 1)),
        r"^down_blocks\.(\d)\.attentions\.0": _at("input_blocks.{}.1", (1, 2, 1)),
        r"^down_blocks\.(\d)\.downsamplers\.0\.conv": _at("input_blocks.{}.0.op", (1, 2, 2)),
        r"^up_blocks\.0\.upsamplers\.0": "output_blocks.1.2",
        r"^up_blocks\.0\.resnets\.(\d)": r"output_blocks.\1.0",
        r"^up_blocks\.0\.attentions\.(\d)": r"output_blocks.\1.1",
        r"^up_blocks\.1\.resnets\.(\d)": _at("output_blocks.{}.0", (1, 1, 2)),
        r"^mid_block\.resnets\.(\d)": _at("middle_block.{}", (1, 2, 0)),
        r"^mid_block\.attentions\.0": "middle_block.1",
        "^": "model.diffusion_model.",
    },
    "vae": {
        r"down_blocks\.(\d)\.resnets": r"down.\1.block",
        r"down_blocks\.(\d)\.downsamplers\.0": r"down.\1.downsample",
        r"up_blocks\.(\d)\.resnets": _at("up.{}.block", (1, -1, 3)),
        r"up_blocks\.(\d)\.upsamplers\.0": _at("up.{}.upsample", (1, -1, 3)),
        r"mid_block\.resnets\.(\d)": _at("mid.block_{}", (1, 1, 1)),
        r"mid_block\.attentions\.0": "mid.attn_1",
        "conv_shortcut": "nin_shortcut",
        "conv_norm_out": "norm_out",
        "group_norm": "norm",
        r"to_([qkv])": r"\1",
        r"to_out\.0": "proj_out",
        "^": "first_stage_model.",
    },
}
ORIGINAL_RESNET = {
    r"\.norm1\.": ".in_layers.0.",
    r"\.conv1\.": ".in_layers.2.",
    r"\.norm2\.": ".out_layers.0.",
    r"\.conv2\.": ".out_layers.3.",
    r"\.time_emb_proj\.": ".emb_layers.1.",
    r"\.conv_shortcut\.": ".skip_connection.",
}


def stable_diffusion_xl() -> Any:
    import diffusers

    torch.manual_seed(0)
    tokens = tokenizer()
    return diffusers.StableDiffusionXLInpaintPipeline(
        vae=vae(),
        text_encoder=text_encoder(tokens),
        text_encoder_2=text_encoder(tokens, projected=True),
        tokenizer=tokens,
        tokenizer_2=tokenizer(),
        unet=unet(
            9,
            attention_head_dim=(2, 4),
            use_linear_projection=True,
            addition_embed_type="text_time",
            addition_time_embed_dim=8,
            transformer_layers_per_block=(1, 2),
            projection_class_embeddings_input_dim=6 * 8 + 32,
            cross_attention_dim=64,
        ),
        scheduler=diffusers.EulerDiscreteScheduler(
            beta_start=0.00085,
            beta_end=0.012,
            beta_schedule="scaled_linear",
            steps_offset=1,
            timestep_spacing="leading",
        ),
        add_watermarker=False,
    )
