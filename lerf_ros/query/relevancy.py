"""Relevancy: how much more a point looks like the phrase than like the negatives.

For a positive p and negatives n_i, METHOD of LERF, section 3.3:
``relevancy = min_i softmax(temperature * [cos(e, p), cos(e, n_i)])[0]``. It is 0.5 where the point
is as close to the phrase as to the closest negative.

The softmax of two is a logistic function of their difference, and it grows with it; so the
minimum belongs to the greatest negative cosine, and one logistic does. The readable form is the
twin of the fast one.

An encoder with a list of kinds knows what else there is. Its other kinds are rivals of the phrase:
the odds then are the geometric mean of those against the closest negative and of those against
the closest of negatives and rivals. With rivals as plain negatives, what the encoder mistakes for
another kind would be lost altogether; without, a place wins that looks even more like another.
"""

from __future__ import annotations

from functools import reduce
from typing import Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from lerf_ros.query.phrase import Phrase

# How much the next smaller and the next larger scale count beside one. In two maps of a kitchen
# the mean reciprocal rank of the true place of 13 words was .44 and .37 without, .51 and .43 with
# half, and .47 and .50 with a whole; further scales gained nothing.
SCALE_BLEND = 0.5


@runtime_checkable
class EmbeddingField(Protocol):
    """What relevancy needs of a field."""

    def language_features(self, positions_world: Float[Tensor, 'n 3']) -> Float[Tensor, 'n f']:
        """Returns what the language head reads at each position."""
        ...

    def embed(
        self, features: Float[Tensor, 'n f'], scale_m: Float[Tensor, ' n']
    ) -> Float[Tensor, 'n d']:
        """Returns the embedding, of any length, of each feature at a scale."""
        ...


def naive_relevancy(
    embeddings: Float[Tensor, '*n d'], phrase: Phrase, temperature: float
) -> Float[Tensor, '*n']:
    """Returns the relevancy, as the formula is written.

    Args:
        embeddings: Unit vectors.
        phrase: Positives, negatives and rivals; of several positives the closest counts.
        temperature: Factor of the cosines.
    """
    relevancies = []
    for positive in phrase.positives:
        pairs = []
        for negative in phrase.negatives:
            cosines = torch.stack([embeddings @ positive, embeddings @ negative], dim=-1)
            pairs.append(torch.softmax(temperature * cosines, dim=-1)[..., 0])
        least = torch.stack(pairs).min(dim=0).values
        for rival in phrase.rivals if phrase.rivals is not None else ():
            cosines = torch.stack([embeddings @ positive, embeddings @ rival], dim=-1)
            pairs.append(torch.softmax(temperature * cosines, dim=-1)[..., 0])
        least_of_all = torch.stack(pairs).min(dim=0).values
        odds = ((least / (1 - least)) * (least_of_all / (1 - least_of_all))).sqrt()
        relevancies.append(odds / (1 + odds))
    return torch.stack(relevancies).max(dim=0).values


def naive_scale_relevancy(
    field: EmbeddingField,
    positions_world: Float[Tensor, 'n 3'],
    scales_m: Float[Tensor, ' s'],
    phrase: Phrase,
    temperature: float,
) -> Float[Tensor, 'n s']:
    """Returns the relevancy of each point at each scale by one full pass a scale."""
    columns = []
    for scale_m in scales_m:
        features = field.language_features(positions_world)
        embeddings = field.embed(features, scale_m.expand(len(positions_world)))
        columns.append(naive_relevancy(F.normalize(embeddings, dim=-1), phrase, temperature))
    return torch.stack(columns, dim=1)


def margins(
    cosines: Float[Tensor, '*n k'], positives: int, temperature: float, rivals: int = 0
) -> Float[Tensor, '*n']:
    """Returns the log odds of relevancy from cosines with positives, negatives and rivals, in this
    order."""
    # One column at a time: a reduction over a short last axis costs far more.
    positive, negative = (
        reduce(torch.maximum, block.unbind(dim=-1))
        for block in cosines[..., : cosines.shape[-1] - rivals].tensor_split([positives], dim=-1)
    )
    if rivals:
        closest = torch.maximum(cosines[..., -rivals:].amax(dim=-1), negative)
        negative = (negative + closest) / 2
    return temperature * (positive - negative)


def relevancy(
    cosines: Float[Tensor, '*n k'], positives: int, temperature: float, rivals: int = 0
) -> Float[Tensor, '*n']:
    """Returns the relevancy from cosines with positives, negatives and rivals, in this order."""
    return torch.sigmoid(margins(cosines, positives, temperature, rivals))


def phrase_margins(cosines: Float[Tensor, '*n k'], phrase: Phrase) -> Float[Tensor, '*n']:
    """Returns the log odds of relevancy from cosines with all that a phrase is compared with."""
    return margins(cosines, len(phrase.positives), phrase.temperature, phrase.rival_count)


def phrase_relevancy(cosines: Float[Tensor, '*n k'], phrase: Phrase) -> Float[Tensor, '*n']:
    """Returns the relevancy from cosines with all that a phrase is compared with."""
    return torch.sigmoid(phrase_margins(cosines, phrase))


def scale_relevancy(
    cosines: Float[Tensor, 'n s k'], phrase: Phrase, trained: Bool[Tensor, 'n s']
) -> Float[Tensor, 'n s']:
    """Returns the relevancy of each point at each scale, 0 where it was not trained.

    Args:
        cosines: With all that the phrase is compared with.
        phrase: The phrase; the scales of one that has rivals are blended.
        trained: Which scales were trained at each point.
    """
    trained = trained.to(cosines.device)
    log_odds = phrase_margins(cosines, phrase)
    if phrase.rivals is not None:
        log_odds = blend_scales(log_odds, trained)
    return torch.where(trained, torch.sigmoid(log_odds), 0)


def blend_scales(
    log_odds: Float[Tensor, 'n s'], trained: Bool[Tensor, 'n s']
) -> Float[Tensor, 'n s']:
    """Returns log odds as means over a scale and its neighbours.

    A thing looks like itself at every scale about its size; what looks like it at one scale only
    is mostly chance, of which small windows have the most.

    Args:
        log_odds: Of each point at each scale.
        trained: Which scales were trained at each point; others do not count.
    """
    weights = trained.to(log_odds)
    total, count = log_odds * weights, weights.clone()
    for own, other in ((slice(1, None), slice(None, -1)), (slice(None, -1), slice(1, None))):
        share = SCALE_BLEND * weights[:, other]
        total[:, own] += share * log_odds[:, other]
        count[:, own] += share
    return total / count.clamp(min=1e-6)


def phrase_matrix(phrases: list[Phrase]) -> tuple[Float[Tensor, 'k d'], list[list[int]]]:
    """Stacks the embeddings of several phrases, each different one once.

    Returns:
        The stack, and for each phrase the rows of its positives, negatives and rivals.
    """
    rows: list[Tensor] = []
    row_of: dict[bytes, int] = {}
    phrase_rows = []
    for phrase in phrases:
        own = []
        for embedding in phrase.compared:
            name = embedding.cpu().numpy().tobytes()
            if name not in row_of:
                row_of[name] = len(rows)
                rows.append(embedding)
            own.append(row_of[name])
        phrase_rows.append(own)
    return torch.stack(rows), phrase_rows


def search_scales(minimum_m: float, maximum_m: float, count: int) -> Float[Tensor, ' s']:
    """Returns scales with the same ratio between neighbours, both bounds included."""
    if count == 1:
        return torch.tensor([(minimum_m * maximum_m) ** 0.5])
    ratio = maximum_m / minimum_m
    return minimum_m * ratio ** (torch.arange(count, dtype=torch.float32) / (count - 1))
