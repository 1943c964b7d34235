"""The pipeline of OSOR: one step of a Stable Diffusion XL UNet with an alpha head."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from diffusers import DDPMScheduler, StableDiffusionXLInpaintPipeline
from diffusers.pipelines.stable_diffusion_xl import StableDiffusionXLPipelineOutput
from PIL import Image as Pillow

TIMESTEP = 400  # the noise of this training step is added, and removed in one step
NOISE_CHANNELS = 4


class OneStepRemovalPipeline(StableDiffusionXLInpaintPipeline):  # type: ignore[misc]
    """Removes objects with their effects in one step, as OSOR was trained to.

    The whole picture goes in, the object included. The alpha head says how much of the new
    latents is used at each place; elsewhere the picture stays as it is.
    """

    @classmethod
    def from_inpainting(cls, pipe: Any) -> OneStepRemovalPipeline:
        """Return a pipeline with the components of an inpainting pipeline."""
        components = pipe.components
        scheduler = DDPMScheduler.from_config(pipe.scheduler.config)
        pipeline = cls(**components | {"scheduler": scheduler}, add_watermarker=False)
        pipeline.set_progress_bar_config(disable=True)
        return pipeline

    @torch.no_grad()
    def __call__(
        self,
        prompt: list[str],
        image: Sequence[Pillow.Image],
        object_mask: Sequence[Pillow.Image],
        height: int,
        width: int,
        generator: list[torch.Generator],
        callback_on_step_end: Callable[..., Any],
    ) -> StableDiffusionXLPipelineOutput:
        """Return pictures as (N, H, W, 3) float32 in [0, 1] without the masked objects."""
        self._num_timesteps = 1
        device, dtype = self._execution_device, self.unet.dtype
        pixels = self.image_processor.preprocess(list(image), height, width)
        pixels = pixels.to(device, torch.float32)
        latents = self._encode_vae_image(pixels.to(self.vae.dtype), generator).to(device, dtype)
        mask = self.mask_processor.preprocess(list(object_mask), height, width)
        cells = torch.nn.functional.max_pool2d(mask, self.vae_scale_factor).to(device, dtype)
        clean, alpha = self._remove(prompt, latents, cells, (height, width), generator)
        blended = clean * alpha + latents * (1 - alpha)
        callback_on_step_end(self, 0, TIMESTEP, {"latents": blended})
        images = self._decode(blended)
        self.maybe_free_model_hooks()
        return StableDiffusionXLPipelineOutput(images=images)

    def _remove(
        self,
        prompt: list[str],
        latents: torch.Tensor,
        cells: torch.Tensor,
        size: tuple[int, int],
        generator: list[torch.Generator],
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the latents without the object, and the alpha of the place that it takes."""
        share = self.scheduler.alphas_cumprod[TIMESTEP].to(latents)
        noisy = share.sqrt() * latents + (1 - share).sqrt() * _noise(latents, generator)
        states, _, pooled, _ = self.encode_prompt(
            prompt=prompt, device=latents.device, do_classifier_free_guidance=False
        )
        time_ids = torch.tensor([[*size, 0, 0, *size]]).to(latents).repeat(len(latents), 1)
        output = self.unet(
            torch.cat([noisy, cells, latents], 1),
            TIMESTEP,
            encoder_hidden_states=states,
            added_cond_kwargs={"text_embeds": pooled, "time_ids": time_ids},
            return_dict=False,
        )[0]
        noise, logit = output[:, :NOISE_CHANNELS], output[:, NOISE_CHANNELS:]
        clean = (noisy - (1 - share).sqrt() * noise) / share.sqrt()
        return clean, logit.sigmoid()

    def _decode(self, latents: torch.Tensor) -> Any:
        """Return (N, H, W, 3) float32; in float32 if the VAE would overflow in 16 bits."""
        dtype = self.vae.dtype
        upcast = dtype == torch.float16 and self.vae.config.force_upcast
        if upcast:
            self.vae.to(torch.float32)
        scaled = latents.to(self.vae.dtype) / self.vae.config.scaling_factor
        pixels = self.vae.decode(scaled, return_dict=False)[0]
        if upcast:
            self.vae.to(dtype)
        return self.image_processor.postprocess(pixels.float(), output_type="np")


def _noise(latents: torch.Tensor, generator: Sequence[torch.Generator]) -> torch.Tensor:
    """Return noise in the shape of the latents, each picture's from its own generator."""
    rows = [torch.randn(latents.shape[1:], generator=g) for g in generator]
    return torch.stack(rows).to(latents)
