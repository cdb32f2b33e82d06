"""The one place where open_clip is imported, and the only door to the network.

torchvision's registry wheel is a CUDA build. Beside a CPU build of torch its compiled part cannot
load, and its import then fails over two operators that open_clip never calls. Declaring their
schemas first is enough.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import logging
from collections.abc import Iterator
from types import ModuleType

import torch

_MISSING_OPERATORS = {
    'torchvision::nms': '(Tensor dets, Tensor scores, float iou_threshold) -> Tensor',
    'torchvision::qnms': '(Tensor dets, Tensor scores, float iou_threshold) -> Tensor',
}


@functools.cache
def open_clip() -> ModuleType:
    """Returns the open_clip module.

    Raises:
        ImportError: open_clip is not installed.
    """
    _repair_torchvision()
    try:
        return importlib.import_module('open_clip')
    except ImportError as error:
        raise ImportError(
            f'language encoders need `pip install open_clip_torch`: {error}'
        ) from error


@functools.cache
def timm() -> ModuleType:
    """Returns the timm module.

    Raises:
        ImportError: timm is not installed.
    """
    _repair_torchvision()
    try:
        return importlib.import_module('timm')
    except ImportError as error:
        raise ImportError(f'dense features need `pip install timm`: {error}') from error


@functools.cache
def _repair_torchvision() -> None:
    """Makes torchvision importable where its compiled part cannot load."""
    try:
        importlib.import_module('torchvision')
    except RuntimeError as error:
        if 'torchvision::' not in str(error):
            raise
        for name, schema in _MISSING_OPERATORS.items():
            torch.library.define(name, schema)
        importlib.import_module('torchvision')


@contextlib.contextmanager
def hub_access(allowed: bool) -> Iterator[None]:
    """Keeps the model hub's client off the network unless allowed."""
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = before or not allowed
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


@contextlib.contextmanager
def unspoken_weights() -> Iterator[None]:
    """Silences open_clip's warning of random weights where ours are loaded right afterwards."""

    def silent(record: logging.LogRecord) -> bool:
        return 'No pretrained weights loaded' not in record.getMessage()

    root = logging.getLogger()
    root.addFilter(silent)
    try:
        yield
    finally:
        root.removeFilter(silent)
