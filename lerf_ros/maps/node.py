"""A submap's place in the atlas: where it is in the world, and whether it is awake."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float

from lerf_ros.frames import KeyframeId
from lerf_ros.geometry import inverse_transform, transform_points
from lerf_ros.maps.cells import Cell
from lerf_ros.maps.coarse_index import CoarseIndex
from lerf_ros.maps.submap import Submap


@dataclass(eq=False)
class AtlasNode:
    """One submap of an atlas.

    Attributes:
        name: Number within the atlas, also the name of its file.
        cell: The cube of the grid that it was made for.
        centre_m: Middle of its box, in its own frame, which was the world's when it was made.
        half_m: Half the side of its box.
        file: Where it sleeps.
        submap_to_world: Its pose; moved by pose corrections.
        submap: The submap while it is awake.
        index: Its coarse index; None before it has learnt.
        poses: ``camera_to_submap`` of its keyframes.
        stamps: Their stamps, nanoseconds.
        used_at: When a keyframe came last: greater is later, and where one came to several, for
            the one that it saw more of.
        step_count: Its training steps.
        keyframe_count: Its keyframes.
        stamp_ns: Stamp of the newest of them.
        damaged: Why its file cannot be read; empty if it can.
    """

    name: int
    cell: Cell
    centre_m: Float[np.ndarray, '3']
    half_m: float
    file: Path
    submap_to_world: Float[np.ndarray, '4 4'] = field(default_factory=lambda: np.eye(4))
    submap: Submap | None = None
    index: CoarseIndex | None = None
    poses: dict[KeyframeId, Float[np.ndarray, '4 4']] = field(default_factory=dict)
    stamps: dict[KeyframeId, int] = field(default_factory=dict)
    used_at: int = 0
    step_count: int = 0
    keyframe_count: int = 0
    stamp_ns: int = 0
    damaged: str = ''

    @property
    def asleep(self) -> bool:
        """Whether it rests in its file."""
        return self.submap is None

    def local(self, camera_to_world: Float[np.ndarray, '4 4']) -> Float[np.ndarray, '4 4']:
        """Returns a pose of the world in the submap's frame."""
        if np.array_equal(self.submap_to_world, np.eye(4)):
            return camera_to_world
        return inverse_transform(self.submap_to_world) @ camera_to_world

    def distance_m(self, position_m: Float[np.ndarray, '3']) -> float:
        """Returns how far a place is from the middle of the box, along the farthest axis."""
        return float(np.abs(self.to_local(position_m[None])[0] - self.centre_m).max())

    def to_local(self, positions_m: Float[np.ndarray, 'n 3']) -> Float[np.ndarray, 'n 3']:
        """Returns points of the world in the submap's frame."""
        return transform_points(inverse_transform(self.submap_to_world), positions_m)

    def as_json(self) -> dict[str, object]:
        """Returns what an atlas file says of it."""
        return {
            'name': self.name,
            'cell': list(self.cell),
            'centre_m': self.centre_m.tolist(),
            'half_m': self.half_m,
            'submap_to_world': self.submap_to_world.tolist(),
            'poses': [
                [id_.source, id_.index, self.stamps[id_], pose.tolist()]
                for id_, pose in self.poses.items()
            ],
            'used_at': self.used_at,
            'step_count': self.step_count,
            'keyframe_count': self.keyframe_count,
            'stamp_ns': self.stamp_ns,
        }

    @classmethod
    def from_json(cls, values: dict, folder: Path) -> AtlasNode:
        """Returns a sleeping node of an atlas file.

        Raises:
            KeyError, TypeError, ValueError: Something is missing or malformed.
        """
        named = [
            (KeyframeId(str(source), int(index)), int(stamp), np.array(pose, dtype=np.float64))
            for source, index, stamp, pose in values['poses']
        ]
        i, j, k = (int(value) for value in values['cell'])
        return cls(
            name=int(values['name']),
            cell=(i, j, k),
            centre_m=np.array(values['centre_m'], dtype=np.float64).reshape(3),
            half_m=float(values['half_m']),
            file=folder / file_name(int(values['name'])),
            submap_to_world=np.array(values['submap_to_world'], dtype=np.float64).reshape(4, 4),
            poses={id_: pose.reshape(4, 4) for id_, _, pose in named},
            stamps={id_: stamp for id_, stamp, _ in named},
            used_at=int(values['used_at']),
            step_count=int(values['step_count']),
            keyframe_count=int(values['keyframe_count']),
            stamp_ns=int(values['stamp_ns']),
        )


def file_name(number: int) -> str:
    """Returns the name of a submap's file."""
    return f'submap_{number:04d}.lerf'
