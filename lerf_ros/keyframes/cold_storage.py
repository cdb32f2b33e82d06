"""Keyframes that do not fit on the device: in host memory, then in files on disk.

Reading ahead happens in one thread, so that the training loop finds its next keyframe in memory.
"""

from __future__ import annotations

import tempfile
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lerf_ros.frames import KeyframeId

Arrays = dict[str, Tensor]


class ColdStorage:
    """Named arrays by keyframe, written once and read often.

    Args:
        host_bytes: Host memory to fill before the disk is used.
    """

    def __init__(self, host_bytes: int) -> None:
        self._host_bytes = host_bytes
        self._held_bytes = 0
        self._host: dict[KeyframeId, Arrays] = {}
        self._files: dict[KeyframeId, dict[str, Path]] = {}
        self._folder: tempfile.TemporaryDirectory | None = None
        self._reader: ThreadPoolExecutor | None = None
        self._ahead: tuple[KeyframeId, Future[Arrays]] | None = None

    def __contains__(self, id_: object) -> bool:
        return id_ in self._host or id_ in self._files

    @property
    def on_disk(self) -> int:
        """Number of keyframes on disk."""
        return len(self._files)

    def put(self, id_: KeyframeId, arrays: Arrays) -> None:
        """Keeps the arrays of a keyframe; a second time is no work, they never change.

        Raises:
            OSError: The disk is full or cannot be written.
        """
        if id_ in self:
            return
        size = sum(values.numel() * values.element_size() for values in arrays.values())
        if self._held_bytes + size <= self._host_bytes:
            self._host[id_] = {name: values.cpu().clone() for name, values in arrays.items()}
            self._held_bytes += size
            return
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix='lerf_ros_keyframes_')
        # Numbered: the name of a source need not be one that a file can have.
        number = len(self._files)
        files = {name: Path(self._folder.name) / f'{number}.{name}.npy' for name in arrays}
        for name, values in arrays.items():
            _write(files[name], values.cpu())
        self._files[id_] = files

    def get(self, id_: KeyframeId) -> Arrays:
        """Returns the arrays of a keyframe."""
        if id_ in self._host:
            return self._host[id_]
        return {name: _read(path) for name, path in self._files[id_].items()}

    def read_ahead(self, id_: KeyframeId) -> None:
        """Starts to read the arrays of a keyframe, unless one is being read."""
        if self._ahead is None:
            if self._reader is None:
                self._reader = ThreadPoolExecutor(1, thread_name_prefix='keyframe-reader')
            self._ahead = id_, self._reader.submit(self.get, id_)

    def take(self, wait: bool = False) -> tuple[KeyframeId, Arrays] | None:
        """Returns what was read ahead, or None where nothing is ready.

        Args:
            wait: Whether to wait for the reader, which makes runs repeatable.
        """
        if self._ahead is None or not (wait or self._ahead[1].done()):
            return None
        id_, future = self._ahead
        self._ahead = None
        return id_, future.result()

    def close(self) -> None:
        """Ends the reader and removes the files."""
        if self._reader is not None:
            self._reader.shutdown(cancel_futures=True)
            self._reader = None
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None


def _write(path: Path, values: Tensor) -> None:
    np.save(path, values.numpy())


def _read(path: Path) -> Tensor:
    return torch.from_numpy(np.load(path))
