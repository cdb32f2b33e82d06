"""What the viewer knows of a map at a moment; metres, in the map's own frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, UInt8

from lerf_ros.frames import KeyframeId
from lerf_ros.geometry import PinholeCamera
from lerf_ros.maps.own_frame import OwnFrame
from lerf_ros.query.request import QueryResult
from lerf_ros.surface.points import SurfacePoints

Transform = Float[np.ndarray, '4 4']


@dataclass(frozen=True)
class Status:
    """How the map does.

    Attributes:
        state: 'WAITING', 'TRAINING', 'PAUSED' or 'FAILED'.
        step: Training steps so far.
        steps_per_second: Of late.
        loss: Of the last step; NaN before the first.
        keyframes: Keyframes in the map.
        memory_mb: Memory of the process.
        encoder: Name of the language encoder.
        device: Where it trains.
        received: Keyframes that came.
        dropped: Keyframes that were refused, lost or failed, or have found no room so far.
        waiting: Keyframes on their way into the map.
        error: What made training fail; empty if nothing.
        note: What else a person should know; empty if nothing.
    """

    state: str
    step: int
    steps_per_second: float
    loss: float
    keyframes: int
    memory_mb: float
    encoder: str
    device: str
    received: int
    dropped: int
    waiting: int
    error: str
    note: str


@dataclass(frozen=True, eq=False)
class Piece:
    """One submap of a map that has several.

    Attributes:
        name: Its number.
        box_to_world: Pose of the middle of its box.
        side_m: Side of its box.
        asleep: Whether it rests in its file.
    """

    name: int
    box_to_world: Transform
    side_m: float
    asleep: bool


@dataclass(frozen=True, eq=False)
class Snapshot:
    """The map as it stands.

    Attributes:
        map_id: The map's identity.
        surface: The surface cloud.
        camera: Intrinsics of a keyframe; None without one.
        ids: Names of the keyframes, oldest first.
        poses: Their `camera_to_world`, metres.
        submaps: The pieces of a map that has several.
    """

    map_id: str
    surface: SurfacePoints
    camera: PinholeCamera | None
    ids: tuple[KeyframeId, ...]
    poses: Float[np.ndarray, 'n 4 4']
    submaps: tuple[Piece, ...] = ()


@dataclass(frozen=True, eq=False)
class Answer:
    """Results, and what they rest on.

    Attributes:
        map_id: The map that answered.
        results: One for each positive.
        voxel_m: Spacing of the results' points.
        step: Training step of the map when it answered.
        frame: Name of the world frame.
        own_frame: The frame of all positions; it gives them back in the world.
    """

    map_id: str
    results: tuple[QueryResult, ...]
    voxel_m: float
    step: int
    frame: str
    own_frame: OwnFrame = OwnFrame()


@dataclass(frozen=True, eq=False)
class Drawing:
    """What a camera would see of the map.

    Attributes:
        image: RGB picture.
        depth_m: Depth along the optical axis, NaN where the map holds nothing.
        accumulation: Opacity in [0, 1].
        relevancy: Of each phrase, NaN where the map holds nothing.
    """

    image: UInt8[np.ndarray, 'height width 3']
    depth_m: Float32[np.ndarray, 'height width']
    accumulation: Float[np.ndarray, 'height width']
    relevancy: tuple[Float32[np.ndarray, 'height width'], ...]
