"""Evidence for `calibrate` from simulated flats: a robot walks, and is asked on its way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lerf_ros.config import LerfConfig
from lerf_ros.evaluation.flat.run import CAMERA_HZ, SECONDS_PER_M2, leaving_times, shots
from lerf_ros.evaluation.flat.truth import FlatQuestion, FlatTruth, Sightings
from lerf_ros.evaluation.processes import Advance
from lerf_ros.evaluation.stream import Stream
from lerf_ros.features.load import load_encoder
from lerf_ros.maps.atlas import Atlas, make_map
from lerf_ros.maps.errors import NotReadyError
from lerf_ros.maps.submap import Submap
from lerf_ros.query.engine import QueryRequest
from lerf_ros.query.request import Evidence
from lerf_ros.simulation import FlatOptions, FlatScene
from lerf_ros.training.device import resolve_device

# Absent phrases for each object, as on tables.
ABSENT_FOR_EACH = 2


@dataclass(frozen=True)
class FlatWalk:
    """How the robot goes through the flats.

    Attributes:
        area_m2: Floor area of each.
        seconds: Duration of the walk; 0 takes that of `evaluate flat`.
        steps_per_second: Training steps for each second of the camera.
        width: Width of its pictures; they are 4 to 3.
    """

    area_m2: float
    seconds: float
    steps_per_second: float
    width: int = 640

    @property
    def duration_s(self) -> float:
        """How long the robot walks."""
        return self.seconds or SECONDS_PER_M2 * self.area_m2


def flat_work(
    config: LerfConfig, walk: FlatWalk
) -> Callable[[int, Advance], tuple[str, dict[str, list[tuple[bool, Evidence]]]]]:
    """Returns what maps a flat, and gives the encoder's fingerprint and the evidence.

    It is asked about each room when the robot leaves it, and about all of them at the end: what
    was seen just now is answered otherwise than what was seen a while ago.
    """
    encoder = load_encoder(config.features, resolve_device(config.training.device))

    def work(seed: int, advance: Advance) -> tuple[str, dict[str, list[tuple[bool, Evidence]]]]:
        options = FlatOptions(
            area_m2=walk.area_m2, width=walk.width, height=round(walk.width * 0.75)
        )
        live_map = make_map(config, encoder)
        found: list[tuple[bool, Evidence]] = []
        asked = 0
        with FlatScene(seed, options) as scene:
            truth, sightings = FlatTruth(scene), Sightings()
            path = scene.path(walk.duration_s, CAMERA_HZ)
            stream = Stream(
                live_map,
                shots(scene, path, 'usual', sightings),
                config.keyframes,
                steps_per_second=walk.steps_per_second,
                on_keyframe=lambda keyframe: sightings.note(keyframe.frame.stamp_ns),
            )
            leaves = leaving_times(scene, path)
            for time_s in stream.run(sorted({*leaves, walk.duration_s})):
                rooms = set(range(len(scene.plan.rooms)))
                if time_s < walk.duration_s:
                    rooms = set(leaves[time_s])
                here = [i for i in sightings.seen() if truth.objects[i].room in rooms]
                present = truth.questions(here)
                absent = truth.absent_questions(ABSENT_FOR_EACH * len(present))
                asked += len(present)
                found += ask(live_map, truth, [*present, *absent])
        live_map.close()
        right = sum(there for there, _ in found)
        advance(1, f'seed {seed}: {right} of {asked} found')
        return encoder.fingerprint, {'phrases': found, 'pictures': []}

    return work


def ask(
    live_map: Atlas | Submap, truth: FlatTruth, questions: Sequence[FlatQuestion]
) -> list[tuple[bool, Evidence]]:
    """Returns the evidence of each question, and whether what it names is there and was found.

    A place that is not what was asked for speaks for nothing: to be taught that it is right would
    make the robot as sure of other wrong places.
    """
    found = []
    for question in questions:
        try:
            (result,) = live_map.query(QueryRequest((question.phrase,), with_points=False))
        except NotReadyError:
            continue
        if result.evidence is None:
            continue
        answer = truth.judge(question, True, 1.0, result.maxima[0].position_m)
        if answer.within or not question.objects:
            found.append((bool(question.objects), result.evidence))
    return found
