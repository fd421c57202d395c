"""Detection of native bfloat16 support."""

from __future__ import annotations

import torch

CPU_CHECKS = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")


def multiplies_bfloat16(device: torch.device) -> bool:
    """Return whether a device has instructions for bfloat16; without, it is slower than float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return device.type == "cpu" and any(getattr(torch.cpu, check, bool)() for check in CPU_CHECKS)
