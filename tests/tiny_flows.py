"""Small random pipelines of the families after Stable Diffusion, with text encoders."""

from __future__ import annotations

from typing import Any

import torch
from tiny import flow_scheduler, flow_vae, text_encoder, tokenizer
from tiny_texts import (
    clip_vision,
    qwen_2_5_vl,
    qwen_3,
    qwen_processor,
    qwen_tokenizer,
    t5,
    t5_tokenizer,
)


def stable_diffusion_3(**options: Any) -> Any:
    from diffusers import SD3Transformer2DModel, StableDiffusion3InpaintPipeline

    torch.manual_seed(0)
    transformer = SD3Transformer2DModel(
        sample_size=16,
        patch_size=2,
        in_channels=16,
        num_layers=1,
        attention_head_dim=8,
        num_attention_heads=4,
        joint_attention_dim=64,
        caption_projection_dim=32,
        pooled_projection_dim=64,
        out_channels=16,
        **options,
    ).eval()
    tokens = tokenizer()
    return StableDiffusion3InpaintPipeline(
        transformer=transformer,
        scheduler=flow_scheduler(),
        vae=flow_vae(16),
        text_encoder=text_encoder(tokens, projected=True, hidden=24),
        text_encoder_2=text_encoder(tokens, projected=True, hidden=40),
        text_encoder_3=t5(64),
        tokenizer=tokens,
        tokenizer_2=tokens,
        tokenizer_3=t5_tokenizer(),
    )


def flux(kind: str = "FluxInpaintPipeline") -> Any:
    import diffusers

    torch.manual_seed(0)
    fill = kind == "FluxFillPipeline"
    transformer = diffusers.FluxTransformer2DModel(
        patch_size=1,
        in_channels=16 + 16 + 256 if fill else 16,  # latents, masked latents, the mask packed
        out_channels=16,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=32,
        pooled_projection_dim=32,
        axes_dims_rope=[4, 4, 8],
        guidance_embeds=fill or "Kontext" in kind,
    ).eval()
    tokens = tokenizer()
    return getattr(diffusers, kind)(
        transformer=transformer,
        scheduler=flow_scheduler(),
        vae=flow_vae(4),
        text_encoder=text_encoder(tokens),
        text_encoder_2=t5(),
        tokenizer=tokens,
        tokenizer_2=t5_tokenizer(),
    )


def chroma() -> Any:
    from diffusers import ChromaInpaintPipeline, ChromaTransformer2DModel

    torch.manual_seed(0)
    transformer = ChromaTransformer2DModel(
        patch_size=1,
        in_channels=16,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=32,
        axes_dims_rope=[4, 4, 8],
        approximator_hidden_dim=32,
        approximator_layers=1,
        approximator_num_channels=16,
    ).eval()
    return ChromaInpaintPipeline(
        transformer=transformer,
        scheduler=flow_scheduler(),
        vae=flow_vae(4),
        text_encoder=t5(),
        tokenizer=t5_tokenizer(),
    )


def z_image() -> Any:
    from diffusers import ZImageInpaintPipeline, ZImageTransformer2DModel

    torch.manual_seed(0)
    transformer = ZImageTransformer2DModel(
        all_patch_size=(2,),
        all_f_patch_size=(1,),
        in_channels=16,
        dim=32,
        n_layers=2,
        n_refiner_layers=1,
        n_heads=2,
        n_kv_heads=2,
        cap_feat_dim=16,
        axes_dims=[8, 4, 4],
        axes_lens=[256, 32, 32],
    ).eval()
    with torch.no_grad():  # the class leaves these uninitialised
        for name, weight in transformer.named_parameters():
            if name.endswith("pad_token"):
                weight.zero_()
    return ZImageInpaintPipeline(
        transformer=transformer,
        scheduler=flow_scheduler(),
        vae=flow_vae(16),
        text_encoder=qwen_3(),
        tokenizer=qwen_tokenizer(),
    )


def qwen_image(kind: str = "QwenImageInpaintPipeline") -> Any:
    import diffusers
    from diffusers import AutoencoderKLQwenImage, QwenImageTransformer2DModel

    torch.manual_seed(0)
    transformer = QwenImageTransformer2DModel(
        patch_size=2,
        in_channels=16,
        out_channels=4,
        num_layers=2,
        attention_head_dim=16,
        num_attention_heads=3,
        joint_attention_dim=16,
        axes_dims_rope=(8, 4, 4),
    ).eval()
    coder = AutoencoderKLQwenImage(
        base_dim=24,
        z_dim=4,
        num_res_blocks=1,
        latents_mean=[0.0] * 4,
        latents_std=[1.0] * 4,
    ).eval()
    tokens = qwen_tokenizer()
    edit = {"processor": qwen_processor(tokens)} if "Edit" in kind else {}
    return getattr(diffusers, kind)(
        transformer=transformer,
        scheduler=flow_scheduler(),
        vae=coder,
        text_encoder=qwen_2_5_vl(),
        tokenizer=tokens,
        **edit,
    )


def flux_2_klein() -> Any:
    from diffusers import AutoencoderKLFlux2, Flux2KleinInpaintPipeline, Flux2Transformer2DModel

    torch.manual_seed(0)
    transformer = Flux2Transformer2DModel(
        patch_size=1,
        in_channels=16,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=48,
        timestep_guidance_channels=256,
        axes_dims_rope=[4, 4, 4, 4],
        guidance_embeds=False,
    ).eval()
    coder = AutoencoderKLFlux2(
        block_out_channels=(8,) * 4,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=4,
        sample_size=32,
        use_quant_conv=False,
        use_post_quant_conv=False,
    ).eval()
    return Flux2KleinInpaintPipeline(
        transformer=transformer,
        scheduler=flow_scheduler(),
        vae=coder,
        text_encoder=qwen_3(layers=28),
        tokenizer=qwen_tokenizer(),
    )


def kandinsky_2_2(*, whole: bool = True) -> tuple[Any, Any]:
    """Return the inpainting decoder and the prior; if ``whole``, both combined come first."""
    import diffusers
    from diffusers import DDIMScheduler, UNet2DConditionModel, VQModel

    torch.manual_seed(0)
    unet = UNet2DConditionModel(
        in_channels=9,
        out_channels=8,
        addition_embed_type="image",
        down_block_types=("ResnetDownsampleBlock2D", "SimpleCrossAttnDownBlock2D"),
        up_block_types=("SimpleCrossAttnUpBlock2D", "ResnetUpsampleBlock2D"),
        mid_block_type="UNetMidBlock2DSimpleCrossAttn",
        block_out_channels=(32, 64),
        layers_per_block=1,
        encoder_hid_dim=32,
        encoder_hid_dim_type="image_proj",
        cross_attention_dim=32,
        attention_head_dim=4,
        resnet_time_scale_shift="scale_shift",
    ).eval()
    movq = VQModel(
        block_out_channels=[32, 64],
        down_block_types=["DownEncoderBlock2D", "AttnDownEncoderBlock2D"],
        up_block_types=["AttnUpDecoderBlock2D", "UpDecoderBlock2D"],
        latent_channels=4,
        norm_num_groups=8,
        norm_type="spatial",
        num_vq_embeddings=12,
        vq_embed_dim=4,
    ).eval()
    steps = DDIMScheduler(
        beta_schedule="linear",
        beta_start=0.00085,
        beta_end=0.012,
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
    )
    decoder = diffusers.KandinskyV22InpaintPipeline(unet=unet, scheduler=steps, movq=movq)
    prior = _prior()
    if not whole:
        return decoder, prior
    parts = {f"prior_{name}": part for name, part in prior.components.items()}
    return diffusers.KandinskyV22InpaintCombinedPipeline(**decoder.components, **parts), prior


def _prior() -> Any:
    from diffusers import KandinskyV22PriorPipeline, PriorTransformer, UnCLIPScheduler
    from transformers import CLIPImageProcessor

    tokens = tokenizer()
    return KandinskyV22PriorPipeline(
        prior=PriorTransformer(
            num_attention_heads=2,
            attention_head_dim=12,
            embedding_dim=32,
            num_layers=1,
            num_embeddings=77,
            additional_embeddings=4,
        ).eval(),
        image_encoder=clip_vision(),
        text_encoder=text_encoder(tokens, projected=True),
        tokenizer=tokens,
        scheduler=UnCLIPScheduler(
            variance_type="fixed_small_log",
            prediction_type="sample",
            clip_sample_range=10.0,
        ),
        image_processor=CLIPImageProcessor(size={"shortest_edge": 32}, crop_size=32),
    )
