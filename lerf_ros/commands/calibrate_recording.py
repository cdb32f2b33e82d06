"""Evidence for `calibrate` from a recording of the user's own, with phrases that he labelled."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lerf_ros.config import LerfConfig
from lerf_ros.features.load import load_encoder
from lerf_ros.maps.submap import Submap
from lerf_ros.query.engine import QueryRequest
from lerf_ros.query.request import Evidence
from lerf_ros.sources.detection import SourceOptions, open_recording
from lerf_ros.training.device import resolve_device

# With fewer of each, a fit says more about the labels than about the encoder.
LEAST_LABELS = 5
# The map is asked so often while it grows: a young map answers less surely than an old one.
ROUNDS = 3


@dataclass(frozen=True)
class Labels:
    """Phrases of what a recording shows, and of what it does not."""

    present: tuple[str, ...]
    absent: tuple[str, ...]

    @classmethod
    def read(cls, path: Path) -> Labels:
        """Reads ``{"present": [phrase, ...], "absent": [phrase, ...]}``.

        Raises:
            ValueError: The file holds something else, or too few of them.
        """
        try:
            content = json.loads(path.read_text(encoding='utf-8'))
            lists = [content['present'], content['absent']]
            if not all(isinstance(text, str) for texts in lists for text in texts):
                raise ValueError('expected phrases')
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f'{path}: expected {{"present": [phrase, ...], "absent": [phrase, ...]}}, '
                f'got {error}'
            ) from error
        present, absent = (tuple(dict.fromkeys(texts)) for texts in lists)
        if min(len(present), len(absent)) < LEAST_LABELS:
            raise ValueError(
                f'{path}: expected at least {LEAST_LABELS} phrases present and as many absent, '
                f'got {len(present)} and {len(absent)}'
            )
        both = set(present) & set(absent)
        if both:
            raise ValueError(f'{path}: expected a phrase in one list, got both for {sorted(both)}')
        return cls(present, absent)


def gather_recording(
    folder: Path,
    labels: Labels,
    config: LerfConfig,
    *,
    keyframes: int,
    steps_each: int,
    colour_focal_px: float | None = None,
) -> tuple[str, list[tuple[bool, Evidence]]]:
    """Maps a recording and asks for what is labelled; returns the fingerprint and the evidence.

    Args:
        folder: The recording, of any kind, with depth.
        labels: What to ask.
        config: All options; those of the map that will be asked.
        keyframes: Frames taken in, spread evenly over the recording.
        steps_each: Training steps after each.
        colour_focal_px: Focal length of colour that is not registered to the depth.

    Raises:
        ValueError: The recording cannot be read.
    """
    frames = open_recording(folder, SourceOptions(colour_focal_px=colour_focal_px))
    encoder = load_encoder(config.features, resolve_device(config.training.device))
    live_map = Submap(config, encoder)
    chosen = np.linspace(0, len(frames) - 1, min(keyframes, len(frames))).round().astype(int)
    rounds = set(np.linspace(0, len(chosen), ROUNDS + 1).round().astype(int)[1:].tolist())
    samples: list[tuple[bool, Evidence]] = []
    asked = [(True, text) for text in labels.present] + [(False, text) for text in labels.absent]
    for number, index in enumerate(chosen.tolist(), 1):
        live_map.ingest(frames[index])
        for _ in range(steps_each):
            live_map.step()
        if number in rounds and live_map.ready():
            for there, text in asked:
                (result,) = live_map.query(QueryRequest((text,), with_points=False))
                if result.evidence is not None:
                    samples.append((there, result.evidence))
            sys.stderr.write(f'{number} of {len(chosen)} keyframes, {len(samples)} answers\n')
    return encoder.fingerprint, samples
