"""Diffusion: what our stage costs, and what batching gains, beside the scripts one would write.

    python benchmarks/generate.py [--objects 32] [--model tiny|sd15|sdxl] [--device auto]

All models have random weights, which cost what trained ones cost. ``tiny`` shows the overhead of
everything round the network on a CPU; ``sd15`` and ``sdxl`` are of full size and want a GPU.
Each row is one run in this process, after one that is not counted; compare rows of one table.
"""

from __future__ import annotations

import argparse
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter, process_time
from typing import Any

import numpy as np
import torch
from PIL import Image as Pillow

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
import tiny

from segment2inpaint.detect.user_mask import UserMaskDetector
from segment2inpaint.images import Photo, photo_of
from segment2inpaint.inpaint.diffusion.inpainter import DiffusionInpainter
from segment2inpaint.models import device as devices
from segment2inpaint.pipeline import Pipeline
from segment2inpaint.protocols import Crop, RuntimeOptions
from segment2inpaint.types import Fill, Request, UserMask

PROMPT = "a red rose"
STEPS = {"tiny": 4, "sd15": 30, "sdxl": 20}
SIDE = {"tiny": 128, "sd15": 512, "sdxl": 1024}


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--objects", type=int, default=32)
    asked.add_argument("--model", choices=STEPS, default="tiny")
    asked.add_argument("--device", default="auto")
    given = asked.parse_args()
    place = devices.choose(given.device)
    if given.model == "tiny":
        torch.set_num_threads(1)  # networks this small lose more by sharing work than they gain
    with TemporaryDirectory() as folder:
        made = build(given.model)
        made.to(torch.float16 if place != "cpu" else torch.float32).save_pretrained(folder)
        compare(Path(folder), given.model, given.objects, place)


def compare(folder: Path, model: str, objects: int, place: str) -> None:
    """Print the two tables."""
    card = torch.cuda.get_device_name(place) if place.startswith("cuda") else "CPU"
    print(f"{model}, {objects} objects, {STEPS[model]} steps, {card}, torch {torch.__version__}")
    one = DiffusionInpainter(folder, place, tuning=RuntimeOptions(batch_size=1))
    overhead(one, model)
    photos = [scene(seed) for seed in range(objects)]
    rows: dict[str, Callable[[], float]] = {
        "script, whole photo": lambda: by_script(one, model, photos, None),
        "script, padding_mask_crop=32": lambda: by_script(one, model, photos, 32),
        "ours, one at a time": lambda: by_us(one, model, photos),
    }
    for batch in (4, 8, 16):
        many = DiffusionInpainter(folder, place, tuning=RuntimeOptions(batch_size=batch))
        rows[f"ours, {batch} at a time"] = lambda many=many: by_us(many, model, photos)
    # a CPU is shared with others: its own seconds count, on a GPU those on the wall
    clock, unit = (perf_counter, "s") if place.startswith("cuda") else (process_time, "CPU s")
    base = None
    print(f"\n{'':32}{f'objects/{unit}':>16}{'ratio':>7}{'first, s':>10}{'GPU MB':>8}")
    for name, run in rows.items():
        if place.startswith("cuda"):
            torch.cuda.reset_peak_memory_stats(place)
        start = clock()
        first = run()
        rate = objects / (clock() - start)
        base = base or rate
        peak = torch.cuda.max_memory_allocated(place) / 1e6 if place.startswith("cuda") else 0
        print(f"{name:32}{rate:>16.2f}{rate / base:>7.2f}{first:>10.2f}{peak:>8.0f}")
    print(f"peak of the process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3:.0f} MB")


def overhead(model: DiffusionInpainter, name: str, rounds: int = 15) -> None:
    """One crop through us and through the bare pipeline, by turns."""
    photo, bits = scene(0)
    side = SIDE[name]
    crop = Crop(photo.image[:side, :side].copy(), bits[:side, :side].copy(), 0)
    fill = Fill(prompt=PROMPT, num_inference_steps=STEPS[name], strength=1.0)
    image, mask = Pillow.fromarray(crop.image), Pillow.fromarray(crop.mask.astype(np.uint8) * 255)
    pipe = model._pipe

    def bare() -> None:
        call(pipe, name, image, mask, side, None)

    spent: dict[str, list[float]] = {"bare": [], "ours": []}
    for turn in range(rounds + 1):
        for key, run in (("bare", bare), ("ours", lambda: model.inpaint([crop], fill))):
            start = process_time()
            run()
            spent[key] += [process_time() - start] * (turn > 0)
    ours, theirs = median(spent["ours"]), median(spent["bare"])
    more = ours / theirs - 1
    print(f"one crop, CPU s: ours {ours:.3f}, the bare pipeline {theirs:.3f}, {more:+.1%}")


def call(
    pipe: Any, name: str, image: Any, mask: Any, side: int, padding: int | None
) -> Pillow.Image:
    """The call as its manual has it."""
    options = {} if padding is None else {"padding_mask_crop": padding}
    made: Pillow.Image = pipe(
        prompt=PROMPT,
        image=image,
        mask_image=mask,
        height=side,
        width=side,
        num_inference_steps=STEPS[name],
        guidance_scale=7.5,
        strength=1.0,
        generator=torch.Generator("cpu").manual_seed(0),
        **options,
    ).images[0]
    return made


def by_script(
    model: DiffusionInpainter, name: str, photos: list[tuple[Photo, Any]], padding: int | None
) -> float:
    """A loop over the photos; returns the seconds to the first picture."""
    start, first = perf_counter(), 0.0
    for photo, bits in photos:
        mask = Pillow.fromarray(bits.astype(np.uint8) * 255)
        made = call(model._pipe, name, Pillow.fromarray(photo.image), mask, SIDE[name], padding)
        made.resize(photo.size[::-1])
        first = first or perf_counter() - start
    return first


def by_us(model: DiffusionInpainter, name: str, photos: list[tuple[Photo, Any]]) -> float:
    """The same through ``Pipeline.many``; returns the seconds to the first picture."""
    fill = Fill(prompt=PROMPT, num_inference_steps=STEPS[name], strength=1.0, guidance_scale=7.5)
    jobs = ((photo, Request((UserMask(bits),), fill=fill, verify=False)) for photo, bits in photos)
    start, first = perf_counter(), 0.0
    for outcome in Pipeline(UserMaskDetector(), model).many(jobs):
        if isinstance(outcome, Exception):
            raise outcome
        first = first or perf_counter() - start
    return first


def scene(seed: int) -> tuple[Photo, Any]:
    """A photo of 1024 x 768 with a small object somewhere, and the object's mask."""
    dice = np.random.default_rng(seed)
    image = dice.integers(0, 256, (768, 1024, 3), dtype=np.uint8)
    height, width = dice.integers(24, 96, 2)
    y, x = dice.integers(0, 768 - height), dice.integers(0, 1024 - width)
    bits = np.zeros((768, 1024), np.bool_)
    bits[y : y + height, x : x + width] = True
    bits[:8, :8] |= seed == 0  # the crop that the overhead is measured on has a hole, too
    return photo_of(image), bits


# --- models of full size, random ---------------------------------------------------------------


def build(name: str) -> Any:
    if name == "tiny":
        return tiny.stable_diffusion()
    return stable_diffusion() if name == "sd15" else stable_diffusion_xl()


def text(hidden: int, layers: int, heads: int, *, projected: bool = False) -> Any:
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    config = CLIPTextConfig(
        hidden_size=hidden, intermediate_size=4 * hidden, num_hidden_layers=layers,
        num_attention_heads=heads, projection_dim=hidden, bos_token_id=512, eos_token_id=513,
        pad_token_id=513, vocab_size=514,
    )  # fmt: skip
    return (CLIPTextModelWithProjection if projected else CLIPTextModel)(config)


def vae() -> Any:
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        block_out_channels=(128, 256, 512, 512), layers_per_block=2, latent_channels=4,
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
        sample_size=512,
    )  # fmt: skip


def stable_diffusion() -> Any:
    """The sizes of Stable Diffusion 1.5 for inpainting: 860 million weights at every step."""
    import diffusers

    unet = diffusers.UNet2DConditionModel(
        sample_size=64, in_channels=9, out_channels=4, cross_attention_dim=768
    )
    steps = diffusers.DPMSolverMultistepScheduler(beta_schedule="scaled_linear")
    return diffusers.StableDiffusionInpaintPipeline(
        vae=vae(), text_encoder=text(768, 12, 12), tokenizer=tiny.tokenizer(), unet=unet,
        scheduler=steps, safety_checker=None, feature_extractor=None,
        requires_safety_checker=False,
    )  # fmt: skip


def stable_diffusion_xl() -> Any:
    """The sizes of Stable Diffusion XL for inpainting: 2600 million weights at every step."""
    import diffusers

    unet = diffusers.UNet2DConditionModel(
        sample_size=128, in_channels=9, out_channels=4, cross_attention_dim=2048,
        block_out_channels=(320, 640, 1280), transformer_layers_per_block=(1, 2, 10),
        attention_head_dim=(5, 10, 20), use_linear_projection=True,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        addition_embed_type="text_time", addition_time_embed_dim=256,
        projection_class_embeddings_input_dim=6 * 256 + 1280,
    )  # fmt: skip
    other = text(1280, 32, 20, projected=True)
    return diffusers.StableDiffusionXLInpaintPipeline(
        vae=vae(), text_encoder=text(768, 12, 12), text_encoder_2=other,
        tokenizer=tiny.tokenizer(), tokenizer_2=tiny.tokenizer(), unet=unet,
        scheduler=diffusers.EulerDiscreteScheduler(beta_schedule="scaled_linear"),
        add_watermarker=False,
    )  # fmt: skip


if __name__ == "__main__":
    main()
