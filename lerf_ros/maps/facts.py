"""What a map file tells of its map besides weights, keyframes and surface."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lerf_ros.features.encoder import LanguageEncoder
from lerf_ros.keyframes.store import KeyframeState
from lerf_ros.maps.file import load_map, require_fit
from lerf_ros.maps.own_frame import OwnFrame
from lerf_ros.surface.cloud import SurfaceMap
from lerf_ros.training.trainer import Trainer


@dataclass(frozen=True, eq=False)
class MapFacts:
    """A map in a few words.

    Attributes:
        map_id: Its identity.
        stamp_ns: Stamp of its newest keyframe.
        keyframe_count: Number of keyframes that were taken in.
        next_index: Number of the next keyframe of each source.
        own_frame: The frame it computes in.
        pose_epoch: How often poses were corrected.
    """

    map_id: str
    stamp_ns: int
    keyframe_count: int
    next_index: dict[str, int]
    own_frame: OwnFrame
    pose_epoch: int = 0

    def metadata(self, encoder: LanguageEncoder, world_frame: str) -> dict[str, Any]:
        """Returns what the header of a map file says."""
        return {
            'map_id': self.map_id,
            'encoder': encoder.name,
            'encoder_fingerprint': encoder.fingerprint,
            'stamp_ns': self.stamp_ns,
            'keyframes': self.keyframe_count,
            'next_index': self.next_index,
            'world_frame': world_frame,
            'pose_epoch': self.pose_epoch,
            'origin_m': self.own_frame.origin_m.tolist(),
        }


def read_map(
    path: Path | str,
    trainer: Trainer,
    surface_map: SurfaceMap,
    encoder: LanguageEncoder,
    world_frame: str,
    held: KeyframeState | None = None,
) -> MapFacts:
    """Reads a map file into a fresh trainer and surface, which are of no use after an error.

    Args:
        path: The file.
        trainer: The trainer.
        surface_map: The surface.
        encoder: The encoder that the map must be of.
        world_frame: The frame that it must live in.
        held: Keyframes in the place of those in the file; None for these.

    Raises:
        ValueError: The file is no map, is damaged, was made with another encoder, or lives in
            another world frame.
        OSError: The file cannot be read.
    """
    try:
        extra, metadata = load_map(path, trainer, held)
        require_fit(path, metadata, encoder, world_frame)
        surface_map.load_state_dict(extra['surface'])
        return MapFacts(
            str(metadata['map_id']),
            int(metadata['stamp_ns']),
            int(metadata['keyframes']),
            {str(name): int(n) for name, n in metadata['next_index'].items()},
            OwnFrame.of_file(metadata),
            int(metadata.get('pose_epoch', 0)),
        )
    except (KeyError, TypeError, AttributeError) as error:
        trainer.store.close()
        raise ValueError(f'{path}: the map is damaged: {error!r}') from error
    except BaseException:
        trainer.store.close()
        raise
