"""What the radiance field and the language field are made of."""

from __future__ import annotations

from dataclasses import dataclass

from lerf_ros.options import Section, option


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
    language_width: int = option(256, 'Width of the language head.', low=8, high=1024)
    language_depth: int = option(1, 'Hidden layers of the language head.', low=1, high=8)
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

    def check_together(self) -> None:
        """Raises a ValueError where a grid's coarsest level is finer than its finest."""
        self.require_order('min_resolution', 'max_resolution')
        self.require_order('min_resolution', 'proposal_max_resolution')
        self.require_order('language_min_resolution', 'language_max_resolution')
        if self.language_split_resolution:
            self.require_order(
                'language_min_resolution', 'language_split_resolution', strictly=True
            )
            self.require_order(
                'language_split_resolution', 'language_max_resolution', strictly=True
            )
