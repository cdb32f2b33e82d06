"""The pose graph of RTAB-Map, by messages of its shape."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from lerf_ros.bridge.poses import pose_message
from lerf_ros.bridge.slam_graphs import GraphPoses
from lerf_ros.geometry import look_at


def graph(ids: list[int], new: dict[int, float], shift_m: float = 0.0) -> SimpleNamespace:
    """Returns a `rtabmap_msgs/MapData` with the poses of nodes and stamps of the new ones."""
    poses = [
        pose_message(look_at(np.array([number + shift_m, 1.0, 0.5]), np.zeros(3)))
        for number in ids
    ]
    header = SimpleNamespace(frame_id='map')
    nodes = [SimpleNamespace(id=number, stamp=stamp) for number, stamp in new.items()]
    return SimpleNamespace(
        header=header,
        graph=SimpleNamespace(header=header, poses_id=ids, poses=poses),
        nodes=nodes,
    )


def test_nodes_keep_their_stamps_when_the_graph_is_bent() -> None:
    poses = GraphPoses()
    frame, stamps_ns, matrices = poses.take(graph([1, 2], {1: 10.5, 2: 11.0}))
    assert (frame, stamps_ns) == ('map', [10_500_000_000, 11_000_000_000])
    # A loop closure: all poses, and one node more; node 4 is known by its number alone.
    _, stamps_ns, matrices = poses.take(graph([1, 2, 3, 4], {3: 12.0}, 0.25))
    assert stamps_ns == [10_500_000_000, 11_000_000_000, 12_000_000_000]
    np.testing.assert_allclose(matrices[:, 0, 3], [1.25, 2.25, 3.25])


def test_what_is_malformed_is_refused() -> None:
    broken = graph([1, 2], {1: 10.5})
    broken.graph.poses.pop()
    with pytest.raises(ValueError, match='expected one pose an id, got 2 ids and 1 poses'):
        GraphPoses().take(broken)
    _, stamps_ns, matrices = GraphPoses().take(graph([1], {}))
    assert stamps_ns == []
    assert matrices.shape == (0, 4, 4)
