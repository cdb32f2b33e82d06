"""Subcommand `weights`: what encoders need, where it belongs, what is there, does it fit."""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from lerf_ros.config import FeatureOptions
from lerf_ros.features.load import load_encoder
from lerf_ros.features.open_clip.weights import DEFAULT_TAGS, find_weights, require_model_name
from lerf_ros.features.photo.encoder import PHOTO
from lerf_ros.features.photo.packages import FILES
from lerf_ros.features.tabletop.encoder import TABLETOP, WEIGHTS

LISTED = (TABLETOP, PHOTO, *DEFAULT_TAGS)


@dataclass(frozen=True)
class Finding:
    """What is known of the weights of one encoder.

    Attributes:
        encoder: Name of the encoder.
        paths: The files that are there.
        missing: Why it cannot be used, in a sentence; empty where it can.
    """

    encoder: str
    paths: tuple[Path, ...]
    missing: str = ''


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    parser.add_argument(
        '--encoder',
        action='append',
        default=[],
        help=f'name of an encoder; repeatable ({", ".join(LISTED)})',
    )
    parser.add_argument(
        '--pretrained', default='', help='published tag or local file, in place of the default'
    )
    parser.add_argument(
        '--weights-dir', default=FeatureOptions().weights_dir, help='folder (%(default)s)'
    )
    parser.add_argument(
        '--download', action='store_true', help='fetch what is missing of the named encoders'
    )


def run(arguments: argparse.Namespace) -> int:
    """Lists and checks; returns 0 only if every named encoder can be used.

    Raises:
        ValueError: Something shall be fetched or replaced, and no encoder is named, or a name is
            unknown.
    """
    if (arguments.download or arguments.pretrained) and len(arguments.encoder) != 1:
        raise ValueError('encoder: expected one name with --download or --pretrained')
    good = True
    for name in arguments.encoder or LISTED:
        options = FeatureOptions(
            encoder=name,
            pretrained=arguments.pretrained,
            weights_dir=arguments.weights_dir,
            allow_download=arguments.download,
        )
        finding = find(options)
        if not finding.missing:
            finding = replace(finding, missing=check(options))
        good &= not finding.missing
        sys.stdout.write('\n'.join(lines(finding)) + '\n')
    # A list of all is no question: only what was asked for by name can be wrong.
    return 0 if good or not arguments.encoder else 1


def find(options: FeatureOptions) -> Finding:
    """Returns where the weights of an encoder are, or what is missing.

    Raises:
        ValueError: There is no encoder of that name.
    """
    name = options.encoder
    if name == TABLETOP:
        return Finding(name, (Path(options.pretrained or WEIGHTS),))
    if name != PHOTO:
        require_model_name(name)
    try:
        if name == PHOTO:
            return Finding(name, tuple(file.find() for file in FILES))
        return Finding(name, (find_weights(name, options),))
    except ValueError as error:
        return Finding(name, (), str(error))


def check(options: FeatureOptions) -> str:
    """Loads an encoder and lets it work once; returns what is wrong with it, '' if nothing.

    Its file is read as a robot would read it, so another architecture, a cut file and numbers that
    are not finite are found here.
    """
    try:
        encoder = load_encoder(replace(options, allow_download=False))
    except (ValueError, OSError) as error:
        return str(error)
    size = encoder.input_size
    image = torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(0))
    vectors = torch.cat([encoder.encode_images(image), encoder.encode_texts(['mug'])])
    if not torch.isfinite(vectors).all():
        return 'the weights hold numbers that are not finite: fetch the file again'
    return ''


def lines(finding: Finding) -> list[str]:
    """Returns what is known for people."""
    if finding.missing:
        return [f'{finding.encoder}: NOT usable', f'    {finding.missing}']
    found = [f'    {path} ({path.stat().st_size / 1e6:.1f} MB)' for path in finding.paths]
    return [f'{finding.encoder}: there, of this architecture, finite', *found]
