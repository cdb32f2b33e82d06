"""In which precision a convolutional tower runs: the shipped one, and that for photographs."""

from __future__ import annotations

import torch


def tower_dtype(precision: str, device: torch.device) -> torch.dtype:
    """Returns the precision of an image tower.

    A processor that multiplies bfloat16 in hardware (AMX, AVX-512 BF16) runs a tower two to five
    times as fast so; others would emulate it, slower than float32.

    Args:
        precision: ``features.precision``.
        device: Where the tower runs.
    """
    if precision == 'auto':
        fast = device.type == 'cpu' and multiplies_bfloat16()
        return torch.bfloat16 if fast else torch.float32
    return getattr(torch, precision)


def multiplies_bfloat16() -> bool:
    """Tells whether this processor multiplies bfloat16 in hardware, as far as torch can say."""
    checks = ('_is_amx_tile_supported', '_is_avx512_bf16_supported')
    return any(getattr(torch.cpu, name, bool)() for name in checks)
