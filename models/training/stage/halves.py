"""Half precision, where a machine is quick with it."""

from __future__ import annotations

import torch

QUICK = "avx512_bf16", "amx_bf16", "bf16"  # of a CPU: one of them multiplies bfloat16


def halves(kind: str) -> torch.autocast:
    """In bfloat16, as ``torch.autocast``; on a CPU that cannot multiply that, which would take
    twenty times as long, in float32.
    """
    able = torch.cpu.get_capabilities() if kind == "cpu" else {}
    quick = kind != "cpu" or any(able.get(name) for name in QUICK)
    return torch.autocast(kind, torch.bfloat16, enabled=quick)
