"""Subcommand `train`: trains a map from a recording, without ROS."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from lerf_ros.commands.arguments import add_options, make_config
from lerf_ros.commands.source_arguments import (
    add_source,
    require_writable_file,
    source_options,
)
from lerf_ros.evaluation import metrics
from lerf_ros.evaluation.progress import Progress
from lerf_ros.frames import PosedFrame
from lerf_ros.maps.submap import Submap
from lerf_ros.sources.detection import open_recording


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    add_source(parser, downscale=2)
    add_options(parser)
    parser.add_argument('--seconds', type=float, default=120.0, help='training time (120)')
    parser.add_argument('--steps', type=int, help='train so many steps instead')
    parser.add_argument(
        '--hold-out', type=int, default=10, metavar='N', help='hold out every N-th frame; 0 none'
    )
    parser.add_argument('--reports', type=int, default=4, help='rows of the table (4)')
    parser.add_argument('--output', metavar='FILE', help='save the map here')
    parser.add_argument('--pictures', metavar='FOLDER', help='held-out frames beside renderings')
    parser.add_argument('--json', metavar='FILE', help='write the figures as JSON')


def run(arguments: argparse.Namespace) -> int:
    """Trains, prints a table and returns the exit status.

    Raises:
        ValueError: The data or an option is wrong.
        OSError: A file cannot be read or written.
    """
    config = make_config(arguments.variant, arguments.set)
    require_writable_file(arguments.output, 'output')
    require_writable_file(arguments.json, 'json')
    frames = open_recording(arguments.source, source_options(arguments), config.keyframes)
    held_out = set(range(arguments.hold_out // 2, len(frames), arguments.hold_out or len(frames)))
    if not arguments.hold_out or len(held_out) == len(frames):
        held_out = set()
    live_map = Submap(config)
    progress = Progress(len(frames) - len(held_out))
    for index in range(len(frames)):
        if index in held_out:
            continue
        frame = frames.readable(index)
        if frame is not None:
            live_map.ingest(frame, 'recording')
        progress.advance(1, 'features')
    progress.close()
    if not config.field.half_extent_m:
        live_map.fix_scene_box()
    found = [frames.readable(index) for index in sorted(held_out)]
    truth = [frame for frame in found if frame is not None]
    frames.ledger.summarise(len(frames))
    rows = _train(live_map, truth, arguments)
    if arguments.pictures:
        _draw(live_map, truth, Path(arguments.pictures))
    if arguments.output:
        live_map.save(arguments.output)
        sys.stdout.write(f'map saved to {arguments.output}\n')
    if arguments.json:
        Path(arguments.json).write_text(json.dumps({'rows': rows}, indent=1) + '\n')
    return 0


def _train(
    live_map: Submap, truth: Sequence[PosedFrame], arguments: argparse.Namespace
) -> list[dict[str, Any]]:
    """Trains and looks at the held-out frames from time to time; their time does not count."""
    total = arguments.steps or arguments.seconds
    rows: list[dict[str, Any]] = []
    trained_s = 0.0
    progress = Progress(total)
    sys.stdout.write('   seconds    steps  steps/s  loss     PSNR dB  depth median mm\n')
    while True:
        report = live_map.step()
        trained_s += report.seconds
        done = report.step if arguments.steps else trained_s
        progress.advance(1 if arguments.steps else report.seconds, f'step {report.step}')
        if done < total * (len(rows) + 1) / max(arguments.reports, 1) and done < total:
            continue
        row = {
            'seconds': trained_s,
            'steps': report.step,
            'loss': report.loss,
            **held_out_figures(live_map, truth),
        }
        rows.append(row)
        shown = ['   -   ' if row[k] is None else f'{row[k]:7.2f}' for k in ('psnr', 'depth_mm')]
        sys.stdout.write(
            f'  {trained_s:8.1f} {report.step:8d} {report.step / trained_s:8.1f}  '
            f'{report.loss:<7.4f}  {shown[0]}  {shown[1]}\n'
        )
        sys.stdout.flush()
        if done >= total:
            progress.close()
            return rows


def held_out_figures(live_map: Submap, truth: Sequence[PosedFrame]) -> dict[str, float | None]:
    """Returns mean PSNR (dB) and median depth error (mm) of frames the map never saw."""
    ratios: list[float] = []
    errors: list[np.ndarray] = []
    for frame in truth:
        view = live_map.render(frame.camera, frame.camera_to_world)
        ratios.append(metrics.visible_psnr(view.image, frame))
        if frame.depth is not None:
            errors.append(metrics.depth_errors(view.depth_m, frame.depth))
    depth_m = np.concatenate(errors) if errors else np.zeros(0)
    return {
        'psnr': float(np.mean(ratios)) if ratios else None,
        'depth_mm': float(np.median(depth_m)) * 1e3 if len(depth_m) else None,
    }


def _draw(live_map: Submap, truth: Sequence[PosedFrame], folder: Path) -> None:
    """Writes up to eight held-out frames, each beside the map's rendering."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, frame in enumerate(truth[:: max(1, len(truth) // 8)][:8]):
        view = live_map.render(frame.camera, frame.camera_to_world)
        both = np.hstack([frame.image, view.image])
        cv2.imwrite(str(folder / f'held_out_{number}.png'), both[..., ::-1])
