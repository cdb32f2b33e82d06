"""Subcommand `convert`: writes a recording of any kind as a bag, without ROS."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path

from lerf_ros.commands.source_arguments import add_source, source_options
from lerf_ros.frames import PosedFrame


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    add_source(parser)
    parser.add_argument('--output', type=Path, required=True, metavar='BAG', help='a new folder')


def run(arguments: argparse.Namespace) -> int:
    """Converts; returns 1 if there is no frame to use.

    Raises:
        ValueError: The recording is of no kind that is known, or the bag cannot be written.
    """
    from lerf_ros.frames.resizing import shrunk
    from lerf_ros.sources.bag_messages import FrameMessages
    from lerf_ros.sources.bag_writer import BagWriter, message_store
    from lerf_ros.sources.detection import kind_of, open_bag_of, open_recording

    options = source_options(arguments)
    kind = options.kind or kind_of(arguments.source)
    frames: Iterable[PosedFrame]
    if kind == 'bag':
        bag = open_bag_of(arguments.source, options)
        frames, ledger = (shrunk(frame, options.downscale) for frame in bag), bag.ledger
    else:
        sequence = open_recording(arguments.source, options)
        frames, ledger = sequence, sequence.ledger
    store = message_store()
    messages = FrameMessages(store)
    count = 0
    with BagWriter(arguments.output, store) as writer:
        for frame in frames:
            for topic, message in messages.of(frame):
                writer.write(topic, frame.stamp_ns, message)
            count += 1
    if kind != 'bag':  # a bag sums itself up
        ledger.summarise(count)
    sys.stdout.write(f'{count} frames written to {arguments.output}\n')
    return 0 if count else 1
