"""Maps of real recordings: how well they look from held-out frames, and where they place things.

An RGB-D folder is streamed at its own rate; a nerfstudio folder is learned from as a whole.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lerf_ros.config import LerfConfig
from lerf_ros.evaluation import metrics
from lerf_ros.evaluation.perceptual import load_lpips
from lerf_ros.evaluation.processes import peak_rss_mb
from lerf_ros.evaluation.report import Picture, picture
from lerf_ros.evaluation.stream import Shot, Stream
from lerf_ros.evaluation.verdicts import ANSWER_KEYS
from lerf_ros.features.encoder import LanguageEncoder
from lerf_ros.frames import PosedFrame
from lerf_ros.frames.image_files import read_rgb
from lerf_ros.geometry import inside_box
from lerf_ros.maps.errors import NotReadyError
from lerf_ros.maps.submap import Submap
from lerf_ros.query.engine import Exemplar, QueryRequest, QueryResult
from lerf_ros.sources.sequence import FrameSequence, FrameStream

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Target:
    """Something to find in a recording.

    Attributes:
        name: The phrase, or how the exemplar is called.
        exemplar: A picture of it; None to ask by phrase.
        point_m: Where it is; None if it is given by a box or absent.
        box_m: Its lowest and highest corner.
        within_m: How close to the point counts as found; None if that is not judged.
        absent: Whether it is not there.
    """

    name: str
    exemplar: Exemplar | None = None
    point_m: Array | None = None
    box_m: tuple[Array, Array] | None = None
    within_m: float | None = None
    absent: bool = False

    def request(self) -> QueryRequest:
        """Returns the question."""
        if self.exemplar is not None:
            return QueryRequest(exemplars=(self.exemplar,), with_points=False)
        return QueryRequest(positives=(self.name,), with_points=False)


def read_targets(path: Path | str, *, exemplars: bool) -> list[Target]:
    """Reads a JSON list of things to find.

    Each entry has ``point_m``, which may have ``within_m``, or ``box_m`` (two corners), or
    ``"absent": true``. A phrase has ``phrase``; an exemplar has ``name``, ``image`` (relative to
    the file) and, for a part of it, ``box`` (u0, v0, u1, v1).

    Raises:
        ValueError: The file is no such list.
    """
    path = Path(path)
    try:
        entries = json.loads(path.read_text(encoding='utf-8'))
    except (OSError, json.JSONDecodeError) as error:
        raise ValueError(f'{path}: expected a JSON list, got {error}') from error
    if not isinstance(entries, list) or not entries:
        raise ValueError(f'{path}: expected a list of things to find, got none')
    targets = []
    for number, entry in enumerate(entries):
        try:
            targets.append(_target(entry, path.parent, exemplars))
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f'{path}: entry {number}: {error}') from error
    return targets


def evaluate_rgbd(
    folder: FrameStream,
    config: LerfConfig,
    encoder: LanguageEncoder,
    *,
    seconds: Sequence[float],
    hold_out_every: int,
    steps_per_second: float,
    realtime: bool,
    targets: Sequence[Target] = (),
    advance: Callable[[float, str], None],
) -> tuple[dict[str, Any], Submap]:
    """Streams a recording with stamps into a map and looks at it at given times.

    Returns:
        What ``--json`` holds, and the map.

    Raises:
        ValueError: Nothing is left to learn from or to compare with.
    """
    held_out, learned = _hold_out(len(folder), hold_out_every)
    stamps_ns, poses = folder.stamps_ns, folder.poses
    shots = [
        Shot(stamps_ns[i], poses[i], lambda i=i: folder.readable(i))  # type: ignore[misc]
        for i in learned
    ]
    found = {i: folder.readable(i) for i in held_out}
    truth = [frame for frame in found.values() if frame is not None]
    held_out = [i for i, frame in found.items() if frame is not None]
    live_map = Submap(config, encoder)
    stream = Stream(
        live_map, shots, config.keyframes, steps_per_second=steps_per_second, realtime=realtime
    )
    rows, before_s = [], 0.0
    for time_s in stream.run(seconds):
        row = {
            'seconds': time_s,
            **_views_row(live_map, truth),
            'steps_per_s': stream.effort.steps_per_s,
            'steps': stream.effort.steps,
            'keyframes': stream.effort.keyframes,
            'dropped': stream.effort.dropped,
            'surface_points': len(live_map.surface()),
            'peak_rss_mb': peak_rss_mb(),
        }
        if targets:
            row.update(_targets_row(live_map, targets))
        rows.append(row)
        advance(time_s - before_s, f'{time_s:g} s')
        before_s = time_s
    return {'command': 'rgbd', 'rows': rows, 'held_out': [folder.numbers[i] for i in held_out]}, (
        live_map
    )


def evaluate_nerfstudio(
    train: FrameSequence,
    test: FrameSequence,
    config: LerfConfig,
    encoder: LanguageEncoder,
    *,
    seconds: Sequence[float],
    advance: Callable[[float, str], None],
) -> tuple[dict[str, Any], Submap]:
    """Learns from all training pictures, and looks at the map after given seconds of training.

    Returns:
        What ``--json`` holds, and the map.
    """
    live_map = Submap(config, encoder)
    started = time.perf_counter()
    learn_from(live_map, train)
    intake_s = time.perf_counter() - started
    truth = list(test)
    lpips = load_lpips()
    rows, trained_s, steps = [], 0.0, 0
    for goal_s in seconds:
        before_s = trained_s
        while trained_s < goal_s:
            started = time.perf_counter()
            live_map.step()
            trained_s += time.perf_counter() - started
            steps += 1
        views = [live_map.render(frame.camera, frame.camera_to_world) for frame in truth]
        seen = list(zip(views, truth, strict=True))
        pairs = [metrics.visible_pair(view.image, frame) for view, frame in seen]
        rows.append(
            {
                'seconds': goal_s,
                'steps': steps,
                'psnr': metrics.mean([metrics.visible_psnr(v.image, f) for v, f in seen]),
                'ssim': metrics.mean([metrics.ssim(a, b) for a, b in pairs]),
                'lpips': None if lpips is None else metrics.mean([lpips(a, b) for a, b in pairs]),
                'steps_per_s': steps / trained_s,
                'intake_s': intake_s,
                'keyframes': len(train),
                'peak_rss_mb': peak_rss_mb(),
            }
        )
        advance(trained_s - before_s, f'{goal_s:g} s')
    return {'command': 'nerfstudio', 'rows': rows}, live_map


def held_out_picture(live_map: Submap, folder: FrameStream, numbers: Sequence[int]) -> Picture:
    """Shows held-out frames above what the map makes of them."""
    columns = []
    for number in list(numbers)[:: max(1, len(numbers) // 4)][:4]:
        frame = folder[folder.numbers.index(number)]
        view = live_map.render(frame.camera, frame.camera_to_world)
        columns.append(np.concatenate([frame.image, view.image], axis=0))
    caption = 'Held-out frames above, the map from the same poses below.'
    return picture('held_out', caption, np.concatenate(columns, axis=1))


def learn_from(live_map: Submap, frames: Sequence[PosedFrame]) -> None:
    """Takes in all frames of a recording, then makes the field around what all of them see."""
    for frame in frames:
        live_map.ingest(frame, 'recording')
    if not live_map.ready():
        live_map.fix_scene_box()


def _hold_out(count: int, every: int) -> tuple[list[int], list[int]]:
    if every < 2:
        raise ValueError(f'hold-out: expected every 2nd frame or fewer, got every {every}')
    # Not the first frame: the map would begin without the view that it begins with.
    held_out = list(range(every // 2, count, every))
    learned = [i for i in range(count) if i not in set(held_out)]
    if not held_out or not learned:
        raise ValueError(f'hold-out: expected more than {every // 2} frames, got {count}')
    return held_out, learned


def _views_row(live_map: Submap, truth: Sequence[PosedFrame]) -> dict[str, float | None]:
    if not live_map.ready():
        return dict.fromkeys(('psnr', 'ssim', 'depth_l1_m', 'depth_median_m', 'coverage'))
    ratios, likeness, errors, covered = [], [], [], []
    for frame in truth:
        view = live_map.render(frame.camera, frame.camera_to_world)
        ratios.append(metrics.visible_psnr(view.image, frame))
        likeness.append(metrics.ssim(*metrics.visible_pair(view.image, frame)))
        if frame.depth is not None:
            errors.append(metrics.depth_errors(view.depth_m, frame.depth))
            covered.append(metrics.coverage(view.accumulation, frame.depth))
    depth = np.concatenate(errors) if errors else np.zeros(0)
    return {
        'psnr': metrics.mean(ratios),
        'ssim': metrics.mean(likeness),
        'depth_l1_m': metrics.mean(depth),
        'depth_median_m': metrics.percentile(depth, 50),
        'coverage': metrics.mean([share for share in covered if share is not None]),
    }


def _targets_row(live_map: Submap, targets: Sequence[Target]) -> dict[str, Any]:
    """Asks for each target; returns the figures of all and of each."""
    each, times_ms = [], []
    for target in targets:
        started = time.perf_counter()
        try:
            (result,) = live_map.query(target.request())
        except NotReadyError:
            return dict.fromkeys((*ANSWER_KEYS[:3], 'query_ms'))
        times_ms.append((time.perf_counter() - started) * 1e3)
        each.append(_found(target, result))
    present = [entry for entry in each if not entry['absent']]
    errors = [math.inf if e['error_m'] is None else e['error_m'] for e in present]
    said = metrics.existence([not e['absent'] for e in each], [e['said_present'] for e in each])
    return {
        'localisation': metrics.mean([e['hit'] for e in present if e['hit'] is not None]),
        'median_error_m': metrics.percentile(errors, 50),
        'p90_error_m': metrics.percentile(errors, 90),
        'existence_precision': said.precision,
        'existence_recall': said.recall,
        'query_ms': float(np.median(times_ms)),
        'targets': {entry.pop('name'): entry for entry in each},
    }


def _found(target: Target, result: QueryResult) -> dict[str, Any]:
    """Compares an answer with a target; with a box the error is 0 inside it."""
    position = np.asarray(result.maxima[0].position_m) if result.maxima else None
    error_m, hit = None, None
    if position is not None and target.point_m is not None:
        error_m = float(np.linalg.norm(position - target.point_m))
    elif position is not None and target.box_m is not None:
        low, high = target.box_m
        error_m = float(np.linalg.norm(position - np.clip(position, low, high)))
    if target.box_m is not None:
        low, high = target.box_m
        hit = position is not None and bool(inside_box(position[None], low, high)[0])
    elif target.within_m is not None:
        hit = error_m is not None and error_m <= target.within_m
    return {
        'name': target.name,
        'absent': target.absent,
        'said_present': result.exists,
        'confidence': result.confidence,
        'position_m': None if position is None else [float(x) for x in position],
        'error_m': error_m,
        'hit': hit,
    }


def _target(entry: Mapping[str, Any], folder: Path, exemplars: bool) -> Target:
    if not isinstance(entry, Mapping):
        raise ValueError(f'expected an object with names, got {entry!r}')
    exemplar = None
    if exemplars:
        box = tuple(float(x) for x in entry['box']) if 'box' in entry else None
        if box is not None and len(box) != 4:
            raise ValueError(f'box: expected u0, v0, u1, v1 in pixels, got {box}')
        name = str(entry.get('name', entry['image']))
        name = f'exemplar {name}'
        exemplar = Exemplar(read_rgb(folder / str(entry['image'])), box, name)  # type: ignore[arg-type]
        exemplar.check()
    else:
        name = str(entry['phrase'])
    absent = bool(entry.get('absent', False))
    point = box_m = None
    within_m = None
    if 'point_m' in entry:
        point = _vector(entry['point_m'], 'point_m')
        if 'within_m' in entry:
            within_m = float(entry['within_m'])
            if not within_m > 0:
                raise ValueError(f'within_m: expected metres above 0, got {within_m}')
    elif 'box_m' in entry:
        low, high = entry['box_m']
        box_m = _vector(low, 'box_m'), _vector(high, 'box_m')
    elif not absent:
        raise ValueError('expected point_m, box_m or "absent": true, got none of them')
    return Target(name, exemplar, point, box_m, within_m, absent)


def _vector(values: Any, name: str) -> Array:
    vector = np.asarray(values, dtype=np.float64)
    if vector.shape != (3,) or not np.isfinite(vector).all():
        raise ValueError(f'{name}: expected three finite metres, got {values}')
    return vector
