"""Reports: complete, offline, and honest about folders that cannot be written."""

from __future__ import annotations

import io
import json
import re

import numpy as np
import pytest

from lerf_ros.evaluation.progress import Progress
from lerf_ros.evaluation.report import (
    picture,
    plot,
    require_writable,
    text_table,
    write_json,
    write_report,
)

ROWS = [
    {'seconds': 10, 'localisation': 0.5, 'seen': {'localisation': None}},
    {'seconds': 60, 'localisation': 0.75, 'seen': {'localisation': 0.8}},
]


def test_page_is_complete_and_offline(tmp_path) -> None:
    image = np.zeros((8, 8, 3), dtype=np.uint8)
    pictures = [
        plot('curve', 'Rises.', {'a': ([1, 2, 3], [0.1, None, 0.3])}, ('time (s)', 'share')),
        picture('worst', 'A <black> square.', image),
    ]
    page = write_report(
        tmp_path / 'report',
        title='Truth & figures',
        command='lerf_ros evaluate',
        notes=['A note.'],
        result={'rows': ROWS},
        pictures=pictures,
    )
    text = page.read_text()
    assert 'Truth &amp; figures' in text
    assert 'A &lt;black&gt; square.' in text
    assert text.count('<figure>') == 2
    assert not re.search(r'(src|href)="(?!data:)', text)
    assert 'http' not in text
    for name in ('curve.png', 'worst.png'):
        assert (tmp_path / 'report' / name).read_bytes().startswith(b'\x89PNG')
    assert json.loads((tmp_path / 'report' / 'result.json').read_text())['rows'] == ROWS


def test_text_table_has_one_line_a_figure() -> None:
    lines = text_table(ROWS)
    assert [line.split()[0] for line in lines] == ['seconds', 'localisation', 'seen.localisation']
    assert lines[2].split()[1:] == ['-', '0.8']


def test_folder_that_cannot_be_written(tmp_path) -> None:
    (tmp_path / 'file').write_text('')
    with pytest.raises(ValueError, match='can be written'):
        require_writable(tmp_path / 'file')
    with pytest.raises(ValueError, match='can be written'):
        write_json(tmp_path / 'nowhere' / 'a.json', {})


def test_json_replaces_the_old_file_whole(tmp_path) -> None:
    path = tmp_path / 'a.json'
    write_json(path, {'a': 1})
    with pytest.raises(ValueError, match='JSON compliant'):
        write_json(path, {'a': float('nan')})
    assert json.loads(path.read_text()) == {'a': 1}
    assert [p.name for p in tmp_path.iterdir()] == ['a.json']


def test_progress_draws_on_terminals_only() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal, pipe = Terminal(), io.StringIO()
    for stream in (terminal, pipe):
        progress = Progress(4, stream)
        progress.advance(2, 'scene 1')
        progress.close()
    assert '50%' in terminal.getvalue()
    assert 'scene 1' in terminal.getvalue()
    assert pipe.getvalue() == ''
