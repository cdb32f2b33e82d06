"""The query client: its table, its JSON and its cloud file, from messages."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from geometry_msgs.msg import Point, Vector3
from std_msgs.msg import Header

from lerf_ros.bridge.clouds import cloud_array, cloud_message
from lerf_ros.msg import PhraseResult, RelevancyMaximum
from lerf_ros.nodes.query import as_dict, table, write_ply
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
