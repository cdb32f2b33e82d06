"""The query engine: a request in, places out.

The engine reads the field, never trains it, and knows no threads: the owner of the field calls it.
Everything in and out is in metres, in the world frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32
from scipy.spatial import cKDTree
from torch import Tensor

from lerf_ros.config import FeatureOptions, QueryOptions
from lerf_ros.features.encoder import LanguageEncoder
from lerf_ros.geometry import PinholeCamera
from lerf_ros.query.embedding_cache import CHUNK_POINTS, EmbeddingCache, Reader
from lerf_ros.query.exemplars import exemplar_phrase, looks
from lerf_ros.query.existence import DOUBTED, confidence, gather_evidence, model_of
from lerf_ros.query.heat_map import view_relevancy
from lerf_ros.query.maxima import find_maxima
from lerf_ros.query.parts import answer_part
from lerf_ros.query.phrase import Phrase, TextEmbedder, parse_phrase
from lerf_ros.query.reading import FieldReader, dense_reader
from lerf_ros.query.region import Region
from lerf_ros.query.relevancy import EmbeddingField, phrase_matrix, scale_relevancy
from lerf_ros.query.request import Exemplar, Maximum, QueryRequest, QueryResult
from lerf_ros.query.rivals import contested_relevancy
from lerf_ros.query.scales import ScaleSearch, only_scale
from lerf_ros.query.scene import Scene, ViewReader
from lerf_ros.query.scene_graph import SceneGraph
from lerf_ros.query.scene_kinds import SceneKinds, SceneLook
from lerf_ros.query.second_look import LOOKED_AT, look_again
from lerf_ros.scheduling.pieces import Pieces, each_within
from lerf_ros.surface.cloud import SurfaceMap
from lerf_ros.surface.points import SurfacePoints

__all__ = ['Exemplar', 'Maximum', 'QueryEngine', 'QueryRequest', 'QueryResult', 'Region']

# A maximum must be seen by one keyframe more for each so many in the map, up to the option. On 20
# development scenes no phrase of 203 that was there had its place seen by fewer than six, and a
# tenth of 406 that were not.
KEYFRAMES_PER_VIEW = 8
NO_SURFACE = 'the map has no surface yet: wait for keyframes with depth, or for training'


class QueryEngine:
    """Answers requests about one map.

    Args:
        encoder: The language encoder that made the map's features.
        options: How to answer.
        features: Tile sizes of the pyramid the map is trained with; they bound the scales that
            were trained at each point.
        by_pieces: Whether it is asked about pieces of one surface, now this, now that one.
        embed: Embeds texts, where several engines share what is known of them.
    """

    def __init__(
        self,
        encoder: LanguageEncoder,
        options: QueryOptions,
        features: FeatureOptions | None = None,
        *,
        by_pieces: bool = False,
        embed: TextEmbedder | None = None,
    ) -> None:
        self._encoder, self._by_pieces = encoder, by_pieces
        self._embed = embed or TextEmbedder(encoder)
        self._options = options
        self._search = ScaleSearch(options, features or FeatureOptions())
        self.clear()

    def configure(self, options: QueryOptions) -> None:
        """Takes over options that may change while the map lives: the existence threshold."""
        self._options = options

    def clear(self) -> None:
        """Forgets what was read of the map; to be called when the map is replaced."""
        limit = self._options.cache_limit_mb * 2**20
        self._cache = EmbeddingCache(limit, by_pieces=self._by_pieces)
        self._graph: SceneGraph | None = None
        self._look = SceneLook(self._encoder)
        self._step = 0

    @torch.no_grad()
    def query(
        self,
        request: QueryRequest,
        *,
        field: EmbeddingField,
        surface: SurfaceMap | SurfacePoints,
        step: int,
        stamp_ns: int,
        views: ViewReader | None = None,
        further_relevancy: float = 0.0,
    ) -> list[QueryResult]:
        """Answers a request, one result for each positive, exemplars last.

        Args:
            request: The question.
            field: The field to read.
            surface: Where answers can lie.
            step: The training step the field is at.
            stamp_ns: Stamp of the last keyframe.
            views: Reads what keyframes show of points; None where there are none.
            further_relevancy: What maxima after the first must reach, see :func:`find_maxima`.

        Raises:
            ValueError: The request is malformed, or there is no surface to answer on.
        """
        request.check()
        scene = self._scene(field, surface, request, step, stamp_ns, views)
        texts = request.phrases()
        kinds = self._kinds(scene.graph.surface, scene.trained, scene.read)
        phrases = [self._embed.object_phrase(text, request.negatives, kinds) for text in texts]
        if request.exemplars:
            means = looks(self._encoder, self._cache.means())
            background = self._cache.cosines_by_scale(scene.read, means)[..., None]
            phrases += [
                exemplar_phrase(self._encoder, exemplar, means) for exemplar in request.exemplars
            ]
        if any(phrase.framed for phrase in phrases):
            lengths = self._cache.lengths(scene.read, partial(looks, self._encoder))[..., None]
        matrix, rows = phrase_matrix(phrases)
        cosines = self._cache.cosines(scene.read, matrix)
        results = []
        for index, (phrase, own) in enumerate(zip(phrases, rows, strict=True)):
            # A copy of all cosines is saved where one phrase is asked.
            compared = cosines if own == [*range(len(matrix))] else cosines[..., own]
            if phrase.background is not None:
                compared = torch.cat([compared, phrase.background_share * background], dim=-1)
            if phrase.framed:  # by looks alone, however long the field says that they are
                compared = compared / lengths
            result = self._answer(scene, phrase, compared, request, further_relevancy)
            if index < len(texts) and texts[index].part:
                part = self._embed.part_phrase(texts[index], request.negatives)
                read = partial(self._cache.embeddings, scene.read)
                result = answer_part(scene, part, texts[index], result, read)
            results.append(result)
        return results

    @torch.no_grad()
    def refresh(
        self,
        budget_points: int,
        *,
        field: EmbeddingField,
        surface: SurfaceMap | SurfacePoints,
        step: int,
    ) -> int:
        """Reads a few cached embeddings anew, so that the next query finds less to do.

        Meant to be called between two training steps.

        Returns:
            How many points were read.
        """
        points = surface.points() if isinstance(surface, SurfaceMap) else surface
        if len(points) == 0:
            return 0
        _, _, read = self._follow(field, points, step)
        return self._cache.refresh(read, step, budget_points)

    @each_within(torch.no_grad)
    def heat_map_pieces(
        self,
        text: str,
        *,
        field: EmbeddingField,
        surface: SurfaceMap | SurfacePoints,
        depth_m: Float[np.ndarray, 'height width'],
        camera: PinholeCamera,
        camera_to_world: Float[np.ndarray, '4 4'],
        step: int,
        negatives: Sequence[str] = (),
        scale_m: float | None = None,
    ) -> Pieces[Float32[np.ndarray, 'height width']]:
        """Returns the relevancy of what each pixel of a view shows, NaN where that is unknown.

        Each pixel is read at one scale, or at the best of the surface point closest to what it
        shows. It is done in short pieces; questions may be answered between them.

        Args:
            text: The phrase; of 'object; part' the object counts.
            field: The field to read.
            surface: The surface cloud.
            depth_m: Depth of the view, rendered or measured, NaN where unknown.
            camera: Intrinsics of the view.
            camera_to_world: Its pose.
            step: The training step the field is at.
            negatives: What it must not be mistaken for; the canonical negatives if empty.
            scale_m: The scale; None for the best.

        Raises:
            ValueError: The phrase holds no word, or there is no surface.
        """
        while True:
            # Meanwhile the surface may have grown, and answers may have read younger weights.
            step = max(step, self._step)
            points, scales_m, read = self._follow(field, surface, step)
            if not self._cache.refresh(
                read, step, CHUNK_POINTS, self._options.cache_max_age_steps
            ):
                break
            yield
        trained = torch.from_numpy(self._search.trained(points, scales_m))
        kinds = self._kinds(points, trained, read)
        phrase = self._embed.object_phrase(parse_phrase(text, 'phrase'), negatives, kinds)
        scores = scale_relevancy(self._cache.cosines(read, phrase.compared), phrase, trained)
        best_m = scales_m.numpy()[scores.argmax(dim=1).cpu().numpy()]
        if scale_m is not None:
            best_m = np.full_like(best_m, scale_m)
        yield
        result = yield from view_relevancy(
            field,
            depth_m,
            camera,
            camera_to_world,
            (cKDTree(points.positions), best_m),
            phrase,
        )
        return result

    def _scene(
        self,
        field: EmbeddingField,
        surface: SurfaceMap | SurfacePoints,
        request: QueryRequest,
        step: int,
        stamp_ns: int,
        views: ViewReader | None,
    ) -> Scene:
        points, scales_m, read = self._follow(field, surface, step)
        self._cache.refresh(read, step, len(points), self._options.cache_max_age_steps)
        if self._graph is None or self._graph.surface is not points:
            self._graph = SceneGraph.of(points)
        # What few keyframes saw was learned badly; a young map has nothing else.
        enough = min(
            self._options.min_maximum_views, 1 + len(points.cameras_m) // KEYFRAMES_PER_VIEW
        )
        inside = np.ones(len(points), bool)
        if request.region is not None:
            inside = request.region.contains(points.positions)
        allowed = inside & (points.views >= enough)
        trained = torch.from_numpy(self._search.trained(points, scales_m))
        if request.scale_m is not None:
            trained = only_scale(trained, scales_m, request.scale_m)
        dense = dense_reader(field, points.positions, self._embed(['object']).device)
        return Scene(
            self._graph, scales_m, trained, inside, allowed, read, dense, views, step, stamp_ns
        )

    def _follow(
        self, field: EmbeddingField, surface: SurfaceMap | SurfacePoints, step: int
    ) -> tuple[SurfacePoints, Float[Tensor, ' s'], Reader]:
        """Points the cache at this surface and step; returns both and how to read the field."""
        points = surface.points() if isinstance(surface, SurfaceMap) else surface
        if len(points) == 0:
            raise ValueError(NO_SURFACE)
        if step < self._step:
            self._cache.clear()
        self._step = step
        # Pieces share a cache, so they share their scales, too.
        scales_m = self._search.all_m if self._by_pieces else self._search.active_m(points)
        device = self._embed(['object']).device
        self._cache.follow(points, len(scales_m), self._encoder.embedding_size, device)
        return points, scales_m, FieldReader(field, scales_m)

    def _kinds(
        self, points: SurfacePoints, trained: Bool[Tensor, 'n s'], read: Reader
    ) -> SceneKinds | None:
        """Returns what the scene looks like to an encoder with a list of kinds."""
        return self._look.of(points, trained, lambda some: self._cache.embeddings(read, some))

    def _answer(
        self,
        scene: Scene,
        phrase: Phrase,
        cosines: Float[Tensor, 'n s k'],
        request: QueryRequest,
        further_relevancy: float,
    ) -> QueryResult:
        """Answers for one object."""
        scores = scale_relevancy(cosines, phrase, scene.trained).cpu().numpy()
        read = partial(self._cache.embeddings, scene.read)
        # Kinds are told apart by little: what the field has blurred is looked at again.
        again = scene.views if phrase.rivals is not None else None
        maxima = find_maxima(
            scene.graph,
            scores,
            scene.scales_m.numpy(),
            scene.allowed,
            max_maxima=max(request.max_maxima, LOOKED_AT if again else 0),
            min_relevancy=request.min_relevancy,
            inside=scene.inside,
            dense=scene.dense,
            peaks=contested_relevancy(scores, scene.trained, scene.allowed, phrase, read),
            further_relevancy=further_relevancy,
            # A kind is told best where its thing fills the window: what is grown beyond that is
            # mostly what it touches, and its middle lies beside it.
            framed=phrase.framed or phrase.rivals is not None,
        )
        if again is not None:
            maxima = look_again(scene, again, phrase, maxima, read)[: request.max_maxima]
        found, probability = None, 0.0
        if maxima:
            known = scene.known(maxima[0].point_indices)
            scale = np.abs(scene.scales_m.numpy() - maxima[0].scale_m).argmin()
            found = gather_evidence(
                known,
                scores[known, scale],
                scene.graph.surface.views[known],
                cosines[..., : len(phrase.positives)].amax(dim=-1),
                read(known) if phrase.background is None else looks(self._encoder, read(known)),
                phrase.distractors,
                phrase.temperature,
            )
            model = model_of(self._encoder.existence, pictured=phrase.background is not None)
            probability = confidence(found, model)
        if phrase.doubt:
            probability = min(probability, DOUBTED)
        points = scene.graph.surface
        shown = np.arange(len(points) if request.with_points else 0)
        best = scores[shown].max(axis=1, initial=0)
        return QueryResult(
            phrase=phrase.text,
            exists=probability >= self._options.existence_threshold,
            confidence=probability,
            maxima=tuple(maxima),
            positions=points.positions[shown],
            colours=points.colours[shown],
            relevancy=np.where(scene.inside[shown], best, 0),
            scale_m=scene.scales_m.numpy()[scores[shown].argmax(axis=1)],
            step=min(int(self._cache.steps.min(initial=scene.step)), scene.step),
            stamp_ns=scene.stamp_ns,
            evidence=found,
            doubt=phrase.doubt,
        )
