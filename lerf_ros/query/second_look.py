"""A second look: what keyframes themselves show of places that the field has found.

The field learns from keyframes and blurs what it has learnt; the younger the map, the more. All of
a surface is too much to ask keyframes about, a few places are not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from lerf_ros.query.phrase import Phrase
from lerf_ros.query.relevancy import phrase_margins
from lerf_ros.query.request import Maximum
from lerf_ros.query.scene import Scene, ViewReader

Array = np.ndarray

# Maxima that are looked at again where a phrase has rivals, however few are asked for.
LOOKED_AT = 16
# Points of each about which keyframes are asked.
POINTS_OF_EACH = 128
# The scale at which a place was found and the next coarser one: a thing is told by what is around
# it, too, but windows many times as large show mostly that.
SCALES_OF_EACH = 2
# A scale says something of a place where this share of its points was trained at it.
LEAST_TRAINED = 0.3


def look_again(
    scene: Scene,
    views: ViewReader,
    phrase: Phrase,
    maxima: Sequence[Maximum],
    read: Callable[[Int[Array, ' k']], Float[Tensor, 'k s d']],
) -> list[Maximum]:
    """Returns the maxima in the order of how well the phrase names what is seen of them.

    A place is worth its log odds with all distractors as rivals, which at every point of a surface
    would be too many to compare (docs/experiments.md).

    Args:
        scene: The scene.
        views: Reads what keyframes show.
        phrase: The phrase.
        maxima: As the field found them; those on very few points stay the last ones.
        read: Reads embeddings of points.
    """
    among = replace(phrase, rivals=phrase.distractors)

    def worth(maximum: Maximum) -> tuple[bool, float]:
        points = maximum.point_indices
        if len(points) > POINTS_OF_EACH:
            points = points[np.linspace(0, len(points) - 1, POINTS_OF_EACH).astype(int)]
        found_at = int((scene.scales_m - maximum.scale_m).abs().argmin())
        counts = scene.trained[points].float().mean(dim=0) >= LEAST_TRAINED
        counts[found_at] = True
        scales = found_at + counts[found_at:].nonzero()[:SCALES_OF_EACH, 0]
        embeddings = seen_embeddings(scene, views, points, read(points), scales)[:, scales]
        trained = scene.trained[points][:, scales].to(embeddings)
        places = F.normalize(torch.einsum('ksd,ks->sd', embeddings, trained), dim=-1)
        return not maximum.sparse, float(phrase_margins(places @ among.compared.T, among).mean())

    return sorted(maxima, key=worth, reverse=True)


def seen_embeddings(
    scene: Scene,
    views: ViewReader,
    points: Int[Array, ' k'],
    embeddings: Float[Tensor, 'k s d'],
    scales: Int[Tensor, ' t'] | None = None,
) -> Float[Tensor, 'k s d']:
    """Returns the field's embeddings of points, averaged with what keyframes show of them.

    Args:
        scene: The scene.
        views: Reads what keyframes show.
        points: The points.
        embeddings: What the field says of them.
        scales: At which scales keyframes are asked; at those that were trained at any of the
            points if None. The others are left as they are.
    """
    if scales is None:
        scales = scene.trained[points].any(dim=0).nonzero()[:, 0]
    shown, known = views(scene.graph.surface, points, scene.scales_m[scales])
    scales, known = scales.to(embeddings.device), known.to(embeddings.device)
    own = embeddings[:, scales]
    both = F.normalize(own + shown.to(own), dim=-1)
    return embeddings.index_copy(1, scales, torch.where(known[..., None], both, own))
