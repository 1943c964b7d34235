"""Diffusion models of any family, through the inpainting pipelines of diffusers.

Crops already have the model's size; nothing here crops, pads or feathers.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from threading import Lock
from typing import Any

import torch

from segment2inpaint.errors import BadOption
from segment2inpaint.inpaint.diffusion.call import (
    OutOfMemory,
    StepCallback,
    cache_prompts,
    memory_errors,
    out_of_memory_error,
    paint,
)
from segment2inpaint.inpaint.diffusion.folder import call_parameters
from segment2inpaint.inpaint.diffusion.inspection import inspect_file
from segment2inpaint.inpaint.diffusion.load import choose_dtype, load_pipeline
from segment2inpaint.inpaint.diffusion.lora import apply_lora
from segment2inpaint.inpaint.diffusion.optimization import place_pipeline
from segment2inpaint.inpaint.smooth import smooth_fill
from segment2inpaint.models.catalogue import ModelCard, cards, resolve
from segment2inpaint.models.device import choose_device, free_memory
from segment2inpaint.models.quiet import quiet_libraries
from segment2inpaint.protocols import (
    Crop,
    Inpainter,
    InputSpec,
    PreviewCallback,
    ProgressCallback,
    RuntimeOptions,
    no_progress,
)
from segment2inpaint.types import Fill, Image

# The prompt of a removal with a model that has no card.
REMOVAL_PROMPT = "empty background, nothing there, photo"
# Native side in px of models whose configuration does not give one.
DEFAULT_NATIVE_SIDE = 1024
# Kandinsky's configuration gives neither size nor multiple; it rounds its sides up to 64 px.
KANDINSKY_INPUT_SPEC = InputSpec(768 * 768, 64, 64)
# From this strength on, almost nothing of the old pixels in the hole influences the result.
HIGH_STRENGTH = 0.95

# The fields of ``Fill`` that are passed to a pipeline.
FILL_SETTINGS = (
    "prompt",
    "negative_prompt",
    "num_inference_steps",
    "guidance_scale",
    "strength",
)

# Activations per pixel of a crop, in numbers of the model's dtype. It is a generous estimate by
# the largest layers of the SD and SDXL decoders and two passes for the guidance.
ACTIVATIONS_PER_PIXEL = 2048
# Crops in a call. More hardly save time, and a cancelled run waits for a step of all of them.
MAX_BATCH_SIZE = 16


class DiffusionInpainter:
    """Paints what a prompt describes, or background without a prompt.

    ``model`` is a folder in the layout of diffusers, a .safetensors file, the name of a card or a
    hub id on this machine. ``device`` and ``dtype`` are torch's names, or ``auto``. ``prefill``
    fills the hole first in a removal that keeps a part of the hole's content. ``card`` names the
    model's card, by default the first of its family; ``CARD+LORA`` adds a LoRA for few steps.
    ``on_preview`` gets sketches of the crops after each step. ``base`` names the model that
    supplies what a single file lacks.

    ``input_spec`` is read from the model's configuration; ``pipe`` is the pipeline of diffusers,
    ``card`` the model's card.

    Raises ``ModelMissing``, ``BadModel``, ``BadOption``.
    """

    name = "diffusion"

    def __init__(
        self,
        model: Path | str,
        device: str = "auto",
        dtype: str = "auto",
        runtime: RuntimeOptions = RuntimeOptions(),
        prefill: Inpainter | None = None,
        card: str = "",
        on_preview: PreviewCallback | None = None,
        base: str = "",
    ) -> None:
        device = choose_device(device)
        path = model if isinstance(model, Path) else resolve(model, "diffusion")
        pipe = load_pipeline(path, choose_dtype(dtype, device), runtime.quantize, base)
        name, _, lora = (card or str(model)).partition("+")
        family = inspect_file(path).card if path.is_file() else name
        self.card = select_card(type(pipe).__name__, base, family)
        if lora:
            self.card = apply_lora(pipe, self.card, lora)
        try:
            with memory_errors(), quiet_libraries("diffusers", "transformers"):
                self.pipe = place_pipeline(pipe, device, runtime)
        except OutOfMemory:
            raise out_of_memory_error() from None
        cache_prompts(pipe)
        self._prefill, self.on_preview, self._lock = prefill, on_preview, Lock()
        input_spec = read_input_spec(pipe)
        batch_size = runtime.batch_size or fitting_batch_size(input_spec, pipe.dtype, device)
        self.input_spec = replace(
            input_spec,
            batch_size=batch_size if self.card.batchable else 1,
            edits_by_instruction=self.card.edits,
        )

    def resolve_fill(self, fill: Fill) -> dict[str, Any]:
        """Return the settings to paint with, by the names of ``Fill``, and ``prefill``.

        Values that ``fill`` leaves open are those of the model's card. Raises ``BadOption``.
        """
        accepted = call_parameters(self.pipe) | {"guidance_scale"}
        settings = {k: v for k, v in resolve_settings(fill, self.card).items() if k in accepted}
        if fill.prompt is None:
            settings["prefill"] = self._choose_prefill(settings.get("strength", 1.0)).name
        return settings

    def inpaint(
        self, crops: Sequence[Crop], fill: Fill, progress: ProgressCallback = no_progress
    ) -> list[Image]:
        """Return each crop repainted with its own seed.

        Batching changes results only by rounding. Crops of one size share a call, up to
        ``input_spec.batch_size`` of them, or half as many if the memory runs out. A crop that the
        model's safety checker refuses is returned unchanged, with a warning. Raises ``BadOption``
        for a strength too low for the steps, or if not even one crop fits into the memory, and
        ``BadModel`` if the model returns NaN.
        """
        resolved = self.resolve_fill(fill)
        inputs = self.prefill_holes(crops, fill, resolved)
        settings = call_settings(resolved, self.card.guidance)
        results: dict[int, Image] = {}
        with self._lock:  # a pipeline's scheduler counts the steps of one call
            while waiting := [i for i in range(len(crops)) if i not in results]:
                size = inputs[waiting[0]].mask.shape
                batch = [i for i in waiting if inputs[i].mask.shape == size]
                batch = batch[: self.input_spec.batch_size]
                on_step = _step_progress(progress, len(results), len(batch), len(crops))
                painted = self._paint_batch([inputs[i] for i in batch], settings, on_step)
                for i, image in zip(batch, painted, strict=False):
                    results[i] = crops[i].image.copy() if image is None else image
        progress("inpainting", 1.0)
        return [results[i] for i in range(len(crops))]

    def _paint_batch(
        self, crops: Sequence[Crop], settings: dict[str, Any], on_step: StepCallback
    ) -> list[Image | None]:
        """Paint as many of the first crops as the memory holds, at least one."""
        while True:
            try:
                return paint(self.pipe, crops, settings, on_step, self.on_preview)
            except OutOfMemory:
                if len(crops) == 1:
                    raise out_of_memory_error() from None
            torch.cuda.empty_cache()
            crops = crops[: len(crops) // 2]
            self.input_spec = replace(self.input_spec, batch_size=len(crops))
            warnings.warn(f"out of memory, continuing with {len(crops)} at once", stacklevel=4)

    def prefill_holes(
        self, crops: Sequence[Crop], fill: Fill, settings: Mapping[str, Any]
    ) -> list[Crop]:
        """Return the crops to paint; in a removal their holes are filled first.

        Otherwise a model that starts from the old pixels would bring the object back. A crop that
        is masked as a whole is left alone: the model must see the object to remove it.
        """
        if fill.prompt is not None:
            return list(crops)
        with_surroundings = [crop for crop in crops if not crop.mask.all()]
        prefill = self._choose_prefill(settings.get("strength", 1.0))
        filled = iter(prefill.inpaint(with_surroundings, fill))
        return [c if c.mask.all() else replace(c, image=next(filled)) for c in crops]

    def _choose_prefill(self, strength: float) -> Inpainter:
        """Return the inpainter that fills the hole first; a fast one if little of it remains."""
        return self._prefill if self._prefill and strength < HIGH_STRENGTH else SmoothInpainter()


def _step_progress(progress: ProgressCallback, done: int, batch: int, count: int) -> StepCallback:
    """Return a callback for the steps of ``batch`` crops, after ``done`` among ``count``."""

    def on_step(step: int, steps: int) -> None:
        progress("inpainting", (done + batch * step / max(1, steps)) / count)

    return on_step


class SmoothInpainter:
    """The fill of ``TeleaInpainter`` without progress, for use before a diffusion model."""

    name = "telea"
    input_spec = InputSpec(uses_seed=False)

    def inpaint(
        self, crops: Sequence[Crop], fill: Fill, progress: ProgressCallback = no_progress
    ) -> list[Image]:
        """Return each crop with its hole filled; nothing in ``fill`` is used."""
        return [smooth_fill(crop.image, crop.mask) for crop in crops]


# --- settings -----------------------------------------------------------------------------------


def resolve_settings(fill: Fill, card: ModelCard) -> dict[str, Any]:
    """Return the ``FILL_SETTINGS`` that are set: by the request, or else by the card.

    In a removal, the card's ``remove`` precedes its ``fill``. Raises ``BadOption``.
    """
    sources = [fill, *([card.remove] if fill.prompt is None else []), card.fill]
    values = {name: _first(*(getattr(s, name) for s in sources)) for name in FILL_SETTINGS}
    settings = {name: value for name, value in values.items() if value is not None}
    steps, strength = settings.get("num_inference_steps", 50), settings.get("strength", 1.0)
    if steps < 1:
        raise BadOption(f"steps must be at least 1, got {steps}")
    if not 0 < strength <= 1:
        raise BadOption(f"strength must be above 0 and at most 1, got {strength:g}")
    if int(steps * strength) < 1:
        raise BadOption(f"strength {strength:g} leaves none of {steps} steps; raise one of them")
    return settings


def _first(*values: Any) -> Any:
    return next((value for value in values if value is not None), None)


def call_settings(settings: Mapping[str, Any], guidance: str) -> dict[str, Any]:
    """Return resolved settings by the names that the pipeline's call has for them."""
    names = {"guidance_scale": guidance}
    return {names.get(k, k): v for k, v in settings.items() if k != "prefill"}


def select_card(pipeline: str, *names: str) -> ModelCard:
    """Return the first of the named cards, or else the first of the same pipeline class.

    Without a card, the hole is painted at full strength (some pipelines would keep part of the
    old object by default), and the pipeline's other defaults apply.
    """
    same_class = [c for c in cards() if c.kind == "inpainter" and c.pipeline == pipeline]
    named = [c for name in names for c in same_class if name in (c.name, c.repo)]
    unknown = ModelCard("", "", "", fill=Fill(strength=1.0), remove=Fill(prompt=REMOVAL_PROMPT))
    return (named or same_class or [unknown])[0]


def read_input_spec(pipe: Any) -> InputSpec:
    """Return native area, multiple and latent cell by the configuration of a pipeline."""
    if type(pipe).__name__.startswith("Kandinsky"):
        return KANDINSKY_INPUT_SPEC
    scale = int(pipe.vae_scale_factor)
    processor = getattr(pipe, "image_processor", None)
    cell = int(getattr(getattr(processor, "config", None), "vae_scale_factor", None) or scale)
    cell = max(cell, scale * int(getattr(pipe, "patch_size", None) or 1))
    unet = getattr(pipe, "unet", None)
    side = getattr(pipe, "default_sample_size", None)
    if unet is not None:
        side = unet.config.sample_size
    side = side * scale if isinstance(side, int) else DEFAULT_NATIVE_SIDE
    multiple = 2 * cell if type(pipe).__name__.startswith("QwenImageEdit") else cell
    return InputSpec(area=side * side, multiple=multiple, mask_cell=cell)


def fitting_batch_size(input_spec: InputSpec, dtype: torch.dtype, device: str) -> int:
    """Return how many crops of the native area fit into the free memory of a GPU.

    It is 1 on a CPU, which gains nothing from batches.
    """
    if not device.startswith("cuda"):
        return 1
    area = input_spec.area or DEFAULT_NATIVE_SIDE * DEFAULT_NATIVE_SIDE
    crop_bytes = area * ACTIVATIONS_PER_PIXEL * dtype.itemsize
    return max(1, min(MAX_BATCH_SIZE, int(free_memory(device) // crop_bytes)))
