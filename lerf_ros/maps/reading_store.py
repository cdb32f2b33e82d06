"""Readings of sleeping submaps on disk, as they lie in memory.

The file of a sleeping submap is small, and unpacking it takes a tenth of a second. On a floor of
many submaps every question would unpack a few; what has left memory is read back instead.
"""

from __future__ import annotations

import logging
import shutil
import tempfile
import weakref
from collections import OrderedDict
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from lerf_ros.config import LerfConfig
from lerf_ros.field.readable import ReadableField
from lerf_ros.field.scene_box import SceneBox
from lerf_ros.maps.extraction import Extraction
from lerf_ros.maps.reading import Reading, load_reading
from lerf_ros.surface.points import SurfacePoints

logger = logging.getLogger(__name__)

_FIELD, _POINTS = 'field/', 'points/'
_COLUMNS = tuple(field.name for field in fields(SurfacePoints) if field.name != 'voxel_m')


@dataclass(frozen=True)
class _Kept:
    """Where a reading lies, and what its file does not say."""

    path: Path
    scene_box: SceneBox
    voxel_m: float
    step: int
    stamp_ns: int


class ReadingStore:
    """Loads readings of sleeping submaps, and keeps those that leave memory unpacked on disk.

    The folder goes with the store, or at exit. Where it cannot be written, every reading is
    unpacked from its submap's file.

    Args:
        config: All options.
        extraction: Holds the encoder.
    """

    def __init__(self, config: LerfConfig, extraction: Extraction) -> None:
        self._options, self._extraction = config.atlas, extraction
        self._kept: OrderedDict[int, _Kept] = OrderedDict()
        self._folder: Path | None = None

    def load(self, name: int, file: Path, config: LerfConfig) -> Reading:
        """Returns the reading of a submap that sleeps.

        Args:
            name: The submap's.
            file: Where it sleeps.
            config: Its options.

        Raises:
            ValueError: The file is no map, is damaged, or of other sizes.
            OSError: The file cannot be read.
        """
        kept = self._kept.get(name)
        if kept is not None:
            self._kept.move_to_end(name)
            try:
                return self._read(kept, config)
            except (OSError, SafetensorError) as error:
                logger.warning('submap %d is unpacked anew: %s', name, error)
                self.forget(name)
        return load_reading(file, config, self._extraction)

    def keep(self, name: int, reading: Reading) -> None:
        """Takes a reading that leaves memory, unless it lies here already."""
        if name in self._kept or not self._options.unpacked_submaps:
            return
        weights = {_FIELD + key: value for key, value in reading.field.state_dict().items()}
        columns = {
            _POINTS + key: torch.from_numpy(np.ascontiguousarray(getattr(reading.points, key)))
            for key in _COLUMNS
        }
        path = None
        try:
            if self._folder is None:
                self._folder = self._make_folder()
            path = self._folder / f'{name}.safetensors'
            save_file(weights | columns, path)
        except (OSError, SafetensorError) as error:
            logger.warning('submap %d is not kept unpacked for questions: %s', name, error)
            if path is not None:
                path.unlink(missing_ok=True)
            return
        box, voxel_m = reading.field.scene_box, reading.points.voxel_m
        self._kept[name] = _Kept(path, box, voxel_m, reading.step, reading.stamp_ns)
        while len(self._kept) > self._options.unpacked_submaps:
            self._kept.popitem(last=False)[1].path.unlink(missing_ok=True)

    def forget(self, name: int) -> None:
        """Drops the reading of a submap whose file changes."""
        kept = self._kept.pop(name, None)
        if kept is not None:
            kept.path.unlink(missing_ok=True)

    def _read(self, kept: _Kept, config: LerfConfig) -> Reading:
        tensors = load_file(kept.path)
        field = ReadableField.of(
            config.field,
            kept.scene_box,
            self._extraction.encoder.embedding_size,
            self._extraction.dense_size,
            self._extraction.device,
        )
        field.load_state_dict(
            {
                name.removeprefix(_FIELD): value
                for name, value in tensors.items()
                if name.startswith(_FIELD)
            },
        )
        columns = {name: tensors[_POINTS + name].numpy() for name in _COLUMNS}
        points = SurfacePoints(**columns, voxel_m=kept.voxel_m)
        return Reading(field, points, kept.step, kept.stamp_ns)

    def _make_folder(self) -> Path:
        parent = Path(self._options.folder).expanduser() if self._options.folder else None
        if parent is not None:
            parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix='lerf_readings_', dir=parent))
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        return folder
