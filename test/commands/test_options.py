"""The list of options says which of them may change while the map lives."""

from __future__ import annotations

import pytest

from lerf_ros.__main__ import main
from lerf_ros.config import flat_options


@pytest.mark.parametrize('form', [[], ['--markdown']])
def test_every_option_is_listed_and_live_ones_are_marked(
    form: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(['options', *form]) == 0
    lines = capsys.readouterr().out.splitlines()
    for name, info in flat_options():
        (line,) = (each for each in lines if each.lstrip('| `').split()[0].rstrip('`') == name)
        assert info.live == (line.endswith('  live') or '| yes |' in line), line
