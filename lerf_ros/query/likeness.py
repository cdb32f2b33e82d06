"""What is it? Texts compared with one place of the surface."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float

from lerf_ros.config import FeatureOptions, QueryOptions
from lerf_ros.features.encoder import LanguageEncoder, NamingEncoder
from lerf_ros.query.distractors import NOUNS
from lerf_ros.query.phrase import parse_phrase
from lerf_ros.query.reading import read_embeddings
from lerf_ros.query.relevancy import EmbeddingField
from lerf_ros.query.scales import ScaleSearch
from lerf_ros.surface.points import SurfacePoints

MAX_TEXTS = 256


@dataclass(frozen=True)
class Likeness:
    """How texts fit a place, best first.

    Attributes:
        texts: The texts.
        shares: Softmax of their cosines, times the encoder's temperature; they sum to 1.
        scale_m: The scale at which the best text fits best.
    """

    texts: tuple[str, ...]
    shares: tuple[float, ...]
    scale_m: float


def familiar_texts(encoder: LanguageEncoder) -> tuple[str, ...]:
    """Returns what to compare a place with where nobody says.

    These are the names that an encoder was taught, where it says which, else household things.
    """
    return encoder.things if isinstance(encoder, NamingEncoder) else NOUNS


@torch.no_grad()
def likeness(
    position_m: Float[np.ndarray, '3'],
    texts: Sequence[str],
    *,
    encoder: LanguageEncoder,
    field: EmbeddingField,
    points: SurfacePoints,
    options: QueryOptions,
    features: FeatureOptions,
) -> Likeness:
    """Compares texts with a place, at the scales that were trained at the surface there.

    Args:
        position_m: The place, world frame.
        texts: At least one.
        encoder: Embeds them.
        field: The field to read.
        points: The surface.
        options: Bounds of the scales.
        features: Tile sizes the map was trained with.

    Raises:
        ValueError: There is no text or no surface, there are too many texts, or one holds no word.
    """
    if not 1 <= len(texts) <= MAX_TEXTS:
        raise ValueError(f'texts: expected 1 to {MAX_TEXTS} to compare with, got {len(texts)}')
    for text in texts:
        parse_phrase(text, 'texts')
    if len(points) == 0:
        raise ValueError('the map has no surface yet: there is nothing to compare')
    nearest = int(((points.positions - position_m) ** 2).sum(axis=1).argmin())
    search = ScaleSearch(options, features)
    scales_m = search.active_m(points)
    trained = search.trained(points, scales_m)[nearest]
    words = encoder.encode_texts(list(texts))
    place = torch.from_numpy(points.positions[nearest : nearest + 1]).to(words.device)
    cosines = read_embeddings(field, place, scales_m)[0] @ words.T
    cosines = cosines[torch.from_numpy(trained).to(words.device)]
    row = int(cosines.amax(dim=1).argmax())
    shares = torch.softmax(encoder.temperature * cosines[row], dim=0).cpu().numpy()
    order = np.argsort(-shares, kind='stable')
    return Likeness(
        tuple(texts[index] for index in order),
        tuple(float(shares[index]) for index in order),
        float(scales_m.numpy()[trained][row]),
    )
