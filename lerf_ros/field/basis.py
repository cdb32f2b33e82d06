"""A low-dimensional orthonormal basis of a scene's language embeddings.

The embeddings of one scene fill few of an encoder's dimensions. The head then predicts
coefficients ``c`` and the embedding is ``B c``. For unit embeddings ``e`` and ``f`` with residuals
``r(e) = |e - B B^T e|``, the basis changes their cosine by at most ``r(e) r(f)``, and that of
``e`` with any text by at most ``r(e)``.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn


class BasisLinear(nn.Module):
    """A linear layer whose outputs lie in the span of a basis that may grow.

    It reads like an ``nn.Linear`` of full size: ``weight`` and ``bias`` are products. Columns of
    the basis that are not in use are zero.

    Args:
        inputs: Number of inputs.
        outputs: Size d of an embedding.
        rank: Largest number of directions.
    """

    def __init__(self, inputs: int, outputs: int, rank: int) -> None:
        super().__init__()
        self.coefficients = nn.Linear(inputs, rank)
        self.basis: Tensor
        self.used: Tensor
        self.register_buffer('basis', torch.zeros(outputs, rank))
        self.register_buffer('used', torch.zeros((), dtype=torch.long))

    @property
    def rank(self) -> int:
        """Largest number of directions."""
        return self.basis.shape[1]

    @property
    def weight(self) -> Float[Tensor, 'd inputs']:
        """The weight of the equal linear layer."""
        return self.basis @ self.coefficients.weight

    @property
    def bias(self) -> Float[Tensor, ' d']:
        """The bias of the equal linear layer."""
        return self.basis @ self.coefficients.bias

    def forward(self, x: Float[Tensor, 'n inputs']) -> Float[Tensor, 'n d']:
        """Returns embeddings, not of unit length."""
        return self.coefficients(x) @ self.basis.T

    def residuals(self, embeddings: Float[Tensor, 'n d']) -> Float[Tensor, ' n']:
        """Returns how much of each unit embedding lies outside the span, in [0, 1]."""
        inside = (embeddings @ self.basis).square().sum(dim=-1)
        return (1 - inside).clamp(min=0).sqrt()

    @torch.no_grad()
    def extend(self, embeddings: Float[Tensor, 'n d'], tolerance: float) -> bool:
        """Adds the directions that embeddings need; nothing learnt is forgotten.

        While there is room, new directions stand beside the old ones and start with coefficients
        of zero, so that every answer stays exactly as it was. When there is none, the least used
        old directions give way: the old weights count as if each were an embedding.

        Args:
            embeddings: Unit embeddings that were not fitted yet.
            tolerance: Residual that no embedding may exceed, as long as there is room. (Not most:
                a small object fills few tiles.)

        Returns:
            Whether the basis changed.
        """
        used = first = int(self.used)
        outside = embeddings - (embeddings @ self.basis) @ self.basis.T
        residuals = outside.norm(dim=-1)
        # Gram and Schmidt's method, each time with the embedding that fits worst.
        while float(residuals.max()) > tolerance:
            if used == self.rank:
                self._refit(embeddings)
                return True
            direction = outside[residuals.argmax()]
            direction = direction - self.basis @ (self.basis.T @ direction)
            direction = direction / direction.norm()
            self.basis[:, used] = direction
            if first:
                self.coefficients.weight[used] = 0
                self.coefficients.bias[used] = 0
            used += 1
            self.used.fill_(used)
            outside = outside - (outside @ direction)[:, None] * direction
            residuals = outside.norm(dim=-1)
        return used > first

    def _refit(self, embeddings: Float[Tensor, 'n d']) -> None:
        """Replaces the basis by the best one for old directions and new embeddings together."""
        weight, bias = self.weight, self.bias
        old = torch.cat([weight, bias[:, None]], dim=1).T  # (inputs + 1, d)
        old = torch.nn.functional.normalize(old, dim=-1) * (len(embeddings) / len(old)) ** 0.5
        both = torch.cat([old, embeddings]) if int(self.used) else embeddings
        _, _, directions = torch.linalg.svd(both, full_matrices=False)
        count = min(self.rank, len(directions))
        basis = torch.zeros_like(self.basis)
        basis[:, :count] = directions[:count].T
        if int(self.used):
            self.coefficients.weight.copy_(basis.T @ weight)
            self.coefficients.bias.copy_(basis.T @ bias)
        self.basis.copy_(basis)
        self.used.fill_(count)
