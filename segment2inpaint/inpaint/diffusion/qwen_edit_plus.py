"""Qwen-Image-Edit-2509 and 2511 with a mask.

Their class in diffusers, ``QwenImageEditPlusPipeline``, takes no mask and one photo a call. The
inpainting class of the first Qwen-Image-Edit has the same components; only what the text encoder
is given differs.
"""

from __future__ import annotations

from functools import wraps
from typing import Any

PLUS_CLASS = "QwenImageEditPlusPipeline"
PICTURE_TOKEN = "<|vision_start|>"


def prompt_as_plus(pipe: Any) -> None:
    """Make a ``QwenImageEditInpaintPipeline`` encode prompts as ``PLUS_CLASS`` does.

    The prompt numbers the picture, and the text encoder sees it smaller.
    """
    numbered = pipe.prompt_template_encode.replace(PICTURE_TOKEN, f"Picture 1: {PICTURE_TOKEN}")
    pipe.prompt_template_encode = numbered
    encode = pipe.encode_prompt

    @wraps(encode)
    def encode_small(prompt: Any, image: Any = None, *args: Any, **options: Any) -> Any:
        pictures = image if isinstance(image, list) or image is None else [image]
        small = pictures and [_shrink(pipe, picture) for picture in pictures]
        return encode(prompt, small, *args, **options)

    pipe.encode_prompt = encode_small


def _shrink(pipe: Any, picture: Any) -> Any:
    """Return the picture at the size in which the text encoder of ``PLUS_CLASS`` sees it."""
    from diffusers.pipelines.qwenimage import pipeline_qwenimage_edit_plus as plus

    ratio = picture.width / picture.height
    width, height = plus.calculate_dimensions(plus.CONDITION_IMAGE_SIZE, ratio)
    return pipe.image_processor.resize(picture, height, width)
