"""A step of torch's Adam in C++: the networks of a field are small, and most of a step is Python.

The optimiser stays torch's: its groups and its state are read and written as it does itself. Its
own step is the readable twin.
"""

from __future__ import annotations

import ctypes

import torch

from lerf_ros.field.native import load_library, pointer
from lerf_ros.field.network import native_is_fast


def suits_native_adam(optimizer: torch.optim.Adam) -> bool:
    """Tells whether all that an optimiser moves is on the CPU and in float32."""
    parameters = [p for group in optimizer.param_groups for p in group['params']]
    return (
        all(p.device.type == 'cpu' and p.dtype == torch.float32 for p in parameters)
        and native_is_fast()
    )


@torch.no_grad()
def native_adam_step(optimizer: torch.optim.Adam) -> None:
    """Moves the parameters that have gradients.

    Args:
        optimizer: One without weight decay and other variants, see :func:`suits_native_adam`.
    """
    move = load_library('network').lerf_adam
    for group in optimizer.param_groups:
        numbers = (ctypes.c_double(x) for x in (group['lr'], *group['betas'], group['eps']))
        options = tuple(numbers)
        for parameter in group['params']:
            if parameter.grad is None:
                continue
            state = optimizer.state[parameter]
            if not state:
                state['step'] = torch.zeros(())
                state['exp_avg'] = torch.zeros_like(parameter)
                state['exp_avg_sq'] = torch.zeros_like(parameter)
            state['step'] += 1
            gradient = parameter.grad.contiguous()
            tensors = parameter, gradient, state['exp_avg'], state['exp_avg_sq']
            move(
                *map(pointer, tensors),
                ctypes.c_int64(parameter.numel()),
                ctypes.c_int64(int(state['step'])),
                *options,
            )
