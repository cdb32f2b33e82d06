"""How an atlas answers: the coarse index says where to look, there the field is read exactly.

What is read is a few pieces of the surface, each about as large as a table, wherever in the atlas
they are. So a question costs the same in a room and on a floor, but for the index.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float

from lerf_ros.config import LerfConfig, QueryOptions
from lerf_ros.geometry import Array, inverse_transform, transform_points
from lerf_ros.maps.atlas_answer import displacing, in_world, merged
from lerf_ros.maps.atlas_nodes import AtlasNodes
from lerf_ros.maps.coarse_index import promises
from lerf_ros.maps.errors import NotReadyError
from lerf_ros.maps.extraction import Extraction
from lerf_ros.maps.node import AtlasNode
from lerf_ros.maps.reading import Reading, joined_points
from lerf_ros.maps.reading_store import ReadingStore
from lerf_ros.query.engine import QueryEngine
from lerf_ros.query.exemplars import exemplar_phrase
from lerf_ros.query.phrase import Phrase, TextEmbedder
from lerf_ros.query.region import Region
from lerf_ros.query.request import QueryRequest, QueryResult
from lerf_ros.surface.points import SurfacePoints

logger = logging.getLogger(__name__)

# Cells of one submap that are looked at for patches.
_BEST_CELLS = 64
# Patches that are read whatever the index says of them. Further ones are where it promises this
# share of what it promises of the best: of 370 things in four maps none was lost by it.
LEAST_PATCHES = 2
PROMISING = 0.8
# A patch with fewer points answers nothing.
_LEAST_POINTS = 8
# Steps before which a submap only answers where no other does.
LEARNT_STEPS = 60
# Steps after which the index of a submap that learns is read anew.
INDEX_STEPS = 50


@dataclass(frozen=True, eq=False)
class Patch:
    """A piece of the surface to be read exactly.

    Attributes:
        node: Its submap.
        centre: Its middle in the submap's frame.
        score: What the index promises, see :meth:`CoarseIndex.advantage`.
    """

    node: AtlasNode
    centre: Float[Array, '3']
    score: float


class AtlasQuery:
    """Answers requests about an atlas.

    Args:
        config: All options.
        extraction: Holds the encoder.
    """

    def __init__(self, config: LerfConfig, extraction: Extraction) -> None:
        self._config, self._extraction = config, extraction
        self._embed = TextEmbedder(extraction.encoder)
        self._store = ReadingStore(config, extraction)
        self.clear()

    def clear(self) -> None:
        """Forgets what was read of the map; to be called when it is replaced."""
        self._store.clear()
        self._readings: OrderedDict[Path, Reading] = OrderedDict()
        self._engines: OrderedDict[int, QueryEngine] = OrderedDict()
        self._asked = False

    def configure(self, config: LerfConfig) -> None:
        """Takes over options that may change while the map lives."""
        self._config = config
        for engine in self._engines.values():
            engine.configure(self._engine_options)

    def forget(self, node: AtlasNode) -> None:
        """Drops what was read of the file of a submap that changes; embeddings age by steps."""
        self._readings.pop(node.file, None)
        self._store.forget(node.file)

    def falls_asleep(self, node: AtlasNode) -> None:
        """Lays what questions read of a submap where it will sleep, if anybody asks."""
        reading = _awake_reading(node) if self._asked else None
        self.forget(node)
        if reading is not None:
            self._store.keep(node.file, reading)

    def keep_fresh(self, node: AtlasNode, nodes: AtlasNodes) -> None:
        """Reads the index of a submap that learns anew, once in a while, if anybody asks."""
        if self._asked and _index_is_old(node):
            nodes.renew_index(node)

    def answer(self, request: QueryRequest, nodes: AtlasNodes) -> list[QueryResult]:
        """Answers a request, one result for each positive, exemplars last.

        Raises:
            NotReadyError: There is nothing to look at yet.
        """
        self._asked = True
        for node in nodes.awake():
            if _index_is_old(node):
                nodes.renew_index(node)
        if not any(node.index is not None and len(node.index) for node in nodes):
            raise NotReadyError(
                'the map has no surface yet: wait for training, or check the depth stream'
            )
        results: list[QueryResult] = []
        for text, part in zip(request.phrases(), request.positives, strict=True):
            phrase = self._embed.object_phrase(text, request.negatives)
            alone = replace(
                request, positives=(part,), parts=_part(request, len(results)), exemplars=()
            )
            results.append(self._answer_one(phrase, alone, nodes))
        for exemplar in request.exemplars:
            means = torch.stack(
                [node.index.means() for node in nodes if node.index and len(node.index)]
            ).mean(dim=0)
            phrase = exemplar_phrase(self._extraction.encoder, exemplar, means)
            alone = replace(request, positives=(), parts=(), exemplars=(exemplar,))
            results.append(self._answer_one(phrase, alone, nodes))
        return results

    def _answer_one(self, phrase: Phrase, request: QueryRequest, nodes: AtlasNodes) -> QueryResult:
        answers: list[QueryResult] = []
        for patch in self.patches(phrase, nodes, request.region):
            reading = self.reading(patch.node, nodes)
            if reading is None:
                continue
            points = reading.patch(patch.centre, self._config.atlas.patch_m)
            if len(points) < _LEAST_POINTS:
                continue
            submap_to_world, region = patch.node.submap_to_world, request.region
            if region is not None:
                region = region.moved(inverse_transform(submap_to_world))
            (result,) = self._engine_of(patch.node).query(
                replace(request, region=region),
                field=reading.field,
                surface=points,
                step=reading.step,
                stamp_ns=reading.stamp_ns,
                views=patch.node.submap.reader.seen if patch.node.submap else None,
                # A part is nearly as hot as its object elsewhere.
                further_relevancy=0.0
                if request.parts
                else displacing(answers, request.max_maxima),
            )
            answers.append(in_world(result, submap_to_world))
        if not answers:
            return _nothing(phrase.text)
        return merged(answers, request.max_maxima)

    @property
    def _engine_options(self) -> QueryOptions:
        """The options of the engine of one submap: its share of the cache."""
        options = self._config.query
        share = max(1, options.cache_limit_mb // self._config.atlas.read_submaps)
        return replace(options, cache_limit_mb=share)

    def _engine_of(self, node: AtlasNode) -> QueryEngine:
        """Returns what answers about a submap, and remembers what it has read there."""
        if node.name not in self._engines:
            self._engines[node.name] = QueryEngine(
                self._extraction.encoder,
                self._engine_options,
                self._config.features,
                by_pieces=True,
                embed=self._embed,
            )
        self._engines.move_to_end(node.name)
        while len(self._engines) > self._config.atlas.read_submaps:
            self._engines.popitem(last=False)
        return self._engines[node.name]

    def patches(
        self, phrase: Phrase, nodes: AtlasNodes, region: Region | None = None
    ) -> list[Patch]:
        """Returns where a phrase is worth an exact look, the likeliest first."""
        offered: list[tuple[float, AtlasNode, Array, Array]] = []
        known = [node for node in nodes if node.index and len(node.index) and not node.damaged]
        learnt = [node for node in known if node.step_count >= LEARNT_STEPS]
        asked = learnt or known
        indices = [node.index for node in asked if node.index is not None]
        for node, index, scores in zip(asked, indices, promises(indices, phrase), strict=True):
            best = np.flatnonzero(scores > -np.inf)
            best = best[np.argsort(-scores[best])][:_BEST_CELLS]
            local = index.centres[best].astype(np.float64)
            world = transform_points(node.submap_to_world, local)
            if region is not None:
                keep = region.grown(self._config.atlas.index_cell_m).contains(world)
                best, local, world = best[keep], local[keep], world[keep]
            offered += [
                (float(scores[cell]), node, here, there)
                for cell, here, there in zip(best, local, world, strict=True)
            ]
        offered.sort(key=lambda each: -each[0])
        chosen: list[Patch] = []
        taken: list[tuple[AtlasNode, Array]] = []
        apart_m = self._config.atlas.patch_m / 2
        for score, node, here, there in offered:
            promising = score > max(PROMISING * offered[0][0], 0.0)
            if len(chosen) == self._config.atlas.patches or (
                len(chosen) >= LEAST_PATCHES and not promising
            ):
                break
            # Where submaps overlap, one of them may have seen a thing far better.
            if all(
                of is not node or np.linalg.norm(there - other) > apart_m for of, other in taken
            ):
                chosen.append(Patch(node, here, score))
                taken.append((node, there))
        return chosen

    def reading(self, node: AtlasNode, nodes: AtlasNodes) -> Reading | None:
        """Returns what can be read of a submap, awake or not; None if its file is damaged."""
        if node.submap is not None:
            return _awake_reading(node)
        if node.file in self._readings:
            self._readings.move_to_end(node.file)
            return self._readings[node.file]
        try:
            reading = self._store.load(node.file, nodes.config_of(node))
        except (ValueError, OSError) as error:
            logger.error('submap %d is left out: %s', node.name, error)
            node.damaged = str(error)
            return None
        self._readings[node.file] = reading
        while len(self._readings) > self._config.atlas.read_submaps:
            self._store.keep(*self._readings.popitem(last=False))
        return reading

    def surface(self, nodes: AtlasNodes, *, asleep: bool = False) -> SurfacePoints:
        """Returns the surface of the submaps that are awake, or of all, in the world frame."""
        parts = []
        for node in nodes:
            if node.asleep and not asleep:
                continue
            reading = self.reading(node, nodes)
            if reading is not None and len(reading.points):
                parts.append((reading.points, node.submap_to_world))
        return joined_points(parts, self._config.query.voxel_m)


def _awake_reading(node: AtlasNode) -> Reading | None:
    submap = node.submap
    field = None if submap is None else submap.trainer.readable
    if submap is None or field is None:
        return None
    return Reading(field, submap.surface(), submap.step_count, submap.last_stamp_ns)


def _index_is_old(node: AtlasNode) -> bool:
    """Tells whether a submap has learnt much since its index was read."""
    return node.index is None or node.step_count - node.index.step >= INDEX_STEPS


def _part(request: QueryRequest, index: int) -> tuple[str, ...]:
    return (request.parts[index],) if request.parts else ()


def _nothing(text: str) -> QueryResult:
    empty = np.zeros((0, 3), np.float32)
    return QueryResult(
        phrase=text,
        exists=False,
        confidence=0.0,
        maxima=(),
        positions=empty,
        colours=empty.astype(np.uint8),
        relevancy=empty[:, 0],
        scale_m=empty[:, 0],
        step=0,
        stamp_ns=0,
    )
