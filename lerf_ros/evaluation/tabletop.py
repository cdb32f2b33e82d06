"""The tabletop benchmark: unseen simulated scenes, streamed live, asked at given times."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lerf_ros.config import LerfConfig
from lerf_ros.evaluation import metrics
from lerf_ros.evaluation.answer_panels import draw_answer
from lerf_ros.evaluation.asking import ask_baselines, ask_map, ask_pictures
from lerf_ros.evaluation.baselines import FusionField
from lerf_ros.evaluation.picture_questions import absent_exemplars, exemplars_of
from lerf_ros.evaluation.processes import (
    Advance,
    each_seed,
    each_seed_here,
    peak_rss_mb,
    summed_up,
)
from lerf_ros.evaluation.report import Picture, picture
from lerf_ros.evaluation.stream import Stream
from lerf_ros.evaluation.tabletop_camera import held_out, shots
from lerf_ros.evaluation.truth import SceneTruth
from lerf_ros.evaluation.verdicts import MAP_KEYS, Answer, split_summary, worst
from lerf_ros.features.encoder import LanguageEncoder
from lerf_ros.frames import PosedFrame
from lerf_ros.geometry import Array
from lerf_ros.maps.submap import Submap
from lerf_ros.query.relevancy import search_scales
from lerf_ros.simulation import SENSORS, WORLDS, TabletopScene

FUSION_SCALES = 8
BASELINES = ('chance', 'colour', 'fusion', 'fusion_as_large', 'oracle', 'shuffled')
MEMORY_KEYS = ('surface_m2', 'language_kb_per_m2', 'fusion_kb_per_m2')
METHODS = ('field', *BASELINES)


@dataclass(frozen=True)
class TabletopRun:
    """What is run.

    Attributes:
        seeds: Scenes.
        seconds: Camera times at which questions are asked, ascending.
        steps_per_second: Training steps for each second of the camera.
        realtime: Whether the real clock runs instead.
        baselines: Whether the baselines are run too.
        sensor: Name of the camera, one of `SENSORS`.
        world: Name of the table, one of `WORLDS`.
        worst: Number of worst answers that are drawn.
        held_out_views: Number of pictures that are held out.
    """

    seeds: tuple[int, ...]
    seconds: tuple[float, ...] = (10.0, 30.0, 60.0)
    steps_per_second: float = 15.0
    realtime: bool = False
    baselines: bool = True
    sensor: str = 'usual'
    world: str = 'usual'
    worst: int = 5
    held_out_views: int = 4


@dataclass
class SceneReport:
    """What one scene gave.

    Attributes:
        seed: The scene.
        answers: Answers of each method at each time.
        rows: The map's own figures at each time.
        drawn: Pictures of the scene's worst answers at the last time, with the answers.
    """

    seed: int
    answers: dict[float, dict[str, list[Answer]]] = field(default_factory=dict)
    rows: dict[float, dict[str, Any]] = field(default_factory=dict)
    drawn: list[tuple[Answer, Array]] = field(default_factory=list)


def run_scene(
    run: TabletopRun,
    seed: int,
    config: LerfConfig,
    encoder: LanguageEncoder,
    advance: Callable[[float, str], None],
) -> SceneReport:
    """Maps one scene and asks about it.

    Args:
        run: What is run.
        seed: The scene.
        config: Options of the map.
        encoder: The language encoder.
        advance: Told of each camera second that is done.
    """
    with TabletopScene(seed, WORLDS[run.world]) as scene:
        truth = SceneTruth(scene)
        questions = truth.questions()
        hidden = held_out(scene, run.held_out_views)
        pictured = exemplars_of(scene)
        strange = absent_exemplars(scene, len(pictured))
        live_map = Submap(config, encoder)
        fusion = None
        if run.baselines:
            scales_m = search_scales(
                config.query.min_scale_m, config.query.max_scale_m, FUSION_SCALES
            )
            fusion = FusionField(
                encoder.embedding_size, scales_m, config.query.voxel_m, config.query.max_range_m
            )
            live_map.on_features = lambda keyframe, pyramid: fusion.add(keyframe.frame, pyramid)
        stream = Stream(
            live_map,
            shots(scene, run.seconds[-1], SENSORS[run.sensor]),
            config.keyframes,
            steps_per_second=run.steps_per_second,
            realtime=run.realtime,
        )
        report = SceneReport(seed)
        before_s = 0.0
        for time_s in stream.run(run.seconds):
            surface = live_map.surface()
            labels = truth.label(surface.positions)
            answers, query_ms, results = ask_map(live_map, truth, questions, labels)
            asked = ask_pictures(live_map, truth, pictured, strange, labels)
            report.answers[time_s] = {'field': [*answers, *asked]}
            if fusion is not None:
                others = ask_baselines(
                    truth,
                    questions,
                    surface,
                    labels,
                    fusion,
                    live_map.language_bytes,
                    config,
                    encoder,
                )
                report.answers[time_s].update(others)
            report.rows[time_s] = {
                **_geometry(live_map, hidden),
                **_memory(live_map, fusion),
                'steps_per_s': stream.effort.steps_per_s,
                'query_ms': query_ms,
                'peak_rss_mb': peak_rss_mb(),
                'keyframes': stream.effort.keyframes,
                'steps': stream.effort.steps,
                'dropped': stream.effort.dropped,
            }
            if time_s == run.seconds[-1]:
                report.drawn = [
                    (answer, draw_answer(answer, results[answer.question.phrase], truth, scene))
                    for answer in worst(answers, run.worst)
                    if answer.question.phrase in results
                ]
            advance(time_s - before_s, f'seed {seed}')
            before_s = time_s
    return report


def evaluate_tabletop(
    run: TabletopRun,
    config: LerfConfig,
    make_encoder: Callable[[], LanguageEncoder],
    settings: dict[str, Any],
    advance: Callable[[float, str], None],
    on_scene: Callable[[dict[str, Any]], None] | None = None,
    jobs: int = 1,
) -> tuple[dict[str, Any], list[SceneReport]]:
    """Runs all scenes.

    Args:
        run: What is run.
        config: Options of the map.
        make_encoder: Loads the language encoder; called in each process, hence pickled.
        settings: Written into the result.
        advance: Told of each camera second that is done.
        on_scene: Given the result so far after each scene, so that a stopped run leaves one.
        jobs: Number of processes of one thread each. On the real clock all scenes run in this
            process, with all of its threads.

    Returns:
        What ``--json`` holds, and a report of each scene, both in the order of the seeds.

    Raises:
        ChildProcessError: A scene failed.
    """
    make_work = functools.partial(_scene_work, run, config, make_encoder)
    if run.realtime:
        done = each_seed_here(make_work, run.seeds, advance)
    else:
        done = each_seed(make_work, run.seeds, jobs, advance)
    return summed_up(done, run.seeds, lambda reports: result_of(run, reports, settings), on_scene)


def _scene_work(
    run: TabletopRun, config: LerfConfig, make_encoder: Callable[[], LanguageEncoder]
) -> Callable[[int, Advance], SceneReport]:
    encoder = make_encoder()
    return lambda seed, advance: run_scene(run, seed, config, encoder, advance)


def result_of(
    run: TabletopRun, reports: Sequence[SceneReport], settings: dict[str, Any]
) -> dict[str, Any]:
    """Returns what ``--json`` holds: one row a time over all scenes, and one a scene and time."""
    last = run.seconds[-1]
    return {
        'command': 'tabletop',
        'settings': settings,
        'rows': [_row(run, reports, time_s) for time_s in run.seconds],
        'scenes': [
            {'seed': report.seed, 'rows': [_row(run, [report], t) for t in run.seconds]}
            for report in reports
        ],
        'answers': [answer.as_json() for r in reports for answer in r.answers[last]['field']],
    }


def worst_pictures(run: TabletopRun, reports: Sequence[SceneReport]) -> list[Picture]:
    """Returns pictures of the worst answers of all scenes, worst first."""
    drawn = {id(answer): image for report in reports for answer, image in report.drawn}
    answers = [answer for report in reports for answer, _ in report.drawn]
    return [
        picture(
            f'worst_{number}',
            f'{number}. "{answer.question.phrase}" in scene {answer.seed}: {answer.reason}',
            drawn[id(answer)],
        )
        for number, answer in enumerate(worst(answers, run.worst), start=1)
    ]


def _row(run: TabletopRun, reports: Sequence[SceneReport], time_s: float) -> dict[str, Any]:
    answers = {
        method: [a for report in reports for a in report.answers[time_s].get(method, ())]
        for method in METHODS
    }
    rows = [report.rows[time_s] for report in reports]
    figures: dict[str, Any] = {
        'psnr': _over('mean', rows, 'psnr'),
        'depth_median_m': _over('median', rows, 'depth_median_m'),
        'steps_per_s': _over('median', rows, 'steps_per_s'),
        'query_ms': _over('median', rows, 'query_ms'),
        'peak_rss_mb': _over('max', rows, 'peak_rss_mb'),
    }
    language = split_summary(answers['field'])
    row: dict[str, Any] = {'seconds': time_s}
    row.update({key: value for key, value in language.items() if not isinstance(value, dict)})
    row.update({key: figures[key] for key in MAP_KEYS})
    row['keyframes'] = _over('mean', rows, 'keyframes')
    row['steps'] = _over('mean', rows, 'steps')
    row['questions'] = len(answers['field'])
    row |= {key: _over('mean', rows, key) for key in MEMORY_KEYS}
    # A split shares one map with the rest: the map's own figures are the same in both.
    row['seen'] = {**language['seen'], **figures}
    row['excluded'] = {**language['excluded'], **figures}
    row['baselines'] = {
        method: split_summary(answers[method]) for method in BASELINES if answers[method]
    }
    return row


def _over(how: str, rows: Sequence[dict[str, Any]], key: str) -> float | None:
    values = [row[key] for row in rows if row[key] is not None]
    return float(getattr(np, how)(values)) if values else None


def _memory(live_map: Submap, fusion: FusionField | None) -> dict[str, float | None]:
    """Returns what language takes on a square metre of surface, in the field and in fusion."""
    surface = live_map.surface()
    area_m2 = len(surface) * surface.voxel_m**2
    if not area_m2:
        return dict.fromkeys(MEMORY_KEYS)
    fused = fusion.bytes / 1024 / fusion.area_m2 if fusion is not None and len(fusion) else None
    return {
        'surface_m2': area_m2,
        'language_kb_per_m2': live_map.language_bytes / 1024 / area_m2,
        'fusion_kb_per_m2': fused,
    }


def _geometry(live_map: Submap, held_out: Sequence[PosedFrame]) -> dict[str, float | None]:
    if not live_map.ready():
        return {'psnr': None, 'depth_median_m': None}
    views = [live_map.render(frame.camera, frame.camera_to_world) for frame in held_out]
    errors = np.concatenate(
        [
            metrics.depth_errors(view.depth_m, frame.depth)
            for view, frame in zip(views, held_out, strict=True)
            if frame.depth is not None
        ]
    )
    return {
        'psnr': metrics.mean(
            [metrics.psnr(v.image, f.image) for v, f in zip(views, held_out, strict=True)]
        ),
        'depth_median_m': metrics.percentile(errors, 50),
    }
