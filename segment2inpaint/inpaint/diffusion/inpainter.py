"""Diffusion models of any family, through the inpainting pipelines of diffusers.

Crops come with the model's size already; nothing here crops, pads or feathers.
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
from segment2inpaint.inpaint.diffusion import inspection
from segment2inpaint.inpaint.diffusion.call import (
    OutOfMemory,
    Step,
    memory,
    paint,
    remember_prompts,
    too_large,
)
from segment2inpaint.inpaint.diffusion.folder import parameters
from segment2inpaint.inpaint.diffusion.load import choose_dtype, load
from segment2inpaint.inpaint.diffusion.lora import few_steps
from segment2inpaint.inpaint.diffusion.optimization import placed
from segment2inpaint.inpaint.smooth import smooth
from segment2inpaint.models.catalogue import ModelCard, cards, resolve
from segment2inpaint.models.device import choose as choose_device
from segment2inpaint.models.device import free_memory
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

# For families without a card: what is asked for when an object is to go.
BACKGROUND = "empty background, nothing there, photo"
NATIVE = 1024  # px, the side of models that do not tell
KANDINSKY = InputSpec(768 * 768, 64, 64)  # tells neither; its sides are rounded up to 64
LITTLE = 0.95  # strength from which on nearly nothing is left of what was in the hole

PAINTS = ("prompt", "negative_prompt", "num_inference_steps", "guidance_scale", "strength")

# Bytes of activations for one pixel of a crop and one byte of a number; generous, by the largest
# layers of the SD and SDXL decoders and two passes for the guidance.
PER_PIXEL = 2048
MOST = 16  # crops in a call; more hardly pays, and a cancel waits for a step of all of them


class DiffusionInpainter:
    """Paints what a prompt says, or background if there is none.

    ``model`` is a folder in the layout of diffusers, a .safetensors file, the name of a card or
    a hub id on this machine; ``device`` and ``dtype`` are torch's names, or ``auto``.
    ``input_spec`` is read off the model. ``prefill`` fills the hole for a removal that keeps a part
    of what is in it; ``card`` names the card, else the first of the same family
    serves; ``CARD+LORA`` lays a LoRA for few steps over it. ``look`` sees
    sketches of the crops in work. ``base`` names the model that lends a file what it lacks.
    Raises ``ModelMissing``, ``BadModel``, ``BadOption``.
    """

    name = "diffusion"

    def __init__(
        self,
        model: Path | str,
        device: str = "auto",
        dtype: str = "auto",
        tuning: RuntimeOptions = RuntimeOptions(),
        prefill: Inpainter | None = None,
        card: str = "",
        look: PreviewCallback | None = None,
        base: str = "",
    ) -> None:
        place = choose_device(device)
        path = model if isinstance(model, Path) else resolve(model, "diffusion")
        pipe = load(path, choose_dtype(dtype, place), tuning.quantize, base)
        name, _, lora = (card or str(model)).partition("+")
        family = inspection.read(path).card if path.is_file() else name
        self._card = card_of(type(pipe).__name__, base, family)
        if lora:
            self._card = few_steps(pipe, self._card, lora)
        try:
            with memory(), quiet_libraries("diffusers", "transformers"):
                self._pipe = placed(pipe, place, tuning)
        except OutOfMemory:
            raise too_large() from None
        remember_prompts(pipe)
        self._prefill, self._look, self._lock = prefill, look, Lock()
        input_spec = input_spec_of(pipe)
        batch = tuning.batch_size or fitting(input_spec, pipe.dtype, place)
        batch = batch if self._card.batchable else 1
        self.input_spec = replace(
            input_spec, batch_size=batch, edits_by_instruction=self._card.edits
        )

    def resolve_fill(self, fill: Fill) -> dict[str, Any]:
        """What it paints with where ``fill`` leaves it to the model. Raises ``BadOption``."""
        takes = parameters(self._pipe) | {"guidance_scale"}
        settings = {k: v for k, v in settings_for(fill, self._card).items() if k in takes}
        if fill.prompt is None:
            settings["prefill"] = self._guess(settings.get("strength", 1.0)).name
        return settings

    def inpaint(
        self, crops: Sequence[Crop], fill: Fill, progress: ProgressCallback = no_progress
    ) -> list[Image]:
        """Each crop repainted with its own seed, the same (but for rounding) in any company.

        Crops of one size share a call, ``input_spec.batch`` of them, or half if memory runs out.
        Warns, and gives the crop back as it was, where the model's safety checker refuses.
        Raises ``BadOption`` for a strength too low for the steps or if one crop is too much for
        the memory, ``BadModel`` if the model paints no numbers.
        """
        settled = self.resolve_fill(fill)
        seen = self._prefilled(crops, fill, settled)
        settings = _renamed(settled, self._card.guidance)
        painted: dict[int, Image] = {}
        with self._lock:  # a pipeline's scheduler counts the steps of one call
            while waiting := [i for i in range(len(crops)) if i not in painted]:
                first = seen[waiting[0]].mask.shape
                group = [i for i in waiting if seen[i].mask.shape == first][
                    : self.input_spec.batch_size
                ]

                def step(
                    now: int, steps: int, done: int = len(painted), own: int = len(group)
                ) -> None:
                    progress("inpainting", (done + own * now / max(1, steps)) / len(crops))

                made = self._tried([seen[i] for i in group], settings, step)
                for i, new in zip(group, made, strict=False):
                    painted[i] = crops[i].image.copy() if new is None else new
        progress("inpainting", 1.0)
        return [painted[i] for i in range(len(crops))]

    def _tried(
        self, crops: Sequence[Crop], settings: dict[str, Any], step: Step
    ) -> list[Image | None]:
        """The first of the crops, as many as the memory holds, painted; at least one."""
        while True:
            try:
                return paint(self._pipe, crops, settings, step, self._look)
            except OutOfMemory:
                if len(crops) == 1:
                    raise too_large() from None
            torch.cuda.empty_cache()
            crops = crops[: len(crops) // 2]
            self.input_spec = replace(self.input_spec, batch_size=len(crops))
            warnings.warn(f"out of memory, going on with {len(crops)} at once", stacklevel=4)

    def _prefilled(
        self, crops: Sequence[Crop], fill: Fill, settings: Mapping[str, Any]
    ) -> list[Crop]:
        """For a removal: the crops with a guess in their holes, so that a model that starts
        from the old pixels does not bring the object back."""
        if fill.prompt is not None:
            return list(crops)
        holes = [c for c in crops if not c.mask.all()]  # else it sees the object itself
        filled = iter(self._guess(settings.get("strength", 1.0)).inpaint(holes, fill))
        return [c if c.mask.all() else replace(c, image=next(filled)) for c in crops]

    def _guess(self, strength: float) -> Inpainter:
        """What fills the hole beforehand: nearly nothing of it is left at a high strength."""
        return self._prefill if self._prefill and strength < LITTLE else SmoothInpainter()


class SmoothInpainter:
    """A smooth guess."""

    name = "telea"
    input_spec = InputSpec(uses_seed=False)

    def inpaint(
        self, crops: Sequence[Crop], fill: Fill, progress: ProgressCallback = no_progress
    ) -> list[Image]:
        return [smooth(crop.image, crop.mask) for crop in crops]


def settings_for(fill: Fill, card: ModelCard) -> dict[str, Any]:
    """The request's values, else the card's for a removal, else the card's, else none.

    Raises ``BadOption``.
    """
    sources = [fill, *([card.remove] if fill.prompt is None else []), card.fill]
    wanted = {name: _first(*(getattr(one, name) for one in sources)) for name in PAINTS}
    settings = {name: value for name, value in wanted.items() if value is not None}
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


def _renamed(settled: Mapping[str, Any], guidance: str) -> dict[str, Any]:
    """By the names that the pipeline has for them."""
    names = {"guidance_scale": guidance}
    return {names.get(k, k): v for k, v in settled.items() if k != "prefill"}


def card_of(pipeline: str, *names: str) -> ModelCard:
    """The card of the first of these names, or else the first of the same pipeline class.

    Without a card, the whole hole is painted anew (some pipelines would keep part of the old
    object by default), all else is left to the pipeline.
    """
    same = [card for card in cards() if card.kind == "inpainter" and card.pipeline == pipeline]
    named = [card for name in names for card in same if name in (card.name, card.repo)]
    unknown = ModelCard("", "", "", fill=Fill(strength=1.0), remove=Fill(prompt=BACKGROUND))
    return (named or same or [unknown])[0]


def input_spec_of(pipe: Any) -> InputSpec:
    """Native area, multiple of the sides and latent cell, from the model's configuration."""
    if type(pipe).__name__.startswith("Kandinsky"):
        return KANDINSKY
    scale = int(pipe.vae_scale_factor)
    processor = getattr(pipe, "image_processor", None)
    cell = int(getattr(getattr(processor, "config", None), "vae_scale_factor", None) or scale)
    cell = max(cell, scale * int(getattr(pipe, "patch_size", None) or 1))
    network = getattr(pipe, "unet", None)
    side = getattr(pipe, "default_sample_size", None)
    if network is not None:
        side = network.config.sample_size
    side = side * scale if isinstance(side, int) else NATIVE
    multiple = 2 * cell if type(pipe).__name__.startswith("QwenImageEdit") else cell
    return InputSpec(area=side * side, multiple=multiple, mask_cell=cell)


def fitting(input_spec: InputSpec, dtype: torch.dtype, place: str) -> int:
    """How many crops of the native area the free memory holds; a CPU gains nothing from more."""
    if not place.startswith("cuda"):
        return 1
    free = free_memory(place)
    crop = (input_spec.area or NATIVE * NATIVE) * PER_PIXEL * dtype.itemsize
    return max(1, min(MOST, int(free // crop)))
