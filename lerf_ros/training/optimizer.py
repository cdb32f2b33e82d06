"""How gradients become new weights."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch._dynamo  # the first optimiser imports it: seconds that the first keyframe would wait
from jaxtyping import Bool, Float
from torch import Tensor, nn

from lerf_ros.config import TrainingOptions
from lerf_ros.field.encoding import HashGrid
from lerf_ros.field.encoding.cpu import TableAdam
from lerf_ros.training.native_adam import native_adam_step, suits_native_adam

_BETAS = (0.9, 0.99)
_EPSILON = 1e-15


class FieldOptimizer:
    """Adam with a learning rate for hash grids and one for networks, both falling to a floor.

    Native hash grids are moved by :class:`TableAdam`, and the networks beside them in C++, too;
    all else by torch's fused Adam.

    Args:
        field: The field, or the part of it that is moved.
        options: Learning rates.
        half_steps: Steps in which the rates halve; those of the options if None.
    """

    def __init__(
        self, field: nn.Module, options: TrainingOptions, half_steps: int | None = None
    ) -> None:
        self._options = options
        self._half_steps = half_steps or options.learning_rate_half_steps
        self._native: TableAdam | None = None
        grids = [module for module in field.modules() if isinstance(module, HashGrid)]
        native = [grid for grid in grids if grid.backend == 'native']
        if native:
            self._native = TableAdam(
                [(grid.table, grid.layout) for grid in native], _BETAS, _EPSILON
            )
        self._native_grids = native
        self.listen()
        tables = {id(grid.table) for grid in grids}
        self._networks = [p for p in field.parameters() if id(p) not in tables]
        self._names = {id(p): name for name, p in field.named_parameters()}
        groups = [{'params': self._networks, 'first_lr': options.network_learning_rate}]
        dense = [grid.table for grid in grids if grid.backend != 'native']
        if dense:
            groups.append({'params': dense, 'first_lr': options.learning_rate})
        self._adam = torch.optim.Adam(groups, betas=_BETAS, eps=_EPSILON, fused=True)
        # Both native or none: a step is over when both have moved.
        self._native_adam = self._native is not None and suits_native_adam(self._adam)
        device = self._networks[0].device.type
        self.autocast_dtype = _autocast_dtype(options.precision, device)
        # Gradients in half precision vanish unless the loss is scaled up.
        half = self.autocast_dtype == torch.float16
        self._scaler = torch.amp.GradScaler(device, enabled=half)
        self._checked = False  # whether the scaler has looked at the gradients of this step

    def listen(self) -> None:
        """Makes the gradients of native hash grids come here, and not to another optimiser."""
        if self._native is not None:
            for grid, sink in zip(self._native_grids, self._native.sinks, strict=True):
                grid.send_gradients_to(sink)

    def decay(self, step: int) -> float:
        """Returns the share of the first learning rates that applies at a step.

        It halves every so many steps down to a floor: the stream of keyframes has no end.
        """
        options = self._options
        return max(options.learning_rate_floor, 0.5 ** (step / self._half_steps))

    def backward(self, loss: Float[Tensor, '']) -> Bool[Tensor, '']:
        """Computes the gradients; returns whether they and the loss are finite.

        The answer stays on the device. In full precision the networks' gradients are enough to
        look at: NaN in a table comes through them. Half precision may overflow behind them.
        """
        self.propagate(loss)
        return self.unscale(loss)

    def propagate(self, loss: Float[Tensor, '']) -> None:
        """Computes the gradients of the loss, scaled up where half precision needs it."""
        self._scaler.scale(loss).backward()

    def unscale(self, loss: Float[Tensor, '']) -> Bool[Tensor, '']:
        """Scales the gradients back; returns whether they and the loss are finite."""
        self._scaler.unscale_(self._adam)
        self._checked = self._scaler.is_enabled()
        return self.all_finite(loss)

    def all_finite(self, loss: Float[Tensor, '']) -> Bool[Tensor, '']:
        """Tells whether a loss and the gradients as they are, not scaled, are finite."""
        groups = self._adam.param_groups if self._checked else [{'params': self._networks}]
        gradients = [p.grad for group in groups for p in group['params'] if p.grad is not None]
        numbers = torch.stack([loss.detach().float(), *torch._foreach_norm(gradients)])
        return torch.isfinite(numbers).all()

    def step(self, step: int, finite: Bool[Tensor, '']) -> None:
        """Moves the weights, if all is finite, and forgets the gradients.

        Args:
            step: Number of training steps so far.
            finite: What :meth:`backward` returned.
        """
        # Native tables live on the CPU, where it costs nothing to look. A GPU finds out by itself:
        # the fused kernel moves nothing where `found_inf` is 1.
        if self._native is not None and not bool(finite):
            self.discard()
            return
        decay = self.decay(step)
        for group in self._adam.param_groups:
            group['lr'] = group['first_lr'] * decay
        if self._native_adam:
            native_adam_step(self._adam)
        else:
            self._adam.found_inf = 1 - finite.float()  # type: ignore[attr-defined]
            self._adam.step()
        self._update_scale()
        if self._native is not None:
            self._native.step(self._options.learning_rate * decay)
        self._forget_gradients()

    def discard(self) -> None:
        """Forgets the gradients, and scales the next loss less where they overflowed."""
        self._forget_gradients()
        if self._native is not None:
            self._native.discard()
        self._update_scale()

    def _forget_gradients(self) -> None:
        """Does what torch's `zero_grad` does, which takes longer to note that it does it."""
        for group in self._adam.param_groups:
            for parameter in group['params']:
                parameter.grad = None

    def state_dict(self) -> dict[str, Tensor]:
        """Returns both moments of each parameter that has moved, and how often it did.

        The names do not depend on which implementation moved it.
        """
        state = {}
        moments = [
            (parameter, values['exp_avg'], values['exp_avg_sq'], values['step'])
            for parameter, values in self._adam.state.items()
        ]
        if self._native is not None:
            count = float(self._native.steps)
            moments += [(*rows, torch.tensor(count)) for rows in self._native.moments()]
        for parameter, first, second, steps in moments:
            name = self._names[id(parameter)]
            state[f'{name}.first'], state[f'{name}.second'] = first, second
            state[f'{name}.steps'] = steps
        return state

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Takes over moments; parameters that are not named start afresh.

        Raises:
            ValueError: They are of another size, or not finite.
        """
        native = {}
        if self._native is not None:
            native = {id(rows[0]): rows[1:] for rows in self._native.moments()}
        for group in (
            *self._adam.param_groups,
            {'params': [grid.table for grid in self._native_grids]},
        ):
            for parameter in group['params']:
                name = self._names[id(parameter)]
                if f'{name}.first' not in state:
                    continue
                first, second = state[f'{name}.first'], state[f'{name}.second']
                if not first.shape == second.shape == parameter.shape:
                    raise ValueError(
                        f'optimizer: expected moments of {name} of shape '
                        f'{tuple(parameter.shape)}, got {tuple(first.shape)}'
                    )
                if not bool(torch.isfinite(first).all() & torch.isfinite(second).all()):
                    raise ValueError(f'optimizer: the moments of {name} are not finite')
                steps = state[f'{name}.steps']
                if id(parameter) in native:
                    for mine, saved in zip(native[id(parameter)], (first, second), strict=True):
                        mine.copy_(saved)
                    assert self._native is not None
                    self._native.steps = int(steps)
                else:
                    self._adam.state[parameter] = {
                        'step': steps.to(parameter.device, torch.float32).clone(),
                        'exp_avg': first.to(parameter),
                        'exp_avg_sq': second.to(parameter),
                    }

    def _update_scale(self) -> None:
        """Takes in what the scaler saw; of a backward pass that did not end it saw nothing."""
        if self._checked:
            self._scaler.update()
        self._checked = False


def _autocast_dtype(precision: str, device: str) -> torch.dtype | None:
    """Returns the precision of the networks, None for float32.

    Raises:
        ValueError: Half precision was asked for on a device that has none.
    """
    if precision == 'auto':
        precision = 'float16' if device == 'cuda' else 'float32'
    if precision == 'float16' and device != 'cuda':
        raise ValueError(f'training.precision: float16 needs CUDA, the device is {device}')
    return None if precision == 'float32' else getattr(torch, precision)
