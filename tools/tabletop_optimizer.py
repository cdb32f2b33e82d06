"""Descent for convolutions that are followed by a normalisation.

The scale of such weights does not matter, only their direction does. Each step moves them by a
share of their norm along the orthogonalised momentum of the gradient ("Muon", Jordan et al. 2024),
which needs far fewer steps than a rule that treats every weight by itself.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def orthogonalised(matrix: Tensor, iterations: int = 4) -> Tensor:
    """Returns a matrix of the same singular vectors whose singular values are all near 1.

    Newton and Schulz's iteration with the quintic whose coefficients rise steepest at 0.
    """
    x = matrix / (matrix.norm() + 1e-7)
    flipped = x.shape[0] > x.shape[1]
    if flipped:
        x = x.T
    for _ in range(iterations):
        square = x @ x.T
        x = 3.4445 * x + (-4.7750 * square + 2.0315 * square @ square) @ x
    return x.T if flipped else x


class OrthogonalDescent(torch.optim.Optimizer):
    """Steps of fixed relative length along orthogonalised momentum.

    Args:
        parameters: Weights of convolutions, output channels first.
        lr: Length of a step as a share of the weights' norm.
        momentum: Share of the former steps that is kept.
    """

    def __init__(self, parameters: Sequence[Tensor], lr: float, momentum: float = 0.8) -> None:
        super().__init__(parameters, {'lr': lr, 'momentum': momentum})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Moves every weight once."""
        for group in self.param_groups:
            for weight in group['params']:
                state = self.state[weight]
                if not state:
                    state['momentum'] = torch.zeros_like(weight)
                state['momentum'].mul_(group['momentum']).add_(weight.grad)
                ahead = weight.grad + group['momentum'] * state['momentum']
                direction = orthogonalised(ahead.reshape(len(weight), -1)).view_as(weight)
                weight.mul_(len(weight) ** 0.5 / weight.norm())
                weight.add_(direction, alpha=-group['lr'])
