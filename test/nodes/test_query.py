"""The query client: its table, its JSON and its cloud file, from messages."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from geometry_msgs.msg import Point, Vector3
from std_msgs.msg import Header

from lerf_ros.bridge.clouds import cloud_array, cloud_message
from lerf_ros.bridge.reply import exemplars_of
from lerf_ros.msg import PhraseResult, RelevancyMaximum
from lerf_ros.nodes.map_client import MapClient
from lerf_ros.nodes.query import (
    NOT_FOUND,
    REFUSED,
    add_arguments,
    as_dict,
    read_exemplar,
    run,
    table,
    write_ply,
)
from lerf_ros.srv import QueryLanguage


def response() -> QueryLanguage.Response:
    places = [
        RelevancyMaximum(
            position=Point(x=0.25 * n, y=-0.1, z=0.05),
            box_size=Vector3(x=0.1, y=0.08, z=0.12),
            relevancy=0.75,
            views=4,
        )
        for n in (1, 2)
    ]
    return QueryLanguage.Response(
        success=True,
        header=Header(frame_id='map'),
        step=321,
        results=[
            PhraseResult(phrase='red mug', exists=True, confidence=0.875, maxima=places),
            PhraseResult(phrase='unicorn', exists=False, confidence=0.125),
        ],
    )


def test_the_table_says_where_and_what_is_not_there() -> None:
    lines = table(response()).splitlines()
    assert 'step 321' in lines[0]
    assert 'map' in lines[0]
    assert lines[2].split()[:7] == ['red', 'mug', 'yes', '0.88', '0.250', '-0.100', '0.050']
    assert lines[3].split()[:3] == ['0.500', '-0.100', '0.050']
    assert 'no' in lines[4]
    assert 'nothing looks like it' in lines[4]


def test_json_holds_plain_numbers() -> None:
    found = json.loads(json.dumps(as_dict(response())))
    assert found['step'] == 321
    assert found['results'][0]['maxima'][1]['position'] == [0.5, -0.1, 0.05]
    assert found['results'][1] == {
        'phrase': 'unicorn',
        'exists': False,
        'confidence': 0.125,
        'doubt': '',
        'maxima': [],
    }


def test_the_cloud_file_is_ply(tmp_path: Path) -> None:
    positions = np.arange(6, dtype=np.float32).reshape(2, 3)
    colours = np.array([[1, 2, 3], [250, 251, 252]], np.uint8)
    relevancy = np.array([0.25, 0.75], np.float32)
    message = cloud_message(positions, colours, relevancy, Header())
    path = tmp_path / 'cloud.ply'
    write_ply(path, cloud_array(message))
    head, body = path.read_bytes().split(b'end_header\n')
    assert head.startswith(b'ply\nformat binary_little_endian 1.0\nelement vertex 2\n')
    assert head.count(b'property') == 7
    layout = [('xyz', '<f4', 3), ('rgb', 'u1', 3), ('relevancy', '<f4')]
    points = np.frombuffer(body, np.dtype(layout))
    np.testing.assert_array_equal(points['xyz'], positions)
    np.testing.assert_array_equal(points['rgb'], colours)
    np.testing.assert_array_equal(points['relevancy'], relevancy)


def arguments(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser.parse_args(words)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A red half and a blue half, 40x20."""
    path = tmp_path / 'two:colours.png'
    pixels = np.zeros((20, 40, 3), np.uint8)
    pixels[:, :20, 2], pixels[:, 20:, 0] = 255, 255
    cv2.imwrite(str(path), pixels)
    return path


def test_the_help_shows_how_to_ask_by_a_picture(capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit):
        arguments('--help')
    assert '--exemplar IMAGE[:l,t,r,b]' in capsys.readouterr().out


def test_pictures_and_boxes_reach_the_node_as_they_were_given(picture: Path) -> None:
    pairs = [read_exemplar(str(picture)), read_exemplar(f'{picture}:20,2,40,18')]
    request = QueryLanguage.Request(
        exemplars=[image for image, _ in pairs], exemplar_boxes=[box for _, box in pairs]
    )
    whole, half = exemplars_of(request)
    assert whole.box_px() == (0, 0, 40, 20)
    assert whole.image[0, 0].tolist() == [255, 0, 0]
    assert half.box_px() == (20, 2, 40, 18)


@pytest.mark.parametrize(
    ('words', 'sentence'),
    [
        ((), 'expected a phrase or --exemplar'),
        (('--exemplar', 'nowhere.png'), 'nowhere.png'),
        (('--exemplar', f'{__file__}'), 'test_query.py'),
        (('--exemplar', '{picture}:20,2,10,18'), 'left < right'),
    ],
)
def test_what_cannot_be_asked_gets_a_sentence(
    picture: Path, words: tuple[str, ...], sentence: str, capsys: pytest.CaptureFixture
) -> None:
    given = arguments(*(word.format(picture=picture) for word in words))
    assert run(given) == REFUSED
    assert sentence in capsys.readouterr().err


def test_answers_to_pictures_carry_the_names_of_their_files(
    picture: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    asked: dict[str, Any] = {}

    def query(client: MapClient, positives: list[str], timeout_s: float, **fields: Any) -> Any:
        asked.update(fields)
        return response()

    monkeypatch.setattr(MapClient, 'wait_for_service', lambda client, timeout_s: None)
    monkeypatch.setattr(MapClient, 'query', query)
    assert run(arguments('red mug', '--exemplar', f'{picture}:0,0,20,20')) == NOT_FOUND
    assert asked['exemplar_boxes'][0].width == 20
    rows = capsys.readouterr().out.splitlines()
    assert rows[2].startswith('red mug ')
    assert rows[4].startswith('two:colours.png:0,0,20')
