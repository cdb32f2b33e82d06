"""The scene box: where it lies, and its contraction."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lerf_ros.field.scene_box import SceneBox, box_around, box_between_cameras
from lerf_ros.geometry import look_at

BOX = SceneBox((1.0, -2.0, 0.5), 0.8)


def test_the_box_becomes_the_middle_half_of_the_cube():
    points = torch.tensor([[1.0, -2.0, 0.5], [1.8, -2.0, 0.5], [0.2, -2.8, -0.3]])
    expected = torch.tensor([[0.5, 0.5, 0.5], [0.75, 0.5, 0.5], [0.25, 0.25, 0.25]])
    torch.testing.assert_close(BOX.to_unit(points), expected)


def test_far_points_stay_in_the_cube_and_in_order():
    distance = torch.tensor([0.9, 2.0, 50.0, 1e6])
    points = torch.stack([1.0 + distance, -2.0 + 0 * distance, 0.5 + 0 * distance], dim=-1)
    x = BOX.to_unit(points)[:, 0]
    assert (x.diff() > 0).all()
    assert float(x.max()) <= 1.0


def test_contraction_is_smooth_at_the_box():
    inside, outside = (
        torch.tensor([[1.0 + 0.8 * f, -2.0, 0.5]], requires_grad=True) for f in (0.999, 1.001)
    )
    grads = []
    for point in (inside, outside):
        BOX.to_unit(point)[0, 0].backward()
        grads.append(float(point.grad[0, 0]))
    assert grads[0] == pytest.approx(grads[1], rel=1e-2)


def test_the_box_around_points_ignores_strays():
    generator = torch.Generator().manual_seed(0)
    points = torch.rand(1000, 3, generator=generator) + 4
    points[:10] = 500
    points[10:20] = float('nan')
    box = box_around(points)
    assert box.centre_m == pytest.approx((4.5, 4.5, 4.5), abs=0.05)
    assert 0.5 < box.half_extent_m < 0.7


def test_no_point_gives_no_box():
    with pytest.raises(ValueError, match='at least one finite point'):
        box_around(torch.full((5, 3), float('nan')))


def test_cameras_of_an_orbit_find_its_centre():
    poses = []
    for angle in np.linspace(0, 5, 8):
        position = np.array([3 + 2 * np.cos(angle), 1 + 2 * np.sin(angle), 1.5])
        poses.append(look_at(position, np.array([3.0, 1.0, 0.5])))
    box = box_between_cameras(torch.from_numpy(np.stack(poses)))
    assert box.centre_m == pytest.approx((3.0, 1.0, 0.5), abs=1e-6)
    assert 2.0 < box.half_extent_m < 2.5


@pytest.mark.parametrize('count', [1, 5])
def test_parallel_cameras_get_a_box_in_front(count):
    poses = np.tile(np.eye(4), (count, 1, 1))
    poses[:, 0, 3] = np.arange(count)
    box = box_between_cameras(torch.from_numpy(poses))
    assert box.centre_m[2] >= 1.0
    assert box.half_extent_m >= 1.0


@pytest.mark.parametrize(
    'numbers', [((0, 0, 0), 0.0), ((0, 0, float('nan')), 1.0), ((0, 0, 0), float('inf'))]
)
def test_impossible_boxes_are_refused(numbers):
    with pytest.raises(ValueError, match='expected'):
        SceneBox(*numbers)
