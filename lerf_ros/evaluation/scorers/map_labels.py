"""How well each surface point of a map fits each of many labels, read in bounded memory.

The score is the relevancy of the label at the point's best trained scale, as log-odds: the
encoder's temperature times the cosine with the label, less that with the closest of the encoder's
negatives. Unlike an answer it takes in all points, however few keyframes saw them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float32, Int

from lerf_ros.geometry import transform_points
from lerf_ros.maps.atlas import Atlas
from lerf_ros.maps.reading import Reading, points_at
from lerf_ros.maps.submap import Submap
from lerf_ros.query.phrase import TextEmbedder, parse_phrase
from lerf_ros.query.reading import FieldReader
from lerf_ros.query.scales import ScaleSearch

Array = np.ndarray

# Cosines that are in memory at a time: points times scales times labels.
CHUNK_COSINES = 2**23
# Texts that are embedded at a time.
CHUNK_TEXTS = 256


@dataclass(frozen=True, eq=False)
class _Piece:
    """A map, or a submap of an atlas.

    Attributes:
        read: Returns its field and surface.
        first: Row of its first point.
        count: Number of its points.
    """

    read: Callable[[], Reading | None]
    first: int
    count: int


class MapLabels:
    """Scores of the surface of a map with labels.

    Args:
        live_map: The map.
        labels: What each point is compared with.

    Raises:
        ValueError: There is no label, a label holds no word, or the map has no surface.

    Attributes:
        positions: The surface, in the world frame.
        label_count: Number of labels.
    """

    def __init__(self, live_map: Atlas | Submap, labels: Sequence[str]) -> None:
        if not labels:
            raise ValueError('labels: expected at least one, got none')
        embed = TextEmbedder(live_map.encoder, limit=2 * CHUNK_TEXTS)
        texts = [embed.in_its_words(parse_phrase(label, 'labels').object) for label in labels]
        starts = range(0, len(texts), CHUNK_TEXTS)
        parts = [embed(texts[start : start + CHUNK_TEXTS]) for start in starts]
        self._compared = torch.cat([*parts, embed.negatives().to(parts[0])])
        self.label_count, self._temperature = len(labels), embed.temperature
        self._search = ScaleSearch(live_map.config.query, live_map.config.features)
        self._pieces: list[_Piece] = []
        positions: list[Float[Array, 'n 3']] = []
        for read, piece_to_world in _readings(live_map):
            reading = read()
            if reading is None or not len(reading.points):
                continue
            first = sum(len(each) for each in positions)
            self._pieces.append(_Piece(read, first, len(reading.points)))
            positions.append(transform_points(piece_to_world, reading.points.positions))
        if not positions:
            raise ValueError('map: expected one with a surface, got an empty one')
        self.positions: Float[Array, 'n 3'] = np.concatenate(positions).astype(np.float64)

    def __call__(self, rows: Int[Array, ' b']) -> Float32[Array, 'b k']:
        """Returns the scores of some points with all labels."""
        scores = np.empty((len(rows), self.label_count), np.float32)
        for piece in self._pieces:
            own = np.flatnonzero((rows >= piece.first) & (rows < piece.first + piece.count))
            if len(own):
                scores[own] = self._scores(piece, rows[own] - piece.first)
        return scores

    @torch.no_grad()
    def _scores(self, piece: _Piece, rows: Int[Array, ' b']) -> Float32[Array, 'b k']:
        reading = piece.read()
        if reading is None:
            raise ValueError('map: a submap could be read before and cannot be read any more')
        scales_m = self._search.active_m(reading.points)
        read = FieldReader(reading.field, scales_m)
        step = max(1, CHUNK_COSINES // (len(scales_m) * len(self._compared)))
        parts = []
        for start in range(0, len(rows), step):
            points = points_at(reading.points, rows[start : start + step])
            trained = torch.from_numpy(self._search.trained(points, scales_m))
            positions = torch.from_numpy(points.positions).to(self._compared)
            cosines = read.cosines(positions, self._compared)
            closest = cosines[..., self.label_count :].amax(dim=-1, keepdim=True)
            odds = self._temperature * (cosines[..., : self.label_count] - closest)
            untrained = ~trained[..., None].to(odds.device)
            parts.append(odds.masked_fill_(untrained, -torch.inf).amax(dim=1).cpu().numpy())
        return np.concatenate(parts)


def _readings(
    live_map: Atlas | Submap,
) -> list[tuple[Callable[[], Reading | None], Float[Array, '4 4']]]:
    """Returns for each submap what reads it, and its pose."""
    if isinstance(live_map, Atlas):
        return [
            (
                lambda node=node: live_map.reading(node),  # type: ignore[misc]
                live_map.own_frame.world_poses(node.submap_to_world),
            )
            for node in live_map.nodes
        ]
    field = live_map.trainer.readable
    if field is None:
        return []
    reading = Reading(
        field, live_map.surface_map.points(), live_map.step_count, live_map.last_stamp_ns
    )
    return [(lambda: reading, live_map.own_frame.world_poses(np.eye(4)))]
