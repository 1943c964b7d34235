"""Prompts that are longer than a model's text encoders can read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny
import tiny_flows
import torch
from crops import equal, make_crop

from segment2inpaint.inpaint.diffusion.inpainter import DiffusionInpainter
from segment2inpaint.inpaint.diffusion.prompt_limit import unread_part
from segment2inpaint.types import Fill

LONG = " ".join(f"w{number:04d}" for number in range(120))

LIMITS: dict[str, tuple[Callable[[], Any], int]] = {
    "sd": (tiny.stable_diffusion, 77),
    "sdxl": (tiny.stable_diffusion_xl, 77),
    "sd3": (tiny_flows.stable_diffusion_3, 256),
    "flux": (tiny_flows.flux, 512),
    "klein": (tiny_flows.flux_2_klein, 512),
    "chroma": (tiny_flows.chroma, 256),
    "z-image": (tiny_flows.z_image, 512),
    "qwen": (tiny_flows.qwen_image, 512),
    "kandinsky": (lambda: tiny_flows.kandinsky_2_2()[0], 77),
}


def encode(pipe: Any, prompt: str) -> torch.Tensor:
    """Return the tokens that the text encoder which reads most of a prompt receives."""
    received: list[torch.Tensor] = []

    def remember(_: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        received.append(kwargs["input_ids"] if "input_ids" in kwargs else args[0])

    names = ("text_encoder", "text_encoder_2", "text_encoder_3", "prior_text_encoder")
    encoders = [e for name in names if (e := getattr(pipe, name, None)) is not None]
    hooks = [e.register_forward_pre_hook(remember, with_kwargs=True) for e in encoders]
    call_encoders(pipe, prompt)
    for hook in hooks:
        hook.remove()
    tokens = max(received, key=lambda tokens: tokens.shape[1])
    # Qwen-Image cuts the embeddings of its call, and drops those of its template before
    end = getattr(pipe, "prompt_template_encode_start_idx", None)
    return tokens[:, : end + 512] if end else tokens


def call_encoders(pipe: Any, prompt: str) -> None:
    match type(pipe).__name__:
        case "KandinskyV22InpaintCombinedPipeline":
            pipe.prior_pipe._encode_prompt(prompt, "cpu", 1, False)
        case "StableDiffusion3InpaintPipeline":
            pipe.encode_prompt(prompt, None, None, do_classifier_free_guidance=False)
        case "FluxInpaintPipeline":
            pipe.encode_prompt(prompt, None)
        case "ChromaInpaintPipeline":
            pipe.encode_prompt(prompt, max_sequence_length=256)
        case "StableDiffusionInpaintPipeline":
            pipe.encode_prompt(prompt, "cpu", 1, False)
        case _:
            pipe.encode_prompt([prompt])


@pytest.mark.parametrize("family", LIMITS)
def test_the_words_named_are_those_that_the_text_encoders_do_not_receive(family: str) -> None:
    """Other words in their place change nothing, other words before them do."""
    make, limit = LIMITS[family]
    pipe = make()
    unread, tokens = unread_part(pipe, LONG)
    assert tokens == limit
    assert LONG.endswith(unread)
    assert unread.startswith("w")
    read = LONG.removesuffix(unread)
    received = encode(pipe, LONG)
    other_end = encode(pipe, read + unread[0] + "x" * (len(unread) - 1))
    # of the word that the cut divides, some letters are read; here, a letter is a token
    assert int((other_end != received).sum()) <= len("w0000") + 1
    other_beginning = encode(pipe, "x" * len(read) + unread)
    assert int((other_beginning != received).sum()) > len(read) / 2
    assert unread_part(pipe, "a red rose")[0] == ""


def test_an_editor_that_reads_everything_loses_nothing() -> None:
    assert unread_part(tiny_flows.qwen_image("QwenImageEditPipeline"), LONG * 5)[0] == ""


def test_text_without_spaces_is_cut_where_the_encoder_stops() -> None:
    unread, _ = unread_part(tiny.stable_diffusion(), "玫" * 200)
    assert 0 < len(unread) < 200


def test_a_prompt_that_is_too_long_is_told_in_one_line(
    folders: dict[str, Path], capfd: pytest.CaptureFixture[str]
) -> None:
    """The library's own message is not printed, and the words named have no influence."""
    inpainter = DiffusionInpainter(folders["sd9"], "cpu")
    unread, _ = unread_part(inpainter.pipe, LONG)
    capfd.readouterr()
    with pytest.warns(UserWarning, match="too long") as caught:
        first = inpainter.inpaint([make_crop()], Fill(LONG, num_inference_steps=2))
    [line] = [str(w.message) for w in caught if "too long" in str(w.message)]
    assert line == (f'--prompt is too long: this model reads 77 tokens of it; not read: "{unread}"')
    assert capfd.readouterr().err == ""
    with pytest.warns(UserWarning, match="--negative-prompt is too long"):
        inpainter.inpaint([make_crop()], Fill("a", LONG, num_inference_steps=2))
    shorter = LONG.removesuffix(unread)
    longer = Fill(f"{LONG} and more", num_inference_steps=2)
    with pytest.warns(UserWarning, match="too long"):
        second = inpainter.inpaint([make_crop()], longer)
    assert equal(first, second)
    assert unread_part(inpainter.pipe, shorter)[0] == ""
