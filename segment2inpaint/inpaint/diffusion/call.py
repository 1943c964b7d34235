"""The call of a diffusers inpainting pipeline with crops of one size, for any family."""

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
from segment2inpaint.inpaint.diffusion.folder import call_parameters
from segment2inpaint.models.quiet import quiet_libraries
from segment2inpaint.protocols import Crop, PreviewCallback
from segment2inpaint.types import BinaryMask, Image

MAX_CACHED_PROMPTS = 8  # prompts whose embeddings are cached for each model
# Part of the message of torch's RuntimeError if the CPU's memory runs out.
CPU_OUT_OF_MEMORY = "can't allocate memory"

StepCallback = Callable[[int, int], None]
"""Called after each step with the number of finished steps and of all steps."""


class OutOfMemory(Exception):
    """The memory does not hold this many crops at once."""


def paint(
    pipe: Any,
    crops: Sequence[Crop],
    settings: dict[str, Any],
    on_step: StepCallback,
    on_preview: PreviewCallback | None = None,
) -> list[Image | None]:
    """Return crops of one size painted in one call; None where the safety checker refuses.

    ``settings`` are arguments of the call; those that the pipeline does not take are ignored.
    Refused results are warned about. If half precision gives NaN, the call is repeated in float32
    and the pipeline stays in float32. ``on_preview`` gets sketches after each step.

    Raises ``OutOfMemory``, ``BadModel`` if float32 gives NaN too, and ``BadOption`` if the
    network cannot be compiled.
    """
    with memory_errors(), _compiler_errors():
        pixels, refused = _call(pipe, crops, settings, on_step, on_preview)
        if not np.isfinite(pixels).all() and pipe.dtype != torch.float32:
            warnings.warn(f"{pipe.dtype} overflowed in this model, using float32", stacklevel=3)
            with quiet_libraries("diffusers", "transformers"):
                pipe.to(torch.float32)
            pixels, refused = _call(pipe, crops, settings, on_step, on_preview)
    if any(refused):
        warnings.warn("the model's safety checker refused the result, kept the photo", stacklevel=3)
    if not np.isfinite(pixels).all():
        raise BadModel(f"{type(pipe).__name__} returned NaN; its weights are damaged")
    size = crops[0].mask.shape
    return [
        None if is_refused else _to_image(array, size)
        for array, is_refused in zip(pixels, refused, strict=True)
    ]


def _to_image(pixels: NDArray[np.float32], size: tuple[int, ...]) -> Image:
    """Return (H, W, 3) in [0, 1] as an image of ``size`` (h, w)."""
    image = Pillow.fromarray((pixels * 255).round().clip(0, 255).astype(np.uint8))
    if image.size != size[::-1]:
        image = image.resize((size[1], size[0]), Pillow.Resampling.LANCZOS)
    return np.asarray(image)


def _call(
    pipe: Any,
    crops: Sequence[Crop],
    settings: dict[str, Any],
    on_step: StepCallback,
    on_preview: PreviewCallback | None,
) -> tuple[NDArray[np.float32], list[bool]]:
    """Return (N, H, W, 3) float32 in [0, 1], and which images the safety checker blackened."""
    accepted = call_parameters(pipe)
    arguments = _arguments(crops, settings, on_step, on_preview)
    # quiet about deprecations between modules of diffusers, and about long prompts
    with quiet_libraries("diffusers", "transformers"):
        warnings.filterwarnings("ignore", "invalid value encountered in cast")
        result = pipe(**{name: value for name, value in arguments.items() if name in accepted})
    refused = getattr(result, "nsfw_content_detected", None) or [False] * len(crops)
    return np.asarray(result.images, np.float32), [bool(flag) for flag in refused]


def _arguments(
    crops: Sequence[Crop],
    settings: dict[str, Any],
    on_step: StepCallback,
    on_preview: PreviewCallback | None,
) -> dict[str, Any]:
    """Return the arguments for all families; prompts are lists, with a generator for each crop."""
    height, width = crops[0].mask.shape

    def on_step_end(pipe: Any, index: int, _: Any, values: dict[str, Any]) -> dict[str, Any]:
        on_step(index + 1, pipe.num_timesteps)
        if on_preview:
            previews = decode_previews(pipe, values["latents"], (height, width))
            on_preview(previews[: len(crops)])
        return values

    prompts = {k: [v] * len(crops) for k, v in settings.items() if isinstance(v, str)}
    return (
        settings
        | prompts
        | {
            "image": [Pillow.fromarray(crop.image) for crop in crops],
            "mask_image": [_mask_picture(crop.mask) for crop in crops],
            "object_mask": [_mask_picture(object_mask(crop)) for crop in crops],
            "height": height,
            "width": width,
            "generator": [torch.Generator("cpu").manual_seed(crop.seed) for crop in crops],
            "output_type": "np",
            "callback_on_step_end": on_step_end,
            # Kontext would choose another size by default.
            "_auto_resize": False,
            "max_area": height * width,
        }
    )


def object_mask(crop: Crop) -> BinaryMask:
    """Return the mask of the object in a crop."""
    return crop.mask if crop.object_mask is None else crop.object_mask


def _mask_picture(mask: BinaryMask) -> Pillow.Image:
    return Pillow.fromarray(mask.astype(np.uint8) * 255)


@torch.no_grad()
def decode_previews(pipe: Any, latents: torch.Tensor, size: tuple[int, int]) -> list[Image]:
    """Return sketches of the latents of crops of ``size`` (h, w), about half as large.

    Every other latent pixel is decoded, which takes a quarter of the time. The list is empty for
    packed latents that the pipeline does not unpack in Flux's way, and for VAEs of other classes.
    """
    vae: Any = getattr(pipe, "vae", None)
    if type(vae).__name__ != "AutoencoderKL":
        return []
    unpack = getattr(pipe, "_unpack_latents", None)
    if latents.ndim == 3 and "vae_scale_factor" in _parameter_names(unpack):
        latents = pipe._unpack_latents(latents, *size, pipe.vae_scale_factor)
    if latents.ndim != 4:
        return []
    small = latents[..., ::2, ::2].to(vae.dtype) / vae.config.scaling_factor
    small = small + (getattr(vae.config, "shift_factor", None) or 0.0)
    pixels = vae.decode(small).sample.float().cpu().clamp(-1, 1)
    images = ((pixels.permute(0, 2, 3, 1) + 1) * 127.5).round().nan_to_num()
    return list(images.numpy().astype(np.uint8))


def _parameter_names(function: Any) -> set[str]:
    return set(inspect.signature(function).parameters) if function else set()


# --- errors -------------------------------------------------------------------------------------


@contextmanager
def memory_errors() -> Iterator[None]:
    """Raise ``OutOfMemory`` in place of torch's errors for the memory of a GPU or the CPU."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise OutOfMemory from error
    except RuntimeError as error:
        if CPU_OUT_OF_MEMORY not in str(error):
            raise
        raise OutOfMemory from error


@contextmanager
def _compiler_errors() -> Iterator[None]:
    """Raise ``BadOption`` if torch cannot compile, which shows at the first call."""
    try:
        yield
    except RuntimeError as error:
        if not type(error).__module__.startswith(("torch._dynamo", "torch._inductor")):
            raise
        reason = str(error).strip().split("\n")[0]
        raise BadOption(f"--compile is unavailable: {reason}; omit it") from error


def out_of_memory_error() -> BadOption:
    """Return the error to raise if not even one crop fits into the memory."""
    return BadOption(
        "out of memory; try --offload model, --quantize 8bit, --device cpu or a smaller model"
    )


# --- prompts ------------------------------------------------------------------------------------


def cache_prompts(pipe: Any) -> None:
    """Make the pipeline cache the embeddings of prompts, so that its text encoders run once.

    The cache is used only if all crops have the same prompt and only text goes into the encoder.
    A model that encodes the image together with the text is left alone.
    """
    encode = getattr(pipe, "encode_prompt", None)
    if encode is None:
        return
    signature = inspect.signature(encode)
    cache: dict[str, Any] = {}

    def encode_cached(*args: Any, **kwargs: Any) -> Any:
        arguments = signature.bind(*args, **kwargs).arguments
        lists = {k: v for k, v in arguments.items() if isinstance(v, list)}
        lengths = {len(v) for v in lists.values()}
        if len(lengths) != 1 or not _only_equal_texts(arguments):
            return encode(*args, **kwargs)
        single = arguments | {k: v[:1] for k, v in lists.items()}
        key = f"{pipe.dtype} {sorted(single.items())}"
        if key not in cache:
            while len(cache) >= MAX_CACHED_PROMPTS:
                cache.pop(next(iter(cache)))
            cache[key] = _apply(encode, signature, single)
        return _repeat(cache[key], lengths.pop())

    pipe.encode_prompt = encode_cached


def _only_equal_texts(arguments: dict[str, Any]) -> bool:
    """Return whether each list repeats one string and no argument is an image or a tensor."""
    lists = [v for v in arguments.values() if isinstance(v, list)]
    equal_texts = all(isinstance(text, str) and text == v[0] for v in lists for text in v)
    return equal_texts and not any(
        isinstance(v, torch.Tensor | Pillow.Image) for v in arguments.values()
    )


def _apply(function: Any, signature: inspect.Signature, arguments: dict[str, Any]) -> Any:
    bound = signature.bind_partial()
    bound.arguments.update(arguments)
    return function(*bound.args, **bound.kwargs)


def _repeat(encoded: Any, count: int) -> Any:
    """Return the embeddings of one prompt ``count`` times."""
    if isinstance(encoded, torch.Tensor):
        return encoded.repeat_interleave(count, 0) if encoded.shape[0] == 1 else encoded
    if isinstance(encoded, tuple):
        return tuple(_repeat(item, count) for item in encoded)
    return encoded * count if isinstance(encoded, list) else encoded
