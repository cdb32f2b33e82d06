"""Parts: 'mug; handle' is searched among the mug's own points (LERF-TOGO's idea).

Within one object every point is about as close to the object's name; what tells the part apart is
the cosine with its name alone. Negatives would only add their own noise: on development scenes
78 % of all parts were hit without, 69 % with them.

Parts are where the field is blurred most. The object's points are few enough to ask the keyframes
themselves what they show, and both are averaged: of 177 parts of twelve development scenes, half
of them in piles, 131 were hit by the field alone, 138 by the keyframes and 139 by both.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.spatial import cKDTree
from torch import Tensor

from lerf_ros.query.maxima import describe
from lerf_ros.query.phrase import Phrase, PhraseText
from lerf_ros.query.relevancy import relevancy
from lerf_ros.query.request import Maximum, QueryResult
from lerf_ros.query.scene import Scene
from lerf_ros.query.scene_graph import SceneGraph, reached_from
from lerf_ros.query.second_look import seen_embeddings

Array = np.ndarray

# Points of an answer about which keyframes are asked, place after place while they suffice: as
# many take a fifth of a second. A thing with parts has a few hundred.
MOST_POINTS = 1024

# Parts are thinner than objects: a mean over few neighbours keeps them.
NEIGHBOURS = 6
# Points belong to the part from this share of the peak's height above the object's median on.
PART_SHARE = 0.9


def find_part(
    graph: SceneGraph,
    obj: Maximum,
    cosines: Float[Array, 'k s'],
    scores: Float[Array, 'k s'],
    scales_m: Float[Array, ' s'],
) -> Maximum:
    """Returns the maximum of a part within an object.

    Args:
        graph: The surface.
        obj: The object.
        cosines: Cosine of the object's points at each scale with the part's name.
        scores: Their relevancy to it.
        scales_m: The scales.
    """
    positions = graph.surface.positions[obj.point_indices]
    count = min(NEIGHBOURS, len(positions))
    _, nearest = cKDTree(positions).query(positions, k=range(1, count + 1))
    smooth = cosines[nearest].mean(axis=1)
    # A part is small, the object around it may help to name it: every point at its best scale.
    best = smooth.max(axis=1)
    peak = int(best.argmax())
    base = float(np.median(best))
    members = np.flatnonzero(best >= base + PART_SHARE * (best[peak] - base))
    touching = graph.alike_among(obj.point_indices[members])
    members = members[reached_from(touching, int(np.searchsorted(members, peak)))]
    scale = int(smooth[members].mean(axis=0).argmax())
    return describe(
        graph, obj.point_indices[members], scores[members, scale], float(scales_m[scale])
    )


def answer_part(
    scene: Scene,
    part: Phrase,
    text: PhraseText,
    whole: QueryResult,
    read: Callable[[Int[Array, ' k']], Float[Tensor, 'k s d']],
) -> QueryResult:
    """Answers for a part, searched in each place of its object.

    Args:
        scene: The scene.
        part: The part's name among its negatives.
        text: The phrase as it was asked.
        whole: The answer for the object.
        read: Reads embeddings of points.
    """
    matrix = torch.cat([part.positives, part.negatives])
    scales_m = scene.scales_m.numpy()
    relevancies = np.zeros(len(scene.graph.surface), np.float32)
    maxima, left = [], MOST_POINTS
    for obj in whole.maxima:
        indices = obj.point_indices
        embeddings = read(indices)
        if scene.views is not None and len(indices) <= left:
            embeddings = seen_embeddings(scene, scene.views, indices, embeddings)
            left -= len(indices)
        raw = embeddings @ matrix.T
        trained = scene.trained[indices].to(raw.device)
        cosines = torch.where(trained, raw[..., 0], -1).cpu().numpy()
        part_scores = relevancy(raw, 1, part.temperature)
        scores = torch.where(trained, part_scores, 0).cpu().numpy()
        maxima.append(find_part(scene.graph, obj, cosines, scores, scales_m))
        relevancies[indices] = scores.max(axis=1)
    return replace(
        whole,
        phrase=text.text,
        maxima=tuple(maxima),
        relevancy=relevancies[: len(whole.relevancy)],
        object=whole,
        doubt=part.doubt or whole.doubt,
    )
