"""Diffusion models of any family, through the inpainting pipelines of diffusers.

Crops come with the model's size already; nothing here crops, pads or feathers.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as Pillow

from segment2inpaint.catalogue import cards, resolve
from segment2inpaint.device import choose as choose_device
from segment2inpaint.inpaint.diffusion_load import choose_dtype, load, parameters, quiet_libraries
from segment2inpaint.inpaint.smooth import smooth
from segment2inpaint.types import (
    BadModel,
    BadOption,
    Canvas,
    Crop,
    Fill,
    Image,
    Progress,
    quiet,
)

# For families without a card: what is asked for when an object is to go.
BACKGROUND = "empty background, nothing there, photo"
NATIVE = 1024  # px, the side of models that do not tell

Step = Callable[[int, int], None]


class Diffusion:
    """Paints what a prompt says, or background if there is none.

    ``model`` is a folder in the layout of diffusers, the name of a card or a hub id on this
    machine; ``device`` and ``dtype`` are torch's names, or ``auto``. ``canvas`` is read off the
    model. Raises ``ModelMissing``, ``BadModel``, ``BadOption``.
    """

    name = "diffusion"

    def __init__(self, model: Path | str, device: str = "auto", dtype: str = "auto") -> None:
        place = choose_device(device)
        path = model if isinstance(model, Path) else resolve(model, "diffusion")
        pipe = load(path, choose_dtype(dtype, place))
        with _memory(), quiet_libraries():
            self._pipe = pipe.to(place)
        self.canvas = canvas_of(pipe)
        self._defaults = defaults_of(type(pipe).__name__)

    def inpaint(self, crops: Sequence[Crop], fill: Fill, progress: Progress = quiet) -> list[Image]:
        """Each crop repainted with its own seed, the same whatever crops come with it.

        Warns, and gives the crop back as it was, where the model's safety checker refuses.
        Raises ``BadOption`` for a strength too low for the steps or if memory runs out,
        ``BadModel`` if the model paints no numbers.
        """
        settings = settings_for(fill, self._defaults)
        painted = []
        for done, crop in enumerate(crops):

            def step(now: int, steps: int, done: int = done) -> None:
                progress("inpainting", (done + now / max(1, steps)) / len(crops))

            seen = crop if fill.prompt is not None else prefilled(crop)
            painted.append(paint(self._pipe, seen, settings, step))
        progress("inpainting", 1.0)
        return [
            crop.image.copy() if p is None else p for p, crop in zip(painted, crops, strict=True)
        ]


def settings_for(fill: Fill, defaults: Fill) -> dict[str, Any]:
    """Arguments of the pipeline's call: the request's, else the family's, else its own.

    A prompt that was asked for is not joined by the negative prompt of removals. Raises
    ``BadOption``.
    """
    removes = fill.prompt is None
    names = ["prompt", "num_inference_steps", "guidance_scale", "strength"]
    names += ["negative_prompt"] if removes or fill.negative_prompt is not None else []
    wanted = {name: _first(getattr(fill, name), getattr(defaults, name)) for name in names}
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


def defaults_of(pipeline: str) -> Fill:
    """The family's defaults: those of the card with the same pipeline class.

    Without a card, the whole hole is painted anew (some pipelines would keep part of the old
    object by default), all else is left to the pipeline.
    """
    same = [card.fill for card in cards() if card.pipeline == pipeline]
    return same[0] if same else Fill(prompt=BACKGROUND, strength=1.0)


def canvas_of(pipe: Any) -> Canvas:
    """Native area, multiple of the sides and latent cell, from the model's configuration."""
    scale = int(pipe.vae_scale_factor)
    processor = getattr(pipe, "image_processor", None)
    cell = int(getattr(getattr(processor, "config", None), "vae_scale_factor", None) or scale)
    cell = max(cell, scale * int(getattr(pipe, "patch_size", None) or 1))
    network = getattr(pipe, "unet", None)
    side = getattr(pipe, "default_sample_size", None)
    if network is not None:
        side = network.config.sample_size
    side = side * scale if isinstance(side, int) else NATIVE
    return Canvas(area=side * side, multiple=cell, cell=cell)


def prefilled(crop: Crop) -> Crop:
    """The crop with a smooth guess in its hole, so that a model that starts from the old
    pixels does not bring the object back."""
    return replace(crop, image=smooth(crop.image, crop.bits))


def paint(pipe: Any, crop: Crop, settings: dict[str, Any], step: Step) -> Image | None:
    """One crop through the pipeline, None if its safety checker refuses (with a warning).

    ``settings`` are arguments of its call; those it does not take are left out. Half precision
    that ends in no numbers is tried once more in float32, and stays there.
    """
    with _memory():
        pixels, refused = _call(pipe, crop, settings, step)
        if not np.isfinite(pixels).all() and pipe.dtype != torch.float32:
            warnings.warn(f"{pipe.dtype} overflowed in this model, using float32", stacklevel=3)
            with quiet_libraries():
                pipe.to(torch.float32)
            pixels, refused = _call(pipe, crop, settings, step)
    if refused:
        warnings.warn("the model's safety checker refused the result, kept the photo", stacklevel=3)
        return None
    if not np.isfinite(pixels).all():
        raise BadModel(f"{type(pipe).__name__} paints no numbers; its weights are damaged")
    height, width = crop.bits.shape
    painted = Pillow.fromarray((pixels * 255).round().clip(0, 255).astype(np.uint8))
    if painted.size != (width, height):
        painted = painted.resize((width, height), Pillow.Resampling.LANCZOS)
    return np.asarray(painted)


def _call(
    pipe: Any, crop: Crop, settings: dict[str, Any], step: Step
) -> tuple[NDArray[np.float32], bool]:
    """(H, W, 3) float32 in [0, 1], and whether the safety checker blackened it."""
    height, width = crop.bits.shape
    takes = parameters(pipe)

    def after(pipe: Any, index: int, _: Any, values: dict[str, Any]) -> dict[str, Any]:
        step(index + 1, pipe.num_timesteps)
        return values

    given = settings | {
        "image": Pillow.fromarray(crop.image),
        "mask_image": Pillow.fromarray(crop.bits.astype(np.uint8) * 255),
        "height": height,
        "width": width,
        "generator": torch.Generator("cpu").manual_seed(crop.seed),
        "output_type": "np",
        "callback_on_step_end": after,
        # Kontext would choose another size by itself.
        "_auto_resize": False,
        "max_area": height * width,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # among its own modules
        warnings.filterwarnings("ignore", "invalid value encountered in cast")
        result = pipe(**{name: value for name, value in given.items() if name in takes})
    refused = getattr(result, "nsfw_content_detected", None) or [False]
    return np.asarray(result.images[0], np.float32), bool(refused[0])


@contextmanager
def _memory() -> Iterator[None]:
    """Raises ``BadOption`` where the GPU's memory runs out."""
    try:
        yield
    except torch.cuda.OutOfMemoryError as error:
        raise BadOption("out of GPU memory; try --device cpu or a smaller model") from error
