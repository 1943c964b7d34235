"""Choose the device that models run on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from segment2inpaint import extras
from segment2inpaint.errors import BadOption

if TYPE_CHECKING:
    import torch


def choose_device(name: str = "auto") -> str:
    """Return the torch device for ``auto``, ``cpu``, ``mps``, ``cuda`` or ``cuda:N``.

    ``auto`` is the first of cuda, mps and cpu that this machine has. Raises ``BadOption`` for
    an unknown name and for a device that this machine does not have.
    """
    available = devices()
    if name == "auto":
        return available[0]
    if name in available or (name == "cuda" and "cuda:0" in available):
        return name
    raise BadOption(
        f"device {name!r} is not on this machine, expected auto or one of {', '.join(available)}"
    )


def devices() -> list[str]:
    """Return the torch devices of this machine, the fastest kind first, ``cpu`` always last.

    Without torch that is ``cpu`` alone.
    """
    if not extras.is_installed("models"):
        return ["cpu"]
    import torch

    cuda = [f"cuda:{i}" for i in range(torch.cuda.device_count())]
    mps = ["mps"] if torch.backends.mps.is_available() else []
    return [*cuda, *mps, "cpu"]


def inference_dtype(name: str) -> torch.dtype:
    """Return the dtype in which an image encoder runs fastest on a device.

    That is half precision on an NVIDIA GPU (bfloat16 if supported). On a CPU, half precision
    takes 8 times longer than float32.
    """
    import torch

    if not name.startswith("cuda"):
        return torch.float32
    return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16


def free_memory(name: str) -> int:
    """Return the free bytes on a device; without memory of its own, those of the machine."""
    import psutil

    if name.startswith("cuda"):
        import torch

        return torch.cuda.mem_get_info(name)[0]
    return int(psutil.virtual_memory().available)
