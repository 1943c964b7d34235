"""Measure diffusion: the overhead of our pipeline, and what batching gains over a plain script.

    python benchmarks/generate.py [--objects 32] [--model tiny|sd15|sdxl] [--device auto]

All models have random weights, which take as long as trained ones. ``tiny`` shows the overhead of
everything around the network on a CPU; ``sd15`` and ``sdxl`` have full size and need a GPU.
Each row is one run in this process, after a warm-up; compare rows of one table.
"""

from __future__ import annotations

import argparse
import resource
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter, process_time
from typing import Any

import numpy as np
import torch
from PIL import Image as Pillow

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
import tiny  # type: ignore[import-not-found]

from segment2inpaint.detect.user_mask import UserMaskDetector
from segment2inpaint.images import Photo, photo_from_array
from segment2inpaint.inpaint.diffusion.inpainter import DiffusionInpainter
from segment2inpaint.models import device as device_module
from segment2inpaint.pipeline import Pipeline
from segment2inpaint.protocols import Crop, RuntimeOptions
from segment2inpaint.types import Fill, Request, UserMask

PROMPT = "a red rose"
STEPS = {"tiny": 4, "sd15": 30, "sdxl": 20}
IMAGE_SIDE = {"tiny": 128, "sd15": 512, "sdxl": 1024}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--objects", type=int, default=32)
    parser.add_argument("--model", choices=STEPS, default="tiny")
    parser.add_argument("--device", default="auto")
    args = parser.parse_args()
    device = device_module.choose_device(args.device)
    if args.model == "tiny":
        torch.set_num_threads(1)  # networks this small are slower on several
    with TemporaryDirectory() as folder:
        pipeline = build_model(args.model)
        pipeline.to(torch.float16 if device != "cpu" else torch.float32).save_pretrained(folder)
        compare(Path(folder), args.model, args.objects, device)


def compare(folder: Path, model: str, objects: int, device: str) -> None:
    """Print the overhead, and the table of throughputs."""
    device_name = torch.cuda.get_device_name(device) if device.startswith("cuda") else "CPU"
    print(
        f"{model}, {objects} objects, {STEPS[model]} steps, {device_name}, "
        f"torch {torch.__version__}"
    )
    unbatched = DiffusionInpainter(folder, device, runtime=RuntimeOptions(batch_size=1))
    overhead(unbatched, model)
    photos = [synthetic_photo(seed) for seed in range(objects)]
    rows: dict[str, Callable[[], float]] = {
        "script, whole photo": lambda: time_script(unbatched, model, photos, None),
        "script, padding_mask_crop=32": lambda: time_script(unbatched, model, photos, 32),
        "ours, one at a time": lambda: time_pipeline(unbatched, model, photos),
    }
    for batch_size in (4, 8, 16):
        batched = DiffusionInpainter(folder, device, runtime=RuntimeOptions(batch_size=batch_size))
        rows[f"ours, {batch_size} at a time"] = partial(time_pipeline, batched, model, photos)
    # A CPU is shared with other processes, so CPU seconds count there; on a GPU wall seconds count.
    clock, unit = (perf_counter, "s") if device.startswith("cuda") else (process_time, "CPU s")
    baseline = None
    print(f"\n{'':32}{f'objects/{unit}':>16}{'ratio':>7}{'first, s':>10}{'GPU MB':>8}")
    for name, run in rows.items():
        if device.startswith("cuda"):
            torch.cuda.reset_peak_memory_stats(device)
        start = clock()
        first = run()
        rate = objects / (clock() - start)
        baseline = baseline or rate
        peak = torch.cuda.max_memory_allocated(device) / 1e6 if device.startswith("cuda") else 0
        print(f"{name:32}{rate:>16.2f}{rate / baseline:>7.2f}{first:>10.2f}{peak:>8.0f}")
    print(f"peak of the process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3:.0f} MB")


def overhead(model: DiffusionInpainter, name: str, rounds: int = 15) -> None:
    """Print the time of a crop through our inpainter and the bare pipeline, in alternation."""
    photo, object_mask = synthetic_photo(0)
    side = IMAGE_SIDE[name]
    crop = Crop(photo.image[:side, :side].copy(), object_mask[:side, :side].copy(), 0)
    fill = Fill(prompt=PROMPT, num_inference_steps=STEPS[name], strength=1.0)
    image, mask = Pillow.fromarray(crop.image), Pillow.fromarray(crop.mask.astype(np.uint8) * 255)
    pipe = model.pipe

    def call_bare() -> None:
        call_pipeline(pipe, name, image, mask, side, None)

    seconds: dict[str, list[float]] = {"bare": [], "ours": []}
    for round_ in range(rounds + 1):
        for key, run in (("bare", call_bare), ("ours", lambda: model.inpaint([crop], fill))):
            start = process_time()
            run()
            seconds[key] += [process_time() - start] * (round_ > 0)
    ours, bare = median(seconds["ours"]), median(seconds["bare"])
    ratio = ours / bare - 1
    print(f"one crop, CPU s: ours {ours:.3f}, the bare pipeline {bare:.3f}, {ratio:+.1%}")


def call_pipeline(
    pipe: Any, name: str, image: Any, mask: Any, side: int, padding: int | None
) -> Pillow.Image:
    """Call the pipeline as diffusers' documentation does."""
    options = {} if padding is None else {"padding_mask_crop": padding}
    result: Pillow.Image = pipe(
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
    return result


def time_script(
    model: DiffusionInpainter, name: str, photos: list[tuple[Photo, Any]], padding: int | None
) -> float:
    """Loop over the photos with the bare pipeline; return the seconds to the first picture."""
    start, first = perf_counter(), 0.0
    for photo, mask in photos:
        image = Pillow.fromarray(photo.image)
        mask_image = Pillow.fromarray(mask.astype(np.uint8) * 255)
        result = call_pipeline(model.pipe, name, image, mask_image, IMAGE_SIDE[name], padding)
        result.resize(photo.size[::-1])
        first = first or perf_counter() - start
    return first


def time_pipeline(model: DiffusionInpainter, name: str, photos: list[tuple[Photo, Any]]) -> float:
    """Edit the photos with ``Pipeline.many``; return the seconds to the first picture."""
    fill = Fill(prompt=PROMPT, num_inference_steps=STEPS[name], strength=1.0, guidance_scale=7.5)
    jobs = ((photo, Request((UserMask(mask),), fill=fill, verify=False)) for photo, mask in photos)
    start, first = perf_counter(), 0.0
    for outcome in Pipeline(UserMaskDetector(), model).many(jobs):
        if isinstance(outcome, Exception):
            raise outcome
        first = first or perf_counter() - start
    return first


def synthetic_photo(seed: int) -> tuple[Photo, Any]:
    """Return a photo of 1024 x 768 px with a small object, and the object's mask."""
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (768, 1024, 3), dtype=np.uint8)
    height, width = rng.integers(24, 96, 2)
    y, x = rng.integers(0, 768 - height), rng.integers(0, 1024 - width)
    mask = np.zeros((768, 1024), np.bool_)
    mask[y : y + height, x : x + width] = True
    mask[:8, :8] |= seed == 0  # so that the crop of ``overhead`` has a hole
    return photo_from_array(image), mask


# --- models of full size, with random weights ----------------------------------------------------


def build_model(name: str) -> Any:
    if name == "tiny":
        return tiny.stable_diffusion()
    return stable_diffusion() if name == "sd15" else stable_diffusion_xl()


def text_encoder(hidden: int, layers: int, heads: int, *, projected: bool = False) -> Any:
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
    """Return a network of the size of Stable Diffusion 1.5 inpainting: 860 million weights."""
    import diffusers

    unet = diffusers.UNet2DConditionModel(
        sample_size=64, in_channels=9, out_channels=4, cross_attention_dim=768
    )
    steps = diffusers.DPMSolverMultistepScheduler(beta_schedule="scaled_linear")
    return diffusers.StableDiffusionInpaintPipeline(
        vae=vae(), text_encoder=text_encoder(768, 12, 12), tokenizer=tiny.tokenizer(), unet=unet,
        scheduler=steps, safety_checker=None, feature_extractor=None,
        requires_safety_checker=False,
    )  # fmt: skip


def stable_diffusion_xl() -> Any:
    """Return a network of the size of Stable Diffusion XL inpainting: 2600 million weights."""
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
    text_encoder_2 = text_encoder(1280, 32, 20, projected=True)
    return diffusers.StableDiffusionXLInpaintPipeline(
        vae=vae(), text_encoder=text_encoder(768, 12, 12), text_encoder_2=text_encoder_2,
        tokenizer=tiny.tokenizer(), tokenizer_2=tiny.tokenizer(), unet=unet,
        scheduler=diffusers.EulerDiscreteScheduler(beta_schedule="scaled_linear"),
        add_watermarker=False,
    )  # fmt: skip


if __name__ == "__main__":
    main()
