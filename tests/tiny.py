"""Small random models of the real classes: SAM and Stable Diffusion. They run in a moment."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import torch
from tiny_texts import byte_letters


def sam(seed: int = 0) -> Any:
    """Return a SAM for 256 px with two blocks (one windowed, one global), 0.3 million weights."""
    from segment_anything.modeling import (
        ImageEncoderViT,
        MaskDecoder,
        PromptEncoder,
        Sam,
        TwoWayTransformer,
    )

    torch.manual_seed(seed)
    model = Sam(
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
    _shake(model)
    return model


def sam_of_transformers(seed: int = 0) -> Any:
    """Return the same size of SAM as a model of transformers."""
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
    model = SamModel(config).eval()
    _shake(model)
    return model


def save_sam(folder: Path, suffix: str = ".safetensors", seed: int = 0) -> Path:
    """Save a checkpoint of the tiny SAM in a folder, and return its path."""
    from safetensors.torch import save_file

    path = folder / f"sam{suffix}"
    weights = sam(seed).state_dict()
    if suffix == ".safetensors":
        save_file(weights, path)
    else:
        torch.save(weights, path)
    return path


def _shake(model: torch.nn.Module) -> None:
    """Add noise to all weights, so that no wrong one goes unnoticed because it is zero."""
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn_like(weight) * 0.05)


# --- diffusion pipelines ---------------------------------------------------------------------


def tokenizer() -> Any:
    """Return CLIP's tokenizer with one token for each byte, and its two special ones."""
    from transformers import CLIPTokenizer

    words = [
        *byte_letters(),
        *(f"{c}</w>" for c in byte_letters()),
        "<|startoftext|>",
        "<|endoftext|>",
    ]
    vocabulary = {word: number for number, word in enumerate(words)}
    return CLIPTokenizer(vocab=vocabulary, merges=[], model_max_length=77)


def save_old_tokenizer(tokens: Any, folder: Path) -> None:
    """Replace ``tokenizer.json`` in a folder by the files that older tokenizers have."""
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


def text_encoder(tokens: Any, *, projected: bool = False, hidden: int = 32) -> Any:
    """Return CLIP's text encoder for a tokenizer."""
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    config = CLIPTextConfig(
        bos_token_id=tokens.bos_token_id,
        eos_token_id=tokens.eos_token_id,
        pad_token_id=tokens.pad_token_id,
        vocab_size=len(tokens),
        hidden_size=hidden,
        intermediate_size=37,
        num_attention_heads=4,
        num_hidden_layers=2,
        projection_dim=hidden,
    )
    return (CLIPTextModelWithProjection if projected else CLIPTextModel)(config).eval()


def vae(latent: int = 4, **options: Any) -> Any:
    """Return a VAE with four blocks, so that a latent pixel is 8 x 8 px as in the real ones."""
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
    """Return a VAE as the flow-matching families have it."""
    return vae(
        latent,
        use_quant_conv=False,
        use_post_quant_conv=False,
        shift_factor=0.06,
        scaling_factor=1.5,
    )


def unet(channels: int, **options: Any) -> Any:
    """Return a UNet for latents of 16 x 16; the model's native size is 128 px."""
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


def flow_scheduler() -> Any:
    """Return the scheduler of the flow-matching families."""
    from diffusers import FlowMatchEulerDiscreteScheduler

    return FlowMatchEulerDiscreteScheduler()


def stable_diffusion(
    channels: int = 9, kind: str = "StableDiffusionInpaintPipeline", **options: Any
) -> Any:
    """Return a Stable Diffusion pipeline.

    Nine channels are those of a model trained to inpaint, four of any text-to-image model.
    """
    import diffusers

    torch.manual_seed(0)
    tokens = tokenizer()
    return getattr(diffusers, kind)(
        vae=vae(),
        text_encoder=text_encoder(tokens),
        tokenizer=tokens,
        unet=unet(channels, cross_attention_dim=32, attention_head_dim=8, **options),
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
    """Add a safety checker that refuses everything."""
    from diffusers.pipelines.stable_diffusion import StableDiffusionSafetyChecker
    from transformers import CLIPConfig, CLIPImageProcessor

    layer_sizes = {"hidden_size": 32, "intermediate_size": 37, "num_hidden_layers": 1}
    layer_sizes |= {"num_attention_heads": 4, "projection_dim": 32}
    vision = {**layer_sizes, "image_size": 32, "patch_size": 8}
    config = CLIPConfig(vision_config=vision, text_config=layer_sizes, projection_dim=32)
    checker = StableDiffusionSafetyChecker(config).eval()
    with torch.no_grad():
        checker.concept_embeds_weights.fill_(-2.0)  # refuse from this similarity on
    image_processor = CLIPImageProcessor(size={"shortest_edge": 32}, crop_size=32)
    pipe.register_modules(safety_checker=checker, feature_extractor=image_processor)
    pipe.register_to_config(requires_safety_checker=True)


def stable_diffusion_xl(channels: int = 9) -> Any:
    """Return a Stable Diffusion XL pipeline.

    Its text encoders differ in width, by which diffusers distinguishes them in a file.
    """
    import diffusers

    torch.manual_seed(0)
    tokens = tokenizer()
    return diffusers.StableDiffusionXLInpaintPipeline(
        vae=vae(),
        text_encoder=text_encoder(tokens, hidden=24),
        text_encoder_2=text_encoder(tokens, projected=True, hidden=40),
        tokenizer=tokens,
        tokenizer_2=tokenizer(),
        unet=unet(
            channels,
            attention_head_dim=(2, 4),
            use_linear_projection=True,
            addition_embed_type="text_time",
            addition_time_embed_dim=8,
            transformer_layers_per_block=(1, 2),
            projection_class_embeddings_input_dim=6 * 8 + 40,
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
