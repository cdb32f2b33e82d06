"""What happens when a step does not fit into the device's memory: it is made smaller."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable
from typing import TypeVar

import torch

from lerf_ros.config import TrainingOptions

T = TypeVar('T')

_log = logging.getLogger(__name__)

# A step of fewer rays would learn next to nothing.
LEAST_RAYS = 64


class DeviceMemoryError(RuntimeError):
    """A step ran out of memory, however small; what did not fit has moved no weight."""


class FittingSteps:
    """Runs steps as large as the options say, or, once one did not fit, as large as fits.

    Args:
        options: Sizes of a step.
        device: Where steps run.

    Attributes:
        share: Which part of the sizes fits, as far as is known.
    """

    def __init__(self, options: TrainingOptions, device: torch.device) -> None:
        self._options, self._device = options, device
        self.share = 1.0

    @property
    def options(self) -> TrainingOptions:
        """The options with sizes that fit, as far as is known."""
        options = self._options
        if self.share == 1:
            return options
        return dataclasses.replace(
            options,
            **{
                name: min(value, max(LEAST_RAYS, int(value * self.share)))
                for name in ('rays_per_step', 'language_rays_per_step', 'surface_points')
                for value in (getattr(options, name),)
            },
        )

    def configure(self, options: TrainingOptions) -> None:
        """Takes over options; what is known to fit stays."""
        self._options = options

    def run(self, step: Callable[[TrainingOptions], T], discard: Callable[[], None]) -> T:
        """Runs a step, again with half its size where memory runs out; other errors pass.

        Args:
            step: The step, given the options.
            discard: Forgets the gradients of what did not fit.

        Raises:
            DeviceMemoryError: Not even the smallest step fits.
        """
        while True:
            options = self.options
            try:
                return step(options)
            except (RuntimeError, MemoryError) as error:
                if not _is_out_of_memory(error):
                    raise
                discard()
                if options.rays_per_step <= LEAST_RAYS:
                    raise DeviceMemoryError(
                        f'out of memory on {self._device} in a step of {options.rays_per_step} '
                        'rays: lower field.table_log2, field.language_table_log2 or '
                        'training.store_device_mb'
                    ) from error
            # Outside of the handler: the error holds all that the step has made.
            self._shrink(options)

    def _shrink(self, options: TrainingOptions) -> None:
        self.share /= 2
        if self._device.type == 'cuda':
            torch.cuda.empty_cache()
        _log.warning(
            'out of memory on %s in a step of %d rays: from now on it is one of %d; lower '
            'training.rays_per_step or training.store_device_mb',
            self._device,
            options.rays_per_step,
            self.options.rays_per_step,
        )


def _is_out_of_memory(error: BaseException) -> bool:
    """Tells whether memory ran out; on the CPU torch only says so in words."""
    kinds = torch.OutOfMemoryError, MemoryError
    return isinstance(error, kinds) or "can't allocate memory" in str(error)
