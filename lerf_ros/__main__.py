"""The console script `lerf_ros`: one subcommand per job."""

from __future__ import annotations

import argparse
import importlib
import logging
import sys

from lerf_ros import __version__, workspace

# Subcommand -> (module, sentence). Each module offers add_arguments(parser) and run(args) -> int.
COMMANDS = {
    'demo': ('lerf_ros.nodes.demo', 'Map a simulated table or a recording live, and ask it.'),
    'play': ('lerf_ros.nodes.play', 'Play a recording of any kind as live topics.'),
    'record': ('lerf_ros.nodes.record', 'Record the keyframes of a running robot (MCAP).'),
    'doctor': ('lerf_ros.nodes.doctor', 'Say why nothing arrives at a running map.'),
    'query': ('lerf_ros.nodes.query', 'Ask the running map where something is.'),
    'inspect': ('lerf_ros.commands.inspect', 'Say what is in a recording.'),
    'convert': ('lerf_ros.commands.convert', 'Write a recording of any kind as a bag (MCAP).'),
    'train': ('lerf_ros.commands.train', 'Train a map from recorded frames, without ROS.'),
    'evaluate': ('lerf_ros.commands.evaluate', 'Measure the truth of answers and renderings.'),
    'weights': ('lerf_ros.commands.weights', 'Say which weights are needed, and check them.'),
    'calibrate': ('lerf_ros.commands.calibrate', "Fit an encoder's existence confidence."),
    'view': ('lerf_ros.commands.view', 'See a map on a web page, and ask it, without ROS.'),
    'estimate': ('lerf_ros.commands.estimate', 'Say what a map of so many m2 takes.'),
    'options': ('lerf_ros.commands.options', 'List every option with default, range and meaning.'),
}


def make_parser(command: str | None = None) -> argparse.ArgumentParser:
    """Returns the parser; only the named subcommand's module is imported, the rest stays cheap."""
    parser = argparse.ArgumentParser(
        prog='lerf_ros', description="Ask a robot's live map, in words, where things are."
    )
    parser.add_argument('--version', action='version', version=f'lerf_ros {__version__}')
    subparsers = parser.add_subparsers(dest='command', metavar='COMMAND', required=True)
    for name, (module, sentence) in COMMANDS.items():
        subparser = subparsers.add_parser(name, help=sentence, description=sentence)
        if name == command:
            importlib.import_module(module).add_arguments(subparser)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Runs a subcommand and returns its exit status; 2 means that the input was at fault."""
    argv = sys.argv[1:] if argv is None else argv
    logging.basicConfig(level=logging.WARNING, format='%(levelname)s: %(message)s')
    command = next((word for word in argv if not word.startswith('-')), None)
    if COMMANDS.get(command or '', ('',))[0].startswith('lerf_ros.nodes.'):
        try:
            workspace.enter()
        except workspace.WorkspaceError as error:
            print(f'lerf_ros {command}: {error}', file=sys.stderr)
            return 2
    if command == 'evaluate':
        argv = importlib.import_module(COMMANDS[command][0]).with_kind(argv)
    arguments = make_parser(command).parse_args(argv)
    module = importlib.import_module(COMMANDS[arguments.command][0])
    try:
        return module.run(arguments)
    except (ValueError, OSError) as error:
        print(f'lerf_ros {arguments.command}: {error}', file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == '__main__':
    sys.exit(main())
