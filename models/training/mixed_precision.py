"""Mixed precision, where the device is fast with it."""

from __future__ import annotations

import torch

# A CPU with one of these multiplies bfloat16 in hardware.
BFLOAT16_CAPABILITIES = "avx512_bf16", "amx_bf16", "bf16"


def autocast(device_type: str) -> torch.autocast:
    """Return ``torch.autocast`` to bfloat16.

    On a CPU without bfloat16 arithmetic it is disabled: it would take twenty times as long as
    float32.
    """
    capabilities = torch.cpu.get_capabilities() if device_type == "cpu" else {}
    is_fast = device_type != "cpu" or any(capabilities.get(name) for name in BFLOAT16_CAPABILITIES)
    return torch.autocast(device_type, torch.bfloat16, enabled=is_fast)
