"""What the demo shows the robot: a simulated table whose truth is known, or a recording."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from lerf_ros.frames import PosedFrame
from lerf_ros.geometry import look_at
from lerf_ros.simulation import TabletopOptions, TabletopScene, absent_phrases
from lerf_ros.sources.detection import open_recording

# Phrases for a recording, about which the demo knows nothing.
RECORDING_PHRASES = ('mug', 'white mug', 'red box', 'chair')


@dataclass(frozen=True, eq=False)
class Question:
    """A phrase, and what is known of its answer.

    Attributes:
        phrase: What is asked.
        position_m: True place in the world; None if unknown or absent.
        absent: Whether there is no such thing.
    """

    phrase: str
    position_m: Float[np.ndarray, '3'] | None = None
    absent: bool = False


@dataclass(frozen=True)
class Verdict:
    """One answer beside the truth; metres in the world frame.

    Attributes:
        phrase: What was asked.
        found: The best maximum.
        true: Where it is, where that is known.
        error_m: Distance between the two.
        relevancy: Of the best maximum.
        confidence: Whether there is such a thing at all, 0 to 1.
        right: Whether the answer is right; None where the truth is not known.
        step: Training step of the answer.
        seconds: Time since the first keyframe.
    """

    phrase: str
    found: list[float] | None
    true: list[float] | None
    error_m: float | None
    relevancy: float
    confidence: float
    right: bool | None
    step: int
    seconds: float


@runtime_checkable
class World(Protocol):
    """What the demo needs to know of what the camera sees."""

    @property
    def questions(self) -> Sequence[Question]:
        """What is asked."""
        ...

    @property
    def player_parameters(self) -> dict[str, object]:
        """Parameters of the player node that shows it."""
        ...

    @property
    def world_frame(self) -> str:
        """The TF frame in which the poses are."""
        ...

    def views(self, count: int) -> list[PosedFrame]:
        """Returns frames spread over what was streamed, with depth."""
        ...


class TableWorld:
    """The simulated table.

    Args:
        seed: Seed of the scene.
        count: How many present phrases; there are a third as many absent ones.
        rate_hz: Frames a second.
    """

    world_frame = 'map'

    def __init__(self, seed: int, count: int, rate_hz: float) -> None:
        self.player_parameters: dict[str, object] = {
            'source': 'tabletop',
            'seed': seed,
            'rate_hz': rate_hz,
        }
        with TabletopScene(seed=seed, options=TabletopOptions()) as scene:
            present = [
                Question(thing.name, thing.surface_centre_world) for thing in scene.objects[:count]
            ]
            pairs = [(thing.colour, thing.category) for thing in scene.objects]
            eye = look_at(np.array([0.55, -0.5, 0.55]), np.zeros(3))
            eyes = [eye, look_at(np.array([-0.6, -0.3, 0.5]), np.zeros(3))]
            self._views = []
            for camera_to_world in eyes:
                view = scene.render(camera_to_world)
                self._views.append(
                    PosedFrame(view.image, view.depth, scene.camera, camera_to_world, 0)
                )
        absent = absent_phrases(pairs, max(1, count // 3), np.random.default_rng(seed))
        self.questions = [*present, *(Question(phrase.text, absent=True) for phrase in absent)]

    def views(self, count: int) -> list[PosedFrame]:
        """Returns views of the table without sensor noise."""
        return self._views[:count]


class RecordedWorld:
    """A recording; nothing is known of what it shows but its depth.

    Args:
        folder: The recording, of any kind.
        rate_hz: Frames a second.
    """

    world_frame = 'map'

    def __init__(self, folder: Path, rate_hz: float) -> None:
        self._frames = open_recording(folder)
        self.questions = [Question(phrase) for phrase in RECORDING_PHRASES]
        self.player_parameters: dict[str, object] = {
            'source': str(folder.resolve()),
            'rate_hz': rate_hz,
        }

    def views(self, count: int) -> list[PosedFrame]:
        """Returns frames spread evenly over the recording."""
        indices = np.linspace(0, len(self._frames) - 1, count + 2).round().astype(int)[1:-1]
        return [self._frames[int(index)] for index in indices]
