"""Texts of the command line as values."""

from __future__ import annotations

import pytest

from lerf_ros.commands.arguments import parse_options, parse_seconds, parse_seeds, require_positive


def test_seed_ranges() -> None:
    assert parse_seeds('9000-9003') == (9000, 9001, 9002, 9003)
    assert parse_seeds('7, 1-2') == (7, 1, 2)
    for text in ('9-3', 'a', '', '1,1', '-4', '1-', '0-99999999'):
        with pytest.raises(ValueError, match='seeds'):
            parse_seeds(text)


def test_times() -> None:
    assert parse_seconds('10,30.5') == (10.0, 30.5)
    for text in ('', '0,1', '5,5', '3,1', 'x', 'nan', '1,inf'):
        with pytest.raises(ValueError, match='seconds'):
            parse_seconds(text)


def test_options_are_read_in_their_type() -> None:
    values = parse_options(['query.scales=8', 'training.device=cpu', 'node.use_depth=False'])
    assert values == {'query.scales': 8, 'training.device': 'cpu', 'node.use_depth': False}
    with pytest.raises(ValueError, match=r'GROUP\.OPTION=VALUE'):
        parse_options(['scales=8'])
    with pytest.raises(ValueError, match='expected int for query'):
        parse_options(['query.scales=many'])
    with pytest.raises(ValueError, match='true or false for node'):
        parse_options(['node.use_depth=1'])


def test_only_positive_numbers_pass() -> None:
    require_positive('rate', 0.5)
    for value in (0.0, -1.0, float('inf'), float('nan')):
        with pytest.raises(ValueError, match='rate: expected a number above 0'):
            require_positive('rate', value)
