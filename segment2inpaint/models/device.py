"""Where models run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from segment2inpaint.errors import BadOption

if TYPE_CHECKING:
    import torch


def choose(name: str = "auto") -> str:
    """The torch device for ``auto``, ``cpu``, ``mps``, ``cuda`` or ``cuda:N``.

    ``auto`` is the first of cuda, mps and cpu that this machine has. Raises ``BadOption`` for
    another name and for a device that is not here.
    """
    here = devices()
    if name == "auto":
        return here[0]
    if name in here or (name == "cuda" and "cuda:0" in here):
        return name
    raise BadOption(f"device {name!r} is not on this machine, it has {', '.join(here)} (or auto)")


def devices() -> list[str]:
    """The torch devices of this machine, the fastest kind first, ``cpu`` always last."""
    import torch

    cuda = [f"cuda:{i}" for i in range(torch.cuda.device_count())]
    mps = ["mps"] if torch.backends.mps.is_available() else []
    return [*cuda, *mps, "cpu"]


def half_precision(name: str) -> torch.dtype:
    """What an encoder of photos computes in on a device.

    Half precision pays on a GPU (bfloat16 where it is fast), and costs 8 times on a CPU.
    """
    import torch

    if not name.startswith("cuda"):
        return torch.float32
    return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16


def free_memory(name: str) -> int:
    """Bytes that are free on a device; of a GPU that shares it, the machine's."""
    import psutil
    import torch

    if name.startswith("cuda"):
        return torch.cuda.mem_get_info(name)[0]
    return int(psutil.virtual_memory().available)
