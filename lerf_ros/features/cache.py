"""Features kept on disk, keyed by what they were made from.

One file holds one tensor. A file is written aside and moved into place, so a reader sees all of
it or nothing; a file that cannot be read counts as absent. Deleting any file, or the folder, at
any time costs no more than making the features again.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import tempfile
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

_LOGGER = logging.getLogger(__name__)
_SUFFIX = '.safetensors'
# Room made at once when the bound is reached, so that not every write has to look for files.
_KEPT_SHARE = 0.8


def image_digest(image: np.ndarray) -> str:
    """Returns a digest of an image's shape and pixels."""
    digest = hashlib.sha256(repr((image.shape, image.dtype.str)).encode())
    digest.update(np.ascontiguousarray(image).data)
    return digest.hexdigest()


class FeatureCache:
    """A bounded folder of tensors; any number of processes may share it.

    Args:
        folder: Where the files lie; made when missing.
        limit_mb: Bound on their total size; the files unused for longest go first.
    """

    def __init__(self, folder: Path | str, limit_mb: int) -> None:
        self._folder = Path(folder).expanduser()
        self._limit_bytes = limit_mb * 1_000_000
        self._folder.mkdir(parents=True, exist_ok=True)
        self._bytes = self._trim()

    @staticmethod
    def key(image: str, encoder_fingerprint: str, tiling: str) -> str:
        """Returns the key of the features of one image, encoder and tiling."""
        parts = '\n'.join((image, encoder_fingerprint, tiling))
        return hashlib.sha256(parts.encode()).hexdigest()

    def get(self, key: str) -> Tensor | None:
        """Returns the tensor stored under a key, or None."""
        path = self._path(key)
        try:
            tensor = load_file(path)['features']
            os.utime(path)
        except FileNotFoundError:
            return None
        except (OSError, SafetensorError, KeyError) as error:
            _LOGGER.warning('feature cache: dropped the unreadable %s (%s)', path.name, error)
            with contextlib.suppress(OSError):
                path.unlink()
            return None
        return tensor

    def put(self, key: str, features: Tensor) -> None:
        """Stores a tensor; a full or read-only disk costs a warning, never the features."""
        temporary = None
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=self._folder, suffix='.part')
            os.close(handle)
            save_file({'features': features.detach().cpu().contiguous()}, temporary)
            size = os.path.getsize(temporary)
            os.replace(temporary, self._path(key))
        except (OSError, SafetensorError) as error:
            _LOGGER.warning('feature cache: could not store features (%s)', error)
            if temporary is not None:
                with contextlib.suppress(OSError):
                    os.unlink(temporary)
            return
        self._bytes += size
        if self._bytes > self._limit_bytes:
            self._bytes = self._trim()

    def _path(self, key: str) -> Path:
        return self._folder / f'{key}{_SUFFIX}'

    def _trim(self) -> int:
        """Deletes the files unused for longest until the bound holds; returns what is left."""
        files = []
        for path in self._folder.glob(f'*{_SUFFIX}'):
            with contextlib.suppress(OSError):  # another process may have deleted it
                status = path.stat()
                files.append((status.st_mtime_ns, status.st_size, path))
        total = sum(size for _, size, _ in files)
        if total <= self._limit_bytes:
            return total
        for _, size, path in sorted(files):
            if total <= self._limit_bytes * _KEPT_SHARE:
                break
            with contextlib.suppress(OSError):
                path.unlink()
            total -= size
        return total
