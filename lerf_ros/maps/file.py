"""A map on disk: one safetensors file, with JSON in its header. Nothing in it executes on load.

The file holds the field's weights, the optimiser's moments and the keyframes on the device with
their features, so that training goes on as if nothing had been between, and what the caller adds.
It is written aside, synced and renamed: a full disk or a lost process leaves the old file.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from lerf_ros.config import FieldOptions
from lerf_ros.features.encoder import LanguageEncoder
from lerf_ros.field.scene_box import SceneBox
from lerf_ros.frames import KeyframeId
from lerf_ros.keyframes.store import KeyframeState
from lerf_ros.maps.compact import compacted, restored
from lerf_ros.training.trainer import Trainer

FORMAT = 'lerf_ros map'
VERSION = 3
# Options of the field that change none of its weights. The box comes from the map; the backends
# share one layout; the others say how rays are sampled and decoded.
FREE_OPTIONS = frozenset(
    {
        'backend',
        'centre_x_m',
        'centre_y_m',
        'centre_z_m',
        'half_extent_m',
        'language_basis_residual',
        'language_samples',
        'language_decode',
        'colour_decode',
        'near_m',
        'coarse_samples',
        'guided_samples',
        'depth_noise_share',
        'proposal_samples',
    }
)


def save_map(
    path: Path | str,
    trainer: Trainer,
    extra: Mapping[str, Mapping[str, Tensor]],
    metadata: Mapping[str, Any],
    keep_keyframes: int | None = None,
) -> None:
    """Writes a map, or leaves the file that was there as it was.

    Args:
        path: The file.
        trainer: Holds the weights.
        extra: Further tensors, by group and name.
        metadata: Whatever JSON can hold.
        keep_keyframes: Most keyframes of a compact file, see `maps.compact`; None writes all that
            is on the device, exactly.

    Raises:
        ValueError: There is no field yet.
        OSError: The file cannot be written, for instance because the disk is full.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(f'{path}: there is no folder {path.parent}; make it first')
    keyframes, arrays = trainer.store.state(keep_keyframes)
    groups = {'trainer': trainer.state_dict(), 'keyframes': arrays, **extra}
    tensors = {
        f'{group}/{name}': value.detach().cpu().contiguous()
        for group, values in groups.items()
        for name, value in values.items()
    }
    notes: dict[str, Any] = {}
    if keep_keyframes is not None:
        pictures = {
            f'keyframes/{KeyframeId(**each["id"])}': (
                int(each['camera']['height']),
                int(each['camera']['width']),
            )
            for each in keyframes
        }
        tensors, notes = compacted(tensors, pictures)
    header = {
        'compact': json.dumps(notes),
        'format': FORMAT,
        'version': str(VERSION),
        'options': json.dumps(asdict(trainer.config.field)),
        'keyframes': json.dumps(keyframes),
        'metadata': json.dumps(dict(metadata)),
    }
    descriptor, aside = tempfile.mkstemp(dir=path.parent, prefix=f'.{path.name}.')
    os.close(descriptor)
    try:
        try:
            save_file(tensors, aside, header)
        except SafetensorError as error:
            # The writer wraps the system's error; a full disk shall look like one.
            raise OSError(f'{path}: the map cannot be written: {error}') from error
        with open(aside, 'rb') as file:
            os.fsync(file.fileno())
        os.chmod(aside, 0o644)
        os.replace(aside, path)
    except BaseException:
        Path(aside).unlink(missing_ok=True)
        raise


def load_map(
    path: Path | str, trainer: Trainer, held: KeyframeState | None = None
) -> tuple[dict[str, dict[str, Tensor]], dict[str, Any]]:
    """Reads a map into a fresh trainer, which is of no use after an error.

    Args:
        path: The file.
        trainer: The trainer.
        held: Keyframes in the place of those in the file; None for these.

    Returns:
        The further tensors by group and name, and the metadata.

    Raises:
        ValueError: The file is no map, is damaged, or is of a field of other sizes.
        OSError: The file cannot be read.
    """
    path = Path(path)
    groups, header = _read_groups(path, but='' if held is None else _KEYFRAMES)
    try:
        options, keyframes, metadata = (
            json.loads(header[name]) for name in ('options', 'keyframes', 'metadata')
        )
    except (KeyError, json.JSONDecodeError) as error:
        raise ValueError(f'{path}: the file is damaged or no map: {error}') from error
    _check_sizes(path, options, asdict(trainer.config.field))
    try:
        trainer.load_state_dict(groups.pop('trainer'))
        trainer.store.load_state(*(held or (keyframes, groups.pop('keyframes', {}))))
    except (KeyError, ValueError) as error:
        raise ValueError(f'{path}: the map does not fit: {error}') from error
    return groups, metadata


# What the names of keyframes begin with.
_KEYFRAMES = 'keyframes/'
# What the names of tensors that a question needs begin with.
_ASKED = (
    'surface/',
    'trainer/field.language.',
    'trainer/scene_box',
    'trainer/step_count',
)


@dataclass(frozen=True, eq=False)
class SavedWeights:
    """What of a map file a question needs.

    Attributes:
        weights: Those of the field's language, by name.
        scene_box: Its box.
        step: Its training step.
        surface: State of the surface.
        metadata: What the map's owner wrote.
    """

    weights: dict[str, Tensor]
    scene_box: SceneBox
    step: int
    surface: dict[str, Tensor]
    metadata: dict[str, Any]


def load_weights(path: Path | str, options: FieldOptions) -> SavedWeights:
    """Reads language and surface of a map; its keyframes, density and colour stay in the file.

    Raises:
        ValueError: The file is no map, is damaged, or is of a field of other sizes.
        OSError: The file cannot be read.
    """
    path = Path(path)
    groups, header = _read_groups(path, _ASKED)
    try:
        _check_sizes(path, json.loads(header['options']), asdict(options))
        trained = groups['trainer']
        weights = {
            name.removeprefix('field.'): value
            for name, value in trained.items()
            if name.startswith('field.')
        }
        x, y, z, half = trained['scene_box'].tolist()
        return SavedWeights(
            weights,
            SceneBox((x, y, z), half),
            int(trained['step_count']),
            groups['surface'],
            json.loads(header['metadata']),
        )
    except (KeyError, json.JSONDecodeError) as error:
        raise ValueError(f'{path}: the file is damaged or no map: {error}') from error


def require_fit(
    path: Path | str, metadata: Mapping[str, Any], encoder: LanguageEncoder, world_frame: str
) -> None:
    """Refuses a map that was made with another encoder or lives in another world frame.

    Raises:
        ValueError: It was, or does.
    """
    if metadata.get('encoder_fingerprint') != encoder.fingerprint:
        raise ValueError(
            f'{path}: the map was made with the encoder {metadata.get("encoder")!r}, '
            f'this node runs {encoder.name!r}; set features.encoder to match'
        )
    if metadata.get('world_frame') != world_frame:
        raise ValueError(
            f'{path}: the map lives in the frame {metadata.get("world_frame")!r}, this node '
            f'maps in {world_frame!r}; set node.world_frame to match'
        )


def _read_groups(
    path: Path, wanted: tuple[str, ...] = (), but: str = ''
) -> tuple[dict[str, dict[str, Tensor]], dict[str, str]]:
    """Returns the tensors of a map file, and its header.

    Args:
        path: The file.
        wanted: What the names of those to be read begin with; all if empty.
        but: What the names of those to be left out begin with; none if empty.
    """
    if not path.is_file():
        raise FileNotFoundError(f'{path}: there is no such file')
    groups: dict[str, dict[str, Tensor]] = {}
    try:
        with safe_open(path, framework='pt') as file:
            header = file.metadata() or {}
            if header.get('format') != FORMAT:
                raise ValueError(f'{path}: this is no map of lerf_ros')
            if header.get('version') != str(VERSION):
                raise ValueError(
                    f'{path}: the map has version {header.get("version")}, '
                    f'this program reads version {VERSION}'
                )
            names = [
                key
                for key in file.keys()  # noqa: SIM118  it is no dict
                if (not wanted or key.startswith(wanted)) and not (but and key.startswith(but))
            ]
            notes = json.loads(header.get('compact', '{}'))
            tensors = restored({name: file.get_tensor(name) for name in names}, notes)
            for key, value in tensors.items():
                group, name = key.split('/', 1)
                groups.setdefault(group, {})[name] = value
    except (SafetensorError, KeyError, json.JSONDecodeError) as error:
        raise ValueError(f'{path}: the file is damaged or no map: {error}') from error
    return groups, header


def _check_sizes(path: Path, options: dict[str, Any], here: dict[str, Any]) -> None:
    """Refuses a map whose field has other sizes, naming the first option that differs."""
    for name, value in options.items():
        if name not in FREE_OPTIONS and name in here and here[name] != value:
            raise ValueError(
                f'{path}: the map was made with field.{name} = {value}, here it is {here[name]}'
            )
