"""Attention backends: other libraries than torch's own, where they are installed and work."""

from __future__ import annotations

import warnings
from typing import Any

import torch

from segment2inpaint.errors import BadOption
from segment2inpaint.models.device import inference_dtype
from segment2inpaint.models.quiet import quiet_libraries


def set_attention(network: Any, backend: str, device: str) -> None:
    """Make a network of diffusers use an attention backend.

    Raises ``BadOption`` for a backend that is unknown, not installed or without effect.
    """
    from diffusers.models.attention_dispatch import attention_backend

    if not any(
        hasattr(getattr(m, "processor", None), "_attention_backend") for m in network.modules()
    ):
        raise BadOption(f"--attention {backend} has no effect on {type(network).__name__}; omit it")
    try:
        # set_attention_backend also changes the default of all networks; this restores it.
        with attention_backend("native"):
            network.set_attention_backend(backend)
        _run_backend(backend, device)
    except Exception as error:  # the libraries raise errors of any class
        reason = str(error).strip().split("\n")[0].rstrip(".")
        available = ", ".join(working_backends(device))
        raise BadOption(
            f"--attention {backend} is unavailable: {reason}; available: {available}"
        ) from error


def working_backends(device: str) -> list[str]:
    """Return the backends that work on a device, except those that download their kernels."""
    with quiet_libraries("diffusers"):
        from diffusers.models.attention_dispatch import AttentionBackendName

        names = [backend.value for backend in AttentionBackendName]
        return [name for name in names if not name.endswith("_hub") and _works(name, device)]


def _works(backend: str, device: str) -> bool:
    try:
        _run_backend(backend, device)
    except Exception:  # noqa: BLE001 (the libraries raise errors of any class)
        return False
    return True


@torch.no_grad()
def _run_backend(backend: str, device: str) -> None:
    """Run attention once on small tensors. Raises the backend's own errors."""
    from diffusers.models.attention_dispatch import AttentionBackendName, dispatch_attention_fn

    zeros = torch.zeros(1, 16, 2, 64, dtype=inference_dtype(device), device=device)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some backends warn that they are slow
        dispatch_attention_fn(zeros, zeros, zeros, backend=AttentionBackendName(backend))
