"""Readings of sleeping submaps on disk, as they lie in memory.

The file of a sleeping submap is small, and unpacking it takes a tenth of a second. On a floor of
many submaps every question would unpack a few; what has left memory is read back instead, and
what falls asleep while people ask is laid there at once.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from lerf_ros.config import LerfConfig
from lerf_ros.field.scene_box import SceneBox
from lerf_ros.maps.extraction import Extraction
from lerf_ros.maps.reading import Reading, language_of, load_reading
from lerf_ros.maps.release import release_memory
from lerf_ros.surface.points import SurfacePoints

logger = logging.getLogger(__name__)

_ENDING = '.unpacked'
_FIELD, _POINTS = 'field/', 'points/'
_LANGUAGE = 'language.'
_COLUMNS = tuple(field.name for field in fields(SurfacePoints) if field.name != 'voxel_m')


@dataclass(frozen=True)
class _Facts:
    """What the file of a reading does not say."""

    scene_box: SceneBox
    voxel_m: float
    step: int
    stamp_ns: int


class ReadingStore:
    """Loads readings of sleeping submaps, and keeps those that leave memory unpacked on disk.

    They lie beside the files of the submaps, and go with them. What cannot be written is unpacked
    from the submap's file again.

    Args:
        config: All options.
        extraction: Holds the encoder.
    """

    def __init__(self, config: LerfConfig, extraction: Extraction) -> None:
        self._limit, self._extraction = config.atlas.unpacked_submaps, extraction
        self._kept: OrderedDict[Path, _Facts] = OrderedDict()

    def load(self, file: Path, config: LerfConfig) -> Reading:
        """Returns the reading of a submap that sleeps.

        Args:
            file: Where it sleeps.
            config: Its options.

        Raises:
            ValueError: The file is no map, is damaged, or of other sizes.
            OSError: The file cannot be read.
        """
        if file in self._kept:
            self._kept.move_to_end(file)
            try:
                return self._read(file, config)
            except (OSError, SafetensorError) as error:
                logger.warning('%s is unpacked anew: %s', file.name, error)
                self.forget(file)
        reading = load_reading(file, config, self._extraction)
        release_memory()  # what unpacking took is many times what it left
        return reading

    def keep(self, file: Path, reading: Reading) -> None:
        """Takes the reading of a submap that leaves memory, unless it lies here already.

        Of a whole field its language is kept.
        """
        if file in self._kept or not self._limit:
            return
        weights = {
            _FIELD + name: value.contiguous()
            for name, value in reading.field.state_dict().items()
            if name.startswith(_LANGUAGE)
        }
        columns = {
            _POINTS + name: torch.from_numpy(np.ascontiguousarray(getattr(reading.points, name)))
            for name in _COLUMNS
        }
        try:
            save_file(weights | columns, file.with_suffix(_ENDING))
        except (OSError, SafetensorError) as error:
            logger.warning('%s is not kept unpacked for questions: %s', file.name, error)
            _remove(file)
            return
        box, voxel_m = reading.field.scene_box, reading.points.voxel_m
        self._kept[file] = _Facts(box, voxel_m, reading.step, reading.stamp_ns)
        while len(self._kept) > self._limit:
            _remove(self._kept.popitem(last=False)[0])

    def forget(self, file: Path) -> None:
        """Drops the reading of a submap whose file changes."""
        if self._kept.pop(file, None) is not None:
            _remove(file)

    def clear(self) -> None:
        """Drops all readings."""
        for file in list(self._kept):
            self.forget(file)

    def _read(self, file: Path, config: LerfConfig) -> Reading:
        facts, tensors = self._kept[file], load_file(file.with_suffix(_ENDING))
        weights = {
            name.removeprefix(_FIELD): value
            for name, value in tensors.items()
            if name.startswith(_FIELD)
        }
        field = language_of(
            weights,
            facts.scene_box,
            config.field,
            self._extraction,
            as_they_are=self._extraction.device.type == 'cpu',  # where the file was mapped
        )
        columns = {name: tensors[_POINTS + name].numpy() for name in _COLUMNS}
        points = SurfacePoints(**columns, voxel_m=facts.voxel_m)
        return Reading(field, points, facts.step, facts.stamp_ns)


def _remove(file: Path) -> None:
    # Never written over: a reading in use is mapped from it.
    file.with_suffix(_ENDING).unlink(missing_ok=True)
