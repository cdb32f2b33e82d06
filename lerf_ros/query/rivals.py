"""Rivals: which of an encoder's kinds a scene looks like, whatever is there.

Compared with all kinds at every point, a phrase would cost a thousand times as much. A scene looks
like few of them, and those are the ones that a phrase can be mistaken for.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lerf_ros.features.encoder import KindEncoder, LanguageEncoder
from lerf_ros.surface.points import SurfacePoints

# Points whose embeddings say which kinds a scene looks like.
SAMPLE_POINTS = 512
# Most kinds that a phrase is compared with. The places of a kitchen were closest to 138 of 1000.
RIVALS = 128

ReadPoints = Callable[[Int[np.ndarray, ' k']], Float[Tensor, 'k s d']]


def common_kinds(
    embeddings: Float[Tensor, 'n d'], kinds: Float[Tensor, 'm d'], limit: int = RIVALS
) -> Int[Tensor, ' c']:
    """Returns which kinds some embeddings are closest to, the most frequent first."""
    closest = (embeddings.to(kinds) @ kinds.T).argmax(dim=1)
    most = torch.bincount(closest, minlength=len(kinds)).topk(min(limit, len(kinds)))
    return most.indices[most.values > 0]


class CommonKinds:
    """The kinds that a scene looks like, found anew when its surface has changed.

    Args:
        encoder: The encoder; of one without a list of kinds, nothing is common.
    """

    def __init__(self, encoder: LanguageEncoder) -> None:
        self._encoder = encoder
        self._known: tuple[SurfacePoints, Int[Tensor, ' c']] | None = None

    def of(
        self, surface: SurfacePoints, trained: Bool[Tensor, 'n s'], read: ReadPoints
    ) -> Int[Tensor, ' c'] | None:
        """Returns the rows of the kinds; None where the encoder has no list of them.

        Args:
            surface: The surface.
            trained: Which scales were trained at each point.
            read: Reads embeddings of points at every scale.
        """
        if not isinstance(self._encoder, KindEncoder):
            return None
        if self._known is None or self._known[0] is not surface:
            some = np.unique(np.linspace(0, len(surface) - 1, SAMPLE_POINTS).astype(int))
            embeddings = read(some)
            seen = embeddings[trained[some].to(embeddings.device)]
            self._known = surface, common_kinds(seen, self._encoder.kinds)
        return self._known[1]
