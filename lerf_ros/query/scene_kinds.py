"""What a scene looks like to an encoder with a list of kinds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lerf_ros.features.encoder import KindEncoder, LanguageEncoder
from lerf_ros.surface.points import SurfacePoints

# Points whose embeddings say what a scene looks like.
SAMPLE_POINTS = 512
# Most kinds that a phrase is compared with. The places of a kitchen were closest to 138 of 1000.
RIVALS = 128

ReadPoints = Callable[[Int[np.ndarray, ' k']], Float[Tensor, 'k s d']]


@dataclass(frozen=True, eq=False)
class SceneKinds:
    """What a scene looks like.

    Attributes:
        common: Rows of the kinds that its places are closest to, the most frequent first.
        seen: Embeddings of some of its places.
    """

    common: Int[Tensor, ' c']
    seen: Float[Tensor, 'n d']

    @classmethod
    def of(
        cls, seen: Float[Tensor, 'n d'], kinds: Float[Tensor, 'm d'], limit: int = RIVALS
    ) -> SceneKinds:
        """Returns what a scene looks like that some embeddings are of.

        Args:
            seen: Embeddings of some of its places.
            kinds: Unit vector of each kind.
            limit: Most kinds.
        """
        seen = seen.to(kinds)
        closest = (seen @ kinds.T).argmax(dim=1)
        most = torch.bincount(closest, minlength=len(kinds)).topk(min(limit, len(kinds)))
        return cls(most.indices[most.values > 0], seen)


class SceneLook:
    """What the scene looks like, found anew when its surface has changed.

    Args:
        encoder: The encoder; to one without a list of kinds, a scene looks like nothing.
    """

    def __init__(self, encoder: LanguageEncoder) -> None:
        self._encoder = encoder
        self._known: tuple[SurfacePoints, SceneKinds] | None = None

    def of(
        self, surface: SurfacePoints, trained: Bool[Tensor, 'n s'], read: ReadPoints
    ) -> SceneKinds | None:
        """Returns what it looks like; None where the encoder has no list of kinds.

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
            self._known = surface, SceneKinds.of(seen, self._encoder.kinds)
        return self._known[1]
