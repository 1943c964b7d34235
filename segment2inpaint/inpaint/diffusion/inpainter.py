"""Diffusion models of any family, through the inpainting pipelines of diffusers.

Crops already have the model's size; nothing here crops, pads or feathers.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
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
from segment2inpaint.inpaint.diffusion.lora import Lora, check_package, find_lora
from segment2inpaint.inpaint.diffusion.lora_check import check_fit
from segment2inpaint.inpaint.diffusion.one_step import add_lora
from segment2inpaint.inpaint.diffusion.optimization import place_pipeline
from segment2inpaint.inpaint.diffusion.outline import outline_object
from segment2inpaint.inpaint.diffusion.prompt_limit import unread_part
from segment2inpaint.inpaint.diffusion.regular import fitting_card
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

# The negative prompt of a replacement with a model that uses one.
NEGATIVE_PROMPT = "deformed, disfigured, blurry, low quality, text, watermark"
# Up to this guidance scale, pipelines ignore a negative prompt.
NO_GUIDANCE = 1.0
# This pipeline skips the whole steps of 1 - strength only: 0.9 of 8 steps would be all of them.
ROUNDS_STEPS_UP = "ZImageInpaintPipeline"

ROUNDING = 1e-6  # of a step

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
    model's card, by default the first of its family. ``on_preview`` gets sketches of the crops
    after each step. ``base`` names the model that supplies what a single file lacks. ``lora`` is
    a LoRA, as in ``find_lora``; it is checked before the model is read.

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
        lora: str = "",
    ) -> None:
        device = choose_device(device)
        path = model if isinstance(model, Path) else resolve(model, "diffusion")
        added = _find_fitting_lora(lora, path, base) if lora else None
        pipe = load_pipeline(path, choose_dtype(dtype, device), runtime.quantize, base)
        family = inspect_file(path).card if path.is_file() else card or str(model)
        self.card = fitting_card(pipe, select_card(type(pipe).__name__, base, family))
        if added:
            pipe, self.card = add_lora(pipe, self.card, added)
        try:
            with memory_errors(), quiet_libraries("diffusers", "transformers"):
                self.pipe = place_pipeline(pipe, device, runtime)
        except OutOfMemory:
            raise out_of_memory_error() from None
        cache_prompts(pipe)
        self._prefill, self.on_preview, self._lock = prefill, on_preview, Lock()
        self._warned: set[str] = set()
        input_spec = _native_size(read_input_spec(pipe), self.card)
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
        if fill.prompt and self.card.removes_only:
            raise BadOption("this model only removes objects; replace with another --inpainter")
        accepted = call_parameters(self.pipe) | {"guidance_scale"}
        settings = {k: v for k, v in resolve_settings(fill, self.card).items() if k in accepted}
        if fill.prompt is None and not self._sees_object:
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
        if self.card.outlines and fill.prompt is None:
            inputs = [outline_object(crop) for crop in inputs]
        settings = call_settings(resolved, self.card.guidance)
        if type(self.pipe).__name__ == ROUNDS_STEPS_UP:
            settings["strength"] = whole_step_strength(settings)
        self._warn(fill, resolved)
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

    def _warn(self, fill: Fill, settings: Mapping[str, Any]) -> None:
        """Warn, once, of a strength that the model is bad at and of words that it does not read."""
        for line in self._warnings(fill, settings):
            if line not in self._warned:
                self._warned.add(line)
                warnings.warn(line, stacklevel=4)

    def _warnings(self, fill: Fill, settings: Mapping[str, Any]) -> Iterator[str]:
        usual = self.card.fill.strength or 1.0
        if fill.strength == 1 and usual < 1 and _is_sdxl_inpaint(self.pipe):
            yield (
                "SDXL inpainting models paint less sharply at strength 1, say their authors; "
                f"{usual:g} is the default"
            )
        for name in ("prompt", "negative_prompt"):
            unread, limit = unread_part(self.pipe, settings.get(name) or "")
            if unread:
                yield (
                    f"--{name.replace('_', '-')} is too long: this model reads {limit} tokens of "
                    f'it; not read: "{unread}"'
                )

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
        is masked as a whole is left alone: the model must see the object to remove it. So must
        an editing model that was trained to remove.
        """
        if fill.prompt is not None or self._sees_object:
            return list(crops)
        with_surroundings = [crop for crop in crops if not crop.mask.all()]
        prefill = self._choose_prefill(settings.get("strength", 1.0))
        filled = iter(prefill.inpaint(with_surroundings, fill))
        return [c if c.mask.all() else replace(c, image=next(filled)) for c in crops]

    @property
    def _sees_object(self) -> bool:
        """Return whether the model must see the object to remove it, whatever the mask is."""
        return self.card.removal and self.card.edits

    def _choose_prefill(self, strength: float) -> Inpainter:
        """Return the inpainter that fills the hole first; a fast one if little of it remains."""
        return self._prefill if self._prefill and strength < HIGH_STRENGTH else SmoothInpainter()


def _native_size(spec: InputSpec, card: ModelCard) -> InputSpec:
    """Return the specification with the size that a model was trained to remove at.

    It may be smaller than that of the model which it was made from.
    """
    if not card.removal or card.input_spec is None:
        return spec
    multiple = max(spec.multiple, card.input_spec.multiple)
    return replace(spec, area=card.input_spec.area, multiple=multiple)


def _find_fitting_lora(spec: str, model: Path, base: str) -> Lora:
    """Return the LoRA; raise an error if it is missing or does not fit. No weights are read."""
    lora = find_lora(spec)
    check_package(spec)
    check_fit(lora, model, base)
    return lora


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

    In a removal, the card's ``remove`` precedes its ``fill``. A replacement with a model that uses
    negative prompts, which are those with one for removals, has ``NEGATIVE_PROMPT`` by default.
    Raises ``BadOption``.
    """
    sources = [fill, *([card.remove] if fill.prompt is None else []), card.fill]
    values = {name: _first(*(getattr(s, name) for s in sources)) for name in FILL_SETTINGS}
    settings = {name: value for name, value in values.items() if value is not None}
    guidance = settings.get("guidance_scale", NO_GUIDANCE)
    if fill.prompt and card.remove.negative_prompt and guidance > NO_GUIDANCE:
        settings.setdefault("negative_prompt", NEGATIVE_PROMPT)
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


def whole_step_strength(settings: Mapping[str, Any]) -> float:
    """Return the strength at which int(steps * strength) steps are painted, as elsewhere."""
    steps: int = settings.get("num_inference_steps", 50)
    strength: float = settings.get("strength", 1.0)
    if strength == 1:
        return 1.0
    # a little less than the whole steps, so that no rounding adds one
    return (int(steps * strength + ROUNDING) - ROUNDING) / steps


def _is_sdxl_inpaint(pipe: Any) -> bool:
    """Return whether this is a Stable Diffusion XL that was trained to inpaint."""
    kind = type(pipe).__name__
    return kind.startswith("StableDiffusionXL") and int(pipe.unet.config.in_channels) == 9


def select_card(pipeline: str, *names: str) -> ModelCard:
    """Return the first of the named cards, or else the first of the same pipeline class.

    Models trained to inpaint precede the text-to-image models of their family, and those trained
    to remove come last.

    Without a card, the hole is painted at full strength (some pipelines would keep part of the
    old object by default), and the pipeline's other defaults apply.
    """
    same_class = [c for c in cards() if c.kind == "inpainter" and c.pipeline == pipeline]
    same_class.sort(key=lambda c: (c.removal, not c.regular))
    named = [c for name in names for c in same_class if name in (c.name, *c.repos)]
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
