"""How the map answers."""

from __future__ import annotations

from dataclasses import dataclass

from lerf_ros.options import Section, option


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
        6,
        'Keyframes that must have seen a place for it to be a maximum; fewer in a young map.',
        low=1,
        high=1000,
    )
    max_range_m: float = option(
        1.5, 'Depth beyond this gives no surface points.', unit='m', low=0.1, high=1000.0
    )
    thin_beyond_m: float = option(
        0.0,
        'Depth beyond which the surface is kept on a grid twice as coarse; 0 never.',
        unit='m',
        low=0.0,
        high=1000.0,
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

    def check_together(self) -> None:
        """Raises a ValueError where a range is empty."""
        self.require_order('min_scale_m', 'max_scale_m', strictly=True)
        for axis in 'xyz':
            self.require_order(f'region_min_{axis}_m', f'region_max_{axis}_m', strictly=True)
