"""Crops of one size through an inpainting pipeline of diffusers: its call, whatever it takes."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as Pillow

from segment2inpaint.errors import BadModel, BadOption
from segment2inpaint.inpaint.diffusion.folder import parameters
from segment2inpaint.models.quiet import quiet_libraries
from segment2inpaint.protocols import Crop, PreviewCallback
from segment2inpaint.types import Image

KEPT = 8  # prompts whose embeddings are kept
FULL = "can't allocate memory"  # as torch says it of the CPU's

Step = Callable[[int, int], None]


class OutOfMemory(Exception):
    """So many crops at once are too many."""


def paint(
    pipe: Any,
    crops: Sequence[Crop],
    settings: dict[str, Any],
    step: Step,
    look: PreviewCallback | None = None,
) -> list[Image | None]:
    """Crops of one size, painted in one call; None where the safety checker refuses (it warns).

    ``settings`` are arguments of the call; those that it does not take are left out. Half
    precision that ends in no numbers is tried once more in float32, and stays there. ``look``
    is given sketches after each step. Raises ``OutOfMemory``, and ``BadModel`` if float32
    gives no numbers either, ``BadOption`` if it cannot be compiled.
    """
    with memory(), compiler():
        pixels, refused = _called(pipe, crops, settings, step, look)
        if not np.isfinite(pixels).all() and pipe.dtype != torch.float32:
            warnings.warn(f"{pipe.dtype} overflowed in this model, using float32", stacklevel=3)
            with quiet_libraries("diffusers", "transformers"):
                pipe.to(torch.float32)
            pixels, refused = _called(pipe, crops, settings, step, look)
    if any(refused):
        warnings.warn("the model's safety checker refused the result, kept the photo", stacklevel=3)
    if not np.isfinite(pixels).all():
        raise BadModel(f"{type(pipe).__name__} paints no numbers; its weights are damaged")
    size = crops[0].mask.shape
    return [None if no else _image(one, size) for one, no in zip(pixels, refused, strict=True)]


def _image(pixels: NDArray[np.float32], size: tuple[int, ...]) -> Image:
    """(H, W, 3) in [0, 1] as an image of ``size`` (h, w)."""
    painted = Pillow.fromarray((pixels * 255).round().clip(0, 255).astype(np.uint8))
    if painted.size != size[::-1]:
        painted = painted.resize((size[1], size[0]), Pillow.Resampling.LANCZOS)
    return np.asarray(painted)


def _called(
    pipe: Any,
    crops: Sequence[Crop],
    settings: dict[str, Any],
    step: Step,
    look: PreviewCallback | None,
) -> tuple[NDArray[np.float32], list[bool]]:
    """(N, H, W, 3) float32 in [0, 1], and which the safety checker blackened."""
    takes = parameters(pipe)
    given = _arguments(crops, settings, step, look)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # among its own modules
        warnings.filterwarnings("ignore", "invalid value encountered in cast")
        result = pipe(**{name: value for name, value in given.items() if name in takes})
    refused = getattr(result, "nsfw_content_detected", None) or [False] * len(crops)
    return np.asarray(result.images, np.float32), [bool(one) for one in refused]


def _arguments(
    crops: Sequence[Crop], settings: dict[str, Any], step: Step, look: PreviewCallback | None
) -> dict[str, Any]:
    """All that some pipeline or other takes; prompts a list, and a generator for each crop."""
    height, width = crops[0].mask.shape

    def after(pipe: Any, index: int, _: Any, values: dict[str, Any]) -> dict[str, Any]:
        step(index + 1, pipe.num_timesteps)
        if look:
            shown = sketches(pipe, values["latents"], (height, width))
            look(shown[: len(crops)])
        return values

    lists = {k: [v] * len(crops) for k, v in settings.items() if isinstance(v, str)}
    return (
        settings
        | lists
        | {
            "image": [Pillow.fromarray(crop.image) for crop in crops],
            "mask_image": [Pillow.fromarray(crop.mask.astype(np.uint8) * 255) for crop in crops],
            "height": height,
            "width": width,
            "generator": [torch.Generator("cpu").manual_seed(crop.seed) for crop in crops],
            "output_type": "np",
            "callback_on_step_end": after,
            # Kontext would choose another size by itself.
            "_auto_resize": False,
            "max_area": height * width,
        }
    )


@torch.no_grad()
def sketches(pipe: Any, latents: torch.Tensor, size: tuple[int, int]) -> list[Image]:
    """What latents of crops of ``size`` (h, w) look like so far, about 1/2 as large.

    Decoded from every other latent pixel, which costs a quarter. None for packed latents that
    the pipeline cannot unpack in Flux's way, and for those of other coders.
    """
    coder: Any = getattr(pipe, "vae", None)
    if type(coder).__name__ != "AutoencoderKL":
        return []
    if latents.ndim == 3 and "vae_scale_factor" in _takes(getattr(pipe, "_unpack_latents", None)):
        latents = pipe._unpack_latents(latents, *size, pipe.vae_scale_factor)
    if latents.ndim != 4:
        return []
    small = latents[..., ::2, ::2].to(coder.dtype) / coder.config.scaling_factor
    small = small + (getattr(coder.config, "shift_factor", None) or 0.0)
    pixels = coder.decode(small).sample.float().cpu().clamp(-1, 1)
    shown = ((pixels.permute(0, 2, 3, 1) + 1) * 127.5).round().nan_to_num()
    return list(shown.numpy().astype(np.uint8))


def _takes(function: Any) -> set[str]:
    return set(inspect.signature(function).parameters) if function else set()


@contextmanager
def memory() -> Iterator[None]:
    """Raises ``OutOfMemory`` where torch does, in one way or another."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise OutOfMemory from error
    except RuntimeError as error:
        if FULL not in str(error):
            raise
        raise OutOfMemory from error


@contextmanager
def compiler() -> Iterator[None]:
    """Raises ``BadOption`` where torch finds that it cannot compile: at the first call."""
    try:
        yield
    except RuntimeError as error:
        if not type(error).__module__.startswith(("torch._dynamo", "torch._inductor")):
            raise
        reason = str(error).strip().split("\n")[0]
        raise BadOption(f"--compile cannot be had here: {reason}; leave it") from error


# --- prompts ------------------------------------------------------------------------------------


def remember_prompts(pipe: Any) -> None:
    """Keep what the pipeline makes of a prompt: its text encoders run once for it.

    Only where all crops have the same prompt and nothing but words goes in; a model that reads
    the picture along with the words is left alone.
    """
    encode = getattr(pipe, "encode_prompt", None)
    if encode is None:
        return
    signature = inspect.signature(encode)
    kept: dict[str, Any] = {}

    def remembered(*args: Any, **kwargs: Any) -> Any:
        given = signature.bind(*args, **kwargs).arguments
        lists = {k: v for k, v in given.items() if isinstance(v, list)}
        counts = {len(v) for v in lists.values()}
        words = all(isinstance(w, str) and w == v[0] for v in lists.values() for w in v)
        pictures = any(isinstance(v, torch.Tensor | Pillow.Image) for v in given.values())
        if len(counts) != 1 or not words or pictures:
            return encode(*args, **kwargs)
        one = given | {k: v[:1] for k, v in lists.items()}
        key = f"{pipe.dtype} {sorted(one.items())}"
        if key not in kept:
            while len(kept) >= KEPT:
                kept.pop(next(iter(kept)))
            kept[key] = _apply(encode, signature, one)
        return _repeated(kept[key], counts.pop())

    pipe.encode_prompt = remembered


def _apply(function: Any, signature: inspect.Signature, given: dict[str, Any]) -> Any:
    bound = signature.bind_partial()
    bound.arguments.update(given)
    return function(*bound.args, **bound.kwargs)


def _repeated(encoded: Any, count: int) -> Any:
    """Embeddings of one prompt as those of ``count``."""
    if isinstance(encoded, torch.Tensor):
        return encoded.repeat_interleave(count, 0) if encoded.shape[0] == 1 else encoded
    if isinstance(encoded, tuple):
        return tuple(_repeated(part, count) for part in encoded)
    return encoded * count if isinstance(encoded, list) else encoded


def too_large() -> BadOption:
    """What to say when even one crop does not fit."""
    how = "try --offload model, --quantize 8bit, --device cpu or a smaller model"
    return BadOption(f"out of memory; {how}")
