"""What happens when a step does not fit into the device's memory."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import torch


class DeviceMemoryError(RuntimeError):
    """A step ran out of memory; what did not fit has moved no weight."""


@contextlib.contextmanager
def memory_guard(
    device: torch.device, rays_per_step: int, discard: Callable[[], None]
) -> Iterator[None]:
    """Turns lack of memory into an error that says what to lower; other errors pass.

    Args:
        device: Where the step runs.
        rays_per_step: Rays of the step, for the message.
        discard: Forgets the gradients of what did not fit.

    Raises:
        DeviceMemoryError: The memory is too small.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not _is_out_of_memory(error):
            raise
        discard()
        raise DeviceMemoryError(
            f'out of memory on {device} in a step of {rays_per_step} rays: lower '
            'training.rays_per_step, field.table_log2 or training.store_device_mb'
        ) from error


def _is_out_of_memory(error: BaseException) -> bool:
    """Tells whether memory ran out; on the CPU torch only says so in words."""
    kinds = torch.OutOfMemoryError, MemoryError
    return isinstance(error, kinds) or "can't allocate memory" in str(error)
