"""How images become features."""

from __future__ import annotations

from dataclasses import dataclass

from lerf_ros.options import Section, option


@dataclass(frozen=True)
class FeatureOptions(Section):
    """How images become language and dense features."""

    encoder: str = option(
        'tabletop',
        "Language encoder: 'tabletop' (shipped), 'photo' (extra) or an open_clip model name such "
        "as 'ViT-B-16'.",
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
    existence: str = option(
        '',
        "File of the encoder's existence calibration, made by `lerf_ros calibrate`; empty for the "
        'one beside its weights.',
    )
    place: str = option(
        '',
        'Place, as in config/places, for which weights of the shipped encoder were trained and '
        'calibrations beside weights were fitted; empty, or one of which there are none, for '
        'those of tables.',
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
    octave_side_px: int = option(
        640,
        "Longer side of the largest picture that 'tabletop' sees of a keyframe: a larger one "
        'tells small and far things better apart, and costs its square.',
        unit='px',
        low=64,
        high=4096,
    )
    octave_tile_px: int = option(
        61,
        "Largest side that a tile has in the picture in which 'tabletop' sees it; each picture "
        'is half as large as the next.',
        unit='px',
        low=16,
        high=512,
    )
    tiles_per_keyframe: int = option(
        0,
        'Most tiles of a keyframe that are encoded: the finest level is thinned first, where the '
        'picture is flat; 0 for all.',
        low=0,
        high=1_000_000,
    )
    precision: str = option(
        'auto',
        "Precision of the image tower of 'tabletop' and 'photo': 'auto' (bfloat16 where the "
        "processor multiplies it in hardware), 'float32' or 'bfloat16'.",
        choices=('auto', 'float32', 'bfloat16'),
    )
    cache_dir: str = option('', 'Folder of the feature cache; empty for no cache.')
    cache_limit_mb: int = option(
        2048, 'Size bound of the feature cache.', unit='MB', low=1, high=1_000_000
    )

    def check_together(self) -> None:
        """Raises a ValueError where the smallest tile is larger than the largest."""
        self.require_order('tile_share_min', 'tile_share_max')
