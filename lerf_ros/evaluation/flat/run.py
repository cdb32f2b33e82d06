"""The flat benchmark: a robot walks through unseen rooms and is asked on its way and at the end.

The clock is the camera's: so many training steps belong to each of its seconds. Each room is asked
about when the robot has left it for the first time, and again at the end with all the others.
"""

from __future__ import annotations

import functools
import resource
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from lerf_ros.config import LerfConfig
from lerf_ros.drawing.floor_plans import Rectangle
from lerf_ros.evaluation.flat.asking import ask
from lerf_ros.evaluation.flat.figures import by_class, figures, forgotten_points, shuffled
from lerf_ros.evaluation.flat.pictures import draw_flat
from lerf_ros.evaluation.flat.second_events import loop_closed, saved_and_loaded
from lerf_ros.evaluation.flat.truth import FlatAnswer, FlatQuestion, FlatTruth, Sightings
from lerf_ros.evaluation.metrics import percentile
from lerf_ros.evaluation.processes import (
    Advance,
    each_seed,
    each_seed_here,
    peak_rss_mb,
    summed_up,
)
from lerf_ros.evaluation.stream import Shot, Stream
from lerf_ros.features.encoder import LanguageEncoder
from lerf_ros.frames import PosedFrame
from lerf_ros.geometry import Array, transform_points
from lerf_ros.maps.atlas import Atlas, make_map
from lerf_ros.maps.release import release_memory
from lerf_ros.maps.submap import Submap
from lerf_ros.simulation import SENSORS, FlatOptions, FlatScene
from lerf_ros.surface.points import SurfacePoints

CAMERA_HZ = 10.0
# A room counts as visited after this long in it.
VISIT_S = 20.0
SECONDS_PER_M2 = 6.4
ROW_KEYS = (
    'room',
    'within_25cm',
    'median_error_m',
    'absent_refused',
    'present_refused',
    'absent_refused_at_5',
    'forgotten_points',
    'query_p95_ms',
    'peak_rss_mb',
    'map_mb_per_m2',
    'area_m2',
    'keyframes_per_s',
)


@dataclass(frozen=True)
class FlatRun:
    """What is run.

    Attributes:
        seeds: Flats.
        area_m2: Floor area of each.
        seconds: Duration of the walk; 0 takes 6.4 s a square metre.
        steps_per_second: Training steps for each second of the camera.
        realtime: Whether the real clock runs instead.
        sensor: Name of the camera, one of `SENSORS`.
        width: Width of its pictures; they are 4 to 3.
    """

    seeds: tuple[int, ...]
    area_m2: float = 75.0
    seconds: float = 0.0
    steps_per_second: float = 10.0
    realtime: bool = False
    sensor: str = 'usual'
    width: int = 640

    @property
    def duration_s(self) -> float:
        """How long the robot walks."""
        return self.seconds or SECONDS_PER_M2 * self.area_m2


@dataclass
class FlatReport:
    """What one flat gave.

    Attributes:
        seed: The flat.
        answers: Of each method at the end.
        left: Answers about each room when the robot had left it, by room.
        map_row: Figures of the map as a whole.
        classes: Figures by room, distance, size and support.
        growth: (seconds, area visited, memory of the process) on the way.
        picture: The flat from above with way and answers.
    """

    seed: int
    answers: dict[str, list[FlatAnswer]] = field(default_factory=dict)
    left: dict[int, list[FlatAnswer]] = field(default_factory=dict)
    map_row: dict[str, Any] = field(default_factory=dict)
    classes: dict[str, Any] = field(default_factory=dict)
    growth: list[tuple[float, float, float]] = field(default_factory=list)
    picture: Array | None = None


def run_flat(
    run: FlatRun, seed: int, config: LerfConfig, encoder: LanguageEncoder, advance: Advance
) -> FlatReport:
    """Maps one flat and asks about it."""
    options = FlatOptions(area_m2=run.area_m2, width=run.width, height=round(run.width * 0.75))
    with FlatScene(seed, options) as scene:
        truth, sightings = FlatTruth(scene), Sightings()
        path = scene.path(run.duration_s, CAMERA_HZ)
        report = FlatReport(seed)
        live_map = make_map(config, encoder)
        release_memory()  # what making the scene left is not its memory
        before_mb = rss_mb()
        stream = Stream(
            live_map,
            shots(scene, path, run.sensor, sightings),
            config.keyframes,
            steps_per_second=run.steps_per_second,
            realtime=run.realtime,
            on_keyframe=lambda keyframe: sightings.note(keyframe.frame.stamp_ns),
        )
        leaves = leaving_times(scene, path)
        times = sorted({*leaves, run.duration_s})
        done_s, visited_m2 = 0.0, 0.0
        for time_s in stream.run(times):
            for room in leaves.get(time_s, ()):
                visited_m2 += scene.plan.rooms[room].area_m2
                here = [i for i in sightings.seen() if truth.objects[i].room == room]
                report.left[room] = ask(live_map, truth, truth.questions(here))
            report.growth.append((time_s, visited_m2, rss_mb()))
            advance(time_s - done_s, f'seed {seed}')
            done_s = time_s
        present = truth.questions(sightings.seen())
        questions = [*present, *truth.absent_questions(len(present))]
        ours = ask(live_map, truth, questions)
        # What the bounds and what comes after take is not the map's.
        peak_mb = peak_rss_mb()
        report.answers = {'field': ours, **bounds(live_map, truth, questions, ours)}
        report.classes = by_class(truth, sightings, ours)
        visited_m2 = visited_area(scene, path)
        report.growth[-1] = (done_s, visited_m2, rss_mb())
        after = saved_and_loaded(live_map, config, encoder, questions[0].phrase)
        worked_s = stream.effort.intake_s + stream.effort.training_s
        spent_s = run.duration_s if run.realtime else worked_s
        report.picture = draw_flat(scene, path, ours, submap_boxes(live_map))
        report.map_row = {
            'forgotten_points': forgotten_points(
                [answer for answers in report.left.values() for answer in answers], ours
            ),
            'query_p95_ms': percentile([answer.query_ms for answer in ours], 95),
            'peak_rss_mb': peak_mb,
            'map_mb_per_m2': after['map_mb'] / visited_m2 if visited_m2 else None,
            'load_and_ask_s': after['load_and_ask_s'],
            'area_m2': visited_m2,
            'keyframes_per_s': stream.effort.keyframes / spent_s,
            'rss_before_mb': before_mb,
            'keyframes': stream.effort.keyframes,
            'frames_dropped': stream.effort.dropped if run.realtime else None,
            'steps': stream.effort.steps,
            'steps_per_s': stream.effort.steps_per_s,
            'intake_ms': 1e3 * stream.effort.intake_s / max(stream.effort.keyframes, 1),
            'submaps': len(submap_boxes(live_map)) or 1,
            'surface_points': len(whole_surface(live_map)),
            **loop_closed(live_map, truth, present),
        }
        live_map.close()
        return report


def shots(scene: FlatScene, path: Array, sensor: str, sightings: Sightings) -> Iterator[Shot]:
    """Yields the camera's walk; frames are rendered only where the camera has moved."""

    def shot(index: int) -> Shot:
        stamp_ns = round(index / CAMERA_HZ * 1e9)

        def read() -> PosedFrame:
            frame, view = scene.shoot(path[index], index, stamp_ns, SENSORS[sensor])
            sightings.look(stamp_ns, view)
            return frame

        return Shot(stamp_ns, scene.reported_pose(path[index], index, SENSORS[sensor]), read)

    return map(shot, range(len(path)))


def rooms_on_the_way(scene: FlatScene, path: Array) -> Array:
    """Returns the index of the room at each pose."""
    return np.array([scene.room_of(pose[:3, 3]) for pose in path])


def leaving_times(scene: FlatScene, path: Array) -> dict[float, list[int]]:
    """Returns the rooms that are left for the first time after a visit, by time."""
    rooms = rooms_on_the_way(scene, path)
    leaves: dict[float, list[int]] = {}
    for room in range(len(scene.plan.rooms)):
        inside = rooms == room
        stayed = np.cumsum(inside) / CAMERA_HZ
        gone = np.flatnonzero(~inside & (stayed >= VISIT_S))
        if len(gone) and gone[0] > 0:
            leaves.setdefault(float(gone[0] / CAMERA_HZ), []).append(room)
    return leaves


def visited_area(scene: FlatScene, path: Array) -> float:
    """Returns the floor area of all rooms in which the robot has stayed for a while."""
    stays = np.bincount(rooms_on_the_way(scene, path).clip(0), minlength=len(scene.plan.rooms))
    return float(
        sum(
            room.area_m2
            for room, count in zip(scene.plan.rooms, stays, strict=True)
            if count / CAMERA_HZ >= VISIT_S / 2
        )
    )


def bounds(
    live_map: Atlas | Submap,
    truth: FlatTruth,
    questions: Sequence[FlatQuestion],
    ours: Sequence[FlatAnswer],
) -> dict[str, list[FlatAnswer]]:
    """Returns what the oracle answers, and what chance would score of our answers."""
    positions = whole_surface(live_map).positions
    labels = truth.label(positions)
    return {
        'oracle': [truth.oracle(question, positions, labels) for question in questions],
        'shuffled': shuffled(truth, ours, np.random.default_rng(truth.seed)),
    }


def whole_surface(live_map: Atlas | Submap) -> SurfacePoints:
    """Returns the surface of the whole map, whatever sleeps."""
    return live_map.whole_surface() if isinstance(live_map, Atlas) else live_map.surface()


def submap_boxes(live_map: Atlas | Submap) -> list[Rectangle]:
    """Returns the floor under each submap's box."""
    if isinstance(live_map, Submap):
        return []
    boxes = []
    for node in live_map.nodes:
        middle = transform_points(node.submap_to_world, node.centre_m[None])[0]
        low, high = middle - node.half_m, middle + node.half_m
        boxes.append((float(low[0]), float(low[1]), float(high[0]), float(high[1])))
    return boxes


def rss_mb() -> float:
    """Returns the memory of this process as it is now."""
    try:
        pages = int(Path('/proc/self/statm').read_text().split()[1])
    except OSError:
        return peak_rss_mb()
    return pages * resource.getpagesize() / 2**20


def evaluate_flat(
    run: FlatRun,
    config: LerfConfig,
    make_encoder: Callable[[], LanguageEncoder],
    settings: dict[str, Any],
    advance: Advance,
    on_scene: Callable[[dict[str, Any]], None] | None = None,
    jobs: int = 1,
) -> tuple[dict[str, Any], list[FlatReport]]:
    """Runs all flats; see `evaluation.tabletop.evaluate_tabletop` for the arguments.

    Raises:
        ChildProcessError: A flat failed.
    """
    make_work = functools.partial(_work, run, config, make_encoder)
    if run.realtime:
        done = each_seed_here(make_work, run.seeds, advance)
    else:
        done = each_seed(make_work, run.seeds, jobs, advance)
    return summed_up(done, run.seeds, lambda reports: result_of(run, reports, settings), on_scene)


def _work(
    run: FlatRun, config: LerfConfig, make_encoder: Callable[[], LanguageEncoder]
) -> Callable[[int, Advance], FlatReport]:
    encoder = make_encoder()
    return lambda seed, advance: run_flat(run, seed, config, encoder, advance)


def result_of(
    run: FlatRun, reports: Sequence[FlatReport], settings: dict[str, Any]
) -> dict[str, Any]:
    """Returns what ``--json`` holds: a row for us, the oracle and shuffled labels."""
    return {
        'command': 'flat',
        'settings': settings,
        'rows': _rows(run, reports),
        'scenes': [
            {
                'seed': report.seed,
                'rows': _rows(run, [report]),
                'classes': report.classes,
                'growth': report.growth,
            }
            for report in reports
        ],
    }


def _rows(run: FlatRun, reports: Sequence[FlatReport]) -> list[dict[str, Any]]:
    rows = []
    for method in ('field', 'oracle', 'shuffled'):
        answers = [answer for report in reports for answer in report.answers[method]]
        row: dict[str, Any] = {'method': method, 'seconds': run.duration_s, **figures(answers)}
        if method == 'field':
            worst = (
                'query_p95_ms',
                'peak_rss_mb',
                'map_mb_per_m2',
                'load_and_ask_s',
                'closure_follow_s',
            )
            for key in reports[0].map_row:
                values = [r.map_row[key] for r in reports if r.map_row[key] is not None]
                combine = max if key in worst else lambda each: float(np.mean(each))
                row[key] = combine(values) if values else None
            row['questions'] = len(answers)
        else:
            row.update(dict.fromkeys(ROW_KEYS[5:]))
        rows.append(row)
    return rows
