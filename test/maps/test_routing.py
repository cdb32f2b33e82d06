"""Tests of lerf_ros.maps.routing: what lies at the edge of a submap is seen from its neighbour."""

from __future__ import annotations

import numpy as np
import pytest
from colour_encoder import ColourEncoder

from lerf_ros.config import LerfConfig
from lerf_ros.frames import PosedFrame
from lerf_ros.geometry import PinholeCamera
from lerf_ros.maps.atlas import Atlas
from lerf_ros.maps.routing import route

CAMERA = PinholeCamera(60.0, 60.0, 40.0, 30.0, 80, 60)
CONFIG = LerfConfig.from_flat(
    {
        'field.table_log2': 10,
        'field.language_table_log2': 8,
        'features.pyramid_levels': 3,
        'query.voxel_m': 0.05,
        'query.max_range_m': 3.0,
        'atlas.submap_side_m': 4.0,
        'atlas.overlap_m': 0.5,
        'atlas.least_share': 0.25,
        'atlas.awake_submaps': 2,
    }
)


def looking_down(x_m: float, index: int) -> PosedFrame:
    """A picture of 1.3 by 1 m of a floor."""
    pose = np.eye(4)
    pose[:3, :3] = np.diag([1.0, -1.0, -1.0])
    pose[:3, 3] = x_m, 0.0, 1.0
    image = np.full((60, 80, 3), 128, np.uint8)
    return PosedFrame(image, np.ones((60, 80), np.float32), CAMERA, pose, index * 10**9)


@pytest.fixture
def atlas():
    atlas = Atlas(CONFIG, ColourEncoder())
    yield atlas
    atlas.close()


def keyframes_of(atlas: Atlas) -> list[int]:
    return [node.keyframe_count for node in atlas.nodes]


def test_a_submap_begins_where_much_is_seen_and_learns_from_all_that_looks_into_it(atlas):
    # The first cube reaches to x = 2 m, its box to 2.5 m; the view to 0.67 m left and right.
    for index, x_m in enumerate((0.0, 1.0)):
        atlas.ingest(looking_down(x_m, index))
    assert keyframes_of(atlas) == [2]
    # A tenth of this view is in the next cube: too little to begin with.
    atlas.ingest(looking_down(1.45, 2))
    assert keyframes_of(atlas) == [3]
    # Most of this one is; what is in the box of the first goes there as well.
    atlas.ingest(looking_down(2.6, 3))
    assert keyframes_of(atlas) == [4, 1]
    # And a view from the first one is seen by the second, which begins at x = 1.5 m in its box.
    atlas.ingest(looking_down(1.3, 4))
    assert keyframes_of(atlas) == [5, 2]
    atlas.ingest(looking_down(0.5, 5))
    assert keyframes_of(atlas) == [6, 2]


def test_the_submap_that_most_of_the_view_is_in_is_the_current_one(atlas):
    for index, x_m in enumerate((0.0, 2.6)):
        atlas.ingest(looking_down(x_m, index))
    first, second = (node.submap for node in atlas.nodes)
    assert atlas.current is second
    atlas.ingest(looking_down(1.3, 2))
    assert atlas.current is first


def test_a_submap_that_sleeps_is_woken_for_much_only(atlas):
    for index, x_m in enumerate((0.0, 2.6, 6.6)):
        atlas.ingest(looking_down(x_m, index))
    first, second, _ = atlas.nodes
    assert first.asleep
    inside = atlas.own_frame.keyframe(atlas.ingest(looking_down(2.6, 3))).frame
    assert first.asleep
    assert route(inside, atlas.nodes, CONFIG) == [second]
    atlas.ingest(looking_down(0.5, 4))
    assert not first.asleep
