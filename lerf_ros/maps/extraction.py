"""What turns a frame into features; all submaps of an atlas share one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from lerf_ros.config import LerfConfig
from lerf_ros.features.dense import load_dense_extractor
from lerf_ros.features.encoder import LanguageEncoder
from lerf_ros.features.load import load_encoder
from lerf_ros.features.pyramid import FeaturePyramid, PyramidBuilder, PyramidLevel
from lerf_ros.frames import PosedFrame
from lerf_ros.training.device import resolve_device

if TYPE_CHECKING:
    from lerf_ros.features.dense import FeatureMap


@dataclass(frozen=True, eq=False)
class FrameFeatures:
    """The features of one frame."""

    pyramid: FeaturePyramid
    dense: FeatureMap | None


class Extraction:
    """The language encoder and the dense extractor of a configuration.

    Args:
        config: All options.
        encoder: The language encoder; loaded as the options say if None.

    Raises:
        ValueError: An option names an unknown encoder or device.
        FileNotFoundError: Weights are missing; the message says which and where they belong.

    Attributes:
        device: Where features are made and maps are trained.
        encoder: The language encoder.
        dense_size: Size of a dense feature, 0 for none.
    """

    def __init__(self, config: LerfConfig, encoder: LanguageEncoder | None = None) -> None:
        self.device: torch.device = resolve_device(config.training.device)
        self.encoder = encoder or load_encoder(config.features, self.device)
        self._pyramids = PyramidBuilder(self.encoder, config.features, self.device)
        self._dense = load_dense_extractor(config.features, self.encoder, self.device)
        self.dense_size = self._dense.size if self._dense else 0

    def jobs(self, frame: PosedFrame, done: Callable[[FrameFeatures], Any]) -> list[Callable]:
        """Cuts the work on one frame into short jobs, one a pyramid level and one for the rest.

        Args:
            frame: The frame.
            done: Called by the last job; what it returns is returned by that job.
        """
        levels: list[PyramidLevel] = []
        image = frame.shown()

        def encode_level(level: int) -> None:
            levels.append(self._pyramids.encode_level(image, level))

        def rest() -> Any:
            dense = self._dense.extract(image) if self._dense else None
            pyramid = FeaturePyramid(
                frame.camera.width, frame.camera.height, tuple(reversed(levels))
            )
            return done(FrameFeatures(pyramid, dense))

        # From the coarsest on: with a budget of tiles, a finer level leans on the one before.
        encode: list[Callable] = [
            lambda level=level: encode_level(level)
            for level in reversed(range(self._pyramids.level_count))
        ]
        return [*encode, rest]
