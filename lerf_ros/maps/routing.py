"""Which submaps a keyframe goes to: where it makes new ones, and where it adds to old ones."""

from __future__ import annotations

from lerf_ros.config import LerfConfig
from lerf_ros.frames import PosedFrame
from lerf_ros.geometry import inside_box
from lerf_ros.maps.atlas_nodes import AtlasNodes
from lerf_ros.maps.cells import cell_shares, seen_points
from lerf_ros.maps.node import AtlasNode

# A keyframe goes to this many submaps at most.
MOST_SUBMAPS = 4
# A submap that is awake takes in a keyframe that sees this share of its points in its box: what
# lies at its edge is mostly seen by keyframes that look elsewhere.
ADDING_SHARE = 0.08


def route(frame: PosedFrame, nodes: AtlasNodes, config: LerfConfig) -> list[AtlasNode]:
    """Returns the submaps that a frame belongs to, most of it first; makes what is missing.

    Args:
        frame: The frame, in the frame of the nodes.
        nodes: All submaps.
        config: All options.
    """
    points = seen_points(frame, config.query.max_range_m)
    if len(points) == 0:
        points = frame.camera_to_world[None, :3, 3]
    shares = cell_shares(nodes.grid_around(frame.camera_to_world[:3, 3]), points)
    most = [
        cell
        for rank, (cell, share) in enumerate(shares.items())
        if rank == 0 or share >= config.atlas.least_share
    ]
    room = min(MOST_SUBMAPS, config.atlas.awake_submaps)
    chosen = [nodes.at(cell) for cell in most[:room]]
    # To wake one up for little would cost more than it brings.
    for node in nodes.awake():
        local = node.to_local(points)
        inside = inside_box(local, node.centre_m - node.half_m, node.centre_m + node.half_m)
        if node not in chosen and inside.mean() >= ADDING_SHARE and len(chosen) < room:
            chosen.append(node)
    return chosen
