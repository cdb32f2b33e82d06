"""Point clouds there and back, as RViz and PCL read them."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header

from lerf_ros.bridge.clouds import cloud_array, cloud_colours, cloud_message


@pytest.fixture
def message() -> PointCloud2:
    rng = np.random.default_rng(0)
    colours = rng.integers(0, 255, (5, 3)).astype(np.uint8)
    colours[0] = (1, 2, 3)
    relevancy = np.linspace(0.1, 0.9, 5).astype(np.float32)
    positions = np.arange(15, dtype=np.float32).reshape(5, 3)
    return cloud_message(positions, colours, relevancy, Header(frame_id='map'))


def test_there_and_back(message: PointCloud2) -> None:
    points = cloud_array(message)
    assert points.dtype.names == ('x', 'y', 'z', 'rgb', 'relevancy')
    np.testing.assert_array_equal(points['y'], [1, 4, 7, 10, 13])
    np.testing.assert_allclose(points['relevancy'], np.linspace(0.1, 0.9, 5))
    np.testing.assert_array_equal(cloud_colours(points)[0], (1, 2, 3))


def test_bytes_are_those_rviz_reads(message: PointCloud2) -> None:
    # x y z, then blue, green, red, 0, then relevancy: 20 bytes a point.
    assert (message.point_step, message.row_step, message.width, message.height) == (20, 100, 5, 1)
    x, y, z, blue, green, red, _, relevancy = struct.unpack_from('<fff4Bf', bytes(message.data))
    assert (x, y, z) == (0, 1, 2)
    assert (red, green, blue) == (1, 2, 3)
    assert relevancy == pytest.approx(0.1)
    assert [field.offset for field in message.fields] == [0, 4, 8, 12, 16]


def test_points_with_nan_are_left_out() -> None:
    positions = np.zeros((3, 3), np.float32)
    positions[1, 2] = np.nan
    colours = np.array([[1, 1, 1], [2, 2, 2], [3, 3, 3]], np.uint8)
    message = cloud_message(positions, colours, None, Header())
    assert message.width == 2
    assert message.is_dense
    np.testing.assert_array_equal(cloud_colours(cloud_array(message))[:, 0], [1, 3])


def test_an_empty_cloud_is_a_cloud() -> None:
    empty = cloud_message(np.zeros((0, 3)), np.zeros((0, 3), np.uint8), np.zeros(0), Header())
    assert len(cloud_array(empty)) == 0
    assert [field.name for field in empty.fields][-1] == 'relevancy'


def test_malformed_clouds_are_refused(message: PointCloud2) -> None:
    message.row_step = 50
    with pytest.raises(ValueError, match='row_step 50'):
        cloud_array(message)
    message.row_step = 100
    message.fields[0].datatype = 99
    with pytest.raises(ValueError, match='malformed fields'):
        cloud_array(message)


def test_far_from_the_origin_coordinates_have_64_bits() -> None:
    positions = np.array([[500_000.123_4, 5_400_000.567_8, 100.0], [500_000.2, 5_400_001.0, 99.0]])
    colours = np.array([[1, 2, 3], [4, 5, 6]], np.uint8)
    message = cloud_message(positions, colours, np.array([0.5, 0.25], np.float32), Header())
    assert [field.datatype for field in message.fields] == [8, 8, 8, 7, 7]
    points = cloud_array(message)
    found = np.stack([points['x'], points['y'], points['z']], axis=1)
    np.testing.assert_array_equal(found, positions)
    np.testing.assert_array_equal(cloud_colours(points), colours)
    np.testing.assert_array_equal(points['relevancy'], [0.5, 0.25])
    # Seen from the robot the same points are near, and RViz can read them.
    near = cloud_message(positions - positions[0], colours, None, Header())
    assert {field.datatype for field in near.fields} == {7}
