"""Options for models and for the machine that they run on."""

from __future__ import annotations

from dataclasses import dataclass

import click
from cloup import option_group

from segment2inpaint.cli.param_types import FiniteFloat, complete_detector, complete_inpainter


@dataclass(frozen=True, kw_only=True)
class MachineOptions:
    """Options of models and devices. A command without one of them uses the default here."""

    device: str
    cache: bool
    dtype: str = "auto"
    offload: str = "auto"
    batch_size: int | None = None
    quantize: str | None = None
    attention: str | None = None
    block_cache: float | None = None
    compile: bool = False


DETECTOR_OPTION = click.option(
    "--detector", default="auto", show_default=True, metavar="NAME",
    shell_complete=complete_detector,
    help="Detector: auto, color, plate, mask, find, builtin, or the name of a "
         "model, a checkpoint, a folder or a Hugging Face id.",
)  # fmt: skip

INPAINTER_OPTION = click.option(
    "--inpainter", default="auto", show_default=True, metavar="NAME",
    shell_complete=complete_inpainter,
    help="Inpainter: auto, guided, exemplar, migan, telea, ns, blur, pixelate, solid, lama, or the "
         "name of a model, a .safetensors file, a folder or a Hugging Face id. MODEL+LORA@WEIGHT "
         "adds a LoRA: a name, a file or a Hugging Face id.",
)  # fmt: skip

DEVICE_OPTIONS = (
    click.option("--device", default="auto", show_default=True, metavar="auto|cpu|cuda|mps",
                 help="Device that models run on."),
    click.option("--cache/--no-cache", default=True, show_default=True,
                 help="Cache image embeddings on disk for the next run."),
)  # fmt: skip

MAX_PIXELS_OPTION = click.option("--max-pixels", type=click.IntRange(1), metavar="N",
                                 help="Reject photos with more pixels.  "
                                      "[default: 250000000]")  # fmt: skip

RUNTIME_OPTIONS = (
    click.option("--dtype", default="auto", show_default=True, metavar="auto|float32|bfloat16",
                 help="Number format of the diffusion model."),
    click.option("--offload", type=click.Choice(["auto", "none", "model", "group"]),
                 default="auto", show_default=True,
                 help="Keep weights off the GPU until they are needed: whole networks (model) or "
                      "single layers (group)."),
    click.option("--batch-size", type=click.IntRange(1), metavar="N",
                 help="Maximum number of crops in one call; 1 avoids the rounding differences of "
                      "batches.  [default: what the free memory allows]"),
    click.option("--quantize", type=click.Choice(["8bit", "4bit"]),
                 help="Store weights in 8 or 4 bits with torchao or bitsandbytes."),
    click.option("--attention", metavar="BACKEND",
                 help="Attention backend of diffusers, such as sage or _native_cudnn; `doctor` "
                      "lists them."),
    click.option("--block-cache", type=FiniteFloat(0, 1, min_open=True), metavar="FRACTION",
                 help="Skip the transformer's other blocks at steps where the output of the first "
                      "changes by less than FRACTION, such as 0.1 (Klein, Qwen-Image)."),
    click.option("--compile", "compile", is_flag=True,
                 help="Compile the diffusion model at its first call; worth it for many photos."),
)  # fmt: skip

SAMPLING_OPTIONS = (
    click.option("--negative-prompt", metavar="TEXT",
                 help="What not to paint, in words.  [default: the model's, or a general one]"),
    click.option("--steps", "num_inference_steps", type=click.IntRange(1), metavar="N",
                 help="Number of diffusion steps.  [default: the model's]"),
    click.option("--guidance-scale", type=FiniteFloat(0), metavar="NUMBER",
                 help="How closely the result follows the prompt.  [default: the model's]"),
    click.option("--strength", type=FiniteFloat(0, 1, min_open=True), metavar="NUMBER",
                 help="How much noise replaces the old pixels; 1 replaces them entirely.  "
                      "[default: the model's]"),
)  # fmt: skip

detector_section = option_group(
    "Models and machine", DETECTOR_OPTION, *DEVICE_OPTIONS, MAX_PIXELS_OPTION
)
models_section = option_group(
    "Models and machine", DETECTOR_OPTION, INPAINTER_OPTION, *DEVICE_OPTIONS, MAX_PIXELS_OPTION
)
device_section = option_group("Models and machine", *DEVICE_OPTIONS)
runtime_section = option_group("Advanced diffusion", *RUNTIME_OPTIONS)
diffusion_section = option_group("Advanced diffusion", *SAMPLING_OPTIONS, *RUNTIME_OPTIONS)
