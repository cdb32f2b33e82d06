"""Subcommand `calibrate`: fit an encoder's existence confidence.

On simulated tables, for another `--place` on simulated flats, or by `--recording` and `--labels`
on a recording of the user's own.
"""

from __future__ import annotations

import argparse
import functools
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np

from lerf_ros.commands.arguments import add_options, make_config, parse_seeds, require_positive
from lerf_ros.commands.calibrate_evidence import KINDS, Samples, read_evidence, write_evidence
from lerf_ros.commands.calibrate_flats import FlatWalk, flat_work
from lerf_ros.commands.calibrate_recording import Labels, gather_recording
from lerf_ros.config import LerfConfig
from lerf_ros.evaluation.picture_questions import absent_exemplars, exemplars_of
from lerf_ros.evaluation.processes import Advance, each_seed, require_jobs
from lerf_ros.evaluation.progress import Progress
from lerf_ros.evaluation.stream import Stream, shots_of
from lerf_ros.features.encoder import ExistenceCalibration, ExistenceModel
from lerf_ros.features.load import load_encoder
from lerf_ros.maps.submap import Submap
from lerf_ros.query.calibration import fit
from lerf_ros.query.engine import QueryRequest
from lerf_ros.query.existence import confidence
from lerf_ros.query.request import Evidence
from lerf_ros.simulation import (
    HELD_OUT_SEED,
    SENSORS,
    WORLDS,
    TabletopScene,
    absent_phrases,
)
from lerf_ros.training.device import resolve_device

TABLE = 'table'
TABLE_SECONDS = 30.0
PATHS = ('orbit', 'handheld', 'wrist')
# Piles and small things are none of them: a fit on them too refused half as many of them, but
# accepted 7 % of what is not on a usual table instead of 2 %.
TABLES = 'usual'
CAMERAS = 'usual'
# Absent phrases for each object of a scene: there are more things that are not there.
ABSENT_FOR_EACH = 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    parser.add_argument(
        '--seeds', default='9020-9039', help='development scenes, below 10000 (%(default)s)'
    )
    parser.add_argument('--recording', type=Path, help='a recording in place of the scenes')
    parser.add_argument(
        '--labels', type=Path, help='phrases of what it shows and does not: present, absent; JSON'
    )
    parser.add_argument(
        '--colour-focal', type=float, help='its colour focal length where not registered, px'
    )
    parser.add_argument(
        '--keyframes', type=int, default=40, help='frames of it taken in (%(default)s)'
    )
    parser.add_argument(
        '--steps-each', type=int, default=12, help='training steps after each (%(default)s)'
    )
    parser.add_argument(
        '--place',
        default=TABLE,
        help='what is mapped, a file of config/places; all but table are flats (%(default)s)',
    )
    parser.add_argument(
        '--worlds', default=TABLES, help='kinds of table, which take turns (%(default)s)'
    )
    parser.add_argument(
        '--sensors', default=CAMERAS, help='kinds of camera, which take turns (%(default)s)'
    )
    parser.add_argument(
        '--area', type=float, default=30.0, metavar='M2', help='of a flat (%(default)s m2)'
    )
    parser.add_argument(
        '--width', type=int, default=640, help='of the pictures of a flat (%(default)s px)'
    )
    parser.add_argument(
        '--seconds',
        type=float,
        help='camera time of each scene (30 on a table, 6.4 for each square metre of a flat)',
    )
    parser.add_argument(
        '--keyframe-rate', type=float, default=2.0, help='frames/s of the camera (%(default)s)'
    )
    parser.add_argument(
        '--steps-per-second', type=float, default=15.0, help='training steps (%(default)s)'
    )
    parser.add_argument(
        '--present-share',
        type=float,
        default=0.5,
        help='share of the questions that are thought to be for what is there (%(default)s): a '
        'robot that is asked for things that it may not know well needs more',
    )
    add_options(parser)
    parser.add_argument(
        '--jobs', type=int, help='scenes at a time, each in a process of one thread (one a core)'
    )
    parser.add_argument('--output', type=Path, required=True, help='where to write the result')
    parser.add_argument('--evidence', type=Path, help='keep the evidence here, as JSON')
    parser.add_argument(
        '--from-evidence', type=Path, help='fit what an earlier run kept instead of mapping'
    )


def run(arguments: argparse.Namespace) -> int:
    """Calibrates; returns the exit status."""
    if not 0 < arguments.present_share < 1:
        raise ValueError(
            f'present-share: expected more than 0 and less than 1, got {arguments.present_share}'
        )
    if (arguments.recording is None) != (arguments.labels is None):
        raise ValueError('labels: expected together with --recording, got one of them alone')
    if arguments.recording:
        return on_recording(arguments)
    seeds = parse_seeds(arguments.seeds)
    if max(seeds) >= HELD_OUT_SEED:
        raise ValueError(
            f'seeds: expected scenes below {HELD_OUT_SEED}, got {max(seeds)}: those from '
            f'{HELD_OUT_SEED} on are for evaluation only'
        )
    if arguments.from_evidence:
        fingerprint, samples = read_evidence(arguments.from_evidence)
    else:
        for name in ('area', 'width'):
            require_positive(name, getattr(arguments, name))
        if arguments.seconds is not None:
            require_positive('seconds', arguments.seconds)
        require_positive('keyframe-rate', arguments.keyframe_rate)
        require_positive('steps-per-second', arguments.steps_per_second)
        fingerprint, samples = gather(arguments, seeds)
    if arguments.evidence:
        write_evidence(arguments.evidence, fingerprint, samples)
    models: dict[str, Any] = {
        kind: fit(
            [found for _, found in samples[kind]],
            [there for there, _ in samples[kind]],
            present_share=arguments.present_share,
        )
        for kind in KINDS
        if samples[kind]
    }
    if 'pictures' not in models:
        # Of flats no pictures were asked for: those of tables are the best that is known.
        known = load_encoder(make_config(arguments.variant, arguments.set).features).existence
        models['pictures'] = known.pictures if known else None
    ExistenceCalibration(fingerprint, **models).save(arguments.output)
    for kind in [kind for kind in KINDS if samples[kind]]:
        sys.stdout.write('\n'.join(summary(kind, models[kind], samples[kind])) + '\n')
    return 0


def on_recording(arguments: argparse.Namespace) -> int:
    """Calibrates words on a recording; pictures keep the cautious rule."""
    labels = Labels.read(arguments.labels)
    require_positive('keyframes', arguments.keyframes)
    require_positive('steps-each', arguments.steps_each)
    config = make_config(arguments.variant, arguments.set)
    fingerprint, found = gather_recording(
        arguments.recording,
        labels,
        config,
        keyframes=arguments.keyframes,
        steps_each=arguments.steps_each,
        colour_focal_px=arguments.colour_focal,
    )
    if not found:
        raise ValueError(f'recording: expected answers, but no map came of {arguments.recording}')
    model = fit(
        [evidence for _, evidence in found],
        [there for there, _ in found],
        present_share=arguments.present_share,
    )
    ExistenceCalibration(fingerprint, model, None).save(arguments.output)
    sys.stdout.write('\n'.join(summary('phrases', model, found)) + '\n')
    return 0


def gather(arguments: argparse.Namespace, seeds: tuple[int, ...]) -> tuple[str, Samples]:
    """Maps scenes and asks for what is there and what is not; returns the evidence.

    The evidence is in the order of the seeds, and the same whatever the number of processes.
    """
    config = make_config(arguments.variant, arguments.set, arguments.place)
    progress = Progress(len(seeds))
    seconds, steps_per_second = arguments.seconds, arguments.steps_per_second
    if arguments.place == TABLE:
        worlds = _names('worlds', arguments.worlds, WORLDS)
        sensors = _names('sensors', arguments.sensors, SENSORS)
        turns = zip(seeds, cycle(PATHS), cycle(worlds), cycle(sensors), strict=False)
        walk = Walk(
            {seed: kinds for seed, *kinds in turns},
            seconds or TABLE_SECONDS,
            arguments.keyframe_rate,
            steps_per_second,
        )
        make_work = functools.partial(scene_work, config, walk)
    else:
        tour = FlatWalk(arguments.area, seconds or 0.0, steps_per_second, arguments.width)
        make_work = functools.partial(flat_work, config, tour)
    try:
        found = dict(each_seed(make_work, seeds, require_jobs(arguments.jobs), progress.advance))
    finally:
        progress.close()
    fingerprint, _ = found[seeds[0]]
    return fingerprint, {
        kind: [sample for seed in seeds for sample in found[seed][1][kind]] for kind in KINDS
    }


def _names(what: str, text: str, known: Collection[str]) -> list[str]:
    """Returns the names in a list that commas part.

    Raises:
        ValueError: One is not known.
    """
    names = text.split(',')
    for name in names:
        if name not in known:
            raise ValueError(f'{what}: expected some of {", ".join(known)}, got {name!r}')
    return names


@dataclass(frozen=True)
class Walk:
    """How the camera goes through the scenes.

    Attributes:
        kinds: Kind of path, table and camera of each scene, by seed.
        seconds: Camera time of each scene.
        keyframe_rate_hz: Frames a second.
        steps_per_second: Training steps for each second of the camera.
    """

    kinds: Mapping[int, Sequence[str]]
    seconds: float
    keyframe_rate_hz: float
    steps_per_second: float


def scene_work(config: LerfConfig, walk: Walk) -> Callable[[int, Advance], tuple[str, Samples]]:
    """Returns what maps a scene, and gives the encoder's fingerprint and the evidence."""
    encoder = load_encoder(config.features, resolve_device(config.training.device))

    def work(seed: int, advance: Advance) -> tuple[str, Samples]:
        live_map = Submap(config, encoder)
        samples: Samples = {}
        path, world, sensor = walk.kinds[seed]
        with TabletopScene(seed, WORLDS[world]) as scene:
            frames = scene.frames(path, walk.seconds, walk.keyframe_rate_hz, SENSORS[sensor])
            stream = Stream(
                live_map,
                shots_of(frames),
                config.keyframes,
                steps_per_second=walk.steps_per_second,
            )
            for _ in stream.run([walk.seconds]):
                samples = ask(live_map, scene)
        advance(1, f'seed {seed}')
        return encoder.fingerprint, samples

    return work


def ask(live_map: Submap, scene: TabletopScene) -> Samples:
    """Returns the evidence of what is true of a scene, and of what is not."""
    pairs = [(obj.colour, obj.category) for obj in scene.objects]
    absent = absent_phrases(
        pairs, ABSENT_FOR_EACH * len(pairs), np.random.default_rng([scene.seed, 2])
    )
    phrases = [(True, obj.name) for obj in scene.objects]
    phrases += [(False, phrase.text) for phrase in absent]
    pictures = [(True, exemplar) for _, exemplar in exemplars_of(scene)]
    pictures += [
        (False, exemplar) for exemplar in absent_exemplars(scene, ABSENT_FOR_EACH * len(pictures))
    ]
    requests = {
        'phrases': [(there, QueryRequest((text,), with_points=False)) for there, text in phrases],
        'pictures': [
            (there, QueryRequest(exemplars=(exemplar,), with_points=False))
            for there, exemplar in pictures
        ],
    }
    samples: Samples = {kind: [] for kind in KINDS}
    for kind, asked in requests.items():
        for there, request in asked:
            (result,) = live_map.query(request)
            if result.evidence is not None:
                samples[kind].append((there, result.evidence))
    return samples


def summary(kind: str, model: ExistenceModel, samples: list[tuple[bool, Evidence]]) -> list[str]:
    """Returns lines for people: the weights, and how well they tell apart what they were fitted
    on."""
    truth = np.array([there for there, _ in samples])
    sure = np.array([confidence(found, model) for _, found in samples])
    lines = [
        f'{name:<12}{weight:>9.3f}'
        for name, weight in zip(model.features, model.weights, strict=True)
    ]
    return [
        *lines,
        f'{"bias":<12}{model.bias:>9.3f}',
        f'{int(truth.sum())} {kind} that are there, {int((~truth).sum())} that are not',
        f'refused of those that are there: {np.mean(sure[truth] < 0.5):.1%}',
        f'refused of those that are not: {np.mean(sure[~truth] < 0.5):.1%}',
    ]
