"""The query engine: a request in, places out.

The engine reads the field, never trains it, and knows no threads: whoever owns the field calls it.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from lerf_ros.config import FeatureOptions, QueryOptions
from lerf_ros.features.encoder import LanguageEncoder
from lerf_ros.geometry import inside_box
from lerf_ros.query.distractors import distractors
from lerf_ros.query.embedding_cache import EmbeddingCache, Reader
from lerf_ros.query.existence import Evidence, confidence, log_odds
from lerf_ros.query.maxima import find_maxima
from lerf_ros.query.objects import SceneGraph
from lerf_ros.query.phrase import PhraseText, embed_phrase
from lerf_ros.query.relevancy import EmbeddingField, phrase_matrix, relevancy, search_scales
from lerf_ros.query.request import Box, Exemplar, Maximum, QueryRequest, QueryResult
from lerf_ros.query.surface import SurfaceMap, SurfacePoints

__all__ = ['Box', 'Exemplar', 'Maximum', 'QueryEngine', 'QueryRequest', 'QueryResult']


class QueryEngine:
    """Answers requests about one map.

    Args:
        encoder: The language encoder that made the map's features.
        options: How to answer.
        features: Tile sizes of the pyramid the map was trained with; they bound the scales that
            were trained at each point.
    """

    def __init__(
        self,
        encoder: LanguageEncoder,
        options: QueryOptions,
        features: FeatureOptions | None = None,
    ) -> None:
        features = features or FeatureOptions()
        if options.min_scale_m >= options.max_scale_m:
            raise ValueError(
                'query.min_scale_m: expected less than query.max_scale_m, got '
                f'{options.min_scale_m:g} and {options.max_scale_m:g}'
            )
        self._encoder = encoder
        self._options = options
        self._tile_shares = (features.tile_share_min, features.tile_share_max)
        self._scales_m = search_scales(options.min_scale_m, options.max_scale_m, options.scales)
        self.clear()

    def clear(self) -> None:
        """Forgets what was read of the map; to be called when the map is replaced."""
        self._cache = EmbeddingCache(self._options.cache_limit_mb * 2**20)
        self._graph: SceneGraph | None = None
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
    ) -> list[QueryResult]:
        """Answers a request, one result for each positive, in their order.

        Args:
            request: The question.
            field: The field to read.
            surface: Where answers can lie.
            step: The training step the field is at.
            stamp_ns: Stamp of the last keyframe.

        Raises:
            ValueError: The request is malformed.
        """
        request.check()
        points = surface.points() if isinstance(surface, SurfaceMap) else surface
        if len(points) == 0:
            return [_empty(text.text, step, stamp_ns) for text in request.phrases()]
        graph = self._follow(points)
        phrases = request.phrases()
        embedded = [
            embed_phrase(self._encoder, text.object, (text.object,), request.negatives)
            for text in phrases
        ]
        texts, rows = phrase_matrix(embedded)
        scales = self._active_scales(points)
        read = self._reader(field, scales)
        cosines = self._cosines(read, points, texts, scales, step)
        trained = torch.from_numpy(self._trained(points, scales)).to(cosines.device)
        allowed = _in_region(points, request.region)
        results = []
        for text, own in zip(phrases, rows, strict=True):
            score = relevancy(cosines[..., own], 1, self._encoder.temperature)
            score = torch.where(trained, score, 0).cpu().numpy()
            maxima = find_maxima(
                graph,
                score,
                self._scales_m[scales].numpy(),
                allowed,
                max_maxima=request.max_maxima,
                min_relevancy=request.min_relevancy,
            )
            probability = self._confidence(text, maxima, read, cosines[..., own[0]])
            best = score.argmax(axis=1)
            shown = request.with_points
            results.append(
                QueryResult(
                    phrase=text.text,
                    exists=probability >= self._options.existence_threshold,
                    confidence=probability,
                    maxima=tuple(maxima),
                    positions=points.positions if shown else points.positions[:0],
                    colours=points.colours if shown else points.colours[:0],
                    relevancy=score.max(axis=1) if shown else score[:0, 0],
                    scale_m=self._scales_m[scales].numpy()[best if shown else best[:0]],
                    step=int(self._cache.steps.min(initial=step)),
                    stamp_ns=stamp_ns,
                )
            )
        return results

    def _follow(self, points: SurfacePoints) -> SceneGraph:
        if self._graph is None or self._graph.surface is not points:
            self._graph = SceneGraph.of(points)
        return self._graph

    def _active_scales(self, points: SurfacePoints) -> slice:
        """Returns the scales that were trained at some point."""
        low = self._tile_shares[0] * float(points.visible_height_m[:, 0].min())
        high = self._tile_shares[1] * float(points.visible_height_m[:, 1].max())
        scales_m = self._scales_m.numpy()
        start = int(np.clip(np.searchsorted(scales_m, low), 0, len(scales_m) - 1))
        stop = int(np.clip(np.searchsorted(scales_m, high, side='right'), start + 1, None))
        return slice(start, stop)

    def _trained(self, points: SurfacePoints, scales: slice) -> Bool[np.ndarray, 'n s']:
        """Tells which scales were trained at each point; all where none was."""
        scales_m = self._scales_m[scales].numpy()
        low = self._tile_shares[0] * points.visible_height_m[:, :1]
        high = self._tile_shares[1] * points.visible_height_m[:, 1:]
        trained = (scales_m >= 0.95 * low) & (scales_m <= 1.05 * high)
        return trained | ~trained.any(axis=1, keepdims=True)

    def _reader(self, field: EmbeddingField, scales: slice) -> Reader:
        """Returns the function that reads unit embeddings at positions, for all scales."""
        scales_m = self._scales_m[scales]

        def read(positions: Float[Tensor, 'n 3']) -> Float[Tensor, 'n s d']:
            features = field.language_features(positions)
            columns = [
                F.normalize(field.embed(features, scale.expand(len(features))), dim=-1)
                for scale in scales_m.to(features.device)
            ]
            return torch.stack(columns, dim=1)

        return read

    def _cosines(
        self,
        read: Reader,
        points: SurfacePoints,
        texts: Float[Tensor, 'k d'],
        scales: slice,
        step: int,
    ) -> Float[Tensor, 'n s k']:
        """Returns the cosine of every point at every scale with every text."""
        if step < self._step:
            self._cache.clear()
        self._step = step
        count = scales.stop - scales.start
        self._cache.follow(points, count, self._encoder.embedding_size, texts.device)
        self._cache.refresh(read, step, len(points), self._options.cache_max_age_steps)
        return self._cache.cosines(read, texts)

    def _confidence(
        self,
        text: PhraseText,
        maxima: list[Maximum],
        read: Reader,
        cosines: Float[Tensor, 'n s'],
    ) -> float:
        """Returns the probability that the phrase names something in the scene."""
        if not maxima:
            return 0.0
        best = maxima[0]
        others = self._encoder.encode_texts(distractors(text.object))
        place = self._cache.embeddings(read, best.point_indices).mean(dim=0)
        place = F.normalize(place, dim=-1)
        own = cosines[torch.from_numpy(best.point_indices)].mean(dim=0)
        scale = int(own.argmax())
        factor = self._encoder.temperature
        evidence = Evidence(
            relevancy=log_odds(best.relevancy),
            margin=factor * float(own[scale] - (others @ place[scale]).max()),
            contrast=factor * float(own[scale] - torch.quantile(cosines[:, scale], 0.75)),
            views=float(np.log1p(best.views)),
            support=float(np.log(len(best.point_indices))),
        )
        return confidence(evidence, self._encoder.existence)


def _in_region(points: SurfacePoints, region: Box | None) -> Bool[np.ndarray, 'n']:
    if region is None:
        return np.ones(len(points), bool)
    return inside_box(points.positions, np.array(region.minimum_m), np.array(region.maximum_m))


def _empty(phrase: str, step: int, stamp_ns: int) -> QueryResult:
    """Returns the answer of a map without surface."""
    return QueryResult(
        phrase=phrase,
        exists=False,
        confidence=0.0,
        maxima=(),
        positions=np.zeros((0, 3), np.float32),
        colours=np.zeros((0, 3), np.uint8),
        relevancy=np.zeros(0, np.float32),
        scale_m=np.zeros(0, np.float32),
        step=step,
        stamp_ns=stamp_ns,
    )
