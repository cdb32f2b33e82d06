"""The device that trains and answers."""

from __future__ import annotations

import torch


def resolve_device(name: str) -> torch.device:
    """Returns the device an option names; 'auto' takes CUDA where it works.

    Raises:
        ValueError: The device is unknown or not there.
    """
    if name == 'auto':
        return torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ValueError(f"training.device: expected 'auto', 'cpu' or 'cuda', got {name!r}") from (
            error
        )
    if device.type == 'cuda' and not torch.cuda.is_available():
        raise ValueError(f'training.device: {name!r} was asked for, but torch finds no CUDA GPU')
    return device
