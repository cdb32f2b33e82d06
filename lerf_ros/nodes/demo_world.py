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
from lerf_ros.nodes.demo_truth import BoxTruth
from lerf_ros.query.request import Exemplar
from lerf_ros.simulation import TabletopOptions, TabletopScene, absent_phrases
from lerf_ros.sources.detection import SourceOptions, open_recording
from lerf_ros.sources.rgbd import RgbdFolder
from lerf_ros.sources.sequence import FrameSequence, FrameStream

# Frames a second of a camera, unless it is known to have been slower.
RATE_HZ = 10.0
# Phrases for a recording, about which the demo knows nothing.
RECORDING_PHRASES = ('mug', 'chair', 'book', 'television')
# A Kinect of the first kind, whose colour is not registered to its depth.
SEVEN_SCENES_COLOUR_PX = 525.0
# What the map of a room needs that the map of a table does not: docs/encoders.md.
ROOM_OPTIONS: dict[str, object] = {
    'features.encoder': 'photo',
    'query.max_range_m': 4.0,
    'query.min_maximum_views': 4,
    'query.voxel_m': 0.03,
    'query.min_scale_m': 0.08,
    'query.max_scale_m': 1.0,
    'query.scales': 6,
    'training.rays_per_step': 256,
    'training.surface_points': 1024,
    'training.surface_updates': 8,
    'training.surface_half_steps': 1000,
}
# Fewer keyframes leave more time to learn from each: one costs a third of a second of one core.
ROOM_KEYFRAMES: dict[str, object] = {
    'keyframes.min_translation_m': 0.08,
    'keyframes.min_rotation_deg': 6.0,
    # The player is on this machine and repeats what is lost: without that, many pictures had no
    # depth while both cores were busy.
    'node.image_reliability': 'reliable',
    # So it does with poses: with three a second, a lost one had its picture off by 2 to 15 cm.
    'node.pose_reliability': 'reliable',
}


@dataclass(frozen=True, eq=False)
class Question:
    """A phrase or a picture, and what is known of its answer.

    Attributes:
        phrase: What is asked, or how the picture is called.
        position_m: True place in the world; None if unknown or absent.
        absent: Whether there is no such thing.
        exemplar: The picture; None for words.
        name: Name of its boxes in `truth`.
        truth: Boxes that say where it is, in place of one position.
    """

    phrase: str
    position_m: Float[np.ndarray, '3'] | None = None
    absent: bool = False
    exemplar: Exemplar | None = None
    name: str = ''
    truth: BoxTruth | None = None

    @property
    def kind(self) -> str:
        """'word', 'picture' or 'absent'."""
        if self.absent:
            return 'absent'
        return 'word' if self.exemplar is None else 'picture'

    @property
    def judged(self) -> bool:
        """Whether it is known where the thing is."""
        return self.position_m is not None or self.truth is not None


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
        kind: 'word', 'picture' or 'absent'.
        doubt: Why the encoder may not know what was asked; empty where it does.
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
    kind: str = 'word'
    doubt: str = ''


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
    def map_parameters(self) -> dict[str, object]:
        """Options of the map that suit it."""
        ...

    @property
    def keyframe_parameters(self) -> dict[str, object]:
        """Options of the keyframe node that suit it."""
        ...

    @property
    def seconds(self) -> float:
        """How long it takes to learn it, from the first keyframe on."""
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
        rate_hz: Frames a second; None for `RATE_HZ`.
    """

    world_frame = 'map'
    seconds = 60.0
    map_parameters: dict[str, object] = {}  # noqa: RUF012 -- read only
    keyframe_parameters: dict[str, object] = {}  # noqa: RUF012 -- read only

    def __init__(self, seed: int, count: int, rate_hz: float | None = None) -> None:
        self.player_parameters: dict[str, object] = {
            'source': 'tabletop',
            'seed': seed,
            'rate_hz': RATE_HZ if rate_hz is None else rate_hz,
        }
        with TabletopScene(seed=seed, options=TabletopOptions()) as scene:
            present = [
                Question(obj.name, obj.surface_centre_world) for obj in scene.objects[:count]
            ]
            pairs = [(obj.colour, obj.category) for obj in scene.objects]
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
    """A recording; nothing is known of what it shows but its depth, unless boxes say.

    Args:
        folder: The recording, of any kind.
        rate_hz: Frames a second; None: as fast as they were taken, at most `RATE_HZ`.
        truth: File of boxes drawn in its pictures: see :mod:`lerf_ros.sources.boxes`.
        colour_focal_px: Focal length of colour pictures that are not registered to the depth; 0:
            525 for the layout of 7-Scenes, else that of the depth.

    Raises:
        ValueError: The recording cannot be read, or the boxes are not in its pictures.
    """

    world_frame = 'map'
    seconds = 120.0
    map_parameters = ROOM_OPTIONS
    keyframe_parameters = ROOM_KEYFRAMES

    def __init__(
        self,
        folder: Path,
        rate_hz: float | None = None,
        truth: Path | None = None,
        colour_focal_px: float = 0.0,
    ) -> None:
        self._frames = open_recording(folder)
        of_seven_scenes = getattr(self._frames, 'layout', '') == '7-Scenes'
        focal_px = colour_focal_px or (SEVEN_SCENES_COLOUR_PX if of_seven_scenes else 0.0)
        if focal_px:
            options = SourceOptions(colour_focal_px=focal_px)
            self._frames = open_recording(folder, options)
        self.player_parameters: dict[str, object] = {
            'source': str(folder.resolve()),
            'rate_hz': taken_hz(self._frames) if rate_hz is None else rate_hz,
            'colour_focal_px': focal_px,
        }
        self.questions = [Question(phrase) for phrase in RECORDING_PHRASES]
        if truth is not None:
            if not isinstance(self._frames, RgbdFolder):
                raise ValueError(f'truth: boxes need an RGB-D folder, got {folder}')
            self.questions = known_questions(BoxTruth(truth, self._frames, focal_px or None))

    def views(self, count: int) -> list[PosedFrame]:
        """Returns frames spread evenly over the recording."""
        indices = np.linspace(0, len(self._frames) - 1, count + 2).round().astype(int)[1:-1]
        return [self._frames[int(index)] for index in indices]


def taken_hz(frames: FrameSequence) -> float:
    """Returns how many frames a second were taken on average, at most `RATE_HZ`.

    Every tenth picture of a camera, played as fast as a camera plays, is a camera that is carried
    around far faster than it was: keyframes then come faster than they can be taken in.
    """
    if not isinstance(frames, FrameStream):
        return RATE_HZ
    stamps_ns = frames.stamps_ns
    span_s = (max(stamps_ns) - min(stamps_ns)) * 1e-9
    return min(RATE_HZ, (len(stamps_ns) - 1) / span_s) if span_s > 0 else RATE_HZ


def known_questions(truth: BoxTruth) -> list[Question]:
    """Returns what boxes allow to ask: words, pictures, and what is not there."""
    words = [Question(text, name=name, truth=truth) for name, text in truth.words.items()]
    pictures = [
        Question(exemplar.name, exemplar=exemplar, name=name, truth=truth)
        for name, exemplar in truth.exemplars()
    ]
    return [*words, *pictures, *(Question(phrase, absent=True) for phrase in truth.absent)]
