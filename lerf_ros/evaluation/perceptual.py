"""LPIPS, where the package ``lpips`` and its weights are on this machine."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8

logger = logging.getLogger(__name__)

Image = UInt8[np.ndarray, 'height width 3']


def load_lpips() -> Callable[[Image, Image], float] | None:
    """Returns the LPIPS distance (AlexNet), or None where it cannot be had without a download."""
    weights = Path(torch.hub.get_dir()) / 'checkpoints'
    if importlib.util.find_spec('lpips') is None or not list(weights.glob('alexnet-*.pth')):
        logger.info('LPIPS is left out: it needs the package lpips and the weights of AlexNet')
        return None
    import lpips

    model = lpips.LPIPS(net='alex', verbose=False).eval()

    @torch.no_grad()
    def distance(image: Image, truth: Image) -> float:
        pair = torch.from_numpy(np.stack([image, truth])).permute(0, 3, 1, 2) / 127.5 - 1
        return float(model(pair[:1], pair[1:]))

    return distance
