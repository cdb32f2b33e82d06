"""Every option of the package, in one place.

Each option is a dataclass field with a default, a sentence, a unit and a range. ROS parameters,
``config/*.yaml``, the command line's help and the README's table all derive from what stands here.
The defaults are those of the ``tabletop`` variant: two CPU cores and an RGB-D camera. The YAML
files in ``config/`` hold only what other variants change.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lerf_ros.options import OptionInfo, Section, option, section_options


@dataclass(frozen=True)
class KeyframeOptions(Section):
    """Which frames of the stream become keyframes."""

    min_translation_m: float = option(
        0.04, 'Camera motion that makes a new keyframe.', unit='m', low=0.0, high=10.0, live=True
    )
    min_rotation_deg: float = option(
        5.0, 'Camera turn that makes a new keyframe.', unit='deg', low=0.0, high=180.0, live=True
    )
    min_interval_s: float = option(
        0.1, 'Least time between two keyframes.', unit='s', low=0.0, high=60.0, live=True
    )
    max_interval_s: float = option(
        0.0,
        'A camera at rest gives a keyframe this often; 0 never.',
        unit='s',
        low=0.0,
        high=3600.0,
        live=True,
    )
    max_width: int = option(
        640, 'Wider images are shrunk to this width.', unit='px', low=32, high=8192
    )
    jpeg_quality: int = option(92, 'JPEG quality of keyframe images.', low=10, high=100, live=True)
    max_depth_m: float = option(
        10.0, 'Depth beyond this counts as unknown.', unit='m', low=0.1, high=1000.0, live=True
    )


@dataclass(frozen=True)
class FeatureOptions(Section):
    """How images become language and dense features."""

    encoder: str = option(
        'tabletop',
        "Language encoder: 'tabletop' (shipped) or an open_clip model name such as 'ViT-B-16'.",
    )
    pretrained: str = option(
        '', 'Weights of the encoder: an open_clip tag or a local file; empty for the default.'
    )
    weights_dir: str = option(
        '~/.cache/lerf_ros/weights',
        'Folder of published weights, as <model>/<tag>.safetensors.',
    )
    allow_download: bool = option(
        False, 'Whether missing published weights may be fetched from their hub.'
    )
    dense: str = option(
        'none',
        "Dense features: 'none', 'encoder' (the encoder's own patches) or a timm model name.",
    )
    dense_pretrained: str = option('', 'Local weights file of the dense model; empty for its tag.')
    pyramid_levels: int = option(7, 'Tile sizes of the language pyramid.', low=1, high=16)
    tile_share_min: float = option(
        0.05, 'Smallest tile as a share of the image height.', low=0.01, high=1.0
    )
    tile_share_max: float = option(
        0.5, 'Largest tile as a share of the image height.', low=0.01, high=1.0
    )
    cache_dir: str = option('', 'Folder of the feature cache; empty for no cache.')
    cache_limit_mb: int = option(
        2048, 'Size bound of the feature cache.', unit='MB', low=1, high=1_000_000
    )


@dataclass(frozen=True)
class FieldOptions(Section):
    """The radiance field and the language field."""

    backend: str = option(
        'auto',
        'Hash grid implementation; auto takes the fastest that works here.',
        choices=('auto', 'torch', 'native', 'tinycudann', 'triton'),
    )
    centre_x_m: float = option(0.0, 'Scene box centre, x in the world frame.', unit='m')
    centre_y_m: float = option(0.0, 'Scene box centre, y in the world frame.', unit='m')
    centre_z_m: float = option(0.0, 'Scene box centre, z in the world frame.', unit='m')
    half_extent_m: float = option(
        0.0,
        'Half the side of the scene box; 0 derives the box from the first keyframes.',
        unit='m',
        low=0.0,
        high=1000.0,
    )
    levels: int = option(12, 'Levels of the colour and density hash grid.', low=1, high=32)
    min_resolution: int = option(16, 'Coarsest resolution of that grid.', low=2, high=4096)
    max_resolution: int = option(512, 'Finest resolution of that grid.', low=2, high=65536)
    table_log2: int = option(17, 'Entries a level of that grid, as a power of 2.', low=8, high=24)
    features_per_level: int = option(2, 'Features an entry of that grid.', low=1, high=8)
    language_levels: int = option(6, 'Levels of the language hash grid.', low=1, high=32)
    language_min_resolution: int = option(
        16, 'Coarsest resolution of the language grid.', low=2, high=4096
    )
    language_max_resolution: int = option(
        256, 'Finest resolution of the language grid.', low=2, high=65536
    )
    language_table_log2: int = option(
        15, 'Entries a level of the language grid, as a power of 2.', low=8, high=24
    )
    language_features_per_level: int = option(
        8, 'Features an entry of the language grid.', low=1, high=8
    )
    language_split_resolution: int = option(
        0,
        'Where the range of resolutions is split into two language grids; 0 keeps one grid.',
        low=0,
        high=65536,
    )
    language_width: int = option(128, 'Width of the language head.', low=8, high=1024)
    language_depth: int = option(2, 'Hidden layers of the language head.', low=1, high=8)
    language_basis: int = option(
        0,
        'Most directions of a basis in which embeddings are learnt; 0 learns all dimensions.',
        low=0,
        high=1024,
    )
    language_basis_residual: float = option(
        0.2,
        'Part of a unit embedding that may lie outside that basis; bounds the change of cosines.',
        low=0.001,
        high=1.0,
    )
    language_samples: int = option(
        6, 'Samples a ray that carry language: those with the largest weights.', low=1, high=1024
    )
    language_decode: str = option(
        'ray',
        "Language head on the features rendered along a 'ray', or on each 'sample' as in LERF.",
        choices=('ray', 'sample'),
    )
    geometry_width: int = option(64, 'Width of the density network.', low=8, high=1024)
    geometry_features: int = option(15, 'Features from density to colour.', low=1, high=256)
    colour_width: int = option(64, 'Width of the colour network.', low=8, high=1024)
    colour_decode: str = option(
        'ray',
        "Colour network on the features rendered along a 'ray', or on each 'sample'.",
        choices=('ray', 'sample'),
    )
    appearance_size: int = option(
        0, 'Numbers learnt for the exposure of each keyframe; 0 for none.', low=0, high=64
    )
    near_m: float = option(
        0.1, 'Depth before which nothing is seen.', unit='m', low=0.001, high=100.0
    )
    coarse_samples: int = option(
        12, 'Samples of a ray outside the neighbourhood of its measured depth.', low=2, high=1024
    )
    guided_samples: int = option(
        6, 'Samples of a ray around its measured depth.', low=2, high=1024
    )
    depth_noise_share: float = option(
        0.01, 'Standard deviation of measured depth, as a share of it.', low=0.0001, high=0.5
    )
    proposal_samples: int = option(
        48, 'Looks of the proposal along a ray without depth.', low=4, high=1024
    )
    proposal_levels: int = option(5, 'Levels of the hash grid of the proposal.', low=1, high=32)
    proposal_max_resolution: int = option(
        128, 'Finest resolution of the hash grid of the proposal.', low=2, high=65536
    )
    proposal_table_log2: int = option(
        15, 'Entries a level of that grid, as a power of 2.', low=8, high=24
    )


@dataclass(frozen=True)
class TrainingOptions(Section):
    """How the field learns from keyframes."""

    device: str = option('auto', "Device that trains and answers: 'auto', 'cpu', 'cuda', ...")
    seed: int = option(0, 'Seed of every random choice.', low=0)
    precision: str = option(
        'auto',
        'Numbers inside the networks; auto takes float16 on CUDA and float32 on a CPU.',
        choices=('auto', 'float32', 'float16', 'bfloat16'),
    )
    rays_per_step: int = option(1024, 'Rays of one training step.', low=1, high=1_000_000)
    language_rays_per_step: int = option(
        256, 'Rays of a step that also carry language.', low=0, high=1_000_000
    )
    learning_rate: float = option(
        0.03, 'First learning rate of the hash grids.', low=1e-6, high=1.0
    )
    network_learning_rate: float = option(
        0.005, 'First learning rate of the networks.', low=1e-6, high=1.0
    )
    pose_learning_rate: float = option(
        0.0,
        "Learning rate of corrections to the keyframes' poses; 0 leaves poses as they came.",
        low=0.0,
        high=0.1,
    )
    learning_rate_half_steps: int = option(
        2000, 'Steps in which the learning rates halve.', low=1, high=10_000_000
    )
    learning_rate_floor: float = option(
        0.1, 'Share of the learning rates that stays for good.', low=0.0, high=1.0
    )
    depth_weight: float = option(0.1, 'Weight of the depth loss.', low=0.0, high=1000.0, live=True)
    free_space_weight: float = option(
        0.1,
        'Weight of the loss on matter before the measured depth.',
        low=0.0,
        high=1000.0,
        live=True,
    )
    language_weight: float = option(
        0.1, 'Weight of the language loss.', low=0.0, high=1000.0, live=True
    )
    dense_weight: float = option(
        0.1, 'Weight of the loss on dense features.', low=0.0, high=1000.0, live=True
    )
    interlevel_weight: float = option(
        1.0, 'Weight of the loss that trains the proposal.', low=0.0, high=1000.0, live=True
    )
    distortion_weight: float = option(
        0.002,
        'Weight of the distortion loss on rays without depth.',
        low=0.0,
        high=1000.0,
        live=True,
    )
    replay_newest_share: float = option(
        0.2, 'Share of the rays from the newest keyframes.', low=0.0, high=1.0, live=True
    )
    replay_uniform_share: float = option(
        0.5,
        'Share of the rays drawn evenly from all keyframes; the rest follows the error.',
        low=0.0,
        high=1.0,
        live=True,
    )
    store_device_mb: int = option(
        512, 'Keyframes and features held on the training device.', unit='MB', low=1, high=10**6
    )
    store_host_mb: int = option(
        1024,
        'Keyframes held in host memory beyond the device; the others go to a file on disk.',
        unit='MB',
        low=0,
        high=10**6,
    )


@dataclass(frozen=True)
class QueryOptions(Section):
    """How the map answers."""

    voxel_m: float = option(
        0.01, 'Grid on which surface points are thinned.', unit='m', low=0.001, high=1.0
    )
    max_points: int = option(
        200_000, 'Bound on the number of surface points.', low=100, high=10_000_000
    )
    min_views: int = option(
        2, 'Keyframes that must have seen a surface point for it to answer.', low=1, high=1000
    )
    min_maximum_views: int = option(
        4, 'Keyframes that must have seen a place for it to be a maximum.', low=1, high=1000
    )
    max_range_m: float = option(
        1.5, 'Depth beyond this gives no surface points.', unit='m', low=0.1, high=1000.0
    )
    region_min_x_m: float = option(
        -1000.0, 'Least x of surface points in the world frame.', unit='m'
    )
    region_min_y_m: float = option(
        -1000.0, 'Least y of surface points in the world frame.', unit='m'
    )
    region_min_z_m: float = option(
        -1000.0, 'Least z of surface points in the world frame.', unit='m'
    )
    region_max_x_m: float = option(
        1000.0, 'Greatest x of surface points in the world frame.', unit='m'
    )
    region_max_y_m: float = option(
        1000.0, 'Greatest y of surface points in the world frame.', unit='m'
    )
    region_max_z_m: float = option(
        1000.0, 'Greatest z of surface points in the world frame.', unit='m'
    )
    scales: int = option(
        16, 'Scales searched between the two bounds, each the same ratio apart.', low=1, high=100
    )
    min_scale_m: float = option(
        0.02, 'Smallest scale searched: the height of a crop.', unit='m', low=0.001, high=10.0
    )
    max_scale_m: float = option(
        0.5, 'Largest scale searched; LERF searches up to 1.5 m.', unit='m', low=0.01, high=10.0
    )
    cache_limit_mb: int = option(
        256, 'Bound on the cached embeddings of surface points.', unit='MB', low=1, high=100_000
    )
    cache_max_age_steps: int = option(
        200, 'Training steps after which a query reads a cached embedding anew.', low=1
    )
    refresh_points: int = option(
        128,
        'Cached embeddings renewed in each training step of a map that has been asked; 0 none.',
        low=0,
        high=1_000_000,
    )
    existence_threshold: float = option(
        0.5, 'Confidence from which a phrase counts as present.', low=0.0, high=1.0, live=True
    )


@dataclass(frozen=True)
class NodeOptions(Section):
    """How the nodes talk."""

    world_frame: str = option('map', 'TF frame in which the map lives.')
    pose_source: str = option(
        'auto',
        "Where camera poses come from: 'tf', the topic 'pose', or auto: TF where it is installed.",
        choices=('auto', 'tf', 'topic'),
    )
    tf_timeout_s: float = option(
        0.5, 'An image waits this long for its pose.', unit='s', low=0.0, high=60.0, live=True
    )
    use_depth: bool = option(True, 'Whether to wait for a depth image beside each image.')
    depth_slop_s: float = option(
        0.03, 'Largest time between an image and its depth.', unit='s', low=0.0, high=1.0
    )
    image_transport: str = option('raw', 'How images come in.', choices=('raw', 'compressed'))
    image_reliability: str = option(
        'best_effort',
        'Reliability asked of the cameras; a reliable subscriber hears no best-effort camera.',
        choices=('best_effort', 'reliable'),
    )
    keyframe_backlog: int = option(
        20, 'Keyframes that may wait for intake; further ones are dropped.', low=1, high=10_000
    )
    query_timeout_s: float = option(
        30.0, 'A query is given up after this long.', unit='s', low=0.1, high=3600.0, live=True
    )
    status_period_s: float = option(
        0.5, 'Time between two status messages.', unit='s', low=0.05, high=60.0
    )
    cloud_period_s: float = option(
        2.0,
        'Time between two surface clouds; none is made while nobody listens.',
        unit='s',
        low=0.1,
        high=3600.0,
    )
    relevancy_image_period_s: float = option(
        1.0,
        'Least time between two heat maps of keyframes; none is made while nobody listens.',
        unit='s',
        low=0.0,
        high=3600.0,
        live=True,
    )
    relevancy_image_colours: str = option(
        'centred',
        'Colours by relevancy: raw, above 0.5 (centred), or that up to the best (normalised).',
        choices=('raw', 'centred', 'normalised'),
        live=True,
    )


@dataclass(frozen=True)
class LerfConfig:
    """All options, by group."""

    keyframes: KeyframeOptions = KeyframeOptions()
    features: FeatureOptions = FeatureOptions()
    field: FieldOptions = FieldOptions()
    training: TrainingOptions = TrainingOptions()
    query: QueryOptions = QueryOptions()
    node: NodeOptions = NodeOptions()

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
            ValueError: An option is unknown, of the wrong type or out of range.
        """
        known = dict(flat_options())
        groups: dict[str, dict[str, Any]] = {}
        for name, value in values.items():
            if name not in known:
                raise ValueError(f'unknown option {name!r}; see `lerf_ros options`')
            group, key = name.split('.', 1)
            groups.setdefault(group, {})[key] = value
        sections = {
            group: dataclasses.replace(getattr(self, group), **changes)
            for group, changes in groups.items()
        }
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


def load_yaml(path: Path | str) -> LerfConfig:
    """Reads a ROS parameter file (``/**: ros__parameters:``) on top of the defaults.

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
    return LerfConfig.from_flat(
        {
            f'{group}.{name}': value
            for group, options in parameters.items()
            if group in groups
            for name, value in options.items()
        }
    )
