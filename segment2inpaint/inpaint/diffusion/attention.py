"""Attention by another library than torch's own, where it is installed and works."""

from __future__ import annotations

import warnings
from typing import Any

import torch

from segment2inpaint.errors import BadOption
from segment2inpaint.models.device import half_precision
from segment2inpaint.models.quiet import quiet_libraries


def attend(part: Any, backend: str, place: str) -> None:
    """Let a network attend by a backend of diffusers.

    Raises ``BadOption`` for one that is unknown, not installed, or of no effect.
    """
    from diffusers.models.attention_dispatch import attention_backend

    if not any(
        hasattr(getattr(m, "processor", None), "_attention_backend") for m in part.modules()
    ):
        raise BadOption(f"--attention {backend} is of no effect on {type(part).__name__}; leave it")
    try:
        with attention_backend("native"):  # which is put back: it is set for all networks, too
            part.set_attention_backend(backend)
        _try(backend, place)
    except Exception as error:  # libraries raise what they like
        reason = str(error).strip().split("\n")[0].rstrip(".")
        here = ", ".join(attentions(place))
        raise BadOption(
            f"--attention {backend} cannot be had here: {reason}; these work: {here}"
        ) from error


def attentions(place: str) -> list[str]:
    """The backends that work on a device, but for those that download their kernels."""
    with quiet_libraries("diffusers"):
        from diffusers.models.attention_dispatch import AttentionBackendName

        names = [one.value for one in AttentionBackendName]
        return [name for name in names if not name.endswith("_hub") and _works(name, place)]


def _works(backend: str, place: str) -> bool:
    try:
        _try(backend, place)
    except Exception:  # noqa: BLE001 (libraries raise what they like)
        return False
    return True


@torch.no_grad()
def _try(backend: str, place: str) -> None:
    """Attend once, to little. Raises what the backend raises."""
    from diffusers.models.attention_dispatch import AttentionBackendName, dispatch_attention_fn

    one = torch.zeros(1, 16, 2, 64, dtype=half_precision(place), device=place)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of being slow
        dispatch_attention_fn(one, one, one, backend=AttentionBackendName(backend))
