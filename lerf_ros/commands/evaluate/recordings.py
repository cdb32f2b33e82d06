"""`evaluate rgbd` and `evaluate nerfstudio`: maps of real recordings."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from lerf_ros.commands.arguments import parse_seconds, require_positive
from lerf_ros.commands.evaluate.map_arguments import (
    add_clock,
    add_map,
    add_times,
    config_of,
    encoder_maker,
    settings_of,
)
from lerf_ros.commands.evaluate.outcome import finish, row_plot
from lerf_ros.evaluation.progress import Progress


def add_kinds(kinds: Any) -> None:
    """Declares both kinds and their arguments."""
    rgbd = kinds.add_parser('rgbd', help='a real RGB-D folder in the format of 7-Scenes')
    rgbd.add_argument('folder', type=Path)
    rgbd.add_argument('--hold-out', type=int, default=10, help='every n-th frame (%(default)s)')
    rgbd.add_argument('--rate', type=float, default=30.0, help='frames/s assumed (%(default)s)')
    rgbd.add_argument('--downscale', type=int, default=2, help='shrink pictures (%(default)s)')
    rgbd.add_argument(
        '--colour-focal', type=float, help='focal length of an unregistered colour camera, px'
    )
    rgbd.add_argument('--exemplars', type=Path, help='JSON list of pictures and true points')
    rgbd.add_argument('--phrases', type=Path, help='JSON list of phrases and true points or boxes')
    add_times(rgbd, '10,30,60,120')
    add_clock(rgbd)
    add_map(rgbd)
    rgbd.set_defaults(evaluate=_rgbd)

    nerfstudio = kinds.add_parser('nerfstudio', help='photographs with a transforms.json')
    nerfstudio.add_argument('folder', type=Path)
    nerfstudio.add_argument('--hold-out', type=int, default=8, help='every n-th (%(default)s)')
    nerfstudio.add_argument('--downscale', type=int, default=4, help='shrink (%(default)s)')
    add_times(nerfstudio, '30,60,120,300')
    add_map(nerfstudio)
    nerfstudio.set_defaults(evaluate=_nerfstudio)


def _rgbd(arguments: argparse.Namespace) -> int:
    """Evaluates a stream of RGB-D frames; returns the exit status."""
    seconds, config = parse_seconds(arguments.seconds), config_of(arguments)
    require_positive('steps-per-second', arguments.steps_per_second)
    from lerf_ros.evaluation.recordings import evaluate_rgbd, held_out_picture, read_targets
    from lerf_ros.sources.rgbd import RgbdFolder

    folder = RgbdFolder(
        arguments.folder,
        rate_hz=arguments.rate,
        downscale=arguments.downscale,
        colour_focal_px=arguments.colour_focal,
    )
    targets = []
    if arguments.exemplars:
        targets += read_targets(arguments.exemplars, exemplars=True)
    if arguments.phrases:
        targets += read_targets(arguments.phrases, exemplars=False)
    encoder = encoder_maker(config)()
    progress = Progress(seconds[-1])
    result, live_map = evaluate_rgbd(
        folder,
        config,
        encoder,
        seconds=seconds,
        hold_out_every=arguments.hold_out,
        steps_per_second=arguments.steps_per_second,
        realtime=arguments.realtime,
        targets=targets,
        advance=progress.advance,
    )
    progress.close()
    result['settings'] = settings_of(arguments, config, encoder, downscale=arguments.downscale)
    pictures = [
        row_plot(result, ('psnr',), 'psnr', 'PSNR (dB)'),
        row_plot(result, ('depth_median_m', 'depth_l1_m'), 'depth', 'depth error (m)'),
    ]
    if live_map.ready():
        pictures.append(held_out_picture(live_map, folder, result['held_out']))
    return finish(arguments, result, f'RGB-D folder {arguments.folder.name}', [], pictures)


def _nerfstudio(arguments: argparse.Namespace) -> int:
    """Evaluates a map of photographs; returns the exit status."""
    seconds, config = parse_seconds(arguments.seconds), config_of(arguments)
    from lerf_ros.evaluation.recordings import evaluate_nerfstudio
    from lerf_ros.sources.nerfstudio import NerfstudioFolder

    train, test = (
        NerfstudioFolder(
            arguments.folder,
            downscale=arguments.downscale,
            split=split,
            hold_out_every=arguments.hold_out,
        )
        for split in ('train', 'test')
    )
    encoder = encoder_maker(config)()
    progress = Progress(seconds[-1])
    result, _ = evaluate_nerfstudio(
        train, test, config, encoder, seconds=seconds, advance=progress.advance
    )
    progress.close()
    result['settings'] = settings_of(arguments, config, encoder, downscale=arguments.downscale)
    pictures = [
        row_plot(result, ('psnr',), 'psnr', 'PSNR (dB)'),
        row_plot(result, ('ssim',), 'ssim', 'SSIM'),
    ]
    return finish(arguments, result, f'Photographs {arguments.folder.name}', [], pictures)
