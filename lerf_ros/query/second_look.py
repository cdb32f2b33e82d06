"""A second look: what keyframes themselves show of places that the field has found.

The field learns from keyframes and blurs what it has learnt; the younger the map, the more. All of
a surface is too much to ask keyframes about, a few places are not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from lerf_ros.query.phrase import Phrase
from lerf_ros.query.relevancy import blend_scales, phrase_margins
from lerf_ros.query.request import Maximum
from lerf_ros.query.scene import Scene, ViewReader

Array = np.ndarray

# Maxima that are looked at again where a phrase has rivals, however few are asked for.
LOOKED_AT = 5
# Points of each about which keyframes are asked: a fiftieth of a second.
POINTS_OF_EACH = 32
# A scale says something of a place where this share of its points was trained at it.
LEAST_TRAINED = 0.3
# Log odds that a place loses which one keyframe saw; of two it loses half as much. Among many
# places that few looked at, one looks like anything by chance.
CHANCE = 2.0


def look_again(
    scene: Scene,
    views: ViewReader,
    phrase: Phrase,
    maxima: Sequence[Maximum],
    read: Callable[[Int[Array, ' k']], Float[Tensor, 'k s d']],
) -> list[Maximum]:
    """Returns the maxima in the order of what field and keyframes together say of them.

    In a map of a kitchen after 500, 800 and 1400 steps, the best maximum of 13 words was right for
    1, 1 and 4 by the field alone, for 2, 3 and 2 by keyframes alone, and for 2, 3 and 4 by both
    (96 points of each of eight; 3, 3 and 2 with 32 of each, at half the cost). What few keyframes
    saw counts less: in eight maps of that kitchen 31 words of 104 were right so, 26 without it
    (28 with half of :data:`CHANCE`, 27 with twice as much).

    Args:
        scene: The scene.
        views: Reads what keyframes show.
        phrase: The phrase.
        maxima: As the field found them; those on very few points stay the last ones.
        read: Reads embeddings of points.
    """

    def worth(maximum: Maximum) -> tuple[bool, float]:
        points = maximum.point_indices
        if len(points) > POINTS_OF_EACH:
            points = points[np.linspace(0, len(points) - 1, POINTS_OF_EACH).astype(int)]
        embeddings = seen_embeddings(scene, views, points, read(points))
        trained = scene.trained[points].to(embeddings.device)
        log_odds = phrase_margins(embeddings @ phrase.compared.T, phrase)
        weights = trained.to(log_odds)
        by_scale = (blend_scales(log_odds, trained) * weights).sum(dim=0)
        by_scale /= weights.sum(dim=0).clamp(min=1)
        by_scale[weights.mean(dim=0) < LEAST_TRAINED] = -torch.inf
        looks = float(np.median(scene.graph.surface.views[points]))
        return not maximum.sparse, float(by_scale.max()) - CHANCE / max(looks, 1.0)

    return sorted(maxima, key=worth, reverse=True)


def seen_embeddings(
    scene: Scene,
    views: ViewReader,
    points: Int[Array, ' k'],
    embeddings: Float[Tensor, 'k s d'],
) -> Float[Tensor, 'k s d']:
    """Returns the field's embeddings of points, averaged with what keyframes show of them.

    Scales that were trained at none of the points are left as they are.
    """
    scales = scene.trained[points].any(dim=0).nonzero()[:, 0]
    shown, known = views(scene.graph.surface, points, scene.scales_m[scales])
    scales, known = scales.to(embeddings.device), known.to(embeddings.device)
    own = embeddings[:, scales]
    both = F.normalize(own + shown.to(own), dim=-1)
    return embeddings.index_copy(1, scales, torch.where(known[..., None], both, own))
