"""All options together: by group, by flat name, from a parameter file."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lerf_ros.config.atlas import AtlasOptions
from lerf_ros.config.features import FeatureOptions
from lerf_ros.config.field import FieldOptions
from lerf_ros.config.keyframes import KeyframeOptions
from lerf_ros.config.node import NodeOptions
from lerf_ros.config.query import QueryOptions
from lerf_ros.config.training import TrainingOptions
from lerf_ros.config.viewer import ViewerOptions
from lerf_ros.options import OptionInfo, section_options


@dataclass(frozen=True)
class LerfConfig:
    """All options, by group."""

    keyframes: KeyframeOptions = KeyframeOptions()
    features: FeatureOptions = FeatureOptions()
    field: FieldOptions = FieldOptions()
    training: TrainingOptions = TrainingOptions()
    query: QueryOptions = QueryOptions()
    atlas: AtlasOptions = AtlasOptions()
    node: NodeOptions = NodeOptions()
    viewer: ViewerOptions = ViewerOptions()

    @classmethod
    def from_flat(cls, values: Mapping[str, Any]) -> LerfConfig:
        """Returns the defaults with the options named ``'group.option'`` replaced.

        Raises:
            ValueError: An option is unknown, of the wrong type or out of range.
        """
        return cls().replace(values)

    def replace(self, values: Mapping[str, Any]) -> LerfConfig:
        """Returns a copy with the options named ``'group.option'`` replaced.

        Raises:
            ValueError: An option is unknown, of the wrong type or out of range, or two contradict
                each other.
        """
        known = dict(flat_options())
        groups: dict[str, dict[str, Any]] = {}
        for name, value in values.items():
            if name not in known:
                raise ValueError(f'unknown option {name!r}; see `lerf_ros options`')
            group, key = name.split('.', 1)
            groups.setdefault(group, {})[key] = value
        sections = {}
        for group, changes in groups.items():
            try:
                sections[group] = dataclasses.replace(getattr(self, group), **changes)
            except ValueError as error:
                raise ValueError(f'{group}.{error}') from error
        return dataclasses.replace(self, **sections)

    def flat(self) -> dict[str, Any]:
        """Returns every option as ``{'group.option': value}``."""
        return {
            name: getattr(getattr(self, name.split('.')[0]), name.split('.')[1])
            for name, _ in flat_options()
        }


def flat_options() -> Iterator[tuple[str, OptionInfo]]:
    """Yields every option as ``('group.option', info)``, in the order of this module."""
    for group in dataclasses.fields(LerfConfig):
        for info in section_options(type(group.default)):
            yield f'{group.name}.{info.name}', info


def load_yaml(path: Path | str, base: LerfConfig | None = None) -> LerfConfig:
    """Reads a ROS parameter file (``/**: ros__parameters:``) on top of other options.

    Args:
        path: The file.
        base: What it changes; the defaults if None.

    Raises:
        ValueError: The file cannot be read, is no parameter file, or names a wrong option.
    """
    try:
        content = yaml.safe_load(Path(path).read_text(encoding='utf-8'))
        parameters = content['/**']['ros__parameters'] or {}
    except (OSError, yaml.YAMLError, KeyError, TypeError) as error:
        raise ValueError(f'{path}: expected a ROS parameter file, got {error!r}') from error
    # A parameter file may also hold parameters that are not ours, such as use_sim_time.
    groups = {group.name for group in dataclasses.fields(LerfConfig)}
    return (base or LerfConfig()).replace(
        {
            f'{group}.{name}': value
            for group, options in parameters.items()
            if group in groups
            for name, value in options.items()
        }
    )
