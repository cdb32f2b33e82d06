"""`evaluate recording`, and `rgbd` and `nerfstudio` by name: maps of real recordings."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
from lerf_ros.commands.source_arguments import add_source, source_options
from lerf_ros.evaluation.progress import Progress

if TYPE_CHECKING:
    from lerf_ros.sources.sequence import FrameSequence

STREAMS = ('rgbd', 'bag')
# Where the kind makes the difference: when to look, the share held out, how much to shrink.
USUAL = {True: ('10,30,60,120', 10, 2), False: ('30,60,120,300', 8, 4)}


def add_kinds(kinds: Any) -> None:
    """Declares the kinds and their arguments."""
    texts = {
        'recording': 'a recording of any kind, which is detected; SOURCE alone means the same',
        'rgbd': 'a real RGB-D folder',
        'nerfstudio': 'photographs with a transforms.json',
    }
    for name, text in texts.items():
        parser = kinds.add_parser(name, help=text)
        add_source(parser)
        parser.add_argument('--hold-out', type=int, help='hold out every n-th frame')
        parser.add_argument('--exemplars', type=Path, help='JSON list of pictures and true points')
        parser.add_argument('--phrases', type=Path, help='JSON list of phrases and true points')
        add_times(parser, '')
        add_clock(parser)
        add_map(parser)
        forced = '' if name == 'recording' else name
        parser.set_defaults(evaluate=_evaluate, forced=forced, downscale=0)


def _evaluate(arguments: argparse.Namespace) -> int:
    """Evaluates a map of a recording; returns the exit status."""
    arguments.format = arguments.forced or arguments.format
    from lerf_ros.sources.detection import kind_of

    kind = arguments.format or kind_of(arguments.source)
    stream = kind in STREAMS
    seconds, hold_out, downscale = USUAL[stream]
    arguments.seconds = arguments.seconds or seconds
    arguments.hold_out = hold_out if arguments.hold_out is None else arguments.hold_out
    arguments.downscale = arguments.downscale or downscale
    return _stream(arguments) if stream else _photographs(arguments, kind)


def _stream(arguments: argparse.Namespace) -> int:
    """Evaluates a stream of frames with stamps; returns the exit status."""
    seconds, config = parse_seconds(arguments.seconds), config_of(arguments)
    require_positive('steps-per-second', arguments.steps_per_second)
    from lerf_ros.evaluation.recordings import evaluate_rgbd, held_out_picture, read_targets
    from lerf_ros.sources.detection import open_stream

    folder = open_stream(arguments.source, source_options(arguments), config.keyframes)
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
    return finish(arguments, result, f'RGB-D folder {arguments.source.name}', [], pictures)


def _photographs(arguments: argparse.Namespace, kind: str) -> int:
    """Evaluates a map of photographs; returns the exit status."""
    seconds, config = parse_seconds(arguments.seconds), config_of(arguments)
    from lerf_ros.evaluation.recordings import evaluate_nerfstudio

    train, test = (_split(arguments, kind, split) for split in ('train', 'test'))
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
    return finish(arguments, result, f'Photographs {arguments.source.name}', [], pictures)


def _split(arguments: argparse.Namespace, kind: str, split: str) -> FrameSequence:
    """Returns the frames to learn from or those held out."""
    from lerf_ros.sources.detection import open_recording
    from lerf_ros.sources.sequence import EveryNth

    if kind == 'nerfstudio':
        options = source_options(arguments, split=split, hold_out_every=arguments.hold_out)
        return open_recording(arguments.source, options)
    frames = open_recording(arguments.source, source_options(arguments))
    return EveryNth(frames, arguments.hold_out, held_out=split == 'test')
