"""How a map of many rooms is cut into submaps."""

from __future__ import annotations

from dataclasses import dataclass

from lerf_ros.options import Section, option


@dataclass(frozen=True)
class AtlasOptions(Section):
    """How space is cut into submaps, and which of them are awake."""

    submap_side_m: float = option(
        0.0,
        'Side of the cubes of space that are submaps of their own; 0 keeps one map for all.',
        unit='m',
        low=0.0,
        high=100.0,
    )
    overlap_m: float = option(
        0.4, 'How far a submap reaches into its neighbours.', unit='m', low=0.0, high=10.0
    )
    least_share: float = option(
        0.2,
        'Share of what a keyframe sees that lies in a cube and makes it a submap, or goes to it.',
        low=0.01,
        high=1.0,
    )
    awake_submaps: int = option(
        3, 'Submaps that learn at a time; the others sleep in files.', low=1, high=1000
    )
    current_share: float = option(
        0.7,
        'Share of the training steps for the submap that the newest keyframe looks into.',
        low=0.0,
        high=1.0,
    )
    folder: str = option('', 'Folder of the sleeping submaps; empty for a temporary one.')
    sleeping_keyframes: int = option(
        8, 'Keyframes in the file of a submap that sleeps or is saved.', low=0, high=100_000
    )
    rehearsed_keyframes: int = option(
        64,
        'Keyframes of a sleeping submap that lie beside its file, to go on learning with when it '
        'wakes; each about half a MB of disk with the small encoder.',
        low=0,
        high=100_000,
    )
    read_submaps: int = option(
        4, 'Sleeping submaps whose weights stay in memory for questions.', low=1, high=1000
    )
    unpacked_submaps: int = option(
        64,
        'Sleeping submaps that lie unpacked on disk, once they leave memory or fall asleep while '
        'people ask (0: none), each 20 to 40 MB.',
        low=0,
        high=10_000,
    )
    index_cell_m: float = option(
        0.12, 'Side of the cells of the coarse index.', unit='m', low=0.02, high=10.0
    )
    index_points: int = option(3, 'Surface points that stand for a cell.', low=1, high=64)
    patches: int = option(
        6, 'Most pieces of the surface that a question reads exactly.', low=1, high=64
    )
    patch_m: float = option(0.8, 'Side of these pieces.', unit='m', low=0.2, high=100.0)
    move_threshold_m: float = option(
        0.03,
        'A keyframe moves within its submap where a pose correction differs by more.',
        unit='m',
        low=0.0,
        high=10.0,
    )
    turn_threshold_deg: float = option(
        1.0,
        'The same for its turn.',
        unit='deg',
        low=0.0,
        high=180.0,
    )
